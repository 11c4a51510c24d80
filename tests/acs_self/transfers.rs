//! What the scripted ACS says and accepts of transfers.

use crate::acs::{Acs, Incident, Options, Session, Transfer, UNKNOWN_TIME, Window};
use crate::agent::{Agent, envelope, inform};
use crate::{SOON, join, spawn};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// An Inform with these events: code and CommandKey.
fn informs(events: &[(&str, &str)]) -> String {
    let list: String = events
        .iter()
        .map(|(c, k)| {
            format!("<EventStruct><EventCode>{c}</EventCode><CommandKey>{k}</CommandKey></EventStruct>")
        })
        .collect();
    let inform = inform();
    let (head, rest) = inform.split_once("<Event ").expect("events");
    let (_, rest) = rest.split_once("</Event>").expect("events");
    format!("{head}<Event e:arrayType=\"c:EventStruct[{}]\">{list}</Event>{rest}", events.len())
}

fn complete(message: &str, key: &str, code: u16, text: &str) -> String {
    let body = format!(
        "<c:TransferComplete><CommandKey>{key}</CommandKey><FaultStruct><FaultCode>{code}</FaultCode>\
         <FaultString>{text}</FaultString></FaultStruct><StartTime>2026-11-23T10:00:00Z</StartTime>\
         <CompleteTime>2026-11-23T10:00:01Z</CompleteTime></c:TransferComplete>"
    );
    envelope(message, &body)
}

const TOLD: [(&str, &str); 2] = [("7 TRANSFER COMPLETE", ""), ("M Download", "k")];

/// What the ACS says against an agent that runs this script, when the test listens until it has no more.
fn complaint(script: impl FnOnce(Agent) + Send + 'static) -> String {
    let acs = Acs::start(Options::default());
    // its connection breaks off as soon as the ACS has complained
    let agent = spawn(&acs, |agent| drop(catch_unwind(AssertUnwindSafe(|| script(agent)))));
    let mut session = acs.next_session(SOON);
    let listened = catch_unwind(AssertUnwindSafe(|| session.ready()));
    drop(session);
    drop(acs);
    let _ = agent.join();
    let panic = listened.err().map(|p| p.downcast_ref::<String>().cloned().unwrap_or_default());
    panic.unwrap_or_default()
}

#[test]
fn requests_of_transfers() {
    let acs = Acs::start(Options::default());
    let agent = spawn(&acs, |mut agent| {
        agent.post(&inform());
        let asked = agent.post("").body;
        let arguments = "<c:Download><CommandKey>k</CommandKey><FileType>3 Vendor Configuration File</FileType>\
                         <URL>http://f/a?b&amp;c</URL><Username>u</Username><Password>p</Password>\
                         <FileSize>7</FileSize><TargetFileName></TargetFileName><DelaySeconds>5</DelaySeconds>\
                         <SuccessURL></SuccessURL><FailureURL></FailureURL></c:Download>"
            .replace("c:", "cwmp:");
        assert!(asked.contains(&arguments), "{asked}");
        let status = |s| format!("<Status>{s}</Status><StartTime>{UNKNOWN_TIME}</StartTime>");
        let status = |s| format!("{}<CompleteTime>{UNKNOWN_TIME}</CompleteTime>", status(s));
        let answer = |asked: &str, method: &str, body: &str| {
            let from = asked.find("ID soap-env:mustUnderstand=\"1\">").expect("an ID") + 31;
            let id = asked[from..].split('<').next().expect("never empty");
            envelope(id, &format!("<c:{method}Response>{body}</c:{method}Response>"))
        };
        let asked = agent.post(&answer(&asked, "Download", &status(1))).body;
        assert!(asked.contains("<cwmp:Upload>") && !asked.contains("FileSize"), "{asked}");
        let asked = agent.post(&answer(&asked, "Upload", &status(1))).body;
        let window = "<TimeWindowStruct><WindowStart>1</WindowStart><WindowEnd>9</WindowEnd>\
                      <WindowMode>2 Immediately</WindowMode><UserMessage></UserMessage>\
                      <MaxRetries>-1</MaxRetries></TimeWindowStruct></TimeWindowList></cwmp:ScheduleDownload>";
        assert!(asked.contains(window) && asked.contains("cwmp:TimeWindowStruct[1]"), "{asked}");
        let asked = agent.post(&answer(&asked, "ScheduleDownload", "")).body;
        assert!(asked.contains("<cwmp:CancelTransfer><CommandKey>k</CommandKey>"), "{asked}");
        let asked = agent.post(&answer(&asked, "CancelTransfer", "")).body;
        let list = "<TransferList e:arrayType=\"c:QueuedTransferStruct[1]\"><QueuedTransferStruct>\
                    <CommandKey>k</CommandKey><State>2</State></QueuedTransferStruct></TransferList>";
        let asked = agent.post(&answer(&asked, "GetQueuedTransfers", list)).body;
        let list = "<TransferList e:arrayType=\"c:AllQueuedTransferStruct[1]\"><AllQueuedTransferStruct>\
                    <CommandKey></CommandKey><State>3</State><IsDownload>0</IsDownload>\
                    <FileType>2 Vendor Log File</FileType><FileSize>9</FileSize><TargetFileName/>\
                    </AllQueuedTransferStruct></TransferList>";
        assert_eq!(agent.post(&answer(&asked, "GetAllQueuedTransfers", list)).status, 204);
    });
    let mut session = acs.next_session(SOON);
    let mut transfer = Transfer::new("k", "3 Vendor Configuration File", "http://f/a?b&c");
    (transfer.file_size, transfer.delay_seconds) = (7, 5);
    let transfer = transfer.with_credentials("u", "p");
    session.download(&transfer).expect("taken");
    session.upload(&transfer).expect("taken");
    session.schedule_download(&transfer, &[Window::new(1, 9, "2 Immediately")]).expect("taken");
    session.cancel("k").expect("taken");
    assert_eq!(session.queued(), Ok(vec![("k".to_string(), 2)]));
    let all = session.all_queued().expect("a list");
    assert_eq!((all[0].state, all[0].is_download, all[0].file_size), (3, false, 9));
    session.end();
    join(agent);
}

