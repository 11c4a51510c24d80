//! ACSs of every make: how they write envelopes and HTTP, and what they send that makes no sense.

use crate::acs::{Acs, Dialect, Direction, Id, Incident, Options, Post, Reply};
use crate::{LONG_WAIT, SOON, agent, agent_with, failure, over};

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";

/// A session with one of everything.
fn everything(acs: &Acs, name: &str) {
    let daemon = agent_with(acs, name, LONG_WAIT);
    let mut session = acs.next_session(SOON);
    session.set(&[(CODE, "xsd:string", "a&b")], "k").expect("set");
    assert_eq!(session.value(CODE).as_deref(), Ok("a&b"), "{name}");
    assert!(!session.names("Device.DeviceInfo.", true).expect("names").is_empty());
    session.end();
    over(&daemon);
    assert_eq!(failure(&daemon), None, "{name}");
}

/// E-6, E-9, E-10, E-31: prefixes, namespaces, IDs and counts of others.
// Proves: E-6, E-9, E-31
#[test]
fn e_6_dialects() {
    let plain = Dialect::default;
    for (name, dialect) in [
        ("1-0", Dialect { namespace: "urn:dslforum-org:cwmp-1-0".into(), ..plain() }),
        ("1-1", Dialect { namespace: "urn:dslforum-org:cwmp-1-1".into(), ..plain() }),
        ("prefixes", Dialect { soap: "S".into(), cwmp: "x.y-z".into(), ..plain() }),
        ("undeclared", Dialect { declared: false, ..plain() }),
        ("own-ids", Dialect { id: Id::Other, ..plain() }),
        ("no-ids", Dialect { id: Id::Missing, ..plain() }),
        ("miscounted", Dialect { true_counts: false, ..plain() }),
        ("timeout", Dialect { session_timeout: Some(35), ..plain() }),
        ("version", Dialect { use_cwmp_version: Some("1.2".into()), ..plain() }),
    ] {
        let namespace = dialect.namespace.clone();
        let acs = Acs::start(Options { dialect, ..Options::default() });
        everything(&acs, name);
        let answer = acs
            .log()
            .into_iter()
            .rfind(|m| m.direction == Direction::FromAgent && !m.body.is_empty())
            .expect("an answer");
        assert!(answer.body.contains(&format!("\"{namespace}\"")), "E-9: {name}");
    }
}

/// T-4, T-11, T-16, T-17, T-18, T-19, T-36
// Proves: T-11, T-16, T-17, T-18, T-19
#[test]
fn t_11_manners() {
    let plain = Options::default;
    for (name, options) in [
        ("close-each", Options { close_each: true, ..plain() }),
        ("close-unsaid", Options { close_unsaid: true, ..plain() }),
        ("chunks-of-1", Options { chunk: Some(1), ..plain() }),
        ("chunks-of-77", Options { chunk: Some(77), empty_as_200: true, ..plain() }),
        ("interim", Options { interim_100: true, lower_case_headers: true, ..plain() }),
    ] {
        everything(&Acs::start(options), name);
    }
}

/// T-8: the ACS says how long it is to be waited for, and is.
// Proves: T-8
#[test]
fn t_8_session_timeout() {
    let dialect = Dialect { session_timeout: Some(35), ..Dialect::default() };
    let acs = Acs::start(Options { dialect, ..Options::default() });
    let daemon = agent_with(&acs, "patient", "response_timeout = 1\n");
    let mut session = acs.next_session(SOON);
    session.peek();
    // Longer than the agent would wait by itself; how much longer does not matter.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(session.value(CODE).as_deref(), Ok(""), "T-8");
    session.end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);
}

/// T-36: an envelope of 32 KiB and more is taken.
// Proves: T-36
#[test]
fn t_36_a_large_request() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "large");
    let mut session = acs.next_session(SOON);
    let names = vec!["Device.DeviceInfo.Manufacturer"; 1500];
    assert_eq!(session.get(&names).expect("values").len(), 1500, "T-36");
    session.end();
}

/// R-GRM-1, R-GEN-1, R-GEN-7, E-7: every method listed is one that there is, and no other is.
// Proves: E-7, R-GEN-1, R-GEN-2, R-GEN-7, R-GRM-1
#[test]
fn r_grm_1_methods() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "methods");
    let mut session = acs.next_session(SOON);
    let methods = session.get_rpc_methods().expect("R-GRM-1");
    for method in [
        "GetRPCMethods",
        "SetParameterValues",
        "GetParameterValues",
        "GetParameterNames",
        "SetParameterAttributes",
        "GetParameterAttributes",
        "AddObject",
        "DeleteObject",
        "Reboot",
        "FactoryReset",
        "ScheduleInform",
    ] {
        assert!(methods.iter().any(|m| m == method), "R-GEN-7: {method}");
    }
    for method in
        methods.iter().filter(|m| !["Reboot", "FactoryReset", "GetRPCMethods"].contains(&m.as_str()))
    {
        match session.ask(method, "") {
            Ok(_) => {}
            Err(fault) => assert_ne!(fault.code, 9000, "R-GRM-1: {method}"),
        }
    }
    for method in ["FooBar", "X_00D09E_Own", "getparametervalues"] {
        let fault = session.ask(method, "<Argument>1</Argument>").expect_err(method);
        assert_eq!((fault.code, fault.side.as_str()), (9000, "Server"), "R-GEN-1, E-19");
    }
    session.ask("GetParameterNames", "").expect_err("R-GEN-2: no ParameterPath");
    let extra = "<Odd/><ParameterPath>Device.</ParameterPath><NextLevel>1</NextLevel><More>2</More>";
    session.ask("GetParameterNames", extra).expect("E-7: an unknown argument is ignored");
    assert_eq!(session.ask("GetParameterNames", "<NextLevel>1</NextLevel>").expect_err("R-GEN-2").code, 9003);
    assert_eq!(
        session
            .ask("GetParameterNames", "<ParameterPath>Device.</ParameterPath><NextLevel>perhaps</NextLevel>")
            .expect_err("R-GEN-2")
            .code,
        9003
    );
    session.end();
}

