//! Writes to a folder, as they happen.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::AsFd;
use std::path::Path;

/// Watches the journal of a state folder.
pub struct Watch(Inotify);

impl Watch {
    /// From now on.
    pub fn new(folder: &Path) -> Watch {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).expect("inotify");
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVED_TO;
        inotify.add_watch(folder, flags).expect("a folder");
        Watch(inotify)
    }

    /// How many writes there were since it was asked last; waits so long for the first.
    pub fn writes(&self, milliseconds: u16) -> usize {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(milliseconds));
        let of_journal = |e: &nix::sys::inotify::InotifyEvent| {
            e.name.as_ref().is_some_and(|name| name.to_string_lossy().starts_with("journal"))
        };
        // one at a time: many in a row are told as one when nobody has looked meanwhile
        self.0.read_events().map_or(0, |events| events.iter().filter(|e| of_journal(e)).count())
    }
}
