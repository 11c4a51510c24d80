//! What is said and what is answered, as ubusd would have it.

use super::super::listener::topic;
use super::super::published::{self, Kind};
use super::super::*;
use super::bytes;
use crate::sys::watch::Heard;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(30);

/// A peer that says and expects these bytes, by turns: parts that begin with `<` come from ubusd, those with
/// `>` go to it. Where it listens, and what ends when all was said.
fn dialog(script: &'static str) -> (std::path::PathBuf, JoinHandle<()>) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("cwmpd-ubus-{}-{number}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let socket = path.clone();
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let starts: Vec<usize> = script.match_indices(['<', '>']).map(|(at, _)| at).collect();
        for (n, at) in starts.iter().enumerate() {
            let part = &script[*at..starts.get(n + 1).copied().unwrap_or(script.len())];
            let (title, rest) = part.split_once('\n').unwrap();
            let expected = bytes(rest);
            if title.starts_with('<') {
                stream.write_all(&expected).unwrap();
            } else {
                let mut got = vec![0; expected.len()];
                stream.read_exact(&mut got).unwrap();
                assert_eq!(got, expected, "{title}");
            }
        }
        // Whatever else was said was not expected.
        drop(listener);
        std::fs::remove_file(socket).unwrap();
        stream.set_nonblocking(true).unwrap();
        let mut more = [0; 64];
        match stream.read(&mut more) {
            Ok(n) => assert_eq!(&more[..n], b"", "said too much"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    });
    (path, peer)
}

fn ubus(path: &Path) -> Ubus {
    Ubus::new(Place::Socket(path.to_owned()))
}

/// ubusd's greeting: we are its client 0x11223344.
macro_rules! hello {
    () => {
        "< HELLO
            00 00 0000 11223344         # version, type HELLO (0), no request, our number
            00000004                    # an attribute of nothing but its own word
        "
    };
}

/// `ubus call session access '{"n":-2}'`: the object is looked up, then called; arguments that are words
/// become what the method wants.
#[test]
fn a_call_in_bytes() {
    let (path, peer) = dialog(concat!(
        hello!(),
        "> LOOKUP
            00 04 0001 00000000         # type LOOKUP (4), our first request, for ubusd itself
            00000010                    # all that follows, this word too: 16 bytes
            0200000c 'session' 00       # OBJPATH (2), 4 + 8 bytes
         < DATA
            00 02 0001 00000000         # type DATA (2), to our first request
            0000004c
            0200000c 'session' 00       # OBJPATH
            03000008 5a5a0001           # OBJID (3)
            05000008 77000001           # OBJTYPE (5)
            0600002c                    # SIGNATURE (6), 4 + 40 bytes: a table of methods
              8200000c 0004 'list' 00 00 # TABLE (2) with a name (the top bit), 7 bytes with its own length
                                        #   and its end, and one to fill: 4 + 8, so it takes no arguments
              8200001c 0006 'access' 00 000000 # 4 + 12 + 12: here the name has 9 bytes, and 3 to fill
                8500000c 0001 'n' 00 00000005  # `n` shall be an INT32 (5)
         < STATUS
            00 01 0001 00000000         # type STATUS (1)
            0000000c
            01000008 00000000           # STATUS (1): success
         > INVOKE
            00 05 0002 5a5a0001         # type INVOKE (5), our second request, for the object
            00000028
            03000008 5a5a0001           # OBJID
            0400000b 'access' 00 00     # METHOD (4): 4 + 7, and a byte to fill
            07000010                    # DATA (7): a table
              8500000c 0001 'n' 00 fffffffe
         < DATA
            00 02 0002 5a5a0001
            00000030
            03000008 5a5a0001           # OBJID, as the object itself sent it
            07000024                    # DATA: a table
              8300000f 0003 'who' 00 0000 # TEXT (3)
                'me' 00 00              #   two letters and their end, and a byte to fill
              8700000d 0002 'ok' 00 000000 01 000000 # INT8 (7), a boolean
         < STATUS
            00 01 0002 5a5a0001
            00000014
            01000008 00000000
            03000008 5a5a0001"
    ));
    let mut ubus = ubus(&path);
    let answer = ubus.call("session", "access", Args::Words(&[("n", "-2")]), PATIENCE).unwrap();
    assert_eq!(answer.to_json(), r#"{"who":"me","ok":true}"#);
    peer.join().unwrap();
}

/// What `ubus listen network.interface` and `ubus subscribe network.interface` say and hear.
#[test]
fn a_listener_in_bytes() {
    let (path, peer) = dialog(concat!(
        hello!(),
        "> ADD_OBJECT
            00 06 0001 00000000         # type ADD_OBJECT (6)
            00000004                    # without name and methods
         < DATA
            00 02 0001 00000000
            0000000c
            03000008 a821f1d3           # OBJID: the number that ubusd gives it
         < STATUS
            00 01 0001 00000000
            0000000c
            01000008 00000000
         > INVOKE
            00 05 0002 00000001         # ubusd's own object 1
            00000058
            03000008 00000001           # OBJID
            0400000d 'register' 00 000000 # METHOD
            0700003c                    # DATA
              85000014 0006 'object' 00 000000 a821f1d3 # to this object of ours
              83000022 0007 'pattern' 00 0000 # go events of this name
                'network.interface' 00 0000
         < STATUS
            00 01 0002 00000001
            0000000c
            01000008 00000000
         > INVOKE
            00 05 0003 00000001
            00000054
            03000008 00000001
            0400000d 'register' 00 000000
            07000038
              85000014 0006 'object' 00 000000 a821f1d3
              83000020 0007 'pattern' 00 0000 # objects that come
                'ubus.object.add' 00
         < STATUS
            00 01 0003 00000001
            0000000c
            01000008 00000000
         > INVOKE
            00 05 0004 00000001
            00000058
            03000008 00000001
            0400000d 'register' 00 000000
            0700003c
              85000014 0006 'object' 00 000000 a821f1d3
              83000023 0007 'pattern' 00 0000 # and go
                'ubus.object.remove' 00 00
         < STATUS
            00 01 0004 00000001
            0000000c
            01000008 00000000
         > LOOKUP
            00 04 0005 00000000
            0000001c
            02000016 'network.interface' 00 0000
         < DATA
            00 02 0005 00000000
            0000002c
            02000016 'network.interface' 00 0000
            03000008 5a5a0002           # OBJID
            05000008 77000002           # OBJTYPE; no SIGNATURE
         < STATUS
            00 01 0005 00000000
            0000000c
            01000008 00000000
         > SUBSCRIBE
            00 08 0006 00000000         # type SUBSCRIBE (8)
            00000014
            03000008 a821f1d3           # our object
            08000008 5a5a0002           # TARGET (8)
         < STATUS
            00 01 0006 00000000
            0000000c
            01000008 00000000
         < INVOKE
            00 05 0007 33333333         # a notification, from the client whose object it is
            00000024
            03000008 a821f1d3           # OBJID: ours
            04000015 'interface.update' 00 000000
            07000004
         > STATUS
            00 01 0007 33333333         # it waits for an answer
            00000014
            01000008 00000000
            03000008 a821f1d3
         < INVOKE
            00 05 0008 00000000         # an event, from nobody
            00000054
            03000008 a821f1d3
            04000016 'network.interface' 00 0000 # METHOD: its name
            07000030
              83000015 0006 'action' 00 000000
                'ifup' 00 000000
              83000014 0009 'interface' 00
                'lan' 00"
    ));
    let mut listener = Listener::listen(&path, topic::INTERFACE, PATIENCE).unwrap();
    let told = hear(&mut listener);
    assert!(told == Heard::Ring && listener.is_waited_for());
    assert_eq!(hear(&mut listener), Heard::Ring, "the event");
    peer.join().unwrap();
    assert_eq!(hear(&mut listener), Heard::Ring, "the end of ubusd");
}

/// The next thing that is heard.
fn hear(listener: &mut Listener) -> Heard {
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        match listener.heard() {
            Heard::Nothing => assert!(std::time::Instant::now() < until, "nothing to hear"),
            heard => return heard,
        }
        std::thread::yield_now();
    }
}

