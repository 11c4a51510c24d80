//! IPLayerCapacityMetrics: both roles, with a key and without, and each state, by servers of our own (`udpst`) on the
//! far host, one manner a port.

use super::net::{Bed, EVENT, FAR, FAR6, NOBODY, Results, UNREACHABLE, in_namespaces};
use super::udpst::{Manner, serve};
use std::fs;

pub const CAPACITY: &str = "Device.IP.Diagnostics.IPLayerCapacityMetrics.";

/// What the tests here see.
pub const STATES: &[(&str, &str)] = &[
    (CAPACITY, "None"),
    (CAPACITY, "Requested"),
    (CAPACITY, "Complete"),
    (CAPACITY, "Error_CannotResolveHostName"),
    (CAPACITY, "Error_NoRouteToHost"),
    (CAPACITY, "Error_InitConnectionFailed"),
    (CAPACITY, "Error_NoResponse"),
    (CAPACITY, "Error_PasswordRequestFailed"),
    (CAPACITY, "Error_LoginFailed"),
    (CAPACITY, "Error_RejectedByRemote"),
    (CAPACITY, "Error_IncorrectSize"),
    (CAPACITY, "Error_Timeout"),
    (CAPACITY, "Error_Internal"),
    (CAPACITY, "Error_Other"),
];

/// The shortest test that there may be.
const SHORT: [(&str, &str); 1] = [("NumberTestSubIntervals", "5")];

fn asked(bed: &Bed, more: &[(&str, &str)]) -> Results {
    bed.ask(CAPACITY, &[&SHORT[..], more].concat())
}

#[track_caller]
fn decimal(results: &Results, name: &str) -> f64 {
    results.text(name).parse().unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Load comes from the server: what is missing, doubled and late is counted.
// Proves: DG-2, DG-8, DG-18
#[test]
fn receiver() {
    in_namespaces("capacity::receiver", |bed| {
        let seen = serve(24601, Manner::Good, None);
        let wan1 = bed.interface("wan1");
        assert_eq!(bed.state(CAPACITY), "None");
        let before = bed.counter("device", "wan1", "rx_packets");
        let arguments = [
            ("ServerList", FAR),
            ("Interface", &wan1),
            ("IPRREnable", "true"),
            ("RIPREnable", "true"),
            ("NumberFirstModeTestSubIntervals", "2"),
            ("DSCP", "46"),
            ("EthernetPriority", "5"),
        ];
        let results = asked(bed, &arguments);
        assert_eq!((results.state(), results.text("StatusMessage")), ("Complete", ""), "{results:?}");
        assert_eq!(results.number("IncrementalResultNumberOfEntries"), 5);
        assert_eq!(results.number("ModalResultNumberOfEntries"), 1);
        assert_eq!((results.number("TestInterval"), results.number("ActiveFlows")), (5, 1));
        assert_eq!(results.number("TmaxRTTUsed"), 3000);
        for name in ["LossRatioSummary", "ReorderedRatioSummary", "ReplicatedRatioSummary"] {
            let ratio = decimal(&results, name);
            assert!((0.008..0.012).contains(&ratio), "{name}: {ratio}");
        }
        let most = decimal(&results, "MaxIPLayerCapacity");
        let first = results.column("IncrementalResult", "IPLayerCapacity");
        let first: Vec<f64> = first.iter().map(|text| text.parse().expect("a decimal")).collect();
        assert!(most > 0.0 && most == first[0].max(first[1]), "the first mode's: {most} {first:?}");
        let second: f64 = results.text("ModalResult.1.MaxIPLayerCapacity").parse().expect("a decimal");
        assert_eq!(second, first[2].max(first[3]).max(first[4]));
        assert!(decimal(&results, "MaxETHCapacityNoFCS") > most);
        assert!(decimal(&results, "InterfaceEthMbpsSummary") > 0.0);
        assert!(results.text("BOMTime") < results.text("EOMTime"));
        assert!(results.text("BOMTime").split('.').nth(1).is_some_and(|rest| rest.len() == 7), "DG-8");
        let seen = seen.lock().expect("no panic");
        assert!(seen.is_confirmed && seen.heard > 10, "{seen:?}");
        let through = bed.counter("device", "wan1", "rx_packets") - before;
        assert!(through >= u64::from(seen.sent) / 2, "DG-18: {through} of {}", seen.sent);
        // DSCP 46, and thresholds as they are by default.
        assert_eq!((seen.activation[15], &seen.activation[6..12]), (46 << 2, &[0, 30, 0, 90, 0, 50][..]));
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, CAPACITY, &[("SeqErrThresh", "11")]), Ok(0));
        session.end();
        assert_eq!(bed.state(CAPACITY), "None", "DG-4");
    });
}

