//! The connection-request port: where it is, when it moves, and what it is told.

use super::engine::Engine;
use super::following::Following;
use super::host::Core;
use super::reactor::Task;
use super::start;
use crate::config::Listen;
use crate::net::connection_request::{Credentials, Listener, Settings};
use crate::net::source;
use crate::sys::clock;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The port of connection requests (CR-13).
const PORT: u16 = 7547;
/// Where connection requests are taken.
pub struct Door {
    /// The address in force.
    pub address: Option<SocketAddr>,
    /// The random path, kept across restarts.
    pub path: String,
}

/// What is to be done with the connection-request port.
enum Plan {
    Keep,
    Close,
    Open(SocketAddr),
}

/// Decides where connection requests are to be taken now.
fn plan(core: &Core, door: &Door, local: Option<IpAddr>) -> Plan {
    if !core.settings.request_enable || !core.settings.enable_cwmp {
        return Plan::Close;
    }
    let wanted = match core.config.connection_request.listen {
        Listen::Address(address) => address,
        Listen::Auto => match local.or(door.address.map(|a| a.ip())).or(core.local) {
            Some(ip) => SocketAddr::new(ip, PORT),
            // Nobody knows yet by which address the ACS is reached: the first session tells.
            None => return Plan::Keep,
        },
    };
    match door.address {
        Some(now) if now.ip() == wanted.ip() && (wanted.port() == 0 || now.port() == wanted.port()) => {
            Plan::Keep
        }
        _ => Plan::Open(wanted),
    }
}

/// How the port behaves.
fn settings(core: &Core, door: &Door) -> Settings {
    let request = &core.config.connection_request;
    Settings {
        path: door.path.clone(),
        credentials: Credentials {
            username: core.settings.request_username.clone(),
            password: core.settings.request_password.clone(),
        },
        algorithms: request.algorithms.clone(),
        burst: request.burst,
        refill: Duration::from_secs(u64::from(request.refill)),
    }
}

/// ConnectionRequestURL (CR-1, CR-16); empty when the port is closed (CR-14). `local` is the address
/// by which the ACS is reached, shown when the port listens on every address.
pub fn url(door: &Door, local: Option<IpAddr>) -> String {
    let Some(mut address) = door.address else { return String::new() };
    if let (true, Some(local)) = (address.ip().is_unspecified(), local) {
        address.set_ip(local);
    }
    // SocketAddr's Display puts an IPv6 address in brackets.
    format!("http://{address}{}", door.path)
}

impl Engine {
    /// Opens, moves or closes the connection-request port (CR-14, CR-18); `local` is the address by
    /// which the ACS is reached, when it is known anew.
    pub(super) fn open_door(&mut self, local: Option<IpAddr>) {
        if let Some(local) = local {
            self.core.local = Some(local);
            start::keep_local(&self.core, local);
        }
        match plan(&self.core, &self.door, local) {
            Plan::Keep => self.mailbox.send(Task::Settings(settings(&self.core, &self.door))),
            Plan::Close => {
                self.door.address = None;
                self.mailbox.send(Task::Listen(None));
            }
            Plan::Open(address) => {
                match Listener::bind(address, settings(&self.core, &self.door)) {
                    Ok(listener) => {
                        self.door.address = Some(listener.local_address());
                        log::info!("connection requests are taken at {}", listener.local_address());
                        self.mailbox.send(Task::Listen(Some(Box::new(listener))));
                    }
                    // The address kept from before the boot may come later, or never again.
                    Err(error) if local.is_none() && error.kind() == ErrorKind::AddrNotAvailable => {
                        log::info!("connection requests wait for a session: {address} is not ours now");
                    }
                    // The port that is open, if there is one, stays open.
                    Err(error) => {
                        let note = format!("connection requests cannot be taken at {address}: {error}");
                        log::error!("{note}");
                        self.note(note);
                    }
                }
            }
        }
        self.core.facts.borrow_mut().connection_request_url = url(&self.door, self.core.local);
        self.rings.at_once(clock::now().mono);
    }

    /// Moves the connection-request port when the ACS is reached by another address than before.
    pub(super) fn follow(&mut self) {
        let config = &self.core.config;
        if config.connection_request.listen != Listen::Auto {
            self.following = Following::default();
        }
        let interface = config.acs.bind_interface.as_deref();
        let toward = |acs| source::toward(acs, interface);
        if let Some(local) = self.following.look(self.core.local, toward) {
            log::info!("the ACS is reached by {local} now");
            self.open_door(Some(local));
        }
    }
}
