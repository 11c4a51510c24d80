//! The session machine (TR-069 3.7.1): `step(incoming) -> outgoing`, without I/O.
//!
//! The ACS drives: it answers the Inform, then asks, and each of our POSTs carries the answer to what
//! its last response asked (C-10). Requests of the agent's own go out where it would else say that it
//! has none ([`super::asking`]). An RPC that fails is answered with its fault and the session goes
//! on; only what cannot be read, or comes where it may not, ends it (C-23).

use super::asking::Asking;
pub use super::asking::MAX_REPEATS;
pub use super::host::Host;
pub use super::methods::METHODS;
use super::methods::{code_for, is_in, name_of};
pub use super::rpc::InformFacts;
use super::rpc::{AcsFault, Body, Envelope, Namespace, Request, Response};
use super::transfers::Origin;
use crate::model::fault::{Code, Fault};
use crate::model::tree::Selection;
use crate::soap::reader;
use crate::soap::writer::{self, Answer, List};
use log::{debug, info, warn};
use std::time::Duration;

/// How many messages that answer nothing are passed over in one session (E-20), so that an ACS that
/// sends nothing else is not listened to until the deadline.
pub const MAX_STRAYS: u32 = 8;
/// The least SessionTimeout that is taken, seconds (T-8).
pub const MIN_SESSION_TIMEOUT: u32 = 30;

/// What came in from the wire.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// The session begins: the first message is wanted (C-3).
    Start,
    /// HTTP 200 with a body.
    Envelope(&'a [u8]),
    /// 204, or 200 without a body (T-11).
    Empty,
}

/// What goes out.
pub enum Outgoing {
    /// A message kept whole: Inform, faults, small responses. Sent again byte for byte when the
    /// connection or a challenge asks for it.
    Whole(Vec<u8>),
    /// An answer that is rendered while it is sent.
    Long(Box<LongAnswer>),
    /// The empty POST (C-13).
    Empty,
    /// The session is over by the rules (C-15).
    Done,
    /// The session failed: why, for log and status (C-23).
    Failed(String),
}

/// An answer that may be larger than memory: `head`, then every item of the selection in its XML
/// form ([`writer::item`]), then `tail`.
pub struct LongAnswer {
    /// Everything before the first item, arrayType with its count included.
    pub head: Vec<u8>,
    /// What to walk.
    pub selection: Selection,
    /// Everything behind the last item.
    pub tail: Vec<u8>,
    namespace: Namespace,
    id: Option<String>,
}

impl LongAnswer {
    /// The answer to the request with this ID, of which nothing was walked yet.
    pub fn new(namespace: Namespace, id: Option<&str>, list: List, selection: Selection) -> LongAnswer {
        LongAnswer {
            head: writer::head(namespace, id, list, selection.count),
            selection,
            tail: writer::tail(list),
            namespace,
            id: id.map(str::to_string),
        }
    }

    /// The whole envelope to send in its place when the walk fails before anything was sent.
    pub fn fault(&self, fault: &Fault) -> Vec<u8> {
        writer::fault(self.namespace, self.id.as_deref(), fault)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing was sent yet.
    New,
    /// The Inform is out.
    Informed,
    /// The Inform was answered: the ACS may ask.
    Open,
    /// Done or failed.
    Over,
}

/// One session with the ACS.
pub struct Session {
    state: State,
    namespace: Namespace,
    id: String,
    inform: Vec<u8>,
    repeats: u32,
    strays: u32,
    hold_requests: bool,
    /// An empty POST went out while HoldRequests was false (C-13, C-15).
    said_no_more: bool,
    timeout: Option<Duration>,
    delivered: bool,
    strange_id: bool,
    asking: Asking,
    inform_fault: Option<u16>,
    rpcs: u32,
    faults: u32,
    last_rpc: Option<String>,
}

impl Session {
    /// A session that has not begun. `namespace` is what the Inform goes out in; `number` makes the
    /// IDs of this session differ from those of others (E-11).
    pub fn new(namespace: Namespace, number: u32) -> Session {
        let mut asking = Asking::new(number);
        Session {
            state: State::New,
            namespace,
            id: asking.id(),
            inform: Vec::new(),
            repeats: 0,
            strays: 0,
            hold_requests: false,
            said_no_more: false,
            timeout: None,
            delivered: false,
            strange_id: false,
            asking,
            inform_fault: None,
            rpcs: 0,
            faults: 0,
            last_rpc: None,
        }
    }

