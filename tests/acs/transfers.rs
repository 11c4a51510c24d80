//! Transfers, as the ACS asks for them and is told of them (A.3.2.8, A.4.1.5 to A.4.1.9, A.3.3.2, A.4.2.2,
//! A.4.2.1). Strict: an agent's request with other arguments than the schema's, or one that its Inform did not
//! tell, panics; so does the end of the agent's requests when something that was told has not come.

use super::answers::{Fault, Inform, number, truth};
use super::session::{Session, element};
use super::soap::{Element, Envelope};
use super::state::Post;

/// What an argument of time says that is not known.
pub const UNKNOWN_TIME: &str = "0001-01-01T00:00:00Z";

/// The FaultCodes that TransferComplete may have, beside the vendors' 9800 to 9899.
const CODES: [u16; 13] = [0, 9001, 9002, 9010, 9011, 9012, 9014, 9015, 9016, 9017, 9018, 9019, 9020];

/// The arguments of Download, Upload and ScheduleDownload; each uses those that it has.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the arguments have the standard's names
pub struct Transfer {
    pub command_key: String,
    pub file_type: String,
    pub url: String,
    pub username: String,
    pub password: String,
    pub file_size: u32,
    pub target_file_name: String,
    pub delay_seconds: u32,
    pub success_url: String,
    pub failure_url: String,
}

impl Transfer {
    /// One without credentials, size, name or delay.
    pub fn new(command_key: &str, file_type: &str, url: &str) -> Transfer {
        Transfer {
            command_key: command_key.to_string(),
            file_type: file_type.to_string(),
            url: url.to_string(),
            username: String::new(),
            password: String::new(),
            file_size: 0,
            target_file_name: String::new(),
            delay_seconds: 0,
            success_url: String::new(),
            failure_url: String::new(),
        }
    }

    /// With the file server's username and password.
    pub fn with_credentials(mut self, username: &str, password: &str) -> Transfer {
        (self.username, self.password) = (username.to_string(), password.to_string());
        self
    }

    /// CommandKey to TargetFileName, as ScheduleDownload has them; Upload is without the last two.
    fn common(&self, download: bool) -> String {
        let mut all = element("CommandKey", &self.command_key)
            + &element("FileType", &self.file_type)
            + &element("URL", &self.url)
            + &element("Username", &self.username)
            + &element("Password", &self.password);
        if download {
            all += &element("FileSize", &self.file_size.to_string());
            all += &element("TargetFileName", &self.target_file_name);
        }
        all
    }
}

/// TimeWindowStruct.
#[derive(Clone, Debug)]
pub struct Window {
    /// Seconds from the receipt.
    pub start: u32,
    /// The same.
    pub end: u32,
    /// `1 At Any Time` ...
    pub mode: String,
    pub user_message: String,
    pub max_retries: i32,
}

impl Window {
    /// Without message; the agent may decide how often it tries again.
    pub fn new(start: u32, end: u32, mode: &str) -> Window {
        Window { start, end, mode: mode.to_string(), user_message: String::new(), max_retries: -1 }
    }
}

/// What GetAllQueuedTransfers lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Queued {
    pub command_key: String,
    /// 1 not yet started, 2 in progress, 3 completed.
    pub state: u8,
    pub is_download: bool,
    pub file_type: String,
    pub file_size: u32,
    pub target_file_name: String,
}

/// TransferComplete, and the end of AutonomousTransferComplete.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Complete {
    pub command_key: String,
    pub code: u16,
    pub text: String,
    pub start_time: String,
    pub complete_time: String,
    /// The cwmp:ID of the request.
    pub id: Option<String>,
    /// What an autonomous one has besides.
    pub autonomous: Option<Autonomous>,
}

/// What AutonomousTransferComplete has in place of a CommandKey.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Autonomous {
    pub announce_url: String,
    pub transfer_url: String,
    pub is_download: bool,
    pub file_type: String,
    pub file_size: u32,
    pub target_file_name: String,
}

