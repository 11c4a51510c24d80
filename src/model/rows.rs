//! How one row is read: its parameters grouped by handler, one question to each, and every text made
//! to fit its type.
//!
//! A plan says for each parameter of an object where its value comes from; it is made once, so that
//! reading a row looks nothing up by name. Buffers are kept from row to row.

use super::handler::{Ctx, Fields, Row, Want};
use super::index::Place;
use super::schema::{ObjectId, ParamId, SourceKind, flag};
use super::served::{MAX_DEPTH, Numbers, is_handled};
use super::tree::{Item, Tree};
use std::rc::Rc;

/// The most text that one handler may give for one row, in bytes; beyond it the row reads neutral.
pub(super) const MAX_ROW: usize = 1 << 20;

/// Where the value of a parameter comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// Hidden: the empty string.
    Empty,
    /// A command, or a source that nobody serves.
    Neutral,
    Const,
    Store,
    /// The number of instances of this table.
    Entries(ObjectId),
    Alias,
    /// Group, and index in it.
    Field(u16, u16),
}

/// One parameter of a plan.
#[derive(Clone, Copy)]
pub struct Cell {
    /// The parameter.
    pub param: ParamId,
    origin: Origin,
}

struct Group {
    handler: u16,
    wants: Vec<ParamId>,
}

/// How the rows of an object are read.
pub struct Plan {
    object: ObjectId,
    /// The parameters in the order of the answer.
    pub cells: Vec<Cell>,
    groups: Vec<Group>,
}

impl Plan {
    /// Whether it reads rows of this object.
    pub fn is_of(&self, object: ObjectId) -> bool {
        self.object == object
    }
}

/// Buffers that reading reuses.
#[derive(Default)]
pub struct Buffers {
    fields: Vec<Fields>,
    text: String,
    /// By object, the plan for all its parameters.
    plans: Vec<Option<Rc<Plan>>>,
    /// By handler, the RPC in which its failure was last logged.
    complained: Vec<u32>,
    /// The table last referred to: references of a table mostly point into one other.
    referred: Option<(String, ObjectId)>,
}

impl Tree {
    /// The plan for all parameters of an object.
    pub(super) fn plan(&mut self, object: ObjectId) -> Rc<Plan> {
        if let Some(Some(plan)) = self.buffers.plans.get(object as usize) {
            return plan.clone();
        }
        let params: Vec<ParamId> = self.served.params(object).map(|p| p.id).collect();
        let plan = Rc::new(self.plan_for(object, &params, false));
        if self.buffers.plans.len() <= object as usize {
            self.buffers.plans.resize(self.served.schema.objects.len(), None);
        }
        if let Some(place) = self.buffers.plans.get_mut(object as usize) {
            *place = Some(plan.clone());
        }
        plan
    }

    /// A plan for some parameters of an object; with `reveal`, hidden ones are read too.
    pub(super) fn plan_for(&self, object: ObjectId, params: &[ParamId], reveal: bool) -> Plan {
        let mut groups: Vec<Group> = Vec::new();
        let cells = params
            .iter()
            .map(|id| {
                let param = self.served.schema.param(*id);
                let source = self.served.source(*id);
                let origin = match source {
                    _ if param.has(flag::HIDDEN) && !reveal => Origin::Empty,
                    _ if param.has(flag::COMMAND) => Origin::Neutral,
                    None => Origin::Neutral,
                    Some(source) => match source.kind {
                        SourceKind::Const => Origin::Const,
                        SourceKind::Store => Origin::Store,
                        SourceKind::Alias => Origin::Alias,
                        SourceKind::Entries => {
                            param.counts().map_or(Origin::Neutral, |t| Origin::Entries(t.id))
                        }
                        kind if is_handled(kind) => match self.served.handler(source) {
                            Some(handler) => {
                                let at =
                                    groups.iter().position(|g| g.handler == handler).unwrap_or_else(|| {
                                        groups.push(Group { handler, wants: Vec::new() });
                                        groups.len() - 1
                                    });
                                let wants = &mut groups[at].wants; // at: just found or pushed
                                wants.push(*id);
                                Origin::Field(at as u16, (wants.len() - 1) as u16)
                            }
                            None => Origin::Neutral,
                        },
                        _ => Origin::Neutral,
                    },
                };
                Cell { param: *id, origin }
            })
            .collect();
        Plan { object, cells, groups }
    }

