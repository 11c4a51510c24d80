//! Tables: datagrams, keys, arguments, counting, timing, and what is made of it.

use super::auth::{Keys, Secret};
use super::emission::{Burst, Emission};
use super::pdu::{self, Activation, Counted, Load, Rate, Setup, Stamp, Status, Timer, Wrong};
use super::plan::{Plan, judge, row, server, together};
use super::reception::{Reception, Sub};
use super::results;
use crate::diagnostics::{Arguments, Around, Job};
use std::path::PathBuf;

/// The arguments as the data model has them at first.
fn arguments(more: &[(&str, &str)]) -> Arguments {
    let mut all = Arguments::default();
    let model = include_str!("../../../datamodel/diag_capacity.toml");
    for line in model.lines().take_while(|line| !line.starts_with("ActiveFlows")) {
        if let Some((_, value)) = line.split_once("store = \"") {
            let name = line.split(' ').next().expect("a name");
            all.set(name, value.split('"').next().expect("a value"));
        }
    }
    more.iter().for_each(|(name, value)| all.set(name, value));
    all
}

fn job(root: PathBuf, more: &[(&str, &str)]) -> Job {
    Job { arguments: arguments(more), device: None, around: Around { root, ..Around::default() } }
}

const SETUP: Setup = Setup {
    index: 1,
    count: 2,
    ident: 0x1234,
    bandwidth: 50,
    upstream: true,
    jumbo: true,
    traditional: true,
};

#[test]
fn setups_are_written_and_answers_read() {
    let request = SETUP.request();
    assert_eq!(request[..16], [0xAC, 0xE1, 0, 20, 1, 2, 0x12, 0x34, 1, 0, 0x80, 50, 0, 0, 3, 0]);
    assert!(request[16..].iter().all(|octet| *octet == 0));
    let mut answer = request;
    (answer[8], answer[9], answer[12], answer[13]) = (2, 1, 0xC0, 0x01);
    let read = pdu::set_up(&answer, &SETUP).expect("an answer");
    assert_eq!((read.code, read.version, read.port), (1, 20, 0xC001));
    assert_eq!(pdu::set_up(&answer[..55], &SETUP), Err(Wrong::Size));
    assert_eq!(pdu::set_up(&request, &SETUP), Err(Wrong::Kind), "a request");
    for at in [0, 1, 4, 6, 7, 8] {
        let mut other = answer;
        other[at] ^= 0x10;
        assert_eq!(pdu::set_up(&other, &SETUP), Err(Wrong::Kind), "{at}");
    }
    // A checksum may be there, and then it must be right.
    (answer[54], answer[55]) = (1, 2);
    assert_eq!(pdu::set_up(&answer, &SETUP), Err(Wrong::Kind));
    (answer[54], answer[55]) = (0, 0);
    let sum: u32 = answer.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xFFFF) + (sum >> 16)) as u16;
    answer[54..].copy_from_slice(&sum.to_be_bytes());
    assert!(pdu::set_up(&answer, &SETUP).is_ok());
}

#[test]
fn activations_are_written_and_answers_read() {
    let asked = Activation {
        upstream: true,
        lower: 30,
        upper: 90,
        feedback: 50,
        seconds: 10,
        class: 184,
        index: 500,
        is_start: true,
        one_way: true,
        delta: 10,
        slow: 3,
        errors: 11,
        only_loss: true,
        random: true,
        algorithm_c: true,
        period: 1000,
    };
    let request = asked.request();
    let head = [0xAC, 0xE2, 0, 20, 1, 0, 0, 30, 0, 90, 0, 50, 0, 10, 0, 184, 1, 244, 1, 10, 0, 3, 0, 11];
    assert_eq!(request[..24], head);
    assert_eq!((&request[24..28], &request[56..58]), (&[1, 3, 1, 0][..], &[3, 232][..]));
    let mut answer = request;
    answer[5] = 1;
    answer[28..56].fill(0xFF);
    let read = pdu::activated(&answer, true).expect("an answer");
    assert_eq!((read.code, read.feedback, read.seconds, read.period), (1, 50, 10, 1000));
    let most = Timer { interval: 1_000_000, payload: 8972, burst: 100, addon: 0, by_chance: false };
    assert_eq!(read.rate, Rate([most, Timer { addon: 8972, by_chance: true, ..most }]), "bounded");
    assert_eq!(pdu::activated(&answer, false), Err(Wrong::Kind), "of the other direction");
    assert_eq!(pdu::activated(&answer[1..], true), Err(Wrong::Size));
}

