//! Paths, values and rows of the data model.

use cwmpd::model::grammar;
use cwmpd::model::kind::Misfit;
use cwmpd::model::path::{self, Path, Segment};
use cwmpd::model::schema::Schema;
use cwmpd::model::{builtin, sample};

/// A path: put together from its words it is itself again.
pub fn path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // As an Alias: what can stand in a path comes out of it as it went in.
    if path::is_addressable(&text) {
        let row = format!("Device.X.[{text}].Y");
        let read = Path::parse(&row).map(|p| p.segments.get(2) == Some(&Segment::Alias(&text)));
        assert!(matches!(read, Ok(true) | Err("longer than 256 characters")), "{read:?}");
    }
    let Ok(path) = Path::parse(&text) else { return };
    let again = path.to_string();
    assert_eq!(again, text);
    assert_eq!(Path::parse(&again), Ok(path));
}

/// Every type of the grammar, with and without bounds.
const TYPES: &str = r#"
["Device."]
A = { type = "string", store = "" }
B = { type = "string(2..8)", store = "aa" }
C = { type = "enum(Up,Down,Error@readOnly)", store = "Up" }
D = { type = "int", store = "0" }
E = { type = "int(-5..5,100..)", store = "0" }
F = { type = "unsignedInt", store = "0" }
G = { type = "long", store = "0" }
H = { type = "unsignedLong", store = "0" }
I = { type = "decimal(-1..10)", store = "0" }
J = { type = "boolean", store = "false" }
K = { type = "dateTime", store = "0001-01-01T00:00:00Z" }
L = { type = "base64(..16)", store = "" }
M = { type = "hexBinary(0..0,6..6)", store = "" }
N = { type = "IPAddress", store = "" }
O = { type = "IPv6Address", store = "" }
P = { type = "IPPrefix", store = "" }
Q = { type = "MACAddress", store = "" }
R = { type = "URL", store = "" }
S = { type = "UUID", store = "00000000-0000-0000-0000-000000000000" }
T = { type = "Alias", store = "a" }
U = { type = "list(unsignedInt(1..9))", items = "0..4", list_size = 12, store = "" }
V = { type = "list(string(..3))", store = "" }
W = { type = "list(IPv4Address)", store = "" }
X = { type = "string", pattern = ["[0-9a-f]{2}(:[0-9a-f]{2})*", ""], store = "" }
Y = { type = "ref()", store = "" }
Z = { type = "StatsCounter64", store = "0" }
"#;

/// A value, the first byte of which says the type: the canonical form of what a peer may write is a
/// value, is its own canonical form, and is what the agent itself takes it for; and what a source
/// gives is made to fit, or is the neutral value.
pub fn value(data: &[u8]) {
    thread_local! {
        static SCHEMA: Schema = sample::schema(TYPES, &[]);
    }
    let Some((first, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    SCHEMA.with(|schema| {
        let param = char::from(b'A' + first % 26).to_string();
        let kind = schema.find_param(&format!("Device.{param}")).expect("a parameter").kind();
        let canonical = kind.check(text);
        if let Ok(value) = &canonical {
            assert_eq!(kind.check(value).as_ref(), Ok(value), "{param}: {text:?}");
            assert_eq!(kind.judge(value).as_ref(), Ok(value), "{param}: {text:?}");
            assert!(kind.judge(text).is_ok(), "{param}: {text:?}");
        }
        if let Err(Misfit::Type(why) | Misfit::Value(why)) = &canonical {
            assert!(!why.is_empty() && why.len() < 300, "{why}");
        }
        let fitted = kind.coerce(text);
        assert!(fitted == kind.neutral() || kind.judge(&fitted).is_ok(), "{param}: {text:?}: {fitted:?}");
        assert!(kind.coerce(&fitted) == fitted, "{param}: {text:?}: {fitted:?}");
        if kind.judge(text).is_ok_and(|v| v == text) {
            assert_eq!(fitted, text, "{param}: a value stays as it is");
        }
    });
}

/// An overlay file: refused with a line and a reason, or built into the tables.
pub fn overlay(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let options = grammar::Options { natives: &[], prefix: builtin::VENDOR_PREFIX, overlay: true };
    let (mut specs, mut problems) = (Vec::new(), Vec::new());
    grammar::read("x.toml", text, &options, &mut specs, &mut problems);
    assert!(problems.iter().all(|p| !p.reason.is_empty()));
    if !problems.is_empty() || specs.is_empty() {
        return;
    }
    let mut rows = grammar::unpack(&builtin::builtin(), "built in");
    rows.extend(specs);
    match grammar::build(rows) {
        Err(problems) => assert!(!problems.is_empty()),
        Ok(schema) => {
            let again = grammar::build(grammar::unpack(&schema, "x.toml")).expect("they were built");
            assert!(again.objects == schema.objects && again.params == schema.params);
            assert!(again.kinds == schema.kinds && again.sources == schema.sources);
            assert!(again.words == schema.words && again.blob == schema.blob);
        }
    }
}
