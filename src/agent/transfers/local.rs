//! What shells ask of transfers through the control socket.

use super::Core;
use crate::agent::control::Request;
use crate::cwmp::rpc::AgentRequest;
use crate::cwmp::transfers::{Asked, Method, Origin, Step};
use crate::model::fault::{Code, Fault};
use crate::sys::clock;

impl Core {
    /// Answers a request about transfers: the number of a new one.
    ///
    /// # Errors
    /// What the shell is told.
    pub(in crate::agent) fn serve_transfers(&mut self, request: Request) -> Result<Option<u32>, Fault> {
        match request {
            Request::Transfer { upload, file_type, url, username, password } => {
                let asked = Asked {
                    method: if upload { Method::Upload } else { Method::Download },
                    origin: Origin::Local,
                    command_key: String::new(),
                    file_type,
                    url,
                    username,
                    password,
                    file_size: 0,
                    target_file_name: String::new(),
                    delay_seconds: 0,
                    windows: Vec::new(),
                };
                self.ask_transfer(asked).map(Some)
            }
            Request::RequestDownload { file_type, arguments } => {
                let request = AgentRequest::request_download(&file_type, arguments)?;
                self.request_download(request).map(|()| None)
            }
            Request::Confirm { key } => {
                let meant = self.meant(&key)?;
                let keys = meant.iter().filter_map(|n| self.transfers.queue.get(*n));
                let mut keys: Vec<String> = keys.map(|t| t.asked.command_key.clone()).collect();
                keys.dedup();
                let confirmed: usize = keys.iter().map(|key| self.transfers.queue.confirm(key)).sum();
                if confirmed == 0 {
                    return Err(Fault::new(Code::INVALID_ARGUMENTS, "it does not wait for that"));
                }
                self.keep_transfers();
                Ok(None)
            }
            Request::Cancel { key } => self.cancel_here(&key).map(|()| None),
            _ => Err(Fault::new(Code::INVALID_ARGUMENTS, "not about transfers")),
        }
    }

    /// The numbers that a person means: `#3`, or all with this CommandKey that have not ended.
    fn meant(&self, key: &str) -> Result<Vec<u32>, Fault> {
        let number = key.strip_prefix('#').and_then(|digits| digits.parse::<u32>().ok());
        let open = self.transfers.queue.all().filter(|t| t.step != Step::Done);
        let meant: Vec<u32> = open
            .filter(|t| match number {
                Some(number) => t.number == number,
                None => t.asked.command_key == key && t.asked.origin == Origin::Acs,
            })
            .map(|t| t.number)
            .collect();
        match meant.is_empty() {
            true => Err(Fault::new(Code::INVALID_ARGUMENTS, "there is no such transfer that has not ended")),
            false => Ok(meant),
        }
    }

    /// A person takes transfers back. The ACS was promised an answer and gets it.
    fn cancel_here(&mut self, key: &str) -> Result<(), Fault> {
        let meant = self.meant(key)?;
        let applying =
            |number: &u32| self.transfers.queue.get(*number).is_some_and(|t| t.step == Step::Applying);
        if meant.iter().any(applying) {
            let text = "its file is being applied already";
            return Err(Fault::new(Code::CANCEL_NOT_PERMITTED, text));
        }
        self.read_transfer_policy();
        let fault = Fault::new(Code::REQUEST_DENIED, "canceled at the device");
        for number in meant {
            log::info!("transfer #{number} is canceled at the device");
            self.transfers.abandon(number);
            self.transfers.queue.give_up(number, fault.clone(), clock::now());
        }
        self.keep_transfers();
        self.purge_credentials();
        Ok(())
    }
}
