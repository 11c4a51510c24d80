//! What a failure of an exchange is to the ACS.

use super::Failure;
use crate::model::fault::{Code, Fault};
use crate::net::error::Error;

/// The longest text of a transfer's fault, in characters.
const MAX_TEXT: usize = 200;

/// The text, no longer than a fault's may be.
pub fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
    }
    text
}

/// A fault with a bounded text.
pub fn fault(code: Code, text: String) -> Failure {
    Failure::Fault(Fault::new(code, cut(text)))
}

/// Why there was no answer. `incomplete` is the code for a transfer that began and did not end: 9017 or 9011.
pub fn of_exchange(error: Error, host: &str, incomplete: Code) -> Failure {
    let contact = |text: String| fault(Code::CONTACT_SERVER, text);
    match error {
        Error::Woken => Failure::Stopped,
        Error::Url(why) => contact(format!("the URL: {why}")),
        Error::Credentials(text) => contact(text),
        Error::Resolve(_) | Error::Connect(_) | Error::Tls(_) => contact(error.to_string()),
        Error::Timeout("name lookup" | "TCP connect" | "TLS handshake") => {
            contact(format!("{host}: {error}"))
        }
        Error::Authentication(text) => fault(Code::SERVER_AUTHENTICATION, text),
        Error::Redirect(text) => fault(Code::ACCESS_FILE, text),
        Error::Status { code, .. } => of_status(code, host),
        Error::Timeout("session") => fault(incomplete, format!("{host}: it took too long in all")),
        Error::Timeout(_) | Error::TooLarge(_) | Error::Broken(_) => {
            fault(incomplete, format!("{host}: {error}"))
        }
    }
}

/// What an HTTP status that is no success means.
pub fn of_status(status: u16, host: &str) -> Failure {
    // 401 has become Error::Authentication already
    let code = if status == 407 { Code::SERVER_AUTHENTICATION } else { Code::ACCESS_FILE };
    Failure::Status(status, Fault::new(code, cut(format!("{host}: HTTP status {status}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves: X-15
    #[test]
    fn x_15_codes() {
        let text = || "why".to_string();
        let table = [
            (Error::Url(text()), 9015),
            (Error::Credentials(text()), 9015),
            (Error::Resolve(text()), 9015),
            (Error::Connect(text()), 9015),
            (Error::Tls(text()), 9015),
            (Error::Timeout("TCP connect"), 9015),
            (Error::Timeout("TLS handshake"), 9015),
            (Error::Timeout("name lookup"), 9015),
            (Error::Authentication(text()), 9012),
            (Error::Redirect(text()), 9016),
            (Error::Timeout("session"), 9011),
            (Error::Timeout("reading the response"), 9011),
            (Error::TooLarge(text()), 9011),
            (Error::Broken(text()), 9011),
        ];
        for (error, want) in table {
            let what = error.to_string();
            match of_exchange(error, "files.example", Code::UPLOAD_FAILURE) {
                Failure::Fault(fault) => assert_eq!(fault.code.0, want, "{what}"),
                other => panic!("{what}: {other:?}"),
            }
        }
        for (status, want) in [(403, 9016), (404, 9016), (410, 9016), (407, 9012), (500, 9016), (503, 9016)] {
            match of_status(status, "files.example") {
                Failure::Status(code, fault) => assert_eq!((code, fault.code.0), (status, want)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(of_exchange(Error::Woken, "h", Code::UPLOAD_FAILURE), Failure::Stopped);
    }

    #[test]
    fn texts_are_bounded() {
        assert_eq!(cut("ü".repeat(MAX_TEXT + 1)), "ü".repeat(MAX_TEXT));
        assert_eq!(cut("short".to_string()), "short");
    }
}
