//! The trait through which the tree reaches the places where values live.
//!
//! A handler fills one object instance at a time ("rows, not cells"), and reads each of its sources
//! once per RPC: [`Ctx::epoch`] changes with every RPC, and a handler that keeps an answer keeps the
//! epoch with it. Handlers are owned by the engine's thread and need not be `Send`.
//!
//! # Changes
//! The tree runs a transaction over all handlers in this order: `check` all and collect every
//! problem; `stage` all; the intent (every change with what `stage` returned) goes to disk; `commit`
//! all; "done" goes to disk. When a commit fails, or a start finds an intent that is not done, `undo`
//! is called for every change that may have been made, newest first: it must be idempotent and must put
//! back only what the change touched. Neither `commit` nor `undo` may need anything that `stage` left in
//! memory: the process may be a new one. When a set makes rows, their additions are staged and committed
//! first, and values of those rows are checked and staged when the rows are there.

use super::fault::Code;
use super::index::{MAX_INSTANCES, MAX_KEY};
use super::schema::{Object, Param};
use crate::sys::netlink::events::topic;
use crate::sys::ubus;
use std::path::Path;

/// What a handler may know of the present call.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    /// Changes with each RPC (and each sweep): what was read under another epoch is stale.
    pub epoch: u32,
    /// Everything the platform reads lies below it; `/` on a real machine.
    pub root: &'a Path,
}

/// One object instance (for `list` and `add_key`: the table, with the keys of its parents only).
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The object.
    pub object: Object<'a>,
    /// The argument of the source, as the row of the data model says it.
    pub arg: &'a str,
    /// The key of each `{i}`, outermost first: what the handler's `list` said.
    pub keys: &'a [&'a str],
    /// The instance number of each `{i}`, outermost first.
    pub numbers: &'a [u32],
}

impl<'a> Row<'a> {
    /// The key of the innermost instance; empty when the object has none.
    pub fn key(&self) -> &'a str {
        self.keys.last().copied().unwrap_or("")
    }
}

/// One parameter that is wanted of a row.
#[derive(Clone, Copy)]
pub struct Want<'a> {
    /// The parameter.
    pub param: Param<'a>,
    /// The argument of its own source.
    pub arg: &'a str,
}

/// One value to be set, already checked against its type and in canonical form.
#[derive(Clone, Copy)]
pub struct Set<'a> {
    /// The parameter.
    pub param: Param<'a>,
    /// The argument of its own source.
    pub arg: &'a str,
    /// The new value.
    pub value: &'a str,
    /// For a path reference that is not empty, the key of each `{i}` of the row pointed at; for a list of
    /// them those of each row, one row's behind the other's.
    pub refers: Option<&'a [String]>,
}

/// One change of one row.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    /// Set these values, all of one row and one handler.
    Set(&'a [Set<'a>]),
    /// Make the row; its key (the last of `row.keys`) was given by `add_key`.
    Add,
    /// Remove the row and what is below it.
    Delete,
}

/// Why a handler could not do a thing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// 9001, 9002, 9004, 9007 …
    pub code: Code,
    /// For a person; never holds a hidden value.
    pub text: String,
}

impl Failure {
    /// An internal error (9002) with its reason.
    pub fn internal(text: impl Into<String>) -> Failure {
        Failure { code: Code::INTERNAL_ERROR, text: text.into() }
    }

    /// A refusal (9001) with its reason.
    pub fn denied(text: impl Into<String>) -> Failure {
        Failure { code: Code::REQUEST_DENIED, text: text.into() }
    }
}

/// Where a handler writes the keys of a table's instances: one text, so that ten thousand keys cost
/// little more than their bytes. What the index could not hold is counted and left out.
#[derive(Default)]
pub struct Keys {
    text: String,
    /// Where each key ends.
    ends: Vec<u32>,
    left_out: usize,
    doubtful: bool,
}

impl Keys {
    /// Adds a key. An empty one, one longer than [`MAX_KEY`], and those beyond [`MAX_INSTANCES`] are
    /// left out.
    pub fn push(&mut self, key: impl AsRef<str>) {
        self.add(key.as_ref());
    }

