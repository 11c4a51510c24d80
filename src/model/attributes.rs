//! Attributes: SetParameterAttributes and what GetParameterAttributes answers (R-SPA-1 to 14). How they
//! are kept says [`super::watched`].

use super::cursor::{MAX_NAMES, Selection, What};
use super::fault::{Code, Fault};
use super::index::Place;
use super::request::SetAttributes;
use super::resolve::shown;
use super::rows::Plan;
use super::schema::{ObjectId, ParamId, flag};
use super::served::Numbers;
use super::tree::{Item, Tree};
use super::watched::{Attributes, Edits, PREFIX, entries, find};
use crate::state::journal::Batch;

/// The most parameters whose attributes differ from the model's; beyond it 9004.
pub const MAX_ATTRIBUTES: usize = 16_384;
/// The most parameters that the entries of one SetParameterAttributes may name, each as often as it is
/// named; beyond it 9004.
pub(super) const MAX_NAMED: usize = 1 << 20;
/// The longest name in an access list (R-SPA-9).
pub(super) const MAX_ENTITY: usize = 64;

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

/// What one entry asks for, checked by itself.
struct Wish {
    notification: Option<u8>,
    subscriber: Option<bool>,
    /// The entry names one parameter, and no path with many below it.
    single: bool,
}

/// An entry that asks for what cannot be.
fn judge(entry: &SetAttributes) -> Result<(), Fault> {
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
    Ok(())
}

impl Tree {
    fn default_attributes(&self, param: ParamId) -> Attributes {
        Attributes { notification: self.served.default_notification(param).0, subscriber: true }
    }

    /// The attributes in force, from those that were set. A notification that the model forces stays
    /// (R-SPA-7), whatever an older program has kept.
    pub(super) fn effective(&self, param: ParamId, set: Option<Attributes>) -> Attributes {
        let set = set.unwrap_or_else(|| self.default_attributes(param));
        match self.served.default_notification(param) {
            (forced, false) => Attributes { notification: forced, ..set },
            _ => set,
        }
    }

    /// The attributes of a parameter.
    pub(super) fn attributes_of(&self, object: ObjectId, numbers: &Numbers, param: ParamId) -> Attributes {
        self.effective(param, self.kept(object, numbers, param).set)
    }

    /// Whether Subscriber may write.
    pub(super) fn is_open(&self, object: ObjectId, numbers: &Numbers, param: ParamId) -> bool {
        self.attributes_of(object, numbers, param).subscriber
    }

