//! Limits of the whole daemon: lists that others fill, and words of others in its own.

use crate::acs::{self, Acs, Options};
use crate::daemon::{DEADLINE, Daemon};
use crate::{BINARY, DOOR, agent, failure, idle, keys, raw_acs, status};
use std::fs;

const ROWS: &str = "Device.ManagementServer.InformParameter.";
/// Values that one Inform takes for InformParameter rows, and for changes.
const ASKED: usize = 1024;
const CHANGED: usize = 2048;
const WIDE: usize = CHANGED + 100;

fn of_table(session: &acs::Session) -> usize {
    session.inform.parameters.iter().filter(|p| p.name.starts_with("Device.X_ACME_Wide.")).count()
}

/// An Inform is kept whole in memory, so what it tells has a bound; what is left over is told next.
#[test]
fn an_inform_tells_so_much_and_the_rest_later() {
    let acs = Acs::start(Options::default());
    let mut daemon = Daemon::new(BINARY, "wide", &keys(&acs.url()), DOOR);
    let overlays = daemon.folder.0.join("overlays");
    fs::create_dir_all(&overlays).expect("a folder");
    // A text of a row is 4096 bytes at most: a few tables.
    let names: Vec<String> = (0..WIDE).map(|n| format!("k{n}")).collect();
    let tables = names.chunks(600).enumerate().map(|(nth, keys)| {
        format!(
            "[\"Device.X_ACME_Wide.T{nth}.{{i}}.\"]\nconst = \"{}\"\n\
             A = {{ type = \"string\", store = \"\", write = true }}\n",
            keys.join(" ")
        )
    });
    let text: String = std::iter::once("[\"Device.X_ACME_Wide.\"]\n".to_owned()).chain(tables).collect();
    fs::write(overlays.join("wide.toml"), text).expect("an overlay");
    daemon.start();
    daemon.wait_ready();
    let mut session = acs.next_session(DEADLINE);
    for (nth, table) in ["T0", "T1", "T2", "T3"].iter().enumerate() {
        let (row, _) = session.add(ROWS, "").expect("a row");
        assert_eq!(row as usize, nth + 1);
        let name = format!("Device.X_ACME_Wide.{table}.*.A");
        let row = format!("{ROWS}{row}.");
        let (path, enable) = (format!("{row}ParameterName"), format!("{row}Enable"));
        session.set(&[(&path, "xsd:string", &name), (&enable, "xsd:boolean", "1")], "").expect("set");
    }
    session.end();
    idle(&daemon);
    daemon.ask(&["inform"]);
    let mut session = acs.next_session(DEADLINE);
    assert_eq!(of_table(&session), ASKED);
    for row in 1..=4 {
        session.delete(&format!("{ROWS}{row}."), "").expect("deleted");
    }
    let passive =
        acs::Attributes { name: "Device.X_ACME_Wide.".into(), notification: Some(1), access_list: None };
    session.set_attributes(&[passive]).expect("watched");
    let paths: Vec<String> = session
        .get(&["Device.X_ACME_Wide."])
        .expect("values")
        .into_iter()
        .map(|value| format!("{}=new", value.name))
        .collect();
    assert_eq!(paths.len(), WIDE);
    session.end();
    idle(&daemon);
    for some in paths.chunks(1000) {
        let words: Vec<&str> = std::iter::once("set").chain(some.iter().map(String::as_str)).collect();
        daemon.ask(&words);
    }
    let mut left = WIDE;
    while left > 0 {
        daemon.ask(&["inform"]);
        let session = acs.next_session(DEADLINE);
        assert!(session.inform.codes().contains(&"4 VALUE CHANGE"), "{:?}", session.inform.codes());
        // Something of the agent's own may have changed too.
        let told = of_table(&session);
        let room = left.min(CHANGED);
        assert!((room - 8..=room).contains(&told), "{told} of {left}");
        left -= told;
        session.end();
        idle(&daemon);
    }
}

/// R-SYS-4: reboots that are asked for are counted.
#[test]
fn reboots_that_are_due_have_a_number() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs.url(), "reboots", "");
    let mut session = acs.next_session(DEADLINE);
    for n in 0..64 {
        session.reboot(&format!("key {n}")).expect("promised");
    }
    assert_eq!(session.reboot("one too many").expect_err("denied").code, 9001);
    session.end();
}

