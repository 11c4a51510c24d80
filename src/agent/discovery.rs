//! The ACS by DHCP, and who is whose gateway: what was handed over (`agent::leases`) and what becomes of it.
//!
//! # Data storage
//! `b/dhcp/<path>` in the journal is the value that DHCP set a parameter to. While the parameter has that
//! value, DHCP may change it; when it has another, somebody with more to say has set it (DH-5).

use super::engine::Engine;
use super::host::Core;
use super::leases::{self, Leases};
use super::start;
use crate::cwmp::discovery::{Identity, Policy, takes};
use crate::handlers::gateway;
use crate::state::journal::Batch;
use crate::sys::clock::Now;
use std::time::Duration;

/// Beginning of the journal's keys.
const KEY: &str = "b/dhcp/";
/// How long the ACS cannot be reached before DHCP is asked anew (DH-7).
const PATIENCE: Duration = Duration::from_secs(300);
/// The wait until it is asked again doubles as often as this: some 21 hours.
const DOUBLINGS: u32 = 8;

const URL: &str = "Device.ManagementServer.URL";
const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const MINIMUM_WAIT: &str = "Device.ManagementServer.CWMPRetryMinimumWaitInterval";
const MULTIPLIER: &str = "Device.ManagementServer.CWMPRetryIntervalMultiplier";

/// What is known of leases, and when they are asked for anew.
#[derive(Default)]
pub struct Discovery {
    seen: Leases,
    /// Monotonic: when the first of the failed sessions in a row failed.
    failing_since: Option<Duration>,
    /// How often DHCP was asked since, and when it may be asked again.
    asked: u32,
    next: Duration,
}

impl Discovery {
    /// A session failed: whether DHCP is to be asked anew now (DH-7).
    fn is_due(&mut self, now: Duration) -> bool {
        let since = *self.failing_since.get_or_insert(now);
        if now.saturating_sub(since) < PATIENCE || (self.asked > 0 && now < self.next) {
            return false;
        }
        self.next = now + PATIENCE * (1 << self.asked.min(DOUBLINGS));
        self.asked = self.asked.saturating_add(1);
        true
    }

    /// The ACS answered.
    fn answered(&mut self) {
        (self.failing_since, self.asked) = (None, 0);
    }
}

impl Core {
    /// Reads what was handed over, and takes of it what is to be taken. True when something changed that the
    /// tree shows.
    pub fn follow_leases(&mut self) -> bool {
        let leases = leases::read(&self.config.run_dir);
        if leases == self.discovery.seen {
            return false;
        }
        for wrong in leases.wrong.iter().filter(|w| !self.discovery.seen.wrong.contains(w)) {
            log::warn!("{wrong}");
        }
        let said =
            leases.leases.iter().find(|l| !l.offer.gateway.oui.is_empty()).map(|l| l.offer.gateway.clone());
        {
            let mut facts = self.facts.borrow_mut();
            let device = |mac: &str, identity: &Identity| gateway::Device {
                mac: mac.to_owned(),
                oui: identity.oui.clone(),
                serial_number: identity.serial_number.clone(),
                product_class: identity.product_class.clone(),
            };
            facts.gateway = device("", &said.unwrap_or_default());
            facts.devices = leases.devices.iter().map(|d| device(&d.mac, &d.identity)).collect();
        }
        self.discovery.seen = leases;
        self.take_offer();
        true
    }

    /// Takes over what the first lease that tells of an ACS says, as far as DHCP's word counts.
    pub fn take_offer(&mut self) {
        let policy = self.config.acs.dhcp_discovery;
        let offers = self.discovery.seen.leases.iter().map(|l| &l.offer);
        let Some(offer) = offers.clone().find(|o| o.tells_of_acs()).cloned() else { return };
        if policy == Policy::Off {
            return;
        }
        self.take(&[(URL, policy, offer.url.clone()), (CODE, policy, offer.provisioning_code.clone())]);
        // How long to wait for an ACS is a matter of who told of it.
        if self.is_by_dhcp() && self.tree.value(URL).as_deref() == Some(&offer.url) {
            let text = |n: Option<u16>| n.map(|n| n.to_string()).unwrap_or_default();
            let (wait, multiplier) = (text(offer.retry_minimum_wait), text(offer.retry_multiplier));
            self.take(&[(MINIMUM_WAIT, Policy::Prefer, wait), (MULTIPLIER, Policy::Prefer, multiplier)]);
        }
    }

