//! What the ACS is told in a session: which requests of the agent's own are due, and what their answers
//! change.

use crate::agent::host::Core;
use crate::agent::start;
use crate::cwmp::events;
use crate::cwmp::rpc::{AcsAnswer, AgentRequest, Event, Namespace};
use crate::cwmp::transfers::Origin;
use crate::model::fault::{Code, Fault};
use crate::state::journal::Batch;
use crate::sys::clock;

/// Journal key of the RequestDownloads that the ACS has not answered, JSON.
const REQUESTS: &str = "b/request-download";
/// RequestDownloads that are kept.
const MAX_REQUESTS: usize = 4;

impl Core {
    /// An Inform is made with these events.
    pub(in crate::agent) fn tell_transfers(&mut self, told: &[Event]) {
        self.transfers.queue.tell(told);
        self.transfers.told_requests = told.iter().any(|event| event.code == events::REQUEST_DOWNLOAD);
        self.transfers.asked_requests = 0;
    }

    /// The next request that transfers make in this session.
    pub(in crate::agent) fn next_transfer_request(&mut self, namespace: Namespace) -> Option<AgentRequest> {
        while let Some((origin, complete)) = self.transfers.queue.next_report() {
            let number = complete.number;
            let request = match origin {
                // Whoever asks for transfers is told of them, whatever methods it names.
                Origin::Acs => return Some(AgentRequest::TransferComplete(complete)),
                Origin::Local => AgentRequest::AutonomousTransferComplete(complete),
            };
            if request.is_in(namespace) && self.acs.may_call(request.method()) {
                return Some(request);
            }
            // C-18: it is told to nobody.
            log::info!("transfer #{number} has ended; the ACS has no {}", request.method());
            self.transfer_told(number);
        }
        if !self.transfers.told_requests {
            return None;
        }
        let request = self.transfers.requests.get(self.transfers.asked_requests)?.clone();
        self.transfers.asked_requests += 1;
        Some(request)
    }

    /// What became of one of these.
    pub(in crate::agent) fn transfer_answered(&mut self, request: &AgentRequest, answer: &AcsAnswer) {
        let (AgentRequest::TransferComplete(complete) | AgentRequest::AutonomousTransferComplete(complete)) =
            request
        else {
            return;
        };
        match answer {
            AcsAnswer::Response(_) => self.transfer_told(complete.number),
            // It is told again (C-8), see `session_told`.
            AcsAnswer::Fault(_) | AcsAnswer::Missing => {}
        }
    }

    /// The ACS knows of its end: nothing is left of it.
    fn transfer_told(&mut self, number: u32) {
        self.transfers.queue.reported(number);
        self.keep_transfers();
        self.purge_credentials();
    }

    /// A session is over whose Inform was answered: what it told and the ACS did not take waits.
    pub(in crate::agent) fn session_told(&mut self) {
        self.transfers.queue.not_taken(&self.schedule, clock::now(), start::random());
        if std::mem::take(&mut self.transfers.told_requests) {
            // Whatever it says to them, it was asked.
            let asked = self.transfers.asked_requests.min(self.transfers.requests.len());
            self.transfers.requests.drain(..asked);
            if self.transfers.requests.is_empty() || asked == 0 {
                self.transfers.requests.clear();
                self.queue.remove(events::REQUEST_DOWNLOAD);
            }
            self.keep_requests();
        }
    }

    /// The ACS is to be asked for a download.
    ///
    /// # Errors
    /// 9001 when it says that it has no such method; 9004 when too many wait.
    pub(super) fn request_download(&mut self, request: AgentRequest) -> Result<(), Fault> {
        let named = self.acs.methods();
        if !named.is_empty() && !named.contains(&request.method()) {
            return Err(Fault::new(Code::REQUEST_DENIED, "the ACS has no RequestDownload"));
        }
        if self.transfers.requests.len() >= MAX_REQUESTS {
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, "too many requests wait for the ACS already"));
        }
        self.transfers.requests.push(request);
        self.queue.add(events::REQUEST_DOWNLOAD, "");
        self.keep_requests();
        Ok(())
    }

    fn keep_requests(&mut self) {
        let all: Vec<(&str, &[(String, String)])> = self.transfers.requests.iter().filter_map(pair).collect();
        let mut batch = Batch::default();
        match all.is_empty() {
            true => batch.delete(REQUESTS),
            false => batch.put(REQUESTS, serde_json::to_vec(&all).unwrap_or_default()),
        }
        self.records(&mut batch);
        self.keep(batch);
    }

    /// What the last process left; a boot ends it, as it ends the event.
    pub(super) fn read_requests(&mut self, is_boot: bool) {
        if is_boot {
            let mut batch = Batch::default();
            batch.delete(REQUESTS);
            self.keep(batch);
            return;
        }
        let kept = self
            .journal
            .borrow()
            .get(REQUESTS)
            .and_then(|bytes| serde_json::from_slice::<Vec<(String, Vec<(String, String)>)>>(bytes).ok());
        let requests = kept.unwrap_or_default().into_iter();
        self.transfers.requests = requests
            .map(|(file_type, arguments)| AgentRequest::RequestDownload { file_type, arguments })
            .collect();
    }
}

fn pair(request: &AgentRequest) -> Option<(&str, &[(String, String)])> {
    match request {
        AgentRequest::RequestDownload { file_type, arguments } => Some((file_type, arguments)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_requests_than_some() {
        let dir = std::env::temp_dir().join(format!("cwmpd-requests-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let text = format!("run_dir = {dir:?}\nstate_dir = {dir:?}\n[acs]\nurl = \"http://127.0.0.1/\"\n");
        let file = dir.join("cwmpd.toml");
        let config = crate::config::Config::parse(&text, &file).unwrap();
        let journal = crate::state::journal::Journal::in_memory();
        let (mut core, _) = start::open(config, &file, journal);
        let request = || AgentRequest::request_download("X 00D09E a", Vec::new()).unwrap();
        for _ in 0..MAX_REQUESTS {
            core.request_download(request()).unwrap();
        }
        assert_eq!(core.request_download(request()).unwrap_err().code, Code::RESOURCES_EXCEEDED);
        assert!(core.queue.contains(events::REQUEST_DOWNLOAD));
        core.transfers.requests.clear();
        core.read_requests(false);
        assert_eq!(core.transfers.requests.len(), MAX_REQUESTS, "kept");
        core.read_requests(true);
        assert!(core.journal.borrow().get(REQUESTS).is_none(), "a boot ends them");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
