//! What has to ring so that the active watches learn of changes (N-3): asked of the handlers, row by row.

use super::handler::{Bell, Ctx, Row, Want};
use super::index::Place;
use super::schema::{ObjectId, ParamId, Source, SourceKind};
use super::served::{MAX_DEPTH, Numbers};
use super::sweep::Walk;
use super::tree::Tree;
use crate::sys::host;
use crate::sys::sorted::SortedSet;
use crate::sys::watch::MAX_FILES;

/// What is to be listened to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bells {
    /// Bits of [`crate::sys::netlink::events::topic`].
    pub kernel: u8,
    /// Bits of [`crate::sys::ubus::listener::topic`].
    pub ubus: u8,
    /// Paths below the root; a folder with all its names ends with a slash.
    pub files: SortedSet<String>,
    /// Something is watched of which nobody tells: it must be compared now and then.
    pub sweep: bool,
}

impl Bells {
    fn add(&mut self, bell: Bell, live: bool) {
        match bell {
            Bell::Kernel(0) => {}
            Bell::Kernel(topics) if live => self.kernel |= topics,
            Bell::Ubus(topics) => self.ubus |= topics,
            Bell::File(path) if self.files.len() < MAX_FILES || self.files.contains(&path) => {
                self.files.insert(path);
            }
            // The kernel tells of the host, and there is a bound on files.
            Bell::Kernel(_) | Bell::File(_) | Bell::None | Bell::Dear => self.sweep = true,
        }
    }
}

impl Tree {
    /// The bells of everything that is actively watched.
    pub fn bells(&mut self) -> Bells {
        let live = host::is_live(&self.root);
        let (mut bells, mut walk) = (Bells::default(), Walk::default());
        self.each_watched(2, &mut walk, &mut |tree, walk, object, numbers| {
            let ring = &mut |bell| bells.add(bell, live);
            let place = tree.bells_of_tables(object, numbers, ring);
            for watched in place.iter().flat_map(|_| &walk.watched) {
                // There is a place: the loop above has it.
                tree.bells_of(object, &place.unwrap_or_default(), watched.param, ring);
            }
            true
        });
        self.flush_numbers();
        bells
    }

    /// Whether nobody tells of a change of a parameter and looking for it is dear.
    pub(super) fn is_dear(&self, object: ObjectId, place: &Place, param: ParamId) -> bool {
        let mut dear = false;
        self.bells_of(object, place, param, &mut |bell| dear |= bell == Bell::Dear);
        dear
    }

    /// The bells of a parameter of a row. What only the agent itself changes has none.
    fn bells_of(&self, object: ObjectId, place: &Place, param: ParamId, ring: &mut dyn FnMut(Bell)) {
        let row = self.served.schema.param(param);
        match self.served.source(param) {
            Some(source) if source.kind == SourceKind::Entries => {
                let table = row.counts().map(|t| t.id);
                if let Some((table, source)) = table.and_then(|t| Some((t, self.served.object_source(t)?))) {
                    self.ask_bells(table, place, source, None, ring);
                }
            }
            Some(source) => self.ask_bells(object, place, source, Some(param), ring),
            None => {}
        }
    }

    /// The bells of the tables that a row lies in: they tell when it comes and goes. Its place, if it is
    /// there.
    fn bells_of_tables(
        &mut self,
        object: ObjectId,
        numbers: &Numbers,
        ring: &mut dyn FnMut(Bell),
    ) -> Option<Place> {
        let tables = self.served.tables(object);
        let mut above = Place::default();
        for (depth, table) in tables.iter().enumerate() {
            if let Some(source) = self.served.object_source(*table) {
                self.ask_bells(*table, &above, source, None, ring);
            }
            let mut known: Numbers = [0; _];
            for (to, from) in known.iter_mut().zip(numbers).take(depth + 1) {
                *to = *from;
            }
            above = self.locate(*table, &known)?;
        }
        Some(above)
    }

    /// Asks the handler of a source, if it has one.
    fn ask_bells(
        &self,
        object: ObjectId,
        place: &Place,
        source: Source<'_>,
        param: Option<ParamId>,
        ring: &mut dyn FnMut(Bell),
    ) {
        let Some(index) = self.served.handler(source) else { return };
        let Some(handler) = self.handlers.get(index as usize) else { return };
        let mut names = [""; MAX_DEPTH];
        self.index.keys(place, &mut names);
        let row = Row {
            object: self.served.schema.object(object),
            arg: self.served.row_arg(object, index, source.arg),
            keys: names.get(..place.depth).unwrap_or(&[]),
            numbers: place.numbers(),
        };
        let want = param.map(|p| Want { param: self.served.schema.param(p), arg: source.arg });
        handler.bells(&Ctx { epoch: self.epoch, root: &self.root }, &row, want.as_ref(), ring);
    }
}
