//! Power cuts of the process: what was answered with success is there, and nothing is half done.

use crate::acs::{Acs, Attributes, Options, Session};
use crate::{SOON, agent, agent_at, kicked, over, settled, status, text};
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";
const USER: &str = "Device.ManagementServer.ConnectionRequestUsername";
const ROWS: &str = "Device.ManagementServer.InformParameter.";

/// How often the daemon is killed.
const KILLS: usize = 100;

/// Numbers without a pattern, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A request of the ACS.
#[derive(Clone, Debug)]
enum Step {
    /// ProvisioningCode and PeriodicInformInterval, together.
    Set(u64),
    Add,
    Delete(u32),
    Watch(u8),
    Schedule(String),
}

/// What the ACS knows of the agent's state.
#[derive(Clone, Debug, Default)]
struct Known {
    number: u64,
    rows: BTreeSet<u32>,
    /// The highest instance number ever heard of.
    highest: u32,
    notification: u8,
    /// CommandKeys answered with success and not told yet.
    scheduled: BTreeSet<String>,
    /// Asked for and not answered.
    open: Option<Step>,
}

impl Known {
    /// A step was answered, with this instance number where one was made.
    fn done(&mut self, instance: u32) {
        match self.open.take() {
            Some(Step::Set(number)) => self.number = number,
            Some(Step::Add) => {
                assert!(instance > self.highest, "R-OBJ-6: {instance} was used before ({})", self.highest);
                self.highest = instance;
                self.rows.insert(instance);
            }
            Some(Step::Delete(row)) => drop(self.rows.remove(&row)),
            Some(Step::Watch(n)) => self.notification = n,
            Some(Step::Schedule(key)) => drop(self.scheduled.insert(key)),
            None => {}
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One request after the other until the agent is gone.
fn work(mut session: Session, known: Arc<Mutex<Known>>, mut random: Random) {
    session.doomed(true);
    loop {
        let step = {
            let known = &mut *lock(&known);
            let rows: Vec<u32> = known.rows.iter().copied().collect();
            let step = match random.below(6) {
                0 | 1 => Step::Set(known.number + 1),
                2 if rows.len() < 8 => Step::Add,
                2 | 3 if !rows.is_empty() => Step::Delete(rows[random.below(rows.len() as u64) as usize]),
                4 if known.scheduled.len() < 8 => Step::Schedule(format!("key {}", random.below(u64::MAX))),
                _ => Step::Watch(random.below(2) as u8),
            };
            known.open = Some(step.clone());
            step
        };
        let answer = match &step {
            Step::Set(n) => {
                let (code, interval) = (format!("code {n}"), (n + 10_000).to_string());
                session
                    .set(&[(CODE, "xsd:string", &code), (INTERVAL, "xsd:unsignedInt", &interval)], &code)
                    .map(|_| 0)
            }
            Step::Add => session.add(ROWS, "").map(|(n, _)| n),
            Step::Delete(n) => session.delete(&format!("{ROWS}{n}."), "").map(|_| 0),
            Step::Watch(n) => session
                .set_attributes(&[Attributes {
                    name: USER.into(),
                    notification: Some(*n),
                    access_list: None,
                }])
                .map(|()| 0),
            Step::Schedule(key) => session.schedule_inform(1, key).map(|()| 0),
        };
        let instance = answer.unwrap_or_else(|fault| panic!("{step:?}: {fault:?}"));
        lock(&known).done(instance);
    }
}

/// The session of the process that runs: an Inform of one that was killed meanwhile is passed over.
pub fn next_living(acs: &Acs) -> Session {
    loop {
        let mut session = acs.next_inform(SOON);
        session.doomed(true);
        let dialogue = AssertUnwindSafe(|| {
            session.answer_inform();
            session.peek();
        });
        if catch_unwind(dialogue).is_ok() {
            session.doomed(false);
            return session;
        }
    }
}

/// What the agent says after a start, against what the ACS knows; afterwards the ACS knows what is so.
fn verify(session: &mut Session, known: &mut Known, booted: bool) {
    let codes = session.inform.codes();
    assert_eq!(codes.contains(&"1 BOOT"), booted, "V-11: {codes:?}");
    assert!(!codes.contains(&"0 BOOTSTRAP") && !codes.contains(&"4 VALUE CHANGE"), "V-8, I-9: {codes:?}");
    told(session, known);
    let open = known.open.take();
    let number: u64 = match session.value(CODE).expect("a value").strip_prefix("code ") {
        Some(n) => n.parse().expect("a number"),
        None => 0,
    };
    let may = |so: bool| {
        if so { "" } else { "answered with success and not there" }
    };
    match open {
        Some(Step::Set(n)) if n == number => known.number = n,
        _ => assert_eq!(number, known.number, "R-SPV-27 {}; open: {open:?}", may(false)),
    }
    let interval = session.value(INTERVAL).expect("a value");
    if number > 0 {
        assert_eq!(interval, (number + 10_000).to_string(), "R-SPV-1: half of a request");
    }
    let names = session.names(ROWS, true).expect("names");
    let rows: BTreeSet<u32> =
        names.iter().map(|(n, _)| n[ROWS.len()..].trim_end_matches('.').parse().expect("a number")).collect();
    match open {
        Some(Step::Add) if rows.len() == known.rows.len() + 1 => {
            let new = *rows.difference(&known.rows).next().expect("one more");
            assert!(new > known.highest, "R-OBJ-6");
            known.highest = new;
            known.rows.insert(new);
        }
        Some(Step::Delete(n)) if !rows.contains(&n) => drop(known.rows.remove(&n)),
        _ => {}
    }
    assert_eq!(rows, known.rows, "R-OBJ-8; open: {open:?}");
    let notification =
        session.get_attributes(&[USER]).expect("attributes")[0].notification.expect("a number");
    match open {
        Some(Step::Watch(n)) if n == notification => known.notification = n,
        _ => assert_eq!(notification, known.notification, "R-SPA-11; open: {open:?}"),
    }
}

/// The CommandKeys of an Inform that was answered.
fn told(session: &Session, known: &mut Known) {
    for (code, key) in &session.inform.events {
        if code == "M ScheduleInform" {
            known.scheduled.remove(key);
        }
    }
}

/// V-24, R-SPV-1, R-SPV-27, R-OBJ-6, R-OBJ-8, R-SPA-11, R-SYS-11, V-8, V-11, GW-4
// Proves: V-24, R-SPV-1, R-SPV-27, R-SPA-11, R-OBJ-6, R-OBJ-8, R-SYS-11
#[test]
fn v_24_killed_a_hundred_times() {
    let acs = Acs::start(Options::default());
    let mut daemon = settled(&acs, "killed");
    // Another walk can be asked for; a failure is repeated by the same number, as far as time allows.
    let seed = std::env::var("CWMPD_SEED").ok().and_then(|text| text.parse().ok());
    let mut random = Random(seed.unwrap_or(0x5eed_cafe_f00d_u64).max(1));
    let known = Arc::new(Mutex::new(Known::default()));
    daemon.kill();
    let mut last: Option<std::thread::JoinHandle<()>> = None;
    for _ in 0..KILLS {
        let booted = random.below(3) > 0;
        if booted {
            daemon.reboot();
        }
        if random.below(4) == 0 {
            // Killed while it starts.
            daemon.start();
            std::thread::sleep(Duration::from_millis(random.below(30)));
            daemon.kill();
        }
        daemon.start();
        if !booted {
            daemon.wait_ready();
            daemon.ask(&["inform"]);
        }
        let mut session = next_living(&acs);
        if let Some(Err(panic)) = last.take().map(|thread| thread.join()) {
            // A dialogue that lost its agent unwinds with a text of its own; a broken rule is a panic.
            let lost = panic.downcast_ref::<String>().is_some_and(|why| why.contains("sessions began"));
            if !lost {
                std::panic::resume_unwind(panic);
            }
        }
        verify(&mut session, &mut lock(&known), booted);
        let (shared, seed) = (known.clone(), Random(random.below(u64::MAX) | 1));
        last = Some(std::thread::spawn(move || work(session, shared, seed)));
        std::thread::sleep(Duration::from_millis(random.below(40)));
        daemon.kill();
    }
    daemon.start();
    daemon.wait_ready();
    daemon.ask(&["inform"]);
    let mut session = next_living(&acs);
    let _ = last.map(|thread| thread.join());
    verify(&mut session, &mut lock(&known), false);
    session.end();
    let known = &mut *lock(&known);
    assert!(known.number > 20 && known.highest > 5, "the test did its work: {known:?}");
    while !known.scheduled.is_empty() {
        let session = acs.next_session(SOON);
        told(&session, known);
        session.end();
    }
}

/// The files of the state folder.
fn journal(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(folder.join("state")).expect("a folder").flatten().map(|f| f.path());
    files.filter(|f| f.is_file() && f.metadata().is_ok_and(|m| m.len() > 0)).collect()
}

/// GW-4: a journal whose end was not written is read up to there; one that is no journal at
/// all is set aside. The agent runs in any case, and says what it found.
#[test]
fn damaged_state() {
    let acs = Acs::start(Options::default());
    for (what, sound) in [("its end is missing", true), ("bits have turned", false), ("it is garbage", false)]
    {
        let mut daemon = settled(&acs, "damaged");
        let mut session = kicked(&acs, &daemon);
        for n in 0..20 {
            session.set(&[(CODE, "xsd:string", &format!("value {n}"))], "").expect("set");
        }
        session.end();
        over(&daemon);
        daemon.kill();
        let files = journal(&daemon.folder.0);
        let [file] = files.as_slice() else { panic!("{files:?}") };
        let mut bytes = fs::read(file).expect("a journal");
        match what {
            "its end is missing" => bytes.truncate(bytes.len() - 5),
            "bits have turned" => {
                let middle = bytes.len() / 2;
                bytes[middle..middle + 8].iter_mut().for_each(|b| *b ^= 0x55);
            }
            _ => bytes = vec![b'?'; 5000],
        }
        fs::write(file, bytes).expect("written");
        daemon.start();
        daemon.wait_ready();
        let said = status(&daemon);
        assert_eq!(said["state_problem"].is_null(), sound, "{what}: {said}");
        let mut session = match what {
            "it is garbage" => acs.next_session(SOON),
            _ => kicked(&acs, &daemon),
        };
        let value = session.value(CODE).expect("a value");
        match what {
            "it is garbage" => assert!(session.inform.codes().contains(&"0 BOOTSTRAP"), "V-8"),
            _ => assert!(value.starts_with("value "), "{what}: {value:?}"),
        }
        session.set(&[(CODE, "xsd:string", "after")], "").expect("it takes values again");
        daemon.kill();
        drop(session);
        daemon.start();
        daemon.wait_ready();
        let mut session = kicked(&acs, &daemon);
        assert_eq!(session.value(CODE).as_deref(), Ok("after"), "{what}");
        session.end();
    }
}

/// A state folder that cannot be: the agent runs, tells the person at the device, and promises
/// nothing that must outlive it.
#[test]
fn unwritable_state() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent_at(&acs.url(), "unwritable", "");
    fs::write(daemon.folder.0.join("state"), "a file where the folder should be").expect("written");
    daemon.start();
    let mut session = acs.next_session(SOON);
    assert_eq!(session.inform.codes(), ["0 BOOTSTRAP", "1 BOOT"]);
    session.get(&["Device.DeviceInfo."]).expect("it answers");
    assert_eq!(session.reboot("k").expect_err("it would be forgotten").code, 9002);
    assert_eq!(session.schedule_inform(5, "k").expect_err("it would be forgotten").code, 9002);
    session.end();
    let said = status(&daemon);
    assert!(!text(&said, "state_problem").is_empty(), "{said}");
    assert!(daemon.log().contains("ERROR"), "{}", daemon.log());
    daemon.stop();
}

/// Two daemons on one state: the second says so and goes.
#[test]
fn one_daemon_for_one_state() {
    let acs = Acs::start(Options::default());
    let daemon = agent(&acs, "two");
    acs.next_session(SOON).end();
    over(&daemon);
    let second = daemon.cli(&["run"]);
    assert_eq!(second.status.code(), Some(5));
    assert!(!second.stderr.is_empty());
    kicked(&acs, &daemon).end();
}
