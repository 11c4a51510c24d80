//! A snapshot as a root: unpacked into a folder of its own, asked, and removed. Nothing of it is believed: no
//! path and no link leads out of the folder, and its size is bounded.

use super::{PLATFORM, Question};
use crate::agent::control::{Failure, Line};
use crate::cli::{Exit, complain, show};
use crate::config::{Commands, Config};
use crate::model::schema::Platform;
use crate::model::tree::{Item, Tree};
use crate::net::coding::{Coding, Limits};
use crate::sys::{clock, host, ubus, unpack};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most bytes of an archive, packed or not.
pub const MAX_ARCHIVE: usize = 64 << 20;
/// The most processor time that unpacking may take.
const MAX_TIME: Duration = Duration::from_secs(20);

/// The ACS that a replayed router is to call.
#[derive(PartialEq, Eq, Debug)]
pub(in crate::cli) struct Access {
    pub url: String,
    pub username: String,
    pub password: String,
}

/// Answers from a snapshot.
pub(in crate::cli) fn replay(
    file: &Path,
    question: &Question,
    json: bool,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let failed = |e: String| {
        complain(&format!("{}: {e}", file.display()));
        Ok(Exit::Fault)
    };
    if let Question::Unpack(folder) = question {
        return match unpacked(file, folder) {
            Ok(()) => Ok(Exit::Ok),
            Err(e) => failed(e),
        };
    }
    let folder = match Private::new() {
        Ok(folder) => folder,
        Err(e) => return failed(e.to_string()),
    };
    let root = folder.0.join("root");
    if let Err(e) = unpacked(file, &root) {
        return failed(e);
    }
    let platform = host::line(&root, PLATFORM);
    let platform = if platform.as_deref() == Some("openwrt") { Platform::OpenWrt } else { Platform::Linux };
    if let Question::Run(access) = question {
        return run(&folder.0, platform, access, out);
    }
    let mut tree = super::tree(&root, platform, ubus::Place::Recorded(root.clone()));
    answer(&mut tree, question, json, out)
}

/// The daemon on a snapshot, until a signal ends it. All that it keeps goes with the folder.
fn run(folder: &Path, platform: Platform, access: &Access, out: &mut impl Write) -> io::Result<Exit> {
    let file = folder.join("cwmpd.toml");
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
    new.write_all(configuration(folder, platform, access).as_bytes())?;
    let config = match Config::load(&file) {
        Ok(config) => config,
        Err(e) => {
            complain(&e.reason);
            return Ok(Exit::Configuration);
        }
    };
    crate::logging::set(&config.log);
    // One line, for whoever starts it, to ask it as any daemon.
    writeln!(out, "cwmpd --config {} get Device.", file.display())?;
    out.flush()?;
    match crate::agent::run(config, file) {
        Ok(()) => Ok(Exit::Ok),
        Err(e) => {
            complain(&e.to_string());
            Ok(Exit::Run)
        }
    }
}

/// A configuration that keeps to the folder: no command of the platform is the machine's that it runs on.
fn configuration(folder: &Path, platform: Platform, access: &Access) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let place = |name: &str| quoted(&folder.join(name).to_string_lossy());
    let platform = if platform == Platform::OpenWrt { "openwrt" } else { "linux" };
    let commands: String = Commands::NAMES.iter().map(|name| [name, " = []\n"].concat()).collect();
    format!(
        "platform = \"{platform}\"\nroot = {}\nstate_dir = {}\nrun_dir = {}\noverlay_dir = {}\n\
         [acs]\nurl = {}\nusername = {}\npassword = {}\n[commands]\n{commands}",
        place("root"),
        place("state"),
        place("run"),
        place("overlays"),
        quoted(&access.url),
        quoted(&access.username),
        quoted(&access.password),
    )
}

fn answer(tree: &mut Tree, question: &Question, json: bool, out: &mut impl Write) -> io::Result<Exit> {
    let selection = match question {
        Question::Get(paths) => tree.values(paths),
        Question::Names(path, next_level) => tree.names(path, *next_level),
        Question::Unpack(_) | Question::Run(_) => return Ok(Exit::Ok),
    };
    let mut selection = match selection {
        Ok(selection) => selection,
        Err(fault) => {
            let error = Failure::from(fault);
            if json {
                Line::Error { error }.write(out)?;
            } else {
                complain(&show::plain(&error.to_string(), true));
            }
            return Ok(Exit::Fault);
        }
    };
    let mut written = Ok(());
    while tree.next(&mut selection, &mut |item| {
        let line = match item {
            Item::Value { path, value, .. } => Line::Value { path: path.to_owned(), value: value.to_owned() },
            Item::Name { path, writable } => Line::Name { path: path.to_owned(), writable },
            Item::Attributes { .. } => return,
        };
        if written.is_ok() {
            written = if json { line.write(out) } else { show::line(&line, out) };
        }
    }) && written.is_ok()
    {}
    written?;
    if json {
        Line::ok().write(out)?;
    }
    Ok(Exit::Ok)
}

