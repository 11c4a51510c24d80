use super::*;
use crate::cwmp::rpc::{Namespace, ParameterValue, SetAttributes};
use crate::cwmp::transfers::Method;

const SAMPLES: &[&[u8]] = &[
    include_bytes!("../../../tests/requests/genie-inform-response.xml"),
    include_bytes!("../../../tests/requests/genie-get-parameter-names.xml"),
    include_bytes!("../../../tests/requests/genie-get-parameter-values.xml"),
    include_bytes!("../../../tests/requests/genie-set-parameter-values.xml"),
    include_bytes!("../../../tests/requests/genie-add-object.xml"),
    include_bytes!("../../../tests/requests/genie-delete-object.xml"),
    include_bytes!("../../../tests/requests/genie-reboot.xml"),
    include_bytes!("../../../tests/requests/genie-factory-reset.xml"),
    include_bytes!("../../../tests/requests/genie-download.xml"),
    include_bytes!("../../../tests/requests/axis-set-parameter-attributes.xml"),
    include_bytes!("../../../tests/requests/default-namespace-get-parameter-attributes.xml"),
    include_bytes!("../../../tests/requests/undeclared-get-parameter-names.xml"),
    include_bytes!("../../../tests/requests/plain-get-rpc-methods.xml"),
    include_bytes!("../../../tests/requests/plain-schedule-inform.xml"),
    include_bytes!("../../../tests/requests/fault.xml"),
    include_bytes!("../../../tests/requests/latin1-reboot.xml"),
    include_bytes!("../../../tests/requests/axis-schedule-download.xml"),
    include_bytes!("../../../tests/requests/plain-upload.xml"),
    include_bytes!("../../../tests/requests/plain-cancel-transfer.xml"),
    include_bytes!("../../../tests/requests/plain-get-all-queued-transfers.xml"),
    include_bytes!("../../../tests/requests/plain-transfer-complete-response.xml"),
];

fn sample(n: usize) -> Envelope {
    read(SAMPLES[n]).unwrap()
}

