//! One handler for every table of the network: what differs stands in a [`Spec`].

use super::knobs::{self, Knob};
use super::network::{Network, View, part};
use crate::model::handler::{Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use std::cell::RefCell;
use std::rc::Rc;

/// The network, shared by its providers; all live in the engine's thread.
pub type Shared = Rc<RefCell<Network>>;

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
    fn session_ended(&mut self, _ctx: &Ctx<'_>) {
        self.network.borrow_mut().release();
    }
}