/// Load goes to the server, at its rate, and results are the server's.
#[test]
fn sender() {
    in_namespaces("capacity::sender", |bed| {
        let seen = serve(24601, Manner::Good, None);
        let arguments = [
            ("ServerList", FAR6),
            ("Role", "Sender"),
            ("UDPPayloadContent", "alternates0and1"),
            ("UDPPayloadMax", "1000"),
            ("TestType", "Fixed"),
            ("StartSendingRate", "20000"),
            ("IPRREnable", "true"),
        ];
        let results = asked(bed, &arguments);
        assert_eq!(results.state(), "Complete", "{results:?}");
        let seen = seen.lock().expect("no panic");
        assert!(seen.is_confirmed && seen.content == 0xAA && seen.largest == 1000, "{seen:?}");
        assert_eq!((seen.activation[4], &seen.activation[16..18], seen.activation[25]), (1, &[0, 20][..], 0));
        let rates = seen.told.iter().map(|(datagrams, octets, micros)| {
            (*octets as f64 + f64::from(*datagrams) * 48.0) * 8.0 / f64::from(*micros)
        });
        let rows = results.column("IncrementalResult", "IPLayerCapacity");
        assert_eq!(rows.len(), 5);
        for (row, rate) in rows.iter().zip(rates) {
            let row: f64 = row.parse().expect("a decimal");
            assert!((row - rate).abs() < 0.006, "{row} {rate}");
        }
        for (name, value) in [
            ("RTTRangeSummary", 0.003),
            ("PDVRangeSummary", 0.007),
            ("MinOnewayDelaySummary", 0.008),
            ("MinRTTSummary", 0.004),
            ("RTTMinAtMax", 0.004),
            ("RTTMaxAtMax", 0.007),
            ("ReplicatedRatioSummary", 0.0), // not asked for
        ] {
            assert_eq!(decimal(&results, name), value, "{name}");
        }
        let (datagrams, _, _) = seen.told[0];
        let told: f64 = results.text("IncrementalResult.1.ReorderedRatio").parse().expect("a decimal");
        assert!((told - 2.0 / f64::from(datagrams + 1)).abs() < 1e-8, "{told}");
    });
}

/// Several flows, and one server of two that does not answer.
// Proves: DG-15
#[test]
fn flows() {
    in_namespaces("capacity::flows", |bed| {
        serve(24601, Manner::Good, None);
        serve(24602, Manner::Silent, None);
        let list = format!("{FAR},{FAR}:24602");
        let results = asked(bed, &[("ServerList", &list), ("TmaxRTT", "300")]);
        assert_eq!(results.state(), "Error_NoResponse", "each server must have a flow");
        let results = asked(bed, &[("FlowCount", "2"), ("MaximumFlows", "4")]);
        assert_eq!((results.state(), results.number("ActiveFlows")), ("Complete", 2), "{results:?}");
        let mut session = bed.kicked();
        assert_eq!(session.value(&format!("{CAPACITY}IPLayerMaxConnections")).as_deref(), Ok("8"));
        for (name, value) in [("FlowCount", "9"), ("MaximumFlows", "9")] {
            assert_eq!(bed.set(&mut session, CAPACITY, &[(name, value)]), Err(9007), "{name}");
        }
        session.end();
    });
}

