//! The two buffers of a connection, and the tidying of response heads before they are parsed.

use ureq::unversioned::transport::Buffers;

/// Each of the two buffers of a session with an ACS, in bytes.
pub const BUFFER: usize = 8 * 1024;
/// The largest head of a response, in bytes.
pub const MAX_HEAD: usize = 32 * 1024;

/// Input and output of one connection.
pub struct Buffer {
    /// How large they are when nothing is in them.
    sizes: (usize, usize),
    input: Vec<u8>,
    consumed: usize,
    filled: usize,
    output: Vec<u8>,
    progress: bool,
}

impl Buffer {
    /// Buffers of so many bytes; they are made when they are used.
    pub fn new(input: usize, output: usize) -> Buffer {
        Buffer {
            sizes: (input, output),
            input: Vec::new(),
            consumed: 0,
            filled: 0,
            output: Vec::new(),
            progress: false,
        }
    }

    /// What came in and was not used yet.
    pub fn unconsumed(&self) -> &[u8] {
        self.input.get(self.consumed..self.filled).unwrap_or(&[])
    }

    /// Makes room for at least `wanted` bytes behind what is there.
    fn make_room(&mut self, wanted: usize) {
        if self.consumed > 0 {
            self.input.copy_within(self.consumed..self.filled, 0);
            self.filled -= self.consumed;
            self.consumed = 0;
        }
        if self.input.len() - self.filled < wanted {
            self.input.resize(self.filled + wanted.max(self.sizes.0), 0);
        } else if self.filled == 0 && self.input.len() > self.sizes.0 {
            self.input.truncate(self.sizes.0);
            self.input.shrink_to_fit();
        }
        self.output.resize(self.sizes.1, 0);
    }

    /// Room for what comes in; never empty.
    pub fn room(&mut self) -> &mut [u8] {
        self.make_room(1);
        self.input.get_mut(self.filled..).unwrap_or_default()
    }

    /// A part of what ureq wrote.
    pub fn written(&self, from: usize, to: usize) -> &[u8] {
        self.output.get(from..to).unwrap_or(&[])
    }

    /// Whether a parser can be given what is there while a head is awaited: all of the head, or what is
    /// none and shall fail. A part of one may end amidst something that is only put right when it is whole.
    pub fn has_head(&self) -> bool {
        const BEGINNING: &[u8] = b"HTTP/";
        let text = self.unconsumed().trim_ascii_start();
        let known = BEGINNING.len().min(text.len());
        head_end(text).is_some() || text.len() > MAX_HEAD || text.get(..known) != BEGINNING.get(..known)
    }

    /// Makes the head one that the parser takes (T-17, T-18): interim responses are dropped,
    /// folded lines unfolded, blanks before a colon put behind it. Called while a head is awaited. Tells
    /// whether `100 Continue` was among those that were dropped.
    pub fn tidy_head(&mut self) -> bool {
        let mut go = false;
        while let Some(end) = head_end(self.unconsumed()) {
            let head = self.unconsumed().get(..end).unwrap_or(&[]);
            if !is_interim(head) {
                break;
            }
            go |= head.trim_ascii_start().get(9..12) == Some(b"100");
            self.consumed += end;
        }
        let Some(text) = self.input.get_mut(self.consumed..self.filled) else {
            return go;
        };
        let end = head_end(text).unwrap_or(text.len());
        let head = text.get_mut(..end).unwrap_or_default();
        for at in 1..head.len() {
            if is_fold(head, at) {
                for b in head.iter_mut().skip(at - 1).take(2) {
                    if matches!(b, b'\r' | b'\n') {
                        *b = b' ';
                    }
                }
            }
        }
        for line in head.split_mut(|&b| b == b'\n').skip_while(|line| line.trim_ascii().is_empty()).skip(1) {
            let Some(colon) = line.iter().position(|&b| b == b':') else { continue };
            let blanks = line.iter().take(colon).rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
            line.swap(colon - blanks, colon); // no more blanks than stand before it
        }
        go
    }
}

/// Whether the line feed at `at` is followed by a continuation of its line.
fn is_fold(head: &[u8], at: usize) -> bool {
    head.get(at) == Some(&b'\n') && matches!(head.get(at + 1), Some(b' ' | b'\t'))
}

/// Where the first head ends: behind its empty line.
fn head_end(text: &[u8]) -> Option<usize> {
    // empty lines before a head belong to none
    let blank = |b: &u8| matches!(b, b'\r' | b'\n');
    let start = text.iter().position(|b| !blank(b))?;
    let mut line = start;
    while let Some(length) = text.get(line..)?.iter().position(|&b| b == b'\n') {
        let empty = matches!(text.get(line..line + length)?, [] | [b'\r']);
        line += length + 1;
        if empty {
            return Some(line);
        }
    }
    None
}