const METHODS: &[published::Method] = &[("get", &[("path", Kind::Text)]), ("status", &[])];

/// An object of ours: it is added, called, and tells an event.
#[test]
fn an_object_in_bytes() {
    let (path, peer) = dialog(concat!(
        hello!(),
        "> ADD_OBJECT
            00 06 0001 00000000
            00000040
            0200000a 'cwmpd' 00 0000    # OBJPATH
            06000030                    # SIGNATURE
              8200001c 0003 'get' 00 0000
                85000010 0004 'path' 00 00 00000003 # text
              82000010 0006 'status' 00 000000
         < DATA
            00 02 0001 00000000
            00000014
            03000008 a821f1d3
            05000008 77000003           # OBJTYPE: of no interest
         < STATUS
            00 01 0001 00000000
            0000000c
            01000008 00000000
         < INVOKE
            00 05 0001 44444444         # from a client
            00000040
            03000008 a821f1d3
            04000008 'get' 00
            0c000009 'root' 00 000000   # USER (12), and GROUP (13): ubusd has looked
            0d000009 'root' 00 000000
            07000014                    # DATA
              8300000e 0004 'path' 00 00
                'x' 00 0000
         > DATA
            00 02 0001 44444444         # to that request of that client
            00000024
            03000008 a821f1d3           # from our object
            07000018
              83000014 0005 'value' 00
                '1234567' 00
         > STATUS
            00 01 0001 44444444
            00000014
            01000008 00000000
            03000008 a821f1d3
         > INVOKE
            00 05 0002 00000001         # an event, by ubusd's own object 1
            00000038
            03000008 00000001
            04000009 'send' 00 000000
            07000020
              83000010 0002 'id' 00 000000
                'now' 00
              8200000c 0004 'data' 00 00
         < INVOKE
            00 05 0002 44444444
            0000001c
            03000008 a821f1d3
            04000009 'boot' 00 000000   # there is no such method
            07000004
         > STATUS
            00 01 0002 44444444
            00000014
            01000008 00000003           # METHOD_NOT_FOUND
            03000008 a821f1d3
         < INVOKE
            00 05 0003 44444444
            00000014
            03000008 a821f1d3
            04000008 'get' 00           # no DATA
         > STATUS
            00 01 0003 44444444
            00000014
            01000008 00000002           # INVALID_ARGUMENT
            03000008 a821f1d3"
    ));
    let mut object = Published::begin(&path, "cwmpd", METHODS).unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    let mut calls = Vec::new();
    let end = loop {
        assert!(std::time::Instant::now() < until);
        match object.next() {
            Ok(Some(call)) => {
                let mut answer = Writer::default();
                answer.text("value", "1234567");
                object.answer(call.caller, Some(&answer.finish().unwrap()), 0).unwrap();
                object.send_event("now", &Answer::default()).unwrap();
                calls.push((call.method, call.args.to_json()));
            }
            Ok(None) => std::thread::yield_now(),
            Err(problem) => break problem,
        }
    };
    assert_eq!(calls, [("get".to_owned(), r#"{"path":"x"}"#.to_owned())]);
    assert_eq!(end, Problem::Broken("ubusd closed it"));
    peer.join().unwrap();
}
