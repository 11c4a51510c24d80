//! The providers of the network over a router made of files, and once over this machine.
//!
//! The walk is a small tree: it lists and fills every object that a provider of the network serves
//! and holds each value against its type.

mod router;

use super::network_providers;
use crate::model::builtin::builtin;
use crate::model::handler::{Change, Ctx, Failure, Fields, Handler, Keys, Row, Set, Want};
use crate::model::schema::{Object, Platform, Schema, SourceKind};
use crate::sys::sorted::SortedMap;
use router::{GOLDEN, router};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A change: object, keys, values, and the files it must lead to.
type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)], &'a [(&'a str, &'a str)]);

/// A folder that goes with the test.
struct Root(PathBuf);

impl Root {
    fn new() -> Root {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cwmpd-network-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Root(std::env::temp_dir().join(name))
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.join(path)).unwrap().trim().to_string()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The providers with the built-in schema.
struct Agent {
    schema: Schema,
    handlers: HashMap<&'static str, Box<dyn Handler>>,
    epoch: u32,
}

impl Agent {
    fn new() -> Agent {
        let all = network_providers(&Rc::default());
        Agent { schema: builtin(), handlers: all.into_iter().collect(), epoch: 0 }
    }

    /// Every value by a path with keys for instance numbers; a reference as `> object keys`.
    fn walk(&mut self, root: &Path) -> SortedMap<String, String> {
        self.epoch += 1;
        let ctx = Ctx { epoch: self.epoch, root };
        let mut out = SortedMap::new();
        for object in self.schema.object(0).children() {
            below(&mut self.handlers, &ctx, object, &mut Vec::new(), "Device.", &mut out);
        }
        out
    }

    /// Checks, stages and commits; gives what undo needs, or the codes of what is bad.
    fn set(
        &mut self,
        root: &Path,
        object: &str,
        keys: &[&str],
        values: &[(&str, &str)],
    ) -> Result<Vec<u8>, Vec<u16>> {
        let object = self.schema.find_object(object).unwrap();
        let source = object.source(Platform::Linux).unwrap();
        let handler = self.handlers.get_mut(source.arg).unwrap();
        let ctx = Ctx { epoch: self.epoch, root };
        let row = Row { object, arg: source.arg, keys, numbers: &[] };
        let sets: Vec<Set<'_>> = values
            .iter()
            .map(|(name, value)| {
                let param = object.param(name).unwrap();
                assert!(param.is_writable(Platform::Linux), "{name}");
                Set { param, arg: source.arg, value, refers: None }
            })
            .collect();
        let change = Change::Set(&sets);
        let mut bad: Vec<(usize, Failure)> = Vec::new();
        handler.check(&ctx, &row, &change, &mut bad);
        if !bad.is_empty() {
            return Err(bad.into_iter().map(|(_, f)| f.code.0).collect());
        }
        let saved = handler.stage(&ctx, &row, &change).unwrap();
        // A promised change may be committed twice.
        handler.commit(&ctx, &row, &change).unwrap();
        handler.commit(&ctx, &row, &change).unwrap();
        Ok(saved)
    }

    fn undo(&mut self, root: &Path, object: &str, keys: &[&str], saved: &[u8]) {
        let object = self.schema.find_object(object).unwrap();
        let source = object.source(Platform::Linux).unwrap();
        let row = Row { object, arg: source.arg, keys, numbers: &[] };
        let ctx = Ctx { epoch: self.epoch, root };
        for _ in 0..2 {
            self.handlers.get_mut(source.arg).unwrap().undo(&ctx, &row, &Change::Set(&[]), saved).unwrap();
        }
    }
}

fn below(
    handlers: &mut HashMap<&'static str, Box<dyn Handler>>,
    ctx: &Ctx<'_>,
    object: Object<'_>,
    keys: &mut Vec<String>,
    path: &str,
    out: &mut SortedMap<String, String>,
) {
    let source = object.source(Platform::Linux).filter(|s| s.kind == SourceKind::Native);
    let served = source.filter(|s| handlers.contains_key(s.arg));
    let path = format!("{path}{}.", object.name());
    let mut instances = vec![None];
    if object.is_table() {
        let Some(source) = served else { return };
        let words: Vec<&str> = keys.iter().map(String::as_str).collect();
        let row = Row { object, arg: source.arg, keys: &words, numbers: &[] };
        let mut listed = Keys::default();
        handlers.get_mut(source.arg).unwrap().list(ctx, &row, &mut listed).unwrap();
        let names: Vec<String> = listed.iter().map(str::to_owned).collect();
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len(), "{path}: a key stands twice: {names:?}");
        instances = names.into_iter().map(Some).collect();
    }
    for key in instances {
        let here = match &key {
            Some(key) => format!("{path}[{key}]."),
            None => path.clone(),
        };
        keys.extend(key.clone());
        if let Some(source) = served {
            row(handlers.get_mut(source.arg).unwrap().as_mut(), ctx, object, source.arg, keys, &here, out);
        }
        for child in object.children() {
            below(handlers, ctx, child, keys, &here, out);
        }
        if key.is_some() {
            keys.pop();
        }
    }
}

