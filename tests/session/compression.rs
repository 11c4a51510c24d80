//! HTTPCompression: what the ACS sets, what then goes over the wire, and how it ends when the ACS cannot
//! read it.

use crate::acs::{Acs, Algorithm, Authentication, Coding, Direction, Incident, Message, Options, Reply};
use crate::{LONG_WAIT, SOON, agent, agent_with, failure, kicked, over, settled, status};
use std::fs;

const PARAMETER: &str = "Device.ManagementServer.HTTPCompression";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";

/// What the agent sent with a body, and how.
fn sent(acs: &Acs) -> Vec<Message> {
    acs.log().into_iter().filter(|m| m.direction == Direction::FromAgent && m.wire > 0).collect()
}

fn codings(messages: &[Message]) -> Vec<Option<&str>> {
    messages.iter().map(|m| m.head.header("Content-Encoding")).collect()
}

/// A session in which the ACS chooses a coding.
#[track_caller]
fn choose(acs: &Acs, daemon: &crate::daemon::Daemon, coding: &str) {
    let mut session = kicked(acs, daemon);
    assert_eq!(session.set(&[(PARAMETER, "xsd:string", coding)], ""), Ok(0));
    session.end();
    over(daemon);
}

// Proves: T-34
#[test]
fn t_34_values() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "values-of-compression");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.value(PARAMETER).as_deref(), Ok("Disabled"), "the factory's value");
    let supported = session.value("Device.ManagementServer.HTTPCompressionSupported");
    assert_eq!(supported.as_deref(), Ok("GZIP,Deflate"));
    for value in ["Compress", "gzip", "GZip", "deflate", "", "GZIP,Deflate", "disabled"] {
        let fault = session.set(&[(PARAMETER, "xsd:string", value)], "").expect_err(value);
        let [(name, code, _)] = fault.parameters.as_slice() else { panic!("{fault:?}") };
        assert_eq!((fault.code, name.as_str(), *code), (9003, PARAMETER, 9007), "{value}");
    }
    for value in ["GZIP", "Deflate", "Disabled"] {
        assert_eq!(session.set(&[(PARAMETER, "xsd:string", value)], ""), Ok(0), "{value}");
        assert_eq!(session.value(PARAMETER).as_deref(), Ok(value));
    }
    session.end();
}

/// The change holds from the next session on, and outlives the agent; every message with a body is
/// compressed then, the long streamed ones too.
// Proves: T-32
#[test]
fn t_32_from_the_next_session_on() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "compression");
    for (value, name) in [("GZIP", "gzip"), ("Deflate", "deflate")] {
        choose(&acs, &daemon, value);
        let before = sent(&acs).len();
        let mut session = kicked(&acs, &daemon);
        assert_eq!(session.value(PARAMETER).as_deref(), Ok(value));
        let whole = session.get_count(&["Device."]);
        assert_eq!(Some(whole.values), whole.declared);
        assert!(whole.bytes > 70_000, "long enough to be a stream: {}", whole.bytes);
        session.set(&[(CODE, "xsd:string", "a&b")], "").expect("set");
        assert_eq!(session.value(CODE).as_deref(), Ok("a&b"));
        session.end();
        over(&daemon);
        assert_eq!(failure(&daemon), None);
        let sent = &sent(&acs)[before..];
        assert_eq!(codings(sent), [Some(name); 5], "{value}");
        assert!(sent.iter().all(|m| m.head.header("Accept-Encoding") == Some("gzip, deflate")));
        assert!(sent[0].wire * 2 < sent[0].body.len() as u64, "an Inform of {} bytes", sent[0].wire);
        let long = sent.iter().find(|m| m.body == "(counted)").expect("the long answer");
        assert_eq!(long.head.header("Transfer-Encoding"), Some("chunked"));
        assert!(long.wire * 5 < whole.bytes, "{} of {} bytes", long.wire, whole.bytes);
    }
    // The session that chose was the last one of the kind before.
    let all = sent(&acs);
    let informs: Vec<Message> = all.into_iter().filter(|m| m.body.contains(":Inform>")).collect();
    assert_eq!(codings(&informs), [None, None, Some("gzip"), Some("gzip"), Some("deflate")]);
    assert!(informs[1].head.header("Accept-Encoding").is_none(), "T-35: none is asked for");

    daemon.kill();
    daemon.start();
    daemon.wait_ready();
    choose(&acs, &daemon, "Disabled");
    let before = sent(&acs).len();
    kicked(&acs, &daemon).end();
    let all = sent(&acs);
    assert_eq!(codings(&all[before - 1..]), [Some("deflate"), None], "on disk, and switched off again");
}

