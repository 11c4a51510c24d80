//! Values in OpenWrt's `/etc/config` files: `package.section.option`, where the section is a name,
//! `@type[n]`, or `{1}`, the key of the first `{i}`; a table is `package.@type`, the key of an
//! instance being its section's name, or `@type[n]` when it has none.
//!
//! A package is read once for each RPC. Changes are gathered while a transaction commits, and each
//! file is written once, when it settles.

use crate::model::fault::Code;
use crate::model::handler::{Change, Ctx, Failure, Fields, Handler, Row, Want};
use crate::sys::uci::{MAX_FILE, Package};
use crate::sys::{file, host};
use std::collections::BTreeMap;
use std::path::Path;

const FOLDER: &str = "etc/config";

/// A package as it was read, with what was changed of it.
struct Held {
    epoch: u32,
    package: Package,
    changed: bool,
}

/// The handler of `uci = "…"`.
#[derive(Default)]
pub struct UciHandler {
    held: BTreeMap<String, Held>,
}

/// Package, section and option that an argument names for a row; the option is empty for a table.
fn place<'a>(arg: &'a str, keys: &[&str]) -> Option<(&'a str, String, &'a str)> {
    let (package, rest) = arg.split_once('.')?;
    let (section, option) = rest.rsplit_once('.').unwrap_or((rest, ""));
    let mut section = section.to_owned();
    for (at, key) in keys.iter().enumerate() {
        section = section.replace(&format!("{{{}}}", at + 1), key);
    }
    let plain = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    plain(package).then_some((package, section, option))
}

fn internal(package: &str, why: impl std::fmt::Display) -> Failure {
    Failure::internal(format!("/{FOLDER}/{package}: {why}"))
}

impl UciHandler {
    fn package(&mut self, ctx: &Ctx<'_>, name: &str) -> Result<&mut Held, Failure> {
        let fresh = self
            .held
            .get(name)
            .is_some_and(|h| h.changed || h.epoch == ctx.epoch);
        if !fresh {
            let package = read(ctx.root, name)?;
            self.held.insert(
                name.to_owned(),
                Held {
                    epoch: ctx.epoch,
                    package,
                    changed: false,
                },
            );
        }
        self.held
            .get_mut(name)
            .ok_or_else(|| internal(name, "not held"))
    }

    /// Writes one option as it is to stand there; `None` takes it away.
    fn write(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        arg: &str,
        raw: Option<&str>,
        quote: bool,
    ) -> Result<(), Failure> {
        let (name, section, option) =
            place(arg, row.keys).ok_or_else(|| Failure::denied("not a place in a package"))?;
        let held = self.package(ctx, name)?;
        let before = held.package.text().len();
        let old = held.package.raw(&section, option).map(str::to_owned);
        match quote {
            true => held.package.set(&section, option, raw),
            false => held.package.restore(&section, option, raw),
        }
        .map_err(|why| internal(name, why))?;
        let same = before == held.package.text().len()
            && old.as_deref() == held.package.raw(&section, option);
        held.changed |= !same;
        Ok(())
    }
}

fn read(root: &Path, name: &str) -> Result<Package, Failure> {
    let bytes = host::read_bytes(root, &format!("{FOLDER}/{name}"), MAX_FILE as u64 + 1)
        .map_err(|e| internal(name, e))?;
    let text = String::from_utf8(bytes).map_err(|_| internal(name, "not UTF-8"))?;
    Package::parse(text).map_err(|why| internal(name, why))
}

