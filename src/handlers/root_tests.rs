//! A root of its own: of the machine that the test runs on nothing shows through.

use super::probe::Folder;
use super::*;
use crate::model::builtin::builtin;
use crate::model::schema::{Platform, flag};
use crate::model::tree::{Item, Tree};
use crate::state::journal::Journal;
use crate::sys::host;
use crate::sys::sorted::SortedMap;
use std::path::Path;

pub fn around(root: &Path, platform: Platform) -> Around {
    Around { platform, ubus: ubus::Place::Recorded(root.to_owned()), run_dir: None }
}

fn tree(root: &Path, platform: Platform) -> Tree {
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let (tree, notes) =
        Tree::open(builtin(), platform, root.to_owned(), journal, all(around(root, platform), Rc::default()));
    assert!(notes.iter().all(|n| !n.contains("nobody serves")), "{notes:?}");
    tree
}

fn values(tree: &mut Tree) -> SortedMap<String, String> {
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

/// Texts by which this machine could be told from others.
fn marks() -> Vec<String> {
    let live = Path::new("/");
    let uname = host::uname(live);
    let mut marks = vec![uname.release, uname.version, uname.machine];
    marks.extend(nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()));
    marks.extend(host::line(live, "/etc/machine-id"));
    marks.extend(host::line(live, "/proc/sys/kernel/random/boot_id"));
    for name in host::names(live, "/sys/class/net") {
        marks.extend(host::line(live, &format!("/sys/class/net/{name}/address")));
        marks.push(name);
    }
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let address = interface.address.and_then(|a| {
            a.as_sockaddr_in().map(|a| a.ip().to_string()).or(a.as_sockaddr_in6().map(|a| a.ip().to_string()))
        });
        marks.extend(address);
    }
    let cpu = host::read(live, "/proc/cpuinfo").unwrap_or_default();
    marks.extend(
        cpu.lines().find_map(|l| Some(l.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned())),
    );
    marks.extend(
        host::line(live, "/proc/meminfo").and_then(|l| Some(l.split_ascii_whitespace().nth(1)?.to_owned())),
    );
    marks.extend(
        host::read(live, "/etc/resolv.conf")
            .unwrap_or_default()
            .lines()
            .filter_map(|l| Some(l.strip_prefix("nameserver")?.trim().to_owned())),
    );
    marks.retain(|m| m.len() > 2);
    marks
}

fn is_mark(marks: &[String], value: &str) -> bool {
    marks.iter().any(|m| value.eq_ignore_ascii_case(m) || (m.len() > 7 && value.contains(m.as_str())))
}

#[test]
fn an_empty_root_has_nothing_of_this_machine() {
    let marks = marks();
    assert!(marks.len() > 4, "{marks:?}");
    for platform in [Platform::Linux, Platform::OpenWrt] {
        let root = Folder::new();
        let seen = values(&mut tree(root.root(), platform));
        assert!(seen.len() > 50);
        let shown: Vec<_> = seen.iter().filter(|(_, value)| is_mark(&marks, value)).collect();
        assert!(shown.is_empty(), "{platform:?}: {shown:?}");
        // No row of a table but those that are always there.
        for (path, value) in &seen {
            let fixed = [
                "Device.Routing.Router",
                "Device.DeviceInfo.Processor",
                "Device.DeviceInfo.SupportedDataModel",
                "Device.DeviceInfo.FirmwareImage",
            ];
            if path.ends_with("NumberOfEntries") && value != "0" {
                assert!(fixed.iter().any(|f| path.starts_with(f)), "{platform:?}: {path}={value}");
            }
        }
    }
}

/// A root in which every folder is a link that leads out, in each way a link can.
#[test]
fn links_do_not_lead_out_of_the_root() {
    let marks = marks();
    for out in ["/", "/../../", "../../../../../../../../"] {
        let root = Folder::new();
        for folder in ["etc", "proc", "sys", "var", "tmp", "run", "home", "root", "dev", "lib", "usr"] {
            root.link(folder, &format!("{out}{folder}"));
        }
        let seen = values(&mut tree(root.root(), Platform::Linux));
        let shown: Vec<_> = seen.iter().filter(|(_, value)| is_mark(&marks, value)).collect();
        assert!(shown.is_empty(), "{out}: {shown:?}");

        // The folders are there, and what is in them leads out.
        let root = Folder::new();
        for file in [
            "etc/hostname",
            "etc/resolv.conf",
            "etc/passwd",
            "etc/localtime",
            "proc/cpuinfo",
            "proc/meminfo",
            "proc/sys/kernel/hostname",
            "proc/uptime",
            "proc/net/tcp",
            "proc/net/if_inet6",
            "proc/self",
            "proc/1",
            "proc/sys/net/ipv4/ip_forward",
            "sys/class/net",
            "sys/class/hwmon",
            "sys/class/leds",
            "sys/bus/usb",
            "tmp/dhcp.leases",
            "var/lib/misc",
            "etc/ssh",
            "var/log",
        ] {
            root.link(file, &format!("{out}{file}"));
        }
        root.file(
            ".cwmpd/links",
            "index=1 name=lo type=loopback flags=up,loopback\nindex=2 name=eth0 flags=up\n",
        );
        let seen = values(&mut tree(root.root(), Platform::Linux));
        let shown: Vec<_> = seen
            .iter()
            .filter(|(_, value)| is_mark(&marks, value) && !["lo", "eth0"].contains(&value.as_str()))
            .collect();
        assert!(shown.is_empty(), "{out}: {shown:?}");
        assert_eq!(seen.get("Device.DeviceInfo.MemoryStatus.Total").map(String::as_str), Some("0"));
    }
}

