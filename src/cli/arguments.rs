//! The command line as typed data.

use super::diag::Test;
use super::snapshot::{Access, Question};
use crate::agent::control::Request;
use crate::config::default_file;
use lexopt::prelude::*;
use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;

/// What `--help` says.
pub(super) const HELP: &str = "\
cwmpd, a TR-069 (CWMP) agent

    cwmpd run                      the daemon, in the foreground
    cwmpd check                    is the configuration right, are the overlays?
    cwmpd status                   how it goes, and why a session failed
    cwmpd inform [EVENT]           start a session with the ACS now; to tell it
                                   an event of one's own: \"X 00D09E Name\"
    cwmpd names [PATH]             one full path a line, objects with their final dot
    cwmpd get PATH...              path=value, one a line
    cwmpd set PATH=VALUE...        all of it or nothing
    cwmpd add TABLE.               a new instance; prints its path
    cwmpd del TABLE.NUMBER.        removes an instance
    cwmpd transfers                files that wait to be moved, are on their way, or were
    cwmpd transfers confirm KEY    lets one begin that waits for a person's word
    cwmpd transfers cancel KEY     takes one back; KEY is the CommandKey, or #NUMBER
    cwmpd download TYPE URL        a transfer of one's own, such as
    cwmpd upload TYPE URL              cwmpd upload \"2 Vendor Log File\" https://host/place
    cwmpd request-download TYPE [NAME=VALUE...]
                                   asks the ACS for a download
    cwmpd lease 4|6 INTERFACE [DEVICE]
                                   for a DHCP client's script: hands over what a provider said with
                                   a lease (opt43, opt125 or OPTION_17 of the environment)
    cwmpd lease del 4|6 INTERFACE  the lease is no more
    cwmpd lease device add|del MAC for a DHCP server's script: DNSMASQ_CPEWAN_OUI, _SERIAL, _CLASS
    cwmpd dhcp-options             what DHCP clients and server are to say of this device
    cwmpd verify IMAGE [SIGNATURE] would the agent take this firmware image?
    cwmpd diag ping|trace|udpecho HOST [NAME=VALUE...]
    cwmpd diag nslookup NAME [SERVER] [NAME=VALUE...]
    cwmpd diag select|capacity HOST,... [NAME=VALUE...]
    cwmpd diag download|upload URL [NAME=VALUE...]
                                   measures from here, as the ACS would have it measured; a NAME is the
                                   standard's: NumberOfRepetitions=100, ProtocolVersion=IPv6
    cwmpd snapshot FILE            all that the tree reads of this device, secrets masked, in one file
    cwmpd replay FILE get PATH...  the tree of a snapshot, on any machine
    cwmpd replay FILE names [PATH]
    cwmpd replay FILE run URL      the daemon on it, for an ACS; prints how to ask it
    cwmpd replay FILE unpack FOLDER    to be the `root` of an agent

A PATH may be partial: `cwmpd get Device.DeviceInfo.` shows all that is below.

    --config FILE   instead of /etc/cwmpd/cwmpd.toml or, where that is not, /etc/config/cwmpd
    --json          one JSON object a line
    --next-level    with names: only what lies directly below
    --follow        with transfers: until none is left that waits or runs
    --device NAME   with diag: by this network device
    --username U    with download and upload, for the file server; with replay, for the ACS
    --password-file F              a file that holds its password
    --help, --version

Exit codes: 0 done; 1 the daemon refused or failed; 2 wrong command line;
3 wrong configuration; 4 the daemon is not running; 5 the daemon could not run.
";

pub(super) enum Parsed {
    Help,
    Version,
    Word(Arguments),
}

pub(super) struct Arguments {
    pub word: Word,
    pub config: PathBuf,
    pub json: bool,
}

