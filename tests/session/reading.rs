//! GetParameterNames, GetParameterValues and GetParameterAttributes, of single names and of the
//! whole tree of this machine; answers longer than what is held back.

use crate::acs::{Acs, Algorithm, Authentication, Direction, Incident, Options};
use crate::daemon::Daemon;
use crate::{SOON, agent, agent_at};
use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

const ROWS: &str = "Device.ManagementServer.InformParameter.";
/// Parameters of the overlay that makes answers long.
const MANY: usize = 1500;

/// R-GPN-1, R-GPN-5, R-GPV-1, R-GPV-2, R-SPA-13, R-SPA-14, E-4: names listed are names readable.
// Proves: R-GPV-1, R-GPV-2, R-GPN-1, R-GPN-5, R-SPA-13, R-SPA-14
#[test]
fn r_gpn_1_the_whole_tree() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "tree");
    let mut session = acs.next_session(SOON);
    let names = session.names("", false).expect("names");
    assert_eq!(names[0], ("Device.".to_string(), false), "R-GPN-1");
    let unique: BTreeSet<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(unique.len(), names.len(), "each once");
    for (name, _) in &names[1..] {
        let above = name.trim_end_matches('.').rsplit_once('.').expect("below Device").0;
        assert!(unique.contains(format!("{above}.").as_str()), "{name} hangs in the air");
    }
    // On a machine where other programs run, rows come and go between two listings, and only there.
    let below = session.names("Device.", false).expect("names");
    assert_eq!(below[0], names[0], "R-GPN-1: the object itself is listed");
    let leaves: BTreeSet<&str> =
        below.iter().map(|(n, _)| n.as_str()).filter(|n| !n.ends_with('.')).collect();
    assert!(leaves.len() > 100, "{} parameters", leaves.len());
    let read = session.get(&["Device."]).expect("values");
    let read: BTreeSet<&str> = read.iter().map(|v| v.name.as_str()).collect();
    let missing: Vec<_> = leaves.difference(&read).collect();
    assert!(missing.is_empty(), "listed and not readable: {missing:?}");
    let extra: Vec<_> = read.difference(&leaves).collect();
    assert!(extra.is_empty(), "readable and not listed: {extra:?}");
    let attributes = session.get_attributes(&[""]).expect("R-SPA-14");
    assert_eq!(attributes.len(), session.get(&[""]).expect("R-GPV-1: an empty name").len());
    session.end();
}

/// R-GPN-2 to R-GPN-9
// Proves: R-GPN-2, R-GPN-3, R-GPN-4, R-GPN-5, R-GPN-6, R-GPN-7, R-GPN-8, R-GPN-9
#[test]
fn r_gpn_2_levels() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "levels");
    let mut session = acs.next_session(SOON);
    let yes = |name: &str| (name.to_string(), true);
    let no = |name: &str| (name.to_string(), false);
    assert_eq!(session.names("", true), Ok(vec![no("Device.")]), "R-GPN-2, R-GPN-9");
    let top = session.names("Device.", true).expect("R-GPN-2");
    assert!(top.contains(&no("Device.DeviceInfo.")) && top.contains(&no("Device.RootDataModelVersion")));
    assert!(top.iter().all(|(n, _)| n != "Device." && n.trim_end_matches('.').matches('.').count() == 1));
    let code = "Device.DeviceInfo.ProvisioningCode";
    assert_eq!(session.names(code, false), Ok(vec![yes(code)]), "a parameter itself");
    assert_eq!(session.names(code, true).expect_err("R-GPN-3").code, 9003);
    for bad in [
        "Device.Nowhere.",
        "Device.DeviceInfo",
        "device.",
        "Device.DeviceInfo.ProvisioningCode.",
        "Device..",
        ".",
    ] {
        assert_eq!(session.names(bad, false).expect_err(bad).code, 9005, "R-GPN-4: {bad}");
    }
    assert_eq!(session.names(ROWS, true), Ok(vec![]), "R-GPN-8");
    assert_eq!(session.names(ROWS, false), Ok(vec![yes(ROWS)]), "R-GPN-6: rows can be added");
    let (n, _) = session.add(ROWS, "").expect("a row");
    let row = format!("{ROWS}{n}.");
    assert_eq!(session.names(ROWS, true), Ok(vec![yes(&row)]), "R-GPN-6, R-GPN-7");
    let cells: Vec<(String, bool)> =
        ["Alias", "Enable", "EventList", "ParameterName"].iter().map(|c| yes(&format!("{row}{c}"))).collect();
    let mut found = session.names(&row, true).expect("cells");
    found.sort();
    assert_eq!(found, cells);
    session.end();
}

