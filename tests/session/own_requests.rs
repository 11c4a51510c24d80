//! Requests of the agent to the ACS. The one of today is GetRPCMethods: once to each new ACS.

use crate::acs::{Acs, Dialect, Direction, Id, Incident, Options, Post, Reply};
use crate::{SOON, agent, agent_at, agent_with, failure, kicked, over, settled, status};

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const URL: &str = "Device.ManagementServer.URL";

/// The bodies of the agent's POSTs with GetRPCMethods so far.
fn asked(acs: &Acs) -> Vec<String> {
    let posts = acs.log().into_iter().filter(|m| m.direction == Direction::FromAgent);
    posts.map(|m| m.body).filter(|body| body.contains("<cwmp:GetRPCMethods/>")).collect()
}

/// What `cwmpd status` says of the ACS's methods.
fn methods(daemon: &crate::daemon::Daemon) -> String {
    let named = status(daemon)["acs_methods"].as_array().expect("a list").clone();
    named.iter().map(|m| m.as_str().expect("a name")).collect::<Vec<_>>().join(" ")
}

/// C-11, C-18, C-19, E-11, R-GRM-3: the second POST of the first session asks for the ACS's methods, with an
/// ID of its own; what is odd in the answer is ignored, the rest is kept through a power cut and shown.
// Proves: C-11, C-19, E-11, R-GRM-3
#[test]
fn c_11_the_methods_of_a_new_acs() {
    let odd = ["Inform", "X_00D09E_Odd", "TransferComplete", "", "inform", "RequestDownload", "<&>"];
    let methods_of = odd.map(str::to_string).to_vec();
    let acs = Acs::start(Options { methods: methods_of, ..Options::default() });
    let mut daemon = agent(&acs, "methods");
    let mut session = acs.next_session(SOON);
    let (request, _) = session.next_request();
    let id = request.id.clone().expect("E-11: an ID");
    assert_ne!(Some(&id), session.inform.id.as_ref(), "E-11");
    assert!(!id.is_empty() && id.chars().count() <= 32, "E-11: {id}");
    session.ready();
    assert!(matches!(session.peek(), Post::Empty), "C-11");
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_ready();
    assert_eq!(methods(&daemon), "Inform TransferComplete RequestDownload", "C-19, kept");
    let shown = daemon.ask(&["status"]);
    assert!(shown.contains("ACS methods         Inform TransferComplete RequestDownload\n"), "{shown}");
    kicked(&acs, &daemon).end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);
    assert_eq!(asked(&acs).len(), 1);
}

/// R-GRM-3: asked once: not in the next session, nor after a restart or a boot; again after another URL,
/// and after a factory reset.
// Proves: R-GRM-3
#[test]
fn r_grm_3_once_for_each_acs() {
    let acs = Acs::start(Options::default());
    let other = Acs::start(Options::default());
    let mut daemon = settled(&acs, "once");
    assert_eq!(asked(&acs).len(), 1);
    kicked(&acs, &daemon).end();
    over(&daemon);
    daemon.stop();
    daemon.start();
    daemon.wait_ready();
    kicked(&acs, &daemon).end();
    over(&daemon);
    daemon.reboot();
    daemon.start();
    let session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["1 BOOT"]);
    session.end();
    over(&daemon);
    assert_eq!(asked(&acs).len(), 1, "once");
    let mut session = kicked(&acs, &daemon);
    session.set(&[(URL, "xsd:string", &other.url())], "").expect("another ACS");
    session.end();
    let mut session = other.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP"]);
    session.set(&[(URL, "xsd:string", &acs.url())], "").expect("and back");
    session.end();
    acs.next_session(SOON).end();
    over(&daemon);
    assert_eq!((asked(&other).len(), asked(&acs).len()), (1, 2), "after a new URL");
    let mut session = kicked(&acs, &daemon);
    session.factory_reset().expect("a reset");
    session.end();
    acs.next_session(SOON).end();
    over(&daemon);
    assert_eq!(asked(&acs).len(), 3, "after a factory reset");
    daemon.stop();
    daemon.start();
    daemon.wait_ready();
    kicked(&acs, &daemon).end();
    over(&daemon);
    assert_eq!(asked(&acs).len(), 3, "and not again");
}