#[test]
fn load_and_feedback_are_read_as_they_are_written() {
    let sent = Stamp::of(1_700_000_000_123_456);
    assert_eq!(sent.micros(), 1_700_000_000_123_456);
    let load =
        Load { sequence: 7, payload: 100, missed: 3, feedback: sent, sent, held: 9, ..Load::default() };
    let mut datagram = [0xAA; 100];
    load.write(&mut datagram);
    assert_eq!(Load::read(&datagram, 100), Ok(load));
    assert_eq!(Load::read(&datagram, 99), Err(Wrong::Size), "it lies");
    assert_eq!(Load::read(&datagram[..31], 31), Err(Wrong::Size));
    datagram[2] = 3;
    assert_eq!(Load::read(&datagram, 100), Err(Wrong::Kind));
    let counted = Counted {
        datagrams: 1,
        bytes: 0x1_0000_0002,
        time: 3,
        errors: [4, 5, 6],
        variation: [7, 8, 9, 10],
        round_trip: [11, 12],
        elapsed: 13,
    };
    let status = Status {
        action: 2,
        is_deaf: true,
        sequence: 1,
        rate: Rate::default(),
        sub_interval: 2,
        counted,
        errors: [3, 4, 5],
        clock_delta: -6,
        variation: [7, 8, 9, 10],
        round_trip: 11,
        round_trip_variation: 12,
        is_updated: true,
        trial: [13, 14, 15],
        sent,
    };
    let written = status.written(1);
    assert_eq!((written.len(), written[163]), (204, 1));
    assert_eq!(Status::read(&written), Ok(status));
    assert_eq!(Status::read(&written[..203]), Err(Wrong::Size));
}

/// Against what OpenSSL's KBKDF derives.
#[test]
fn keys_are_derived_and_sign() {
    let more =
        [("AuthenticationEnabled", "true"), ("AuthenticationCode", "secret"), ("AuthenticationAlias", "7")];
    let secret = Secret::of(&job("/".into(), &more)).unwrap_or_default().expect("a key");
    let keys = Keys::derive(&secret, 1_700_000_000);
    let hex = |text: &str| -> Vec<u8> {
        (0..32).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).expect("hex")).collect()
    };
    let ours = hex("4db4e6ea7df25ce710ab77828d22456cd619b567840870cf8b2c46b675c02b68");
    let theirs = hex("71d2af1d80b54dcd6f9257c56d04585cd311091cc05173c650cb761bc7799396");
    let hmac = |key: &[u8], datagram: &[u8]| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
        ring::hmac::sign(&key, datagram).as_ref().to_vec()
    };
    let mut request = SETUP.request();
    keys.sign(&mut request, pdu::SETUP_AUTH, 1_700_000_000);
    let mut plain = SETUP.request();
    (plain[15], plain[52]) = (1, 7);
    plain[16..20].copy_from_slice(&1_700_000_000_u32.to_be_bytes());
    assert_eq!(request[20..52], hmac(&ours, &plain));
    // The server's key is another one; its checksum is not signed.
    assert!(!keys.is_theirs(&request, pdu::SETUP_AUTH));
    request[20..52].copy_from_slice(&hmac(&theirs, &plain));
    request[55] = 9;
    assert!(keys.is_theirs(&request, pdu::SETUP_AUTH));
    for at in [0, 9, 15, 16, 20, 51, 52] {
        let mut other = request;
        other[at] ^= 1;
        assert!(!keys.is_theirs(&other, pdu::SETUP_AUTH), "{at}");
    }
    assert!(!keys.is_theirs(&request[..30], pdu::SETUP_AUTH));
}

