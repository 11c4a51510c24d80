//! When what is watched is listened to and compared.

use super::bells::Cause;
use super::engine::Engine;
use super::reactor::Task;
use crate::cwmp::events;
use crate::model::tree::Bells;
use crate::sys::clock::{self, Now};
use crate::sys::netlink::events::topic;
use crate::sys::ubus;

impl Engine {
    pub(super) fn sweep_if_due(&mut self, now: Now) {
        let Some(cause) = self.rings.take(now.mono) else { return };
        log::debug!("what is watched is compared: {cause:?}");
        // Listened first, looked then: what happens in between rings.
        self.listen();
        self.follow();
        self.routes_changed();
        // As long as there is nobody to tell, it is only routes that can tell of an ACS by DHCP.
        if !self.core.settings.url.is_empty() {
            self.sweep();
        }
        if cause == Cause::Told {
            let bells = self.bells();
            if self.rings.want(bells) {
                self.listen();
                self.rings.at_once(now.mono);
            }
        }
        self.rings.swept(now.mono, self.core.tree.is_doubtful());
    }

    /// A bell rang.
    pub(super) fn rang(&mut self) {
        let now = clock::now().mono;
        self.core.trials.moved(now);
        self.rings.heard(now);
    }

    /// What to listen to: what is watched, the address by which the ACS is reached, and what services do that
    /// make a change that is on trial.
    pub(super) fn bells(&mut self) -> Bells {
        let mut bells = self.core.tree.bells();
        if self.following.is_on() || self.core.discovery.awaits_route(&self.core.config.acs) {
            bells.kernel |= topic::ADDRESS | topic::ROUTE;
        }
        if self.core.trials.settles(clock::now().mono) {
            bells.kernel |= topic::LINK | topic::ADDRESS | topic::ROUTE;
            bells.ubus |= ubus::listener::topic::INTERFACE;
        }
        bells
    }

    pub(super) fn listen(&mut self) {
        let config = &self.core.config;
        if let Some(bells) = self.rings.listen(&config.root, &config.ubus()) {
            self.mailbox.send(Task::Bells(bells));
        }
    }

    /// Somebody has changed something through the agent.
    pub fn ring(&mut self) {
        self.rings.changed(clock::now().mono);
    }

    /// Compares what is actively watched; a change asks for a session (N-3).
    pub fn sweep(&mut self) {
        self.core.tree.begin_rpc();
        if self.core.tree.sweep() {
            self.core.queue.add(events::VALUE_CHANGE, "");
        } else if self.core.queue.contains(events::VALUE_CHANGE) && !self.core.tree.has_changed() {
            // What had changed is as it was, or was told by a process that was killed before it
            // could say so: there is nothing to tell (V-13).
            self.core.queue.remove(events::VALUE_CHANGE);
        }
        self.core.keep_records();
    }
}
