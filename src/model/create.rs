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
use super::schema::ObjectId;
use super::served::Numbers;
use super::tree::Tree;
use crate::state::journal::Batch;

/// The rows that the present set makes; empty outside of one.
#[derive(Default)]
pub(super) struct Created {
    pub rows: Vec<NewRow>,
    /// The lists that have new rows, with their records as they were before.
    lists: Vec<(ListKey, Option<Record>)>,
}

/// A row that is being made.
pub(super) struct NewRow {
    pub table: ObjectId,
    /// Its own number is the last of those that count.
    pub numbers: Numbers,
    pub depth: usize,
    /// The name that it is made with.
    pub alias: String,
    /// What its handler is to do, when it has one.
    pub planned: Option<Planned>,
}

impl NewRow {
    /// The list that it is in.
    fn list(&self) -> ListKey {
        let mut numbers = self.numbers;
        for number in numbers.iter_mut().skip(self.depth.saturating_sub(1)) {
            *number = 0;
        }
        (self.table, numbers)
    }

    fn number(&self) -> u32 {
        self.depth.checked_sub(1).and_then(|at| self.numbers.get(at)).copied().unwrap_or(0)
    }
}

impl Created {
    /// The number of the new row that is called so.
    pub fn find(&self, table: ObjectId, list: &Numbers, alias: &str) -> Option<u32> {
        let row = self.rows.iter().find(|r| r.alias == alias && r.list() == (table, *list))?;
        Some(row.number())
    }
}

impl Tree {
    /// Whether a row is one that the present set makes.
    pub(super) fn is_new(&self, table: ObjectId, list: &Numbers, number: u32) -> bool {
        self.created.rows.iter().any(|r| r.number() == number && r.list() == (table, *list))
    }

    /// Whether a row is, or lies in, one that the present set has a handler make.
    pub(super) fn is_made_by_handler(&self, object: ObjectId, numbers: &Numbers) -> bool {
        let schema = &self.served.schema;
        self.created.rows.iter().any(|r| {
            r.planned.is_some()
                && (r.table..schema.object(r.table).row().end).contains(&object)
                && numbers.get(..r.depth) == r.numbers.get(..r.depth)
        })
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
        if !self.created.lists.iter().any(|(k, _)| *k == key) {
            self.created.lists.push((key, self.index.held_record(&key)));
        }
        let record = with_row(&known, number, &name);
        self.hold_record(key, record);
        self.index.insert(&key, number, &name);
        let (numbers, depth) = (place.numbers, place.depth);
        let planned = planned.into_iter().next();
        self.created.rows.push(NewRow { table, numbers, depth, alias: alias.to_owned(), planned });
        Ok(number)
    }

    /// What the new rows add to the journal, in bytes.
    pub(super) fn room_of_created(&self) -> usize {
        let lists = self.created.lists.iter().filter(|(key, _)| !self.served.is_volatile(key.0));
        lists.map(|(key, _)| self.record(key).len()).sum()
    }

    /// Puts the numbers of the new rows into the batch that ends their transaction.
    pub(super) fn keep_created(&mut self, batch: &mut Batch) {
        for (key, _) in &self.created.lists {
            if !self.served.is_volatile(key.0) {
                batch.put(self.record_key(key), self.record(key));
            }
        }
    }

    /// The transaction of the new rows has ended: they are rows like others, or were never there.
    pub(super) fn end_created(&mut self, made: bool) {
        let created = std::mem::take(&mut self.created);
        if made {
            for (key, _) in &created.lists {
                self.supersede(key);
            }
            self.flush_numbers();
            return;
        }
        for row in created.rows.iter().rev() {
            self.index.remove(&row.list(), row.number(), row.depth.saturating_sub(1));
        }
        for (key, before) in created.lists {
            self.index.put_back(key, before);
        }
    }
}
