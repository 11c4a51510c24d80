//! Native providers: what rows cannot say by an expression. A [`Spec`] lists, reads, and plans changes; the
//! provider judges, stages, writes and takes back what it planned.

use super::fitting;
use super::plan::Plan;
use super::sources::{Shared, Sources};
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use crate::sys::uci;

/// How a provider lists, see [`Handler::list`].
pub type List = fn(&mut Sources, &Ctx<'_>, &Row<'_>, &mut Keys) -> Result<(), Failure>;
/// How a provider fills, see [`Handler::get`].
pub type Fill = fn(&mut Sources, &Ctx<'_>, &Row<'_>, &[Want<'_>], &mut Fields) -> Result<(), Failure>;
/// How a provider plans, see [`Spec::plan`].
pub type Plans = fn(&mut Sources, &Ctx<'_>, &Row<'_>, &Change<'_>) -> Result<Plan, (usize, Failure)>;

/// What a native provider does.
pub struct Spec {
    /// Its name in `datamodel/*.toml`.
    pub name: &'static str,
    /// The keys of its table, see [`Handler::list`].
    pub list: List,
    /// The values of a row, see [`Handler::get`].
    pub fill: Fill,
    /// What a change means for the files: edits by package. It is asked when the change is judged (then the
    /// failure is about the value of this index), when it is staged, and when it is made: each time of the
    /// files as they are, and in the same way.
    pub plan: Plans,
    /// The key of a row that is to be added under this number, see [`Handler::add_key`].
    pub key: fn(&mut Sources, &Ctx<'_>, &Row<'_>, u32) -> Result<String, Failure>,
    /// The packages that tell of changes.
    pub packages: &'static [&'static str],
    /// The objects of ubus whose answers it reads; `*` for what nobody tells of.
    pub objects: &'static [&'static str],
}

/// For a table whose rows are listed by nothing, and for an object that is no table.
///
/// # Errors
/// None.
pub fn lists_nothing(_: &mut Sources, _: &Ctx<'_>, _: &Row<'_>, _: &mut Keys) -> Result<(), Failure> {
    Ok(())
}

/// For what cannot be changed.
///
/// # Errors
/// Always.
pub fn plans_nothing(
    _: &mut Sources,
    _: &Ctx<'_>,
    _: &Row<'_>,
    _: &Change<'_>,
) -> Result<Plan, (usize, Failure)> {
    Err((0, Failure::denied("read only on this platform")))
}

/// For a table to which no rows are added.
///
/// # Errors
/// Always.
pub fn adds_nothing(_: &mut Sources, _: &Ctx<'_>, _: &Row<'_>, _: u32) -> Result<String, Failure> {
    Err(Failure::denied("no rows can be added here"))
}

/// A provider at work.
pub struct Provider {
    /// What it does.
    pub spec: &'static Spec,
    /// What it reads and writes.
    pub sources: Shared,
}

impl Handler for Provider {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        let mut sources = self.sources.borrow_mut();
        sources.begin_reading();
        let listed = (self.spec.list)(&mut sources, ctx, row, out);
        if sources.is_doubtful() {
            out.doubt();
        }
        listed
    }

    fn align(&self, had: &[&str], now: &[&str]) -> Option<Vec<Option<usize>>> {
        super::rows::align(had, now)
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let mut sources = self.sources.borrow_mut();
        sources.begin_reading();
        let filled = (self.spec.fill)(&mut sources, ctx, row, want, out);
        if sources.is_doubtful() {
            (0..want.len()).for_each(|index| out.doubt(index));
        }
        filled
    }

    fn check(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let mut sources = self.sources.borrow_mut();
        let judged = (self.spec.plan)(&mut sources, ctx, row, change).and_then(|plan| {
            sources.judge(ctx, &plan).map_err(|failure| (fitting::culprit(change, &plan), failure))
        });
        bad.extend(judged.err());
    }

    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        let mut sources = self.sources.borrow_mut();
        let plan = (self.spec.plan)(&mut sources, ctx, row, change).map_err(|(_, failure)| failure)?;
        sources.stage(ctx, &plan)
    }

    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let mut sources = self.sources.borrow_mut();
        let plan = (self.spec.plan)(&mut sources, ctx, row, change).map_err(|(_, failure)| failure)?;
        sources.gather(plan);
        Ok(())
    }

    fn flush(&mut self, ctx: &Ctx<'_>) -> Result<(), Failure> {
        self.sources.borrow_mut().write(ctx)
    }

    fn undo(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
        self.sources.borrow_mut().undo(ctx, saved)
    }

    fn add_key(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
        (self.spec.key)(&mut self.sources.borrow_mut(), ctx, row, number)
    }

    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        for package in self.spec.packages {
            ring(Bell::File(uci::path(package)));
            ring(Bell::File(uci::pending_path(package)));
        }
        self.spec.objects.iter().for_each(|object| ring(Bell::of_ubus(object)));
        if self.spec.packages.is_empty() && self.spec.objects.is_empty() {
            ring(Bell::None);
        }
    }

    fn waits(&self) -> bool {
        self.sources.borrow().waits()
    }

    fn session_ended(&mut self, ctx: &Ctx<'_>) {
        self.sources.borrow_mut().session_ended(ctx);
    }
}
