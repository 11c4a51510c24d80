//! What is read of the machine, noted while a snapshot is made: files with their text, folders with their
//! names, what was only looked at, links that were followed, answers of ubus. Nothing is noted otherwise.

use crate::sys::sorted::SortedMap;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// The most that is noted, in bytes of files and answers: what is beyond is left out, and said.
pub const MAX_BYTES: usize = 16 << 20;
/// The most paths that are noted.
pub const MAX_PATHS: usize = 32 << 10;

/// What was learned of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// It was looked at: it is there, with its size and time.
    There,
    /// The names in it.
    Folder(Vec<String>),
    /// A link, and where it leads.
    Link(PathBuf),
    /// What it holds, as far as it was read.
    File(Vec<u8>),
}

/// All that was noted.
#[derive(Default, Debug)]
pub struct Trace {
    /// By the real path.
    pub seen: SortedMap<PathBuf, Seen>,
    /// Answers of ubus: the file that stands for one, and its JSON.
    pub answers: SortedMap<String, String>,
    /// How much did not fit.
    pub left_out: usize,
    bytes: usize,
}

thread_local! {
    static TRACE: RefCell<Option<Trace>> = const { RefCell::new(None) };
}

/// Begins to note what this thread reads.
pub fn begin() {
    TRACE.set(Some(Trace::default()));
}

/// Ends it, and gives what was noted.
pub fn end() -> Trace {
    TRACE.take().unwrap_or_default()
}

/// Notes something, when anything is noted.
fn note(path: &Path, make: impl FnOnce() -> Seen) {
    TRACE.with_borrow_mut(|trace| {
        let Some(trace) = trace else { return };
        let seen = make();
        let size = match &seen {
            Seen::File(bytes) => bytes.len(),
            Seen::Folder(names) => names.iter().map(String::len).sum(),
            Seen::There | Seen::Link(_) => 0,
        };
        // Of what is read twice the longer text counts: the other was cut.
        if trace.seen.get(path).is_some_and(|known| rank(known) >= rank(&seen)) {
            return;
        }
        if trace.bytes + size > MAX_BYTES || trace.seen.len() >= MAX_PATHS {
            trace.left_out += 1;
            return;
        }
        trace.bytes += size;
        trace.seen.insert(path.to_owned(), seen);
    });
}

/// How much is known.
fn rank(seen: &Seen) -> (u8, usize) {
    match seen {
        Seen::There => (0, 0),
        Seen::Folder(names) => (1, names.len()),
        Seen::Link(_) => (2, 0),
        Seen::File(bytes) => (3, bytes.len()),
    }
}

/// A file was read.
pub fn file(path: &Path, bytes: &[u8]) {
    note(path, || Seen::File(bytes.to_vec()));
}

/// A folder was listed.
pub fn folder(path: &Path, names: &[String]) {
    note(path, || Seen::Folder(names.to_vec()));
}

/// A link was followed.
pub fn link(path: &Path, target: &Path) {
    note(path, || Seen::Link(target.to_owned()));
}

/// Something was looked at.
pub fn there(path: &Path) {
    note(path, || Seen::There);
}

/// Somebody answered; `file` and `json` are asked for when it is noted.
pub fn answer(make: impl FnOnce() -> (String, String)) {
    TRACE.with_borrow_mut(|trace| {
        let Some(trace) = trace else { return };
        let (file, json) = make();
        if trace.bytes + json.len() > MAX_BYTES || trace.answers.len() >= MAX_PATHS {
            trace.left_out += 1;
            return;
        }
        trace.bytes += json.len();
        trace.answers.insert(file, json);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_read_meanwhile_is_noted() {
        let path = Path::new("/etc/x");
        file(path, b"before");
        begin();
        there(path);
        file(path, b"short");
        file(path, b"longer");
        file(path, b"cut");
        there(path);
        answer(|| ("a/b.json".to_owned(), "{}".to_owned()));
        let trace = end();
        file(path, b"behind");
        assert_eq!(trace.seen.get(path), Some(&Seen::File(b"longer".to_vec())));
        assert_eq!((trace.answers.len(), trace.left_out), (1, 0));
        assert!(end().seen.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        begin();
        let big = vec![0; MAX_BYTES / 2];
        for n in 0..3 {
            file(Path::new(&format!("/{n}")), &big);
        }
        let trace = end();
        assert_eq!((trace.seen.len(), trace.left_out), (2, 1));
    }
}