pub(super) enum Word {
    Run,
    Check,
    Verify {
        image: PathBuf,
        signature: Option<PathBuf>,
    },
    Ask(Request),
    /// What a DHCP client or server hands over.
    Lease(Said),
    /// The options that tell who the device is.
    DhcpOptions,
    /// A test of the network.
    Diag(Box<Test>),
    /// A router into a file.
    Snapshot(PathBuf),
    /// A router from a file.
    Replay(PathBuf, Question),
    /// What moves, once or until nothing does.
    Transfers {
        follow: bool,
    },
}

/// What is handed over; the values are in the environment.
pub(super) enum Said {
    /// A lease of this family on this interface, which the kernel calls `device`.
    Lease { family: u8, interface: String, device: String },
    /// It is no more.
    Gone { family: u8, interface: String },
    /// The device of this MAC address is there, or gone.
    Device { there: bool, mac: String },
}

/// What stands behind two dashes and goes with some words only.
#[derive(Default)]
struct Extra {
    next_level: bool,
    follow: bool,
    device: Option<String>,
    username: String,
    password: String,
}

/// Parses the arguments behind the program's name.
pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut config = None;
    let (mut json, mut extra) = (false, Extra::default());
    let mut words = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Parsed::Help),
            Short('V') | Long("version") => return Ok(Parsed::Version),
            Short('c') | Long("config") => config = Some(PathBuf::from(parser.value()?)),
            Long("json") => json = true,
            Long("next-level") => extra.next_level = true,
            Long("follow") => extra.follow = true,
            Long("device") => extra.device = Some(parser.value()?.string()?),
            Long("username") => extra.username = parser.value()?.string()?,
            Long("password-file") => extra.password = password(&PathBuf::from(parser.value()?))?,
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    let mut words = words.into_iter();
    let Some(first) = words.next() else {
        return Err("what shall be done?".into());
    };
    let word = word(&first, words.collect(), &extra)?;
    let names = matches!(word, Word::Ask(Request::Names { .. }) | Word::Replay(_, Question::Names(..)));
    if extra.next_level && !names {
        return Err("--next-level goes with names only".into());
    }
    if extra.follow && !matches!(word, Word::Transfers { .. }) {
        return Err("--follow goes with transfers only".into());
    }
    if extra.device.is_some() && !matches!(word, Word::Diag(_)) {
        return Err("--device goes with diag only".into());
    }
    let named = !extra.username.is_empty() || !extra.password.is_empty();
    let signs_on = matches!(word, Word::Ask(Request::Transfer { .. }) | Word::Replay(_, Question::Run(_)));
    if named && !signs_on {
        return Err("--username and --password-file go with download, upload and replay run only".into());
    }
    let config = config.unwrap_or_else(default_file);
    Ok(Parsed::Word(Arguments { word, config, json }))
}

