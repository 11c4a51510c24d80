//! A router in a file: what a snapshot of each router holds, and what comes of it when it is replayed.

use crate::daemon::Folder;
use crate::router::{folder, routers};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the program on a configuration.
fn cwmpd(config: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cwmpd"));
    command.arg("--config").arg(config).args(words).output().expect("the program")
}

/// A snapshot of the router below a root, made by the program.
fn snapshot(scratch: &Folder, root: &Path, platform: &str) -> PathBuf {
    let config = scratch.0.join("cwmpd.toml");
    let text = format!(
        "platform = \"{platform}\"\nroot = \"{}\"\n[acs]\nurl = \"http://127.0.0.1:7547/\"\n",
        root.display()
    );
    fs::write(&config, text).expect("a configuration");
    let file = scratch.0.join("router.snapshot");
    let made = cwmpd(&config, &["snapshot", file.to_str().expect("a path")]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    file
}

/// Every value that a snapshot replays, as golden files have them.
fn replayed(scratch: &Folder, file: &Path) -> String {
    let none = scratch.0.join("no-configuration");
    let told = cwmpd(&none, &["replay", file.to_str().expect("a path"), "--json", "get", "Device."]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8(told.stdout).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let values =
        lines.filter_map(|v| Some((v["path"].as_str()?.to_owned(), v["value"].as_str()?.to_owned())));
    values.map(|(path, value)| crate::line(&path, &value)).collect()
}

/// What a snapshot replays is the tree of the router it was made of, but for what is secret.
#[test]
fn a_snapshot_replays_the_same_tree() {
    let mut wrong = Vec::new();
    for name in routers() {
        let scratch = Folder::new(&format!("snapshot-{name}"));
        let file = snapshot(&scratch, &folder().join(&name), "openwrt");
        let golden = fs::read_to_string(folder().join(format!("{name}.golden"))).expect("a golden file");
        let text = replayed(&scratch, &file);
        if golden != text {
            wrong.push(format!("{name}:\n{}", crate::diff::lines(&golden, &text)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
