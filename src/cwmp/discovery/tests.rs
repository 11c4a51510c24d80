use super::*;

const URL: &str = "https://acs.example.net:7547/cwmp";

/// Sub-options with one byte of code and of length.
fn sub(list: &[(u8, &[u8])]) -> Vec<u8> {
    list.iter().flat_map(|(code, value)| [&[*code, value.len() as u8], *value].concat()).collect()
}

/// As option 125 has them.
fn in_125(list: &[(u8, &[u8])]) -> Vec<u8> {
    let part = sub(list);
    [&ENTERPRISE.to_be_bytes()[..], &[part.len() as u8], &part].concat()
}

/// As option 17 has them.
fn in_17(list: &[(u16, &[u8])]) -> Vec<u8> {
    let part = list.iter().flat_map(|(code, value)| {
        [&code.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
    });
    ENTERPRISE.to_be_bytes().into_iter().chain(part).collect()
}

fn one(kind: Kind, bytes: &[u8]) -> (Offer, Vec<&'static str>) {
    let mut offer = Offer::default();
    let wrong = read(kind, bytes, &mut offer);
    (offer, wrong)
}

/// DH-2, DH-3: all four values, in each of the three options.
// Proves: DH-2, DH-3
#[test]
fn dh_2_the_acs_in_each_option() {
    let four: [(u8, &[u8]); 4] = [(1, URL.as_bytes()), (2, b"code-7"), (3, b"30"), (4, b"1500")];
    let wide: Vec<(u16, &[u8])> = four.iter().map(|(c, v)| (u16::from(*c), *v)).collect();
    for (kind, bytes) in [
        (Kind::VendorSpecific, sub(&four)),
        (Kind::VendorIdentifying, in_125(&four)),
        (Kind::Version6, in_17(&wide)),
    ] {
        let (offer, wrong) = one(kind, &bytes);
        assert_eq!(wrong, [""; 0], "{kind:?}");
        assert_eq!((offer.url.as_str(), offer.provisioning_code.as_str()), (URL, "code-7"), "{kind:?}");
        assert_eq!((offer.retry_minimum_wait, offer.retry_multiplier), (Some(30), Some(1500)), "{kind:?}");
        assert_eq!(offer.gateway, Identity::default());
    }
    let eleven: Vec<(u8, &[u8])> = four.iter().map(|(code, value)| (code + 10, *value)).collect();
    assert_eq!(one(Kind::VendorIdentifying, &in_125(&eleven)), one(Kind::VendorIdentifying, &in_125(&four)));
    // Others' parts of option 125 stand around ours, and tell nothing.
    let other = [&9u32.to_be_bytes()[..], &[4, 1, 2, b'x', b'y']].concat();
    let all = [&other[..], &in_125(&four), &other].concat();
    assert_eq!(one(Kind::VendorIdentifying, &all).0.url, URL);
    assert_eq!(one(Kind::VendorIdentifying, &other), (Offer::default(), vec![]));
    assert_eq!(one(Kind::Version6, &[0, 0, 0, 9, 0, 1, 0, 1, b'x']), (Offer::default(), vec![]));
    // Padding, an end, and codes of somebody else.
    let odd = [&[0, 0][..], &sub(&[(9, b"?"), (1, URL.as_bytes())]), &[255, 1, 200]].concat();
    assert_eq!(one(Kind::VendorSpecific, &odd), (Offer { url: URL.into(), ..Offer::default() }, vec![]));
}

/// DH-4: a zero byte at the end is no part of a value; of two options the first asked has its say.
// Proves: DH-4
#[test]
fn dh_4_zero_bytes_and_two_options() {
    let ended = [URL.as_bytes(), b"\0"].concat();
    let twice = [URL.as_bytes(), b"\0\0"].concat();
    for bytes in [sub(&[(1, &ended), (3, b"7\0")]), sub(&[(1, &twice), (3, b"7")])] {
        let (offer, wrong) = one(Kind::VendorSpecific, &bytes);
        assert_eq!((offer.url.as_str(), offer.retry_minimum_wait, wrong.len()), (URL, Some(7), 0));
    }
    // One within is none at the end.
    assert_eq!(one(Kind::VendorSpecific, &sub(&[(1, b"http://a\0b/")])).0.url, "");

    let mut offer = Offer::default();
    assert!(read(Kind::VendorSpecific, &sub(&[(1, URL.as_bytes())]), &mut offer).is_empty());
    let second = in_125(&[(1, b"http://other.example/"), (2, b"p"), (4, b"GW1234"), (5, b"s")]);
    read(Kind::VendorIdentifying, &second, &mut offer);
    assert_eq!((offer.url.as_str(), offer.provisioning_code.as_str()), (URL, "p"));
    // The whole option can be the URL, as it was before there were sub-options.
    assert_eq!(one(Kind::VendorSpecific, URL.as_bytes()).0.url, URL);
    assert_eq!(one(Kind::VendorSpecific, &ended).0.url, URL);
}

#[test]
fn values_that_are_none_are_left_out_alone() {
    let long = format!("http://a.example/{}", "x".repeat(240));
    for (code, value, why) in [
        (1, &b"ftp://acs.example/"[..], "URL"),
        (1, b"http://user:secret@acs.example/", "URL"),
        (1, b"http://acs.example/\x1b[2J", "URL"),
        (1, b"\xff\xfe", "URL"),
        (1, b"", "URL"),
        (2, &[b'x'; 65], "provisioning"),
        (2, b"a\nb", "provisioning"),
        (3, b"0", "minimum"),
        (3, b"65536", "minimum"),
        (3, b"+5", "minimum"),
        (3, b"\x05", "minimum"),
        (4, b"999", "multiplier"),
        (4, b"99999999999999999999", "multiplier"),
        (4, b"2000 ", "multiplier"),
    ] {
        let (offer, wrong) = one(Kind::VendorSpecific, &sub(&[(code, value), (2, b"kept")]));
        assert_eq!(offer.provisioning_code, "kept");
        assert_eq!(wrong.len(), 1, "{value:?}");
        assert!(wrong[0].contains(why), "{wrong:?}");
        assert!(!wrong[0].contains("secret"));
    }
    assert_eq!(one(Kind::VendorSpecific, &sub(&[(1, &long.as_bytes()[..255])])).1, [""; 0]);
}

/// F-6, DH-4: lengths that do not fit spoil the option, at each place where it can be cut.
// Proves: F-6
#[test]
fn f_6_lengths_are_checked() {
    let (gateway, url): (&[(u8, &[u8])], _) = (&[(4, b"00D09E"), (5, b"G1"), (6, b"GW")], URL.as_bytes());
    let whole = in_125(&[gateway, &[(1, url)]].concat());
    for cut in 1..whole.len() {
        let (offer, wrong) = one(Kind::VendorIdentifying, &whole[..cut]);
        assert_eq!((offer, wrong.len()), (Offer::default(), 1), "{cut}");
    }
    // The enterprise's length says less than there is: the rest is no enterprise.
    let mut short = whole.clone();
    short[4] -= 1;
    assert_eq!(one(Kind::VendorIdentifying, &short).0, Offer::default());
    let whole = in_17(&[(1, url), (4, b"00D09E"), (5, b"G1")]);
    for cut in 5..whole.len() {
        let (offer, wrong) = one(Kind::Version6, &whole[..cut]);
        let ends = [4 + 4 + url.len(), 4 + 4 + url.len() + 4 + 6];
        if !ends.contains(&cut) {
            assert_eq!((offer, wrong.len()), (Offer::default(), 1), "{cut}");
        }
    }
    assert_eq!(one(Kind::VendorSpecific, &[1]).1.len(), 1);
    assert_eq!(one(Kind::VendorSpecific, &[1, 5, b'h']).1.len(), 1);
    assert_eq!(one(Kind::VendorSpecific, &vec![0; MAX_OPTION + 1]).1, ["the option is too long"]);
    assert_eq!(one(Kind::VendorSpecific, &[]), (Offer::default(), vec![]));
}

/// F-5: who the gateway is, whole or not at all; option 43 tells nothing of it.
// Proves: F-5
#[test]
fn f_5_the_gateway() {
    let known = Identity { oui: "00D09E".into(), serial_number: "G1".into(), product_class: "GW".into() };
    let list: [(u8, &[u8]); 3] = [(4, b"00d09e"), (5, b"G1\0"), (6, b"GW")];
    assert_eq!(one(Kind::VendorIdentifying, &in_125(&list)).0.gateway, known);
    assert_eq!(one(Kind::VendorSpecific, &sub(&list)).0.gateway, Identity::default());
    let wide: Vec<(u16, &[u8])> = list.iter().map(|(c, v)| (u16::from(*c), *v)).collect();
    assert_eq!(one(Kind::Version6, &in_17(&wide)).0.gateway, known);
    for part in
        [&list[..1], &list[1..], &[(4, &b"00D0"[..]), (5, b"x")], &[(4, &b"00D09E"[..]), (5, b"a\tb")]]
    {
        let (offer, wrong) = one(Kind::VendorIdentifying, &in_125(part));
        assert_eq!(offer.gateway, Identity::default(), "{part:?}");
        assert!(!wrong.is_empty(), "{part:?}");
    }
    let classless = one(Kind::VendorIdentifying, &in_125(&list[..2])).0.gateway;
    assert_eq!(classless, Identity { product_class: String::new(), ..known });
}

/// F-1, F-3: what the device says of itself, byte by byte.
// Proves: F-1, F-3
#[test]
fn f_1_the_device_says_who_it_is() {
    let device = Identity { oui: "00D09E".into(), serial_number: "S1".into(), product_class: "Box".into() };
    let wanted = b"\x00\x00\x0d\xe9\x11\x01\x0600D09E\x02\x02S1\x03\x03Box";
    assert_eq!(option_125(&device), wanted);
    let wanted = b"\x00\x00\x0d\xe9\x00\x01\x00\x0600D09E\x00\x02\x00\x02S1\x00\x03\x00\x03Box";
    assert_eq!(option_17(&device), wanted);
    let classless = Identity { product_class: String::new(), ..device.clone() };
    assert_eq!(option_125(&classless), b"\x00\x00\x0d\xe9\x0c\x01\x0600D09E\x02\x02S1");
    // 64 characters of four bytes each are more than the part's length can tell.
    let wide = Identity { product_class: "\u{1f600}".repeat(64), ..device.clone() };
    assert_eq!(option_125(&wide), option_125(&classless));
    let wide = Identity { serial_number: "\u{1f600}".repeat(64), ..device };
    assert_eq!(option_125(&wide), b"\x00\x00\x0d\xe9\x0d\x01\x0600D09E\x03\x03Box");
    assert_eq!(option_16(), b"\x00\x00\x0d\xe9\x00\x0cdslforum.org");
}

/// DH-5: who wins, by who set what there is.
// Proves: DH-5
#[test]
fn dh_5_whose_word_counts() {
    use Policy::{Fill, Off, Prefer};
    for (policy, now, by_dhcp, file, offered, expected) in [
        (Fill, "", None, "", "d", true),
        (Off, "", None, "", "d", false),
        (Fill, "", None, "", "", false),
        // Set by DHCP: it may say something else now, and need not say the same again.
        (Fill, "d", Some("d"), "", "e", true),
        (Fill, "d", Some("d"), "", "d", false),
        (Fill, "d", Some("d"), "", "", false),
        // Set by the ACS, or by a person.
        (Fill, "a", Some("d"), "", "e", false),
        (Prefer, "a", Some("d"), "f", "e", false),
        (Prefer, "a", None, "f", "e", false),
        // The configuration file's.
        (Fill, "f", None, "f", "d", false),
        (Prefer, "f", None, "f", "d", true),
        (Off, "d", Some("d"), "", "e", false),
    ] {
        let found = takes(policy, now, by_dhcp, file, offered);
        assert_eq!(found, expected, "{policy:?} {now:?} {by_dhcp:?} {file:?} {offered:?}");
    }
}
