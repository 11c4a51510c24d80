//! The package's Makefile, as far as it can be judged without OpenWrt's build system.

use crate::{Folder, good, openwrt};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The words of `$(CP)` lines that lead out of the package's folder.
fn copied(makefile: &str) -> Vec<&str> {
    let lines = makefile.lines().filter_map(|l| l.trim().strip_prefix("$(CP) "));
    lines.flat_map(str::split_ascii_whitespace).filter_map(|word| word.strip_prefix("../")).collect()
}

#[test]
fn all_that_cargo_needs_is_copied() {
    let makefile = fs::read_to_string(openwrt().join("Makefile")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Folder::new("makefile");
    let names = copied(&makefile);
    assert!(names.contains(&"Cargo.lock"));
    for name in &names {
        let script = format!("cp -R ./{name} \"$0\"");
        good(Command::new("sh").args(["-c", &script]).arg(&folder.0).current_dir(root));
    }
    // What the build reads, and what Cargo wants to see of what is not built.
    for name in ["build.rs", "no-unwind.ld", "datamodel", "src/main.rs", "LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(folder.path(name).exists(), "{name}");
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"]);
    let metadata = good(cargo.current_dir(&folder.0));
    assert!(metadata.contains(&format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn package_and_makefile_tell_the_same() {
    let makefile = fs::read_to_string(openwrt().join("Makefile")).unwrap();
    let pack = fs::read_to_string(openwrt().join("pack.sh")).unwrap();
    assert!(makefile.contains("+ca-bundle\n") && pack.contains("Depends: ca-bundle\n"));
    assert!(makefile.contains("define Package/cwmpd/conffiles\n/etc/config/cwmpd\nendef"));
    assert!(makefile.contains("chmod 600 $(1)/etc/config/cwmpd"));
    for text in [&makefile.replace("$$", "$"), &pack] {
        assert!(text.contains(
            "[ -n \"${IPKG_INSTROOT}\" ] || [ \"${PKG_UPGRADE}\" = 1 ] || /usr/lib/cwmpd/dhcp-setup undo"
        ));
    }
}

/// Who may only look sees no password and sets nothing.
#[test]
fn reading_is_not_writing() {
    let file = openwrt().join("files/usr/share/rpcd/acl.d/cwmpd.json");
    let lists: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let group = &lists["cwmpd"];
    // In /etc/config/cwmpd the ACS's password stands in the clear.
    assert_eq!(group["read"], serde_json::json!({ "ubus": { "cwmpd": ["status", "transfers", "get"] } }));
    let write = serde_json::json!({ "ubus": { "cwmpd": ["inform", "set"] }, "uci": ["cwmpd"] });
    assert_eq!(group["write"], write);
    let said = group["description"].as_str().unwrap();
    assert!(said.contains("as good as being root"), "{said}");
}
