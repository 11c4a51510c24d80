//! What ubusd and the objects behind it send, and JSON that becomes a table of theirs.

use cwmpd::sys::ubus::published::{Kind, Method};
use cwmpd::sys::ubus::{Answer, MAX_DEPTH, MAX_FIELDS, Published, Value};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

/// A table of an answer, or the JSON of one: what is read of it is bounded, and its JSON is read as the same
/// table.
pub fn ubus_table(data: &[u8]) {
    if let Ok(answer) = Answer::new(data.to_vec()) {
        assert_eq!(answer.bytes().len(), data.len());
        let mut seen = Seen::default();
        seen.look(answer.root(), 0);
        assert!(seen.fields <= MAX_FIELDS && seen.depth <= MAX_DEPTH);
        if !seen.inexact {
            again(&answer.to_json());
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(answer) = Answer::from_json(text)
    {
        let checked = Answer::new(answer.bytes().to_vec()).expect("what we write we can read");
        assert_eq!(checked, answer);
        let mut seen = Seen::default();
        seen.look(answer.root(), 0);
        if !seen.inexact {
            again(&answer.to_json());
        }
    }
}

/// JSON of ours is read again, as the same.
fn again(json: &str) {
    let again = Answer::from_json(json).unwrap_or_else(|e| panic!("{e}: {json}"));
    assert_eq!(again.to_json(), json);
}

#[derive(Default)]
struct Seen {
    fields: usize,
    depth: usize,
    /// A number has more digits than are read exactly.
    inexact: bool,
}

impl Seen {
    fn look(&mut self, value: Value<'_>, depth: usize) {
        self.depth = self.depth.max(depth);
        for (at, (name, field)) in value.fields().enumerate() {
            self.fields += 1;
            assert!(value.is_array() || value.get(name).is_some());
            assert!(at > 64 || value.at(at).is_some());
            self.inexact |= field.float().is_some_and(|n| n.abs() > 1e9);
            assert!(field.text().is_none_or(|t| !t.contains('\0')));
            let kinds =
                [field.is_table(), field.is_array(), field.text().is_some(), field.number().is_some()];
            assert!(kinds.iter().filter(|is| **is).count() <= 1);
            let deeper = field.is_table() || field.is_array();
            self.look(field, depth + usize::from(deeper));
        }
    }
}

const METHODS: &[Method] = &[("get", &[("path", Kind::Text)]), ("status", &[])];

/// What comes over the connection with ubusd, from its greeting on. Calls are answered with what they carry.
pub fn ubus_messages(data: &[u8]) {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("a socket");
    theirs.set_nonblocking(true).expect("a socket");
    let sent = theirs.write(data).unwrap_or(0);
    theirs.shutdown(std::net::Shutdown::Write).expect("an end");
    let mut object = Published::over(ours, "cwmpd", METHODS);
    let mut calls = 0;
    // Each turn reads something, or finds the end.
    for _ in 0..=sent {
        match object.next() {
            Ok(Some(call)) => {
                calls += 1;
                assert!(METHODS.iter().any(|(name, _)| *name == call.method));
                if object.answer(call.caller, Some(&call.args), 0).is_err() {
                    break;
                }
            }
            Ok(None) => {}
            Err(_) => break,
        }
    }
    // A call has a header and three attributes at least.
    assert!(calls * 28 <= sent, "{calls} of {sent} bytes");
    let _ = theirs.read(&mut [0; 4096]);
}