fn in_body(body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:c='urn:dslforum-org:cwmp-1-0' \
         xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xmlns:other='urn:other'><s:Header>\
         <c:ID s:mustUnderstand='1'>7</c:ID></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

fn request(body: &str) -> Request {
    match read(in_body(body).as_bytes()) {
        Ok(Envelope { body: Body::Request(r), .. }) => r,
        other => panic!("{body:.300} gave {other:?}"),
    }
}

/// A key that an ACS leaves out is empty: perl-cwmp sends a bare Reboot.
#[test]
fn a_missing_key_is_an_empty_one() {
    assert!(matches!(request("<c:Reboot/>"), Request::Reboot { command_key } if command_key.is_empty()));
    let delete = "<c:DeleteObject><ObjectName>Device.X.1.</ObjectName></c:DeleteObject>";
    assert!(
        matches!(request(delete), Request::DeleteObject { parameter_key, .. } if parameter_key.is_empty())
    );
}

/// The fault of a request that is invalid.
fn invalid(body: &str) -> (u16, String) {
    match request(body) {
        Request::Invalid { fault, .. } => (fault.code.0, fault.text),
        other => panic!("{body:.300} gave {other:?}"),
    }
}

// Proves: E-6, E-7, E-12, R-GPN-9, R-SPA-3
#[test]
fn requests_as_acss_write_them_e6_e7() {
    assert_eq!(sample(0).body, Body::Response(Response::Inform));
    assert_eq!(sample(0).id.as_deref(), Some("18c2f7a9b4e0100"));
    assert_eq!(sample(0).namespace, Some(Namespace::V1_2));
    let names = |path: &str, next_level| {
        Body::Request(Request::GetParameterNames { path: path.to_string(), next_level })
    };
    assert_eq!(sample(1).body, names("", true)); // R-GPN-9
    let list = vec!["Device.DeviceInfo.".to_string(), "Device.Time.Enable".to_string()];
    assert_eq!(sample(2).body, Body::Request(Request::GetParameterValues { names: list }));
    let value = |name: &str, value: &str, xsi_type: &str| ParameterValue {
        name: name.to_string(),
        value: value.to_string(),
        xsi_type: Some(xsi_type.to_string().into()),
    };
    let list = vec![
        value("Device.ManagementServer.PeriodicInformInterval", "300", "unsignedInt"),
        value("Device.DeviceInfo.ProvisioningCode", " a&b\n<c> ", "string"), // E-24
    ];
    let key = String::new();
    assert_eq!(
        sample(3).body,
        Body::Request(Request::SetParameterValues { list, parameter_key: key.clone() })
    );
    let object = "Device.Users.User.".to_string();
    assert_eq!(sample(4).body, Body::Request(Request::AddObject { object, parameter_key: key.clone() }));
    let object = "Device.Users.User.3.".to_string();
    assert_eq!(sample(5).body, Body::Request(Request::DeleteObject { object, parameter_key: key }));
    assert_eq!(sample(6).body, Body::Request(Request::Reboot { command_key: String::new() }));
    assert_eq!(sample(7).body, Body::Request(Request::FactoryReset));
    let Body::Request(Request::Transfer(asked)) = sample(8).body else { panic!("no Download") };
    let (key, url) = ("k1", "http://192.0.2.1/f.bin");
    assert_eq!((asked.method, asked.command_key.as_str(), asked.url.as_str()), (Method::Download, key, url));

    let list = vec![
        SetAttributes { name: "Device.IP.".to_string(), notification: Some(2), access_list: None },
        SetAttributes {
            name: "Device.Time.NTPServer1".to_string(),
            notification: None, // R-SPA-3
            access_list: Some(vec!["Subscriber".to_string()]),
        },
    ];
    assert_eq!(sample(9).body, Body::Request(Request::SetParameterAttributes { list }));
    assert_eq!(sample(9).hold_requests, Some(false));
    assert_eq!(sample(9).not_understood, None);
    assert_eq!(sample(9).namespace, Some(Namespace::V1_0));

    let list = vec!["Device.ManagementServer.".to_string()];
    assert_eq!(sample(10).body, Body::Request(Request::GetParameterAttributes { names: list }));
    assert_eq!((sample(10).namespace, sample(10).id.as_deref()), (Some(Namespace::V1_1), Some("7")));
    assert_eq!(sample(11).body, names("", false));
    assert_eq!((sample(11).namespace, sample(11).id), (None, None));
    assert_eq!(sample(12).body, Body::Request(Request::GetRPCMethods));
    assert_eq!(sample(12).hold_requests, Some(true)); // E-12
    let command_key = "in a minute".to_string();
    assert_eq!(sample(13).body, Body::Request(Request::ScheduleInform { delay_seconds: 60, command_key }));
    assert_eq!(sample(13).session_timeout, Some(35)); // T-8
    let text = "Retry request".to_string();
    assert_eq!(sample(14).body, Body::Fault(AcsFault { code: 8005, text }));
    assert_eq!(sample(15).body, Body::Request(Request::Reboot { command_key: "café".to_string() }));
    let Body::Request(Request::Transfer(asked)) = sample(16).body else { panic!("no ScheduleDownload") };
    assert_eq!((asked.method, asked.windows.len()), (Method::ScheduleDownload, 2));
    let Body::Request(Request::Transfer(asked)) = sample(17).body else { panic!("no Upload") };
    assert_eq!((asked.method, asked.delay_seconds), (Method::Upload, 60));
    let command_key = "k1".to_string();
    assert_eq!(sample(18).body, Body::Request(Request::CancelTransfer { command_key }));
    assert_eq!(sample(19).body, Body::Request(Request::GetAllQueuedTransfers));
    assert_eq!(sample(20).body, Body::Response(Response::TransferComplete));
}

// Proves: E-32
#[test]
fn what_is_no_message_is_an_error_e2_e21_e32() {
    let envelope = |inside: &str| {
        format!("<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'>{inside}</s:Envelope>")
    };
    let reboot = "<Reboot><CommandKey/></Reboot>";
    let table = [
        (String::new(), "no element"),
        ("junk".to_string(), "no element"),
        ("<a/>".to_string(), "Envelope"),
        (
            "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Body/></e:Envelope>"
                .to_string(),
            "Envelope",
        ),
        (envelope(""), "no Body"),
        (envelope(&format!("<s:Body>{reboot}{reboot}</s:Body>")), "more than one"),
        (envelope(&format!("<s:Body>{reboot}</s:Body><s:Body>{reboot}</s:Body>")), "two Bodies"),
        (format!("{}<x/>", in_body(reboot)), "follows"),
        (format!("<!DOCTYPE x [<!ENTITY a 'b'>]>{}", in_body(reboot)), "DOCTYPE"),
        (in_body("<c:Reboot><CommandKey>&nbsp;</CommandKey></c:Reboot>"), "entity"),
        (in_body("<c:Reboot><CommandKey>&#xD800;</CommandKey></c:Reboot>"), "reference"),
        (in_body("<c:Reboot><CommandKey></c:Reboot>"), "match"),
        (in_body(reboot)[..250].to_string(), "well-formed"),
        (format!("<?xml version='1.0' encoding='Shift_JIS'?>{}", in_body(reboot)), "encoding"),
    ];
    for (text, what) in table {
        let error = read(text.as_bytes()).expect_err(&text).to_string();
        assert!(error.contains(what), "{text}: {error}");
    }
    // Bytes that are no UTF-8, wherever they stand.
    let places = [
        "<c:Reboot><CommandKey>@</CommandKey></c:Reboot>",
        "<c:Re@boot/>",
        "<!--@--><c:Reboot/>",
        "<c:Reboot a='@'/>",
    ];
    for place in places {
        let mut bytes = in_body(place).into_bytes();
        bytes.iter_mut().filter(|b| **b == b'@').for_each(|b| *b = 0xFF);
        let error = read(&bytes).expect_err(place).to_string();
        assert!(error.contains("UTF-8"), "{place}: {error}");
    }
    let error = read(b"\xFF\xFE<\0a\0").unwrap_err().to_string();
    assert!(error.contains("UTF-16"), "{error}");
    let error = read(&vec![b' '; MAX_BODY + 1]).unwrap_err().to_string();
    assert!(error.contains("larger"), "{error}");
}

#[test]
fn an_error_never_quotes_the_message() {
    let text = in_body("<c:SetParameterValues><ParameterList><secret-4711></other></ParameterList>");
    assert!(!read(text.as_bytes()).unwrap_err().to_string().contains("4711"));
    let (_, text) =
        invalid("<c:GetParameterNames><ParameterPath/><NextLevel>4711</NextLevel></c:GetParameterNames>");
    assert!(!text.contains("4711"));
}

#[test]
fn encodings() {
    let with_bom = [b"\xEF\xBB\xBF".as_slice(), SAMPLES[6]].concat();
    assert_eq!(read(&with_bom).unwrap(), sample(6));
    let ascii = format!("<?xml version=\"1.0\" encoding=\"US-ASCII\" ?>\r\n{}", in_body("<c:FactoryReset/>"));
    assert_eq!(read(ascii.as_bytes()).unwrap().body, Body::Request(Request::FactoryReset));
}

// Proves: R-SPV-12, R-OBJ-1, R-SYS-3, R-SYS-7, R-SYS-8
#[test]
fn arguments_that_are_wrong_are_9003_and_named_r_gen_2() {
    let long = "x".repeat(33);
    let spa = |inside: &str| {
        format!(
            "<c:SetParameterAttributes><ParameterList><SetParameterAttributesStruct>{inside}\
             </SetParameterAttributesStruct></ParameterList></c:SetParameterAttributes>"
        )
    };
    let table = [
        ("<c:GetParameterValues/>".to_string(), "ParameterNames"),
        ("<c:GetParameterValues><ParameterNames/></c:GetParameterValues>".to_string(), "ParameterNames"),
        ("<c:GetParameterAttributes/>".to_string(), "ParameterNames"),
        ("<c:GetParameterNames><NextLevel>1</NextLevel></c:GetParameterNames>".to_string(), "ParameterPath"),
        ("<c:GetParameterNames><ParameterPath/></c:GetParameterNames>".to_string(), "NextLevel"),
        ("<c:GetParameterNames><ParameterPath/><NextLevel/></c:GetParameterNames>".to_string(), "NextLevel"),
        ("<c:GetParameterNames><ParameterPath/><ParameterPath/><NextLevel>1</NextLevel></c:GetParameterNames>".to_string(), "ParameterPath is given twice"),
        ("<c:SetParameterValues><ParameterKey/></c:SetParameterValues>".to_string(), "ParameterList"),
        ("<c:SetParameterValues><ParameterList><ParameterValueStruct><Name>a</Name></ParameterValueStruct></ParameterList><ParameterKey/></c:SetParameterValues>".to_string(), "Value"),
        ("<c:SetParameterValues><ParameterList><ParameterValueStruct><Value>a</Value></ParameterValueStruct></ParameterList><ParameterKey/></c:SetParameterValues>".to_string(), "Name"),
        ("<c:SetParameterValues><ParameterList><ParameterValueStruct><Name>a</Name><Value>&#1;</Value></ParameterValueStruct></ParameterList><ParameterKey/></c:SetParameterValues>".to_string(), "Value"),
        (format!("<c:SetParameterValues><ParameterList/><ParameterKey>{long}</ParameterKey></c:SetParameterValues>"), "ParameterKey"), // R-SPV-12
        (format!("<c:Reboot><CommandKey>{long}</CommandKey></c:Reboot>"), "CommandKey"), // R-SYS-3
        ("<c:ScheduleInform><DelaySeconds>0</DelaySeconds><CommandKey/></c:ScheduleInform>".to_string(), "DelaySeconds"), // R-SYS-7
        ("<c:ScheduleInform><DelaySeconds>-1</DelaySeconds><CommandKey/></c:ScheduleInform>".to_string(), "DelaySeconds"),
        ("<c:ScheduleInform><DelaySeconds>4294967296</DelaySeconds><CommandKey/></c:ScheduleInform>".to_string(), "DelaySeconds"),
        ("<c:ScheduleInform><CommandKey/></c:ScheduleInform>".to_string(), "DelaySeconds"),
        (format!("<c:ScheduleInform><DelaySeconds>1</DelaySeconds><CommandKey>{long}</CommandKey></c:ScheduleInform>"), "CommandKey"), // R-SYS-8
        (format!("<c:AddObject><ObjectName>{}.</ObjectName><ParameterKey/></c:AddObject>", "x".repeat(256)), "ObjectName"), // R-OBJ-1
        ("<c:DeleteObject><ParameterKey/></c:DeleteObject>".to_string(), "ObjectName"),
        (spa("<Name>a</Name><NotificationChange>1</NotificationChange><AccessListChange>0</AccessListChange>"), "Notification"),
        (spa("<Name>a</Name><NotificationChange>1</NotificationChange><Notification>x</Notification><AccessListChange>0</AccessListChange>"), "Notification"),
        (spa("<Name>a</Name><NotificationChange>0</NotificationChange><AccessListChange>1</AccessListChange>"), "AccessList"),
        (spa("<Name>a</Name><AccessListChange>0</AccessListChange>"), "NotificationChange"),
        (spa("<NotificationChange>0</NotificationChange><AccessListChange>0</AccessListChange>"), "Name"),
    ];
    for (body, name) in table {
        let (code, text) = invalid(&body);
        assert_eq!(code, 9003, "{body}: {text}");
        assert!(text.contains(name), "{body}: {text}");
    }
}

#[test]
fn lengths_are_counted_in_characters_e23() {
    let key = "é".repeat(32);
    assert_eq!(
        request(&format!("<c:Reboot><CommandKey>{key}</CommandKey></c:Reboot>")),
        Request::Reboot { command_key: key }
    );
}

/// E-6: comments, CDATA and white space; E-7.
// Proves: E-6, E-7
#[test]
fn unknown_elements_are_ignored_and_counts_that_lie_are_not_read_e7() {
    let junk = "<Extra><Deep>1</Deep></Extra><other:Name>2</other:Name>";
    let body = format!(
        "<c:SetParameterValues>{junk}<ParameterList c:arrayType='c:ParameterValueStruct[4000000000]'>{junk}\
         <ParameterValueStruct>{junk}<Name> a <!-- b --></Name><Value xsi:type='q:string'> 1<b>2</b>\r\n3<![CDATA[<&]]></Value>\
         </ParameterValueStruct></ParameterList><ParameterKey> k </ParameterKey></c:SetParameterValues>"
    );
    let Request::SetParameterValues { list, parameter_key } = request(&body) else { panic!() };
    assert_eq!(parameter_key, " k ");
    assert_eq!((list.len(), list[0].name.as_str()), (1, "a"));
    assert_eq!(list[0].value, " 1\n3<&");
    assert_eq!(list[0].xsi_type.as_deref(), Some("string"));
    // E-31
    let body = "<c:SetParameterValues><ParameterList><ParameterValueStruct><Name>a</Name><Value/>\
                </ParameterValueStruct></ParameterList><ParameterKey/></c:SetParameterValues>";
    let Request::SetParameterValues { list, .. } = request(body) else { panic!() };
    assert_eq!((list[0].value.as_str(), &list[0].xsi_type), ("", &None));
}

// Proves: E-30, E-31
#[test]
fn types_of_values_e30_e31() {
    let with = |attribute: &str| {
        let body = format!(
            "<c:SetParameterValues><ParameterList><ParameterValueStruct><Name>a</Name><Value {attribute}>1</Value>\
             </ParameterValueStruct></ParameterList><ParameterKey/></c:SetParameterValues>"
        );
        let Request::SetParameterValues { list, .. } = request(&body) else { panic!("{body}") };
        list[0].xsi_type.clone()
    };
    for attribute in [
        "xsi:type='xsd:int'",
        "xsi:type=' a:int '",
        "xsi:type='int'",
        "type='int'",
        "u:type='x:int'",
        "a='b' xsi:type=\"int\"",
    ] {
        assert_eq!(with(attribute).as_deref(), Some("int"), "{attribute}");
    }
    for attribute in ["", "other:type='xsd:int'", "xsi:type=''", "xsi:types='int'"] {
        assert_eq!(with(attribute), None, "{attribute}");
    }
}

// Proves: R-GEN-1
#[test]
fn a_method_of_another_namespace_is_unknown_r_gen_1() {
    let body = "<other:Reboot><CommandKey/></other:Reboot>";
    assert_eq!(request(body), Request::Unknown { method: "Reboot".to_string() });
    assert_eq!(request("<c:FooBar><a/></c:FooBar>"), Request::Unknown { method: "FooBar".to_string() });
}

// Proves: E-17
#[test]
fn headers_that_must_be_understood_e17() {
    let with = |header: &str| {
        let text = in_body("<c:FactoryReset/>").replace("</s:Header>", &format!("{header}</s:Header>"));
        read(text.as_bytes()).unwrap()
    };
    assert_eq!(with("<other:A s:mustUnderstand='1'/>").not_understood.as_deref(), Some("A"));
    assert_eq!(with("<c:A s:mustUnderstand='1'>x</c:A>").not_understood.as_deref(), Some("A"));
    assert_eq!(with("<other:A s:mustUnderstand='0'/>").not_understood, None);
    assert_eq!(with("<other:A/>").not_understood, None);
    assert_eq!(with("<other:A s:mustUnderstand='1' s:actor='urn:somebody'/>").not_understood, None);
    assert_eq!(with("<u:A u:mustUnderstand='1'/>").not_understood.as_deref(), Some("A"));
    let known = with(
        "<c:UseCWMPVersion s:mustUnderstand='1'> 1.2 </c:UseCWMPVersion><c:HoldRequests s:mustUnderstand='1'>1</c:HoldRequests>",
    );
    assert_eq!((known.not_understood, known.use_cwmp_version.as_deref()), (None, Some("1.2")));
    assert_eq!(known.hold_requests, Some(true));
}

// Proves: R-GEN-3
#[test]
fn beyond_a_limit_is_9004_r_gen_3() {
    let names = |n: usize| {
        format!(
            "<c:GetParameterValues><ParameterNames>{}</ParameterNames></c:GetParameterValues>",
            "<string>a</string>".repeat(n)
        )
    };
    assert!(
        matches!(request(&names(MAX_ENTRIES)), Request::GetParameterValues { names } if names.len() == MAX_ENTRIES)
    );
    assert_eq!(invalid(&names(MAX_ENTRIES + 1)).0, 9004);
    let deep = "<a>".repeat(100_000);
    assert_eq!(invalid(&format!("<c:Reboot>{deep}")).0, 9004);
    assert_eq!(invalid(&format!("<c:Reboot><CommandKey/><CommandKey/>{deep}")).0, 9003);
    assert_eq!(invalid(&format!("<c:Reboot><{}/></c:Reboot>", "a".repeat(1000))).0, 9004);
    let namespaces: String = (0..1000).map(|i| format!(" xmlns:n{i}='u'")).collect();
    assert_eq!(invalid(&format!("<c:Reboot><a{namespaces}/></c:Reboot>")).0, 9004);
    // Outside a method there is nothing to answer.
    assert!(matches!(read(format!("<Envelope><Header>{deep}").as_bytes()), Err(Error::Limit(_))));
}

/// T-36
// Proves: T-36
#[test]
fn a_value_as_large_as_the_body_is_read() {
    let value = "v".repeat(2 * 1024 * 1024);
    let body = format!(
        "<c:SetParameterValues><ParameterList><ParameterValueStruct><Name>a</Name><Value>{value}</Value>\
         </ParameterValueStruct></ParameterList><ParameterKey/></c:SetParameterValues>"
    );
    let Request::SetParameterValues { list, .. } = request(&body) else { panic!() };
    assert_eq!(list[0].value.len(), value.len());
}

// Proves: C-17, C-19
#[test]
fn responses_and_their_junk_c17_c19() {
    let response = |body: &str| match read(in_body(body).as_bytes()).unwrap().body {
        Body::Response(r) => r,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        response("<c:InformResponse><MaxEnvelopes>many</MaxEnvelopes></c:InformResponse>"),
        Response::Inform
    );
    assert_eq!(response("<c:TransferCompleteResponse/>"), Response::TransferComplete);
    assert_eq!(
        response("<c:AutonomousTransferCompleteResponse> <a/></c:AutonomousTransferCompleteResponse>"),
        Response::AutonomousTransferComplete
    );
    assert_eq!(response("<c:RequestDownloadResponse/>"), Response::RequestDownload);
    assert_eq!(response("<c:KickedResponse/>"), Response::Other { name: "KickedResponse".to_string() });
    let methods = response(
        "<c:GetRPCMethodsResponse><a/><MethodList><string>Inform</string><string>\u{1F600}</string></MethodList></c:GetRPCMethodsResponse>",
    );
    let expected = vec!["Inform".to_string(), "\u{1F600}".to_string()];
    assert_eq!(methods, Response::GetRPCMethods { methods: expected });
    // Names that are too long, and more than are kept, are left out.
    let list = |names: &[String]| {
        let items: String = names.iter().map(|n| format!("<string>{n}</string>")).collect();
        response(&format!(
            "<c:GetRPCMethodsResponse><MethodList>{items}</MethodList></c:GetRPCMethodsResponse>"
        ))
    };
    let mut names = vec!["a".repeat(MAX_METHOD_NAME), "b".repeat(MAX_METHOD_NAME + 1)];
    let kept = Response::GetRPCMethods { methods: vec![names[0].clone()] };
    assert_eq!(list(&names), kept);
    names.resize(MAX_METHODS + 10, "c".to_string());
    let Response::GetRPCMethods { methods } = list(&names) else { panic!("no list") };
    assert_eq!(methods.len(), MAX_METHODS);
    let plain = read(
        in_body("<s:Fault><faultcode>Client</faultcode><faultstring>no</faultstring></s:Fault>").as_bytes(),
    );
    assert_eq!(plain.unwrap().body, Body::Fault(AcsFault { code: 0, text: "no".to_string() }));
}

/// What an element declares holds inside it, and what it hides is back behind it.
// Proves: E-6
#[test]
fn namespaces_hold_inside_their_element_e6() {
    let path = "<ParameterPath>Device.</ParameterPath>";
    let names =
        |inside: &str| format!("<c:GetParameterNames>{inside}<NextLevel>1</NextLevel></c:GetParameterNames>");
    let wanted = Request::GetParameterNames { path: "Device.".to_string(), next_level: true };
    for inside in [
        format!("<ParameterPath xmlns='urn:x'>no</ParameterPath>{path}"),
        format!("<a xmlns='urn:x'><b><ParameterPath/></b><c xmlns=''/></a>{path}"),
        format!("<a xmlns:c='urn:x' xmlns='urn:y'><c:b/></a><a/>{path}<b xmlns='urn:y'/>"),
        format!("<c:ParameterPath xmlns:c='urn:x'>no</c:ParameterPath>{path}"),
        format!("<a xmlns='urn:x'/><c:a xmlns:c='urn:y'/>{path}"),
    ] {
        assert_eq!(request(&names(&inside)), wanted, "{inside}");
    }
    // Hidden throughout: no path is there.
    let hidden =
        format!("<c:GetParameterNames xmlns='urn:x'>{path}<NextLevel>1</NextLevel></c:GetParameterNames>");
    assert!(matches!(request(&hidden), Request::Invalid { .. }), "{hidden}");
    let back = "<c:GetParameterNames xmlns='urn:x'><ParameterPath xmlns=''>Device.</ParameterPath>\
                <NextLevel xmlns=''>1</NextLevel></c:GetParameterNames>";
    assert_eq!(request(back), wanted);
    // The prefix means another namespace inside the method's own element: its method is not CWMP's.
    let other = "<c:Reboot xmlns:c='urn:x'/>";
    assert!(matches!(request(other), Request::Unknown { .. }), "{other}");
}

/// What XML 1.0 does not allow cannot be kept, whether it comes as it is or as a reference.
// Proves: E-22
#[test]
fn characters_that_xml_does_not_have_are_refused_e22() {
    for (text, fine) in [
        ("\u{FFFD}\u{F000}\u{FEFF}\u{10FFFF}&#9;&#10;&#13;", true),
        ("\u{FFFE}", false),
        ("a\u{FFFF}b", false),
        ("&#xFFFE;", false),
        ("\u{1}", false),
        ("&#31;", false),
        ("a\u{B}", false),
    ] {
        let body = format!("<c:Reboot><CommandKey>{text}</CommandKey></c:Reboot>");
        match request(&body) {
            Request::Reboot { .. } => assert!(fine, "{text:?}"),
            Request::Invalid { fault, .. } => assert!(!fine && fault.code.0 == 9003, "{text:?}: {fault}"),
            other => panic!("{other:?}"),
        }
    }
}

/// An envelope with headers and an empty Body is how an ACS changes HoldRequests when it has nothing to ask.
// Proves: E-12
#[test]
fn an_empty_body_brings_its_headers_e12() {
    for body in ["", " \n", "<!-- nothing -->"] {
        let text = in_body(body).replace("</s:Header>", "<c:HoldRequests>true</c:HoldRequests></s:Header>");
        let envelope = read(text.as_bytes()).unwrap();
        assert_eq!((envelope.body, envelope.hold_requests), (Body::Nothing, Some(true)), "{body:?}");
    }
}

/// A few thousand messages that were damaged at random: read or refused, never a panic. What is read
/// keeps to the limits.
#[test]
fn damaged_messages_never_panic() {
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below.max(1) as u64) as usize
    };
    let splices: &[&[u8]] = &[
        b"<",
        b">",
        b"</",
        b"/>",
        b"&",
        b"&#",
        b"&amp;",
        b"&#x110000;",
        b"\"",
        b"'",
        b"<!--",
        b"-->",
        b"<![CDATA[",
        b"]]>",
        b"<?",
        b"?>",
        b"<!DOCTYPE",
        b" xmlns=''",
        b" xmlns:a=",
        b"\0",
        b"\xFF",
        b"\xC3",
        b"<string>",
        b"</string>",
    ];
    let (mut read_well, mut refused) = (0, 0);
    for round in 0..6000 {
        let mut bytes = SAMPLES[round % SAMPLES.len()].to_vec();
        for _ in 0..=random(2) {
            let at = random(bytes.len());
            match random(5) {
                0 => bytes[at] = random(256) as u8,
                1 => bytes.truncate(at),
                2 => drop(bytes.splice(at..at, splices[random(splices.len())].iter().copied())),
                3 => drop(bytes.drain(at..(at + random(40)).min(bytes.len()))),
                _ => {
                    let piece = bytes[at..(at + random(200)).min(bytes.len())].to_vec();
                    let to = random(bytes.len());
                    bytes.splice(to..to, piece);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        match read(&bytes) {
            Ok(_) => read_well += 1,
            Err(error) => {
                refused += 1;
                assert!(error.to_string().len() < 200, "{error}");
            }
        }
    }
    assert!(
        read_well > 500 && refused > 500,
        "{read_well} read, {refused} refused: the damage is not of a useful size"
    );
}
