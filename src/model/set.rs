//! SetParameterValues: everything is checked, and every fault collected, before a transaction begins
//! (R-GEN-5, R-SPV-1 to 20).

use super::fault::{Code, Fault, ParameterFault};
use super::handler::Failure;
use super::index::Place;
use super::intent::{NewValue, Op, Planned};
use super::kind::Misfit;
use super::kind::forms::items;
use super::request::ParameterValue;
use super::resolve::{Allow, Target, shown};
use super::schema::{ObjectId, ParamId, SourceKind, flag};
use super::served::{MAX_DEPTH, Numbers};
use super::transaction::parameter_key;
use super::tree::{Status, Tree, Writer};
use super::trial::Touched;
use super::watched::Edits;
use crate::state::journal::Batch;
use crate::sys::sorted::{SortedMap, SortedSet};
use std::borrow::Cow;

/// The most that is said of bad parameters in one fault, names and reasons together, in bytes: what a
/// set of [`MAX_SET`] parameters with names of the standard's takes. Escaped it may be six times as much,
/// and it stands in memory whole.
pub(super) const MAX_FAULTS: usize = 512 * 1024;
/// The most parameters that one SetParameterValues may set; beyond it 9004.
pub const MAX_SET: usize = 4096;

/// One entry of a SetParameterValues, checked by itself.
pub(super) struct Checked {
    pub object: ObjectId,
    pub place: Place,
    pub param: ParamId,
    pub value: String,
    pub refers: Option<Vec<String>>,
}

/// References in their canonical form, and the keys of the rows, one row's behind the other's.
type References = (String, Option<Vec<String>>);

/// New values by parameter and row.
type Staged = SortedMap<(ParamId, Numbers), String>;

impl Tree {
    /// Checks a text against the type of a parameter and gives its canonical form.
    pub(super) fn check_value(&self, param: ParamId, value: &str) -> Result<String, (Code, String)> {
        let kind = self.served.schema.param(param).kind();
        match kind.check(value) {
            Ok(value) => Ok(value.into_owned()),
            Err(Misfit::Type(why)) => Err((Code::INVALID_TYPE, why)),
            Err(Misfit::Value(why)) => Err((Code::INVALID_VALUE, why)),
        }
    }

    /// SetParameterValues as one transaction (R-SPV-*).
    ///
    /// # Errors
    /// 9003 with one line for each bad parameter, or for a parameter set twice or a ParameterKey that
    /// is too long; 9004 for too many, or no room to keep them; 9001 for two changes that cannot be taken back; 9002 when a
    /// handler failed. Nothing has been changed then.
    pub fn set(&mut self, list: &[ParameterValue], writer: Writer<'_>) -> Result<Status, Fault> {
        self.set_allowing(list, writer, Allow::Plain)
    }

    /// As [`Tree::set`]; an Alias that no row has makes the row, in the same transaction
    /// (AutoCreateInstances, R-SPV-21, R-SPV-22).
    ///
    /// # Errors
    /// As [`Tree::set`]; 9005 on each parameter of a row that cannot be made.
    pub fn set_creating(&mut self, list: &[ParameterValue], writer: Writer<'_>) -> Result<Status, Fault> {
        let done = self.set_allowing(list, writer, Allow::NewRows);
        self.end_created(done.is_ok());
        done
    }

