use super::*;
use crate::cwmp::rpc::{Body, Envelope};
use crate::soap::reader::read;

/// An argument and what is in it.
type Argument = (&'static str, String);

fn texts(arguments: &[(&'static str, &str)]) -> Vec<Argument> {
    arguments.iter().map(|(name, text)| (*name, (*text).to_owned())).collect()
}

fn window() -> Vec<Argument> {
    texts(&[
        ("WindowStart", "60"),
        ("WindowEnd", " 3600 "),
        ("WindowMode", "3 When Idle"),
        ("UserMessage", " soon "),
        ("MaxRetries", "-1"),
    ])
}

fn written(arguments: &[Argument]) -> String {
    arguments.iter().map(|(name, text)| format!("<{name}>{text}</{name}>")).collect()
}

fn windows(list: &[Vec<Argument>]) -> String {
    list.iter().map(|window| format!("<TimeWindowStruct>{}</TimeWindowStruct>", written(window))).collect()
}

/// What is written of each method's arguments, in the standard's order.
fn arguments(method: Method) -> Vec<Argument> {
    let mut all = texts(&[
        ("CommandKey", " k "),
        ("FileType", "1 Vendor Configuration File"),
        ("URL", " http://192.0.2.1/f?a=1&amp;b#sha256=00 "),
        ("Username", " user "),
        ("Password", " secret "),
    ]);
    let download = texts(&[("FileSize", "4294967295"), ("TargetFileName", "../f")]);
    match method {
        Method::Download => {
            all.extend(download);
            all.extend(texts(&[
                ("DelaySeconds", "5"),
                ("SuccessURL", "http://a/"),
                ("FailureURL", "http://b/"),
            ]));
        }
        Method::Upload => all.extend(texts(&[("DelaySeconds", "5")])),
        Method::ScheduleDownload => {
            all.extend(download);
            all.push(("TimeWindowList", windows(&[window()])));
        }
    }
    all
}

const ALL: [Method; 3] = [Method::Download, Method::Upload, Method::ScheduleDownload];

fn body(method: Method, arguments: &str) -> Request {
    let name = method.name();
    let text = format!(
        "<s:Envelope xmlns:s='{}' xmlns:c='urn:dslforum-org:cwmp-1-2' xmlns:o='urn:o'><s:Body>\
         <c:{name}>{arguments}</c:{name}></s:Body></s:Envelope>",
        crate::soap::ENVELOPE
    );
    match read(text.as_bytes()) {
        Ok(Envelope { body: Body::Request(request), .. }) => request,
        other => panic!("{arguments:.300} gave {other:?}"),
    }
}

#[track_caller]
fn asked(method: Method, arguments: &[Argument]) -> Asked {
    match body(method, &written(arguments)) {
        Request::Transfer(asked) => *asked,
        other => panic!("{other:?}"),
    }
}

/// What a fault of 9003 says.
#[track_caller]
fn invalid(method: Method, arguments: &[Argument]) -> String {
    match body(method, &written(arguments)) {
        Request::Invalid { fault, method: name } => {
            assert_eq!((fault.code.0, name.as_str()), (9003, method.name()));
            assert!(!fault.text.contains("secret"), "{}", fault.text);
            fault.text
        }
        other => panic!("{arguments:?} gave {other:?}"),
    }
}

fn with(arguments: &[Argument], name: &str, text: &str) -> Vec<Argument> {
    let mut out = arguments.to_vec();
    out.iter_mut().find(|a| a.0 == name).expect("an argument").1 = text.to_owned();
    out
}

// Proves
#[test]
fn all_arguments_are_read_as_they_were_written_x1_x37() {
    assert_eq!(arguments(Method::Download).len(), 10);
    for method in ALL {
        let mut expected = Asked {
            method,
            origin: Origin::Acs,
            command_key: " k ".to_owned(),
            file_type: "1 Vendor Configuration File".to_owned(),
            url: "http://192.0.2.1/f?a=1&b#sha256=00".to_owned(),
            username: " user ".to_owned(),
            password: " secret ".to_owned(),
            file_size: u32::MAX,
            target_file_name: "../f".to_owned(),
            delay_seconds: 5,
            windows: Vec::new(),
        };
        match method {
            Method::Download => {}
            Method::Upload => (expected.file_size, expected.target_file_name) = (0, String::new()),
            Method::ScheduleDownload => {
                expected.delay_seconds = 0;
                expected.windows = vec![Window {
                    start: 60,
                    end: 3600,
                    mode: Mode::WhenIdle,
                    user_message: " soon ".to_owned(),
                    max_retries: None,
                }];
            }
        }
        let mut given = arguments(method);
        assert_eq!(asked(method, &given), expected);
        // In any order, with what nobody knows beside it (E-7).
        given.reverse();
        given.push(("Odd", "1".to_owned()));
        given.insert(0, ("o:URL", "ftp://o/".to_owned()));
        assert_eq!(asked(method, &given), expected);
        // Of the credentials nothing is in the log.
        let shown = format!("{:?}", asked(method, &given));
        assert!(!shown.contains("secret") && !shown.contains("user") && !shown.contains("a=1"), "{shown}");
    }
}

/// Arguments of another of the three methods are unknown elements.
#[test]
fn each_method_has_its_own_arguments() {
    let mut upload = arguments(Method::Upload);
    upload.push(("FileSize", "many".to_owned()));
    upload.push(("TimeWindowList", String::new()));
    assert_eq!(asked(Method::Upload, &upload).file_size, 0);
    let mut schedule = arguments(Method::ScheduleDownload);
    schedule.push(("DelaySeconds", "soon".to_owned()));
    assert_eq!(asked(Method::ScheduleDownload, &schedule).delay_seconds, 0);
}

// Proves, R-GEN-2
#[test]
fn what_is_missing_or_doubled_is_9003_and_named_x1() {
    for method in ALL {
        let all = arguments(method);
        for n in 0..all.len() {
            let mut some = all.clone();
            let (name, text) = some.remove(n);
            match name {
                // As with other methods, a key that is left out is an empty one.
                "CommandKey" => assert_eq!(asked(method, &some).command_key, ""),
                _ => assert_eq!(invalid(method, &some), format!("{name} is missing")),
            }
            let mut more = all.clone();
            more.insert(0, (name, text));
            assert_eq!(invalid(method, &more), format!("{name} is given twice"));
        }
    }
}

// Proves: X-4
#[test]
fn lengths_are_bounded_in_characters_x4() {
    let mut bounded = 0;
    for method in ALL {
        let all = arguments(method);
        for (name, _) in &all {
            let most = match *name {
                "CommandKey" => MAX_KEY,
                "FileType" => MAX_FILE_TYPE,
                "FileSize" | "DelaySeconds" | "TimeWindowList" => continue,
                _ => 256,
            };
            bounded += 1;
            asked(method, &with(&all, name, &"ü".repeat(most)));
            let said = invalid(method, &with(&all, name, &"ü".repeat(most + 1)));
            assert_eq!(said, format!("{name} is longer than {most} characters"));
            assert!(invalid(method, &with(&all, name, "&#1;")).starts_with(name));
        }
    }
    assert_eq!(bounded, 8 + 5 + 6);
}

// Proves: X-1
#[test]
fn numbers_are_unsigned_x1() {
    for method in ALL {
        let all = arguments(method);
        for name in ["FileSize", "DelaySeconds"] {
            if !all.iter().any(|a| a.0 == name) {
                continue;
            }
            for text in ["-1", "4294967296", "", "1.5", "x"] {
                assert_eq!(invalid(method, &with(&all, name, text)), format!("{name} is not an unsignedInt"));
            }
            asked(method, &with(&all, name, " 0 "));
        }
    }
}

fn schedule(list: &str) -> Vec<Argument> {
    with(&arguments(Method::ScheduleDownload), "TimeWindowList", list)
}

// Proves: X-37
#[test]
fn one_or_two_windows_x37() {
    for n in [1, 2] {
        assert_eq!(asked(Method::ScheduleDownload, &schedule(&windows(&vec![window(); n]))).windows.len(), n);
    }
    // Some ACSs call every entry of an array `item`; others' elements are none.
    let items = windows(&[window()]).replace("TimeWindowStruct", "item") + "<Odd/>";
    assert_eq!(asked(Method::ScheduleDownload, &schedule(&items)).windows.len(), 1);
    assert_eq!(invalid(Method::ScheduleDownload, &schedule("")), "TimeWindowList is empty");
    let three = schedule(&windows(&vec![window(); 3]));
    assert_eq!(invalid(Method::ScheduleDownload, &three), "TimeWindowList has more than two entries");
}

// Proves: X-38
#[test]
fn a_window_is_read_x38() {
    let one = |change: &[Argument]| schedule(&windows(&[change.to_vec()]));
    let read = |name, text: &str| asked(Method::ScheduleDownload, &one(&with(&window(), name, text)));
    for (name, mode) in [
        ("1 At Any Time", Mode::AtAnyTime),
        ("2 Immediately", Mode::Immediately),
        ("3 When Idle", Mode::WhenIdle),
        (" 4 Confirmation Needed ", Mode::ConfirmationNeeded),
    ] {
        assert_eq!(read("WindowMode", name).windows[0].mode, mode);
        assert_eq!(mode.name(), name.trim());
    }
    for (text, retries) in
        [("-1", None), ("0", Some(0)), (" 7 ", Some(7)), ("2147483647", Some(i32::MAX as u32))]
    {
        assert_eq!(read("MaxRetries", text).windows[0].max_retries, retries);
    }
    assert_eq!(read("UserMessage", &"ü".repeat(256)).windows[0].user_message.chars().count(), 256);
    let long = "ü".repeat(257);
    for (name, texts) in [
        ("WindowStart", &["-1", "", "4294967296"][..]),
        ("WindowEnd", &["-1", "", "x"]),
        ("WindowMode", &["", "1", "5 Never", "1 at any time", "X 00D09E Nightly", "X example.com Nightly"]),
        ("UserMessage", &[&long, "&#1;"]),
        ("MaxRetries", &["", "-2", "2147483648", "x"]),
    ] {
        for text in texts {
            let said = invalid(Method::ScheduleDownload, &one(&with(&window(), name, text)));
            assert!(said.starts_with(name), "{name} {text}: {said}");
        }
    }
    for n in 0..5 {
        let mut some = window();
        let (name, text) = some.remove(n);
        assert_eq!(invalid(Method::ScheduleDownload, &one(&some)), format!("{name} is missing"));
        some.extend([(name, text.clone()), (name, text)]);
        assert_eq!(invalid(Method::ScheduleDownload, &one(&some)), format!("{name} is given twice"));
    }
}
