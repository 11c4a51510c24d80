//! A tree made of a piece of text, and a handler that keeps its rows in memory and tells what was
//! asked of it: for tests and benches of this room and those above it.

use super::fault::Code;
use super::grammar;
use super::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use super::schema::{Platform, Schema};
use super::tree::{Handlers, Tree};
use crate::state::journal::Journal;
use crate::sys::sorted::SortedMap;
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

/// The schema of a text in the grammar of `datamodel/*.toml`.
///
/// # Panics
/// When the text is wrong: it is part of a test.
pub fn schema(text: &str, natives: &[&str]) -> Schema {
    match grammar::schema_from(&[("sample.toml", text)], natives) {
        Ok(schema) => schema,
        // A test's own text.
        Err(problems) => {
            panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        }
    }
}

/// A tree on platform Linux with root `/`, and the notes of its start.
pub fn tree(text: &str, journal: &Rc<RefCell<Journal>>, handlers: Handlers) -> (Tree, Vec<String>) {
    let natives: Vec<&str> = handlers.natives.iter().map(|n| n.0).collect();
    let schema = schema(text, &natives);
    Tree::open(schema, Platform::Linux, PathBuf::from("/"), journal.clone(), handlers)
}

/// What a [`MemoryHandler`] holds, shared with the test.
#[derive(Default)]
pub struct Memory {
    /// By object and keys (`Device.X.{i}. a`), the values by parameter name.
    pub rows: SortedMap<String, SortedMap<String, String>>,
    /// By object and keys of the parents (`Device.X.{i}.`), the keys of the instances.
    pub keys: SortedMap<String, Vec<String>>,
    /// References that rows give: by row and parameter (`Device.X.{i}. a Ref`), object and keys.
    pub references: SortedMap<String, Vec<(String, Vec<String>)>>,
    /// What was called: `get Device.X.{i}. a`, `stage …`, `commit …`, `undo …`.
    pub log: Vec<String>,
    /// Calls that fail: `commit Device.X.{i}. a`.
    pub failing: Vec<String>,
    /// Parameters whose values `check` refuses with 9007, or with `code`.
    pub refused: Vec<String>,
    /// See `refused`.
    pub code: Option<Code>,
    /// The handler cannot undo.
    pub one_way: bool,
    /// By parameter, or by table (`Device.X.{i}.`), what tells of a change; nobody of what is not here.
    pub bells: SortedMap<String, Vec<Bell>>,
}

impl Memory {
    /// The values of one row; made when it is not there.
    pub fn row(&mut self, name: &str) -> &mut SortedMap<String, String> {
        self.rows.entry(name.to_owned()).or_default()
    }

    fn call(&mut self, what: &str, name: &str) -> Result<(), Failure> {
        let call = format!("{what} {name}");
        let fails = self.failing.contains(&call);
        self.log.push(call);
        if fails { Err(Failure::internal("it was told to fail")) } else { Ok(()) }
    }
}

/// A handler over a [`Memory`].
pub struct MemoryHandler(pub Rc<RefCell<Memory>>);

fn name(row: &Row<'_>) -> String {
    let mut name = row.object.path().to_owned();
    for key in row.keys {
        name.push(' ');
        name.push_str(key);
    }
    name
}

/// The table of a row, with the keys of its parents.
fn table(row: &Row<'_>) -> String {
    let parents = row.keys.split_last().map_or(&[][..], |(_, parents)| parents);
    name(&Row { keys: parents, ..*row })
}

impl Handler for MemoryHandler {
    fn list(&mut self, _: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        let mut memory = self.0.borrow_mut();
        memory.call("list", &name(row))?;
        out.extend(memory.keys.get(&name(row)).into_iter().flatten().cloned());
        Ok(())
    }

