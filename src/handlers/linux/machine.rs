//! The providers of the machine and of the agent, by name.

use super::network::Network;
use super::{
    certificate, cpu, dns, fault, hostname, led, logrotate, memory, process, sensor, sfp, ssh, syslog,
    system, time,
};
use super::{unix_socket, usb, user_interface, users, vendor_file};
use crate::handlers::agent::{self, AgentFacts};
use crate::handlers::diagnostics::Diagnostics;
use crate::handlers::firmware::Firmware;
use crate::handlers::gateway::Gateway;
use crate::handlers::planned::Planned;
use crate::handlers::reading::{ReadOnly, Reading};
use crate::handlers::statistics::Statistics;
use crate::handlers::udp_echo::UdpEcho;
use crate::model::handler::Handler;
use std::cell::RefCell;
use std::rc::Rc;

/// Everything that is not the network's.
pub fn providers(
    facts: &Rc<RefCell<AgentFacts>>,
    network: &Rc<RefCell<Network>>,
) -> Vec<(&'static str, Box<dyn Handler>)> {
    let processes = Rc::new(RefCell::new(process::Processes::default()));
    let shared = || Rc::clone(&processes);
    let readings: Vec<(&'static str, Box<dyn Reading>)> = vec![
        ("cpu", Box::new(cpu::Cpu::default())),
        ("gateway", Box::new(Gateway { facts: Rc::clone(facts) })),
        ("dns", Box::new(dns::Dns::new(shared()))),
        ("kernel_fault", Box::new(fault::KernelFaults)),
        ("led", Box::new(led::Leds)),
        ("log_rotate", Box::new(logrotate::LogRotate::default())),
        ("memory", Box::new(memory::Memory::default())),
        ("process", Box::new(process::ProcessTable { processes: shared() })),
        ("process_fault", Box::new(fault::ProcessFaults)),
        ("sensor", Box::new(sensor::Sensors::default())),
        ("sfp", Box::new(sfp::Transceivers)),
        ("ssh", Box::new(ssh::Ssh::new(shared()))),
        ("syslog", Box::new(syslog::Syslog::new(shared()))),
        ("system", Box::new(system::System)),
        ("time", Box::new(time::Time { processes: shared() })),
        ("unix_socket", Box::new(unix_socket::UnixSockets::default())),
        ("usb", Box::new(usb::Usb::default())),
        ("user_interface", Box::new(user_interface::UserInterface { network: Rc::clone(network) })),
        ("users", Box::new(users::Users::default())),
        ("planned", Box::new(Planned { plan: facts.borrow().plan.clone() })),
        ("udp_echo", Box::new(UdpEcho { tally: facts.borrow().udp_echo.clone() })),
        ("vendor_config_file", Box::new(vendor_file::ConfigFiles { facts: Rc::clone(facts) })),
        ("vendor_log_file", Box::new(vendor_file::LogFiles::new(Rc::clone(facts)))),
    ];
    let mut all: Vec<(&'static str, Box<dyn Handler>)> = vec![
        ("agent", agent::provider(Rc::clone(facts))),
        ("certificate", Box::new(certificate::Certificates::new(Rc::clone(facts)))),
        ("firmware", Box::new(Firmware::new(Rc::clone(facts)))),
        ("hostname", Box::new(hostname::Hostname)),
        ("diagnostics", Box::new(Diagnostics { board: facts.borrow().board.clone() })),
        ("statistics", Box::new(Statistics { sampler: facts.borrow().sampler.clone() })),
    ];
    for (name, reading) in readings {
        all.push((name, Box::new(ReadOnly(reading))));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::natives::NAMES;
    use crate::handlers::probe::{self, Folder};
    use crate::model::builtin::builtin;
    use crate::model::schema::{Object, Platform, SourceKind};
    use std::path::Path;

    #[test]
    fn every_name_has_its_provider() {
        let mut have: Vec<&str> =
            super::super::providers(&Rc::default()).iter().map(|(name, _)| *name).collect();
        // The other platform's are listed in the same place.
        let sources = crate::handlers::openwrt::sources::Sources::new(None, None, Rc::default());
        have.extend(crate::handlers::openwrt::providers(&sources).iter().map(|(name, _)| *name));
        let mut names = NAMES.to_vec();
        have.sort_unstable();
        names.sort_unstable();
        assert_eq!(have, names);
    }

    /// Walks every row that is served by a provider of the machine, as the tree would, and counts the
    /// values that were filled. Each is checked against its type by the probe.
    fn walk(root: &Path) -> usize {
        let schema = builtin();
        let mut all = providers(&Rc::default(), &Rc::default());
        let mut filled = 0;
        for object in schema.objects.iter().enumerate().map(|(id, _)| schema.object(id as u16)) {
            for keys in instances(&mut all, root, object) {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                for (name, provider) in &mut all {
                    let of = |p: &crate::model::schema::Param<'_>| {
                        p.source(Platform::Linux)
                            .is_some_and(|s| s.kind == SourceKind::Native && s.arg == *name)
                    };
                    let params: Vec<&str> = object.params().filter(of).map(|p| p.name()).collect();
                    if !params.is_empty() {
                        filled += probe::get(&mut **provider, root, object.path(), &keys, &params).len();
                    }
                }
            }
        }
        filled
    }

    /// The keys of every instance of an object; none when the network's providers list it.
    fn instances(
        all: &mut [(&'static str, Box<dyn Handler>)],
        root: &Path,
        object: Object<'_>,
    ) -> Vec<Vec<String>> {
        let parents = match object.parent() {
            Some(parent) => instances(all, root, parent),
            None => vec![Vec::new()],
        };
        if !object.is_table() {
            return parents;
        }
        let Some(source) = object.source(Platform::Linux).filter(|s| s.kind == SourceKind::Native) else {
            return Vec::new();
        };
        let Some((_, provider)) = all.iter_mut().find(|(name, _)| *name == source.arg) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for parent in parents {
            let keys: Vec<&str> = parent.iter().map(String::as_str).collect();
            let listed = probe::list(&mut **provider, root, object.path(), &keys);
            let mut once = listed.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), listed.len(), "{}: a key names one thing", object.path());
            found.extend(listed.into_iter().take(50).map(|key| [parent.clone(), vec![key]].concat()));
        }
        found
    }

    #[test]
    fn a_root_without_files_shows_nothing_of_the_host() {
        let f = Folder::new();
        let filled = walk(f.root());
        // The agent's texts, fixed words, and what no file is needed for; on the host there are more
        // than ten times as many.
        assert!(filled < 60, "{filled} values came from nowhere");
    }

    #[test]
    fn this_machine_fills_its_rows() {
        let filled = walk(Path::new("/"));
        assert!(filled > 100, "{filled}");
    }

    /// Every file a provider of the machine reads, each holding the same thing it should not.
    #[test]
    fn files_full_of_nonsense_are_survived() {
        let files = [
            "proc/meminfo",
            "proc/stat",
            "proc/uptime",
            "proc/cpuinfo",
            "proc/1/stat",
            "proc/1/cmdline",
            "proc/self/mounts",
            "proc/net/unix",
            "proc/net/tcp",
            "proc/net/tcp6",
            "proc/sys/kernel/hostname",
            "proc/sys/kernel/core_pattern",
            "proc/sys/kernel/cap_last_cap",
            "proc/sys/net/ipv4/tcp_rmem",
            "etc/passwd",
            "etc/group",
            "etc/shadow",
            "etc/shells",
            "etc/resolv.conf",
            "etc/dnsmasq.conf",
            "etc/chrony.conf",
            "etc/logrotate.conf",
            "etc/logrotate.d/x",
            "etc/localtime",
            "etc/TZ",
            "etc/locale.conf",
            "etc/ssh/sshd_config",
            "etc/rsyslog.conf",
            "etc/hosts",
            "root/.ssh/authorized_keys",
            "var/log/messages",
            "sys/class/leds/a/brightness",
            "sys/class/leds/a/trigger",
            "sys/class/hwmon/h/temp1_input",
            "sys/class/hwmon/h/name",
            "sys/fs/pstore/dmesg-a",
            "sys/bus/usb/devices/usb1/version",
            "sys/bus/usb/devices/usb1/bDeviceClass",
            "sys/bus/usb/devices/1-1/idVendor",
            "sys/bus/usb/devices/1-1/devnum",
            "sys/bus/usb/devices/1-1/product",
            "sys/bus/usb/devices/1-1/bConfigurationValue",
            ".cwmpd/uname",
            ".cwmpd/statvfs",
            "sys/class/graphics/fb0/virtual_size",
        ];
        let nonsense: [&[u8]; 6] = [
            b"",
            b"\0\0\0\n\0",
            &[0xff; 3000],
            b"99999999999999999999999999 -99999999999999999999999999 : :::::: = ,\n(((()\n",
            b"a b c d e f g h i j k l m n o p q r s t u v w x y z\n1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
            "\u{e9}\u{1f4a9}:\u{e9}:-1:\u{e9}\nnameserver \u{e9}\nserver=\u{e9}@\u{e9}\n%\u{e9}%\n"
                .as_bytes(),
        ];
        for bytes in nonsense {
            let f = Folder::new();
            files.iter().for_each(|path| f.bytes(path, bytes));
            walk(f.root());
        }
    }
}
