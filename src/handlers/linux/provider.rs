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
        (self.spec.fill)(network.view(ctx, self.spec.parts)?, row, want, out);
        for (at, w) in want.iter().enumerate() {
            if let Some(value) =
                knobs::find(self.spec.knobs, w.param.name()).and_then(|k| k.show(ctx.root, row.key()))
            {
                out.put(at, value);
            }
        }
        Ok(())
    }

    fn check(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let Change::Set(sets) = change else { return };
        let mut network = self.network.borrow_mut();
        let device = network.view(ctx, part::DEVICES).ok().and_then(|v| v.device(row.key()));
        for (at, set) in sets.iter().enumerate() {
            if let Err(failure) = knobs::check(self.spec.knobs, ctx.root, row.key(), device, set) {
                bad.push((at, failure));
            }
        }
    }

    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        match change {
            Change::Set(sets) => knobs::stage(self.spec.knobs, ctx.root, row.key(), sets),
            _ => Err(Failure::denied("rows of this table come and go with the kernel's devices")),
        }
    }

    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let Change::Set(sets) = change else {
            return Ok(());
        };
        self.network.borrow_mut().forget();
        knobs::commit(self.spec.knobs, ctx.root, row.key(), sets)
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
