//! Provider `ethernet_rmon`: what the kernel counts of RMON's statistics (RFC 2819) for each port.
//!
//! Octets and packets are not here: RMON's count bad packets too, the kernel's only good ones; and
//! sizes of packets only some drivers count.

use super::layers::{Layer, is};
use super::link::device;
use super::network::View;
use crate::model::handler::{Fields, Keys, Row, Want};

/// The keys of `Device.Ethernet.RMONStats.{i}.`: the ports.
pub fn list(view: &View, _: &Row<'_>, out: &mut Keys) {
    let ports = view.devices.iter();
    out.extend(ports.filter(|d| is(view, d, Layer::Ethernet)).map(|d| &d.name));
}

/// `Device.Ethernet.RMONStats.{i}.`; its counters of 32 bits roll over.
pub fn fill(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some(device) = device(view, row, Layer::Ethernet) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Name" => out.put(at, &device.name),
            "Interface" => out.refer(at, "Device.Ethernet.Interface.{i}.", &[&device.name]),
            "DropEvents" => out.put(at, device.stats.rx_missed_errors as u32),
            "MulticastPackets" => out.put(at, device.stats.multicast),
            "CRCErroredPackets" => out.put(at, device.stats.rx_crc_errors as u32),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::providers;
    use crate::handlers::probe::{self, Folder};
    use std::rc::Rc;

    #[test]
    fn golden() {
        let f = Folder::new();
        f.file(
            ".cwmpd/links",
            "index=1 name=lo type=loopback\n\
             name=eth0 multicast=18446744073709551615 rx_crc_errors=4294967298 rx_missed_errors=3\n\
             name=eth1 rx_crc_errors=-1\n\
             name=br0 kind=bridge\n",
        );
        let mut all = providers(&Rc::default());
        let rmon = all.iter_mut().find(|(n, _)| *n == "ethernet_rmon");
        let rmon = &mut *rmon.expect("a provider").1;
        let table = "Device.Ethernet.RMONStats.{i}.";
        assert_eq!(probe::list(rmon, f.root(), table, &[]), ["eth0"]);
        let names = ["Name", "Interface", "DropEvents", "MulticastPackets", "CRCErroredPackets"];
        let v = probe::get(rmon, f.root(), table, &["eth0"], &names);
        assert_eq!(
            probe::line(&v, &names),
            "eth0|Device.Ethernet.Interface.{i}.<eth0>|3|18446744073709551615|2"
        );
        assert!(probe::get(rmon, f.root(), table, &["br0"], &names).is_empty());
    }
}
