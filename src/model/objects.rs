//! AddObject and DeleteObject: all is checked before a transaction begins (R-OBJ-1 to 12).

use super::fault::{Code, Fault};
use super::handler::Failure;
use super::index::{MAX_INSTANCES, MAX_KEY, MAX_RECORD_BYTES, Place, record};
use super::intent::{Op, Planned};
use super::schema::{ObjectId, ParamId, SourceKind};
use super::served::Numbers;
use super::transaction::parameter_key;
use super::tree::{Status, Tree, Writer};
use super::trial::Touched;
use super::watched::Edits;
use crate::state::journal::Batch;

/// The number of a row that is about to be made, and where it will stand.
pub(super) struct NewNumber {
    pub number: u32,
    /// The record of its list.
    pub known: Vec<u8>,
    /// Its parent.
    pub above: Place,
    /// Itself; in the index it is not yet.
    pub place: Place,
}

/// The record of a list with one row more.
pub(super) fn with_row(known: &[u8], number: u32, name: &str) -> Vec<u8> {
    let mut all: Vec<(u32, &str)> = record::entries(known).filter(|e| e.1 != name).collect();
    all.push((number, name));
    record::encode(number + 1, known.len() + 4 + record::size(name), all.into_iter())
}

impl Tree {
    /// Local changes of rows wait while an answer is under way: its count has been announced.
    fn refuse_while_answering(&self, writer: Writer<'_>) -> Result<(), Fault> {
        match writer {
            Writer::Local if self.pins.any() => {
                Err(Fault::new(Code::REQUEST_DENIED, "an answer to the ACS is under way; try again"))
            }
            _ => Ok(()),
        }
    }

    /// AddObject: the new instance number. `Device.X.[alias].` makes the row with this Alias (R-OBJ-9).
    ///
    /// # Errors
    /// 9005 for what is no table in which rows can be made, 9003 for an Alias that cannot be given,
    /// 9004 for a full table or journal, and as [`Tree::set`].
    pub fn add(&mut self, object: &str, writer: Writer<'_>) -> Result<(u32, Status), Fault> {
        let key = parameter_key(writer)?;
        self.refuse_while_answering(writer)?;
        let invalid = |why: &str| Fault::new(Code::INVALID_NAME, format!("{object}: {why}"));
        let (target, alias) = self.resolve_new(object)?;
        if !target.table || !self.served.is_creatable(target.object) {
            return Err(invalid("no rows can be added here"));
        }
        let (table, numbers) = (target.object, target.numbers);
        let before = self.count_of(table, numbers);
        let NewNumber { number, known, above, place } = self.new_number(table, numbers)?;
        let mut batch = Batch::default();
        if let Some(alias) = alias {
            self.check_new_alias(table, numbers, &place, alias)?;
            let mut path = String::from("l/");
            self.served.write_path(table, place.numbers(), &mut path);
            batch.put(path, alias);
        }
        let trial =
            self.goes_on_trial(writer, &[Touched { object: table, numbers: place.numbers, set: None }])?;
        let mut keys = self.keys_of(&above);
        let (name, mut planned) = self.plan_add(table, &above, &place, &mut keys, number)?;
        if !self.served.is_volatile(table) {
            let alias = alias.map_or(0, str::len);
            self.check_room(known.len() + record::size(&name) + alias)?;
        }
        self.carry_out(&mut planned, trial)?;
        self.keep_record((table, numbers), with_row(&known, number, &name), &mut batch);
        self.supersede(&(table, numbers));
        if key.is_some() {
            let mut edits = Edits::default();
            self.tell_count(&mut edits, table, numbers, before, before + 1);
            let volatile = self.batch_edits(edits, &mut batch);
            self.keep_volatile(volatile);
        }
        self.index.insert(&(table, numbers), number, &name);
        Ok((number, self.conclude(planned, batch, key, trial)?))
    }

    /// The number that the next row of a list has, and where it will stand.
    ///
    /// # Errors
    /// 9004 when the table is full, or no number is left for it; 9005 when its parent is gone.
    pub(super) fn new_number(&mut self, table: ObjectId, numbers: Numbers) -> Result<NewNumber, Fault> {
        let full = |tree: &Tree, why: &str| {
            let path = tree.served.schema.object(table).path();
            Fault::new(Code::RESOURCES_EXCEEDED, format!("{path}: {why}"))
        };
        let slot = self.list(table, numbers);
        if self.index.list(slot).map_or(0, |l| l.len()) >= MAX_INSTANCES {
            return Err(full(self, "the table is full"));
        }
        let known = self.record(&(table, numbers));
        let number = record::next(&known);
        if number == u32::MAX || known.len() + 6 + MAX_KEY > MAX_RECORD_BYTES {
            return Err(full(self, "no instance number is left, or no room for one"));
        }
        let parent = self.served.schema.object(table).parent().map_or(0, |p| p.id);
        let gone = || Fault::new(Code::INVALID_NAME, "there is no such row");
        let above = self.locate(parent, &numbers).ok_or_else(gone)?;
        let mut place = above;
        let depth = above.depth;
        // A table lies at most MAX_DEPTH deep, so its parent has room for one more.
        (place.numbers[depth], place.depth) = (number, depth + 1);
        Ok(NewNumber { number, known, above, place })
    }

