//! What an ACS says in HTTP: responses, cookies, Locations.

use cwmpd::net::client::{self, Body, Client, Error, Options, Timeouts};
use cwmpd::net::coding::{Coding, Limits};
use cwmpd::net::cookies::{self, Jar};
use cwmpd::net::url::Url;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// By which the dates of cookies are judged.
const NOW: Option<i64> = Some(1_767_225_600);

/// Lines of `Set-Cookie`: the jar stays small, its header fits one line, and goes to its host only.
pub fn set_cookie(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let url = Url::parse("https://acs.isp.example/cwmp/in").expect("a URL");
    let other = Url::parse("https://elsewhere.invalid/cwmp/in").expect("a URL");
    let mut jar = Jar::default();
    for line in text.split('\n') {
        jar.store(line, &url, NOW);
        let _ = cookies::parse_date(line);
        if let Some(header) = jar.header(&url) {
            assert!(header.len() <= cookies::MAX_COOKIES_SIZE + 3 * cookies::MAX_COOKIES);
            assert!(header.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')));
        }
        assert_eq!(jar.header(&other), None);
    }
    if let Some(header) = jar.header(&url) {
        let mut names: Vec<&str> = header.split("; ").map(|c| c.split('=').next().unwrap_or("")).collect();
        names.sort_unstable();
        // Of the same name there are several when their paths differ.
        if names.windows(2).all(|two| two[0] != two[1]) {
            let mut again = Jar::default();
            header.split("; ").for_each(|cookie| again.store(&format!("{cookie}; Path=/"), &url, NOW));
            assert_eq!(again.header(&url).as_deref(), Some(header.as_str()));
        }
    }
}

/// A URL and, on the lines behind it, Locations: what is taken can be written in a request line and
/// read again, and the configuration takes nothing that the client does not.
pub fn url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let first = lines.next().unwrap_or("");
    let parsed = Url::parse(first);
    if Url::of_acs(first).is_ok() {
        assert!(parsed.is_ok(), "the configuration takes it, the client does not: {parsed:?}");
    }
    let Ok(mut url) = parsed else { return };
    sound(&url);
    for line in lines {
        if let Ok(next) = url.join(line) {
            sound(&next);
            url = next;
        }
    }
}

fn sound(url: &Url) {
    assert!(url.target.starts_with('/') && url.target.bytes().all(|b| b.is_ascii_graphic()));
    assert!(
        !url.host.is_empty() && url.port != 0 && !url.to_string().contains('@') || url.target.contains('@')
    );
    let text = url.to_string();
    // Encoding makes a long one longer, and then it is refused by its length alone.
    match Url::parse(&text) {
        Ok(again) => assert_eq!(again, *url),
        Err(why) => assert!(text.len() > cwmpd::net::url::MAX_URL, "{text}: {why}"),
    }
}

/// A compressed body: what comes out is bounded, or it is refused; and what is compressed comes back.
pub fn coding(data: &[u8]) {
    let limits = Limits { size: 64 * 1024, time: Duration::from_secs(10) };
    for coding in [Coding::Gzip, Coding::Deflate] {
        if let Ok(body) = coding.decompress(data, limits) {
            assert!(body.len() <= limits.size, "{} bytes", body.len());
        }
        let compressed = coding.compress(data).expect("memory");
        assert_eq!(coding.decompress(&compressed[..], limits).expect("our own"), data);
        // Cut off, or with something behind it, it is refused.
        assert!(data.is_empty() || coding.decompress(&compressed[..compressed.len() - 1], limits).is_err());
        assert!(coding.decompress(&[&compressed[..], b"x"].concat()[..], limits).is_err());
    }
    let text = String::from_utf8_lossy(data);
    let headers: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for named in [Coding::of_response(&headers, &[]), Coding::of_response(&[], &headers)] {
        if let Err(why) = named {
            assert!(why.len() < 200 && why.bytes().all(|b| matches!(b, b' '..=b'~')), "{why}");
        }
    }
}

/// The bytes that an ACS answers each POST with, by whatever head and in whatever chunks: a body within
/// its bound, or a reason. Nothing is waited for, since the connection then ends.
pub fn response(data: &[u8]) {
    // Nobody but the peer of this test is to be asked.
    let lower = data.to_ascii_lowercase();
    let has = |part: &[u8]| lower.windows(part.len()).any(|w| w == part);
    if has(b"location") && has(b"//") {
        return;
    }
    thread_local! {
        static ACS: Answers = Answers::start();
    }
    ACS.with(|acs| {
        *acs.bytes.lock().expect("the bytes") = data.to_vec();
        let wait = Duration::from_secs(20);
        let options = Options {
            url: format!("http://{}/acs", acs.address),
            username: "u".into(),
            password: "a secret".into(),
            user_agent: "cwmpd/fuzz".into(),
            clock_set: true,
            timeouts: Timeouts { connect: wait, response: wait, progress: wait, session: wait },
            ..Options::default()
        };
        let (_waker, wake) = UnixStream::pair().expect("a pair");
        let mut client = Client::new(options, wake.into()).expect("a client");
        match client.post(Body::Whole(b"<Inform/>")) {
            Ok(response) => assert!(response.body.len() <= client::MAX_BODY),
            Err(Error::Timeout(what)) => panic!("{what}: something was waited for"),
            Err(error) => assert!(!error.to_string().contains("a secret") || has(b"a secret"), "{error}"),
        }
    });
}

/// An ACS that answers everything with the same bytes, and closes.
struct Answers {
    address: SocketAddr,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Answers {
    fn start() -> Answers {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("an address");
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let answer = Arc::clone(&bytes);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while !request.ends_with(b"<Inform/>") {
                    match stream.read(&mut piece) {
                        Ok(n) if n > 0 => request.extend_from_slice(&piece[..n]),
                        _ => break,
                    }
                }
                let bytes = answer.lock().expect("the bytes").clone();
                let _ = stream.write_all(&bytes);
                let _ = stream.shutdown(Shutdown::Write);
                // Closed with nothing unread, so that no byte of the answer is lost.
                while matches!(stream.read(&mut piece), Ok(n) if n > 0) {}
            }
        });
        Answers { address, bytes }
    }
}
