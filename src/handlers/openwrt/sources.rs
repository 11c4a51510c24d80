//! What the handlers of the platform share: packages and answers, each read once in an RPC; edits that wait
//! to be written; packages whose services wait to be reloaded.
//!
//! # What fails
//! A package that is not understood and an object that does not answer have no values; the rest of the tree
//! answers, and `status` names them until they are well again. An object that failed is left alone for the
//! RPC and for [`HOLD`] more; without ubusd nobody is asked any more in the RPC.

use super::network::naming::Netifd;
use super::services::leases::Lease;
use crate::handlers::agent::AgentFacts;
use crate::handlers::linux::network::Network;
use crate::model::handler::{Ctx, Failure};
use crate::sys::ubus::{self, Answer, Args, Problem, Ubus};
use crate::sys::uci::{self, Package};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long an object that did not answer is left alone.
pub const HOLD: Duration = Duration::from_secs(30);
/// The most bytes of answers that are kept in an RPC. What goes beyond is no answer, for the whole RPC: it would
/// have to be asked for again for each row, or the memory of a router would be anybody's.
pub const MAX_ANSWERS: usize = 4 << 20;
/// The most sources that are told of as not well.
const MAX_TROUBLES: usize = 16;

/// Whether what is missing is missing only because its source failed.
type Doubt = bool;

/// The sources as the handlers have them: all live in the engine's thread.
pub type Shared = Rc<RefCell<Sources>>;

/// A package as it was read: `None` when there is none.
type Read = Result<Option<Rc<Package>>, Failure>;

/// See the module.
pub struct Sources {
    ubus: Option<Ubus>,
    epoch: u32,
    packages: Vec<(String, Read)>,
    answers: Vec<(String, Option<Rc<Answer>>, Doubt)>,
    /// Bytes of them.
    kept: usize,
    /// Leases of DHCP, once they are asked for.
    leases: Option<(Rc<[Lease]>, Doubt)>,
    /// Something that was read since [`Sources::begin_reading`] is missing only because its source failed.
    doubt: Doubt,
    /// Objects that failed, and until when they are left alone.
    down: Vec<(String, Instant)>,
    /// The bus itself failed in this RPC.
    off: bool,
    /// Edits and reloads, see [`super::plan`].
    pub(super) writes: super::plan::Writes,
    /// What is not well: source, and why.
    troubles: Vec<(String, String)>,
    facts: Rc<RefCell<AgentFacts>>,
    /// What the kernel says of the network, with netifd's names for it.
    pub network: Rc<RefCell<Network>>,
    /// How many calls of ubus were made.
    calls: u32,
}

impl Sources {
    /// Reads nothing yet. `place` is where ubus answers, on a platform that has it; in `run_dir` it is noted
    /// which services are to be reloaded, so that a start after a crash does it.
    pub fn new(
        place: Option<ubus::Place>,
        run_dir: Option<PathBuf>,
        facts: Rc<RefCell<AgentFacts>>,
    ) -> Shared {
        let has_names = place.is_some();
        let sources = Rc::new(RefCell::new(Sources {
            ubus: place.map(Ubus::new),
            epoch: 0,
            packages: Vec::new(),
            answers: Vec::new(),
            kept: 0,
            leases: None,
            doubt: false,
            down: Vec::new(),
            off: false,
            writes: super::plan::Writes::new(run_dir),
            troubles: Vec::new(),
            facts,
            network: Rc::default(),
            calls: 0,
        }));
        if has_names {
            let netifd = Box::new(Netifd(Rc::downgrade(&sources)));
            sources.borrow_mut().network = Rc::new(RefCell::new(Network::named(netifd)));
        }
        sources
    }

    /// Forgets what an earlier RPC read.
    fn turn(&mut self, ctx: &Ctx<'_>) {
        if std::mem::replace(&mut self.epoch, ctx.epoch) != ctx.epoch {
            self.forget();
            self.off = false;
        }
    }

    /// Forgets what was read.
    pub fn forget(&mut self) {
        self.packages = Vec::new();
        self.answers = Vec::new();
        self.kept = 0;
        self.leases = None;
    }

    /// The leases of DHCP, read once in an RPC.
    pub(super) fn leases(
        &mut self,
        ctx: &Ctx<'_>,
        read: impl FnOnce(&mut Sources) -> Vec<Lease>,
    ) -> Rc<[Lease]> {
        self.turn(ctx);
        if let Some((known, doubt)) = &self.leases {
            self.doubt |= doubt;
            return Rc::clone(known);
        }
        let before = std::mem::take(&mut self.doubt);
        let leases: Rc<[Lease]> = read(self).into();
        self.leases = Some((Rc::clone(&leases), self.doubt));
        self.doubt |= before;
        leases
    }

    /// A package, with what is pending; `None` when there is no such file.
    ///
    /// # Errors
    /// It is not understood, or cannot be read.
    pub fn package(&mut self, ctx: &Ctx<'_>, name: &str) -> Read {
        self.turn(ctx);
        if let Some((_, known)) = self.packages.iter().find(|p| p.0 == name) {
            self.doubt |= known.is_err();
            return known.clone();
        }
        let found = uci::load(ctx.root, name).map(|p| p.map(Rc::new));
        let found = found.map_err(|problem| Failure::internal(problem.to_string()));
        self.note(&["uci ", name].concat(), found.as_ref().err().map(|f| f.text.as_str()));
        self.doubt |= found.is_err();
        self.packages.push((name.to_owned(), found.clone()));
        found
    }