/// Every error that a server, a way or the arguments can bring about.
// Proves: DG-2, DG-13
#[test]
fn errors() {
    in_namespaces("capacity::errors", |bed| {
        for (port, manner) in [
            (24602, Manner::Silent),
            (24603, Manner::Short),
            (24604, Manner::Mute),
            (24605, Manner::Strange),
            (24606, Manner::Dies),
            (24607, Manner::RefusesTest),
        ] {
            serve(port, manner, None);
        }
        let codes = [
            (2, "Error_RejectedByRemote"),
            (3, "Error_RejectedByRemote"),
            (4, "Error_LoginFailed"),
            (5, "Error_PasswordRequestFailed"),
            (6, "Error_LoginFailed"),
            (7, "Error_LoginFailed"),
            (8, "Error_LoginFailed"),
            (9, "Error_RejectedByRemote"),
            (10, "Error_RejectedByRemote"),
            (11, "Error_RejectedByRemote"),
            (12, "Error_RejectedByRemote"),
            (13, "Error_RejectedByRemote"),
            (99, "Error_RejectedByRemote"),
        ];
        codes
            .iter()
            .for_each(|(code, _)| drop(serve(24700 + u16::from(*code), Manner::Refuses(*code), None)));
        bed.ip("device", "route add prohibit 203.0.113.0/24\n");
        let far = |port: u16| format!("{FAR}:{port}");
        let mut all = vec![
            ("".to_owned(), "Receiver", "Error_CannotResolveHostName", 255),
            ("-f".to_owned(), "Receiver", "Error_CannotResolveHostName", 255),
            ("no-such-host.invalid:24601".to_owned(), "Receiver", "Error_CannotResolveHostName", 255),
            (UNREACHABLE.to_owned(), "Receiver", "Error_NoRouteToHost", 255),
            (NOBODY.to_owned(), "Receiver", "Error_NoResponse", 255),
            (far(24609), "Receiver", "Error_InitConnectionFailed", 255),
            (far(24602), "Sender", "Error_NoResponse", 255),
            (far(24603), "Receiver", "Error_IncorrectSize", 255),
            (far(24604), "Sender", "Error_NoResponse", 255),
            (far(24605), "Receiver", "Error_Other", 255),
            (far(24606), "Receiver", "Error_Timeout", 255),
            (far(24606), "Sender", "Error_Timeout", 255),
            (far(24607), "Receiver", "Error_RejectedByRemote", 152),
            ("203.0.113.1".to_owned(), "Receiver", "Error_Internal", 255),
        ];
        all.extend(codes.iter().map(|(code, state)| {
            (far(24700 + u16::from(*code)), "Receiver", *state, 100 + u64::from(*code))
        }));
        for (list, role, state, code) in &all {
            let results = asked(bed, &[("ServerList", list), ("Role", role), ("TmaxRTT", "400")]);
            let found = (results.state(), results.number("StatusCode"));
            assert_eq!(found, (*state, *code), "{list} {role}: {results:?}");
            assert_ne!(results.text("StatusMessage"), "", "{list}");
        }
    });
}

/// A server that wants as much sent as a number can say, and sends what nobody wants.
#[test]
fn hostile() {
    in_namespaces("capacity::hostile", |bed| {
        let seen = serve(24601, Manner::Hostile, None);
        let results = asked(bed, &[("ServerList", FAR), ("RIPREnable", "true")]);
        assert_eq!(results.state(), "Complete", "{results:?}");
        assert!(seen.lock().expect("no panic").is_confirmed);
        let doubled = decimal(&results, "ReplicatedRatioSummary");
        assert!((0.008..0.012).contains(&doubled), "load of somebody else's was counted: {doubled}");
        let capacity = decimal(&results, "MaxIPLayerCapacity");
        assert!(capacity < 50.0, "sizes that are not true were counted: {capacity}");
        let results = asked(bed, &[("Role", "Sender")]);
        assert!(seen.lock().expect("no panic").largest <= 1472);
        assert!(results.number("IncrementalResultNumberOfEntries") <= 5, "{results:?}");
        // One that does not stop is left.
        let seen = serve(24602, Manner::Endless, None);
        let results = asked(bed, &[("ServerList", &format!("{FAR}:24602")), ("Role", "Receiver")]);
        assert_eq!((results.state(), results.number("IncrementalResultNumberOfEntries")), ("Complete", 5));
        assert!(!seen.lock().expect("no panic").is_confirmed);
        // The agent is well, and a test that runs is given up at once.
        bed.request(CAPACITY, &[("ServerList", FAR), ("Role", "Sender")]);
        bed.daemon().wait_for("its begin", || {
            bed.daemon().log().matches("IPLayerCapacityMetrics. begins").count() == 4
        });
        let mut session = bed.kicked();
        assert_eq!(bed.set(&mut session, CAPACITY, &[("DiagnosticsState", "Canceled")]), Ok(0));
        session.end();
        assert_eq!(bed.state(CAPACITY), "None");
        let session = bed.kicked();
        assert!(!session.inform.codes().contains(&EVENT), "DG-3");
        session.end();
    });
}

