//! `[commands]`: what the platform does for the agent, as argument vectors.

use super::document::Document;
use super::reader::Section;
use crate::model::schema::Platform;
use crate::sys::command;

/// `[commands]`: argument vectors; no shell sees them. A word `{name}` is replaced whole, see
/// [`command::expand`]; [`COMMAND_WORDS`] are the names that every command has, [`SPECS`] those of one. An empty
/// vector: the platform cannot do it, and what needs it is refused.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Commands {
    /// Restarts the device; `["reboot"]`. An empty vector: the agent only notes that it was asked.
    pub reboot: Vec<String>,
    /// Brings the device back to what it left the factory with; `reboot` follows. Empty, the
    /// default on plain Linux, where there is nothing to reset but the agent itself: the agent
    /// clears its own state and begins again as after a boot. OpenWrt: `["firstboot", "-y"]`.
    pub factory_reset: Vec<String>,
    /// Tests an image before it is made use of; empty: the platform has no test.
    pub firmware_check: Vec<String>,
    /// Makes use of `1 Firmware Upgrade Image`, and boots it. Never killed.
    pub firmware_apply: Vec<String>,
    /// Puts a `6 Stored Firmware Image` into the bank that is not in use, and boots nothing.
    pub firmware_store: Vec<String>,
    /// Lists the banks, a line each, see [`crate::handlers::firmware`]; empty: there is one image.
    pub firmware_banks: Vec<String>,
    /// Says which bank `{bank}` is booted next.
    pub firmware_boot: Vec<String>,
    /// Makes use of a `3 Vendor Configuration File`.
    pub config_apply: Vec<String>,
    /// Writes such a file: into `{file}` or, without that word, to its standard output.
    pub config_save: Vec<String>,
    /// Makes use of `2 Web Content`.
    pub web_apply: Vec<String>,
    /// Makes use of `4 Tone File`, `5 Ringer File` and vendors' files; `{file_type}` says which.
    pub file_apply: Vec<String>,
    /// Writes the system's log, as `config_save`.
    pub log_read: Vec<String>,
    /// Has the lease of `{interface}` renewed, `{netifd}` being its object on ubus, when the ACS that DHCP told of
    /// does not answer (DH-7).
    pub dhcp_renew: Vec<String>,
}

impl Commands {
    /// The keys of the table.
    pub const NAMES: &[&str] = &[
        "reboot",
        "factory_reset",
        "firmware_check",
        "firmware_apply",
        "firmware_store",
        "firmware_banks",
        "firmware_boot",
        "config_apply",
        "config_save",
        "web_apply",
        "file_apply",
        "log_read",
        "dhcp_renew",
    ];

    pub(super) fn read(&mut self, from: &mut Section<'_, '_>) {
        // All of them: a field that is not read does not compile.
        let Commands {
            reboot,
            factory_reset,
            firmware_check,
            firmware_apply,
            firmware_store,
            firmware_banks,
            firmware_boot,
            config_apply,
            config_save,
            web_apply,
            file_apply,
            log_read,
            dhcp_renew,
        } = self;
        from.get("reboot", reboot);
        from.get("factory_reset", factory_reset);
        from.get("firmware_check", firmware_check);
        from.get("firmware_apply", firmware_apply);
        from.get("firmware_store", firmware_store);
        from.get("firmware_banks", firmware_banks);
        from.get("firmware_boot", firmware_boot);
        from.get("config_apply", config_apply);
        from.get("config_save", config_save);
        from.get("web_apply", web_apply);
        from.get("file_apply", file_apply);
        from.get("log_read", log_read);
        from.get("dhcp_renew", dhcp_renew);
    }
}

/// Names that a word `{name}` of every command may have: the CommandKey of the Reboot or transfer, and
/// the folders.
pub const COMMAND_WORDS: &[&str] = &["command_key", "state_dir", "run_dir"];

/// One command: its key, its default on each platform, and the words that it has besides.
pub struct Spec {
    /// Its key in the file.
    pub key: &'static str,
    linux: &'static [&'static str],
    openwrt: &'static [&'static str],
    /// Without this word the command could not know what it is about.
    needs: Option<&'static str>,
    has: &'static [&'static str],
}

