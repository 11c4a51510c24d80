//! One handler for every table of the network: what differs stands in a [`Spec`].

use super::hosts::LEASE_FILES;
use super::knobs::{self, Knob};
use super::network::{Network, View, part};
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use crate::sys::netlink::events::topic;
use std::cell::RefCell;
use std::rc::Rc;

/// The network, shared by its providers; all live in the engine's thread.
pub type Shared = Rc<RefCell<Network>>;

/// Of what in its rows the kernel tells by itself (rtnetlink's multicast groups), when one of its parts
/// changes. Files of procfs and sysfs, times, and counters are not among it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// Of all.
    All,
    /// Of all but these parameters.
    But(&'static [&'static str]),
    /// Of nothing.
    Nothing,
    /// Of these parameters; the others are counters, which never stand still.
    Counters(&'static [&'static str]),
    /// Of all, but some of it changes without a word as time goes by.
    Also,
}

/// What a provider does.
pub struct Spec {
    /// Its name in `datamodel/*.toml`.
    pub name: &'static str,
    /// The parts of the network it speaks of.
    pub parts: u8,
    /// The keys of its table.
    pub list: fn(&View, &Row<'_>, &mut Keys),
    /// The values of its row.
    pub fill: fn(&View, &Row<'_>, &[Want<'_>], &mut Fields),
    /// What can be set, and where.
    pub knobs: &'static [Knob],
    /// What the kernel tells of.
    pub told: Told,
}

/// The topics by which the kernel tells of parts of the network; none for what it does not tell of.
fn topics(parts: u8) -> u8 {
    [
        (part::DEVICES, topic::LINK),
        (part::ADDRESSES, topic::ADDRESS | topic::LINK),
        (part::ROUTES, topic::ROUTE | topic::LINK),
        (part::HOSTS, topic::NEIGHBOUR | topic::ROUTE | topic::LINK),
        (part::QUEUES, topic::QUEUE | topic::LINK),
    ]
    .iter()
    .filter(|(part, _)| parts & part != 0)
    .fold(0, |all, (_, topics)| all | topics)
}

/// The name in the files of the kernel: that of the row's device, wherever it has one.
fn key<'v>(view: &'v View, row: &Row<'v>) -> &'v str {
    view.named(row).map_or(row.key(), |n| &n.device)
}

/// A provider at work.
pub struct Provider {
    /// What it does.
    pub spec: &'static Spec,
    /// What it reads.
    pub network: Shared,
}