/// A folder that nobody else can look into, removed when it is dropped.
struct Private(PathBuf);

impl Private {
    fn new() -> io::Result<Private> {
        let start = clock::processor().as_nanos();
        let mut last = io::Error::other("no name is free");
        for n in 0..100 {
            let name = format!("cwmpd-replay-{}-{}", std::process::id(), start + n);
            let path = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Private(path)),
                Err(e) => last = e,
            }
        }
        Err(last)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Unpacks an archive into a folder that is not there yet, and is not there afterwards when it fails.
///
/// # Errors
/// What is wrong with the archive or the folder.
fn unpacked(file: &Path, folder: &Path) -> Result<(), String> {
    let packed = File::open(file).map_err(|e| e.to_string())?;
    let limits = Limits { size: MAX_ARCHIVE, time: MAX_TIME };
    let bytes = Coding::Gzip.decompress(packed, limits).map_err(|e| match e.kind() {
        ErrorKind::FileTooLarge => format!("not a snapshot: more than {MAX_ARCHIVE} bytes, or too slow"),
        _ => format!("not a snapshot: {e}"),
    })?;
    unpack::unpack(&bytes, folder).map_err(|e| format!("not a snapshot: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;
    use crate::sys::tar;

    #[test]
    fn what_is_no_snapshot_is_said() {
        let f = Folder::new();
        let to = f.root().join("out");
        let told = |bytes: &[u8]| {
            f.bytes("archive", bytes);
            let told = unpacked(&f.root().join("archive"), &to).expect_err("no snapshot");
            assert!(!to.exists());
            told
        };
        let mut good = Vec::new();
        let entry = tar::Entry { path: "a".to_owned(), kind: tar::Kind::File(b"1"), modified: 5 };
        tar::write(&mut good, &entry).expect("it fits");
        tar::finish(&mut good).expect("memory");
        let packed = Coding::Gzip.compress(&good).expect("memory");
        for bytes in [&b""[..], b"\x1f\x8b nonsense", b"plain text", &packed[..packed.len() - 1], &good] {
            assert!(told(bytes).starts_with("not a snapshot: "), "{bytes:?}");
        }
        let mut broken = good.clone();
        broken[0] = b'b';
        let broken = Coding::Gzip.compress(&broken).expect("memory");
        assert_eq!(told(&broken), "not a snapshot: entry 1: no archive, or a damaged one");
        let bomb = Coding::Gzip.compress(&vec![0; MAX_ARCHIVE + 1]).expect("memory");
        assert!(told(&bomb).contains("more than 67108864 bytes"), "{}", told(&bomb));
        f.bytes("archive", &packed);
        unpacked(&f.root().join("archive"), &to).expect("it is sound");
        assert!(unpacked(&f.root().join("archive"), &to).is_err(), "a folder that is there");
        assert!(to.join("a").exists(), "and stays");
    }

    /// No command of the machine is run for the router that is replayed on it.
    #[test]
    fn a_daemon_keeps_to_its_folder() {
        let access = Access {
            url: "http://127.0.0.1/?a=%22b".to_owned(),
            username: "u".to_owned(),
            password: "p\\\"\u{e9}".to_owned(),
        };
        let f = Folder::new();
        let folder = &f.root().join("a \"b");
        fs::create_dir_all(folder.join("root")).expect("a folder");
        for platform in [Platform::OpenWrt, Platform::Linux] {
            let text = configuration(folder, platform, &access);
            let config = Config::parse(&text, Path::new("x.toml")).expect("it is sound");
            assert_eq!(config.commands, Commands::default());
            assert_eq!((config.platform, config.acs.password.reveal()), (platform, access.password.as_str()));
            for place in [&config.root, &config.state_dir, &config.run_dir, &config.overlay_dir] {
                assert!(place.starts_with(folder), "{}", place.display());
            }
        }
    }
}
