//! Bad days on the wire, each with what the ACS is told.

use crate::SOON;
use crate::acs::{Acs, Algorithm, Authentication, Complete, Options, Tls, Transfer};
use crate::bed::{Bed, CONFIG, CONTENT, Setup};
use crate::files::{Files, Manner, Refused};
use std::fs;
use std::time::Duration;

/// What a test waits at most for silence, seconds.
const IMPATIENT: &str = "silence_timeout = 1\ntotal_timeout = 30\n";

/// One Download of `/f` with this content; what the ACS is told, and the bed to look at.
#[track_caller]
fn fetch(name: &str, manner: Manner) -> (Complete, Bed) {
    fetch_with(name, &Setup::default(), |bed| {
        let url = bed.files.put("/f", CONTENT);
        bed.files.always("/f", manner.clone());
        Transfer::new(name, CONFIG, &url)
    })
}

#[track_caller]
fn fetch_with(name: &str, setup: &Setup, transfer: impl FnOnce(&Bed) -> Transfer) -> (Complete, Bed) {
    let bed = Bed::started(name, setup);
    let transfer = transfer(&bed);
    bed.download(&transfer);
    let complete = bed.told_one();
    assert_eq!(complete.command_key, transfer.command_key);
    bed.quiet();
    match complete.code {
        0 => assert_eq!(bed.applied().as_deref(), Some(CONTENT), "what was reported is so"),
        code => assert_eq!(bed.record(), Vec::<String>::new(), "{code}: nothing was made use of"),
    }
    assert_eq!(bed.fetched_files(), Vec::<std::path::PathBuf>::new(), "nothing is left of it");
    (complete, bed)
}

/// one GET, whatever came of it.
#[track_caller]
fn once(name: &str, manner: Manner, code: u16) -> Bed {
    let (complete, bed) = fetch(name, manner);
    assert_eq!(complete.code, code, "{}", complete.text);
    assert_eq!(bed.files.count("GET", "/f"), 1, "X-13");
    bed
}

// Proves
#[test]
fn a_good_day() {
    once("good", Manner::Good, 0);
}

#[test]
fn in_chunks() {
    once("chunks", Manner::Chunks(7), 0);
}

#[test]
fn no_length_at_all() {
    once("no-length", Manner::NoLength, 0);
}

// Proves
#[test]
fn refused() {
    let refused = Refused::take();
    let (complete, _bed) =
        fetch_with("refused", &Setup::default(), |_| Transfer::new("k", CONFIG, &refused.url("/f")));
    assert_eq!(complete.code, 9015, "{}", complete.text);
}

// Proves: X-15
#[test]
fn a_name_that_nobody_has() {
    let url = "http://no-such-host.invalid/f";
    let (complete, _bed) = fetch_with("no-name", &Setup::default(), |_| Transfer::new("k", CONFIG, url));
    assert_eq!(complete.code, 9015, "{}", complete.text);
}

// Proves
#[test]
fn not_found() {
    once("404", Manner::Status(404), 9016);
}

// Proves
#[test]
fn forbidden() {
    once("403", Manner::Status(403), 9016);
}

// Proves: X-13
#[test]
fn errors_of_the_server() {
    once("500", Manner::Status(500), 9016);
    once("503", Manner::Status(503), 9016);
}

/// A strong validator: the rest is asked for, at most three times.
// Proves
#[test]
fn reset_in_the_middle() {
    let (complete, bed) = fetch("reset", Manner::Reset(20));
    assert_eq!(complete.code, 9017, "{}", complete.text);
    assert_eq!(bed.files.count("GET", "/f"), 4);
    for request in &bed.files.requests_of("/f")[1..] {
        assert_eq!(request.header("If-Range"), Some("\"v1\""), "{request:?}");
        assert!(request.header("Range").is_some_and(|r| r.starts_with("bytes=")), "{request:?}");
    }
}

#[test]
fn broken_off_once_and_twice() {
    for (name, times) in [("once", 1), ("twice", 2)] {
        let (complete, bed) = fetch_with(name, &Setup::default(), |bed| {
            let url = bed.files.put("/f", CONTENT);
            (0..times).for_each(|n| bed.files.next("/f", Manner::BreakOff(10 * (n + 1))));
            Transfer::new("k", CONFIG, &url)
        });
        assert_eq!(complete.code, 0, "{}", complete.text);
        let asked = bed.files.requests_of("/f");
        let ranges: Vec<_> = asked.iter().map(|r| r.header("Range")).collect();
        assert_eq!(ranges, [None, Some("bytes=10-"), Some("bytes=20-")][..=times as usize]);
    }
}

