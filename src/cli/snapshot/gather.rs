//! What a snapshot holds: all that the tree reads, without secrets.

use super::masks::Masks;
use crate::config::Config;
use crate::handlers::linux::recording;
use crate::model::schema::Platform;
use crate::model::tree::Tree;
use crate::sys::sorted::SortedMap;
use crate::sys::trace::{self, Seen, Trace};
use crate::sys::uci::{self, Held, Package};
use crate::sys::{host, tar};
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Of a file that was only looked at the size is kept, up to this one.
const MAX_SIZE: u64 = 1 << 20;
/// The sum of such sizes; beyond it they are told as 0.
const MAX_SIZES: u64 = 16 << 20;
/// As many links are followed on one path.
const MAX_LINKS: usize = 40;

/// What an entry of the archive is.
pub(super) enum Body {
    File(Vec<u8>),
    /// A file of so many zero bytes: what it holds was not read.
    Size(u64),
    Folder,
    Link(String),
}

/// All of it.
#[derive(Default)]
pub(super) struct Gathered {
    pub entries: SortedMap<String, Body>,
    /// When files were changed, seconds since 1970.
    pub times: SortedMap<String, i64>,
    /// When it was made.
    pub now: i64,
    pub answers: usize,
    pub masked: usize,
    /// The sum of all [`Body::Size`].
    sizes: u64,
    /// What could not be had.
    pub warnings: Vec<String>,
}

/// Reads the whole tree, and keeps what it read.
pub(super) fn gather(config: &Config) -> Gathered {
    let root = &config.root;
    trace::begin();
    let mut tree = super::tree(root, config.platform, config.ubus());
    read(&mut tree);
    drop(tree);
    let trace = trace::end();
    let mut gathered = Gathered { now: host::now(root), ..Gathered::default() };
    if trace.left_out > 0 {
        gathered.warnings.push(format!("{} things did not fit", trace.left_out));
    }
    let mut masks = Masks::default();
    masks.learn(config.acs.password.reveal());
    masks.learn(config.connection_request.password.reveal());
    let sources = sources(root, trace, &mut gathered);
    learn(&sources, &mut masks);
    keep(root, sources, &mut masks, &mut gathered);
    machine(root, config.platform, &mut gathered);
    gathered.masked = masks.count;
    tidy(root, &mut gathered);
    gathered
}

/// Every value, and every name: some sources are asked for one of them only.
fn read(tree: &mut Tree) {
    for names in [false, true] {
        let selection = if names { tree.names("", false) } else { tree.values(&[String::new()]) };
        if let Ok(mut selection) = selection {
            while tree.next(&mut selection, &mut |_| {}) {}
        }
    }
}

/// What was read, by what is secret in it.
struct Sources {
    packages: Vec<(String, Package)>,
    answers: SortedMap<String, String>,
    files: Vec<(String, Vec<u8>)>,
    others: SortedMap<String, (PathBuf, Seen)>,
}

fn sources(root: &Path, trace: Trace, gathered: &mut Gathered) -> Sources {
    let mut sources =
        Sources { packages: Vec::new(), answers: trace.answers, files: Vec::new(), others: SortedMap::new() };
    gathered.answers = sources.answers.len();
    for (real, seen) in trace.seen {
        let Some(path) = real.strip_prefix(root).ok().and_then(Path::to_str) else { continue };
        // What stands for the kernel and the bus is written anew; what is pending is within its package.
        if path.is_empty() || path.starts_with(".cwmpd/") || path.starts_with("tmp/.uci/") {
            continue;
        }
        if let Ok(meta) = std::fs::metadata(&real) {
            gathered.times.insert(path.to_owned(), meta.mtime());
        }
        if host::is_live(root) {
            links(path, &mut sources.others);
        }
        let folder =
            ["etc/config/", "var/run/uci/", "tmp/run/uci/"].iter().find_map(|f| path.strip_prefix(f));
        match (folder, seen) {
            (Some(name), Seen::File(_)) => match uci::load(root, name) {
                Ok(Some(package)) => sources.packages.push((path.to_owned(), package)),
                Ok(None) => {}
                // What is not understood cannot be masked.
                Err(problem) => gathered.warnings.push(format!("left out: {problem}")),
            },
            (_, Seen::File(bytes)) => sources.files.push((path.to_owned(), bytes)),
            (_, seen) => drop(sources.others.insert(path.to_owned(), (real.clone(), seen))),
        }
    }
    sources
}

fn learn(sources: &Sources, masks: &mut Masks) {
    sources.packages.iter().for_each(|(_, package)| masks.learn_package(package));
    sources.answers.values().for_each(|json| drop(masks.json(json, true)));
    sources.files.iter().for_each(|(path, bytes)| drop(masks.file(path, bytes, true)));
    masks.count = 0;
}

