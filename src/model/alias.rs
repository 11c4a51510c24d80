//! Aliases (N-9 to N-14): which row an Alias names, which Alias a row has, and what an Alias may be.
//!
//! # Data storage
//! An Alias that somebody chose stands in the journal under `l/` and the path of its row. Without one a
//! row is called `cpe-` and its instance number (R-OBJ-10). Where the model gives the parameter a source
//! of its own, that source tells it, and what it tells is used in paths as far as it can be.
//!
//! Everywhere else rows are known by their numbers: an Alias is looked up when a name comes in, and
//! written when a name goes out.

use super::path::is_addressable;
use super::schema::{ObjectId, ParamId, SourceKind};
use super::served::{MAX_DEPTH, Numbers};
use super::sweep::hash;
use super::tree::Tree;

/// What an Alias that the agent gives begins with; nobody else's may (TR-069 3.6.1).
pub(super) const AGENT_ALIAS: &str = "cpe-";

/// Rows by Alias, of the list that was asked last at each depth: a thousand values that name their rows
/// by Alias read the aliases of a table once. It holds for one RPC.
#[derive(Default)]
pub(super) struct Aliases {
    lists: [Known; MAX_DEPTH],
    /// Rows looked at in this RPC, which is how far a search has gone.
    pub looked: usize,
    epoch: u32,
}

/// The rows of one list, by the hash of their Alias. Of an Alias that the tree keeps only those that
/// somebody chose: the others say their number.
#[derive(Default)]
struct Known {
    /// The RPC in which it was read; 0 for none.
    epoch: u32,
    table: ObjectId,
    numbers: Numbers,
    len: usize,
    rows: Vec<Row>,
}

/// A row by the hash of its Alias, with the Alias itself where the tree does not have it at hand.
type Row = (u64, u32, Box<str>);

impl Tree {
    /// The parameter that is the Alias of a table's rows, and whether the tree keeps it.
    pub(super) fn alias_param(&self, table: ObjectId) -> Option<(ParamId, bool)> {
        let param = self.served.param(table, "Alias")?.id;
        Some((param, self.served.source(param).is_some_and(|s| s.kind == SourceKind::Alias)))
    }

    /// The number of the row with this Alias, of the table below one parent row. A row that is being made
    /// is found too, by the name that it is made with.
    pub(super) fn find_alias(&mut self, table: ObjectId, numbers: Numbers, alias: &str) -> Option<u32> {
        if let Some(number) = self.created.find(table, &numbers, alias) {
            return Some(number);
        }
        let (param, kept) = self.alias_param(table)?;
        let depth = self.served.tables(table).len().checked_sub(1)?;
        let slot = self.list(table, numbers);
        if kept && let Some(number) = agents_own(alias) {
            let is_own =
                self.index.list(slot)?.find(number).is_some() && !self.is_new(table, &numbers, number);
            return (is_own && self.alias(table, &row(&numbers, depth, number)) == alias).then_some(number);
        }
        let len = self.index.list(slot)?.len();
        let known = self.aliases.lists.get(depth)?;
        if (known.epoch, known.table, known.numbers, known.len) != (self.epoch, table, numbers, len) {
            let rows = match kept {
                true => self.chosen(table, &numbers),
                false => self.told_by_source(table, param, &numbers, depth),
            };
            if std::mem::replace(&mut self.aliases.epoch, self.epoch) != self.epoch {
                self.aliases.looked = 0;
            }
            self.aliases.looked += rows.len().max(1);
            let known = Known { epoch: self.epoch, table, numbers, len, rows };
            *self.aliases.lists.get_mut(depth)? = known;
        }
        let wanted = hash(alias);
        let rows = &self.aliases.lists.get(depth)?.rows;
        let from = rows.partition_point(|r| r.0 < wanted);
        let list = self.index.list(slot)?;
        let meant = rows.iter().skip(from).take_while(|r| r.0 == wanted).find(|(_, number, text)| {
            let is = match kept {
                true => self.alias(table, &row(&numbers, depth, *number)) == alias,
                false => **text == *alias,
            };
            is && list.find(*number).is_some() && !self.is_new(table, &numbers, *number)
        });
        meant.map(|r| r.1)
    }

