use super::*;
use crate::cwmp::rpc::{AcsAnswer, AgentRequest, DeviceId, Event, ParameterValue, SetAttributes};
use crate::cwmp::transfers::{Asked, Queued};
use crate::model::tree::Status;

mod own_requests;
mod transfers;

/// A host that notes what it was asked and fails where it is told to.
#[derive(Default)]
struct Table {
    calls: Vec<String>,
    fault: Option<Fault>,
    /// Requests of the agent's own that it still has: so many of one kind.
    own: u32,
    /// And these, the last one first.
    reports: Vec<AgentRequest>,
    /// The namespaces that it was asked for requests in.
    namespaces: Vec<Namespace>,
    /// What was asked of transfers.
    asked: Vec<Asked>,
    /// Transfers that wait.
    queued: Vec<Queued>,
}

impl Table {
    fn note<T>(&mut self, call: String, value: T) -> Result<T, Fault> {
        self.calls.push(call);
        self.fault.clone().map_or(Ok(value), Err)
    }
}

fn selection(count: usize) -> Selection {
    let mut selection = Selection::default();
    selection.count += count;
    selection
}

impl Host for Table {
    fn begin_rpc(&mut self) {
        self.calls.push("begin".to_string());
    }
    fn values(&mut self, names: &[String]) -> Result<Selection, Fault> {
        self.note(format!("values {names:?}"), selection(3))
    }
    fn names(&mut self, path: &str, next_level: bool) -> Result<Selection, Fault> {
        self.note(format!("names {path:?} {next_level}"), selection(0))
    }
    fn attributes(&mut self, names: &[String]) -> Result<Selection, Fault> {
        self.note(format!("attributes {names:?}"), selection(1))
    }
    fn set(&mut self, list: &[ParameterValue], key: &str) -> Result<Status, Fault> {
        self.note(format!("set {} {key:?}", list.len()), Status::AtSessionEnd)
    }
    fn add(&mut self, object: &str, key: &str) -> Result<(u32, Status), Fault> {
        self.note(format!("add {object} {key:?}"), (4, Status::Applied))
    }
    fn delete(&mut self, object: &str, key: &str) -> Result<Status, Fault> {
        self.note(format!("delete {object} {key:?}"), Status::Applied)
    }
    fn set_attributes(&mut self, list: &[SetAttributes]) -> Result<(), Fault> {
        self.note(format!("set_attributes {}", list.len()), ())
    }
    fn reboot(&mut self, key: &str) -> Result<(), Fault> {
        self.note(format!("reboot {key:?}"), ())
    }
    fn factory_reset(&mut self) -> Result<(), Fault> {
        self.note("factory_reset".to_string(), ())
    }
    fn schedule_inform(&mut self, delay: u32, key: &str) -> Result<(), Fault> {
        self.note(format!("schedule_inform {delay} {key:?}"), ())
    }
    fn transfer(&mut self, asked: Asked) -> Result<(), Fault> {
        self.asked.push(asked.clone());
        self.note(format!("transfer {:?} {:?}", asked.method, asked.command_key), ())
    }
    fn cancel_transfer(&mut self, key: &str) -> Result<(), Fault> {
        self.note(format!("cancel_transfer {key:?}"), ())
    }
    fn queued_transfers(&mut self) -> Vec<Queued> {
        self.calls.push("queued_transfers".to_string());
        self.queued.clone()
    }
    fn inform(&mut self) -> InformFacts {
        self.calls.push("inform".to_string());
        InformFacts {
            device_id: DeviceId { oui: "00D09E".to_string(), ..DeviceId::default() },
            events: vec![Event { code: "1 BOOT".to_string(), command_key: String::new() }],
            current_time: "2026-11-22T10:28:55+01:00".to_string(),
            retry_count: 2,
            parameters: vec![("Device.A".to_string(), "xsd:string", "1".to_string())],
        }
    }
    fn inform_delivered(&mut self) {
        self.calls.push("delivered".to_string());
    }
    fn next_request(&mut self, namespace: Namespace) -> Option<AgentRequest> {
        self.namespaces.push(namespace);
        if let Some(report) = self.reports.pop() {
            return Some(report);
        }
        self.own = self.own.checked_sub(1)?;
        Some(AgentRequest::GetRPCMethods)
    }
    fn answered(&mut self, request: &AgentRequest, answer: AcsAnswer) {
        let answer = match answer {
            AcsAnswer::Response(Response::GetRPCMethods { methods }) => methods.join(" "),
            AcsAnswer::Fault(fault) => fault.code.to_string(),
            other => format!("{other:?}"),
        };
        self.calls.push(format!("{}: {answer}", request.method()));
    }
}

