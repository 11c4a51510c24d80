//! Calls on a bus that is slow, lies, or goes away. What the bytes are is told in `src/sys/ubus/tests`.

#[allow(dead_code)] // a folder is all of it that is used here
#[path = "daemon/mod.rs"]
mod daemon;
mod ubusd;

use cwmpd::sys::ubus::{Answer, Args, HOLD, MAX_DEPTH, Place, Problem, Ubus};
use daemon::Folder;
use std::time::Duration;
use ubusd::{Says, Ubusd, json, message};

/// Longer than any answer takes.
const LONG: Duration = Duration::from_secs(30);
/// For what is never answered.
const SHORT: Duration = Duration::from_millis(100);

struct Bus {
    ubusd: Option<Ubusd>,
    folder: Folder,
    ubus: Ubus,
}

fn bus(name: &str) -> Bus {
    let folder = Folder::new(name);
    let socket = folder.0.join("ubus.sock");
    let ubusd = Ubusd::start(&socket);
    Bus { folder, ubusd: Some(ubusd), ubus: Ubus::new(Place::Socket(socket)) }
}

impl Bus {
    fn says(&self, object: &str, method: &str, says: Says) {
        self.ubusd().says(object, method, says);
    }

    fn ubusd(&self) -> &Ubusd {
        self.ubusd.as_ref().expect("it runs")
    }

    fn restart(&mut self) {
        self.ubusd = Some(Ubusd::start(&self.folder.0.join("ubus.sock")));
    }

    fn call_within(&mut self, object: &str, method: &str, deadline: Duration) -> Result<String, Problem> {
        self.ubus.call(object, method, Args::None, deadline).map(|answer| answer.to_json())
    }

    fn call(&mut self, object: &str, method: &str) -> Result<String, Problem> {
        self.call_within(object, method, LONG)
    }
}

fn said(text: &str) -> Result<String, Problem> {
    Ok(text.to_owned())
}

