//! How the ACS is told: events, order, and an ACS that does not take it (C-7, C-8, C-12, X-9 to X-22).

use crate::SOON;
use crate::acs::{Incident, Post, Transfer, UNKNOWN_TIME, Window};
use crate::bed::{Bed, CONFIG, CONTENT, FIRMWARE, LOG, Setup};
use crate::files::Manner;

/// A transfer has ended, and the session that tells it has begun; its Inform is answered.
#[track_caller]
fn ended(name: &str) -> (Bed, crate::acs::Session) {
    let bed = Bed::start(name);
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", CONFIG, &url));
    let session = bed.acs.next_session(SOON);
    (bed, session)
}

/// C-11: in the session after, before the empty POST.
// Proves: C-11, X-8, X-9, X-11, X-16, X-17, X-18, X-19, V-16
#[test]
fn x_19_the_events_and_the_report() {
    let (bed, mut session) = ended("x-19");
    let mut events = session.inform.events.clone();
    events.sort();
    let event = |code: &str, key: &str| (code.to_string(), key.to_string());
    assert_eq!(events, [event("7 TRANSFER COMPLETE", ""), event("M Download", "k")], "X-19");
    let complete = session.next_complete();
    assert_eq!((complete.command_key.as_str(), complete.code, complete.text.as_str()), ("k", 0, ""), "X-16");
    assert_ne!(complete.start_time, UNKNOWN_TIME, "X-17");
    assert_ne!(complete.complete_time, UNKNOWN_TIME, "X-17");
    assert_eq!(bed.transfers()[0]["step"], "done");
    session.accept();
    session.ready();
    assert!(matches!(session.peek(), Post::Empty), "C-11");
    session.end();
    bed.quiet();
    let session = bed.kicked();
    assert_eq!(session.inform.codes(), ["2 PERIODIC"], "V-16: told once");
    session.end();
}

/// three that have ended are told in one session, each once.
// Proves: X-20
#[test]
fn x_20_three_downloads() {
    let bed = Bed::start("x-20");
    let mut session = bed.acs.next_session(SOON);
    for n in ["4", "5", "6"] {
        let url = bed.files.put(&format!("/{n}"), CONTENT);
        session.download(&Transfer::new(n, CONFIG, &url)).expect("promised");
    }
    // an ACS that is out of order meanwhile
    (0..60).for_each(|_| bed.acs.at(1, Incident::Status(503)));
    session.end();
    bed.daemon
        .wait_for("end of all three", || bed.transfers().iter().filter(|t| t["step"] == "done").count() == 3);
    bed.acs.forget();
    bed.daemon.ask(&["inform"]);
    // an Inform that was made before the last had ended may be on its way
    let mut session = bed.acs.next_session(SOON);
    let mut told = session.completes();
    let codes = session.inform.codes().join(",");
    session.end();
    while told.len() < 3 {
        told.extend(bed.told());
    }
    assert_eq!(told.iter().map(|c| c.command_key.as_str()).collect::<Vec<_>>(), ["4", "5", "6"], "{codes}");
}

/// C-7: 8005 has the same bytes sent again, in this session.
// Proves: C-7
#[test]
fn c_7_retry_request() {
    let (bed, mut session) = ended("c-7");
    let (first, one) = session.next_request();
    session.refuse(8005);
    let (second, two) = session.next_request();
    assert_eq!((first.method.name.as_str(), one), ("TransferComplete", two), "C-7: identical");
    assert_eq!(first.id, second.id);
    session.accept();
    assert_eq!(session.completes().len(), 1);
    session.end();
    bed.quiet();
}

/// C-8: another fault is an answer: the session goes on, everything is kept, and it is told again later.
// Proves: C-8, X-21
#[test]
fn c_8_another_fault() {
    let (mut bed, mut session) = ended("c-8");
    assert_eq!(session.next_complete().brief(), ("k", 0));
    session.refuse(8002);
    session.ready();
    assert!(session.value("Device.DeviceInfo.ProvisioningCode").is_ok(), "C-8: the session goes on");
    session.end();
    bed.daemon.wait_for("end of the session", || {
        bed.status()["state"].as_str().is_some_and(|s| !s.starts_with("in a session"))
    });
    assert_eq!(bed.transfers().len(), 1, "it is kept");
    bed.daemon.reboot();
    bed.daemon.start();
    let mut session = bed.acs.next_session(SOON);
    assert!(session.inform.codes().contains(&"1 BOOT"));
    assert_eq!(session.completes().iter().map(|c| c.brief()).collect::<Vec<_>>(), [("k", 0)], "X-21");
    session.end();
    bed.quiet();
}