    fn get(
        &mut self,
        _: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let mut memory = self.0.borrow_mut();
        let name = name(row);
        memory.call("get", &name)?;
        for (at, want) in want.iter().enumerate() {
            if let Some(value) = memory.rows.get(&name).and_then(|r| r.get(want.param.name())) {
                out.put(at, value);
            }
            for (object, keys) in
                memory.references.get(&format!("{name} {}", want.param.name())).into_iter().flatten()
            {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                out.refer(at, object, &keys);
            }
        }
        Ok(())
    }

    fn check(&mut self, _: &Ctx<'_>, _: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let Change::Set(sets) = change else { return };
        let memory = self.0.borrow();
        for (at, set) in sets.iter().enumerate() {
            if memory.refused.iter().any(|p| p == set.param.name()) {
                bad.push((
                    at,
                    Failure {
                        code: memory.code.unwrap_or(Code::INVALID_VALUE),
                        text: "refused by the handler".to_owned(),
                    },
                ));
            }
        }
    }

    fn stage(&mut self, _: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        let mut memory = self.0.borrow_mut();
        let name = name(row);
        memory.call("stage", &name)?;
        // One line for each parameter: `+name value` as it was, `-name` when it was not there.
        let mut saved = String::new();
        let old = memory.rows.get(&name);
        match change {
            Change::Set(sets) => {
                for set in *sets {
                    match old.and_then(|r| r.get(set.param.name())) {
                        Some(value) => saved.push_str(&format!("+{} {value}\n", set.param.name())),
                        None => saved.push_str(&format!("-{}\n", set.param.name())),
                    }
                }
            }
            Change::Delete => {
                old.into_iter().flatten().for_each(|(k, v)| saved.push_str(&format!("+{k} {v}\n")))
            }
            Change::Add => {}
        }
        Ok(saved.into_bytes())
    }

    fn commit(&mut self, _: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let mut memory = self.0.borrow_mut();
        let (name, table) = (name(row), table(row));
        memory.call("commit", &name)?;
        let keys = memory.keys.entry(table).or_default();
        match change {
            Change::Set(sets) => {
                for set in *sets {
                    memory.row(&name).insert(set.param.name().to_owned(), set.value.to_owned());
                }
            }
            Change::Add => keys.push(row.key().to_owned()),
            Change::Delete => {
                keys.retain(|k| k != row.key());
                memory.rows.remove(&name);
            }
        }
        Ok(())
    }

    fn undo(&mut self, _: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
        let mut memory = self.0.borrow_mut();
        let (name, table) = (name(row), table(row));
        memory.call("undo", &name)?;
        for line in String::from_utf8_lossy(saved).lines() {
            match line.split_once(' ') {
                Some((param, value)) => memory.row(&name).insert(param[1..].to_owned(), value.to_owned()),
                None => memory.row(&name).remove(&line[1..]),
            };
        }
        let keys = memory.keys.entry(table).or_default();
        match change {
            Change::Add => {
                keys.retain(|k| k != row.key());
                // As a real row takes with it what lies in it.
                let own = format!("{} ", row.keys.join(" "));
                memory.rows.retain(|name, _| {
                    let (path, keys) = name.split_once(' ').unwrap_or((name, ""));
                    !path.starts_with(row.object.path()) || !format!("{keys} ").starts_with(&own)
                });
            }
            Change::Delete if !keys.iter().any(|k| k == row.key()) => keys.push(row.key().to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn can_undo(&self, _: &str) -> bool {
        !self.0.borrow().one_way
    }

    fn add_key(&mut self, _: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
        let mut memory = self.0.borrow_mut();
        memory.call("add_key", &name(row))?;
        Ok(format!("k{number}"))
    }

    fn bells(&self, _: &Ctx<'_>, row: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        let memory = self.0.borrow();
        let name = want.map_or(row.object.path(), |w| w.param.name());
        match memory.bells.get(name) {
            Some(bells) => bells.iter().cloned().for_each(ring),
            None => ring(Bell::None),
        }
    }

    fn session_ended(&mut self, _: &Ctx<'_>) {
        self.0.borrow_mut().log.push("session ended".to_owned());
    }
}
