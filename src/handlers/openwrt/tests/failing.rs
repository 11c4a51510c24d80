//! A source that fails takes nothing away: numbers, names and what is watched are as they were when it is well.

use super::{ACS, Bench};
use crate::model::request::SetAttributes;

const ROWS: &str = r##"
["Device."]
RuleNumberOfEntries = { type = "unsignedInt" }
["Device.Rule.{i}."]
entries = "RuleNumberOfEntries"
uci = "firewall.@rule"
Alias = { type = "Alias", write = true }
Name = { type = "string", uci = "firewall.{1}.name", write = true }
["Device.User."]
Rule = { type = "ref(Device.Rule.{i}.)", uci = "system.s.rule | ref Device.Rule.{i}." }
"##;
const FIREWALL: &str =
    "config rule\n\toption name 'one'\n\nconfig rule\n\toption name 'two'\n\nconfig rule 'three'\n";

#[test]
fn a_package_that_cannot_be_read() {
    let mut b = Bench::new(
        ROWS,
        &[
            ("etc/config/firewall", FIREWALL),
            ("etc/config/system", "config system 's'\n\toption rule 'three'\n"),
        ],
    );
    let all = b.values("Device.");
    assert!(all.contains(&("User.Rule".to_owned(), "Device.Rule.3".to_owned())), "{all:?}");
    b.set(&[("Device.Rule.2.Alias", "mine")]).unwrap();
    let watch =
        |name: &str| SetAttributes { name: name.to_owned(), notification: Some(2), access_list: None };
    let names = ["Device.RuleNumberOfEntries", "Device.Rule.2.Name", "Device.User.Rule"];
    b.tree.set_attributes(&names.map(watch)).unwrap();
    assert!(!b.tree.sweep() && !b.tree.is_doubtful());
    let all = b.values("Device.");

    b.root.file("etc/config/firewall", "config rule\n\toption 'name");
    assert_eq!(b.values("Device.Rule."), []);
    assert_eq!(b.value("Device.RuleNumberOfEntries"), "0");
    assert!(!b.tree.sweep(), "that is no change");
    assert!(b.tree.is_doubtful(), "it is compared again soon");
    assert!(b.tree.changed(9).is_empty());
    assert!(b.set_as(&[("Device.Rule.2.Name", "x")], ACS).is_err());

    b.root.file("etc/config/firewall", FIREWALL);
    assert_eq!(b.values("Device."), all, "the same numbers and names");
    assert!(!b.tree.sweep() && !b.tree.is_doubtful());
    // In a session, too: what is fixed then is what is there.
    b.tree.begin_session();
    b.root.file("etc/config/firewall", "config rule\n\toption 'name");
    assert_eq!(b.values("Device.Rule."), []);
    b.root.file("etc/config/firewall", FIREWALL);
    assert_eq!(b.values("Device."), all);
    b.tree.end_session();
    // What is really gone is told.
    b.root.file("etc/config/firewall", "config rule 'three'\n");
    assert!(b.tree.sweep());
    assert_eq!(b.tree.changed(9), ["Device.RuleNumberOfEntries"]);
}
