//! Changes of routers: what each does to the files. Cases stand in `changes/*.txt`, with what comes of them:
//!
//! ```text
//! router dsa
//!
//! == a name for the network
//! > set Device.WiFi.SSID.1.SSID=New
//! >     Device.WiFi.SSID.1.Enable=0
//! status 1
//! etc/config/wireless
//! @@ config wifi-iface 'default_radio0'
//! -    option ssid 'Home'
//! +    option ssid 'New'
//! > end
//! ```
//!
//! Each case (`==`) has a copy of the router and a session of its own. Lines with `> ` say what is done, the
//! others what comes of it: `CWMPD_GOLDEN=write` writes them. Text in a file before the first case is kept.
//!
//! | command | |
//! |---|---|
//! | `set PATH=VALUE` | SetParameterValues; lines that begin with `>` and blanks are more of its values |
//! | `add PATH`, `del PATH` | AddObject, DeleteObject |
//! | `get PATH` | the values below a path |
//! | `end` | the session ends (what carries it is changed now), and another begins |
//! | `back` | what is on trial is put back |
//! | `write FILE TEXT` | somebody else writes a file; `\n` and `\t` in the text |
//! | `fail FILE` | from now on this file cannot be replaced |

use super::diff;
use super::router::{Router, folder};
use cwmpd::model::fault::Fault;
use cwmpd::model::request::ParameterValue;
use cwmpd::model::tree::{Status, Writer};
use cwmpd::state::journal::Batch;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const ACS: Writer<'_> = Writer::Acs { parameter_key: "" };

#[test]
fn changes() {
    let write = std::env::var("CWMPD_GOLDEN").is_ok_and(|v| v == "write");
    let only = std::env::var("CWMPD_CHANGES").unwrap_or_default();
    let entries = fs::read_dir(folder().join("changes")).expect("changes/").flatten().map(|e| e.path());
    let mut files: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "txt")).collect();
    files.sort();
    files.retain(|f| f.display().to_string().contains(&only));
    // Two at a time.
    let next = std::sync::Mutex::new(files.into_iter());
    let wrong = std::sync::Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some(file) = next.lock().expect("nobody panics with it").next() else { return };
            let text = fs::read_to_string(&file).expect("a text");
            let done = play(&text);
            if write {
                fs::write(&file, done).expect("the file can be written");
            } else if done != text {
                let said = format!("{}:\n{}", file.display(), diff::lines(&text, &done));
                wrong.lock().expect("nobody panics with it").push(said);
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let wrong = wrong.into_inner().expect("nobody panics with it");
    assert!(wrong.is_empty(), "CWMPD_GOLDEN=write writes these; now they differ:\n{}", wrong.join("\n"));
}

/// The text of a file with what comes of its commands.
fn play(text: &str) -> String {
    let (mut out, mut router, mut case) = (String::new(), String::new(), None::<Case>);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("router ") {
            router = name.trim().to_owned();
            case = None;
        }
        if line.starts_with("== ") {
            case = Some(Case::new(&router));
            // A case stands apart from the one before.
            if !out.ends_with("\n\n") {
                out.push('\n');
            }
        }
        let Some(command) = line.strip_prefix("> ") else {
            // What came of commands is told anew; comments stay.
            if case.is_none() || line.starts_with("== ") || line.starts_with('#') {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        };
        let mut words = vec![command.to_owned()];
        let _ = writeln!(out, "{line}");
        while let Some(more) = lines.peek().and_then(|l| l.strip_prefix("> ")).filter(|l| l.starts_with(' '))
        {
            words.push(more.trim().to_owned());
            let _ = writeln!(out, "> {more}");
            lines.next();
        }
        let case = case.as_mut().unwrap_or_else(|| panic!("a command before the first case: {line}"));
        out.push_str(&case.run(&words));
    }
    out
}

/// A router that is being changed.
struct Case {
    root: PathBuf,
    router: Router,
    /// Its files as they were.
    files: BTreeMap<String, String>,
}

impl Case {
    fn new(router: &str) -> Case {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // In memory where there is such a place: hundreds of files, and each change waits for the disk.
        let shm = PathBuf::from("/dev/shm");
        let base = if shm.is_dir() { shm } else { std::env::temp_dir() };
        let root = base.join(format!("cwmpd-router-{}-{next}", std::process::id()));
        copy(&folder().join(router), &root);
        fs::create_dir_all(root.join("run/cwmpd")).expect("a folder");
        let mut router = Router::at(&root, Some(root.join("run/cwmpd")));
        router.tree.set_trials(true);
        router.tree.begin_session();
        let mut case = Case { root, router, files: BTreeMap::new() };
        case.files = case.all();
        case
    }

