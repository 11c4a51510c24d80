//! What can be wrong with a package, said so that a person finds it.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// Why a package was not read or not changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What kind of reason it is.
    pub cause: Cause,
    /// `/etc/config/network`, as it is called below the root.
    pub file: String,
    /// From 1; 0 where no line is to blame.
    pub line: usize,
    /// For a person.
    pub text: Cow<'static, str>,
}

/// The kinds of reasons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The file is not understood, or beyond a limit: it is neither read nor written.
    Broken,
    /// The system said no.
    System(io::ErrorKind),
    /// Somebody else has the lock, for long.
    Busy,
    /// There is no such file, or no such section in it.
    Gone,
    /// Somebody has a pending change of the same.
    Pending,
    /// What is to be written cannot stand in a file.
    Value,
    /// What was saved for an undo is no such thing.
    Damaged,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.text),
            line => write!(f, "{}: line {line}: {}", self.file, self.text),
        }
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// One of a package's file.
    pub(super) fn of(package: &str, cause: Cause, text: impl Into<Cow<'static, str>>) -> Problem {
        Problem { cause, file: super::path(package), line: 0, text: text.into() }
    }

    /// What the system said.
    pub(super) fn system(package: &str, error: &io::Error) -> Problem {
        Problem::of(package, Cause::System(error.kind()), error.to_string())
    }
}
