//! The scripted ACS is tested itself, by an agent that is a few lines of socket code and, where it
//! must authenticate, by the arithmetic of cwmpd: two implementations that know nothing of each other.

#[path = "../acs/mod.rs"]
mod acs;
mod agent;
mod file_server;
#[path = "../files/mod.rs"]
mod files;
mod transfers;

use acs::{Acs, Algorithm, Authentication, Dialect, Direction, Id, Incident, Options, Post, Tls};
use agent::{Agent, Answer, connect, envelope, inform};
use cwmpd::net::connection_request::{Credentials, Listener, Settings};
use cwmpd::net::digest::{self, Answering};
use nix::poll::{PollFd, PollFlags, poll};
use std::io::Write;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

/// The ID of a request of the ACS.
fn id(answer: &Answer) -> &str {
    let from = answer.body.find("ID soap-env:mustUnderstand=\"1\">").expect("an ID") + 31;
    answer.body[from..].split('<').next().expect("never empty")
}

fn spawn(acs: &Acs, script: impl FnOnce(Agent) + Send + 'static) -> JoinHandle<()> {
    let agent = Agent::new(&acs.url());
    std::thread::spawn(move || script(agent))
}

fn join(agent: JoinHandle<()>) {
    if let Err(panic) = agent.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Inform, empty POST, 204.
fn whole_session(mut agent: Agent) {
    assert_eq!(agent.post(&inform()).status, 200);
    assert_eq!(agent.post("").status, 204);
}

#[test]
fn a_dialogue() {
    let acs = Acs::start(Options::default());
    let agent = spawn(&acs, |mut agent| {
        let answer = agent.post(&inform());
        assert!(answer.body.contains("<cwmp:InformResponse>") && id(&answer) == "7", "{}", answer.body);
        let answer = agent.post(&envelope("8", "<c:Kicked/>"));
        assert!(answer.body.contains("KickedResponse") && id(&answer) == "8", "{}", answer.body);
        let answer = agent.post("");
        assert!(answer.body.contains("<Value xsi:type=\"xsd:string\">a&amp;b</Value>"), "{}", answer.body);
        let answer = agent.post(&envelope(
            id(&answer),
            "<c:SetParameterValuesResponse><Status>1</Status></c:SetParameterValuesResponse>",
        ));
        assert!(answer.body.contains("<string>Device.</string>"), "{}", answer.body);
        let answer = agent.post(&envelope(
            id(&answer),
            "<c:GetParameterValuesResponse><ParameterList e:arrayType=\"c:ParameterValueStruct[1]\">\
             <ParameterValueStruct><Name>Device.X</Name><Value i:type=\"x:int\">5</Value></ParameterValueStruct>\
             </ParameterList></c:GetParameterValuesResponse>",
        ));
        let answer = agent.post(&envelope(
            id(&answer),
            "<s:Fault><faultcode>s:Client</faultcode><faultstring>CWMP fault</faultstring><detail><c:Fault>\
             <FaultCode>9003</FaultCode><FaultString>no</FaultString><SetParameterValuesFault>\
             <ParameterName>Device.Y</ParameterName><FaultCode>9005</FaultCode><FaultString>none</FaultString>\
             </SetParameterValuesFault></c:Fault></detail></s:Fault>",
        ));
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    });
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["1 BOOT", "M Reboot"]);
    assert_eq!(session.inform.events[1].1, "k");
    assert_eq!((session.inform.manufacturer.as_str(), session.inform.retry_count), ("M&M", 3));
    assert_eq!(session.inform.value("Device.X"), Some("a\n<b"));
    assert_eq!(session.inform.parameters[0].xsi_type, "xsd:string");
    assert_eq!(session.set(&[("Device.X", "xsd:string", "a&b")], "key"), Ok(1));
    let values = session.get(&["Device."]).expect("values");
    assert_eq!((values[0].xsi_type.as_str(), values[0].value.as_str()), ("xsd:int", "5"));
    let fault = session.delete("Device.Y.1.", "").expect_err("a fault");
    assert_eq!((fault.code, fault.side.as_str()), (9003, "Client"));
    assert_eq!(fault.parameters, [("Device.Y".to_string(), 9005, "none".to_string())]);
    assert_eq!(session.requests[0].method.name, "Kicked");
    session.end();
    join(agent);
    let log = acs.log();
    assert_eq!(log.len(), 12, "{log:?}");
    assert!(log.iter().all(|m| m.connection == 1));
    let last = log.last().expect("not empty");
    assert_eq!((last.direction, last.head.status()), (Direction::ToAgent, Some(204)));
}

