//! How the instances in the names of an answer are written: by number or by Alias (N-12, N-14).
//!
//! The walk itself knows numbers only. What it yields is renamed on the way out, one row at a time, and
//! where every name is by number this is not entered at all.

use super::walk::Node;
use super::{Part, Plan, Selection, What, row_names};
use crate::model::kind::forms::percent_encoded;
use crate::model::path::MAX_PATH;
use crate::model::schema::{ObjectId, ParamId};
use crate::model::served::{MAX_DEPTH, Numbers};
use crate::model::tree::{Item, Tree};
use std::rc::Rc;

/// How instances are named in what is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Naming {
    /// All by number: for the agent itself, and for shells.
    #[default]
    Numbers,
    /// For the ACS with InstanceMode `InstanceNumber`: as the request named them, the others by number.
    AsAsked,
    /// For the ACS with InstanceMode `InstanceAlias`: as the request named them, the others by Alias where
    /// they have one, and in path references too.
    Aliases,
}

/// The aliases of the rows on the way to the present one: each is read when the walk comes to its row,
/// not again for each value in it.
#[derive(Default)]
pub(in crate::model) struct Labels {
    tables: [ObjectId; MAX_DEPTH],
    numbers: Numbers,
    /// Which texts are those of these rows; a bit for each `{i}`.
    known: u8,
    /// Empty where a row is named by its number.
    texts: [String; MAX_DEPTH],
}

/// What is kept from row to row while names are rewritten.
#[derive(Default)]
pub(super) struct Shown {
    labels: Labels,
    /// Of the rows that path references point to.
    referred: Labels,
    /// The row's path, and behind it the name that is being told.
    path: String,
    /// Bytes and characters of the row's path.
    row: (usize, usize),
    reference: String,
    /// The values of one row, end to end, with their types: references are looked up when the row has
    /// been read.
    values: String,
    ends: Vec<(usize, &'static str)>,
}

impl Labels {
    /// Forgets what was read.
    pub fn clear(&mut self) {
        self.known = 0;
    }

    /// Puts the path of a row behind what `out` holds, with the Alias in place of the number at each `{i}`
    /// whose bit is set in `by_alias`.
    pub fn write(
        &mut self,
        tree: &mut Tree,
        by_alias: u8,
        object: ObjectId,
        numbers: &Numbers,
        out: &mut String,
    ) {
        let tables = tree.served.tables(object);
        let mut same = true;
        for (depth, table) in tables.iter().enumerate() {
            let number = numbers.get(depth).copied().unwrap_or(0);
            let (Some(held), Some(of), Some(text)) =
                (self.numbers.get_mut(depth), self.tables.get_mut(depth), self.texts.get_mut(depth))
            else {
                break;
            };
            let bit = 1 << depth;
            same &= (*held, *of) == (number, *table);
            (*held, *of) = (number, *table);
            if !same {
                // Deeper ones, of this path or an earlier one, lie in another row now.
                self.known &= bit - 1;
            }
            if by_alias & bit != 0 && self.known & bit == 0 && number != 0 {
                tree.label(*table, numbers.get(..=depth).unwrap_or(&[]), text);
                self.known |= bit;
            }
        }
        let label = |depth: usize| match by_alias & (1 << depth) {
            0 => "",
            _ => self.texts.get(depth).map_or("", String::as_str),
        };
        tree.served.write_labelled(object, numbers, label, out);
    }
}

impl Shown {
    /// Forgets the aliases that were read.
    pub fn clear(&mut self) {
        self.labels.clear();
        self.referred.clear();
    }

    /// Takes up the row at a place of the walk.
    fn enter(&mut self, tree: &mut Tree, by_alias: u8, object: ObjectId, numbers: &Numbers) {
        self.path.clear();
        self.labels.write(tree, by_alias, object, numbers, &mut self.path);
        self.row = (self.path.len(), self.path.chars().count());
    }

    /// The name that lies in the row, given with its numbers, of which the row's path has `base` bytes. A
    /// name that would be too long for TR-069 keeps its numbers.
    fn name<'a>(&'a mut self, numbered: &'a str, base: usize) -> &'a str {
        let tail = numbered.get(base..).unwrap_or("");
        let (bytes, characters) = self.row;
        if characters + tail.len() > MAX_PATH {
            return numbered;
        }
        self.path.truncate(bytes);
        self.path.push_str(tail);
        &self.path
    }
}

impl Selection {
    /// Sets how instances are named in the items.
    pub fn named(mut self, naming: Naming) -> Selection {
        self.naming = naming;
        self
    }

    /// At which `{i}` the names of a part have an Alias, a bit for each.
    fn by_alias(&self, part: &Part) -> u8 {
        match self.naming {
            Naming::Numbers => 0,
            Naming::AsAsked => part.aliased,
            Naming::Aliases => part.aliased | !part.named,
        }
    }

    /// Whether the items of the present part are told otherwise than the walk knows them.
    pub(super) fn is_renamed(&self) -> bool {
        match self.naming {
            Naming::Numbers => false,
            Naming::AsAsked => self.parts.get(self.at).is_some_and(|p| p.aliased != 0),
            Naming::Aliases => true,
        }
    }

