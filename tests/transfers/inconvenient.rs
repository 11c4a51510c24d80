//! An ACS that asks too much, asks twice, or is not there.

use crate::SOON;
use crate::acs::{Acs, Options, Transfer, Window};
use crate::bed::{Bed, CONFIG, CONTENT, SAVED, Setup};
use crate::files::Manner;

/// two transfers with one CommandKey, each with its event and its TransferComplete.
// Proves
#[test]
fn x_28_the_same_command_key_twice() {
    let bed = Bed::start("twice");
    let good = bed.files.put("/good", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    session.download(&Transfer::new("k", CONFIG, &good)).expect("promised");
    session.download(&Transfer::new("k", CONFIG, &bed.files.url("/none"))).expect("X-28");
    session.end();
    let mut codes: Vec<u16> = Vec::new();
    while codes.len() < 2 {
        codes.extend(bed.told().iter().map(|c| c.code));
    }
    assert_eq!(codes, [0, 9016]);
    bed.quiet();
}

/// what does not fit is refused, and the sixteen that do are kept.
// Proves: X-27
#[test]
fn ten_thousand_downloads() {
    let bed = Bed::start("many");
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    let mut taken = 0;
    for n in 0..10_000 {
        let transfer = Transfer { delay_seconds: 86_400, ..Transfer::new(&format!("k{n}"), CONFIG, &url) };
        match session.download(&transfer) {
            Ok(()) => taken += 1,
            Err(fault) => assert_eq!(fault.code, 9004, "X-27: {n}: {fault:?}"),
        }
    }
    assert_eq!(taken, 16);
    assert_eq!(session.all_queued().expect("a list").len(), 16);
    assert_eq!(session.queued().expect("a list").len(), 16);
    for n in 0..16 {
        session.cancel(&format!("k{n}")).expect("X-41");
    }
    assert_eq!(session.all_queued(), Ok(vec![]));
    session.end();
    bed.quiet();
    assert_eq!((bed.acs.sessions(), bed.files.connections()), (1, 0), "X-42");
}

/// The ACS goes with a transfer under way and comes back much later: it is told then. What a day of waits
/// looks like is the schedule's affair, and in its tables; here the wait is one that nobody sits out.
// Proves: X-21
#[test]
fn an_acs_that_is_gone() {
    let setup = Setup { acs: "fallback_urls = []\n".into(), ..Setup::default() };
    let setup = Setup { acs: String::new(), ..setup };
    let mut bed = Bed::started("gone", &setup);
    let url = bed.files.put("/f", CONTENT);
    bed.files.always("/f", Manner::Gate(10));
    bed.download(&Transfer::new("k", CONFIG, &url));
    bed.files.wait_at_gate("/f", SOON);
    let place = bed.acs.url();
    let host = place.trim_start_matches("http://").trim_end_matches("/acs");
    let address = host.parse().expect("an address");
    // nobody listens there any more
    bed.acs = Acs::start(Options::default());
    bed.files.open("/f");
    bed.daemon.wait_for("attempts in vain", || bed.status()["retry_count"].as_u64().is_some_and(|n| n >= 2));
    assert_eq!(bed.applied().as_deref(), Some(CONTENT));
    assert_eq!(bed.transfers()[0]["step"], "done", "it waits");
    bed.daemon.reboot();
    bed.daemon.start();
    bed.daemon.wait_ready();
    bed.acs = Acs::start(Options { address, ..Options::default() });
    let mut session = bed.acs.next_session(SOON);
    assert!(session.inform.codes().contains(&"1 BOOT"), "{:?}", session.inform.codes());
    assert_eq!(session.completes().iter().map(|c| c.brief()).collect::<Vec<_>>(), [("k", 0)]);
    session.end();
    bed.quiet();
    assert_eq!(bed.files.count("GET", "/f"), 1);
}

/// what nobody here speaks is refused at once, and nothing comes afterwards.
// Proves
#[test]
fn x_29_what_is_refused_at_once() {
    let bed = Bed::start("gopher");
    let mut session = bed.acs.next_session(SOON);
    for url in ["gopher://h/f", "ftp://h/f", "tftp://h/f", "sftp://h/f", "file:///etc/passwd"] {
        let fault = session.download(&Transfer::new("k", CONFIG, url)).expect_err(url);
        assert_eq!(fault.code, 9013, "X-7: {url}: {fault:?}");
    }
    for (url, size) in [("no URL at all", 0), ("http://", 0), ("", 0)] {
        let transfer = Transfer { file_size: size, ..Transfer::new("k", CONFIG, url) };
        let fault = session.download(&transfer).expect_err(url);
        assert!([9003, 9013].contains(&fault.code), "{url}: {fault:?}");
    }
    let url = bed.files.put("/f", CONTENT);
    let long = |n: usize| format!("{url}?{}", "x".repeat(n - url.len() - 1));
    for file_type in ["0 Nothing", "3", "", "X 00D0 Short", "7 Something", SAVED] {
        let fault = session.download(&Transfer::new("k", file_type, &url)).expect_err(file_type);
        assert_eq!(fault.code, 9003, "X-2: {file_type}: {fault:?}");
    }
    for file_type in ["3 Vendor Configuration File 99", "4 Vendor Log File x", CONFIG] {
        let fault = session.upload(&Transfer::new("k", file_type, &url)).expect_err(file_type);
        assert!([9003, 9011].contains(&fault.code), "X-3: {file_type}: {fault:?}");
    }
    let fault = session.download(&Transfer::new("k", CONFIG, &long(257))).expect_err("X-4");
    assert_eq!(fault.code, 9003, "X-4");
    let fault = session.download(&Transfer::new(&"k".repeat(33), CONFIG, &url)).expect_err("33");
    assert_eq!(fault.code, 9003);
    for windows in [&[][..], &[(5, 5)], &[(9, 5)], &[(0, 10), (5, 20)], &[(0, 1), (2, 3), (4, 5)]] {
        let list: Vec<_> = windows.iter().map(|(s, e)| Window::new(*s, *e, "2 Immediately")).collect();
        let fault = session.schedule_download(&Transfer::new("k", CONFIG, &url), &list);
        assert_eq!(fault.expect_err("X-37, X-38").code, 9003, "X-37, X-38: {windows:?}");
    }
    let unknown = [Window::new(0, 600, "5 Whenever")];
    let fault = session.schedule_download(&Transfer::new("k", CONFIG, &url), &unknown);
    assert_eq!(fault.expect_err("X-38").code, 9003, "X-38");
    session.end();
    bed.quiet();
    assert_eq!((bed.acs.sessions(), bed.files.connections()), (1, 0), "X-9");
}
