//! A long answer on its way: rendered in pieces when the wire pulls them, so that a tree of any size
//! costs kilobytes. The first 64 KiB are held back: an answer that fits in them is sent with its length.

use crate::cwmp::session::LongAnswer;
use crate::model::tree::Tree;
use crate::soap::writer;

/// What is held back before an answer becomes a stream.
pub const HELD_BACK: usize = 64 * 1024;
/// How much is rendered for one pull.
pub const PIECE: usize = 16 * 1024;

/// An answer being rendered.
pub struct Rendering {
    answer: LongAnswer,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Items,
    Finished,
}

/// The first bytes of an answer.
pub enum First {
    /// All of it.
    Whole(Vec<u8>),
    /// More follows.
    Begun(Vec<u8>),
}

impl Rendering {
    /// An answer of which nothing was rendered yet.
    pub fn new(answer: LongAnswer) -> Rendering {
        Rendering { answer, part: Part::Head }
    }

    /// Renders from the first byte, whatever was rendered before.
    pub fn first(&mut self, tree: &mut Tree) -> First {
        self.answer.selection.rewind();
        self.part = Part::Head;
        let mut out = Vec::with_capacity(4096);
        self.fill(tree, &mut out, PIECE);
        if self.part != Part::Finished {
            // Room for the rest and a row too many, at once: doubling would end at 128 KiB.
            out.reserve_exact(HELD_BACK + PIECE - out.len().min(HELD_BACK));
            self.fill(tree, &mut out, HELD_BACK);
        }
        match self.part {
            Part::Finished => First::Whole(out),
            _ => First::Begun(out),
        }
    }

    /// The next piece; `None` when there is none.
    pub fn piece(&mut self, tree: &mut Tree) -> Option<Vec<u8>> {
        if self.part == Part::Finished {
            return None;
        }
        let mut out = Vec::with_capacity(PIECE + 4096);
        self.fill(tree, &mut out, PIECE);
        Some(out)
    }

    /// Whether every value was read. What is sent again after that is read anew, as a whole.
    pub fn is_finished(&self) -> bool {
        self.part == Part::Finished
    }

    fn fill(&mut self, tree: &mut Tree, out: &mut Vec<u8>, enough: usize) {
        if self.part == Part::Head {
            out.extend_from_slice(&self.answer.head);
            self.part = Part::Items;
        }
        while out.len() < enough {
            if !tree.next(&mut self.answer.selection, &mut |item| writer::item(out, item)) {
                out.extend_from_slice(&self.answer.tail);
                self.part = Part::Finished;
                return;
            }
        }
    }
}
