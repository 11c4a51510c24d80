//! What is asked of a transfer, and how far it has come, in the standard's words.

use std::fmt;

/// The most time windows of a ScheduleDownload.
pub const MAX_WINDOWS: usize = 2;

/// The RPC that asks for a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// A.3.2.8
    Download,
    /// A.4.1.8
    ScheduleDownload,
    /// A.4.1.5
    Upload,
}

impl Method {
    /// Whether a file comes to the device (IsDownload).
    pub fn is_download(self) -> bool {
        self != Method::Upload
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Method::Download => "Download",
            Method::ScheduleDownload => "ScheduleDownload",
            Method::Upload => "Upload",
        }
    }
}

/// Who asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The ACS: its end is told by TransferComplete.
    Acs,
    /// A person or program at the device: told by AutonomousTransferComplete, if at all.
    Local,
}

/// WindowMode of A.4.1.8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// `1 At Any Time`
    AtAnyTime,
    /// `2 Immediately`
    Immediately,
    /// `3 When Idle`
    WhenIdle,
    /// `4 Confirmation Needed`
    ConfirmationNeeded,
}

impl Mode {
    const ALL: [Mode; 4] = [Mode::AtAnyTime, Mode::Immediately, Mode::WhenIdle, Mode::ConfirmationNeeded];

    /// The mode of this name; `None` for what is none, and for those of vendors.
    pub fn from_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// As the standard writes it.
    pub fn name(self) -> &'static str {
        match self {
            Mode::AtAnyTime => "1 At Any Time",
            Mode::Immediately => "2 Immediately",
            Mode::WhenIdle => "3 When Idle",
            Mode::ConfirmationNeeded => "4 Confirmation Needed",
        }
    }
}

/// TimeWindowStruct.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// WindowStart, seconds from the receipt of the request.
    pub start: u32,
    /// WindowEnd, seconds from the receipt; behind `start`.
    pub end: u32,
    /// WindowMode.
    pub mode: Mode,
    /// UserMessage, at most 256 characters.
    pub user_message: String,
    /// MaxRetries: `None` for -1, the device decides.
    pub max_retries: Option<u32>,
}

/// What a Download, ScheduleDownload or Upload asks for. SuccessURL and FailureURL are read and dropped
///
#[derive(Clone, PartialEq, Eq)]
pub struct Asked {
    /// By which RPC.
    pub method: Method,
    /// By whom.
    pub origin: Origin,
    /// At most 32 characters; two may be alike.
    pub command_key: String,
    /// As it was written; judged by `Queue::ask`.
    pub file_type: String,
    /// Absolute, with its fragment (`#sha256=…`); at most 256 characters from the ACS.
    pub url: String,
    /// At most 256 characters.
    pub username: String,
    /// At most 256 characters; never logged.
    pub password: String,
    /// Bytes, 0 for unknown.
    pub file_size: u32,
    /// A hint, never a path.
    pub target_file_name: String,
    /// Seconds from the receipt; 0 for ScheduleDownload.
    pub delay_seconds: u32,
    /// One or two for ScheduleDownload, none for the others.
    pub windows: Vec<Window>,
}

impl fmt::Debug for Asked {
    /// Without the credentials, and without the query of the URL, which may hold some.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} of {}", self.method, self.file_type, self.place())
    }
}

impl Asked {
    /// The URL as it may be logged: without query and fragment.
    pub fn place(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }
}

/// How far a transfer has come. Each is on disk before the next begins. Its name is what `status` shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// It waits for its time or its turn.
    Queued,
    /// The file is on its way. An upload is made and sent in this step.
    Fetching,
    /// A download is whole, in the file of its number.
    Fetched,
    /// Length, hash, signature and the platform's own test were good.
    Verified,
    /// It is being made use of; what it did by a power cut is not known.
    Applying,
    /// It has ended, well or not; it waits for the ACS to be told.
    Done,
}

/// TransferComplete's arguments, and those that AutonomousTransferComplete has besides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Complete {
    /// The transfer's number, see `Queue`.
    pub number: u32,
    /// Empty for a local one.
    pub command_key: String,
    /// FaultCode and FaultString; 0 and empty when it went well.
    pub fault: (u16, String),
    /// Seconds since 1970, `None` for Unknown Time.
    pub start_time: Option<i64>,
    /// The same.
    pub complete_time: Option<i64>,
    /// TransferURL: without query and fragment.
    pub url: String,
    /// IsDownload.
    pub is_download: bool,
    /// FileType.
    pub file_type: String,
    /// FileSize, bytes; what was really transferred when that is known.
    pub file_size: u32,
    /// TargetFileName.
    pub target_file_name: String,
}

/// `State` of GetQueuedTransfers and GetAllQueuedTransfers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// 1
    NotYetStarted,
    /// 2
    InProgress,
    /// 3: finished, and not yet told.
    Completed,
}

/// AllQueuedTransferStruct; GetQueuedTransfers uses the first two fields, of what the ACS asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the arguments have the standard's names
pub struct Queued {
    pub command_key: String,
    pub state: Progress,
    pub origin: Origin,
    pub is_download: bool,
    pub file_type: String,
    pub file_size: u32,
    pub target_file_name: String,
}