/// C-7: 8005 has the same bytes sent again; not for ever, and the session goes on. Nobody is asked again
/// in the next one.
// Proves: C-7
#[test]
fn c_7_retry_request() {
    for (times, posts, known) in [(2, 3, "Inform GetRPCMethods TransferComplete"), (10, 4, "")] {
        let acs = Acs::start(Options::default());
        let daemon = agent(&acs, "8005");
        let mut session = acs.next_session(SOON);
        for _ in 0..times {
            match session.peek() {
                Post::Envelope(post, _) if post.is_request() => session.refuse(8005),
                _ => break,
            }
        }
        assert_eq!(session.value(CODE).as_deref(), Ok(""), "the session goes on");
        session.end();
        over(&daemon);
        assert_eq!(failure(&daemon), None);
        let sent = asked(&acs);
        assert_eq!(sent.len(), posts, "C-7");
        assert!(sent.iter().all(|body| *body == sent[0]), "C-7: identical");
        assert_eq!(methods(&daemon), known);
        kicked(&acs, &daemon).end();
        over(&daemon);
        assert_eq!(asked(&acs).len(), posts);
    }
}

/// C-8, R-GRM-3: another fault is an answer: the session goes on.
// Proves: C-8, R-GRM-3
#[test]
fn c_8_another_fault() {
    for code in [8000, 8002, 8899] {
        let acs = Acs::start(Options::default());
        let daemon = agent(&acs, "refused");
        let mut session = acs.next_session(SOON);
        session.refuse(code);
        assert_eq!(session.value(CODE).as_deref(), Ok(""), "C-8: {code}");
        session.end();
        over(&daemon);
        assert_eq!((failure(&daemon), methods(&daemon).as_str()), (None, ""), "C-8: {code}");
        assert_eq!(asked(&acs).len(), 1);
    }
}

/// R-GRM-3: an ACS that breaks on it, or a power cut while it is asked: the retry does not ask again.
// Proves: R-GRM-3
#[test]
fn r_grm_3_an_acs_that_breaks() {
    let reply = |xml: &str| Incident::Reply(Reply::envelope(xml));
    for broken in [Incident::Status(500), Incident::Status(400), reply("<html>"), reply("<a/>")] {
        let acs = Acs::start(Options::default());
        acs.at(2, broken);
        let daemon = agent(&acs, "breaks");
        let _first = acs.next_session(SOON);
        let mut session = acs.next_session(SOON);
        assert_eq!((session.inform.codes(), session.inform.retry_count), (vec![], 1));
        assert!(matches!(session.peek(), Post::Empty), "not asked again");
        session.end();
        over(&daemon);
        assert_eq!(failure(&daemon), None);
    }
    let acs = Acs::start(Options::default());
    let mut daemon = agent(&acs, "power-cut");
    let mut session = acs.next_session(SOON);
    session.next_request();
    daemon.kill();
    drop(session);
    daemon.start();
    daemon.wait_ready();
    let mut session = kicked(&acs, &daemon);
    assert!(matches!(session.peek(), Post::Empty), "not asked again");
    session.end();
}