    fn run(&mut self, words: &[String]) -> String {
        let (command, rest) = words[0].split_once(' ').unwrap_or((&words[0], ""));
        self.router.tree.begin_rpc();
        let mut out = match command {
            "set" => {
                let pairs = std::iter::once(rest).chain(words[1..].iter().map(String::as_str));
                let list: Vec<ParameterValue> = pairs
                    .map(|pair| pair.split_once('=').unwrap_or_else(|| panic!("{pair} has no =")))
                    .map(|(name, value)| ParameterValue {
                        name: name.to_owned(),
                        value: value.to_owned(),
                        xsi_type: None,
                    })
                    .collect();
                told(self.router.tree.set_creating(&list, ACS).map(|status| (status, None)))
            }
            "add" => told(self.router.tree.add(rest, ACS).map(|(number, status)| (status, Some(number)))),
            "del" => told(self.router.tree.delete(rest, ACS).map(|status| (status, None))),
            "get" => match self.router.below(rest) {
                Ok(values) => values.iter().map(|(path, value)| format!("{path}={value}\n")).collect(),
                Err(fault) => format!("fault {fault}\n"),
            },
            "end" => {
                let notes = self.router.tree.end_session();
                self.router.tree.begin_session();
                notes.iter().map(|note| format!("note {}\n", self.plain(note))).collect()
            }
            "back" => {
                let back = self.router.tree.put_back_trial(Batch::default());
                let names = back.names.iter().map(|name| format!("back {name}\n"));
                names.chain(back.notes.iter().map(|note| format!("note {}\n", self.plain(note)))).collect()
            }
            "write" => {
                let (file, text) = rest.split_once(' ').expect("write FILE TEXT");
                let text = text.replace("\\n", "\n").replace("\\t", "\t");
                let path = self.root.join(file);
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, text).expect("a file");
                self.files = self.all();
                return String::new();
            }
            "fail" => {
                // It becomes a link to a name so long that none beside it can be longer: no other file can be
                // made there to take its place.
                let path = self.root.join(rest);
                let long = path.with_file_name("x".repeat(250));
                fs::rename(&path, &long).expect("a file");
                std::os::unix::fs::symlink(long.file_name().expect("a name"), &path).expect("a link");
                self.files = self.all();
                return String::new();
            }
            _ => panic!("no command: {command}"),
        };
        out = self.plain(&out);
        self.changes(&mut out);
        out
    }

    /// A text without the place of the copy.
    fn plain(&self, text: &str) -> String {
        text.replace(&self.root.display().to_string(), "")
    }

    /// What is different in the files since the last command.
    fn changes(&mut self, out: &mut String) {
        let now = self.all();
        for (path, text) in &now {
            let old = self.files.get(path);
            if old != Some(text) {
                let made = if old.is_none() { " (new)" } else { "" };
                let _ = write!(out, "{path}{made}\n{}", diff::lines(old.map_or("", String::as_str), text));
            }
        }
        self.files
            .keys()
            .filter(|p| !now.contains_key(*p))
            .for_each(|p| out.push_str(&format!("{p} (gone)\n")));
        self.files = now;
    }

    /// Every file but those of the agent itself.
    fn all(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                let Ok(kind) = entry.file_type() else { continue };
                let name = path.strip_prefix(&self.root).expect("below").display().to_string();
                if kind.is_dir() && name != "run/cwmpd" && name != ".cwmpd" {
                    folders.push(path);
                } else if kind.is_file() {
                    let text = fs::read(&path).expect("a file that can be read");
                    files.insert(name, String::from_utf8_lossy(&text).into_owned());
                }
            }
        }
        files
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn told(done: Result<(Status, Option<u32>), Fault>) -> String {
    match done {
        Ok((status, None)) => format!("status {}\n", status as u32),
        Ok((status, Some(number))) => format!("number {number}, status {}\n", status as u32),
        Err(fault) => {
            let mut out = format!("fault {} {}\n", fault.code.0, fault.text);
            for bad in &fault.parameters {
                let _ = writeln!(out, "  {} {}: {}", bad.code.0, bad.name, bad.text);
            }
            out
        }
    }
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).unwrap_or_else(|e| panic!("{}: {e}", from.display())).flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            copy(&path, &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&path).expect("a link"), &target).expect("a link");
        } else {
            fs::copy(&path, &target).expect("a file");
        }
    }
}
