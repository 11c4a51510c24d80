//! What a file is for, and the platform's commands that make use of it, or make it.
//!
//! Which command is [`Purpose::of`]'s to say; an empty one means that the platform has no such files, and
//! the request is refused with 9003 before anything is promised. A name from the ACS never
//! becomes a path: files have the transfer's number, and what is uploaded from the tables of
//! DeviceInfo has the paths that the agent itself listed there.

pub mod firmware;

use crate::config::{Commands, Transfer, expand, has_word, seconds};
use crate::cwmp::transfers::Method;
use crate::handlers::linux::vendor_file::SYSTEM_LOG;
use crate::model::fault::{Code, Fault};
use crate::sys::command::{self, Error, Stream};
use crate::sys::file;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a FileType means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// `1 Firmware Upgrade Image`: see [`firmware`].
    Firmware,
    /// `6 Stored Firmware Image`: into the other bank, and not booted.
    StoredFirmware,
    /// `2 Web Content`.
    Web,
    /// `3 Vendor Configuration File`.
    Config,
    /// `4 Tone File`, `5 Ringer File`, `X <OUI> <name>`.
    Other,
    /// Upload `1 Vendor Configuration File`.
    SaveConfig,
    /// Upload `2 Vendor Log File`.
    ReadLog,
    /// Upload `3 Vendor Configuration File <i>`: this row of DeviceInfo.VendorConfigFile.
    ConfigFile(u32),
    /// Upload `4 Vendor Log File <i>`: this row of DeviceInfo.VendorLogFile.
    LogFile(u32),
}

impl Purpose {
    /// The meaning of a FileType; `None` when the standard has no such type.
    pub fn of(method: Method, file_type: &str) -> Option<Purpose> {
        let row = |text: &str| text.parse().ok().filter(|n| *n > 0 && !text.starts_with(['+', '0']));
        if method.is_download() {
            return Some(match file_type {
                "1 Firmware Upgrade Image" => Purpose::Firmware,
                "2 Web Content" => Purpose::Web,
                "3 Vendor Configuration File" => Purpose::Config,
                "4 Tone File" | "5 Ringer File" => Purpose::Other,
                "6 Stored Firmware Image" => Purpose::StoredFirmware,
                _ if is_vendors(file_type) => Purpose::Other,
                _ => return None,
            });
        }
        match file_type {
            "1 Vendor Configuration File" => Some(Purpose::SaveConfig),
            "2 Vendor Log File" => Some(Purpose::ReadLog),
            _ => {
                let config = file_type.strip_prefix("3 Vendor Configuration File ").and_then(row);
                let log = || file_type.strip_prefix("4 Vendor Log File ").and_then(row);
                config.map(Purpose::ConfigFile).or_else(|| log().map(Purpose::LogFile))
            }
        }
    }

    /// The command for it, with its name in `[commands]`; `None` for rows of DeviceInfo, which need none.
    pub fn command(self, commands: &Commands) -> Option<(&'static str, &[String])> {
        Some(match self {
            Purpose::Firmware => ("firmware_apply", &commands.firmware_apply),
            Purpose::StoredFirmware => ("firmware_store", &commands.firmware_store),
            Purpose::Web => ("web_apply", &commands.web_apply),
            Purpose::Config => ("config_apply", &commands.config_apply),
            Purpose::Other => ("file_apply", &commands.file_apply),
            Purpose::SaveConfig => ("config_save", &commands.config_save),
            Purpose::ReadLog => ("log_read", &commands.log_read),
            Purpose::ConfigFile(_) | Purpose::LogFile(_) => return None,
        })
    }

    /// Whether it is an image: [`check`] tests it, and it must be signed where keys are configured.
    pub fn is_firmware(self) -> bool {
        matches!(self, Purpose::Firmware | Purpose::StoredFirmware)
    }

    /// What a request's FileType means, if this platform has files of that type.
    ///
    /// # Errors
    /// 9003: it has not, or there is no such type.
    pub fn asked(commands: &Commands, method: Method, file_type: &str) -> Result<Purpose, Fault> {
        let unknown = || Fault::new(Code::INVALID_ARGUMENTS, "there is no such FileType");
        let purpose = Purpose::of(method, file_type).ok_or_else(unknown)?;
        match purpose.command(commands) {
            Some((key, [])) => {
                let text = format!("this device has no use for the FileType: commands.{key} is empty");
                Err(Fault::new(Code::INVALID_ARGUMENTS, text))
            }
            _ => Ok(purpose),
        }
    }
}

