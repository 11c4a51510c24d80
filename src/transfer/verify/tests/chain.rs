//! Chains of certificates (`ucert`).

use super::making::{
    OnDisk, Owner, WALL, append, blob, certificate, certified, claims, expected, judge, now,
};
use super::making::{refused, signed};
use crate::model::fault::Code;
use crate::sys::clock::Now;
use crate::transfer::verify::ucert::MAX_CERTIFICATES;
use crate::transfer::verify::{Expected, Key, verify};

const IMAGE: &[u8] = b"an image";

/// The image with a chain behind it.
fn image(chain: &[u8]) -> Vec<u8> {
    let mut image = IMAGE.to_vec();
    append(&mut image, 0, chain);
    image
}

/// Why a chain is refused.
fn why(chain: &[u8], keys: &[Key]) -> String {
    let (code, text) = refused(&image(chain), keys, None);
    assert_eq!(code, Code::FILE_AUTHENTICATION, "{text}");
    text.strip_prefix("the image is refused: the appended signature ").expect(&text).to_owned()
}

// Proves: X-15
#[test]
fn a_chain_leads_from_a_trusted_key_to_the_image() {
    let (root, middle, build) = (Owner::new(1), Owner::new(2), Owner::new(3));
    let chains = [
        signed(&root, IMAGE),
        [certificate(&root, &build), signed(&build, IMAGE)].concat(),
        [certificate(&root, &middle), certificate(&middle, &build), signed(&build, IMAGE)].concat(),
    ];
    for (n, chain) in chains.iter().enumerate() {
        let verified = judge(&image(chain), &[build.key(), root.key()], None).expect("it is signed");
        assert_eq!(verified.signed_by, Some(root.key().number), "{n}");
    }
    for chain in &chains[1..] {
        assert_eq!(why(chain, &[build.key()]), "is by key 0100010203040501, which is not trusted");
    }
}

// Proves: X-15
#[test]
fn a_link_that_does_not_hold() {
    let (root, middle, build) = (Owner::new(1), Owner::new(2), Owner::new(3));
    let keys = [root.key()];
    // The certificate is another's; the image is signed by another than it says.
    let chain = [certificate(&root, &middle), signed(&build, IMAGE)].concat();
    assert_eq!(why(&chain, &keys), "is by key 0300010203040503, which is not trusted");
    let chain = [certificate(&root, &middle), signed(&root, IMAGE)].concat();
    assert_eq!(why(&chain, &keys), "is by key 0100010203040501, which is not trusted");
    let chain = [certificate(&root, &build), signed(&build, b"another image")].concat();
    assert_eq!(why(&chain, &keys), "by key 0300010203040503 does not fit");
    // A certificate that somebody else signed with the root's number.
    let payload = blob(2, Some("ucert"), &claims(1, WALL - 1, WALL + 1, &build.text()).concat());
    let other = blob(2, Some("ucert"), &claims(1, WALL - 1, WALL + 2, &build.text()).concat());
    let forged = blob(0, None, &[blob(0, None, &root.sign(&other)), blob(1, None, &payload)].concat());
    let chain = [forged, signed(&build, IMAGE)].concat();
    assert_eq!(why(&chain, &keys), "has a certificate that key 0100010203040501 did not sign");
}

// Proves: X-15
#[test]
fn what_a_certificate_has_to_say() {
    let (root, build) = (Owner::new(1), Owner::new(3));
    let keys = [root.key()];
    let with = |claims: &[Vec<u8>]| [certified(&root, claims), signed(&build, IMAGE)].concat();
    let good = claims(1, WALL - 1, WALL + 1, &build.text());
    assert!(judge(&image(&with(&good)), &keys, None).is_ok());
    // In any order, and with what nobody knows.
    let mut more = good.clone();
    more.reverse();
    more.insert(1, blob(5, Some("certid"), &[0, 0, 0, 9]));
    more.push(blob(9, None, b"?"));
    assert!(judge(&image(&with(&more)), &keys, None).is_ok());

    assert_eq!(
        why(&with(&claims(2, 0, i64::MAX, &build.text())), &keys),
        "has a certificate that lets nobody sign"
    );
    for kind in [0, 3, u32::MAX] {
        assert_eq!(
            why(&with(&claims(kind, 0, i64::MAX, &build.text())), &keys),
            "has a certificate that lets nobody sign"
        );
    }
    for missing in 0..good.len() {
        let mut less = good.clone();
        less.remove(missing);
        assert_eq!(why(&with(&less), &keys), "cannot be read", "{missing}");
        // Said twice, nobody knows which is meant.
        let mut twice = good.clone();
        twice.push(good[missing].clone());
        assert_eq!(why(&with(&twice), &keys), "cannot be read", "{missing}");
    }
    for (at, wrong) in [
        (0, blob(4, Some("certtype"), &[0, 0, 0, 1])),
        (0, blob(5, Some("certtype"), &[1])),
        (1, blob(4, Some("validfrom"), &[])),
        (3, blob(3, Some("pubkey"), b"\0")),
        (3, blob(3, Some("pubkey"), build.text().as_bytes())), // without its zero
    ] {
        let mut other = good.clone();
        other[at] = wrong;
        assert_eq!(why(&with(&other), &keys), "cannot be read", "{at}");
    }
}

