//! The control socket: what the command line asks of the running daemon.
//!
//! A client connects to `run_dir/cwmpd.sock` (mode 0600), writes one [`Request`] as one line of JSON
//! and reads [`Line`]s of JSON until one that ends the answer: `{"ok":true}` or `{"error":{…}}`.
//! One request a connection. Both sides of the protocol are defined here.

mod asked;
mod report;

pub use report::{
    NextReport, RebootReport, RollbackReport, SessionReport, StatusReport, TransferReport, TrialReport,
};

use crate::model::fault::{Code, Fault};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest line of a request, bytes, its end included.
pub const MAX_REQUEST: usize = 64 * 1024;

/// How deep a request nests: an object, its list, the pairs in it.
const MAX_NESTING: usize = 3;

/// The longest line of an answer, bytes: a value of any length the tree holds, escaped.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// How long a client waits for the next line: longer than the slowest source may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", try_from = "asked::Asked")]
pub enum Request {
    /// Values; answered by [`Line::Value`]s.
    Get {
        /// Full or partial paths.
        paths: Vec<String>,
    },
    /// One transaction, a change by somebody other than the ACS.
    Set {
        /// Path and value.
        values: Vec<(String, String)>,
    },
    /// A new instance; answered by [`Line::Instance`].
    Add {
        /// The table, with its final dot.
        path: String,
    },
    /// Removes an instance.
    Del {
        /// The instance, with its final dot.
        path: String,
    },
    /// Names; answered by [`Line::Name`]s.
    Names {
        /// A full or partial path.
        path: String,
        /// Only what lies directly below it.
        next_level: bool,
    },
    /// A transfer that a person at the device asks for.
    Transfer {
        /// The device's file goes out, else one comes in.
        upload: bool,
        /// As in Download or Upload.
        file_type: String,
        /// Absolute.
        url: String,
        /// For the file server.
        username: String,
        /// For the file server.
        password: String,
    },
    /// The ACS is to be asked for a Download (A.4.2.2).
    RequestDownload {
        /// FileType.
        file_type: String,
        /// FileTypeArg: name and value.
        arguments: Vec<(String, String)>,
    },
    /// A person lets transfers begin whose window wants that.
    Confirm {
        /// CommandKey, or `#` and the number.
        key: String,
    },
    /// Takes transfers back that have not begun to change anything.
    Cancel {
        /// CommandKey, or `#` and the number.
        key: String,
    },
    /// Starts a session with the ACS as soon as can be.
    Inform {
        /// A vendor's event that it tells (V-26); empty for none.
        #[serde(skip_serializing_if = "String::is_empty")]
        event: String,
    },
    /// Something was handed over by a DHCP client or server, and lies in `run_dir`.
    Leases,
    /// How it goes; answered by [`Line::Status`].
    Status,
}

impl fmt::Debug for Request {
    /// The operation alone: a request may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Request::Get { .. } => "get",
            Request::Set { .. } => "set",
            Request::Add { .. } => "add",
            Request::Del { .. } => "del",
            Request::Names { .. } => "names",
            Request::Transfer { .. } => "transfer",
            Request::RequestDownload { .. } => "requestdownload",
            Request::Confirm { .. } => "confirm",
            Request::Cancel { .. } => "cancel",
            Request::Inform { .. } => "inform",
            Request::Leases => "leases",
            Request::Status => "status",
        })
    }
}

impl Request {
    /// Whether it changes values or rows.
    pub fn changes(&self) -> bool {
        matches!(self, Request::Set { .. } | Request::Add { .. } | Request::Del { .. })
    }

    /// Reads the one line of a connection (server side).
    ///
    /// # Errors
    /// What to answer: not a request, longer than [`MAX_REQUEST`], or not there in time.
    pub fn read(from: &mut impl Read) -> Result<Request, Failure> {
        let mut line = Vec::new();
        let read = BufReader::new(from.take(MAX_REQUEST as u64)).read_until(b'\n', &mut line);
        read.map_err(|e| Failure::new(Code::INTERNAL_ERROR, format!("the request cannot be read: {e}")))?;
        if line.last() != Some(&b'\n') {
            let why = if line.len() >= MAX_REQUEST { "longer than 64 KiB" } else { "cut short" };
            return Err(Failure::new(Code::RESOURCES_EXCEEDED, format!("the request is {why}")));
        }
        if is_deeper(&line, MAX_NESTING) {
            let why = "not a request: it nests too deep";
            return Err(Failure::new(Code::INVALID_ARGUMENTS, why));
        }
        serde_json::from_slice(&line)
            .map_err(|e| Failure::new(Code::INVALID_ARGUMENTS, format!("not a request: {e}")))
    }
}