/// `X <OUI> <vendor's own>`: six upper-case hexadecimal digits.
fn is_vendors(file_type: &str) -> bool {
    let Some((oui, name)) = file_type.strip_prefix("X ").and_then(|rest| rest.split_once(' ')) else {
        return false;
    };
    let upper_hex = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    oui.len() == 6 && oui.bytes().all(upper_hex) && !name.is_empty()
}

/// What stands for the words of a command.
#[derive(Clone, Default, Debug)]
pub struct Words {
    /// `{file}`: the file of the transfer's number.
    pub file: PathBuf,
    /// `{file_type}`: as the ACS wrote it; one argument whatever is in it.
    pub file_type: String,
    /// `{bank}`: the bank that is not in use; empty where there are none.
    pub bank: String,
    /// `{command_key}`
    pub command_key: String,
    /// `{state_dir}`
    pub state_dir: PathBuf,
    /// `{run_dir}`
    pub run_dir: PathBuf,
}

impl Words {
    fn put_in(&self, argv: &[String]) -> Vec<String> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let (file, state_dir, run_dir) = (path(&self.file), path(&self.state_dir), path(&self.run_dir));
        let words = [
            ("file", file.as_str()),
            ("file_type", &self.file_type),
            ("bank", &self.bank),
            ("command_key", &self.command_key),
            ("state_dir", &state_dir),
            ("run_dir", &run_dir),
        ];
        expand(argv, &words)
    }
}

/// Why nothing came of a command.
#[derive(Debug)]
pub enum Failed {
    /// It was told to stop, and killed: it is for who said so to know what that means.
    Stopped,
    /// What the ACS is told.
    Fault(Fault),
}

/// The platform's own test of an image, `firmware_check`; good when there is none.
///
/// # Errors
/// 9018 when the platform refuses it, 9002 when it could not be asked.
pub fn check(
    commands: &Commands,
    settings: &Transfer,
    words: &Words,
    stop: BorrowedFd<'_>,
) -> Result<(), Failed> {
    if commands.firmware_check.is_empty() {
        return Ok(());
    }
    run("firmware_check", &commands.firmware_check, words, seconds(settings.check_timeout), stop)
}

/// Makes use of a fetched file that is no `1 Firmware Upgrade Image`; when it ends well the file has been
/// applied.
///
/// # Errors
/// 9018 when the platform refuses it, 9002 when its command is missing or hangs.
pub fn apply(
    purpose: Purpose,
    commands: &Commands,
    settings: &Transfer,
    words: &Words,
    stop: BorrowedFd<'_>,
) -> Result<(), Failed> {
    match purpose.command(commands) {
        Some((key, argv)) if purpose == Purpose::StoredFirmware => {
            let lock = firmware::storing(&words.run_dir)?;
            let (argv, deadline) = (words.put_in(argv), seconds(settings.apply_timeout));
            command::run_with(&argv, lock.as_fd(), deadline, stop)
                .map_err(|e| failed(key, &e, Code::FILE_CORRUPTED))
        }
        Some((key, argv)) if purpose != Purpose::Firmware => {
            run(key, argv, words, seconds(settings.apply_timeout), stop)
        }
        _ => Err(Failed::Fault(Fault::new(Code::INTERNAL_ERROR, "no command applies this"))),
    }
}

fn run(
    key: &str,
    argv: &[String],
    words: &Words,
    deadline: Duration,
    stop: BorrowedFd<'_>,
) -> Result<(), Failed> {
    command::run(&words.put_in(argv), deadline, Some(stop)).map_err(|e| failed(key, &e, Code::FILE_CORRUPTED))
}

/// What is to be uploaded.
#[derive(Debug)]
pub enum Source {
    /// So many bytes of this file, from its beginning.
    File(File, u64),
    /// What a command writes: read from the descriptor to its end, which must be followed by a
    /// [`Making::finish`] that is good.
    Stream(OwnedFd, Making),
}

/// A command that writes what is uploaded; it dies with this.
#[derive(Debug)]
pub struct Making {
    key: &'static str,
    stream: Stream,
}

