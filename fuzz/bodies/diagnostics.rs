//! What tests read: networks that are on the air, and the filter of a capture.

use cwmpd::diagnostics::{capture, neighbours};
use cwmpd::sys::netlink::wireless;

/// An answer of nl80211, and its bytes as the elements of a beacon.
pub fn scan(data: &[u8]) {
    let mut found = wireless::found(data).unwrap_or_default();
    for _ in 0..2 {
        let row = neighbours::record(&found, "");
        let text =
            |name: &str| row.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text.as_str());
        assert!(text("SSID").chars().count() <= 32 && !text("SSID").chars().any(char::is_control));
        assert!(text("SupportedDataTransferRates").len() <= 256);
        assert!(!text("SecurityModeEnabled").is_empty() && !text("OperatingChannelBandwidth").is_empty());
        assert!(text("Channel").parse::<u8>().is_ok_and(|n| n > 0) || text("Channel").is_empty());
        found.elements = data.to_vec();
    }
}

/// A FilterExpression, up to the first byte 0, and a packet behind it.
pub fn capture_filter(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (text, packet) = data.split_at(end);
    let Ok(text) = std::str::from_utf8(text) else { return };
    if let Ok(filter) = capture::Filter::parse(text) {
        for ether in [0x0800, 0x86dd, 0x0806, 0] {
            let view = capture::View::of(ether, packet.get(1..).unwrap_or(&[]));
            let passes = filter.passes(&view);
            let turned = capture::Filter::parse(&format!("not ({text})"));
            assert!(
                turned.is_err() || text.trim().is_empty() || turned.is_ok_and(|f| f.passes(&view) != passes)
            );
        }
    }
}