    fn check_new_alias(
        &mut self,
        table: ObjectId,
        numbers: Numbers,
        place: &Place,
        alias: &str,
    ) -> Result<(), Fault> {
        let refused = |why: String| Fault::new(Code::INVALID_ARGUMENTS, format!("Alias: {why}"));
        let Some(param) = self.served.alias(table).map(|p| p.id) else {
            return Err(Fault::new(Code::INVALID_NAME, "rows of this table have no Alias that can be given"));
        };
        self.check_value(param, alias).map_err(|(_, why)| refused(why))?;
        self.check_alias(table, place.numbers(), alias).map_err(refused)?;
        if self.find_alias(table, numbers, alias).is_some() {
            return Err(refused("another row has it".to_owned()));
        }
        Ok(())
    }

    /// The key of a new row, and what its handler is to do. The row that it lies in may itself be one
    /// that is about to be made.
    pub(super) fn plan_add(
        &mut self,
        table: ObjectId,
        above: &Place,
        place: &Place,
        keys: &mut Vec<String>,
        number: u32,
    ) -> Result<(String, Vec<Planned>), Fault> {
        let path = self.served.schema.object(table).path();
        let source = self.served.object_source(table);
        if source.is_some_and(|s| s.kind == SourceKind::Store) {
            return Ok((number.to_string(), Vec::new()));
        }
        let Some(handler) = source.and_then(|s| self.served.handler(s)) else {
            return Err(Fault::new(Code::REQUEST_DENIED, format!("{path}: no rows can be added here")));
        };
        let mut planned = Planned {
            object: table,
            numbers: above.numbers,
            depth: above.depth,
            keys: keys.clone(),
            handler,
            op: Op::Add,
            after: false,
            undoable: true,
            saved: Vec::new(),
        };
        let path = path.to_owned();
        let key = self
            .with(&planned, |h, ctx, row, _| h.add_key(ctx, row, number))
            .unwrap_or_else(|| Err(Failure::internal("no handler")))
            .map_err(|f| Fault::new(f.code, format!("{path}: {}", f.text)))?;
        let slot = self.list(table, above.numbers);
        let taken = (0..self.index.list(slot).map_or(0, |l| l.len()))
            .any(|pos| self.index.list(slot).is_some_and(|l| l.key(pos) == key));
        if key.is_empty() || key.len() > MAX_KEY || taken {
            return Err(Fault::new(Code::INTERNAL_ERROR, format!("{path}: the handler gave no usable key")));
        }
        keys.push(key.clone());
        (planned.numbers, planned.depth, planned.keys) = (place.numbers, place.depth, keys.clone());
        planned.undoable = self.can_undo(&planned);
        let mut bad = Vec::new();
        if !self.is_early(&planned) {
            self.with(&planned, |h, ctx, row, change| h.check(ctx, row, change, &mut bad));
        }
        match bad.into_iter().next() {
            Some((_, failure)) => Err(Fault::new(failure.code, format!("{path}: {}", failure.text))),
            None => Ok((key, vec![planned])),
        }
    }