    /// The aliases of a list that somebody chose.
    fn chosen(&self, table: ObjectId, numbers: &Numbers) -> Vec<Row> {
        let mut prefix = String::from("l/");
        self.served.write_path(table, numbers, &mut prefix);
        let journal = self.journal.borrow();
        let own = |key: &str| key.get(prefix.len()..)?.strip_suffix('.')?.parse().ok();
        let mut rows: Vec<Row> = journal
            .scan(&prefix)
            .filter_map(|(key, alias)| Some((hash(std::str::from_utf8(alias).ok()?), own(key)?, "".into())))
            .collect();
        rows.sort_unstable();
        rows
    }

    /// The aliases of a list as the source of the parameter tells them.
    fn told_by_source(
        &mut self,
        table: ObjectId,
        param: ParamId,
        numbers: &Numbers,
        depth: usize,
    ) -> Vec<Row> {
        let mut rows = Vec::new();
        let parent = self.served.schema.object(table).parent().map_or(0, |p| p.id);
        let Some(above) = self.locate(parent, numbers) else {
            return rows;
        };
        let slot = self.list(table, *numbers);
        let mut pos = 0;
        while let Some(number) = self.index.list(slot).and_then(|l| l.number(pos as usize)) {
            let mut place = above;
            // `depth` is that of a table, below MAX_DEPTH.
            (place.numbers[depth], place.at[depth], place.depth) = (number, (slot, pos), depth + 1);
            if let Some(alias) = self.read(table, &place, &[param], false).pop() {
                rows.push((hash(&alias), number, alias.into()));
            }
            pos += 1;
        }
        rows.sort_unstable();
        rows
    }

    /// The Alias of a row, `numbers` being those of its `{i}`; `None` when it has none.
    fn row_alias(&mut self, table: ObjectId, numbers: &[u32]) -> Option<String> {
        let (param, kept) = self.alias_param(table)?;
        if kept {
            return Some(self.alias(table, numbers));
        }
        let mut all: Numbers = [0; _];
        all.get_mut(..numbers.len())?.copy_from_slice(numbers);
        let place = self.locate(table, &all)?;
        self.read(table, &place, &[param], false).pop()
    }

    /// The Alias by which a row can be called in a path, put into `out`; nothing where its number is its
    /// only name: without the parameter, or with an Alias that finds another row or none.
    pub(super) fn label(&mut self, table: ObjectId, numbers: &[u32], out: &mut String) {
        out.clear();
        let Some(alias) = self.row_alias(table, numbers).filter(|a| is_addressable(a)) else {
            return;
        };
        let kept = self.alias_param(table).is_some_and(|(_, kept)| kept);
        let (Some((number, above)), false) = (numbers.split_last(), kept) else {
            // The tree sees to it that no two rows have the same.
            return out.push_str(&alias);
        };
        let mut list: Numbers = [0; _];
        if let Some(list) = list.get_mut(..above.len()) {
            list.copy_from_slice(above);
        }
        if alias.starts_with(char::is_alphabetic) && self.find_alias(table, list, &alias) == Some(*number) {
            out.push_str(&alias);
        }
    }

    /// The Alias that the tree keeps for a row, `numbers` being those of its `{i}`.
    pub(super) fn alias(&self, table: ObjectId, numbers: &[u32]) -> String {
        let mut key = String::from("l/");
        self.served.write_path(table, numbers, &mut key);
        match self.journal.borrow().text(&key) {
            Some(alias) => alias.to_owned(),
            None => format!("{AGENT_ALIAS}{}", numbers.last().copied().unwrap_or(0)),
        }
    }

    /// N-10: what an Alias that somebody else chooses for a row must be, beyond its type.
    pub(super) fn check_alias(&self, table: ObjectId, numbers: &[u32], alias: &str) -> Result<(), String> {
        let own = agents_own(alias).is_some_and(|n| numbers.last() == Some(&n));
        if alias.starts_with(AGENT_ALIAS) && !own && alias != self.alias(table, numbers) {
            return Err(format!("only the agent gives names that begin with {AGENT_ALIAS}"));
        }
        Ok(())
    }
}

/// The number in an Alias that the agent gives.
fn agents_own(alias: &str) -> Option<u32> {
    let digits = alias.strip_prefix(AGENT_ALIAS)?;
    digits.parse().ok().filter(|_| digits.starts_with(|c: char| c.is_ascii_digit() && c != '0'))
}

/// The numbers of a row of a list.
fn row(numbers: &Numbers, depth: usize, number: u32) -> Vec<u32> {
    numbers.iter().take(depth).copied().chain([number]).collect()
}