/// An answer of nothing, or none: it is told again, and it is the same that is told.
// Proves: X-21
#[test]
fn x_21_until_the_response_is_seen() {
    for incident in [Incident::Status(204), Incident::Drop, Incident::Status(500)] {
        let bed = Bed::start("x-21");
        let url = bed.files.put("/f", CONTENT);
        bed.files.always("/f", Manner::Gate(10));
        bed.download(&Transfer::new("k", CONFIG, &url));
        bed.files.wait_at_gate("/f", SOON);
        bed.daemon.wait_for("end of the session", || {
            bed.status()["state"].as_str().is_some_and(|s| !s.starts_with("in a session"))
        });
        let before = bed.acs.sessions();
        bed.acs.at(2, incident.clone());
        bed.files.open("/f");
        let session = bed.acs.next_session(SOON);
        assert!(session.inform.codes().contains(&"7 TRANSFER COMPLETE"));
        bed.acs.wait_for("TransferComplete", SOON, |log| {
            // a dropped connection has it sent twice before this looks
            log.iter().any(|m| m.body.contains("<cwmp:TransferComplete>"))
        });
        drop(session);
        bed.daemon.ask(&["inform"]);
        let complete = loop {
            let mut session = bed.acs.next_session(SOON);
            let all = session.completes();
            session.end();
            if let Some(one) = all.first() {
                break one.clone();
            }
        };
        assert_eq!(complete.brief(), ("k", 0), "{incident:?}");
        assert!(bed.acs.sessions() > before + 1);
        bed.quiet();
    }
}

/// C-12: nothing of ours goes out while the ACS holds it, and all of it afterwards.
// Proves: C-12
#[test]
fn c_12_held_requests() {
    let bed = Bed::start("c-12");
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", CONFIG, &url));
    let mut session = bed.acs.next_inform(SOON);
    session.hold(true);
    session.answer_inform();
    assert!(matches!(session.peek(), Post::Empty), "C-12");
    assert!(session.value("Device.DeviceInfo.ProvisioningCode").is_ok());
    session.hold(false);
    assert!(session.value("Device.DeviceInfo.ProvisioningCode").is_ok(), "C-10: answered first");
    session.reply_empty();
    assert_eq!(session.next_complete().brief(), ("k", 0), "C-12: it is let go");
    session.accept();
    session.ready();
    session.end();
    bed.quiet();
    // held to the end: the next session tells it
    let mut session = bed.kicked();
    session.download(&Transfer::new("l", CONFIG, &url)).expect("promised");
    session.end();
    let mut session = bed.acs.next_inform(SOON);
    session.hold(true);
    session.answer_inform();
    assert!(matches!(session.peek(), Post::Empty), "C-12");
    session.end();
    bed.acs.change(|options| options.dialect.hold_requests = None);
    bed.daemon.ask(&["inform"]);
    assert_eq!(bed.told_one().brief(), ("l", 0));
    bed.quiet();
}

/// after the boot that the new image made.
// Proves: X-22
#[test]
fn x_22_firmware() {
    let mut bed = Bed::start("x-22");
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    let version = crate::acs::Attributes {
        name: "Device.DeviceInfo.SoftwareVersion".into(),
        notification: Some(2),
        access_list: None,
    };
    session.set_attributes(&[version]).expect("watched");
    session.download(&Transfer::new("k", FIRMWARE, &url)).expect("promised");
    session.end();
    bed.daemon.wait_for("the flash", || bed.record().last().is_some_and(|line| line == "end"));
    bed.daemon.reboot();
    bed.daemon.start();
    let mut session = bed.acs.next_session(SOON);
    let mut codes = session.inform.codes();
    codes.sort();
    assert_eq!(codes, ["1 BOOT", "4 VALUE CHANGE", "7 TRANSFER COMPLETE", "M Download"], "X-22");
    assert_eq!(session.inform.value("Device.DeviceInfo.SoftwareVersion"), Some("2.0.0"), "X-22");
    assert_eq!(session.completes().iter().map(|c| c.brief()).collect::<Vec<_>>(), [("k", 0)]);
    session.end();
    bed.quiet();
    assert_eq!(bed.record(), ["begin", "end"], "flashed once");
}

/// the old image came back.
// Proves
#[test]
fn x_23_the_old_image_comes_back() {
    let mut bed = Bed::new("x-23", &Setup::default());
    bed.script("firmware", "echo end >> $dir/record\n");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", FIRMWARE, &url));
    bed.daemon.wait_for("the flash", || bed.record().last().is_some_and(|line| line == "end"));
    bed.daemon.reboot();
    bed.daemon.start();
    let complete = bed.told_one();
    assert_eq!(complete.brief(), ("k", 9010), "{}", complete.text);
}

