//! One script: its process, its requests and answers, and its rest after a failure.

use super::answer::{Answer, Said, plain};
use crate::model::fault::Code;
use crate::model::handler::{Ctx, Failure, Row};
use crate::sys::child::{Child, MAX_LINE};
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

/// How long a script stays down after the RPC in which it failed.
pub const REST: Duration = Duration::from_secs(30);
/// How many lines that answer nothing are passed over while one answer is waited for.
const MAX_STRAY: u32 = 8;
/// How many lines of standard error a script may have in the log in one [`COMPLAINTS_IN`].
const MAX_COMPLAINTS: u32 = 20;
pub(super) const COMPLAINTS_IN: Duration = Duration::from_secs(60);

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
pub(super) struct Ask<'a> {
    pub(super) op: &'a str,
    pub(super) change: &'a str,
    pub(super) number: Option<u32>,
    pub(super) refers: Map<String, Value>,
}

/// Why a request brought nothing.
pub(super) struct Refusal {
    pub(super) failure: Failure,
    /// The parameter that the script blames; may be empty.
    pub(super) name: String,
    /// What the script said itself, and not the lack of an answer.
    pub(super) said: Option<i64>,
}

impl Refusal {
    fn silent(text: String) -> Refusal {
        Refusal { failure: Failure::internal(text), name: String::new(), said: None }
    }

    /// The script does not know the operation.
    pub(super) fn is_unknown(&self) -> bool {
        self.said == Some(i64::from(Code::METHOD_NOT_SUPPORTED.0))
    }
}

pub(super) struct Script {
    /// As the row says it.
    pub(super) argv: String,
    pub(super) child: Option<Child>,
    down: Option<Down>,
    last_id: u32,
    complaints: Complaints,
    /// The RPC in which an error to `get` was last logged.
    pub(super) complained: u32,
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
pub(super) struct Complaints {
    since: Duration,
    pub(super) count: u32,
}

impl Complaints {
    pub(super) fn tell(&mut self, script: &str, now: Duration, line: &str) {
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

/// The row of a request.
pub(super) struct Place<'a> {
    pub(super) object: &'a str,
    pub(super) parents: &'a [&'a str],
    pub(super) key: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn of(row: &Row<'a>) -> Place<'a> {
        let (key, parents) = row.keys.split_last().map_or(("", &[][..]), |(key, rest)| (*key, rest));
        Place { object: row.object.path(), parents, key }
    }

    /// A table: all keys are those of its parents.
    pub(super) fn table(row: &Row<'a>) -> Place<'a> {
        Place { object: row.object.path(), parents: row.keys, key: "" }
    }
}

impl Script {
    /// One that has not been started.
    pub(super) fn new(argv: &str, now: Duration) -> Script {
        Script {
            argv: argv.to_owned(),
            child: None,
            down: None,
            last_id: 0,
            complaints: Complaints { since: now, count: 0 },
            complained: 0,
        }
    }

    /// Asks it and waits for its answer.
    pub(super) fn ask(
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
        let request = Request {
            v: 1,
            id,
            op,
            change,
            object: row.object,
            parents: row.parents,
            key: row.key,
            number,
            refers,
            values,
        };
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
    fn exchange(
        &mut self,
        ctx: &Ctx<'_>,
        line: &[u8],
        id: u32,
        deadline: Duration,
        now: Duration,
    ) -> Result<Answer, String> {
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
            let heard =
                child.hear(until, &mut |line| complaints.tell(argv, now, line)).map_err(|e| e.to_string())?;
            match Answer::read(&heard) {
                Ok(answer) if answer.id == u64::from(id) => return Ok(answer),
                Ok(answer) => {
                    log::debug!("{argv}: an answer to request {}, which nobody waits for", answer.id)
                }
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