    /// Yields the items of one place of the walk under the names that they are told by.
    pub(super) fn yield_renamed(
        &mut self,
        tree: &mut Tree,
        node: Node,
        plan: &Rc<Plan>,
        out: &mut dyn FnMut(Item<'_>),
    ) {
        let Some(part) = self.parts.get(self.at).copied() else {
            return;
        };
        let by_alias = self.by_alias(&part);
        let (shown, cursor) = (&mut self.shown, &mut self.cursor);
        let (Node::Table(object) | Node::Row(object)) = node;
        shown.enter(tree, by_alias, object, &cursor.place.numbers);
        let base = cursor.path.len();
        match self.what {
            What::Values if self.naming == Naming::Aliases && refers(tree, plan) => {
                shown.values.clear();
                shown.ends.clear();
                let (values, ends) = (&mut shown.values, &mut shown.ends);
                tree.read_row(plan, &cursor.place, &mut cursor.path, &mut |item| {
                    if let Item::Value { xsi_type, value, .. } = item {
                        values.push_str(value);
                        ends.push((values.len(), xsi_type));
                    }
                });
                yield_values(tree, shown, plan, &mut cursor.path, out);
            }
            What::Values => {
                tree.read_row(plan, &cursor.place, &mut cursor.path, &mut |item| {
                    if let Item::Value { path, xsi_type, value } = item {
                        out(Item::Value { path: shown.name(path, base), xsi_type, value });
                    }
                });
            }
            What::Attributes => {
                tree.row_attributes(plan, &mut cursor.path, &mut |item| {
                    if let Item::Attributes { path, notification, subscriber } = item {
                        out(Item::Attributes { path: shown.name(path, base), notification, subscriber });
                    }
                });
            }
            What::Names | What::NextLevel | What::Root => {
                let below = self.what == What::NextLevel && !part.table;
                let single = cursor.plan.is_some();
                let mut out = |item: Item<'_>| {
                    if let Item::Name { path, writable } = item {
                        out(Item::Name { path: shown.name(path, base), writable });
                    }
                };
                row_names(tree, node, plan, single, below, self.what, &mut cursor.path, &mut out);
            }
        }
    }
}

/// Whether one of the parameters is a path reference.
fn refers(tree: &Tree, plan: &Plan) -> bool {
    plan.cells.iter().any(|cell| tree.is_reference(cell.param))
}

/// Yields the values of a row that was read, with the aliases of the rows that they point to.
fn yield_values(
    tree: &mut Tree,
    shown: &mut Shown,
    plan: &Plan,
    path: &mut String,
    out: &mut dyn FnMut(Item<'_>),
) {
    let base = path.len();
    let mut from = 0;
    // A plan yields one value for each of its parameters, in their order.
    for (cell, at) in plan.cells.iter().zip(0..shown.ends.len()) {
        let Some((to, xsi_type)) = shown.ends.get(at).copied() else { break };
        // Out of the way of what borrows the rest; it comes back with its room.
        let values = std::mem::take(&mut shown.values);
        let mut reference = std::mem::take(&mut shown.reference);
        let mut value = values.get(from..to).unwrap_or("");
        if tree.is_reference(cell.param) && !value.is_empty() {
            reference.clear();
            tree.write_references(cell.param, value, &mut shown.referred, &mut reference);
            value = &reference;
        }
        path.push_str(tree.served.schema.param(cell.param).name());
        out(Item::Value { path: shown.name(path, base), xsi_type, value });
        path.truncate(base);
        (shown.values, shown.reference) = (values, reference);
        from = to;
    }
}

impl Tree {
    /// The value of a path reference with aliases in place of numbers, put into `out`; as it is where that
    /// would be too long for its type.
    fn write_references(&mut self, param: ParamId, value: &str, labels: &mut Labels, out: &mut String) {
        let mut one = String::new();
        for item in value.split(',') {
            if !out.is_empty() {
                out.push(',');
            }
            one.clear();
            if let Ok(target) = self.resolve(&format!("{item}."), false) {
                labels.write(self, u8::MAX, target.object, &target.numbers, &mut one);
                one.pop();
            }
            match one.is_empty() || one.chars().count() > MAX_PATH {
                true => out.push_str(item),
                false if self.served.schema.param(param).kind().row.list => {
                    out.push_str(&percent_encoded(&one))
                }
                false => out.push_str(&one),
            }
        }
        if self.served.schema.param(param).kind().judge(out).is_err() {
            out.clear();
            out.push_str(value);
        }
    }

    /// Renames parameters of which the ACS is told outside of an answer: paths and values, given with
    /// numbers (I-7).
    pub fn rename(&mut self, naming: Naming, parameters: &mut [(String, &'static str, String)]) {
        if naming != Naming::Aliases {
            return;
        }
        let (mut labels, mut referred) = (Labels::default(), Labels::default());
        for (path, _, value) in parameters {
            let Ok(target) = self.resolve(path, false) else { continue };
            let Some(param) = target.param else { continue };
            let mut name = String::with_capacity(path.len() + 16);
            labels.write(self, u8::MAX, target.object, &target.numbers, &mut name);
            name.push_str(self.served.schema.param(param).name());
            if name.chars().count() <= MAX_PATH {
                *path = name;
            }
            if self.is_reference(param) && !value.is_empty() {
                let mut told = String::new();
                self.write_references(param, value, &mut referred, &mut told);
                *value = told;
            }
        }
    }
}
