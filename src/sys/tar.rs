//! Archives in POSIX's ustar format: files, folders and links, written one after another, and read back with
//! nothing believed. What else an archive may hold (devices, hard links, extensions) is refused.

use std::io::{self, Write};

/// Everything lies in blocks of this size.
const BLOCK: usize = 512;
/// The most entries of an archive.
pub const MAX_ENTRIES: usize = 64 << 10;
/// The longest path, as the format has room for it at best.
pub const MAX_PATH: usize = 255;
/// The longest target of a link.
pub const MAX_LINK: usize = 100;

/// What an entry is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind<'a> {
    /// A file and its text.
    File(&'a [u8]),
    /// A folder.
    Folder,
    /// A symbolic link, and where it leads.
    Link(&'a str),
}

/// An entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Below the top, with `/` between its names; never absolute, and never upwards.
    pub path: String,
    /// What it is.
    pub kind: Kind<'a>,
    /// When it was last changed, seconds since 1970.
    pub modified: i64,
}

/// Whether a path stays below the top: names only.
fn is_below(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= MAX_PATH
        && !path.contains('\0')
        && path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}

/// Where a path is cut into prefix and name.
fn cut(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let cuts = path.match_indices('/').map(|(at, _)| (&path[..at], &path[at + 1..]));
    let mut fitting = cuts.filter(|(prefix, name)| prefix.len() <= 155 && name.len() <= 100);
    fitting.next()
}

/// Writes an entry.
///
/// # Errors
/// `InvalidInput` for a path or a target that the format has no room for or that leads elsewhere, and nothing
/// was written; or as the writer says.
pub fn write(out: &mut dyn Write, entry: &Entry<'_>) -> io::Result<()> {
    let unfit = || io::Error::new(io::ErrorKind::InvalidInput, "no path for an archive");
    let (prefix, name) = cut(&entry.path).filter(|_| is_below(&entry.path)).ok_or_else(unfit)?;
    let (tag, bytes, target) = match entry.kind {
        Kind::File(bytes) => (b'0', bytes, ""),
        Kind::Folder => (b'5', &[][..], ""),
        Kind::Link(target) if target.len() <= MAX_LINK && !target.is_empty() => (b'2', &[][..], target),
        Kind::Link(_) => return Err(unfit()),
    };
    let mut head = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| head[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, if tag == b'5' { b"0000700\0" } else { b"0000600\0" });
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", bytes.len()).as_bytes());
    put(136, format!("{:011o}\0", entry.modified.clamp(0, 0o77_777_777_777)).as_bytes());
    put(148, b"        ");
    put(156, &[tag]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.write_all(&head)?;
    out.write_all(bytes)?;
    out.write_all(&[0; BLOCK][..bytes.len().next_multiple_of(BLOCK) - bytes.len()])
}

/// Writes the end of an archive.
///
/// # Errors
/// As the writer says.
pub fn finish(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

/// Reads the entries of an archive, one after another.
pub struct Reader<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Reader<'a> {
    /// The entries of an archive that is there whole.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, count: 0 }
    }

    fn entry(&mut self) -> Result<Option<Entry<'a>>, &'static str> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<BLOCK>() else {
            return Err("it is cut off");
        };
        if head.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        self.count += 1;
        if self.count > MAX_ENTRIES {
            return Err("too many entries");
        }
        let sum: u64 = head.iter().map(|b| u64::from(*b)).sum();
        let told: u64 = head[148..156].iter().map(|b| u64::from(*b)).sum();
        if &head[257..262] != b"ustar" || octal(&head[148..156]) != Some(sum - told + 8 * u64::from(b' ')) {
            return Err("no archive, or a damaged one");
        }
        let size = octal(&head[124..136]).and_then(|n| usize::try_from(n).ok()).ok_or("no size")?;
        let (name, prefix) = (text(&head[..100])?, text(&head[345..500])?);
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let path = path.strip_suffix('/').unwrap_or(&path).to_owned();
        if !is_below(&path) {
            return Err("a path that leads elsewhere");
        }
        let modified = octal(&head[136..148]).and_then(|n| i64::try_from(n).ok()).unwrap_or(0);
        let (kind, size) = match head[156] {
            b'0' | 0 => (Kind::File(rest.get(..size).ok_or("it is cut off")?), size),
            b'5' => (Kind::Folder, 0),
            // Of the archive itself, which lives longer than this header.
            b'2' => (Kind::Link(text(self.bytes.get(157..257).unwrap_or_default())?), 0),
            _ => return Err("an entry that is neither file, folder nor link"),
        };
        self.bytes = rest.get(size.next_multiple_of(BLOCK)..).ok_or("it is cut off")?;
        Ok(Some(Entry { path, kind, modified }))
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Entry<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entry();
        if entry.is_err() {
            // Nothing behind it can be found: the end.
            self.bytes = &[0; BLOCK];
        }
        entry.map_err(|wrong| format!("entry {}: {wrong}", self.count.max(1))).transpose()
    }
}

