//! What is taken, and what is refused with which code and words.

use super::making::{OnDisk, WALL};
use super::making::{Owner, append, append_metadata, expected, judge, now, refused, signed, text};
use crate::model::fault::Code;
use crate::transfer::verify::{Hasher, Key, Verified, hex, is_signed, verify};

macro_rules! golden {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/", $name))
    };
}

fn golden_key(text: &[u8]) -> Key {
    Key::read(std::str::from_utf8(text).unwrap()).unwrap()
}

type Bytes<'a> = &'a [u8];
/// What lies beside an image.
type Beside<'a> = Option<Bytes<'a>>;

/// The moment at which the golden certificate was half a year old.
const GOLDEN_WALL: i64 = 1_811_000_000;

const VERSION: &str = "23.05.2 r23630-842932a63d";

// Proves: X-15
#[test]
fn what_the_tools_signed_is_taken() {
    let root = golden_key(golden!("root.pub"));
    let build = golden_key(golden!("build.pub"));
    let signify = golden_key(golden!("signify.pub"));
    let plain = &golden!("plain.img")[..];
    let beside = &golden!("plain.img.sig")[..];
    let by_signify = &golden!("plain.img.signify")[..];
    let cases: [(Bytes, &Key, Beside, bool, bool); 5] = [
        (plain, &root, Some(beside), false, false),
        (plain, &signify, Some(by_signify), false, false),
        (golden!("signed.img"), &root, None, true, true),
        (golden!("chained.img"), &root, None, true, true),
        // With appended metadata and a signature of another beside it.
        (golden!("chained.img"), &root, Some(beside), true, true),
    ];
    for (n, (image, key, beside, appended, version)) in cases.into_iter().enumerate() {
        let file = OnDisk::new(image);
        // The order of the keys means nothing.
        let keys = [Owner::new(1).key(), key.clone()];
        let expected = crate::transfer::verify::Expected { now: now(GOLDEN_WALL), ..expected(&keys) };
        let version = version.then(|| VERSION.to_owned());
        let good = Verified { signed_by: Some(key.number), version };
        assert_eq!(verify(file.path(), &expected, beside), Ok(good), "{n}");
        assert_eq!(is_signed(file.path()), appended, "{n}");
    }
    // The key of the certificate is not trusted by itself when only the other is known, and the other way
    // round nobody asks for the certificate's own signer.
    let (code, words) = refused(golden!("chained.img"), &[build], None);
    assert_eq!(code, Code::FILE_AUTHENTICATION);
    assert!(words.contains("which is not trusted"), "{words}");
}

// Proves: X-15, X-23
#[test]
fn no_byte_of_a_golden_image_can_be_another() {
    let image = golden!("chained.img");
    let keys = [golden_key(golden!("root.pub"))];
    let expected = crate::transfer::verify::Expected { now: now(GOLDEN_WALL), ..expected(&keys) };
    for at in 0..image.len() {
        let mut other = image.to_vec();
        other[at] ^= 1 << (at % 8);
        let judged = verify(OnDisk::new(&other).path(), &expected, None);
        // Three bytes of the last trailer are nobody's.
        if (image.len() - 7..image.len() - 4).contains(&at) {
            assert!(judged.is_ok(), "{at}");
            continue;
        }
        let code = judged.expect_err("it is not what was signed").code;
        assert!([Code::FILE_CORRUPTED, Code::FILE_AUTHENTICATION].contains(&code), "{at}: {}", code.0);
    }
    for len in 0..image.len() {
        assert!(verify(OnDisk::new(&image[..len]).path(), &expected, None).is_err(), "{len}");
    }
}

// Proves: X-15
#[test]
fn who_signed_decides_9019() {
    let (mine, other) = (Owner::new(1), Owner::new(2));
    let keys = [mine.key()];
    let image = b"an image".to_vec();
    let (good, foreign) = (mine.sign(&image), other.sign(&image));
    let another = mine.sign(b"another image");
    // By a key that has the number of a trusted one.
    let number = &mine.key().number.0;
    let disguised = {
        let line = String::from_utf8(foreign.clone()).unwrap();
        let mut bytes = base64_of(&line);
        bytes[2..10].copy_from_slice(number);
        text("disguised", &[&bytes[..]]).into_bytes()
    };
    let mut garbage = image.clone();
    append(&mut garbage, 0, b"<html>not found</html>");
    let mut appended = image.clone();
    append(&mut appended, 0, &mine.sign(&image));
    let mut by_foreign = image.clone();
    append(&mut by_foreign, 0, &foreign);
    let html = b"<html>not found</html>".to_vec();
    let long = [&good[..], &[b'\n'; 2000]].concat();

    let unsigned = "it is not signed: no signature is appended and none lies beside it";
    let misfit = "the signature beside it by key 0100010203040501 does not fit";
    let stranger = "the signature beside it is by key 0200010203040502, which is not trusted";
    let refusals: [(Bytes, Beside, &str); 9] = [
        (&image, None, unsigned),
        (&image, Some(&foreign), stranger),
        (&image, Some(&another), misfit),
        (&image, Some(&disguised), misfit),
        (&image, Some(&html), "the signature beside it cannot be read"),
        (&image, Some(&long), "the signature beside it cannot be read"),
        (&image, Some(b""), "the signature beside it cannot be read"),
        (&garbage, None, "the appended signature cannot be read"),
        (&by_foreign, None, "the appended signature is by key 0200010203040502, which is not trusted"),
    ];
    for (n, (image, beside, words)) in refusals.into_iter().enumerate() {
        let (code, text) = refused(image, &keys, beside);
        assert_eq!(
            (code, text),
            (Code::FILE_AUTHENTICATION, format!("the image is refused: {words}")),
            "{n}"
        );
        // Whoever trusts nobody asks nobody.
        assert_eq!(judge(image, &[], beside), Ok(Verified::default()), "{n}");
    }

    let by_me = Verified { signed_by: Some(mine.key().number), version: None };
    let taken: [(Bytes, Beside); 5] = [
        (&image, Some(&good)),
        (&appended, None),
        // One good signature is enough: a file server may answer anything to the question for the other.
        (&appended, Some(&html)),
        (&appended, Some(&another)),
        (&by_foreign, Some(&mine.sign(&by_foreign))),
    ];
    for (n, (image, beside)) in taken.into_iter().enumerate() {
        assert_eq!(judge(image, &keys, beside).as_ref(), Ok(&by_me), "{n}");
    }
    // Two that both do not help are both told.
    let (_, text) = refused(&by_foreign, &keys, Some(&html));
    assert!(text.contains("appended signature is by key") && text.ends_with("beside it cannot be read"));
}

