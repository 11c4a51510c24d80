//! One power cut.

use super::watch::Watch;
use crate::SOON;
use crate::acs::{Acs, Complete, Post, Session, Transfer, Window};
use crate::bed::{Bed, CONFIG, CONTENT, FIRMWARE, LOG, SAVED, Setup};
use crate::files::Manner;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, mkfifo};
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is transferred.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Firmware,
    Stored,
    Config,
    Web,
    Vendor,
    UploadConfig,
    UploadLog,
    Scheduled,
    Autonomous,
    /// A file that the server does not have: what is told is that, and nothing else.
    Missing,
}

impl Kind {
    pub const ALL: [Kind; 10] = [
        Kind::Firmware,
        Kind::Stored,
        Kind::Config,
        Kind::Web,
        Kind::Vendor,
        Kind::UploadConfig,
        Kind::UploadLog,
        Kind::Scheduled,
        Kind::Autonomous,
        Kind::Missing,
    ];

    fn file_type(self) -> &'static str {
        match self {
            Kind::Firmware => FIRMWARE,
            Kind::Stored => "6 Stored Firmware Image",
            Kind::Config | Kind::Scheduled | Kind::Autonomous | Kind::Missing => CONFIG,
            Kind::Web => "2 Web Content",
            Kind::Vendor => "X 00D09E Firewall",
            Kind::UploadConfig => SAVED,
            Kind::UploadLog => LOG,
        }
    }

    fn is_upload(self) -> bool {
        matches!(self, Kind::UploadConfig | Kind::UploadLog)
    }

    pub fn has_check(self) -> bool {
        matches!(self, Kind::Firmware | Kind::Stored)
    }

    pub fn has_apply(self) -> bool {
        !self.is_upload() && self != Kind::Missing
    }

    pub fn has_file(self) -> bool {
        self != Kind::Missing
    }
}

/// When the daemon is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kill {
    /// As soon as the n-th write to the journal is seen, from the request on.
    Write(usize),
    /// Half of the file has gone over the wire.
    Fetching,
    /// The platform's test runs.
    Checking,
    /// The command that makes use of the file runs.
    Applying,
    /// TransferComplete has come and is not answered.
    Unanswered,
    /// It is answered, and the agent may not know it yet.
    Answered,
}

