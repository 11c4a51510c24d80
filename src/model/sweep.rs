//! Notification: which parameters are watched, and what of them differs from what the ACS was last told
//! (N-1 to N-7, I-4, V-13).
//!
//! Nothing is held in memory for it but the records of [`super::watched`]: a sweep goes through them row
//! by row, reads each row once, and compares hashes, without looking anything up or making anything for
//! a single parameter. Only what is actively watched is swept; the rest is looked at when an Inform is
//! made.

use super::cursor::{Selection, What};
use super::resolve::Target;
use super::rows::Plan;
use super::schema::{ObjectId, ParamId, flag};
use super::served::{Numbers, Served};
use super::tree::{Item, Tree};
use super::watched::{Edits, PREFIX, Volatile, entries, find};
use crate::state::journal::Batch;
use crate::sys::hash::sha256;
use std::rc::Rc;

/// What is mixed into hashes of hidden values: so many random bytes, the same for the life of the state.
pub const SALT: usize = 16;
/// Ways to read a row that a sweep remembers: rows of one table lie beside those of the tables in it.
const MAX_PLANS: usize = 16;

/// What notification keeps in memory.
pub(super) struct Watch {
    /// Parameters that the model makes active, in the order of objects.
    forced: Vec<(ObjectId, ParamId)>,
    /// Records of rows of volatile tables.
    pub volatile: Volatile,
    salt: [u8; SALT],
    /// What of the row that was read last reads neutral only because its source failed.
    pub doubtful: Vec<ParamId>,
    /// Something could not be compared for that: nobody will tell when its source is well again.
    doubt: bool,
    /// A row that was referred to was not found in a table whose source failed.
    pub missed: bool,
}

impl Watch {
    pub fn new(served: &Served) -> Watch {
        let forced = served.marked(flag::FORCE_ENABLED | flag::FORCE_DEFAULT);
        Watch {
            forced,
            volatile: Volatile::new(),
            salt: [0; SALT],
            doubtful: Vec::new(),
            doubt: false,
            missed: false,
        }
    }

    /// Forgets all at and below a row that was deleted.
    pub fn forget(&mut self, path: &str) {
        self.volatile.retain(|key, _| !key.get(PREFIX.len()..).is_some_and(|p| p.starts_with(path)));
    }
}