/// R-GPV-3, R-GPV-4, R-GPV-6, R-GPV-8, R-GEN-2
// Proves: R-GEN-2, R-GPV-3, R-GPV-4, R-GPV-6, R-GPV-8
#[test]
fn r_gpv_3_names_that_are_not_there() {
    let acs = Acs::start(Options::default());
    let _daemon = agent(&acs, "absent");
    let mut session = acs.next_session(SOON);
    assert_eq!(session.get(&[ROWS]), Ok(vec![]), "R-GPV-3: an empty table");
    for bad in [
        "Device.Nowhere.",
        "Device.DeviceInfo",
        "Device.DeviceInfo.Nothing",
        "Device.ManagementServer.InformParameter.7.Enable",
    ] {
        let fault = session.get(&["Device.DeviceInfo.Manufacturer", bad]).expect_err(bad);
        assert_eq!(fault.code, 9005, "R-GPV-4: {bad}");
        assert!(fault.text.contains(bad), "R-GPV-4: {}", fault.text);
        assert_eq!(session.get_attributes(&[bad]).expect_err(bad).code, 9005);
    }
    let any = format!("{ROWS}*.Enable");
    assert_eq!(session.get(&[&any]), Ok(vec![]), "R-GPV-6: nothing matches");
    session.add(ROWS, "").expect("a row");
    session.add(ROWS, "").expect("a row");
    let found = session.get(&[&any]).expect("R-GPV-6");
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|v| v.xsi_type == "xsd:boolean" && v.value == "false"), "R-GPV-8");
    session.end();
}

/// An agent with an overlay of many parameters, started.
fn wide(acs: &Acs, name: &str) -> Daemon {
    let mut daemon = agent_at(&acs.url(), name, "");
    let folder = daemon.folder.0.join("overlays");
    fs::create_dir_all(&folder).expect("a folder");
    let mut rows = String::from("[\"Device.X_00D09E_Many.\"]\n");
    for n in 0..MANY {
        rows += &format!("P{n} = {{ type = \"string\", const = \"<{n}> {}\" }}\n", "x".repeat(n % 50));
    }
    fs::write(folder.join("many.toml"), rows).expect("an overlay");
    daemon.start();
    daemon
}

/// What the answer must say.
fn is_whole(values: &[crate::acs::Value]) {
    assert_eq!(values.len(), MANY);
    for (n, value) in values.iter().enumerate() {
        assert_eq!(value.name, format!("Device.X_00D09E_Many.P{n}"));
        assert_eq!(value.value, format!("<{n}> {}", "x".repeat(n % 50)));
    }
}

