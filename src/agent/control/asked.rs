//! How a request is read.

use super::Request;
use serde::Deserialize;

/// Every field that a request may have: `op` says which of them it has. Serde's own way for a tagged enum
/// would keep all of a request in an order of its own first, at three times the code.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    op: String,
    paths: Option<Vec<String>>,
    values: Option<Vec<(String, String)>>,
    arguments: Option<Vec<(String, String)>>,
    path: Option<String>,
    next_level: Option<bool>,
    upload: Option<bool>,
    file_type: Option<String>,
    url: Option<String>,
    username: Option<String>,
    password: Option<String>,
    key: Option<String>,
    event: Option<String>,
}

impl TryFrom<Asked> for Request {
    type Error = String;

    fn try_from(mut from: Asked) -> Result<Request, String> {
        let asked = &mut from;
        let request = match asked.op.as_str() {
            "get" => asked.paths.take().map(|paths| Request::Get { paths }),
            "set" => asked.values.take().map(|values| Request::Set { values }),
            "add" => asked.path.take().map(|path| Request::Add { path }),
            "del" => asked.path.take().map(|path| Request::Del { path }),
            "names" => {
                let next_level = asked.next_level.take().unwrap_or_default();
                asked.path.take().map(|path| Request::Names { path, next_level })
            }
            "transfer" => asked.transfer(),
            "requestdownload" => asked.download(),
            "confirm" => asked.key.take().map(|key| Request::Confirm { key }),
            "cancel" => asked.key.take().map(|key| Request::Cancel { key }),
            "inform" => Some(Request::Inform { event: asked.event.take().unwrap_or_default() }),
            "leases" => Some(Request::Leases),
            "status" => Some(Request::Status),
            _ => return Err("there is no such `op`".into()),
        };
        let request = request.ok_or_else(|| format!("`{}` lacks a field", from.op))?;
        match from.has_more() {
            true => Err(format!("`{}` has a field too many", from.op)),
            false => Ok(request),
        }
    }
}

impl Asked {
    fn transfer(&mut self) -> Option<Request> {
        Some(Request::Transfer {
            upload: self.upload.take()?,
            file_type: self.file_type.take()?,
            url: self.url.take()?,
            username: self.username.take().unwrap_or_default(),
            password: self.password.take().unwrap_or_default(),
        })
    }

    fn download(&mut self) -> Option<Request> {
        Some(Request::RequestDownload {
            file_type: self.file_type.take()?,
            arguments: self.arguments.take()?,
        })
    }

    /// Whether anything is left.
    fn has_more(&self) -> bool {
        let texts =
            [&self.path, &self.file_type, &self.url, &self.username, &self.password, &self.key, &self.event];
        texts.iter().any(|text| text.is_some())
            || self.paths.is_some()
            || self.values.is_some()
            || self.arguments.is_some()
            || self.next_level.is_some()
            || self.upload.is_some()
    }
}
