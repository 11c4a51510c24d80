//! Diagnostics through real sessions: asked for by SetParameterValues, event 8, results read back, in network
//! namespaces of the test's own (`net`). Where namespaces cannot be made a test says that it was skipped.
//!
//! Each module names the states that its tests see (`STATES`); the test here holds them against what the data
//! model allows and prints the table.

#[path = "../acs/mod.rs"]
mod acs;
#[allow(dead_code)] // a part of it is used here
#[path = "../daemon/mod.rs"]
mod daemon;
#[allow(dead_code)] // what one module does not use, another does
mod net;

use net::{Bed, FAR, in_namespaces};

/// The bed itself: the far host is reached, by both ways of the device.
#[test]
fn the_network() {
    in_namespaces("the_network", |bed: &mut Bed| {
        let wan1 = bed.interface("wan1");
        assert!(wan1.starts_with("Device.IP.Interface."), "{wan1}");
        let way = |more: &[&str]| bed.at("device", &[&["ip", "route", "get", FAR], more].concat());
        assert!(way(&[]).contains("dev wan0"), "{}", way(&[]));
        assert!(way(&["oif", "wan1"]).contains("via 10.92.8.1"), "{}", way(&["oif", "wan1"]));
    });
}
