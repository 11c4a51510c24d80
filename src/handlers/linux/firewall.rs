//! Provider `firewall_interface`: what the kernel itself keeps out at each IP interface. Rules of
//! packet filters (nftables, iptables) are not looked at.

use super::layers::{Layer, is};
use super::link::device;
use super::network::View;
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::kernel_file;

/// The keys of `Device.Firewall.InterfaceSetting.{i}.`: the interfaces with a filter of their own.
pub fn list(view: &View, _: &Row<'_>, out: &mut Keys) {
    for device in view.devices.iter().filter(|d| is(view, d, Layer::Ip)) {
        if reverse_path(view, &device.name).is_some() {
            out.push(&device.name);
        }
    }
}

/// `Device.Firewall.InterfaceSetting.{i}.`
pub fn fill(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Ip) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Status" => out.put(at, if device.is_up() { "Enabled" } else { "Disabled" }),
            "Interface" => view.refer_ip(out, at, device, false),
            "IPv4SpoofingProtection" => {
                // The stronger of the two holds.
                let on = [&device.name, "all"].map(|n| reverse_path(view, n).unwrap_or(0));
                out.put(at, on.iter().any(|mode| *mode != 0));
            }
            _ => {}
        }
    }
}

/// 0 none, 1 strict, 2 loose (RFC 3704). A device's name has no slash.
fn reverse_path(view: &View, name: &str) -> Option<u32> {
    kernel_file::number(&view.file(&format!("proc/sys/net/ipv4/conf/{name}/rp_filter")))
}

#[cfg(test)]
mod tests {
    use super::super::providers;
    use crate::handlers::probe::{self, Folder};
    use std::rc::Rc;

    #[test]
    fn golden() {
        let f = Folder::new();
        f.file(".cwmpd/links", "name=eth0 flags=up\nname=eth1\nname=eth2 flags=up\nname=eth3\n");
        for (name, mode) in [("eth0", "0\n"), ("eth1", "2\n"), ("eth2", "\u{1}x")] {
            f.file(&format!("proc/sys/net/ipv4/conf/{name}/rp_filter"), mode);
        }
        let mut all = providers(&Rc::default());
        let wall = all.iter_mut().find(|(n, _)| *n == "firewall_interface");
        let wall = &mut *wall.expect("a provider").1;
        let table = "Device.Firewall.InterfaceSetting.{i}.";
        assert_eq!(probe::list(wall, f.root(), table, &[]), ["eth0", "eth1"]);
        let names = ["Status", "Interface", "IPv4SpoofingProtection"];
        let mut get = |epoch, key| {
            let v = probe::get_at(wall, f.root(), epoch, table, &[key], &names);
            probe::line(&v, &names)
        };
        assert_eq!(get(1, "eth0"), "Enabled|Device.IP.Interface.{i}.<eth0>|false");
        assert_eq!(get(1, "eth1"), "Disabled|Device.IP.Interface.{i}.<eth1>|true");
        f.file("proc/sys/net/ipv4/conf/all/rp_filter", "1\n");
        assert_eq!(get(2, "eth0"), "Enabled|Device.IP.Interface.{i}.<eth0>|true");
    }
}
