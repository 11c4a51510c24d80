//! What rings when something outside the agent changes: the kernel's network by netlink, files by
//! inotify. A bell says that something changed, not what.
//!
//! With a root other than `/` only files below that root are watched, and nothing of the host.

use super::host;
use super::netlink::events::Events;
use super::watch::{Heard, Watch};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Bells that were asked for. They ring once or more; whoever has heard them asks for new ones, before
/// looking, so that nothing falls in between.
pub struct Bells {
    kernel: Option<Events>,
    files: Option<Watch>,
}

impl Bells {
    /// Listens to these topics ([`super::netlink::events::topic`]) and files (see [`Watch::new`]); `None`
    /// when there is nothing to listen to.
    ///
    /// # Errors
    /// One of them cannot be listened to.
    pub fn listen<'a>(
        root: &Path,
        topics: u8,
        files: impl IntoIterator<Item = &'a str>,
    ) -> io::Result<Option<Bells>> {
        let mut files = files.into_iter().peekable();
        let kernel = (topics != 0 && host::is_live(root)).then(|| Events::listen(topics)).transpose()?;
        let files = files.peek().is_some().then(|| Watch::new(root, files)).transpose()?;
        Ok((kernel.is_some() || files.is_some()).then_some(Bells { kernel, files }))
    }

    /// What to poll for reading.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.kernel.iter().map(AsFd::as_fd).chain(self.files.iter().map(AsFd::as_fd))
    }

    /// Reads what is there.
    pub fn heard(&self) -> Heard {
        let files = self.files.as_ref().map_or(Heard::Nothing, Watch::heard);
        match &self.kernel {
            Some(kernel) if kernel.heard() => Heard::Ring,
            _ => files,
        }
    }
}