    /// As [`Sources::package`]; one that cannot be read has nothing.
    pub fn readable(&mut self, ctx: &Ctx<'_>, name: &str) -> Option<Rc<Package>> {
        self.package(ctx, name).ok().flatten()
    }

    /// What an object answers; `None` when it is not there or does not. Each argument is sent as the type
    /// that the method names for it.
    pub fn answer(
        &mut self,
        ctx: &Ctx<'_>,
        object: &str,
        method: &str,
        args: &[(&str, &str)],
    ) -> Option<Rc<Answer>> {
        self.turn(ctx);
        let mut question = [object, "\0", method].concat();
        args.iter().for_each(|(name, value)| question.extend(["\0", name, "\0", value]));
        if let Some((_, known, doubt)) = self.answers.iter().find(|a| a.0 == question) {
            self.doubt |= doubt;
            return known.clone();
        }
        let (answer, doubt) = match self.ask(object, method, args) {
            Ok(answer) => (Some(Rc::new(answer)), false),
            Err(doubt) => (None, doubt),
        };
        let size = answer.as_ref().map_or(0, |a| a.bytes().len());
        let (answer, doubt) = match self.kept + size <= MAX_ANSWERS {
            true => (answer, doubt),
            false => {
                self.note(
                    &["ubus ", object].concat(),
                    Some("more answers than there is memory for in an RPC"),
                );
                (None, true)
            }
        };
        self.kept += answer.as_ref().map_or(0, |a| a.bytes().len());
        self.doubt |= doubt;
        self.answers.push((question, answer.clone(), doubt));
        answer
    }

    /// A value, or a row, is read from here on.
    pub(super) fn begin_reading(&mut self) {
        self.doubt = false;
    }

    /// Whether something of it is missing only because its source failed: nobody knows whether it has
    /// changed.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubt
    }

    fn ask(&mut self, object: &str, method: &str, args: &[(&str, &str)]) -> Result<Answer, Doubt> {
        let ubus = self.ubus.as_mut().ok_or(false)?;
        if self.off {
            return Err(true);
        }
        if !self.down.is_empty() {
            let now = Instant::now();
            self.down.retain(|(_, until)| *until > now);
            if self.down.iter().any(|(name, _)| name == object) {
                return Err(true);
            }
        }
        self.calls = self.calls.wrapping_add(1);
        let words = if args.is_empty() { Args::None } else { Args::Words(args) };
        let answered = ubus.call(object, method, words, ubus::DEADLINE);
        let name = ["ubus ", object].concat();
        match answered {
            Ok(answer) => {
                self.note("ubus", None);
                self.note(&name, None);
                Ok(answer)
            }
            Err(problem) => {
                let fresh = ubus.is_fresh();
                self.failed(object, method, &name, &problem);
                Err(problem.is_failure() || (problem == Problem::NoObject && fresh))
            }
        }
    }

    fn failed(&mut self, object: &str, method: &str, name: &str, problem: &Problem) {
        if !problem.is_failure() {
            log::debug!("ubus {object} {method}: {problem}");
            return;
        }
        if problem.is_bus() {
            // Who is on the bus that comes again are others.
            self.down.clear();
            self.off = true;
            return self.note("ubus", Some(&problem.to_string()));
        }
        self.down.push((object.to_owned(), Instant::now() + HOLD));
        self.note(name, Some(&format!("{method}: {problem}")));
    }

    /// Asks an object for something that changes the machine.
    ///
    /// # Errors
    /// What it said, or that it said nothing.
    pub fn call(&mut self, object: &str, method: &str, args: &Answer) -> Result<(), Problem> {
        let Some(ubus) = self.ubus.as_mut() else {
            return Ok(());
        };
        if matches!(ubus.place(), ubus::Place::Recorded(_)) {
            return Ok(());
        }
        ubus.call(object, method, Args::Table(args), ubus::DEADLINE).map(drop)
    }

    /// Notes whether a source is well; `status` tells of those that are not.
    pub(super) fn note(&mut self, source: &str, why: Option<&str>) {
        let known = self.troubles.iter().position(|t| t.0 == source);
        match (known, why) {
            (None, None) => return,
            (Some(at), None) => drop(self.troubles.remove(at)),
            (Some(at), Some(why)) if self.troubles[at].1 == why => return, // at: just found
            (Some(at), Some(why)) => self.troubles[at].1 = why.to_owned(),
            (None, Some(_)) if self.troubles.len() >= MAX_TROUBLES => return,
            (None, Some(why)) => {
                log::warn!("{source}: {why}");
                self.troubles.push((source.to_owned(), why.to_owned()));
            }
        }
        self.facts.borrow_mut().troubles = self.troubles.iter().map(|(s, w)| format!("{s}: {w}")).collect();
    }

    /// How many calls of ubus were made so far.
    pub fn calls(&self) -> u32 {
        self.calls
    }
}
