//! What a name in a request means (R-GPV-1 to 7, DM-1).

use super::fault::{Code, Fault};
use super::index::Place;
use super::path::{Path, Segment};
use super::schema::{ObjectId, ParamId, SourceKind};
use super::served::Numbers;
use super::tree::Tree;

/// What a name means.
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
}

/// A name of a peer as a fault repeats it: whole as long as it could be one.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(super::path::MAX_PATH).collect()
}

impl Tree {
    /// Finds what a name means; with `wildcards` it may hold `*`. An alias stands for its instance.
    ///
    /// # Errors
    /// 9005, naming the name.
    pub(super) fn resolve(&mut self, name: &str, wildcards: bool) -> Result<Target, Fault> {
        self.find(name, wildcards)
            .map_err(|why| Fault::new(Code::INVALID_NAME, format!("{}: {why}", shown(name))))
    }

    fn find(&mut self, name: &str, wildcards: bool) -> Result<Target, &'static str> {
        const UNKNOWN: &str = "there is no such parameter or object";
        let path = Path::parse(name)?;
        let mut target = Target { object: 0, numbers: [0; _], table: false, param: None, wild: false };
        let mut segments = path.segments.iter().enumerate();
        match segments.next() {
            None => return Ok(target),
            Some((_, Segment::Name(root)))
                if self.served.has(0) && *root == self.served.schema.object(0).name() => {}
            Some(_) => return Err(UNKNOWN),
        }
        let last = path.segments.len() - 1;
        let mut depth = 0;
        for (at, segment) in segments {
            let number = match segment {
                Segment::Name(name) if !target.table => {
                    match self.served.child(target.object, name) {
                        Some(child) if at < last || path.partial => {
                            (target.object, target.table) = (child.id, child.is_table());
                        }
                        Some(_) => return Err("an object's name ends with a dot"),
                        None if at == last && !path.partial => {
                            let param = self.served.param(target.object, name).ok_or(UNKNOWN)?;
                            target.param = Some(param.id);
                        }
                        None => return Err(UNKNOWN),
                    }
                    continue;
                }
                Segment::Wildcard if target.table && wildcards => {
                    target.wild = true;
                    0
                }
                Segment::Number(number) if target.table && target.wild => *number,
                Segment::Number(number) if target.table => {
                    let slot = self.list(target.object, target.numbers);
                    self.index.list(slot).and_then(|l| l.find(*number)).ok_or("there is no such instance")?;
                    *number
                }
                Segment::Alias(_) if target.wild => return Err("an alias behind a wildcard"),
                Segment::Alias(alias) if target.table => self
                    .find_alias(target.object, target.numbers, alias)
                    .ok_or("there is no instance with this alias")?,
                _ => return Err(UNKNOWN),
            };
            *target.numbers.get_mut(depth).ok_or(UNKNOWN)? = number;
            depth += 1;
            target.table = false;
        }
        match (path.partial, target.param) {
            (false, None) => Err("an object's name ends with a dot"),
            _ => Ok(target),
        }
    }

    /// The number of the instance with this Alias.
    pub(super) fn find_alias(&mut self, table: ObjectId, numbers: Numbers, alias: &str) -> Option<u32> {
        let param = self.served.params(table).find(|p| p.name() == "Alias")?.id;
        let kept = self.served.source(param).is_some_and(|s| s.kind == SourceKind::Alias);
        let slot = self.list(table, numbers);
        let len = self.index.list(slot)?.len();
        let depth = self.served.tables(table).len().checked_sub(1)?;
        let parent = self.served.schema.object(table).parent()?.id;
        let above = self.locate(parent, &numbers)?;
        for pos in 0..len {
            let number = self.index.list(slot)?.number(pos)?;
            let mut place = above;
            *place.numbers.get_mut(depth)? = number;
            *place.at.get_mut(depth)? = (slot, pos as u32);
            place.depth = depth + 1;
            let found = match kept {
                true => self.alias(table, &place) == alias,
                false => self.read(table, &place, &[param], false).first().is_some_and(|v| v == alias),
            };
            if found {
                return Some(number);
            }
        }
        None
    }

    /// The Alias that the tree keeps for a row.
    pub(super) fn alias(&self, table: ObjectId, place: &Place) -> String {
        let mut key = String::from("l/");
        self.served.write_path(table, place.numbers(), &mut key);
        match self.journal.borrow().text(&key) {
            Some(alias) => alias.to_owned(),
            None => format!("cpe-{}", place.numbers().last().copied().unwrap_or(0)),
        }
    }
}