/// Which arguments give a key, and that no key is read or logged.
// Proves: DG-16
#[test]
fn keys() {
    in_namespaces("capacity::keys", |bed| {
        serve(24601, Manner::Good, Some((3, "third-of-keys")));
        serve(24602, Manner::Good, Some((0, "key-of-nobody")));
        serve(24603, Manner::Good, None);
        let file = bed.daemon().folder.0.join("keys");
        fs::write(&file, "# all\n3, third-of-keys # the box\n7,seventh-key\n").expect("a file");
        let one = bed.daemon().folder.0.join("one");
        fs::write(&one, "3,third-of-keys\n").expect("a file");
        let (file, one) = (file.to_str().expect("a path"), one.to_str().expect("a path"));
        let mut session = bed.kicked();
        let table = format!("{CAPACITY}IPLayerCapacityAuthCode.");
        let (number, _) = session.add(&table, "").expect("a row");
        let row = format!("{table}{number}.");
        assert_eq!(
            bed.set(&mut session, &row, &[("Alias", "key-3"), ("AuthenticationKey", "third-of-keys")]),
            Ok(0)
        );
        session.end();
        let far = |port: u16| format!("{FAR}:{port}");
        let refused = "Error_PasswordRequestFailed";
        // Port, code, alias, file.
        for (port, code, alias, path, state) in [
            (24602, "key-of-nobody", "", "", "Complete"),
            (24601, "third-of-keys", "3", "", "Complete"),
            (24601, "", "key-3", "", "Complete"),
            (24601, "", "key-3", file, "Complete"),
            (24601, "", "", one, "Complete"),
            (24601, "", "", file, refused),
            (24601, "", "", "", refused),
            (24601, "", "key-4", "", refused),
            (24601, "", "key-4", file, refused),
            (24601, "", "key", file, refused),
            (24601, "third-of-keys", "300", "", refused),
            (24601, "third-of-keys", "", one, refused),
            (24601, "third-of-keys", "3", one, refused),
            (24601, "", "", "/no/such/file", refused),
            (24601, "", "", "/proc/self", refused),
            (24601, "wrong", "3", "", "Error_LoginFailed"),
            (24601, "third-of-keys", "4", "", "Error_LoginFailed"),
            (24603, "third-of-keys", "3", "", "Error_LoginFailed"),
        ] {
            let results = asked(
                bed,
                &[
                    ("ServerList", &far(port)),
                    ("AuthenticationEnabled", "true"),
                    ("AuthenticationCode", code),
                    ("AuthenticationAlias", alias),
                    ("AuthenticationKeyFileLocation", path),
                ],
            );
            assert_eq!(
                results.state(),
                state,
                "{port} {code} {alias} {path}: {}",
                results.text("StatusMessage")
            );
            assert_eq!(results.text("AuthenticationCode"), "");
            assert_eq!(results.text("IPLayerCapacityAuthCode.1.AuthenticationKey"), "");
        }
        let results = asked(bed, &[("ServerList", &far(24601)), ("AuthenticationEnabled", "false")]);
        assert_eq!(results.state(), refused, "the server wants a key");
        let log = bed.daemon().log();
        assert!(!log.contains("of-keys") && !log.contains("key-of-nobody"), "a key is in the log");
    });
}

/// Values that must fit each other are judged as they will stand.
// Proves: DG-14, DG-15
#[test]
fn what_must_fit() {
    in_namespaces("capacity::what_must_fit", |bed| {
        let mut session = bed.kicked();
        let (number, length) = ("NumberTestSubIntervals", "TestSubInterval");
        let refused: &[&[(&str, &str)]] = &[
            &[(number, "61")],
            &[(number, "4")],
            &[(length, "1001")],
            &[(number, "7"), (length, "750")],
            &[(number, "100"), (length, "6000")],
            &[("NumberFirstModeTestSubIntervals", "11")],
            &[("UDPPayloadMax", "1473"), ("JumboFramesPermitted", "false")],
            &[("UDPPayloadMin", "1473")],
            &[("PortMin", "50001"), ("PortMax", "50000")],
            &[("LowerThresh", "91")],
            &[("UDPPayloadContent", "ones")],
            &[("StartSendingRateIndex", "1153")],
            &[("ServerList", "far:0")],
            &[("ServerList", "far:65536")],
        ];
        for list in refused {
            assert_eq!(bed.set(&mut session, CAPACITY, list), Err(9007), "{list:?}");
        }
        let taken: &[&[(&str, &str)]] = &[
            &[(number, "60")],
            &[(number, "100"), (length, "100")],
            &[("UDPPayloadMax", "8972"), ("UDPPayloadMin", "1473")],
            &[("UDPPayloadContent", "ones"), ("Role", "Sender")],
            &[("LowerThresh", "90")],
        ];
        for list in taken {
            assert_eq!(bed.set(&mut session, CAPACITY, list), Ok(0), "{list:?}");
        }
        // Beside what stands now.
        for list in [("JumboFramesPermitted", "false"), ("UDPPayloadMax", "1472"), ("Role", "Receiver")] {
            assert_eq!(bed.set(&mut session, CAPACITY, &[list]), Err(9007), "{list:?}");
        }
        session.end();
    });
}