fn keep(root: &Path, sources: Sources, masks: &mut Masks, gathered: &mut Gathered) {
    for (path, package) in sources.packages {
        gathered.entries.insert(path, Body::File(written(&package, masks)));
    }
    for (file, json) in sources.answers {
        gathered.entries.insert(file, Body::File(masks.json(&json, false).into_bytes()));
    }
    for (path, bytes) in sources.files {
        let masked = masks.file(&path, &bytes, false);
        gathered.entries.insert(path, Body::File(masked));
    }
    for (path, (real, seen)) in sources.others {
        let body = match seen {
            Seen::Folder(names) => {
                for name in names {
                    let child = format!("{path}/{name}");
                    gathered.entries.entry(child).or_insert_with(|| {
                        if real.join(&name).is_dir() { Body::Folder } else { Body::File(Vec::new()) }
                    });
                }
                Body::Folder
            }
            Seen::Link(target) => match target_below(root, &path, &target) {
                Some(target) => Body::Link(target),
                None => continue,
            },
            _ => there(&path, &real, &mut gathered.sizes),
        };
        let is_better = !matches!(gathered.entries.get(&path), Some(Body::File(b)) if !b.is_empty());
        if is_better {
            gathered.entries.insert(path, body);
        }
    }
}

/// What was looked at, and not read: its size tells, its text does not.
fn there(path: &str, real: &Path, sizes: &mut u64) -> Body {
    match std::fs::metadata(real) {
        Ok(meta) if meta.is_dir() => Body::Folder,
        Ok(meta) if !is_of_kernel(path) => {
            let size = meta.len().min(MAX_SIZE);
            *sizes += size;
            Body::Size(if *sizes > MAX_SIZES { 0 } else { size })
        }
        _ => Body::File(Vec::new()),
    }
}

/// Whether the kernel makes what is in a file: its size tells nothing.
fn is_of_kernel(path: &str) -> bool {
    path.starts_with("proc/") || path.starts_with("sys/")
}

/// On a running system the kernel follows the links of a path: those among its folders are told here, as below
/// any other root they were told when they were followed.
fn links(path: &str, others: &mut SortedMap<String, (PathBuf, Seen)>) {
    for folder in parents(path).filter(|folder| !is_of_kernel(folder)) {
        let real = Path::new("/").join(folder);
        if !others.contains_key(folder)
            && let Ok(target) = std::fs::read_link(&real)
        {
            others.insert(folder.to_owned(), (real, Seen::Link(target)));
        }
    }
}

/// Where a link leads, told from its own folder, so that it leads nowhere else wherever it is unpacked; `None`
/// for what leads out of the root.
fn target_below(root: &Path, path: &str, target: &Path) -> Option<String> {
    let depth = path.matches('/').count();
    let inside = target.strip_prefix(root).ok().filter(|_| !host::is_live(root));
    let from_top = match (target.is_absolute(), inside) {
        (false, _) => normal(&Path::new(path).parent()?.join(target))?,
        (true, Some(inside)) => normal(inside)?,
        (true, None) => normal(target.strip_prefix("/").ok()?)?,
    };
    Some(["../".repeat(depth), from_top].concat()).filter(|target| !target.is_empty())
}

/// A path below the top with its `..` carried out; `None` when it climbs out.
fn normal(path: &Path) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name.to_str()?),
            Component::ParentDir => drop(names.pop()?),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(names.join("/"))
}

/// A package as libuci writes one, with what is pending, without comments and secrets.
fn written(package: &Package, masks: &mut Masks) -> Vec<u8> {
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "'\\''"));
    let mut out = String::new();
    for section in package.sections() {
        let name = section.name().map_or(String::new(), |name| [" ", &quoted(name)].concat());
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\nconfig {}{name}", quoted(section.kind()));
        for (option, held) in section.options() {
            let (word, values) = match held {
                Held::One(value) => ("option", std::slice::from_ref(value)),
                Held::Many(items) => ("list", items.as_slice()),
            };
            for value in values {
                let _ = writeln!(out, "\t{word} {option} {}", quoted(&masks.value(option, value)));
            }
        }
    }
    out.into_bytes()
}

/// What system calls say.
fn machine(root: &Path, platform: Platform, gathered: &mut Gathered) {
    let uname = host::uname(root);
    let uname = format!(
        "sysname={}\nrelease={}\nversion={}\nmachine={}\n",
        uname.sysname, uname.release, uname.version, uname.machine
    );
    let mut space = String::new();
    for mount in host::mounts(root) {
        if let Some(s) = host::space(root, &mount.point) {
            let _ = writeln!(space, "{} {} {}", mount.point, s.total, s.free);
        }
    }
    let mut put = |name: &str, text: String| {
        gathered.entries.insert(format!(".cwmpd/{name}"), Body::File(text.into_bytes()));
    };
    put("uname", uname);
    put("statvfs", space);
    put("time", format!("{}\n", gathered.now));
    put("platform", format!("{}\n", if platform == Platform::OpenWrt { "openwrt" } else { "linux" }));
    let mut warnings = Vec::new();
    for (name, text) in recording::files(root, |warning| warnings.push(warning)) {
        gathered.entries.insert([".cwmpd/", name].concat(), Body::File(text.into_bytes()));
    }
    gathered.warnings.extend(warnings);
}

