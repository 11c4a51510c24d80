//! AutonomousTransferCompletePolicy: of which local transfers the ACS is told.

use super::{Asked, types};

/// TransferTypeFilter
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TransferType {
    /// `Upload`
    Upload,
    /// `Download`
    Download,
    /// `Both`
    #[default]
    Both,
}

/// ResultTypeFilter
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ResultType {
    /// `Success`
    Success,
    /// `Failure`
    Failure,
    /// `Both`
    #[default]
    Both,
}

/// The values below ManagementServer.AutonomousTransferCompletePolicy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// Enable
    pub enable: bool,
    /// TransferTypeFilter
    pub transfers: TransferType,
    /// ResultTypeFilter
    pub results: ResultType,
    /// FileTypeFilter, its items: the names of [`types::in_lists`]. What is not named is not told, so
    /// an empty list stops all.
    pub file_types: Vec<String>,
}

impl TransferType {
    /// The value of the parameter.
    pub fn parse(text: &str) -> Option<TransferType> {
        match text {
            "Upload" => Some(TransferType::Upload),
            "Download" => Some(TransferType::Download),
            "Both" => Some(TransferType::Both),
            _ => None,
        }
    }
}

impl ResultType {
    /// The value of the parameter.
    pub fn parse(text: &str) -> Option<ResultType> {
        match text {
            "Success" => Some(ResultType::Success),
            "Failure" => Some(ResultType::Failure),
            "Both" => Some(ResultType::Both),
            _ => None,
        }
    }
}

impl Policy {
    /// Whether the ACS is to be told of a local transfer that has ended so.
    pub fn wants(&self, asked: &Asked, success: bool) -> bool {
        let transfers = match self.transfers {
            TransferType::Upload => !asked.method.is_download(),
            TransferType::Download => asked.method.is_download(),
            TransferType::Both => true,
        };
        let results = match self.results {
            ResultType::Success => success,
            ResultType::Failure => !success,
            ResultType::Both => true,
        };
        let file_type = types::in_lists(asked);
        // The filter has no types with an instance; one of these is of the type without.
        let plain = match file_type.split_once(' ') {
            Some(("6", name)) if name.starts_with("Vendor") => "3 Vendor Configuration File",
            Some(("7", name)) if name.starts_with("Vendor") => "4 Vendor Log File",
            _ => file_type.as_str(),
        };
        self.enable && transfers && results && self.file_types.iter().any(|t| t.trim() == plain)
    }
}
