//! The handler of rows that say by an expression where their value is.

use super::change;
use super::filters::Found;
use super::fitting;
use super::plan::Plan;
use super::sources::{Shared, Sources};
use super::values;
use crate::model::grammar::expression::{self, Place};
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use crate::model::kind::forms::percent_encoded;
use crate::sys::uci;

/// The handler of expressions.
pub struct Rows(pub Shared);

/// Which of the keys that a table has now goes on each that it had, where sections without a name are among
/// them: their keys say what is in them.
pub(super) fn align(had: &[&str], now: &[&str]) -> Option<Vec<Option<usize>>> {
    let anonymous = |keys: &[&str]| keys.iter().any(|key| key.starts_with('@'));
    (anonymous(had) || anonymous(now)).then(|| uci::align(had, now))
}

/// The edits of a change, or which value is at fault.
fn plan(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    change: &Change<'_>,
    bad: &mut Vec<(usize, Failure)>,
) -> Plan {
    let done = match change {
        Change::Add => change::add(sources, ctx, row),
        Change::Delete => change::delete(sources, ctx, row),
        Change::Set(sets) => {
            let mut plan: Plan = Vec::new();
            for (at, set) in sets.iter().enumerate() {
                let edits = change::set(sources, ctx, row, set);
                match edits.and_then(|edits| fitting::judge_plan(sources, ctx, &edits).map(|()| edits)) {
                    // A section that two values need is made once.
                    Ok(edits) => edits.into_iter().for_each(|edit| {
                        if !plan.contains(&edit) {
                            plan.push(edit);
                        }
                    }),
                    Err(failure) => bad.push((at, failure)),
                }
            }
            Ok(plan)
        }
    };
    done.unwrap_or_else(|failure| {
        bad.push((0, failure));
        Vec::new()
    })
}

impl Rows {
    fn planned(&self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Plan, Failure> {
        let mut bad = Vec::new();
        let plan = plan(&mut self.0.borrow_mut(), ctx, row, change, &mut bad);
        bad.into_iter().next().map_or(Ok(plan), |(_, failure)| Err(failure))
    }
}

impl Handler for Rows {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        let mut sources = self.0.borrow_mut();
        sources.begin_reading();
        values::keys(&mut sources, ctx, row, row.arg, out);
        if sources.is_doubtful() {
            out.doubt();
        }
        Ok(())
    }

    fn align(&self, had: &[&str], now: &[&str]) -> Option<Vec<Option<usize>>> {
        align(had, now)
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let mut sources = self.0.borrow_mut();
        for (index, want) in want.iter().enumerate() {
            sources.begin_reading();
            let given = values::read(&mut sources, ctx, row, want.arg);
            if sources.is_doubtful() {
                out.doubt(index);
            }
            let Some(given) = given else { continue };
            if let Some((objects, outer)) = given.refers {
                let most = if want.param.kind().row.list { usize::MAX } else { 1 };
                for key in given.found.items().iter().take(most) {
                    let keys: Vec<&str> = outer.iter().map(String::as_str).chain([key.as_str()]).collect();
                    objects.iter().for_each(|object| out.refer(index, object, &keys));
                }
                continue;
            }
            match given.found {
                Found::One(text) => out.put(index, change::shown(want.param, &text)),
                // R-SPV-16: an item may hold a comma of its own.
                Found::Many(items) if want.param.kind().row.list => {
                    let items: Vec<_> =
                        items.iter().map(|i| percent_encoded(change::shown(want.param, i))).collect();
                    out.put(index, items.join(","));
                }
                Found::Many(items) => {
                    if let Some(first) = items.first() {
                        out.put(index, change::shown(want.param, first));
                    }
                }
            }
        }
        Ok(())
    }

    fn check(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let mut sources = self.0.borrow_mut();
        let plan = plan(&mut sources, ctx, row, change, bad);
        if bad.is_empty()
            && let Err(failure) = sources.judge(ctx, &plan)
        {
            bad.push((0, failure));
        }
    }

    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        let plan = self.planned(ctx, row, change)?;
        self.0.borrow_mut().stage(ctx, &plan)
    }

    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let plan = self.planned(ctx, row, change)?;
        self.0.borrow_mut().gather(plan);
        Ok(())
    }

    fn flush(&mut self, ctx: &Ctx<'_>) -> Result<(), Failure> {
        self.0.borrow_mut().write(ctx)
    }

    fn undo(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
        self.0.borrow_mut().undo(ctx, saved)
    }

    fn add_key(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
        change::key(&mut self.0.borrow_mut(), ctx, row, number)
    }

    fn bells(&self, ctx: &Ctx<'_>, row: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        let give = &mut |place: &Place<'_>| match place {
            Place::Uci(uci) => {
                ring(Bell::File(uci::path(uci.package)));
                ring(Bell::File(uci::pending_path(uci.package)));
            }
            Place::Ubus(call) => ring(Bell::of_ubus(call.object)),
            Place::File(path) => ring(crate::handlers::file::bell_of(ctx, row, path)),
            Place::Const(_) => {}
        };
        match want {
            Some(want) => expression::each_place(want.arg, give),
            None => expression::each_place_of_table(row.arg, give),
        }
    }

    fn waits(&self) -> bool {
        self.0.borrow().waits()
    }

    fn session_ended(&mut self, ctx: &Ctx<'_>) {
        self.0.borrow_mut().session_ended(ctx);
    }
}