    fn set_allowing(
        &mut self,
        list: &[ParameterValue],
        writer: Writer<'_>,
        allow: Allow,
    ) -> Result<Status, Fault> {
        let key = parameter_key(writer)?;
        if list.len() > MAX_SET {
            return Err(Fault::new(Code::RESOURCES_EXCEEDED, format!("more than {MAX_SET} parameters")));
        }
        let mut faults: Vec<ParameterFault> = Vec::new();
        let mut checked: Vec<(usize, Checked)> = Vec::new();
        let mut seen = SortedSet::new();
        // All names first: a value may refer to a row that a later entry makes (R-SPV-2).
        let mut targets = Vec::with_capacity(list.len());
        for entry in list {
            match self.resolve_with(&entry.name, allow) {
                Err(fault) if fault.code == Code::RESOURCES_EXCEEDED => return Err(fault),
                target => targets.push(target.map_err(|f| (f.code, f.text))),
            }
        }
        for (at, (entry, target)) in list.iter().zip(targets).enumerate() {
            match target.and_then(|target| self.check_entry(entry, &target, writer)) {
                Ok(one) => {
                    if !seen.insert((one.param, one.place.numbers)) {
                        let why = format!("{} is set twice", entry.name);
                        return Err(Fault::new(Code::INVALID_ARGUMENTS, why));
                    }
                    checked.push((at, one));
                }
                Err((code, text)) => faults.push(ParameterFault { name: shown(&entry.name), code, text }),
            }
        }
        self.name_created(&mut checked);
        let staged: Staged =
            SortedMap::from_iter(checked.iter().map(|(_, c)| ((c.param, c.place.numbers), c.value.clone())));
        let mut bad: SortedMap<usize, (Code, String)> = SortedMap::new();
        self.check_unique(&checked, &staged, &mut bad);
        self.check_together(&checked, &mut bad);
        let trial = self.set_goes_on_trial(&checked, writer)?;
        let (planned, members, kept) = self.plan_set(&checked, trial);
        // A handler judges values of rows that it has yet to make when it has made them.
        for (planned, members) in planned.iter().zip(&members) {
            if !self.is_made_by_handler(planned.object, &planned.numbers) && !self.is_early(planned) {
                self.judge_change(planned, members, &mut bad);
            }
        }
        refuse(list, faults, bad)?;
        // What takes the place of an old value needs room for a moment only; it is counted in full.
        let room = kept.iter().map(|(path, value)| path.len() + value.len()).sum::<usize>();
        self.check_room(room + self.room_of_created())?;
        let planned = self.carry_out_set(list, planned, &members, trial)?;
        let mut batch = Batch::default();
        for (path, value) in kept {
            batch.put(path, value);
        }
        self.keep_created(&mut batch);
        if key.is_some() {
            self.tell_written(&checked, &planned, &mut batch);
        }
        self.conclude(planned, batch, key, trial)
    }

    fn set_goes_on_trial(&mut self, checked: &[(usize, Checked)], writer: Writer<'_>) -> Result<bool, Fault> {
        let mut touched = Vec::with_capacity(checked.len());
        for (_, one) in checked {
            let set = Some((one.param, one.value.as_str()));
            touched.push(Touched { object: one.object, numbers: one.place.numbers, set });
        }
        let rows = self.new_rows().map(|(object, numbers)| Touched { object, numbers, set: None });
        touched.extend(rows);
        self.goes_on_trial(writer, &touched)
    }

    /// Has the handler of a change judge it; `members` are the entries that its values come from.
    pub(super) fn judge_change(
        &mut self,
        planned: &Planned,
        members: &[usize],
        bad: &mut SortedMap<usize, (Code, String)>,
    ) {
        let mut judged: Vec<(usize, Failure)> = Vec::new();
        self.with(planned, |h, ctx, row, change| h.check(ctx, row, change, &mut judged));
        for (index, failure) in judged {
            let Some(at) = members.get(index).or(members.first()) else {
                continue;
            };
            // 9004 speaks of a whole RPC only (R-SPV-6).
            let code = match failure.code {
                Code::RESOURCES_EXCEEDED => Code::REQUEST_DENIED,
                code => code,
            };
            bad.entry(*at).or_insert((code, failure.text));
        }
    }

