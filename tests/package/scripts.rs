//! The init script and its companions under a shell in which procd's functions are recorded.

use crate::{Folder, good, openwrt, run};
use cwmpd::config::Config;
use std::fs;
use std::path::Path;
use std::process::Command;

/// `rc.common` with `procd.sh` and `functions.sh`, as far as the script calls them: each call is a line of its
/// words. The configuration's options are variables of the environment, `cfg_<section>_<option>`.
const RC_COMMON: &str = r#"
record() { local line='' word; for word; do line="$line|$word"; done; echo "${line#|}" >>"$CALLS"; }
for name in procd_open_instance procd_close_instance procd_set_param procd_append_param procd_add_jail \
	procd_add_jail_mount procd_add_jail_mount_rw procd_open_data procd_close_data procd_add_reload_trigger \
	procd_set_config_changed json_add_array json_close_array json_add_object json_close_object json_add_string \
	json_add_boolean json_add_int config_load; do
	eval "$name() { record $name \"\$@\"; }"
done
config_get() { eval "$1=\${cfg_${2}_$3:-\$4}"; }
config_get_bool() {
	config_get "$@"
	eval "case \$$1 in 1 | on | true | yes | enabled) $1=1 ;; *) $1=0 ;; esac"
}
. "$1"
"$2"
"#;

/// The calls of one function of the init script.
struct Bed {
    folder: Folder,
    options: Vec<(&'static str, &'static str)>,
}

impl Bed {
    fn new(name: &str, options: &[(&'static str, &'static str)]) -> Bed {
        let folder = Folder::new(name);
        folder.write("rc.common", RC_COMMON);
        folder.program("ujail", "");
        Bed { folder, options: options.to_vec() }
    }

    fn calls(&self, function: &str) -> Vec<String> {
        let script = fs::read_to_string(openwrt().join("files/etc/init.d/cwmpd")).unwrap();
        let ours = |name: &str| self.folder.path(name).display().to_string();
        let capabilities = format!("={}", openwrt().join("files/etc/capabilities/cwmpd.json").display());
        let script = script.replace("/sbin/ujail", &ours("ujail"));
        let script = script.replace("=/etc/capabilities/cwmpd.json", &capabilities);
        let script = self.folder.write("init", &script);
        let calls = self.folder.write("calls", "");
        let mut command = Command::new("sh");
        command.arg(self.folder.path("rc.common")).arg(script).arg(function).env("CALLS", calls);
        for (name, value) in &self.options {
            command.env(format!("cfg_{name}"), value);
        }
        assert_eq!(good(&mut command), "");
        self.folder.read("calls").lines().map(str::to_owned).collect()
    }

    /// How often a call is made.
    fn count(&self, function: &str, call: &str) -> usize {
        self.calls(function).iter().filter(|c| *c == call).count()
    }
}

#[test]
fn the_service_is_one_instance_that_is_never_given_up() {
    let bed = Bed::new("service", &[]);
    let calls = bed.calls("start_service");
    assert_eq!(calls.first().map(String::as_str), Some("config_load|cwmpd"));
    for call in [
        "procd_open_instance",
        "procd_set_param|command|/usr/sbin/cwmpd|run",
        "procd_set_param|file|/etc/config/cwmpd",
        "procd_set_param|reload_signal|HUP",
        // Threshold and waiting in seconds; 0 attempts: as many as it takes.
        "procd_set_param|respawn|3600|30|0",
        "procd_set_param|term_timeout|10",
        "procd_set_param|stdout|1",
        "procd_set_param|stderr|1",
        "procd_set_param|limits|core=0",
        "procd_set_param|no_new_privs|1",
        "procd_close_instance",
    ] {
        assert_eq!(bed.count("start_service", call), 1, "{call}: {calls:#?}");
    }
    assert_eq!(calls.last().map(String::as_str), Some("procd_close_instance"));
    assert_eq!(bed.calls("service_triggers"), ["procd_add_reload_trigger|cwmpd"]);
    for function in ["service_started", "service_stopped"] {
        assert_eq!(bed.calls(function), ["procd_set_config_changed|firewall"]);
    }
}

#[test]
fn a_service_that_is_switched_off_has_no_instance() {
    for off in ["0", "off", "no"] {
        assert_eq!(Bed::new("off", &[("cwmpd_enabled", off)]).calls("start_service"), ["config_load|cwmpd"]);
    }
    let bed = Bed::new("on", &[("cwmpd_enabled", "on")]);
    assert_eq!(bed.count("start_service", "procd_open_instance"), 1);
}

