//! The walk over a selection: depth first, one row at a time, with one buffer for the path.

use super::fault::{Code, Fault};
use super::index::Place;
use super::resolve::Target;
use super::rows::Plan;
use super::schema::{ObjectId, ParamId};
use super::served::{MAX_DEPTH, Numbers};
use super::tree::{Item, Tree};
use crate::sys::sorted::SortedMap;
use shown::{Naming, Shown};
use std::cell::Cell;
use std::rc::Rc;
use walk::{Cursor, Node};

pub mod shown;
mod walk;

/// The most names in one request; beyond it 9004 (R-GEN-3).
pub const MAX_NAMES: usize = 16_384;
/// The most entries of one answer; beyond it 9004 (R-GPV-11).
pub const MAX_ITEMS: usize = 16 << 20;

/// What is asked of the rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Values,
    /// Names, the whole sub-tree.
    Names,
    /// Names, one level below only.
    NextLevel,
    /// The name of the root alone: the next level of the empty path (R-GPN-2).
    Root,
    Attributes,
}

/// A description of an answer: what to walk, how many entries it has, how far the walk is. Owned
/// (it borrows nothing), so that it can wait while the socket is slow. Names are answered in the
/// order and as often as they were asked; one partial path gives nothing twice.
pub struct Selection {
    /// How many items it yields: known before the first is rendered (arrayType).
    pub count: usize,
    yielded: usize,
    what: What,
    parts: Vec<Part>,
    /// Parameters and instance numbers of the parts, end to end.
    params: Vec<ParamId>,
    numbers: Vec<u32>,
    /// Aliases that the walk looks for behind wildcards, of all parts.
    sought: Vec<(u8, String)>,
    /// How instances are named in the items.
    naming: Naming,
    shown: Shown,
    /// The part that is walked.
    at: usize,
    cursor: Cursor,
    pins: Rc<Pins>,
    pinned: bool,
}

/// Which answers are under way. The lists they walk over are not read anew until they have ended, so
/// that an answer has as many items as were announced.
#[derive(Default)]
pub(super) struct Pins {
    count: Cell<u32>,
    /// The RPC in which the oldest of them began.
    since: Cell<u32>,
    /// The present one.
    epoch: Cell<u32>,
}

impl Pins {
    /// Whether an answer is under way.
    pub fn any(&self) -> bool {
        self.count.get() > 0
    }

    /// Whether an answer may rest on a list that was last touched in this RPC.
    pub fn hold(&self, touched: u32) -> bool {
        self.any() && touched >= self.since.get()
    }

    /// A new RPC begins.
    pub fn new_epoch(&self, epoch: u32) {
        self.epoch.set(epoch);
    }
}

/// What a name of many rows is known by when it comes again.
type Many = (ObjectId, bool, Option<ParamId>, Numbers, Vec<(u8, String)>);

/// One name of the request; adjoining names of one row are one part.
#[derive(Clone, Copy)]
struct Part {
    object: ObjectId,
    table: bool,
    wild: bool,
    /// First, and one past the last parameter; none for all below the object.
    params: (u32, u32),
    /// Where its numbers begin.
    numbers: u32,
    /// Its aliases behind a wildcard.
    sought: (u32, u32),
    /// See [`Target`].
    named: u8,
    aliased: u8,
}

impl Default for Selection {
    /// A selection of nothing.
    fn default() -> Selection {
        Selection::new(What::Values, Rc::default())
    }
}

impl Drop for Selection {
    fn drop(&mut self) {
        self.unpin();
    }
}

impl Selection {
    /// Starts again from the first item (a challenge or a dead connection).
    pub fn rewind(&mut self) {
        self.at = 0;
        self.yielded = 0;
        self.cursor.begun = false;
        self.shown.clear();
        self.pin();
    }

    fn pin(&mut self) {
        if !self.pinned {
            self.pinned = true;
            if !self.pins.any() {
                self.pins.since.set(self.pins.epoch.get());
            }
            self.pins.count.set(self.pins.count.get() + 1);
        }
    }

    fn unpin(&mut self) {
        if self.pinned {
            self.pinned = false;
            self.pins.count.set(self.pins.count.get().saturating_sub(1));
        }
    }

    pub(super) fn new(what: What, pins: Rc<Pins>) -> Selection {
        Selection {
            count: 0,
            yielded: 0,
            what,
            parts: Vec::new(),
            params: Vec::new(),
            numbers: Vec::new(),
            sought: Vec::new(),
            naming: Naming::default(),
            shown: Shown::default(),
            at: 0,
            cursor: Cursor::default(),
            pins,
            pinned: false,
        }
    }