    /// The attributes of one row of a selection.
    pub(super) fn row_attributes(&self, plan: &Plan, path: &mut String, out: &mut dyn FnMut(Item<'_>)) {
        let base = path.len();
        self.with_kept(&format!("{PREFIX}{path}"), |record| {
            for cell in &plan.cells {
                let name = self.served.schema.param(cell.param).name();
                path.push_str(name);
                let Attributes { notification, subscriber } =
                    self.effective(cell.param, find(record, name).set);
                out(Item::Attributes { path, notification, subscriber });
                path.truncate(base);
            }
        });
    }

    /// SetParameterAttributes, all or none, durable before it returns. A parameter whose notification
    /// is forced stays active whatever is asked (R-SPA-7); later entries win (R-SPA-4). What is watched
    /// from now on is compared with what it is today (N-5).
    ///
    /// # Errors
    /// 9005 unknown name, 9003 a bad argument, 9009 a notification that needs lightweight notifications,
    /// or an active one that cannot be had cheaply (R-SPA-6), 9004 more than [`MAX_ATTRIBUTES`], 9002 it
    /// cannot be made durable.
    pub fn set_attributes(&mut self, list: &[SetAttributes]) -> Result<(), Fault> {
        if list.len() > MAX_NAMES {
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, "too many entries"));
        }
        let mut edits = Edits::default();
        let mut named = 0;
        for entry in list {
            judge(entry)?;
            let target = self.resolve(&entry.name, false)?;
            let mut selection = Selection::new(What::Attributes, self.pins.clone());
            selection.push(&target, self.served.tables(target.object).len());
            let selection = selection.count(self)?;
            named += selection.count;
            let many = selection.count > MAX_ATTRIBUTES && entry.notification.is_some_and(|n| n > 0);
            if named > MAX_NAMED || many {
                let why = format!("{}: too many parameters at once", entry.name);
                return Err(Fault::new(Code::RESOURCES_EXCEEDED, why));
            }
            let wish = Wish {
                // 0 to 2: judged above.
                notification: entry.notification.map(|n| n as u8),
                // Names that nobody here has are ignored (R-SPA-9).
                subscriber: entry.access_list.as_ref().map(|l| l.iter().any(|e| e == "Subscriber")),
                single: target.param.is_some(),
            };
            self.wish(&entry.name, selection, &wish, &mut edits)?;
        }
        self.make_room(&mut edits)?;
        self.baseline(&mut edits);
        let mut batch = Batch::default();
        let volatile = self.batch_edits(edits, &mut batch);
        self.keep(batch)?;
        self.keep_volatile(volatile);
        self.flush_numbers();
        Ok(())
    }

    /// Puts what one entry asks for into `edits`.
    fn wish(
        &mut self,
        name: &str,
        mut selection: Selection,
        wish: &Wish,
        edits: &mut Edits,
    ) -> Result<(), Fault> {
        let (mut seen, mut denied, mut changed) = (0, 0, 0);
        while let Some((object, plan, place)) = selection.next_row(self) {
            for cell in &plan.cells {
                seen += 1;
                let mut notification = wish.notification;
                if notification == Some(2) && self.is_denied(object, &place, cell.param) {
                    denied += 1;
                    // Below a partial path the rest is what was meant; it can be told passively.
                    notification = Some(1);
                }
                if wish.single && denied > 0 {
                    break;
                }
                self.edit(edits, object, &place.numbers, cell.param, |kept| {
                    let now = self.effective(cell.param, kept.set);
                    let mut new = now;
                    if let (Some(n), (_, true)) = (notification, self.served.default_notification(cell.param))
                    {
                        new.notification = n;
                    }
                    new.subscriber = wish.subscriber.unwrap_or(now.subscriber);
                    changed += usize::from(new != now);
                    kept.set = Some(new).filter(|new| *new != self.default_attributes(cell.param));
                    if new.notification == 0 {
                        // Watched again later, it begins with a new baseline.
                        kept.told = None;
                    }
                });
            }
            if changed > 2 * MAX_ATTRIBUTES {
                let why = format!("{name}: too many parameters at once");
                return Err(Fault::new(Code::RESOURCES_EXCEEDED, why));
            }
        }
        if denied > 0 && denied == seen {
            let why = format!("{name}: active notification of what never stands still");
            return Err(Fault::new(Code::NOTIFICATION_REJECTED, why));
        }
        Ok(())
    }

    /// R-SPA-6: whether active notification of a parameter is refused.
    fn is_denied(&self, object: ObjectId, place: &Place, param: ParamId) -> bool {
        self.served.schema.param(param).has(flag::CAN_DENY) && self.is_dear(object, place, param)
    }

    /// Keeps the number of parameters with attributes of their own within bounds. When it would get too
    /// large, those of rows that are gone at present make room.
    ///
    /// # Errors
    /// 9004.
    fn make_room(&mut self, edits: &mut Edits) -> Result<(), Fault> {
        if self.total(edits, false) <= MAX_ATTRIBUTES || self.total(edits, true) <= MAX_ATTRIBUTES {
            return Ok(());
        }
        let why = format!("attributes of more than {MAX_ATTRIBUTES} parameters");
        Err(Fault::new(Code::RESOURCES_EXCEEDED, why))
    }

    /// How many parameters will have attributes of their own; with `prune`, those of rows that are gone
    /// are taken out first.
    fn total(&mut self, edits: &mut Edits, prune: bool) -> usize {
        let count = |record: &[u8]| entries(record).filter(|(_, kept)| kept.set.is_some()).count();
        let mut total = 0;
        let (mut last, mut key, mut record) = (String::new(), String::new(), Vec::new());
        for volatile in [false, true] {
            last.clear();
            last.push_str(PREFIX);
            while self.next_kept(volatile, &last, &mut key, &mut record) {
                std::mem::swap(&mut last, &mut key);
                match last.get(PREFIX.len()..).and_then(|path| self.served.row_at(path)) {
                    Some(row) if edits.rows.contains_key(&row) => {}
                    Some((object, numbers)) if prune && self.locate(object, &numbers).is_none() => {
                        edits.rows.insert((object, numbers), Vec::new());
                    }
                    _ => total += count(&record),
                }
            }
        }
        total + edits.rows.values().map(|record| count(record)).sum::<usize>()
    }

    /// The parameter that a path with instance numbers speaks of, whether or not its row exists.
    pub(super) fn param_at(&self, path: &str) -> Option<ParamId> {
        self.served.schema.find_param(&general(path)).map(|p| p.id)
    }
}
