//! The scripts between OpenWrt's DHCP clients and server and the agent, with those that read them recorded.

use crate::{Folder, good, openwrt, run};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What a device says of itself, to do harm.
const EVIL: &str = "a\"b'; touch $(id) `id` \\";

/// jshn as far as it is used; a string of the array is a line.
const JSHN: &str = r#"
json_init() { dump=; }
json_add_array() { [ "$1" = env ]; }
json_add_string() { dump="$dump<$1>$2
"; }
json_close_array() { :; }
json_dump() { printf %s "$dump"; }
"#;

/// A program of this name that writes its words down, and what dnsmasq said.
fn recorder(folder: &Folder, name: &str) -> PathBuf {
    let text = "#!/bin/sh\nprintf '%s|' \"${0##*/}\" \"$@\" >>\"$CALLS\"\n\
        echo \"$DNSMASQ_CPEWAN_OUI,$DNSMASQ_CPEWAN_SERIAL\" >>\"$CALLS\"\n";
    folder.program(name, text)
}

/// Reads a script of the package as OpenWrt's do, with more commands behind, which have to run; what was called.
fn read_by_others(
    name: &str,
    jailed: bool,
    words: &[&str],
    variables: &[(&str, &str)],
    path: &str,
) -> String {
    let folder = Folder::new(name);
    let jshn = folder.write("jshn.sh", JSHN);
    recorder(&folder, "bin/ubus");
    let agent = recorder(&folder, "bin/cwmpd");
    let agent = if jailed { folder.path("nothing") } else { agent };
    let script = fs::read_to_string(openwrt().join("files").join(path)).unwrap();
    let script = script.replace("/usr/share/libubox/jshn.sh", jshn.to_str().unwrap());
    let script = folder.write("script", &script.replace("/usr/sbin/cwmpd", agent.to_str().unwrap()));
    let reader = folder.write("reader", "f=$1; shift\n. \"$f\" \"$@\"\necho went on >>\"$CALLS\"\n");
    let search = format!("{}:{}", folder.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.arg(reader).arg(script).args(words).envs(variables.iter().copied());
    command.env("PATH", search).env("CALLS", folder.path("calls")).current_dir(&folder.0);
    assert_eq!(good(&mut command), "");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 5, "nothing of it was run");
    let calls = folder.read("calls");
    calls.strip_suffix("went on\n").unwrap_or_else(|| panic!("the chain ends: {calls}")).to_owned()
}

/// dnsmasq in its jail has the bus and no agent; without a jail it has the agent.
#[test]
fn devices_are_told_of_out_of_the_jail() {
    let said = [("DNSMASQ_CPEWAN_OUI", "00D09E"), ("DNSMASQ_CPEWAN_SERIAL", EVIL)];
    let script = |jailed, words: &[&str], variables: &[(&str, &str)]| {
        read_by_others("devices", jailed, words, variables, "usr/lib/cwmpd/dhcp-script")
    };
    let mac = "02:00:00:00:00:0a";
    for what in ["add", "old"] {
        assert_eq!(
            script(true, &[what, mac, "192.0.2.9", "name"], &said),
            format!(
                "ubus|call|hotplug.dhcp|call|<>ACTION=cwmpd\n<>MACADDR={mac}\n\
                 <>DNSMASQ_CPEWAN_OUI=00D09E\n<>DNSMASQ_CPEWAN_SERIAL={EVIL}\n<>DNSMASQ_CPEWAN_CLASS=|00D09E,{EVIL}\n"
            )
        );
        let direct = format!("cwmpd|lease|device|add|{mac}|00D09E,{EVIL}\n");
        assert_eq!(script(false, &[what, mac, "192.0.2.9"], &said), direct);
        assert_eq!(script(true, &[what, mac, "192.0.2.9"], &[]), "", "nobody in particular");
    }
    // dnsmasq's own script tells of those.
    for what in ["del", "arp-add", "tftp", "init", ""] {
        assert_eq!(script(true, &[what, mac], &said), "", "{what}");
    }
}

/// The other end, in the device's own surroundings.
#[test]
fn devices_are_told_of_by_hotplug() {
    let script = |action: &str| {
        let variables = [
            ("ACTION", action),
            ("MACADDR", "02:00:00:00:00:0a"),
            ("DNSMASQ_CPEWAN_OUI", "00D09E"),
            ("DNSMASQ_CPEWAN_SERIAL", EVIL),
        ];
        read_by_others("hotplug-dhcp", false, &[], &variables, "etc/hotplug.d/dhcp/95-cwmpd")
    };
    assert_eq!(script("cwmpd"), format!("cwmpd|lease|device|add|02:00:00:00:00:0a|00D09E,{EVIL}\n"));
    assert!(script("remove").starts_with("cwmpd|lease|device|del|02:00:00:00:00:0a|"));
    // dnsmasq's own word of the same lease, without what the device said.
    assert_eq!((script("add"), script("update")), (String::new(), String::new()));
}

/// `dhcp-setup` where others have changes pending for a file, or none; what it had `uci` do, and its exit code.
fn setup(pending: &str, words: &[&str]) -> (String, Option<i32>) {
    let folder = Folder::new("setup");
    folder.program(
        "bin/cwmpd",
        "#!/bin/sh\nprintf '%s\\n' 'vendorid dslforum.org' '4:125 00000de9' 'dnsmasq tag:a,\"B c\"'\n",
    );
    folder.program(
        "bin/uci",
        "#!/bin/sh\n[ \"$1\" = -q ] && shift\ncase \"$*\" in\n\"changes $PENDING\") echo theirs ;;\n\
         'show network') echo \"network.wan.proto='dhcp'\" ;;\n'get dhcp.@dnsmasq[0]') echo dnsmasq ;;\n\
         get*.vendorid) [ -n \"$UNDO\" ] && echo dslforum.org ;;\nget*) exit 1 ;;\nchanges*) ;;\n\
         *) echo \"$*\" >>\"$CALLS\" ;;\nesac\n",
    );
    let search = format!("{}:{}", folder.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.arg(openwrt().join("files/usr/lib/cwmpd/dhcp-setup")).args(words).env("PATH", search);
    command.env("CALLS", folder.path("calls")).env("PENDING", pending).env("UNDO", words.concat());
    let output = run(&mut command);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.contains("not committed"), !pending.is_empty(), "{said}");
    (folder.read("calls"), output.status.code())
}

/// `uci commit` would make pending changes of others, which they may never have meant to.
#[test]
fn what_others_have_pending_is_not_committed() {
    let network = "set network.wan.vendorid=dslforum.org\nset network.wan.reqopts=43 125\n\
                   set network.wan.sendopts=125:00000de9\ncommit network\n";
    let dhcp = "set dhcp.@dnsmasq[0].dhcpscript=/usr/lib/cwmpd/dhcp-script\n\
                del_list dhcp.@dnsmasq[0].dhcp_option_force=tag:a,\"B c\"\n\
                add_list dhcp.@dnsmasq[0].dhcp_option_force=tag:a,\"B c\"\ncommit dhcp\n";
    assert_eq!(setup("", &[]), (format!("{network}{dhcp}"), Some(0)));
    assert_eq!(setup("network", &[]), (dhcp.to_owned(), Some(1)), "the next boot tries again");
    assert_eq!(setup("dhcp", &[]), (network.to_owned(), Some(1)));
    // The package goes: what is taken back waits with the rest.
    let (calls, code) = setup("network", &["undo"]);
    assert!(calls.contains("delete network.wan.vendorid\n") && !calls.contains("commit network"), "{calls}");
    assert!(calls.contains("commit dhcp\n") && code == Some(0), "{calls}");
}

/// What udhcpc's and odhcp6c's scripts hand over, and what they take back.
#[test]
fn leases_come_and_go() {
    let four = |event: &str| {
        let variables = [("INTERFACE", "wan"), ("interface", "eth1"), ("opt43", "$(touch x)")];
        read_by_others("udhcpc", false, &[event], &variables, "etc/udhcpc.user.d/50-cwmpd")
    };
    let six = |event: &str| {
        let variables = [("INTERFACE", "wan6"), ("OPTION_17", "`touch x`")];
        read_by_others("odhcp6c", false, &["eth1", event], &variables, "etc/odhcp6c.user.d/50-cwmpd")
    };
    for event in ["bound", "renew"] {
        assert_eq!(four(event), "cwmpd|lease|4|wan|eth1|,\n", "{event}");
    }
    assert_eq!(four("deconfig"), "cwmpd|lease|del|4|wan|,\n");
    for event in ["bound", "informed", "updated", "rebound"] {
        assert_eq!(six(event), "cwmpd|lease|6|wan6|eth1|,\n", "{event}");
    }
    for event in ["started", "stopped", "unbound"] {
        assert_eq!(six(event), "cwmpd|lease|del|6|wan6|,\n", "{event}");
    }
    assert_eq!((four("leasefail"), four("nak"), six("ra-updated")), Default::default());
}