    /// Adds what one name of the request means.
    pub(super) fn push(&mut self, target: &Target, tables: usize) {
        let known = target.numbers.get(..tables).unwrap_or(&[]);
        if let (Some(param), Some(part)) = (target.param, self.parts.last_mut()) {
            let same = part.object == target.object
                && part.params.0 < part.params.1
                && !(part.wild || target.wild)
                && part.aliased == target.aliased
                && self.numbers.get(part.numbers as usize..) == Some(known);
            if same {
                self.params.push(param);
                part.params.1 += 1;
                return;
            }
        }
        let from = self.params.len() as u32;
        self.params.extend(target.param);
        let sought = self.sought.len() as u32;
        self.sought.extend(target.sought.iter().cloned());
        let part = Part {
            object: target.object,
            table: target.table,
            wild: target.wild,
            params: (from, self.params.len() as u32),
            numbers: self.numbers.len() as u32,
            sought: (sought, self.sought.len() as u32),
            named: target.named,
            aliased: target.aliased,
        };
        self.numbers.extend_from_slice(known);
        self.parts.push(part);
    }

    /// Goes to the next place of the walk; `None` at the end of the last part.
    fn advance(&mut self, tree: &mut Tree) -> Option<Node> {
        while let Some(part) = self.parts.get(self.at).copied() {
            if let Some(node) = self.advance_in(tree, part) {
                return Some(node);
            }
            self.next_part();
        }
        None
    }

    /// Goes to the next place of the present part.
    fn advance_in(&mut self, tree: &mut Tree, part: Part) -> Option<Node> {
        if !self.cursor.begun {
            self.begin(tree, part);
        }
        let single = part.params.0 < part.params.1;
        let shallow = single || self.what == What::NextLevel;
        self.cursor.advance(tree, part.object, part.table, shallow)
    }

    fn next_part(&mut self) {
        self.at += 1;
        self.cursor.begun = false;
    }

    fn begin(&mut self, tree: &Tree, part: Part) {
        let cursor = &mut self.cursor;
        cursor.restart();
        let mut at = Some(tree.served.schema.object(part.object));
        while let Some(object) = at {
            cursor.chain.push(object.id);
            at = object.parent();
        }
        cursor.chain.reverse();
        cursor.wanted = [0; MAX_DEPTH];
        let numbers = self.numbers.get(part.numbers as usize..).unwrap_or(&[]);
        let tables = tree.served.tables(part.object).len();
        for (wanted, number) in cursor.wanted.iter_mut().zip(numbers.iter().take(tables)) {
            *wanted = *number;
        }
        cursor.sought.extend_from_slice(sought(&self.sought, &part));
        let params = self.params.get(part.params.0 as usize..part.params.1 as usize).unwrap_or(&[]);
        cursor.plan = (!params.is_empty()).then(|| Rc::new(tree.plan_for(part.object, params, false)));
    }

    /// How many items a place of the walk yields.
    fn weight(&self, tree: &mut Tree, node: Node) -> usize {
        let part = self.parts.get(self.at);
        let cells = |tree: &mut Tree, object| match &self.cursor.plan {
            Some(plan) => plan.cells.len(),
            None => tree.plan(object).cells.len(),
        };
        match (self.what, node) {
            (What::Root, _) => 0,
            (What::Values | What::Attributes, Node::Table(_)) => 0,
            (What::Values | What::Attributes, Node::Row(object)) => cells(tree, object),
            (What::Names, Node::Table(_)) => 1,
            (What::Names, Node::Row(object)) => cells(tree, object) + usize::from(self.cursor.plan.is_none()),
            (What::NextLevel, Node::Table(_)) => 0,
            (What::NextLevel, Node::Row(_)) if part.is_some_and(|p| p.table) => 1,
            (What::NextLevel, Node::Row(object)) => {
                let served = &tree.served;
                let children = served.schema.object(object).children().filter(|c| served.has(c.id)).count();
                children + cells(tree, object)
            }
        }
    }

    /// Counts the items, and is at the start again.
    pub(super) fn count(mut self, tree: &mut Tree) -> Result<Selection, Fault> {
        let too_many = |what: &str| {
            let why = format!("more than {MAX_ITEMS} {what}");
            Err(Fault::new(Code::RESOURCES_EXCEEDED, why))
        };
        let (mut count, mut walked) = (0, 0);
        // A path of many rows that is named again has as many entries again, and is not walked for it.
        let mut known: SortedMap<Many, usize> = SortedMap::new();
        while let Some(part) = self.parts.get(self.at).copied() {
            // A part with wildcards names one parameter at most.
            let param =
                (part.params.0 < part.params.1).then(|| self.params.get(part.params.0 as usize).copied());
            let many = param.is_none() || part.wild;
            let tables = tree.served.tables(part.object).len();
            let mut numbers: Numbers = [0; _];
            for (to, from) in
                numbers.iter_mut().zip(self.numbers.iter().skip(part.numbers as usize)).take(tables)
            {
                *to = *from;
            }
            let key =
                (part.object, part.table, param.flatten(), numbers, sought(&self.sought, &part).to_vec());
            if let Some(again) = known.get(&key).filter(|_| many) {
                count += again;
                if count > MAX_ITEMS {
                    return too_many("entries");
                }
                self.next_part();
                continue;
            }
            let before = count;
            while let Some(node) = self.advance_in(tree, part) {
                count += self.weight(tree, node);
                walked += 1;
                if count > MAX_ITEMS {
                    return too_many("entries");
                }
                if walked > MAX_ITEMS || tree.index.is_overgrown() {
                    return too_many("rows");
                }
            }
            if tree.aliases.looked > MAX_ITEMS {
                return too_many("rows");
            }
            if many {
                known.insert(key, count - before);
            }
            self.next_part();
        }
        self.count = if self.what == What::Root { 1 } else { count };
        self.rewind();
        tree.flush_numbers();
        Ok(self)
    }

