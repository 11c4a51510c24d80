//! The instance index: which instances the tables have, and under which numbers.
//!
//! A list (the instances of one table below one parent row) is asked of its source at first touch. In
//! a session it is then fixed until GetParameterNames refreshes it, so that names listed are names
//! readable; outside a session it holds for one RPC. When the index has grown past
//! [`MAX_INDEX_BYTES`], fixing holds for one RPC in a session too.
//!
//! # Numbers
//! A list's record says the next free number, and number and key of every instance known. Records of
//! kept tables lie in the journal under `i/`; those of volatile tables in memory, for as long as the
//! daemon runs. A key that comes back gets its old number, as long as it is among the
//! [`MAX_GONE`] newest of those that are gone; a number is never given twice.

use super::handler::{Ctx, Keys, Row};
use super::schema::{ObjectId, SourceKind};
use super::served::{MAX_DEPTH, Numbers};
use super::tree::Tree;
use crate::state::journal::Batch;
use crate::sys::sorted::SortedMap;

/// The most instances of one table below one row; a source that tells of more is cut short.
pub const MAX_INSTANCES: usize = 65_536;
/// The longest key of an instance, in bytes; longer ones are left out.
pub const MAX_KEY: usize = 256;
/// How many keys of instances that are gone a list remembers.
pub const MAX_GONE: usize = 1024;
/// Past this size the index is emptied at the next RPC, also in a session.
pub const MAX_INDEX_BYTES: usize = 4 << 20;
/// Past this size no more rows are walked for one answer, which is refused with 9004.
pub const MAX_WALKED_BYTES: usize = 32 << 20;
/// Past this many bytes of numbers of volatile tables, keys of lists not in the index are forgotten.
const MAX_VOLATILE_BYTES: usize = 1 << 20;

/// The longest record of a list's numbers, in bytes: what one value of the journal holds.
pub const MAX_RECORD_BYTES: usize = crate::state::journal::MAX_VALUE;

/// Table and parent: which list.
pub type ListKey = (ObjectId, Numbers);

/// The instances of one table below one row.
#[derive(Default)]
pub struct List {
    /// The RPC in which the source was asked.
    epoch: u32,
    /// The RPC in which somebody last wanted it.
    touched: u32,
    /// The session in which it was; 0 outside one.
    session: u32,
    /// Ascending.
    numbers: Vec<u32>,
    /// In the same order.
    keys: Keys,
    /// Positions by key, made when first wanted.
    by_key: Vec<u32>,
    /// Instances may be missing only because their source failed: asked again in the next RPC.
    doubtful: bool,
}

impl List {
    /// How many instances.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether instances may be missing only because their source failed.
    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// The instance number at a position.
    pub fn number(&self, pos: usize) -> Option<u32> {
        self.numbers.get(pos).copied()
    }

    /// The key at a position; empty when there is no such row any more.
    pub fn key(&self, pos: usize) -> &str {
        self.keys.get(pos)
    }

    /// The position of a number.
    pub fn find(&self, number: u32) -> Option<usize> {
        self.numbers.binary_search(&number).ok()
    }

    /// The position of a key.
    pub fn find_key(&mut self, key: &str) -> Option<usize> {
        if self.by_key.len() != self.numbers.len() {
            self.by_key = sorted(&self.keys);
        }
        let at = self.by_key.binary_search_by(|pos| self.key(*pos as usize).cmp(key)).ok()?;
        self.by_key.get(at).map(|pos| *pos as usize)
    }

    fn insert(&mut self, number: u32, key: &str) {
        let at = self.numbers.partition_point(|n| *n < number);
        self.numbers.insert(at, number);
        self.keys.insert(at, key);
        self.by_key.clear();
    }

    fn remove(&mut self, number: u32) {
        if let Some(at) = self.find(number) {
            self.numbers.remove(at);
            self.keys.remove(at);
            self.by_key.clear();
        }
    }

    /// The list of keys and their numbers, 0 for those that are no instance. Keys that stand in the
    /// order of their numbers already, as they mostly do, are taken over as they are.
    fn build(mut numbers: Vec<u32>, mut keys: Keys) -> List {
        let mut last = 0;
        let ordered = numbers.iter().all(|n| std::mem::replace(&mut last, *n) < *n);
        if ordered {
            keys.shrink();
        } else {
            let mut order: Vec<u32> = (0..keys.len() as u32).collect();
            let number = |at: &u32| numbers.get(*at as usize).copied().unwrap_or(0);
            order.retain(|at| number(at) != 0);
            order.sort_unstable_by_key(number);
            let mut moved = Keys::default();
            moved.extend(order.iter().map(|at| keys.get(*at as usize)));
            keys = moved;
            numbers.retain(|n| *n != 0);
            numbers.sort_unstable();
        }
        List { numbers, keys, ..List::default() }
    }