    fn add(&mut self, key: &str) {
        if key.is_empty() || key.len() > MAX_KEY || self.ends.len() >= MAX_INSTANCES {
            self.left_out += 1;
            return;
        }
        self.text.push_str(key);
        // At most MAX_INSTANCES * MAX_KEY bytes.
        self.ends.push(self.text.len() as u32);
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key at a position; empty where there is none.
    pub fn get(&self, at: usize) -> &str {
        let Some(to) = self.ends.get(at) else {
            return "";
        };
        self.text.get(self.start(at)..*to as usize).unwrap_or("")
    }

    /// Where the key at a position begins.
    fn start(&self, at: usize) -> usize {
        let before = at.checked_sub(1).and_then(|b| self.ends.get(b));
        before.map_or(0, |e| *e as usize)
    }

    /// The keys, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Whether a key is there; looks at all of them.
    pub fn contains(&self, key: &str) -> bool {
        self.iter().any(|k| k == key)
    }

    /// Keys may be missing only because their source failed: nothing is forgotten of the rows that are not
    /// there, and how many there are is no change of which anybody is told.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// Whether [`Keys::doubt`] was said.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// How many keys were left out.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Empties it.
    pub fn clear(&mut self) {
        *self = Keys::default();
    }

    /// Gives back room that was not needed.
    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Puts a key at a position.
    pub(super) fn insert(&mut self, at: usize, key: &str) {
        let from = self.start(at);
        self.text.insert_str(from, key);
        for end in self.ends.iter_mut().skip(at) {
            *end += key.len() as u32;
        }
        self.ends.insert(at, (from + key.len()) as u32);
    }

    /// Takes out the key at a position, which must be below [`Keys::len`].
    pub(super) fn remove(&mut self, at: usize) {
        let from = self.start(at);
        let to = self.ends.remove(at) as usize;
        self.text.replace_range(from..to, "");
        for end in self.ends.iter_mut().skip(at) {
            *end -= (to - from) as u32;
        }
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * 4
    }
}

impl<S: AsRef<str>> Extend<S> for Keys {
    fn extend<I: IntoIterator<Item = S>>(&mut self, keys: I) {
        keys.into_iter().for_each(|key| self.add(key.as_ref()));
    }
}

/// How a change of a value that is watched actively becomes known (N-3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bell {
    /// The kernel tells, over netlink: bits of [`crate::sys::netlink::events::topic`].
    Kernel(u8),
    /// The file tells, or the folder with all names in it when the path ends with a slash.
    File(String),
    /// Objects of ubus tell: bits of [`crate::sys::ubus::listener::topic`]. See [`Bell::of_ubus`].
    Ubus(u8),
    /// Nobody tells: it is compared now and then.
    None,
    /// Nobody tells, and looking is dear: another process is asked, or there is hardly ever the same
    /// value twice, so that every look would make a session. Active notification of such a parameter is
    /// refused where the standard allows it (R-SPA-6).
    Dear,
}

impl Bell {
    /// By which bell a change of what this object of ubus answers becomes known.
    pub fn of_ubus(object: &str) -> Bell {
        match ubus::listener::topic::of(object) {
            // netifd waits for an answer from everybody who listens to its devices; the kernel does not.
            0 if object == "network.device" => Bell::Kernel(topic::LINK | topic::ADDRESS),
            0 => Bell::None,
            topics => Bell::Ubus(topics),
        }
    }
}

/// A place where values live.
pub trait Handler {
    /// The keys of the instances of a table that exist now, in the order they are to be numbered.
    /// A key names the same thing for as long as that thing lives (interface name, MAC, section id).
    ///
    /// # Errors
    /// The source cannot be read: the table is then shown empty and the reason logged, as of [`Keys::doubt`].
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        let _ = (ctx, row, out);
        Ok(())
    }

    /// Fills the wanted parameters of one row. What is not filled reads as its neutral value; a row
    /// that went away fills nothing. Text is put in canonical form and made to fit by the tree.
    ///
    /// # Errors
    /// The source cannot be read: all wanted parameters read neutral and the reason is logged.
    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure>;

    /// Judges a change beyond what the type says, on the final state of the row; pushes the index of
    /// each bad value with its reason. No effect.
    fn check(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let _ = (ctx, row, change, bad);
    }

    /// Prepares a change and returns what `undo` will need, as bytes that go to disk. No effect that
    /// anybody else can see.
    ///
    /// # Errors
    /// The change cannot be made; nothing of the transaction will be.
    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure>;

    /// Makes the change. Idempotent: after a power cut a promised change may be committed again.
    ///
    /// # Errors
    /// It could not be made; the transaction is undone.
    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure>;

    /// All changes of a transaction were given to `commit`: what was only gathered there is written.
    ///
    /// # Errors
    /// It could not be written; the transaction is undone.
    fn flush(&mut self, ctx: &Ctx<'_>) -> Result<(), Failure> {
        let _ = ctx;
        Ok(())
    }

    /// Puts back what the change touched. Idempotent, and possible in a new process.
    ///
    /// # Errors
    /// It could not be put back: logged.
    fn undo(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        change: &Change<'_>,
        saved: &[u8],
    ) -> Result<(), Failure>;

    /// Whether `undo` works for rows with this argument. At most one change that cannot be undone
    /// takes part in a transaction, and it is committed last.
    fn can_undo(&self, arg: &str) -> bool {
        let _ = arg;
        true
    }

    /// The key of a row that is about to be added to a table under this instance number. Its parent may be a
    /// row that is about to be added by the same transaction, under the key that was given for it.
    ///
    /// # Errors
    /// No row can be added: 9001, or 9004 when the table is full.
    fn add_key(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
        let _ = (ctx, row, number);
        Err(Failure::denied("no rows can be added here"))
    }

    /// Says by which bells a change of `want` becomes known, one or several, or of which instances there
    /// are when `want` is none. What only the agent changes has none. Asks no source.
    fn bells(&self, ctx: &Ctx<'_>, row: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        let _ = (ctx, row, want);
        ring(Bell::None);
    }

    /// Which of the keys that a table has now goes on each of those that it had: for keys that say what is in
    /// a row, and change with it. It is asked when the keys differ; the row keeps its number, and a key that
    /// nothing goes on is forgotten. `None`: keys stay what they are.
    fn align(&self, had: &[&str], now: &[&str]) -> Option<Vec<Option<usize>>> {
        let _ = (had, now);
        None
    }

    /// Whether something that was committed takes effect when the session has ended: the ACS is told so.
    fn waits(&self) -> bool {
        false
    }

    /// The session has ended: services that the committed changes need are reloaded now.
    fn session_ended(&mut self, ctx: &Ctx<'_>) {
        let _ = ctx;
    }
}

