//! What rings when something outside the agent changes: the kernel's network by netlink, files by
//! inotify, services by ubus. A bell says that something changed, not what.
//!
//! With a root other than `/` only files below that root are watched, and nothing of the host.

use super::host;
use super::netlink::events::Events;
use super::ubus::{self, Listener, Problem};
use super::watch::{Heard, Watch};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Bells that were asked for. They ring once or more; whoever has heard them asks for new ones, before
/// looking, so that nothing falls in between.
pub struct Bells {
    kernel: Option<Events>,
    files: Option<Watch>,
    services: Option<Listener>,
    silent: bool,
}

impl Bells {
    /// Listens to these topics of the kernel ([`super::netlink::events::topic`]), to files (see
    /// [`Watch::new`]), and at the socket of ubus to these topics ([`ubus::listener::topic`]).
    ///
    /// # Errors
    /// Kernel or files cannot be listened to. A bus that cannot is left out: see [`Bells::hears_services`].
    pub fn listen<'a>(
        root: &Path,
        topics: u8,
        files: impl IntoIterator<Item = &'a str>,
        services: Option<(&Path, u8)>,
    ) -> io::Result<Bells> {
        let mut files = files.into_iter().peekable();
        let kernel = (topics != 0 && host::is_live(root)).then(|| Events::listen(topics)).transpose()?;
        let files = files.peek().is_some().then(|| Watch::new(root, files)).transpose()?;
        let services = services.map(|(socket, topics)| {
            let heard = Listener::listen(socket, topics, ubus::DEADLINE);
            heard.inspect_err(|problem| log::debug!("services cannot be listened to: {problem}"))
        });
        let silent = matches!(services, Some(Err(Problem::Silent)));
        Ok(Bells { kernel, files, services: services.and_then(Result::ok), silent })
    }

    /// Whether there is anything to listen to.
    pub fn is_empty(&self) -> bool {
        self.kernel.is_none() && self.files.is_none() && self.services.is_none()
    }

    /// Whether the bus is among them.
    pub fn hears_services(&self) -> bool {
        self.services.is_some()
    }

    /// Whether ubusd let us wait in vain.
    pub fn is_bus_silent(&self) -> bool {
        self.silent
    }

    /// What to poll for reading.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let services = self.services.iter().map(AsFd::as_fd);
        self.kernel.iter().map(AsFd::as_fd).chain(self.files.iter().map(AsFd::as_fd)).chain(services)
    }

    /// What to poll even while nobody wants to hear: somebody there waits until they are heard.
    pub fn impatient(&self) -> Option<BorrowedFd<'_>> {
        self.services.as_ref().filter(|services| services.is_waited_for()).map(AsFd::as_fd)
    }

    /// Reads what is there.
    pub fn heard(&mut self) -> Heard {
        let files = self.files.as_ref().map_or(Heard::Nothing, Watch::heard);
        let kernel = self.kernel.as_ref().is_some_and(Events::heard);
        match (self.hear_services(), files) {
            _ if kernel => Heard::Ring,
            (Heard::Ring, _) | (_, Heard::Ring) => Heard::Ring,
            (Heard::Nothing, heard) | (heard, _) => heard,
        }
    }

    /// Reads what is there of the bus alone, so that nobody waits for us.
    pub fn hear_services(&mut self) -> Heard {
        self.services.as_mut().map_or(Heard::Nothing, Listener::heard)
    }
}