    /// DeleteObject: the row, what is below it, and references to it (R-OBJ-11).
    ///
    /// # Errors
    /// 9005 for what is no row that can be deleted, and as [`Tree::set`].
    pub fn delete(&mut self, object: &str, writer: Writer<'_>) -> Result<Status, Fault> {
        let key = parameter_key(writer)?;
        self.refuse_while_answering(writer)?;
        let target = self.resolve(object, false)?;
        let invalid = |why: &str| Fault::new(Code::INVALID_NAME, format!("{object}: {why}"));
        if target.table || target.param.is_some() || !self.served.is_creatable(target.object) {
            return Err(invalid("no row that can be deleted"));
        }
        let table = target.object;
        let place = self.locate(table, &target.numbers).ok_or_else(|| invalid("there is no such row"))?;
        let Some(depth) = place.depth.checked_sub(1) else {
            return Err(invalid("no row"));
        };
        let mut list = place.numbers;
        list[depth] = 0; // depth is below that of a place
        let before = self.count_of(table, list);
        let trial =
            self.goes_on_trial(writer, &[Touched { object: table, numbers: place.numbers, set: None }])?;
        let mut planned = Vec::new();
        if let Some(handler) = self.served.object_source(table).and_then(|s| self.served.handler(s)) {
            let mut change = Planned {
                object: table,
                numbers: place.numbers,
                depth: place.depth,
                keys: self.keys_of(&place),
                handler,
                op: Op::Delete,
                after: false,
                undoable: true,
                saved: Vec::new(),
            };
            change.undoable = self.can_undo(&change);
            let mut bad = Vec::new();
            if !self.is_early(&change) {
                self.with(&change, |h, ctx, row, change| h.check(ctx, row, change, &mut bad));
            }
            if let Some((_, failure)) = bad.into_iter().next() {
                return Err(Fault::new(failure.code, format!("{object}: {}", failure.text)));
            }
            planned.push(change);
        }
        self.carry_out(&mut planned, trial)?;

        let mut path = String::new();
        self.served.write_path(table, place.numbers(), &mut path);
        let mut batch = Batch::default();
        for kind in ["v/", "l/", "a/", "i/"] {
            let prefix = format!("{kind}{path}");
            for (key, _) in self.journal.borrow().scan(&prefix) {
                batch.delete(key);
            }
        }
        let mut edits = Edits::default();
        self.clear_references(&path, key.map(|_| &mut edits), &mut batch);
        let promises = (self.promised.clone(), self.overlay.clone(), self.trial.clone());
        self.hide_promises(table, place.numbers(), &path);
        // A delete that waits itself is made behind what was promised before it.
        if !planned.iter().any(|p| p.after) {
            self.forget_promises(table, place.numbers(), &path, &mut batch);
            self.trial_without(&path, trial, &mut batch);
        }
        self.watch.forget(&path);
        let (number, numbers) = (place.numbers[depth], list);
        let known = self.record(&(table, numbers));
        let left = record::entries(&known).filter(|e| e.0 != number);
        let new = record::encode(record::next(&known), known.len().max(4), left);
        self.keep_record((table, numbers), new, &mut batch);
        self.supersede(&(table, numbers));
        if key.is_some() {
            self.tell_count(&mut edits, table, list, before, before.saturating_sub(1));
        }
        let volatile = self.batch_edits(edits, &mut batch);
        self.keep_volatile(volatile);
        self.index.remove(&(table, numbers), number, depth);
        let done = self.conclude(planned, batch, key, trial);
        done.inspect_err(|_| (self.promised, self.overlay, self.trial) = promises)
    }

    /// How many rows a list has.
    pub(super) fn count_of(&mut self, table: ObjectId, numbers: Numbers) -> usize {
        let slot = self.list(table, numbers);
        self.index.list(slot).map_or(0, |l| l.len())
    }

    /// I-9: the ACS knows how many rows there are now, when it knew before.
    pub(super) fn tell_count(
        &self,
        edits: &mut Edits,
        table: ObjectId,
        numbers: Numbers,
        before: usize,
        after: usize,
    ) {
        let table = self.served.schema.object(table);
        if let (Some(count), Some(parent)) = (table.entries(), table.parent()) {
            // The table's own number is 0: these are the numbers of its parent.
            let place = (parent.id, &numbers, count.id);
            self.tell_step(edits, place, &before.to_string(), &after.to_string());
        }
    }

    /// R-SPV-18: stored references to a row that goes away, or to something below it, become empty.
    /// What handlers hold they refer to by key, and a key without a row is left out when read.
    /// With `edits` the ACS does it, and knows (I-9).
    fn clear_references(&mut self, path: &str, mut edits: Option<&mut Edits>, batch: &mut Batch) {
        for (key, value) in self.journal.borrow().scan("v/") {
            let name = key.get(2..).unwrap_or("");
            let Ok(value) = std::str::from_utf8(value) else {
                continue;
            };
            let Some(left) = without(value, path).filter(|_| !name.starts_with(path)) else {
                continue;
            };
            // Also where the row that refers is gone at present.
            let Some(param) = self.param_at(name).filter(|p| self.is_reference(*p)) else {
                continue;
            };
            let row = name.rfind('.').and_then(|dot| self.served.row_at(name.get(..=dot)?));
            if let (Some(edits), Some((object, numbers))) = (edits.as_deref_mut(), row) {
                self.tell_step(edits, (object, &numbers, param), value, &left);
            }
            batch.put(key, left);
        }
    }

    pub(super) fn is_reference(&self, param: ParamId) -> bool {
        self.served.schema.param(param).kind().is_reference()
    }
}

/// References without those to a row (its path with the final dot) or to something below it; `None`
/// when there are none such.
pub(super) fn without(value: &str, row: &str) -> Option<String> {
    let bare = row.strip_suffix('.').unwrap_or(row);
    let points = |item: &&str| *item == bare || item.starts_with(row);
    if !value.contains(bare) || !value.split(',').any(|item| points(&item)) {
        return None;
    }
    let left: Vec<&str> = value.split(',').filter(|item| !points(item)).collect();
    Some(left.join(","))
}
