//! Provider `firmware`: the images that the device can boot (DeviceInfo.FirmwareImage), which of them runs
//! and which is booted next.
//!
//! Where the platform has banks, its command `firmware_banks` writes a line for each of them:
//!
//! ```text
//! NAME <tab> VERSION <tab> STATUS <tab> FLAGS <tab> BOOT FAILURE LOG
//! ```
//!
//! What stands at the end may be left out, and any field may be empty. NAME is the row's key; STATUS is one
//! of the standard's words (empty: `Active`, `Available`, or `NoImage` when there is no VERSION); FLAGS are
//! `active` and `boot`, with a comma between. `firmware_boot` makes the bank in its word `{bank}` the next
//! one. Without `firmware_banks` the one row is the image that runs, as far as Linux tells.

use super::agent::AgentFacts;
use super::linux::identity;
use super::reading::PerRpc;
use crate::model::fault::Code;
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Set, Want};
use crate::sys::command;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

/// How long either command may take; the engine waits for them.
const DEADLINE: Duration = Duration::from_secs(5);
/// How much `firmware_banks` may write, bytes.
const MAX_OUTPUT: usize = 64 * 1024;
/// The most banks that are shown.
const MAX_BANKS: usize = 16;
/// The longest name and version, characters.
const MAX_TEXT: usize = 64;
/// The longest BootFailureLog, characters.
const MAX_LOG: usize = 1024;
/// The key of the one row where there are no banks.
const RUNNING: &str = "running";
const TABLE: &str = "Device.DeviceInfo.FirmwareImage.{i}.";
/// What Status may be.
const WORDS: [&str; 9] = [
    "NoImage",
    "Active",
    "Downloading",
    "Validating",
    "Available",
    "DownloadFailed",
    "ValidationFailed",
    "InstallationFailed",
    "ActivationFailed",
];

/// The platform's commands for its banks, with their words put in but for `{bank}`; both empty where
/// there are none.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Commands {
    /// `firmware_banks`
    pub list: Vec<String>,
    /// `firmware_boot`
    pub boot: Vec<String>,
}

/// An image in its place.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Bank {
    /// Never empty, at most 64 characters.
    pub name: String,
    /// Empty when nobody knows it; at most 64 characters.
    pub version: String,
    /// One of the standard's words.
    pub status: &'static str,
    /// It runs.
    pub active: bool,
    /// It is booted next.
    pub boot: bool,
    /// Why it did not boot the last time; at most 1024 characters.
    pub failure: String,
}

impl Commands {
    /// Asks the platform for its banks; none when it has no such command.
    ///
    /// # Errors
    /// The command failed, or took longer than 5 s.
    pub fn banks(&self) -> Result<Vec<Bank>, command::Error> {
        if self.list.is_empty() {
            return Ok(Vec::new());
        }
        let said = command::output(&self.list, DEADLINE, MAX_OUTPUT)?;
        Ok(parse(&String::from_utf8_lossy(&said)))
    }

    /// Has this bank booted next.
    ///
    /// # Errors
    /// The command failed, is missing, or took longer than 5 s.
    pub fn set_boot(&self, bank: &str) -> Result<(), command::Error> {
        command::run(&command::expand(&self.boot, &[("bank", bank)]), DEADLINE, None)
    }
}

/// The bank that a new image goes to: the first that does not run.
pub fn spare(banks: &[Bank]) -> Option<&Bank> {
    banks.iter().find(|b| !b.active)
}

/// What `firmware_banks` wrote; a second line of the same name is left out.
pub fn parse(text: &str) -> Vec<Bank> {
    let mut banks: Vec<Bank> = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(5, '\t');
        let mut field = |most| clean(fields.next().unwrap_or_default(), most);
        let (name, version) = (field(MAX_TEXT), field(MAX_TEXT));
        let (status, flags, failure) = (field(MAX_TEXT), field(MAX_TEXT), field(MAX_LOG));
        if name.is_empty() || banks.len() >= MAX_BANKS || banks.iter().any(|b| b.name == name) {
            continue;
        }
        let has = |flag: &str| flags.split(',').any(|f| f.trim() == flag);
        let active = has("active");
        let usual = match (active, version.is_empty()) {
            (true, _) => "Active",
            (false, true) => "NoImage",
            (false, false) => "Available",
        };
        let status = WORDS.into_iter().find(|word| *word == status).unwrap_or(usual);
        banks.push(Bank { name, version, status, active, boot: has("boot"), failure });
    }
    banks
}