    /// Reads a row and gives each of its values. `path` is the row's path with its final dot, and is
    /// so again afterwards. `false` when a source could not be read, and what it has reads neutral.
    pub(super) fn read_row(
        &mut self,
        plan: &Plan,
        place: &Place,
        path: &mut String,
        out: &mut dyn FnMut(Item<'_>),
    ) -> bool {
        let mut fields = std::mem::take(&mut self.buffers.fields);
        let mut text = std::mem::take(&mut self.buffers.text);
        if fields.len() < plan.groups.len() {
            fields.resize_with(plan.groups.len(), Fields::default);
        }
        let mut whole = true;
        for (group, fields) in plan.groups.iter().zip(&mut fields) {
            whole &= self.ask_row(plan.object, group, place, fields);
        }
        let base = path.len();
        self.watch.doubtful.clear();
        for cell in &plan.cells {
            text.clear();
            if let Origin::Field(group, index) = cell.origin
                && fields.get(group as usize).is_some_and(|fields| fields.is_doubtful(index as usize))
            {
                self.watch.doubtful.push(cell.param);
            }
            let value = self.value_of(cell, place, path, &fields, &mut text);
            let param = self.served.schema.param(cell.param);
            path.push_str(param.name());
            let kind = param.kind();
            let value = match value {
                Value::Text => text.as_str(),
                Value::Const => self.served.source(cell.param).map_or("", |s| s.arg),
                Value::Neutral => kind.neutral(),
                Value::Field(group, index) => {
                    let given = fields.get(group as usize).and_then(|f| f.get(index as usize));
                    out(Item::Value {
                        path,
                        xsi_type: kind.xsi_type(),
                        value: &kind.coerce(given.unwrap_or("")),
                    });
                    path.truncate(base);
                    continue;
                }
            };
            out(Item::Value { path, xsi_type: kind.xsi_type(), value });
            path.truncate(base);
        }
        self.buffers.fields = fields;
        self.buffers.text = text;
        whole
    }

    /// Asks one handler for its parameters of one row; `false` when it could not tell.
    fn ask_row(&mut self, object: ObjectId, group: &Group, place: &Place, fields: &mut Fields) -> bool {
        fields.reset(group.wants.len());
        let served = &self.served;
        let want: Vec<Want<'_>> = group
            .wants
            .iter()
            .map(|id| Want { param: served.schema.param(*id), arg: served.source(*id).map_or("", |s| s.arg) })
            .collect();
        let mut names = [""; MAX_DEPTH];
        self.index.keys(place, &mut names);
        let row = Row {
            object: served.schema.object(object),
            arg: served.row_arg(object, group.handler, want.first().map_or("", |w| w.arg)),
            keys: names.get(..place.depth).unwrap_or(&[]),
            numbers: place.numbers(),
        };
        let ctx = Ctx { epoch: self.epoch, root: &self.root };
        let Some(handler) = self.handlers.get_mut(group.handler as usize) else {
            return false;
        };
        let trouble = match handler.get(&ctx, &row, &want, fields) {
            Ok(()) if fields.len() > MAX_ROW => "more than 1 MiB for one row".to_owned(),
            Ok(()) => return true,
            Err(failure) => failure.text,
        };
        let complained = &mut self.buffers.complained;
        complained.resize(self.handlers.len().max(complained.len()), 0);
        // Once an RPC for each handler: a broken source under ten thousand rows is one line.
        if let Some(at) = complained.get_mut(group.handler as usize)
            && std::mem::replace(at, self.epoch) != self.epoch
        {
            log::warn!("{} cannot be read: {trouble}", row.object.path());
        }
        // The room that too much text took is not kept.
        *fields = Fields::default();
        fields.reset(group.wants.len());
        false
    }

    fn value_of(
        &mut self,
        cell: &Cell,
        place: &Place,
        path: &str,
        fields: &[Fields],
        text: &mut String,
    ) -> Value {
        use std::fmt::Write as _;
        // What was promised is read in place of what still is (R-SPV-10); never what is hidden.
        if !self.overlay.is_empty()
            && !matches!(cell.origin, Origin::Empty | Origin::Neutral)
            && let Some(value) = self.overlay.get(&(cell.param, place.numbers))
        {
            text.push_str(value);
            return Value::Text;
        }
        match cell.origin {
            Origin::Empty => Value::Text,
            Origin::Neutral => Value::Neutral,
            Origin::Const => Value::Const,
            Origin::Store => {
                let journal = self.journal.borrow();
                // The key is built where the value goes: it is not needed afterwards.
                let _ = write!(text, "v/{path}{}", self.served.schema.param(cell.param).name());
                let found = journal.text(text);
                text.clear();
                let kind = self.served.schema.param(cell.param).kind();
                // A newer program may have another type: what is no value of it is the default again.
                match found.map(|value| kind.judge(value)) {
                    Some(Ok(value)) => text.push_str(&value),
                    _ => return Value::Const,
                }
                Value::Text
            }
            Origin::Entries(table) => {
                let slot = self.list(table, place.numbers);
                let list = self.index.list(slot);
                if list.is_some_and(|l| l.is_doubtful()) {
                    self.watch.doubtful.push(cell.param);
                }
                let count = list.map_or(0, |l| l.len());
                let _ = write!(text, "{count}");
                Value::Text
            }
            Origin::Alias => {
                let _ = write!(text, "l/{path}");
                let journal = self.journal.borrow();
                let found = journal.text(text);
                text.clear();
                match found {
                    Some(alias) => text.push_str(alias),
                    None => drop(write!(text, "cpe-{}", place.numbers().last().copied().unwrap_or(0))),
                }
                Value::Text
            }
            Origin::Field(group, index) => {
                let Some(fields) = fields.get(group as usize) else {
                    return Value::Neutral;
                };
                if fields.get(index as usize).is_some() {
                    return Value::Field(group, index);
                }
                let Some(references) = fields.references(index as usize) else {
                    return Value::Neutral;
                };
                self.watch.missed = false;
                for (object, keys) in references {
                    let from = text.len();
                    if from > 0 {
                        text.push(',');
                    }
                    if !self.write_reference(object, &keys, text) {
                        text.truncate(from);
                    }
                }
                if self.watch.missed {
                    self.watch.doubtful.push(cell.param);
                }
                Value::Text
            }
        }
    }

    /// Puts the path of the row with these keys behind `out`, without its final dot; nothing and
    /// `false` when there is no such row.
    fn write_reference(&mut self, object: &str, keys: &[&str], out: &mut String) -> bool {
        let id = match &self.buffers.referred {
            Some((path, id)) if path == object => *id,
            _ => {
                let Some(found) = self.served.schema.find_object(object) else {
                    log::warn!("a handler refers to {object}, which is no object");
                    return false;
                };
                let id = found.id;
                self.buffers.referred = Some((object.to_owned(), id));
                id
            }
        };
        if !self.served.has(id) {
            return false;
        }
        let Some(place) = self.locate_keys(id, keys) else {
            return false;
        };
        self.served.write_path(id, place.numbers(), out);
        out.pop();
        true
    }

    /// Some values of one row, hidden ones as they are when `reveal`.
    pub(super) fn read(
        &mut self,
        object: ObjectId,
        place: &Place,
        params: &[ParamId],
        reveal: bool,
    ) -> Vec<String> {
        let plan = self.plan_for(object, params, reveal);
        let mut path = String::new();
        self.served.write_path(object, place.numbers(), &mut path);
        let mut values = Vec::with_capacity(params.len());
        self.read_row(&plan, place, &mut path, &mut |item| {
            if let Item::Value { value, .. } = item {
                values.push(value.to_owned());
            }
        });
        values
    }

    /// The path of a parameter.
    pub(super) fn param_path(&self, object: ObjectId, numbers: &Numbers, param: ParamId) -> String {
        let mut path = String::with_capacity(64);
        self.served.write_path(object, numbers, &mut path);
        path.push_str(self.served.schema.param(param).name());
        path
    }
}

/// Where the text of a value stands.
enum Value {
    Text,
    /// The argument of the source: a constant, or the default of a stored value.
    Const,
    Neutral,
    Field(u16, u16),
}
