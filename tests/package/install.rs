//! A package installed into a root folder, and removed, by its own scripts. OpenWrt's part in them is played by
//! functions of the same names.

use crate::{Folder, good, pack, run, unpack};
use std::fs;
use std::process::Command;

/// What of OpenWrt's `/lib/functions.sh` the scripts call: services of the package's list are switched on and off.
const FUNCTIONS: &str = r#"
list() { sed -n 's,^/etc/init.d/,,p' "$IPKG_INSTROOT/usr/lib/opkg/info/$(basename "${1%.*}").list"; }
default_postinst() {
	for service in $(list "$1"); do . "$IPKG_INSTROOT/etc/init.d/$service"
		ln -s "../init.d/$service" "$IPKG_INSTROOT/etc/rc.d/S$START$service"
		ln -s "../init.d/$service" "$IPKG_INSTROOT/etc/rc.d/K$STOP$service"
	done
	echo "postinst $1 $2" >>"$IPKG_INSTROOT/calls"
}
default_prerm() {
	script="$IPKG_INSTROOT/usr/lib/opkg/info/$(basename "${1%.*}").prerm-pkg"
	( . "$script" )
	for service in $(list "$1"); do rm "$IPKG_INSTROOT/etc/rc.d/"*"$service"; done
	echo "prerm $1 $2" >>"$IPKG_INSTROOT/calls"
}
"#;

/// A root folder in which the package lies, before its scripts run.
fn unpacked(name: &str) -> Folder {
    let folder = Folder::new(name);
    let package = pack(&folder, "agent", "022");
    unpack(&package, &folder.path("package"));
    unpack(&folder.path("package/data.tar.gz"), &folder.path("root"));
    unpack(&folder.path("package/control.tar.gz"), &folder.path("control"));
    let list = good(Command::new("tar").args(["-tzf"]).arg(folder.path("package/data.tar.gz")));
    let list: String = list.lines().filter(|l| !l.ends_with('/')).map(|l| format!("{}\n", &l[1..])).collect();
    folder.write("root/usr/lib/opkg/info/cwmpd.list", &list);
    for script in ["postinst", "prerm", "prerm-pkg"] {
        let to = folder.path(&format!("root/usr/lib/opkg/info/cwmpd.{script}"));
        fs::copy(folder.path(&format!("control/{script}")), to).unwrap();
    }
    fs::create_dir_all(folder.path("root/etc/rc.d")).unwrap();
    folder
}

fn script(folder: &Folder, kind: &str, argument: &str) -> Command {
    let root = folder.path("root");
    let mut command = Command::new("sh");
    command.arg(root.join(format!("usr/lib/opkg/info/cwmpd.{kind}"))).arg(argument);
    command.env("IPKG_INSTROOT", &root).env_remove("PKG_UPGRADE").env_remove("IPKG_NO_SCRIPT");
    command
}

fn links(folder: &Folder) -> Vec<String> {
    let all = fs::read_dir(folder.path("root/etc/rc.d")).unwrap();
    let mut all: Vec<String> = all.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    all
}

#[test]
fn installing_switches_the_service_on_and_removing_off() {
    let folder = unpacked("install");
    folder.write("root/lib/functions.sh", FUNCTIONS);
    good(&mut script(&folder, "postinst", "configure"));
    assert_eq!(links(&folder), ["K05cwmpd", "S95cwmpd"]);
    assert_eq!(
        fs::read_link(folder.path("root/etc/rc.d/S95cwmpd")).unwrap().to_str(),
        Some("../init.d/cwmpd")
    );
    good(&mut script(&folder, "prerm", "remove"));
    assert!(links(&folder).is_empty());
    let info = folder.path("root/usr/lib/opkg/info/cwmpd");
    let calls = format!("postinst {0}.postinst configure\nprerm {0}.prerm remove\n", info.display());
    assert_eq!(
        folder.read("root/calls"),
        calls,
        "each with its own name, by which OpenWrt knows the package"
    );
    // What the package manager takes away is all that the package brought.
    for file in folder.read("root/usr/lib/opkg/info/cwmpd.list").lines() {
        fs::remove_file(folder.path(&format!("root{file}"))).unwrap();
    }
}

#[test]
fn where_openwrt_is_not_the_scripts_do_nothing() {
    let folder = unpacked("bare");
    for kind in ["postinst", "prerm"] {
        assert!(run(&mut script(&folder, kind, "")).status.success());
        folder.write("root/lib/functions.sh", FUNCTIONS);
        assert!(run(script(&folder, kind, "").env("IPKG_NO_SCRIPT", "1")).status.success());
        fs::remove_file(folder.path("root/lib/functions.sh")).unwrap();
    }
    assert!(links(&folder).is_empty() && folder.read("root/calls").is_empty());
}

#[test]
fn what_was_set_for_dhcp_is_taken_back_with_the_package_and_not_before_an_upgrade() {
    let folder = unpacked("undo");
    let setup = folder.program("setup", "#!/bin/sh\necho \"setup $*\" >>\"$0.calls\"\n");
    let own = folder.read("control/prerm-pkg").replace("/usr/lib/cwmpd/dhcp-setup", setup.to_str().unwrap());
    assert!(own.contains("setup undo"), "{own}");
    let script = folder.write("prerm-pkg", &own);
    let prerm = |name: &str, value: &str| {
        let mut command = Command::new("sh");
        command.arg(&script).env_remove("IPKG_INSTROOT").env_remove("PKG_UPGRADE").env(name, value);
        good(&mut command);
        folder.read("setup.calls")
    };
    assert_eq!(prerm("PKG_UPGRADE", "1"), "");
    assert_eq!(prerm("IPKG_INSTROOT", "/no/such/root"), "", "an image that is being built has nothing set");
    assert_eq!(prerm("PKG_UPGRADE", "0"), "setup undo\n");
}
