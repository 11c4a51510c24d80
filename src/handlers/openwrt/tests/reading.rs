//! Expressions read.

use super::Bench;

const NETWORK: &str = "\
config interface 'lan'
	option device 'br-lan'
	option proto static
	option auto off
	list dns 1.1.1.1
	list dns '8.8,8'
	option words 'a b'

config interface 'wan'
	option proto 'pppoe'

config interface
	option proto 'dhcp'

config device
	option name 'br-lan'
	option type 'bridge'
	list ports 'lan1'
	list ports 'lan2'

config device
	option name 'a.b'
	option mtu '1400'
";

const DUMP: &str = r#"{"interface":[
 {"interface":"lan","up":true,"l3_device":"br-lan","uptime":60,"ipv4-address":[{"address":"192.168.1.1","mask":24},{"address":"10.0.0.1","mask":8}]},
 {"interface":"wan","up":false,"proto":"pppoe","data":{"a.b":"dotted","x":1.5}}]}"#;

const ROWS: &str = r##"
["Device.T.{i}."]
uci = "network.@interface"
Proto  = { type = "string", uci = "network.{1}.proto", write = true }
Up     = { type = "boolean", uci = "network.{1}.auto | default 1" }
Dns    = { type = "list(string)", uci = "network.{1}.dns" }
First  = { type = "string", uci = "network.{1}.dns" }
Words  = { type = "list(string)", uci = "network.{1}.words | items" }
Name   = { type = "string", uci = "network.{1}..name" }
Mtu    = { type = "string", uci = "network.@device[name={1}].mtu || uci network.@device[name=(uci network.{1}.device)].type || const none" }
Number = { type = "string", openwrt = "const x || uci network.{#1}.y" }
Live   = { type = "boolean", ubus = "network.interface dump interface[interface={1}].up" }
Addr   = { type = "list(string)", ubus = "network.interface dump interface[interface={1}].ipv4-address[*].address" }
Mask   = { type = "string", ubus = "network.interface dump interface[interface={1}].ipv4-address[0].mask | mask" }
Since  = { type = "dateTime", ubus = "network.interface dump interface[interface={1}].uptime | ago" }
Port   = { type = "string", openwrt = "ubus network.device status name=(ubus network.interface dump interface[interface={1}].l3_device) carrier || const -" }
Link   = { type = "ref(Device.D.{i}.)", uci = "network.{1}.device | ref Device.D.{i}." }
Links  = { type = "list(ref(Device.D.{i}.))", uci = "network.@device[*].name | ref Device.D.{i}." }
["Device.D.{i}."]
uci = "network.@device[type=bridge].name[]"
["Device.P.{i}."]
uci = "network.@device[name=br-lan].ports[] | upper"
["Device.A.{i}."]
ubus = "network.interface dump interface[up=true].ipv4-address[*].address"
["Device.N.{i}."]
ubus = "service list *.@key"
["Device.Q.{i}."]
uci = "network.@interface[proto=static|pppoe,!ghost,proto!~pppoa]"
Key    = { type = "string", uci = "network.{1}..name" }
["Device.O."]
Dotted = { type = "string", ubus = "network.interface dump interface[-1].data.\"a.b\"" }
Float  = { type = "string", ubus = "network.interface dump interface[1].data.x" }
Count  = { type = "unsignedInt", ubus = "network.interface dump interface | count" }
All    = { type = "list(string)", uci = "network.@interface[*].proto" }
Some   = { type = "list(string)", uci = "network.@interface[*,proto!=dhcp].proto" }
Last   = { type = "string", uci = "network.@interface[-1].proto" }
File   = { type = "unsignedInt", openwrt = "file /proc/uptime | word 0 | number" }
Gone   = { type = "string", openwrt = "ubus no such thing || uci no.x.y || file /none" }
"##;