    /// Whether the Inform was answered, so that its events are delivered (V-23).
    pub fn is_delivered(&self) -> bool {
        self.delivered
    }

    /// Whether the Inform is out and was not answered.
    pub fn is_informed(&self) -> bool {
        self.state == State::Informed
    }

    /// The code of the fault that the Inform was answered with (C-5, E-16).
    pub fn inform_fault(&self) -> Option<u16> {
        self.inform_fault
    }

    /// How many requests of the ACS were answered, faults included.
    pub fn rpcs(&self) -> u32 {
        self.rpcs
    }

    /// How many of them were answered with a fault.
    pub fn faults(&self) -> u32 {
        self.faults
    }

    /// The method that the ACS asked for last.
    pub fn last_rpc(&self) -> Option<&str> {
        self.last_rpc.as_deref()
    }

    /// How long the ACS wants to be waited for, when it said so (T-8).
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Takes what the ACS sent and says what to send next. After [`Outgoing::Done`] and
    /// [`Outgoing::Failed`] there is no further step.
    pub fn step(&mut self, incoming: Incoming<'_>, host: &mut dyn Host) -> Outgoing {
        let outgoing = match (self.state, incoming) {
            (State::New, Incoming::Start) => {
                self.state = State::Informed;
                self.inform = writer::inform(self.namespace, &self.id, &host.inform());
                Outgoing::Whole(self.inform.clone())
            }
            (State::New | State::Over, _) | (_, Incoming::Start) => {
                failed("the session is not in a state for this")
            }
            (State::Informed, Incoming::Empty) => {
                failed("the ACS answered the Inform with an empty response")
            }
            (State::Open, Incoming::Empty) => self.nothing_asked(host),
            (state, Incoming::Envelope(bytes)) => match reader::read(bytes) {
                Err(_) if state == State::Open && bytes.trim_ascii().is_empty() => self.nothing_asked(host),
                Err(error) => failed(&format!("the ACS sent a message that cannot be read: {error}")),
                Ok(envelope) if state == State::Informed => self.answer_to_inform(envelope, host),
                Ok(envelope) => self.message(envelope, host),
            },
        };
        if matches!(outgoing, Outgoing::Done | Outgoing::Failed(_)) {
            self.state = State::Over;
        }
        outgoing
    }

    fn headers(&mut self, envelope: &Envelope) {
        // A header that is not there is false (C-12).
        self.hold_requests = envelope.hold_requests.unwrap_or(false);
        if let Some(seconds) = envelope.session_timeout.filter(|s| *s >= MIN_SESSION_TIMEOUT) {
            self.timeout = Some(Duration::from_secs(seconds.into()));
        }
        if let Some(namespace) = envelope.namespace {
            self.namespace = namespace;
        }
    }

    fn answer_to_inform(&mut self, envelope: Envelope, host: &mut dyn Host) -> Outgoing {
        match &envelope.body {
            Body::Response(Response::Inform) => {}
            Body::Fault(AcsFault { code: 8005, .. }) if self.repeats < MAX_REPEATS => {
                self.repeats += 1;
                info!("the ACS asks for the Inform again (8005)");
                return Outgoing::Whole(self.inform.clone());
            }
            Body::Fault(fault) => {
                self.inform_fault = Some(fault.code);
                return failed(&format!(
                    "the ACS answered the Inform with fault {} {}",
                    fault.code, fault.text
                ));
            }
            Body::Response(_) | Body::Request(_) | Body::Nothing => {
                return failed("the ACS answered the Inform with something else than InformResponse");
            }
        }
        self.headers(&envelope);
        // E-14, E-15.
        match envelope.use_cwmp_version.as_deref() {
            Some("1.0") => self.namespace = Namespace::V1_0,
            Some("1.1") => self.namespace = Namespace::V1_1,
            Some("1.2" | "1.3" | "1.4") => self.namespace = Namespace::V1_2,
            Some(other) => warn!("the ACS wants a CWMP version that there is not: {other:.16}"),
            None => {}
        }
        self.note_strange_id(envelope.id.as_deref(), &self.id.clone());
        if let Some(header) = &envelope.not_understood {
            // A fault is no answer to a response (E-20).
            warn!("the ACS sent a header in InformResponse that must be understood and is not: {header:.64}");
        }
        self.state = State::Open;
        self.inform = Vec::new();
        self.delivered = true;
        host.inform_delivered();
        self.ask_or_say_no_more(host)
    }

