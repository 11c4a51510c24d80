//! CWMP fault codes (TR-069 A.5) and the fault that an RPC ends with.

use std::fmt;

/// A CPE fault code of TR-069 Table "CPE fault codes" (A.5.1), or a vendor code 9800 to 9899.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Code(pub u16);

macro_rules! codes {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Code {
            $(#[doc = $text] pub const $name: Code = Code($number);)*

            /// The standard's words for this code, used where there is nothing better to say.
            pub fn words(self) -> &'static str {
                match self.0 { $($number => $text,)* _ => "Vendor fault" }
            }
        }
    };
}

codes! {
    METHOD_NOT_SUPPORTED = 9000, "Method not supported";
    REQUEST_DENIED = 9001, "Request denied";
    INTERNAL_ERROR = 9002, "Internal error";
    INVALID_ARGUMENTS = 9003, "Invalid arguments";
    RESOURCES_EXCEEDED = 9004, "Resources exceeded";
    INVALID_NAME = 9005, "Invalid parameter name";
    INVALID_TYPE = 9006, "Invalid parameter type";
    INVALID_VALUE = 9007, "Invalid parameter value";
    NOT_WRITABLE = 9008, "Attempt to set a non-writable parameter";
    NOTIFICATION_REJECTED = 9009, "Notification request rejected";
    TRANSFER_FAILURE = 9010, "File transfer failure";
    UPLOAD_FAILURE = 9011, "Upload failure";
    SERVER_AUTHENTICATION = 9012, "File transfer server authentication failure";
    UNSUPPORTED_PROTOCOL = 9013, "Unsupported protocol for file transfer";
    JOIN_MULTICAST = 9014, "File transfer failure: unable to join multicast group";
    CONTACT_SERVER = 9015, "File transfer failure: unable to contact file server";
    ACCESS_FILE = 9016, "File transfer failure: unable to access file";
    COMPLETE_DOWNLOAD = 9017, "File transfer failure: unable to complete download";
    FILE_CORRUPTED = 9018, "File transfer failure: file corrupted or otherwise unusable";
    FILE_AUTHENTICATION = 9019, "File transfer failure: file authentication failure";
    OUTSIDE_WINDOWS = 9020, "File transfer failure: unable to complete download within specified time windows";
    CANCEL_NOT_PERMITTED = 9021, "Cancelation of file transfer not permitted in current transfer state";
}

/// One line of `SetParameterValuesFault` (R-SPV-4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParameterFault {
    /// The name as the ACS wrote it, as far as it could be one.
    pub name: String,
    /// 9001, 9002, 9005, 9006, 9007 or 9008 (R-SPV-5).
    pub code: Code,
    /// What is wrong, for a person. Never holds a hidden value.
    pub text: String,
}

/// Why an RPC had no effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The code of the whole RPC.
    pub code: Code,
    /// What is wrong, for a person; names the thing.
    pub text: String,
    /// For SetParameterValues, one line for each bad parameter.
    pub parameters: Vec<ParameterFault>,
}

impl Fault {
    /// A fault with a text of its own.
    pub fn new(code: Code, text: impl Into<String>) -> Fault {
        Fault { code, text: text.into(), parameters: Vec::new() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.0, self.text)?;
        for p in &self.parameters {
            write!(f, "; {}: {} {}", p.name, p.code.0, p.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