/// C-10, C-12, C-13: while HoldRequests is true nothing of ours goes out, and what the ACS asks is
/// answered first; after that it does go out, before the empty POST that says that there is no more.
// Proves: C-10, C-12, C-13
#[test]
fn c_12_held_requests() {
    let dialect = Dialect { hold_requests: Some(true), ..Dialect::default() };
    let acs = Acs::start(Options { dialect, ..Options::default() });
    let daemon = agent(&acs, "held");
    let mut session = acs.next_session(SOON);
    assert!(matches!(session.peek(), Post::Empty), "C-12");
    assert_eq!(session.value(CODE).as_deref(), Ok(""));
    // An empty Body, to say that they are still held.
    let still = acs_envelope("<c:HoldRequests s:mustUnderstand=\"1\">1</c:HoldRequests>", "");
    assert_eq!(session.raw(still), "", "C-12");
    session.hold(false);
    assert_eq!(session.value(CODE).as_deref(), Ok(""), "C-10: what the ACS asks is answered first");
    assert!(asked(&acs).is_empty());
    session.reply_empty();
    session.next_request();
    session.hold(true);
    session.ready(); // answers it, and holds again
    assert!(matches!(session.peek(), Post::Empty));
    session.reply_empty();
    assert!(matches!(session.peek(), Post::Empty), "C-13: said now");
    session.end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);
    assert_eq!(methods(&daemon), "Inform GetRPCMethods TransferComplete");
}

/// C-10: the ACS asks something instead of answering: that is answered, and its answer still taken later.
// Proves: C-10
#[test]
fn c_10_a_request_in_place_of_the_answer() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "later");
    let mut session = acs.next_session(SOON);
    session.next_request();
    let header = "<c:ID s:mustUnderstand=\"1\">77</c:ID>";
    session.reply(Reply::envelope(acs_envelope(header, "<c:GetRPCMethods/>")));
    let Post::Envelope(_, said) = session.peek() else { panic!("C-10: no answer") };
    assert!(said.contains("<cwmp:GetRPCMethodsResponse>") && said.contains(">77</cwmp:ID>"), "C-10: {said}");
    let late =
        "<c:GetRPCMethodsResponse><MethodList><string>Inform</string></MethodList></c:GetRPCMethodsResponse>";
    assert_eq!(session.raw(acs_envelope("", late)), "", "and then there is no more");
    session.end();
    over(&daemon);
    assert_eq!((failure(&daemon), methods(&daemon).as_str()), (None, "Inform"));
}

/// E-11, E-20: IDs of the ACS's own, and none; the response of another method answers nothing.
// Proves: E-11, E-20
#[test]
fn e_11_strange_answers() {
    for id in [Id::Other, Id::Missing] {
        let acs = Acs::start(Options { dialect: Dialect { id, ..Dialect::default() }, ..Options::default() });
        let daemon = settled(&acs, "strange-ids");
        assert_eq!(methods(&daemon), "Inform GetRPCMethods TransferComplete", "{id:?}");
        assert_eq!(daemon.log().matches("taken all the same").count(), 1, "logged once");
    }
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "stray");
    let mut session = acs.next_session(SOON);
    session.next_request();
    session.reply(Reply::envelope(acs_envelope("", "<c:TransferCompleteResponse/>")));
    assert!(matches!(session.peek(), Post::Empty), "E-20");
    assert_eq!(session.value(CODE).as_deref(), Ok(""));
    session.end();
    over(&daemon);
    assert_eq!((failure(&daemon), methods(&daemon).as_str()), (None, ""));
}

/// R-GRM-3: it can be put off.
#[test]
fn r_grm_3_put_off() {
    let acs = Acs::start(Options::default());
    let _daemon = agent_with(&acs, "put-off", "get_rpc_methods = false\n");
    acs.next_session(SOON).end();
    assert!(asked(&acs).is_empty());
}

/// C-11, C-14: the ACS leaves the request unanswered: an empty response ends no session that has not said
/// that there is no more.
// Proves: C-14
#[test]
fn c_14_no_answer() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent_at(&acs.url(), "unanswered", "");
    daemon.start();
    let mut session = acs.next_session(SOON);
    session.next_request();
    session.reply_empty();
    assert!(matches!(session.peek(), Post::Empty), "C-14");
    assert_eq!(session.value(CODE).as_deref(), Ok(""));
    session.end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);
}

/// An envelope with something in its header and its body.
fn acs_envelope(header: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-2\">\
         <s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}