/// R-GPN-6, R-SPV-1: of every parameter of the tree that is listed, GetParameterNames tells truly
/// whether it can be written; what cannot is refused with 9008, whatever the value.
// Proves: R-SPV-1, R-GPN-6
#[test]
fn what_is_not_writable_is_refused_everywhere() {
    use crate::model::fault::Code;
    use crate::model::request::ParameterValue;
    use crate::model::tree::Writer;
    let root = Folder::new();
    root.file(".cwmpd/links", "index=2 name=eth0 flags=up mac=02:00:00:00:00:02\n");
    let mut tree = tree(root.root(), Platform::Linux);
    let mut names = Vec::new();
    let mut selection = tree.names("", false).unwrap();
    while tree.next(&mut selection, &mut |item| {
        if let Item::Name { path, writable } = item {
            names.push((path.to_owned(), writable));
        }
    }) {}
    for (path, writable) in names {
        tree.begin_rpc();
        let code = if path.ends_with('.') {
            let table = tree.names(&path, true).is_ok()
                && !path.trim_end_matches('.').ends_with(|c: char| c.is_ascii_digit());
            let acs = Writer::Acs { parameter_key: "" };
            let done = if table { tree.add(&path, acs).map(drop) } else { tree.delete(&path, acs).map(drop) };
            assert_eq!(done.is_ok(), writable, "{path}: {done:?}");
            continue;
        } else {
            // A value that no type has, so that nothing is changed: `string` takes it.
            let list = [ParameterValue { name: path.clone(), value: "\u{1}".to_owned(), xsi_type: None }];
            tree.set(&list, Writer::Local).unwrap_err().parameters[0].code
        };
        assert_eq!(code == Code::NOT_WRITABLE, !writable, "{path}: {code:?}");
    }
}

