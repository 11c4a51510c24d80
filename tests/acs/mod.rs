//! A scripted ACS on real sockets, for tests and for the quickstart. A test reads as a dialogue:
//!
//! ```ignore
//! let acs = Acs::start(Options::default());
//! // ... an agent is started with acs.url() ...
//! let mut session = acs.next_session(Duration::from_secs(10));
//! assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
//! session.set(&[("Device.ManagementServer.PeriodicInformInterval", "xsd:unsignedInt", "60")], "key")?;
//! let values = session.get(&["Device.DeviceInfo."])?;
//! session.end();
//! ```
//!
//! Requests of the agent (GetRPCMethods, TransferComplete ...) are answered on the way and kept. Every wait has a deadline and panics
//! with what happened last. The ACS is strict: it panics at an envelope that breaks the rules, and
//! answers 400 to a POST without the session's cookies, or with a request while it holds requests or
//! after the agent has said that there are none. It shares no code with the agent, so that the two do not share a mistake.

// each program that has this module uses a part of it
#![allow(dead_code, unused_imports)]

mod answers;
mod auth;
mod call;
mod coding;
pub mod http;
mod server;
mod session;
mod soap;
mod state;
pub mod tls;
mod transfers;

pub use answers::{Attributes, Fault, Inform, Value};
pub use auth::{Algorithm, Authentication, Guard};
pub use call::{get, raw};
pub use coding::Coding;
pub use http::{Head, Reply};
pub use session::{Counted, Session};
pub use soap::{Dialect, Element, Envelope, Id};
pub use state::Post;
pub use tls::{Identity, Tls};
pub use transfers::{Autonomous, Complete, Queued, RequestDownload, Transfer, UNKNOWN_TIME, Window};

use server::Server;
use std::net::SocketAddr;
use std::time::Duration;

/// How the ACS behaves; can be changed while it runs, see [`Acs::change`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// https, with certificates made on the spot.
    pub tls: Option<Tls>,
    /// Whether and how the agent must say who it is.
    pub authentication: Authentication,
    pub username: String,
    pub password: String,
    /// Sets cookies with the InformResponse and demands them afterwards.
    pub cookies: bool,
    /// Closes the connection after each answer (T-4).
    pub close_each: bool,
    /// Closes the connection after each answer without having said so (T-4).
    pub close_unsaid: bool,
    /// Sends bodies in chunks of this size (T-16).
    pub chunk: Option<usize>,
    /// Compresses bodies, whether the agent asks for it or not (T-35).
    pub coding: Option<Coding>,
    /// Sends an empty 200 in place of 204 (T-11).
    pub empty_as_200: bool,
    /// Sends `100 Continue` before each answer (T-17).
    pub interim_100: bool,
    /// Writes header names in lower case (T-18).
    pub lower_case_headers: bool,
    /// How envelopes are written.
    pub dialect: Dialect,
    /// The methods that it names when the agent asks for them; fault 8000 when there is none.
    pub methods: Vec<String>,
    /// How long one POST may wait for the test, and the test for one POST.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            authentication: Authentication::None,
            username: "agent".to_string(),
            password: "secret".to_string(),
            cookies: true,
            close_each: false,
            close_unsaid: false,
            chunk: None,
            coding: None,
            empty_as_200: false,
            interim_100: false,
            lower_case_headers: false,
            dialect: Dialect::default(),
            methods: ["Inform", "GetRPCMethods", "TransferComplete"].map(str::to_string).to_vec(),
            patience: Duration::from_secs(20),
        }
    }
}

/// What can befall one POST, see [`Acs::at`].
#[derive(Clone, Debug)]
pub enum Incident {
    /// This HTTP status, without a body.
    Status(u16),
    /// Any answer.
    Reply(Reply),
    /// 302 or 307 to this Location.
    Redirect(u16, String),
    /// A CWMP fault with this code and the ID of the POST, such as 8005.
    Fault(u16),
    /// A 401 with a new nonce and `stale=true`.
    StaleNonce,
    /// No answer until [`Acs::release`]; then as if nothing had been.
    Silence,
    /// The connection is closed without an answer.
    Drop,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    FromAgent,
    ToAgent,
}

