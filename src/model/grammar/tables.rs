//! Rows into tables: merged over files, checked against each other, packed into small integers.

use super::super::kind::Kind;
use super::super::schema::{
    Base, Format, KindRow, NONE, ObjectRow, PLATFORMS, ParamRow, Schema, SourceKind, SourceRow,
    Text, flag,
};
use super::{At, KindSpec, ObjectSpec, ParamSpec, Place, Problem};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// The most rows of one table: its index is a `u16`, and the last one means none.
const MAX_ROWS: usize = NONE as usize;

/// The object that everything stands in.
const ROOT: &str = "Device.";

/// Objects by path; dots replaced by the least character, so that the order is depth first.
type Objects = BTreeMap<String, ObjectSpec>;

fn order(path: &str) -> String {
    path.replace('.', "\u{1}")
}

/// Builds the tables of all rows.
///
/// # Errors
/// What is wrong between rows: duplicates, missing parents, sources, keys, counters, values.
pub fn build(specs: Vec<ObjectSpec>) -> Result<Schema, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut objects = merge(specs, &mut problems);
    parents(&mut objects, &mut problems);
    objects.entry(order(ROOT)).or_insert_with(|| {
        ObjectSpec::bare(
            ROOT.into(),
            At {
                file: "".into(),
                line: 0,
            },
        )
    });
    let mut objects: Vec<ObjectSpec> = objects.into_values().collect();
    let links = links(&objects, &mut problems);
    settle(&mut objects, &links, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let schema = pack(&objects, &links)?;
    values(&schema, &objects, &mut problems);
    if problems.is_empty() {
        Ok(schema)
    } else {
        Err(problems)
    }
}

fn problem(problems: &mut Vec<Problem>, at: &At, reason: String) {
    problems.push(Problem {
        at: at.clone(),
        reason,
    });
}

/// One spec for each path. Several sections may bring rows of one object, one may speak of it.
fn merge(specs: Vec<ObjectSpec>, problems: &mut Vec<Problem>) -> Objects {
    let mut objects = Objects::new();
    for spec in specs {
        let key = order(&spec.path);
        let Some(known) = objects.get_mut(&key) else {
            objects.insert(key, unique(spec, problems));
            continue;
        };
        if known.speaks && spec.speaks {
            problem(
                problems,
                &spec.at,
                format!("{} is already there ({})", spec.path, cite(&known.at)),
            );
            continue;
        }
        let mut rows = std::mem::take(&mut known.params);
        let mut new = spec;
        if new.speaks {
            let added = std::mem::take(&mut new.params);
            *known = new;
            rows.extend(added);
        } else {
            rows.append(&mut new.params);
        }
        known.params = rows;
        let whole = std::mem::replace(known, ObjectSpec::bare(String::new(), known.at.clone()));
        *known = unique(whole, problems);
    }
    objects
}

/// Takes out the second row of a name.
fn unique(mut spec: ObjectSpec, problems: &mut Vec<Problem>) -> ObjectSpec {
    let mut seen: HashMap<String, At> = HashMap::new();
    let path = &spec.path;
    spec.params.retain(|row| match seen.get(&row.name) {
        Some(first) => {
            problem(
                problems,
                &row.at,
                format!("{path}{} is already there ({})", row.name, cite(first)),
            );
            false
        }
        None => {
            seen.insert(row.name.clone(), row.at.clone());
            true
        }
    });
    spec
}

fn cite(at: &At) -> String {
    if at.line == 0 {
        at.file.to_string()
    } else {
        format!("{}:{}", at.file, at.line)
    }
}

/// The path of the object that this one stands in; `None` for `Device.`.
fn parent_path(path: &str) -> Option<&str> {
    let body = path.strip_suffix(".{i}.").or(path.strip_suffix('.'))?;
    Some(&path[..body.rfind('.')? + 1])
}

