//! Provider `planned`: what came of tests that run by themselves. What is to run is kept by the tree (`store`); the
//! engine reads it there and has the plan follow.

use super::reading::Reading;
use crate::diagnostics::plan::{Outcome, Plan};
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::model::kind::forms::percent_encoded;
use crate::sys::clock;
use std::cell::RefCell;
use std::rc::Rc;

/// The provider.
pub struct Planned {
    /// Filled by the engine.
    pub plan: Rc<RefCell<Plan>>,
}

fn time(seconds: Option<i64>) -> String {
    seconds.map_or(clock::UNKNOWN_TIME.to_owned(), clock::utc)
}

fn of_outcome(outcome: &Outcome, name: &str) -> Option<String> {
    Some(match name {
        "Time" => time(outcome.time),
        "State" => outcome.state.to_owned(),
        "Values" => {
            let values =
                outcome.values.iter().map(|(name, value)| format!("{name}={}", percent_encoded(value)));
            values.collect::<Vec<_>>().join(",")
        }
        _ => return None,
    })
}

impl Reading for Planned {
    /// Runs are named by their number among those of the row.
    fn list(&mut self, _: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) {
        if let Some(number) = row.numbers.first() {
            self.plan.borrow().outcomes(*number).for_each(|outcome| out.push(outcome.key.to_string()));
        }
    }

    fn get(&mut self, _: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let plan = self.plan.borrow();
        let Some(number) = row.numbers.first().copied() else { return };
        let is_result = row.numbers.len() > 1;
        let outcome = plan.outcomes(number).find(|outcome| is_result && outcome.key.to_string() == row.key());
        for (i, want) in want.iter().enumerate() {
            let name = want.param.name();
            let value = match (outcome, name) {
                (Some(outcome), name) => of_outcome(outcome, name),
                (None, "Status") => Some(plan.status(number).to_owned()),
                (None, "LastRun") => Some(time(plan.last(number))),
                (None, "NextRun") => Some(time(plan.upcoming(number, clock::now()))),
                _ => None,
            };
            if let Some(value) = value {
                out.put(i, value);
            }
        }
    }

    /// The engine looks when a run begins and when it ends; NextRun moves with the clock.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        if want.is_some_and(|want| want.param.name() == "NextRun") {
            ring(Bell::Dear);
        }
    }
}
