//! The agent's own requests in a session, one at a time: which is out, and what became of it
//! (TR-069 3.7.1.3). When one may go out is the session's affair; which there are, the host's.

use super::rpc::{AcsAnswer, AcsFault, AgentRequest, Namespace, Response};
use super::session::Host;
use crate::soap::writer;
use log::{info, warn};

/// How often the same request is sent again in one session because the ACS asks for it (8005, C-6, C-7).
pub const MAX_REPEATS: u32 = 3;

/// What the agent has asked the ACS in this session.
pub(super) struct Asking {
    session: u32,
    /// Messages of ours with an ID so far; the Inform is the first.
    numbered: u32,
    out: Option<Out>,
}

/// A request that was sent and not answered yet.
struct Out {
    request: AgentRequest,
    id: String,
    message: Vec<u8>,
    repeats: u32,
    /// The ACS wants it once more, and it has not gone out since.
    again: bool,
}

impl Asking {
    /// Nothing was asked yet; `session` makes the IDs differ from those of other sessions (E-11).
    pub(super) fn new(session: u32) -> Asking {
        Asking { session, numbered: 0, out: None }
    }

    /// An ID that no other message of the agent has.
    pub(super) fn id(&mut self) -> String {
        self.numbered += 1;
        format!("{}.{}", self.session, self.numbered)
    }

    /// The ID of the request that is out.
    pub(super) fn awaited(&self) -> Option<&str> {
        self.out.as_ref().map(|out| out.id.as_str())
    }

    /// What to POST next: the same again when the ACS asked for it, else the host's next request.
    /// `None` while one is out, and when there is no more.
    pub(super) fn next(&mut self, namespace: Namespace, host: &mut dyn Host) -> Option<Vec<u8>> {
        if let Some(out) = &mut self.out {
            return std::mem::take(&mut out.again).then(|| out.message.clone());
        }
        let request = host.next_request(namespace)?;
        let id = self.id();
        let message = writer::request(namespace, &id, &request);
        info!("the agent asks: {}", request.method());
        self.out = Some(Out { request, id, message: message.clone(), repeats: 0, again: false });
        Some(message)
    }

    /// A response of the ACS. False when it is not to what is out.
    pub(super) fn response(&mut self, response: Response, host: &mut dyn Host) -> bool {
        match self.out.take() {
            Some(out) if answers(&response, &out.request) => {
                host.answered(&out.request, AcsAnswer::Response(response));
                true
            }
            out => {
                self.out = out;
                false
            }
        }
    }

    /// A fault of the ACS. False when nothing is out. `may_repeat` says whether requests may still go
    /// out in this session (C-13).
    pub(super) fn fault(&mut self, fault: AcsFault, may_repeat: bool, host: &mut dyn Host) -> bool {
        let Some(out) = &mut self.out else { return false };
        let method = out.request.method();
        if fault.code == 8005 && may_repeat && out.repeats < MAX_REPEATS {
            info!("the ACS asks for {method} again (8005)");
            out.repeats += 1;
            out.again = true;
            return true;
        }
        warn!("the ACS answered {method} with fault {} {}; the session goes on", fault.code, fault.text);
        self.over(AcsAnswer::Fault(fault), host);
        true
    }

    /// The ACS has nothing to say. What is out was not answered, then, and is waited for no longer, but
    /// for one that is to go out again.
    pub(super) fn silence(&mut self, host: &mut dyn Host) {
        if let Some(out) = self.out.as_ref().filter(|out| !out.again) {
            warn!("the ACS did not answer {}; the session goes on", out.request.method());
            self.over(AcsAnswer::Missing, host);
        }
    }

    fn over(&mut self, answer: AcsAnswer, host: &mut dyn Host) {
        if let Some(out) = self.out.take() {
            host.answered(&out.request, answer);
        }
    }
}

/// Whether a response is of the method that was asked.
fn answers(response: &Response, request: &AgentRequest) -> bool {
    match request {
        AgentRequest::GetRPCMethods => matches!(response, Response::GetRPCMethods { .. }),
        AgentRequest::TransferComplete(_) => *response == Response::TransferComplete,
        AgentRequest::AutonomousTransferComplete(_) => *response == Response::AutonomousTransferComplete,
        AgentRequest::RequestDownload { .. } => *response == Response::RequestDownload,
    }
}
