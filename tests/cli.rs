//! The program as a person or a script meets it: words, exit codes, what goes to which stream.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("cwmpd-cli-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    /// A good configuration with more lines at its end.
    fn config(&self, more: &str) -> PathBuf {
        let file = self.0.join("cwmpd.toml");
        let dir = self.0.display();
        let text = format!(
            "state_dir = \"{dir}/state\"\nrun_dir = \"{dir}\"\noverlay_dir = \"{dir}/overlays\"\n\
             [acs]\nurl = \"http://127.0.0.1:7547/\"\n{more}\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    /// A daemon of one answer; gives back the request it was sent.
    fn daemon(&self, answer: &'static str) -> std::thread::JoinHandle<String> {
        let socket = self.0.join("cwmpd.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(socket).unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            // The reader may have had enough of it.
            let _ = (&stream).write_all(answer.as_bytes());
            request
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn cwmpd(config: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cwmpd")).arg("--config").arg(config).args(words).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn version_and_help() {
    let none = Path::new("/no/such/file");
    let version = cwmpd(none, &["--version"]);
    assert_eq!((version.status.code(), out(&version).as_str()), (Some(0), "cwmpd 0.1.0\n"));
    let help = cwmpd(none, &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for word in [
        "run", "get", "set", "add", "del", "names", "inform", "status", "check", "verify", "snapshot",
        "replay",
    ] {
        assert!(out(&help).contains(&format!("cwmpd {word}")), "{word}");
    }
}

#[test]
fn a_wrong_command_line_is_2() {
    let scratch = Scratch::new("usage");
    let config = scratch.config("");
    for words in
        [&[][..], &["fly"], &["get"], &["set", "x"], &["status", "x"], &["--colour"], &["add", "a", "b"]]
    {
        let output = cwmpd(&config, words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(err(&output).starts_with("cwmpd: "), "{words:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn check_says_what_is_served() {
    let scratch = Scratch::new("check");
    let output = cwmpd(&scratch.config(""), &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    assert!(out(&output).contains(" parameters are served\n"));
    let output = cwmpd(&scratch.config(""), &["check", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["ok"], true);
    assert!(report["parameters"].as_u64().unwrap() > 0);
    assert!(report["objects"].as_u64().unwrap() > 0);
}

#[test]
fn check_cites_a_bad_overlay() {
    let scratch = Scratch::new("overlay");
    let config = scratch.config("");
    let overlay = scratch.0.join("overlays/bad.toml");
    std::fs::create_dir(scratch.0.join("overlays")).unwrap();
    std::fs::write(&overlay, "[\"Device.X_CWMPD_A.\"]\nLevel = { type = \"integer\", const = \"1\" }\n")
        .unwrap();
    let output = cwmpd(&config, &["check"]);
    assert_eq!(output.status.code(), Some(3), "{}", out(&output));
    assert!(out(&output).contains(&format!("{}:2: ", overlay.display())), "{}", out(&output));
    std::fs::write(&overlay, "[\"Device.X_CWMPD_A.\"]\nLevel = { type = \"int\", const = \"1\" }\n").unwrap();
    let output = cwmpd(&config, &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
}

/// A key that is none would make every image one that nobody trusts.
#[test]
fn check_reads_the_trusted_keys() {
    let scratch = Scratch::new("keys");
    let key = scratch.0.join("build.pub");
    let config = scratch.config(&format!("[transfer]\ntrusted_keys = [{key:?}]\n"));
    for (text, said) in [(None, "cannot be read"), (Some("no key\n"), "the key file")] {
        if let Some(text) = text {
            std::fs::write(&key, text).unwrap();
        }
        let output = cwmpd(&config, &["check"]);
        assert_eq!(output.status.code(), Some(3), "{}", out(&output));
        assert!(out(&output).contains(said) && out(&output).contains("build.pub"), "{}", out(&output));
    }
}

#[test]
fn check_warns_of_a_state_that_lies_in_memory() {
    let memory = Path::new("/dev/shm");
    if nix::sys::statfs::statfs(memory).map(|f| f.filesystem_type()) != Ok(nix::sys::statfs::TMPFS_MAGIC) {
        println!("no tmpfs at /dev/shm: not tried");
        return;
    }
    let scratch = Scratch::new("tmpfs");
    let config = scratch.config("");
    let text = std::fs::read_to_string(&config).unwrap();
    let state = format!("{}/state", scratch.0.display());
    std::fs::write(&config, text.replace(&state, "/dev/shm/no-such-folder/state")).unwrap();
    let output = cwmpd(&config, &["check"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(out(&output).contains("lies on tmpfs"), "{}", out(&output));
}

#[test]
fn a_wrong_configuration_is_3_with_file_line_and_reason() {
    let scratch = Scratch::new("configuration");
    for (more, line, reason) in [
        ("colour = 1", 6, "unknown field `colour`"),
        ("ca_file = \"/no/such/ca.pem\"", 6, "acs.ca_file: /no/such/ca.pem cannot be read"),
        ("[commands]\nreboot = [\"\"]", 7, "commands.reboot"),
        ("[log\n", 6, ""),
    ] {
        let file = scratch.config(more);
        let start = format!("{}:{line}: ", file.display());
        let check = cwmpd(&file, &["check"]);
        assert_eq!(check.status.code(), Some(3), "{more}");
        assert!(out(&check).starts_with(&start) && out(&check).contains(reason), "{}", out(&check));
        let run = cwmpd(&file, &["run"]);
        assert_eq!(run.status.code(), Some(3), "{more}");
        assert!(err(&run).contains(&start) && err(&run).contains(reason), "{}", err(&run));
        assert_eq!(err(&run).lines().count(), 1, "one clear line");
        assert!(!scratch.0.join("state").exists(), "nothing was started");
    }
    let none = scratch.0.join("none.toml");
    for word in ["run", "check", "status"] {
        let output = cwmpd(&none, &[word]);
        assert_eq!(output.status.code(), Some(3), "{word}");
        assert!((out(&output) + &err(&output)).contains("none.toml: cannot be read"), "{word}");
    }
}

#[test]
fn no_daemon_is_4() {
    let scratch = Scratch::new("nobody");
    let config = scratch.config("");
    for words in [&["status"][..], &["get", "Device."], &["inform"], &["names"]] {
        let output = cwmpd(&config, words);
        assert_eq!(output.status.code(), Some(4), "{words:?}");
        assert!(err(&output).contains("the daemon is not running"), "{}", err(&output));
    }
    // A socket that nobody listens at any more, after a kill -9.
    drop(UnixListener::bind(scratch.0.join("cwmpd.sock")).unwrap());
    assert_eq!(cwmpd(&config, &["status"]).status.code(), Some(4));
}

#[test]
fn answers_of_the_daemon() {
    let scratch = Scratch::new("answers");
    let config = scratch.config("");
    let cases = [
        (
            &["get", "Device.A.", "B"][..],
            "{\"op\":\"get\",\"paths\":[\"Device.A.\",\"B\"]}\n",
            "{\"path\":\"Device.A.X\",\"value\":\"1\"}\n{\"path\":\"B\",\"value\":\"two words\"}\n{\"ok\":true}\n",
            "Device.A.X=1\nB=two words\n",
            0,
        ),
        (
            &["names", "Device."],
            "{\"op\":\"names\",\"path\":\"Device.\",\"next_level\":false}\n",
            "{\"path\":\"Device.\",\"writable\":false}\n{\"path\":\"Device.X\",\"writable\":true}\n{\"ok\":true}\n",
            "Device.\nDevice.X\n",
            0,
        ),
        (
            &["set", "A=1", "B=x=y"],
            "{\"op\":\"set\",\"values\":[[\"A\",\"1\"],[\"B\",\"x=y\"]]}\n",
            "{\"error\":{\"code\":9003,\"text\":\"no\",\"parameters\":[{\"path\":\"A\",\"code\":9007,\"text\":\"big\"}]}}\n",
            "",
            1,
        ),
        (
            &["add", "Device.X."],
            "{\"op\":\"add\",\"path\":\"Device.X.\"}\n",
            "{\"instance\":3,\"path\":\"Device.X.3.\"}\n{\"ok\":true}\n",
            "Device.X.3.\n",
            0,
        ),
        (&["inform"], "{\"op\":\"inform\"}\n", "{\"ok\":true}\n", "", 0),
        // The daemon goes away in the middle, or speaks another language.
        (
            &["get", "A"],
            "{\"op\":\"get\",\"paths\":[\"A\"]}\n",
            "{\"path\":\"A\",\"value\":\"1\"}\n",
            "A=1\n",
            1,
        ),
        (&["inform"], "{\"op\":\"inform\"}\n", "hello\n", "", 1),
        (
            &["--json", "get", "A"],
            "{\"op\":\"get\",\"paths\":[\"A\"]}\n",
            "{\"path\":\"A\",\"value\":\"1\"}\n{\"ok\":true}\n",
            "{\"path\":\"A\",\"value\":\"1\"}\n{\"ok\":true}\n",
            0,
        ),
    ];
    for (words, request, answer, shown, code) in cases {
        let daemon = scratch.daemon(answer);
        let output = cwmpd(&config, words);
        assert_eq!(daemon.join().unwrap(), request, "{words:?}");
        assert_eq!(out(&output), shown, "{words:?}");
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", err(&output));
        assert_eq!(output.stderr.is_empty(), code == 0, "{words:?}: {}", err(&output));
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let scratch = Scratch::new("pipe");
    let config = scratch.config("");
    let line = "{\"path\":\"Device.X\",\"value\":\"0123456789\"}\n";
    let answer: &'static str = Box::leak(line.repeat(50_000).into_boxed_str());
    let daemon = scratch.daemon(answer);
    let mut child = Command::new(env!("CARGO_BIN_EXE_cwmpd"))
        .arg("--config")
        .arg(&config)
        .args(["get", "Device."])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "Device.X=0123456789\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
    daemon.join().unwrap();
}

/// An image that OpenWrt's tools signed, as those who build one would ask.
// Proves: X-15
#[test]
fn verify_says_what_the_agent_would_say() {
    let scratch = Scratch::new("verify");
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
    let keys = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| format!("\"{}\"", images.join(n).display())).collect();
        scratch.config(&format!("[transfer]\ntrusted_keys = [{}]", names.join(", ")))
    };
    let image = |name: &str| images.join(name).to_str().unwrap().to_owned();
    let config = keys(&["other.pub", "root.pub"]);
    let output = cwmpd(&config, &["verify", &image("signed.img")]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let said = out(&output);
    let hash = said.strip_prefix("#sha256=").and_then(|rest| rest.split_once('\n')).expect(&said);
    assert_eq!(
        (hash.0.len(), hash.1),
        (64, "signed by 8669247b129cfcf2\nversion 23.05.2 r23630-842932a63d\n")
    );
    // The signature beside it is found, or named.
    let output = cwmpd(&config, &["verify", &image("plain.img"), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((&report["ok"], &report["signed_by"]), (&true.into(), &"8669247b129cfcf2".into()));
    let signify = [&image("plain.img"), &image("plain.img.signify")];
    let output = cwmpd(&config, &["verify", signify[0], signify[1]]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains(": 9019 the image is refused: the signature beside it is by key "));
    let output = cwmpd(&keys(&["signify.pub"]), &["verify", signify[0], signify[1]]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let output = cwmpd(&keys(&["other.pub"]), &["verify", &image("signed.img"), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((output.status.code(), &report["code"]), (Some(1), &9019.into()));
    // Whoever trusts nobody is told so.
    let output = cwmpd(&scratch.config(""), &["verify", &image("signed.img")]);
    assert!(out(&output).contains("signatures are not checked"), "{}", out(&output));
    for words in [&["verify", "/no/such/image"][..], &["verify", &image("plain.img"), "/no/such/signature"]] {
        let output = cwmpd(&config, words);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).starts_with("cwmpd: /no/such/"), "{}", err(&output));
    }
    // What no key can be read from is a wrong configuration, not a configuration without keys.
    let output = cwmpd(&keys(&["plain.img"]), &["verify", &image("plain.img")]);
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains("plain.img is no public key"), "{}", err(&output));
}

/// UCI's form, by the same words; one that is switched off does nothing and is no failure.
#[test]
fn a_file_of_uci_is_a_configuration() {
    let scratch = Scratch::new("uci");
    let dir = scratch.0.display();
    let file = scratch.0.join("cwmpd");
    let text = |enabled: &str| {
        format!(
            "config cwmpd 'cwmpd'\n\toption enabled '{enabled}'\n\toption state_dir '{dir}/state'\n\
             \toption run_dir '{dir}'\n\toption overlay_dir '{dir}/overlays'\n\n\
             config acs 'acs'\n\toption url 'http://127.0.0.1:7547/'\n"
        )
    };
    std::fs::write(&file, text("0")).unwrap();
    let checked = cwmpd(&file, &["--json", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
    let run = cwmpd(&file, &["run"]);
    assert_eq!((run.status.code(), out(&run).as_str()), (Some(0), ""));
    assert!(err(&run).contains("`enabled`"), "{}", err(&run));
    assert!(!scratch.0.join("state").exists(), "nothing was begun");
    assert_eq!(cwmpd(&file, &["status"]).status.code(), Some(4), "the socket's place is read from it");
    std::fs::write(&file, text("perhaps")).unwrap();
    let wrong = cwmpd(&file, &["run"]);
    assert_eq!(wrong.status.code(), Some(3));
    assert!(err(&wrong).contains(&format!("{}:2: ", file.display())), "{}", err(&wrong));
}

/// The program with a folder of its own for what is temporary, which must be empty afterwards.
fn replay(scratch: &Scratch, words: &[&str]) -> Output {
    let temporary = scratch.0.join("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cwmpd"));
    let output = command.env("TMPDIR", &temporary).arg("replay").args(words).output().unwrap();
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "{words:?} left something");
    output
}

/// A snapshot of a router that is hardly one.
fn snapshot(scratch: &Scratch) -> String {
    let root = scratch.0.join("root");
    std::fs::create_dir_all(root.join("etc/config")).unwrap();
    std::fs::write(root.join("etc/config/system"), "config system\n\toption hostname 'gate'\n").unwrap();
    let config = scratch.config("[commands]\nreboot = []\n");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = format!("platform = \"openwrt\"\nroot = \"{}\"\n{text}", root.display());
    std::fs::write(&config, text).unwrap();
    let file = scratch.0.join("router").to_str().unwrap().to_owned();
    let made = cwmpd(&config, &["snapshot", &file]);
    assert_eq!(made.status.code(), Some(0), "{}", err(&made));
    assert!(out(&made).contains(" files, 0 of them answers of ubus; 0 secrets masked"), "{}", out(&made));
    file
}

#[test]
fn a_snapshot_is_replayed() {
    let scratch = Scratch::new("replay");
    let file = snapshot(&scratch);
    let got = replay(&scratch, &[&file, "get", "Device.DeviceInfo.HostName"]);
    assert_eq!((got.status.code(), out(&got).as_str()), (Some(0), "Device.DeviceInfo.HostName=gate\n"));
    let names = replay(&scratch, &[&file, "--json", "--next-level", "names", "Device."]);
    assert!(
        out(&names).contains("\"path\":\"Device.DeviceInfo.\"") && out(&names).ends_with("{\"ok\":true}\n")
    );
    let wrong = replay(&scratch, &[&file, "get", "Device.No."]);
    assert_eq!((wrong.status.code(), out(&wrong).as_str()), (Some(1), ""));
    assert!(err(&wrong).contains("9005"), "{}", err(&wrong));

    let folder = scratch.0.join("unpacked");
    let words = [&file, "unpack", folder.to_str().unwrap()];
    assert_eq!(replay(&scratch, &words).status.code(), Some(0));
    assert!(std::fs::read_to_string(folder.join("etc/config/system")).unwrap().contains("'gate'"));
    let again = replay(&scratch, &words);
    assert_eq!(again.status.code(), Some(1));
    assert!(err(&again).contains("exists") && folder.join("etc").is_dir(), "{}", err(&again));
}

#[test]
fn what_is_no_snapshot_is_named() {
    let scratch = Scratch::new("no-snapshot");
    let bytes = std::fs::read(snapshot(&scratch)).unwrap();
    let file = scratch.0.join("bad");
    for bad in [&b"not one"[..], b"", &bytes[..bytes.len() / 2], &[&bytes[..], b"more"].concat()] {
        std::fs::write(&file, bad).unwrap();
        for words in [&["get", "Device."][..], &["run", "http://127.0.0.1/"], &["unpack", "/nowhere/at/all"]]
        {
            let output = replay(&scratch, &[&[file.to_str().unwrap()], words].concat());
            assert_eq!(output.status.code(), Some(1), "{words:?}");
            let said = err(&output);
            assert!(said.contains("/bad: not a snapshot: ") && out(&output).is_empty(), "{said}");
        }
    }
    let missing = replay(&scratch, &["/no/such/file", "get", "Device."]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(err(&missing).contains("/no/such/file: No such file"), "{}", err(&missing));
}

/// The daemon on a snapshot: asked as any other, and nothing is left of it when it has ended.
#[test]
fn a_daemon_runs_on_a_snapshot() {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
    let scratch = Scratch::new("replay-run");
    let file = snapshot(&scratch);
    let temporary = scratch.0.join("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    let bad = replay(&scratch, &[&file, "run", "ftp://127.0.0.1/"]);
    assert_eq!(bad.status.code(), Some(3), "{}", err(&bad));
    // Nobody listens on port 1: sessions fail, and the daemon goes on.
    let mut child = Command::new(env!("CARGO_BIN_EXE_cwmpd"))
        .env("TMPDIR", &temporary)
        .args(["replay", &file, "run", "http://127.0.0.1:1/", "--username", "me"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let ["cwmpd", "--config", config, "get", "Device."] = words[..] else { panic!("{line}") };
    let since = std::time::Instant::now();
    let got = loop {
        let got = cwmpd(Path::new(config), &["get", "Device.DeviceInfo.HostName"]);
        // Its socket is there a moment after it has said where.
        if got.status.code() != Some(4) || since.elapsed() > PATIENCE {
            break got;
        }
        std::thread::yield_now();
    };
    assert_eq!((got.status.code(), out(&got).as_str()), (Some(0), "Device.DeviceInfo.HostName=gate\n"));
    let set = cwmpd(Path::new(config), &["set", "Device.DeviceInfo.HostName=other"]);
    assert_eq!(set.status.code(), Some(0), "{}", err(&set));
    let url =
        cwmpd(Path::new(config), &["get", "Device.ManagementServer.URL", "Device.ManagementServer.Username"]);
    assert!(out(&url).contains("URL=http://127.0.0.1:1/\n") && out(&url).contains("Username=me\n"));
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "nothing is left");
}