// Proves: X-15
#[test]
fn broken_off_always() {
    let (complete, bed) = fetch("always", Manner::BreakOff(10));
    assert_eq!(complete.code, 9017, "{}", complete.text);
    assert_eq!(bed.files.count("GET", "/f"), 4);
}

/// Without a strong validator nobody knows that the rest belongs to the beginning.
// Proves: X-13
#[test]
fn broken_off_with_a_weak_validator() {
    for (name, etag) in [("weak", Some("W/\"w\"")), ("without", None)] {
        let (complete, bed) = fetch_with(name, &Setup::default(), |bed| {
            let url = bed.files.put("/f", CONTENT);
            bed.files.etag("/f", etag);
            bed.files.next("/f", Manner::BreakOff(10));
            Transfer::new("k", CONFIG, &url)
        });
        assert_eq!(complete.code, 9017, "{}", complete.text);
        assert_eq!(bed.files.count("GET", "/f"), 1, "X-13");
    }
}

/// Another file in the meantime: the server sends all of it, which is then taken from its beginning.
#[test]
fn another_file_meanwhile() {
    let (complete, _bed) = fetch_with("another", &Setup::default(), |bed| {
        let url = bed.files.put("/f", CONTENT);
        bed.files.next("/f", Manner::BreakOff(10));
        bed.files.next("/f", Manner::Whole);
        Transfer::new("k", CONFIG, &url)
    });
    assert_eq!(complete.code, 0, "{}", complete.text);
}

/// An HTTP error in place of the rest ends it: it is an answer.
// Proves: X-13
#[test]
fn broken_off_and_then_an_error() {
    let (complete, bed) = fetch_with("then-404", &Setup::default(), |bed| {
        let url = bed.files.put("/f", CONTENT);
        bed.files.next("/f", Manner::BreakOff(10));
        bed.files.always("/f", Manner::Status(404));
        Transfer::new("k", CONFIG, &url)
    });
    assert!([9016, 9017].contains(&complete.code), "{complete:?}");
    assert_eq!(bed.files.count("GET", "/f"), 2, "X-13");
}

#[test]
fn half_closed() {
    let (complete, _bed) = fetch("half", Manner::HalfClose(10));
    assert_eq!(complete.code, 9017, "{}", complete.text);
}

#[test]
fn trickling() {
    let setup = Setup { transfer: "silence_timeout = 60\ntotal_timeout = 1\n".into(), ..Setup::default() };
    let (complete, bed) = fetch_with("trickle", &setup, |bed| {
        let url = bed.files.put("/f", vec![b'x'; 1 << 20]);
        bed.files.always("/f", Manner::Trickle(Duration::from_millis(20)));
        Transfer::new("k", CONFIG, &url)
    });
    assert_eq!(complete.code, 9017, "{}", complete.text);
    assert_eq!(bed.files.count("GET", "/f"), 1, "X-13");
}

#[test]
fn silent() {
    for (name, manner) in [("silent", Manner::Silent(10)), ("mute", Manner::Mute)] {
        let setup = Setup { transfer: IMPATIENT.into(), ..Setup::default() };
        let (complete, bed) = fetch_with(name, &setup, |bed| {
            let url = bed.files.put("/f", CONTENT);
            bed.files.always("/f", manner.clone());
            Transfer::new("k", CONFIG, &url)
        });
        assert_eq!(complete.code, 9017, "{name}: {}", complete.text);
        assert_eq!(bed.files.count("GET", "/f"), 1, "X-13: {name}");
    }
}

/// what the RPC gives is used toward whoever asks, Basic over http too.
// Proves: X-32
#[test]
fn x_32_basic_and_digest() {
    let asked = [
        Authentication::Basic,
        Authentication::Digest(vec![Algorithm::Md5]),
        Authentication::Digest(vec![Algorithm::Sha256, Algorithm::Md5]),
    ];
    for asked in asked {
        let (complete, bed) = fetch_with("x-32", &Setup::default(), |bed| {
            let url = bed.files.put("/f", CONTENT);
            bed.files.protect("/f", asked.clone(), "us\"er", "pass:word");
            Transfer::new("k", CONFIG, &url).with_credentials("us\"er", "pass:word")
        });
        assert_eq!(complete.code, 0, "{asked:?}: {}", complete.text);
        assert_eq!(bed.files.count("GET", "/f"), 2, "{asked:?}");
        assert_eq!(bed.files.requests_of("/f")[0].header("Authorization"), None, "not before it is asked");
    }
}

