//! FileType of Download, ScheduleDownload and Upload, and its name in the lists that have
//! both directions.

use super::{Asked, Method};

/// The longest FileType (cwmp-1-2.xsd, DownloadFileType).
pub const MAX_FILE_TYPE: usize = 64;

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileType {
    /// Download `1 Firmware Upgrade Image`: written, and booted.
    Firmware,
    /// Download `6 Stored Firmware Image`: written to a bank that is not booted by it.
    StoredFirmware,
    /// Download `2 Web Content`
    WebContent,
    /// Download `3 Vendor Configuration File`; Upload `1 …`, or `3 …` with an instance of
    /// DeviceInfo.VendorConfigFile. Whether it is there is for the tree to say.
    VendorConfig(Option<u32>),
    /// Upload `2 Vendor Log File`, or `4 …` with an instance of DeviceInfo.VendorLogFile.
    VendorLog(Option<u32>),
    /// Download `4 Tone File`
    ToneFile,
    /// Download `5 Ringer File`
    RingerFile,
    /// `X <OUI> <name>`
    Vendor,
}

impl FileType {
    /// What the text means with this RPC; `None` where the standard has no such type (9003).
    pub fn parse(method: Method, text: &str) -> Option<FileType> {
        if text.chars().count() > MAX_FILE_TYPE || text.chars().any(char::is_control) {
            return None;
        }
        if is_vendor(text) {
            return Some(FileType::Vendor);
        }
        if method.is_download() {
            return Some(match text {
                "1 Firmware Upgrade Image" => FileType::Firmware,
                "2 Web Content" => FileType::WebContent,
                "3 Vendor Configuration File" => FileType::VendorConfig(None),
                "4 Tone File" => FileType::ToneFile,
                "5 Ringer File" => FileType::RingerFile,
                "6 Stored Firmware Image" => FileType::StoredFirmware,
                _ => return None,
            });
        }
        if let Some(instance) = text.strip_prefix("3 Vendor Configuration File ") {
            return number(instance).map(|i| FileType::VendorConfig(Some(i)));
        }
        if let Some(instance) = text.strip_prefix("4 Vendor Log File ") {
            return number(instance).map(|i| FileType::VendorLog(Some(i)));
        }
        match text {
            "1 Vendor Configuration File" => Some(FileType::VendorConfig(None)),
            "2 Vendor Log File" => Some(FileType::VendorLog(None)),
            _ => None,
        }
    }

    /// Whether it is written to a bank, which nothing may break off once it has begun.
    pub fn is_firmware(self) -> bool {
        matches!(self, FileType::Firmware | FileType::StoredFirmware)
    }
}

/// The type's name where downloads and uploads stand in one list (cwmp-1-2.xsd, TransferFileType): an
/// Upload's types have other numbers there.
pub fn in_lists(asked: &Asked) -> String {
    let text = asked.file_type.as_str();
    if asked.method.is_download() {
        return text.to_string();
    }
    match FileType::parse(asked.method, text) {
        Some(FileType::VendorConfig(None)) => "3 Vendor Configuration File".to_string(),
        Some(FileType::VendorLog(None)) => "4 Vendor Log File".to_string(),
        Some(FileType::VendorConfig(Some(i))) => format!("6 Vendor Configuration File {i}"),
        Some(FileType::VendorLog(Some(i))) => format!("7 Vendor Log File {i}"),
        _ => text.to_string(),
    }
}

/// `X <OUI> <name>`
fn is_vendor(text: &str) -> bool {
    let mut parts = text.splitn(3, ' ');
    let (x, oui, name) = (parts.next(), parts.next(), parts.next());
    x == Some("X")
        && oui.is_some_and(|o| o.len() == 6 && o.bytes().all(|b| b.is_ascii_hexdigit()))
        && name.is_some_and(|n| !n.trim().is_empty())
}

/// An instance number: `[1-9][0-9]*`.
fn number(digits: &str) -> Option<u32> {
    let plain = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}
