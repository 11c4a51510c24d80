//! Source `exec`: values that a vendor's script reads and writes, asked in the exec protocol, one JSON
//! object a line. `datamodel/README.md` tells script writers all of it.
//!
//! # Error handling
//! A script that hangs, ends, or sends what is no answer is killed and down: every request fails at
//! once for the rest of the RPC and [`REST`] more, then it is started again. Only `undo` may start it
//! earlier, once, since the transaction must be taken back now or never. A script that ended while
//! nobody asked it is started again at once.

use crate::model::fault::Code;
use crate::model::handler::{Change, Ctx, Failure, Fields, Handler, Row, Set, Want};
use crate::model::schema::{SourceKind, flag};
use crate::sys::child::{Child, MAX_LINE};
use crate::sys::clock;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

/// How long a script may take for one request.
pub const DEADLINE: Duration = Duration::from_secs(5);
/// How long a script stays down after the RPC in which it failed.
pub const REST: Duration = Duration::from_secs(30);
/// How many lines that answer nothing are passed over while one answer is waited for.
const MAX_STRAY: u32 = 8;
/// How many lines of standard error a script may have in the log in one [`COMPLAINTS_IN`].
const MAX_COMPLAINTS: u32 = 20;
const COMPLAINTS_IN: Duration = Duration::from_secs(60);
/// The longest text of an error, in characters.
const MAX_TEXT: usize = 256;

/// What the fields hold is told in `datamodel/README.md`.
#[derive(Serialize)]
struct Request<'a> {
    v: u8,
    id: u32,
    op: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    change: &'a str,
    object: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    parents: &'a [&'a str],
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    refers: Map<String, Value>,
    values: &'a Map<String, Value>,
}

/// What is asked, beside the row.
#[derive(Default)]
struct Ask<'a> {
    op: &'a str,
    change: &'a str,
    number: Option<u32>,
    refers: Map<String, Value>,
}

#[derive(Deserialize)]
struct Answer {
    id: u64,
    #[serde(default)]
    values: Map<String, Value>,
    keys: Option<Vec<String>>,
    key: Option<String>,
    error: Option<Said>,
}

/// The error of an answer.
#[derive(Deserialize)]
struct Said {
    code: i64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    text: String,
}

/// Why a request brought nothing.
struct Refusal {
    failure: Failure,
    /// The parameter that the script blames; may be empty.
    name: String,
    /// What the script said itself, and not the lack of an answer.
    said: Option<i64>,
}

impl Refusal {
    fn silent(text: String) -> Refusal {
        Refusal { failure: Failure::internal(text), name: String::new(), said: None }
    }

    /// The script does not know the operation.
    fn is_unknown(&self) -> bool {
        self.said == Some(i64::from(Code::METHOD_NOT_SUPPORTED.0))
    }
}

/// The handler of `exec`.
pub struct Exec {
    scripts: Vec<Script>,
    deadline: Duration,
    /// Monotonic.
    clock: Box<dyn Fn() -> Duration>,
}

struct Script {
    /// As the row says it.
    argv: String,
    child: Option<Child>,
    down: Option<Down>,
    last_id: u32,
    complaints: Complaints,
    /// The RPC in which an error to `get` was last logged.
    complained: u32,
}

/// A script that failed.
struct Down {
    epoch: u32,
    until: Duration,
    /// It failed at an `undo`, or has been started for one since.
    tried: bool,
}

/// What of a script's standard error is logged.
#[derive(Default)]
struct Complaints {
    since: Duration,
    count: u32,
}

