//! The methods of the object, and what each asks of the engine.

use crate::agent::control::{Failure, Request};
use crate::model::fault::Code;
use crate::sys::ubus::published::{Kind, Method};
use crate::sys::ubus::{Answer, Value};

/// What the object can do.
pub(super) const METHODS: &[Method] = &[
    ("status", &[]),
    ("transfers", &[]),
    ("inform", &[("event", Kind::Text)]),
    ("get", &[("path", Kind::Text), ("paths", Kind::Array)]),
    ("set", &[("values", Kind::Table)]),
];

/// Whether a method is answered with what the agent says of itself.
pub(super) fn is_report(method: &Method) -> bool {
    matches!(method.0, "status" | "transfers")
}

fn wrong(text: &str) -> Failure {
    Failure::new(Code::INVALID_ARGUMENTS, text)
}

/// What a call asks of the engine.
pub(super) fn request(method: &Method, args: &Answer) -> Result<Request, Failure> {
    let field = |name: &str| args.root().get(name);
    Ok(match method.0 {
        "inform" => {
            let event = field("event").map(|event| event.text().ok_or_else(|| wrong("`event` is not text")));
            Request::Inform { event: event.transpose()?.unwrap_or_default().to_owned() }
        }
        "get" => {
            let path = field("path").into_iter();
            let paths = path.chain(field("paths").into_iter().flat_map(Value::fields).map(|(_, path)| path));
            let paths: Option<Vec<String>> = paths.map(|p| p.text().map(str::to_owned)).collect();
            let paths = paths.filter(|paths| !paths.is_empty());
            Request::Get { paths: paths.ok_or_else(|| wrong("`path` is text, `paths` an array of texts"))? }
        }
        "set" => {
            let values = field("values").filter(|values| values.is_table());
            let values = values.ok_or_else(|| wrong("`values` is a table: path and value"))?;
            if let Some((path, _)) = values.fields().find(|(_, value)| !value.is_scalar()) {
                return Err(wrong(&format!("the value of `{path:.256}` is none")));
            }
            let pair = |(path, value): (&str, Value<'_>)| (path.to_owned(), value.show().to_string());
            Request::Set { values: values.fields().map(pair).collect() }
        }
        _ => Request::Status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_calls_ask() {
        let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
        let pairs = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        for (method, args, request) in [
            ("status", "{}", Request::Status),
            ("transfers", r#"{"x":1}"#, Request::Status),
            ("inform", "{}", Request::Inform { event: String::new() }),
            ("inform", r#"{"event":"X 00D09E Tea"}"#, Request::Inform { event: "X 00D09E Tea".into() }),
            ("get", r#"{"path":"Device."}"#, Request::Get { paths: texts(&["Device."]) }),
            ("get", r#"{"paths":["a","b"],"path":"c"}"#, Request::Get { paths: texts(&["c", "a", "b"]) }),
            (
                "set",
                r#"{"values":{"a":"x","b":-4,"c":true,"d":1.5}}"#,
                Request::Set { values: pairs(&[("a", "x"), ("b", "-4"), ("c", "true"), ("d", "1.500000")]) },
            ),
            ("set", r#"{"values":{}}"#, Request::Set { values: Vec::new() }),
        ] {
            assert_eq!(
                super::request(find(method), &Answer::from_json(args).unwrap()),
                Ok(request),
                "{args}"
            );
        }
        for (method, args) in [
            ("inform", r#"{"event":1}"#),
            ("get", "{}"),
            ("get", r#"{"path":1}"#),
            ("get", r#"{"paths":[]}"#),
            ("get", r#"{"paths":["a",{}]}"#),
            ("set", "{}"),
            ("set", r#"{"values":[]}"#),
            ("set", r#"{"values":{"a":{}}}"#),
            ("set", r#"{"values":{"a":null}}"#),
        ] {
            let asked = super::request(find(method), &Answer::from_json(args).unwrap());
            assert_eq!(asked.unwrap_err().code, 9003, "{args}");
        }
    }

    fn find(name: &str) -> &'static Method {
        METHODS.iter().find(|(n, _)| *n == name).unwrap()
    }
}