/// An envelope with something in its header and its body.
fn envelope(header: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-2\">\
         <s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// E-17, E-20, C-12, C-14: odd messages that a session survives.
// Proves: E-17, E-20, C-12, C-14
#[test]
fn e_20_what_a_session_survives() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "odd");
    let mut session = acs.next_session(SOON);
    let must = "<c:Unheard s:mustUnderstand=\"1\">1</c:Unheard>";
    let said = session.raw(envelope(must, "<c:GetRPCMethods/>"));
    assert!(said.contains("MustUnderstand") && !said.contains("FaultCode"), "E-17: {said}");
    let fault = "<s:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail><c:Fault>\
                 <FaultCode>8002</FaultCode><FaultString/></c:Fault></detail></s:Fault>";
    assert_eq!(session.raw(envelope("", fault)), "", "E-20: no answer to a fault");
    assert_eq!(session.raw(envelope("", "<c:TransferCompleteResponse/>")), "", "E-20");
    let hold = "<c:HoldRequests s:mustUnderstand=\"1\">1</c:HoldRequests>";
    let said = session.raw(envelope(hold, "<c:GetRPCMethods/>"));
    assert!(said.contains("GetRPCMethodsResponse"), "C-12: {said}");
    assert_eq!(session.value(CODE).as_deref(), Ok(""));
    session.end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);
}

/// C-12, C-13, C-15: HoldRequests true in the InformResponse: the empty POST does not end the session.
// Proves: C-12, C-13, C-15
#[test]
fn c_12_hold_requests() {
    let acs = Acs::start(Options {
        dialect: Dialect { hold_requests: Some(true), ..Dialect::default() },
        ..Options::default()
    });
    let daemon = agent_with(&acs, "hold", "get_rpc_methods = false\n");
    let mut session = acs.next_session(SOON);
    assert!(matches!(session.peek(), Post::Empty), "C-12");
    session.reply_empty();
    assert!(matches!(session.peek(), Post::Empty), "C-15: said again, now that nothing is held");
    session.end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);
}

/// C-13, C-16: after an answer, 204 ends the session without another POST.
// Proves: C-16
#[test]
fn c_16_no_post_too_many() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "posts");
    let mut session = acs.next_session(SOON);
    session.value(CODE).expect("a value");
    session.end();
    over(&daemon);
    let posts = acs.log().into_iter().filter(|m| m.direction == Direction::FromAgent).count();
    assert_eq!(posts, 4, "C-16: Inform, GetRPCMethods, empty, answer");
}

/// E-2, E-21, E-32, T-10, T-31: what ends a session, with the reason in words.
// Proves: T-10, E-21, E-32
#[test]
fn e_21_what_ends_a_session() {
    let twice = "<c:GetRPCMethods/><c:GetRPCMethods/>";
    let doctype = envelope("", "<c:GetRPCMethods/>").replacen(
        "<s:Envelope",
        "<!DOCTYPE a [<!ENTITY e \"x\">]><s:Envelope",
        1,
    );
    let whole = envelope("", "<c:GetRPCMethods/>");
    let half = whole[..whole.len() - 10].to_string();
    for (n, reply) in [
        Reply::envelope(envelope("", twice)),
        Reply::envelope(doctype),
        Reply::envelope(half),
        Reply::envelope("\u{0}\u{1}\u{2}"),
        Reply { status: 202, ..Reply::envelope(whole.clone()) },
        Reply { status: 500, ..Reply::envelope(whole) },
        Reply::status(410),
    ]
    .into_iter()
    .enumerate()
    {
        let acs = Acs::start(Options::default());
        acs.at(2, Incident::Reply(reply));
        let daemon = agent_with(&acs, "ends", LONG_WAIT);
        let session = acs.next_session(SOON);
        daemon.wait_ready();
        daemon.wait_for(&format!("failure {n}"), || failure(&daemon).is_some());
        assert_eq!(acs.log().into_iter().filter(|m| m.direction == Direction::FromAgent).count(), 2, "{n}");
        drop(session);
    }
}
