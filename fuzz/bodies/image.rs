//! Firmware images, and what lies beside them: from a file server that anybody may be.

use cwmpd::model::fault::Code;
use cwmpd::sys::clock::Now;
use cwmpd::transfer::verify::{Expected, Key, is_signed, names, verify};
use std::path::PathBuf;
use std::time::Duration;

const ROOT: &str = include_str!("../../tests/images/root.pub");
/// Signed by a key that has a certificate of that root.
const CHAINED: &[u8] = include_bytes!("../../tests/images/chained.img");
/// Signed by the root itself.
const SIGNED: &[u8] = include_bytes!("../../tests/images/signed.img");
/// What both signatures are of: the image with its metadata.
const SIGNED_BYTES: usize = 714;

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

thread_local! {
    static FILE: Scratch = {
        let shm = PathBuf::from("/dev/shm");
        let base = if shm.is_dir() { shm } else { std::env::temp_dir() };
        Scratch(base.join(format!("cwmpd-fuzz-image-{}", std::process::id())))
    };
}

/// The bytes as an image, as each of the parts that are appended to one (with a checksum that is right), as a
/// signature beside one, and as a key; read on a stack as small as the daemon's. Whatever is taken with a key
/// is what was signed.
pub fn image(data: &[u8]) {
    let path = FILE.with(|file| file.0.clone());
    std::thread::scope(|scope| {
        let body = || images(data, &path);
        let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn_scoped(scope, body);
        if let Err(panic) = thread.expect("a thread").join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn images(data: &[u8], path: &std::path::Path) {
    if let Ok(key) = Key::read(&String::from_utf8_lossy(data)) {
        assert_eq!(key.number.to_string().len(), 16);
    }
    let root = [Key::read(ROOT).expect("a key")];
    let now = Now { mono: Duration::ZERO, wall: 1_811_000_000, clock_set: true };
    let judge = |image: &[u8], keys: &[Key], beside: Option<&[u8]>| {
        std::fs::write(path, image).expect("a file");
        is_signed(path);
        let expected = Expected { sha256: None, hashed: None, image: true, keys, now };
        let judged = verify(path, &expected, beside);
        match &judged {
            Ok(found) => {
                assert_eq!(found.signed_by, keys.first().map(|key| key.number));
                if !keys.is_empty() && beside.is_none() {
                    assert_eq!(
                        image.get(..SIGNED_BYTES),
                        Some(&CHAINED[..SIGNED_BYTES]),
                        "it was not signed"
                    );
                }
                if let Some(version) = &found.version {
                    assert!(version.chars().count() <= 128 && !version.contains(char::is_control));
                    assert!(names(version, version));
                }
            }
            Err(fault) => {
                assert!([Code::FILE_CORRUPTED, Code::FILE_AUTHENTICATION].contains(&fault.code), "{fault}");
                assert!(fault.text.chars().count() <= 256 && !fault.text.contains(char::is_control));
            }
        }
        judged.is_ok()
    };
    judge(data, &root, None);
    judge(data, &[], None);
    judge(&SIGNED[..SIGNED_BYTES], &root, Some(data));
    // As a signature of what was signed, and as metadata.
    judge(&appended(CHAINED[..SIGNED_BYTES].to_vec(), 0, data), &root, None);
    let metadata = appended(b"an image".to_vec(), 1, &[&[0; 8], data].concat());
    assert_eq!(judge(&metadata, &[], None), data.len() + 8 <= 32 * 1024);
}

fn appended(mut image: Vec<u8>, kind: u8, data: &[u8]) -> Vec<u8> {
    image.extend(data);
    let crc = !crc32(&image);
    image.extend(b"FWx0");
    image.extend(crc.to_be_bytes());
    image.extend([kind, 0, 0, 0]);
    image.extend((data.len() as u32 + 16).to_be_bytes());
    image
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}
