//! Sessions that fail: each kind in its words, what is kept, and when the next attempt comes.

use crate::acs::{Acs, Direction, Incident, Options, Reply};
use crate::daemon::Daemon;
use crate::{LONG_WAIT, SOON, agent, agent_at, agent_with, call, failure, kicked, over, status, text};

/// Waits until this many sessions in a row have failed; the reason of the last.
#[track_caller]
fn failed(daemon: &Daemon, times: u32) -> String {
    daemon.wait_for("failed session", || {
        let status = status(daemon);
        status["retry_count"] == times && !text(&status, "state").starts_with("in a session")
    });
    failure(daemon).expect("it failed")
}

/// C-4, C-5, C-22, C-23, C-24, C-25, C-28, E-21, T-6, T-31, V-23: whatever fails, the events wait, the reason
/// is told in words, and the next attempt is planned.
// Proves: T-31, E-21, C-4, C-5, C-22, C-23, C-24, C-25, C-28, V-23
#[test]
fn c_23_every_kind_of_failure() {
    let acs = Acs::start(Options::default());
    let daemon = agent_with(&acs, "kinds", &format!("{LONG_WAIT}response_timeout = 1\n"));
    daemon.wait_ready();
    let mut session = acs.next_inform(SOON);
    session.reply_empty();
    let why = failed(&daemon, 1);
    assert!(why.contains("empty response"), "C-4: {why}");
    drop(session);
    let scripted = |xml: &str| Incident::Reply(Reply::envelope(xml));
    let kinds = [
        (Incident::Status(500), "HTTP status 500"),
        (Incident::Status(503), "HTTP status 503"),
        (Incident::Status(404), "HTTP status 404"),
        (Incident::Drop, "closed the connection"),
        (Incident::Fault(8001), "fault 8001"),
        (scripted("<not-xml"), "cannot be read"),
        (scripted("<a><b/></a>"), "cannot be read"),
        (Incident::Redirect(302, String::new()), "redirect"),
        (Incident::Silence, "deadline"),
    ];
    for (n, (incident, words)) in (2..).zip(kinds) {
        let silent = matches!(incident, Incident::Silence);
        acs.at(1, incident);
        daemon.ask(&["inform"]);
        let why = failed(&daemon, n);
        assert!(why.to_lowercase().contains(&words.to_lowercase()), "{words}: {why}");
        let status = status(&daemon);
        let pending = status["pending_events"].as_array().expect("a list");
        assert_eq!(pending.len(), 2, "V-23: {pending:?}");
        let seconds = status["next_session"]["seconds"].as_u64().expect("planned");
        assert!((1..=600).contains(&seconds), "C-25: m = 600, k = 1000: {seconds}");
        assert_eq!(status["next_session"]["why"], format!("retry {n}"));
        if silent {
            acs.change(|options| options.cookies = true); // rings the bell
            acs.release();
        }
    }
    let shown = daemon.ask(&["status"]);
    assert!(shown.contains("FAILED: deadline passed"), "{shown}");
}

/// C-22, C-24, C-26, C-28: the wait is over by itself; RetryCount says how often it failed, and
/// begins anew after a success.
// Proves: C-24, C-26
#[test]
fn c_24_the_next_attempt_comes_by_itself() {
    let acs = Acs::start(Options::default());
    acs.at(1, Incident::Status(500));
    acs.at(1, Incident::Status(503));
    let daemon = agent(&acs, "by-itself");
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"], "C-28");
    assert_eq!(session.inform.retry_count, 2, "C-22");
    session.end();
    over(&daemon);
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.retry_count, 0, "C-26");
    session.end();
}

/// T-6, C-23: nobody listens.
// Proves: C-23
#[test]
fn t_6_a_refused_port() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("bound");
    drop(port);
    let mut daemon = agent_at(&format!("http://{address}/acs"), "refused", LONG_WAIT);
    daemon.start();
    daemon.wait_ready();
    let why = failed(&daemon, 1);
    assert!(why.starts_with("TCP:") && why.contains("refused"), "{why}");
    let acs = Acs::start(Options { address, ..Options::default() });
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(session.inform.retry_count, 1);
    session.end();
}

