//! Keys, signatures, metadata and versions as texts.

use super::making::{OnDisk, Owner, append, append_metadata, judge, text};
use crate::transfer::verify::key::Signature;
use crate::transfer::verify::metadata::{MAX_VERSION, version};
use crate::transfer::verify::trailer::{MAX_PART, MAX_PARTS};
use crate::transfer::verify::{Key, MAX_SIGNATURE, names};

#[test]
fn keys_as_they_are_written() {
    let key = Owner::new(1).key();
    let whole = Owner::new(1).text();
    let line = whole.lines().nth(1).unwrap().to_owned();
    assert_eq!(key.number.to_string(), "0100010203040501");
    let crlf = whole.replace('\n', "\r\n");
    for good in [&whole[..], &line, &whole.replace("public key", ""), &crlf, whole.trim_end()] {
        assert_eq!(Key::read(good), Ok(key.clone()), "{good:?}");
    }
    let (point, number) = (&key.point[..], &key.number.0[..]);
    let algorithm = text("x", &[b"RW", number, point]);
    let short = text("x", &[b"Ed", number, &point[..31]]);
    let long = text("x", &[b"Ed", number, point, b"\0"]);
    let more = format!("{whole}{line}\n");
    for bad in [
        "",
        "untrusted comment: x",
        "untrusted comment: x\n",
        "RWQ",
        &line[1..],
        &algorithm,
        &short,
        &long,
        &more,
        &format!("comment: x\n{line}"),
        &format!("{whole}{}", " ".repeat(MAX_SIGNATURE)),
        "untrusted comment: \u{1f511}\n\u{1f511}",
    ] {
        assert_eq!(Key::read(bad), Err("is no public key of usign or signify"), "{bad:?}");
    }
    // A signature is no key, and a key is no signature.
    let signature = Owner::new(1).sign(b"x");
    assert!(Signature::read(&signature).is_some() && Signature::read(whole.as_bytes()).is_none());
    assert!(Key::read(std::str::from_utf8(&signature).unwrap()).is_err());
}

#[test]
fn trusted_keys_are_files_or_keys() {
    let (one, two) = (Owner::new(1), Owner::new(2));
    let file = OnDisk::new(one.text().as_bytes());
    let path = file.path().to_str().unwrap().to_owned();
    assert_eq!(Key::load(&[path, two.text()]), Ok(vec![one.key(), two.key()]));
    assert_eq!(Key::load(&[]), Ok(Vec::new()));
    // One that cannot be read is none that is passed over.
    let gone = Key::load(&[two.text(), "/no/such/key".into()]).unwrap_err();
    assert!(gone.starts_with("the key file /no/such/key cannot be read: "), "{gone}");
    let secret = OnDisk::new(b"untrusted comment: x\nc2VjcmV0\n");
    let told = Key::load(&[secret.path().to_str().unwrap().into()]).unwrap_err();
    assert!(told.ends_with(" is no public key of usign or signify") && !told.contains("c2VjcmV0"), "{told}");
    let told = Key::load(&["c2VjcmV0".into()]).unwrap_err();
    assert_eq!(told, "an entry of transfer.trusted_keys is no public key of usign or signify");
    // A device without an end is read so far and no further.
    assert!(Key::load(&["/dev/zero".into()]).is_err());
}

#[test]
fn versions_as_images_name_them() {
    let part = |json: &str| [&[0; 8], json.as_bytes()].concat();
    let long = format!(r#"{{"version":{{"version":"{}"}}}}"#, "é".repeat(1000));
    let kept = "é".repeat(MAX_VERSION);
    for (json, named) in [
        (r#"{"version":{"dist":"OpenWrt","version":"23.05.2","revision":"r2-a"}}"#, Some("23.05.2 r2-a")),
        (r#"{"version":{"version":"23.05.2"}}"#, Some("23.05.2")),
        (r#"{"version":{"revision":"r2-a","version":7}}"#, Some("r2-a")),
        ("{\"version\":{\"version\":\" 1\\u0000\\n 2\\u0007\"}}\n", Some("1 2")),
        (&long, Some(&kept[..])),
        (r#"{"version":{"version":""}}"#, None),
        (r#"{"version":"23.05.2"}"#, None),
        (r#"["version"]"#, None),
        ("{}", None),
        ("", None),
        (r#"{"version":{"version":"1"}} {}"#, None),
        (&"[".repeat(30_000), None),
    ] {
        assert_eq!(version(&part(json)).as_deref(), named, "{json:.80}");
    }
    // Of another version of the form nothing is known.
    let json = r#"{"version":{"version":"1"}}"#;
    assert_eq!(version(&[&[0, 0, 0, 1, 0, 0, 0, 0], json.as_bytes()].concat()), None);
    assert_eq!(version(&[&[0, 0, 0, 0, 9, 9, 9, 9], json.as_bytes()].concat()).as_deref(), Some("1"));
    assert_eq!(version(&[0; 7]), None);
    // Of several the last counts, as fwtool takes it; no signature is needed for it when no key is there.
    let mut image = b"an image".to_vec();
    append_metadata(&mut image, r#"{"version":{"version":"1"}}"#);
    append_metadata(&mut image, r#"{"version":{"version":"2"}}"#);
    append(&mut image, 0, b"?");
    assert_eq!(judge(&image, &[], None).unwrap().version.as_deref(), Some("2"));
    // An image in an image: the checksum of the inner one is none of the whole.
    let mut outer = [b"outer", &image[..]].concat();
    append_metadata(&mut outer, r#"{"version":{"version":"3"}}"#);
    assert_eq!(judge(&outer, &[], None).unwrap().version.as_deref(), Some("3"));
}

#[test]
fn a_software_version_that_was_named() {
    let named = "23.05.2 r23630-842932a63d";
    for software in [
        "23.05.2",
        "r23630-842932a63d",
        "23.05.2 r23630-842932a63d",
        "OpenWrt 23.05.2",
        "OpenWrt 23.05.2 r23630-842932a63d",
    ] {
        assert!(names(named, software), "{software}");
    }
    for software in [
        "",
        " ",
        "23.05",
        "23.05.20",
        "OpenWrt",
        "OpenWrt 23.05.2 r11111-1",
        "OpenWrt 23.05.1 r23630-842932a63d",
    ] {
        assert!(!names(named, software), "{software}");
    }
    assert!(!names("", "") && !names("", "1") && names("1", "1"));
}

#[test]
fn parts_have_a_number_and_a_size() {
    let mine = Owner::new(1);
    let keys = [mine.key()];
    // As large as it may be, and a byte more.
    for (size, good) in [(MAX_PART, true), (MAX_PART + 1, false)] {
        let mut image = b"an image".to_vec();
        append(&mut image, 1, &vec![0; size]);
        assert_eq!(judge(&image, &[], None).is_ok(), good, "{size}");
    }
    // The metadata of the first of so many is not looked for; what is signed is all of it.
    for (others, version) in [(MAX_PARTS - 2, Some("1".to_owned())), (MAX_PARTS - 1, None)] {
        let mut image = b"an image".to_vec();
        append_metadata(&mut image, r#"{"version":{"version":"1"}}"#);
        (0..others).for_each(|_| append(&mut image, 9, b""));
        let signature = mine.sign(&image);
        append(&mut image, 0, &signature);
        let found = judge(&image, &keys, None).unwrap();
        assert_eq!((found.signed_by, found.version), (Some(mine.key().number), version), "{others}");
    }
}