/// Adds the parents that nobody declared; a table must be declared.
fn parents(objects: &mut Objects, problems: &mut Vec<Problem>) {
    let declared: Vec<(String, At)> = objects
        .values()
        .map(|o| (o.path.clone(), o.at.clone()))
        .collect();
    for (path, at) in &declared {
        let mut path = path.as_str();
        while let Some(parent) = parent_path(path) {
            if !objects.contains_key(&order(parent)) {
                if parent.ends_with(".{i}.") {
                    problem(
                        problems,
                        at,
                        format!("the table {parent} that it stands in is not there"),
                    );
                    break;
                }
                objects.insert(
                    order(parent),
                    ObjectSpec::bare(parent.to_string(), at.clone()),
                );
            }
            path = parent;
        }
    }
    let names: Vec<(String, At)> = objects
        .values()
        .filter(|o| o.is_table())
        .map(|o| (o.path.clone(), o.at.clone()))
        .collect();
    for (path, at) in names {
        let plain = path.trim_end_matches("{i}.");
        if let Some(other) = objects.get(&order(plain)) {
            problem(
                problems,
                &at,
                format!(
                    "{path} is also an object without {{i}} ({})",
                    cite(&other.at)
                ),
            );
        }
    }
}

/// What rows say of each other, by index.
struct Links {
    /// The parent of each object.
    parent: Vec<Option<usize>>,
    /// For each object, its first row's place among all rows.
    first: Vec<usize>,
    /// For each row (over all objects), the table it counts.
    counts: HashMap<usize, usize>,
    /// For each table, the row that counts it and its enableParameter.
    entries: HashMap<usize, usize>,
    enable: HashMap<usize, usize>,
}

fn links(objects: &[ObjectSpec], problems: &mut Vec<Problem>) -> Links {
    let index: HashMap<&str, usize> = objects
        .iter()
        .enumerate()
        .map(|(i, o)| (o.path.as_str(), i))
        .collect();
    let mut first = Vec::with_capacity(objects.len());
    let mut total = 0;
    for object in objects {
        first.push(total);
        total += object.params.len();
    }
    let parent: Vec<Option<usize>> = objects
        .iter()
        .map(|o| parent_path(&o.path).and_then(|p| index.get(p).copied()))
        .collect();
    let mut links = Links {
        parent,
        first,
        counts: HashMap::new(),
        entries: HashMap::new(),
        enable: HashMap::new(),
    };
    let row =
        |object: usize, name: &str| objects[object].params.iter().position(|p| p.name == name);
    for (i, object) in objects.iter().enumerate() {
        let name = object
            .path
            .trim_end_matches("{i}.")
            .trim_end_matches('.')
            .rsplit('.')
            .next()
            .unwrap_or("");
        let stands_in = links.parent[i];
        if let Some(p) = stands_in
            && row(p, name).is_some()
        {
            let path = &objects[p].path;
            problem(
                problems,
                &object.at,
                format!("{path}{name} is a parameter, so no object has that name"),
            );
        }
        for key in &object.keys {
            for name in key.strip_prefix("nf:").unwrap_or(key).split('+') {
                if row(i, name).is_none() {
                    problem(
                        problems,
                        &object.at,
                        format!("key {name} is no parameter of {}", object.path),
                    );
                }
            }
        }
        if let Some(name) = &object.enable {
            match row(i, name) {
                Some(at) => drop(links.enable.insert(i, links.first[i] + at)),
                None => problem(
                    problems,
                    &object.at,
                    format!("enable = {name} is no parameter of {}", object.path),
                ),
            }
        }
        let (Some(name), Some(p)) = (&object.entries, stands_in) else {
            continue;
        };
        let Some(at) = row(p, name) else {
            let path = &objects[p].path;
            problem(
                problems,
                &object.at,
                format!("entries = {name} is no parameter of {path}"),
            );
            continue;
        };
        let counter = &objects[p].params[at];
        let at_fault = if counter.at.line == 0 {
            &object.at
        } else {
            &counter.at
        };
        if counter
            .places
            .iter()
            .any(|p| matches!(p, Place::At(kind, _) if *kind != SourceKind::Entries))
        {
            problem(
                problems,
                at_fault,
                format!("{name} counts a table, so it has no source"),
            );
        }
        if counter.write.contains(&true) {
            problem(
                problems,
                at_fault,
                format!("{name} counts a table, so it is not writable"),
            );
        }
        if counter.kind.base != Base::UnsignedInt || counter.kind.list {
            problem(
                problems,
                at_fault,
                format!("{name} counts a table, so its type is unsignedInt"),
            );
        }
        if let Some(other) = links.counts.insert(links.first[p] + at, i) {
            let other = &objects[other].path;
            problem(
                problems,
                &object.at,
                format!("{name} already counts {other}"),
            );
        }
        links.entries.insert(i, links.first[p] + at);
    }
    links
}

