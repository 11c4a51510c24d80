//! Writing a table.

use super::value::{Answer, NAMED, kind};
use super::{MAX_DEPTH, MAX_FIELDS, MAX_MESSAGE, Problem};

/// What a message needs beside its table: method, path, numbers.
const BESIDE: usize = 4096;

/// Fields of a table, one after the other. What would make it too long, too deep or too many is left out,
/// and [`Writer::finish`] says so.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    /// Where tables and arrays begin that are not closed.
    open: Vec<usize>,
    fields: usize,
    full: bool,
}

/// As C has it: up to a zero byte.
fn c_text(text: &str) -> &[u8] {
    text.as_bytes().split(|b| *b == 0).next().unwrap_or(&[])
}

impl Writer {
    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether something was left out.
    pub fn is_full(&self) -> bool {
        self.full
    }

    fn field(&mut self, kind: u8, name: &str, data: &[&[u8]]) -> Option<usize> {
        let name = c_text(name);
        let len: usize = data.iter().map(|d| d.len()).sum();
        let room = 4 + super::value::name_room(name.len()) + len;
        let fits = self.bytes.len().saturating_add(room) <= MAX_MESSAGE - BESIDE && self.fields < MAX_FIELDS;
        let name_len = u16::try_from(name.len()).ok().filter(|_| fits);
        let Some(name_len) = name_len else {
            self.full = true;
            return None;
        };
        self.fields += 1;
        let start = self.bytes.len();
        // room is less than a message: its length has 24 bits.
        self.bytes.extend((NAMED | u32::from(kind) << 24 | room as u32).to_be_bytes());
        self.bytes.extend(name_len.to_be_bytes());
        self.bytes.extend(name);
        self.bytes.push(0);
        self.pad();
        data.iter().for_each(|d| self.bytes.extend_from_slice(d));
        self.pad();
        Some(start)
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn open(&mut self, kind: u8, name: &str) {
        let start = if self.open.len() < MAX_DEPTH { self.field(kind, name, &[]) } else { None };
        self.full |= start.is_none();
        // What stands in one that does not fit does not fit either, or stands in the wrong place: full says so.
        self.open.push(start.unwrap_or(usize::MAX));
    }

    /// Begins a table; in an array its name is empty.
    pub fn table(&mut self, name: &str) {
        self.open(kind::TABLE, name);
    }

    /// Begins an array.
    pub fn array(&mut self, name: &str) {
        self.open(kind::ARRAY, name);
    }

    /// Ends the table or array that was begun last.
    pub fn end(&mut self) {
        let Some(start) = self.open.pop() else { return };
        let len = self.bytes.len().saturating_sub(start) as u32;
        if let Some(word) = self.bytes.get_mut(start..).and_then(|b| b.first_chunk_mut()) {
            let kind = u32::from_be_bytes(*word) & !super::value::LENGTH;
            *word = (kind | len).to_be_bytes();
        }
    }

    /// Text, up to a zero byte.
    pub fn text(&mut self, name: &str, text: &str) {
        self.field(kind::TEXT, name, &[c_text(text), &[0]]);
    }

    /// A whole number, 32 bits wide when it fits.
    pub fn number(&mut self, name: &str, number: i64) {
        match i32::try_from(number) {
            Ok(number) => self.field(kind::INT32, name, &[&number.to_be_bytes()]),
            Err(_) => self.field(kind::INT64, name, &[&number.to_be_bytes()]),
        };
    }

    /// A whole number, 64 bits wide.
    pub fn wide(&mut self, name: &str, number: i64) {
        self.field(kind::INT64, name, &[&number.to_be_bytes()]);
    }

    /// A boolean.
    pub fn flag(&mut self, name: &str, flag: bool) {
        self.field(kind::INT8, name, &[&[flag.into()]]);
    }

    /// A number with a fraction.
    pub fn float(&mut self, name: &str, number: f64) {
        self.field(kind::DOUBLE, name, &[&number.to_be_bytes()]);
    }

    /// Nothing.
    pub fn null(&mut self, name: &str) {
        self.field(kind::NULL, name, &[]);
    }

    /// A table that there is already.
    pub fn whole(&mut self, name: &str, table: &Answer) {
        self.field(kind::TABLE, name, &[table.bytes()]);
    }

    /// The table.
    ///
    /// # Errors
    /// [`Problem::TooLong`].
    pub fn finish(mut self) -> Result<Answer, Problem> {
        while !self.open.is_empty() {
            self.end();
        }
        if self.full { Err(Problem::TooLong) } else { Answer::new(self.bytes).map_err(|_| Problem::TooLong) }
    }
}
