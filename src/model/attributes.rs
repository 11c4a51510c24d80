//! Attributes (R-SPA-1 to 14) and notification: which parameters are watched, and what of them
//! differs from what the ACS was last told (N-7, I-4).
//!
//! # Data storage
//! Attributes stand in the journal under `a/` as two bytes (notification as a digit, `S` when
//! Subscriber may write or `-`), only where they differ from the model's. What the ACS was last told
//! stands under `r/`, as the FNV-1a hash (64 bits, little endian) of the value: a hash that stays the
//! same from build to build. Attributes and hashes of rows of volatile tables live in memory, as
//! their instance numbers do.

use super::cursor::{Selection, What};
use super::fault::{Code, Fault};
use super::request::SetAttributes;
use super::resolve::{Target, shown};
use super::rows::Plan;
use super::schema::{ObjectId, ParamId, Source, SourceKind, flag};
use super::served::{Numbers, Served, is_handled};
use super::tree::{Changes, Item, Tree};
use crate::state::journal::Batch;
use std::collections::BTreeMap;

/// The most parameters whose attributes differ from the model's; beyond it 9004.
pub const MAX_ATTRIBUTES: usize = 4096;
/// The most parameters that the entries of one SetParameterAttributes may name, each as often as it is
/// named; beyond it 9004.
pub(super) const MAX_NAMED: usize = 1 << 20;
/// The native provider whose values the agent itself makes.
const AGENT: &str = "agent";
/// The longest name in an access list (R-SPA-9).
pub(super) const MAX_ENTITY: usize = 64;

/// The attributes of one parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Attributes {
    /// 0 off, 1 passive, 2 active.
    pub notification: u8,
    /// Whether Subscriber may write.
    pub subscriber: bool,
}

impl Attributes {
    fn decode(bytes: &[u8]) -> Option<Attributes> {
        match bytes {
            [digit @ b'0'..=b'2', access] => {
                Some(Attributes { notification: digit - b'0', subscriber: *access == b'S' })
            }
            _ => None,
        }
    }

    fn encode(self) -> [u8; 2] {
        [b'0' + self.notification, if self.subscriber { b'S' } else { b'-' }]
    }
}

/// What notification keeps in memory.
pub(super) struct Watch {
    /// Parameters that the model makes active.
    forced: Vec<(ObjectId, ParamId)>,
    /// Attributes of rows of volatile tables, by path.
    volatile: BTreeMap<String, Attributes>,
    /// What was last told of them.
    told: BTreeMap<String, u64>,
}

impl Watch {
    pub fn new(served: &Served) -> Watch {
        let forced = served.marked(flag::FORCE_ENABLED | flag::FORCE_DEFAULT);
        Watch { forced, volatile: BTreeMap::new(), told: BTreeMap::new() }
    }

    /// Forgets all below a row that was deleted.
    pub fn forget(&mut self, path: &str) {
        self.volatile.retain(|p, _| !p.starts_with(path));
        self.told.retain(|p, _| !p.starts_with(path));
    }
}

/// FNV-1a, 64 bits.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// A path with `{i}` for its instance numbers.
pub(super) fn general(path: &str) -> String {
    let mut general = String::with_capacity(path.len() + 8);
    for (at, word) in path.split('.').enumerate() {
        if at > 0 {
            general.push('.');
        }
        general.push_str(if word.starts_with(|c: char| c.is_ascii_digit()) { "{i}" } else { word });
    }
    general
}

impl Tree {
    fn default_attributes(&self, param: ParamId) -> Attributes {
        Attributes { notification: self.served.default_notification(param).0, subscriber: true }
    }

    /// What was set for a path; `None` where the model's default holds. `key` begins with `a/`.
    fn set_for(&self, key: &str) -> Option<Attributes> {
        let set = self.journal.borrow().get(key).and_then(Attributes::decode);
        set.or_else(|| self.watch.volatile.get(key.get(2..)?).copied())
    }

