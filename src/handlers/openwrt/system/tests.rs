//! What the system's natives make of odd files and odd answers. What they make of whole routers, and what
//! changes do to the files, `tests/routers` tells.

use super::{endpoint, with_port};
use crate::handlers::probe::Folder;
use crate::handlers::{Around, all};
use crate::model::builtin::builtin;
use crate::model::schema::Platform;
use crate::model::tree::{Item, Tree};
use crate::state::journal::Journal;
use crate::sys::sorted::SortedMap;
use crate::sys::ubus;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

fn values(root: &Path) -> SortedMap<String, String> {
    let around =
        Around { platform: Platform::OpenWrt, ubus: ubus::Place::Recorded(root.into()), run_dir: None };
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let handlers = all(around, Rc::default());
    let (mut tree, _) = Tree::open(builtin(), Platform::OpenWrt, root.to_owned(), journal, handlers);
    tree.begin_rpc();
    let mut selection = tree.values(&["Device.".to_owned()]).unwrap();
    let mut out = SortedMap::new();
    while tree.next(&mut selection, &mut |item| {
        if let Item::Value { path, value, .. } = item {
            out.insert(path.to_owned(), value.to_owned());
        }
    }) {}
    out
}

#[test]
fn where_something_listens() {
    for (text, want, moved) in [
        ("0.0.0.0:80", ("0.0.0.0", Some(80)), "0.0.0.0:8"),
        ("[::]:443", ("::", Some(443)), "[::]:8"),
        ("8080", ("", Some(8080)), "8"),
        ("host", ("host", None), "host:8"),
        ("*:1812", ("*", Some(1812)), "*:8"),
        ("2001:db8::1", ("2001:db8::1", None), "[2001:db8::1]:8"),
        ("[::1]", ("::1", None), "[::1]:8"),
        ("x:99999", ("x", None), "x:8"),
        ("", ("", None), "8"),
        ("[", ("[", None), "[:8"),
    ] {
        assert_eq!((endpoint(text), with_port(text, "8").as_str()), (want, moved), "{text}");
    }
}

/// procd's own answer has none of these shapes: nothing is made of them, and nobody falls over them.
#[test]
fn answers_of_odd_shapes() {
    for services in [
        r#"{}"#,
        r#"{"dropbear":null,"log":7,"uhttpd":[]}"#,
        r#"{"dropbear":{"instances":[{"pid":1}]},"uhttpd":{"instances":{"a":[],"b":"x"}}}"#,
        r#"{"dropbear":{"instances":{"instance1":{"running":"yes","pid":-7,"command":"words","respawn":[1]}}}}"#,
        r#"{"uhttpd":{"instances":{"instance1":{"running":true,"pid":99999999999,"command":[1,{}],"env":[1],"mount":{"/a":{}}}}}}"#,
        r#"{"":{"instances":{"":{"running":true}}},"log":{"instances":{"instance1":{"running":true,"exit_code":-1,"netdev":{}}}}}"#,
    ] {
        let f = Folder::new();
        f.file(".cwmpd/ubus/service/list.json", services);
        f.file(".cwmpd/ubus/rc/list.json", r#"{"uhttpd":{"start":"x","enabled":[]}}"#);
        f.file("etc/config/dropbear", "config dropbear\n\toption Port 'x'\nconfig dropbear\n");
        f.file("etc/config/uhttpd", "config uhttpd 'main'\n\tlist listen_http '['\n\tlist listen_http '70000'\n\tlist listen_https '443'\n");
        f.file(
            "etc/config/system",
            "config system\nconfig timeserver 'ntp'\nconfig led\n\toption sysfs '../../x'\n",
        );
        f.file("etc/config/radsecproxy", "config options\n\tlist listenudp ':'\n\tlist ListenTLS '*'\n");
        let all = values(f.root());
        assert_eq!(all["Device.SSH.ServerNumberOfEntries"], "2");
        assert_eq!(all["Device.UserInterface.HTTPAccessNumberOfEntries"], "1", "443 alone is a port");
        assert_eq!(all["Device.RadSecProxy.ListenConfigNumberOfEntries"], "2");
        assert_eq!(all["Device.DeviceInfo.HostName"], "OpenWrt");
        let status = &all["Device.SSH.Server.1.Status"];
        assert_eq!(status, "Error", "{services}");
    }
}

/// Without ubus what UCI and the files say is there still.
#[test]
fn nobody_answers() {
    let f = Folder::new();
    f.file("etc/config/dropbear", "config dropbear 'a'\n\toption Port '2222'\n");
    f.file("usr/lib/opkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n");
    let all = values(f.root());
    assert_eq!(all["Device.SSH.Server.1.Port"], "2222");
    assert_eq!(all["Device.SoftwareModules.DeploymentUnit.1.Name"], "a");
    assert_eq!(all["Device.SoftwareModules.ExecutionUnitNumberOfEntries"], "0");
    assert_eq!(all["Device.UserInterface.Enable"], "false");
}

/// A broken package takes its own rows with it, and no others.
#[test]
fn a_broken_package() {
    let f = Folder::new();
    f.file("etc/config/system", "config system\n\toption hostname 'a\n");
    f.file("etc/config/dropbear", "config dropbear 'a'\n");
    let all = values(f.root());
    assert_eq!(all["Device.DeviceInfo.HostName"], "");
    assert_eq!(all["Device.Time.ClientNumberOfEntries"], "0");
    assert_eq!(all["Device.SSH.ServerNumberOfEntries"], "1");
}