    fn message(&mut self, envelope: Envelope, host: &mut dyn Host) -> Outgoing {
        self.headers(&envelope);
        let Envelope { id, not_understood, body, .. } = envelope;
        match (body, not_understood) {
            (Body::Request(_), Some(header)) => {
                self.faults += 1;
                Outgoing::Whole(writer::must_understand(self.namespace, id.as_deref(), &header))
            }
            (Body::Request(request), None) => self.request(id, request, host),
            // Not an empty response: the ACS has more to say, if not now.
            (Body::Nothing, _) => self.stray("an envelope with an empty Body", host),
            (answer, header) => {
                if let Some(header) = header {
                    // A fault is no answer to a response (E-20).
                    warn!(
                        "the ACS sent a header with an answer that must be understood and is not: {header:.64}"
                    );
                }
                self.answer(id, answer, host)
            }
        }
    }

    /// A response or a fault: to what is out, or to nothing.
    fn answer(&mut self, id: Option<String>, body: Body, host: &mut dyn Host) -> Outgoing {
        let awaited = self.asking.awaited().map(str::to_string);
        let taken = match body {
            Body::Response(response) => self.asking.response(response, host),
            Body::Fault(fault) => self.asking.fault(fault, !self.said_no_more, host),
            Body::Request(_) | Body::Nothing => false,
        };
        match awaited {
            Some(awaited) if taken => {
                self.note_strange_id(id.as_deref(), &awaited);
                self.ask_or_say_no_more(host)
            }
            _ => self.stray("an answer to what was not asked", host),
        }
    }

    fn stray(&mut self, what: &str, host: &mut dyn Host) -> Outgoing {
        self.strays += 1;
        if self.strays > MAX_STRAYS {
            return failed(&format!("the ACS keeps sending {what}"));
        }
        warn!("the ACS sent {what}; the session goes on");
        self.ask_or_say_no_more(host)
    }

    /// An empty response: over when we have said that there is no more (C-14 to C-16). It carries no
    /// header, so it lifts HoldRequests too.
    fn nothing_asked(&mut self, host: &mut dyn Host) -> Outgoing {
        self.hold_requests = false;
        self.asking.silence(host);
        if self.said_no_more { Outgoing::Done } else { self.ask_or_say_no_more(host) }
    }

    /// A request of the agent's own, when there is one and the ACS may be asked (C-11 to C-13); else the
    /// empty POST, which says that there is none unless the ACS wants none now.
    fn ask_or_say_no_more(&mut self, host: &mut dyn Host) -> Outgoing {
        if !self.hold_requests && !self.said_no_more {
            if let Some(message) = self.asking.next(self.namespace, host) {
                return Outgoing::Whole(message);
            }
            self.said_no_more = true;
        }
        Outgoing::Empty
    }

    fn note_strange_id(&mut self, id: Option<&str>, expected: &str) {
        if id != Some(expected) && !self.strange_id {
            self.strange_id = true;
            match id {
                Some(_) => warn!("the ACS does not echo the IDs of requests; taken all the same"),
                None => warn!("the ACS sends no ID; taken all the same"),
            }
        }
    }