    /// What an entry asks for, by itself.
    pub(super) fn check_entry(
        &mut self,
        entry: &ParameterValue,
        target: &Target,
        writer: Writer<'_>,
    ) -> Result<Checked, (Code, String)> {
        let unknown = |why: &str| (Code::INVALID_NAME, why.to_owned());
        let param = target.param.ok_or_else(|| unknown("a partial path cannot be set"))?;
        let place = self
            .locate(target.object, &target.numbers)
            .ok_or_else(|| unknown("there is no such instance"))?;
        let row = self.served.schema.param(param);
        if !row.is_writable(self.served.platform) {
            return Err((Code::NOT_WRITABLE, Code::NOT_WRITABLE.words().to_owned()));
        }
        if writer == Writer::Local && !self.is_open(target.object, &target.numbers, param) {
            return Err((Code::REQUEST_DENIED, "the ACS has taken this parameter for itself".to_owned()));
        }
        let row = self.served.schema.param(param);
        if let Some(word) = entry.xsi_type.as_deref().filter(|t| !row.kind().accepts_xsi(t)) {
            let word: String = word.chars().take(32).collect();
            return Err((Code::INVALID_TYPE, format!("{word} is not {}", row.kind().xsi_type())));
        }
        let mut value = self.check_value(param, &entry.value)?;
        let mut refers = None;
        let row = self.served.schema.param(param);
        if row.kind().is_reference() && !value.is_empty() {
            (value, refers) = self.check_references(param, &value)?;
        }
        let schema = &self.served.schema;
        let general = format!("{}{}", schema.object(target.object).path(), schema.param(param).name());
        let judge = self.judge.clone();
        judge(self, &general, &value).map_err(|why| (Code::INVALID_VALUE, why))?;
        if self.served.source(param).is_some_and(|s| s.kind == SourceKind::Alias) {
            self.check_alias(target.object, place.numbers(), &value)
                .map_err(|why| (Code::INVALID_VALUE, why))?;
        }
        Ok(Checked { object: target.object, place, param, value, refers })
    }

    /// R-SPV-17: each reference names a row that exists, of a table that it may point into. Gives the
    /// references in their canonical form, and the keys of the rows.
    fn check_references(&mut self, param: ParamId, value: &str) -> Result<References, (Code, String)> {
        let refused = |why: &str| (Code::INVALID_VALUE, why.to_owned());
        let mut paths: Vec<String> = Vec::new();
        let mut keys = Vec::new();
        let list = self.served.schema.param(param).kind().row.list;
        // An Alias may hold what parts the items of a list.
        let items: Vec<Cow<'_, str>> = if list { items(value).collect() } else { vec![value.trim().into()] };
        for item in items {
            let target = self
                .resolve(&format!("{}.", item.strip_suffix('.').unwrap_or(&item)), false)
                .map_err(|_| refused("there is no row of this name"))?;
            if target.table {
                return Err(refused("a table is no row"));
            }
            let object = self.served.schema.object(target.object);
            let mut allowed = self.served.schema.param(param).kind().targets().peekable();
            let fits = allowed.peek().is_none() || allowed.any(|t| t == object.path());
            drop(allowed);
            if !fits {
                return Err(refused("a row of this table cannot be referred to here"));
            }
            let place =
                self.locate(target.object, &target.numbers).ok_or_else(|| refused("there is no such row"))?;
            keys.extend(self.keys_of(&place));
            let mut path = String::new();
            self.served.write_path(target.object, place.numbers(), &mut path);
            path.pop();
            paths.push(path);
        }
        Ok((paths.join(","), Some(keys)))
    }

    /// The keys of a row.
    pub(super) fn keys_of(&self, place: &Place) -> Vec<String> {
        let mut names = [""; MAX_DEPTH];
        self.index.keys(place, &mut names);
        names.iter().take(place.depth).map(|k| (*k).to_owned()).collect()
    }

    /// R-SPV-20, N-10: no two rows of a table have the same key when all is set.
    fn check_unique(
        &mut self,
        checked: &[(usize, Checked)],
        staged: &Staged,
        bad: &mut SortedMap<usize, (Code, String)>,
    ) {
        let mut rows: SortedSet<(ObjectId, Numbers)> = SortedSet::new();
        let listed: SortedMap<(ParamId, Numbers), usize> =
            SortedMap::from_iter(checked.iter().map(|(at, c)| ((c.param, c.place.numbers), *at)));
        // By list and key: all rows of a table are read once, however many of them are set.
        let mut known: SortedMap<(u32, usize), SortedMap<Vec<String>, usize>> = SortedMap::new();
        for (_, one) in checked {
            if !rows.insert((one.object, one.place.numbers))
                || !self.served.schema.object(one.object).is_table()
            {
                continue;
            }
            let touched = |p: ParamId| listed.get(&(p, one.place.numbers)).copied();
            for (nth, (names, enable)) in self.unique_keys(one.object).into_iter().enumerate() {
                let blamed = names.iter().find_map(|p| touched(*p)).map(|at| (at, Code::INVALID_VALUE));
                let blamed = blamed.or_else(|| Some((touched(enable?)?, Code::REQUEST_DENIED)));
                let Some((at, code)) = blamed else { continue };
                let mine = self.final_key(one.object, &one.place, &names, enable, staged);
                let list = one.place.at.get(one.place.depth.saturating_sub(1));
                let keys = known
                    .entry((list.map_or(0, |l| l.0), nth))
                    .or_insert_with(|| self.final_keys(one.object, &one.place, &names, enable, staged));
                if mine.is_some_and(|mine| keys.get(&mine).is_some_and(|rows| *rows > 1)) {
                    let words: Vec<&str> =
                        names.iter().map(|p| self.served.schema.param(*p).name()).collect();
                    let why = format!("another row has the same {}", words.join(" and "));
                    bad.entry(at).or_insert((code, why));
                }
            }
        }
    }

