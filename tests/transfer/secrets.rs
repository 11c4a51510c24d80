//! X-33: nothing of the credentials, and no query of a URL, reaches a log.

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};

use crate::peer::{Peer, Reply};
use crate::{fetch, request};

struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    /// As `cwmpd::logging` has it: crates are not heard.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("cwmpd::")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = format!("{} {}", record.target(), record.args());
        self.0.lock().expect("lines").push(line);
    }

    fn flush(&self) {}
}

// Proves: X-33
#[test]
fn x_33_no_secret_is_logged_at_any_level() {
    log::set_logger(&LINES).expect("the first logger");
    log::set_max_level(LevelFilter::Trace);
    for challenge in [r#"Basic realm="r""#, r#"Digest realm="r", nonce="n", qop="auth""#] {
        let peer = Peer::start(move |r| match (r.header("Authorization"), r.line().contains("second")) {
            (None, _) => Reply::challenge(&[challenge]),
            (_, false) => Reply::redirect("302 Found", "/second?token=open-sesame"),
            (_, true) => Reply::ok("0123").cut(1).with_header("ETag: \"e\"").close(),
        });
        let mut request = request(peer.url("/secretive?token=open-sesame"));
        (request.options.username, request.options.password) = ("Aladdin".into(), "simsalabim".into());
        let fetched = fetch(request);
        let (_, text) = fetched.fault();
        assert!(!text.contains("sesame") && !text.contains("simsalabim"), "{text}");
    }
    let lines = LINES.0.lock().expect("lines");
    assert!(lines.iter().any(|l| l.contains("it is continued")), "{lines:#?}");
    // base64 of the two together
    for secret in ["simsalabim", "open-sesame", "QWxhZGRpbjpzaW1zYWxhYmlt"] {
        let told: Vec<&String> = lines.iter().filter(|l| l.contains(secret)).collect();
        assert!(told.is_empty(), "{secret}: {told:#?}");
    }
}