/// R-GPV-11: more than is held back goes out in chunks, complete; less has a length.
// Proves: R-GPV-11
#[test]
fn r_gpv_11_a_long_answer() {
    let acs = Acs::start(Options::default());
    let _daemon = wide(&acs, "long");
    let mut session = acs.next_session(SOON);
    let values = session.get(&["Device.X_00D09E_Many."]).expect("values");
    is_whole(&values);
    let sent = acs.log().into_iter().rfind(|m| m.direction == Direction::FromAgent).expect("a POST");
    assert!(sent.body.len() > 64 * 1024, "{} bytes", sent.body.len());
    assert_eq!(sent.head.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(sent.head.header("Content-Length"), None);
    session.get(&["Device.DeviceInfo.Manufacturer"]).expect("a value");
    let sent = acs.log().into_iter().rfind(|m| m.direction == Direction::FromAgent).expect("a POST");
    assert_eq!(sent.head.header("Content-Length"), Some(sent.body.len().to_string().as_str()));
    session.end();
}

/// T-4, T-23, T-24, S-18: a long answer that meets a redirect, a new nonce or a closed connection
/// is sent again, whole.
// Proves: T-23, T-24
#[test]
fn t_23_a_long_answer_twice() {
    let digest = Authentication::Digest(vec![Algorithm::Md5]);
    let acs = Acs::start(Options { authentication: digest, ..Options::default() });
    let _daemon = wide(&acs, "twice");
    let elsewhere = format!("{}/elsewhere", acs.url());
    // The answers are the fourth and the fifth POST.
    acs.at(4, Incident::Redirect(307, elsewhere));
    acs.at(5, Incident::StaleNonce);
    let mut session = acs.next_session(SOON);
    is_whole(&session.get(&["Device.X_00D09E_Many."]).expect("after a redirect"));
    let posts: Vec<_> = acs.log().into_iter().filter(|m| m.direction == Direction::FromAgent).collect();
    let target = posts.last().expect("a POST").head.target().to_string();
    assert_eq!(target, "/acs/elsewhere", "T-24");
    is_whole(&session.get(&["Device.X_00D09E_Many."]).expect("after a new nonce"));
    acs.change(|options| options.close_each = true);
    is_whole(&session.get(&["Device.X_00D09E_Many."]).expect("on a connection that ends"));
    is_whole(&session.get(&["Device.X_00D09E_Many."]).expect("T-4: on a new one"));
    acs.change(|options| (options.close_each, options.close_unsaid) = (false, true));
    is_whole(
        &session.get(&["Device.X_00D09E_Many."]).expect("before it is known that the connection is dead"),
    );
    is_whole(&session.get(&["Device.X_00D09E_Many."]).expect("T-4: on one that turned out to be dead"));
    session.end();
}

/// T-26: the next session is at the configured URL again; T-25: five redirects and no more.
// Proves: T-25, T-26, T-28
#[test]
fn t_25_redirects() {
    let acs = Acs::start(Options::default());
    let to = |n: usize| Incident::Redirect(302, format!("/hop{n}"));
    (0..5).for_each(|n| acs.at(1, to(n)));
    let daemon = crate::agent_with(&acs, "redirects", crate::LONG_WAIT);
    let session = acs.next_session(SOON);
    session.end();
    crate::over(&daemon);
    let posts: Vec<_> = acs.log().into_iter().filter(|m| m.direction == Direction::FromAgent).collect();
    assert_eq!(posts[5].head.line, "POST /hop4 HTTP/1.1", "T-23, T-28");
    assert_eq!(posts[5].body, posts[0].body, "T-23");
    (0..6).for_each(|n| acs.at(1, to(n)));
    daemon.ask(&["inform"]);
    daemon.wait_for("failure", || crate::failure(&daemon).is_some());
    let posts: Vec<_> = acs.log().into_iter().filter(|m| m.direction == Direction::FromAgent).collect();
    assert_eq!(posts[8].head.line, "POST /acs HTTP/1.1", "T-26");
    assert_eq!(
        posts.len(),
        8 + 6,
        "T-25: five hops, the Inform, GetRPCMethods and the empty POST; then six hops"
    );
}

/// R-GPV-10: the values of one answer are those of one moment, whatever shells change meanwhile.
// Proves: R-GPV-10
#[test]
fn r_gpv_10_one_moment() {
    const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "moment");
    let mut session = acs.next_session(SOON);
    let names = vec!["Device.ManagementServer."; 2000];
    let done = AtomicBool::new(false);
    let (answer, changes) = std::thread::scope(|scope| {
        let shell = scope.spawn(|| {
            let mut changes = 0;
            while !done.load(Ordering::Acquire) {
                changes += 1;
                daemon.ask(&["set", &format!("{INTERVAL}={}", 5000 + changes)]);
            }
            changes
        });
        // The shell is at it before the answer begins.
        daemon.wait_for("first change", || daemon.ask(&["get", INTERVAL]).contains("=50"));
        let answer = session.get(&names).expect("values");
        done.store(true, Ordering::Release);
        (answer, shell.join().expect("a shell"))
    });
    let mut seen: Vec<&str> =
        answer.iter().filter(|v| v.name == INTERVAL).map(|v| v.value.as_str()).collect();
    assert_eq!(seen.len(), names.len());
    seen.dedup();
    assert_eq!(seen.len(), 1, "after {changes} changes: {seen:?}");
    session.end();
}
