//! Provider `gateway`: who the gateway of this device is, and whose gateway this device is (Annex F).

use super::agent::AgentFacts;
use super::reading::Reading;
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use std::cell::RefCell;
use std::rc::Rc;

/// A device on the LAN that said who it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Device {
    /// In lower case: the key of its row, and of the host that it is.
    pub mac: String,
    /// Six hexadecimal digits in upper case.
    pub oui: String,
    /// At most 64 characters.
    pub serial_number: String,
    /// At most 64 characters, may be empty.
    pub product_class: String,
}

/// The provider.
pub struct Gateway {
    /// What the engine was told.
    pub facts: Rc<RefCell<AgentFacts>>,
}

impl Reading for Gateway {
    /// Nobody but the engine changes what it was told, and it looks when it does.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, _: &mut dyn FnMut(Bell)) {}

    /// F-4: a row for each device; of two with one identity, which is the unique key, the first.
    fn list(&mut self, _: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        let facts = self.facts.borrow();
        let key = |d: &Device| (d.oui.clone(), d.serial_number.clone(), d.product_class.clone());
        for (at, device) in facts.devices.iter().enumerate() {
            if !facts.devices.iter().take(at).any(|other| key(other) == key(device)) {
                out.push(&device.mac);
            }
        }
    }

    fn get(&mut self, _: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let facts = self.facts.borrow();
        let device = facts.devices.iter().find(|d| d.mac == row.key());
        let gateway = &facts.gateway;
        let (oui, serial, class) = match device {
            Some(d) => (&d.oui, &d.serial_number, &d.product_class),
            None if row.keys.is_empty() => (&gateway.oui, &gateway.serial_number, &gateway.product_class),
            None => return,
        };
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "ManufacturerOUI" => out.put(i, oui),
                "SerialNumber" => out.put(i, serial),
                "ProductClass" => out.put(i, class),
                "Host" => out.refer(i, "Device.Hosts.Host.{i}.", &[row.key()]),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe;
    use crate::handlers::reading::ReadOnly;
    use std::path::Path;

    /// F-4, F-5
    // Proves: F-4, F-5
    #[test]
    fn f_4_rows_of_devices_and_the_gateway() {
        let facts = Rc::new(RefCell::new(AgentFacts::default()));
        let mut gateway = ReadOnly(Box::new(Gateway { facts: facts.clone() }));
        let names = ["ManufacturerOUI", "SerialNumber", "ProductClass"];
        let read = |g: &mut ReadOnly, path, keys: &[&str]| {
            let got = probe::get(g, Path::new("/"), path, keys, &names);
            names.map(|n| got.get(n).cloned().unwrap_or_default())
        };
        assert_eq!(read(&mut gateway, "Device.GatewayInfo.", &[]), ["", "", ""]);
        let device = |mac: &str, serial: &str| Device {
            mac: mac.into(),
            oui: "00D09E".into(),
            serial_number: serial.into(),
            product_class: "Phone".into(),
        };
        facts.borrow_mut().devices = vec![device("a", "1"), device("b", "2"), device("c", "1")];
        facts.borrow_mut().gateway = Device {
            oui: "00D09F".into(),
            serial_number: "G".into(),
            product_class: "GW".into(),
            ..Device::default()
        };
        assert_eq!(read(&mut gateway, "Device.GatewayInfo.", &[]), ["00D09F", "G", "GW"]);
        let table = "Device.ManagementServer.ManageableDevice.{i}.";
        assert_eq!(probe::list(&mut gateway, Path::new("/"), table, &[]), ["a", "b"]);
        assert_eq!(read(&mut gateway, table, &["b"]), ["00D09E", "2", "Phone"]);
        assert_eq!(read(&mut gateway, table, &["gone"]), ["", "", ""]);
    }
}
