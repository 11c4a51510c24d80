//! The native providers by name. `build.rs` reads this list too, so a row that names a provider that
//! does not exist is a compile error with file and line.

/// Every name that `native = "…"` may have in `datamodel/*.toml`.
pub const NAMES: &[&str] = &[];