/// Whether a head is of a 1xx response that only says: wait on.
pub fn is_interim(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    matches!(head, [b'H', b'T', b'T', b'P', b'/', _, _, _, b' ', b'1', a, b, ..]
        if (*a, *b) != (b'0', b'1'))
}

impl Buffers for Buffer {
    fn output(&mut self) -> &mut [u8] {
        self.output.resize(self.sizes.1, 0);
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        self.unconsumed()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.room()
    }

    fn input_appended(&mut self, amount: usize) {
        self.filled = (self.filled + amount).min(self.input.len());
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.consumed = (self.consumed + amount).min(self.filled);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        // never empty: a read of nothing would end the body
        self.make_room(self.sizes.0 / 2);
        let tmp = self.input.get_mut(self.filled..).unwrap_or_default();
        (tmp, &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.progress && !self.unconsumed().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(text: &str) -> String {
        let mut buffer = Buffer::new(BUFFER, BUFFER);
        buffer.make_room(text.len());
        buffer.input.get_mut(..text.len()).expect("room").copy_from_slice(text.as_bytes());
        buffer.input_appended(text.len());
        buffer.tidy_head();
        String::from_utf8(buffer.unconsumed().to_vec()).expect("text")
    }

    // Proves: T-17, T-18
    #[test]
    fn t17_t18_heads_are_made_plain() {
        let table = [
            ("", ""),
            ("HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n\r\nx\r\n y", "HTTP/1.1 200 OK\r\nA: b  \tc\r\n\r\nx\r\n y"),
            ("HTTP/1.1 200 OK\nA: b\n c\n\nx\n y", "HTTP/1.1 200 OK\nA: b  c\n\nx\n y"),
            ("HTTP/1.1 200 OK\r\nA: b\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n"),
            ("HTTP/1.1 200 O :K\r\nA \t : b : c\r\n :", "HTTP/1.1 200 O :K\r\nA:\t   b : c   :"),
            ("\r\nHTTP/1.1 200 O :K\r\nA :b\r\n\r\nC :d", "\r\nHTTP/1.1 200 O :K\r\nA: b\r\n\r\nC :d"),
            ("HTTP/1.1 100 C\r\nA: b\r\n\r\nHTTP/1.1 20", "HTTP/1.1 20"),
            ("\r\nHTTP/1.1 103 C\r\n\r\n\r\nHTTP/1.1 1", "\r\nHTTP/1.1 1"),
            ("HTTP/1.1 101 Switch\r\n\r\n", "HTTP/1.1 101 Switch\r\n\r\n"),
            ("HTTP/1.1 100 C\r\n", "HTTP/1.1 100 C\r\n"),
            ("\r\n\r\n", "\r\n\r\n"),
        ];
        for (text, want) in table {
            assert_eq!(tidied(text), want, "{text:?}");
        }
    }

    #[test]
    fn the_word_to_go_on_is_told_and_dropped() {
        for (text, go) in [
            ("HTTP/1.1 100 Continue\r\nServer: x\r\n\r\n", true),
            ("HTTP/1.1 103 E\r\n\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP", true),
            ("HTTP/1.1 103 Early\r\n\r\n", false),
            ("HTTP/1.1 100 Cont", false),
            ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", false),
        ] {
            let mut buffer = Buffer::new(BUFFER, BUFFER);
            buffer.room().get_mut(..text.len()).expect("room").copy_from_slice(text.as_bytes());
            buffer.input_appended(text.len());
            assert_eq!(buffer.tidy_head(), go, "{text:?}");
        }
    }

    // Proves: T-18
    #[test]
    fn t18_parts_of_heads_wait() {
        let whole = "\r\nHTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx";
        let has = |text: &str| {
            let mut buffer = Buffer::new(BUFFER, BUFFER);
            buffer.make_room(text.len() + 1);
            buffer.input.get_mut(..text.len()).expect("room").copy_from_slice(text.as_bytes());
            buffer.input_appended(text.len());
            buffer.has_head()
        };
        for end in 0..whole.len() {
            assert_eq!(has(&whole[..end]), end == whole.len() - 1, "{end}");
        }
        assert!(
            has(whole) && has("ICY") && has("<html>") && has(&("HTTP/".to_owned() + &"x".repeat(MAX_HEAD)))
        );
    }

    #[test]
    fn buffers_shift_and_shrink() {
        let mut buffer = Buffer::new(BUFFER, BUFFER);
        let length = buffer.input_append_buf().len();
        assert_eq!(length, BUFFER);
        buffer.input_appended(length);
        assert!(!buffer.can_use_input());
        assert!(!buffer.input_append_buf().is_empty(), "it grows when nothing was consumed");
        buffer.input_consume(length);
        assert!(!buffer.can_use_input());
        assert_eq!(buffer.input_append_buf().len(), BUFFER);
        let (tmp, output) = buffer.tmp_and_output();
        assert!(!tmp.is_empty() && output.len() == BUFFER);
    }
}
