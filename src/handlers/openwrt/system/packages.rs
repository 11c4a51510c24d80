//! The database of packages: opkg's `/usr/lib/opkg/status` with a `.control` and a `.list` file for each
//! package, or apk's `/lib/apk/db/installed`, which is one file of records with lines of one letter each.

use crate::sys::host;
use std::path::Path;

const OPKG: &str = "/usr/lib/opkg/status";
/// The databases that tell of changes.
pub const DATABASES: [&str; 2] = [OPKG, APK];
const OPKG_INFO: &str = "/usr/lib/opkg/info";
const APK: &str = "/lib/apk/db/installed";
/// The most bytes of a database.
const MAX_DATABASE: u64 = 4 * 1024 * 1024;
/// No more packages than this are shown.
const MAX_PACKAGES: usize = 2048;
/// No more of a package's configuration files than this are looked at.
const MAX_CONFIGS: usize = 16;
/// Where services have their scripts.
const SCRIPTS: &str = "/etc/init.d/";
const CONFIGS: &str = "/etc/config/";

/// One package.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Package {
    /// Its name; one package of a name is installed at a time.
    pub name: String,
    /// Its version.
    pub version: String,
    /// When it was installed, or built into the image, in seconds since 1970.
    pub installed: Option<i64>,
    /// All of it is there, and in its place.
    pub complete: bool,
    /// Those of its configuration files that lie in `/etc/config`.
    pub configs: Vec<String>,
    /// The scripts of services that it has, by name.
    pub services: Vec<String>,
    /// What it says of itself, where the database tells.
    about: Option<Box<About>>,
}

/// What a package says of itself.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct About {
    /// Its first line.
    pub description: String,
    /// Who keeps it.
    pub maintainer: String,
    /// How much room it takes, in KiB.
    pub size: Option<u64>,
}

/// The packages that are installed, and which services they have.
pub fn installed(root: &Path) -> Vec<Package> {
    let mut found = Vec::new();
    if let Some(text) = database(root, APK) {
        records(&text, |record| {
            if found.len() < MAX_PACKAGES {
                found.extend(apk(record));
            }
        });
        return found;
    }
    let text = database(root, OPKG).unwrap_or_default();
    records(&text, |record| {
        if found.len() < MAX_PACKAGES {
            found.extend(opkg(record));
        }
    });
    for package in &mut found {
        let list = host::read(root, &format!("{OPKG_INFO}/{}.list", package.name)).unwrap_or_default();
        // A line may have the size of the file and more behind it.
        let paths = list.lines().filter_map(|line| line.split('\t').next());
        package.services.extend(paths.filter_map(script).map(str::to_owned));
    }
    found
}

impl Package {
    /// What it says of itself.
    pub fn about(&self, root: &Path) -> About {
        if let Some(known) = &self.about {
            return About::clone(known);
        }
        let text = host::read(root, &format!("{OPKG_INFO}/{}.control", self.name)).unwrap_or_default();
        let words = |name| field(&text, name).unwrap_or_default().to_owned();
        let bytes = field(&text, "Installed-Size:").and_then(|size| size.parse::<u64>().ok());
        About {
            description: words("Description:"),
            maintainer: words("Maintainer:"),
            size: bytes.map(|bytes| bytes.div_ceil(1024)),
        }
    }
}

fn database(root: &Path, path: &str) -> Option<String> {
    let bytes = host::read_bytes(root, path, MAX_DATABASE).ok()?;
    Some(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Records are parted by empty lines.
fn records<'a>(text: &'a str, mut one: impl FnMut(&'a str)) {
    text.split("\n\n")
        .map(|record| record.trim_start_matches('\n'))
        .filter(|r| !r.is_empty())
        .for_each(&mut one);
}

/// The text of a line behind this beginning.
fn field<'a>(record: &'a str, beginning: &str) -> Option<&'a str> {
    record.lines().find_map(|line| line.strip_prefix(beginning)).map(str::trim)
}

/// Names become file names and keys.
fn plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
}

/// The service whose script this is.
fn script(path: &str) -> Option<&str> {
    path.strip_prefix(SCRIPTS).filter(|name| plain(name))
}

fn opkg(record: &str) -> Option<Package> {
    let name = field(record, "Package:").filter(|name| plain(name))?;
    // `install user installed`: what is wanted, why, and what is so.
    let mut status = field(record, "Status:")?.split_ascii_whitespace();
    let state = status.nth(2).unwrap_or_default();
    if matches!(state, "not-installed" | "config-files" | "") {
        return None;
    }
    let mut configs: Vec<String> = Vec::new();
    let mut inside = false;
    for line in record.lines() {
        inside = line.starts_with("Conffiles:") || (inside && line.starts_with(' '));
        let path = line.trim_start_matches("Conffiles:").split_ascii_whitespace().next().unwrap_or_default();
        if inside && configs.len() < MAX_CONFIGS && path.strip_prefix(CONFIGS).is_some_and(plain) {
            configs.push(path.to_owned());
        }
    }
    Some(Package {
        name: name.to_owned(),
        version: field(record, "Version:").unwrap_or_default().to_owned(),
        installed: field(record, "Installed-Time:").and_then(|t| t.parse().ok()),
        complete: state == "installed",
        configs,
        services: Vec::new(),
        about: None,
    })
}