/// A message of the log.
#[derive(Clone, Debug)]
pub struct Message {
    pub direction: Direction,
    /// Counts the TCP connections from 1.
    pub connection: usize,
    /// The agent's end of it.
    pub peer: SocketAddr,
    pub head: Head,
    /// At most its first MiB, not compressed; `(counted)` for an answer that was only counted.
    pub body: String,
    /// The size of the body as it went over the wire, without its chunks.
    pub wire: u64,
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let arrow = if self.direction == Direction::FromAgent { "<" } else { ">" };
        write!(f, "{}{arrow} {} ({} bytes)", self.connection, self.head.line, self.body.len())
    }
}

/// The running ACS; it stops when it is dropped.
pub struct Acs {
    server: Server,
}

impl Acs {
    /// Starts it.
    pub fn start(options: Options) -> Acs {
        Acs { server: Server::start(options) }
    }

    /// What the agent needs as ManagementServer.URL.
    pub fn url(&self) -> String {
        let scheme = if self.server.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/acs", self.server.address)
    }

    /// The certificates of an https ACS.
    pub fn identity(&self) -> &Identity {
        self.server.identity.as_ref().expect("an ACS with TLS")
    }

    /// Changes its behaviour from the next POST on (address and TLS stay).
    pub fn change(&self, change: impl FnOnce(&mut Options)) {
        self.server.shared.change(|state| change(&mut state.options));
    }

    /// The n-th POST of a session (the Inform is the first) will meet an incident, once. It does
    /// not count itself: the POST that the agent sends next is the n-th again. Several incidents
    /// of one number come one after the other.
    pub fn at(&self, post: usize, incident: Incident) {
        self.server.shared.change(|state| {
            state.released = false;
            state.incidents.push((post, incident));
        });
    }

    /// No incident befalls any POST from now on.
    pub fn forget(&self) {
        self.server.shared.change(|state| state.incidents.clear());
    }

    /// Lets silent POSTs go on.
    pub fn release(&self) {
        self.server.shared.change(|state| state.released = true);
    }

    /// Waits for an Inform and answers it.
    #[track_caller]
    pub fn next_session(&self, deadline: Duration) -> Session {
        let mut session = self.next_inform(deadline);
        session.answer_inform();
        session
    }

    /// Waits for an Inform and leaves it unanswered.
    #[track_caller]
    pub fn next_inform(&self, deadline: Duration) -> Session {
        let shared = &self.server.shared;
        match shared.wait(deadline, |state| state.informs.pop_front()) {
            Some((number, inform)) => Session::new(shared.clone(), number, inform),
            None => panic!("no Inform within {deadline:?}: {}", shared.state().story()),
        }
    }

    /// An Inform that comes within a time, unanswered; `None` without one.
    pub fn inform_within(&self, time: Duration) -> Option<Session> {
        let shared = &self.server.shared;
        let (number, inform) = shared.wait(time, |state| state.informs.pop_front())?;
        Some(Session::new(shared.clone(), number, inform))
    }

    /// Waits until the log shows what is looked for.
    #[track_caller]
    pub fn wait_for(&self, what: &str, deadline: Duration, look: impl Fn(&[Message]) -> bool) {
        let shared = &self.server.shared;
        if shared.wait(deadline, |state| look(&state.log).then_some(())).is_none() {
            panic!("no {what} within {deadline:?}: {}", shared.state().story());
        }
    }

    /// Everything that was said so far, in its order.
    pub fn log(&self) -> Vec<Message> {
        self.server.shared.state().log.clone()
    }

    /// How many sessions began.
    pub fn sessions(&self) -> usize {
        self.server.shared.state().sessions
    }

    /// Calls the agent at its ConnectionRequestURL; gives the HTTP status.
    #[track_caller]
    pub fn connection_request(&self, url: &str, username: &str, password: &str) -> u16 {
        call::connection_request(url, username, password)
    }
}
