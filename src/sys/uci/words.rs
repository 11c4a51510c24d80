//! The words of a line, cut as libuci cuts them: oddities included, since a file that it reads in another
//! way than the agent would be changed in the wrong place.
//!
//! White space parts words. A word is made of pieces: `'…'` as it stands; `"…"` and bare text, in which a
//! backslash keeps the next byte, and joins the next line when it ends one. Quotes may span lines. `#` where
//! no quote is open ends the line. `;` ends a statement, but one that touches a bare word ends the whole line.

use std::ops::Range;

/// One word.
#[derive(Clone, Default, Debug)]
pub(super) struct Word {
    /// What it says, without quotes.
    pub text: Vec<u8>,
    /// Where it stands, quotes and all. Empty where there is none.
    pub span: Range<usize>,
}

/// Reads a text line by line, and a line word by word.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where what is seen of the present line ends.
    end: usize,
    /// Where the next line begins.
    next: usize,
}

/// A quote that does not end, and where it began.
pub(super) struct Unended(pub usize);

/// White space of C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, 9..=13 | b' ')
}

impl<'a> Lines<'a> {
    /// The lines of a text, which holds no zero byte.
    pub fn new(bytes: &'a [u8]) -> Lines<'a> {
        Lines { bytes, at: 0, end: 0, next: 0 }
    }

    /// Goes to the next line, whatever is left of this one; `false` at the end of the text.
    pub fn advance(&mut self) -> bool {
        let more = self.next < self.bytes.len();
        self.fetch();
        more
    }

    /// Puts the next line behind what was read.
    fn fetch(&mut self) {
        self.at = self.next;
        let rest = self.bytes.get(self.next..).unwrap_or_default();
        self.next += rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |n| n + 1);
        self.end = self.next;
    }

    /// Where it stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The byte at a distance; 0 behind the line.
    fn peek(&self, ahead: usize) -> u8 {
        let at = self.at + ahead;
        if at < self.end { self.bytes.get(at).copied().unwrap_or(0) } else { 0 }
    }

    /// Whether nothing is left of the line.
    pub fn is_done(&self) -> bool {
        self.peek(0) == 0
    }

    /// Passes white space.
    pub fn skip_space(&mut self) {
        while is_space(self.peek(0)) {
            self.at += 1;
        }
    }

    /// The keyword of a statement: up to a blank or tab, and the one passed; `None` when nothing is left of
    /// the line. It is not quoted, and something must follow: else the flag is `false`.
    pub fn keyword(&mut self) -> Option<(Range<usize>, bool)> {
        let is_blank = |b: u8| b == b' ' || b == b'\t';
        while is_blank(self.peek(0)) {
            self.at += 1;
        }
        let start = self.at;
        while self.peek(0) != 0 && !is_blank(self.peek(0)) {
            self.at += 1;
        }
        let word = start..self.at;
        let followed = !self.is_done();
        self.at += usize::from(followed);
        (!word.is_empty()).then_some((word, followed))
    }

    /// The next word of the statement; an empty one at its end.
    ///
    /// # Errors
    /// A quote does not end.
    pub fn word(&mut self) -> Result<Word, Unended> {
        self.skip_space();
        let start = self.at;
        let mut word = Word { text: Vec::new(), span: start..start };
        if self.peek(0) == b';' {
            self.at += 1;
            return Ok(word);
        }
        // Nothing but bare text until now.
        let mut bare = true;
        loop {
            match self.peek(0) {
                0 => break,
                b'#' => {
                    self.end = self.at;
                    break;
                }
                b';' => {
                    if bare {
                        self.end = self.at;
                    }
                    word.span.end = self.at;
                    return Ok(word);
                }
                mark @ (b'\'' | b'"') => {
                    bare = false;
                    self.quoted(mark, &mut word.text)?;
                    word.span.end = self.at;
                }
                byte => {
                    bare &= byte != b'\\';
                    if byte != b'\\' || self.escaped() {
                        word.text.push(self.peek(0));
                        self.at += 1;
                        word.span.end = self.at;
                    }
                }
            }
            if is_space(self.peek(0)) {
                break;
            }
        }
        self.at += usize::from(!self.is_done());
        Ok(word)
    }

    /// Passes a backslash; `false` when it joined the next line, and nothing is to be taken.
    fn escaped(&mut self) -> bool {
        self.at += 1;
        let joins = match self.peek(0) {
            0 | b'\n' => true,
            b'\r' => self.peek(1) == b'\n' && self.peek(2) == 0,
            _ => false,
        };
        if joins {
            self.fetch();
        }
        !joins
    }

    fn quoted(&mut self, mark: u8, text: &mut Vec<u8>) -> Result<(), Unended> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek(0) {
                byte if byte == mark => {
                    self.at += 1;
                    return Ok(());
                }
                0 => {
                    self.fetch();
                    if self.is_done() {
                        return Err(Unended(start));
                    }
                }
                byte => {
                    if byte != b'\\' || mark == b'\'' || self.escaped() {
                        text.push(self.peek(0));
                        self.at += 1;
                    }
                }
            }
        }
    }
}
