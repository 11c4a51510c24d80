use super::*;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

/// A folder of the test's own, removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("cwmpd-apply-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn words(&self) -> Words {
        Words { file: self.path("1.file"), run_dir: self.0.clone(), ..Words::default() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A shell of the test's own: its text is fixed, and what the agent puts in are its arguments.
fn shell(text: &str) -> Vec<String> {
    ["sh", "-c", text, "sh", "{file}", "{file_type}", "{run_dir}"].map(str::to_owned).to_vec()
}

fn wait_until(what: impl Fn() -> bool) {
    let since = Instant::now();
    while !what() {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What nobody writes to: a wait that is not stopped.
fn never() -> (io::PipeReader, io::PipeWriter) {
    io::pipe().unwrap()
}

fn code(result: Result<impl std::fmt::Debug, Failed>) -> (u16, String) {
    match result {
        Err(Failed::Fault(fault)) => (fault.code.0, fault.text),
        other => panic!("{other:?}"),
    }
}

// Proves
#[test]
fn file_types_of_the_standard() {
    use Method::{Download, ScheduleDownload, Upload};
    let cases = [
        (Download, "1 Firmware Upgrade Image", Some(Purpose::Firmware)),
        (ScheduleDownload, "1 Firmware Upgrade Image", Some(Purpose::Firmware)),
        (Download, "2 Web Content", Some(Purpose::Web)),
        (Download, "3 Vendor Configuration File", Some(Purpose::Config)),
        (Download, "4 Tone File", Some(Purpose::Other)),
        (Download, "5 Ringer File", Some(Purpose::Other)),
        (Download, "6 Stored Firmware Image", Some(Purpose::StoredFirmware)),
        (Download, "X 00D09E Voice prompts", Some(Purpose::Other)),
        (Download, "X 00d09e Voice", None),
        (Download, "X 00D09 Voice", None),
        (Download, "X 00D09E ", None),
        (Download, "X 00D09E", None),
        (Download, "1 Firmware upgrade image", None),
        (Download, "1", None),
        (Download, "", None),
        (Download, "3 Vendor Configuration File 1", None),
        (Upload, "1 Vendor Configuration File", Some(Purpose::SaveConfig)),
        (Upload, "2 Vendor Log File", Some(Purpose::ReadLog)),
        (Upload, "3 Vendor Configuration File 1", Some(Purpose::ConfigFile(1))),
        (Upload, "4 Vendor Log File 4294967295", Some(Purpose::LogFile(u32::MAX))),
        (Upload, "4 Vendor Log File 4294967296", None),
        (Upload, "4 Vendor Log File 0", None),
        (Upload, "4 Vendor Log File 01", None),
        (Upload, "4 Vendor Log File +1", None),
        (Upload, "4 Vendor Log File 1 ", None),
        (Upload, "3 Vendor Configuration File", None),
        (Upload, "1 Firmware Upgrade Image", None),
        (Upload, "X 00D09E Trace", None),
    ];
    for (method, text, want) in cases {
        assert_eq!(Purpose::of(method, text), want, "{text}");
    }
    // What the platform has no command for is no FileType of this device; rows need none.
    let none = Commands::default();
    for (method, text, want) in cases {
        let asked = Purpose::asked(&none, method, text).map_err(|fault| fault.code.0);
        let rows = want.filter(|p| matches!(p, Purpose::ConfigFile(_) | Purpose::LogFile(_)));
        assert_eq!(asked, rows.ok_or(9003), "{text}");
    }
    let some = Commands { web_apply: shell(""), ..Commands::default() };
    assert_eq!(Purpose::asked(&some, Download, "2 Web Content"), Ok(Purpose::Web));
    assert!(
        Purpose::asked(&some, Download, "1 Firmware Upgrade Image")
            .unwrap_err()
            .text
            .contains("firmware_apply")
    );
}

// Proves
#[test]
fn a_file_is_given_to_its_command_and_its_refusal_is_told() {
    let folder = Folder::new("refusal");
    let (stop, _waker) = never();
    let settings = Transfer { check_timeout: 1, apply_timeout: 60, ..Transfer::default() };
    let mut words = folder.words();
    // One argument, and no shell reads it.
    words.file_type = "X 00D09E $(touch x)'; rm -rf / #\n../../etc/passwd".into();
    let tell = "printf '%s|%s' \"$1\" \"$2\" > \"$3/told\"";
    let mut commands = Commands { config_apply: shell(tell), file_apply: shell(tell), ..Commands::default() };
    for purpose in [Purpose::Config, Purpose::Other] {
        apply(purpose, &commands, &settings, &words, stop.as_fd()).unwrap();
        assert_eq!(folder.text("told"), format!("{}|{}", words.file.display(), words.file_type));
        std::fs::remove_file(folder.path("told")).unwrap();
    }
    assert!(check(&commands, &settings, &words, stop.as_fd()).is_ok(), "no test of the platform's own");
    let hang = "head -c 3000000 /dev/zero; echo still at it; exec sleep 600";
    for (text, want) in [
        ("exit 0", None),
        ("echo 'wrong board' >&2; exit 1", Some((9018, "exit status 1: wrong board"))),
        (hang, Some((9002, "killed after 1 s: still at it"))),
    ] {
        commands.firmware_check = shell(text);
        let result = check(&commands, &settings, &words, stop.as_fd());
        match want {
            None => result.unwrap(),
            Some((number, said)) => {
                assert_eq!(code(result), (number, format!("commands.firmware_check: {said}")));
            }
        }
    }
    commands.firmware_check = vec!["/no/such/test".into(), "{file}".into()];
    let (number, text) = code(check(&commands, &settings, &words, stop.as_fd()));
    assert!(number == 9002 && text.starts_with("commands.firmware_check: /no/such/test: "), "{text}");
    // An image is never applied by this way, whose command would be killed.
    commands.firmware_apply = shell("exit 0");
    assert_eq!(code(apply(Purpose::Firmware, &commands, &settings, &words, stop.as_fd())).0, 9002);
    drop(_waker);
    commands.config_apply = shell("exec sleep 600");
    assert!(matches!(
        apply(Purpose::Config, &commands, &settings, &words, stop.as_fd()),
        Err(Failed::Stopped)
    ));
}

#[test]
fn what_is_uploaded_is_a_file_or_a_stream() {
    let folder = Folder::new("upload");
    let (stop, _waker) = never();
    let settings = Transfer { max_bytes: 100_000, save_timeout: 60, ..Transfer::default() };
    let words = folder.words();
    std::fs::write(&words.file, "of an earlier attempt").unwrap();
    let save = |text: &str, file: bool| {
        let mut argv = shell(text);
        if !file {
            argv.retain(|w| w != "{file}");
        }
        let commands = Commands { config_save: argv, ..Commands::default() };
        save(Purpose::SaveConfig, &commands, &settings, &words, stop.as_fd())
    };
    let Ok(Source::File(_, 100_000)) = save("head -c 100000 /dev/zero > \"$1\"", true) else {
        panic!("no file")
    };
    let failures = [
        ("exit 4", 9011, "exit status 4"),
        ("exit 0", 9011, "left no file: No such file"),
        ("mkfifo \"$1\"", 9011, "left no file: not a file"),
        ("head -c 100001 /dev/zero > \"$1\"", 9011, "wrote more than 100000 bytes"),
        ("while :; do head -c 10000 /dev/zero >> \"$1\"; done", 9011, "wrote more than 100000 bytes"),
    ];
    for (text, number, said) in failures {
        let (code, told) = code(save(text, true));
        assert!(code == number && told.contains(said), "{text}: {told}");
    }
    let Ok(Source::Stream(output, mut making)) = save("echo abc; echo broken >&2; exit 1", false) else {
        panic!("no stream")
    };
    let _ = nix::poll::poll(
        &mut [nix::poll::PollFd::new(output.as_fd(), nix::poll::PollFlags::POLLHUP)],
        nix::poll::PollTimeout::NONE,
    );
    assert_eq!(making.finish(stop.as_fd()), Err("commands.config_save: exit status 1: broken".into()));

    std::fs::write(folder.path("log"), "lines").unwrap();
    std::fs::write(folder.path("large"), [0; 100_001]).unwrap();
    std::fs::create_dir(folder.path("folder")).unwrap();
    let commands = Commands { log_read: shell("echo of the ring > \"$1\""), ..Commands::default() };
    let row = |name: &str| listed(&folder.0, name, &commands, &settings, &words, stop.as_fd());
    assert!(matches!(row("/log"), Ok(Source::File(_, 5))));
    assert!(matches!(row("system log"), Ok(Source::File(_, 12))), "no file holds it");
    for gone in ["/folder", "/none", "/large", "/../../../etc/passwd", "", "other log"] {
        assert_eq!(code(row(gone)).0, 9011, "{gone}");
    }
}

mod firmware_apply {
    use super::super::firmware::{Ended, Found, begin, find, forget};
    use super::*;

    /// Says that it runs, and goes on when it is told to.
    const PATIENT: &str = "echo begun; cd \"$3\"; cut -d' ' -f6 /proc/$$/stat > session; echo $$ > pid; touch begun; while [ ! -e go ]; do [ -e begun ] || exit 9; sleep 0.02; done; echo flashed; touch flashed";
    /// Where the agent of a test finds its folder.
    const AGENT: &str = "CWMPD_TEST_FIRMWARE_APPLY";

    #[test]
    fn its_own_parent_is_told_how_it_ended() {
        let folder = Folder::new("ended");
        let words = folder.words();
        let (stop, _waker) = never();
        assert!(matches!(find(&folder.0), Found::Nothing));
        let run = |text: &str| {
            begin(&shell(text), &words).map(|mut r| r.wait(Duration::from_secs(60), stop.as_fd()))
        };
        assert!(matches!(run("echo all well"), Ok(Ended::Well)));
        assert!(matches!(find(&folder.0), Found::Ended(said) if said == "all well"));
        let Ok(Ended::Failed(fault)) = run("head -c 3000000 /dev/zero; echo; echo no room >&2; exit 3")
        else {
            panic!("it fails")
        };
        assert_eq!(
            (fault.code.0, fault.text.as_str()),
            (9010, "commands.firmware_apply: exit status 3: no room")
        );
        // A service that it left behind is not it.
        assert!(matches!(run("sleep 600 & echo $! > \"$3/left\""), Ok(Ended::Well)));
        assert!(matches!(find(&folder.0), Found::Ended(_)));
        assert!(matches!(run("exit 0"), Ok(Ended::Well)));
        kill(Pid::from_raw(folder.text("left").trim().parse().unwrap()), Signal::SIGKILL).unwrap();
        forget(&folder.0);
        assert!(matches!(find(&folder.0), Found::Nothing));
        let missing = vec!["/no/such/sysupgrade".into(), "{file}".into()];
        let fault = begin(&missing, &words).unwrap_err();
        assert!(fault.code.0 == 9002 && fault.text.contains("/no/such/sysupgrade: "), "{fault}");
        assert!(matches!(find(&folder.0), Found::Nothing), "it never ran");
    }

    #[test]
    fn neither_deadline_nor_stop_ends_it_and_no_second_one_begins() {
        let folder = Folder::new("patient");
        let words = folder.words();
        let flood = format!("head -c 1000000 /dev/zero | tr '\\0' x; {PATIENT}");
        let mut running = begin(&shell(&flood), &words).unwrap();
        wait_until(|| folder.path("begun").exists());
        let fault = begin(&shell("touch second"), &words).unwrap_err();
        assert_eq!((fault.code.0, fault.text.as_str()), (9004, "another firmware_apply still runs"));
        let (stop, waker) = never();
        drop(waker);
        assert!(matches!(running.wait(Duration::ZERO, stop.as_fd()), Ended::Running));
        forget(&folder.0);
        assert!(matches!(find(&folder.0), Found::Running(_)), "not while it runs");
        // Its log does not grow for ever.
        assert!(folder.text("firmware_apply.log").len() < 1000);
        std::fs::write(folder.path("go"), "").unwrap();
        let (stop, _waker) = never();
        assert!(matches!(running.wait(Duration::from_secs(60), stop.as_fd()), Ended::Well));
        assert!(folder.path("flashed").exists());
    }

    /// Not a test by itself: the agent of the next ones, which starts a firmware_apply and is killed.
    #[test]
    fn an_agent() {
        let Some(folder) = std::env::var_os(AGENT) else { return };
        let words = Words { run_dir: folder.into(), ..Words::default() };
        let mut running = begin(&shell(PATIENT), &words).unwrap();
        let (stop, _waker) = never();
        running.wait(Duration::from_secs(60), stop.as_fd());
    }

    // Proves: X-22
    #[test]
    fn it_outlives_the_agent_and_is_found_again() {
        for (signal, noted) in [(Signal::SIGTERM, true), (Signal::SIGKILL, true), (Signal::SIGKILL, false)] {
            let folder = Folder::new(&format!("{signal}-{noted}"));
            let mut agent = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "transfer::apply::tests::firmware_apply::an_agent"])
                .env(AGENT, &folder.0)
                .process_group(0)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            wait_until(|| folder.path("begun").exists() && folder.path("firmware_apply.pid").exists());
            // To the whole group: that of the command is another one, and so is its session.
            assert_eq!(folder.text("session"), folder.text("pid"));
            killpg(Pid::from_raw(agent.id() as i32), signal).unwrap();
            agent.wait().unwrap();
            if !noted {
                // As if it had died before it could note which process it is: its lock tells.
                std::fs::remove_file(folder.path("firmware_apply.pid")).unwrap();
            }
            let Found::Running(mut running) = find(&folder.0) else { panic!("{signal}: it is not found") };
            assert_eq!(begin(&shell("touch second"), &folder.words()).unwrap_err().code.0, 9004);
            let (stop, waker) = never();
            drop(waker);
            assert!(matches!(running.wait(Duration::ZERO, stop.as_fd()), Ended::Running));
            std::fs::write(folder.path("go"), "").unwrap();
            let (stop, _waker) = never();
            let ended = running.wait(Duration::from_secs(60), stop.as_fd());
            assert!(matches!(&ended, Ended::Unknown(said) if said.ends_with("flashed")), "{ended:?}");
            assert!(folder.path("flashed").exists() && !folder.path("second").exists());
            assert!(matches!(find(&folder.0), Found::Ended(_)));
        }
    }

    /// What is noted is one process of one boot.
    #[test]
    fn another_process_of_the_same_number_is_not_it() {
        let folder = Folder::new("number");
        let words = folder.words();
        let _running = begin(&shell(PATIENT), &words).unwrap();
        wait_until(|| folder.path("begun").exists());
        let note = folder.text("firmware_apply.pid");
        let fields: Vec<&str> = note.split_whitespace().collect();
        let [pid, started, boot] = fields[..] else { panic!("{note}") };
        let number: u64 = started.parse().unwrap();
        let write = |text: String| std::fs::write(folder.path("firmware_apply.pid"), text).unwrap();
        write(format!("{pid} {} {boot}", number + 1));
        assert!(matches!(find(&folder.0), Found::Ended(_)));
        write(format!("{pid} {started} 00000000-0000-0000-0000-000000000000"));
        assert!(matches!(find(&folder.0), Found::Nothing), "of an earlier boot");
        for damaged in ["", "x", "1 2", "-1 -1 \u{0}"] {
            write(damaged.to_owned());
            assert!(matches!(find(&folder.0), Found::Running(_)), "{damaged:?}: the lock tells");
        }
        kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    }
}
