//! One reading of a file for all that is wanted of its bytes.

use super::ed25519::Check;
use super::key::{Key, Signature};
use crate::sys::crc::Crc;
pub use crate::sys::hash::Hasher;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Read at once.
const BUFFER: usize = 64 * 1024;

/// What one reading of a file shall find out.
pub(super) struct Pass {
    sha256: Option<Hasher>,
    /// Signatures, each of the bytes before an offset.
    checks: Vec<(u64, Check)>,
    /// Where the checksum of all before is wanted; they fall.
    marks: Vec<u64>,
}

/// What it found.
#[derive(Default)]
pub(super) struct Done {
    pub sha256: Option<[u8; 32]>,
    /// For each [`Pass::check`] that was taken.
    pub good: Vec<bool>,
    /// For each [`Pass::mark`].
    pub crcs: Vec<u32>,
}

impl Pass {
    pub fn new(sha256: bool) -> Pass {
        Pass { sha256: sha256.then(Hasher::default), checks: Vec::new(), marks: Vec::new() }
    }

    /// Asks for the checksum of all before an offset, which is smaller than that of the last call.
    pub fn mark(&mut self, at: u64) {
        self.marks.push(at);
    }

    /// Asks whether a signature is that of all before an offset; false when it cannot be one.
    pub fn check(&mut self, key: &Key, signature: &Signature, end: u64) -> bool {
        let check = Check::new(&key.point, &signature.bytes);
        let taken = check.is_some();
        self.checks.extend(check.map(|check| (end, check)));
        taken
    }

    /// Reads the file's first `len` bytes, or nothing when nothing was asked for.
    ///
    /// # Errors
    /// What reading gives; a file that is shorter is an error too.
    pub fn run(mut self, file: &File, len: u64) -> io::Result<Done> {
        let mut crc = Crc::default();
        let mut crcs = Vec::new();
        let wanted = match self.sha256.is_some() {
            true => len,
            false => {
                self.checks.iter().map(|(end, _)| *end).chain(self.marks.first().copied()).max().unwrap_or(0)
            }
        };
        let mut buffer = vec![0; BUFFER.min(usize::try_from(wanted).unwrap_or(BUFFER))];
        let mut at = 0;
        while at < wanted {
            let take = usize::try_from(wanted - at).unwrap_or(BUFFER).min(buffer.len());
            let bytes = &mut buffer[..take];
            file.read_exact_at(bytes, at)?;
            if let Some(sha256) = &mut self.sha256 {
                sha256.update(bytes);
            }
            for (end, check) in &mut self.checks {
                check.update(before(bytes, at, *end));
            }
            let mut from = at;
            while let Some(mark) = self.marks.last().copied().filter(|mark| *mark <= at + take as u64) {
                crc.update(before(&bytes[(from - at) as usize..], from, mark));
                from = mark;
                crcs.push(crc.value());
                self.marks.pop();
            }
            if !self.marks.is_empty() {
                crc.update(&bytes[(from - at) as usize..]);
            }
            at += take as u64;
        }
        crcs.reverse();
        Ok(Done {
            sha256: self.sha256.map(Hasher::finish),
            good: self.checks.into_iter().map(|(_, check)| check.finish()).collect(),
            crcs,
        })
    }
}

/// Of bytes that begin at `at` those before `end`.
fn before(bytes: &[u8], at: u64, end: u64) -> &[u8] {
    let count = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
    &bytes[..count.min(bytes.len())]
}