#[test]
fn completes_answered_and_not() {
    let acs = Acs::start(Options::default());
    let agent = spawn(&acs, |mut agent| {
        let autonomous = "<c:AutonomousTransferComplete><AnnounceURL/><TransferURL>http://f/</TransferURL>\
                          <IsDownload>1</IsDownload><FileType>2 Web Content</FileType><FileSize>3</FileSize>\
                          <TargetFileName/><FaultStruct><FaultCode>9010</FaultCode><FaultString>no</FaultString>\
                          </FaultStruct><StartTime>0001-01-01T00:00:00Z</StartTime>\
                          <CompleteTime>0001-01-01T00:00:00Z</CompleteTime></c:AutonomousTransferComplete>";
        let asks = "<c:RequestDownload><FileType>2 Web Content</FileType>\
                    <FileTypeArg e:arrayType=\"c:ArgStruct[1]\"><ArgStruct><Name>n</Name><Value>v</Value></ArgStruct>\
                    </FileTypeArg></c:RequestDownload>";
        let mut events = TOLD.to_vec();
        events.extend([
            ("M Upload", "k"),
            ("10 AUTONOMOUS TRANSFER COMPLETE", ""),
            ("9 REQUEST DOWNLOAD", ""),
        ]);
        agent.post(&informs(&events));
        let first = complete("8", "k", 0, "");
        assert!(agent.post(&first).body.contains("<FaultCode>8005<"));
        assert!(agent.post(&first).body.contains("<cwmp:TransferCompleteResponse>"), "the same again: C-7");
        assert!(agent.post(&complete("9", "k", 9016, "gone")).body.contains("<FaultCode>8002<"));
        assert!(agent.post(&envelope("10", autonomous)).body.contains("AutonomousTransferCompleteResponse"));
        assert!(agent.post(&envelope("11", asks)).body.contains("RequestDownloadResponse"));
        assert_eq!(agent.post("").status, 204);
    });
    let mut session = acs.next_session(SOON);
    assert_eq!(session.next_complete().brief(), ("k", 0));
    session.refuse(8005);
    assert_eq!(session.next_complete().code, 0);
    session.accept();
    assert_eq!(session.next_complete().text, "gone");
    session.refuse(8002);
    let all = session.completes();
    assert_eq!(all.iter().map(|c| c.brief()).collect::<Vec<_>>(), [("k", 0), ("k", 9016), ("", 9010)]);
    assert_eq!(all[2].autonomous.as_ref().map(|a| (a.file_size, a.is_download)), Some((3, true)));
    assert_eq!(session.request_downloads()[0].arguments, [("n".to_string(), "v".to_string())]);
    session.end();
    join(agent);
    // without an answer
    let acs = Acs::start(Options::default());
    acs.at(2, Incident::Drop);
    let agent = spawn(&acs, |mut agent| {
        agent.post(&informs(&TOLD));
        let message = complete("8", "k", 0, "");
        let framing = format!("Content-Length: {}\r\n\r\n{message}", message.len());
        assert!(agent.exchange(&framing).is_none());
    });
    let session: Session = acs.next_session(SOON);
    join(agent);
    drop(session);
}

#[test]
fn the_acs_is_strict_about_transfers() {
    let after = |events: &'static [(&'static str, &'static str)], message: String| {
        complaint(move |mut agent| {
            agent.post(&informs(events));
            agent.post(&message);
            agent.post("");
        })
    };
    let good = || complete("8", "k", 0, "");
    assert_eq!(after(&TOLD, good()), "");
    assert!(after(&[("1 BOOT", "")], good()).contains("X-19"));
    assert!(after(&[("M Download", "k")], good()).contains("X-19"), "without 7");
    assert!(after(&TOLD, complete("8", "other", 0, "")).contains("X-19"));
    let two = &[("7 TRANSFER COMPLETE", ""), ("M Download", "k"), ("M Download", "l")];
    assert!(after(two, good()).contains("X-20: "));
    assert!(after(&[("7 TRANSFER COMPLETE", "")], inform_answer()).contains("X-20"));
    assert!(after(&TOLD, complete("8", "k", 9013, "ftp")).contains("X-14"));
    assert!(after(&TOLD, complete("8", "k", 0, "fine")).contains("X-16"));
    assert!(after(&TOLD, complete("8", "k", 9010, "")).contains("X-16"));
    assert!(after(&TOLD, good().replace("10:00:00Z", "10:00:02Z")).contains("X-17"));
    assert!(after(&TOLD, good().replace("10:00:01Z", "10:00:01+01:00")).contains("CompleteTime is"));
    let swapped = good().replace("<CommandKey>k</CommandKey>", "").replace("</c:T", "<CommandKey/></c:T");
    assert!(after(&TOLD, swapped).contains("TransferComplete has"));
    assert!(after(&TOLD, complete("8", "k", 9010, &"x".repeat(257))).contains("257 characters"));
}

/// Nothing that an ACS would keep: a request that it knows nothing of.
fn inform_answer() -> String {
    envelope("8", "<c:GetRPCMethods/>")
}