/// Where a handler writes the values of one row; reused from row to row, so that a whole-tree read
/// allocates nothing per value.
#[derive(Default)]
pub struct Fields {
    text: String,
    /// For each wanted parameter where its text lies, `None` when not filled.
    spans: Vec<Option<Span>>,
    /// What was not filled because its source failed.
    doubts: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Span {
    from: u32,
    to: u32,
    /// The text is not a value but references for the tree to resolve.
    refers: bool,
}

impl Fields {
    /// Empties it for a row of which `wanted` parameters are asked.
    pub fn reset(&mut self, wanted: usize) {
        self.text.clear();
        self.spans.clear();
        self.doubts.clear();
        self.spans.resize(wanted, None);
    }

    /// Puts the value of the wanted parameter `index`: anything that can be displayed. A bool gives
    /// `true` or `false`; a time is put as text with [`crate::sys::clock::utc`].
    pub fn put(&mut self, index: usize, value: impl std::fmt::Display) {
        use std::fmt::Write as _;
        let from = self.text.len() as u32;
        // Writing to a String cannot fail; a Display that fails leaves a short value.
        let _ = write!(self.text, "{value}");
        let to = self.text.len() as u32;
        if let Some(span) = self.spans.get_mut(index) {
            *span = Some(Span { from, to, refers: false });
        }
    }

    /// Adds a reference to the row of `object` (`Device.IP.Interface.{i}.`) with these keys; called
    /// several times for a list. The tree turns it into a path, or leaves it out when there is no
    /// such row.
    pub fn refer(&mut self, index: usize, object: &str, keys: &[&str]) {
        use std::fmt::Write as _;
        let Some(Some(span)) = self.spans.get(index).map(|s| Some(*s)) else { return };
        // Values of a list are put one after the other, so the open span is always the last one.
        let from = match span {
            Some(s) if s.refers && s.to as usize == self.text.len() => s.from,
            _ => self.text.len() as u32,
        };
        let _ = write!(self.text, "{object}\u{1f}");
        for key in keys {
            let _ = write!(self.text, "{key}\u{1f}");
        }
        self.text.push('\u{1e}');
        self.spans[index] = Some(Span { from, to: self.text.len() as u32, refers: true });
    }

    /// The wanted parameter `index` is not filled only because its source failed: it reads neutral, and that
    /// is no change of which anybody is told.
    pub fn doubt(&mut self, index: usize) {
        self.doubts.push(index as u32);
    }

    /// Whether [`Fields::doubt`] was said of a parameter.
    pub fn is_doubtful(&self, index: usize) -> bool {
        self.doubts.contains(&(index as u32))
    }

    /// The text put for a parameter; `None` when nothing was, or when it is a reference.
    pub fn get(&self, index: usize) -> Option<&str> {
        let span = (*self.spans.get(index)?)?;
        (!span.refers).then(|| &self.text[span.from as usize..span.to as usize])
    }

    /// The references put for a parameter: object and keys.
    pub fn references(&self, index: usize) -> Option<impl Iterator<Item = (&str, Vec<&str>)>> {
        let span = self.spans.get(index).copied().flatten().filter(|s| s.refers)?;
        let text = &self.text[span.from as usize..span.to as usize];
        Some(text.split_terminator('\u{1e}').map(|one| {
            let mut words = one.split_terminator('\u{1f}');
            (words.next().unwrap_or(""), words.collect())
        }))
    }

    /// Bytes of text held: bounded by the caller, who refuses a row beyond its limit.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether nothing was put.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}