/// The first line of a file: a password on the command line could be read by everybody.
fn password(file: &std::path::Path) -> Result<String, lexopt::Error> {
    const MOST: u64 = 4096;
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(MOST).read_to_string(&mut text));
    read.map_err(|e| format!("{}: {e}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn word(first: &str, rest: Vec<String>, extra: &Extra) -> Result<Word, lexopt::Error> {
    let next_level = extra.next_level;
    let alone = |word| {
        if rest.is_empty() { Ok(word) } else { Err(format!("{first} takes no argument")) }
    };
    let one = || match &rest[..] {
        [path] => Ok(path.clone()),
        _ => Err(format!("{first} takes one path")),
    };
    Ok(match first {
        "run" => alone(Word::Run)?,
        "check" => alone(Word::Check)?,
        "verify" => match &rest[..] {
            [image] => Word::Verify { image: image.into(), signature: None },
            [image, signature] => Word::Verify { image: image.into(), signature: Some(signature.into()) },
            _ => return Err("verify takes an image, and perhaps its signature".into()),
        },
        "lease" => match rest.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [family @ ("4" | "6"), interface, ref device @ ..] if device.len() < 2 => {
                let device = device.first().unwrap_or(&interface);
                let family = if family == "4" { 4 } else { 6 };
                Word::Lease(Said::Lease { family, interface: interface.into(), device: (*device).into() })
            }
            ["del", family @ ("4" | "6"), interface] => {
                let family = if family == "4" { 4 } else { 6 };
                Word::Lease(Said::Gone { family, interface: interface.into() })
            }
            ["device", what @ ("add" | "del"), mac] => {
                Word::Lease(Said::Device { there: what == "add", mac: mac.to_owned() })
            }
            _ => {
                return Err(
                    "lease takes `4|6 INTERFACE [DEVICE]`, `del 4|6 INTERFACE`, or `device add|del MAC`"
                        .into(),
                );
            }
        },
        "diag" => Word::Diag(Box::new(Test::parse(&rest, extra.device.clone())?)),
        "snapshot" => Word::Snapshot(one()?.into()),
        "replay" => match rest.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [file, "get", _, ..] => Word::Replay(file.into(), Question::Get(rest[2..].to_vec())),
            [file, "names"] => Word::Replay(file.into(), Question::Names(String::new(), next_level)),
            [file, "names", path] => Word::Replay(file.into(), Question::Names(path.to_owned(), next_level)),
            [file, "run", url] => {
                let (username, password) = (extra.username.clone(), extra.password.clone());
                Word::Replay(file.into(), Question::Run(Access { url: url.to_owned(), username, password }))
            }
            [file, "unpack", folder] => Word::Replay(file.into(), Question::Unpack(folder.into())),
            _ => {
                return Err(
                    "replay takes FILE and `get PATH...`, `names [PATH]`, `run URL` or `unpack FOLDER`"
                        .into(),
                );
            }
        },
        "dhcp-options" => alone(Word::DhcpOptions)?,
        "status" => alone(Word::Ask(Request::Status))?,
        "inform" => match &rest[..] {
            [] => Word::Ask(Request::Inform { event: String::new() }),
            [event] => Word::Ask(Request::Inform { event: event.clone() }),
            _ => return Err("inform takes one event, in quotes".into()),
        },
        "names" if rest.is_empty() => Word::Ask(Request::Names { path: String::new(), next_level }),
        "names" => Word::Ask(Request::Names { path: one()?, next_level }),
        "add" => Word::Ask(Request::Add { path: one()? }),
        "del" => Word::Ask(Request::Del { path: one()? }),
        "get" if rest.is_empty() => return Err("get takes at least one path".into()),
        "get" => Word::Ask(Request::Get { paths: rest }),
        "set" if rest.is_empty() => return Err("set takes at least one PATH=VALUE".into()),
        "set" => {
            let pair = |text: &String| assignment(text).ok_or_else(|| format!("`{text}` is not PATH=VALUE"));
            Word::Ask(Request::Set { values: rest.iter().map(pair).collect::<Result<_, _>>()? })
        }
        "download" | "upload" => match <[String; 2]>::try_from(rest) {
            Ok([file_type, url]) => Word::Ask(Request::Transfer {
                upload: first == "upload",
                file_type,
                url,
                username: extra.username.clone(),
                password: extra.password.clone(),
            }),
            Err(_) => return Err(format!("{first} takes a file type and a URL").into()),
        },
        "request-download" => {
            let mut rest = rest.into_iter();
            let Some(file_type) = rest.next() else {
                return Err("request-download takes a file type".into());
            };
            let pair = |text: String| match text.split_once('=') {
                Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
                _ => Err(format!("`{text}` is not NAME=VALUE")),
            };
            let arguments = rest.map(pair).collect::<Result<_, _>>()?;
            Word::Ask(Request::RequestDownload { file_type, arguments })
        }
        "transfers" => match rest.as_slice() {
            [] => Word::Transfers { follow: extra.follow },
            [what, key] if what == "confirm" => Word::Ask(Request::Confirm { key: key.clone() }),
            [what, key] if what == "cancel" => Word::Ask(Request::Cancel { key: key.clone() }),
            _ => return Err("transfers takes nothing, `confirm KEY` or `cancel KEY`".into()),
        },
        _ => return Err(format!("there is no `{first}`").into()),
    })
}

