use super::super::kind::forms::MAX_PATTERN_DEPTH;
use super::super::schema::{NONE, Platform, Schema, SourceKind, flag};
use super::pack::MAX_ROWS;
use super::*;

const NATIVES: &[&str] = &["ip", "ip_interface"];

/// What is wrong with a file, one line a problem.
fn wrong(text: &str) -> Vec<String> {
    match schema_from(&[("f.toml", text)], NATIVES) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|p| p.to_string()).collect(),
    }
}

fn right(text: &str) -> Schema {
    schema_from(&[("f.toml", text)], NATIVES).unwrap_or_else(|p| panic!("{}", p[0]))
}

/// One row of `Device.X.`, on line 2.
fn row(row: &str) -> Vec<String> {
    wrong(&format!("[\"Device.X.\"]\n{row}\n"))
}

#[test]
fn wrong_rows() {
    let cases = [
        (r#"A = { const = "x" }"#, "A has no type"),
        (r#"A = { type = "strin", const = "x" }"#, "A: `strin` is no type"),
        (r#"A = { type = "string(", const = "x" }"#, "A: type `string(` has no closing parenthesis"),
        (r#"A = { type = "string(x)", const = "x" }"#, "A: `x` is no range"),
        (
            r#"A = { type = "string(9..1)", const = "x" }"#,
            "A: `9..1` does not lie within the values of string",
        ),
        (
            r#"A = { type = "unsignedInt(-4..)", const = "1" }"#,
            "A: `-4..` does not lie within the values of unsignedInt",
        ),
        (r#"A = { type = "unsignedInt(5)", const = "1" }"#, "A: `5` is no range"),
        (r#"A = { type = "boolean(1)", const = "true" }"#, "A: type boolean takes no bounds"),
        (r#"A = { type = "IPAddress(3)", const = "" }"#, "A: type IPAddress takes no bounds"),
        (r#"A = { type = "enum(A,,B)", const = "A" }"#, "A: an enumeration with an empty value"),
        (r#"A = { type = "enum()", const = "A" }"#, "A: an enumeration with an empty value"),
        (r#"A = { type = "enum(A,A)", const = "A" }"#, "A: value A stands twice in the enumeration"),
        (r#"A = { type = "list(list(int))", const = "" }"#, "A: a list of lists is no type"),
        (
            r#"A = { type = "ref(Device.Y)", const = "" }"#,
            "A: `Device.Y` is no object: a path ends with a dot",
        ),
        (r#"A = { type = "string" }"#, "A has no source"),
        (r#"A = { type = "string", linux = false, openwrt = false }"#, ""),
        (r#"A = "string""#, "the row of A is no table: A = { type = \"…\" }"),
        (r#"A = { type = 3, const = "x" }"#, "`type` is text in quotes, not integer"),
        (r#"A = { type = "string", const = "x", store = "y" }"#, "`store` is a second source"),
        (r#"A = { type = "string", linux = { file = "/a", uci = "b" } }"#, "`uci` is a second source"),
        (
            r#"A = { type = "string", native = "ipp" }"#,
            "`ipp` is no native provider (handlers/natives.rs lists them)",
        ),
        (
            r#"A = { type = "string", openwrt = "native ipp" }"#,
            "`ipp` is no native provider (handlers/natives.rs lists them)",
        ),
        (r#"A = { type = "string", openwrt = "nativ ip" }"#, "`nativ` is no source"),
        (r#"A = { type = "string", openwrt = true }"#, "`openwrt` is `false`, a source in words, or a table"),
        (
            r#"A = { type = "string", linux = { const = "x", type = "int" } }"#,
            "unknown key `type` under `linux`",
        ),
        (r#"A = { type = "string", exec = " " }"#, "`exec` without an argument"),
        (r#"A = { type = "string", file = "etc/x" }"#, "a file is named by a path from the root"),
        (
            r#"A = { type = "string", file = "/a/{1}" }"#,
            "`{1}` speaks of an instance, and there is none here",
        ),
        (
            r#"A = { type = "string", const = "x", writable = true }"#,
            "unknown key `writable` in the row of A",
        ),
        (r#"A = { type = "string", const = "x", write = "yes" }"#, "`write` is true or false, not string"),
        (
            r#"A = { type = "string", const = "x", write = true }"#,
            "A is writable, and a const cannot be written",
        ),
        (r#"A = { type = "string", const = "x", pattern = "(" }"#, "pattern of A: "),
        // Beside others it would close their group.
        (r#"A = { type = "string", const = "x", pattern = "a)(b" }"#, "pattern of A: "),
        (r#"A = { type = "string", const = "x", pattern = "(?x)x # y" }"#, "pattern of A: "),
        (r#"A = { type = "string", const = "x", pattern = "((x{100}){100}){100}" }"#, "pattern of A: "),
        (r#"A = { type = "int", const = "1", pattern = "1" }"#, "`pattern` is for strings, and A is none"),
        (r#"A = { type = "int", const = "1", items = "0..8" }"#, "`items` is for a list, and A is none"),
        (r#"A = { type = "list(int)", const = "1", items = "8" }"#, "`items` is not of the form \"0..8\""),
        (
            r#"A = { type = "list(int)", const = "1", list_size = "8" }"#,
            "`list_size` is no number of characters",
        ),
        (
            r#"A = { type = "string", const = "", notify = "no" }"#,
            "`notify` is one of canDeny, forceEnabled, forceDefaultEnabled",
        ),
        (r#"A = { type = "string", store = "", command = true }"#, "A is a command, so its type is boolean"),
        (r#"A = { type = "enum(Up,Down)", const = "up" }"#, "const of A: not one of Up, Down"),
        (r#"A = { type = "unsignedInt(1..)", store = "0" }"#, "store of A: not within 1..4294967295"),
        (r#"A-b_1 = { type = "string", const = "x" }"#, ""),
        (r#""A.b" = { type = "string", const = "x" }"#, "`A.b` is no parameter name"),
        (r#"a = { type = "string", const = "x" }"#, "unknown key `a` in Device.X."),
        (r#"const = "x""#, "`const` is for parameters and tables; an object's row is native or exec"),
        (r#"entries = "XNumberOfEntries""#, "`entries` is for a table, and Device.X. has no {i}"),
    ];
    for (text, expected) in cases {
        let found = row(text);
        if expected.is_empty() {
            assert_eq!(found, Vec::<String>::new(), "{text}");
        } else {
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            // A mistake of the section itself is cited where the section begins.
            assert!(found[0].starts_with(&format!("f.toml:2: {expected}")), "{text}: {}", found[0]);
        }
    }
}

#[test]
fn texts_and_patterns_are_bounded() {
    let text = |n: usize| row(&format!("A = {{ type = \"string\", const = \"{}\" }}", "x".repeat(n)));
    assert_eq!(text(MAX_TEXT), [""; 0]);
    assert_eq!(text(MAX_TEXT + 1), ["f.toml:2: `const` is longer than 4096 bytes"]);
    // The pattern stands in a group of its own.
    let nested = |n: usize| {
        let pattern = format!("{}x{}", "(".repeat(n), ")".repeat(n));
        row(&format!("A = {{ type = \"string\", const = \"x\", pattern = \"{pattern}\" }}"))
    };
    let most = MAX_PATTERN_DEPTH as usize - 1;
    assert_eq!(nested(most), [""; 0]);
    assert_eq!(nested(most + 1).len(), 1);
    let deep = |n: usize| row(&format!("A = {}{}", "[".repeat(n), "]".repeat(n)));
    assert!(deep(20)[0].contains("A is"), "{:?}", deep(20));
    assert!(deep(10_000)[0].contains("recurs"), "{:?}", deep(10_000));
}

/// More rows than a table of the schema can count.
#[test]
fn rows_are_counted() {
    let file = |rows: usize| {
        let mut text = String::from("[\"Device.X.\"]\n");
        for n in 0..rows {
            text.push_str(&format!("P{n} = {{ type = \"int\", const = \"1\" }}\n"));
        }
        wrong(&text)
    };
    let problems = file(MAX_ROWS);
    assert!(problems.len() == 1 && problems[0].contains("more than a table holds"), "{problems:?}");
}

#[test]
fn wrong_sections() {
    let cases = [
        ("[Device.X]\n", "f.toml:1: `Device` is no object: a path ends with a dot"),
        ("[\"Device.X\"]\n", "f.toml:1: `Device.X` is no object: a path ends with a dot"),
        (
            "[\"InternetGatewayDevice.\"]\n",
            "f.toml:1: `InternetGatewayDevice.` is no object: a path begins with Device.",
        ),
        ("[\"Device.{i}.\"]\n", "f.toml:1: `Device.{i}.` is no object: {i} stands behind a table's name"),
        (
            "[\"Device.X.{i}.{i}.\"]\n",
            "f.toml:1: `Device.X.{i}.{i}.` is no object: {i} stands behind a table's name",
        ),
        ("[\"Device.X y.\"]\n", "f.toml:1: `Device.X y.` is no object: `X y` is no name"),
        ("[\"Device.1.\"]\n", "f.toml:1: `Device.1.` is no object: `1` is no name"),
        ("x = 1\n", "f.toml:1: `x` is no section: [\"Device.X.\"]"),
        ("\n[\"Device.X.\"\n", "f.toml:2: "),
        ("[\"Device.X.\"]\n\n[\"Device.X.\"]\n", "f.toml:3: duplicate key"),
        ("\n[\"Device.X.{i}.\"]\n", "f.toml:2: the table Device.X.{i}. has no source"),
        ("[\"Device.X.{i}.\"]\nubus = \"a b\"\n", "f.toml:2: `a b` has no path behind object and method"),
        ("[\"Device.X.{i}.\"]\nfile = \"/x\"\n", "f.toml:2: a table's file names its instances by one `*`"),
        (
            "[\"Device.X.{i}.\"]\nfile = \"/{1}/*\"\n",
            "f.toml:2: `{1}` speaks of an instance, and there is none here",
        ),
        (
            "[\"Device.X.{i}.\"]\nconst = \"a\"\nA = { type = \"string\", file = \"/a/{2}\" }\n",
            "f.toml:3: `{2}` is not within {1} to {1}",
        ),
        (
            "[\"Device.X.{i}.\"]\nconst = \"a\"\ncreate = true\n",
            "f.toml:1: instances of Device.X.{i}. are given: none can be created",
        ),
        ("[\"Device.X.{i}.Y.\"]\n", "f.toml:1: the table Device.X.{i}. that it stands in is not there"),
        (
            "[\"Device.X.\"]\n[\"Device.X.{i}.\"]\nconst = \"a\"\n",
            "f.toml:2: Device.X.{i}. is also an object without {i} (f.toml:1)",
        ),
        (
            "[\"Device.\"]\nX = { type = \"string\", const = \"\" }\n[\"Device.X.\"]\n",
            "f.toml:3: Device.X is a parameter, so no object has that name",
        ),
        (
            "[\"Device.X.{i}.\"]\nconst = \"a\"\nentries = \"XNumberOfEntries\"\n",
            "f.toml:1: entries = XNumberOfEntries is no parameter of Device.",
        ),
        (
            "[\"Device.\"]\nN = { type = \"unsignedInt\", const = \"1\" }\n[\"Device.X.{i}.\"]\nconst = \"a\"\nentries = \"N\"\n",
            "f.toml:2: N counts a table, so it has no source",
        ),
        (
            "[\"Device.\"]\nN = { type = \"int\" }\n[\"Device.X.{i}.\"]\nconst = \"a\"\nentries = \"N\"\n",
            "f.toml:2: N counts a table, so its type is unsignedInt",
        ),
        (
            "[\"Device.X.{i}.\"]\nconst = \"a\"\nkeys = [\"A+B\"]\nA = { type = \"int\", store = \"0\" }\n",
            "f.toml:1: key B is no parameter of Device.X.{i}.",
        ),
        (
            "[\"Device.X.{i}.\"]\nconst = \"a\"\nenable = \"Enable\"\n",
            "f.toml:1: enable = Enable is no parameter of Device.X.{i}.",
        ),
    ];
    for (text, expected) in cases {
        let found = wrong(text);
        assert!(!found.is_empty(), "{text}");
        assert!(found[0].starts_with(expected), "{text}: {}", found[0]);
    }
}

#[test]
fn every_mistake_is_told() {
    let found =
        wrong("[\"Device.X.\"]\nA = { type = \"x\" }\nB = { type = \"int\", const = \"1\", b = 1 }\nc = 2\n");
    assert_eq!(
        found,
        [
            "f.toml:2: A: `x` is no type",
            "f.toml:3: unknown key `b` in the row of B",
            "f.toml:4: unknown key `c` in Device.X.",
        ]
    );
}

#[test]
fn files_share_objects_but_not_rows() {
    let a = "[\"Device.X.\"]\nnative = \"ip\"\nA = { type = \"int\" }\n";
    let b = "[\"Device.X.\"]\nB = { type = \"int\" }\n";
    let schema = schema_from(&[("a.toml", a), ("b.toml", b)], NATIVES).unwrap();
    let again = schema_from(&[("b.toml", b), ("a.toml", a)], NATIVES).unwrap();
    for (schema, names) in [(schema, ["A", "B"]), (again, ["B", "A"])] {
        let x = schema.find_object("Device.X.").unwrap();
        assert_eq!(x.params().map(|p| p.name()).collect::<Vec<_>>(), names);
        assert!(x.params().all(|p| p.source(Platform::Linux).unwrap().arg == "ip"));
    }
    let cases = [
        ("[\"Device.X.\"]\nA = { type = \"int\" }\n", "b.toml:2: Device.X.A is already there (a.toml:3)"),
        ("[\"Device.X.\"]\nnative = \"ip\"\n", "b.toml:1: Device.X. is already there (a.toml:1)"),
    ];
    for (b, expected) in cases {
        let problems = schema_from(&[("a.toml", a), ("b.toml", b)], NATIVES).unwrap_err();
        assert_eq!(problems[0].to_string(), expected);
    }
}

const MODEL: &str = r#"
["Device.IP.Interface.{i}."]
keys = ["Name", "nf:Alias"]
entries = "InterfaceNumberOfEntries"
native = "ip_interface"
create = false
why = "the system makes them"
enable = "Enable"
volatile = true
Enable = { type = "boolean", write = true, linux = { write = false, why = "no" } }
Name = { type = "string(64)" }
Alias = { type = "Alias", write = true }
LowerLayers = { type = "list(ref(Device.Ethernet.Link.{i}.))", list_size = 1024, items = "0..4" }
Port = { type = "unsignedInt(0..0,1024..65535)", write = true, notify = "canDeny", after_session = true }
Level = { type = "int(-20..-5)", notify = "forceEnabled" }
X_CWMPD_Key = { type = "string", openwrt = "uci network.{1}.key", linux = false, hidden = true }

["Device.IP.Interface.{i}.Stats."]
native = "ip_interface"
BytesSent = { type = "StatsCounter64", notify = "canDeny" }

["Device.IP."]
InterfaceNumberOfEntries = { type = "unsignedInt" }

["Device.IPsec.Only."]
A = { type = "string", openwrt = { const = "x" } }

["Device.IP.Wrt.{i}."]
openwrt = { uci = "network.@wrt", create = true }
B = { type = "string", uci = "network.{1}.b", write = true }
"#;

#[test]
fn rows_become_tables() {
    let schema = right(MODEL);
    let paths: Vec<&str> = (0..schema.objects.len()).map(|i| schema.object(i as u16).path()).collect();
    assert_eq!(
        paths,
        [
            "Device.",
            "Device.IP.",
            "Device.IP.Interface.{i}.",
            "Device.IP.Interface.{i}.Stats.",
            "Device.IP.Wrt.{i}.",
            "Device.IPsec.",
            "Device.IPsec.Only.",
        ]
    );
    for (i, path) in paths.iter().enumerate() {
        let object = schema.find_object(path).unwrap();
        assert_eq!(object.id as usize, i);
        assert!(object.params().all(|p| p.object().id == object.id));
    }
    assert!(schema.find_object("Device.IP.Interface.").is_none());
    assert!(schema.find_object("Device.IP.Inter").is_none());
    let ip = schema.find_object("Device.IP.").unwrap();
    assert_eq!(ip.children().map(|c| c.name()).collect::<Vec<_>>(), ["Interface", "Wrt"]);
    assert_eq!((ip.parent().unwrap().id, ip.row().end), (0, 5));

    let interface = schema.find_object("Device.IP.Interface.{i}.").unwrap();
    assert!(interface.is_table() && interface.is_volatile() && !interface.is_creatable(Platform::Linux));
    assert_eq!(interface.keys().collect::<Vec<_>>(), [(true, "Name"), (false, "Alias")]);
    assert_eq!(interface.enable().unwrap().name(), "Enable");
    assert_eq!(interface.entries().unwrap().counts().unwrap().id, interface.id);
    assert_eq!(interface.depth(), 1);
    let source = |path: &str, platform| schema.find_param(path).unwrap().source(platform).map(|s| s.kind);
    assert_eq!(source("Device.IP.InterfaceNumberOfEntries", Platform::Linux), Some(SourceKind::Entries));
    assert_eq!(source("Device.IP.Interface.{i}.Alias", Platform::Linux), Some(SourceKind::Alias));
    assert_eq!(source("Device.IP.Interface.{i}.Name", Platform::OpenWrt), Some(SourceKind::Native));
    assert_eq!(source("Device.IP.Interface.{i}.X_CWMPD_Key", Platform::Linux), None);
    assert_eq!(
        source("Device.IP.Interface.{i}.X_CWMPD_Key", Platform::OpenWrt),
        Some(SourceKind::Expression)
    );

    let enable = interface.param("Enable").unwrap();
    assert!(!enable.is_writable(Platform::Linux) && enable.is_writable(Platform::OpenWrt));
    assert!(interface.param("Port").unwrap().has(flag::CAN_DENY | flag::AFTER_SESSION));
    assert!(interface.param("X_CWMPD_Key").unwrap().has(flag::HIDDEN));
    assert_eq!(interface.param("Level").unwrap().kind().neutral(), "-5");
    assert_eq!(interface.param("Port").unwrap().kind().neutral(), "0");
    let layers = interface.param("LowerLayers").unwrap().kind();
    assert_eq!(layers.targets().collect::<Vec<_>>(), ["Device.Ethernet.Link.{i}."]);
    assert!(layers.is_reference() && layers.row.list_max == 1024 && layers.row.items == (0, 4));
}

#[test]
fn platforms_differ() {
    let schema = right(MODEL);
    let wrt = schema.find_object("Device.IP.Wrt.{i}.").unwrap();
    assert!(wrt.is_creatable(Platform::OpenWrt) && !wrt.is_creatable(Platform::Linux));
    assert!(wrt.source(Platform::Linux).is_none());
    // What stands in an absent object is absent, and what holds nothing does not exist.
    assert!(wrt.param("B").unwrap().source(Platform::Linux).is_none());
    for path in ["Device.IPsec.", "Device.IPsec.Only."] {
        let object = schema.find_object(path).unwrap();
        assert_eq!(object.row().sources[Platform::Linux as usize], NONE, "{path}");
        assert_eq!(object.source(Platform::OpenWrt).unwrap().kind, SourceKind::Nothing, "{path}");
    }
    assert_eq!(schema.counts(Platform::Linux), (4, 8));
    assert_eq!(schema.counts(Platform::OpenWrt), (7, 11));
}

#[test]
fn text_is_kept_once() {
    let schema = right(MODEL);
    assert_eq!(schema.blob.matches("Device.IP.Interface.{i}.").count(), 1);
    let stats = schema.find_object("Device.IP.Interface.{i}.Stats.").unwrap().row();
    let interface = schema.find_object("Device.IP.Interface.{i}.").unwrap().row();
    assert_eq!(stats.path.at, interface.path.at);
}

#[test]
fn the_vendor_prefix_is_replaced_in_names() {
    let options = Options { natives: NATIVES, prefix: "X_00256D_", overlay: false };
    let text =
        "[\"Device.X_CWMPD_A.\"]\nX_CWMPD_B = { type = \"enum(X_CWMPD_C)\", const = \"X_00256D_C\" }\n";
    let schema = schema_with(&[("f.toml", text)], &options).unwrap();
    assert!(schema.find_param("Device.X_00256D_A.X_00256D_B").is_some());
}

#[test]
fn no_file_is_still_a_root() {
    let schema = schema_from(&[], &[]).unwrap();
    assert_eq!(schema.object(0).path(), "Device.");
    assert_eq!(schema.counts(Platform::Linux), (1, 0));
}

/// What carries the session is changed when it has ended; a table says it for its parameters, and for
/// its rows when they come and go.
#[test]
fn what_carries_the_session_is_marked() {
    let text = r#"
["Device.A."]
B = { type = "string", store = "", write = true, uplink = true }
C = { type = "string", store = "", write = true, after_session = true }
["Device.T.{i}."]
exec = "/bin/t"
create = true
uplink = true
D = { type = "string", write = true }
["Device.T.{i}.Below."]
E = { type = "string", exec = "/bin/t", write = true }
["Device.U.{i}."]
exec = "/bin/u"
create = true
uplink = false
F = { type = "string", write = true }
"#;
    let check = |schema: &Schema| {
        for (path, expected) in [
            ("Device.A.B", (true, true)),
            ("Device.A.C", (false, true)),
            ("Device.T.{i}.D", (true, true)),
            ("Device.T.{i}.Below.E", (false, false)),
            ("Device.U.{i}.F", (false, false)),
        ] {
            let param = schema.find_param(path).unwrap();
            assert_eq!((param.has(flag::UPLINK), param.has(flag::AFTER_SESSION)), expected, "{path}");
        }
        for (path, uplink) in [("Device.A.", false), ("Device.T.{i}.", true), ("Device.U.{i}.", false)] {
            assert_eq!(schema.find_object(path).unwrap().is_uplink(), uplink, "{path}");
        }
    };
    let schema = right(text);
    check(&schema);
    // As an overlay, and with rows of an overlay in it.
    let mut specs = unpack(&schema, "built in");
    let more = "[\"Device.T.{i}.\"]\nX_ACME_G = { type = \"string\", exec = \"/bin/g\", write = true }\n";
    let (options, mut problems) = (Options { natives: &[], prefix: PREFIX, overlay: true }, Vec::new());
    read("o.toml", more, &options, &mut specs, &mut problems);
    assert_eq!(problems, []);
    let schema = build(specs).unwrap();
    check(&schema);
    assert!(schema.find_param("Device.T.{i}.X_ACME_G").unwrap().has(flag::UPLINK));
    for wrong in ["uplink = 1\n", "uplink = \"yes\"\n"] {
        let text = format!("[\"Device.T.{{i}}.\"]\nexec = \"/bin/t\"\n{wrong}D = {{ type = \"string\" }}\n");
        let problems = schema_from(&[("a.toml", &text)], NATIVES).unwrap_err();
        assert!(problems[0].to_string().starts_with("a.toml:3: `uplink` is true or false"), "{problems:?}");
    }
}