/// `P:name V:version t:built r:replaces F:folder R:file …`; folders are written without the slash before them.
fn apk(record: &str) -> Option<Package> {
    let name = field(record, "P:").filter(|name| plain(name))?;
    let (mut configs, mut services, mut folder) = (Vec::new(), Vec::new(), "");
    for line in record.lines() {
        match line.split_at_checked(2) {
            Some(("F:", path)) => folder = path,
            Some(("R:", file)) if folder == "etc/config" && plain(file) && configs.len() < MAX_CONFIGS => {
                configs.push(format!("{CONFIGS}{file}"));
            }
            Some(("R:", file)) if folder == "etc/init.d" && plain(file) => services.push(file.to_owned()),
            _ => {}
        }
    }
    Some(Package {
        name: name.to_owned(),
        version: field(record, "V:").unwrap_or_default().to_owned(),
        installed: field(record, "t:").and_then(|t| t.parse().ok()),
        // `f:` names what is broken of it.
        complete: field(record, "f:").is_none(),
        configs,
        services,
        about: Some(Box::new(apk_about(record))),
    })
}

fn apk_about(record: &str) -> About {
    let words = |name| field(record, name).unwrap_or_default().to_owned();
    About {
        description: words("T:"),
        maintainer: words("m:"),
        size: field(record, "I:").and_then(|bytes| bytes.parse::<u64>().ok()).map(|b| b.div_ceil(1024)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::Folder;

    #[test]
    fn opkgs_files() {
        let f = Folder::new();
        f.file(
            "usr/lib/opkg/status",
            "Package: dnsmasq\nVersion: 2.90-2\nStatus: install user installed\nConffiles:\n /etc/config/dhcp 0f\n \
             /etc/dnsmasq.conf 1e\n /etc/config/../shadow 2d\nInstalled-Time: 1727091955\n\nPackage: gone\nVersion: 1\n\
             Status: deinstall ok not-installed\n\n\nPackage: half\nStatus: install user half-installed\n\nPackage: ../x\n\
             Status: install ok installed\n",
        );
        f.file(
            "usr/lib/opkg/info/dnsmasq.list",
            "/usr/sbin/dnsmasq\n/etc/init.d/dnsmasq\n/etc/init.d/../x\n",
        );
        f.file(
            "usr/lib/opkg/info/dnsmasq.control",
            "Package: dnsmasq\nInstalled-Size: 1025\nDescription:  A server\n of names\n",
        );
        let all = installed(f.root());
        assert_eq!(all.len(), 2);
        let package = Package {
            name: "dnsmasq".into(),
            version: "2.90-2".into(),
            installed: Some(1_727_091_955),
            complete: true,
            configs: vec!["/etc/config/dhcp".into()],
            services: vec!["dnsmasq".into()],
            about: None,
        };
        assert_eq!(all[0], package);
        assert_eq!((all[1].name.as_str(), all[1].complete, all[1].installed), ("half", false, None));
        let said = all[0].about(f.root());
        assert_eq!((said.description.as_str(), said.size), ("A server", Some(2)));
        assert_eq!(all[1].about(f.root()), About::default());
    }

    #[test]
    fn apks_file() {
        let f = Folder::new();
        f.file(
            "lib/apk/db/installed",
            "C:Q1abc=\nP:netifd\nV:2024.12.17~ea01ed41-r1\nI:204800\nT:Network Interface Configuration Daemon\nU:https://example.org\n\
             m:Felix Example <f@example.org>\nt:1734393600\nF:etc/init.d\nR:network\nF:etc/config\nR:netifd\nF:sbin\nR:netifd\n\n\
             P:bad\nV:1\nf:f\n\nP:\nV:2\n",
        );
        let all = installed(f.root());
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].services.as_slice(), all[0].complete), (&["network".to_owned()][..], true));
        assert_eq!(all[0].configs, ["/etc/config/netifd"]);
        assert!(!all[1].complete);
        let said = all[0].about(f.root());
        assert_eq!((said.maintainer.as_str(), said.size), ("Felix Example <f@example.org>", Some(200)));
    }

    #[test]
    fn hostile_databases() {
        assert!(installed(Folder::new().root()).is_empty());
        for text in
            ["\n\n\n", "Package: a", "Package: a\nStatus: \n", "Package:\nStatus: a b installed\n", "\u{0}"]
        {
            let f = Folder::new();
            f.file("usr/lib/opkg/status", text);
            assert!(installed(f.root()).is_empty(), "{text:?}");
        }
        let f = Folder::new();
        let many: String = (0..MAX_PACKAGES + 9)
            .map(|n| format!("Package: p{n}\nStatus: install ok installed\n\n"))
            .collect();
        f.file("usr/lib/opkg/status", &many);
        assert_eq!(installed(f.root()).len(), MAX_PACKAGES);
    }
}