impl Handler for UciHandler {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Vec<String>) -> Result<(), Failure> {
        let Some((name, section, _)) = place(row.arg, row.keys) else {
            return Ok(());
        };
        let Some(kind) = section.strip_prefix('@') else {
            return Ok(());
        };
        let package = &self.package(ctx, name)?.package;
        let sections = package.sections().iter().filter(|s| s.kind == kind);
        for (nth, section) in sections.enumerate() {
            let anonymous = || format!("@{kind}[{nth}]");
            out.push(section.name.clone().unwrap_or_else(anonymous));
        }
        Ok(())
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        for (at, want) in want.iter().enumerate() {
            let Some((name, section, option)) = place(want.arg, row.keys) else {
                continue;
            };
            let held = self.package(ctx, name)?;
            let Some(section) = held.package.section(&section) else {
                continue;
            };
            let list: Vec<&str> = section.list(option).collect();
            if want.param.kind().row.list && !list.is_empty() {
                out.put(at, list.join(","));
            } else if let Some(value) = section.get(option) {
                // UCI's own words for a boolean.
                out.put(
                    at,
                    match (want.param.kind().xsi_type(), value) {
                        ("xsd:boolean", "on" | "yes" | "enabled") => "true",
                        ("xsd:boolean", "off" | "no" | "disabled") => "false",
                        (_, value) => value,
                    },
                );
            }
        }
        Ok(())
    }

    fn check(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        change: &Change<'_>,
        bad: &mut Vec<(usize, Failure)>,
    ) {
        let Change::Set(sets) = change else { return };
        for (at, set) in sets.iter().enumerate() {
            let there = place(set.arg, row.keys).is_some_and(|(name, section, _)| {
                self.package(ctx, name)
                    .is_ok_and(|h| h.package.section(&section).is_some())
            });
            if !there || set.param.kind().row.list {
                bad.push((
                    at,
                    Failure {
                        code: Code::REQUEST_DENIED,
                        text: "there is no such option to set".to_owned(),
                    },
                ));
            }
        }
    }

    fn stage(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        change: &Change<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let Change::Set(sets) = change else {
            return Err(Failure::denied("sections are not added or deleted yet"));
        };
        // For each option one byte, whether it was there, then its text as written and a zero byte.
        let mut saved = Vec::new();
        for set in *sets {
            let (name, section, option) = place(set.arg, row.keys)
                .ok_or_else(|| Failure::denied("not a place in a package"))?;
            let raw = self
                .package(ctx, name)?
                .package
                .raw(&section, option)
                .map(str::to_owned);
            saved.push(u8::from(raw.is_some()));
            saved.extend(raw.unwrap_or_default().into_bytes());
            saved.push(0);
        }
        Ok(saved)
    }

    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let Change::Set(sets) = change else {
            return Err(Failure::denied("sections are not added or deleted yet"));
        };
        for set in *sets {
            let value = match (set.param.kind().xsi_type(), set.value) {
                ("xsd:boolean", "true") => "1",
                ("xsd:boolean", _) => "0",
                (_, value) => value,
            };
            self.write(ctx, row, set.arg, Some(value), true)?;
        }
        Ok(())
    }

    fn undo(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        change: &Change<'_>,
        saved: &[u8],
    ) -> Result<(), Failure> {
        let Change::Set(sets) = change else {
            return Ok(());
        };
        for (set, old) in sets.iter().zip(saved.split(|b| *b == 0)) {
            let raw = match old.split_first() {
                Some((1, raw)) => Some(
                    std::str::from_utf8(raw)
                        .map_err(|_| Failure::internal("what was saved is damaged"))?,
                ),
                _ => None,
            };
            self.write(ctx, row, set.arg, raw, false)?;
        }
        Ok(())
    }

    fn settle(&mut self, ctx: &Ctx<'_>) -> Result<(), Failure> {
        let mut failed = Ok(());
        for (name, held) in self.held.iter_mut().filter(|(_, h)| h.changed) {
            let path = host::below(ctx.root, &format!("{FOLDER}/{name}"));
            match file::replace(&path, held.package.text().as_bytes(), 0o600) {
                // What another program writes from here on is seen at the next read.
                Ok(()) => (held.changed, held.epoch) = (false, 0),
                Err(e) => failed = Err(internal(name, e)),
            }
        }
        failed
    }

    fn abandon(&mut self) {
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::ParameterValue;
    use crate::model::sample;
    use crate::model::schema::{Platform, SourceKind};
    use crate::model::tree::{Handlers, Tree, Writer};
    use crate::state::journal::Journal;
    use std::cell::RefCell;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;
    use std::rc::Rc;

    const MODEL: &str = r#"
["Device."]
Host = { type = "string(32)", uci = "system.@system[0].hostname", write = true }
Ntp  = { type = "boolean", uci = "system.ntp.enabled", write = true }
Servers = { type = "list(string)", uci = "system.ntp.server" }

["Device.If.{i}."]
uci   = "network.@interface"
Proto = { type = "string", uci = "network.{1}.proto", write = true }
MTU   = { type = "unsignedInt", uci = "network.{1}.mtu", write = true }
"#;
    const SYSTEM: &str = "config system\n\toption hostname 'Wrt'\n\nconfig timeserver ntp\n\tlist server 'a'\n\tlist server 'b'\n\toption enabled yes\n";
    const NETWORK: &str = "config interface lan\n\toption proto static # why\n\nconfig interface\n\toption proto \"dhcp\"\n";

    fn world(name: &str) -> (PathBuf, Rc<RefCell<Journal>>) {
        let root = std::env::temp_dir().join(format!("cwmpd-uci-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join(FOLDER)).unwrap();
        std::fs::write(root.join(FOLDER).join("system"), SYSTEM).unwrap();
        std::fs::write(root.join(FOLDER).join("network"), NETWORK).unwrap();
        (root, Rc::new(RefCell::new(Journal::in_memory())))
    }

    fn open(root: &Path, journal: &Rc<RefCell<Journal>>) -> Tree {
        let handlers = Handlers {
            by_kind: vec![(SourceKind::Uci, Box::new(UciHandler::default()))],
            natives: Vec::new(),
        };
        let (tree, notes) = Tree::open(
            sample::schema(MODEL, &[]),
            Platform::Linux,
            root.to_owned(),
            journal.clone(),
            handlers,
        );
        notes.iter().for_each(|n| println!("{n}"));
        tree
    }

    fn set(tree: &mut Tree, list: &[(&str, &str)]) -> bool {
        let list: Vec<ParameterValue> = list
            .iter()
            .map(|(n, v)| ParameterValue {
                name: (*n).into(),
                value: (*v).into(),
                xsi_type: None,
            })
            .collect();
        tree.set(&list, Writer::Local).is_ok()
    }

    fn file_text(root: &Path, name: &str) -> String {
        std::fs::read_to_string(root.join(FOLDER).join(name)).unwrap()
    }

    #[test]
    fn reads_and_sets_options() {
        let (root, journal) = world("set");
        let path = root.join(FOLDER).join("network");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let mut tree = open(&root, &journal);
        for (path, value) in [
            ("Device.Host", "Wrt"),
            ("Device.Ntp", "true"),
            ("Device.Servers", "a,b"),
            ("Device.If.1.Proto", "static"),
            ("Device.If.2.Proto", "dhcp"),
            ("Device.If.2.MTU", "0"),
        ] {
            assert_eq!(tree.value(path).as_deref(), Some(value), "{path}");
        }
        assert!(set(
            &mut tree,
            &[
                ("Device.Ntp", "0"),
                ("Device.If.1.Proto", "dh'cp"),
                ("Device.If.2.MTU", "1400")
            ]
        ));
        assert_eq!(file_text(&root, "system"), SYSTEM.replace("yes", "'0'"));
        assert_eq!(
            file_text(&root, "network"),
            NETWORK.replace("static", "'dh'\\''cp'") + "\toption mtu '1400'\n"
        );
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(tree.value("Device.If.1.Proto").as_deref(), Some("dh'cp"));
        std::fs::remove_dir_all(root).unwrap();
    }

    /// One package cannot be written: the other is put back, byte for byte.
    #[test]
    fn a_file_that_cannot_be_written_takes_all_back() {
        let (root, journal) = world("undo");
        let mut tree = open(&root, &journal);
        assert_eq!(tree.value("Device.Host").as_deref(), Some("Wrt"));
        // A folder in the place of the new file: it cannot be made, for root either.
        std::fs::create_dir_all(root.join(FOLDER).join(".system.new/x")).unwrap();
        assert!(!set(
            &mut tree,
            &[("Device.Host", "new"), ("Device.If.1.Proto", "new")]
        ));
        assert_eq!(file_text(&root, "system"), SYSTEM);
        assert_eq!(file_text(&root, "network"), NETWORK);
        std::fs::remove_dir_all(root).unwrap();
    }

    /// The files were written and the process died before "done".
    #[test]
    fn a_new_process_puts_back_what_was_written() {
        let (root, journal) = world("cut");
        let mut tree = open(&root, &journal);
        let handler = &mut UciHandler::default();
        let schema = sample::schema(MODEL, &[]);
        let object = schema.find_object("Device.If.{i}.").unwrap();
        let ctx = Ctx {
            epoch: 1,
            root: &root,
        };
        let row = Row {
            object,
            arg: "network.@interface",
            keys: &["lan"],
            numbers: &[1],
        };
        let param = object.param("Proto").unwrap();
        let change = [crate::model::handler::Set {
            param,
            arg: "network.{1}.proto",
            value: "x",
            refers: None,
        }];
        let saved = handler.stage(&ctx, &row, &Change::Set(&change)).unwrap();
        handler.commit(&ctx, &row, &Change::Set(&change)).unwrap();
        handler.settle(&ctx).unwrap();
        assert_ne!(file_text(&root, "network"), NETWORK);
        assert_eq!(tree.value("Device.If.1.Proto").as_deref(), Some("x"));
        // A new process: nothing is held.
        let handler = &mut UciHandler::default();
        for _ in 0..2 {
            handler
                .undo(&ctx, &row, &Change::Set(&change), &saved)
                .unwrap();
            handler.settle(&ctx).unwrap();
            assert_eq!(file_text(&root, "network"), NETWORK);
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