// Proves: X-15
#[test]
fn a_certificate_has_its_time_when_the_clock_is_believed() {
    let (root, build) = (Owner::new(1), Owner::new(3));
    let keys = [root.key()];
    let bytes = image(&[certificate(&root, &build), signed(&build, IMAGE)].concat());
    let file = OnDisk::new(&bytes);
    let at = |now: Now| {
        verify(file.path(), &Expected { now, ..expected(&keys) }, None).map(drop).map_err(|fault| fault.text)
    };
    let refused = |text: &str| {
        Err(format!("the image is refused: the appended signature has a certificate that {text}"))
    };
    for (wall, judged) in [
        (WALL - 1001, refused("is not yet valid")),
        (WALL - 1000, Ok(())),
        (WALL + 999, Ok(())),
        (WALL + 1000, refused("has expired")),
        (i64::MAX, refused("has expired")),
        (-1, refused("is not yet valid")),
    ] {
        assert_eq!(at(now(wall)), judged, "{wall}");
        assert_eq!(at(Now { clock_set: false, ..now(wall) }), Ok(()), "{wall}");
    }
}

#[test]
fn a_chain_is_short_and_ends_with_the_image() {
    let owners: Vec<Owner> = (1..=MAX_CERTIFICATES as u8 + 2).map(Owner::new).collect();
    let keys = [owners[0].key()];
    let chain = |links: usize| {
        let mut chain: Vec<u8> =
            owners.windows(2).take(links).flat_map(|pair| certificate(&pair[0], &pair[1])).collect();
        chain.extend(signed(&owners[links], IMAGE));
        chain
    };
    assert!(judge(&image(&chain(MAX_CERTIFICATES)), &keys, None).is_ok());
    assert_eq!(why(&chain(MAX_CERTIFICATES + 1), &keys), "cannot be read");
    // The image's own signature is wanted, once, and nothing behind it.
    assert_eq!(why(&certificate(&owners[0], &owners[1]), &keys), "cannot be read");
    let twice = [signed(&owners[0], IMAGE), signed(&owners[0], IMAGE)].concat();
    assert_eq!(why(&twice, &keys), "cannot be read");
    assert_eq!(why(&[signed(&owners[0], IMAGE), vec![0]].concat(), &keys), "cannot be read");
    // An element with more than two blobs in it, or with none.
    let signature = blob(0, None, &owners[0].sign(IMAGE));
    let three = blob(0, None, &[&signature[..], &signature, &signature].concat());
    for element in
        [three, blob(0, None, &[]), blob(0, None, &blob(1, None, b"x")), blob(0, Some("x"), &signature)]
    {
        assert_eq!(why(&element, &keys), "cannot be read");
    }
}

#[test]
fn a_chain_that_is_cut_or_lies_about_lengths_is_refused() {
    let (root, build) = (Owner::new(1), Owner::new(3));
    let keys = [root.key()];
    let whole = [certificate(&root, &build), signed(&build, IMAGE)].concat();
    for len in 0..whole.len() - 3 {
        why(&whole[..len], &keys);
    }
    // Where a blob begins, or a number is, or nothing: texts have none of these bytes.
    for at in (0..whole.len()).step_by(4).filter(|at| matches!(whole[*at], 0 | 1 | 0x80..)) {
        for length in [0, 3, 4, 5, 0x7fff, 0x00ff_ffff, u32::MAX] {
            let mut other = whole.clone();
            other[at..at + 4].copy_from_slice(&u32::to_be_bytes(length));
            if other != whole {
                why(&other, &keys);
            }
        }
    }
}
