//! What is queued outlives the process and the boot, and the former ACS's is forgotten.

use crate::SOON;
use crate::acs::{Acs, Options, Transfer};
use crate::bed::{Bed, CONFIG, CONTENT, FIRMWARE, SAVED, Setup};
use crate::files::Manner;

/// not in this session, not before its time, and after a boot all the same.
// Proves
#[test]
fn x_45_a_delay_through_a_boot() {
    let mut bed = Bed::start("x-45");
    let url = bed.files.put("/f", CONTENT);
    let mut session = bed.acs.next_session(SOON);
    let asked = std::time::Instant::now();
    let transfer = Transfer { delay_seconds: 3, ..Transfer::new("k", CONFIG, &url) };
    session.download(&transfer).expect("promised");
    assert!(session.value("Device.DeviceInfo.ProvisioningCode").is_ok());
    session.end();
    bed.daemon.reboot();
    bed.daemon.start();
    let session = bed.acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["1 BOOT"]);
    session.end();
    assert_eq!(bed.told_one().brief(), ("k", 0));
    let took = asked.elapsed();
    assert!(took >= std::time::Duration::from_millis(2900), "X-10: not before its time: {took:?}");
    assert_eq!(bed.files.count("GET", "/f"), 1);
}

/// A new ACS: what the former one asked for is gone, and its files with it.
#[test]
fn a_former_acs() {
    let bed = Bed::start("former");
    let other = Acs::start(Options::default());
    let url = bed.files.put("/f", CONTENT);
    bed.files.always("/f", Manner::Gate(10));
    let mut session = bed.acs.next_session(SOON);
    session.download(&Transfer::new("running", CONFIG, &url)).expect("promised");
    let waiting = Transfer { delay_seconds: 5000, ..Transfer::new("waiting", CONFIG, &url) };
    session.download(&waiting).expect("promised");
    session.end();
    bed.files.wait_at_gate("/f", SOON);
    let mut session = bed.kicked();
    session.set(&[("Device.ManagementServer.URL", "xsd:string", &other.url())], "").expect("set");
    session.end();
    let mut session = other.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP"]);
    assert!(session.completes().is_empty());
    session.end();
    bed.quiet();
    assert!(bed.fetched_files().is_empty(), "{:?}", bed.fetched_files());
    bed.files.open("/f");
    assert_eq!(bed.record(), Vec::<String>::new());
    bed.daemon.ask(&["inform"]);
    let mut session = other.next_session(SOON);
    assert!(session.completes().is_empty());
    session.end();
}

/// SIGTERM is the expected path while an image is flashed: the flash goes on, and the boot tells.
// Proves: X-22
#[test]
fn sigterm_while_an_image_is_flashed() {
    let mut bed = Bed::new("sigterm", &Setup::default());
    let gate = bed.dir().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a gate");
    let flash = std::fs::read_to_string(bed.dir().join("firmware")).expect("a script");
    let flash: Vec<&str> = flash.lines().skip(1).collect();
    bed.script("firmware", &format!("echo waits >> $dir/record\nread x < $dir/gate\n{}\n", flash.join("\n")));
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    bed.download(&Transfer::new("k", FIRMWARE, &url));
    bed.daemon.wait_for("the flash", || !bed.record().is_empty());
    bed.daemon.stop();
    std::fs::write(&gate, "go\n").expect("it still waits");
    bed.daemon.wait_for("the end of the flash", || bed.record().last().is_some_and(|line| line == "end"));
    bed.daemon.reboot();
    bed.daemon.start();
    assert_eq!(bed.told_one().brief(), ("k", 0));
    bed.quiet();
    assert_eq!(bed.record(), ["waits", "begin", "end"]);
}

/// SIGTERM in the other steps: the agent ends soon, and what was promised goes on at the next start.
// Proves
#[test]
fn sigterm_while_a_file_is_on_its_way() {
    for upload in [false, true] {
        let mut bed = Bed::start("stop");
        bed.files.put("/f", CONTENT);
        bed.files.next("/f", Manner::Gate(10));
        let url = bed.files.url("/f");
        match upload {
            true => bed.upload(&Transfer::new("k", SAVED, &url)),
            false => bed.download(&Transfer::new("k", CONFIG, &url)),
        }
        bed.files.wait_at_gate("/f", SOON);
        bed.daemon.stop();
        assert!(upload || bed.record().is_empty());
        bed.daemon.start();
        assert_eq!(bed.told_one().brief(), ("k", 0), "upload: {upload}");
        bed.quiet();
    }
}

