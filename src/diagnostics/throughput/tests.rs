//! Tests of throughput against servers of our own on loopback.

use super::*;

/// One connection, nothing time-based.
pub fn plan(way: Way, url: &str) -> Plan {
    Plan {
        way,
        url: Url::parse(url).expect("a URL"),
        duration: None,
        interval: None,
        offset: Duration::ZERO,
        connections: 1,
        per_connection: false,
        length: 0,
        timeouts: Timeouts::default(),
        whole: MAX_TEST,
    }
}