/// Whether JSON nests deeper than this. serde reads it by recursion, 128 levels if a peer wants it,
/// and the threads of the control socket have small stacks.
fn is_deeper(json: &[u8], most: usize) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    json.iter().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > most
    })
}

/// One line of an answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged, try_from = "Fields")]
pub enum Line {
    /// A parameter with its value; hidden ones are empty.
    Value {
        /// Its full path.
        path: String,
        /// Its value in canonical form.
        value: String,
    },
    /// A name, objects with their final dot.
    Name {
        /// Its full path.
        path: String,
        /// Whether it can be set, or for an object whether instances can be added or deleted.
        writable: bool,
    },
    /// A new instance.
    Instance {
        /// Its number.
        instance: u32,
        /// Its path, with the final dot.
        path: String,
    },
    /// How it goes.
    Status {
        /// All of it.
        status: Box<StatusReport>,
    },
    /// The end: it went well.
    Ok {
        /// Always true.
        ok: bool,
        /// 1 when a change takes effect only after the session that is under way (Status of A.3.2.1).
        #[serde(skip_serializing_if = "is_zero")]
        applied_later: u8,
    },
    /// The end: it did not.
    Error {
        /// Why.
        error: Failure,
    },
}

fn is_zero(n: &u8) -> bool {
    *n == 0
}

/// Every field that a line may have: which are there says which line it is. Serde's own way for an
/// untagged enum would be fifty kilobytes of trying one after the other.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    path: Option<String>,
    value: Option<String>,
    writable: Option<bool>,
    instance: Option<u32>,
    status: Option<Box<StatusReport>>,
    ok: Option<bool>,
    applied_later: u8,
    error: Option<Failure>,
}

impl TryFrom<Fields> for Line {
    type Error = &'static str;

    fn try_from(f: Fields) -> Result<Line, &'static str> {
        Ok(match f {
            Fields { error: Some(error), .. } => Line::Error { error },
            Fields { status: Some(status), .. } => Line::Status { status },
            Fields { path: Some(path), value: Some(value), .. } => Line::Value { path, value },
            Fields { path: Some(path), writable: Some(writable), .. } => Line::Name { path, writable },
            Fields { path: Some(path), instance: Some(instance), .. } => Line::Instance { instance, path },
            Fields { ok: Some(ok), applied_later, .. } => Line::Ok { ok, applied_later },
            _ => return Err("not a line of an answer"),
        })
    }
}

impl Line {
    /// The end of an answer that went well.
    pub fn ok() -> Line {
        Line::Ok { ok: true, applied_later: 0 }
    }

    /// Writes it with its end of line.
    ///
    /// # Errors
    /// The peer is gone, or does not read.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *to, self)?;
        to.write_all(b"\n")
    }
}

/// Why a request had no effect: a fault of the tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Failure {
    /// A code of TR-069 A.5.1.
    pub code: u16,
    /// What is wrong, for a person.
    pub text: String,
    /// For `set`, each bad parameter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<BadParameter>,
}

/// One parameter that could not be set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BadParameter {
    /// The path as it was written.
    pub path: String,
    /// A code of TR-069 A.5.1.
    pub code: u16,
    /// What is wrong, for a person.
    pub text: String,
}

