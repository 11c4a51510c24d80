//! Source `uci`: options of `/etc/config/*` below the root, read, and set one by one.
//!
//! A parameter says `package.section.option`, where the section is a name, `@type[n]`, or a place for a
//! key (`{1}`); a table says `package.@type`. The key of a row is the section's name, or `@type[n]` of
//! an anonymous one: that holds as long as no section of the type before it is removed.
//!
//! A list reads with commas. A boolean is written `1` or `0`; an option set to the empty string is
//! removed, as libuci does. Lists are not written, rows are not added or deleted, and no service is
//! reloaded yet.

use crate::model::fault::Code;
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Set, Want};
use crate::model::kind::forms::percent_encoded;
use crate::model::schema::{Base, Param};
use crate::sys::uci::{self, Cause, Edit, Held, Package, Problem};
use std::borrow::Cow;

/// The handler of `uci`.
#[derive(Default)]
pub struct Uci {
    /// What was read, with the RPC in which it was.
    packages: Vec<(String, u32, Result<Package, Failure>)>,
}

/// `package.section.option` with the row's keys in it.
struct Place<'a> {
    package: &'a str,
    section: Cow<'a, str>,
    name: &'a str,
}

fn option<'a>(arg: &'a str, row: &Row<'_>) -> Result<Place<'a>, Failure> {
    let wrong = || Failure::internal(format!("`{arg}` is not of the form package.section.option"));
    let (package, rest) = arg.split_once('.').ok_or_else(wrong)?;
    let (section, name) = rest.rsplit_once('.').ok_or_else(wrong)?;
    let mut section = Cow::Borrowed(section);
    for (at, (key, number)) in row.keys.iter().zip(row.numbers).enumerate() {
        for (place, text) in
            [(format!("{{{}}}", at + 1), *key), (format!("{{#{}}}", at + 1), &number.to_string())]
        {
            if section.contains(&place) {
                section = section.replace(&place, text).into();
            }
        }
    }
    Ok(Place { package: package_name(package)?, section, name })
}

/// A package is a file of this name, and nothing that leads elsewhere.
fn package_name(name: &str) -> Result<&str, Failure> {
    match !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        true => Ok(name),
        false => Err(Failure::internal(format!("`{name}` is no package"))),
    }
}

fn path(package: &str) -> String {
    format!("/etc/config/{package}")
}

fn failure(problem: Problem) -> Failure {
    let code = match problem.cause {
        Cause::Gone | Cause::Pending => Code::REQUEST_DENIED,
        Cause::Value => Code::INVALID_VALUE,
        _ => Code::INTERNAL_ERROR,
    };
    Failure { code, text: problem.to_string() }
}

/// The words of UCI for a value; `None` removes the option.
fn to_uci<'a>(param: Param<'_>, value: &'a str) -> Option<&'a str> {
    match (param.kind().row.base, value) {
        (_, "") => None,
        (Base::Boolean, "true") => Some("1"),
        (Base::Boolean, "false") => Some("0"),
        _ => Some(value),
    }
}

/// A value from the words of UCI.
fn from_uci<'a>(param: Param<'_>, value: &'a str) -> &'a str {
    match (param.kind().row.base, value) {
        (Base::Boolean, "1" | "on" | "yes" | "true" | "enabled") => "true",
        (Base::Boolean, "0" | "off" | "no" | "false" | "disabled") => "false",
        _ => value,
    }
}

impl Uci {
    /// A package, read once in an RPC; `None` when there is no such file.
    fn package(&mut self, ctx: &Ctx<'_>, name: &str) -> Result<Option<&Package>, Failure> {
        let at = match self.packages.iter().position(|p| p.0 == name) {
            Some(at) if self.packages.get(at).is_some_and(|p| p.1 == ctx.epoch) => at,
            found => {
                found.map(|at| self.packages.remove(at));
                let Some(package) = read(ctx, name)? else {
                    return Ok(None);
                };
                self.packages.push((name.to_owned(), ctx.epoch, package));
                self.packages.len() - 1
            }
        };
        match self.packages.get(at) {
            Some((_, _, Ok(package))) => Ok(Some(package)),
            Some((_, _, Err(failure))) => Err(failure.clone()),
            None => Ok(None),
        }
    }

    /// What the values of a row are in one package's file, and what is left of them for others.
    fn edits<'a>(sets: &mut Vec<(Place<'a>, &Set<'a>)>) -> Option<(&'a str, Vec<Edit>)> {
        let package = sets.first()?.0.package;
        let (mine, others) =
            std::mem::take(sets).into_iter().partition::<Vec<_>, _>(|s| s.0.package == package);
        *sets = others;
        Some((package, mine.into_iter().map(|(place, set)| edit(place, set)).collect()))
    }
}

