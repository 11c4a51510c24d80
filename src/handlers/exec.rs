//! Source `exec`: values that a vendor's script reads and writes, asked in the exec protocol, one JSON
//! object a line. `datamodel/README.md` tells script writers all of it.
//!
//! # Error handling
//! A script that hangs, ends, or sends what is no answer is killed and down: every request fails at
//! once for the rest of the RPC and [`REST`] more, then it is started again. Only `undo` may start it
//! earlier, once, since the transaction must be taken back now or never. A script that ended while
//! nobody asked it is started again at once.

pub mod answer;
mod script;

use crate::model::fault::Code;
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Set, Want};
use crate::model::schema::{SourceKind, flag};
use crate::sys::clock;
use answer::{Answer, fill};
use script::{Ask, Place, Refusal, Script};
use serde_json::{Map, Value};
use std::time::Duration;

pub use script::REST;

/// How long a script may take for one request.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// The handler of `exec`.
pub struct Exec {
    scripts: Vec<Script>,
    deadline: Duration,
    /// Monotonic.
    clock: Box<dyn Fn() -> Duration>,
}

impl Default for Exec {
    fn default() -> Exec {
        Exec::new(DEADLINE, Box::new(|| clock::now().mono))
    }
}

impl Exec {
    /// A handler whose scripts may take so long, and a monotonic clock for the time they are down.
    pub fn new(deadline: Duration, clock: Box<dyn Fn() -> Duration>) -> Exec {
        Exec { scripts: Vec::new(), deadline, clock }
    }

    /// Asks a script and waits for its answer.
    fn ask(
        &mut self,
        ctx: &Ctx<'_>,
        argv: &str,
        row: &Place<'_>,
        ask: Ask<'_>,
        values: &Map<String, Value>,
    ) -> Result<Answer, Refusal> {
        let now = (self.clock)();
        let at = match self.scripts.iter().position(|s| s.argv == argv) {
            Some(at) => at,
            None => {
                self.scripts.push(Script::new(argv, now));
                self.scripts.len() - 1
            }
        };
        // `at`: just found or pushed
        self.scripts[at].ask(ctx, row, ask, values, self.deadline, now)
    }
}

/// The scripts among these arguments, each with the indexes that are its own.
fn by_script<'a>(args: impl Iterator<Item = &'a str>) -> Vec<(&'a str, Vec<usize>)> {
    let mut out: Vec<(&str, Vec<usize>)> = Vec::new();
    for (index, arg) in args.enumerate() {
        match out.iter_mut().find(|g| g.0 == arg) {
            Some(group) => group.1.push(index),
            None => out.push((arg, vec![index])),
        }
    }
    out
}

/// Names with nothing: what is wanted.
fn wanted<'a>(names: impl Iterator<Item = &'a str>) -> Map<String, Value> {
    let mut asked = Map::new();
    asked.extend(names.map(|name| (name.to_owned(), Value::Null)));
    asked
}

