//! For the tests of the providers: a folder to be the root, and a row to be asked for.

use crate::model::handler::{Ctx, Fields, Handler, Row, Want};
use crate::model::schema::{Base, KindRow, NONE, ObjectRow, ParamRow, Schema, Text};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A temporary folder, removed when it is dropped.
pub struct Folder(PathBuf);

impl Folder {
    /// A new empty one.
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cwmpd-root-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the temporary folder can be written");
        Folder(path)
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Writes a file, with the folders it needs.
    pub fn file(&self, path: &str, text: &str) {
        self.bytes(path, text.as_bytes());
    }

    /// Writes a file of any bytes.
    pub fn bytes(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("folders");
        std::fs::write(path, bytes).expect("a file in a temporary folder");
    }

    /// Makes a link.
    pub fn link(&self, path: &str, target: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("folders");
        std::os::unix::fs::symlink(target, path).expect("a link in a temporary folder");
    }

    /// What a file holds now.
    pub fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.join(path)).expect("a file that was written")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A schema of one object with these parameters, which is all that a provider looks at.
pub fn schema(path: &str, params: &[&str]) -> Schema {
    let mut blob = String::new();
    let mut text = |t: &str| {
        blob.push_str(t);
        Text { at: (blob.len() - t.len()) as u32, len: t.len() as u16 }
    };
    let object = path.trim_end_matches('.').trim_end_matches(".{i}").rsplit('.').next().unwrap_or("");
    let row = ObjectRow {
        name: text(object),
        path: text(path),
        flags: 0,
        parent: NONE,
        end: 1,
        params: (0, params.len() as u16),
        entries: NONE,
        keys: (0, 0),
        sources: [NONE; 2],
    };
    let params = params.iter().map(|p| ParamRow { name: text(p), flags: 0, kind: 0, sources: [NONE; 2] }).collect();
    let kind = KindRow {
        base: Base::String,
        list: false,
        min: i64::MIN,
        max: i64::MAX,
        items: (0, u16::MAX),
        list_max: u32::MAX,
        words: (0, 0),
        patterns: (0, 0),
        targets: (0, 0),
    };
    Schema {
        objects: Cow::Owned(vec![row]),
        params: Cow::Owned(params),
        kinds: Cow::Owned(vec![kind]),
        sources: Cow::Owned(Vec::new()),
        words: Cow::Owned(Vec::new()),
        blob: Cow::Owned(blob),
    }
}

/// The keys of a table below the parents with `keys`.
pub fn list(handler: &mut dyn Handler, root: &Path, path: &str, keys: &[&str]) -> Vec<String> {
    let schema = schema(path, &[]);
    let numbers = vec![1; keys.len()];
    let row = Row { object: schema.object(0), arg: "", keys, numbers: &numbers };
    let mut out = Vec::new();
    handler.list(&Ctx { epoch: 1, root }, &row, &mut out).expect("a provider lists");
    out
}

/// The values of one row, by name; what was not filled is missing. A reference reads as
/// `object<key,key>`.
pub fn get(handler: &mut dyn Handler, root: &Path, path: &str, keys: &[&str], params: &[&str]) -> BTreeMap<String, String> {
    get_at(handler, root, 1, path, keys, params)
}

/// As [`get`], in a later RPC.
pub fn get_at(
    handler: &mut dyn Handler,
    root: &Path,
    epoch: u32,
    path: &str,
    keys: &[&str],
    params: &[&str],
) -> BTreeMap<String, String> {
    let schema = schema(path, params);
    let numbers = vec![1; keys.len()];
    let row = Row { object: schema.object(0), arg: "", keys, numbers: &numbers };
    let want: Vec<Want<'_>> = row.object.params().map(|param| Want { param, arg: "" }).collect();
    let mut out = Fields::default();
    out.reset(want.len());
    handler.get(&Ctx { epoch, root }, &row, &want, &mut out).expect("a provider reads");
    let mut values = BTreeMap::new();
    for (i, name) in params.iter().enumerate() {
        if let Some(text) = out.get(i) {
            values.insert((*name).to_owned(), text.to_owned());
        } else if let Some(refs) = out.references(i) {
            let refs: Vec<String> = refs.map(|(object, keys)| format!("{object}<{}>", keys.join(","))).collect();
            values.insert((*name).to_owned(), refs.join(" "));
        }
    }
    values
}
