//! What is set in a session and done at its end, because it may cut the connection.

use crate::acs::{Acs, Options, Reply};
use crate::daemon::Daemon;
use crate::{LONG_WAIT, SOON, agent_at, failure, over};
use std::fs;
use std::path::PathBuf;

const UPLINK: &str = "Device.X_00D09E_Test.Uplink";

/// An agent with a parameter that carries its uplink, and the file that holds it.
fn agent(acs: &Acs, name: &str) -> (Daemon, PathBuf) {
    let mut daemon = agent_at(&acs.url(), name, LONG_WAIT);
    let file = daemon.folder.0.join("uplink");
    fs::write(&file, "dsl\n").expect("a file");
    let folder = daemon.folder.0.join("overlays");
    fs::create_dir_all(&folder).expect("a folder");
    let row = format!(
        "[\"Device.X_00D09E_Test.\"]\nUplink = {{ type = \"string(16)\", file = \"{}\", write = true, after_session = true }}\n",
        file.display()
    );
    fs::write(folder.join("uplink.toml"), row).expect("an overlay");
    daemon.start();
    (daemon, file)
}

fn is(file: &PathBuf, value: &str) -> bool {
    fs::read_to_string(file).expect("the file").trim_end() == value
}

/// R-SPV-8, R-SPV-9, R-SPV-10, R-SPV-24, C-20: answered with 1, read back at once, done at the end.
// Proves: C-20, R-SPV-8, R-SPV-9, R-SPV-10, R-SPV-24
#[test]
fn r_spv_9_done_when_the_session_is_over() {
    let acs = Acs::start(Options::default());
    let (daemon, file) = agent(&acs, "promised");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.set(&[(UPLINK, "xsd:string", "fibre")], ""), Ok(1), "R-SPV-8");
    assert_eq!(session.value(UPLINK).as_deref(), Ok("fibre"), "R-SPV-10");
    assert!(is(&file, "dsl"), "R-SPV-24: the connection is not cut while it is used");
    session.end();
    daemon.wait_for("the promised change", || is(&file, "fibre"));
    over(&daemon);
}

/// R-SPV-9: also when the session fails, and when the process does not live to see its end.
// Proves: R-SPV-9
#[test]
fn r_spv_9_done_after_a_failure() {
    let acs = Acs::start(Options::default());
    let (mut daemon, file) = agent(&acs, "promised-all-the-same");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.set(&[(UPLINK, "xsd:string", "fibre")], ""), Ok(1));
    session.reply(Reply::status(500));
    daemon.wait_for("failure", || failure(&daemon).is_some());
    daemon.wait_for("the promised change", || is(&file, "fibre"));
    drop(session);
    daemon.ask(&["inform"]);
    let mut session = acs.next_session(SOON);
    assert_eq!(session.set(&[(UPLINK, "xsd:string", "dsl")], ""), Ok(1));
    daemon.kill();
    assert!(is(&file, "fibre"));
    drop(session);
    daemon.start();
    daemon.wait_for("the promised change", || is(&file, "dsl"));
}