impl Complete {
    /// Reads one; `None` for another request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(request: &Envelope) -> Result<Option<Complete>, String> {
        let m = &request.method;
        let text = |name: &str| m.text_of(name).to_string();
        let autonomous = match m.name.as_str() {
            "TransferComplete" => {
                order(m, &["CommandKey", "FaultStruct", "StartTime", "CompleteTime"])?;
                None
            }
            "AutonomousTransferComplete" => {
                let of_its_own =
                    ["AnnounceURL", "TransferURL", "IsDownload", "FileType", "FileSize", "TargetFileName"];
                order(m, &[&of_its_own[..], &["FaultStruct", "StartTime", "CompleteTime"]].concat())?;
                Some(Autonomous {
                    announce_url: bounded(m, "AnnounceURL", 1024)?,
                    transfer_url: bounded(m, "TransferURL", 1024)?,
                    is_download: truth(m.text_of("IsDownload"))?,
                    file_type: text("FileType"),
                    file_size: number(m, "FileSize")?,
                    target_file_name: bounded(m, "TargetFileName", 256)?,
                })
            }
            _ => return Ok(None),
        };
        let fault = m.child("FaultStruct").ok_or("no FaultStruct")?;
        order(fault, &["FaultCode", "FaultString"])?;
        let code: u16 = number(fault, "FaultCode")?;
        let said = bounded(fault, "FaultString", 256)?;
        if !CODES.contains(&code) && !(9800..9900).contains(&code) {
            return Err(format!("X-14: FaultCode {code}: {said}"));
        }
        if (code == 0) != said.is_empty() {
            return Err(format!("X-16: FaultCode {code} with FaultString {said:?}"));
        }
        let (start_time, complete_time) = (time(m, "StartTime")?, time(m, "CompleteTime")?);
        if start_time != UNKNOWN_TIME && complete_time != UNKNOWN_TIME && start_time > complete_time {
            return Err(format!("X-17: from {start_time} to {complete_time}"));
        }
        let command_key = bounded(m, "CommandKey", 32)?;
        let id = request.id.clone();
        Ok(Some(Complete { command_key, code, text: said, start_time, complete_time, id, autonomous }))
    }

    /// CommandKey and FaultCode.
    pub fn brief(&self) -> (&str, u16) {
        (&self.command_key, self.code)
    }
}

/// RequestDownload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RequestDownload {
    pub file_type: String,
    pub arguments: Vec<(String, String)>,
}

impl RequestDownload {
    fn read(request: &Envelope) -> Result<Option<RequestDownload>, String> {
        let m = &request.method;
        if m.name != "RequestDownload" {
            return Ok(None);
        }
        order(m, &["FileType", "FileTypeArg"])?;
        let list = m.child("FileTypeArg").ok_or("no FileTypeArg")?.items()?;
        if list.len() > 16 {
            return Err(format!("{} FileTypeArg", list.len()));
        }
        let mut arguments = Vec::new();
        for argument in list {
            order(argument, &["Name", "Value"])?;
            arguments.push((bounded(argument, "Name", 64)?, bounded(argument, "Value", 256)?));
        }
        Ok(Some(RequestDownload { file_type: m.text_of("FileType").to_string(), arguments }))
    }
}

/// Of one session: what its Inform told, and what has come of it.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// In their order, each once, however often it was sent (C-7).
    pub completes: Vec<Complete>,
    pub request_downloads: Vec<RequestDownload>,
    ids: Vec<Option<String>>,
}

impl Told {
    /// A request of the agent, answered or not.
    ///
    /// # Errors
    /// What is wrong with it, or that the Inform did not tell it.
    pub fn note(&mut self, inform: &Inform, request: &Envelope) -> Result<(), String> {
        if self.ids.contains(&request.id) {
            return Ok(());
        }
        if let Some(complete) = Complete::read(request)? {
            let key = &complete.command_key;
            let codes = inform.codes();
            if complete.autonomous.is_some() {
                if !codes.contains(&"10 AUTONOMOUS TRANSFER COMPLETE") {
                    return Err(format!("an AutonomousTransferComplete that {codes:?} did not tell"));
                }
            } else {
                let told = keys(inform).filter(|k| k == key).count();
                let came = self.of_the_acs().filter(|c| c.command_key == *key).count();
                if told <= came || codes.iter().filter(|c| **c == "7 TRANSFER COMPLETE").count() != 1 {
                    return Err(format!("X-19: TransferComplete for {key:?} after {:?}", inform.events));
                }
            }
            self.completes.push(complete);
        } else if let Some(asked) = RequestDownload::read(request)? {
            if !inform.codes().contains(&"9 REQUEST DOWNLOAD") {
                return Err(format!("X-48: RequestDownload after {:?}", inform.events));
            }
            self.request_downloads.push(asked);
        } else {
            return Ok(());
        }
        self.ids.push(request.id.clone());
        Ok(())
    }

