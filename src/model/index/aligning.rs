//! Keys that say what is in a row change with it: the row keeps its number under the key that it has now.

use super::super::handler::Keys;
use super::super::tree::Tree;
use super::{ListKey, record};

impl Tree {
    /// The record of a list with its rows under the keys that they have now; `None` when keys stay as they are.
    pub(super) fn aligned(&self, list: &ListKey, handler: u16, keys: &Keys) -> Option<Vec<u8>> {
        let handler = self.handlers.get(handler as usize)?;
        self.with_record(list, |known| {
            if keys.iter().eq(record::entries(known).map(|e| e.1)) {
                return None;
            }
            let had: Vec<(u32, &str)> = record::entries(known).collect();
            let names: Vec<&str> = had.iter().map(|h| h.1).collect();
            let now: Vec<&str> = keys.iter().collect();
            let goes_on = handler.align(&names, &now)?;
            let mut entries: Vec<(u32, &str)> = Vec::with_capacity(had.len());
            for ((number, name), to) in had.iter().zip(&goes_on) {
                match to {
                    Some(to) => entries.extend(now.get(*to).map(|key| (*number, *key))),
                    // A name that comes back is the same again. What has none is gone for good.
                    None if !name.starts_with('@') => entries.push((*number, name)),
                    None => {}
                }
            }
            let room = 4 + entries.iter().map(|e| record::size(e.1)).sum::<usize>();
            Some(record::encode(record::next(known), room, entries.into_iter()))
        })
    }
}
