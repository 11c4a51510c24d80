//! Each limit of the reader: what lies on it is read, what lies beyond it is refused by it.

use super::arguments::{MAX_KEY, MAX_OBJECT_NAME};
use super::*;

fn envelope(header: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='{}' xmlns:c='urn:dslforum-org:cwmp-1-2'><s:Header>{header}</s:Header>\
         <s:Body>{body}</s:Body></s:Envelope>",
        crate::soap::ENVELOPE
    )
}

/// What a request came to: `read`, or the code it is answered with, or why the message is no use.
fn outcome(header: &str, body: &str) -> String {
    match read(envelope(header, body).as_bytes()) {
        Ok(Envelope { body: Body::Request(Request::Invalid { fault, .. }), .. }) => fault.code.0.to_string(),
        Ok(_) => "read".to_owned(),
        Err(error) => error.to_string(),
    }
}

// Proves: R-GEN-3, R-OBJ-1, R-SYS-3
#[test]
fn on_each_limit_and_beyond_it() {
    let x = |n: usize| "x".repeat(n);
    let reboot = |inside: &str| format!("<c:Reboot>{inside}</c:Reboot>");
    // The Envelope, its Body and the method are elements too.
    let deep = |n: usize| reboot(&format!("{}{}", "<a>".repeat(n - 3), "</a>".repeat(n - 3)));
    let attributes = |n: usize| reboot(&format!("<a{}/>", " a=''".repeat(n)));
    let namespaces = |n: usize| {
        let declared: String = (2..n).map(|i| format!(" xmlns:n{i}='u'")).collect();
        reboot(&format!("<a{declared}/>"))
    };
    let tag = |n: usize| reboot(&format!("<a b='{}'/>", x(n - "a b=''".len())));
    let object = |n: usize| format!("<c:AddObject><ObjectName>{}</ObjectName></c:AddObject>", x(n));
    let key = |n: usize| reboot(&format!("<CommandKey>{}</CommandKey>", "ü".repeat(n)));
    type Case<'a> = (&'a str, usize, &'a dyn Fn(usize) -> String, &'a str);
    let cases: &[Case<'_>] = &[
        ("depth", MAX_DEPTH, &deep, "9004"),
        ("attributes", MAX_ATTRIBUTES, &attributes, "9004"),
        ("namespaces", MAX_NAMESPACES, &namespaces, "9004"),
        ("a tag", MAX_TAG, &tag, "9004"),
        ("an element's name", MAX_ELEMENT_NAME, &|n| reboot(&format!("<{}/>", x(n))), "9004"),
        ("ObjectName", MAX_OBJECT_NAME, &object, "9003"),
        ("CommandKey", MAX_KEY, &key, "9003"),
    ];
    for (what, most, body, beyond) in cases {
        assert_eq!(outcome("", &body(*most)), "read", "{what}");
        assert_eq!(outcome("", &body(*most + 1)), *beyond, "{what}");
    }
    let id = |n: usize| outcome(&format!("<c:ID>{}</c:ID>", x(n)), &reboot(""));
    assert_eq!(id(MAX_HEADER), "read");
    assert_eq!(id(MAX_HEADER + 1), "beyond a limit: a header longer than 4096 bytes");
}

#[test]
fn a_message_as_large_as_can_be() {
    let filled = |n: usize| {
        let empty = envelope("", "<c:Reboot/><!---->");
        envelope("", &format!("<c:Reboot/><!--{}-->", "x".repeat(n - empty.len())))
    };
    assert!(read(filled(MAX_BODY).as_bytes()).is_ok());
    assert!(matches!(read(filled(MAX_BODY + 1).as_bytes()), Err(Error::Limit(_))));
}

#[test]
fn what_is_kept_of_the_acs_own_words() {
    let long = "x".repeat(MAX_METHOD_NAME + 1);
    let methods = format!("<string>{long}</string>{}", "<string>x</string>".repeat(MAX_METHODS + 5));
    let text = envelope(
        "",
        &format!("<c:GetRPCMethodsResponse><MethodList>{methods}</MethodList></c:GetRPCMethodsResponse>"),
    );
    match read(text.as_bytes()).unwrap().body {
        Body::Response(Response::GetRPCMethods { methods }) => assert_eq!(methods, ["x"; MAX_METHODS]),
        other => panic!("{other:?}"),
    }
    let long = format!("&#10;{}", "é".repeat(MAX_FAULT_TEXT + 5));
    let text = envelope("", &format!("<s:Fault><faultstring>{long}</faultstring></s:Fault>"));
    match read(text.as_bytes()).unwrap().body {
        Body::Fault(fault) => assert_eq!(fault.text, "é".repeat(MAX_FAULT_TEXT)),
        other => panic!("{other:?}"),
    }
}

/// A document type is refused wherever it stands, and so is every entity that XML itself does not
/// define: nothing is expanded, nothing is fetched.
// Proves: E-32
#[test]
fn no_document_type_and_no_entity() {
    let bomb = "<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c '&b;&b;&b;&b;'><!ENTITY d '&c;&c;&c;&c;'>]>";
    let reboot = |key: &str| envelope("", &format!("<c:Reboot><CommandKey>{key}</CommandKey></c:Reboot>"));
    for doctype in [
        bomb,
        "<!DOCTYPE a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE a PUBLIC '-//x' 'http://192.0.2.1/x.dtd'>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'http://192.0.2.1/'> %p;]>",
        "<!doctype a>",
    ] {
        for text in [
            format!("{doctype}{}", reboot("k")),
            format!("<?xml version='1.0'?><!-- --> {doctype} {}", reboot("&d;")),
            reboot(doctype),
            envelope("", doctype),
            envelope(doctype, "<c:Reboot/>"),
            format!("{}{doctype}", reboot("k")),
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
    for entity in ["&b;", "&nbsp;", "&AMP;", "&#0;", "&#xD800;", "&#1114112;", "&#-1;", "&;", "&", "&amp"] {
        assert!(read(reboot(entity).as_bytes()).is_err(), "{entity}");
    }
    match read(reboot("&lt;&gt;&amp;&quot;&apos;&#x41;&#66;").as_bytes()).unwrap().body {
        Body::Request(Request::Reboot { command_key }) => assert_eq!(command_key, "<>&\"'AB"),
        other => panic!("{other:?}"),
    }
}