impl Failure {
    /// A failure without parameters.
    pub fn new(code: Code, text: impl Into<String>) -> Failure {
        Failure { code: code.0, text: text.into(), parameters: Vec::new() }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        let parameters = fault.parameters.into_iter();
        Failure {
            code: fault.code.0,
            text: fault.text,
            parameters: parameters
                .map(|p| BadParameter { path: p.name, code: p.code.0, text: p.text })
                .collect(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)?;
        self.parameters.iter().try_for_each(|p| write!(f, "\n  {}: {} {}", p.path, p.code, p.text))
    }
}

/// Why the daemon gave no answer.
#[derive(Debug)]
pub enum Error {
    /// Nobody listens there, or we may not talk to it.
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The request is too long to be sent.
    TooLong,
    /// The daemon went away, or says what this program does not understand.
    Broken(String),
    /// The daemon answered with a fault.
    Failed(Failure),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unreachable { socket, source } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    write!(f, "the daemon is not running (nobody listens at {})", socket.display())
                }
                _ => write!(f, "the daemon cannot be reached at {}: {source}", socket.display()),
            },
            Error::TooLong => write!(f, "the request is longer than 64 KiB"),
            Error::Broken(why) => write!(f, "the daemon gave no whole answer: {why}"),
            Error::Failed(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// Asks the daemon (client side); `each` takes the lines before the last and says whether it wants
/// more. Returns the last line, [`Line::Ok`].
///
/// # Errors
/// See [`Error`].
pub fn ask(socket: &Path, request: &Request, each: &mut dyn FnMut(Line) -> bool) -> Result<Line, Error> {
    let unreachable = |source| Error::Unreachable { socket: socket.to_path_buf(), source };
    let broken = |e: io::Error| match e.kind() {
        io::ErrorKind::WouldBlock => Error::Broken(format!("no line in {} s", PATIENCE.as_secs())),
        _ => Error::Broken(e.to_string()),
    };
    // A request holds strings only, and those are always JSON.
    let mut line = serde_json::to_vec(request).map_err(|e| Error::Broken(e.to_string()))?;
    line.push(b'\n');
    if line.len() > MAX_REQUEST {
        return Err(Error::TooLong);
    }
    let mut stream = UnixStream::connect(socket).map_err(unreachable)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(unreachable)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(unreachable)?;
    stream.write_all(&line).map_err(broken)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        reader.by_ref().take(MAX_ANSWER as u64).read_until(b'\n', &mut line).map_err(broken)?;
        if line.last() != Some(&b'\n') {
            let why = if line.len() >= MAX_ANSWER { "a line is too long" } else { "it ended early" };
            return Err(Error::Broken(why.into()));
        }
        match serde_json::from_slice(&line).map_err(|e| Error::Broken(e.to_string()))? {
            Line::Error { error } => return Err(Error::Failed(error)),
            done @ Line::Ok { .. } => return Ok(done),
            line => {
                if !each(line) {
                    return Ok(Line::ok());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_as_they_are_written() {
        let cases = [
            (r#"{"op":"get","paths":["Device."]}"#, Request::Get { paths: vec!["Device.".into()] }),
            (r#"{"op":"set","values":[["a","b"]]}"#, Request::Set { values: vec![("a".into(), "b".into())] }),
            (r#"{"op":"add","path":"Device.X."}"#, Request::Add { path: "Device.X.".into() }),
            (r#"{"op":"del","path":"Device.X.1."}"#, Request::Del { path: "Device.X.1.".into() }),
            (r#"{"op":"names","path":""}"#, Request::Names { path: String::new(), next_level: false }),
            (r#"{"op":"get","paths":["[[[[\\\"[{"]}"#, Request::Get { paths: vec!["[[[[\\\"[{".into()] }),
            (r#"{"op":"inform"}"#, Request::Inform { event: String::new() }),
            (r#"{"op":"inform","event":"X 00D09E A"}"#, Request::Inform { event: "X 00D09E A".into() }),
            (r#"{"op":"status"}"#, Request::Status),
            (r#"{"op":"cancel","key":"k"}"#, Request::Cancel { key: "k".into() }),
            (r##"{"op":"confirm","key":"#3"}"##, Request::Confirm { key: "#3".into() }),
            (
                r#"{"op":"requestdownload","file_type":"1 F","arguments":[["a","b"]]}"#,
                Request::RequestDownload {
                    file_type: "1 F".into(),
                    arguments: vec![("a".into(), "b".into())],
                },
            ),
            (
                r#"{"op":"transfer","upload":true,"file_type":"1 F","url":"u","password":"p"}"#,
                Request::Transfer {
                    upload: true,
                    file_type: "1 F".into(),
                    url: "u".into(),
                    username: String::new(),
                    password: "p".into(),
                },
            ),
        ];
        for (text, request) in cases {
            assert_eq!(Request::read(&mut format!("{text}\n").as_bytes()).unwrap(), request);
            let again = serde_json::to_string(&request).unwrap();
            assert_eq!(Request::read(&mut format!("{again}\nmore").as_bytes()).unwrap(), request);
        }
    }

    #[test]
    fn what_is_no_request_is_answered_with_a_fault() {
        let long = format!(r#"{{"op":"get","paths":["{}"]}}"#, "x".repeat(MAX_REQUEST));
        let deep = format!(r#"{{"op":"get","paths":{}"#, "[".repeat(20_000)) + "\n";
        for (text, code) in [
            ("{}\n", 9003),
            ("\n", 9003),
            ("{\"op\":\"reboot\"}\n", 9003),
            ("{\"op\":\"get\",\"paths\":[],\"x\":1}\n", 9003),
            ("{\"op\":\"get\",\"paths\":[],\"path\":\"\"}\n", 9003),
            ("{\"op\":\"get\"}\n", 9003),
            ("{\"paths\":[]}\n", 9003),
            ("{\"op\":\"status\"}", 9004),
            ("", 9004),
            (long.as_str(), 9004),
            (deep.as_str(), 9003),
        ] {
            assert_eq!(Request::read(&mut text.as_bytes()).unwrap_err().code, code, "{text:.40}");
        }
    }

    /// A daemon that is none: what the command line reads of it has an end.
    #[test]
    fn an_answer_without_end_is_given_up() {
        let path = std::env::temp_dir().join(format!("cwmpd-control-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let daemon = std::thread::spawn(move || {
            for long in [MAX_ANSWER, 1000] {
                let (mut shell, _) = socket.accept().unwrap();
                Request::read(&mut shell).unwrap();
                // The shell may go away in the middle of it.
                let _ = shell.write_all(&vec![b'x'; long]);
            }
        });
        for words in ["too long", "ended early"] {
            let asked = ask(&path, &Request::Status, &mut |_| true);
            assert!(matches!(&asked, Err(Error::Broken(why)) if why.contains(words)), "{asked:?}");
        }
        daemon.join().unwrap();
        std::fs::remove_file(path).unwrap();
        let long = Request::Get { paths: vec!["x".repeat(MAX_REQUEST)] };
        assert!(matches!(ask(Path::new("/no/where"), &long, &mut |_| true), Err(Error::TooLong)));
    }

    #[test]
    fn lines_as_they_are_written() {
        let failure = Failure {
            parameters: vec![BadParameter { path: "a".into(), code: 9007, text: "no".into() }],
            ..Failure::new(Code::INVALID_ARGUMENTS, "bad")
        };
        for (line, text) in [
            (Line::Value { path: "a".into(), value: "b\n".into() }, r#"{"path":"a","value":"b\n"}"#),
            (Line::Name { path: "a.".into(), writable: true }, r#"{"path":"a.","writable":true}"#),
            (Line::Instance { instance: 3, path: "a.3.".into() }, r#"{"instance":3,"path":"a.3."}"#),
            (Line::ok(), r#"{"ok":true}"#),
            (Line::Ok { ok: true, applied_later: 1 }, r#"{"ok":true,"applied_later":1}"#),
            (
                Line::Error { error: failure },
                r#"{"error":{"code":9003,"text":"bad","parameters":[{"path":"a","code":9007,"text":"no"}]}}"#,
            ),
        ] {
            let mut bytes = Vec::new();
            line.write(&mut bytes).unwrap();
            assert_eq!(bytes, format!("{text}\n").as_bytes());
            assert_eq!(serde_json::from_slice::<Line>(&bytes).unwrap(), line);
        }
        let status = Line::Status { status: Box::default() };
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), status);
        assert_eq!(serde_json::from_str::<Line>(r#"{"status":{}}"#).unwrap(), status);
    }
}