/// Every command, in the order of [`Commands`]' fields.
#[rustfmt::skip]
pub static SPECS: [Spec; 13] = [
    Spec { key: "commands.reboot", linux: &["reboot"], openwrt: &["reboot"], needs: None, has: &[] },
    Spec { key: "commands.factory_reset", linux: &[], openwrt: &["firstboot", "-y"], needs: None, has: &[] },
    Spec { key: "commands.firmware_check", linux: &[], openwrt: &["sysupgrade", "-T", "{file}"], needs: Some("file"), has: APPLY },
    Spec { key: "commands.firmware_apply", linux: &[], openwrt: &["sysupgrade", "{file}"], needs: Some("file"), has: APPLY },
    Spec { key: "commands.firmware_store", linux: &[], openwrt: &[], needs: Some("file"), has: APPLY },
    Spec { key: "commands.firmware_banks", linux: &[], openwrt: &[], needs: None, has: &[] },
    Spec { key: "commands.firmware_boot", linux: &[], openwrt: &[], needs: Some("bank"), has: &["bank"] },
    Spec { key: "commands.config_apply", linux: &[], openwrt: &["sysupgrade", "-r", "{file}"], needs: Some("file"), has: APPLY },
    Spec { key: "commands.config_save", linux: &[], openwrt: &["sysupgrade", "-b", "{file}"], needs: None, has: SAVE },
    Spec { key: "commands.web_apply", linux: &[], openwrt: &[], needs: Some("file"), has: APPLY },
    Spec { key: "commands.file_apply", linux: &[], openwrt: &[], needs: Some("file"), has: APPLY },
    Spec { key: "commands.log_read", linux: &[], openwrt: &["logread"], needs: None, has: SAVE },
    Spec { key: "commands.dhcp_renew", linux: &[], openwrt: &["ubus", "call", "{netifd}", "renew"], needs: None, has: &["interface", "netifd"] },
];

/// The fetched file, its FileType, and the bank that is not in use (empty where there are none).
const APPLY: &[&str] = &["file", "file_type", "bank"];
/// The file to be written, and its FileType.
const SAVE: &[&str] = &["file", "file_type"];

/// Whether a vector has the word `{name}`.
pub fn has_word(argv: &[String], name: &str) -> bool {
    argv.iter().any(|word| command::name_of(word) == Some(name))
}

impl Commands {
    fn all(&mut self) -> [&mut Vec<String>; SPECS.len()] {
        [
            &mut self.reboot,
            &mut self.factory_reset,
            &mut self.firmware_check,
            &mut self.firmware_apply,
            &mut self.firmware_store,
            &mut self.firmware_banks,
            &mut self.firmware_boot,
            &mut self.config_apply,
            &mut self.config_save,
            &mut self.web_apply,
            &mut self.file_apply,
            &mut self.log_read,
            &mut self.dhcp_renew,
        ]
    }

    /// Puts in the platform's commands where the file has none; an empty vector in the file stays.
    pub(super) fn fill(&mut self, platform: Platform, document: &Document<'_>) {
        for (spec, argv) in SPECS.iter().zip(self.all()) {
            let words = if platform == Platform::OpenWrt { spec.openwrt } else { spec.linux };
            if !words.is_empty() && document.at(spec.key).is_none() {
                *argv = words.iter().map(|w| (*w).to_owned()).collect();
            }
        }
    }

    /// The first thing that is wrong: its key, and the reason.
    pub(super) fn judge(&self) -> Option<(&'static str, String)> {
        let mut all = self.clone();
        let found = SPECS.iter().zip(all.all()).find_map(|(s, argv)| Some((s.key, s.judge(argv)?)));
        found.or_else(|| {
            let lonely = !self.firmware_boot.is_empty() && self.firmware_banks.is_empty();
            lonely.then(|| {
                ("commands.firmware_boot", "goes with commands.firmware_banks, which is missing".into())
            })
        })
    }
}

impl Spec {
    fn judge(&self, argv: &[String]) -> Option<String> {
        let program = argv.first()?;
        if program.is_empty() || program.starts_with('{') {
            return Some("the first word is not the name of a program".into());
        }
        if argv.iter().any(|word| word.contains('\0')) {
            return Some("a word holds a zero byte".into());
        }
        let known = |name: &&str| COMMAND_WORDS.contains(name) || self.has.contains(name);
        if let Some(unknown) = argv.iter().filter_map(|w| command::name_of(w)).find(|n| !known(n)) {
            let words = [COMMAND_WORDS, self.has].concat().join("}, {");
            return Some(format!("there is no {{{unknown}}}; known are {{{words}}}"));
        }
        let needed = self.needs.filter(|name| !has_word(argv, name))?;
        Some(format!("no word is {{{needed}}}"))
    }
}