/// ScheduleDownload in a window that has begun; its own M event.
// Proves
#[test]
fn a_scheduled_download() {
    let bed = Bed::start("scheduled");
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    let windows = [Window::new(0, 600, "1 At Any Time"), Window::new(700, 800, "2 Immediately")];
    session.schedule_download(&Transfer::new("s", CONFIG, &url), &windows).expect("taken");
    session.end();
    let mut session = bed.acs.next_session(SOON);
    let mut codes = session.inform.codes();
    codes.sort();
    assert_eq!(codes, ["7 TRANSFER COMPLETE", "M ScheduleDownload"]);
    assert_eq!(session.completes().iter().map(|c| c.brief()).collect::<Vec<_>>(), [("s", 0)]);
    session.end();
}

/// A window that a person opens (`4 Confirmation Needed`).
#[test]
fn a_window_that_needs_a_word() {
    let bed = Bed::start("confirm");
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    let windows = [Window::new(0, 600, "4 Confirmation Needed")];
    session.schedule_download(&Transfer::new("s", CONFIG, &url), &windows).expect("taken");
    session.end();
    bed.daemon.wait_for("the queue", || bed.transfers().len() == 1);
    assert_eq!(bed.transfers()[0]["step"], "queued");
    bed.kicked().end();
    assert_eq!(bed.files.connections(), 0, "nobody has said so yet");
    bed.daemon.ask(&["transfers", "confirm", "s"]);
    assert_eq!(bed.told_one().brief(), ("s", 0));
}

/// no window is left.
// Proves: X-39
#[test]
fn x_39_a_window_that_is_too_short() {
    let bed = Bed::start("x-39");
    let url = bed.files.put("/f", CONTENT);
    bed.files.always("/f", Manner::Silent(10));
    let mut session = bed.acs.next_session(SOON);
    let windows = [Window::new(0, 2, "2 Immediately")];
    session.schedule_download(&Transfer::new("s", CONFIG, &url), &windows).expect("taken");
    session.end();
    let complete = bed.told_one();
    assert_eq!(complete.brief(), ("s", 9020), "{}", complete.text);
}

/// what a person asks for at the device is told when the policy says so.
// Proves, V-17
#[test]
fn x_46_autonomous_transfers() {
    const POLICY: &str = "Device.ManagementServer.AutonomousTransferCompletePolicy.";
    let bed = Bed::start("x-46");
    let url = bed.files.put("/f", CONTENT);
    bed.acs.next_session(SOON).end();
    bed.daemon.ask(&["download", CONFIG, &url]);
    bed.daemon.wait_for("the hook", || bed.applied().is_some());
    bed.quiet();
    assert_eq!(
        (bed.applied().as_deref(), bed.acs.sessions()),
        (Some(CONTENT), 1),
        "X-46: not without policy"
    );
    let mut session = bed.kicked();
    session.set(&[(&format!("{POLICY}Enable"), "xsd:boolean", "1")], "").expect("set");
    session.end();
    bed.daemon.ask(&["download", CONFIG, &url]);
    let mut session = bed.acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["10 AUTONOMOUS TRANSFER COMPLETE"], "V-17");
    let complete = session.next_complete();
    let own = complete.autonomous.clone().expect("X-46");
    assert_eq!((own.transfer_url, own.is_download, own.file_type.as_str()), (url, true, CONFIG));
    assert_eq!((complete.code, own.file_size as usize), (0, CONTENT.len()));
    session.accept();
    session.ready();
    session.end();
    bed.quiet();
    // the other way, and badly
    bed.files.always("/up", Manner::Status(403));
    bed.daemon.ask(&["upload", LOG, &bed.files.url("/up?token=secret#x")]);
    let complete = bed.told_one();
    let own = complete.autonomous.expect("X-46");
    assert_eq!(
        (own.is_download, own.file_type.as_str()),
        (false, "4 Vendor Log File"),
        "X-47: its own numbers"
    );
    assert_eq!(own.transfer_url, bed.files.url("/up"), "what stands behind it may be a secret");
    assert_ne!(complete.code, 0);
    bed.quiet();
}

/// asked for at the device.
// Proves: X-48
#[test]
fn x_48_request_download() {
    let bed = Bed::start("x-48");
    bed.acs.next_session(SOON).end();
    bed.daemon.ask(&["request-download", FIRMWARE, "Version=2.0.0"]);
    let mut session = bed.acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["9 REQUEST DOWNLOAD"]);
    let asked = session.request_downloads();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].file_type, FIRMWARE);
    assert_eq!(asked[0].arguments, [("Version".to_string(), "2.0.0".to_string())]);
    session.end();
    bed.quiet();
}