fn edit(place: Place<'_>, set: &Set<'_>) -> Edit {
    let (section, option) = (place.section.into_owned(), place.name.to_owned());
    match to_uci(set.param, set.value) {
        Some(value) => Edit::Set { section, option, value: value.to_owned() },
        None => Edit::Unset { section, option },
    }
}

/// Reads a file; `None` when there is none.
///
/// # Errors
/// It cannot be read at all; inside, that it is not understood.
#[allow(clippy::type_complexity)] // what is kept for the RPC, and what is not
fn read(ctx: &Ctx<'_>, name: &str) -> Result<Option<Result<Package, Failure>>, Failure> {
    match uci::load(ctx.root, name) {
        Ok(None) => Ok(None),
        Ok(Some(package)) => Ok(Some(Ok(package))),
        Err(problem) if problem.cause == Cause::Broken => Ok(Some(Err(failure(problem)))),
        Err(problem) => Err(failure(problem)),
    }
}

fn sets<'a>(change: &Change<'a>) -> Result<&'a [Set<'a>], Failure> {
    match change {
        Change::Set(sets) => Ok(sets),
        _ => Err(Failure::denied("sections are not added or deleted yet")),
    }
}

fn places<'a>(row: &Row<'_>, sets: &'a [Set<'a>]) -> Result<Vec<(Place<'a>, &'a Set<'a>)>, Failure> {
    sets.iter().map(|set| Ok((option(set.arg, row)?, set))).collect()
}

impl Handler for Uci {
    fn bells(&self, _: &Ctx<'_>, row: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        let arg = want.map_or(row.arg, |w| w.arg);
        let package = arg.split_once('.').and_then(|(package, _)| package_name(package).ok());
        // A source of another form reads nothing, and never will.
        package.into_iter().for_each(|package| ring(Bell::File(path(package))));
    }

    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        let Some((package, kind)) = row.arg.split_once(".@") else {
            return Err(Failure::internal(format!("`{}` is not of the form package.@type", row.arg)));
        };
        if let Some(package) = self.package(ctx, package_name(package)?)? {
            package.of_kind(kind).for_each(|s| out.push(s.key()));
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
        for (index, want) in want.iter().enumerate() {
            let option = option(want.arg, row)?;
            let Some(package) = self.package(ctx, option.package)? else {
                continue;
            };
            match package.section(&option.section).and_then(|s| s.held(option.name)) {
                Some(Held::One(value)) => out.put(index, from_uci(want.param, value)),
                Some(Held::Many(values)) if want.param.kind().row.list => {
                    // R-SPV-16: an item may hold a comma of its own.
                    let items: Vec<_> = values.iter().map(|v| percent_encoded(v)).collect();
                    out.put(index, items.join(","));
                }
                Some(Held::Many(values)) => out.put(index, values.join(",")),
                None => {}
            }
        }
        Ok(())
    }

    fn check(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let sets = match sets(change) {
            Ok(sets) => sets,
            Err(failure) => return bad.push((0, failure)),
        };
        for (index, set) in sets.iter().enumerate() {
            let judged = option(set.arg, row).and_then(|option| match self.package(ctx, option.package)? {
                Some(package) => {
                    let section = package.section(&option.section);
                    if matches!(section.and_then(|s| s.held(option.name)), Some(Held::Many(_))) {
                        return Err(Failure::denied("the option is a list, and lists are not written yet"));
                    }
                    uci::judge(package, &[edit(option, set)]).map_err(failure)
                }
                None => Err(Failure::denied(format!("{} is not there", path(option.package)))),
            });
            bad.extend(judged.err().map(|failure| (index, failure)));
        }
    }