fn base64_of(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text.lines().nth(1).unwrap()).unwrap()
}

// Proves: X-15
#[test]
fn nothing_unsigned_hides_behind_or_before_a_signature() {
    let mine = Owner::new(1);
    let keys = [mine.key()];
    // Metadata behind the signature: nobody signed it.
    let mut image = b"an image".to_vec();
    append(&mut image, 0, &mine.sign(b"an image"));
    append_metadata(&mut image, r#"{"version":{"version":"6.6.6"}}"#);
    assert_eq!(refused(&image, &keys, None).0, Code::FILE_AUTHENTICATION);
    // A part that nobody knows, too.
    let mut image = b"an image".to_vec();
    append(&mut image, 0, &mine.sign(b"an image"));
    append(&mut image, 7, b"?");
    assert_eq!(refused(&image, &keys, None).0, Code::FILE_AUTHENTICATION);
    // Signed once more as a whole it is the signer's affair.
    let whole = signed(&mine, &image);
    append(&mut image, 0, &whole);
    assert_eq!(judge(&image, &keys, None).unwrap().signed_by, Some(mine.key().number));
    // A signature of the bare image says nothing of the metadata before it.
    let mut image = b"an image".to_vec();
    append_metadata(&mut image, r#"{"version":{"version":"6.6.6"}}"#);
    append(&mut image, 0, &mine.sign(b"an image"));
    assert_eq!(refused(&image, &keys, None).0, Code::FILE_AUTHENTICATION);
}

// Proves: X-15, X-23
#[test]
fn another_hash_or_a_broken_trailer_is_9018() {
    let mut hasher = Hasher::default();
    hasher.update(b"an ");
    hasher.update(b"image");
    let hash = hasher.finish();
    assert_eq!(hex(&hash), "a5df3fde7b200c3fa2791144c7e05c5c2bced4c6ad863d3a4cf76c972c1712f9");
    let file = OnDisk::new(b"an image");
    let other = [7; 32];
    // Computed here, or while the file came.
    for hashed in [None, Some(hash)] {
        let keys = [];
        let with =
            |sha256, image| crate::transfer::verify::Expected { sha256, hashed, image, ..expected(&keys) };
        for image in [true, false] {
            assert_eq!(verify(file.path(), &with(None, image), None), Ok(Verified::default()));
            assert_eq!(verify(file.path(), &with(Some(hash), image), None), Ok(Verified::default()));
            let fault = verify(file.path(), &with(Some(other), image), None).unwrap_err();
            assert_eq!(fault.code, Code::FILE_CORRUPTED);
            assert!(fault.text.contains(&hex(&hash)) && fault.text.len() < 200, "{}", fault.text);
        }
    }

    let mine = Owner::new(1);
    let mut image = b"an image".to_vec();
    append_metadata(&mut image, "{}");
    let signature = mine.sign(&image);
    append(&mut image, 0, &signature);
    let end = image.len();
    for (at, bytes) in [
        (end - 4, u32::MAX.to_be_bytes()),         // a length beyond all bounds
        (end - 4, 15u32.to_be_bytes()),            // shorter than a trailer
        (end - 4, (end as u32 + 1).to_be_bytes()), // beginning before the file
        (end - 12, [0; 4]),                        // a checksum
    ] {
        let mut broken = image.clone();
        broken[at..at + 4].copy_from_slice(&bytes);
        for keys in [&[mine.key()][..], &[]] {
            assert_eq!(refused(&broken, keys, None).0, Code::FILE_CORRUPTED, "{at} {bytes:?}");
        }
        // What is no image may end as it likes.
        let expected = crate::transfer::verify::Expected { image: false, ..expected(&[]) };
        assert_eq!(verify(OnDisk::new(&broken).path(), &expected, None), Ok(Verified::default()));
    }
    // The image itself was cut or changed on its way.
    let mut broken = image.clone();
    broken[3] ^= 1;
    assert_eq!(refused(&broken, &[], None).0, Code::FILE_CORRUPTED);
    assert_eq!(refused(b"", &[], None).0, Code::FILE_CORRUPTED);
}

#[test]
fn a_file_that_is_gone_is_9010() {
    let path = std::env::temp_dir().join("cwmpd-no-such-image");
    let fault = verify(&path, &expected(&[]), None).unwrap_err();
    assert_eq!(fault.code, Code::TRANSFER_FAILURE);
    assert!(!is_signed(&path));
    let fault = verify(&std::env::temp_dir(), &expected(&[]), None).unwrap_err();
    assert_eq!(fault.code, Code::TRANSFER_FAILURE, "{fault}");
    assert_eq!(now(WALL).wall, WALL);
}