fn clean(text: &str, most: usize) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.trim().chars().take(most).collect::<String>().trim_end().to_owned()
}

/// The provider.
pub struct Firmware {
    facts: Rc<RefCell<AgentFacts>>,
    /// `None` until they are asked for.
    banks: PerRpc<Option<Result<Vec<Bank>, String>>>,
}

impl Firmware {
    /// Asks `facts` for the commands, and for what a transfer does to an image.
    pub fn new(facts: Rc<RefCell<AgentFacts>>) -> Firmware {
        Firmware { facts, banks: PerRpc::default() }
    }

    fn has_banks(&self) -> bool {
        !self.facts.borrow().firmware.list.is_empty()
    }

    /// The banks as they are in this RPC.
    fn banks(&mut self, ctx: &Ctx<'_>) -> Result<&[Bank], Failure> {
        let facts = &self.facts;
        let read = || {
            let commands = facts.borrow().firmware.clone();
            Some(commands.banks().map_err(|e| format!("commands.firmware_banks: {e}")))
        };
        match self.banks.get(ctx, read) {
            Some(Ok(banks)) => Ok(banks),
            Some(Err(text)) => Err(Failure::internal(text.as_str())),
            None => Ok(&[]),
        }
    }

    /// The value of a row's parameter, or nothing.
    fn fill(&self, bank: &Bank, spare: bool, name: &str, at: usize, out: &mut Fields) {
        let facts = self.facts.borrow();
        let status = facts.image_status.filter(|_| spare).unwrap_or(bank.status);
        match name {
            "Name" => out.put(at, &bank.name),
            "Version" if bank.active && bank.version.is_empty() => {
                out.put(at, &facts.identity.software_version);
            }
            "Version" => out.put(at, &bank.version),
            "Available" => out.put(at, matches!(status, "Active" | "Available")),
            "Status" => out.put(at, status),
            "BootFailureLog" => out.put(at, &bank.failure),
            _ => {}
        }
    }

    /// The image that runs, where nobody tells of more.
    fn only(&self, ctx: &Ctx<'_>) -> Bank {
        let name = identity::system_name(ctx.root).unwrap_or_default();
        Bank { name, status: "Active", active: true, boot: true, ..Bank::default() }
    }

    fn run_boot(&mut self, bank: &str) -> Result<(), Failure> {
        self.banks = PerRpc::default();
        let commands = self.facts.borrow().firmware.clone();
        commands.set_boot(bank).map_err(|e| Failure::internal(format!("commands.firmware_boot: {e}")))
    }
}