impl Complaints {
    fn tell(&mut self, script: &str, now: Duration, line: &str) {
        if now.saturating_sub(self.since) >= COMPLAINTS_IN {
            if let Some(dropped) = self.count.checked_sub(MAX_COMPLAINTS).filter(|n| *n > 0) {
                log::warn!("{script}: {dropped} more lines");
            }
            (self.since, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
        if self.count <= MAX_COMPLAINTS {
            log::warn!("{script}: {}", plain(line));
        }
    }
}

/// Text of a script as it may stand in a log or a fault.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect()
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
    fn ask(&mut self, ctx: &Ctx<'_>, argv: &str, row: &Place<'_>, ask: Ask<'_>, values: &Map<String, Value>) -> Result<Answer, Refusal> {
        let now = (self.clock)();
        let at = match self.scripts.iter().position(|s| s.argv == argv) {
            Some(at) => at,
            None => {
                self.scripts.push(Script {
                    argv: argv.to_owned(),
                    child: None,
                    down: None,
                    last_id: 0,
                    complaints: Complaints { since: now, count: 0 },
                    complained: 0,
                });
                self.scripts.len() - 1
            }
        };
        // `at`: just found or pushed
        self.scripts[at].ask(ctx, row, ask, values, self.deadline, now)
    }
}

/// The row of a request.
struct Place<'a> {
    object: &'a str,
    parents: &'a [&'a str],
    key: &'a str,
}

