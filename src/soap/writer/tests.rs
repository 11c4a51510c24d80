use super::*;
use crate::cwmp::rpc::{Body, Request};
use crate::soap::reader;

fn escaped(text: &str) -> String {
    let mut out = Vec::new();
    escape(&mut out, text);
    String::from_utf8(out).unwrap()
}

// Proves: E-22, E-24
#[test]
fn escapes_e22_e24() {
    let table = [
        ("", ""),
        ("plain é \u{1F600}", "plain é \u{1F600}"),
        ("a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&quot;e&apos;f"),
        ("\t\n\r", "&#9;&#10;&#13;"),
        ("a\u{0}b\u{1}\u{1F}", "a\u{FFFD}b\u{FFFD}\u{FFFD}"),
        ("x\u{FFFE}\u{FFFF}y\u{FFFD}\u{FEFF}\u{F000}", "x\u{FFFD}\u{FFFD}y\u{FFFD}\u{FEFF}\u{F000}"),
    ];
    for (text, expected) in table {
        assert_eq!(escaped(text), expected, "{text:?}");
    }
}

/// Whatever a value is made of, a reader gets it back unchanged (E-24), legal characters given.
// Proves: E-5
#[test]
fn written_values_are_read_back_unchanged_e24() {
    let values = ["", " ", " a ", "\t\r\n", "a\r\nb", "]]>", "&amp;", "<a/>", "é\u{10FFFF}\u{FFFD}", "'\""];
    for value in values {
        let mut out = Vec::new();
        open(&mut out, Namespace::V1_2, Some("1"), false);
        out.extend_from_slice(b"<cwmp:SetParameterValues><ParameterList>");
        item(&mut out, Item::Value { path: "Device.A", xsi_type: "xsd:string", value });
        out.extend_from_slice(b"</ParameterList><ParameterKey/></cwmp:SetParameterValues>");
        close(&mut out);
        match reader::read(&out).unwrap().body {
            Body::Request(Request::SetParameterValues { list, .. }) => {
                assert_eq!(list[0].value, value);
                assert_eq!(list[0].xsi_type.as_deref(), Some("string")); // E-5
            }
            other => panic!("{other:?}"),
        }
    }
}

// Proves: E-8, E-9
#[test]
fn namespaces_of_answers_e8_e9() {
    for ns in [Namespace::V1_0, Namespace::V1_1, Namespace::V1_2] {
        let bytes = answer(ns, Some("7"), Answer::FactoryReset);
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.contains(&format!("xmlns:cwmp=\"{}\"", ns.urn())), "{text}");
        let envelope = reader::read(&bytes).unwrap();
        assert_eq!((envelope.namespace, envelope.id.as_deref()), (Some(ns), Some("7"))); // E-10
    }
}

/// The header of CWMP 1.4 is in the newest namespace alone.
// Proves: E-13, E-16
#[test]
fn an_older_inform_names_no_versions_e13_e16() {
    for (ns, named) in [(Namespace::V1_0, false), (Namespace::V1_1, false), (Namespace::V1_2, true)] {
        let bytes = inform(ns, "7", &InformFacts::default());
        let text = std::str::from_utf8(&bytes).unwrap();
        assert_eq!(text.contains("SupportedCWMPVersions"), named, "{text}");
        assert!(text.contains(&format!("xmlns:cwmp=\"{}\"", ns.urn())), "{text}");
    }
}

#[test]
fn an_answer_to_a_request_without_id_has_no_header() {
    let text = String::from_utf8(answer(Namespace::V1_0, None, Answer::Reboot)).unwrap();
    assert!(!text.contains("Header"), "{text}");
}

// Proves: E-19
#[test]
fn whose_fault_it_is_e19() {
    let client = [9003, 9005, 9006, 9007, 9008];
    for code in (9000..=9032).chain(9800..=9899) {
        let expected = if client.contains(&code) { "Client" } else { "Server" };
        assert_eq!(faultcode(Code(code)), expected, "{code}");
    }
}