/// The new values of one script, and the keys of the rows they refer to.
fn new_values(sets: &[Set<'_>], members: &[usize]) -> (Map<String, Value>, Map<String, Value>) {
    let (mut values, mut refers) = (Map::new(), Map::new());
    for set in members.iter().filter_map(|i| sets.get(*i)) {
        values.insert(set.param.name().to_owned(), set.value.into());
        if let Some(keys) = set.refers.filter(|_| !set.param.kind().row.list) {
            refers.insert(set.param.name().to_owned(), keys.into());
        }
    }
    (values, refers)
}

impl Handler for Exec {
    /// A script is asked, row by row.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        let ask = Ask { op: "list", ..Ask::default() };
        let answer = self.ask(ctx, row.arg, &Place::table(row), ask, &Map::new()).map_err(|r| r.failure)?;
        match answer.keys {
            Some(keys) => out.extend(keys),
            None => return Err(Failure::internal(format!("{} gave no keys", row.arg))),
        }
        Ok(())
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let groups = by_script(want.iter().map(|w| w.arg));
        let alone = groups.len() == 1;
        for (argv, members) in groups {
            let names = wanted(members.iter().filter_map(|i| Some(want.get(*i)?.param.name())));
            let ask = Ask { op: "get", ..Ask::default() };
            match self.ask(ctx, argv, &Place::of(row), ask, &names) {
                Ok(answer) => {
                    for index in members {
                        let name = want.get(index).map_or("", |w| w.param.name());
                        if let Some(value) = answer.values.get(name) {
                            fill(out, index, value);
                        }
                    }
                }
                // The row went away.
                Err(refusal) if refusal.said.is_some() && refusal.failure.code == Code::INVALID_NAME => {}
                Err(refusal) if alone => return Err(refusal.failure),
                // The other scripts of the row are not to lose their values.
                Err(refusal) => {
                    let script =
                        self.scripts.iter_mut().find(|s| s.argv == argv && s.complained != ctx.epoch);
                    if let Some(script) = script {
                        script.complained = ctx.epoch;
                        log::warn!("{} cannot be read: {}", row.object.path(), refusal.failure.text);
                    }
                }
            }
        }
        Ok(())
    }

    fn check(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        match change {
            Change::Set(sets) => {
                for (argv, members) in by_script(sets.iter().map(|s| s.arg)) {
                    let (values, refers) = new_values(sets, &members);
                    let ask = Ask { op: "check", change: "set", refers, number: None };
                    let Err(refusal) = self.ask(ctx, argv, &Place::of(row), ask, &values) else {
                        continue;
                    };
                    if refusal.is_unknown() {
                        continue;
                    }
                    let blamed = members
                        .iter()
                        .find(|i| sets.get(**i).is_some_and(|s| s.param.name() == refusal.name));
                    let index = blamed.or(members.first()).copied().unwrap_or(0);
                    bad.push((index, discreet(refusal.failure, sets)));
                }
            }
            // `add_key` has asked.
            Change::Add => {}
            Change::Delete => {
                let ask = Ask { op: "check", change: "del", ..Ask::default() };
                match self.ask(ctx, row.arg, &Place::of(row), ask, &Map::new()) {
                    Err(refusal) if !refusal.is_unknown() => bad.push((0, refusal.failure)),
                    _ => {}
                }
            }
        }
    }

    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        // By script, what its parameters hold now.
        let mut saved = Map::new();
        let mut save = |argv: &str, names: Map<String, Value>| {
            let ask = Ask { op: "get", ..Ask::default() };
            let mut old = self.ask(ctx, argv, &Place::of(row), ask, &names).map_err(|r| r.failure)?.values;
            old.retain(|name, _| names.contains_key(name));
            // What had no value is to have none again.
            for name in names.into_iter().map(|n| n.0) {
                old.entry(name).or_insert(Value::Null);
            }
            saved.insert(argv.to_owned(), old.into());
            Ok(())
        };
        match change {
            Change::Set(sets) => {
                for (argv, members) in by_script(sets.iter().map(|s| s.arg)) {
                    save(argv, wanted(members.iter().filter_map(|i| Some(sets.get(*i)?.param.name()))))?;
                }
            }
            Change::Add => {}
            Change::Delete => save(row.arg, wanted(own_params(row).into_iter()))?,
        }
        serde_json::to_vec(&saved).map_err(|e| Failure::internal(e.to_string()))
    }

    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let place = Place::of(row);
        match change {
            Change::Set(sets) => {
                for (argv, members) in by_script(sets.iter().map(|s| s.arg)) {
                    let (values, refers) = new_values(sets, &members);
                    let ask = Ask { op: "set", refers, ..Ask::default() };
                    self.ask(ctx, argv, &place, ask, &values).map_err(|r| discreet(r.failure, sets))?;
                }
            }
            Change::Add => {
                let ask = Ask { op: "add", ..Ask::default() };
                let answer = self.ask(ctx, row.arg, &place, ask, &Map::new()).map_err(|r| r.failure)?;
                if let Some(key) = answer.key.filter(|k| *k != place.key) {
                    // The key was promised to the journal; a row of another one is somebody else.
                    let other = Place { key: &key, ..place };
                    let ask = Ask { op: "del", change: "add", ..Ask::default() };
                    let _ = self.ask(ctx, row.arg, &other, ask, &Map::new());
                    return Err(Failure::internal(format!(
                        "{} made another row than it was told to",
                        row.arg
                    )));
                }
            }
            Change::Delete => {
                let ask = Ask { op: "del", change: "del", ..Ask::default() };
                self.ask(ctx, row.arg, &place, ask, &Map::new()).map_err(|r| r.failure)?;
            }
        }
        Ok(())
    }

    fn undo(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        change: &Change<'_>,
        saved: &[u8],
    ) -> Result<(), Failure> {
        let place = Place::of(row);
        if matches!(change, Change::Add) {
            let ask = Ask { op: "del", change: "add", ..Ask::default() };
            return self.ask(ctx, row.arg, &place, ask, &Map::new()).map(drop).map_err(|r| r.failure);
        }
        let saved: Map<String, Value> =
            serde_json::from_slice(saved).map_err(|_| Failure::internal("what was saved is damaged"))?;
        let mut failed = None;
        for (argv, old) in &saved {
            let Some(old) = old.as_object() else { continue };
            let deleted = matches!(change, Change::Delete);
            let ask = Ask { op: "undo", change: if deleted { "del" } else { "set" }, ..Ask::default() };
            let mut undone = self.ask(ctx, argv, &place, ask, old);
            if !deleted && undone.as_ref().is_err_and(Refusal::is_unknown) {
                // A script that does not know better sets the old values.
                undone = self.ask(ctx, argv, &place, Ask { op: "set", ..Ask::default() }, old);
            }
            if let Err(refusal) = undone {
                failed = failed.or(Some(refusal.failure));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn add_key(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
        let ask = Ask { op: "check", change: "add", number: Some(number), ..Ask::default() };
        match self.ask(ctx, row.arg, &Place::table(row), ask, &Map::new()) {
            Ok(answer) => Ok(answer.key.unwrap_or_else(|| number.to_string())),
            Err(refusal) if refusal.is_unknown() => Ok(number.to_string()),
            Err(refusal) => Err(refusal.failure),
        }
    }
}

/// The parameters of a row that come from the same script as the row itself.
fn own_params<'a>(row: &Row<'a>) -> Vec<&'a str> {
    let schema = row.object.schema;
    let is_own =
        |id: &u16| schema.source(*id).is_some_and(|s| s.kind == SourceKind::Exec && s.arg == row.arg);
    row.object.params().filter(|p| p.row().sources.iter().any(is_own)).map(|p| p.name()).collect()
}

/// An error text must not repeat a hidden value.
fn discreet(mut failure: Failure, sets: &[Set<'_>]) -> Failure {
    let hidden = |s: &&Set<'_>| s.param.has(flag::HIDDEN) && !s.value.is_empty();
    if sets.iter().filter(hidden).any(|s| failure.text.contains(s.value)) {
        failure.text = "the script refuses the value".to_owned();
    }
    failure
}

#[cfg(test)]
mod tests;