    /// For each package: its name and what [`uci::undo_of`] gives, both behind their length.
    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        let mut saved = Vec::new();
        let mut left = places(row, sets(change)?)?;
        while let Some((name, edits)) = Uci::edits(&mut left) {
            let undo =
                self.package(ctx, name)?.map(|package| uci::undo_of(package, &edits)).unwrap_or_default();
            for part in [name.as_bytes(), &undo] {
                saved.extend_from_slice(&(part.len() as u32).to_le_bytes());
                saved.extend_from_slice(part);
            }
        }
        Ok(saved)
    }

    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let mut left = places(row, sets(change)?)?;
        // All options of one file are one write of it.
        while let Some((name, edits)) = Uci::edits(&mut left) {
            self.packages.retain(|p| p.0 != name);
            uci::commit(ctx.root, name, &edits).map_err(failure)?;
        }
        Ok(())
    }

    fn undo(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
        let damaged = || Failure::internal("what was saved is damaged");
        let mut rest = saved;
        let mut part = || {
            let (len, more) = rest.split_first_chunk::<4>()?;
            let (part, more) = more.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            rest = more;
            Some(part)
        };
        let mut failed = None;
        while let Some(name) = part() {
            let name = std::str::from_utf8(name).map_err(|_| damaged())?;
            let undo = part().ok_or_else(damaged)?;
            self.packages.retain(|p| p.0 != name);
            failed = failed.or(uci::revert(ctx.root, name, undo).err());
        }
        match (failed, rest.is_empty()) {
            (Some(problem), _) => Err(failure(problem)),
            (None, false) => Err(damaged()),
            (None, true) => Ok(()),
        }
    }

    fn session_ended(&mut self, _: &Ctx<'_>) {
        // Nothing is kept while nobody reads.
        self.packages = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;
    use crate::model::grammar::schema_from;
    use crate::model::schema::Schema;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    const ROWS: &str = r##"
["Device.X_T.{i}."]
uci = "network.@interface"
Proto = { type = "string", uci = "network.{1}.proto", write = true }
Up    = { type = "boolean", uci = "network.{1}.auto", write = true }
Dns   = { type = "list(string)", uci = "network.{1}.dns", write = true }
["Device.X_S."]
Host  = { type = "string", uci = "system.@system[0].hostname", write = true }
Zone  = { type = "string", uci = "system.@system[0].zonename", write = true }
Bad   = { type = "string", uci = "nowhere.x.y", write = true }
"##;

    const NETWORK: &str = "config interface 'lan'\n\toption proto static # by hand\n\toption auto off\n\tlist dns 1.1.1.1\n\tlist dns '8.8,8'\n\nconfig interface\n\toption proto 'dhcp'\n";
    const SYSTEM: &str = "config system\n\toption hostname OpenWrt\n";

    struct Bench {
        folder: Folder,
        schema: Schema,
        uci: Uci,
        epoch: u32,
    }

    impl Bench {
        fn new() -> Bench {
            let folder = Folder::new();
            folder.file("etc/config/network", NETWORK);
            folder.file("etc/config/system", SYSTEM);
            Bench {
                folder,
                schema: schema_from(&[("rows.toml", ROWS)], &[]).unwrap(),
                uci: Uci::default(),
                epoch: 1,
            }
        }

        fn call<R>(
            &mut self,
            path: &str,
            keys: &[&str],
            values: &[(&str, &str)],
            call: impl FnOnce(&mut Uci, &Ctx<'_>, &Row<'_>, &Change<'_>) -> R,
        ) -> R {
            self.epoch += 1;
            let object = self.schema.find_object(path).unwrap();
            let arg = |p: Param<'_>| self.schema.source(p.row().sources[0]).unwrap().arg.to_owned();
            let args: Vec<String> = values.iter().map(|(name, _)| arg(object.param(name).unwrap())).collect();
            let sets: Vec<Set<'_>> = values
                .iter()
                .zip(&args)
                .map(|((name, value), arg)| Set {
                    param: object.param(name).unwrap(),
                    arg,
                    value,
                    refers: None,
                })
                .collect();
            let row = Row { object, arg: "network.@interface", keys, numbers: &[1][..keys.len()] };
            call(
                &mut self.uci,
                &Ctx { epoch: self.epoch, root: self.folder.root() },
                &row,
                &Change::Set(&sets),
            )
        }

        fn get(&mut self, path: &str, keys: &[&str], name: &str) -> String {
            self.call(path, keys, &[(name, "")], |uci, ctx, row, change| {
                let Change::Set(sets) = change else {
                    return String::new();
                };
                let mut out = Fields::default();
                out.reset(1);
                uci.get(ctx, row, &[Want { param: sets[0].param, arg: sets[0].arg }], &mut out).unwrap();
                out.get(0).unwrap_or("-").to_owned()
            })
        }
    }

    const T: &str = "Device.X_T.{i}.";
    const S: &str = "Device.X_S.";

    #[test]
    fn sections_are_rows_and_options_values() {
        let mut b = Bench::new();
        let keys = b.call(T, &[], &[], |uci, ctx, row, _| {
            let mut out = Keys::default();
            uci.list(ctx, row, &mut out).unwrap();
            out.iter().map(str::to_owned).collect::<Vec<_>>()
        });
        assert_eq!(keys[0], "lan");
        assert!(keys[1].starts_with("@interface[1]~"), "{keys:?}");
        assert_eq!(b.get(T, &["lan"], "Proto"), "static");
        assert_eq!(b.get(T, &["lan"], "Up"), "false");
        assert_eq!(b.get(T, &["lan"], "Dns"), "1.1.1.1,8.8%2C8");
        assert_eq!(b.get(T, &["@interface[1]"], "Proto"), "dhcp");
        assert_eq!(b.get(T, &["@interface[1]"], "Up"), "-");
        assert_eq!(b.get(T, &["gone"], "Proto"), "-");
        assert_eq!(b.get(S, &[], "Host"), "OpenWrt");
        assert_eq!(b.get(S, &[], "Bad"), "-");
    }

    #[test]
    fn a_file_is_read_once_in_an_rpc_and_anew_in_the_next() {
        let mut b = Bench::new();
        b.get(S, &[], "Host");
        b.epoch -= 1;
        b.folder.file("etc/config/system", "config system\n\toption hostname new\n");
        assert_eq!(b.get(S, &[], "Host"), "OpenWrt");
        assert_eq!(b.get(S, &[], "Host"), "new");
        b.folder.file("etc/config/system", "config system\n\toption 'hostname\n");
        let failed = b.call(S, &[], &[("Host", "x")], |uci, ctx, row, change| {
            let mut bad = Vec::new();
            uci.check(ctx, row, change, &mut bad);
            bad.remove(0).1.text
        });
        assert!(failed.contains("/etc/config/system: line 2"), "{failed}");
    }

    #[test]
    fn an_option_is_set_and_put_back_and_nothing_else_changes() {
        let mut b = Bench::new();
        let file = b.folder.root().join("etc/config/network");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        let values = [("Proto", "pppoe"), ("Up", "true")];
        let bad = b.call(T, &["lan"], &values, |uci, ctx, row, change| {
            let mut bad = Vec::new();
            uci.check(ctx, row, change, &mut bad);
            bad
        });
        assert_eq!(bad, []);
        let saved = b.call(T, &["lan"], &values, |u, c, r, ch| u.stage(c, r, ch)).unwrap();
        assert_eq!(b.folder.text("etc/config/network"), NETWORK);
        for _ in 0..2 {
            b.call(T, &["lan"], &values, |u, c, r, ch| u.commit(c, r, ch)).unwrap();
            let expected = NETWORK.replace("static", "'pppoe'").replace("off", "'1'");
            assert_eq!(b.folder.text("etc/config/network"), expected);
        }
        // Somebody else's change of another option stays.
        b.folder.file("etc/config/network", &b.folder.text("etc/config/network").replace("dhcp", "none"));
        for _ in 0..2 {
            b.call(T, &["lan"], &values, |u, c, r, ch| u.undo(c, r, ch, &saved)).unwrap();
            assert_eq!(b.folder.text("etc/config/network"), NETWORK.replace("dhcp", "none"));
        }
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
        // A value that is there already keeps its form and its file.
        let inode = std::fs::metadata(&file).unwrap().ino();
        b.call(T, &["lan"], &[("Proto", "static")], |u, c, r, ch| u.commit(c, r, ch)).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().ino(), inode);
    }

    #[test]
    fn an_option_that_was_not_there_goes_again() {
        let mut b = Bench::new();
        let values = [("Zone", "Europe/Berlin"), ("Host", "")];
        let saved = b.call(S, &[], &values, |u, c, r, ch| u.stage(c, r, ch)).unwrap();
        b.call(S, &[], &values, |u, c, r, ch| u.commit(c, r, ch)).unwrap();
        assert_eq!(b.folder.text("etc/config/system"), "config system\n\toption zonename 'Europe/Berlin'\n");
        assert_eq!(b.get(S, &[], "Host"), "-");
        b.call(S, &[], &values, |u, c, r, ch| u.undo(c, r, ch, &saved)).unwrap();
        assert_eq!(b.folder.text("etc/config/system"), SYSTEM);
        let damaged = &saved[..saved.len() - 12];
        assert!(b.call(S, &[], &values, |u, c, r, ch| u.undo(c, r, ch, damaged)).is_err());
    }

    #[test]
    fn what_cannot_be_set_is_told_before() {
        let mut b = Bench::new();
        let mut judge = |path, keys: &[&str], name, value| {
            b.call(path, keys, &[(name, value)], |uci, ctx, row, change| {
                let mut bad = Vec::new();
                uci.check(ctx, row, change, &mut bad);
                bad.first().map(|(_, f)| f.code.0)
            })
        };
        assert_eq!(judge(T, &["lan"], "Dns", "9.9.9.9"), Some(9001));
        assert_eq!(judge(T, &["gone"], "Proto", "x"), Some(9001));
        assert_eq!(judge(S, &[], "Bad", "x"), Some(9001));
        assert_eq!(judge(S, &[], "Host", "x"), None);
        assert!(b.call(T, &["lan"], &[], |u, c, r, _| u.stage(c, r, &Change::Delete)).is_err());
    }

    #[test]
    fn a_package_leads_nowhere_else() {
        for name in ["", "..", "../passwd", "a/b", "a b", "a.b"] {
            assert!(package_name(name).is_err(), "{name}");
        }
    }
}