// Proves
#[test]
fn a_401_for_ever() {
    for asked in [Authentication::Basic, Authentication::Digest(vec![Algorithm::Md5])] {
        let (complete, bed) = fetch_with("401", &Setup::default(), |bed| {
            let url = bed.files.put("/f", CONTENT);
            bed.files.always("/f", Manner::Refuse(asked.clone()));
            Transfer::new("k", CONFIG, &url).with_credentials("user", "Geheim-1")
        });
        assert_eq!(complete.code, 9012, "{asked:?}: {}", complete.text);
        assert!(bed.files.count("GET", "/f") <= 3, "X-13: {asked:?}");
        assert!(!complete.text.contains("Geheim-1"), "X-33: {}", complete.text);
    }
}

// Proves: X-15
#[test]
fn a_401_without_credentials() {
    once("no-password", Manner::Refuse(Authentication::Basic), 9012);
}

// Proves: X-35
#[test]
fn x_35_redirects() {
    let (complete, bed) = fetch_with("redirected", &Setup::default(), |bed| {
        let url = bed.files.put("/f", CONTENT);
        for (from, to) in [("/a", "/b"), ("/b", &*url)] {
            bed.files.always(from, Manner::Redirect(302, to.into()));
        }
        Transfer::new("k", CONFIG, &bed.files.url("/a"))
    });
    assert_eq!(complete.code, 0, "{}", complete.text);
    assert_eq!(bed.files.requests().len(), 3);
}

// Proves: X-35
#[test]
fn x_35_a_redirect_loop() {
    let (complete, bed) = fetch_with("loop", &Setup::default(), |bed| {
        bed.files.always("/a", Manner::Redirect(307, "/b".into()));
        bed.files.always("/b", Manner::Redirect(307, "/a".into()));
        Transfer::new("k", CONFIG, &bed.files.url("/a"))
    });
    assert_eq!(complete.code, 9016, "{}", complete.text);
    assert!(bed.files.requests().len() <= 12, "bounded: {}", bed.files.requests().len());
}

/// An agent that trusts a CA, between an http ACS and an https file server.
fn over_tls(name: &str, files: Files, ca: &str) -> Bed {
    let acs = Acs::start(Options::default());
    let mut bed = Bed::with(name, &Setup::default(), acs, files);
    fs::write(bed.dir().join("ca.pem"), ca).expect("a file");
    let ca = format!("ca_file = \"{}/ca.pem\"\n", bed.dir().display());
    bed.configure(&Setup { acs: ca, ..Setup::default() }, "1.0.0");
    bed.daemon.start();
    bed
}

// Proves: X-31
#[test]
fn x_31_the_same_checks_as_toward_the_acs() {
    let right = Files::with_tls(&Tls::default());
    let ca = right.identity().ca.clone();
    let bed = over_tls("right-ca", right, &ca);
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", CONFIG, &url));
    let complete = bed.told_one();
    assert_eq!(complete.code, 0, "{}", complete.text);
    let elsewhere = Tls { names: vec!["elsewhere.example".to_string()], ..Tls::default() };
    let past = Tls { years: (2019, 2020), ..Tls::default() };
    for (name, tls, trusted) in
        [("wrong-ca", Tls::default(), false), ("wrong-name", elsewhere, true), ("past", past, true)]
    {
        let files = Files::with_tls(&tls);
        let own = if trusted { files.identity().ca.clone() } else { ca.clone() };
        let bed = over_tls(name, files, &own);
        let url = bed.files.put("/f", CONTENT);
        bed.download(&Transfer::new("k", CONFIG, &url));
        let complete = bed.told_one();
        assert_eq!(complete.code, 9015, "{name}: {}", complete.text);
        assert_eq!(bed.files.requests().len(), 0, "X-31: {name}: it was told nothing");
    }
}

/// A file server that wants to know the device sees the certificate that the ACS sees.
// Proves: X-31
#[test]
fn x_31_the_client_certificate_of_the_acs() {
    let files = Files::with_tls(&Tls { client_certificate: true, ..Tls::default() });
    let identity = files.identity().clone();
    let mut bed = Bed::with("client-cert", &Setup::default(), Acs::start(Options::default()), files);
    let dir = bed.dir().display().to_string();
    let mut acs = String::new();
    let (certificate, key) = &identity.client;
    for (name, text) in [("ca_file", &identity.ca), ("client_certificate", certificate), ("client_key", key)]
    {
        fs::write(bed.dir().join(name), text).expect("a file");
        acs += &format!("{name} = \"{dir}/{name}\"\n");
    }
    bed.configure(&Setup { acs, ..Setup::default() }, "1.0.0");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", CONFIG, &url));
    let complete = bed.told_one();
    assert_eq!(complete.code, 0, "{}", complete.text);
    bed.quiet();
}