fn row(
    handler: &mut dyn Handler,
    ctx: &Ctx<'_>,
    object: Object<'_>,
    arg: &str,
    keys: &[String],
    path: &str,
    out: &mut SortedMap<String, String>,
) {
    let is_native = |p: &crate::model::schema::Param<'_>| {
        p.source(Platform::Linux).is_some_and(|s| s.kind == SourceKind::Native && s.arg == arg)
    };
    let want: Vec<Want<'_>> = object.params().filter(is_native).map(|param| Want { param, arg }).collect();
    let words: Vec<&str> = keys.iter().map(String::as_str).collect();
    let mut fields = Fields::default();
    fields.reset(want.len());
    handler.get(ctx, &Row { object, arg, keys: &words, numbers: &[] }, &want, &mut fields).unwrap();
    for (at, w) in want.iter().enumerate() {
        let name = format!("{path}{}", w.param.name());
        if let Some(references) = fields.references(at) {
            let text: Vec<String> = references.map(|(o, k)| format!("> {o} {}", k.join(" "))).collect();
            out.insert(name, text.join(", "));
        } else if let Some(value) = fields.get(at) {
            // A value that is not canonical or does not fit would be changed by the tree.
            assert_eq!(w.param.kind().coerce(value), value, "{name}");
            out.insert(name, value.to_string());
        } else {
            out.insert(name, "-".into());
        }
    }
}