/// T-33: 415 to the compressed Inform. The next attempt, after the retry wait, is plain, and so are all
/// until somebody says otherwise.
// Proves: T-33
#[test]
fn t_33_an_acs_that_says_415() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "415");
    choose(&acs, &daemon, "GZIP");
    acs.at(1, Incident::Status(415));
    daemon.ask(&["inform"]);
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.retry_count, 1, "by the retry policy");
    // The same value again is no change: an ACS that sets it each time would be in a circle.
    session.set(&[(PARAMETER, "xsd:string", "GZIP")], "").expect("set");
    session.end();
    over(&daemon);
    kicked(&acs, &daemon).end();
    let last = |n: usize| {
        let sent = sent(&acs);
        let codings: Vec<Option<String>> = codings(&sent).into_iter().map(|c| c.map(str::to_owned)).collect();
        codings[codings.len() - n..].to_vec()
    };
    let gzip = || Some("gzip".to_owned());
    assert_eq!(last(4), [gzip(), None, None, None]);
    let said = status(&daemon)["notes"].to_string();
    assert!(said.contains("HTTPCompression is not used"), "{said}");
    assert!(daemon.log().contains("415"), "{}", daemon.log());

    // Set anew, the ACS is asked anew.
    daemon.ask(&["set", &format!("{PARAMETER}=Disabled")]);
    daemon.ask(&["set", &format!("{PARAMETER}=GZIP")]);
    kicked(&acs, &daemon).end();
    over(&daemon);
    assert_eq!(last(1), [gzip()]);
    assert!(!status(&daemon)["notes"].to_string().contains("HTTPCompression"));

    // In the middle of a session, to an answer; and the agent that starts again asks anew, too.
    acs.at(3, Incident::Status(415));
    daemon.ask(&["inform"]);
    let session = acs.next_session(SOON);
    let asked = std::thread::spawn(move || {
        let mut session = session;
        session.doomed(true);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| session.value(CODE))).is_err()
    });
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.retry_count, 1);
    session.end();
    assert!(asked.join().expect("joined"), "the answer never came");
    over(&daemon);
    assert_eq!(last(3), [gzip(), gzip(), None]);
    daemon.kill();
    daemon.start();
    daemon.wait_ready();
    kicked(&acs, &daemon).end();
    over(&daemon);
    assert_eq!(last(1), [gzip()]);
}

/// An ACS that cannot read what it asked for and does not know 415 is not lost either.
// Proves: T-33
#[test]
fn t_33_an_acs_that_says_400() {
    let acs = Acs::start(Options::default());
    let daemon = settled(&acs, "400");
    choose(&acs, &daemon, "Deflate");
    acs.at(1, Incident::Status(400));
    daemon.ask(&["inform"]);
    let mut session = acs.next_session(SOON);
    session.set(&[(PARAMETER, "xsd:string", "Disabled")], "").expect("set");
    session.end();
    over(&daemon);
    let sent = sent(&acs);
    assert_eq!(codings(&sent[sent.len() - 3..]), [Some("deflate"), None, None]);
    assert!(!status(&daemon)["notes"].to_string().contains("HTTPCompression"), "nothing to be said now");
}

/// Compression alone is to blame: neither the version of CWMP (E-16) nor the ACS is changed for it.
// Proves: T-33, E-16
#[test]
fn t_33_nothing_else_is_blamed() {
    let acs = Acs::start(Options::default());
    let other = Acs::start(Options::default());
    let more = format!("{LONG_WAIT}fallback_urls = [\"{}\"]\nfallback_after = 2\n", other.url());
    acs.at(1, Incident::Status(503));
    let daemon = agent_with(&acs, "blamed", &more);
    daemon.wait_ready();
    daemon.wait_for("failure", || failure(&daemon).is_some());
    daemon.ask(&["set", &format!("{PARAMETER}=GZIP")]);
    acs.at(1, Incident::Status(400));
    daemon.ask(&["inform"]);
    daemon.wait_for("400", || failure(&daemon).is_some_and(|why| why.contains("400")));
    let session = kicked(&acs, &daemon);
    assert!(session.inform.xml.contains("urn:dslforum-org:cwmp-1-2"), "E-16: the newest version");
    assert_eq!(session.inform.retry_count, 2);
    session.end();
    over(&daemon);
    assert_eq!(codings(&sent(&acs)[..3]), [None, Some("gzip"), None]);
    assert_eq!(other.sessions(), 0);
}