/// C-27, CR-20, V-15: a connection request ends the wait; when its session fails it is not told again.
// Proves: C-27, V-15, CR-20
#[test]
fn cr_20_a_call_during_the_wait() {
    let acs = Acs::start(Options::default());
    acs.at(1, Incident::Status(500));
    let daemon = agent_with(&acs, "called", LONG_WAIT);
    daemon.wait_ready();
    failed(&daemon, 1);
    acs.at(1, Incident::Status(500));
    call(&acs, &daemon);
    failed(&daemon, 2);
    let told = acs.log().into_iter().rfind(|m| m.direction == Direction::FromAgent).expect("an Inform");
    for code in ["0 BOOTSTRAP", "1 BOOT", "6 CONNECTION REQUEST"] {
        assert!(told.body.contains(code), "C-27: {code}\n{}", told.body);
    }
    let session = kicked(&acs, &daemon);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"], "V-15");
    assert_eq!(session.inform.retry_count, 2);
    session.end();
}

/// C-6: 8005 has the same Inform sent again, byte for byte, in the same session; not forever.
// Proves: C-6
#[test]
fn c_6_retry_request() {
    let acs = Acs::start(Options::default());
    acs.at(1, Incident::Fault(8005));
    acs.at(1, Incident::Fault(8005));
    let daemon = agent_with(&acs, "8005", LONG_WAIT);
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.retry_count, 0);
    session.end();
    let informs: Vec<String> =
        acs.log().into_iter().filter(|m| m.body.contains(":Inform>")).map(|m| m.body).collect();
    assert_eq!(informs.len(), 3);
    assert!(informs.iter().all(|i| *i == informs[0]), "C-6: identical");
    over(&daemon);
    for _ in 0..10 {
        acs.at(1, Incident::Fault(8005));
    }
    daemon.ask(&["inform"]);
    let why = failed(&daemon, 1);
    assert!(why.contains("8005"), "{why}");
}

/// V-3, V-23, C-22: a session that fails after its Inform was answered is tried again, with nothing
/// that was delivered.
// Proves: V-3
#[test]
fn v_3_failure_after_the_inform() {
    let acs = Acs::start(Options::default());
    acs.at(2, Incident::Status(500));
    let daemon = agent(&acs, "later");
    let first = acs.next_session(SOON);
    assert_eq!(first.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    let second = acs.next_session(SOON);
    assert_eq!(second.inform.codes(), [""; 0], "V-3: delivered is delivered");
    assert_eq!(second.inform.retry_count, 1, "C-22");
    second.end();
    over(&daemon);
    assert_eq!(status(&daemon)["retry_count"], 0);
}

/// C-33: Retry-After asks for longer, never for shorter.
// Proves: C-33
#[test]
fn c_33_retry_after() {
    for (asked, least, most) in [("3000", 2900, 3000), ("1", 500, 600)] {
        let acs = Acs::start(Options::default());
        acs.at(1, Incident::Reply(Reply::status(503).with("Retry-After", asked)));
        let daemon = agent_with(&acs, "after", LONG_WAIT);
        daemon.wait_ready();
        failed(&daemon, 1);
        let seconds = status(&daemon)["next_session"]["seconds"].as_u64().expect("planned");
        assert!((least..=most).contains(&seconds), "{asked}: {seconds}");
    }
}

/// V-5, V-12, I-12: a 2 PERIODIC that could not be told waits, once, also through a reboot.
// Proves: C-27, V-5, V-12, I-12
#[test]
fn v_12_a_periodic_inform_waits() {
    let acs = Acs::start(Options::default());
    acs.at(1, Incident::Status(500));
    let mut daemon = agent_with(&acs, "waits", &format!("{LONG_WAIT}periodic_inform_interval = 1\n"));
    daemon.wait_ready();
    let pending = |daemon: &Daemon| status(daemon)["pending_events"].clone();
    let all = serde_json::json!([["0 BOOTSTRAP", ""], ["1 BOOT", ""], ["2 PERIODIC", ""]]);
    daemon.wait_for("2 PERIODIC", || pending(&daemon) == all);
    assert_eq!(acs.sessions(), 0, "C-27: the wait is kept");
    daemon.reboot();
    daemon.start();
    let session = acs.next_session(SOON);
    let mut codes = session.inform.codes();
    codes.sort_unstable();
    assert_eq!(codes, ["0 BOOTSTRAP", "1 BOOT", "2 PERIODIC"], "V-12");
    session.end();
}