/// Says for each object and row where it lives on each platform: afterwards nothing is unsaid.
fn settle(objects: &mut [ObjectSpec], links: &Links, problems: &mut Vec<Problem>) {
    let mut said = vec![false; objects.len()];
    for i in 0..objects.len() {
        let above = links.parent[i].map(|p| objects[p].places.clone());
        let object = &mut objects[i];
        said[i] = object.places.iter().any(|p| matches!(p, Place::At(..)));
        if object.is_table() && object.places.iter().all(|p| *p == Place::Unsaid) {
            problem(
                problems,
                &object.at,
                format!("the table {} has no source", object.path),
            );
        }
        let table = object.is_table();
        for (platform, place) in object.places.iter_mut().enumerate() {
            if above.as_ref().is_some_and(|a| a[platform] == Place::Absent) {
                *place = Place::Absent;
            } else if *place == Place::Unsaid {
                *place = if table {
                    Place::Absent
                } else {
                    Place::At(SourceKind::Nothing, String::new())
                };
            }
        }
        let given =
            |place: &Place| matches!(place, Place::At(SourceKind::Const | SourceKind::File, _));
        if object
            .places
            .iter()
            .zip(object.creatable)
            .any(|(place, create)| create && given(place))
        {
            let path = &object.path;
            problem(
                problems,
                &object.at,
                format!("instances of {path} are given: none can be created"),
            );
        }
    }
    for i in 0..objects.len() {
        let mut rows = std::mem::take(&mut objects[i].params);
        for (r, row) in rows.iter_mut().enumerate() {
            let counted = links
                .counts
                .get(&(links.first[i] + r))
                .map(|t| objects[*t].places.clone());
            row_places(row, &objects[i], counted, problems);
        }
        objects[i].params = rows;
    }
    prune(objects, links);
}

/// Where one row lives on each platform; `counted` is where the table lives that it counts.
fn row_places(
    row: &mut ParamSpec,
    object: &ObjectSpec,
    counted: Option<[Place; PLATFORMS]>,
    problems: &mut Vec<Problem>,
) {
    let elsewhere = row.places.iter().any(|p| *p != Place::Unsaid);
    // A row of an overlay is unknown to the provider of the built-in object it joins.
    let foreign = object.at.line == 0 && row.at.line != 0;
    for (platform, place) in row.places.iter_mut().enumerate() {
        if object.places[platform] == Place::Absent {
            *place = Place::Absent;
        } else if *place == Place::Unsaid {
            *place = match (&counted, &object.places[platform]) {
                (Some(table), _) if table[platform] == Place::Absent => Place::Absent,
                (Some(_), _) => Place::At(SourceKind::Entries, String::new()),
                _ if row.kind.format == Format::Alias => {
                    Place::At(SourceKind::Alias, String::new())
                }
                (None, from @ Place::At(SourceKind::Native | SourceKind::Exec, _)) if !foreign => {
                    from.clone()
                }
                _ => Place::Unsaid,
            };
        }
    }
    // Without a source on one platform it does not exist there; without any it is a mistake.
    let nowhere = row.places.iter().all(|p| !matches!(p, Place::At(..)));
    if nowhere && !elsewhere && row.places.contains(&Place::Unsaid) {
        problem(problems, &row.at, format!("{} has no source", row.name));
    }
    for place in &mut row.places {
        if *place == Place::Unsaid {
            *place = Place::Absent;
        }
    }
}

/// An object that only holds others together is absent where nothing is left to hold.
fn prune(objects: &mut [ObjectSpec], links: &Links) {
    // Bits: has anything at all; has something on platform 0, 1.
    let mut holds = vec![[false; 1 + PLATFORMS]; objects.len()];
    for i in (0..objects.len()).rev() {
        for row in &objects[i].params {
            holds[i][0] = true;
            for (platform, place) in row.places.iter().enumerate() {
                holds[i][1 + platform] |= *place != Place::Absent;
            }
        }
        for (platform, held) in holds[i][1..].to_vec().into_iter().enumerate() {
            let place = &mut objects[i].places[platform];
            if holds[i][0] && !held && matches!(place, Place::At(SourceKind::Nothing, _)) && i != 0
            {
                *place = Place::Absent;
            }
        }
        if let Some(p) = links.parent[i] {
            holds[p][0] = true;
            for platform in 0..PLATFORMS {
                holds[p][1 + platform] |= objects[i].places[platform] != Place::Absent;
            }
        }
    }
}