#[test]
fn manners_of_the_wire() {
    for chunk in [None, Some(1), Some(7)] {
        let options = Options { chunk, interim_100: true, lower_case_headers: true, ..Options::default() };
        let acs = Acs::start(Options { empty_as_200: true, close_each: true, ..options });
        let agent = spawn(&acs, move |mut agent| {
            let answer = agent.post(&inform());
            assert!(answer.body.contains("InformResponse"), "{}", answer.body);
            assert_eq!(answer.headers.iter().any(|(n, _)| n == "transfer-encoding"), chunk.is_some());
            assert_eq!(answer.header("Connection"), "close");
            assert!(agent.line().is_none(), "the ACS closes");
            agent.reconnect();
            let last = agent.exchange("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").expect("an answer");
            assert_eq!((last.status, last.header("Content-Length")), (200, "0"));
        });
        acs.next_session(SOON).end();
        join(agent);
        assert_eq!(acs.log().last().map(|m| m.connection), Some(2));
    }
}

#[test]
fn dialects_of_the_field() {
    let dialect = Dialect {
        namespace: "urn:dslforum-org:cwmp-1-0".to_string(),
        soap: "SOAP-ENV".to_string(),
        cwmp: "ns4".to_string(),
        declared: false,
        id: Id::Missing,
        true_counts: false,
        hold_requests: Some(true),
        ..Dialect::default()
    };
    let acs = Acs::start(Options { dialect, ..Options::default() });
    let agent = spawn(&acs, |mut agent| {
        let answer = agent.post(&inform());
        assert!(
            answer.body.contains("<ns4:HoldRequests SOAP-ENV:mustUnderstand=\"1\">1<"),
            "{}",
            answer.body
        );
        assert!(!answer.body.contains("ns4:ID"), "{}", answer.body);
        let answer = agent.post("");
        assert!(answer.body.contains("arrayType=\"xsd:string[8]\""), "{}", answer.body);
        assert!(!answer.body.contains("xmlns:xsd"), "{}", answer.body);
        agent.post("");
    });
    let mut session = acs.next_session(SOON);
    let none = std::panic::AssertUnwindSafe(|| session.get(&["Device."]));
    assert!(std::panic::catch_unwind(none).is_err(), "an empty POST is no answer");
    session.end();
    join(agent);
}

#[test]
fn incidents_befall_posts() {
    let acs = Acs::start(Options::default());
    acs.at(1, Incident::Fault(8005));
    acs.at(1, Incident::Fault(8005));
    acs.at(1, Incident::Redirect(307, "/other".to_string()));
    acs.at(2, Incident::Status(503));
    acs.at(2, Incident::Silence);
    acs.at(3, Incident::Drop);
    let agent = spawn(&acs, |mut agent| {
        for _ in 0..2 {
            let answer = agent.post(&inform());
            assert!(answer.body.contains("<FaultCode>8005<") && id(&answer) == "7", "{}", answer.body);
        }
        let answer = agent.post(&inform());
        assert_eq!((answer.status, answer.header("Location")), (307, "/other"));
        assert!(agent.post(&inform()).body.contains("InformResponse"));
        assert_eq!(agent.post("").status, 503);
        let answer = agent.post("");
        assert!(answer.body.contains("GetRPCMethods"), "{}", answer.body);
        let response = envelope(
            id(&answer),
            "<c:GetRPCMethodsResponse><MethodList e:arrayType=\"x:string[1]\"><string>Reboot</string>\
             </MethodList></c:GetRPCMethodsResponse>",
        );
        let framing = format!("Content-Length: {}\r\n\r\n{response}", response.len());
        assert!(agent.exchange(&framing).is_none(), "dropped");
        agent.reconnect();
        assert_eq!(agent.post(&response).status, 204);
    });
    let mut session = acs.next_session(SOON);
    let empty = |m: &&acs::Message| m.direction == Direction::FromAgent && m.body.is_empty();
    acs.wait_for("second empty POST", SOON, |log| log.iter().filter(empty).count() == 2);
    acs.release();
    assert_eq!(session.get_rpc_methods(), Ok(vec!["Reboot".to_string()]));
    session.end();
    join(agent);
    assert_eq!(acs.sessions(), 1);
}

