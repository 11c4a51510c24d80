//! Whether a file is what it was meant to be, before anything is done with it: the hash that its URL
//! names, and who signed it.
//!
//! Signatures are those of `usign` and `signify` (Ed25519), beside the image (`<url>.sig`) or appended to
//! it as OpenWrt's `fwtool` does, there with a chain of `ucert` certificates. The file is read once, with
//! one buffer, whatever its length.

mod ed25519;
mod hashing;
mod key;
mod metadata;
mod trailer;
mod ucert;

#[cfg(test)]
mod tests;

pub use hashing::Hasher;
pub use key::{Key, KeyNumber};
pub use metadata::names;

use crate::model::fault::{Code, Fault};
use crate::sys::clock::Now;
use hashing::Pass;
use key::Signature;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use trailer::{Kind, Part};

/// The most bytes of a `.sig` file; real ones have some 150. A longer answer is no signature.
pub const MAX_SIGNATURE: usize = 1024;

/// What is expected of a file.
pub struct Expected<'a> {
    /// From the URL's fragment (`#sha256=`).
    pub sha256: Option<[u8; 32]>,
    /// What the file's SHA-256 is, when it was computed while the file came ([`Hasher`]).
    pub hashed: Option<[u8; 32]>,
    /// A firmware image (types `1` and `6`): what `fwtool` appends is read, and with `keys` it has to be signed.
    pub image: bool,
    /// `transfer.trusted_keys`. None: no signature is looked at.
    pub keys: &'a [Key],
    /// Certificates are held against it when it is believed.
    pub now: Now,
}

/// What was found of a file that is as it should be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// The trusted key whose signature it bears, or that issued the certificate of the key that signed.
    pub signed_by: Option<KeyNumber>,
    /// The version that the image names, as far as it does (`OpenWrt 23.05.2 r23630-842932a63d`), for
    /// [`names`]. At most [`metadata::MAX_VERSION`] characters, printable.
    pub version: Option<String>,
}

/// Whether a signature is appended to the image, so that nobody has to ask for `<url>.sig`. An image that
/// cannot be read has none: [`verify`] tells why.
pub fn is_signed(file: &Path) -> bool {
    let parts = File::open(file).and_then(|file| parts(&file));
    matches!(parts, Ok(Ok((_, parts))) if parts.first().is_some_and(|p| p.kind == Kind::Signature))
}

/// Reads the file and says whether it is what was expected. `signature` is what lies beside it
/// (`<url>.sig`), at most [`MAX_SIGNATURE`] bytes.
///
/// # Errors
/// 9018 for another hash, or when what is appended is broken; 9019 for an image that none of the keys
/// vouches for (the text says why); 9010 when the file cannot be read.
pub fn verify(file: &Path, expected: &Expected<'_>, signature: Option<&[u8]>) -> Result<Verified, Fault> {
    let cannot =
        |e: io::Error| Fault::new(Code::TRANSFER_FAILURE, format!("the fetched file cannot be read: {e}"));
    let file = File::open(file).map_err(cannot)?;
    let (len, parts) = match expected.image {
        true => parts(&file).map_err(cannot)??,
        false => (file.metadata().map_err(cannot)?.len(), Vec::new()),
    };
    if expected.image && len == 0 {
        return Err(corrupted("the image is empty".into()));
    }
    let mut pass = Pass::new(expected.sha256.is_some() && expected.hashed.is_none());
    for part in &parts {
        pass.mark(part.trailer);
    }
    let vouched = match expected.image && !expected.keys.is_empty() {
        true => Some(vouchers(expected, signature, len, parts.first(), &mut pass)),
        false => None,
    };
    let done = pass.run(&file, len).map_err(cannot)?;

    if let (Some(wanted), Some(found)) = (expected.sha256, done.sha256.or(expected.hashed))
        && wanted != found
    {
        return Err(corrupted(format!("its SHA-256 is {}, which is not what the URL says", hex(&found))));
    }
    for (part, crc) in parts.iter().zip(&done.crcs) {
        if part.crc != *crc {
            return Err(corrupted("the checksum of what is appended to the image is wrong".into()));
        }
    }
    let version = parts.iter().find(|p| p.kind == Kind::Info).and_then(|p| metadata::version(&p.data));
    let signed_by = match vouched {
        None => None,
        Some((vouchers, why)) => Some(judged(vouchers, &done.good, why)?),
    };
    Ok(Verified { signed_by, version })
}

/// One who may vouch for the image: the trusted key at the end, the key that signed, and where.
struct Voucher {
    trusted: KeyNumber,
    signer: KeyNumber,
    place: &'static str,
}

/// Those whose signatures the pass shall check, in its order, and why others were not worth it.
fn vouchers(
    expected: &Expected<'_>,
    beside: Option<&[u8]>,
    len: u64,
    last: Option<&Part>,
    pass: &mut Pass,
) -> (Vec<Voucher>, Vec<String>) {
    let (mut found, mut why) = (Vec::new(), Vec::new());
    let mut take = |place, end, read: Result<(KeyNumber, Key, Signature), String>| match read {
        Ok((trusted, key, signature)) if pass.check(&key, &signature, end) => {
            found.push(Voucher { trusted, signer: key.number, place });
        }
        Ok((_, key, _)) => why.push(format!("the {place} by key {} does not fit", key.number)),
        Err(e) => why.push(format!("the {place} {e}")),
    };
    if let Some(part) = last.filter(|p| p.kind == Kind::Signature) {
        take("appended signature", part.start, ucert::read(&part.data, expected.keys, expected.now));
    }
    if let Some(bytes) = beside {
        let read = Signature::read(bytes).ok_or_else(|| "cannot be read".to_owned()).and_then(|signature| {
            let key = key::find(expected.keys, signature.number)?;
            Ok((key.number, key.clone(), signature))
        });
        take("signature beside it", len, read);
    }
    (found, why)
}

fn judged(vouchers: Vec<Voucher>, good: &[bool], mut why: Vec<String>) -> Result<KeyNumber, Fault> {
    for (voucher, good) in vouchers.iter().zip(good) {
        if *good {
            return Ok(voucher.trusted);
        }
        why.push(format!("the {} by key {} does not fit", voucher.place, voucher.signer));
    }
    let why = match why.is_empty() {
        true => "it is not signed: no signature is appended and none lies beside it".to_owned(),
        false => why.join("; "),
    };
    Err(Fault::new(Code::FILE_AUTHENTICATION, format!("the image is refused: {why}")))
}

/// Length of the file, and what is appended to it, the last first; the fault for what is broken in it.
type Parts = Result<(u64, Vec<Part>), Fault>;

fn parts(file: &File) -> io::Result<Parts> {
    let len = file.metadata()?.len();
    let parts = trailer::find(len, |at, bytes| file.read_exact_at(bytes, at))?;
    Ok(parts.map(|parts| (len, parts)).map_err(|e| corrupted(e.to_owned())))
}

fn corrupted(text: String) -> Fault {
    Fault::new(Code::FILE_CORRUPTED, text)
}

/// In lower-case hexadecimal, as `#sha256=` has it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
