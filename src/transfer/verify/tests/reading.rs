//! One reading: wherever the ends of what is signed lie in the buffer.

use super::making::{OnDisk, Owner, append, append_metadata, expected, judge};
use crate::transfer::verify::{Expected, Hasher, verify};

const BUFFER: usize = 64 * 1024;

/// Images whose parts end and begin before, on and behind the buffer's end.
#[test]
fn ends_fall_anywhere() {
    let mine = Owner::new(1);
    let keys = [mine.key()];
    let appended = {
        let mut image = Vec::new();
        append_metadata(&mut image, "{}");
        let signature = mine.sign(&image);
        append(&mut image, 0, &signature);
        image.len()
    };
    for buffers in [1, 2] {
        for near in (0..appended).step_by(11).chain(0..3) {
            let len = buffers * BUFFER - near;
            let mut image: Vec<u8> = (0..len).map(|n| (n / 251) as u8).collect();
            append_metadata(&mut image, "{}");
            let signature = mine.sign(&image);
            append(&mut image, 0, &signature);
            let beside = mine.sign(&image);
            let mut hasher = Hasher::default();
            image.chunks(1000).for_each(|piece| hasher.update(piece));
            let hash = hasher.finish();
            let file = OnDisk::new(&image);
            let with = Expected { sha256: Some(hash), ..expected(&keys) };
            let verified = verify(file.path(), &with, None).unwrap_or_else(|e| panic!("{len}: {e}"));
            assert_eq!(verified.signed_by, Some(mine.key().number));
            let with = Expected { sha256: Some([0; 32]), ..expected(&keys) };
            assert!(verify(file.path(), &with, None).is_err());
            // Of two signatures the good one counts.
            let mut other = image.clone();
            other.truncate(other.len() - signature.len() - 16);
            append(&mut other, 0, &mine.sign(b"another"));
            assert!(judge(&other, &keys, Some(&mine.sign(&other))).is_ok(), "{len}");
            assert!(judge(&other, &keys, Some(&beside)).is_err(), "{len}");
        }
    }
}
