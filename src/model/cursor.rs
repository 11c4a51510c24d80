//! The walk over a selection: depth first, one row at a time, with one buffer for the path.

use super::fault::{Code, Fault};
use super::index::Place;
use super::resolve::Target;
use super::rows::Plan;
use super::schema::{ObjectId, ParamId};
use super::served::{MAX_DEPTH, Numbers};
use super::tree::{Item, Tree};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

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
}

/// Where the walk is.
#[derive(Default)]
struct Cursor {
    begun: bool,
    frames: Vec<Frame>,
    /// From the root to the object of the part.
    chain: Vec<ObjectId>,
    /// The instance wanted of each table on the chain, 0 for all.
    wanted: Numbers,
    place: Place,
    path: String,
    /// How rows are read when the part names parameters.
    plan: Option<Rc<Plan>>,
}

/// An object that the walk is in.
struct Frame {
    object: ObjectId,
    table: bool,
    begun: bool,
    slot: u32,
    pos: u32,
    /// Length of the path in front of the object's name, and behind it.
    path: (u32, u32),
    /// How many `{i}` lie above.
    depth: usize,
}

/// What the walk came to.
#[derive(Clone, Copy)]
enum Node {
    /// A table, in front of its instances.
    Table(ObjectId),
    /// An instance, or an object that is no table.
    Row(ObjectId),
}

enum Step {
    Enter(ObjectId),
    Instance,
    Below,
    Up,
    Leave,
    Skip(ObjectId),
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
                && self.numbers.get(part.numbers as usize..) == Some(known);
            if same {
                self.params.push(param);
                part.params.1 += 1;
                return;
            }
        }
        let from = self.params.len() as u32;
        self.params.extend(target.param);
        let part = Part {
            object: target.object,
            table: target.table,
            wild: target.wild,
            params: (from, self.params.len() as u32),
            numbers: self.numbers.len() as u32,
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
        cursor.frames.clear();
        cursor.path.clear();
        cursor.place = Place::default();
        cursor.chain.clear();
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
        let mut known: BTreeMap<(ObjectId, bool, Option<ParamId>, Numbers), usize> = BTreeMap::new();
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
            let key = (part.object, part.table, param.flatten(), numbers);
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
        let yielded = &mut self.yielded;
        let count = self.count;
        let mut out = |item: Item<'_>| {
            // Never more than was announced, whatever happened to the tree meanwhile.
            if *yielded < count {
                *yielded += 1;
                out(item);
            }
        };
        let cursor = &mut self.cursor;
        let (Node::Table(object) | Node::Row(object)) = node;
        let plan = cursor.plan.clone().unwrap_or_else(|| tree.plan(object));
        match self.what {
            What::Values => {
                tree.read_row(&plan, &cursor.place, &mut cursor.path, &mut out);
            }
            What::Attributes => tree.row_attributes(&plan, &mut cursor.path, &mut out),
            What::Names | What::NextLevel | What::Root => {
                let part = self.parts.get(self.at);
                let below = self.what == What::NextLevel && !part.is_some_and(|p| p.table);
                row_names(
                    tree,
                    node,
                    &plan,
                    cursor.plan.is_some(),
                    below,
                    self.what,
                    &mut cursor.path,
                    &mut out,
                );
            }
        }
        true
    }
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

impl Cursor {
    fn advance(&mut self, tree: &mut Tree, goal: ObjectId, table: bool, shallow: bool) -> Option<Node> {
        let end = tree.served.schema.object(goal).row().end;
        let inside = |object: ObjectId| object >= goal && object < end;
        let mut step = match self.frames.last() {
            None if self.begun => return None,
            None => Step::Enter(0),
            Some(frame) if frame.table && !frame.begun => Step::Instance,
            Some(_) => Step::Below,
        };
        self.begun = true;
        loop {
            step = match step {
                Step::Enter(id) if !tree.served.has(id) => Step::Skip(id),
                Step::Enter(id) => {
                    let object = tree.served.schema.object(id);
                    let is_table = object.is_table();
                    let before = self.path.len() as u32;
                    self.path.push_str(object.name());
                    self.path.push('.');
                    let slot = if is_table { tree.list(id, self.place.numbers) } else { 0 };
                    self.frames.push(Frame {
                        object: id,
                        table: is_table,
                        begun: false,
                        slot,
                        pos: 0,
                        path: (before, self.path.len() as u32),
                        depth: self.place.depth,
                    });
                    match (is_table, inside(id)) {
                        (true, true) if id != goal || table => return Some(Node::Table(id)),
                        (true, _) => Step::Instance,
                        (false, true) => return Some(Node::Row(id)),
                        (false, false) => Step::Below,
                    }
                }
                Step::Instance => match self.instance(tree, goal) {
                    Some(object) if inside(object) => return Some(Node::Row(object)),
                    Some(_) => Step::Below,
                    None => Step::Leave,
                },
                Step::Below => {
                    let object = self.frames.last()?.object;
                    let chain = self.chain.get(self.frames.len()).copied();
                    match chain {
                        Some(next) if !inside(object) => Step::Enter(next),
                        _ if shallow => Step::Up,
                        _ if object + 1 < tree.served.schema.object(object).row().end => {
                            Step::Enter(object + 1)
                        }
                        _ => Step::Up,
                    }
                }
                Step::Up if self.frames.last()?.table => Step::Instance,
                Step::Up => Step::Leave,
                Step::Leave => {
                    let frame = self.frames.pop()?;
                    self.path.truncate(frame.path.0 as usize);
                    self.shorten(frame.depth);
                    match inside(frame.object) && frame.object != goal {
                        true => Step::Skip(frame.object),
                        // The chain to the goal has no branches.
                        false if self.frames.is_empty() => return None,
                        false => Step::Up,
                    }
                }
                Step::Skip(id) => {
                    let parent = self.frames.last()?.object;
                    let next = tree.served.schema.object(id).row().end;
                    match inside(id) && id != goal && next < tree.served.schema.object(parent).row().end {
                        true => Step::Enter(next),
                        false => Step::Up,
                    }
                }
            };
        }
    }

    /// Goes to the next wanted instance of the table on top; the object, or `None` when there is none.
    fn instance(&mut self, tree: &Tree, goal: ObjectId) -> Option<ObjectId> {
        use std::fmt::Write as _;
        let frame = self.frames.last_mut()?;
        let list = tree.index.list(frame.slot)?;
        // Tables below the goal have no wish of their own.
        let wanted = if frame.object <= goal { self.wanted.get(frame.depth).copied()? } else { 0 };
        let pos = match (wanted, frame.begun) {
            (0, false) => 0,
            (0, true) => frame.pos + 1,
            (number, false) => list.find(number)? as u32,
            (_, true) => return None,
        };
        let number = list.number(pos as usize)?;
        (frame.begun, frame.pos) = (true, pos);
        self.path.truncate(frame.path.1 as usize);
        // Writing to a String cannot fail.
        let _ = write!(self.path, "{number}.");
        let (object, slot, depth) = (frame.object, frame.slot, frame.depth);
        self.shorten(depth);
        *self.place.numbers.get_mut(depth)? = number;
        *self.place.at.get_mut(depth)? = (slot, pos);
        self.place.depth = depth + 1;
        Some(object)
    }

    fn shorten(&mut self, depth: usize) {
        self.place.depth = depth;
        for number in self.place.numbers.iter_mut().skip(depth) {
            *number = 0;
        }
    }
}
