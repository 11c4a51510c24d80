//! Text of others never becomes structure of ours: whatever stands in a value, a key, a URL, a name or
//! a challenge, it is refused, escaped or encoded, and nothing around it changes.

mod peer;

use cwmpd::cwmp::rpc::{DeviceId, Event as Told, InformFacts, Namespace};
use cwmpd::model::fault::{Code, Fault, ParameterFault};
use cwmpd::model::tree::Item;
use cwmpd::net::client::{Body, Client, Options};
use cwmpd::net::connection_request::gate::Gate;
use cwmpd::net::connection_request::head::{Scan, scan};
use cwmpd::net::connection_request::{Credentials, Settings};
use cwmpd::net::digest;
use cwmpd::soap::writer::{self, List};
use peer::{Peer, Reply, Request, options};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// What breaks out where nobody looks. Each wants to be a header, an attribute or an element of its own.
const EVIL: &[&str] = &[
    "\r\nX-Evil: 1",
    "\nX-Evil: 1",
    "\rX-Evil: 1",
    "\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
    "\r\n X-Evil: 1",
    "a\0X-Evil: 1",
    "\"",
    "\"\"",
    "\\",
    "\\\"",
    "\", evil=\"1",
    "\\\", evil=\"1",
    "\\\\\", evil=\"1",
    ", Basic evil",
    "; evil=1",
    "x; Path=/; X-Evil",
    "evil:evil",
    "evil@evil",
    "%0d%0aX-Evil: 1",
    "\u{85}X-Evil: 1",
    "\u{2028}X-Evil: 1",
    "ü\tevil",
    " evil ",
    "#evil?evil",
    "HTTP/1.1 evil",
    "</Value><Evil>1</Evil><Value>",
    "]]><Evil/>",
    "<![CDATA[<Evil/>",
    "--><Evil/><!--",
    "&evil;&#13;&#10;",
    "' evil='1",
    "\u{1b}[2J\u{fffe}",
];

/// The headers that a request may have, each once.
const OURS: [&str; 7] =
    ["Authorization", "Content-Length", "Content-Type", "Cookie", "Host", "SOAPAction", "User-Agent"];

/// Judges the heads that a peer got.
fn clean(requests: &[Request], place: &str, evil: &str) {
    for request in requests {
        let head = &request.head;
        let mut names: Vec<&str> = request.headers().map(|(name, _)| name).collect();
        names.sort_unstable();
        assert!(names.iter().all(|name| OURS.contains(name)), "{place} {evil:?}: {head:?}");
        assert!(names.windows(2).all(|two| two[0] != two[1]), "{place} {evil:?}: {head:?}");
        let words: Vec<&str> = request.line().split(' ').collect();
        assert!(matches!(words[..], ["POST", target, "HTTP/1.1"] if target.starts_with('/')), "{head:?}");
        let lines = head.replace("\r\n", "");
        assert!(!lines.contains(|c: char| c.is_ascii_control() && c != '\t'), "{place} {evil:?}: {head:?}");
        assert_eq!(request.body, b"<Inform/>", "{place} {evil:?}");
        if let Some(authorization) = request.header("Authorization").filter(|a| a.starts_with("Digest")) {
            let [answer] = &digest::parse(authorization)[..] else { panic!("{place} {evil:?}: {head:?}") };
            assert_eq!(answer.get("evil"), None, "{place} {evil:?}: {head:?}");
        }
    }
}

/// Three POSTs of a session with these options; what the peer gave the first one is under `answer`.
/// The number of requests that came.
fn session(place: &str, evil: &str, options: impl Fn(&Peer) -> Options, answer: Option<Vec<u8>>) -> usize {
    let mut answer = answer;
    let peer = Peer::start(move |_| match answer.take() {
        // Closed, since what an evil value made of the head may be a response without an end.
        Some(bytes) => Reply::raw(bytes).close(),
        None => Reply::ok("x"),
    });
    let (_waker, wake) = UnixStream::pair().expect("a pair");
    if let Ok(mut client) = Client::new(options(&peer), wake.into()) {
        for _ in 0..3 {
            if client.post(Body::Whole(b"<Inform/>")).is_err() {
                break;
            }
        }
    }
    let requests = peer.requests();
    clean(&requests, place, evil);
    requests.len()
}

