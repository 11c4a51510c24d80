//! What became of an image, judged by what is there after the boot.

use crate::model::fault::{Code, Fault};

/// Which firmware runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Running {
    /// DeviceInfo.SoftwareVersion.
    pub version: String,
    /// The bank it was booted from; empty where there are none.
    pub bank: String,
}

/// Judges by what ran before, what the image called itself, and what runs now. The bank is the best
/// witness, then the version. One that is unchanged counts as the old image unless the image
/// itself named it.
///
/// # Errors
/// The old image runs: 9018 when another bank was to be booted and was not, 9010 when nothing has changed.
pub fn judge(before: &Running, named: Option<&str>, now: &Running) -> Result<(), Fault> {
    let banks = !before.bank.is_empty() && !now.bank.is_empty();
    if banks && before.bank != now.bank {
        return Ok(());
    }
    let is_named = named.is_some_and(|named| named == now.version);
    if before.version != now.version || (is_named && !banks) {
        return Ok(());
    }
    let image = named.map_or(String::new(), |named| format!("; the image calls itself {named:.64}"));
    let version = format!("{:.64} ran before and {:.64} runs now", before.version, now.version);
    Err(match banks {
        true => {
            let text = format!("the former bank {:.32} was booted again: {version}{image}", now.bank);
            Fault::new(Code::FILE_CORRUPTED, text)
        }
        false => Fault::new(Code::TRANSFER_FAILURE, format!("the former image came back: {version}{image}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(version: &str, bank: &str) -> Running {
        Running { version: version.into(), bank: bank.into() }
    }

    // Proves
    #[test]
    fn x_22_what_runs_after_the_boot() {
        for (before, named, now, code) in [
            (("1", ""), None, ("2", ""), 0),
            (("1", ""), Some("2"), ("2", ""), 0),
            // Named in other words than it then says of itself.
            (("1", ""), Some("v2"), ("2", ""), 0),
            (("1", ""), None, ("1", ""), 9010),
            (("1", ""), Some("2"), ("1", ""), 9010),
            // The same version, flashed again.
            (("1", ""), Some("1"), ("1", ""), 0),
            (("1", "a"), None, ("1", "b"), 0),
            (("1", "a"), Some("1"), ("1", "a"), 9018),
            (("1", "a"), Some("2"), ("1", "a"), 9018),
            // Written in place.
            (("1", "a"), None, ("2", "a"), 0),
            (("1", "a"), None, ("2", ""), 0),
        ] {
            let judged = judge(&running(before.0, before.1), named, &running(now.0, now.1));
            let found = judged.as_ref().err().map_or(0, |fault| fault.code.0);
            assert_eq!(found, code, "{before:?} {named:?} {now:?}: {judged:?}");
        }
        let text = judge(&running("1.0", ""), Some("2.0"), &running("1.0", "")).unwrap_err().text;
        assert_eq!(
            text,
            "the former image came back: 1.0 ran before and 1.0 runs now; the image calls itself 2.0"
        );
    }
}
