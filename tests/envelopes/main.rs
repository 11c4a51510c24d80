//! Every message that the agent writes, three times: byte for byte as it was when a person last
//! looked at it (`tests/golden`; `CWMPD_BLESS=1 cargo test --test envelopes` writes them anew), as
//! a codec that others wrote understands it, and by the Broadband Forum's schemas where those are.

mod schemas;
mod transfers;

use cwmp::protocol as peer;
use cwmpd::cwmp::rpc::{AgentRequest, DeviceId, Event, InformFacts, Namespace};
use cwmpd::cwmp::session::METHODS;
use cwmpd::cwmp::transfers::Method;
use cwmpd::model::fault::{Code, Fault, ParameterFault};
use cwmpd::model::tree::{Item, Status};
use cwmpd::soap::writer::{self, Answer, List};
use std::path::Path;

const V: Namespace = Namespace::V1_2;

/// What breaks a careless writer: what XML reserves, line ends, what XML cannot say, more than ASCII.
const ODD: &str = " <a href=\"x\">'&amp;'</a>\t\r\n\u{1}é\u{1F600} ";
/// The same, as it arrives.
const ODD_READ: &str = " <a href=\"x\">'&amp;'</a>\t\r\n\u{FFFD}é\u{1F600} ";

fn inform(namespace: Namespace) -> Vec<u8> {
    let event = |code: &str, key: &str| Event { code: code.to_string(), command_key: key.to_string() };
    let parameter = |path: &str, xsi_type, value: &str| (path.to_string(), xsi_type, value.to_string());
    let facts = InformFacts {
        device_id: DeviceId {
            manufacturer: "Smith & Sons".to_string(),
            oui: "00D09E".to_string(),
            product_class: String::new(),
            serial_number: "S<1>".to_string(),
        },
        events: vec![event("0 BOOTSTRAP", ""), event("1 BOOT", ""), event("M Reboot", "k & é")],
        current_time: "2026-11-22T11:28:55+01:00".to_string(),
        retry_count: 3,
        parameters: vec![
            parameter("Device.RootDataModelVersion", "xsd:string", "2.19"),
            parameter("Device.DeviceInfo.ProvisioningCode", "xsd:string", ODD),
            parameter("Device.ManagementServer.ParameterKey", "xsd:string", ""),
            parameter("Device.ManagementServer.AliasBasedAddressing", "xsd:boolean", "false"),
        ],
    };
    writer::inform(namespace, "17.1", &facts)
}