/// What is packed once and named by index or offset.
#[derive(Default)]
struct Packer {
    blob: String,
    texts: HashMap<String, Text>,
    words: Vec<Text>,
    runs: HashMap<Vec<String>, (u16, u16)>,
    kinds: Vec<KindRow>,
    known_kinds: HashMap<KindSpec, u16>,
    sources: Vec<SourceRow>,
    known_sources: HashMap<(SourceKind, String), u16>,
}

impl Packer {
    fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let new = Text {
            at: self.blob.len() as u32,
            len: text.len() as u16,
        };
        self.blob.push_str(text);
        self.texts.insert(text.to_string(), new);
        new
    }

    fn run(&mut self, list: &[String]) -> (u16, u16) {
        if list.is_empty() {
            return (0, 0);
        }
        if let Some(known) = self.runs.get(list) {
            return *known;
        }
        let from = self.words.len() as u16;
        for word in list {
            let text = self.text(word);
            self.words.push(text);
        }
        let run = (from, self.words.len() as u16);
        self.runs.insert(list.to_vec(), run);
        run
    }

    fn kind(&mut self, spec: &KindSpec) -> u16 {
        if let Some(known) = self.known_kinds.get(spec) {
            return *known;
        }
        let (min, max) = spec
            .ranges
            .iter()
            .copied()
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
            .unwrap_or((i64::MIN, i64::MAX));
        let ranges: Vec<String> = match spec.ranges.as_slice() {
            [] | [_] => Vec::new(),
            many => many.iter().map(|r| range_text(*r)).collect(),
        };
        let row = KindRow {
            base: spec.base,
            format: spec.format,
            list: spec.list,
            min,
            max,
            items: spec.items,
            list_max: spec.list_max,
            ranges: self.run(&ranges),
            words: self.run(&spec.words),
            patterns: self.run(&spec.patterns),
            targets: self.run(&spec.targets),
            neutral: self.text(&neutral(spec)),
        };
        let id = self.kinds.len() as u16;
        self.kinds.push(row);
        self.known_kinds.insert(spec.clone(), id);
        id
    }

    fn source(&mut self, place: &Place) -> u16 {
        let Place::At(kind, arg) = place else {
            return NONE;
        };
        let key = (*kind, arg.clone());
        if let Some(known) = self.known_sources.get(&key) {
            return *known;
        }
        let id = self.sources.len() as u16;
        let arg = self.text(arg);
        self.sources.push(SourceRow { kind: *kind, arg });
        self.known_sources.insert(key, id);
        id
    }
}

fn range_text((min, max): (i64, i64)) -> String {
    let end = |n: i64, open: i64| {
        if n == open {
            String::new()
        } else {
            n.to_string()
        }
    };
    format!("{}..{}", end(min, i64::MIN), end(max, i64::MAX))
}

/// What is shown where a source has no value: for a number the one nearest to 0.
fn neutral(spec: &KindSpec) -> String {
    if spec.list {
        return String::new();
    }
    match spec.base {
        Base::String | Base::Base64 | Base::HexBinary => String::new(),
        Base::Boolean => "false".into(),
        Base::DateTime => "0001-01-01T00:00:00Z".into(),
        Base::Int | Base::UnsignedInt | Base::Long | Base::UnsignedLong | Base::Decimal => {
            let near = spec
                .ranges
                .iter()
                .map(|r| 0.clamp(r.0, r.1))
                .min_by_key(|n| n.unsigned_abs());
            near.unwrap_or(0).to_string()
        }
    }
}

