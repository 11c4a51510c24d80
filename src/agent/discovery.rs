//! The ACS by DHCP, and who is whose gateway: what was handed over (`agent::leases`) and what becomes of it.
//!
//! Only leases of the uplink count: whoever runs a DHCP server on another interface is nobody to say whose the device
//! is. A lease may be there before its default route, so those that do not count are judged again when the kernel tells
//! of routes. What a lease said stays when the lease goes, and as long as that ACS answers, no other lease's word takes
//! its place: a client that starts anew, or the second uplink's, makes no difference.
//!
//! # Data storage
//! `b/dhcp/<path>` in the journal is the value that DHCP set a parameter to. While the parameter has that
//! value, DHCP may change it; when it has another, somebody with more to say has set it (DH-5).
//! `b/dhcp-from` is the lease that said it.

use super::engine::Engine;
use super::host::Core;
use super::leases::{self, Lease, Leases};
use super::start;
use crate::config;
use crate::cwmp::discovery::{Identity, Policy, takes};
use crate::handlers::gateway;
use crate::handlers::linux::network::default_devices;
use crate::state::journal::Batch;
use crate::sys::clock::Now;
use std::time::Duration;

/// Beginning of the journal's keys.
const KEY: &str = "b/dhcp/";
const FROM: &str = "b/dhcp-from";
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
    /// The ACS that DHCP told of does not answer: another lease's word counts, once.
    looks_elsewhere: bool,
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
        self.looks_elsewhere = true;
        true
    }

    /// The ACS answered.
    fn answered(&mut self) {
        (self.failing_since, self.asked, self.looks_elsewhere) = (None, 0, false);
    }

    /// Whether there is a lease with something to tell, which may come to count by a route.
    pub fn awaits_route(&self, acs: &config::Acs) -> bool {
        acs.dhcp_interfaces.is_empty() && acs.bind_interface.is_none() && self.seen.leases.iter().any(tells)
    }
}

fn tells(lease: &Lease) -> bool {
    lease.offer.tells_of_acs() || !lease.offer.gateway.oui.is_empty()
}

/// Whether a lease is the uplink's; `ways` are devices of default routes, with whether the route is IPv6's.
fn counts(lease: &Lease, acs: &config::Acs, ways: &[(bool, String)]) -> bool {
    if !acs.dhcp_interfaces.is_empty() {
        return acs.dhcp_interfaces.iter().any(|name| *name == lease.interface || *name == lease.device);
    }
    if let Some(device) = &acs.bind_interface {
        return *device == lease.device;
    }
    ways.iter().any(|(six, device)| *six == lease.id.starts_with('6') && *device == lease.device)
}

