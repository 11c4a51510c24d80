//! Why there was no answer, and how far the way to it was good.

use std::fmt;

/// Why an exchange failed; the text is for log and `status` and names the phase. Never holds a
/// credential.
#[derive(Debug)]
pub enum Error {
    /// The URL is not one the agent can use.
    Url(String),
    /// The CA file, certificate or key cannot be used.
    Credentials(String),
    /// Name lookup failed.
    Resolve(String),
    /// No TCP connection.
    Connect(String),
    /// No TLS: handshake, certificate, host name (S-5, S-6, S-10).
    Tls(String),
    /// The ACS refused our credentials, or asked in a way we do not answer (S-12, S-18).
    Authentication(String),
    /// Too many redirects, one without a usable Location, or one from https to http (T-25, T-28, T-30).
    Redirect(String),
    /// Another HTTP status (T-10, T-31); `retry_after` in seconds when the ACS asked for it (C-33).
    Status {
        /// The status code.
        code: u16,
        /// The request's body was compressed: perhaps the ACS cannot read it (T-33).
        compressed: bool,
        /// Seconds.
        retry_after: Option<u32>,
        /// The beginning of what it said about it in plain words; often the only hint.
        text: String,
    },
    /// A deadline passed; the text says which.
    Timeout(&'static str),
    /// A body or head beyond a limit.
    TooLarge(String),
    /// The peer does not speak HTTP, or the connection broke.
    Broken(String),
    /// The wait was woken: the agent stops.
    Woken,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Url(text) => write!(f, "the URL of the ACS: {text}"),
            Error::Credentials(text) => write!(f, "credentials: {text}"),
            Error::Resolve(text) => write!(f, "name lookup: {text}"),
            Error::Connect(text) => write!(f, "TCP: {text}"),
            Error::Tls(text) => write!(f, "TLS: {text}"),
            Error::Authentication(text) => write!(f, "authentication: {text}"),
            Error::Redirect(text) => write!(f, "redirect: {text}"),
            Error::Status { code, text, .. } if text.is_empty() => {
                write!(f, "the ACS answered with HTTP status {code}")
            }
            Error::Status { code, text, .. } => {
                write!(f, "the ACS answered with HTTP status {code}: {text}")
            }
            Error::Timeout(phase) => write!(f, "deadline passed: {phase}"),
            Error::TooLarge(text) => write!(f, "too large: {text}"),
            Error::Broken(text) => write!(f, "HTTP: {text}"),
            Error::Woken => f.write_str("the agent stops"),
        }
    }
}

impl std::error::Error for Error {}

/// How far a session came toward the ACS, in this order. Who changed the way to the ACS learns from it
/// whether the way is at fault: from [`Reached::Refused`] on it is not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Reached {
    /// Nothing: perhaps the name has no address, perhaps nobody was asked for it.
    #[default]
    Nothing,
    /// There was an address for the name; nobody answered there.
    Resolved,
    /// TCP, and then silence where TLS should have been.
    Tcp,
    /// The other end answered and refused: a reset, a TLS alert, a certificate that is no good.
    Refused,
    /// A whole connection: TCP, and TLS where the URL is https.
    Connected,
    /// HTTP: the status of the last response.
    Answered(u16),
}