fn pack(objects: &[ObjectSpec], links: &Links) -> Result<Schema, Vec<Problem>> {
    let mut packer = Packer::default();
    let paths = paths(&mut packer, objects);
    let mut rows = Vec::with_capacity(objects.len());
    let mut params = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        let from = params.len() as u16;
        for row in &object.params {
            let mut flags = row.flags;
            for (platform, write) in row.write.iter().enumerate() {
                flags |= if *write { flag::WRITE << platform } else { 0 };
            }
            params.push(ParamRow {
                name: packer.text(&row.name),
                flags,
                kind: packer.kind(&row.kind),
                sources: row.places.each_ref().map(|p| packer.source(p)),
            });
        }
        let mut flags = if object.is_table() { flag::TABLE } else { 0 };
        flags |= if object.volatile { flag::VOLATILE } else { 0 };
        for (platform, create) in object.creatable.iter().enumerate() {
            flags |= if *create {
                flag::CREATABLE << platform
            } else {
                0
            };
        }
        let below = objects[i + 1..]
            .iter()
            .take_while(|o| o.path.starts_with(&object.path))
            .count();
        rows.push(ObjectRow {
            name: name_in(paths[i], &object.path),
            path: paths[i],
            flags,
            parent: links.parent[i].map_or(NONE, |p| p as u16),
            end: (i + 1 + below) as u16,
            params: (from, params.len() as u16),
            entries: links.entries.get(&i).map_or(NONE, |p| *p as u16),
            enable: links.enable.get(&i).map_or(NONE, |p| *p as u16),
            keys: packer.run(&object.keys),
            sources: object.places.each_ref().map(|p| packer.source(p)),
        });
    }
    let counts = [
        rows.len(),
        params.len(),
        packer.words.len(),
        packer.kinds.len(),
        packer.sources.len(),
    ];
    if let Some(many) = counts.iter().find(|n| **n >= MAX_ROWS) {
        let at = objects.last().map(|o| o.at.clone()).unwrap_or(At {
            file: "".into(),
            line: 0,
        });
        return Err(vec![Problem {
            at,
            reason: format!("{many} rows are more than a table holds ({MAX_ROWS})"),
        }]);
    }
    Ok(Schema {
        blob: Cow::Owned(packer.blob),
        objects: Cow::Owned(rows),
        params: Cow::Owned(params),
        kinds: Cow::Owned(packer.kinds),
        sources: Cow::Owned(packer.sources),
        words: Cow::Owned(packer.words),
    })
}

/// The texts of all paths. A path lies inside the path of the object that follows it when that one
/// is below it, so it is kept only once.
fn paths(packer: &mut Packer, objects: &[ObjectSpec]) -> Vec<Text> {
    let mut texts = vec![Text { at: 0, len: 0 }; objects.len()];
    for i in (0..objects.len()).rev() {
        let path = &objects[i].path;
        texts[i] = match objects.get(i + 1) {
            Some(next) if next.path.starts_with(path.as_str()) => {
                let text = Text {
                    at: texts[i + 1].at,
                    len: path.len() as u16,
                };
                packer.texts.insert(path.clone(), text);
                text
            }
            _ => packer.text(path),
        };
    }
    texts
}

/// The last word of a path, as a piece of the path's own text.
fn name_in(text: Text, path: &str) -> Text {
    let body = path
        .strip_suffix(".{i}.")
        .or(path.strip_suffix('.'))
        .unwrap_or(path);
    let from = body.rfind('.').map_or(0, |dot| dot + 1);
    Text {
        at: text.at + from as u32,
        len: (body.len() - from) as u16,
    }
}

/// A const and a default must be values of their type.
fn values(schema: &Schema, objects: &[ObjectSpec], problems: &mut Vec<Problem>) {
    let rows = objects.iter().flat_map(|o| &o.params);
    for (spec, row) in rows.zip(schema.params.iter()) {
        let kind = Kind {
            schema,
            row: &schema.kinds[row.kind as usize],
        };
        for place in &spec.places {
            let Place::At(source @ (SourceKind::Const | SourceKind::Store), text) = place else {
                continue;
            };
            let Err(why) = kind.judge(text) else { continue };
            let word = if *source == SourceKind::Const {
                "const"
            } else {
                "store"
            };
            problem(
                problems,
                &spec.at,
                format!("{word} of {}: {}", spec.name, why.text()),
            );
            break;
        }
    }
}
