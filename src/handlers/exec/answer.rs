//! PURE: what a script may answer, one line of JSON.

use crate::model::handler::Fields;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest text of an error that goes on, in characters.
pub const MAX_TEXT: usize = 256;

/// An answer of the exec protocol, see `datamodel/README.md`. JSON nests as deep as serde_json reads
/// it (128), and the line is at most [`crate::sys::child::MAX_LINE`] long.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Answer {
    /// The request that it answers.
    pub id: u64,
    /// What the names hold.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// The rows of a table.
    pub keys: Option<Vec<String>>,
    /// The key of a new row.
    pub key: Option<String>,
    /// Why not.
    pub error: Option<Said>,
}

/// The error of an answer.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Said {
    /// One of CWMP's, or anything.
    pub code: i64,
    /// The parameter that it is about, or empty.
    #[serde(default)]
    pub name: String,
    /// For a person.
    #[serde(default)]
    pub text: String,
}

impl Answer {
    /// Reads a line.
    ///
    /// # Errors
    /// It is no answer.
    pub fn read(line: &[u8]) -> Result<Answer, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

/// Text of a script as it may stand in a log or a fault.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect()
}

/// Puts one value of an answer: text, number, boolean, or a reference `{"object":…,"keys":[…]}`, also
/// several in an array. What is anything else is not filled.
pub fn fill(out: &mut Fields, index: usize, value: &Value) {
    match value {
        Value::String(text) => out.put(index, text),
        Value::Number(number) => out.put(index, number),
        Value::Bool(yes) => out.put(index, yes),
        Value::Array(several) => several.iter().for_each(|one| refer(out, index, one)),
        Value::Object(_) => refer(out, index, value),
        Value::Null => {}
    }
}

fn refer(out: &mut Fields, index: usize, value: &Value) {
    let Some(object) = value.get("object").and_then(Value::as_str) else {
        return;
    };
    let keys = value.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
    out.refer(index, object, &keys);
}
