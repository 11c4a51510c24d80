//! The arguments of Download, ScheduleDownload and Upload (A.3.2.8, A.4.1.8, A.4.1.5).
//!
//! What is read is what was written: which file types there are, where a URL may point and whether windows
//! overlap is judged by the queue of transfers.

use super::arguments::{MAX_KEY, argument, at_most, exact, invalid, is_entry, needed, number, once, word};
use super::{Document, Problem};
use crate::cwmp::rpc::Request;
use crate::cwmp::transfers::{Asked, Method, Mode, Origin, Window};
use crate::cwmp::transfers::{MAX_FILE_TYPE, MAX_TEXT, MAX_USER_MESSAGE, MAX_WINDOWS};

/// The transfer that a method of this name asks for.
pub(super) fn method(name: &str) -> Option<Method> {
    [Method::Download, Method::ScheduleDownload, Method::Upload].into_iter().find(|m| m.name() == name)
}

/// All arguments that any of the three takes; `None` is missing so far.
#[derive(Default)]
struct Arguments {
    command_key: Option<String>,
    file_type: Option<String>,
    url: Option<String>,
    username: Option<String>,
    password: Option<String>,
    file_size: Option<u32>,
    target_file_name: Option<String>,
    delay_seconds: Option<u32>,
    success_url: Option<()>,
    failure_url: Option<()>,
    windows: Option<Vec<Window>>,
}

/// Reads the arguments of a method whose element is open.
pub(super) fn request(doc: &mut Document<'_>, method: Method) -> Result<Request, Problem> {
    let (scheduled, plain) = (method == Method::ScheduleDownload, method == Method::Download);
    let mut a = Arguments::default();
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        match argument(&element) {
            n @ "CommandKey" => once(&mut a.command_key, n, at_most(MAX_KEY, n, exact(doc, n)?)?)?,
            n @ "FileType" => once(&mut a.file_type, n, at_most(MAX_FILE_TYPE, n, word(doc, n)?)?)?,
            n @ "URL" => once(&mut a.url, n, at_most(MAX_TEXT, n, word(doc, n)?)?)?,
            n @ "Username" => once(&mut a.username, n, at_most(MAX_TEXT, n, exact(doc, n)?)?)?,
            n @ "Password" => once(&mut a.password, n, at_most(MAX_TEXT, n, exact(doc, n)?)?)?,
            n @ "FileSize" if method.is_download() => once(&mut a.file_size, n, number(doc, n)?)?,
            n @ "TargetFileName" if method.is_download() => {
                once(&mut a.target_file_name, n, at_most(MAX_TEXT, n, exact(doc, n)?)?)?
            }
            n @ "DelaySeconds" if !scheduled => once(&mut a.delay_seconds, n, number(doc, n)?)?,
            // Judged, and of no use any more.
            n @ "SuccessURL" if plain => once(&mut a.success_url, n, unused(doc, n)?)?,
            n @ "FailureURL" if plain => once(&mut a.failure_url, n, unused(doc, n)?)?,
            n @ "TimeWindowList" if scheduled => once(&mut a.windows, n, windows(doc)?)?,
            _ => doc.leave(depth)?,
        }
    }
    if plain {
        needed(a.success_url, "SuccessURL")?;
        needed(a.failure_url, "FailureURL")?;
    }
    let (file_size, target_file_name) = match method.is_download() {
        true => (needed(a.file_size, "FileSize")?, needed(a.target_file_name, "TargetFileName")?),
        false => (0, String::new()),
    };
    let (delay_seconds, windows) = match scheduled {
        true => (0, needed(a.windows, "TimeWindowList")?),
        false => (needed(a.delay_seconds, "DelaySeconds")?, Vec::new()),
    };
    Ok(Request::Transfer(Box::new(Asked {
        method,
        origin: Origin::Acs,
        // A missing key is taken as an empty one, as with other methods.
        command_key: a.command_key.unwrap_or_default(),
        file_type: needed(a.file_type, "FileType")?,
        url: needed(a.url, "URL")?,
        username: needed(a.username, "Username")?,
        password: needed(a.password, "Password")?,
        file_size,
        target_file_name,
        delay_seconds,
        windows,
    })))
}

fn unused(doc: &mut Document<'_>, name: &str) -> Result<(), Problem> {
    at_most(MAX_TEXT, name, exact(doc, name)?).map(drop)
}

/// TimeWindowList: one or two.
fn windows(doc: &mut Document<'_>) -> Result<Vec<Window>, Problem> {
    let mut list = Vec::new();
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        if !is_entry(&element, "TimeWindowStruct") {
            doc.leave(depth)?;
            continue;
        }
        if list.len() == MAX_WINDOWS {
            return Err(invalid("TimeWindowList has more than two entries"));
        }
        list.push(window(doc)?);
    }
    match list.is_empty() {
        true => Err(invalid("TimeWindowList is empty")),
        false => Ok(list),
    }
}

fn window(doc: &mut Document<'_>) -> Result<Window, Problem> {
    let (mut start, mut end, mut mode) = (None, None, None);
    let (mut user_message, mut max_retries) = (None, None);
    while let Some(element) = doc.child()? {
        let depth = doc.depth();
        match argument(&element) {
            n @ "WindowStart" => once(&mut start, n, number(doc, n)?)?,
            n @ "WindowEnd" => once(&mut end, n, number(doc, n)?)?,
            n @ "WindowMode" => {
                let given = Mode::from_name(&word(doc, n)?);
                once(&mut mode, n, given.ok_or_else(|| invalid("WindowMode is none that there is"))?)?
            }
            n @ "UserMessage" => once(&mut user_message, n, at_most(MAX_USER_MESSAGE, n, exact(doc, n)?)?)?,
            n @ "MaxRetries" => once(&mut max_retries, n, retries(doc, n)?)?,
            _ => doc.leave(depth)?,
        }
    }
    Ok(Window {
        start: needed(start, "WindowStart")?,
        end: needed(end, "WindowEnd")?,
        mode: needed(mode, "WindowMode")?,
        user_message: needed(user_message, "UserMessage")?,
        max_retries: needed(max_retries, "MaxRetries")?,
    })
}

/// MaxRetries: an int from -1 on, which is the device's choice.
fn retries(doc: &mut Document<'_>, name: &str) -> Result<Option<u32>, Problem> {
    match doc.text()?.trim().parse::<i32>() {
        Ok(-1) => Ok(None),
        Ok(n) if n >= 0 => Ok(Some(n.unsigned_abs())),
        _ => Err(invalid(format!("{name} is not an int from -1 on"))),
    }
}

#[cfg(test)]
mod tests;