/// A 415 to what was not compressed is a failure like others.
// Proves: T-31
#[test]
fn t_31_415_without_compression() {
    let acs = Acs::start(Options::default());
    acs.at(1, Incident::Status(415));
    let daemon = agent(&acs, "plain-415");
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.retry_count, 1);
    session.end();
    over(&daemon);
    assert_eq!(status(&daemon)["notes"].to_string(), "[]");
}

/// Responses in every coding, asked for or not, in every manner; and both ways at once, with a
/// challenge, redirects, and connections that end after each answer.
// Proves: T-4, T-16, T-32, T-35
#[test]
fn t_35_codings_both_ways() {
    let plain = Options::default;
    let digest = Authentication::Digest(vec![Algorithm::Md5]);
    for (name, value, options) in [
        ("gzip", "Disabled", Options { coding: Some(Coding::Gzip), ..plain() }),
        ("deflate", "GZIP", Options { coding: Some(Coding::Deflate), chunk: Some(1), ..plain() }),
        ("bare", "Deflate", Options { coding: Some(Coding::BareDeflate), close_unsaid: true, ..plain() }),
        (
            "all",
            "GZIP",
            Options {
                coding: Some(Coding::Gzip),
                close_each: true,
                chunk: Some(3),
                interim_100: true,
                lower_case_headers: true,
                empty_as_200: true,
                authentication: digest,
                ..plain()
            },
        ),
    ] {
        let acs = Acs::start(options);
        let daemon = settled(&acs, name);
        choose(&acs, &daemon, value);
        acs.at(1, Incident::Redirect(302, "/acs/a".to_owned()));
        acs.at(3, Incident::Redirect(307, "/acs/b".to_owned()));
        let mut session = kicked(&acs, &daemon);
        session.set(&[(CODE, "xsd:string", name)], "").expect("set");
        assert_eq!(session.value(CODE).as_deref(), Ok(name));
        let names = vec!["Device.DeviceInfo.Manufacturer"; 1500];
        assert_eq!(session.get(&names).expect("values").len(), 1500, "T-36");
        let whole = session.get_count(&["Device."]);
        assert_eq!(Some(whole.values), whole.declared);
        session.end();
        over(&daemon);
        assert_eq!(failure(&daemon), None, "{name}");
    }
}

/// What cannot be decoded ends the session, with the reason in words; the next one is as ever. A
/// bomb is not blown up.
// Proves: T-35
#[test]
fn t_35_garbage_and_bombs() {
    let acs = Acs::start(Options::default());
    let daemon = agent_with(&acs, "garbage", LONG_WAIT);
    acs.next_session(SOON).end();
    over(&daemon);
    // The most that the process ever had in memory, in KiB.
    let peak = || {
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("a process");
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    let coded = |name: &str, body: Vec<u8>| Reply::envelope(body).with("Content-Encoding", name);
    let bomb = Coding::Gzip.encode(&vec![b' '; 64 << 20]);
    let before = peak();
    for (reply, word) in [
        (coded("gzip", b"<Envelope/>".to_vec()), "invalid gzip header"),
        (coded("deflate", b"<Envelope/>".to_vec()), "corrupt"),
        (coded("gzip", Coding::Gzip.encode(b"<Envelope/>")[..20].to_vec()), "incomplete"),
        (coded("gzip", [Coding::Gzip.encode(b"a"), Coding::Gzip.encode(b"b")].concat()), "behind its end"),
        (coded("gzip, gzip", Coding::Gzip.encode(&Coding::Gzip.encode(b"a"))), "more than once"),
        (coded("br", b"abc".to_vec()), "not known: br"),
        (coded("gzip", bomb.clone()), "too large"),
        (coded("deflate", [0, 0, 0, 0xff, 0xff].repeat(500_000)), "too large"),
        (coded("gzip", bomb), "too large"),
    ] {
        acs.at(2, Incident::Reply(reply));
        daemon.ask(&["inform"]);
        let session = acs.next_session(SOON);
        daemon.wait_for(word, || failure(&daemon).is_some_and(|why| why.contains(word)));
        drop(session);
    }
    kicked(&acs, &daemon).end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);
    let after = peak();
    assert!(after < before + 16 * 1024, "{before} KiB before, up to {after} KiB while they came");
}
