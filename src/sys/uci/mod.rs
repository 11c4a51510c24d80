//! OpenWrt's configuration (`/etc/config/network`) as libuci has it: read with what is pending in `/tmp/.uci`
//! on top, and changed under its lock so that only the bytes of what is changed differ.
//!
//! `words` cuts lines, `file` reads statements, `delta` what is pending, `package` is what one asks. `edit` is
//! what may be changed, `lines` where, `batch` does it, `undo` keeps what puts it back, `commit` locks and
//! replaces the file.
//!
//! # Grammar
//! Statements are lines: `config TYPE [NAME]`, `option NAME VALUE`, `list NAME VALUE`, `package NAME`; each
//! keyword may be its first letter alone. Sections of one name are one; of several options of one name the
//! last holds; an empty option is none. Names are letters, digits and `_`.

mod batch;
mod commit;
mod delta;
mod edit;
mod editor;
mod file;
mod keys;
mod lines;
mod package;
mod problem;
mod record;
mod said;
mod undo;
mod words;

pub use batch::edited;
pub use commit::{commit, commit_all, load, revert};
pub use edit::Edit;
pub use file::{Held, MAX_FILE, MAX_ITEMS, MAX_OPTIONS, MAX_SECTIONS, MAX_VALUE};
pub use keys::align;
pub use package::{Package, Section, truth};
pub use problem::{Cause, Problem};
pub use said::{Said, said};
pub use undo::{judge, put_back, undo_of};

/// The file of a package, below the root.
pub fn path(package: &str) -> String {
    format!("/etc/config/{package}")
}

/// Where changes of it wait that are not committed, below the root.
pub fn pending_path(package: &str) -> String {
    format!("/tmp/.uci/{package}")
}

#[cfg(test)]
mod tests;
