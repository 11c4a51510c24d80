//! What is known of the ACS that the agent talks to: which version of CWMP it takes, and which
//! methods it has.
//!
//! # Data storage
//! The journal has a line for each of the last [`MAX_KNOWN`] ACSs ([`Acs::record`]): its URL, the version
//! that its Inform was answered in, whether it was asked for its methods, and those that it named. The
//! version that is spoken is in memory only: a start begins with the newest, since an ACS is upgraded
//! more often than the agent is restarted, and a failed session or two is the price where it was not.

use crate::cwmp::fields;
use crate::cwmp::rpc::{AgentRequest, Namespace};
use log::{info, warn};

/// Journal key of what is known of the ACSs.
pub const KNOWN: &str = "b/known";
/// How many ACSs are remembered, the present one among them.
pub const MAX_KNOWN: usize = 8;
/// What a new ACS is spoken to in.
const NEWEST: Namespace = Namespace::V1_2;
/// Every method of an ACS that the standard has (A.3.1, A.3.3, A.4.2); others are nothing to the agent (C-19).
const METHODS: [&str; 8] = [
    "Inform",
    "GetRPCMethods",
    "TransferComplete",
    "AutonomousTransferComplete",
    "RequestDownload",
    "Kicked",
    "DUStateChangeComplete",
    "AutonomousDUStateChangeComplete",
];
/// What every ACS has by the standard, whether it says so or not.
const REQUIRED: [&str; 3] = ["Inform", "GetRPCMethods", "TransferComplete"];

/// How an ACS refused an Inform.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// With a fault of this code.
    Fault(u16),
    /// With this HTTP status.
    Status(u16),
}

/// One ACS.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Entry {
    url: String,
    /// The version whose Inform it answered last; empty when it answered none.
    answered: String,
    /// It was asked for its methods.
    asked: bool,
    /// Those that it named; empty when it did not say.
    methods: Vec<&'static str>,
}

/// What is known of ACSs; of the present one as soon as it was met.
#[derive(Clone, Debug)]
pub struct Acs {
    /// In the order in which they were met first, so that a move between two of them is no news.
    entries: Vec<Entry>,
    /// The URL of the present one.
    url: String,
    namespace: Namespace,
    /// Why the version is not the newest, or not the one before.
    refused: Option<String>,
    recorded: String,
}

impl Default for Acs {
    fn default() -> Acs {
        Acs {
            entries: Vec::new(),
            url: String::new(),
            namespace: NEWEST,
            refused: None,
            recorded: String::new(),
        }
    }
}

impl Acs {
    /// What was known when the record was made; a damaged one is read as far as it makes sense.
    pub fn from_record(record: &str) -> Acs {
        let mut acs = Acs { recorded: record.to_owned(), ..Acs::default() };
        for [url, answered, asked, methods] in fields::lines(record).take(MAX_KNOWN) {
            let methods = known(methods.split(' '));
            acs.entries.push(Entry { url, answered, asked: asked == "asked", methods });
        }
        acs
    }

    /// The record to store, when it is not what was stored last.
    pub fn record(&mut self) -> Option<String> {
        let mut record = String::new();
        for entry in self.entries.iter().filter(|e| !e.answered.is_empty() || e.asked) {
            let asked = if entry.asked { "asked" } else { "" };
            fields::push_line(&mut record, &[&entry.url, &entry.answered, asked, &entry.methods.join(" ")]);
        }
        if record == self.recorded {
            return None;
        }
        self.recorded = record.clone();
        Some(record)
    }

    /// The ACS of this URL is the present one from now on. With another than before, the newest version
    /// is tried again (E-16).
    pub fn meet(&mut self, url: &str) {
        if self.url == url {
            return;
        }
        url.clone_into(&mut self.url);
        (self.namespace, self.refused) = (NEWEST, None);
        if self.present().is_none() {
            if self.entries.len() >= MAX_KNOWN {
                self.entries.remove(0);
            }
            self.entries.push(Entry { url: url.to_owned(), ..Entry::default() });
        }
    }