    fn bytes(&self) -> usize {
        (self.numbers.capacity() + self.by_key.capacity()) * 4 + self.keys.bytes() + size_of::<List>()
    }
}

/// The positions of keys in the order of the keys, the first of equal ones first.
fn sorted(keys: &Keys) -> Vec<u32> {
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    order.sort_unstable_by(|a, b| {
        let (one, other) = (keys.get(*a as usize), keys.get(*b as usize));
        one.cmp(other).then(a.cmp(b))
    });
    order
}

/// A place in the index: list and position for each `{i}` of a row.
#[derive(Clone, Copy, Default)]
pub struct Place {
    /// How many of the entries count.
    pub depth: usize,
    /// Instance numbers.
    pub numbers: Numbers,
    /// Slot of the list, and position in it.
    pub at: [(u32, u32); MAX_DEPTH],
}

impl Place {
    /// The numbers that count.
    pub fn numbers(&self) -> &[u32] {
        self.numbers.get(..self.depth).unwrap_or(&[])
    }
}

/// All lists known.
#[derive(Default)]
pub struct Index {
    slots: SortedMap<ListKey, u32>,
    lists: Vec<List>,
    /// Bytes of the lists when they were put here, about.
    held: usize,
    /// Records of volatile tables.
    volatile: SortedMap<ListKey, Vec<u8>>,
    /// Records that changed and are not in the journal yet.
    pending: SortedMap<ListKey, Vec<u8>>,
}

impl Index {
    /// The list in a slot.
    pub fn list(&self, slot: u32) -> Option<&List> {
        self.lists.get(slot as usize)
    }

    /// Forgets the lists, not the numbers.
    pub fn clear(&mut self) {
        self.slots = SortedMap::new();
        self.lists = Vec::new();
        self.held = 0;
    }

    /// Whether one answer has made it so large that it must not grow on.
    pub fn is_overgrown(&self) -> bool {
        self.held > MAX_WALKED_BYTES
    }

    /// Bytes held, the numbers of volatile tables included; an estimate.
    pub fn bytes(&self) -> usize {
        let entry = size_of::<ListKey>() + 4 + 8;
        let lists: usize = self.lists.iter().map(List::bytes).sum();
        lists + self.slots.len() * entry + self.volatile_bytes()
    }

    fn volatile_bytes(&self) -> usize {
        self.volatile.values().map(|v| v.capacity() + size_of::<ListKey>() + size_of::<Vec<u8>>() + 8).sum()
    }

    /// Keeps the numbers of volatile tables within bounds. How far the numbers of a table have got
    /// is kept when its keys are forgotten; of a table in rows, only as long as there is room.
    pub fn trim(&mut self) {
        if self.volatile_bytes() <= MAX_VOLATILE_BYTES {
            return;
        }
        let slots = &self.slots;
        for (_, record) in self.volatile.iter_mut().filter(|(key, _)| !slots.contains_key(key)) {
            record.truncate(record::START);
            record.shrink_to_fit();
        }
        if self.volatile_bytes() > MAX_VOLATILE_BYTES {
            let slots = &self.slots;
            self.volatile.retain(|key, _| key.1 == [0; MAX_DEPTH] || slots.contains_key(key));
        }
    }

    /// The keys of a place, for a handler.
    pub fn keys<'a>(&'a self, place: &Place, out: &mut [&'a str; MAX_DEPTH]) {
        for (key, (slot, pos)) in out.iter_mut().zip(place.at).take(place.depth) {
            *key = self.list(slot).map_or("", |l| l.key(pos as usize));
        }
    }

    fn put(&mut self, key: ListKey, list: List) -> u32 {
        self.held += list.bytes();
        match self.slots.get(&key) {
            Some(slot) => {
                if let Some(old) = self.lists.get_mut(*slot as usize) {
                    self.held = self.held.saturating_sub(old.bytes());
                    *old = list;
                }
                *slot
            }
            None => {
                let slot = self.lists.len() as u32;
                self.lists.push(list);
                self.slots.insert(key, slot);
                slot
            }
        }
    }