// Proves: X-35
#[test]
fn x_35_never_from_https_to_http() {
    let files = Files::with_tls(&Tls::default());
    let ca = files.identity().ca.clone();
    let bed = over_tls("downgrade", files, &ca);
    let plain = Files::start();
    let to = plain.put("/f", CONTENT);
    bed.files.always("/a", Manner::Redirect(302, to));
    bed.download(&Transfer::new("k", CONFIG, &bed.files.url("/a")).with_credentials("user", "password"));
    let complete = bed.told_one();
    assert_eq!(complete.code, 9016, "{}", complete.text);
    assert_eq!(plain.requests().len(), 0);
}

/// The rest of a longer file is not read; a hash tells.
#[test]
fn a_wrong_length_too_short() {
    let (complete, _bed) = fetch_with("short", &Setup::default(), |bed| {
        let url = bed.files.put("/f", CONTENT);
        bed.files.always("/f", Manner::Length(-5));
        Transfer::new("k", CONFIG, &format!("{url}#sha256={}", sha256(CONTENT)))
    });
    assert_eq!(complete.code, 9018, "{}", complete.text);
}

#[test]
fn a_wrong_length_too_long() {
    let (complete, _bed) = fetch("long", Manner::Length(5));
    assert_eq!(complete.code, 9017, "{}", complete.text);
}

/// FileSize is a hint.
// Proves: X-24
#[test]
fn longer_and_shorter_than_file_size() {
    for size in [1, 10_000] {
        let (complete, _bed) = fetch_with("size", &Setup::default(), |bed| {
            let url = bed.files.put("/f", CONTENT);
            Transfer { file_size: size, ..Transfer::new("k", CONFIG, &url) }
        });
        assert_eq!(complete.code, 0, "{}", complete.text);
    }
}

/// The limit of the configuration, said before and only found on the way.
#[test]
fn longer_than_is_allowed() {
    let setup = Setup { transfer: "max_bytes = 1000\n".into(), ..Setup::default() };
    for manner in [Manner::Good, Manner::NoLength, Manner::Chunks(100)] {
        let (complete, _bed) = fetch_with("max", &setup, |bed| {
            let url = bed.files.put("/f", vec![b'x'; 100_000]);
            bed.files.always("/f", manner.clone());
            Transfer::new("k", CONFIG, &url)
        });
        assert_eq!(complete.code, 9010, "{manner:?}: {}", complete.text);
    }
}

#[test]
fn gzip_where_none_was_asked() {
    once("gzip", Manner::Gzip, 9018);
}

/// A part where the whole was asked for, and another part than the one that was asked for.
#[test]
fn a_206_with_other_content() {
    let part = |range: &str, content: &[u8]| Manner::Part(range.into(), content.to_vec());
    let bed = once("206", part("bytes 5-9/60", b"other"), 9017);
    drop(bed);
    for (name, other) in [("from", part("bytes 0-4/60", b"other")), ("length", part("bytes 10-59/61", b"x"))]
    {
        let (complete, bed) = fetch_with(name, &Setup::default(), |bed| {
            let url = bed.files.put("/f", CONTENT);
            bed.files.next("/f", Manner::BreakOff(10));
            bed.files.always("/f", other.clone());
            Transfer::new("k", CONFIG, &url)
        });
        assert!([9017, 9018].contains(&complete.code), "{name}: {complete:?}");
        assert!(bed.files.count("GET", "/f") <= 4, "X-13");
    }
}

#[test]
fn a_hash_that_is_another() {
    let (complete, _bed) = fetch_with("hash", &Setup::default(), |bed| {
        let url = bed.files.put("/f", CONTENT);
        Transfer::new("k", CONFIG, &format!("{url}#sha256={}", sha256(b"another")))
    });
    assert_eq!(complete.code, 9018, "{}", complete.text);
}

