//! What a running test is told and tells.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

/// One wait of the kernel's; a longer one is made of several.
const LONGEST: Duration = Duration::from_secs(60);
/// rustls and ureq are the deepest callers, as in transfers.
const STACK: usize = 256 * 1024;

/// The test is given up: nobody wants to hear of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Canceled;

/// A step that a person may want to see at once.
pub struct Step<'a> {
    /// What happened, in words: `64 bytes from 192.0.2.1: seq 3, 1.234 ms`.
    pub text: &'a str,
}

/// Shows a step to whoever looks.
pub type Show = Box<dyn FnMut(Step<'_>) + Send>;

/// The thread's end of a test.
pub struct Run {
    wake: OwnedFd,
    show: Option<Show>,
}

impl Run {
    /// Readable or closed, `wake` ends every wait. `show` gets the steps.
    pub fn new(wake: OwnedFd, show: Option<Show>) -> Run {
        Run { wake, show }
    }

    /// Whether somebody looks at the steps: else their text need not be made.
    pub fn is_shown(&self) -> bool {
        self.show.is_some()
    }

    /// Shows a step.
    pub fn show(&mut self, text: &str) {
        if let Some(show) = &mut self.show {
            show(Step { text });
        }
    }

    /// The descriptor that ends waits, for code that polls by itself.
    pub fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Another descriptor of the same pipe, for a thread or an exchange that waits by itself.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn second_wake(&self) -> io::Result<OwnedFd> {
        self.wake.try_clone()
    }

    /// Whether the test may go on.
    ///
    /// # Errors
    /// It was canceled.
    pub fn check(&self) -> Result<(), Canceled> {
        self.wait(&mut [], Instant::now()).map(drop)
    }

    /// Waits for nothing but the time.
    ///
    /// # Errors
    /// It was canceled.
    pub fn pause(&self, until: Instant) -> Result<(), Canceled> {
        while self.wait(&mut [], until)? {}
        Ok(())
    }

    /// Waits until one of them is ready or has failed (true), or the time is there (false). Each is answered in
    /// its place, by whether it is ready. A time that is past asks once.
    ///
    /// # Errors
    /// It was canceled.
    pub fn wait(
        &self,
        wanted: &mut [(BorrowedFd<'_>, PollFlags, bool)],
        until: Instant,
    ) -> Result<bool, Canceled> {
        loop {
            let mut fds = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
            fds.extend(wanted.iter().map(|(fd, flags, _)| PollFd::new(*fd, *flags)));
            let left = until.saturating_duration_since(Instant::now()).min(LONGEST);
            match ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None) {
                Ok(0) if Instant::now() >= until => return Ok(false),
                Ok(0) | Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(_) => return Err(Canceled),
                Ok(_) => {
                    let is_ready = |fd: &PollFd<'_>| fd.revents().is_some_and(|e| !e.is_empty());
                    if fds.first().is_some_and(is_ready) {
                        return Err(Canceled);
                    }
                    for ((_, _, ready), fd) in wanted.iter_mut().zip(fds.iter().skip(1)) {
                        *ready = is_ready(fd);
                    }
                    return Ok(true);
                }
            }
        }
    }
}

/// The other end. Dropping it cancels the test, wherever it is.
pub struct Handle {
    wake: Option<OwnedFd>,
}

impl Handle {
    /// Starts a test in a thread of its own.
    ///
    /// # Errors
    /// No pipe or no thread could be had.
    pub fn start(show: Option<Show>, test: impl FnOnce(&mut Run) + Send + 'static) -> io::Result<Handle> {
        let (waked, wake) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let mut run = Run::new(waked, show);
        thread::Builder::new().name("diagnosis".into()).stack_size(STACK).spawn(move || test(&mut run))?;
        Ok(Handle { wake: Some(wake) })
    }

    /// Cancels it: it gives up as soon as it can.
    pub fn cancel(&mut self) {
        self.wake = None;
    }
}

/// A moment that never comes too soon: now and this much.
pub fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now)
}