const KEY: &str = "cut";
const CHECK: &str = "firmware_check = [\"sh\", \"{dir}/check\", \"{file}\"]\n";
const BANKS: &str = "\
firmware_store = [\"sh\", \"{dir}/store\", \"{file}\", \"{bank}\"]
firmware_banks = [\"cat\", \"{dir}/banks\"]
firmware_boot = [\"true\", \"{bank}\"]
";

/// Into the bank that does not run.
const STORE: &str = "\
echo begin >> $dir/record
[ \"$2\" = b ] || exit 1
cp \"$1\" $dir/applied.new && mv $dir/applied.new $dir/applied || exit 1
printf 'a\\t1.0.0\\t\\tactive,boot\\nb\\t2.0.0\\n' > $dir/banks.new
mv $dir/banks.new $dir/banks
echo end >> $dir/record
";

/// Says that it is there, and waits where there is a gate.
const GATE: &str = "\
echo $$ >> $dir/pids
if [ -p $dir/NAME.gate ]; then exec 3<>$dir/NAME.gate; : > $dir/NAME.there; read x <&3; fi
";

/// What the ACS knows, and what the two threads tell each other.
#[derive(Default)]
struct Story {
    /// It is about to ask for the transfer, and waits for leave.
    asking: bool,
    leave: bool,
    /// The power was cut.
    cut: bool,
    /// The transfer was promised, as far as the ACS knows.
    promised: bool,
    /// What came, and whether it was answered.
    completes: Vec<(Complete, bool)>,
    /// A TransferComplete waits for leave to be answered.
    at_report: bool,
    over: bool,
}

fn lock(story: &Mutex<Story>) -> MutexGuard<'_, Story> {
    story.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks again and again until something is so.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !so() {
        assert!(since.elapsed() < SOON, "no {what} within {SOON:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How a run went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ran {
    /// The kill came; otherwise the transfer was over before.
    pub cut: bool,
    /// The ACS was told that it failed, because it was cut off while the file was made use of.
    pub failed: bool,
    /// It was told twice, since the power was cut before its answer was on disk.
    pub repeated: bool,
}

/// One transfer, one power cut; panics when the ACS was not told the truth, once.
pub fn run(kind: Kind, boot: bool, kill: Kill) -> Ran {
    let commands = match kind {
        Kind::Firmware => CHECK.to_owned(),
        Kind::Stored => CHECK.to_owned() + BANKS,
        _ => String::new(),
    };
    let setup = Setup { commands, ..Setup::default() };
    let mut bed = Bed::new("cut", &setup);
    prepare(&bed, kind, kill);
    let story = Mutex::new(Story::default());
    let told = AssertUnwindSafe(|| {
        std::thread::scope(|scope| {
            let _over = Over(&story);
            // the ACS of this run; the bed itself is the killer's
            let acs = std::mem::replace(&mut bed.acs, Acs::start(Default::default()));
            let url = bed.files.url("/f");
            let acs_thread = scope.spawn({
                let story = &story;
                move || {
                    serve(&acs, story, kind, kill, &url);
                    acs
                }
            });
            let cut = live(&mut bed, &story, kind, boot, kill);
            lock(&story).over = true;
            match acs_thread.join() {
                Ok(_) => cut,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    });
    match catch_unwind(told) {
        Ok(cut) => {
            let story = lock(&story);
            let failed = !verify(&bed, &story, kind, kill) && kind.has_file();
            Ran {
                cut,
                failed,
                repeated: story.completes.iter().filter(|(_, answered)| *answered).count() > 1,
            }
        }
        Err(panic) => {
            let story = lock(&story);
            eprintln!("{kind:?}, {kill:?}, boot: {boot}; {:?}; hooks: {:?}", story.completes, bed.record());
            drop(story);
            std::panic::resume_unwind(panic)
        }
    }
}

/// Ends the ACS's thread, whatever happens.
struct Over<'a>(&'a Mutex<Story>);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        lock(self.0).over = true;
    }
}

fn prepare(bed: &Bed, kind: Kind, kill: Kill) {
    if kind.has_file() {
        bed.files.put("/f", CONTENT);
    }
    if kill == Kill::Fetching {
        bed.files.next("/f", Manner::Gate(10));
    }
    fs::write(bed.dir().join("banks"), "a\t1.0.0\t\tactive,boot\nb\n").expect("a file");
    bed.script("store", STORE);
    for name in ["check", "apply", "store", "firmware"] {
        let body = fs::read_to_string(bed.dir().join(name)).unwrap_or_default();
        let body = body.lines().skip(1).collect::<Vec<_>>().join("\n");
        bed.script(name, &(GATE.replace("NAME", name) + &body + "\n"));
    }
    let gate = match kill {
        Kill::Checking => "check",
        Kill::Applying if kind == Kind::Firmware => "firmware",
        Kill::Applying if kind == Kind::Stored => "store",
        Kill::Applying => "apply",
        _ => return,
    };
    mkfifo(&bed.dir().join(format!("{gate}.gate")), nix::sys::stat::Mode::S_IRWXU).expect("a gate");
}

/// The ACS's side: every session, until the run is over.
fn serve(acs: &Acs, story: &Mutex<Story>, kind: Kind, kill: Kill, url: &str) {
    while !lock(story).over {
        let Some(mut session) = acs.inform_within(Duration::from_millis(20)) else { continue };
        session.doomed(true);
        let dialogue = AssertUnwindSafe(|| talk(&mut session, story, kind, kill, url));
        if let Err(panic) = catch_unwind(dialogue) {
            // A dialogue that lost its agent unwinds with a text of its own; a broken rule is a panic.
            let lost = panic.downcast_ref::<String>().is_some_and(|why| why.contains("sessions began"));
            if !lost {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn talk(session: &mut Session, story: &Mutex<Story>, kind: Kind, kill: Kill, url: &str) {
    session.answer_inform();
    loop {
        match session.peek() {
            Post::Envelope(request, _) if request.is_request() => {
                let Some(complete) = Complete::read(&request).expect("as the schema has it") else {
                    session.accept();
                    continue;
                };
                let at = {
                    let mut story = lock(story);
                    story.completes.push((complete, false));
                    story.completes.len() - 1
                };
                if kill == Kill::Unanswered && at == 0 {
                    lock(story).at_report = true;
                    // until the agent is gone, and another one comes
                    until("power cut", || lock(story).cut || lock(story).over);
                    return;
                }
                session.accept();
                let mut story = lock(story);
                story.completes[at].1 = true;
                story.at_report = true;
            }
            _ => break,
        }
    }
    // what was told has come: the session itself holds against it
    session.ready();
    let promised = lock(story).promised || !lock(story).completes.is_empty();
    if !promised && kind != Kind::Autonomous {
        let known = session.all_queued().expect("a list").iter().any(|q| q.command_key == KEY);
        if !known {
            if !std::mem::replace(&mut lock(story).asking, true) {
                until("leave to ask", || lock(story).leave || lock(story).over);
            }
            ask(session, kind, url);
        }
        lock(story).promised = true;
    }
    if kind == Kind::Autonomous && !std::mem::replace(&mut lock(story).promised, true) {
        let policy = "Device.ManagementServer.AutonomousTransferCompletePolicy.Enable";
        session.set(&[(policy, "xsd:boolean", "1")], "").expect("set");
        lock(story).asking = true;
    }
}

fn ask(session: &mut Session, kind: Kind, url: &str) {
    let transfer = Transfer::new(KEY, kind.file_type(), url).with_credentials("user", "password");
    let asked = match kind {
        Kind::Scheduled => session.schedule_download(&transfer, &[Window::new(0, 600, "2 Immediately")]),
        _ if kind.is_upload() => session.upload(&transfer),
        _ => session.download(&transfer),
    };
    asked.expect("it is promised");
}

/// The device's side: the kill, the boots. Gives whether the kill came.
fn live(bed: &mut Bed, story: &Mutex<Story>, kind: Kind, boot: bool, kill: Kill) -> bool {
    bed.daemon.start();
    until("request", || lock(story).asking);
    if kind == Kind::Autonomous {
        bed.daemon.ask(&["download", CONFIG, &bed.files.url("/f")]);
    }
    let watch = Watch::new(&bed.dir().join("state"));
    lock(story).leave = true;
    let mut device = Device::default();
    let mut writes = 0;
    let mut looked = Instant::now();
    loop {
        let wait = if matches!(kill, Kill::Write(_)) { 5 } else { 1 };
        writes += watch.writes(wait);
        if reached(bed, story, kill, writes) {
            break;
        }
        if device.flashed(bed, kind) {
            device.boot(bed);
        }
        let answered = lock(story).completes.iter().any(|(_, answered)| *answered);
        if answered && looked.elapsed() > Duration::from_millis(60) {
            if quiet(bed) && watch.writes(0) == 0 {
                return false;
            }
            looked = Instant::now();
        }
        assert!(looked.elapsed() < SOON, "neither {kill:?} nor an end; log:\n{}", bed.daemon.log());
    }
    if let Kill::Write(n) = kill {
        // A boot's cut comes at some moment between this write and the next, another each time.
        let moment = if boot { n as u64 * 577 % 1500 } else { 0 };
        std::thread::sleep(Duration::from_micros(moment));
    }
    match boot {
        true => device.cut(bed),
        false => bed.daemon.kill(),
    }
    lock(story).cut = true;
    open_gates(bed);
    bed.daemon.start();
    bed.daemon.wait_ready();
    bed.daemon.cli(&["inform"]); // a boot has a session of its own, which may be running
    let since = Instant::now();
    loop {
        if device.flashed(bed, kind) {
            device.boot(bed);
        }
        if lock(story).completes.iter().any(|(_, answered)| *answered) && quiet(bed) {
            return true;
        }
        assert!(since.elapsed() < SOON, "it is not told; log:\n{}", bed.daemon.log());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn reached(bed: &Bed, story: &Mutex<Story>, kill: Kill, writes: usize) -> bool {
    match kill {
        Kill::Write(n) => writes >= n,
        Kill::Fetching => bed.files.at_gate("/f"),
        Kill::Checking => bed.dir().join("check.there").exists(),
        Kill::Applying => {
            ["apply", "store", "firmware"].iter().any(|name| bed.dir().join(format!("{name}.there")).exists())
        }
        Kill::Unanswered | Kill::Answered => lock(story).at_report,
    }
}

/// Hooks that outlived the agent go on; later ones do not wait.
fn open_gates(bed: &Bed) {
    bed.files.open("/f");
    for name in ["check", "apply", "store", "firmware"] {
        let gate = bed.dir().join(format!("{name}.gate"));
        // for reading too: that never waits
        if let Ok(mut file) = fs::File::options().read(true).write(true).open(&gate) {
            let _ = fs::remove_file(&gate);
            let _ = file.write_all(b"go\n");
        }
    }
}

fn quiet(bed: &Bed) -> bool {
    let output = bed.daemon.cli(&["status", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let Ok(line) = serde_json::from_str::<serde_json::Value>(text.lines().next().unwrap_or_default()) else {
        return false;
    };
    let status = &line["status"];
    let none = |name: &str| status[name].as_array().is_some_and(Vec::is_empty);
    let session = status["state"].as_str().is_none_or(|s| s.starts_with("in a session"));
    none("transfers") && none("pending_events") && !session
}

/// What the device does beside the agent.
#[derive(Default)]
struct Device {
    /// It has booted the new image.
    booted: bool,
}

impl Device {
    /// An image was flashed, and it is to boot.
    fn flashed(&self, bed: &Bed, kind: Kind) -> bool {
        kind == Kind::Firmware && !self.booted && bed.record().iter().any(|line| line == "end")
    }

    fn boot(&mut self, bed: &mut Bed) {
        self.booted = true;
        self.cut(bed);
        bed.daemon.start();
    }

    /// The power is cut: no process is left, and nothing of what lay in memory.
    fn cut(&mut self, bed: &mut Bed) {
        bed.daemon.kill();
        let pids = fs::read_to_string(bed.dir().join("pids")).unwrap_or_default();
        for pid in pids.lines().filter_map(|line| line.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL); // most have ended
        }
        self.booted |= bed.record().iter().any(|line| line == "end");
        bed.daemon.reboot();
    }
}

/// What the ACS was told against what is so. Gives whether the transfer went well.
fn verify(bed: &Bed, story: &Story, kind: Kind, kill: Kill) -> bool {
    let what = || format!("{kind:?}, {kill:?}: {:?}, hooks: {:?}", story.completes, bed.record());
    let (first, _) = &story.completes[0];
    for (complete, _) in &story.completes {
        let (mut same, mut one) = (complete.clone(), first.clone());
        (same.id, one.id) = (None, None);
        assert_eq!(same, one, "a repeat is identical: {}", what());
    }
    let answered = story.completes.iter().filter(|(_, answered)| *answered).count();
    let repeats = matches!(kill, Kill::Answered | Kill::Write(_));
    assert!(answered == 1 || (answered == 2 && repeats), "told once: {}", what());
    match kind {
        Kind::Autonomous => assert!(first.autonomous.is_some(), "{}", what()),
        _ => assert_eq!(first.command_key, KEY, "{}", what()),
    }
    if kind == Kind::Missing {
        assert_eq!((first.code, bed.record().len()), (9016, 0), "{}", what());
        return false;
    }
    let good = first.code == 0;
    let begun = bed.record().iter().filter(|line| *line == "begin").count();
    assert!(begun <= 1, "made use of twice: {}", what());
    let so = match kind {
        Kind::Firmware => {
            fs::read_to_string(bed.daemon.config()).is_ok_and(|text| text.contains("\"2.0.0\""))
        }
        Kind::Stored => {
            let banks = fs::read_to_string(bed.dir().join("banks")).unwrap_or_default();
            banks.contains("b\t2.0.0") && bed.applied().as_deref() == Some(CONTENT)
        }
        _ if kind.is_upload() => bed.files.uploaded("/f").is_some(),
        _ => bed.record().iter().any(|line| line == "end") && bed.applied().as_deref() == Some(CONTENT),
    };
    assert!(so || !good, "it was told what is not so: {}", what());
    if !good {
        // Only of what was cut off while it was made use of nobody can say what it did.
        let known = kind == Kind::Firmware && so;
        let at_apply = kind.has_apply() && matches!(kill, Kill::Applying | Kill::Write(_));
        assert!(first.code == 9010 && at_apply && !known, "nothing stood in its way: {}", what());
    }
    assert!(bed.fetched_files().is_empty(), "nothing is left: {:?}", bed.fetched_files());
    good
}
