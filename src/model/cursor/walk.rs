//! The walk itself: from place to place of the tree, depth first, with the path of each.

use crate::model::index::Place;
use crate::model::rows::Plan;
use crate::model::schema::ObjectId;
use crate::model::served::Numbers;
use crate::model::tree::Tree;
use std::rc::Rc;

/// Where the walk is.
#[derive(Default)]
pub(super) struct Cursor {
    pub begun: bool,
    frames: Vec<Frame>,
    /// From the root to the object of the part.
    pub chain: Vec<ObjectId>,
    /// The instance wanted of each table on the chain, 0 for all.
    pub wanted: Numbers,
    /// The Alias wanted of it instead.
    pub sought: Vec<(u8, String)>,
    pub place: Place,
    pub path: String,
    /// How rows are read when the part names parameters.
    pub plan: Option<Rc<Plan>>,
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
pub(super) enum Node {
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

impl Cursor {
    /// Stands in front of the root, and wants nothing.
    pub fn restart(&mut self) {
        self.frames.clear();
        self.chain.clear();
        self.sought.clear();
        self.path.clear();
        self.place = Place::default();
    }

    /// Goes to the next place in or below `goal`; `None` when there is none left.
    pub fn advance(&mut self, tree: &mut Tree, goal: ObjectId, table: bool, shallow: bool) -> Option<Node> {
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
    fn instance(&mut self, tree: &mut Tree, goal: ObjectId) -> Option<ObjectId> {
        use std::fmt::Write as _;
        let frame = self.frames.last_mut()?;
        // Tables below the goal have no wish of their own.
        let mut wanted = if frame.object <= goal { self.wanted.get(frame.depth).copied()? } else { 0 };
        if !self.sought.is_empty()
            && frame.object <= goal
            && let Some((_, alias)) = self.sought.iter().find(|s| usize::from(s.0) == frame.depth)
        {
            if frame.begun {
                return None;
            }
            wanted = tree.find_alias(frame.object, self.place.numbers, alias)?;
        }
        let list = tree.index.list(frame.slot)?;
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