impl Handler for Firmware {
    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        if !self.has_banks() {
            out.push(RUNNING);
            return Ok(());
        }
        out.extend(self.banks(ctx)?.iter().map(|bank| &bank.name));
        Ok(())
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let banks = if self.has_banks() { self.banks(ctx)?.to_vec() } else { Vec::new() };
        if row.object.is_table() {
            let only = banks.is_empty().then(|| self.only(ctx));
            let found = only.as_ref().filter(|_| row.key() == RUNNING && !self.has_banks());
            let Some(bank) = found.or_else(|| banks.iter().find(|b| b.name == row.key())) else {
                return Ok(());
            };
            let spare = spare(&banks).is_some_and(|spare| spare.name == bank.name);
            for (at, want) in want.iter().enumerate() {
                self.fill(bank, spare, want.param.name(), at, out);
            }
            return Ok(());
        }
        for (at, want) in want.iter().enumerate() {
            let is =
                |bank: &&Bank| if want.param.name() == "BootFirmwareImage" { bank.boot } else { bank.active };
            match banks.iter().find(is) {
                Some(bank) => out.refer(at, TABLE, &[&bank.name]),
                None if !self.has_banks() => out.refer(at, TABLE, &[RUNNING]),
                None => {}
            }
        }
        Ok(())
    }

    fn check(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, change: &Change<'_>, bad: &mut Vec<(usize, Failure)>) {
        let Change::Set(sets) = change else { return };
        let fixed = self.facts.borrow().firmware.boot.is_empty();
        let banks = self.banks(ctx);
        for (at, set) in sets.iter().enumerate() {
            let wrong = |text: &str| Failure { code: Code::INVALID_VALUE, text: text.to_owned() };
            let bank = chosen(set);
            let failure = match &banks {
                _ if fixed => Failure::denied("this device does not say which image it boots"),
                Err(failure) => failure.clone(),
                Ok(banks) => match banks.iter().find(|b| Some(b.name.as_str()) == bank) {
                    Some(bank) if matches!(bank.status, "Active" | "Available") => continue,
                    Some(bank) => {
                        wrong(&format!("the image's Status is {}: it cannot be booted", bank.status))
                    }
                    None => wrong("not an image of this device"),
                },
            };
            bad.push((at, failure));
        }
    }

    fn stage(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        let Change::Set(_) = change else {
            return Err(Failure::denied("images come and go with the device's banks"));
        };
        let before = self.banks(ctx)?.iter().find(|b| b.boot).map(|b| b.name.clone());
        Ok(before.unwrap_or_default().into_bytes())
    }

    fn commit(&mut self, _: &Ctx<'_>, _: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let Change::Set(sets) = change else {
            return Err(Failure::denied("images come and go with the device's banks"));
        };
        match sets.last().and_then(chosen) {
            Some(bank) => self.run_boot(bank),
            None => Err(Failure::internal("no bank is named")),
        }
    }

    fn undo(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, saved: &[u8]) -> Result<(), Failure> {
        match std::str::from_utf8(saved) {
            Ok(bank) if !bank.is_empty() => self.run_boot(bank),
            _ => Err(Failure::internal("which image was to be booted nobody knew")),
        }
    }

    /// The platform's banks are asked for by a process; one image that runs changes with a boot only.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        if self.has_banks() {
            ring(Bell::Dear);
        }
    }
}

