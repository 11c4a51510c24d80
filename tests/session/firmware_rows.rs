//! DeviceInfo.FirmwareImage and its neighbours: banks as the platform's commands tell, and what can be set.

use crate::acs::{Acs, Options};
use crate::{SOON, agent_at, keys, kicked, over, sections};
use std::fs;

const BOOT: &str = "Device.DeviceInfo.BootFirmwareImage";
const ACTIVE: &str = "Device.DeviceInfo.ActiveFirmwareImage";
const IMAGES: &str = "Device.DeviceInfo.FirmwareImage.";
const COUNT: &str = "Device.DeviceInfo.FirmwareImageNumberOfEntries";
const POLICY: &str = "Device.ManagementServer.AutonomousTransferCompletePolicy.";
const STRING: &str = "xsd:string";

/// Two banks of which `A` runs; which is booted next stands in a file.
const BANKS: &str = r#"boot=$(cat "$1/next")
for bank in A B; do
    flags=
    [ $bank = A ] && flags=active,
    [ $bank = "$boot" ] && flags=${flags}boot
    printf '%s\t1.%s\t\t%s\n' $bank $bank "$flags"
done
"#;

#[test]
fn the_image_that_is_booted_next_is_chosen() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent_at(&acs.url(), "banks", "");
    let folder = daemon.folder.0.clone();
    let next = || fs::read_to_string(folder.join("next")).expect("the platform's note");
    fs::write(folder.join("next"), "A").expect("the platform's note");
    fs::write(folder.join("banks"), BANKS).expect("a script");
    fs::write(folder.join("boot"), "printf %s \"$2\" > \"$1/next\"").expect("a script");
    let dir = folder.display();
    let commands = format!(
        "[commands]\nreboot = []\nlog_read = [\"true\"]\nfirmware_banks = [\"sh\", \"{dir}/banks\", \"{dir}\"]\n\
         firmware_boot = [\"sh\", \"{dir}/boot\", \"{dir}\", \"{{bank}}\"]\n"
    );
    let (acs_keys, sections) = (keys(&acs.url()), sections());
    daemon.configure(&acs_keys, &(sections.clone() + &commands));
    daemon.start();
    let mut session = acs.next_session(SOON);
    let mut read = |name: &str| session.value(name).expect("a row");
    assert_eq!((read(COUNT), read(ACTIVE), read(BOOT)), ("2".into(), row(1), row(1)));
    assert_eq!(read(&format!("{IMAGES}2.Version")), "1.B");
    assert_eq!(read(&format!("{IMAGES}2.Status")), "Available");
    assert_eq!(read("Device.DeviceInfo.VendorLogFile.1.Name"), "system log");
    assert_eq!(session.set(&[(BOOT, STRING, &row(2))], ""), Ok(0));
    assert_eq!((session.value(BOOT), next().as_str()), (Ok(row(2)), "B"));
    for wrong in [row(3), String::new(), "Device.DeviceInfo.".into()] {
        let fault = session.set(&[(BOOT, STRING, &wrong)], "").expect_err(&wrong);
        assert_eq!(fault.parameters[0].1, 9007, "{wrong}");
    }
    // What fails with it is put back with it: the platform is asked to.
    let policy = format!("{POLICY}Enable");
    session
        .set(&[(BOOT, STRING, &row(1)), (&policy, "xsd:boolean", "maybe")], "")
        .expect_err("all or nothing");
    assert_eq!(next(), "B");
    session.end();
    over(&daemon);

    // The commands go with a reload, and the banks with them.
    daemon.configure(&acs_keys, &(sections + "[commands]\nreboot = []\n"));
    daemon.reload();
    daemon.wait_for("reload", || daemon.log().contains("configuration read again"));
    let mut session = kicked(&acs, &daemon);
    assert_eq!(session.value(COUNT).as_deref(), Ok("1"));
    let only = session.value(ACTIVE).expect("the one that runs");
    assert_eq!(session.value(&format!("{only}.Version")).as_deref(), Ok("1.2.3"));
    let fault = session.set(&[(BOOT, STRING, &only)], "").expect_err("nothing can choose");
    assert_eq!(fault.parameters[0].1, 9001);
    assert_eq!(next(), "B");
    session.end();
}

fn row(number: u32) -> String {
    format!("{IMAGES}{number}")
}

/// X-46: what the ACS may ask to be told.
// Proves: X-46
#[test]
fn x_46_the_policy_of_autonomous_transfers() {
    let acs = Acs::start(Options::default());
    let mut daemon = agent_at(&acs.url(), "policy", "");
    daemon.start();
    let mut session = acs.next_session(SOON);
    let name = |last: &str| format!("{POLICY}{last}");
    let filter = name("FileTypeFilter");
    let all = "1 Firmware Upgrade Image,2 Web Content,3 Vendor Configuration File,4 Vendor Log File";
    for (last, value) in [
        ("Enable", "false"),
        ("TransferTypeFilter", "Both"),
        ("ResultTypeFilter", "Both"),
        ("FileTypeFilter", all),
    ] {
        assert_eq!(session.value(&name(last)).as_deref(), Ok(value), "{last}");
    }
    assert_eq!(session.value("Device.ManagementServer.UpgradesManaged").as_deref(), Ok("false"));
    for wrong in ["5 Ringer File", "1 Firmware Upgrade Image,x", "X 00d09e prompts"] {
        let fault = session.set(&[(&filter, STRING, wrong)], "").expect_err(wrong);
        assert_eq!(fault.parameters[0].1, 9007, "{wrong}");
    }
    for right in ["", "X 00D09E prompts of voice,2 Web Content"] {
        assert_eq!(session.set(&[(&filter, STRING, right)], ""), Ok(0), "{right}");
        assert_eq!(session.value(&filter).as_deref(), Ok(right));
    }
    session.end();
}