// Proves: DG-16
#[test]
fn which_arguments_name_a_key_dg_16() {
    let folder = std::env::temp_dir().join(format!("cwmpd-capacity-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let long = "x".repeat(65);
    for (name, text) in [
        ("one", "# comment\n 3 , the key\t# more\n"),
        ("two", "3,a\n7,b\n"),
        ("none", "# nothing\n"),
        ("bad", "3 a\n"),
        ("number", "300,a\n"),
        ("empty", "3,\n"),
        ("long", &format!("3,{long}\n")),
        ("huge", &"#\n".repeat(40_000)),
    ] {
        std::fs::write(folder.join(name), text).expect("a file");
    }
    let table =
        [("IPLayerCapacityAuthCode.1.Alias", "k9"), ("IPLayerCapacityAuthCode.1.AuthenticationKey", "t")];
    for (code, alias, file, found) in [
        ("a", "", "", true),
        ("a", "k4", "", true),
        ("a", "k", "", false),
        ("a", "k256", "", false),
        (long.as_str(), "", "", false),
        ("", "k9", "", true),
        ("", "k8", "", false),
        ("", "", "one", true),
        ("", "3", "one", true),
        ("", "4", "one", false),
        ("", "", "two", false),
        ("", "x7", "two", true),
        ("", "", "none", false),
        ("", "", "bad", false),
        ("", "", "number", false),
        ("", "", "empty", false),
        ("", "", "long", false),
        ("", "", "huge", false),
        ("", "", "missing", false),
        ("", "", "../one", true), // nothing is above the root
        ("", "", "", false),
        ("a", "", "one", false),
        ("a", "k9", "one", false),
    ] {
        let mut job = job(folder.clone(), &table);
        for (name, value) in [
            ("AuthenticationEnabled", "true"),
            ("AuthenticationCode", code),
            ("AuthenticationAlias", alias),
            ("AuthenticationKeyFileLocation", file),
        ] {
            job.arguments.set(name, value);
        }
        let secret = Secret::of(&job);
        assert_eq!(secret.is_ok(), found, "{code:.9} {alias} {file}: {:?}", secret.err());
        job.arguments.set("AuthenticationEnabled", "false");
        assert!(Secret::of(&job).is_ok_and(|secret| secret.is_none()), "nobody wants one");
    }
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn servers_are_hosts_with_ports() {
    for (text, host, port) in [
        ("a.example", "a.example", 24601),
        ("a.example:5", "a.example", 5),
        ("192.0.2.1:65535", "192.0.2.1", 65535),
        ("[2001:db8::1]:7", "2001:db8::1", 7),
        ("[2001:db8::1]", "2001:db8::1", 24601),
        ("2001:db8::1", "2001:db8::1", 24601),
    ] {
        assert_eq!(server(text), Some((host.to_owned(), port)), "{text}");
    }
    for text in ["a:0", "a:65536", "a:", "a:x", "[::1", "[::1]:0"] {
        assert_eq!(server(text), None, "{text}");
        assert!(judge("ServerList", &format!("good,{text}")).is_err(), "{text}");
    }
}

// Proves: DG-14, DG-15
#[test]
fn what_must_fit_dg_14_dg_15() {
    let (number, length) = ("NumberTestSubIntervals", "TestSubInterval");
    for (list, fits) in [
        (&[][..], true),
        (&[(number, "5")][..], true),
        (&[(number, "4")], false),
        (&[(number, "60")], true),
        (&[(number, "61")], false),
        (&[(number, "100"), (length, "6000")], false),
        (&[(number, "8"), (length, "750")], true),
        (&[(number, "7"), (length, "750")], false),
        (&[("UDPPayloadMax", "1473")], true),
        (&[("UDPPayloadMax", "1473"), ("JumboFramesPermitted", "false")], false),
        (&[("UDPPayloadMax", "34")], false),
        (&[("UDPPayloadContent", "ones")], false),
        (&[("UDPPayloadContent", "ones"), ("Role", "Sender")], true),
        (&[("ServerList", "a,b,c,d,e,f,g,h,i")], false),
        (&[("ServerList", "a,b,c,d,e,f,g,h,i"), ("FlowCount", "2")], true),
    ] {
        assert_eq!(together(&arguments(list)).is_ok(), fits, "{list:?}");
    }
}

#[test]
fn rates_are_rows_of_the_table() {
    for (kbps, jumbo, traditional, expected) in [
        (500, false, false, 0),
        (20_000, true, false, 20),
        (1_000_000, true, false, 1000),
        (1_050_000, true, false, 1000),
        (1_100_000, true, false, 1001),
        (7_200_000, true, false, 1062),
        (7_900_000, true, false, 1062),
        (7_920_000, true, true, 1063),
        (8_640_000, true, false, 1064),
        (40_000_000, true, false, 1107),
        (1_100_000, false, false, 1001),
        (10_000_000, false, false, 1090),
        (40_000_000, false, false, 1090),
        (1_080_000, false, true, 1001),
        (1_199_000, false, true, 1001),
        (1_200_000, false, true, 1002),
    ] {
        assert_eq!(row(kbps, jumbo, traditional), expected, "{kbps} {jumbo} {traditional}");
    }
    let index = |more: &[(&str, &str)]| {
        let more = [&[("ServerList", "a")], more].concat();
        let plan = Plan::of(&job("/".into(), &more)).unwrap_or_else(|report| panic!("{}", report.why));
        (plan.activation.index, plan.activation.is_start)
    };
    assert_eq!(index(&[]), (pdu::SEARCH, false));
    assert_eq!(index(&[("StartSendingRate", "30000")]), (30, true));
    assert_eq!(index(&[("StartSendingRate", "30000"), ("StartSendingRateIndex", "7")]), (7, true));
    assert_eq!(index(&[("TestType", "Fixed")]), (1, false));
    assert_eq!(index(&[("TestType", "Fixed"), ("StartSendingRateIndex", "7")]), (7, false));
}

/// The time of tests here, in microseconds.
const NOW: i64 = 1_700_000_000_000_000;

fn load(sequence: u32, sent: i64) -> Load {
    Load { sequence, payload: 1000, sent: Stamp::of(sent), ..Load::default() }
}

#[test]
fn load_is_counted() {
    let mut reception = Reception::new(NOW, 3_000_000);
    assert_eq!(reception.feedback(NOW, false, false, 0), None, "nothing to tell");
    // 3 is lost, 5 comes late, 6 twice; one way takes 2 to 6 ms.
    for (n, (sequence, delay)) in
        [(1, 4), (2, 2), (4, 6), (6, 3), (5, 3), (6, 3), (7, 3)].into_iter().enumerate()
    {
        let now = NOW + 10_000 * n as i64;
        reception.load(&load(sequence, now - delay * 1000), now);
    }
    let feedback = reception.feedback(NOW + 70_000, false, false, 0).expect("something to tell");
    let status = Status::read(&feedback).expect("ours");
    assert_eq!((status.errors, status.sequence, status.clock_delta), ([1, 1, 1], 1, 2));
    // Above the least so far: 2 (0), 4, 1, 1.
    assert_eq!((status.variation, status.trial), ([0, 4, 6, 4], [70_000, 7, 7000]));
    assert_eq!((status.round_trip, status.round_trip_variation), (pdu::NO_DELAY, pdu::NO_DELAY));
    // The first load that echoes it measures the round trip; what held it back does not count.
    for (held, sequence) in [(5, 8), (5, 9)] {
        let echo = Load { feedback: status.sent, held, ..load(sequence, NOW + 80_000) };
        reception.load(&echo, NOW + 82_000);
    }
    // Nobody believes one of an hour.
    let strange = Load { feedback: Stamp::of(NOW - 3_600_000_000), ..load(10, NOW + 85_000) };
    reception.load(&strange, NOW + 85_000);
    let sub = reception.end_sub(NOW + 1_000_000);
    assert_eq!((sub.datagrams, sub.bytes, sub.errors, sub.time), (10, 10_000, [1, 1, 1], 1_000_000));
    assert_eq!((sub.round_trip, sub.delay), (Some((7000, 7000)), Some((0, 6000))));
    let second =
        Status::read(&reception.feedback(NOW + 1_000_000, true, true, 1).expect("one")).expect("ours");
    assert_eq!((second.action, second.is_deaf, second.errors, second.sub_interval), (2, true, [0; 3], 1));
    assert_eq!((second.counted.datagrams, second.counted.elapsed, second.round_trip), (10, 1000, 7));
    assert_eq!(reception.end_sub(NOW + 2_000_000).datagrams, 0);
}

#[test]
fn numbers_and_times_of_a_liar_are_harmless() {
    let mut reception = Reception::new(NOW, 3_000_000);
    for sequence in [u32::MAX, 0, 1, u32::MAX, 5, u32::MAX] {
        for seconds in [0, 1 << 31, u32::MAX] {
            let mut datagram = [0xFF; 1000];
            load(sequence, 0).write(&mut datagram);
            datagram[12..16].copy_from_slice(&u32::to_be_bytes(seconds));
            datagram[16..20].fill(0xFF);
            datagram[20..24].copy_from_slice(&u32::to_be_bytes(seconds));
            let load = Load::read(&datagram, 1000).expect("load");
            reception.load(&load, NOW);
        }
    }
    assert!(reception.feedback(NOW, false, false, 0).is_some());
    reception.end_sub(NOW);
    let mut emission = Emission::new(Rate::default(), NOW, true, (35, 1472), 5);
    let mut octets = [0xFF; pdu::STATUS];
    octets[..4].copy_from_slice(&[0xFE, 0xED, 0, 0]);
    octets[202..].fill(0);
    let status = Status::read(&octets).expect("feedback");
    let sub = emission.heard(&status, NOW).expect("a sub-interval");
    let mut row = results::Row::default();
    row.add(&sub, true);
    row.add(&sub, true);
    let plan = Plan::of(&job("/".into(), &[("ServerList", "a")])).unwrap_or_else(|r| panic!("{}", r.why));
    assert_eq!(results::report(&[row], &plan, None).state, "Complete");
}

#[test]
fn load_goes_when_it_is_due() {
    let slow = Timer { interval: 1000, payload: 1222, burst: 2, addon: 97, by_chance: false };
    let fast = Timer { interval: 100, payload: 8972, burst: 10, addon: 0, by_chance: false };
    let mut emission = Emission::new(Rate([Timer::default(), slow]), NOW, true, (100, 1472), 5);
    assert_eq!((emission.due(), emission.take(NOW)), (Some(NOW + 1000), None));
    // As large on its way as with IPv4; none is smaller than is allowed.
    let burst = Burst { payload: 1202, count: 2, addon: 100 };
    assert_eq!(emission.take(NOW + 1500), Some(burst));
    assert_eq!((emission.due(), emission.take(NOW + 1500)), (Some(NOW + 2000), None), "no drift");
    // What is a little late is made up for, what is very late is not.
    assert_eq!((0..9).filter(|_| emission.take(NOW + 5000).is_some()).count(), 4);
    assert_eq!((0..99).filter(|_| emission.take(NOW + 1_000_000).is_some()).count(), 1);
    // Another rate: its timers begin, the other one stands.
    let status = Status { rate: Rate([fast, Timer::default()]), sequence: 3, ..Status::default() };
    assert_eq!(emission.heard(&status, NOW + 1_000_000), None);
    assert_eq!(emission.due(), Some(NOW + 1_000_100));
    assert_eq!(
        emission.take(NOW + 1_000_100).map(|burst| burst.payload),
        Some(1472),
        "no more than is allowed"
    );
    let load = emission.next(1472, NOW + 1_004_000, 0, false);
    assert_eq!((load.sequence, load.held, load.missed), (1, 4, 2));
    emission.take_back();
    assert_eq!(emission.next(1472, NOW, 0, false).sequence, 1);
    emission.heard(&Status { sequence: 2, ..status }, NOW);
    assert_eq!(emission.next(99, NOW, 0, false).missed, u16::MAX, "feedback that came late");
    // By chance, within the bounds.
    let chance = Timer { interval: 100, addon: 1222, by_chance: true, ..Timer::default() };
    let mut emission = Emission::new(Rate([chance, Timer::default()]), NOW, false, (35, 1472), 5);
    let sizes: Vec<u32> = (1..100).filter_map(|n| Some(emission.take(NOW + 100 * n)?.addon)).collect();
    assert!(sizes.len() == 99 && sizes.iter().all(|size| (52..=1222).contains(size)), "{sizes:?}");
    assert!(sizes.iter().max() > sizes.iter().min());
}

#[test]
fn results_are_in_the_units_of_the_standard() {
    let more = [("ServerList", "a"), ("NumberFirstModeTestSubIntervals", "2"), ("IPRREnable", "true")];
    let plan = Plan::of(&job("/".into(), &more)).unwrap_or_else(|report| panic!("{}", report.why));
    let rows: Vec<results::Row> = [1000, 3000, 3000, 2000]
        .into_iter()
        .map(|datagrams| {
            let mut row = results::Row::default();
            let sub = Sub {
                end: NOW,
                time: 1_000_000,
                datagrams,
                bytes: datagrams * 972,
                errors: [1000, 1000, 5],
                delay: Some((-2000, datagrams as i64)),
                round_trip: Some((1000, 3000)),
                interface: 125_000,
            };
            row.add(&sub, false);
            row
        })
        .collect();
    let report = results::report(&rows, &plan, None);
    let value = |name: &str| {
        let found = report.values.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value.as_str()).to_owned()
    };
    for (name, expected) in [
        ("MaxIPLayerCapacity", "24.00"),
        ("MaxETHCapacityNoFCS", "24.34"),
        ("MaxETHCapacityWithFCS", "24.43"),
        ("MaxETHCapacityWithFCSVLAN", "24.53"),
        ("LossRatioAtMax", "0.250000000"),
        ("ReorderedRatioAtMax", "0.250000000"),
        ("ReplicatedRatioAtMax", "0.000000000"), // not asked for
        ("PDVRangeAtMax", "0.005000000"),
        ("MinOnewayDelayAtMax", "-0.002000000"),
        ("RTTRangeAtMax", "0.002000000"),
        ("RTTMinAtMax", "0.001000000"),
        ("RTTMaxAtMax", "0.003000000"),
        ("InterfaceEthMbpsAtMax", "1.00"),
        ("IPLayerCapacitySummary", "18.00"),
        ("MinRTTSummary", "0.001000000"),
        ("TimeOfMax", "2023-11-14T22:13:20.000000Z"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    let rows: Vec<(&str, usize)> = report.tables.iter().map(|(name, rows)| (*name, rows.len())).collect();
    assert_eq!(rows, [("IncrementalResult", 4), ("ModalResult", 1)]);
}

#[test]
fn the_version_told_is_that_of_the_program() {
    let own = format!("cwmpd-{}", env!("CARGO_PKG_VERSION"));
    assert!(include_str!("../../../datamodel/diag_capacity.toml").contains(&format!("const = \"{own}\"")));
}