    /// The agent has no more requests.
    ///
    /// # Errors
    /// Something that was told is missing.
    pub fn all_came(&self, inform: &Inform) -> Result<(), String> {
        let (told, came) = (keys(inform).count(), self.of_the_acs().count());
        let seven = inform.codes().contains(&"7 TRANSFER COMPLETE");
        if told != came || seven != (told > 0) {
            return Err(format!("X-20: {:?} were told and {came} TransferComplete came", inform.events));
        }
        Ok(())
    }

    fn of_the_acs(&self) -> impl Iterator<Item = &Complete> {
        self.completes.iter().filter(|c| c.autonomous.is_none())
    }
}

/// The CommandKeys of the M events of transfers.
fn keys(inform: &Inform) -> impl Iterator<Item = &str> {
    let of_transfers = ["M Download", "M ScheduleDownload", "M Upload"];
    let events = inform.events.iter().filter(move |(code, _)| of_transfers.contains(&code.as_str()));
    events.map(|(_, key)| key.as_str())
}

/// That an element has just these children (E-3 and the schema's order).
fn order(element: &Element, names: &[&str]) -> Result<(), String> {
    let found: Vec<&str> = element.children.iter().map(|c| c.name.as_str()).collect();
    if found == names { Ok(()) } else { Err(format!("{} has {found:?}, not {names:?}", element.name)) }
}

fn bounded(element: &Element, name: &str, limit: usize) -> Result<String, String> {
    let text = element.text_of(name);
    match text.chars().count() {
        n if n > limit => Err(format!("{name} has {n} characters")),
        _ => Ok(text.to_string()),
    }
}

/// A dateTime in UTC.
fn time(element: &Element, name: &str) -> Result<String, String> {
    let text = element.text_of(name);
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if shape == "0000-00-00T00:00:00Z" || (shape.starts_with("0000-00-00T00:00:00.0") && shape.ends_with('Z'))
    {
        return Ok(text.to_string());
    }
    Err(format!("{name} is {text:?}"))
}

impl Session {
    /// Download; it must be promised (Status 1, both times unknown: X-8).
    #[track_caller]
    pub fn download(&mut self, transfer: &Transfer) -> Result<(), Fault> {
        let arguments = transfer.common(true)
            + &element("DelaySeconds", &transfer.delay_seconds.to_string())
            + &element("SuccessURL", &transfer.success_url)
            + &element("FailureURL", &transfer.failure_url);
        self.promised("Download", &arguments)
    }

    /// Upload; it must be promised as [`Session::download`] must.
    #[track_caller]
    pub fn upload(&mut self, transfer: &Transfer) -> Result<(), Fault> {
        let arguments =
            transfer.common(false) + &element("DelaySeconds", &transfer.delay_seconds.to_string());
        self.promised("Upload", &arguments)
    }

    #[track_caller]
    fn promised(&mut self, method: &str, arguments: &str) -> Result<(), Fault> {
        let answer = self.ask(method, arguments)?;
        self.must(order(&answer, &["Status", "StartTime", "CompleteTime"]));
        let said = ["Status", "StartTime", "CompleteTime"].map(|name| answer.text_of(name));
        assert_eq!(said, ["1", UNKNOWN_TIME, UNKNOWN_TIME], "X-8: {method}");
        Ok(())
    }