    /// Adds a row to a list that is held.
    pub fn insert(&mut self, key: &ListKey, number: u32, name: &str) {
        let slot = self.slots.get(key).copied();
        if let Some(list) = slot.and_then(|s| self.lists.get_mut(s as usize)) {
            list.insert(number, name);
        }
    }

    /// Takes a row out of a list that is held, and empties all lists below it.
    pub fn remove(&mut self, key: &ListKey, number: u32, depth: usize) {
        let slot = self.slots.get(key).copied();
        if let Some(list) = slot.and_then(|s| self.lists.get_mut(s as usize)) {
            list.remove(number);
        }
        let below = |k: &ListKey| {
            k.1.get(..depth) == key.1.get(..depth) && k.1.get(depth) == Some(&number) && k.0 > key.0
        };
        for (k, slot) in &self.slots {
            if let (true, Some(list)) = (below(k), self.lists.get_mut(*slot as usize)) {
                *list = List::default();
            }
        }
        self.volatile.retain(|k, _| !below(k));
    }
}

impl Index {
    /// The record of a list as it is held here; `None` when the journal has it, or nobody.
    pub(super) fn held_record(&self, key: &ListKey) -> Option<Record> {
        let volatile = self.volatile.get(key).cloned().map(Record::Volatile);
        volatile.or_else(|| self.pending.get(key).cloned().map(Record::Pending))
    }

    /// Puts the record of a list back as it was held.
    pub(super) fn put_back(&mut self, key: ListKey, record: Option<Record>) {
        self.volatile.remove(&key);
        self.pending.remove(&key);
        match record {
            Some(Record::Volatile(record)) => drop(self.volatile.insert(key, record)),
            Some(Record::Pending(record)) => drop(self.pending.insert(key, record)),
            None => {}
        }
    }
}

mod aligning;
pub mod record;

/// The record of a list that is not in the journal.
#[derive(Clone)]
pub(super) enum Record {
    Volatile(Vec<u8>),
    Pending(Vec<u8>),
}

/// What became of the keys that a source told of.
struct Assigned {
    /// The number of each key; 0 for one that is no instance.
    numbers: Vec<u32>,
    /// The record when it changed.
    record: Option<Vec<u8>>,
    /// How many keys were there twice.
    doubles: usize,
    /// How many have no number because the record is full.
    full: usize,
}

/// Stands for "no number yet" while numbers are given; never given itself.
const NONE: u32 = u32::MAX;

/// Gives numbers to the keys that a source told of: old ones to those known, new ones to the rest.
/// Duplicates are counted and get none.
fn assign(known: &[u8], keys: &Keys) -> Assigned {
    // Mostly the source tells the same keys in the same order as the last time.
    let mut numbers = Vec::with_capacity(keys.len());
    let same = keys.iter().zip(record::entries(known)).map_while(|(key, (n, old))| (key == old).then_some(n));
    numbers.extend(same);
    if numbers.len() == keys.len() {
        return Assigned { numbers, record: None, doubles: 0, full: 0 };
    }
    numbers.clear();
    numbers.resize(keys.len(), NONE);
    let order = sorted(keys);
    let mut doubles = 0;
    for (one, other) in order.iter().zip(order.iter().skip(1)) {
        if keys.get(*one as usize) == keys.get(*other as usize)
            && let Some(number) = numbers.get_mut(*other as usize)
        {
            *number = 0;
            doubles += 1;
        }
    }
    // The first of equal keys is the one that has no number yet.
    let find = |key: &str| {
        let at = order.partition_point(|at| keys.get(*at as usize) < key);
        let at = *order.get(at)? as usize;
        (keys.get(at) == key).then_some(at)
    };
    let (mut gone, mut first) = (0_usize, record::next(known));
    for (number, key) in record::entries(known) {
        first = first.max(number.saturating_add(1));
        match find(key).and_then(|at| numbers.get_mut(at)) {
            Some(place) => *place = number,
            None => gone += 1,
        }
    }
    let mut next = first;
    // The smallest numbers are the oldest. What is gone takes no room from what is there.
    let fresh = numbers.iter().zip(keys.iter()).filter(|(n, _)| **n == NONE);
    let fresh = fresh.map(|(_, key)| record::size(key)).sum::<usize>();
    let (mut forget, mut room) = (0_usize, known.len() + fresh);
    for (_, key) in record::entries(known).filter(|(_, key)| find(key).is_none()) {
        if gone - forget <= MAX_GONE && room <= MAX_RECORD_BYTES {
            break;
        }
        forget += 1;
        room -= record::size(key);
    }
    let old = record::entries(known).filter(move |(_, key)| {
        let goes = forget > 0 && find(key).is_none();
        forget -= usize::from(goes);
        !goes
    });
    let mut room = 4 + old.clone().map(|(_, key)| record::size(key)).sum::<usize>();
    let mut full = 0;
    for (number, key) in numbers.iter_mut().zip(keys.iter()).filter(|(n, _)| **n == NONE) {
        // A row whose number cannot be kept is not shown: another would have it after a restart.
        if next == NONE || room + record::size(key) > MAX_RECORD_BYTES {
            (*number, full) = (0, full + 1);
            continue;
        }
        room += record::size(key);
        *number = next;
        next += 1;
    }
    if next == first {
        return Assigned { numbers, record: None, doubles, full };
    }
    // The new ones were given in the order of the keys, and are above all old ones.
    let fresh = numbers.iter().zip(keys.iter()).filter(|(n, _)| **n >= first).map(|(n, key)| (*n, key));
    let record = record::encode(next, room, old.chain(fresh));
    Assigned { numbers, record: Some(record), doubles, full }
}

