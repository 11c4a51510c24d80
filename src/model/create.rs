//! Rows that a SetParameterValues makes: with AutoCreateInstances an Alias that no row has is the name
//! of a new one (R-SPV-21), in the same transaction as the values (R-SPV-22).
//!
//! While the values are checked the new rows stand in the instance index as if they were there, so that
//! they can be read (defaults), referred to, and compared with others. Names in the request are judged
//! on the state before: a new row is found by the Alias that it is made with, not by its number. When
//! anything is wrong the index is put back as it was; nothing else knows of the rows by then.
//!
//! On the way to disk they are part of the transaction: what handlers add is in the intent, numbers and
//! aliases are in the batch that ends it.

use super::alias::AGENT_ALIAS;
use super::fault::{Code, Fault};
use super::index::{ListKey, Record};
use super::intent::Planned;
use super::objects::{NewNumber, with_row};
use super::request::ParameterValue;
use super::schema::{ObjectId, ParamId};
use super::served::Numbers;
use super::set::{Checked, refuse};
use super::tree::Tree;
use super::watched::Edits;
use crate::state::journal::Batch;
use crate::sys::sorted::{SortedMap, SortedSet};

/// The rows that the present set makes; empty outside of one.
#[derive(Default)]
pub(super) struct Created {
    pub rows: Vec<NewRow>,
    by_alias: SortedMap<(ListKey, String), u32>,
    /// By number; whether a handler makes it.
    by_number: SortedMap<(ListKey, u32), bool>,
    /// The lists that have new rows, with their records as they were before.
    lists: SortedMap<ListKey, Option<Record>>,
}

/// A row that is being made.
pub(super) struct NewRow {
    list: ListKey,
    number: u32,
    /// Of all its `{i}`, and how many they are.
    numbers: Numbers,
    depth: usize,
    /// The name that it is made with.
    alias: String,
    /// What its handler is to do, when it has one.
    planned: Option<Planned>,
}

impl Created {
    /// The number of the new row that is called so.
    pub fn find(&self, table: ObjectId, list: &Numbers, alias: &str) -> Option<u32> {
        if self.rows.is_empty() {
            return None;
        }
        self.by_alias.get(&((table, *list), alias.to_owned())).copied()
    }
}

impl Tree {
    /// Whether a row is one that the present set makes.
    pub(super) fn is_new(&self, table: ObjectId, list: &Numbers, number: u32) -> bool {
        self.created.by_number.contains_key(&((table, *list), number))
    }

    /// Whether a row is, or lies in, one that the present set has a handler make.
    pub(super) fn is_made_by_handler(&self, object: ObjectId, numbers: &Numbers) -> bool {
        !self.created.rows.is_empty()
            && lists_on_the_way(self, object, numbers)
                .any(|row| self.created.by_number.get(&row).is_some_and(|handled| *handled))
    }

    /// The rows that the present set makes: table, and the numbers of each.
    pub(super) fn new_rows(&self) -> impl Iterator<Item = (ObjectId, Numbers)> {
        self.created.rows.iter().map(|row| (row.list.0, row.numbers))
    }

    /// The numbers of a list of which the present set makes rows, as they were before it and not in the
    /// journal; `key` is that of the journal.
    pub(super) fn record_before(&self, key: &str) -> Option<Vec<u8>> {
        let lists = &self.created.lists;
        match lists.iter().find(|(list, _)| self.record_key(list) == key)?.1 {
            Some(Record::Pending(record)) => Some(record.clone()),
            _ => None,
        }
    }

    /// Makes a row in the index only: its number.
    ///
    /// # Errors
    /// 9005 where the ACS cannot make rows or cannot name them so, 9004 when there is no room for one
    /// more, and what the handler says.
    pub(super) fn create_row(&mut self, table: ObjectId, list: Numbers, alias: &str) -> Result<u32, Fault> {
        let path = self.served.schema.object(table).path().to_owned();
        let refused = |why: String| Fault::new(Code::INVALID_NAME, format!("{path}[{alias}]: {why}"));
        let writable = |param| self.served.schema.param(param).is_writable(self.served.platform);
        let named = self.alias_param(table).filter(|(param, kept)| *kept || writable(*param));
        let Some((param, _)) = named.filter(|_| self.served.is_creatable(table)) else {
            return Err(refused("no row has this alias, and none can be made".to_owned()));
        };
        self.check_value(param, alias).map_err(|(_, why)| refused(why))?;
        // Not even the name that it would have without another: nobody was told its number yet.
        if alias.starts_with(AGENT_ALIAS) {
            return Err(refused(format!("only the agent gives names that begin with {AGENT_ALIAS}")));
        }
        let NewNumber { number, known, above, place } = self.new_number(table, list)?;
        let mut keys = self.keys_of(&above);
        let (name, planned) = self.plan_add(table, &above, &place, &mut keys, number)?;
        let key = (table, list);
        if !self.created.lists.contains_key(&key) {
            self.created.lists.insert(key, self.index.held_record(&key));
        }
        self.hold_record(key, with_row(&known, number, &name));
        self.index.insert(&key, number, &name);
        let (numbers, depth, alias) = (place.numbers, place.depth, alias.to_owned());
        let planned = planned.into_iter().next();
        self.created.by_alias.insert((key, alias.clone()), number);
        self.created.by_number.insert((key, number), planned.is_some());
        self.created.rows.push(NewRow { list: key, number, numbers, depth, alias, planned });
        Ok(number)
    }

