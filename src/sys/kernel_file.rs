//! The small files of procfs and sysfs: one value a file, made anew by the kernel at each read.

use super::trace;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// The most bytes read of one.
const MAX: u64 = 4096;

/// The value, without its final newline; `None` when there is no such file or the kernel has no
/// value (`speed` of a link that is down).
pub fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(MAX).read_to_string(&mut text).ok()?;
    trace::file(path, text.as_bytes());
    text.truncate(text.trim_end().len());
    Some(text)
}

/// The value as a number.
pub fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    read(path)?.parse().ok()
}

/// Writes a value in one piece; never makes a file.
///
/// # Errors
/// There is no such file, or the kernel refuses the value.
pub fn write(path: &Path, value: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).truncate(true).open(path)?;
    file.write_all(format!("{value}\n").as_bytes())
}
