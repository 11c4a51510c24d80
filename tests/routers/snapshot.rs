//! A router in a file: what a snapshot of each router holds, and what comes of it when it is replayed.

use crate::changes::copy;
use crate::daemon::Folder;
use crate::router::{Router, folder, routers};
use cwmpd::model::schema::Platform;
use cwmpd::net::coding::{Coding, Limits};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

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

/// On the other platform, whose sources are other ones, too.
#[test]
fn a_snapshot_of_plain_linux_replays_the_same_tree() {
    for name in routers() {
        let scratch = Folder::new(&format!("snapshot-linux-{name}"));
        let root = folder().join(&name);
        let file = snapshot(&scratch, &root, "linux");
        let mut router = Router::on(Platform::Linux, &root, None);
        let values = router.values();
        let direct: String = values.iter().map(|(path, value)| crate::line(path, value)).collect();
        let text = replayed(&scratch, &file);
        assert!(direct == text, "{name}:\n{}", crate::diff::lines(&direct, &text));
    }
}

/// The archive of a snapshot.
fn archive(file: &Path) -> Vec<u8> {
    let packed = fs::read(file).expect("a snapshot");
    let limits = Limits { size: 64 << 20, time: Duration::from_secs(60) };
    Coding::Gzip.decompress(&packed[..], limits).expect("it is compressed")
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

/// Where a router keeps secrets: a file, text in it, and what is put in its place. `MARK` becomes a secret of
/// its own in each. What is put behind an empty text is added at the end.
const PLACES: &[(&str, &str, &str)] = &[
    ("etc/config/wireless", "option key 'example-home-passphrase'", "option key 'MARK'"),
    ("etc/config/wireless", "option auth_secret 'example-radius-secret'", "option auth_secret 'MARK'"),
    (
        "etc/config/wireless",
        "",
        "\nconfig wifi-iface 'more'\n\toption sae_password 'MARK'\n\toption wps_pin 'MARK'\n\toption key1 's:MARK'\n\toption priv_key_pwd 'MARK'\n\tlist r0kh '02:00:00:00:00:01,x,MARK'\n",
    ),
    (
        "etc/config/network",
        "option private_key 'ICAgIGV4YW1wbGUgcHJpdmF0ZSBrZXkgICAgICAgIGY='",
        "option private_key 'MARK'",
    ),
    (
        "etc/config/network",
        "option preshared_key 'ICAgIGV4YW1wbGUgcHJlc2hhcmVkIGtleSAgICAgIHM='",
        "option preshared_key 'MARK'",
    ),
    (
        "etc/config/network",
        "",
        "\nconfig interface 'dsl'\n\toption proto 'pppoe'\n\toption username 'me'\n\toption password 'MARK'\n\nconfig interface 'cell'\n\toption proto 'qmi'\n\toption pincode 'MARK'\n\toption password \"MARK\"\n",
    ),
    (
        "etc/config/ddns",
        "",
        "\nconfig service 'a'\n\toption password 'MARK'\n\toption param_enc 'MARK'\n\toption update_url 'http://me:MARK@example.com/?token=MARK'\n",
    ),
    ("etc/config/snmpd", "", "\nconfig com2sec\n\toption community 'MARK'\n"),
    ("etc/config/rpcd", "option password '$p$root'", "option password '$1$MARK'"),
    (
        "etc/config/cwmpd",
        "",
        "\nconfig acs 'acs'\n\toption password 'MARK'\n\nconfig connection_request 'connection_request'\n\toption password 'MARK'\n",
    ),
    ("tmp/.uci/wireless", "", "wireless.more.key='MARK'\n"),
    ("etc/shadow", "", "planted:$1$MARK:19989:0:99999:7:::\nlocked:!$1$MARK:19989:0:99999:7:::\n"),
    ("etc/dropbear/dropbear_ed25519_host_key", "", "MARK"),
    ("etc/dropbear/dropbear_rsa_host_key", "", "MARK"),
    ("etc/uhttpd.key", "", "-----BEGIN PRIVATE KEY-----\nMARK\n-----END PRIVATE KEY-----\n"),
    ("etc/uhttpd.crt", "", "-----BEGIN EC PRIVATE KEY-----\nMARK\n-----END EC PRIVATE KEY-----\n"),
    ("etc/ssl/private/own.pem", "", "MARK"),
    ("etc/ppp/chap-secrets", "", "me * MARK *\n"),
    (
        "proc/9001/stat",
        "",
        "9001 (pppd) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 200 1000000 25 18446744073709551615\n",
    ),
    ("proc/9001/cmdline", "", "/usr/sbin/pppd\0user\0me\0password\0MARK\0"),
    (
        "proc/9002/stat",
        "",
        "9002 (ppp.sh) S 1 1 1 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 200 1000000 25 18446744073709551615\n",
    ),
    ("proc/9002/cmdline", "", "/bin/sh\0ppp.sh\0setup\0{\"proto\":\"pppoe\",\"password\":\"MARK\"}\0"),
    (".cwmpd/ubus/network.wireless/status.json", "\"key\": \"example-home-passphrase\"", "\"key\": \"MARK\""),
    (
        ".cwmpd/ubus/network.interface/dump.json",
        "\"interface\": [",
        "\"interface\": [ {\"interface\":\"dsl\",\"proto\":\"pppoe\",\"data\":{\"password\":\"MARK\",\"psk\":[\"MARK\"]}},",
    ),
    (
        ".cwmpd/ubus/service/list.json",
        "{",
        "{\"vpn\":{\"instances\":{\"a\":{\"command\":[\"vpn\",\"--password\",\"MARK\"],\"env\":{\"API_TOKEN\":\"MARK\"}}}},",
    ),
];

/// No secret of a router is in its snapshot, wherever it stands; and only its owner may read what there is.
#[test]
fn no_secret_is_in_a_snapshot() {
    let scratch = Folder::new("snapshot-secrets");
    let root = scratch.0.join("root");
    copy(&folder().join("dsa"), &root);
    let mut marks = 0;
    for (path, old, new) in PLACES {
        let file = root.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut new = (*new).to_owned();
        while new.contains("MARK") {
            marks += 1;
            new = new.replacen("MARK", &format!("pl4nted-{marks:03}-pl4nted"), 1);
        }
        assert!(text.contains(old), "{path}: there is no {old}");
        let text = if old.is_empty() { text + &new } else { text.replacen(old, &new, 1) };
        fs::write(&file, text).expect("a file");
    }
    let file = snapshot(&scratch, &root, "openwrt");
    let bytes = archive(&file);
    let shown: Vec<usize> = (1..=marks).filter(|n| holds(&bytes, &format!("{n:03}-pl4nted"))).collect();
    assert!(!holds(&bytes, "pl4nted"), "of {marks}: {shown:?}");
    // What holds them is there: otherwise this proves nothing.
    for text in [
        "option password 'XXXXXXXX'",
        "password\0XXXXXXXX",
        "planted:$0$masked",
        "!$0$masked",
        "\"password\":\"XXXXXXXX\"",
    ] {
        assert!(holds(&bytes, text), "{text}");
    }
    for read in ["wireless", "network", "ddns", "rpcd"] {
        assert!(holds(&bytes, &format!("etc/config/{read}\0")), "{read}");
    }
    assert_eq!(fs::metadata(&file).expect("a file").mode() & 0o777, 0o600);
    assert!(holds(&bytes, "ssid"), "what is no secret stays");
}

/// A file that cannot be made leaves what was there as it was, and nothing beside it.
#[test]
fn a_snapshot_is_whole_or_not_there() {
    let scratch = Folder::new("snapshot-whole");
    let file = snapshot(&scratch, &folder().join("tiny"), "openwrt");
    let names = || fs::read_dir(&scratch.0).expect("a folder").count();
    assert_eq!(names(), 2, "the configuration and the snapshot");
    let inode = fs::metadata(&file).expect("a file").ino();
    snapshot(&scratch, &folder().join("tiny"), "openwrt");
    assert_ne!(fs::metadata(&file).expect("a file").ino(), inode, "replaced, and not written over");
    assert_eq!(names(), 2);
    let config = scratch.0.join("cwmpd.toml");
    let made = cwmpd(&config, &["snapshot", scratch.0.join("no/folder").to_str().expect("a path")]);
    assert_eq!(made.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&made.stderr).contains("no/folder"));
}

/// A link of which it was only asked whether it leads somewhere does so in a replay.
#[test]
fn links_lead_somewhere() {
    let scratch = Folder::new("snapshot-links");
    let root = scratch.0.join("root");
    let file = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    };
    // Of two ports the hardware's address is the serial number; `device` says which that is.
    file("sys/class/net/eth0/address", "02:00:00:00:00:0e\n");
    file("sys/class/net/eth0/ifindex", "9\n");
    file("sys/class/net/aaa0/address", "02:00:00:00:00:0a\n");
    file("sys/class/net/aaa0/ifindex", "2\n");
    fs::create_dir_all(root.join("sys/devices/virtio2")).expect("a folder");
    std::os::unix::fs::symlink("../../../devices/virtio2", root.join("sys/class/net/eth0/device"))
        .expect("a link");
    let text = replayed(&scratch, &snapshot(&scratch, &root, "linux"));
    assert!(text.contains("Device.DeviceInfo.SerialNumber=02000000000E\n"), "{text}");
}
