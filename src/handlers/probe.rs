//! For the tests of the providers: a folder to be the root, and a row to be asked for.

use crate::model::builtin::builtin;
use crate::model::handler::{Ctx, Fields, Handler, Keys, Row, Want};
use crate::sys::sorted::SortedMap;
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

impl Default for Folder {
    fn default() -> Folder {
        Folder::new()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The keys of a table below the parents with `keys`.
pub fn list(handler: &mut dyn Handler, root: &Path, path: &str, keys: &[&str]) -> Vec<String> {
    let schema = builtin();
    let object = schema.find_object(path).unwrap_or_else(|| panic!("{path} is no row"));
    let numbers = vec![1; keys.len()];
    let row = Row { object, arg: "", keys, numbers: &numbers };
    let mut out = Keys::default();
    handler.list(&Ctx { epoch: 1, root }, &row, &mut out).expect("a provider lists");
    out.iter().map(str::to_owned).collect()
}

/// The values of one row, by name, each checked against its type; what was not filled is missing.
/// A reference reads as `object<key,key>`.
pub fn get(handler: &mut dyn Handler, root: &Path, path: &str, keys: &[&str], params: &[&str]) -> Values {
    get_at(handler, root, 1, path, keys, params)
}

/// By name.
pub type Values = SortedMap<String, String>;

/// As [`get`], in a later RPC.
pub fn get_at(
    handler: &mut dyn Handler,
    root: &Path,
    epoch: u32,
    path: &str,
    keys: &[&str],
    params: &[&str],
) -> Values {
    let schema = builtin();
    let object = schema.find_object(path).unwrap_or_else(|| panic!("{path} is no row"));
    let param = |name: &&str| {
        let param = object.params().find(|p| p.name() == *name);
        Want { param: param.unwrap_or_else(|| panic!("{path}{name} is no row")), arg: "" }
    };
    let want: Vec<Want<'_>> = params.iter().map(param).collect();
    let numbers = vec![1; keys.len()];
    let row = Row { object, arg: "", keys, numbers: &numbers };
    let mut out = Fields::default();
    out.reset(want.len());
    handler.get(&Ctx { epoch, root }, &row, &want, &mut out).expect("a provider reads");
    let mut values = SortedMap::new();
    for (i, want) in want.iter().enumerate() {
        let name = want.param.name();
        if let Some(text) = out.get(i) {
            let fits = want.param.kind().check(text);
            // Of a state's words only two may be written, which is what the check is about.
            assert!(
                text.is_empty() || fits.is_ok() || name == "DiagnosticsState",
                "{path}{name} = {text:?}: {fits:?}"
            );
            values.insert(name.to_owned(), text.to_owned());
        } else if let Some(refs) = out.references(i) {
            let refs: Vec<String> =
                refs.map(|(object, keys)| format!("{object}<{}>", keys.join(","))).collect();
            values.insert(name.to_owned(), refs.join(" "));
        }
    }
    values
}

/// The wanted values one behind the other, a bar between, `-` for what was not filled.
pub fn line(values: &Values, params: &[&str]) -> String {
    let texts: Vec<&str> = params.iter().map(|p| values.get(*p).map_or("-", String::as_str)).collect();
    texts.join("|")
}