#[test]
fn a_router_made_of_files() {
    let root = router();
    let mut agent = Agent::new();
    let seen = agent.walk(&root.0);
    let mut wrong = Vec::new();
    for (path, value) in GOLDEN {
        if seen.get(*path).map(String::as_str) != Some(value) {
            wrong.push(format!("{path}: {:?}, not {value:?}", seen.get(*path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for absent in [
        "Device.Ethernet.Interface.[br-lan].Name",
        "Device.Ethernet.Interface.[wlan0].Name",
        "Device.Ethernet.Link.[lan1].Name",
        "Device.Ethernet.Link.[eth0.10].Name",
        "Device.IP.Interface.[lan1].Name",
        "Device.IP.Interface.[ifb0].Name",
        "Device.Hosts.Host.[02:00:00:00:00:99].Active",
        "Device.Hosts.Host.[02:00:00:00:00:24].Active",
        "Device.Bridging.Bridge.[br-lan].Port.[eth0].Name",
    ] {
        assert!(!seen.contains_key(absent), "{absent}");
    }
    let stack: Vec<&str> = seen
        .keys()
        .filter_map(|k| k.strip_prefix("Device.InterfaceStack.[")?.strip_suffix("].LowerLayer"))
        .collect();
    assert_eq!(
        stack,
        [
            "ip/br-lan link/br-lan",
            "ip/eth0 link/eth0",
            "ip/eth0.10 vlan/eth0.10",
            "ip/ppp0 ppp/ppp0",
            "link/br-lan port/br-lan/br-lan",
            "link/eth0 ethernet/eth0",
            "port/br-lan/br-lan port/br-lan/lan1",
            "port/br-lan/br-lan port/br-lan/lan2",
            "port/br-lan/br-lan port/br-lan/wlan0",
            "port/br-lan/lan1 ethernet/lan1",
            "port/br-lan/lan2 ethernet/lan2",
            "port/br-lan/wlan0 ssid/wlan0",
            "ppp/ppp0 vlan/eth0.10",
            "ssid/wlan0 radio/phy0",
            "vlan/eth0.10 link/eth0",
        ]
    );
}

#[test]
fn what_is_set_takes_effect_and_is_undone() {
    let root = router();
    let mut agent = Agent::new();
    // Times that are counted from now differ from walk to walk.
    let still = |mut seen: SortedMap<String, String>| {
        seen.retain(|path, _| !path.ends_with("Lifetime") && !path.ends_with("ExpirationTime"));
        seen
    };
    let before = still(agent.walk(&root.0));
    let stp = "Device.Bridging.Bridge.{i}.STP.";
    let changes: &[Case<'_>] = &[
        (
            "Device.IP.Interface.{i}.",
            &["eth0"],
            &[("MaxMTUSize", "1400"), ("IPv6Enable", "false")],
            &[("sys/class/net/eth0/mtu", "1400"), ("proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1")],
        ),
        ("Device.IP.", &[], &[("IPv6Enable", "false")], &[("proc/sys/net/ipv6/conf/all/disable_ipv6", "1")]),
        (
            "Device.Ethernet.Interface.{i}.",
            &["eth0"],
            &[("Enable", "false")],
            &[("sys/class/net/eth0/flags", "0x1102")],
        ),
        (
            "Device.Bridging.Bridge.{i}.",
            &["br-lan"],
            &[("AgingTime", "60")],
            &[("sys/class/net/br-lan/bridge/ageing_time", "6000")],
        ),
        (
            stp,
            &["br-lan"],
            &[("Enable", "true"), ("BridgePriority", "4096"), ("ForwardingDelay", "4")],
            &[
                ("sys/class/net/br-lan/bridge/stp_state", "1"),
                ("sys/class/net/br-lan/bridge/forward_delay", "400"),
            ],
        ),
        (
            "Device.Bridging.Bridge.{i}.Port.{i}.",
            &["br-lan", "lan1"],
            &[("Priority", "240"), ("PathCost", "100")],
            &[("sys/class/net/lan1/brport/priority", "60"), ("sys/class/net/lan1/brport/path_cost", "100")],
        ),
        (
            "Device.NeighborDiscovery.InterfaceSetting.{i}.",
            &["eth0"],
            &[
                ("DADTransmits", "2"),
                ("RtrSolicitationInterval", "7000"),
                ("MaxRtrSolicitations", "3"),
                ("RetransTimer", "500"),
            ],
            &[("proc/sys/net/ipv6/conf/eth0/router_solicitation_interval", "7")],
        ),
    ];
    for (object, keys, values, files) in changes {
        let saved = agent.set(&root.0, object, keys, values).unwrap();
        for (file, text) in *files {
            assert_eq!(root.read(file), *text, "{file}");
        }
        let after = agent.walk(&root.0);
        for (name, value) in *values {
            let path =
                keys.iter().fold(object.to_string(), |p, k| p.replacen("{i}", &format!("[{k}]"), 1)) + name;
            assert_eq!(after.get(&path).map(String::as_str), Some(*value), "{path}");
        }
        agent.undo(&root.0, object, keys, &saved);
        assert_eq!(still(agent.walk(&root.0)), before, "{object}");
    }
}

#[test]
fn what_the_kernel_would_refuse_is_found_before() {
    let root = router();
    let mut agent = Agent::new();
    let stp = "Device.Bridging.Bridge.{i}.STP.";
    let port = "Device.Bridging.Bridge.{i}.Port.{i}.";
    for (object, keys, value, code) in [
        ("Device.IP.Interface.{i}.", &["eth0"][..], ("MaxMTUSize", "64"), 9007),
        ("Device.IP.Interface.{i}.", &["eth0"], ("MaxMTUSize", "9001"), 9007),
        (stp, &["br-lan"], ("BridgePriority", "4097"), 9007),
        (port, &["br-lan", "lan1"], ("Priority", "17"), 9007),
        (port, &["br-lan", "lan1"], ("PathCost", "0"), 9007),
        // No such switch on this machine: the management port, a device without IPv6, a device that went.
        (port, &["br-lan", "br-lan"], ("PathCost", "5"), 9001),
        ("Device.IP.Interface.{i}.", &["ppp0"], ("IPv6Enable", "false"), 9001),
        ("Device.IP.Interface.{i}.", &["gone"], ("MaxMTUSize", "1500"), 9001),
        ("Device.NeighborDiscovery.InterfaceSetting.{i}.", &["eth0"], ("DADTransmits", "4294967295"), 9007),
        (
            "Device.NeighborDiscovery.InterfaceSetting.{i}.",
            &["eth0"],
            ("RtrSolicitationInterval", "4500"),
            9007,
        ),
    ] {
        assert_eq!(agent.set(&root.0, object, keys, &[value]), Err(vec![code]), "{value:?} {keys:?}");
    }
    // A key that is no device's name never becomes a path.
    let result = agent.set(&root.0, "Device.IP.Interface.{i}.", &["../../../etc"], &[("MaxMTUSize", "1500")]);
    assert_eq!(result, Err(vec![9002]));
}

#[test]
fn of_the_host_nothing_shows_through() {
    let root = Root::new();
    std::fs::create_dir_all(&root.0).unwrap();
    let seen = Agent::new().walk(&root.0);
    let instances: Vec<&String> =
        seen.keys().filter(|k| k.contains('[') && !k.contains("Router.[main]")).collect();
    assert!(instances.is_empty(), "{instances:?}");
    assert_eq!(seen.get("Device.IP.IPv6Capable").map(String::as_str), Some("false"));
}

#[test]
fn this_machine_has_a_loopback() {
    let mut agent = Agent::new();
    let seen = agent.walk(Path::new("/"));
    let (objects, _) = agent.schema.counts(Platform::Linux);
    println!("{objects} objects, {} values of the network here", seen.len());
    let lo = seen
        .iter()
        .find(|(k, v)| k.starts_with("Device.IP.Interface.[") && k.ends_with("].Loopback") && *v == "true");
    let (path, _) = lo.expect("every network namespace has a loopback");
    let device = path.strip_suffix("Loopback").unwrap();
    if seen.get(&format!("{device}Enable")).map(String::as_str) == Some("true") {
        let address = seen.get(&format!("{device}IPv4Address.[primary].IPAddress"));
        assert_eq!(address.map(String::as_str), Some("127.0.0.1"));
    }
}

#[test]
fn every_provider_has_its_name() {
    let all = network_providers(&Rc::default());
    for (name, _) in &all {
        assert!(crate::handlers::natives::NAMES.contains(name), "{name}");
    }
    let schema = builtin();
    for (name, _) in &all {
        let is_used =
            schema.sources.iter().any(|s| s.kind == SourceKind::Native && schema.text(s.arg) == *name);
        assert!(is_used, "{name} serves nothing");
    }
}

/// Each parameter of a provider of the network that is said to be writable has a file that obeys it, and
/// no file is there for one that is not.
#[test]
fn what_is_writable_has_a_knob() {
    let schema = builtin();
    let mut knobs = 0;
    for platform in [Platform::Linux, Platform::OpenWrt] {
        for id in 0..schema.objects.len() as u16 {
            for param in schema.object(id).params() {
                let Some(source) = param.source(platform).filter(|s| s.kind == SourceKind::Native) else {
                    continue;
                };
                let Some(spec) = super::NETWORK.iter().find(|s| s.name == source.arg) else {
                    // What providers of OpenWrt write are files of UCI.
                    assert!(
                        !param.is_writable(platform)
                            || platform == Platform::OpenWrt
                            || ["diagnostics", "firmware", "hostname", "statistics"].contains(&source.arg),
                        "{}{}",
                        schema.object(id).path(),
                        param.name()
                    );
                    continue;
                };
                let knob = super::knobs::find(spec.knobs, param.name()).is_some();
                let writable = param.is_writable(platform);
                // On OpenWrt netifd may have a file of its own in the place of the kernel's.
                let fits = knob == writable || platform == Platform::OpenWrt && !writable;
                assert!(fits, "{}{}", schema.object(id).path(), param.name());
                knobs += usize::from(knob);
            }
        }
    }
    assert!(knobs > 20, "{knobs}");
}
