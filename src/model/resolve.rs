//! What a name in a request means (R-GPV-1 to 7, DM-1, N-11, N-13).

use super::fault::{Code, Fault};
use super::path::{MAX_PATH, Path, Segment};
use super::schema::{ObjectId, ParamId};
use super::served::Numbers;
use super::tree::Tree;

/// What a name means.
#[derive(Default)]
pub struct Target {
    /// The object.
    pub object: ObjectId,
    /// Instance numbers, 0 for every instance (a wildcard), and for a table without its instance.
    pub numbers: Numbers,
    /// The name ended at a table, without an instance.
    pub table: bool,
    /// The parameter; `None` for a partial path.
    pub param: Option<ParamId>,
    /// A wildcard was in it.
    pub wild: bool,
    /// Which of its `{i}` the name gave an instance for, a bit for each from the outermost.
    pub named: u8,
    /// Which of them by Alias.
    pub aliased: u8,
    /// The aliases behind a wildcard, each with the `{i}` it is for: another row below each parent.
    pub sought: Vec<(u8, String)>,
}

/// What a name may hold or do beyond meaning something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Allow {
    /// Nothing.
    Plain,
    /// `*`.
    Wildcards,
    /// An Alias that no row has makes the row (R-SPV-21).
    NewRows,
}

/// Why a name means nothing; a text is fault 9005.
enum Trouble {
    Name(&'static str),
    Fault(Fault),
}

impl From<&'static str> for Trouble {
    fn from(why: &'static str) -> Trouble {
        Trouble::Name(why)
    }
}

/// A name of a peer as a fault repeats it: whole as long as it could be one.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(MAX_PATH).collect()
}

impl Tree {
    /// Finds what a name means; with `wildcards` it may hold `*`. An alias stands for its instance.
    ///
    /// # Errors
    /// 9005, naming the name.
    pub(super) fn resolve(&mut self, name: &str, wildcards: bool) -> Result<Target, Fault> {
        self.resolve_with(name, if wildcards { Allow::Wildcards } else { Allow::Plain })
    }

    /// As [`Tree::resolve`].
    ///
    /// # Errors
    /// 9005, naming the name; for a row that cannot be made what its handler says, or 9004.
    pub(super) fn resolve_with(&mut self, name: &str, allow: Allow) -> Result<Target, Fault> {
        let found = Path::parse(name).map_err(Trouble::Name).and_then(|path| self.find(&path, allow));
        found.map_err(|trouble| match trouble {
            Trouble::Fault(fault) => fault,
            Trouble::Name(why) => Fault::new(Code::INVALID_NAME, format!("{}: {why}", shown(name))),
        })
    }

    /// For AddObject: the table, and the Alias of the new row when the name ends with one (R-OBJ-9).
    ///
    /// # Errors
    /// As [`Tree::resolve`].
    pub(super) fn resolve_new<'a>(&mut self, name: &'a str) -> Result<(Target, Option<&'a str>), Fault> {
        let last = Path::parse(name).ok().and_then(|path| match path.segments.last() {
            Some(Segment::Alias(alias)) if path.partial => Some(*alias),
            _ => None,
        });
        // Behind the table's name: the brackets and the final dot.
        let table = last.and_then(|alias| name.len().checked_sub(alias.len() + 3));
        let table = table.and_then(|end| name.get(..end)).unwrap_or(name);
        Ok((self.resolve(table, false)?, last))
    }

    fn find(&mut self, path: &Path<'_>, allow: Allow) -> Result<Target, Trouble> {
        const UNKNOWN: &str = "there is no such parameter or object";
        let mut target = Target::default();
        let mut segments = path.segments.iter().enumerate();
        match segments.next() {
            None => return Ok(target),
            Some((_, Segment::Name(root)))
                if self.served.has(0) && *root == self.served.schema.object(0).name() => {}
            Some(_) => return Err(UNKNOWN.into()),
        }
        let last = path.segments.len() - 1;
        let mut depth = 0_u8;
        for (at, segment) in segments {
            let number = match segment {
                Segment::Name(name) if !target.table => {
                    match self.served.child(target.object, name) {
                        Some(child) if at < last || path.partial => {
                            (target.object, target.table) = (child.id, child.is_table());
                        }
                        Some(_) => return Err("an object's name ends with a dot".into()),
                        None if at == last && !path.partial => {
                            let param = self.served.param(target.object, name).ok_or(UNKNOWN)?;
                            target.param = Some(param.id);
                        }
                        None => return Err(UNKNOWN.into()),
                    }
                    continue;
                }
                Segment::Wildcard if target.table && allow == Allow::Wildcards => {
                    target.wild = true;
                    0
                }
                Segment::Number(number) if target.table && target.wild => *number,
                Segment::Number(number) if target.table => {
                    let slot = self.list(target.object, target.numbers);
                    let there = self.index.list(slot).is_some_and(|l| l.find(*number).is_some());
                    if !there || self.is_new(target.object, &target.numbers, *number) {
                        return Err("there is no such instance".into());
                    }
                    *number
                }
                Segment::Alias(alias) if target.table => self.aliased(&mut target, depth, alias, allow)?,
                _ => return Err(UNKNOWN.into()),
            };
            *target.numbers.get_mut(usize::from(depth)).ok_or(UNKNOWN)? = number;
            let bit = 1 << depth;
            if *segment != Segment::Wildcard {
                target.named |= bit;
            }
            if matches!(segment, Segment::Alias(_)) {
                target.aliased |= bit;
            }
            depth += 1;
            target.table = false;
        }
        match (path.partial, target.param) {
            (false, None) => Err("an object's name ends with a dot".into()),
            _ => Ok(target),
        }
    }

    /// The number of the row that an Alias in a name stands for; 0 behind a wildcard, where it stands for
    /// one below each parent.
    fn aliased(&mut self, target: &mut Target, depth: u8, alias: &str, allow: Allow) -> Result<u32, Trouble> {
        if target.wild {
            target.sought.push((depth, alias.to_owned()));
            return Ok(0);
        }
        match self.find_alias(target.object, target.numbers, alias) {
            Some(number) => Ok(number),
            None if allow == Allow::NewRows => {
                self.create_row(target.object, target.numbers, alias).map_err(Trouble::Fault)
            }
            None => Err("there is no instance with this alias".into()),
        }
    }
}
