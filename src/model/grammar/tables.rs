//! Rows into tables: merged over files, checked against each other, settled for each platform.

use super::super::kind::Kind;
use super::super::schema::{Base, Format, PLATFORMS, Schema, SourceKind};
use super::pack::pack;
use super::{At, ObjectSpec, ParamSpec, Place, Problem};
use crate::sys::sorted::{Entry, SortedMap};
use std::collections::HashMap;

/// The object that everything stands in.
const ROOT: &str = "Device.";

/// Objects by path; dots replaced by the least character, so that the order is depth first.
type Objects = SortedMap<String, ObjectSpec>;

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
    objects
        .entry(order(ROOT))
        .or_insert_with(|| ObjectSpec::bare(ROOT.into(), At { file: "".into(), line: 0 }));
    let mut objects: Vec<ObjectSpec> = objects.into_values().collect();
    let links = links(&objects, &mut problems);
    settle(&mut objects, &links, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let schema = pack(&objects, &links)?;
    values(&schema, &objects, &mut problems);
    if problems.is_empty() { Ok(schema) } else { Err(problems) }
}

fn problem(problems: &mut Vec<Problem>, at: &At, reason: String) {
    problems.push(Problem { at: at.clone(), reason });
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
            problem(problems, &spec.at, format!("{} is already there ({})", spec.path, cite(&known.at)));
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
            problem(problems, &row.at, format!("{path}{} is already there ({})", row.name, cite(first)));
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
    if at.line == 0 { at.file.to_string() } else { format!("{}:{}", at.file, at.line) }
}

/// The path of the object that this one stands in; `None` for `Device.`.
fn parent_path(path: &str) -> Option<&str> {
    let body = path.strip_suffix(".{i}.").or(path.strip_suffix('.'))?;
    Some(&path[..body.rfind('.')? + 1])
}

/// Adds the parents that nobody declared; a table must be declared.
fn parents(objects: &mut Objects, problems: &mut Vec<Problem>) {
    let declared: Vec<(String, At)> = objects.values().map(|o| (o.path.clone(), o.at.clone())).collect();
    for (path, at) in &declared {
        let mut path = path.as_str();
        while let Some(parent) = parent_path(path) {
            if let Entry::Vacant(place) = objects.entry(order(parent)) {
                if parent.ends_with(".{i}.") {
                    let reason = format!("the table {parent} that it stands in is not there");
                    problem(problems, at, reason);
                    break;
                }
                place.insert(ObjectSpec::bare(parent.to_string(), at.clone()));
            }
            path = parent;
        }
    }
    let names: Vec<(String, At)> =
        objects.values().filter(|o| o.is_table()).map(|o| (o.path.clone(), o.at.clone())).collect();
    for (path, at) in names {
        let plain = path.trim_end_matches("{i}.");
        if let Some(other) = objects.get(&order(plain)) {
            problem(problems, &at, format!("{path} is also an object without {{i}} ({})", cite(&other.at)));
        }
    }
}

/// What rows say of each other, by index.
pub(super) struct Links {
    /// The parent of each object.
    pub parent: Vec<Option<usize>>,
    /// For each object, its first row's place among all rows.
    first: Vec<usize>,
    /// For each row (over all objects), the table it counts.
    counts: HashMap<usize, usize>,
    /// For each table, the row that counts it.
    pub entries: HashMap<usize, usize>,
    /// For each table, its enableParameter.
    pub enable: HashMap<usize, usize>,
}