    /// The namespace of the next Inform.
    pub fn namespace(&self) -> Namespace {
        self.namespace
    }

    /// The version that the next Inform is in, in words for status.
    pub fn version(&self) -> String {
        match &self.refused {
            None => self.namespace.version().to_owned(),
            Some(why) => format!("{} (it refused {why})", self.namespace.version()),
        }
    }

    /// The Inform was answered; with `bootstrap` it told of `0 BOOTSTRAP`, and what the ACS said of itself
    /// before is forgotten.
    pub fn answered(&mut self, bootstrap: bool) {
        let version = self.namespace.version();
        let Some(entry) = self.present_mut() else { return };
        version.clone_into(&mut entry.answered);
        if bootstrap {
            entry.asked = false;
            entry.methods.clear();
        }
    }

    /// The Inform was refused. When that may be because of its version, the next one is a version older,
    /// and after the oldest in the newest again (E-16).
    ///
    /// Fault 8006 says so itself. Faults 8000 and 8002 and status 400, which ACSs answer to what they cannot
    /// read but also when something else is wrong, are taken for it only from an ACS that has never
    /// answered an Inform of this version.
    pub fn refused(&mut self, by: Refusal) {
        let version = self.namespace.version();
        let is_new = self.present().is_none_or(|e| e.answered != version);
        let why = match by {
            Refusal::Fault(8006) => "fault 8006".to_owned(),
            Refusal::Fault(code @ (8000 | 8002)) if is_new => format!("fault {code}"),
            Refusal::Status(400) if is_new => "HTTP status 400".to_owned(),
            Refusal::Fault(_) | Refusal::Status(_) => return,
        };
        self.namespace = self.namespace.older().unwrap_or(NEWEST);
        let next = self.namespace.version();
        warn!("the ACS seems not to know CWMP {version} ({why}): the next Inform is of CWMP {next}");
        self.refused = Some(format!("{version}: {why}"));
    }

    /// The next request that the agent has for the ACS (C-18); `wanted` says whether it may be asked for
    /// its methods. What is given is noted as asked: the caller makes the record durable before it sends.
    pub fn next_request(&mut self, wanted: bool) -> Option<AgentRequest> {
        let request = AgentRequest::GetRPCMethods;
        if !wanted || !self.may_call(request.method()) {
            return None;
        }
        let entry = self.present_mut().filter(|e| !e.asked)?;
        entry.asked = true;
        Some(request)
    }

    /// The ACS named its methods. A list without Inform is not believed.
    pub fn learn(&mut self, methods: &[String]) {
        let known = known(methods.iter().map(String::as_str));
        if !known.contains(&"Inform") {
            warn!("the ACS names {} methods, and Inform is none of them; not believed", methods.len());
            return;
        }
        info!("the ACS has {}", known.join(", "));
        if let Some(entry) = self.present_mut() {
            entry.methods = known;
        }
    }

    /// The methods that the ACS has said to have, those of the standard; empty when it has not said.
    pub fn methods(&self) -> &[&'static str] {
        self.present().map_or(&[], |e| &e.methods)
    }

    /// Whether a method of the ACS may be called: it has named it, or has named none and must have it
    /// (C-18).
    pub fn may_call(&self, method: &str) -> bool {
        match self.methods() {
            [] => REQUIRED.contains(&method),
            named => named.contains(&method),
        }
    }

    fn present(&self) -> Option<&Entry> {
        self.entries.iter().find(|e| e.url == self.url)
    }

    fn present_mut(&mut self) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.url == self.url)
    }
}

/// The methods of the standard among these names, each once.
fn known<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'static str> {
    let mut found = Vec::new();
    for name in names {
        if let Some(method) = METHODS.iter().find(|m| **m == name)
            && !found.contains(method)
        {
            found.push(*method);
        }
    }
    found
}

#[cfg(test)]
mod tests;