/// Puts what lies below a link where the link leads, and leaves out what lies below a file.
fn tidy(root: &Path, gathered: &mut Gathered) {
    let links: SortedMap<String, String> = gathered
        .entries
        .iter()
        .filter_map(|(path, body)| match body {
            Body::Link(target) => Some((path.clone(), target.clone())),
            _ => None,
        })
        .collect();
    let paths: Vec<String> = gathered.entries.keys().cloned().collect();
    for path in paths {
        let to = resolved(&path, &links);
        if to.as_deref() != Some(path.as_str())
            && let Some(body) = gathered.entries.remove(&path)
            && let Some(to) = to
        {
            let time = gathered.times.get(&path).copied();
            gathered.times.extend(time.map(|time| (to.clone(), time)));
            gathered.entries.entry(to).or_insert(body);
        }
    }
    for (path, target) in &links {
        let to = Path::new(path).parent().and_then(|folder| resolved(&normal(&folder.join(target))?, &links));
        let Some(to) = to.filter(|to| !to.is_empty() && !gathered.entries.contains_key(to)) else { continue };
        // Whether a link leads somewhere may have been all that was asked.
        match std::fs::metadata(root.join(path)) {
            Ok(meta) if meta.is_dir() => drop(gathered.entries.insert(to, Body::Folder)),
            Ok(_) => drop(gathered.entries.insert(to, Body::File(Vec::new()))),
            Err(_) => {}
        }
    }
    let is_file = |path: &str| matches!(gathered.entries.get(path), Some(Body::File(_) | Body::Size(_)));
    let below_file = |path: &String| parents(path).any(is_file);
    let lost: Vec<String> = gathered.entries.keys().filter(|path| below_file(path)).cloned().collect();
    lost.iter().for_each(|path| drop(gathered.entries.remove(path)));
    let mut lost = 0;
    while gathered.entries.len() > tar::MAX_ENTRIES {
        gathered.entries.pop_last();
        lost += 1;
    }
    if lost > 0 {
        gathered.warnings.push(format!("{lost} files did not fit"));
    }
}

/// The folders that a path lies in, the outermost first.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// A path with the links among its folders followed; `None` when they lead elsewhere or in a circle.
fn resolved(path: &str, links: &SortedMap<String, String>) -> Option<String> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Some((link, target)) = parents(&path).find_map(|p| links.get_key_value(p)) else {
            return Some(path);
        };
        let rest = path.get(link.len() + 1..)?;
        let folder = link.rsplit_once('/').map_or("", |(folder, _)| folder);
        path = normal(&Path::new(folder).join(target).join(rest))?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;

    #[test]
    fn sizes_are_bounded() {
        let f = Folder::new();
        f.bytes("log", &vec![b'x'; MAX_SIZE as usize + 1]);
        let mut sizes = 0;
        let mut size = |path: &str| match there(path, &f.root().join("log"), &mut sizes) {
            Body::Size(size) => size,
            _ => u64::MAX,
        };
        assert_eq!(size("proc/kmsg"), u64::MAX, "the kernel's have none");
        for _ in 0..MAX_SIZES / MAX_SIZE {
            assert_eq!(size("log"), MAX_SIZE);
        }
        assert_eq!(size("log"), 0);
    }

    #[test]
    fn links_in_a_circle_lead_nowhere() {
        let links = |pairs: &[(&str, &str)]| -> SortedMap<String, String> {
            pairs.iter().map(|(path, to)| ((*path).to_owned(), (*to).to_owned())).collect()
        };
        assert_eq!(resolved("a/x", &links(&[("a", "b"), ("b", "a")])), None);
        assert_eq!(resolved("a/x", &links(&[("a", "a/a")])), None);
        assert_eq!(resolved("a/x", &links(&[("a", "../b")])), None);
        assert_eq!(resolved("var/run/x", &links(&[("var", "tmp")])).as_deref(), Some("tmp/run/x"));
    }

    #[test]
    fn a_link_is_told_from_its_folder() {
        let root = Path::new("/some/root");
        for (path, target, told) in [
            ("var", "/tmp", Some("tmp")),
            ("a/b/c", "/x/../y", Some("../../y")),
            ("a/b/c", "../d", Some("../../a/d")),
            ("a/b/c", "../../../d", None),
            ("a", "/some/root/b", Some("b")),
            ("a", "/", None),
        ] {
            assert_eq!(target_below(root, path, Path::new(target)).as_deref(), told, "{path} -> {target}");
        }
    }
}