    /// The next row, how it is read, and its place: for those who do not want items.
    pub(super) fn next_row(&mut self, tree: &mut Tree) -> Option<(ObjectId, Rc<Plan>, Place)> {
        loop {
            let Some(node) = self.advance(tree) else {
                self.unpin();
                return None;
            };
            if let Node::Row(object) = node {
                let plan = self.cursor.plan.clone().unwrap_or_else(|| tree.plan(object));
                return Some((object, plan, self.cursor.place));
            }
        }
    }

    pub(super) fn next(&mut self, tree: &mut Tree, out: &mut dyn FnMut(Item<'_>)) -> bool {
        if self.yielded >= self.count {
            self.unpin();
            return false;
        }
        if self.what == What::Root {
            self.yielded += 1;
            out(Item::Name { path: "Device.", writable: false });
            return true;
        }
        let node = loop {
            let Some(node) = self.advance(tree) else {
                self.unpin();
                return false;
            };
            if self.weight(tree, node) > 0 {
                break node;
            }
        };
        let (Node::Table(object) | Node::Row(object)) = node;
        let plan = self.cursor.plan.clone().unwrap_or_else(|| tree.plan(object));
        let (mut yielded, count) = (self.yielded, self.count);
        let mut out = |item: Item<'_>| {
            // Never more than was announced, whatever happened to the tree meanwhile.
            if yielded < count {
                yielded += 1;
                out(item);
            }
        };
        match self.is_renamed() {
            true => self.yield_renamed(tree, node, &plan, &mut out),
            false => self.yield_row(tree, node, &plan, &mut out),
        }
        self.yielded = yielded;
        true
    }

    /// Yields the items of one place of the walk.
    fn yield_row(&mut self, tree: &mut Tree, node: Node, plan: &Rc<Plan>, out: &mut dyn FnMut(Item<'_>)) {
        let cursor = &mut self.cursor;
        match self.what {
            What::Values => {
                tree.read_row(plan, &cursor.place, &mut cursor.path, out);
            }
            What::Attributes => tree.row_attributes(plan, &mut cursor.path, out),
            What::Names | What::NextLevel | What::Root => {
                let part = self.parts.get(self.at);
                let below = self.what == What::NextLevel && !part.is_some_and(|p| p.table);
                let single = cursor.plan.is_some();
                row_names(tree, node, plan, single, below, self.what, &mut cursor.path, out);
            }
        }
    }
}

/// The aliases of a part behind a wildcard.
fn sought<'a>(all: &'a [(u8, String)], part: &Part) -> &'a [(u8, String)] {
    all.get(part.sought.0 as usize..part.sought.1 as usize).unwrap_or(&[])
}

/// The names of one place: its own path, its parameters, and with `below` its objects one level down.
#[allow(clippy::too_many_arguments)] // a walk's state, taken apart for the borrow checker
fn row_names(
    tree: &Tree,
    node: Node,
    plan: &Plan,
    single: bool,
    below: bool,
    what: What,
    path: &mut String,
    out: &mut dyn FnMut(Item<'_>),
) {
    let served = &tree.served;
    let (Node::Table(object) | Node::Row(object)) = node;
    if !single && !below {
        out(Item::Name { path, writable: served.is_creatable(object) });
    }
    if matches!(node, Node::Table(_)) || (what == What::NextLevel && !below) {
        return;
    }
    let base = path.len();
    for cell in &plan.cells {
        let param = served.schema.param(cell.param);
        path.push_str(param.name());
        out(Item::Name { path, writable: param.is_writable(served.platform) });
        path.truncate(base);
    }
    if below {
        for child in served.schema.object(object).children().filter(|c| served.has(c.id)) {
            path.push_str(child.name());
            path.push('.');
            out(Item::Name { path, writable: served.is_creatable(child.id) });
            path.truncate(base);
        }
    }
}