#[test]
fn the_jail_takes_capabilities_and_no_files() {
    let bed = Bed::new("jail", &[]);
    let file = openwrt().join("files/etc/capabilities/cwmpd.json");
    let calls = bed.calls("start_service");
    let jail: Vec<&String> = calls.iter().filter(|c| c.contains("jail")).collect();
    // Any further word would be a namespace, in which sysupgrade cannot name the image to procd.
    assert_eq!(jail, ["procd_add_jail|cwmpd"]);
    assert_eq!(bed.count("start_service", &format!("procd_set_param|capabilities|{}", file.display())), 1);
    // Its static program would not feel a filter that is preloaded, and its children would.
    assert!(!calls.iter().any(|c| c.contains("seccomp")));

    let sets: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    for set in ["bounding", "effective", "permitted"] {
        let mut names: Vec<&str> =
            sets[set].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
        names.sort_unstable();
        let allowed = [
            "CAP_CHOWN",
            "CAP_DAC_OVERRIDE",
            "CAP_FOWNER",
            "CAP_FSETID",
            "CAP_KILL",
            "CAP_NET_ADMIN",
            "CAP_NET_BIND_SERVICE",
            "CAP_NET_RAW",
            "CAP_SYS_RESOURCE",
        ];
        assert_eq!(names, allowed, "{set}");
    }
    for set in ["inheritable", "ambient"] {
        assert_eq!(sets[set].as_array().unwrap().len(), 0, "{set}: absent would mean all");
    }

    // Without procd-ujail it runs as well.
    fs::remove_file(bed.folder.path("ujail")).unwrap();
    let calls = bed.calls("start_service");
    assert!(!calls.iter().any(|c| c.contains("jail") || c.contains("capabilities")), "{calls:#?}");
    assert_eq!(bed.count("start_service", "procd_close_instance"), 1);
}

#[test]
fn the_firewall_lets_in_the_port_that_is_listened_at() {
    for (listen, port) in [
        ("", Some("7547")),
        ("auto", Some("7547")),
        ("0.0.0.0:7548", Some("7548")),
        ("[::]:7549", Some("7549")),
        ("203.0.113.7:80", Some("80")),
        ("127.0.0.1:7547", None),
        ("[::1]:7547", None),
    ] {
        let calls = Bed::new("port", &[("connection_request_listen", listen)]).calls("start_service");
        let found = calls.iter().find_map(|c| c.strip_prefix("json_add_string|dest_port|"));
        assert_eq!(found, port, "{listen}");
        let rule: Vec<&str> = ["type|rule", "src|wan", "proto|tcp", "target|ACCEPT"]
            .into_iter()
            .filter(|s| calls.contains(&format!("json_add_string|{s}")))
            .collect();
        assert_eq!(rule.len(), if port.is_some() { 4 } else { 0 }, "{listen}");
        let count = |name: &str| calls.iter().filter(|c| c.split('|').next() == Some(name)).count();
        for kind in ["data", "array", "object"] {
            let (open, close) = match kind {
                "data" => ("procd_open_data", "procd_close_data"),
                "array" => ("json_add_array", "json_close_array"),
                _ => ("json_add_object", "json_close_object"),
            };
            assert_eq!(count(open), count(close), "{kind}");
        }
    }
}

/// Runs the hotplug script for an event; what it asked ubus for.
fn hotplug(action: &str, interface: &str) -> String {
    let folder = Folder::new("hotplug");
    let network = folder.write(
        "network.sh",
        "network_flush_cache() { :; }\nnetwork_find_wan() { eval $1=wan; }\nnetwork_find_wan6() { eval $1=wan6; }\n",
    );
    let script = fs::read_to_string(openwrt().join("files/etc/hotplug.d/iface/95-cwmpd")).unwrap();
    assert!(script.contains("/lib/functions/network.sh"));
    let script =
        folder.write("script", &script.replace("/lib/functions/network.sh", network.to_str().unwrap()));
    folder.program("bin/ubus", "#!/bin/sh\necho \"$*\" >>\"$CALLS\"\n");
    let path = format!("{}:{}", folder.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("( . {} )", script.display())).env("PATH", path);
    command.env("CALLS", folder.path("calls")).env("ACTION", action).env("INTERFACE", interface);
    assert_eq!(good(&mut command), "");
    folder.read("calls")
}

#[test]
fn an_uplink_that_comes_up_has_the_agent_try_again() {
    let signal = "-S call service signal {\"name\":\"cwmpd\",\"signal\":1}\n";
    assert_eq!(hotplug("ifup", "wan"), signal);
    assert_eq!(hotplug("ifup", "wan6"), signal);
    for (action, interface) in [("ifup", "lan"), ("ifdown", "wan"), ("ifupdate", "wan"), ("ifup", "")] {
        assert_eq!(hotplug(action, interface), "", "{action} {interface}");
    }
}