#[test]
fn agents_must_authenticate() {
    let table = [
        Authentication::Basic,
        Authentication::Digest(vec![Algorithm::Md5]),
        Authentication::Digest(vec![Algorithm::Md5Sess]),
        Authentication::Digest(vec![Algorithm::Sha256, Algorithm::Md5]),
    ];
    for authentication in table {
        let basic = authentication == Authentication::Basic;
        let acs = Acs::start(Options { authentication, ..Options::default() });
        if !basic {
            acs.at(2, Incident::StaleNonce);
        }
        let agent = spawn(&acs, move |mut agent| {
            let answer = agent.post(&inform());
            assert_eq!(answer.status, 401);
            if basic {
                agent.authorization = "Basic YWdlbnQ6d3Jvbmc=".to_string();
                assert_eq!(agent.post(&inform()).status, 401);
                agent.authorization = "Basic YWdlbnQ6c2VjcmV0".to_string();
                return whole_session(agent);
            }
            let answering = |answer: &Answer| {
                Answering::new(&digest::parse(answer.header("WWW-Authenticate"))[0], "c").expect("usable")
            };
            let mut a = answering(&answer);
            agent.authorization = a.authorization("agent", "wrong", "POST", "/acs");
            assert_eq!(agent.post(&inform()).status, 401);
            agent.authorization = a.authorization("agent", "secret", "POST", "/acs");
            assert_eq!(agent.post(&inform()).status, 200);
            assert_eq!(agent.post("").status, 401, "the same nc again");
            agent.authorization = a.authorization("agent", "secret", "POST", "/acs");
            let stale = agent.post("");
            assert!(stale.header("WWW-Authenticate").contains("stale=true"), "{}", stale.status);
            agent.authorization = answering(&stale).authorization("agent", "secret", "POST", "/acs");
            assert_eq!(agent.post("").status, 204);
        });
        acs.next_session(SOON).end();
        join(agent);
    }
}

#[test]
fn tls_with_certificates_of_its_own() {
    let acs = Acs::start(Options { tls: Some(Tls::default()), ..Options::default() });
    let url = acs.url();
    let host =
        url.strip_prefix("https://").and_then(|u| u.split('/').next()).expect("an https URL").to_string();
    let config = client_config(&acs.identity().ca);
    let open = |name: &'static str| {
        let name = name.try_into().expect("a host name");
        let tls = rustls::ClientConnection::new(config.clone(), name).expect("a configuration that fits");
        rustls::StreamOwned::new(tls, connect(&host))
    };
    let mut wrong = open("elsewhere.example");
    assert!(wrong.write_all(b"x").and_then(|()| wrong.flush()).is_err(), "a certificate for another host");
    let good = Agent::over(&host, Box::new(open("localhost")));
    let agent = std::thread::spawn(move || whole_session(good));
    acs.next_session(SOON).end();
    join(agent);
}

fn client_config(ca: &str) -> Arc<rustls::ClientConfig> {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM")).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Arc::new(config.expect("versions").with_root_certificates(roots).with_no_client_auth())
}

#[test]
fn large_answers_are_counted() {
    const VALUES: usize = 100_000;
    let acs = Acs::start(Options::default());
    let agent = spawn(&acs, |mut agent| {
        agent.post(&inform());
        let answer = agent.post("");
        let item = "<ParameterValueStruct><Name>Device.X_CWMPD_Table.{i}.Parameter</Name>\
                    <Value i:type=\"x:string\">a value of some length and no more, as they are; it only has to \
                    fill the sixteen MiB that are kept of others</Value></ParameterValueStruct>";
        let whole = envelope(
            id(&answer),
            &format!(
                "<c:GetParameterValuesResponse><ParameterList e:arrayType=\"c:ParameterValueStruct[{VALUES}]\">\
                 {}</ParameterList></c:GetParameterValuesResponse>",
                item.repeat(VALUES)
            ),
        );
        let mut chunked = "Transfer-Encoding: chunked\r\n\r\n".to_string();
        let mut rest = whole.as_str();
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.len().min(16_384));
            chunked += &format!("{:x};extension\r\n{piece}\r\n", piece.len());
            rest = tail;
        }
        let last = agent.exchange(&(chunked + "0\r\nTrailer: x\r\n\r\n")).expect("an answer");
        assert_eq!(last.status, 204);
    });
    let mut session = acs.next_session(SOON);
    let counted = session.get_count(&["Device."]);
    assert_eq!((counted.values, counted.declared), (VALUES, Some(VALUES)));
    assert!(counted.bytes > 16 * 1024 * 1024, "{counted:?}");
    println!("{} bytes read and counted in {:?}", counted.bytes, counted.time);
    session.end();
    join(agent);
}

