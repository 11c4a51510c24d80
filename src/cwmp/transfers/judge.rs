//! Whether what is asked can be done at all: what the answer to the RPC says (X-2 to,
//! What only the device knows (an instance, free space) the agent judges besides.

use super::{Asked, FileType, MAX_WINDOWS, Method, Origin, Window};
use crate::model::fault::{Code, Fault};
use crate::net::url::Url;
use crate::sys::order;

/// The longest URL, Username, Password and TargetFileName of an RPC, in characters.
pub const MAX_TEXT: usize = 256;
/// The longest URL of what is asked for at the device, in characters (TransferURL, X-46).
pub const MAX_LOCAL_URL: usize = 1024;
/// The longest UserMessage of a time window, in characters.
pub const MAX_USER_MESSAGE: usize = 256;
/// The longest CommandKey, in characters.
pub const MAX_COMMAND_KEY: usize = 32;

/// Judges a request, and puts its windows in their order.
///
/// # Errors
/// 9003, or 9013 for a protocol that is not supported.
pub(super) fn asked(asked: &mut Asked) -> Result<(), Fault> {
    let long = |text: &str, most: usize| text.chars().count() > most;
    if long(&asked.command_key, MAX_COMMAND_KEY) {
        return Err(invalid(format!("CommandKey is longer than {MAX_COMMAND_KEY} characters")));
    }
    if FileType::parse(asked.method, &asked.file_type).is_none() {
        return Err(invalid("FileType is none that this method knows"));
    }
    for (name, text) in [
        ("Username", &asked.username),
        ("Password", &asked.password),
        ("TargetFileName", &asked.target_file_name),
    ] {
        if long(text, MAX_TEXT) {
            return Err(invalid(format!("{name} is longer than {MAX_TEXT} characters")));
        }
    }
    let most = if asked.origin == Origin::Acs { MAX_TEXT } else { MAX_LOCAL_URL };
    if long(&asked.url, most) {
        return Err(invalid(format!("URL is longer than {most} characters")));
    }
    url(&asked.url)?;
    match asked.method {
        Method::ScheduleDownload => windows(&mut asked.windows),
        _ if asked.windows.is_empty() => Ok(()),
        _ => Err(invalid("there are time windows, which this method does not have")),
    }
}

/// A URL of a file: what is neither http nor https is a protocol that is not supported, what is no URL
/// or names a user is wrong. The text never repeats it: it might hold a password.
fn url(text: &str) -> Result<(), Fault> {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|s| is_scheme(s));
    match scheme {
        None => return Err(invalid("URL has no scheme")),
        Some(s) if s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https") => {}
        Some(s) => {
            let text = format!("the protocol {s} is not supported: http and https are");
            return Err(Fault::new(Code::UNSUPPORTED_PROTOCOL, text));
        }
    }
    Url::parse(text).map_err(|what| invalid(format!("URL: {what}")))?;
    fragment(text).map_err(|what| invalid(format!("URL: {what}")))?;
    Ok(())
}

/// RFC 3986 3.1; the length is ours, so that it can be repeated in a fault.
fn is_scheme(text: &str) -> bool {
    let others = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    text.len() <= 16 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(others)
}

/// The SHA-256 that the fragment of a URL demands: `#sha256=` and 64 hexadecimal digits. Other
/// fragments mean nothing.
///
/// # Errors
/// It says `sha256=` and something else follows; a text for the ACS.
pub fn fragment(url: &str) -> Result<Option<[u8; 32]>, String> {
    let Some((_, fragment)) = url.split_once('#') else { return Ok(None) };
    let name = fragment.as_bytes().get(..7);
    if !name.is_some_and(|n| n.eq_ignore_ascii_case(b"sha256=")) {
        return Ok(None);
    }
    // Seven bytes of ASCII stand before it.
    let digits = fragment.as_bytes().get(7..).unwrap_or_default();
    let mut hash = [0; 32];
    if digits.len() != 64 {
        return Err("its sha256 does not have 64 digits".to_string());
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let (Some(high), Some(low)) = (value(pair[0]), value(pair[1])) else {
            return Err("its sha256 holds something that is no hexadecimal digit".to_string());
        };
        *byte = high << 4 | low;
    }
    Ok(Some(hash))
}

///
fn windows(windows: &mut [Window]) -> Result<(), Fault> {
    if windows.is_empty() || windows.len() > MAX_WINDOWS {
        return Err(invalid(format!("TimeWindowList has {} windows, and not 1 or 2", windows.len())));
    }
    order::sort_by(windows, |a, b| a.start.cmp(&b.start));
    for (n, window) in windows.iter().enumerate() {
        if window.start >= window.end {
            return Err(invalid("a time window ends before it begins"));
        }
        if window.user_message.chars().count() > MAX_USER_MESSAGE {
            return Err(invalid(format!("UserMessage is longer than {MAX_USER_MESSAGE} characters")));
        }
        if windows.get(n + 1).is_some_and(|next| next.start < window.end) {
            return Err(invalid("the time windows overlap"));
        }
    }
    Ok(())
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Code::INVALID_ARGUMENTS, text)
}
