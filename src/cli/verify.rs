//! `cwmpd verify`: what the agent would say of a firmware image, for those who build one.

use super::{Exit, complain};
use crate::config::Config;
use crate::model::fault::Fault;
use crate::sys::clock;
use crate::transfer::verify::{self, Expected, Hasher, Key, MAX_SIGNATURE, Verified};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Holds the image against the configuration's `transfer.trusted_keys`. Without a signature file, that of
/// `IMAGE.sig` counts when it is there, as the agent would ask for it.
pub(super) fn verify(
    config: &Path,
    image: &Path,
    signature: Option<&Path>,
    json: bool,
    out: &mut impl Write,
) -> io::Result<Exit> {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(e) => {
            complain(&e.to_string());
            return Ok(Exit::Configuration);
        }
    };
    let keys = match Key::load(&config.transfer.trusted_keys) {
        Ok(keys) => keys,
        Err(e) => {
            complain(&e);
            return Ok(Exit::Configuration);
        }
    };
    let found = match read(image, signature) {
        Ok(found) => found,
        Err((file, e)) => {
            complain(&format!("{}: {e}", file.display()));
            return Ok(Exit::Fault);
        }
    };
    let (hash, signature) = found;
    let expected = Expected { sha256: None, hashed: Some(hash), image: true, keys: &keys, now: clock::now() };
    let judged = verify::verify(image, &expected, signature.as_deref());
    let exit = if judged.is_ok() { Exit::Ok } else { Exit::Fault };
    let hash = verify::hex(&hash);
    if json {
        writeln!(out, "{}", as_json(&judged, &hash))?;
        return Ok(exit);
    }
    writeln!(out, "#sha256={hash}")?;
    match judged {
        Err(fault) => {
            out.flush()?;
            complain(&format!("{}: {fault}", image.display()));
        }
        Ok(Verified { signed_by, version }) => {
            match signed_by {
                Some(key) => writeln!(out, "signed by {key}")?,
                None => writeln!(out, "signatures are not checked: transfer.trusted_keys names no key")?,
            }
            if let Some(version) = version {
                writeln!(out, "version {version}")?;
            }
        }
    }
    Ok(exit)
}

fn as_json(judged: &Result<Verified, Fault>, hash: &str) -> serde_json::Value {
    match judged {
        Ok(Verified { signed_by, version }) => serde_json::json!({
            "ok": true,
            "sha256": hash,
            "signed_by": signed_by.map(|key| key.to_string()),
            "version": version,
        }),
        Err(fault) => serde_json::json!({
            "ok": false,
            "sha256": hash,
            "code": fault.code.0,
            "text": fault.text,
        }),
    }
}

type Found = ([u8; 32], Option<Vec<u8>>);

/// The image's hash, and what lies beside it; the name of what cannot be read.
fn read(image: &Path, signature: Option<&Path>) -> Result<Found, (std::path::PathBuf, io::Error)> {
    let mut hasher = Hasher::default();
    let hashed = File::open(image).and_then(|mut file| {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                count => hasher.update(&buffer[..count]),
            }
        }
    });
    let hash = hashed.map_err(|e| (image.to_owned(), e))?;
    let mut beside = image.as_os_str().to_owned();
    beside.push(".sig");
    let path = signature.unwrap_or(Path::new(&beside));
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_SIGNATURE as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok((hash, Some(bytes))),
        Err(e) if e.kind() == io::ErrorKind::NotFound && signature.is_none() => Ok((hash, None)),
        Err(e) => Err((path.to_owned(), e)),
    }
}