#[test]
fn cookies_must_come_back() {
    let acs = Acs::start(Options::default());
    let agent = spawn(&acs, |mut agent| {
        agent.post(&inform());
        let cookies = std::mem::take(&mut agent.cookies);
        assert_eq!(cookies.len(), 2);
        assert_eq!(agent.post("").status, 400);
        agent.cookies = cookies[..1].to_vec();
        assert_eq!(agent.post("").status, 400);
        agent.cookies = cookies;
        assert_eq!(agent.post("").status, 204);
    });
    acs.next_session(SOON).end();
    join(agent);
}

#[test]
fn posts_can_be_looked_at_and_answered_by_hand() {
    let acs = Acs::start(Options::default());
    let agent = spawn(&acs, |mut agent| {
        assert_eq!(agent.post(&inform()).status, 200);
        assert_eq!(agent.post(&envelope("8", "<c:Kicked/>")).status, 204);
        assert_eq!(agent.post("").status, 204);
    });
    let mut session = acs.next_inform(SOON);
    session.answer_inform();
    assert_eq!(session.peek().name(), "Kicked");
    session.reply_empty();
    assert!(matches!(session.peek(), Post::Empty));
    session.end();
    join(agent);
}

/// What a session panics with when the agent answers GetParameterValues so.
fn complaint(response: &'static str) -> String {
    let acs = Acs::start(Options::default());
    let agent = spawn(&acs, |mut agent| {
        agent.post(&inform());
        let answer = agent.post("");
        agent.post(&envelope(id(&answer), response));
    });
    let mut session = acs.next_session(SOON);
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| session.get(&["Device."])));
    let panic = asked.expect_err("a complaint");
    drop(session);
    join(agent);
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

// Proves: E-4, E-5
#[test]
fn the_acs_is_strict() {
    let lie = "<c:GetParameterValuesResponse><ParameterList e:arrayType=\"c:ParameterValueStruct[3]\"/>\
               </c:GetParameterValuesResponse>";
    assert!(complaint(lie).contains("says c:ParameterValueStruct[3] and has 0"), "E-4");
    let untyped = "<c:GetParameterValuesResponse><ParameterList e:arrayType=\"c:ParameterValueStruct[1]\">\
                   <ParameterValueStruct><Name>a</Name><Value>b</Value></ParameterValueStruct></ParameterList>\
                   </c:GetParameterValuesResponse>";
    assert!(complaint(untyped).contains("Value has no xsi:type"), "E-5");
    assert!(complaint("<c:RebootResponse/>").contains("was answered by"), "another answer");
}

#[test]
fn what_is_missing_is_said() {
    let acs = Acs::start(Options { authentication: Authentication::Basic, ..Options::default() });
    let agent = spawn(&acs, |mut agent| assert_eq!(agent.post(&inform()).status, 401));
    join(agent);
    let wait = std::panic::AssertUnwindSafe(|| drop(acs.next_session(Duration::from_millis(1))));
    let panic = std::panic::catch_unwind(wait).expect_err("no session");
    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(text.contains("no Inform within 1ms") && text.contains("HTTP/1.1 401"), "{text}");
}

#[test]
fn connection_requests_reach_the_listener_of_cwmpd() {
    let credentials = Credentials { username: "acs".to_string(), password: "call".to_string() };
    let settings = Settings::new("/path".to_string(), credentials);
    let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), settings).expect("loopback");
    let url = cwmpd::net::connection_request::url(listener.local_address(), "/path");
    let caller = std::thread::spawn(move || {
        let acs = Acs::start(Options::default());
        assert_eq!(acs.connection_request(&url, "acs", "wrong"), 401);
        assert_eq!(acs.connection_request(&format!("{url}x"), "acs", "call"), 404);
        assert_eq!(acs.connection_request(&url, "acs", "call"), 200);
        let answer = acs::raw(&url, b"\x16\x03\x01 this is no HTTP\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer));
    });
    let (end, mut accepted) = (Instant::now() + SOON, 0);
    while !caller.is_finished() {
        assert!(Instant::now() < end, "the caller waits for ever");
        let mut interests = Vec::new();
        listener.interests(&mut interests);
        let flag = |write: &bool| {
            if *write { PollFlags::POLLOUT } else { PollFlags::POLLIN }
        };
        let mut fds: Vec<PollFd> =
            interests.iter().map(|(fd, write)| PollFd::new(*fd, flag(write))).collect();
        poll(&mut fds, 100u16).expect("poll"); // awake now and then to see whether the caller is done
        accepted += listener.turn(Instant::now());
    }
    join(caller);
    assert_eq!(accepted, 1);
}