    fn request(&mut self, id: Option<String>, request: Request, host: &mut dyn Host) -> Outgoing {
        self.rpcs += 1;
        let name = name_of(&request);
        debug!("the ACS asks: {name}");
        self.last_rpc = Some(name.to_string());
        host.begin_rpc();
        let unknown = matches!(request, Request::Unknown { .. });
        match self.perform(id.as_deref(), request, host) {
            Ok(outgoing) => outgoing,
            Err(mut fault) => {
                self.faults += 1;
                // Somebody else's method may have the name of one of ours.
                if !unknown {
                    fault.code = code_for(self.last_rpc.as_deref().unwrap_or_default(), fault.code);
                }
                info!("{}: {fault}", self.last_rpc.as_deref().unwrap_or_default());
                Outgoing::Whole(writer::fault(self.namespace, id.as_deref(), &fault))
            }
        }
    }

    fn perform(
        &mut self,
        id: Option<&str>,
        request: Request,
        host: &mut dyn Host,
    ) -> Result<Outgoing, Fault> {
        let (methods, mut transfers);
        let answer = match request {
            request if !is_in(name_of(&request), self.namespace) => {
                let (method, version) = (name_of(&request), self.namespace.version());
                let text = format!("Method not supported: CWMP {version} has no {method}");
                return Err(Fault::new(Code::METHOD_NOT_SUPPORTED, text));
            }
            Request::GetRPCMethods => {
                methods = METHODS.iter().copied().filter(|m| is_in(m, self.namespace)).collect::<Vec<_>>();
                Answer::GetRPCMethods(&methods)
            }
            Request::SetParameterValues { list, parameter_key } => {
                Answer::SetParameterValues(host.set(&list, &parameter_key)?)
            }
            Request::GetParameterValues { names } => {
                return Ok(self.long(id, List::Values, host.values(&names)?));
            }
            Request::GetParameterNames { path, next_level } => {
                return Ok(self.long(id, List::Names, host.names(&path, next_level)?));
            }
            Request::SetParameterAttributes { list } => {
                host.set_attributes(&list)?;
                Answer::SetParameterAttributes
            }
            Request::GetParameterAttributes { names } => {
                return Ok(self.long(id, List::Attributes, host.attributes(&names)?));
            }
            Request::AddObject { object, parameter_key } => {
                let (number, status) = host.add(&object, &parameter_key)?;
                Answer::AddObject(number, status)
            }
            Request::DeleteObject { object, parameter_key } => {
                Answer::DeleteObject(host.delete(&object, &parameter_key)?)
            }
            Request::Reboot { command_key } => {
                host.reboot(&command_key)?;
                Answer::Reboot
            }
            Request::FactoryReset => {
                host.factory_reset()?;
                Answer::FactoryReset
            }
            Request::ScheduleInform { delay_seconds, command_key } => {
                host.schedule_inform(delay_seconds, &command_key)?;
                Answer::ScheduleInform
            }
            Request::Transfer(asked) => {
                let method = asked.method;
                host.transfer(*asked)?;
                Answer::Transfer(method)
            }
            Request::CancelTransfer { command_key } => {
                host.cancel_transfer(&command_key)?;
                Answer::CancelTransfer
            }
            Request::GetQueuedTransfers => {
                transfers = host.queued_transfers();
                transfers.retain(|t| t.origin == Origin::Acs);
                Answer::GetQueuedTransfers(&transfers)
            }
            Request::GetAllQueuedTransfers => {
                transfers = host.queued_transfers();
                Answer::GetAllQueuedTransfers(&transfers)
            }
            Request::Unknown { method } => {
                return Err(Fault::new(
                    Code::METHOD_NOT_SUPPORTED,
                    format!("Method not supported: {method}"),
                ));
            }
            Request::Invalid { fault, .. } => return Err(fault),
        };
        Ok(Outgoing::Whole(writer::answer(self.namespace, id, answer)))
    }

    fn long(&self, id: Option<&str>, list: List, selection: Selection) -> Outgoing {
        Outgoing::Long(Box::new(LongAnswer::new(self.namespace, id, list, selection)))
    }
}

fn failed(why: &str) -> Outgoing {
    Outgoing::Failed(why.to_string())
}

#[cfg(test)]
mod tests;