    /// ScheduleDownload.
    #[track_caller]
    pub fn schedule_download(&mut self, transfer: &Transfer, windows: &[Window]) -> Result<(), Fault> {
        let window = |w: &Window| {
            let arguments = [
                element("WindowStart", &w.start.to_string()),
                element("WindowEnd", &w.end.to_string()),
                element("WindowMode", &w.mode),
                element("UserMessage", &w.user_message),
                element("MaxRetries", &w.max_retries.to_string()),
            ];
            format!("<TimeWindowStruct>{}</TimeWindowStruct>", arguments.concat())
        };
        let windows: Vec<String> = windows.iter().map(window).collect();
        let list = self.array("TimeWindowList", "{c}:TimeWindowStruct", &windows);
        let answer = self.ask("ScheduleDownload", &(transfer.common(true) + &list))?;
        self.must(order(&answer, &[]));
        Ok(())
    }

    /// CancelTransfer.
    #[track_caller]
    pub fn cancel(&mut self, command_key: &str) -> Result<(), Fault> {
        self.ask("CancelTransfer", &element("CommandKey", command_key)).map(drop)
    }

    /// GetQueuedTransfers: CommandKey and State.
    #[track_caller]
    pub fn queued(&mut self) -> Result<Vec<(String, u8)>, Fault> {
        let answer = self.ask("GetQueuedTransfers", "")?;
        let list = answer.child("TransferList").ok_or("no TransferList".to_string());
        let list = self.must(list.and_then(Element::items));
        let one = |e: &Element| {
            order(e, &["CommandKey", "State"])?;
            Ok((e.text_of("CommandKey").to_string(), number(e, "State")?))
        };
        Ok(list.iter().map(|e| self.must(one(e))).collect())
    }

    /// GetAllQueuedTransfers.
    #[track_caller]
    pub fn all_queued(&mut self) -> Result<Vec<Queued>, Fault> {
        let answer = self.ask("GetAllQueuedTransfers", "")?;
        let list = answer.child("TransferList").ok_or("no TransferList".to_string());
        let list = self.must(list.and_then(Element::items));
        let one = |e: &Element| {
            let names = ["CommandKey", "State", "IsDownload", "FileType", "FileSize", "TargetFileName"];
            order(e, &names)?;
            Ok(Queued {
                command_key: e.text_of("CommandKey").to_string(),
                state: number(e, "State")?,
                is_download: truth(e.text_of("IsDownload"))?,
                file_type: e.text_of("FileType").to_string(),
                file_size: number(e, "FileSize")?,
                target_file_name: bounded(e, "TargetFileName", 256)?,
            })
        };
        Ok(list.iter().map(|e| self.must(one(e))).collect())
    }

    /// Waits for the agent's next request, which must be a TransferComplete (of either kind), and leaves it
    /// unanswered: [`Session::accept`] or [`Session::refuse`] answers it.
    #[track_caller]
    pub fn next_complete(&mut self) -> Complete {
        let (request, xml) = self.next_request();
        match Complete::read(&request) {
            Ok(Some(complete)) => complete,
            Ok(None) => panic!("no TransferComplete but {xml}"),
            Err(e) => panic!("{e}\n{xml}"),
        }
    }

    /// Answers the waiting request of the agent as it should be.
    #[track_caller]
    pub fn accept(&mut self) {
        let (request, _) = self.next_request();
        self.answer_request(request);
    }

    /// All TransferComplete of this session, of both kinds: answers what the agent asks until it has no more.
    #[track_caller]
    pub fn completes(&mut self) -> Vec<Complete> {
        self.ready();
        self.told.completes.clone()
    }

    /// All RequestDownload of this session.
    #[track_caller]
    pub fn request_downloads(&mut self) -> Vec<RequestDownload> {
        self.ready();
        self.told.request_downloads.clone()
    }

    /// Looks at what the agent has sent.
    #[track_caller]
    pub(super) fn judge(&mut self, post: &Post) {
        let held = self.shared.state().live.as_ref().is_some_and(|l| l.held);
        let verdict = match post {
            Post::Envelope(request, _) if request.is_request() => self.told.note(&self.inform, request),
            Post::Empty if !held => self.told.all_came(&self.inform),
            _ => Ok(()),
        };
        if let Err(e) = verdict {
            panic!("{e}");
        }
    }
}