/// Whose word is taken: that of the lease that was listened to before; another's when there is none in force, or when
/// the ACS in force, `url`, is given up.
fn choose<'l>(counting: &'l [Lease], from: Option<&str>, given_up: Option<&str>) -> Option<&'l Lease> {
    let mut telling = counting.iter().filter(|l| l.offer.tells_of_acs());
    match (from, given_up) {
        (None, _) => telling.next(),
        (Some(_), Some(url)) => telling.find(|l| !l.offer.url.is_empty() && l.offer.url != url),
        (Some(from), None) => telling.find(|l| l.id == from),
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
        self.discovery.seen = leases;
        self.judge_leases();
        true
    }

    /// Finds which leases count now, and takes of them what is to be taken. True when something was.
    pub fn judge_leases(&mut self) -> bool {
        let acs = &self.config.acs;
        let ways = match self.discovery.awaits_route(acs) {
            true => default_devices(&self.config.root).unwrap_or_else(|reason| {
                log::warn!("which lease is the uplink's is not known: {reason}");
                Vec::new()
            }),
            false => Vec::new(),
        };
        let seen = &self.discovery.seen;
        let counting: Vec<Lease> = seen.leases.iter().filter(|l| counts(l, acs, &ways)).cloned().collect();
        let device = |mac: &str, identity: &Identity| gateway::Device {
            mac: mac.to_owned(),
            oui: identity.oui.clone(),
            serial_number: identity.serial_number.clone(),
            product_class: identity.product_class.clone(),
        };
        let said = counting.iter().map(|l| &l.offer.gateway).find(|g| !g.oui.is_empty()).cloned();
        {
            let mut facts = self.facts.borrow_mut();
            facts.gateway = device("", &said.unwrap_or_default());
            facts.devices = seen.devices.iter().map(|d| device(&d.mac, &d.identity)).collect();
        }
        self.take_offer(&counting)
    }

    /// Takes over what a lease says of an ACS, as far as DHCP's word counts.
    fn take_offer(&mut self, counting: &[Lease]) -> bool {
        let policy = self.config.acs.dhcp_discovery;
        if policy == Policy::Off || counting.is_empty() {
            return false;
        }
        let url = self.tree.value(URL).unwrap_or_default();
        let from = if self.is_by_dhcp() { self.journal.borrow().text(FROM).map(str::to_owned) } else { None };
        let given_up = self.discovery.looks_elsewhere.then_some(&*url);
        let Some(lease) = choose(counting, from.as_deref(), given_up) else { return false };
        let (id, offer) = (&lease.id, lease.offer.clone());
        let first = [(URL, policy, offer.url.clone()), (CODE, policy, offer.provisioning_code)];
        let mut taken = self.take(id, &first);
        self.discovery.looks_elsewhere &= !taken;
        // How long to wait for an ACS is a matter of who told of it.
        if self.is_by_dhcp() && self.tree.value(URL).as_deref() == Some(&offer.url) {
            let text = |n: Option<u16>| n.map(|n| n.to_string()).unwrap_or_default();
            let (wait, multiplier) = (text(offer.retry_minimum_wait), text(offer.retry_multiplier));
            let waits = [(MINIMUM_WAIT, Policy::Prefer, wait), (MULTIPLIER, Policy::Prefer, multiplier)];
            taken |= self.take(id, &waits);
        }
        taken
    }

    fn take(&mut self, id: &str, offered: &[(&'static str, Policy, String)]) -> bool {
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
                batch.put(FROM, id.as_bytes());
                taken.push((*path, value.as_str()));
            }
        }
        // Whose word it is is on disk first: cut off in between, DHCP says it again.
        if taken.is_empty() || !self.keep(batch) {
            return false;
        }
        for (path, value) in &taken {
            log::info!("DHCP ({id}): {path} is {value}");
        }
        self.tree
            .store(&taken)
            .inspect_err(|fault| log::error!("what DHCP says is not taken over: {fault}"))
            .is_ok()
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
            self.judge_leases();
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
    /// Routes may have changed: a lease may count that did not, or not any more.
    pub(super) fn routes_changed(&mut self) {
        if self.core.discovery.awaits_route(&self.core.config.acs) && self.core.judge_leases() {
            self.settings_changed();
            self.ring();
        }
    }

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
    use crate::cwmp::discovery::Offer;

    fn lease(id: &str, device: &str, url: &str) -> Lease {
        let offer = Offer { url: url.to_owned(), ..Offer::default() };
        Lease { id: id.to_owned(), interface: id[2..].to_owned(), device: device.to_owned(), offer }
    }

    /// Only the uplink's lease counts, by the route of its family, or by name.
    // Proves: DH-2
    #[test]
    fn dh_2_whose_lease_counts() {
        let ways = [(false, "eth1".to_owned()), (true, "pppoe-wan".to_owned())];
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        for (interfaces, bound, id, device, expected) in [
            (&[][..], None, "4-wan", "eth1", true),
            (&[], None, "6-wan6", "eth1", false),
            (&[], None, "6-wan_6", "pppoe-wan", true),
            (&[], None, "4-lan", "br-lan", false),
            // A name says nothing.
            (&[], None, "4-eth1", "br-guest", false),
            (&[], Some("eth1.7"), "4-mgmt", "eth1.7", true),
            (&[], Some("eth1.7"), "4-wan", "eth1", false),
            (&["mgmt"], None, "4-mgmt", "eth1.7", true),
            (&["eth1.7"], None, "4-mgmt", "eth1.7", true),
            (&["mgmt"], Some("eth1"), "4-wan", "eth1", false),
        ] {
            let dhcp_interfaces = names(interfaces);
            let bind_interface = bound.map(str::to_owned);
            let acs = config::Acs { dhcp_interfaces, bind_interface, ..config::Acs::default() };
            assert_eq!(
                counts(&lease(id, device, ""), &acs, &ways),
                expected,
                "{interfaces:?} {bound:?} {id}"
            );
            assert!(!counts(&lease(id, device, ""), &acs, &[]) || !interfaces.is_empty() || bound.is_some());
        }
    }

    /// One that was listened to is listened to as long as its ACS answers.
    // Proves: DH-5
    #[test]
    fn dh_5_another_lease_changes_nothing() {
        let (wan, lte) = (lease("4-wan", "eth1", "http://a/"), lease("4-lte", "wwan0", "http://b/"));
        let silent = lease("4-lan", "br-lan", "");
        let both = [silent.clone(), lte.clone(), wan.clone()];
        let id = |all: &[Lease], from, given_up| choose(all, from, given_up).map(|l| l.id.clone());
        assert_eq!(id(&both, None, None).as_deref(), Some("4-lte"), "the first that tells");
        assert_eq!(id(&both, Some("4-wan"), None).as_deref(), Some("4-wan"));
        assert_eq!(id(&[silent, lte.clone()], Some("4-wan"), None), None, "wan's client starts anew");
        assert_eq!(id(&both, Some("4-wan"), Some("http://a/")).as_deref(), Some("4-lte"), "given up");
        assert_eq!(id(&[wan], Some("4-wan"), Some("http://a/")), None);
    }

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
