//! A snapshot as a file that anybody may have made.

use super::scratch::Scratch;
use cwmpd::sys::tar::{self, Entry, Kind, Reader};
use cwmpd::sys::unpack::unpack;

/// An archive: what is read of it stays below its top, and is the same when it is written and read again. What
/// is made of it lies in its folder, which is gone when it is refused.
pub fn archive(data: &[u8]) {
    thread_local! {
        static FOLDER: Scratch = Scratch::new("archive");
    }
    look(data);
    // A mutated header has a wrong sum: what lies behind that is looked at, too.
    let mut repaired = data.to_vec();
    for head in repaired.chunks_exact_mut(512).filter(|head| &head[257..262] == b"ustar") {
        head[148..156].fill(b' ');
        let sum: u32 = head.iter().map(|b| u32::from(*b)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    look(&repaired);
    FOLDER.with(|folder| {
        let to = folder.0.join("root");
        let done = unpack(&repaired, &to);
        assert_eq!(to.exists(), done.is_ok());
        let _ = std::fs::remove_dir_all(&to);
        assert_eq!(std::fs::read_dir(&folder.0).expect("a folder").count(), 0, "nothing lies beside it");
    });
}

fn look(data: &[u8]) {
    let read: Vec<Entry<'_>> = Reader::new(data).map_while(Result::ok).collect();
    let mut bytes = Vec::new();
    for entry in &read {
        assert!(entry.path.split('/').all(|name| !matches!(name, "" | "." | "..")), "{:?}", entry.path);
        // A link to nowhere is refused when it is made.
        if entry.kind != Kind::Link("") && tar::write(&mut bytes, entry).is_ok() {
            let at = bytes.len();
            tar::finish(&mut bytes).expect("memory");
            let again = Reader::new(&bytes).next().expect("an entry").expect("it was written");
            assert_eq!(&again, entry);
            bytes.truncate(at);
        }
        bytes.clear();
    }
}