fn bench() -> Bench {
    let mut bench = Bench::new(
        ROWS,
        &[
            ("etc/config/network", NETWORK),
            (".cwmpd/ubus/network.interface/dump.json", DUMP),
            (".cwmpd/ubus/network.device/status@br-lan.json", r#"{"carrier":"yes"}"#),
            (".cwmpd/ubus/service/list.json", r#"{"dnsmasq":{},"odhcpd":{}}"#),
            (".cwmpd/time", "1790856000\n"),
            ("proc/uptime", "350735.47 1.0\n"),
        ],
    );
    bench.tree.begin_rpc();
    bench
}

fn line(values: &[(String, String)]) -> String {
    values.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn sections_options_and_answers() {
    let mut b = bench();
    assert_eq!(
        line(&b.values("Device.T.1.")),
        "Proto=static Up=false Dns=1.1.1.1,8.8%2C8 First=1.1.1.1 Words=a,b Name=lan Mtu=bridge Number=x Live=true \
         Addr=192.168.1.1,10.0.0.1 Mask=255.255.255.0 Since=2026-10-01T11:59:00Z Port=yes Link=Device.D.1 \
         Links=Device.D.1"
    );
    assert_eq!(
        line(&b.values("Device.T.2.")),
        "Proto=pppoe Up=true Dns= First= Words= Name=wan Mtu=none Number=x Live=false Addr= Mask= \
         Since=0001-01-01T00:00:00Z Port=- Link= Links=Device.D.1"
    );
    // libuci's own name of the section without one.
    assert!(b.value("Device.T.3.Name").starts_with("cfg03"));
    assert_eq!(
        line(&b.values("Device.O.")),
        "Dotted=dotted Float=1.500000 Count=2 All=static,pppoe,dhcp Some=static,pppoe Last=dhcp File=350735 Gone="
    );
}

#[test]
fn tables() {
    let mut b = bench();
    let mut names = |path: &str| {
        b.tree.begin_rpc();
        let mut count = 0;
        let mut selection = b.tree.names(path, true).unwrap();
        while b.tree.next(&mut selection, &mut |_| count += 1) {}
        count
    };
    assert_eq!(
        ["Device.T.", "Device.D.", "Device.P.", "Device.A.", "Device.N."].map(&mut names),
        [3, 1, 2, 2, 2]
    );
    assert_eq!(line(&b.values("Device.Q.")), "1.Key=lan 2.Key=wan");
}

/// One call for each object, method and arguments in an RPC, and one reading of each file.
#[test]
fn each_source_is_asked_once() {
    let mut b = bench();
    b.values("Device.");
    let before = b.sources.borrow().calls();
    b.values("Device.");
    // dump, list, `no such`, status of br-lan.
    assert_eq!(b.sources.borrow().calls() - before, 4);
}

/// A package that is broken has nothing, is told of with its line, and the rest goes on.
#[test]
fn a_broken_package_is_told_of() {
    let mut b = bench();
    b.root.file("etc/config/network", "config interface 'lan'\n\toption proto 'x\n");
    assert_eq!(line(&b.values("Device.T.")), "");
    assert!(line(&b.values("Device.O.")).starts_with("Dotted=dotted Float=1.500000 Count=2 All= Some="));
    let troubles = b.facts.borrow().troubles.clone();
    assert!(troubles.len() == 1 && troubles[0].contains("/etc/config/network: line 2"), "{troubles:?}");
    b.root.file("etc/config/network", NETWORK);
    assert_eq!(b.value("Device.O.Last"), "dhcp");
    assert!(b.facts.borrow().troubles.is_empty());
}

/// Rows of sections without a name keep their numbers when others before them go, and when they are edited.
#[test]
fn rows_without_a_name_keep_their_numbers() {
    let rows = "[\"Device.R.{i}.\"]\nuci = \"firewall.@rule\"\nT = { type = \"string\", uci = \"firewall.{1}.target\", write = true }\n\
                N = { type = \"string\", uci = \"firewall.{1}.name\" }\n";
    let rule = |name: &str, target: &str| {
        format!("config rule\n\toption name '{name}'\n\toption target '{target}'\n\toption src 'wan'\n\n")
    };
    let file = |rules: &[(&str, &str)]| rules.iter().map(|(n, t)| rule(n, t)).collect::<String>();
    let mut b =
        Bench::new(rows, &[("etc/config/firewall", &file(&[("a", "ACCEPT"), ("b", "DROP"), ("c", "DROP")]))]);
    assert_eq!(line(&b.values("Device.R.")), "1.T=ACCEPT 1.N=a 2.T=DROP 2.N=b 3.T=DROP 3.N=c");
    // LuCI removes the first one, edits the second, and adds one.
    let new = rule("d", "DROP").replace("'wan'", "'lan'\n\toption dest_port '22'");
    b.root.file("etc/config/firewall", &(file(&[("b", "REJECT"), ("c", "DROP")]) + &new));
    assert_eq!(line(&b.values("Device.R.")), "2.T=REJECT 2.N=b 3.T=DROP 3.N=c 4.T=DROP 4.N=d");
    // The new keys are durable.
    let mut b = b.restart();
    let new = new.replace("DROP", "ACCEPT");
    let three = |c: &str, d: &str| rule("c", c) + &new.replace("ACCEPT", d) + &rule("a", "ACCEPT");
    b.root.file("etc/config/firewall", &three("DROP", "ACCEPT"));
    assert_eq!(line(&b.values("Device.R.")), "3.T=DROP 3.N=c 4.T=ACCEPT 4.N=d 5.T=ACCEPT 5.N=a");
    // In a session the row that was edited is found by the key that it had.
    b.tree.begin_session();
    b.set(&[("Device.R.3.T", "REJECT"), ("Device.R.4.T", "DROP")]).unwrap();
    b.set(&[("Device.R.3.T", "ACCEPT")]).unwrap();
    assert_eq!(b.config("firewall"), three("ACCEPT", "DROP"));
    b.tree.end_session();
    assert_eq!(line(&b.values("Device.R.")), "3.T=ACCEPT 3.N=c 4.T=DROP 4.N=d 5.T=ACCEPT 5.N=a");
    // What stays as it is writes nothing.
    let size = b.journal.borrow().size();
    b.values("Device.R.");
    assert_eq!(b.journal.borrow().size(), size);
}
