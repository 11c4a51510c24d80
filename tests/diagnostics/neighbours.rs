//! NeighboringWiFiDiagnostic: without a radio it says so. What a scan finds is tested beside the code, since no
//! radio is to be had in a namespace.

use super::net::in_namespaces;
use super::selftest::without_descriptors;

pub const NEIGHBOURS: &str = "Device.WiFi.NeighboringWiFiDiagnostic.";

/// What the tests here see.
pub const STATES: &[(&str, &str)] = &[(NEIGHBOURS, "None"), (NEIGHBOURS, "Requested"), (NEIGHBOURS, "Error")];

// Proves: DG-17
#[test]
fn no_radio() {
    in_namespaces("neighbours::no_radio", |bed| {
        let mut session = bed.kicked();
        assert_eq!(bed.read(&mut session, NEIGHBOURS).state(), "None");
        assert_eq!(bed.set(&mut session, NEIGHBOURS, &[("DiagnosticsState", "Requested")]), Ok(0));
        assert_eq!(bed.read(&mut session, NEIGHBOURS).state(), "Requested");
        session.end();
        let mut told = bed.told();
        let results = bed.read(&mut told, NEIGHBOURS);
        told.end();
        assert_eq!((results.state(), results.text("ResultNumberOfEntries")), ("Error", "0"));
        // Its enumeration has no Error_Internal.
        assert_eq!(without_descriptors(bed, NEIGHBOURS), "Error");
    });
}