    /// Carries out a set: the rows that handlers make, and then the values. Gives all changes, in the
    /// order in which they were made.
    pub(super) fn carry_out_set(
        &mut self,
        list: &[ParameterValue],
        mut planned: Vec<Planned>,
        members: &[Vec<usize>],
        trial: bool,
    ) -> Result<Vec<Planned>, Fault> {
        let mut rows: Vec<Planned> = self.created.rows.iter().filter_map(|r| r.planned.clone()).collect();
        if rows.is_empty() {
            self.carry_out(&mut planned, trial)?;
            return Ok(planned);
        }
        if rows.iter().any(|r| !r.undoable) && rows.len() + planned.len() > 1 {
            let why = "the row cannot be taken away again, so it cannot be made together with its values";
            return Err(Fault::new(Code::REQUEST_DENIED, why));
        }
        if trial && self.session != 0 {
            // Nothing is made before the session has ended; the rows come first.
            rows.append(&mut planned);
            self.carry_out(&mut rows, trial)?;
            return Ok(rows);
        }
        self.carry_out(&mut rows, trial)?;
        let mut bad = SortedMap::new();
        for (planned, members) in planned.iter().zip(members) {
            if self.is_made_by_handler(planned.object, &planned.numbers) {
                self.judge_change(planned, members, &mut bad);
            }
        }
        if let Err(fault) = refuse(list, Vec::new(), bad) {
            self.take_all_back(&rows, rows.len());
            return Err(fault);
        }
        self.carry_out_behind(&rows, &mut planned, trial)?;
        rows.append(&mut planned);
        Ok(rows)
    }

    /// A row that is made has the Alias that it was named by, unless an entry says otherwise. It counts
    /// as said by the first entry about the row.
    pub(super) fn name_created(&mut self, checked: &mut Vec<(usize, Checked)>) {
        if self.created.rows.is_empty() {
            return;
        }
        let mut first: SortedMap<(ListKey, u32), usize> = SortedMap::new();
        for (at, one) in checked.iter() {
            for row in lists_on_the_way(self, one.object, &one.place.numbers) {
                first.entry(row).or_insert(*at);
            }
        }
        let said: SortedSet<(ParamId, Numbers)> =
            SortedSet::from_iter(checked.iter().map(|(_, c)| (c.param, c.place.numbers)));
        for at in 0..self.created.rows.len() {
            let Some(row) = self.created.rows.get(at) else { break };
            let (object, numbers, value) = (row.list.0, row.numbers, row.alias.clone());
            // Without an entry about it that is right all is refused in any case.
            let Some(first) = first.get(&(row.list, row.number)).copied() else { continue };
            let Some((param, _)) = self.alias_param(object).filter(|p| !said.contains(&(p.0, numbers)))
            else {
                continue;
            };
            if let Some(place) = self.locate(object, &numbers) {
                checked.push((first, Checked { object, place, param, value, refers: None }));
            }
        }
    }

    /// What the new rows add to the journal, in bytes.
    pub(super) fn room_of_created(&self) -> usize {
        let lists = self.created.lists.keys().filter(|key| !self.served.is_volatile(key.0));
        lists.map(|key| self.record(key).len()).sum()
    }

    /// Puts the numbers of the new rows into the batch that ends their transaction.
    pub(super) fn keep_created(&mut self, batch: &mut Batch) {
        for key in self.created.lists.keys() {
            if !self.served.is_volatile(key.0) {
                batch.put(self.record_key(key), self.record(key));
            }
        }
    }

    /// I-9: the ACS knows how many rows it has made.
    pub(super) fn tell_created(&mut self, edits: &mut Edits) {
        let mut lists: SortedMap<ListKey, usize> = SortedMap::new();
        for row in &self.created.rows {
            *lists.entry(row.list).or_default() += 1;
        }
        for ((table, numbers), new) in lists {
            let after = self.count_of(table, numbers);
            self.tell_count(edits, table, numbers, after.saturating_sub(new), after);
        }
    }

    /// The transaction of the new rows has ended: they are rows like others, or were never there.
    pub(super) fn end_created(&mut self, made: bool) {
        let created = std::mem::take(&mut self.created);
        if made {
            created.lists.keys().for_each(|key| self.supersede(key));
            self.flush_numbers();
            return;
        }
        for row in created.rows.iter().rev() {
            self.index.remove(&row.list, row.number, row.depth.saturating_sub(1));
        }
        for (key, before) in created.lists {
            self.index.put_back(key, before);
        }
    }
}

/// The rows that a row lies in, itself included: list and number of each.
fn lists_on_the_way<'a>(
    tree: &'a Tree,
    object: ObjectId,
    numbers: &'a Numbers,
) -> impl Iterator<Item = (ListKey, u32)> {
    let tables = tree.served.tables(object);
    let mut list: Numbers = [0; _];
    let depth = tables.len();
    (0..depth).filter_map(move |at| {
        let number = *numbers.get(at)?;
        let row = ((*tables.get(at)?, list), number);
        *list.get_mut(at)? = number;
        Some(row)
    })
}