/// A factory reset: nothing of what the agent was doing is left.
#[test]
fn a_factory_reset() {
    let bed = Bed::start("factory");
    bed.files.put("/f", CONTENT);
    bed.files.always("/f", Manner::Gate(10));
    bed.download(&Transfer::new("k", CONFIG, &bed.files.url("/f")));
    bed.files.wait_at_gate("/f", SOON);
    let mut session = bed.kicked();
    session.factory_reset().expect("answered");
    session.end();
    let mut session = bed.acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    assert_eq!(session.all_queued(), Ok(vec![]));
    session.end();
    bed.quiet();
    bed.files.open("/f");
    assert!(bed.fetched_files().is_empty(), "{:?}", bed.fetched_files());
    let mut session = bed.kicked();
    assert!(session.completes().is_empty());
    session.end();
    assert!(bed.record().is_empty());
}

/// names and pages of the ACS are words and nothing else. What they point at lies in the test's own
/// folder: an agent that followed them would write there.
// Proves
#[test]
fn x_25_names_never_become_a_path() {
    let mut bed = Bed::new("x-25", &Setup::default());
    bed.script("apply", "echo $1 >> $dir/record\n");
    bed.daemon.start();
    let url = bed.files.put("/f", CONTENT);
    let precious = bed.dir().join("precious");
    std::fs::write(&precious, "precious").expect("a file");
    let names = ["../../precious", &precious.display().to_string(), "$(reboot)", "\u{1}\u{2}"];
    let mut session = bed.acs.next_session(SOON);
    for (n, name) in names.iter().enumerate() {
        let transfer = Transfer {
            target_file_name: (*name).to_string(),
            success_url: "http://127.0.0.1:1/success".into(),
            failure_url: "no URL".into(),
            ..Transfer::new(&format!("{n} ../x;`id`"), CONFIG, &url)
        };
        match session.download(&transfer) {
            Ok(()) => {}
            // a control character is none of XML's
            Err(fault) => assert!(name.starts_with('\u{1}') && fault.code == 9003, "{fault:?}"),
        }
    }
    session.end();
    let mut told = 0;
    while told < 3 {
        for complete in bed.told() {
            assert_eq!(complete.code, 0, "{complete:?}");
            told += 1;
        }
    }
    assert_eq!(std::fs::read(&precious).ok().as_deref(), Some(b"precious".as_slice()), "X-25");
    let own: Vec<String> =
        (1..=3).map(|n| bed.dir().join(format!("run/transfers/{n}.file")).display().to_string()).collect();
    assert_eq!(bed.record(), own, "X-25: files have the transfer's number");
}

/// nothing is begun while a session runs, not even with a file that came meanwhile.
// Proves
#[test]
fn x_36_nothing_is_applied_in_a_session() {
    let bed = Bed::start("x-36-session");
    let url = bed.files.put("/f", CONTENT);
    bed.files.always("/f", Manner::Gate(10));
    let mut session = bed.acs.next_session(SOON);
    session.download(&Transfer::new("k", CONFIG, &url)).expect("promised");
    for _ in 0..3 {
        assert_eq!(session.queued().expect("a list"), [("k".to_string(), 1)], "it waits");
    }
    session.end();
    bed.files.wait_at_gate("/f", SOON);
    let mut session = bed.kicked();
    bed.files.open("/f");
    bed.daemon.wait_for("the file", || bed.transfers()[0]["step"] == "fetched");
    for _ in 0..3 {
        assert!(session.value("Device.DeviceInfo.ProvisioningCode").is_ok());
        assert_eq!(bed.transfers()[0]["step"], "fetched", "X-36");
    }
    assert!(bed.record().is_empty(), "X-36");
    session.end();
    assert_eq!(bed.told_one().brief(), ("k", 0));
    bed.quiet();
}