/// FNV-1a, 64 bits: the same from build to build.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The hash of a hidden value, which tells nothing of it to who does not have the salt.
fn salted(salt: &[u8; SALT], text: &str) -> u64 {
    let digest = sha256(&[salt, text.as_bytes()]);
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A parameter of a row that is looked at.
pub(super) struct Watched {
    pub param: ParamId,
    notification: u8,
    told: Option<u64>,
    hidden: bool,
}

/// Buffers of a walk over what is watched.
#[derive(Default)]
pub(super) struct Walk {
    /// What is watched of the present row.
    pub watched: Vec<Watched>,
    key: String,
    last: String,
    record: Vec<u8>,
    path: String,
    plans: Vec<Rc<Plan>>,
    /// Positions in `watched` of what differs.
    differs: Vec<usize>,
    /// What was never told, with its present hash.
    fresh: Vec<(ParamId, u64)>,
}

/// Called for a row with something watched in it; `false` ends the walk.
pub(super) type Visit<'v> = &'v mut dyn FnMut(&mut Tree, &mut Walk, ObjectId, &Numbers) -> bool;

impl Tree {
    /// Gives the random bytes for hashes of hidden values; with other ones they all count as changed.
    pub fn salt(&mut self, salt: [u8; SALT]) {
        self.watch.salt = salt;
    }

    fn watched(&self, param: ParamId, notification: u8, told: Option<u64>) -> Watched {
        let hidden = self.served.schema.param(param).has(flag::HIDDEN);
        Watched { param, notification, told, hidden }
    }

    /// Goes through the rows in which something has at least this notification: first what the model
    /// makes active, then what the ACS asked for. Rows that are gone at present are visited too.
    pub(super) fn each_watched(&mut self, least: u8, walk: &mut Walk, visit: Visit<'_>) {
        let forced = self.watch.forced.clone();
        for group in forced.chunk_by(|one, other| one.0 == other.0) {
            let Some((object, _)) = group.first().copied() else { continue };
            for numbers in self.rows_of(object) {
                let key = self.kept_key(object, &numbers);
                self.with_kept(&key, |record| {
                    walk.watched.clear();
                    for (_, param) in group {
                        let kept = find(record, self.served.schema.param(*param).name());
                        let notification = self.effective(*param, kept.set).notification;
                        if notification >= least {
                            walk.watched.push(self.watched(*param, notification, kept.told));
                        }
                    }
                });
                if !walk.watched.is_empty() && !visit(self, walk, object, &numbers) {
                    return;
                }
            }
        }
        for volatile in [false, true] {
            walk.last.clear();
            walk.last.push_str(PREFIX);
            while self.next_kept(volatile, &walk.last, &mut walk.key, &mut walk.record) {
                std::mem::swap(&mut walk.last, &mut walk.key);
                let path = walk.last.get(PREFIX.len()..).unwrap_or("");
                // Asked first: most rows are only passive, or were told of what the model makes active.
                if !entries(&walk.record).any(|(_, kept)| kept.set.is_some_and(|a| a.notification >= least)) {
                    continue;
                }
                let Some((object, numbers)) = self.served.row_at(path) else { continue };
                walk.watched.clear();
                let mut from = 0;
                for (name, kept) in entries(&walk.record) {
                    let Some(set) = kept.set.filter(|a| a.notification >= least) else { continue };
                    let Some(param) = self.served.param_from(object, name, from) else { continue };
                    from = param + 1;
                    if self.served.default_notification(param).0 == 0 {
                        walk.watched.push(self.watched(param, set.notification, kept.told));
                    }
                }
                if !walk.watched.is_empty() && !visit(self, walk, object, &numbers) {
                    return;
                }
            }
        }
    }

    /// The rows of an object that exist now.
    fn rows_of(&mut self, object: ObjectId) -> Vec<Numbers> {
        if self.served.tables(object).is_empty() {
            return vec![[0; _]];
        }
        let mut rows = Vec::new();
        let mut selection = Selection::new(What::Values, self.pins.clone());
        let param = self.served.params(object).next().map(|p| p.id);
        selection.push(&Target { object, param, wild: true, ..Target::default() }, 0);
        while let Some((_, _, place)) = selection.next_row(self) {
            rows.push(place.numbers);
        }
        rows
    }

    /// How what is watched of a row is read; hidden values too.
    fn watch_plan(&self, walk: &mut Walk, object: ObjectId) -> Rc<Plan> {
        let same = |plan: &&Rc<Plan>| {
            plan.cells.len() == walk.watched.len()
                && plan.is_of(object)
                && plan.cells.iter().zip(&walk.watched).all(|(cell, w)| cell.param == w.param)
        };
        if let Some(plan) = walk.plans.iter().find(same) {
            return plan.clone();
        }
        let params: Vec<ParamId> = walk.watched.iter().map(|w| w.param).collect();
        let plan = Rc::new(self.plan_for(object, &params, true));
        if walk.plans.len() >= MAX_PLANS {
            walk.plans.remove(0);
        }
        walk.plans.push(plan.clone());
        plan
    }

    /// Compares a row with what was told of it: `found` gets path and notification of what differs, and
    /// says whether to go on; what was never told of is put into `edits` as it is now. A source that
    /// cannot be read tells nothing: that is no change.
    fn compare_row(
        &mut self,
        walk: &mut Walk,
        object: ObjectId,
        numbers: &Numbers,
        found: &mut dyn FnMut(&str, u8) -> bool,
        edits: &mut Edits,
    ) -> bool {
        let Some(place) = self.locate(object, numbers) else {
            // A row that is gone at present has nothing to tell.
            return true;
        };
        let plan = self.watch_plan(walk, object);
        let mut path = std::mem::take(&mut walk.path);
        path.clear();
        self.served.write_path(object, numbers, &mut path);
        walk.differs.clear();
        walk.fresh.clear();
        let (salt, mut at) = (self.watch.salt, 0);
        let Walk { watched, differs, fresh, .. } = walk;
        let whole = self.read_row(&plan, &place, &mut path, &mut |item| {
            let (Item::Value { value, .. }, Some(w)) = (item, watched.get(at)) else { return };
            let now = if w.hidden { salted(&salt, value) } else { hash(value) };
            match w.told {
                None => fresh.push((w.param, now)),
                Some(then) if then != now => differs.push(at),
                Some(_) => {}
            }
            at += 1;
        });
        let doubtful = std::mem::take(&mut self.watch.doubtful);
        if !doubtful.is_empty() {
            self.watch.doubt = true;
            let Walk { watched, differs, fresh, .. } = walk;
            differs.retain(|at| watched.get(*at).is_some_and(|w| !doubtful.contains(&w.param)));
            fresh.retain(|(param, _)| !doubtful.contains(param));
        }
        let mut go_on = true;
        if whole {
            let base = path.len();
            for w in walk.differs.iter().filter_map(|at| walk.watched.get(*at)) {
                path.push_str(self.served.schema.param(w.param).name());
                go_on = go_on && found(&path, w.notification);
                path.truncate(base);
            }
            for (param, now) in &walk.fresh {
                self.edit(edits, object, numbers, *param, |kept| kept.told = Some(*now));
            }
        }
        walk.path = path;
        go_on
    }

    /// Compares what has at least this notification; what was never told of is given back.
    fn compare(&mut self, least: u8, found: &mut dyn FnMut(&str, u8) -> bool) -> Edits {
        self.new_epoch();
        let (mut walk, mut edits) = (Walk::default(), Edits::default());
        self.each_watched(least, &mut walk, &mut |tree, walk, object, numbers| {
            tree.compare_row(walk, object, numbers, found, &mut edits)
        });
        self.flush_numbers();
        edits
    }

    /// Compares every actively watched parameter with what was last reported (N-3): whether one differs.
    /// One that was never reported counts as known from now on.
    pub fn sweep(&mut self) -> bool {
        self.watch.doubt = false;
        let mut active = false;
        let edits = self.compare(2, &mut |_, _| {
            active = true;
            true
        });
        self.write_edits(edits);
        active
    }

    /// Whether the last sweep could not compare all: it is to be made again soon.
    pub fn is_doubtful(&self) -> bool {
        self.watch.doubt
    }

    /// Whether some watched parameter, passive ones too, differs from what was last reported.
    pub fn has_changed(&mut self) -> bool {
        let mut any = false;
        self.compare(1, &mut |_, _| {
            any = true;
            false
        });
        any
    }

    /// The watched parameters that differ from what was last reported, for Inform (I-4); at most so many.
    pub fn changed(&mut self, most: usize) -> Vec<String> {
        let mut paths = Vec::new();
        self.compare(1, &mut |path, _| {
            paths.push(path.to_owned());
            paths.len() < most
        });
        paths
    }

    /// The hash by which it will be known that a parameter was reported with this value, which has just
    /// been read; `None` when nobody watches it.
    pub fn fingerprint(&mut self, path: &str, value: &str) -> Option<u64> {
        let target = self.resolve(path, false).ok()?;
        let param = target.param?;
        let kept = self.kept(target.object, &target.numbers, param);
        if self.effective(param, kept.set).notification == 0 {
            return None;
        }
        self.print(target.object, &target.numbers, param, value)
    }

    /// The hash of a value that is shown; that of a hidden one is of what is behind it.
    pub(super) fn print(
        &mut self,
        object: ObjectId,
        numbers: &Numbers,
        param: ParamId,
        value: &str,
    ) -> Option<u64> {
        if !self.served.schema.param(param).has(flag::HIDDEN) {
            return Some(hash(value));
        }
        let place = self.locate(object, numbers)?;
        let value = self.read(object, &place, &[param], true).pop()?;
        Some(salted(&self.watch.salt, &value))
    }

    /// The hash of a value as it will read, hidden or not.
    pub(super) fn print_of(&self, param: ParamId, value: &str) -> u64 {
        match self.served.schema.param(param).has(flag::HIDDEN) {
            true => salted(&self.watch.salt, value),
            false => hash(value),
        }
    }

    /// These parameters were reported, with values of these hashes, and the Inform was answered: the new
    /// baseline, durable. Parameters that nobody watches are left out.
    pub fn reported(&mut self, told: &[(String, u64)]) {
        let mut edits = Edits::default();
        for (path, print) in told {
            let Ok(Target { object, numbers, param: Some(param), .. }) = self.resolve(path, false) else {
                continue;
            };
            self.tell(&mut edits, object, &numbers, param, *print);
        }
        self.write_edits(edits);
    }

    /// The agent is about to change this value of its own, perhaps before any sweep has seen it: what it was is what
    /// the ACS knows, when it was told of nothing else.
    pub fn known_before(&mut self, path: &str, value: &str) {
        let told = |tree: &mut Tree| {
            let Target { object, numbers, param, .. } = tree.resolve(path, false).ok()?;
            tree.kept(object, &numbers, param?).told
        };
        if let (None, Some(print)) = (told(self), self.fingerprint(path, value)) {
            self.reported(&[(path.to_owned(), print)]);
        }
    }

    /// Notes what the ACS knows of a parameter, when it is watched.
    pub(super) fn tell(
        &self,
        edits: &mut Edits,
        object: ObjectId,
        numbers: &Numbers,
        param: ParamId,
        print: u64,
    ) {
        self.edit(edits, object, numbers, param, |kept| {
            if self.effective(param, kept.set).notification > 0 {
                kept.told = Some(print);
            }
        });
    }

    /// I-9: what the ACS's own request made of a value is known to it, but not what others had made of it
    /// before and was not told yet.
    pub(super) fn tell_step(
        &self,
        edits: &mut Edits,
        (object, numbers, param): (ObjectId, &Numbers, ParamId),
        before: &str,
        after: &str,
    ) {
        self.edit(edits, object, numbers, param, |kept| {
            if kept.told == Some(self.print_of(param, before)) {
                kept.told = Some(self.print_of(param, after));
            }
        });
    }

    /// What is watched in these rows and was never told of is known as it is now (N-5).
    pub(super) fn baseline(&mut self, edits: &mut Edits) {
        let mut walk = Walk::default();
        let rows: Vec<(ObjectId, Numbers)> = edits.rows.keys().copied().collect();
        for (object, numbers) in rows {
            let Some(record) = edits.rows.get(&(object, numbers)) else { continue };
            walk.watched.clear();
            let mut from = 0;
            for (name, kept) in entries(record).filter(|(_, kept)| kept.told.is_none()) {
                let Some(param) = self.served.param_from(object, name, from) else { continue };
                from = param + 1;
                let notification = self.effective(param, kept.set).notification;
                if notification > 0 {
                    walk.watched.push(self.watched(param, notification, None));
                }
            }
            if !walk.watched.is_empty() {
                self.compare_row(&mut walk, object, &numbers, &mut |_, _| true, edits);
            }
        }
    }

    /// Makes changed records durable; the journal goes on in memory when it cannot be written.
    fn write_edits(&mut self, edits: Edits) {
        let mut batch = Batch::default();
        let volatile = self.batch_edits(edits, &mut batch);
        self.keep_volatile(volatile);
        self.write(batch);
    }
}
