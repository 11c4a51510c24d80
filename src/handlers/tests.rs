//! An overlay with files, a script and a UCI file, read and changed through the whole tree.

use super::probe::Folder;
use super::*;
use crate::model::builtin::builtin;
use crate::model::overlay;
use crate::model::request::ParameterValue;
use crate::model::schema::Platform;
use crate::model::tree::{Item, Status, Tree, Writer};
use crate::state::journal::Journal;

const OVERLAY: &str = r##"
["Device."]
X_ACME_LedNumberOfEntries = { type = "unsignedInt" }
["Device.X_ACME_Led.{i}."]
file    = "/sys/class/leds/*"
entries = "X_ACME_LedNumberOfEntries"
Name       = { type = "string(64)", file = "/sys/class/leds/{1}/name" }
Brightness = { type = "unsignedInt(0..255)", file = "/sys/class/leds/{1}/brightness", write = true }
["Device.X_ACME_Box."]
exec = "SCRIPT"
Limit    = { type = "unsignedInt", file = "/etc/acme/limit", write = true }
Mode     = { type = "enum(Slow,Fast,Broken)", write = true }
HostName = { type = "string", uci = "system.@system[0].hostname", write = true }
["Device.X_ACME_Rule.{i}."]
exec   = "SCRIPT"
create = true
Alias = { type = "Alias", write = true }
Text  = { type = "string", write = true }
"##;

/// Keeps a value or a row a file; refuses `Slow`, and fails when it is to set `Broken`.
const SCRIPT: &str = r#"
dir=$1
last() { printf '%s' "${line##*\"$1\":\"}" | sed 's/".*//'; }
while read -r line; do
  id=${line#*\"id\":}; id=${id%%,*}
  op=${line#*\"op\":\"}; op=${op%%\"*}
  key=$(last key)
  body='"values":{}'
  case $op:$line in
  check:*'"Mode":"Slow"'*) body='"error":{"code":9007,"name":"Mode","text":"too slow"}' ;;
  set:*'"Mode":"Broken"'*) echo half > "$dir/mode"; body='"error":{"code":9002,"text":"broken"}' ;;
  list:*) body=; for r in "$dir"/rules/*; do [ -e "$r" ] && body="$body,\"${r##*/}\""; done; body="\"keys\":[${body#,}]" ;;
  get:*X_ACME_Box*) body="\"values\":{\"Mode\":\"$(cat "$dir/mode")\"}" ;;
  get:*) body="\"values\":{\"Text\":\"$(cat "$dir/rules/$key")\"}" ;;
  set:*X_ACME_Box*|undo:*X_ACME_Box*) last Mode > "$dir/mode" ;;
  set:*|undo:*) last Text > "$dir/rules/$key" ;;
  add:*) : > "$dir/rules/$key" ;;
  del:*) rm -f "$dir/rules/$key" ;;
  esac
  printf '{"id":%s,%s}\n' "$id" "$body"
done
"#;

struct Bench {
    root: Folder,
    tree: Tree,
}

impl Bench {
    fn new() -> Bench {
        let root = Folder::new();
        root.file("sys/class/leds/power/brightness", "255\n");
        root.file("sys/class/leds/power/name", "Power\n");
        root.file("sys/class/leds/wan/brightness", "0\n");
        root.file("etc/acme/limit", "7\n");
        root.file("etc/config/system", "config system\n\toption hostname gw\n");
        root.file("script", SCRIPT);
        root.file("state/mode", "Fast\n");
        root.file("state/rules/first", "one");
        let at = root.root().display();
        root.file("overlays/acme.toml", &OVERLAY.replace("SCRIPT", &format!("sh {at}/script {at}/state")));
        let (schema, problems) = overlay::load(builtin(), &root.root().join("overlays"));
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
        let journal = Rc::new(RefCell::new(Journal::in_memory()));
        let handlers = all(root_tests::around(root.root(), Platform::Linux), Rc::default());
        let (mut tree, notes) =
            Tree::open(schema, Platform::Linux, root.root().to_owned(), journal, handlers);
        assert_eq!(notes, [""; 0]);
        tree.begin_rpc();
        Bench { root, tree }
    }