fn envelope(headers: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:c='urn:dslforum-org:cwmp-1-2' \
         xmlns:x='urn:x'><s:Header>{headers}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn fault(code: u16) -> String {
    let body = format!(
        "<s:Fault><faultcode>Server</faultcode><detail><c:Fault><FaultCode>{code}</FaultCode></c:Fault></detail></s:Fault>"
    );
    envelope("<c:ID>9.1</c:ID>", &body)
}

const HOLD: &str = "<c:HoldRequests s:mustUnderstand='1'>1</c:HoldRequests>";
const INFORM_RESPONSE: &str = "<c:InformResponse><MaxEnvelopes>5</MaxEnvelopes></c:InformResponse>";
const REBOOT: &str = "<c:Reboot><CommandKey>k</CommandKey></c:Reboot>";

struct Talk {
    session: Session,
    host: Table,
}

impl Talk {
    /// A session whose Inform is out.
    fn informed() -> Talk {
        let mut talk = Talk { session: Session::new(Namespace::V1_2, 9), host: Table::default() };
        assert!(talk.step(Incoming::Start).starts_with("<?xml"));
        talk
    }

    /// A session whose Inform was answered.
    fn open() -> Talk {
        let mut talk = Talk::informed();
        assert_eq!(talk.says("<c:ID>9.1</c:ID>", INFORM_RESPONSE), "(empty)");
        talk.host.calls.clear();
        talk
    }

    fn step(&mut self, incoming: Incoming<'_>) -> String {
        match self.session.step(incoming, &mut self.host) {
            Outgoing::Whole(bytes) => String::from_utf8(bytes).unwrap(),
            Outgoing::Long(long) => {
                format!("{}|{}", String::from_utf8(long.head).unwrap(), String::from_utf8(long.tail).unwrap())
            }
            Outgoing::Empty => "(empty)".to_string(),
            Outgoing::Done => "(done)".to_string(),
            Outgoing::Failed(why) => format!("(failed) {why}"),
        }
    }

    fn says(&mut self, headers: &str, body: &str) -> String {
        self.step(Incoming::Envelope(envelope(headers, body).as_bytes()))
    }

    fn sends(&mut self, text: &str) -> String {
        self.step(Incoming::Envelope(text.as_bytes()))
    }

    fn empty(&mut self) -> String {
        self.step(Incoming::Empty)
    }
}

// Proves: E-11, C-3, C-13, C-15
#[test]
fn the_shortest_session_c3_c13_c15() {
    let mut talk = Talk { session: Session::new(Namespace::V1_2, 9), host: Table::default() };
    let inform = talk.step(Incoming::Start);
    assert!(inform.contains("<cwmp:Inform>") && inform.contains("urn:dslforum-org:cwmp-1-2"), "{inform}");
    assert!(inform.contains("<cwmp:ID soap-env:mustUnderstand=\"1\">9.1</cwmp:ID>"), "{inform}"); // E-11
    assert!(inform.contains("<MaxEnvelopes>1</MaxEnvelopes>"), "{inform}"); // C-17
    assert!(inform.contains("<RetryCount>2</RetryCount>"), "{inform}");
    assert!(!talk.session.is_delivered());
    assert_eq!(talk.says("<c:ID>9.1</c:ID>", INFORM_RESPONSE), "(empty)");
    assert!(talk.session.is_delivered()); // V-23
    assert_eq!(talk.empty(), "(done)");
    assert_eq!(talk.host.calls, ["inform", "delivered"]);
    assert!(talk.empty().starts_with("(failed)"));
}

// Proves: C-4, C-5, C-23
#[test]
fn only_inform_response_opens_a_session_c4_c5_c23() {
    let answers = [
        envelope("", REBOOT),
        envelope("", "<c:TransferCompleteResponse/>"),
        fault(8000),
        fault(8001),
        fault(8003),
        fault(8006),
        fault(0),
        "not xml".to_string(),
        envelope("", INFORM_RESPONSE)[..210].to_string(), // E-21
    ];
    for answer in answers {
        let mut talk = Talk::informed();
        let said = talk.sends(&answer);
        assert!(said.starts_with("(failed) the ACS"), "{answer}: {said}");
        assert!(!talk.session.is_delivered() && !talk.host.calls.contains(&"delivered".to_string()));
    }
    assert!(Talk::informed().empty().starts_with("(failed)"));
}

// Proves: C-6
#[test]
fn the_same_inform_again_for_8005_c6() {
    let mut talk = Talk { session: Session::new(Namespace::V1_2, 9), host: Table::default() };
    let inform = talk.step(Incoming::Start);
    for _ in 0..MAX_REPEATS {
        assert_eq!(talk.sends(&fault(8005)), inform);
    }
    assert!(talk.sends(&fault(8005)).starts_with("(failed)"));
    assert_eq!(talk.host.calls, ["inform"]);
}

#[test]
fn ids_that_do_not_echo_are_taken_v23_exception() {
    for id in ["", "<c:ID>somebody else's</c:ID>"] {
        let mut talk = Talk::informed();
        assert_eq!(talk.says(id, INFORM_RESPONSE), "(empty)");
        assert!(talk.session.is_delivered());
    }
}

/// R-GEN-7, R-GEN-8: what transfers ask is performed in `transfers`.
// Proves: E-10, C-9, C-10, C-16, R-GEN-7, R-GEN-8, R-GRM-1
#[test]
fn every_method_is_performed_and_answered_c9_c10_e10() {
    let names = "<ParameterNames><string>Device.</string></ParameterNames>";
    let entry = "<ParameterList><ParameterValueStruct><Name>a</Name><Value>1</Value></ParameterValueStruct></ParameterList>";
    let attributes = "<ParameterList><SetParameterAttributesStruct><Name>a</Name><NotificationChange>0</NotificationChange>\
                      <AccessListChange>0</AccessListChange></SetParameterAttributesStruct></ParameterList>";
    let table = [
        (
            "GetParameterValues",
            names.to_string(),
            "values [\"Device.\"]",
            "cwmp:ParameterValueStruct[3]\">|</ParameterList>",
        ),
        (
            "GetParameterAttributes",
            names.to_string(),
            "attributes [\"Device.\"]",
            "cwmp:ParameterAttributeStruct[1]\">|",
        ),
        (
            "GetParameterNames",
            "<ParameterPath/><NextLevel>1</NextLevel>".to_string(),
            "names \"\" true",
            "cwmp:ParameterInfoStruct[0]\">|",
        ),
        (
            "SetParameterValues",
            format!("{entry}<ParameterKey>k</ParameterKey>"),
            "set 1 \"k\"",
            "<Status>1</Status>",
        ),
        ("SetParameterAttributes", attributes.to_string(), "set_attributes 1", ""),
        (
            "AddObject",
            "<ObjectName>A.</ObjectName><ParameterKey/>".to_string(),
            "add A. \"\"",
            "<InstanceNumber>4</InstanceNumber><Status>0</Status>",
        ),
        (
            "DeleteObject",
            "<ObjectName>A.1.</ObjectName><ParameterKey/>".to_string(),
            "delete A.1. \"\"",
            "<Status>0</Status>",
        ),
        ("Reboot", "<CommandKey>k</CommandKey>".to_string(), "reboot \"k\"", ""),
        ("FactoryReset", String::new(), "factory_reset", ""),
        (
            "ScheduleInform",
            "<DelaySeconds>5</DelaySeconds><CommandKey>k</CommandKey>".to_string(),
            "schedule_inform 5 \"k\"",
            "",
        ),
    ];
    let mut talk = Talk::open();
    for (n, (method, arguments, call, answer)) in table.iter().enumerate() {
        let said =
            talk.says(&format!("<c:ID>id {n}</c:ID>"), &format!("<c:{method}>{arguments}</c:{method}>"));
        assert_eq!(talk.host.calls, ["begin", call], "{method}");
        assert!(said.contains(&format!("<cwmp:{method}Response")), "{said}");
        assert!(said.contains(&format!(">id {n}</cwmp:ID>")), "{said}");
        assert!(said.contains(answer), "{said}");
        assert_eq!(talk.session.last_rpc(), Some(*method));
        talk.host.calls.clear();
    }
    let said = talk.says("", "<c:GetRPCMethods/>"); // R-GRM-1
    assert!(said.contains("xsd:string[17]"), "{said}");
    let transfers = ["Download", "Upload", "ScheduleDownload", "CancelTransfer", "GetQueuedTransfers"];
    for method in table.map(|row| row.0).into_iter().chain(transfers).chain(["GetAllQueuedTransfers"]) {
        assert!(said.contains(&format!("<string>{method}</string>")), "{said}");
    }
    assert_eq!((talk.session.rpcs(), talk.session.faults()), (11, 0));
    assert_eq!(talk.empty(), "(done)"); // C-16
}

// Proves: R-GEN-1, R-GEN-2
#[test]
fn a_fault_never_ends_the_session_r_gen_1_r_gen_2() {
    let table = [
        (REBOOT, "9001"),
        ("<c:FactoryReset/>", "9001"),
        ("<c:GetParameterNames/>", "9003"),
        ("<c:FooBar/>", "9000"),
        ("<c:ChangeDUState/>", "9000"),
        ("<x:FactoryReset/>", "9000"),
        ("<c:Download/>", "9003"),
        ("<c:GetParameterNames><ParameterPath/><NextLevel>0</NextLevel></c:GetParameterNames>", "9001"),
    ];
    let mut talk = Talk::open();
    for (body, code) in table {
        talk.host.fault = Some(Fault::new(Code::REQUEST_DENIED, "no"));
        let said = talk.says("<c:ID>77</c:ID>", body);
        assert!(said.contains("<soap-env:Fault>") && said.contains(">77</cwmp:ID>"), "{said}");
        assert!(said.contains(&format!("<FaultCode>{code}</FaultCode>")), "{said}");
    }
    assert_eq!((talk.session.rpcs(), talk.session.faults()), (8, 8));
    assert_eq!(talk.empty(), "(done)");
}

/// R-GEN-4: whatever went wrong, a method ends with a code of its own list: R-GRM-2, R-SPV-7,
/// R-GPV-5, R-GPN-4, R-SPA-10, R-SPA-13, R-OBJ-2, R-OBJ-3, R-SYS-3, R-SYS-9.
// Proves: R-GEN-4, R-GRM-2, R-SPV-7, R-GPV-5, R-GPN-4, R-SPA-10, R-SPA-13, R-OBJ-2, R-OBJ-3, R-SYS-3
// Proves: R-SYS-9
#[test]
fn codes_are_of_the_methods_list_r_gen_4() {
    let names = "<ParameterNames><string>Device.</string></ParameterNames>";
    let row = "<ObjectName>A.</ObjectName><ParameterKey/>";
    let table: [(&str, String, &[u16]); 10] = [
        (
            "SetParameterValues",
            "<ParameterList/><ParameterKey/>".into(),
            &[9001, 9002, 9003, 9004, 9005, 9006, 9007, 9008],
        ),
        ("GetParameterValues", names.into(), &[9001, 9002, 9003, 9004, 9005]),
        ("GetParameterNames", "<ParameterPath/><NextLevel>0</NextLevel>".into(), &[9001, 9002, 9003, 9005]),
        ("SetParameterAttributes", "<ParameterList/>".into(), &[9001, 9002, 9003, 9004, 9005, 9009]),
        ("GetParameterAttributes", names.into(), &[9001, 9002, 9003, 9004, 9005]),
        ("AddObject", row.into(), &[9001, 9002, 9003, 9004, 9005]),
        ("DeleteObject", row.into(), &[9001, 9002, 9003, 9005]),
        ("Reboot", "<CommandKey/>".into(), &[9001, 9002, 9003]),
        ("FactoryReset", String::new(), &[9000, 9001, 9002, 9003]),
        (
            "ScheduleInform",
            "<DelaySeconds>1</DelaySeconds><CommandKey/>".into(),
            &[9000, 9001, 9002, 9003, 9004],
        ),
    ];
    let mut talk = Talk::open();
    let code_of = |said: &str| -> u16 {
        let text = said.split("<FaultCode>").nth(1).expect("a fault");
        text[..4].parse().expect("a number")
    };
    for (method, arguments, list) in &table {
        for code in (9000..=9032).chain([9800, 9899]) {
            talk.host.fault = Some(Fault::new(Code(code), "no"));
            let said = talk.says("", &format!("<c:{method}>{arguments}</c:{method}>"));
            let told = code_of(&said);
            if list.contains(&code) && code != 9000 || code >= 9800 {
                assert_eq!(told, code, "{method}");
            } else {
                assert!(list.contains(&told), "{method}: {code} became {told}");
            }
        }
    }
    // What the reader refuses, too.
    let deep = "<a>".repeat(100);
    for (method, want) in [("Reboot", 9001), ("GetRPCMethods", 9001), ("FooBar", 9000), ("AddObject", 9004)] {
        assert_eq!(code_of(&talk.says("", &format!("<c:{method}>{deep}"))), want, "{method}");
    }
}

#[test]
fn a_long_answer_can_become_a_fault() {
    let mut talk = Talk::open();
    let body = "<c:GetParameterValues><ParameterNames><string>Device.</string></ParameterNames></c:GetParameterValues>";
    let message = envelope("<c:ID>77</c:ID>", body);
    match talk.session.step(Incoming::Envelope(message.as_bytes()), &mut talk.host) {
        Outgoing::Long(long) => {
            assert_eq!(long.selection.count, 3);
            let text = String::from_utf8(long.fault(&Fault::new(Code::INTERNAL_ERROR, "gone"))).unwrap();
            assert!(text.contains("<FaultCode>9002</FaultCode>") && text.contains(">77</cwmp:ID>"), "{text}");
        }
        _ => panic!("no long answer"),
    }
}

// Proves: C-12, C-15
#[test]
fn hold_requests_c12_c13_c15() {
    // Held at first: the empty POST does not say that there is no more.
    let mut talk = Talk::informed();
    assert_eq!(talk.says(HOLD, INFORM_RESPONSE), "(empty)");
    assert!(talk.says("", REBOOT).contains("RebootResponse")); // no header: no longer held
    assert_eq!(talk.empty(), "(empty)");
    assert_eq!(talk.empty(), "(done)");
    // An empty response carries no header, so it lifts the hold.
    let mut talk = Talk::informed();
    assert_eq!(talk.says(HOLD, INFORM_RESPONSE), "(empty)");
    assert_eq!(talk.empty(), "(empty)");
    assert_eq!(talk.empty(), "(done)");
    // Held later, after we have said it: still said.
    let mut talk = Talk::open();
    assert!(talk.says(HOLD, REBOOT).contains("RebootResponse"));
    assert_eq!(talk.empty(), "(done)");
}

// Proves: T-11, C-14, C-16
#[test]
fn an_empty_response_after_an_answer_ends_only_what_was_said_to_end_c14_c16() {
    let mut talk = Talk::open();
    assert!(talk.says("", REBOOT).contains("RebootResponse"));
    assert_eq!(talk.empty(), "(done)");
    // An empty 200, and one with nothing but white space, are empty too (T-11).
    let mut talk = Talk::open();
    assert_eq!(talk.sends(" \r\n"), "(done)");
}

// Proves: E-17, E-20
#[test]
fn a_header_not_understood_e17() {
    let header = "<x:Secret s:mustUnderstand='1'>1</x:Secret><c:ID>77</c:ID>";
    let mut talk = Talk::open();
    let said = talk.says(header, REBOOT);
    assert!(said.contains("soap-env:MustUnderstand") && !said.contains("cwmp:Fault"), "{said}");
    assert!(said.contains(">77</cwmp:ID>"), "{said}");
    assert!(talk.host.calls.is_empty(), "{:?}", talk.host.calls);
    assert!(talk.says("", REBOOT).contains("RebootResponse"));
    // No fault answers a response (E-20).
    assert_eq!(Talk::informed().says(header, INFORM_RESPONSE), "(empty)");
}

// Proves: E-20
#[test]
fn a_fault_or_response_nobody_asked_for_is_passed_over_e20() {
    let mut talk = Talk::open();
    assert_eq!(talk.sends(&fault(8002)), "(empty)");
    assert_eq!(talk.says("", INFORM_RESPONSE), "(empty)");
    assert!(talk.says("", REBOOT).contains("RebootResponse"));
    assert_eq!(talk.empty(), "(done)");
    let mut talk = Talk::open();
    for _ in 0..MAX_STRAYS {
        assert_eq!(talk.sends(&fault(8002)), "(empty)");
    }
    assert!(talk.sends(&fault(8002)).starts_with("(failed)"));
}

// Proves: E-2, E-21
#[test]
fn an_unreadable_message_ends_the_session_e2_e21() {
    for text in ["<a", "<a/>", &envelope("", &REBOOT.repeat(2))] {
        let mut talk = Talk::open();
        assert!(talk.sends(text).starts_with("(failed) the ACS sent a message that cannot be read"));
        assert!(talk.host.calls.is_empty());
    }
}

// Proves: E-9, E-14, E-15
#[test]
fn namespaces_follow_the_acs_e9_e14_e15() {
    let mut talk = Talk::informed();
    talk.sends(&envelope("", INFORM_RESPONSE).replace("cwmp-1-2", "cwmp-1-0"));
    let undeclared = format!("<Envelope><Body>{}</Body></Envelope>", REBOOT.replace("c:", "u:"));
    assert!(talk.sends(&undeclared).contains("urn:dslforum-org:cwmp-1-0"));
    assert!(
        talk.sends(&envelope("", REBOOT).replace("cwmp-1-2", "cwmp-1-1"))
            .contains("urn:dslforum-org:cwmp-1-1")
    );
    // 1.3 and 1.4 have no namespace of their own; one that is not there does not confuse us (E-8).
    assert!(
        talk.sends(&envelope("", REBOOT).replace("cwmp-1-2", "cwmp-1-3"))
            .contains("urn:dslforum-org:cwmp-1-1")
    );

    let mut talk = Talk::informed();
    talk.says("<c:UseCWMPVersion s:mustUnderstand='1'>1.1</c:UseCWMPVersion>", INFORM_RESPONSE);
    assert!(talk.sends(&undeclared).contains("urn:dslforum-org:cwmp-1-1"));
}

// Proves: T-8
#[test]
fn session_timeout_t8() {
    for (seconds, expected) in [("35", Some(35)), ("30", Some(30)), ("29", None), ("0", None), ("x", None)] {
        let mut talk = Talk::informed();
        talk.says(&format!("<c:SessionTimeout>{seconds}</c:SessionTimeout>"), INFORM_RESPONSE);
        assert_eq!(talk.session.timeout(), expected.map(Duration::from_secs), "{seconds}");
    }
}