#[test]
fn first_boot_asks_dhcp_unless_that_is_off_and_fails_when_that_fails() {
    let folder = Folder::new("defaults");
    let config = folder.write("config", "secret");
    let setup = folder.program("setup", "#!/bin/sh\necho setup >>\"$CALLS\"\nexit \"$STATUS\"\n");
    folder.program(
        "bin/uci",
        "#!/bin/sh\n[ \"$*\" = '-q get cwmpd.acs.dhcp_discovery' ] && echo \"$POLICY\"\n",
    );
    let script = fs::read_to_string(openwrt().join("files/etc/uci-defaults/95-cwmpd")).unwrap();
    let script = script.replace("/etc/config/cwmpd", config.to_str().unwrap());
    let script =
        folder.write("script", &script.replace("/usr/lib/cwmpd/dhcp-setup", setup.to_str().unwrap()));
    for (policy, status, calls, code) in [
        ("off", "0", "", 0),
        ("fill", "0", "setup\n", 0),
        ("prefer", "1", "setup\n", 1),
        ("", "0", "setup\n", 0),
    ] {
        let path = format!("{}:{}", folder.path("bin").display(), std::env::var("PATH").unwrap());
        folder.write("calls", "");
        let mut command = Command::new("sh");
        command.arg(&script).env("PATH", path).env("CALLS", folder.path("calls"));
        let output = run(command.env("POLICY", policy).env("STATUS", status));
        assert_eq!((output.status.code(), folder.read("calls").as_str()), (Some(code), calls), "{policy}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&config).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn the_configuration_that_is_shipped_is_right_and_so_are_its_examples() {
    let file = openwrt().join("files/etc/config/cwmpd");
    let text = fs::read_to_string(&file).unwrap();
    let here = |text: &str| {
        let text = text.replace("/etc/ssl/certs/ca-certificates.crt", &pem().display().to_string());
        Config::parse(&text.replace("/etc/cwmpd/vendor.pub", "/etc/hosts"), &file)
    };
    let shipped = here(&text).unwrap();
    assert!(shipped.enabled && shipped.acs.url.is_empty());
    assert_eq!(shipped.state_dir, Path::new("/etc/cwmpd/state"));
    // All that is commented out, taken in.
    let example = |line: &str| {
        let inner = line.trim_start().trim_start_matches('#');
        let word = inner.split_ascii_whitespace().next();
        matches!(word, Some("option" | "list" | "config")).then(|| inner.to_owned())
    };
    let whole: String =
        text.lines().map(|line| example(line).unwrap_or_else(|| line.to_owned()) + "\n").collect();
    let all = here(&whole).unwrap();
    assert_eq!(all.acs.url, "https://acs.example.net/");
    assert_eq!(all.transfer.trusted_keys.len(), 1);
    assert_eq!(all.commands.firmware_check, ["sysupgrade", "-T", "{file}"]);
    assert!(all.commands.factory_reset.is_empty());
    let _ = fs::remove_file(pem());
}

/// A file that looks like trusted roots.
fn pem() -> std::path::PathBuf {
    let file = std::env::temp_dir().join(format!("cwmpd-package-{}.pem", std::process::id()));
    fs::write(&file, "-----BEGIN CERTIFICATE-----\n").unwrap();
    file
}

#[test]
fn what_must_survive_an_upgrade_is_kept() {
    let kept = fs::read_to_string(openwrt().join("files/lib/upgrade/keep.d/cwmpd")).unwrap();
    let config = Config::parse("config acs\n\toption url 'http://a/'\n", Path::new("cwmpd")).unwrap();
    for folder in [&config.state_dir, &config.overlay_dir] {
        assert!(kept.lines().any(|line| folder.starts_with(line)), "{}: {kept}", folder.display());
    }
}

/// Every script, where there is a shellcheck.
#[test]
fn shellcheck_has_nothing_to_say() {
    let scripts = good(
        Command::new("grep")
            .args(["-rlE", "--exclude=Makefile", "^#!/bin/sh|^# shellcheck shell="])
            .arg(openwrt()),
    );
    let scripts: Vec<&str> = scripts.lines().collect();
    assert!(scripts.len() >= 7, "{scripts:?}");
    let Ok(output) = Command::new("shellcheck").args(&scripts).output() else {
        println!("there is no shellcheck: skipped");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
