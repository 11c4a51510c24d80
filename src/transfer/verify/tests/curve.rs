//! Ed25519 itself: the standard's vectors, ring's judgement, and signatures that only strict readers refuse.

use crate::transfer::verify::Key;
use crate::transfer::verify::ed25519::{Check, is_key};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    assert_eq!(hex.len(), 2 * N);
    std::array::from_fn(byte)
}

/// L, the order of the group, as S would have it.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

#[test]
fn the_vectors_of_rfc_8032() {
    for (key, message, signature) in [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let message: Vec<u8> =
            (0..message.len() / 2).map(|at| bytes::<1>(&message[2 * at..2 * at + 2])[0]).collect();
        let (key, signature) = (bytes(key), bytes(signature));
        assert!(is_key(&key) && Check::whole(&key, &signature, &message));
        assert!(!Check::whole(&key, &signature, &[&message[..], b"\0"].concat()));
        for at in 0..64 {
            let mut other: [u8; 64] = signature;
            other[at] ^= 0x10;
            assert!(!Check::whole(&key, &other, &message), "{at}");
        }
        // The same signature with S + L: malleable without a bound on S.
        let (mut more, order, mut carry) = (signature, bytes::<32>(ORDER), 0);
        for at in 0..32 {
            let sum = u16::from(more[32 + at]) + u16::from(order[at]) + carry;
            more[32 + at] = sum as u8;
            carry = sum >> 8;
        }
        assert!(!Check::whole(&key, &more, &message));
    }
}

#[test]
fn ring_says_the_same() {
    for seed in 0..40u8 {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed.wrapping_mul(7); 32]).unwrap();
        let key: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
        let message = vec![seed; usize::from(seed) * 31];
        let mut signature: [u8; 64] = pair.sign(&message).as_ref().try_into().unwrap();
        // Half of them spoilt, each in another bit.
        if seed % 2 == 1 {
            signature[usize::from(seed) * 3 % 64] ^= 1 << (seed % 8);
        }
        let other = UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature).is_ok();
        assert_eq!(Check::whole(&key, &signature, &message), other, "{seed}");
        assert_eq!(other, seed % 2 == 0);
    }
}

/// The points of small order, and encodings of points that are not the canonical one.
const WEAK: [&str; 14] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];

#[test]
fn weak_points_are_neither_keys_nor_signatures() {
    let good = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    for weak in WEAK {
        let point: [u8; 32] = bytes(weak);
        assert!(!is_key(&point), "{weak}");
        // With R the neutral element and S = 0 such a key signs whatever one likes.
        let mut signature = [0; 64];
        signature[0] = 1;
        for message in [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"] {
            assert!(!Check::whole(&point, &signature, message), "{weak}");
        }
        signature[..32].copy_from_slice(&point);
        assert!(Check::new(&good, &signature).is_none(), "{weak}");
        let text = super::making::text("weak", &[b"Ed", &[0; 8], &point]);
        assert_eq!(Key::read(&text), Err("is a public key that anybody could sign for"));
    }
    // The other numbers beyond the field's that fit in an encoding: for some there is a point, of full order,
    // but this is not how it is written.
    let mut points = 0;
    for small in 2..19 {
        let mut y = [0; 32];
        y[0] = small;
        points += usize::from(is_key(&y));
        let mut beyond = [0xff; 32];
        (beyond[0], beyond[31]) = (0xed + small, 0x7f);
        assert!(!is_key(&beyond), "{small}");
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&beyond);
        assert!(Check::new(&good, &signature).is_none(), "{small}");
    }
    assert!(points > 4, "{points}");
    // Off the curve.
    assert!(!is_key(&bytes("0200000000000000000000000000000000000000000000000000000000000000")));
}
