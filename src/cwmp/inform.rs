//! What goes into an Inform beside its events, and the name the agent has by default.

use super::events::VALUE_CHANGE;
use super::rpc::{DeviceId, Event};

/// Whether an InformParameter row with this EventList applies to an Inform with these events (I-5). An
/// empty list stands for all events but `4 VALUE CHANGE`.
pub fn selects(event_list: &str, events: &[Event]) -> bool {
    let mut codes = event_list.split(',').map(str::trim).filter(|c| !c.is_empty()).peekable();
    match codes.peek() {
        None => events.iter().any(|e| e.code != VALUE_CHANGE),
        Some(_) => codes.any(|code| events.iter().any(|e| e.code == code)),
    }
}

/// The Username that the agent has until it is given one (S-14, S-15).
pub fn default_username(device: &DeviceId) -> String {
    let mut name = String::new();
    for part in [&device.oui, &device.product_class, &device.serial_number] {
        if part.is_empty() {
            continue;
        }
        if !name.is_empty() {
            name.push('-');
        }
        for byte in part.bytes() {
            match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => name.push(byte as char),
                byte => {
                    name.push('%');
                    for digit in [byte >> 4, byte & 15] {
                        // A half of a byte is below 16.
                        name.push(char::from_digit(digit.into(), 16).unwrap_or('0').to_ascii_uppercase());
                    }
                }
            }
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: S-14, S-15
    #[test]
    fn default_usernames_s14_s15() {
        let table = [
            (["00D09E", "Router", "SN_1"], "00D09E-Router-SN_1"),
            (["00D09E", "", "SN1"], "00D09E-SN1"),
            (["00D09E", "A B/é", "1-2"], "00D09E-A%20B%2F%C3%A9-1%2D2"),
        ];
        for ([oui, class, serial], expected) in table {
            let device = DeviceId {
                manufacturer: "x".to_string(),
                oui: oui.to_string(),
                product_class: class.to_string(),
                serial_number: serial.to_string(),
            };
            assert_eq!(default_username(&device), expected);
        }
    }

    // Proves: I-5
    #[test]
    fn event_lists_i5() {
        let event = |code: &str| Event { code: code.to_string(), command_key: String::new() };
        for (list, codes, expected) in [
            ("", &["2 PERIODIC"][..], true),
            (" ", &["2 PERIODIC"], true),
            ("2 PERIODIC", &["2 PERIODIC"], true),
            ("1 BOOT, 2 PERIODIC", &["2 PERIODIC"], true),
            ("1 BOOT", &["2 PERIODIC"], false),
            ("2", &["2 PERIODIC"], false),
            ("1 BOOT", &[], false),
            ("", &[], false),
            ("", &["4 VALUE CHANGE"], false),
            ("", &["4 VALUE CHANGE", "6 CONNECTION REQUEST"], true),
            ("", &["14 HEARTBEAT"], true),
            ("14 HEARTBEAT", &["14 HEARTBEAT"], true),
            ("2 PERIODIC", &["14 HEARTBEAT"], false),
        ] {
            let events: Vec<Event> = codes.iter().map(|code| event(code)).collect();
            assert_eq!(selects(list, &events), expected, "{list:?} {codes:?}");
        }
    }
}