    /// The unique keys of a table whose parameters are all there, each with the parameter that must
    /// be true for it to count.
    fn unique_keys(&self, table: ObjectId) -> Vec<(Vec<ParamId>, Option<ParamId>)> {
        let object = self.served.schema.object(table);
        let enable = object.enable().map(|p| p.id).filter(|p| self.served.source(*p).is_some());
        let mut keys: Vec<(Vec<ParamId>, Option<ParamId>)> = Vec::new();
        for (functional, names) in object.keys() {
            let params: Option<Vec<ParamId>> =
                names.split('+').map(|n| self.served.param(table, n).map(|p| p.id)).collect();
            if let Some(params) = params {
                keys.push((params, enable.filter(|_| functional)));
            }
        }
        if let Some(alias) = self.served.alias(table).map(|p| p.id)
            && !keys.iter().any(|k| k.0 == [alias])
        {
            keys.push((vec![alias], None));
        }
        keys
    }

    /// The key of a row in the final state; `None` when it does not count.
    fn final_key(
        &mut self,
        table: ObjectId,
        place: &Place,
        key: &[ParamId],
        enable: Option<ParamId>,
        staged: &Staged,
    ) -> Option<Vec<String>> {
        let params: Vec<ParamId> = key.iter().copied().chain(enable).collect();
        let new: Vec<Option<&String>> = params.iter().map(|p| staged.get(&(*p, place.numbers))).collect();
        let mut values = match new.iter().all(Option::is_some) {
            true => vec![String::new(); params.len()],
            false => self.read(table, place, &params, true),
        };
        for (value, new) in values.iter_mut().zip(new) {
            if let Some(new) = new {
                value.clone_from(new);
            }
        }
        let counts = enable.is_none() || values.pop().is_some_and(|v| v == "true");
        counts.then_some(values)
    }

    /// How many of the rows beside one, itself included, have which key.
    fn final_keys(
        &mut self,
        table: ObjectId,
        place: &Place,
        key: &[ParamId],
        enable: Option<ParamId>,
        staged: &Staged,
    ) -> SortedMap<Vec<String>, usize> {
        let mut found = SortedMap::new();
        let Some(depth) = place.depth.checked_sub(1) else {
            return found;
        };
        let slot = place.at[depth].0; // depth is below MAX_DEPTH: it is that of a place
        let mut pos = 0;
        while let Some(number) = self.index.list(slot).and_then(|l| l.number(pos as usize)) {
            let mut row = *place;
            (row.at[depth], row.numbers[depth]) = ((slot, pos), number);
            if let Some(values) = self.final_key(table, &row, key, enable, staged) {
                *found.entry(values).or_default() += 1;
            }
            pos += 1;
        }
        found
    }