/// An upload that meets each of them.
// Proves: X-34
#[test]
fn uploads() {
    for (name, manner, code) in [
        ("good", Manner::Good, 0),
        ("403", Manner::Status(403), 9016),
        ("404", Manner::Status(404), 9016),
        ("500", Manner::Status(500), 9016),
        ("401", Manner::Refuse(Authentication::Basic), 9012),
        ("broken", Manner::BreakOff(5), 9011),
        ("reset", Manner::Reset(5), 9011),
        ("silent", Manner::Silent(5), 9011),
    ] {
        let setup = Setup { transfer: IMPATIENT.into(), ..Setup::default() };
        let bed = Bed::started(name, &setup);
        bed.files.always("/up", manner);
        bed.upload(&Transfer::new(name, crate::bed::SAVED, &bed.files.url("/up")));
        let complete = bed.told_one();
        assert_eq!(complete.brief(), (name, code), "{}", complete.text);
        assert_eq!(bed.files.count("PUT", "/up"), 1, "X-13: {name}");
        assert_eq!(bed.files.requests().len(), 1, "X-34: {name}");
        let whole = (code == 0).then_some(&b"what the device has\n"[..]);
        assert_eq!(bed.files.uploaded("/up").as_deref(), whole, "{name}");
        bed.quiet();
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A connection request, an Inform and a whole session while a file is on its way change nothing in it.
#[test]
fn a_session_during_a_transfer() {
    let bed = Bed::start("meanwhile");
    let url = bed.files.put("/f", CONTENT);
    bed.files.always("/f", Manner::Gate(10));
    bed.download(&Transfer::new("k", CONFIG, &url));
    bed.files.wait_at_gate("/f", SOON);
    let transfers = bed.transfers();
    assert_eq!((transfers.len(), &transfers[0]["step"]), (1, &"fetching".into()), "{transfers:?}");
    let call = bed.status()["connection_request_url"].as_str().expect("a URL").to_owned();
    assert_eq!(bed.acs.connection_request(&call, "caller", "call-secret"), 200);
    let mut session = bed.acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["6 CONNECTION REQUEST"]);
    assert_eq!(session.queued(), Ok(vec![("k".to_string(), 2)]), "X-44");
    assert_eq!(session.cancel("k").map_err(|f| f.code), Ok(()), "nothing was changed at the device yet");
    session.end();
    bed.quiet();
    // and one that is left alone
    let url = bed.files.put("/g", CONTENT);
    bed.files.always("/g", Manner::Gate(10));
    let mut session = bed.kicked();
    session.download(&Transfer::new("l", CONFIG, &url)).expect("promised");
    session.end();
    bed.files.wait_at_gate("/g", SOON);
    bed.kicked().end();
    bed.files.open("/g");
    assert_eq!(bed.told_one().brief(), ("l", 0), "X-42: not the one that was cancelled");
    assert_eq!(bed.files.count("GET", "/g"), 1);
}

/// what waits, what runs, what has ended; and what is being applied cannot be taken back.
// Proves
#[test]
fn x_43_states() {
    let commands = "config_apply = [\"sh\", \"{dir}/slow\", \"{file}\"]";
    let mut bed = Bed::new("states", &Setup { commands: commands.into(), ..Setup::default() });
    let gate = bed.dir().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a gate");
    bed.script("slow", "echo begin >> $dir/record; read x < $dir/gate; cp \"$1\" $dir/applied\n");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    session.download(&Transfer::new("gone", CONFIG, &bed.files.url("/none"))).expect("promised");
    let named =
        Transfer { target_file_name: "name".into(), file_size: 60, ..Transfer::new("run", CONFIG, &url) };
    session.download(&named).expect("promised");
    session.upload(&Transfer::new("wait", crate::bed::LOG, &bed.files.url("/up"))).expect("promised");
    session.end();
    // refused, so that it stays
    let mut session = bed.acs.next_session(SOON);
    assert_eq!(session.next_complete().brief(), ("gone", 9016));
    session.refuse(8002);
    session.ready();
    session.end();
    bed.daemon.wait_for("the hook", || !bed.record().is_empty());
    let mut session = bed.kicked();
    session.ready();
    let all = session.all_queued().expect("a list");
    let brief: Vec<_> =
        all.iter().map(|q| (q.command_key.as_str(), q.state, q.is_download, q.file_size)).collect();
    assert!(brief.contains(&("run", 2, true, 60)) && brief.contains(&("wait", 1, false, 0)), "{all:?}");
    assert!(all.iter().any(|q| q.target_file_name == "name" && q.file_type == CONFIG), "{all:?}");
    assert_eq!(session.cancel("run").map_err(|f| f.code), Err(9021), "X-41");
    assert_eq!(session.cancel("nobody"), Ok(()), "X-42");
    assert_eq!(session.cancel("wait"), Ok(()), "X-41");
    assert!(session.queued().expect("a list").contains(&("run".to_string(), 2)), "X-44");
    session.end();
    fs::write(&gate, "go\n").expect("written");
    assert_eq!(bed.told_one().brief(), ("run", 0));
    bed.quiet();
    assert_eq!(bed.files.count("PUT", "/up"), 0, "X-42");
}