impl Tree {
    /// The key under which a list's numbers stand in the journal.
    pub(super) fn record_key(&self, key: &ListKey) -> String {
        let mut out = String::from("i/");
        self.served.write_path(key.0, &key.1, &mut out);
        out
    }

    /// The numbers of a list as they are known now.
    pub(super) fn record(&self, key: &ListKey) -> Vec<u8> {
        self.with_record(key, <[u8]>::to_vec)
    }

    /// What `read` makes of the numbers of a list, which are not copied for it.
    fn with_record<R>(&self, key: &ListKey, read: impl FnOnce(&[u8]) -> R) -> R {
        let index = &self.index;
        match index.pending.get(key).or_else(|| index.volatile.get(key)) {
            Some(record) => read(record),
            None => {
                let journal = self.journal.borrow();
                read(journal.get(&self.record_key(key)).unwrap_or(&[]))
            }
        }
    }

    /// Keeps the numbers of a volatile list; those of others go into `batch`.
    pub(super) fn keep_record(&mut self, key: ListKey, record: Vec<u8>, batch: &mut Batch) {
        if self.served.is_volatile(key.0) {
            self.index.volatile.insert(key, record);
        } else {
            batch.put(self.record_key(&key), record);
        }
    }

    /// Holds a record that nobody may keep yet.
    pub(super) fn hold_record(&mut self, key: ListKey, record: Vec<u8>) {
        match self.served.is_volatile(key.0) {
            true => self.index.volatile.insert(key, record),
            false => self.index.pending.insert(key, record),
        };
    }

    /// Forgets what is not yet in the journal for a list (a batch with newer numbers is on its way).
    pub(super) fn supersede(&mut self, key: &ListKey) {
        self.index.pending.remove(key);
    }

    /// Makes new numbers durable: before any answer that shows them leaves. One batch for all.
    pub(super) fn flush_numbers(&mut self) {
        // Numbers of rows that are being made are durable with their transaction, or never.
        if self.index.pending.is_empty() || !self.created.rows.is_empty() {
            return;
        }
        let mut batch = Batch::default();
        for (key, record) in std::mem::take(&mut self.index.pending) {
            batch.put(self.record_key(&key), record);
        }
        self.write(batch);
    }

    /// The slot of a list, whose source is asked when what is held is stale. `numbers` beyond the
    /// parents of the table must be 0.
    pub(super) fn list(&mut self, table: ObjectId, numbers: Numbers) -> u32 {
        let key = (table, numbers);
        if let Some(slot) = self.index.slots.get(&key).copied() {
            let (epoch, session) = (self.epoch, self.session);
            let list = self.index.lists.get_mut(slot as usize).filter(|l| {
                l.epoch == epoch
                    // What this RPC has gone through already was fixed by it.
                    || (session != 0 && l.session == session && !l.doubtful && (!self.refreshing || l.touched == epoch))
                    || self.pins.hold(l.touched)
            });
            if let Some(list) = list {
                list.touched = epoch;
                return slot;
            }
        }
        let list = self.ask(key);
        self.index.put(key, list)
    }