fn long(list: List, items: &[Item<'_>]) -> Vec<u8> {
    let mut out = writer::head(V, Some("7"), list, items.len());
    for item in items {
        writer::item(&mut out, *item);
    }
    out.extend_from_slice(&writer::tail(list));
    out
}

fn parameter_faults() -> Fault {
    let line = |name: &str, code, text: &str| ParameterFault {
        name: name.to_string(),
        code,
        text: text.to_string(),
    };
    Fault {
        parameters: vec![
            line("Device.No.Such", Code::INVALID_NAME, "there is no such parameter"),
            line("Device.<b>", Code::INVALID_VALUE, "longer than 64 characters"),
        ],
        ..Fault::new(Code::INVALID_ARGUMENTS, "2 of 3 parameters cannot be set")
    }
}

fn envelopes() -> Vec<(&'static str, Vec<u8>)> {
    let answer = |a| writer::answer(V, Some("7"), a);
    let old = |a| writer::answer(Namespace::V1_0, Some("7"), a);
    let value = |path, xsi_type, value| Item::Value { path, xsi_type, value };
    let mut all = vec![
        ("inform", inform(V)),
        ("inform-1-0", inform(Namespace::V1_0)),
        ("inform-1-1", inform(Namespace::V1_1)),
        ("get-rpc-methods", writer::request(V, "17.2", &AgentRequest::GetRPCMethods)),
        ("get-rpc-methods-response", answer(Answer::GetRPCMethods(METHODS))),
        ("set-parameter-values-response", answer(Answer::SetParameterValues(Status::AtSessionEnd))),
        ("set-parameter-attributes-response", answer(Answer::SetParameterAttributes)),
        ("add-object-response", answer(Answer::AddObject(4_294_967_295, Status::Applied))),
        ("delete-object-response", answer(Answer::DeleteObject(Status::Applied))),
        ("reboot-response", answer(Answer::Reboot)),
        ("factory-reset-response", answer(Answer::FactoryReset)),
        ("schedule-inform-response", answer(Answer::ScheduleInform)),
        ("download-response", answer(Answer::Transfer(Method::Download))),
        ("upload-response", answer(Answer::Transfer(Method::Upload))),
        ("download-response-1-0", old(Answer::Transfer(Method::Download))),
        ("schedule-download-response", answer(Answer::Transfer(Method::ScheduleDownload))),
        ("cancel-transfer-response", answer(Answer::CancelTransfer)),
        ("get-queued-transfers-response", answer(Answer::GetQueuedTransfers(&transfers::queued()))),
        ("get-queued-transfers-response-1-0", old(Answer::GetQueuedTransfers(&transfers::queued()))),
        ("get-all-queued-transfers-response", answer(Answer::GetAllQueuedTransfers(&transfers::queued()))),
        ("get-all-queued-transfers-response-empty", answer(Answer::GetAllQueuedTransfers(&[]))),
        ("response-without-id", writer::answer(Namespace::V1_0, None, Answer::Reboot)),
        ("response-with-odd-id", writer::answer(V, Some(ODD), Answer::Reboot)),
        (
            "get-parameter-values-response",
            long(
                List::Values,
                &[
                    value("Device.DeviceInfo.ProvisioningCode", "xsd:string", ODD),
                    value("Device.DeviceInfo.UpTime", "xsd:unsignedInt", "4294967295"),
                    value("Device.Time.CurrentLocalTime", "xsd:dateTime", "2026-11-22T10:28:55Z"),
                    value("Device.Time.Enable", "xsd:boolean", "true"),
                    value("Device.X.Int", "xsd:int", "-1"),
                    value("Device.X.Long", "xsd:long", "-9223372036854775808"),
                    value("Device.X.UnsignedLong", "xsd:unsignedLong", "18446744073709551615"),
                    value("Device.X.Decimal", "xsd:decimal", "-0.5"),
                    value("Device.X.Base64", "xsd:base64Binary", "AAE="),
                    value("Device.X.HexBinary", "xsd:hexBinary", "00FF"),
                    value("Device.Users.User.1.Password", "xsd:string", ""),
                ],
            ),
        ),
        ("get-parameter-values-response-empty", long(List::Values, &[])),
        (
            "get-parameter-names-response",
            long(
                List::Names,
                &[
                    Item::Name { path: "Device.Users.User.", writable: true },
                    Item::Name { path: "Device.Users.UserNumberOfEntries", writable: false },
                ],
            ),
        ),
        (
            "get-parameter-attributes-response",
            long(
                List::Attributes,
                &[
                    Item::Attributes { path: "Device.Time.Enable", notification: 0, subscriber: true },
                    Item::Attributes {
                        path: "Device.DeviceInfo.SoftwareVersion",
                        notification: 2,
                        subscriber: false,
                    },
                ],
            ),
        ),
        (
            "fault-9000",
            writer::fault(
                V,
                Some("7"),
                &Fault::new(Code::METHOD_NOT_SUPPORTED, "Method not supported: ChangeDUState"),
            ),
        ),
        ("fault-9003-list", writer::fault(V, Some("7"), &parameter_faults())),
        ("fault-9005-1-0", writer::fault(Namespace::V1_0, Some("7"), &Fault::new(Code::INVALID_NAME, ODD))),
        ("fault-must-understand", writer::must_understand(V, Some("7"), "Secret")),
    ];
    all.extend(transfers::requests());
    all
}

fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn as_they_were() {
    let mut wrong = Vec::new();
    for (name, bytes) in envelopes() {
        let path = here().join(format!("tests/golden/{name}.xml"));
        if std::env::var_os("CWMPD_BLESS").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        if std::fs::read(&path).ok().as_deref() != Some(&bytes) {
            wrong.push(format!("{name}: {}", String::from_utf8_lossy(&bytes)));
        }
    }
    assert!(wrong.is_empty(), "differs from tests/golden:\n{}", wrong.join("\n"));
    let golden = std::fs::read_dir(here().join("tests/golden")).unwrap().count();
    assert_eq!(golden, envelopes().len(), "a golden file that nothing writes");
}

fn understood(name: &str) -> peer::Envelope {
    let (_, bytes) = envelopes().into_iter().find(|(n, _)| *n == name).unwrap();
    cwmp::parse_bytes(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn body(name: &str) -> peer::BodyElement {
    let mut body = understood(name).body();
    assert_eq!(body.len(), 1, "{name}: E-2");
    body.remove(0)
}

// Proves: E-8, C-17
#[test]
fn as_another_codec_understands_the_inform() {
    for (name, minor) in [("inform", 2), ("inform-1-0", 0), ("inform-1-1", 1)] {
        let event = |code: &str, key: &str| peer::EventStruct::new(code.to_string(), key.to_string());
        let parameter = |path: &str, xsi_type: &str, value: &str| {
            peer::ParameterValue::new(path.to_string(), xsi_type.to_string(), value.to_string())
        };
        let expected = peer::Inform::new(
            peer::DeviceId::new(
                "Smith & Sons".to_string(),
                "00D09E".to_string(),
                String::new(),
                "S<1>".to_string(),
            ),
            vec![event("0 BOOTSTRAP", ""), event("1 BOOT", ""), event("M Reboot", "k & é")],
            1, // C-17
            "2026-11-22T10:28:55Z".parse().unwrap(),
            3,
            vec![
                parameter("Device.RootDataModelVersion", "xsd:string", "2.19"),
                parameter("Device.DeviceInfo.ProvisioningCode", "xsd:string", ODD_READ),
                parameter("Device.ManagementServer.ParameterKey", "xsd:string", ""),
                parameter("Device.ManagementServer.AliasBasedAddressing", "xsd:boolean", "false"),
            ],
        );
        assert_eq!(body(name), peer::BodyElement::Inform(expected), "{name}");
        assert_eq!(understood(name).cwmp_version(), Some(peer::CwmpVersion::new(1, minor)), "{name}: E-8");
        let header = understood(name).header();
        assert!(
            header.contains(&peer::HeaderElement::ID(peer::ID::new(true, "17.1".to_string()))),
            "{name}: {header:?}"
        );
    }
}

// Proves: E-11
#[test]
fn as_another_codec_understands_the_requests() {
    assert_eq!(body("get-rpc-methods"), peer::BodyElement::GetRPCMethods(peer::GetRPCMethods {}));
    let header = understood("get-rpc-methods").header();
    assert_eq!(header, vec![peer::HeaderElement::ID(peer::ID::new(true, "17.2".to_string()))], "E-11");
}

// Proves: E-10
#[test]
fn as_another_codec_understands_the_responses() {
    use peer::BodyElement as B;
    let text = |s: &str| s.to_string();
    let value = |path: &str, xsi_type: &str, value: &str| {
        peer::ParameterValue::new(text(path), text(xsi_type), text(value))
    };
    let table = [
        (
            "get-rpc-methods-response",
            B::GetRPCMethodsResponse(peer::GetRPCMethodsResponse::new(
                METHODS.iter().map(|m| text(m)).collect(),
            )),
        ),
        (
            "set-parameter-values-response",
            B::SetParameterValuesResponse(peer::SetParameterValuesResponse::new(1)),
        ),
        (
            "set-parameter-attributes-response",
            B::SetParameterAttributesResponse(peer::SetParameterAttributesResponse {}),
        ),
        ("add-object-response", B::AddObjectResponse(peer::AddObjectResponse::new(u32::MAX, text("0")))),
        ("delete-object-response", B::DeleteObjectResponse(peer::DeleteObjectResponse::new(text("0")))),
        ("reboot-response", B::RebootResponse(peer::RebootResponse {})),
        ("factory-reset-response", B::FactoryResetResponse(peer::FactoryResetResponse {})),
        ("schedule-inform-response", B::ScheduleInformResponse(peer::ScheduleInformResponse {})),
        (
            "get-parameter-values-response",
            B::GetParameterValuesResponse(peer::GetParameterValuesResponse::new(vec![
                value("Device.DeviceInfo.ProvisioningCode", "xsd:string", ODD_READ),
                value("Device.DeviceInfo.UpTime", "xsd:unsignedInt", "4294967295"),
                value("Device.Time.CurrentLocalTime", "xsd:dateTime", "2026-11-22T10:28:55Z"),
                value("Device.Time.Enable", "xsd:boolean", "true"),
                value("Device.X.Int", "xsd:int", "-1"),
                value("Device.X.Long", "xsd:long", "-9223372036854775808"),
                value("Device.X.UnsignedLong", "xsd:unsignedLong", "18446744073709551615"),
                value("Device.X.Decimal", "xsd:decimal", "-0.5"),
                value("Device.X.Base64", "xsd:base64Binary", "AAE="),
                value("Device.X.HexBinary", "xsd:hexBinary", "00FF"),
                value("Device.Users.User.1.Password", "xsd:string", ""),
            ])),
        ),
        (
            "get-parameter-names-response",
            B::GetParameterNamesResponse(peer::GetParameterNamesResponse::new(vec![
                peer::ParameterInfoStruct::new(text("Device.Users.User."), 1),
                peer::ParameterInfoStruct::new(text("Device.Users.UserNumberOfEntries"), 0),
            ])),
        ),
        (
            "get-parameter-attributes-response",
            B::GetParameterAttributesResponse(peer::GetParameterAttributesResponse::new(vec![
                peer::ParameterAttribute::new(
                    text("Device.Time.Enable"),
                    text("0"),
                    vec![text("Subscriber")],
                ),
                peer::ParameterAttribute::new(text("Device.DeviceInfo.SoftwareVersion"), text("2"), vec![]),
            ])),
        ),
    ];
    for (name, expected) in table {
        assert_eq!(body(name), expected, "{name}");
        let header = understood(name).header();
        assert_eq!(header, vec![peer::HeaderElement::ID(peer::ID::new(true, text("7")))], "{name}: E-10");
    }
}

// Proves: E-18, E-19
#[test]
fn as_another_codec_understands_the_faults() {
    let fault = |code: &str, number, text: &str| {
        peer::BodyElement::Fault(peer::Fault::new(
            code.to_string(),
            "CWMP fault".to_string(),
            number,
            text.to_string(),
        ))
    };
    assert_eq!(body("fault-9000"), fault("Server", 9000, "Method not supported: ChangeDUState")); // E-18, E-19
    assert_eq!(body("fault-9005-1-0"), fault("Client", 9005, ODD_READ));
}