    fn take(&mut self, offered: &[(&'static str, Policy, String)]) {
        let file = self.config.first_values();
        let mut batch = Batch::default();
        let mut taken = Vec::new();
        self.tree.begin_rpc();
        for (path, policy, value) in offered {
            let now = self.tree.value(path).unwrap_or_default();
            let first = file.iter().find(|(p, _)| p == path).map_or("", |(_, v)| v);
            let journal = self.journal.borrow();
            let by_dhcp = journal.text(&format!("{KEY}{path}"));
            if takes(*policy, &now, by_dhcp, first, value) {
                batch.put(format!("{KEY}{path}"), value.as_bytes());
                taken.push((*path, value.as_str()));
            }
        }
        // Whose word it is is on disk first: cut off in between, DHCP says it again.
        if taken.is_empty() || !self.keep(batch) {
            return;
        }
        for (path, value) in &taken {
            log::info!("DHCP: {path} is {value}");
        }
        if let Err(fault) = self.tree.store(&taken) {
            log::error!("what DHCP says is not taken over: {fault}");
        }
    }

    /// Whether the URL in force is DHCP's.
    pub fn is_by_dhcp(&mut self) -> bool {
        let url = self.tree.value(URL).unwrap_or_default();
        !url.is_empty() && self.journal.borrow().text(&format!("{KEY}{URL}")) == Some(url.as_str())
    }

    /// A session ended, well or not.
    pub fn discovery_learns(&mut self, answered: bool, now: Now) {
        if answered {
            self.discovery.answered();
        } else if self.discovery.is_due(now.mono) && self.is_by_dhcp() {
            self.ask_dhcp();
        }
    }

    /// Has the interfaces' leases renewed that told of the ACS.
    fn ask_dhcp(&self) {
        let argv = &self.config.commands.dhcp_renew;
        let told = self.discovery.seen.leases.iter().filter(|l| l.offer.tells_of_acs());
        for lease in told.filter(|_| !argv.is_empty()) {
            log::warn!(
                "the ACS that DHCP told of does not answer: the lease of {} is renewed",
                lease.interface
            );
            start::command_for(
                self,
                argv,
                "dhcp_renew",
                &[
                    ("interface", &lease.interface),
                    ("netifd", &format!("network.interface.{}", lease.interface)),
                ],
            );
        }
    }
}

impl Engine {
    /// Somebody has handed something over.
    pub(super) fn leases_changed(&mut self) {
        if self.core.follow_leases() {
            self.settings_changed();
            self.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DH-7: asked after 300 s of failures, and then more and more seldom.
    // Proves: DH-7
    #[test]
    fn dh_7_when_dhcp_is_asked_anew() {
        let at = Duration::from_secs;
        let mut discovery = Discovery::default();
        let due =
            |d: &mut Discovery, times: &[u64]| times.iter().map(|t| d.is_due(at(*t))).collect::<Vec<_>>();
        assert_eq!(due(&mut discovery, &[1000, 1010, 1299, 1300, 1310]), [false, false, false, true, false]);
        assert_eq!(
            due(&mut discovery, &[1599, 1600, 2199, 2200, 3399, 3400]),
            [false, true, false, true, false, true]
        );
        discovery.answered();
        assert_eq!(due(&mut discovery, &[5000, 5299, 5300]), [false, false, true]);
        let mut last = at(5300);
        for _ in 0..20 {
            let next = discovery.next;
            assert!(next - last <= PATIENCE * 256);
            assert!(discovery.is_due(next));
            last = next;
        }
    }
}
