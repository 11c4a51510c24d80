//! Datagrams of a server of the UDP speed test.

use cwmpd::diagnostics::capacity::pdu::{
    self, Load, MAX_BURST, MAX_PAYLOAD, MIN_INTERVAL, Rate, Setup, Status,
};

/// Each kind of datagram that a server sends: no rate is beyond its bounds, and load is written as it was read.
pub fn capacity(data: &[u8]) {
    let setup = Setup {
        index: 0,
        count: 1,
        ident: 0,
        bandwidth: 0,
        upstream: false,
        jumbo: false,
        traditional: false,
    };
    let _ = pdu::set_up(data, &setup);
    for upstream in [true, false] {
        if let Ok(answer) = pdu::activated(data, upstream) {
            bounded(&answer.rate);
        }
    }
    if let Ok(status) = Status::read(data) {
        bounded(&status.rate);
    }
    if let Ok(load) = Load::read(data, data.len()) {
        let mut written = data.to_vec();
        load.write(&mut written);
        assert_eq!(Load::read(&written, written.len()), Ok(load));
    }
}

fn bounded(rate: &Rate) {
    for timer in rate.0 {
        assert!(timer.interval == 0 || timer.interval >= MIN_INTERVAL);
        assert!(timer.payload <= MAX_PAYLOAD && timer.addon <= MAX_PAYLOAD && timer.burst <= MAX_BURST);
    }
}