    /// Sorts what is to be set: changes by row and handler, with the entries each is made of; and
    /// what the tree keeps itself, as journal keys.
    #[allow(clippy::type_complexity)] // three lists that belong together for one caller
    fn plan_set(
        &mut self,
        checked: &[(usize, Checked)],
        trial: bool,
    ) -> (Vec<Planned>, Vec<Vec<usize>>, Vec<(String, String)>) {
        let (mut planned, mut members): (Vec<Planned>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
        let mut kept = Vec::new();
        let mut known: SortedMap<(ObjectId, Numbers, u16, bool), usize> = SortedMap::new();
        for (at, one) in checked {
            let param = self.served.schema.param(one.param);
            let Some(source) = self.served.source(one.param) else {
                continue;
            };
            match source.kind {
                SourceKind::Store => {
                    let path = self.param_path(one.object, &one.place.numbers, one.param);
                    kept.push((format!("v/{path}"), one.value.clone()));
                }
                SourceKind::Alias => {
                    let mut key = String::from("l/");
                    self.served.write_path(one.object, one.place.numbers(), &mut key);
                    kept.push((key, one.value.clone()));
                }
                _ => {
                    let Some(handler) = self.served.handler(source) else {
                        continue;
                    };
                    let after = (trial || param.has(flag::AFTER_SESSION)) && self.session != 0;
                    let entry = known.entry((one.object, one.place.numbers, handler, after));
                    let index = *entry.or_insert_with(|| {
                        members.push(Vec::new());
                        planned.push(Planned {
                            object: one.object,
                            numbers: one.place.numbers,
                            depth: one.place.depth,
                            keys: self.keys_of(&one.place),
                            handler,
                            op: Op::Set(Vec::new()),
                            after,
                            undoable: true,
                            saved: Vec::new(),
                        });
                        planned.len() - 1
                    });
                    let value =
                        NewValue { param: one.param, value: one.value.clone(), refers: one.refers.clone() };
                    if let (Some(Planned { op: Op::Set(values), .. }), Some(list)) =
                        (planned.get_mut(index), members.get_mut(index))
                    {
                        values.push(value);
                        list.push(*at);
                    }
                }
            }
        }
        for planned in &mut planned {
            planned.undoable = self.can_undo(planned);
        }
        (planned, members, kept)
    }

    /// I-9, R-SPV-26: what the ACS wrote is known to it: the new values, as they now read.
    fn tell_written(&mut self, checked: &[(usize, Checked)], planned: &[Planned], batch: &mut Batch) {
        let mut edits = Edits::default();
        self.tell_created(&mut edits);
        for (_, one) in checked {
            if self.attributes_of(one.object, &one.place.numbers, one.param).notification == 0 {
                continue;
            }
            let promised = planned.iter().any(|p| {
                p.after
                    && p.numbers == one.place.numbers
                    && matches!(&p.op, Op::Set(values) if values.iter().any(|v| v.param == one.param))
            });
            let handled = self.served.source(one.param).is_some_and(|s| self.served.handler(s).is_some());
            let command = self.served.schema.param(one.param).has(flag::COMMAND);
            // A handler may read back another form than the one written.
            let value = match (handled && !promised) || command {
                true => self.read(one.object, &one.place, &[one.param], true).pop().unwrap_or_default(),
                false => one.value.clone(),
            };
            let print = self.print_of(one.param, &value);
            self.tell(&mut edits, one.object, &one.place.numbers, one.param, print);
        }
        let volatile = self.batch_edits(edits, batch);
        self.keep_volatile(volatile);
    }
}

/// Refuses a set with a line for each parameter that is wrong (R-SPV-4).
///
/// # Errors
/// 9003 when there are any.
pub(super) fn refuse(
    list: &[ParameterValue],
    mut faults: Vec<ParameterFault>,
    bad: SortedMap<usize, (Code, String)>,
) -> Result<(), Fault> {
    for (at, (code, text)) in bad {
        let name = list.get(at).map(|e| shown(&e.name)).unwrap_or_default();
        faults.push(ParameterFault { name, code, text });
    }
    if faults.is_empty() {
        return Ok(());
    }
    let mut told = 0;
    let fit = |fault: &&ParameterFault| {
        told += fault.name.len() + fault.text.len();
        told <= MAX_FAULTS
    };
    let fit = faults.iter().take_while(fit).count();
    let text = match faults.len() - fit {
        0 => "Invalid arguments".to_owned(),
        more => format!("Invalid arguments; {more} more of them are not told"),
    };
    faults.truncate(fit);
    Err(Fault { code: Code::INVALID_ARGUMENTS, text, parameters: faults })
}
