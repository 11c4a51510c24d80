//! What is in a package.

use crate::{Folder, good, openwrt, pack, run, unpack};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Files of an archive with mode and owner, as `tar` tells them.
fn listed(archive: &Path) -> BTreeMap<String, String> {
    let text = good(Command::new("tar").args(["--numeric-owner", "-tvzf"]).arg(archive));
    let line = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [mode, owner, .., name] = words[..] else { panic!("{line}") };
        (name.trim_start_matches('.').to_owned(), format!("{mode} {owner}"))
    };
    text.lines().map(line).collect()
}

/// The files below a folder, each as its path on the device.
fn files(below: &Path, into: &mut Vec<String>, root: &Path) {
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into, root);
        } else {
            into.push(format!("/{}", path.strip_prefix(root).unwrap().display()));
        }
    }
}

#[test]
fn an_ipk_has_every_file_with_its_mode_and_root_as_owner() {
    let folder = Folder::new("files");
    let package = pack(&folder, "agent", "022");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(package, folder.path(&format!("out/cwmpd_{version}-r1_mipsel_24kc.ipk")));
    let outer: Vec<String> = listed(&package).into_keys().collect();
    assert_eq!(outer, ["/", "/control.tar.gz", "/data.tar.gz", "/debian-binary"]);
    unpack(&package, &folder.path("package"));
    assert_eq!(folder.read("package/debian-binary"), "2.0\n");

    let data = listed(&folder.path("package/data.tar.gz"));
    for (name, mode) in [
        ("/usr/sbin/cwmpd", "-rwxr-xr-x 0/0"),
        ("/etc/init.d/cwmpd", "-rwxr-xr-x 0/0"),
        ("/etc/config/cwmpd", "-rw------- 0/0"),
        ("/etc/capabilities/cwmpd.json", "-rw-r--r-- 0/0"),
        ("/etc/hotplug.d/iface/95-cwmpd", "-rw-r--r-- 0/0"),
        ("/etc/uci-defaults/95-cwmpd", "-rwxr-xr-x 0/0"),
        ("/lib/upgrade/keep.d/cwmpd", "-rw-r--r-- 0/0"),
        ("/usr/lib/cwmpd/dhcp-setup", "-rwxr-xr-x 0/0"),
        ("/etc/", "drwxr-xr-x 0/0"),
    ] {
        assert_eq!(data.get(name).map(String::as_str), Some(mode), "{name}");
    }
    let mut own = vec!["/usr/sbin/cwmpd".to_owned()];
    files(&openwrt().join("files"), &mut own, &openwrt().join("files"));
    own.sort();
    let packed: Vec<&String> = data.keys().filter(|name| !name.ends_with('/')).collect();
    assert_eq!(packed, own.iter().collect::<Vec<_>>(), "all of openwrt/files, and nothing else");
    let odd = data.iter().find(|(_, mode)| {
        !["drwxr-xr-x 0/0", "-rwxr-xr-x 0/0", "-rw-r--r-- 0/0", "-rw------- 0/0"].contains(&mode.as_str())
    });
    assert_eq!(odd, None);

    unpack(&folder.path("package/data.tar.gz"), &folder.path("root"));
    assert_eq!(folder.read("root/usr/sbin/cwmpd"), "agent");
    unpack(&folder.path("package/control.tar.gz"), &folder.path("control"));
    let control = folder.read("control/control");
    let field = |name: &str| {
        control.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
    };
    assert_eq!(field("Package").as_deref(), Some("cwmpd"));
    assert_eq!(field("Version"), Some(format!("{version}-r1")));
    assert_eq!(field("Architecture").as_deref(), Some("mipsel_24kc"));
    assert_eq!(field("Depends").as_deref(), Some("ca-bundle"), "nothing beyond the base system");
    let size: u64 = own.iter().map(|f| fs::metadata(folder.path(&format!("root{f}"))).unwrap().len()).sum();
    assert_eq!(field("Installed-Size"), Some(size.to_string()));
    assert_eq!(folder.read("control/conffiles"), "/etc/config/cwmpd\n");
    for script in ["postinst", "prerm", "prerm-pkg"] {
        let mode = fs::metadata(folder.path(&format!("control/{script}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{script}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (one, two) = (Folder::new("same-1"), Folder::new("same-2"));
    let first = fs::read(pack(&one, "agent", "022")).unwrap();
    assert!(first == fs::read(pack(&two, "agent", "077")).unwrap(), "whatever the umask");
    assert!(first != fs::read(pack(&two, "other", "022")).unwrap());
}

#[test]
fn what_cannot_be_packed_is_said() {
    let folder = Folder::new("wrong");
    let binary = folder.write("built", "agent").display().to_string();
    for (arguments, code) in [
        (vec![], 2),
        (vec![binary.as_str()], 2),
        (vec![binary.as_str(), "mips/../el"], 2),
        (vec![binary.as_str(), ""], 2),
        (vec![binary.as_str(), "mipsel_24kc", "deb"], 2),
        (vec!["/no/such/file", "mipsel_24kc"], 1),
        // Nothing but apk-tools writes that form.
        (vec![binary.as_str(), "mipsel_24kc", "apk"], 1),
    ] {
        let mut command = Command::new(openwrt().join("pack.sh"));
        command.args(&arguments).env("OUT", folder.path("out")).env("APK", "/no/such/apk");
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{arguments:?}");
    }
    assert!(fs::read_dir(folder.path("out")).map_or(0, Iterator::count) == 0, "no half a package is left");
}