/// The key of the row that a reference points at.
fn chosen<'a>(set: &Set<'a>) -> Option<&'a str> {
    set.refers?.last().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};

    const INFO: &str = "Device.DeviceInfo.";
    const NAMES: [&str; 5] = ["Name", "Version", "Available", "Status", "BootFailureLog"];

    fn shell(text: &str) -> Vec<String> {
        ["sh", "-c", text, "sh", "{bank}"].map(str::to_owned).to_vec()
    }

    fn firmware(list: Vec<String>, boot: Vec<String>) -> (Firmware, Rc<RefCell<AgentFacts>>) {
        let mut facts = AgentFacts { firmware: Commands { list, boot }, ..AgentFacts::default() };
        facts.identity.software_version = "23.05".into();
        let facts = Rc::new(RefCell::new(facts));
        (Firmware::new(facts.clone()), facts)
    }

    #[test]
    fn lines_of_the_platform() {
        let bank = |name: &str, version: &str, status, active, boot, failure: &str| Bank {
            name: name.into(),
            version: version.into(),
            status,
            active,
            boot,
            failure: failure.into(),
        };
        let cases = [
            ("", vec![]),
            ("\n\t1\n \n", vec![]),
            ("a", vec![bank("a", "", "NoImage", false, false, "")]),
            ("a\t1.2\n", vec![bank("a", "1.2", "Available", false, false, "")]),
            ("a\t1.2\t\tactive,boot", vec![bank("a", "1.2", "Active", true, true, "")]),
            ("a\t\tActive\tactive, boot\r", vec![bank("a", "", "Active", true, true, "")]),
            (
                "a\t1\tActivationFailed\tboot\tkernel panic\tat 5\nb\t2\tOdd\tactive",
                vec![
                    bank("a", "1", "ActivationFailed", false, true, "kernel panic at 5"),
                    bank("b", "2", "Active", true, false, ""),
                ],
            ),
            ("a\t1\na\t2", vec![bank("a", "1", "Available", false, false, "")]),
        ];
        for (text, want) in cases {
            assert_eq!(parse(text), want, "{text:?}");
        }
        let long = format!("{0}\t{0}\t\t\t{1}", "\u{e4}".repeat(70), "x".repeat(5000));
        let found = parse(&long);
        assert_eq!((found[0].name.chars().count(), found[0].failure.len()), (MAX_TEXT, MAX_LOG));
        assert_eq!(parse(&(0..99).map(|n| format!("b{n}\n")).collect::<String>()).len(), MAX_BANKS);
    }

    #[test]
    fn one_image_where_no_command_tells_of_more() {
        let f = Folder::new();
        f.file("etc/os-release", "PRETTY_NAME=\"OpenWrt 23.05\"\n");
        let (mut one, facts) = firmware(vec![], vec![]);
        // A transfer changes nothing of the image that runs.
        facts.borrow_mut().image_status = Some("Downloading");
        assert_eq!(probe::list(&mut one, f.root(), TABLE, &[]), ["running"]);
        let values = probe::get(&mut one, f.root(), TABLE, &["running"], &NAMES);
        assert_eq!(probe::line(&values, &NAMES), "OpenWrt 23.05|23.05|true|Active|");
        let both = ["ActiveFirmwareImage", "BootFirmwareImage"];
        let values = probe::get(&mut one, f.root(), INFO, &[], &both);
        assert_eq!(probe::line(&values, &both), format!("{TABLE}<running>|{TABLE}<running>"));
    }

    #[test]
    fn banks_are_asked_for_once_an_rpc_and_a_transfer_shows_in_the_spare_one() {
        let f = Folder::new();
        let count = f.root().join("count");
        let text = format!("echo x >> {}; printf 'A\\t1.0\\t\\tactive,boot\\nB\\t0.9\\n'", count.display());
        let (mut two, facts) = firmware(shell(&text), vec![]);
        assert_eq!(probe::list(&mut two, f.root(), TABLE, &[]), ["A", "B"]);
        let line = |two: &mut Firmware, epoch, key: &str| {
            let values = probe::get_at(two, f.root(), epoch, TABLE, &[key], &NAMES);
            probe::line(&values, &NAMES)
        };
        assert_eq!(line(&mut two, 1, "A"), "A|1.0|true|Active|");
        assert_eq!(line(&mut two, 1, "B"), "B|0.9|true|Available|");
        assert_eq!(f.text("count"), "x\n");
        facts.borrow_mut().image_status = Some("Validating");
        assert_eq!(line(&mut two, 2, "A"), "A|1.0|true|Active|");
        assert_eq!(line(&mut two, 2, "B"), "B|0.9|false|Validating|");
        assert_eq!(f.text("count"), "x\nx\n");
        assert_eq!(line(&mut two, 2, "running"), "-|-|-|-|-");
    }

    /// A bank of the table, as the tree gives it to `check` and `commit`.
    fn choose(two: &mut Firmware, f: &Folder, bank: Option<&str>) -> Result<Vec<u8>, Failure> {
        let schema = crate::model::builtin::builtin();
        let object = schema.find_object(INFO).unwrap();
        let param = object.param("BootFirmwareImage").unwrap();
        let keys: Option<Vec<String>> = bank.map(|b| vec![b.to_owned()]);
        let sets = [Set { param, arg: "", value: "a path", refers: keys.as_deref() }];
        let (row, change) = (Row { object, arg: "", keys: &[], numbers: &[] }, Change::Set(&sets));
        let (ctx, mut bad) = (Ctx { epoch: 1, root: f.root() }, Vec::new());
        two.check(&ctx, &row, &change, &mut bad);
        if let Some((_, failure)) = bad.pop() {
            return Err(failure);
        }
        let saved = two.stage(&ctx, &row, &change)?;
        two.commit(&ctx, &row, &change)?;
        Ok(saved)
    }

    #[test]
    fn the_next_image_is_chosen_and_put_back() {
        let f = Folder::new();
        f.file("next", "A");
        let next = f.root().join("next").display().to_string();
        let list = format!(
            "for b in A B C; do printf \"$b\\t1\\t\\t\"; [ $b = \"$(cat {next})\" ] && printf boot; \
             [ $b = A ] && printf ,active; echo; done; printf 'D\\t1\\tValidationFailed\\n'"
        );
        let (mut two, facts) = firmware(shell(&list), shell(&format!("printf %s \"$1\" > {next}")));
        let boot = |two: &mut Firmware| {
            let values = probe::get(two, f.root(), INFO, &[], &["BootFirmwareImage", "ActiveFirmwareImage"]);
            let name = |which: &str| values[which].trim_start_matches(TABLE).to_owned();
            (name("ActiveFirmwareImage"), name("BootFirmwareImage"))
        };
        assert_eq!(boot(&mut two), ("<A>".into(), "<A>".into()));
        let saved = choose(&mut two, &f, Some("C")).unwrap();
        assert_eq!((saved.as_slice(), f.text("next").as_str()), (b"A".as_slice(), "C"));
        // Read anew within the RPC that changed it.
        assert_eq!(boot(&mut two), ("<A>".into(), "<C>".into()));
        let object = crate::model::builtin::builtin();
        let object = object.find_object(INFO).unwrap();
        let row = Row { object, arg: "", keys: &[], numbers: &[] };
        let ctx = Ctx { epoch: 1, root: f.root() };
        two.undo(&ctx, &row, &Change::Set(&[]), &saved).unwrap();
        assert_eq!(f.text("next"), "A");
        for (bank, code) in [(None, 9007), (Some("E"), 9007), (Some("D"), 9007)] {
            assert_eq!(choose(&mut two, &f, bank).unwrap_err().code.0, code, "{bank:?}");
        }
        facts.borrow_mut().firmware.boot.clear();
        assert_eq!(choose(&mut two, &f, Some("B")).unwrap_err().code.0, 9001);
        facts.borrow_mut().firmware.boot = shell("echo worn out >&2; exit 1");
        let failure = choose(&mut two, &f, Some("B")).unwrap_err();
        assert_eq!(
            (failure.code.0, failure.text.as_str()),
            (9002, "commands.firmware_boot: exit status 1: worn out")
        );
    }

    #[test]
    fn the_example_of_the_documentation_works() {
        let text = include_str!("../../datamodel/README.md");
        let script = text.rsplit_once("```sh\n").and_then(|(_, from)| from.split_once("```")).unwrap().0;
        let f = Folder::new();
        f.file("etc/version", "2.0\n");
        f.file("other/etc/version", "1.0\n");
        let script = script.replace("cat /", &format!("cat {}/", f.root().display()));
        let banks = Commands { list: shell(&script), boot: vec![] }.banks().unwrap();
        let told: Vec<_> =
            banks.iter().map(|b| (&*b.name, &*b.version, b.status, b.active, b.boot)).collect();
        assert_eq!(told, [("A", "2.0", "Active", true, true), ("B", "1.0", "Available", false, false)]);
    }

    #[test]
    fn a_command_that_fails_shows_nothing() {
        for text in ["exit 1", "head -c 70000 /dev/zero | tr '\\0' x"] {
            let (mut two, _) = firmware(shell(text), vec![]);
            let ctx = Ctx { epoch: 1, root: std::path::Path::new("/") };
            assert!(two.banks(&ctx).unwrap_err().text.starts_with("commands.firmware_banks: "), "{text}");
        }
    }
}