impl<'a> Place<'a> {
    fn of(row: &Row<'a>) -> Place<'a> {
        let (key, parents) = row.keys.split_last().map_or(("", &[][..]), |(key, rest)| (*key, rest));
        Place { object: row.object.path(), parents, key }
    }

    /// A table: all keys are those of its parents.
    fn table(row: &Row<'a>) -> Place<'a> {
        Place { object: row.object.path(), parents: row.keys, key: "" }
    }
}

impl Script {
    fn ask(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Place<'_>,
        ask: Ask<'_>,
        values: &Map<String, Value>,
        deadline: Duration,
        now: Duration,
    ) -> Result<Answer, Refusal> {
        let undoing = ask.op == "undo" || ask.op == "del" && ask.change == "add";
        self.rise(ctx, undoing, now)?;
        self.last_id = self.last_id.wrapping_add(1);
        let id = self.last_id;
        let Ask { op, change, number, refers } = ask;
        let request =
            Request { v: 1, id, op, change, object: row.object, parents: row.parents, key: row.key, number, refers, values };
        let line = serde_json::to_vec(&request).map_err(|e| Refusal::silent(e.to_string()))?;
        if line.len() > MAX_LINE {
            let text = format!("the request to {} is longer than {MAX_LINE} bytes", self.argv);
            let failure = Failure { code: Code::RESOURCES_EXCEEDED, text };
            return Err(Refusal { failure, name: String::new(), said: None });
        }
        match self.exchange(ctx, &line, id, deadline, now) {
            Ok(Answer { error: Some(said), .. }) => Err(self.refused(said)),
            Ok(answer) => Ok(answer),
            Err(why) => {
                self.child = None;
                // One failure of an undo is enough; what it has left undone is told by the tree.
                let tried = undoing || self.down.as_ref().is_some_and(|d| d.tried);
                self.down = Some(Down { epoch: ctx.epoch, until: now + REST, tried });
                log::warn!("{}: {why} ({op}); not asked again for a while", self.argv);
                Err(Refusal::silent(format!("{} {why}", self.argv)))
            }
        }
    }

    /// Lets a script that is down rest, and sees to it that another is there to be asked.
    fn rise(&mut self, ctx: &Ctx<'_>, undoing: bool, now: Duration) -> Result<(), Refusal> {
        if let Some(down) = &mut self.down {
            let resting = down.epoch == ctx.epoch || now < down.until;
            if down.epoch == ctx.epoch {
                // The rest is counted from the end of the RPC, of which this is the latest sign.
                down.until = now + REST;
            }
            // One that was started for an undo and lives serves the next undo too.
            if resting && !(undoing && (!down.tried || self.child.is_some())) {
                return Err(Refusal::silent(format!("{} is down", self.argv)));
            }
            match resting {
                true => down.tried = true,
                false => self.down = None,
            }
        }
        if self.child.as_mut().is_some_and(|c| !c.is_open()) {
            log::info!("{} has ended; it is started again", self.argv);
            self.child = None;
        }
        Ok(())
    }

    /// Sends a line and waits for the answer with this id.
    fn exchange(&mut self, ctx: &Ctx<'_>, line: &[u8], id: u32, deadline: Duration, now: Duration) -> Result<Answer, String> {
        let Script { argv, child, complaints, .. } = self;
        let child = match child {
            Some(child) => child,
            None => {
                let words: Vec<&str> = argv.split(' ').filter(|w| !w.is_empty()).collect();
                let started = Child::start(&words, &[("CWMPD_ROOT", ctx.root.as_os_str())]);
                child.insert(started.map_err(|e| e.to_string())?)
            }
        };
        let until = Instant::now() + deadline;
        child.say(line);
        for _ in 0..=MAX_STRAY {
            let heard = child.hear(until, &mut |line| complaints.tell(argv, now, line)).map_err(|e| e.to_string())?;
            match serde_json::from_slice::<Answer>(&heard) {
                Ok(answer) if answer.id == u64::from(id) => return Ok(answer),
                Ok(answer) => log::debug!("{argv}: an answer to request {}, which nobody waits for", answer.id),
                Err(error) => log::debug!("{argv}: a line that is no answer: {error}"),
            }
        }
        Err("sends lines that are no answers".to_owned())
    }

    fn refused(&self, said: Said) -> Refusal {
        let code = match said.code {
            9001 | 9002 | 9004..=9008 | 9800..=9899 => Code(said.code as u16),
            _ => Code::INTERNAL_ERROR,
        };
        let text = match said.text.trim() {
            "" => format!("{} refuses", self.argv),
            text => plain(text),
        };
        Refusal { failure: Failure { code, text }, name: said.name, said: Some(said.code) }
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
    names.map(|name| (name.to_owned(), Value::Null)).collect()
}

/// The new values of one script, and the keys of the rows they refer to.
fn new_values(sets: &[Set<'_>], members: &[usize]) -> (Map<String, Value>, Map<String, Value>) {
    let (mut values, mut refers) = (Map::new(), Map::new());
    for set in members.iter().filter_map(|i| sets.get(*i)) {
        values.insert(set.param.name().to_owned(), set.value.into());
        if let Some(keys) = set.refers {
            refers.insert(set.param.name().to_owned(), keys.into());
        }
    }
    (values, refers)
}

/// Puts one value of an answer: text, number, boolean, or a reference `{"object":…,"keys":[…]}`, also
/// several in an array. What is anything else is not filled.
fn fill(out: &mut Fields, index: usize, value: &Value) {
    match value {
        Value::String(text) => out.put(index, text),
        Value::Number(number) => out.put(index, number),
        Value::Bool(yes) => out.put(index, yes),
        Value::Array(several) => several.iter().for_each(|one| refer(out, index, one)),
        Value::Object(_) => refer(out, index, value),
        Value::Null => {}
    }
}

fn refer(out: &mut Fields, index: usize, value: &Value) {
    let Some(object) = value.get("object").and_then(Value::as_str) else { return };
    let keys = value.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
    out.refer(index, object, &keys);
}

impl Handler for Exec {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Vec<String>) -> Result<(), Failure> {
        let ask = Ask { op: "list", ..Ask::default() };
        let answer = self.ask(ctx, row.arg, &Place::table(row), ask, &Map::new()).map_err(|r| r.failure)?;
        match answer.keys {
            Some(keys) => out.extend(keys),
            None => return Err(Failure::internal(format!("{} gave no keys", row.arg))),
        }
        Ok(())
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) -> Result<(), Failure> {
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
                    let script = self.scripts.iter_mut().find(|s| s.argv == argv && s.complained != ctx.epoch);
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
                    let Err(refusal) = self.ask(ctx, argv, &Place::of(row), ask, &values) else { continue };
                    if refusal.is_unknown() {
                        continue;
                    }
                    let blamed = members.iter().find(|i| sets.get(**i).is_some_and(|s| s.param.name() == refusal.name));
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
                    return Err(Failure::internal(format!("{} made another row than it was told to", row.arg)));
                }
            }
            Change::Delete => {
                let ask = Ask { op: "del", change: "del", ..Ask::default() };
                self.ask(ctx, row.arg, &place, ask, &Map::new()).map_err(|r| r.failure)?;
            }
        }
        Ok(())
    }

    fn undo(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
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
    let is_own = |id: &u16| schema.source(*id).is_some_and(|s| s.kind == SourceKind::Exec && s.arg == row.arg);
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