    fn ask(&mut self, key: ListKey) -> List {
        let (table, numbers) = key;
        let served = &self.served;
        let object = served.schema.object(table);
        let (source, handler) = match served.object_source(table) {
            Some(source) => (source, served.handler(source)),
            None => return self.stamp(List::default()),
        };
        if source.kind == SourceKind::Store {
            let (mut numbers, mut keys) = (Vec::new(), Keys::default());
            self.with_record(&key, |record| {
                for (number, name) in record::entries(record) {
                    numbers.push(number);
                    keys.push(name);
                }
            });
            return self.stamp(List::build(numbers, keys));
        }
        let arg = source.arg.to_owned();
        let mut keys = Keys::default();
        match (source.kind, handler) {
            (SourceKind::Const, _) => keys.extend(arg.split_whitespace()),
            (_, Some(handler)) => {
                let parent = object.parent().map_or(0, |p| p.id);
                if let Some(place) = self.locate(parent, &numbers) {
                    let mut names = [""; MAX_DEPTH];
                    self.index.keys(&place, &mut names);
                    let row = Row {
                        object: self.served.schema.object(table),
                        arg: &arg,
                        keys: names.get(..place.depth).unwrap_or(&[]),
                        numbers: place.numbers(),
                    };
                    let ctx = Ctx { epoch: self.epoch, root: &self.root };
                    if let Some(handler) = self.handlers.get_mut(handler as usize)
                        && let Err(failure) = handler.list(&ctx, &row, &mut keys)
                    {
                        log::warn!("{}: no instances: {}", row.object.path(), failure.text);
                        keys.clear();
                        keys.doubt();
                    }
                }
            }
            _ => {}
        }
        let doubtful = keys.is_doubtful();
        self.amend_rows(&key, &mut keys);
        let path = self.served.schema.object(table).path();
        if keys.left_out() > 0 {
            log::warn!(
                "{path}: {} instances left out: too many, or their keys empty or too long",
                keys.left_out()
            );
        }
        // What a source that failed does not name is not gone.
        let aligned = handler.filter(|_| !doubtful).and_then(|h| self.aligned(&key, h, &keys));
        let assigned = match aligned {
            Some(known) => {
                let new = assign(&known, &keys);
                let record = new.record.unwrap_or(known);
                let differs = self.with_record(&key, |old| old != record);
                Assigned { record: Some(record).filter(|_| differs), ..new }
            }
            None => self.with_record(&key, |known| assign(known, &keys)),
        };
        if assigned.doubles > 0 {
            log::warn!("{path}: {} instances left out: their keys are there twice", assigned.doubles);
        }
        if assigned.full > 0 {
            log::warn!("{path}: {} instances left out: no room for their numbers", assigned.full);
        }
        if let Some(record) = assigned.record {
            if self.served.is_volatile(table) {
                self.index.volatile.insert(key, record);
            } else {
                self.index.pending.insert(key, record);
            }
        }
        self.stamp(List { doubtful, ..List::build(assigned.numbers, keys) })
    }

    fn stamp(&self, list: List) -> List {
        List { epoch: self.epoch, touched: self.epoch, session: self.session, ..list }
    }

    /// The place of a row, `numbers` being those of its `{i}`; `None` when there is no such row.
    pub(super) fn locate(&mut self, object: ObjectId, numbers: &Numbers) -> Option<Place> {
        let mut place = Place::default();
        for table in self.served.tables(object).iter() {
            let slot = self.list(*table, place.numbers);
            let number = numbers.get(place.depth).copied()?;
            let pos = self.index.list(slot)?.find(number)?;
            *place.numbers.get_mut(place.depth)? = number;
            *place.at.get_mut(place.depth)? = (slot, pos as u32);
            place.depth += 1;
        }
        Some(place)
    }

    /// The place of the row with these keys.
    pub(super) fn locate_keys(&mut self, object: ObjectId, keys: &[&str]) -> Option<Place> {
        let chain = self.served.tables(object);
        if chain.len() != keys.len() {
            return None;
        }
        let mut place = Place::default();
        for (table, key) in chain.iter().zip(keys) {
            let slot = self.list(*table, place.numbers);
            let list = self.index.lists.get_mut(slot as usize)?;
            let found = list.find_key(key);
            self.watch.missed |= found.is_none() && list.doubtful;
            let pos = found?;
            *place.numbers.get_mut(place.depth)? = list.number(pos)?;
            *place.at.get_mut(place.depth)? = (slot, pos as u32);
            place.depth += 1;
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests;