    fn read(&mut self, path: &str) -> Vec<String> {
        self.tree.begin_rpc();
        let mut selection = self.tree.values(&[path.to_owned()]).unwrap();
        let mut out = Vec::new();
        while self.tree.next(&mut selection, &mut |item| {
            if let Item::Value { path, value, .. } = item {
                out.push(format!("{}={value}", path.trim_start_matches("Device.X_ACME_")));
            }
        }) {}
        out
    }

    fn set(&mut self, values: &[(&str, &str)]) -> Result<Status, String> {
        let list: Vec<ParameterValue> = values
            .iter()
            .map(|(name, value)| ParameterValue {
                name: format!("Device.X_ACME_{name}"),
                value: (*value).to_owned(),
                xsi_type: None,
            })
            .collect();
        self.tree.begin_rpc();
        self.tree.set(&list, Writer::Local).map_err(|f| f.to_string())
    }
}

#[test]
fn files_scripts_and_uci_are_one_tree() {
    let mut b = Bench::new();
    assert_eq!(b.read("Device.X_ACME_Box."), ["Box.Limit=7", "Box.Mode=Fast", "Box.HostName=gw"]);
    let leds = b.read("Device.X_ACME_Led.");
    assert_eq!(leds, ["Led.1.Name=Power", "Led.1.Brightness=255", "Led.2.Name=", "Led.2.Brightness=0"]);
    assert_eq!(b.read("Device.X_ACME_LedNumberOfEntries"), ["LedNumberOfEntries=2"]);
    assert_eq!(b.read("Device.X_ACME_Rule.1.Text"), ["Rule.1.Text=one"]);
    let values = [
        ("Box.Limit", "9"),
        ("Box.Mode", "Fast"),
        ("Box.HostName", "home"),
        ("Led.2.Brightness", "12"),
        ("Rule.1.Text", "uno"),
    ];
    assert_eq!(b.set(&values), Ok(Status::Applied));
    assert_eq!(b.read("Device.X_ACME_Box."), ["Box.Limit=9", "Box.Mode=Fast", "Box.HostName=home"]);
    assert_eq!(b.root.text("sys/class/leds/wan/brightness"), "12\n");
    assert_eq!(b.root.text("etc/acme/limit"), "9\n");
    assert_eq!(b.root.text("etc/config/system"), "config system\n\toption hostname 'home'\n");
    assert_eq!(b.read("Device.X_ACME_Rule.1.Text"), ["Rule.1.Text=uno"]);
}

#[test]
fn rows_of_a_script_come_and_go() {
    let mut b = Bench::new();
    let (number, _) = b.tree.add("Device.X_ACME_Rule.", Writer::Local).unwrap();
    assert_eq!(b.set(&[("Rule.2.Text", "two")]), Ok(Status::Applied));
    assert_eq!((number, b.root.text("state/rules/2")), (2, "two".to_owned()));
    assert_eq!(
        b.read("Device.X_ACME_Rule."),
        ["Rule.1.Alias=cpe-1", "Rule.1.Text=one", "Rule.2.Alias=cpe-2", "Rule.2.Text=two"]
    );
    b.tree.begin_rpc();
    b.tree.delete("Device.X_ACME_Rule.1.", Writer::Local).unwrap();
    assert_eq!(b.read("Device.X_ACME_Rule."), ["Rule.2.Alias=cpe-2", "Rule.2.Text=two"]);
}