    /// The attributes of a parameter.
    pub(super) fn attributes_of(&self, param: ParamId, path: &str) -> Attributes {
        let default = self.default_attributes(param);
        let set = self.set_for(&format!("a/{path}")).unwrap_or(default);
        match self.served.default_notification(param) {
            (forced, false) => Attributes { notification: forced, ..set },
            _ => set,
        }
    }

    /// The attributes of one row of a selection.
    pub(super) fn row_attributes(&self, plan: &Plan, path: &mut String, out: &mut dyn FnMut(Item<'_>)) {
        let base = path.len();
        for cell in &plan.cells {
            path.push_str(self.served.schema.param(cell.param).name());
            let Attributes { notification, subscriber } = self.attributes_of(cell.param, path);
            out(Item::Attributes { path, notification, subscriber });
            path.truncate(base);
        }
    }

    /// SetParameterAttributes, all or none, durable before it returns. A parameter whose notification
    /// is forced stays active whatever is asked (R-SPA-7); later entries win (R-SPA-4).
    ///
    /// # Errors
    /// 9005 unknown name, 9003 a bad argument, 9009 a notification that needs lightweight
    /// notifications, 9004 more than [`MAX_ATTRIBUTES`].
    pub fn set_attributes(&mut self, list: &[SetAttributes]) -> Result<(), Fault> {
        if list.len() > super::cursor::MAX_NAMES {
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, "too many entries"));
        }
        let mut wanted: BTreeMap<String, (ObjectId, ParamId, Attributes)> = BTreeMap::new();
        let mut named = 0;
        for entry in list {
            let name = shown(&entry.name);
            match entry.notification {
                None | Some(0..=2) => {}
                Some(3..=6) => {
                    let why = format!("{name}: lightweight notifications are not supported");
                    return Err(Fault::new(Code::NOTIFICATION_REJECTED, why));
                }
                Some(n) => {
                    return Err(Fault::new(Code::INVALID_ARGUMENTS, format!("{name}: Notification {n}")));
                }
            }
            let entities = entry.access_list.as_deref().unwrap_or(&[]);
            if entities.iter().any(|e| e.chars().count() > MAX_ENTITY) {
                let why = format!("{name}: a name in AccessList is longer than {MAX_ENTITY} characters");
                return Err(Fault::new(Code::INVALID_ARGUMENTS, why));
            }
            let target = self.resolve(&entry.name, false)?;
            let mut selection = Selection::new(What::Attributes, self.pins.clone());
            selection.push(&target, self.served.tables(target.object).len());
            let mut selection = selection.count(self)?;
            named += selection.count;
            if named > MAX_NAMED {
                let why = "the entries name too many parameters";
                return Err(Fault::new(Code::RESOURCES_EXCEEDED, why));
            }
            if selection.count > MAX_ATTRIBUTES && entry.notification.is_some_and(|n| n > 0) {
                return Err(Fault::new(
                    Code::RESOURCES_EXCEEDED,
                    format!("{name}: too many parameters at once"),
                ));
            }
            while let Some((object, plan, path)) = selection.next_row(self) {
                let mut path = path.to_owned();
                let base = path.len();
                for cell in &plan.cells {
                    path.push_str(self.served.schema.param(cell.param).name());
                    let now = match wanted.get(&path) {
                        Some(earlier) => earlier.2,
                        None => self.attributes_of(cell.param, &path),
                    };
                    let mut new = now;
                    if let (Some(n), (_, true)) =
                        (entry.notification, self.served.default_notification(cell.param))
                    {
                        new.notification = n as u8; // 0 to 2: checked above
                    }
                    if let Some(list) = &entry.access_list {
                        // Names that nobody here has are ignored (R-SPA-9).
                        new.subscriber = list.iter().any(|e| e == "Subscriber");
                    }
                    if new != now || wanted.contains_key(&path) {
                        wanted.insert(path.clone(), (object, cell.param, new));
                    }
                    path.truncate(base);
                }
                if wanted.len() > 2 * MAX_ATTRIBUTES {
                    return Err(Fault::new(
                        Code::RESOURCES_EXCEEDED,
                        format!("{name}: too many parameters at once"),
                    ));
                }
            }
        }
        let watched = wanted.values().any(|(_, _, new)| new.notification > 0);
        self.keep_attributes(wanted)?;
        if watched {
            // Watched from now on: what changes next must differ from what is so today (N-5).
            self.sweep();
        }
        Ok(())
    }

    fn keep_attributes(
        &mut self,
        wanted: BTreeMap<String, (ObjectId, ParamId, Attributes)>,
    ) -> Result<(), Fault> {
        let kept = self.journal.borrow().scan("a/").count() + self.watch.volatile.len();
        let more = wanted.iter().filter(|(path, w)| {
            w.2 != self.default_attributes(w.1) && self.set_for(&format!("a/{path}")).is_none()
        });
        if kept + more.count() > MAX_ATTRIBUTES {
            let why = format!("attributes of more than {MAX_ATTRIBUTES} parameters");
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, why));
        }
        let mut batch = Batch::default();
        for (path, (object, param, new)) in wanted {
            let default = new == self.default_attributes(param);
            match (self.served.is_volatile(object), default) {
                (true, true) => drop(self.watch.volatile.remove(&path)),
                (true, false) => drop(self.watch.volatile.insert(path.clone(), new)),
                (false, true) => batch.delete(format!("a/{path}")),
                (false, false) => batch.put(format!("a/{path}"), new.encode()),
            }
            if new.notification == 0 {
                // Watched again later, it begins with a new baseline.
                self.watch.told.remove(&path);
                batch.delete(format!("r/{path}"));
            }
        }
        self.keep(batch)?;
        self.flush_numbers();
        Ok(())
    }

    /// Every parameter with notification, as a selection of values.
    fn watched(&mut self) -> Option<Selection> {
        let mut targets: Vec<Target> = Vec::new();
        for (object, param) in self.watch.forced.clone() {
            let wild = !self.served.tables(object).is_empty();
            targets.push(Target { object, param: Some(param), wild, ..Target::default() });
        }
        let set = |a: Attributes| a.notification > 0;
        let mut paths: Vec<String> = Vec::new();
        {
            let journal = self.journal.borrow();
            let stored = journal.scan("a/").filter(|(_, v)| Attributes::decode(v).is_some_and(set));
            paths.extend(stored.filter_map(|(k, _)| Some(k.get(2..)?.to_owned())));
            paths.extend(self.watch.volatile.iter().filter(|(_, a)| set(**a)).map(|(k, _)| k.clone()));
        }
        for path in paths {
            // A row that is gone at present has nothing to tell.
            let Ok(target) = self.resolve(&path, false) else {
                continue;
            };
            if target.param.is_some_and(|p| self.served.default_notification(p).0 == 0) {
                targets.push(target);
            }
        }
        // Parameters of one row beside each other, so that it is read once.
        targets.sort_by_key(|t| (t.object, t.numbers, t.param));
        let mut selection = Selection::new(What::Values, self.pins.clone());
        for target in &targets {
            selection.push(target, self.served.tables(target.object).len());
        }
        selection.count(self).ok()
    }

    /// Compares the watched parameters with what was last told: `found` gets path and notification
    /// of each that differs; those never told of are given back with their hash.
    fn compare(&mut self, found: &mut dyn FnMut(&str, u8)) -> Vec<(String, u64)> {
        self.new_epoch();
        let mut unknown = Vec::new();
        let Some(mut selection) = self.watched() else {
            return unknown;
        };
        let mut row: Vec<(String, u64)> = Vec::new();
        loop {
            row.clear();
            let more = selection.next(self, &mut |item| {
                if let Item::Value { path, value, .. } = item {
                    row.push((path.to_owned(), hash(value)));
                }
            });
            if !more {
                break;
            }
            for (path, now) in row.drain(..) {
                let param = self.param_at(&path);
                let notification = param.map_or(0, |p| self.attributes_of(p, &path).notification);
                match self.told(&path) {
                    _ if notification == 0 => {}
                    Some(then) if then == now => {}
                    Some(_) => found(&path, notification),
                    None => unknown.push((path, now)),
                }
            }
        }
        self.flush_numbers();
        unknown
    }

    /// Whether some parameter with active notification can change without the agent doing it: whether
    /// a sweep now and then is of use.
    pub fn watches_outside(&self) -> bool {
        let handled = |source: Option<Source<'_>>| {
            source.is_some_and(|s| is_handled(s.kind) && !(s.kind == SourceKind::Native && s.arg == AGENT))
        };
        let outside = |param: ParamId| {
            let counted = self.served.schema.param(param).counts();
            handled(self.served.source(param))
                || counted.is_some_and(|table| handled(self.served.object_source(table.id)))
        };
        let journal = self.journal.borrow();
        let set =
            journal.scan("a/").filter_map(|(key, value)| Some((key.get(2..)?, Attributes::decode(value)?)));
        let set = set.chain(self.watch.volatile.iter().map(|(path, a)| (path.as_str(), *a)));
        let active = set.filter(|(_, a)| a.notification == 2).filter_map(|(path, _)| self.param_at(path));
        let forced = self.watch.forced.iter().map(|(_, param)| *param);
        active.chain(forced).any(outside)
    }

    /// The parameter that a path with instance numbers speaks of, whether or not its row exists.
    pub(super) fn param_at(&self, path: &str) -> Option<ParamId> {
        self.served.schema.find_param(&general(path)).map(|p| p.id)
    }

    fn told(&self, path: &str) -> Option<u64> {
        let kept = self
            .journal
            .borrow()
            .get(&format!("r/{path}"))
            .and_then(|v| Some(u64::from_le_bytes(v.try_into().ok()?)));
        kept.or_else(|| self.watch.told.get(path).copied())
    }

    /// Notes what the ACS knows of a parameter.
    pub(super) fn tell(&mut self, object: ObjectId, path: &str, hash: u64, batch: &mut Batch) {
        if self.told(path) == Some(hash) {
            return;
        }
        if self.served.is_volatile(object) {
            self.watch.told.insert(path.to_owned(), hash);
        } else {
            batch.put(format!("r/{path}"), hash.to_le_bytes());
        }
    }

    /// Compares every watched parameter with what was last reported. One that was never reported
    /// counts as known from now on.
    pub fn sweep(&mut self) -> Changes {
        let mut changes = Changes::default();
        let unknown = self.compare(&mut |_, notification| {
            changes.any = true;
            changes.active |= notification == 2;
        });
        let mut batch = Batch::default();
        for (path, hash) in unknown {
            if let Ok(target) = self.resolve(&path, false) {
                self.tell(target.object, &path, hash, &mut batch);
            }
        }
        self.write(batch);
        changes
    }

    /// The watched parameters that differ from what was last reported, for Inform (I-4).
    pub fn changed(&mut self) -> Vec<String> {
        let mut paths = Vec::new();
        self.compare(&mut |path, _| paths.push(path.to_owned()));
        paths
    }

    /// These parameters were reported with these values and the Inform was answered: the new
    /// baseline, durable. Parameters that nobody watches are left out.
    pub fn reported(&mut self, values: &[(String, String)]) {
        let mut batch = Batch::default();
        for (path, value) in values {
            let Ok(target) = self.resolve(path, false) else {
                continue;
            };
            if target.param.is_some_and(|p| self.attributes_of(p, path).notification > 0) {
                self.tell(target.object, path, hash(value), &mut batch);
            }
        }
        self.write(batch);
    }

    /// Whether Subscriber may write.
    pub(super) fn is_open(&self, object: ObjectId, numbers: &Numbers, param: ParamId) -> bool {
        self.attributes_of(param, &self.param_path(object, numbers, param)).subscriber
    }
}