fn response(status: &str, headers: &str) -> Option<Vec<u8>> {
    Some(format!("HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: 0\r\n\r\n").into_bytes())
}

// Proves: S-19
#[test]
fn no_text_becomes_a_header_of_a_post() {
    let plain = |peer: &Peer| options(peer.url("/"));
    let digest = || response("401 No", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"");
    let mut went = 0;
    for evil in EVIL {
        // Options, of which some were set by an ACS.
        session("user agent", evil, |p| Options { user_agent: (*evil).into(), ..plain(p) }, None);
        session("username", evil, |p| Options { username: (*evil).into(), ..plain(p) }, digest());
        session("password", evil, |p| Options { password: (*evil).into(), ..plain(p) }, digest());
        session("path", evil, |p| options(p.url(&format!("/a{evil}b"))), None);
        session("query", evil, |p| options(p.url(&format!("/?{evil}"))), digest());
        session("host", evil, |p| options(format!("http://{}{evil}/", p.address)), None);
        let basic = || response("401 No", "WWW-Authenticate: Basic realm=\"r\"");
        let open = |p: &Peer| Options {
            username: (*evil).into(),
            password: (*evil).into(),
            basic_over_http: true,
            ..plain(p)
        };
        session("basic", evil, open, basic());
        // What an ACS says and we repeat.
        let quoted = evil.replace('\\', "\\\\").replace('"', "\\\"");
        for value in [(*evil).to_owned(), quoted] {
            for name in ["realm", "nonce", "opaque", "qop", "algorithm"] {
                let rest = ["realm=\"r\"", "nonce=\"n\"", "qop=\"auth\""]
                    .into_iter()
                    .filter(|p| !p.starts_with(name))
                    .collect::<Vec<_>>()
                    .join(", ");
                let header = format!("WWW-Authenticate: Digest {name}=\"{value}\", {rest}");
                went += session(name, evil, plain, response("401 No", &header));
            }
            let header = format!("Authentication-Info: nextnonce=\"{value}\"");
            went += session("nextnonce", evil, plain, response("200 OK", &header));
        }
        for header in [
            format!("Set-Cookie: a={evil}"),
            format!("Set-Cookie: {evil}=a"),
            format!("Set-Cookie: a=b; Path=/{evil}"),
            format!("Set-Cookie: a=b; Domain={evil}"),
        ] {
            went += session("cookie", evil, plain, response("200 OK", &header));
        }
        for header in [format!("Location: /{evil}"), format!("Location: ?{evil}")] {
            went += session("location", evil, plain, response("302 Found", &header));
        }
    }
    assert!(went > 600, "{went} requests came: most of it was not tried");
}

/// The names of all elements and attributes of an XML text, and what stands in its elements.
fn structure(xml: &[u8]) -> (Vec<String>, String) {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(xml);
    let (mut names, mut text) = (Vec::new(), String::new());
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Eof => return (names, text),
            Event::Start(tag) | Event::Empty(tag) => {
                names.push(tag.name().into_inner().to_owned());
                names.extend(tag.attributes().map(|a| a.expect("an attribute").key.into_inner().to_owned()));
            }
            Event::End(_) => {}
            Event::Text(piece) => text.push_str(&piece),
            Event::GeneralRef(name) => match name.resolve_char_ref().expect("a reference") {
                Some(c) => text.push(c),
                None => {
                    text.push_str(quick_xml::escape::resolve_xml_entity(&name).expect("one of XML's own"));
                }
            },
            Event::Decl(_) => names.push("?xml".to_owned()),
            other => panic!("{other:?}"),
        }
    }
}