/// R-SPV-19: what is hidden shows in no answer.
// Proves: R-SPV-19
#[test]
fn hidden_values_show_nowhere() {
    let root = Folder::new();
    let mut tree = tree(root.root(), Platform::Linux);
    let hidden: Vec<String> = {
        let schema = tree.schema();
        (0..schema.objects.len() as u16)
            .map(|id| schema.object(id))
            .flat_map(|o| {
                o.params()
                    .filter(|p| p.has(flag::HIDDEN))
                    .map(|p| format!("{}{}", o.path(), p.name()))
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    assert!(hidden.contains(&"Device.ManagementServer.Password".to_owned()));
    for path in hidden.iter().filter(|p| !p.contains("{i}")) {
        tree.store(&[(path, "s3cret-value")]).unwrap();
    }
    assert!(values(&mut tree).values().all(|v| !v.contains("s3cret-value")));
    for (path, value) in [
        ("Device.ManagementServer.Password", "s3cret\u{1}"),
        ("Device.ManagementServer.Password", &"s3cret".repeat(50)),
    ] {
        let list = [crate::model::request::ParameterValue {
            name: path.into(),
            value: value.into(),
            xsi_type: None,
        }];
        let fault = tree.set(&list, crate::model::tree::Writer::Local).unwrap_err();
        assert!(!format!("{fault:?} {fault}").contains("s3cret"), "{fault}");
    }
}

/// Everybody may write to /tmp: a pipe where a file is expected must not hold the agent up.
#[test]
fn a_pipe_in_place_of_a_file_is_passed_over() {
    let root = Folder::new();
    root.file(".cwmpd/links", "index=2 name=eth0 flags=up mac=02:00:00:00:00:02\n");
    for file in [
        "tmp/dhcp.leases",
        "etc/resolv.conf",
        "etc/passwd",
        "etc/hostname",
        "etc/localtime",
        "etc/TZ",
        "root/.ssh/authorized_keys",
        "home/a/.ssh/authorized_keys",
        "etc/rsyslog.conf",
        "etc/ssh/sshd_config",
        "etc/dnsmasq.conf",
        "var/log/a.log",
        "etc/os-release",
        "etc/openwrt_release",
    ] {
        root.file(&format!("{file}.d"), "");
        nix::unistd::mkfifo(&root.root().join(file), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let (done, wait) = std::sync::mpsc::channel();
    let path = root.root().to_owned();
    std::thread::spawn(move || {
        let mut tree = tree(&path, Platform::Linux);
        let _ = done.send(values(&mut tree).len());
    });
    let seen = wait.recv_timeout(std::time::Duration::from_secs(60));
    assert!(seen.is_ok_and(|n| n > 50));
}

/// Routes that cannot be read take no interfaces and addresses with them; of hosts nothing is said,
/// since nobody knows who is on the uplink.
#[test]
fn without_routes_the_interfaces_stay() {
    let root = Folder::new();
    root.file(".cwmpd/links", "index=2 name=eth0 flags=up mac=02:00:00:00:00:02\n");
    root.file(".cwmpd/addresses", "dev=eth0 address=192.0.2.1/24\n");
    root.file(".cwmpd/neighbours", "dev=eth0 address=192.0.2.2 mac=02:00:00:00:00:22 state=reachable\n");
    let counts = |tree: &mut Tree| {
        let seen = values(tree);
        ["Ethernet.Interface", "IP.Interface", "IP.Interface.1.IPv4Address", "Hosts.Host"]
            .map(|table| seen[&format!("Device.{table}NumberOfEntries")].clone())
    };
    let mut tree = tree(root.root(), Platform::Linux);
    assert_eq!(counts(&mut tree), ["1", "1", "1", "1"]);
    root.file(".cwmpd/routes/folder", "");
    assert_eq!(counts(&mut tree), ["1", "1", "1", "0"]);
}

/// Files that rows read ring; those of the kernel do not, and are looked at. Everything lies below the
/// root, and nothing of the host is heard.
#[test]
fn bells_of_files() {
    use crate::model::grammar::schema_from;
    use crate::model::request::SetAttributes;
    let f = Folder::new();
    f.file("etc/config/network", "config interface 'lan'\n\toption proto 'static'\n");
    f.file("etc/parts/a/x", "1\n");
    f.link("etc/knob", "/proc/sys/knob");
    f.file("proc/sys/knob", "0\n");
    let rows = r#"
["Device."]
Note = { type = "string", file = "/etc/note" }
Knob = { type = "string", file = "/etc/knob" }
Proc = { type = "string", file = "/proc/sys/knob" }
Uci  = { type = "string", uci = "system.ntp.enabled" }
PartNumberOfEntries = { type = "unsignedInt" }
DeepNumberOfEntries = { type = "unsignedInt" }
LanNumberOfEntries  = { type = "unsignedInt" }
["Device.Part.{i}."]
entries = "PartNumberOfEntries"
file = "/etc/parts/*"
Text = { type = "string", file = "/etc/parts/{1}/x" }
["Device.Deep.{i}."]
entries = "DeepNumberOfEntries"
file = "/etc/parts/*/x"
["Device.Lan.{i}."]
entries = "LanNumberOfEntries"
uci = "network.@interface"
Proto = { type = "string", uci = "network.{1}.proto" }
"#;
    let schema = schema_from(&[("t.toml", rows)], &[]).unwrap();
    let journal = Rc::new(RefCell::new(Journal::in_memory()));
    let all = all(around(f.root(), Platform::OpenWrt), Rc::default());
    let (mut tree, _) = Tree::open(schema, Platform::Linux, f.root().to_owned(), journal, all);
    let mut watch = |name: &str| {
        let set = |notification| SetAttributes { name: name.into(), notification, access_list: None };
        tree.begin_rpc();
        tree.set_attributes(&[set(Some(2))]).unwrap();
        let bells = tree.bells();
        tree.set_attributes(&[set(Some(0))]).unwrap();
        assert_eq!(bells.kernel, 0);
        let mut text: Vec<String> = bells.files.into_iter().collect();
        text.extend(bells.sweep.then(|| "sweep".to_owned()));
        text.join(" ")
    };
    for (name, want) in [
        ("Device.Note", "/etc/note"),
        // A link into procfs tells no more than what it leads to.
        ("Device.Knob", "sweep"),
        ("Device.Proc", "sweep"),
        ("Device.Uci", "/etc/config/system /tmp/.uci/system"),
        ("Device.PartNumberOfEntries", "/etc/parts/"),
        ("Device.DeepNumberOfEntries", "/etc/parts/ sweep"),
        ("Device.LanNumberOfEntries", "/etc/config/network /tmp/.uci/network"),
        ("Device.Part.1.Text", "/etc/parts/ /etc/parts/a/x"),
        ("Device.Lan.1.Proto", "/etc/config/network /tmp/.uci/network"),
    ] {
        assert_eq!(watch(name), want, "{name}");
    }
}