fn links(objects: &[ObjectSpec], problems: &mut Vec<Problem>) -> Links {
    let index: HashMap<&str, usize> = objects.iter().enumerate().map(|(i, o)| (o.path.as_str(), i)).collect();
    let mut first = Vec::with_capacity(objects.len());
    let mut total = 0;
    for object in objects {
        first.push(total);
        total += object.params.len();
    }
    let parent: Vec<Option<usize>> =
        objects.iter().map(|o| parent_path(&o.path).and_then(|p| index.get(p).copied())).collect();
    let mut links =
        Links { parent, first, counts: HashMap::new(), entries: HashMap::new(), enable: HashMap::new() };
    let row = |object: usize, name: &str| objects[object].params.iter().position(|p| p.name == name);
    for (i, object) in objects.iter().enumerate() {
        let name =
            object.path.trim_end_matches("{i}.").trim_end_matches('.').rsplit('.').next().unwrap_or("");
        let stands_in = links.parent[i];
        if let Some(p) = stands_in
            && row(p, name).is_some()
        {
            let path = &objects[p].path;
            problem(problems, &object.at, format!("{path}{name} is a parameter, so no object has that name"));
        }
        for key in &object.keys {
            for name in key.strip_prefix("nf:").unwrap_or(key).split('+') {
                if row(i, name).is_none() {
                    problem(problems, &object.at, format!("key {name} is no parameter of {}", object.path));
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
            problem(problems, &object.at, format!("entries = {name} is no parameter of {path}"));
            continue;
        };
        let counter = &objects[p].params[at];
        let at_fault = if counter.at.line == 0 { &object.at } else { &counter.at };
        if counter.places.iter().any(|p| matches!(p, Place::At(kind, _) if *kind != SourceKind::Entries)) {
            problem(problems, at_fault, format!("{name} counts a table, so it has no source"));
        }
        if counter.write.contains(&true) {
            problem(problems, at_fault, format!("{name} counts a table, so it is not writable"));
        }
        if counter.kind.base != Base::UnsignedInt || counter.kind.list {
            problem(problems, at_fault, format!("{name} counts a table, so its type is unsignedInt"));
        }
        if let Some(other) = links.counts.insert(links.first[p] + at, i) {
            let other = &objects[other].path;
            problem(problems, &object.at, format!("{name} already counts {other}"));
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
            problem(problems, &object.at, format!("the table {} has no source", object.path));
        }
        let table = object.is_table();
        for (platform, place) in object.places.iter_mut().enumerate() {
            if above.as_ref().is_some_and(|a| a[platform] == Place::Absent) {
                *place = Place::Absent;
            } else if *place == Place::Unsaid {
                *place = if table { Place::Absent } else { Place::At(SourceKind::Nothing, String::new()) };
            }
        }
        let given = |place: &Place| matches!(place, Place::At(SourceKind::Const | SourceKind::File, _));
        if object.places.iter().zip(object.creatable).any(|(place, create)| create && given(place)) {
            let path = &object.path;
            problem(problems, &object.at, format!("instances of {path} are given: none can be created"));
        }
    }
    for i in 0..objects.len() {
        let mut rows = std::mem::take(&mut objects[i].params);
        for (r, row) in rows.iter_mut().enumerate() {
            let counted = links.counts.get(&(links.first[i] + r)).map(|t| objects[*t].places.clone());
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
                _ if row.kind.format == Format::Alias => Place::At(SourceKind::Alias, String::new()),
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
        for (platform, held) in holds[i].into_iter().skip(1).enumerate() {
            let place = &mut objects[i].places[platform];
            if holds[i][0] && !held && matches!(place, Place::At(SourceKind::Nothing, _)) && i != 0 {
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

/// A const and a default must be values of their type.
fn values(schema: &Schema, objects: &[ObjectSpec], problems: &mut Vec<Problem>) {
    let rows = objects.iter().flat_map(|o| &o.params);
    for (spec, row) in rows.zip(schema.params.iter()) {
        let kind = Kind { schema, row: &schema.kinds[row.kind as usize] };
        for place in &spec.places {
            let Place::At(source @ (SourceKind::Const | SourceKind::Store), text) = place else {
                continue;
            };
            let Err(why) = kind.judge(text) else { continue };
            let word = if *source == SourceKind::Const { "const" } else { "store" };
            problem(problems, &spec.at, format!("{word} of {}: {}", spec.name, why.text()));
            break;
        }
    }
}