/// GW-10: notes of `status` are the last few, and why a session failed is said shortly.
#[test]
fn what_status_keeps_is_bounded() {
    let scheme = format!("Scheme-of-my-own-{}", "x".repeat(40));
    let schemes = format!("WWW-Authenticate: {}\r\n", format!("{scheme} realm=\"r\", ").repeat(16));
    let answer = format!("HTTP/1.1 401 No\r\n{}Content-Length: 0\r\n\r\n", schemes.repeat(8)).into_bytes();
    let daemon = agent(&raw_acs(move |_, _| answer.clone()), "notes", "");
    let why = failure(&daemon);
    assert!(why.contains("in ways that are not known: scheme-of-my-own-xxx"), "{why}");
    assert_eq!(why.chars().count(), 512, "{why}");
    for n in 0..20 {
        daemon.configure(&format!("{}wrong{n} = 1\n", keys("http://127.0.0.1:9/")), "");
        daemon.reload();
        daemon.wait_for("word about it", || daemon.log().contains(&format!("wrong{n}`")));
    }
    let notes = status(&daemon)["notes"].clone();
    let notes = notes.as_array().expect("a list");
    assert!(notes.len() == 16 && notes[15].as_str().is_some_and(|n| n.contains("wrong19`")), "{notes:?}");
}

/// What would end every later session before it begins is refused while the ACS can still be told so.
#[test]
fn a_user_name_that_no_header_can_carry_is_refused() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs.url(), "username", "");
    let mut session = acs.next_session(DEADLINE);
    const NAME: &str = "Device.ManagementServer.Username";
    for bad in ["f\u{fc}r", "a\nb", "\u{7f}"] {
        let fault = session.set(&[(NAME, "xsd:string", bad)], "").expect_err(bad);
        assert_eq!((fault.code, fault.parameters[0].1), (9003, 9007), "{bad:?}");
    }
    session.set(&[(NAME, "xsd:string", "a \"b\": c")], "").expect("visible ASCII");
    session.end();
    // The session that confirms it.
    acs.next_session(DEADLINE).end();
}

/// GW-16: nobody writes a line in the agent's name, and no shell sees a CommandKey.
#[test]
fn words_of_the_acs_stay_words() {
    let acs = Acs::start(Options::default());
    let mut daemon = Daemon::new(BINARY, "words", &keys(&acs.url()), "");
    let (told, evil) = (daemon.folder.0.join("told"), daemon.folder.0.join("evil"));
    let commands = format!(
        "[commands]\nreboot = [\"/bin/sh\", \"-c\", \"printf '%s\\\\n' \\\"$#\\\" \\\"$@\\\" > $0\", \"{}\", \"{{command_key}}\"]\n\
         factory_reset = []\n",
        told.display()
    );
    daemon.configure(&keys(&acs.url()), &commands);
    daemon.start();
    let mut session = acs.next_session(DEADLINE);
    let forged = "Device.\nFORGED one\r\n\u{85}FORGED two \u{1b}[2J";
    let legal = forged.replace('\u{1b}', "");
    assert_eq!(session.get(&[&legal]).expect_err("no such name").code, 9005);
    assert_eq!(session.set(&[(&legal, "xsd:string", "x")], "").expect_err("no such name").code, 9003);
    // At most 32 characters.
    let key = format!("`>{0}`$(>{0})\n\"';>{0} -x", "evil");
    assert!(key.chars().count() <= 32);
    session.reboot(&key).expect("promised");
    session.end();
    daemon.wait_for("the reboot command", || fs::read_to_string(&told).is_ok_and(|t| t.ends_with("-x\n")));
    assert_eq!(fs::read_to_string(&told).expect("a file"), format!("1\n{key}\n"));
    assert!(!evil.exists() && !std::path::Path::new("evil").exists());
    let log = daemon.log();
    assert!(log.contains("Device.\\nFORGED one"), "{log}");
    assert!(log.lines().all(|line| !line.starts_with("FORGED")), "{log}");
    assert!(log.chars().all(|c| c == '\n' || !c.is_control()), "{log}");
}