/// Text up to a zero byte.
fn text(field: &[u8]) -> Result<&str, &'static str> {
    let text = field.split(|b| *b == 0).next().unwrap_or_default();
    std::str::from_utf8(text).map_err(|_| "a name that is no text")
}

/// A number in octal digits, with blanks before and behind.
fn octal(field: &[u8]) -> Option<u64> {
    let text = text(field).ok()?.trim_matches(' ');
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        entries.iter().for_each(|e| write(&mut out, e).expect("it fits"));
        finish(&mut out).expect("memory");
        out
    }

    fn file<'a>(path: &str, bytes: &'a [u8]) -> Entry<'a> {
        Entry { path: path.to_owned(), kind: Kind::File(bytes), modified: 1_790_856_000 }
    }

    #[test]
    fn what_is_written_is_read() {
        let long = format!("{}/{}", "a/".repeat(60) + "b", "c".repeat(90));
        let entries = [
            file("etc/config/network", b"config interface lan\n"),
            file("empty", b""),
            file("block", &[7; BLOCK]),
            file(&long, b"x"),
            Entry { path: "proc/1".to_owned(), kind: Kind::Folder, modified: 0 },
            Entry { path: "var".to_owned(), kind: Kind::Link("tmp"), modified: -5 },
        ];
        let bytes = archive(&entries);
        assert_eq!(bytes.len() % BLOCK, 0);
        let read: Vec<_> = Reader::new(&bytes).collect::<Result<_, _>>().expect("it is sound");
        assert_eq!(read[..5], entries[..5]);
        assert_eq!((&read[5].kind, read[5].modified), (&Kind::Link("tmp"), 0));
    }

    #[test]
    fn what_leads_elsewhere_is_neither_written_nor_read() {
        for path in
            ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/.", "a\0b", &"x".repeat(101), &"y/".repeat(128)]
        {
            let done = write(&mut Vec::new(), &file(path, b""));
            assert_eq!(done.map_err(|e| e.kind()), Err(io::ErrorKind::InvalidInput), "{path:?}");
        }
        let link = Entry { path: "a".to_owned(), kind: Kind::Link(""), modified: 0 };
        assert!(write(&mut Vec::new(), &link).is_err());
        // The same by an archive that somebody else made.
        for path in [&b"/etc/x"[..], b"../x", b"a/../../x", b"..", b"a/./b", b"\xff"] {
            let mut bytes = archive(&[file("placeholder", b"")]);
            bytes[..11].fill(0);
            bytes[..path.len()].copy_from_slice(path);
            repair(&mut bytes);
            assert!(Reader::new(&bytes).next().expect("an entry").is_err(), "{path:?}");
        }
    }

    /// Puts the right sum into the first header.
    fn repair(bytes: &mut [u8]) {
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..BLOCK].iter().map(|b| u32::from(*b)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }

    #[test]
    fn entries_are_counted() {
        let one = archive(&[file("a", b"")]);
        let many = one[..BLOCK].repeat(MAX_ENTRIES + 1);
        let last = Reader::new(&many).last().expect("an entry");
        assert_eq!(last, Err(format!("entry {}: too many entries", MAX_ENTRIES + 1)));
    }

    #[test]
    fn what_is_damaged_or_odd_is_refused() {
        let whole = archive(&[file("a", b"text"), file("b", b"more")]);
        for cut in 0..whole.len() - 2 * BLOCK {
            assert!(Reader::new(&whole[..cut]).any(|e| e.is_err()), "{cut}");
        }
        let mut flipped = whole.clone();
        flipped[3] ^= 1;
        assert!(Reader::new(&flipped).next().expect("an entry").is_err());
        for tag in *b"1346789xgLK" {
            let mut bytes = whole.clone();
            bytes[156] = tag;
            repair(&mut bytes);
            assert!(Reader::new(&bytes).next().expect("an entry").is_err(), "{}", char::from(tag));
        }
        let mut huge = whole;
        huge[124..136].copy_from_slice(b"77777777777\0");
        repair(&mut huge);
        assert!(Reader::new(&huge).next().expect("an entry").is_err());
        assert!(Reader::new(b"").next().expect("an end").is_err());
        assert!(Reader::new(&[0; BLOCK]).next().is_none());
    }
}