/// Path and value: cut at the first `=` that is not part of an alias in brackets.
fn assignment(text: &str) -> Option<(String, String)> {
    let mut from = 0;
    let at = loop {
        let rest = text.get(from..)?;
        let at = rest.find(['=', '['])?;
        let mark = rest.get(at..)?;
        if mark.starts_with('=') {
            break from + at;
        }
        // As in a path, a bracket closes with a dot behind it.
        from += at + mark.find("].").or_else(|| mark.find("]="))? + 1;
    };
    let (path, value) = text.split_at(at);
    (!path.is_empty()).then(|| (path.to_owned(), value[1..].to_owned())) // it begins with the `=`
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Result<Request, String> {
        match parse(line.split(' ').map(OsString::from)) {
            Ok(Parsed::Word(Arguments { word: Word::Ask(request), .. })) => Ok(request),
            Ok(_) => Err("no request".into()),
            Err(e) => Err(e.to_string()),
        }
    }

    #[test]
    fn words_become_requests() {
        let text = String::from;
        assert_eq!(request("get Device. A"), Ok(Request::Get { paths: vec![text("Device."), text("A")] }));
        assert_eq!(request("names"), Ok(Request::Names { path: text(""), next_level: false }));
        assert_eq!(
            request("names A. --next-level"),
            Ok(Request::Names { path: text("A."), next_level: true })
        );
        assert_eq!(request("add A."), Ok(Request::Add { path: text("A.") }));
        assert_eq!(request("del A.1."), Ok(Request::Del { path: text("A.1.") }));
        assert_eq!(request("--json status"), Ok(Request::Status));
        assert_eq!(request("inform --config x"), Ok(Request::Inform { event: String::new() }));
        assert_eq!(request("transfers confirm k"), Ok(Request::Confirm { key: text("k") }));
        assert_eq!(request("transfers cancel #3"), Ok(Request::Cancel { key: text("#3") }));
        let (file_type, username) = (text("X"), text("u"));
        let url = text("http://h/?a=b");
        let transfer = Request::Transfer { upload: true, file_type, url, username, password: text("") };
        assert_eq!(request("upload X http://h/?a=b --username u"), Ok(transfer));
        let arguments = vec![(text("A"), text("b=c"))];
        let asked = Request::RequestDownload { file_type: text("X"), arguments };
        assert_eq!(request("request-download X A=b=c"), Ok(asked));
        let values = vec![(text("A.[x=y].B"), text("1=2")), (text("C"), text(""))];
        assert_eq!(request("set A.[x=y].B=1=2 C="), Ok(Request::Set { values }));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "",
            "reboot",
            "get",
            "set",
            "set A",
            "set =1",
            "add",
            "add A. B.",
            "del",
            "names A B",
            "status x",
            "run x",
            "check x",
            "verify",
            "verify a b c",
            "--colour get A",
            "get A --next-level",
            "get A --follow",
            "get A --username u",
            "transfers confirm",
            "transfers x y",
            "upload X",
            "download X http://h/ --password-file /no/such/file",
            "request-download",
            "request-download X A",
            "lease",
            "lease 5 wan",
            "lease 4",
            "lease 4 wan eth1 x",
            "lease del wan",
            "lease device old m",
            "dhcp-options x",
            "diag",
            "diag dig",
            "get A --device eth0",
            "snapshot",
            "snapshot a b",
            "replay",
            "replay f",
            "replay f get",
            "replay f run",
            "replay f unpack",
            "replay f names --follow",
            "replay f get A. --next-level",
            "replay f names --username u",
            "--config",
        ] {
            assert!(request(line).is_err_and(|e| e != "no request"), "{line}");
        }
    }
}