#[test]
fn what_is_called_answers() {
    let mut bus = bus("ubus-calls");
    bus.says("system", "board", json(r#"{"model":"Example","ports":[1,2]}"#));
    bus.says("system", "info", Says::Status(6));
    bus.says("system", "void", Says::Table(Vec::new()));
    assert_eq!(bus.call("system", "board"), said(r#"{"model":"Example","ports":[1,2]}"#));
    assert_eq!(bus.call("system", "void"), said("{}"));
    assert_eq!(bus.call("system", "info"), Err(Problem::Status(6)));
    assert_eq!(bus.call("system", "reboot"), Err(Problem::Status(3)), "no such method");
    assert_eq!(bus.call("nothing", "board"), Err(Problem::NoObject));
    assert_eq!(bus.call("syste*", "board"), Err(Problem::NoObject), "a name is no pattern");
    bus.says("hostapd.a", "x", json("{}"));
    bus.says("hostapd.b", "x", json("{}"));
    let mut list = |pattern| bus.ubus.list(pattern, LONG).unwrap();
    assert_eq!(list(None), ["system", "hostapd.a", "hostapd.b"]);
    assert_eq!(list(Some("hostapd.*")), ["hostapd.a", "hostapd.b"]);
    assert_eq!(list(Some("none.*")), [""; 0]);
    assert_eq!(bus.ubusd().connections().0, 1, "all that over one connection");
    assert_eq!(bus.ubusd().calls().len(), 4);
}

/// Words go as what the method takes; what it does not say is text.
#[test]
fn arguments_by_their_names() {
    let mut bus = bus("ubus-arguments");
    bus.says("o", "m", json("{}"));
    bus.says("o", "n", json("{}"));
    // 3 text, 4 and 5 numbers, 7 a boolean.
    bus.ubusd().takes("o", r#"{"m":{"t":3,"w":4,"n":5,"f":7}}"#);
    let words = [("t", "4"), ("w", "4"), ("n", "-4"), ("f", "true"), ("other", "4")];
    bus.ubus.call("o", "m", Args::Words(&words), LONG).unwrap();
    bus.ubus.call("o", "m", Args::Words(&[("n", "four"), ("f", "0")]), LONG).unwrap();
    bus.ubus.call("o", "n", Args::Words(&words[..2]), LONG).unwrap();
    let table = Answer::from_json(r#"{"type":"config.change","data":{"package":"network"}}"#).unwrap();
    bus.ubus.call("o", "n", Args::Table(&table), LONG).unwrap();
    let args: Vec<String> = bus.ubusd().calls().into_iter().map(|(_, _, args)| args).collect();
    let expected = [
        r#"{"t":"4","w":4,"n":-4,"f":true,"other":"4"}"#,
        r#"{"n":"four","f":false}"#,
        r#"{"t":"4","w":"4"}"#,
        r#"{"type":"config.change","data":{"package":"network"}}"#,
    ];
    assert_eq!(args, expected);
}

/// A service that was restarted has another number: the call finds it, and is made once.
#[test]
fn an_object_that_comes_again() {
    let mut bus = bus("ubus-again");
    bus.says("dnsmasq", "leases", json(r#"{"n":1}"#));
    assert_eq!(bus.call("dnsmasq", "leases"), said(r#"{"n":1}"#));
    bus.ubusd().remove("dnsmasq");
    assert_eq!(bus.call("dnsmasq", "leases"), Err(Problem::NoObject));
    bus.says("dnsmasq", "leases", json(r#"{"n":2}"#));
    assert_eq!(bus.call("dnsmasq", "leases"), said(r#"{"n":2}"#));
    bus.ubusd().remove("dnsmasq");
    bus.says("dnsmasq", "leases", json(r#"{"n":3}"#));
    assert_eq!(bus.call("dnsmasq", "leases"), said(r#"{"n":3}"#));
    // Its own word that there is no such thing is not taken for that.
    bus.says("dnsmasq", "leases", Says::Status(4));
    assert_eq!(bus.call("dnsmasq", "leases"), Err(Problem::Status(4)));
    assert_eq!(bus.ubusd().calls().len(), 4);
}

/// Answers to what was not asked are passed over, those that come too late among them.
#[test]
fn lies_and_late_answers() {
    let mut bus = bus("ubus-lies");
    bus.says("liar", "m", Says::AmongOthers(r#"{"a":"truth"}"#.into()));
    bus.says("liar", "only", Says::Others("{}".into()));
    bus.says("slow", "m", Says::Late(4 * SHORT, r#"{"a":"late"}"#.into()));
    bus.says("silent", "m", Says::Silence);
    for _ in 0..3 {
        assert_eq!(bus.call("liar", "m"), said(r#"{"a":"truth"}"#));
    }
    for (object, method) in [("liar", "only"), ("slow", "m"), ("silent", "m")] {
        let problem = bus.call_within(object, method, SHORT).unwrap_err();
        assert_eq!(problem, Problem::TimedOut, "{object}");
        assert!(problem.is_failure() && !problem.is_bus());
    }
    // The late one comes while others are asked.
    for _ in 0..20 {
        assert_eq!(bus.call("liar", "m"), said(r#"{"a":"truth"}"#));
        std::thread::sleep(SHORT / 4);
    }
    assert_eq!(bus.call("slow", "m"), said(r#"{"a":"late"}"#), "with patience");
    assert_eq!(bus.ubusd().connections().0, 1);
}

/// What is no table is refused, and the connection goes on; what is no message ends it.
#[test]
fn what_is_damaged() {
    let mut bus = bus("ubus-damaged");
    let deep: Vec<u8> = (0..=MAX_DEPTH).fold(Vec::new(), |inner, _| {
        [&(0x8100_0008 + inner.len() as u32).to_be_bytes()[..], &[0; 4], &inner].concat()
    });
    let lies = vec![0x85, 0, 0xff, 0xff, 0, 1, b'a', 0, 0, 0, 0, 0];
    bus.says("good", "m", json("{}"));
    for table in [deep, lies, vec![1], vec![0; 64]] {
        bus.says("bad", "m", Says::Table(table));
        assert!(matches!(bus.call("bad", "m"), Err(Problem::Malformed(_))));
        assert_eq!(bus.call("good", "m"), said("{}"));
    }
    assert_eq!(bus.ubusd().connections().0, 1);
    let long = vec![0, 2, 0, 1, 0, 0, 0, 1, 0, 0x10, 0, 1];
    let short = vec![0, 2, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3];
    let other = message(2, 1, 1, &[]).into_iter().map(|b| b.max(1)).collect();
    for (n, bytes) in [long, short, other, vec![0xff; 100]].into_iter().enumerate() {
        bus.says("bad", "m", Says::Bytes(bytes));
        let problem = bus.call("bad", "m").unwrap_err();
        assert!(matches!(problem, Problem::Broken(_)) && problem.is_bus(), "{problem:?}");
        assert_eq!(bus.call("good", "m"), said("{}"));
        assert_eq!(bus.ubusd().connections().0, n + 2, "a new one each time");
    }
}

/// It dies in the middle of an answer, and comes again; it is not there; it is, and says nothing.
#[test]
fn a_ubusd_that_goes_away() {
    let mut bus = bus("ubus-away");
    bus.says("o", "m", json("{}"));
    bus.says("o", "half", Says::Half(r#"{"a":1}"#.into()));
    bus.says("o", "end", Says::End);
    for method in ["half", "end"] {
        assert_eq!(bus.call("o", method), Err(Problem::Broken("ubusd closed it")));
        assert_eq!(bus.call("o", "m"), said("{}"));
    }
    bus.ubusd.take().unwrap().stop();
    let problem = bus.call("o", "m").unwrap_err();
    assert!(matches!(problem, Problem::Absent(_)) && problem.is_bus(), "{problem:?}");
    bus.restart();
    bus.says("o", "m", json(r#"{"a":2}"#));
    assert_eq!(bus.call("o", "m"), said(r#"{"a":2}"#));
    // Between two calls, unseen.
    bus.ubusd.take().unwrap().stop();
    bus.restart();
    bus.says("o", "m", json(r#"{"a":3}"#));
    assert_eq!(bus.call("o", "m"), said(r#"{"a":3}"#));
}

/// A ubusd that hangs is asked once, and then not for a while: an RPC does not wait for each of its objects.
#[test]
fn a_ubusd_that_hangs() {
    let mut bus = bus("ubus-hangs");
    bus.ubusd().mute(true);
    assert_eq!(bus.call_within("o", "m", SHORT), Err(Problem::Silent));
    let asked = bus.ubusd().connections().0;
    for _ in 0..3 {
        // With a deadline as long as that it would be waited for.
        assert_eq!(bus.call_within("other", "m", HOLD), Err(Problem::Silent));
    }
    assert_eq!(bus.ubusd().connections().0, asked);
}

#[test]
fn long_messages() {
    let mut bus = bus("ubus-long");
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000_000));
    bus.says("o", "m", json(&long));
    let table = Answer::from_json(&long).unwrap();
    let answer = bus.ubus.call("o", "m", Args::Table(&table), LONG).unwrap();
    assert_eq!(answer, table);
    assert_eq!(bus.ubusd().calls()[0].2, long);
    // What ubusd would close the connection for is not sent.
    let method = "m".repeat(60_000);
    assert_eq!(bus.ubus.call("o", &method, Args::Table(&table), LONG), Err(Problem::TooLong));
    assert_eq!(bus.call("o", "x"), Err(Problem::Status(3)));
    assert_eq!(bus.ubusd().connections().0, 1);
}

/// Answers in files: by object, method and the values of arguments, whatever is in them.
#[test]
fn recorded_answers() {
    let folder = Folder::new("ubus-recorded");
    let record = |path: &str, text: &str| {
        let path = folder.0.join(".cwmpd/ubus").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    record("network.interface/dump.json", "{\n  \"interface\": [ { \"up\": true } ]\n}\n");
    record("iwinfo/info@phy0-ap0.json", r#"{"ssid":"Home"}"#);
    record("file/read@%2Fetc%2Fa%20b,1.json", r#"{"data":"x"}"#);
    record("bad/m.json", "{");
    record("%2E./%2E.json", r#"{"dots":1}"#);
    let mut ubus = Ubus::new(Place::Recorded(folder.0.clone()));
    let mut call = |object: &str, method: &str, args: Args<'_>| {
        ubus.call(object, method, args, SHORT).map(|answer| answer.to_json())
    };
    assert_eq!(call("network.interface", "dump", Args::None), said(r#"{"interface":[{"up":true}]}"#));
    assert_eq!(call("iwinfo", "info", Args::Words(&[("device", "phy0-ap0")])), said(r#"{"ssid":"Home"}"#));
    let words = [("path", "/etc/a b"), ("base64", "1")];
    assert_eq!(call("file", "read", Args::Words(&words)), said(r#"{"data":"x"}"#));
    let table = Answer::from_json(r#"{"path":"/etc/a b","base64":1}"#).unwrap();
    assert_eq!(call("file", "read", Args::Table(&table)), said(r#"{"data":"x"}"#));
    assert_eq!(call("..", ".", Args::None), said(r#"{"dots":1}"#));
    for (object, method) in
        [("iwinfo", "info"), ("none", "m"), ("..", "ubus"), ("network.interface/", "dump")]
    {
        assert_eq!(call(object, method, Args::None), Err(Problem::NoObject), "{object} {method}");
    }
    assert_eq!(call(&"x".repeat(300), "m", Args::None), Err(Problem::NoObject));
    assert!(matches!(call("bad", "m", Args::None), Err(Problem::Record(_))));
    assert_eq!(ubus.list(Some("i*"), SHORT).unwrap(), ["iwinfo"]);
    assert_eq!(ubus.list(None, SHORT).unwrap(), ["..", "bad", "file", "iwinfo", "network.interface"]);
}