impl Making {
    /// Waits for the command's end.
    ///
    /// # Errors
    /// It did not end well, so that what was read is not whole: the reason, for the fault string (9011).
    pub fn finish(&mut self, stop: BorrowedFd<'_>) -> Result<(), String> {
        self.stream.finish(Some(stop)).map_err(|error| told(self.key, &error))
    }
}

/// Has a file made that is to be uploaded, in `words.file` or as a stream.
///
/// # Errors
/// 9011 when the platform fails to make it, or makes it too large; 9002 when its command is missing or hangs.
pub fn save(
    purpose: Purpose,
    commands: &Commands,
    settings: &Transfer,
    words: &Words,
    stop: BorrowedFd<'_>,
) -> Result<Source, Failed> {
    let Some((key, argv)) = purpose.command(commands) else {
        return Err(Failed::Fault(Fault::new(Code::INTERNAL_ERROR, "no command makes this")));
    };
    let most = settings.max_bytes;
    let expanded = words.put_in(argv);
    if !has_word(argv, "file") {
        let stream = Stream::start(&expanded, seconds(settings.total_timeout));
        return stream
            .map(|(stream, output)| Source::Stream(output, Making { key, stream }))
            .map_err(|e| failed(key, &e, Code::UPLOAD_FAILURE));
    }
    let dir = file::folder(&words.file);
    file::own_folder(dir).map_err(|error| {
        Failed::Fault(Fault::new(Code::UPLOAD_FAILURE, format!("{}: {error}", dir.display())))
    })?;
    // One that an earlier attempt left is not what is asked for.
    let _ = std::fs::remove_file(&words.file);
    let too_much = || {
        let length = std::fs::metadata(&words.file).map_or(0, |m| m.len());
        (length > most).then_some(Error::TooMuch(most))
    };
    let deadline = seconds(settings.save_timeout);
    command::run_watched(&expanded, deadline, Some(stop), &mut { too_much })
        .and_then(|()| too_much().map_or(Ok(()), Err))
        .map_err(|e| failed(key, &e, Code::UPLOAD_FAILURE))?;
    open(&words.file, most).map_err(|error| {
        Failed::Fault(Fault::new(Code::UPLOAD_FAILURE, format!("commands.{key} left no file: {error}")))
    })
}

/// What a row of DeviceInfo.VendorConfigFile or VendorLogFile stands for, by the row's Name.
///
/// # Errors
/// 9011: the file is gone, or too large. As [`save`] for the system's log, which is no file.
pub fn listed(
    root: &Path,
    name: &str,
    commands: &Commands,
    settings: &Transfer,
    words: &Words,
    stop: BorrowedFd<'_>,
) -> Result<Source, Failed> {
    if name == SYSTEM_LOG {
        return save(Purpose::ReadLog, commands, settings, words, stop);
    }
    Ok(vendor_file(root, name, settings)?)
}

/// Opens a file that such a row names; see [`listed`].
///
/// # Errors
/// 9011: it is gone, or too large.
pub fn vendor_file(root: &Path, name: &str, settings: &Transfer) -> Result<Source, Fault> {
    let path = crate::sys::host::below(root, name);
    open(&path, settings.max_bytes)
        .map_err(|error| Fault::new(Code::UPLOAD_FAILURE, format!("{name}: {error}")))
}

/// Opens a plain file; what is not one (a pipe would be waited for) is none.
fn open(path: &Path, most: u64) -> io::Result<Source> {
    let flags = (nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY).bits();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("not a file"));
    }
    if found.len() > most {
        return Err(io::Error::other(format!("larger than {most} bytes")));
    }
    Ok(Source::File(file, found.len()))
}

/// What the ACS is told of a failed command: `refused` when it ran and said no.
fn failed(key: &str, error: &Error, refused: Code) -> Failed {
    let code = match error {
        Error::Stopped => return Failed::Stopped,
        Error::Status(..) | Error::TooMuch(_) => refused,
        _ => Code::INTERNAL_ERROR,
    };
    Failed::Fault(Fault::new(code, told(key, error)))
}

fn told(key: &str, error: &Error) -> String {
    let text = format!("commands.{key}: {error}");
    log::warn!("{text}");
    text
}

#[cfg(test)]
mod tests;