/// Every message of ours that has somebody's text in it.
fn messages(text: &str) -> Vec<Vec<u8>> {
    let id = Some(text);
    let fault = Fault {
        code: Code::INVALID_ARGUMENTS,
        text: text.into(),
        parameters: vec![ParameterFault { name: text.into(), code: Code::INVALID_VALUE, text: text.into() }],
    };
    let facts = InformFacts {
        device_id: DeviceId {
            manufacturer: text.into(),
            oui: text.into(),
            product_class: text.into(),
            serial_number: text.into(),
        },
        events: vec![Told { code: text.into(), command_key: text.into() }],
        current_time: text.into(),
        retry_count: 0,
        parameters: vec![(text.into(), "xsd:string", text.into())],
    };
    let list = |list, item: Item<'_>| {
        let mut out = writer::head(Namespace::V1_2, id, list, 1);
        writer::item(&mut out, item);
        out.extend(writer::tail(list));
        out
    };
    vec![
        writer::inform(Namespace::V1_2, text, &facts),
        writer::answer(Namespace::V1_2, id, writer::Answer::GetRPCMethods(&[text])),
        writer::fault(Namespace::V1_2, id, &fault),
        writer::must_understand(Namespace::V1_2, id, text),
        list(List::Values, Item::Value { path: text, xsi_type: "xsd:string", value: text }),
        list(List::Names, Item::Name { path: text, writable: true }),
        list(List::Attributes, Item::Attributes { path: text, notification: 1, subscriber: true }),
    ]
}

// Proves: E-22
#[test]
fn no_text_becomes_an_element() {
    let plain: Vec<_> = messages("plain").iter().map(|m| structure(m)).collect();
    for evil in EVIL {
        let legal: String = evil
            .chars()
            .map(|c| match c {
                '\t' | '\n' | '\r' => c,
                '\0'..='\u{1f}' | '\u{fffe}' => '\u{fffd}',
                c => c,
            })
            .collect();
        for (message, (names, text)) in messages(evil).iter().zip(&plain) {
            let (found, said) = structure(message);
            assert_eq!(&found, names, "{evil:?}");
            assert_eq!(said, text.replace("plain", &legal), "{evil:?}");
        }
    }
}

/// What is answered on the connection-request port has nothing in it that the peer said.
// Proves: CR-2
#[test]
fn nothing_of_a_call_is_echoed() {
    let credentials = Credentials { username: "acs".into(), password: "p".into() };
    let mut gate = Gate::new(Settings::new("/path".into(), credentials)).expect("random numbers");
    let now = Instant::now();
    for evil in EVIL {
        for request in [
            format!("{evil} /path HTTP/1.1\r\n\r\n"),
            format!("GET /path{evil} HTTP/1.1\r\n\r\n"),
            format!("GET /path HTTP/1.1\r\nX{evil}: 1\r\n\r\n"),
            format!(
                "GET /path HTTP/1.1\r\nAuthorization: Digest username=\"{evil}\", nonce=\"{evil}\"\r\n\r\n"
            ),
            format!("GET /path HTTP/1.1\r\nHost: {evil}\r\nConnection: {evil}\r\n\r\n"),
        ] {
            let Scan::Whole(head, _) = scan(request.as_bytes()) else { continue };
            let answer = gate.judge(&head, now);
            let bytes = String::from_utf8(gate.write(answer, false, now)).expect("ASCII");
            assert!(!bytes.to_lowercase().contains("evil") && !bytes.contains("\0"), "{bytes}");
            let names: Vec<&str> = bytes.lines().skip(1).filter_map(|l| Some(l.split_once(':')?.0)).collect();
            let known = ["Allow", "Connection", "Content-Length", "WWW-Authenticate"];
            assert!(names.iter().all(|n| known.contains(n)), "{bytes}");
        }
    }
}
