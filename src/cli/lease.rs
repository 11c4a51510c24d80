//! `cwmpd lease` and `cwmpd dhcp-options`: between the device's DHCP clients and server and the agent.
//!
//! Scripts of DHCP clients have what a peer said in variables of their environment. They are read here, so that
//! no script has to touch them.

use super::arguments::Said;
use super::{Exit, complain};
use crate::agent::control::{self, Request};
use crate::agent::leases;
use crate::config::Config;
use crate::cwmp::discovery::{self, Identity, VENDOR_CLASS};
use std::env;
use std::io::{self, Write};
use std::path::Path;

/// Keeps what is handed over, and tells the daemon when there is one.
pub(super) fn keep(config: &Path, said: &Said) -> Exit {
    let socket = match Config::socket_of(config) {
        Ok(socket) => socket,
        Err(e) => {
            complain(&e.to_string());
            return Exit::Configuration;
        }
    };
    // The folder that the socket lies in.
    let run_dir = socket.parent().unwrap_or(Path::new("/"));
    let kept = match said {
        Said::Lease { family, interface, device } => {
            let names: &[(u16, &str)] = match family {
                4 => &[(43, "opt43"), (125, "opt125")],
                _ => &[(17, "OPTION_17")],
            };
            let values: Vec<(u16, String)> =
                names.iter().filter_map(|(number, name)| Some((*number, env::var(name).ok()?))).collect();
            let options: Vec<(u16, &str)> = values.iter().map(|(n, v)| (*n, v.trim())).collect();
            leases::keep(run_dir, *family, interface, device, &options)
        }
        Said::Gone { family, interface } => leases::forget(run_dir, *family, interface),
        Said::Device { there: false, mac } => leases::keep_device(run_dir, mac, None),
        Said::Device { there: true, mac } => {
            let text = |name: &str| env::var(name).unwrap_or_default();
            let [oui, serial, class] =
                ["OUI", "SERIAL", "CLASS"].map(|n| text(&format!("DNSMASQ_CPEWAN_{n}")));
            match Identity::new(&oui, &serial, &class) {
                Some(identity) => leases::keep_device(run_dir, mac, Some(&identity)),
                // Most devices say nothing of the kind.
                None if oui.is_empty() && serial.is_empty() => Ok(()),
                None => Err("the device says only in part who it is".to_owned()),
            }
        }
    };
    if let Err(reason) = kept {
        complain(&reason);
        return Exit::Fault;
    }
    match control::ask(&socket, &Request::Leases, &mut |_| true) {
        // A daemon that starts later reads what lies there.
        Ok(_) | Err(control::Error::Unreachable { .. }) => Exit::Ok,
        Err(error) => {
            complain(&format!("{error:?}"));
            Exit::Fault
        }
    }
}

/// Prints a name and a value a line: options of DHCP clients by family and number, in hexadecimal digits, and what
/// dnsmasq is to answer those who say who they are (F-2).
pub(super) fn options(config: &Path, out: &mut impl Write) -> io::Result<Exit> {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(e) => {
            complain(&e.to_string());
            return Ok(Exit::Configuration);
        }
    };
    let Some(device) = leases::device(&config) else {
        complain("it is not known who the device is: [device] has no OUI or serial number");
        return Ok(Exit::Fault);
    };
    let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    writeln!(out, "vendorid {VENDOR_CLASS}")?;
    writeln!(out, "4:125 {}", hex(discovery::option_125(&device)))?;
    writeln!(out, "6:16 {}", hex(discovery::option_16()))?;
    writeln!(out, "6:17 {}", hex(discovery::option_17(&device)))?;
    // dnsmasq sets the tag itself for whoever sends option 125 with a device's identity.
    for (code, value) in [(4, &device.oui), (5, &device.serial_number), (6, &device.product_class)] {
        // Its configuration has no way to write a quote.
        if !value.is_empty() && !value.contains(['"', '\\']) {
            writeln!(out, "dnsmasq tag:cpewan-id,vi-encap:{},{code},\"{value}\"", discovery::ENTERPRISE)?;
        }
    }
    Ok(Exit::Ok)
}