impl Handler for Provider {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        let mut network = self.network.borrow_mut();
        (self.spec.list)(network.view(ctx, self.spec.parts)?, row, out);
        Ok(())
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let mut network = self.network.borrow_mut();
        let view = network.view(ctx, self.spec.parts)?;
        (self.spec.fill)(view, row, want, out);
        let key = key(view, row);
        for (at, w) in want.iter().enumerate() {
            if let Some(value) =
                knobs::find(self.spec.knobs, w.param.name()).and_then(|k| k.show(ctx.root, key))
            {
                out.put(at, value);
            }
        }
        Ok(())
    }

    fn check(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let Change::Set(sets) = change else { return };
        let mut network = self.network.borrow_mut();
        let view = network.view(ctx, part::DEVICES).ok();
        let key = view.map_or(row.key(), |v| key(v, row));
        let device = view.and_then(|v| v.device(key));
        for (at, set) in sets.iter().enumerate() {
            if let Err(failure) = knobs::check(self.spec.knobs, ctx.root, key, device, set) {
                bad.push((at, failure));
            }
        }
    }

    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        match change {
            Change::Set(sets) => {
                let mut network = self.network.borrow_mut();
                let key = key(network.view(ctx, part::DEVICES)?, row);
                knobs::stage(self.spec.knobs, ctx.root, key, sets)
            }
            _ => Err(Failure::denied("rows of this table come and go with the kernel's devices")),
        }
    }

    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let Change::Set(sets) = change else {
            return Ok(());
        };
        let mut network = self.network.borrow_mut();
        network.forget();
        let made =
            knobs::commit(self.spec.knobs, ctx.root, key(network.view(ctx, part::DEVICES)?, row), sets);
        network.forget();
        made
    }

    fn undo(
        &mut self,
        ctx: &Ctx<'_>,
        _row: &Row<'_>,
        _change: &Change<'_>,
        saved: &[u8],
    ) -> Result<(), Failure> {
        self.network.borrow_mut().forget();
        knobs::undo(ctx.root, saved)
    }

    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        let Spec { parts, told, knobs, .. } = self.spec;
        let name = want.map(|w| w.param.name());
        // Who is there is told of with the devices, also where the rows themselves are not.
        let listed = |names: &[&str]| name.is_none_or(|name| names.contains(&name));
        let by_file = name.and_then(|name| knobs::find(knobs, name)).is_some_and(|knob| !knob.told);
        let heard = Bell::Kernel(topics(*parts));
        match told {
            Told::All if !by_file => ring(heard),
            Told::But(names) if !by_file && !name.is_some_and(|name| names.contains(&name)) => ring(heard),
            Told::Counters(names) if listed(names) => ring(heard),
            Told::Counters(_) => ring(Bell::Dear),
            Told::Also => {
                ring(heard);
                if parts & part::HOSTS != 0 {
                    LEASE_FILES.iter().for_each(|path| ring(Bell::File(format!("/{path}"))));
                }
                ring(Bell::None);
            }
            Told::All | Told::But(_) | Told::Nothing => ring(Bell::None),
        }
    }

    fn session_ended(&mut self, _ctx: &Ctx<'_>) {
        self.network.borrow_mut().release();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NETWORK, providers};
    use super::*;
    use crate::model::builtin::builtin;
    use crate::model::schema::{Platform, SourceKind, flag};
    use std::path::Path;

    /// The bells of a parameter, or of a table's instances, by provider.
    fn bells(name: &str, object: &str, param: Option<&str>) -> Vec<Bell> {
        let schema = builtin();
        let object = schema.find_object(object).unwrap();
        let want = param.map(|name| Want { param: object.param(name).unwrap(), arg: "" });
        let row = Row { object, arg: "", keys: &[], numbers: &[] };
        let ctx = Ctx { epoch: 1, root: Path::new("/") };
        let all = providers(&Rc::default());
        let (_, provider) = all.iter().find(|(n, _)| *n == name).unwrap();
        let mut out = Vec::new();
        provider.bells(&ctx, &row, want.as_ref(), &mut |bell| out.push(bell));
        out
    }

    #[test]
    fn what_the_kernel_tells_of() {
        let link = Bell::Kernel(topic::LINK);
        let routes = Bell::Kernel(topic::LINK | topic::ROUTE);
        let addresses = Bell::Kernel(topic::LINK | topic::ADDRESS);
        for (provider, object, param, want) in [
            ("ethernet_link", "Device.Ethernet.Link.{i}.", Some("Status"), vec![link.clone()]),
            ("ethernet_link", "Device.Ethernet.Link.{i}.", None, vec![link.clone()]),
            ("ethernet_interface", "Device.Ethernet.Interface.{i}.", Some("Upstream"), vec![routes.clone()]),
            (
                "ethernet_interface",
                "Device.Ethernet.Interface.{i}.",
                Some("CurrentBitRate"),
                vec![Bell::None],
            ),
            ("ip_interface", "Device.IP.Interface.{i}.", Some("MaxMTUSize"), vec![link.clone()]),
            // Written into a file of procfs, which does not tell.
            ("ip_interface", "Device.IP.Interface.{i}.", Some("IPv6Enable"), vec![Bell::None]),
            (
                "ip_ipv6_address",
                "Device.IP.Interface.{i}.IPv6Address.{i}.",
                Some("ValidLifetime"),
                vec![Bell::None],
            ),
            ("ip_ipv6_address", "Device.IP.Interface.{i}.IPv6Address.{i}.", None, vec![addresses]),
            ("link_stats", "Device.Ethernet.Link.{i}.Stats.", Some("BytesSent"), vec![Bell::Dear]),
            ("ethernet_rmon", "Device.Ethernet.RMONStats.{i}.", Some("DropEvents"), vec![Bell::Dear]),
            ("ethernet_rmon", "Device.Ethernet.RMONStats.{i}.", Some("Name"), vec![link.clone()]),
            ("bridge_stp", "Device.Bridging.Bridge.{i}.STP.", Some("Status"), vec![Bell::None]),
            ("bridge_port", "Device.Bridging.Bridge.{i}.Port.{i}.", Some("PathCost"), vec![Bell::None]),
            ("bridge_port", "Device.Bridging.Bridge.{i}.Port.{i}.", Some("PVID"), vec![link]),
            ("ip_active_port", "Device.IP.ActivePort.{i}.", None, vec![Bell::None]),
            ("routing_router", "Device.Routing.Router.{i}.", Some("Status"), vec![Bell::Kernel(0)]),
            ("process", "Device.DeviceInfo.ProcessStatus.Process.{i}.", Some("State"), vec![Bell::Dear]),
            ("agent", "Device.DeviceInfo.", Some("SoftwareVersion"), vec![]),
        ] {
            assert_eq!(bells(provider, object, param), want, "{object}{param:?}");
        }
        let hosts = bells("hosts", "Device.Hosts.Host.{i}.", None);
        assert!(hosts.contains(&Bell::None) && hosts.contains(&Bell::File("/tmp/dhcp.leases".into())));
        assert!(matches!(hosts[0], Bell::Kernel(topics) if topics & topic::NEIGHBOUR != 0));
    }

    /// The names in the table of providers are parameters that these serve.
    #[test]
    fn names_are_names_of_rows() {
        let schema = builtin();
        for spec in NETWORK {
            let (Told::But(names) | Told::Counters(names)) = spec.told else { continue };
            let objects = (0..schema.objects.len() as u16).map(|id| schema.object(id));
            let served: Vec<&str> = objects
                .flat_map(|o| o.params())
                .filter(|p| {
                    p.source(Platform::Linux)
                        .is_some_and(|s| s.kind == SourceKind::Native && s.arg == spec.name)
                })
                .map(|p| p.name())
                .collect();
            for name in names {
                assert!(served.contains(name), "{}: {name}", spec.name);
            }
        }
    }

    /// R-SPA-6: what may be refused and is not told of is refused but for what stands still; what may not
    /// be refused is never asked.
    // Proves: R-SPA-6
    #[test]
    fn what_may_be_refused_is_refused_or_cheap() {
        let schema = builtin();
        let mut cheap = Vec::new();
        for object in (0..schema.objects.len() as u16).map(|id| schema.object(id)) {
            for param in object.params().filter(|p| p.has(flag::CAN_DENY)) {
                let Some(source) = param.source(Platform::Linux) else { continue };
                // Arguments of tests are the tree's own, and the engine looks when one has ended.
                if source.kind != SourceKind::Native || source.arg == "diagnostics" {
                    continue;
                }
                if !bells(source.arg, object.path(), Some(param.name())).contains(&Bell::Dear) {
                    cheap.push(format!("{}{}", object.path(), param.name()));
                }
            }
        }
        let stands_still = [
            "Device.Ethernet.Interface.{i}.CurrentBitRate",
            "Device.LEDs.LED.{i}.Reason",
            "Device.ManagementServer.ParameterKey",
            "Device.ManagementServer.ManageableDevice.{i}.ManufacturerOUI",
            "Device.ManagementServer.ManageableDevice.{i}.SerialNumber",
            "Device.ManagementServer.ManageableDevice.{i}.ProductClass",
            // Each time a sample is taken, and no more often.
            "Device.PeriodicStatistics.SampleSet.{i}.SampleSeconds",
            "Device.PeriodicStatistics.SampleSet.{i}.Parameter.{i}.SampleSeconds",
            "Device.PeriodicStatistics.SampleSet.{i}.Parameter.{i}.SuspectData",
            "Device.PeriodicStatistics.SampleSet.{i}.Parameter.{i}.Values",
            "Device.PeriodicStatistics.SampleSet.{i}.Parameter.{i}.ValuesIfHistogram",
        ];
        assert_eq!(cheap, stands_still);
    }
}
