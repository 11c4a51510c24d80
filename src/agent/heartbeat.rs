//! The session of a heartbeat (Annex O): an Inform of its own, which tells no other event and no
//! change, and is not tried again. What the ACS does in it works as in any other session.

use super::host::Core;
use crate::cwmp::events;
use crate::cwmp::session::InformFacts;

impl Core {
    /// A session begins; the codes of the events that it sets out to tell. What is told from here on
    /// is dropped or kept by its rules when the session fails before its Inform (V-15).
    pub fn begin_events(&mut self, heartbeat: bool) -> Vec<String> {
        self.heartbeat = heartbeat;
        let events = match heartbeat {
            true => self.queue.begin_heartbeat(),
            false => self.queue.begin_session(),
        };
        events.into_iter().map(|e| e.code).collect()
    }

    /// The Inform of a heartbeat (HB-3, V-22): forced parameters, and what InformParameter rows ask for
    /// with this event (I-5). Nothing counts as reported by it.
    pub fn heartbeat_inform(&mut self) -> InformFacts {
        let events = self.queue.begin_heartbeat();
        let parameters = self.listed(&events, &[]);
        self.facts_of(events, parameters)
    }

    /// The codes that the Inform of the present session tells.
    pub fn told(&self) -> Vec<String> {
        match self.heartbeat {
            true => vec![events::HEARTBEAT.to_owned()],
            false => self.queue.pending().map(|e| e.code.clone()).collect(),
        }
    }
}