/// A set that makes a row of a script: with the rest, or not at all.
// Proves: R-SPV-22
#[test]
fn a_set_makes_a_scripts_row() {
    let mut b = Bench::new();
    let create = |b: &mut Bench, mode: &str| {
        let entry = |name: &str, value: &str| ParameterValue {
            name: format!("Device.X_ACME_{name}"),
            value: value.to_owned(),
            xsi_type: None,
        };
        b.tree.begin_rpc();
        let list = [entry("Rule.[web].Text", "deny"), entry("Box.Mode", mode), entry("Box.Limit", "9")];
        b.tree.set_creating(&list, Writer::Acs { parameter_key: "" }).map_err(|f| f.to_string())
    };
    let fault = create(&mut b, "Broken").unwrap_err();
    assert!(fault.starts_with("9002 "), "{fault}");
    assert_eq!(b.read("Device.X_ACME_Rule."), ["Rule.1.Alias=cpe-1", "Rule.1.Text=one"]);
    assert_eq!((b.root.text("state/mode"), b.root.text("etc/acme/limit")), ("Fast".into(), "7\n".into()));
    assert_eq!(create(&mut b, "Fast"), Ok(Status::Applied));
    assert_eq!(b.read("Device.X_ACME_Rule.[web].Text"), ["Rule.2.Text=deny"]);
    assert_eq!(b.root.text("state/rules/2"), "deny");
}

// Proves: R-GEN-5, R-SPV-4
#[test]
fn what_one_place_refuses_no_place_does() {
    let mut b = Bench::new();
    // Refused in the check: every fault with its parameter, nothing done (R-SPV-4).
    let fault = b.set(&[("Box.Limit", "many"), ("Box.Mode", "Slow"), ("Box.HostName", "home")]).unwrap_err();
    assert!(fault.contains("Device.X_ACME_Box.Mode: 9007 too slow"), "{fault}");
    assert!(fault.contains("Device.X_ACME_Box.Limit: 900"), "{fault}");
    assert!(!fault.contains("HostName"), "{fault}");
    // Failed in the commit: what was committed before is put back (R-GEN-5).
    let values = [
        ("Box.Limit", "9"),
        ("Led.1.Brightness", "1"),
        ("Box.HostName", "home"),
        ("Box.Mode", "Broken"),
        ("Led.2.Brightness", "1"),
    ];
    let fault = b.set(&values).unwrap_err();
    assert!(fault.starts_with("9002 ") && fault.contains("broken"), "{fault}");
    assert_eq!(b.read("Device.X_ACME_Box."), ["Box.Limit=7", "Box.Mode=Fast", "Box.HostName=gw"]);
    assert_eq!(b.root.text("etc/acme/limit"), "7\n");
    assert_eq!(b.root.text("etc/config/system"), "config system\n\toption hostname gw\n");
    assert_eq!(b.root.text("state/mode"), "Fast");
    assert_eq!(b.root.text("sys/class/leds/power/brightness"), "255\n");
    assert_eq!(b.root.text("sys/class/leds/wan/brightness"), "0\n");
}

/// The examples of the vendors' documentation.
fn example(language: &str) -> &'static str {
    let text = include_str!("../../datamodel/README.md");
    let (_, from) = text.split_once(&format!("```{language}\n")).expect("an example");
    from.split_once("```").expect("its end").0
}

#[test]
fn the_examples_of_the_documentation_work() {
    let root = Folder::new();
    root.file("script", example("sh"));
    let script = format!("sh {}/script", root.root().display());
    let rows =
        "[\"Device.X_ACME_Up.\"]\nexec = \"SCRIPT\"\nUptime = { type = \"unsignedInt\", write = true }\n";
    root.file("overlays/a.toml", example("toml"));
    root.file("overlays/b.toml", &rows.replace("SCRIPT", &script));
    root.file("sys/class/leds/power/name", "Power\n");
    let (schema, problems) = overlay::load(builtin(), &root.root().join("overlays"));
    assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let handlers = all(root_tests::around(root.root(), Platform::Linux), Rc::default());
    let (tree, _) = Tree::open(schema, Platform::Linux, root.root().to_owned(), journal, handlers);
    let mut b = Bench { root, tree };
    assert_eq!(b.read("Device.X_ACME_Led."), ["Led.1.Alias=cpe-1", "Led.1.Name=Power", "Led.1.Brightness=0"]);
    let uptime = b.read("Device.X_ACME_Up.Uptime").remove(0);
    assert_ne!(uptime, "Up.Uptime=0");
    // It knows neither check nor set: nothing has been changed, and the tree says why.
    assert_eq!(b.set(&[("Up.Uptime", "1")]).unwrap_err(), "9002 Device.X_ACME_Up.: only get");
}
