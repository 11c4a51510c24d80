use super::*;

fn code(asked: Asked) -> u16 {
    Queue::default().ask(asked, at(0)).err().map_or(0, |fault| fault.code.0)
}

// Proves: X-2
#[test]
fn download_file_types_x2() {
    for (file_type, meaning) in [
        ("1 Firmware Upgrade Image", Some(FileType::Firmware)),
        ("2 Web Content", Some(FileType::WebContent)),
        ("3 Vendor Configuration File", Some(FileType::VendorConfig(None))),
        ("4 Tone File", Some(FileType::ToneFile)),
        ("5 Ringer File", Some(FileType::RingerFile)),
        ("6 Stored Firmware Image", Some(FileType::StoredFirmware)),
        ("X 00D09E Blocklist", Some(FileType::Vendor)),
        ("X 00d09e Two words", Some(FileType::Vendor)),
        ("", None),
        ("1", None),
        ("1 firmware upgrade image", None),
        ("1 Firmware Upgrade Image ", None),
        ("2 Vendor Log File", None),
        ("3 Vendor Configuration File 1", None),
        ("7 Firmware Upgrade Image", None),
        ("X 00D09E", None),
        ("X 00D09E ", None),
        ("X 00D09 Name", None),
        ("X 00D09G Name", None),
        ("X example Name", None),
        ("X 00D09E a\nb", None),
    ] {
        assert_eq!(FileType::parse(Method::Download, file_type), meaning, "{file_type}");
        for method in [Method::Download, Method::ScheduleDownload] {
            let windows = [window(0, 9, Mode::Immediately)];
            let asked = if method == Method::Download { download("") } else { scheduled("", &windows) };
            let expected = if meaning.is_some() { 0 } else { 9003 };
            assert_eq!(code(Asked { file_type: file_type.to_string(), ..asked }), expected, "{file_type}");
        }
    }
    let long = format!("X 00D09E {}", "é".repeat(MAX_FILE_TYPE - 9));
    assert_eq!(FileType::parse(Method::Download, &long), Some(FileType::Vendor));
    assert_eq!(FileType::parse(Method::Download, &(long + "x")), None);
}

// Proves: X-3
#[test]
fn upload_file_types_x3() {
    for (file_type, meaning) in [
        ("1 Vendor Configuration File", Some(FileType::VendorConfig(None))),
        ("2 Vendor Log File", Some(FileType::VendorLog(None))),
        ("3 Vendor Configuration File 1", Some(FileType::VendorConfig(Some(1)))),
        ("4 Vendor Log File 4294967295", Some(FileType::VendorLog(Some(u32::MAX)))),
        ("X 00D09E Trace", Some(FileType::Vendor)),
        ("4 Vendor Log File 4294967296", None),
        ("3 Vendor Configuration File", None),
        ("3 Vendor Configuration File ", None),
        ("3 Vendor Configuration File 0", None),
        ("3 Vendor Configuration File 01", None),
        ("3 Vendor Configuration File +1", None),
        ("4 Vendor Log File ../1", None),
        ("1 Firmware Upgrade Image", None),
        ("1 Vendor Configuration File 1", None),
    ] {
        assert_eq!(FileType::parse(Method::Upload, file_type), meaning, "{file_type}");
        let expected = if meaning.is_some() { 0 } else { 9003 };
        assert_eq!(code(Asked { file_type: file_type.to_string(), ..upload("") }), expected, "{file_type}");
    }
}

// Proves
#[test]
fn urls_x7_x29() {
    for (url, expected) in [
        ("http://files.example/a", 0),
        ("HTTPS://files.example:8443/a b?c", 0),
        ("http://[::1]/a", 0),
        ("gopher://files.example/a", 9013),
        ("ftp://user:sesame@files.example/a", 9013),
        ("tftp://files.example/a", 9013),
        ("sftp://files.example/a", 9013),
        ("file:///etc/passwd", 9013),
        ("mailto:sesame", 9013),
        ("", 9003),
        ("files.example/a", 9003),
        ("/etc/passwd", 9003),
        ("1x://files.example/a", 9003),
        ("sesame-is-longer-than-any-scheme://a/", 9003),
        ("http:files.example", 9003),
        ("http://", 9003),
        ("http://user:sesame@files.example/a", 9003),
        ("http://sesame@files.example/a", 9003),
        ("http://files.example:0/a", 9003),
        ("http://files.example/sesame\r\nX: y", 9003),
        ("http://files.example/a#sha256=sesame", 9003),
    ] {
        for asked in [download("k"), upload("k")] {
            let answer = Queue::default().ask(Asked { url: url.to_string(), ..asked }, at(0));
            let fault = answer.err().unwrap_or_else(|| Fault::new(Code(0), ""));
            assert_eq!(fault.code.0, expected, "{url}");
            assert!(!fault.text.contains("sesame"), "{}", fault.text);
        }
    }
}

// Proves: X-4
#[test]
fn lengths_x4() {
    type Put = fn(&mut Asked, String);
    let table: [(Put, usize); 5] = [
        (|a, text| a.command_key = text, MAX_COMMAND_KEY),
        (|a, text| a.username = text, 256),
        (|a, text| a.password = text, 256),
        (|a, text| a.target_file_name = text, 256),
        (|a, text| a.url = format!("http://a/{}", &text[..text.len() - 18]), 256),
    ];
    for (n, (put, most)) in table.into_iter().enumerate() {
        for (length, expected) in [(most, 0), (most + 1, 9003)] {
            let mut asked = download("");
            put(&mut asked, "é".repeat(length));
            assert_eq!(code(asked), expected, "{n}: {length}");
        }
    }
    // What a person asks for at the device may be as long as TransferURL.
    for (length, expected) in [(MAX_LOCAL_URL, 0), (MAX_LOCAL_URL + 1, 9003)] {
        let url = format!("http://a/{}", "x".repeat(length - 9));
        assert_eq!(code(Asked { url, origin: Origin::Local, ..download("") }), expected);
    }
}

#[test]
fn the_fragment_may_demand_a_hash() {
    let hex = "00ff".repeat(16);
    let mut hash = [0; 32];
    hash.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = 255);
    for (fragment, expected) in [
        (format!("#sha256={hex}"), Ok(Some(hash))),
        (format!("#SHA256={}", hex.to_uppercase()), Ok(Some(hash))),
        (String::new(), Ok(None)),
        ("#".to_string(), Ok(None)),
        ("#top".to_string(), Ok(None)),
        ("#sha25é=".to_string(), Ok(None)),
        (format!("#md5={hex}"), Ok(None)),
        (format!("?sha256={hex}"), Ok(None)),
        ("#sha256=".to_string(), Err(())),
        (format!("#sha256={}", &hex[1..]), Err(())),
        (format!("#sha256={hex}0"), Err(())),
        (format!("#sha256={}g", &hex[1..]), Err(())),
        (format!("#sha256=+{}", &hex[1..]), Err(())),
        (format!("#sha256={}é", &hex[2..]), Err(())),
        (format!("#sha256={hex}#x"), Err(())),
    ] {
        assert_eq!(super::fragment(&format!("http://a/b{fragment}")).map_err(drop), expected, "{fragment}");
    }
}

// Proves
#[test]
fn time_windows_x37_x38() {
    let w = |start, end| window(start, end, Mode::AtAnyTime);
    for (windows, expected) in [
        (&[w(0, 1)][..], 0),
        (&[w(0, 10), w(10, u32::MAX)], 0),
        (&[w(10, 20), w(0, 5)], 0),
        (&[], 9003),
        (&[w(0, 1), w(1, 2), w(2, 3)], 9003),
        (&[w(5, 5)], 9003),
        (&[w(6, 5)], 9003),
        (&[w(0, 10), w(9, 20)], 9003),
        (&[w(9, 20), w(0, 10)], 9003),
        (&[w(0, 10), w(0, 10)], 9003),
        (&[w(0, 100), w(10, 20)], 9003),
    ] {
        assert_eq!(code(scheduled("", windows)), expected, "{windows:?}");
    }
    for (length, expected) in [(256, 0), (257, 9003)] {
        let windows = [Window { user_message: "é".repeat(length), ..w(0, 1) }];
        assert_eq!(code(scheduled("", &windows)), expected);
    }
    assert_eq!(code(Asked { windows: vec![w(0, 1)], ..download("") }), 9003);
    // Their order is that of time.
    let queue = queue(&[scheduled("", &[w(10, 20), w(0, 5)])], at(0));
    let starts: Vec<u32> = queue.all().flat_map(|t| &t.asked.windows).map(|w| w.start).collect();
    assert_eq!(starts, [0, 10]);
}

/// The hint is stored as it came, and no size is wrong; the name is never more than a hint.
// Proves
#[test]
fn hints_are_hints_x24_x25() {
    for file_size in [0, 1, u32::MAX] {
        assert_eq!(code(Asked { file_size, ..download("") }), 0);
    }
    for name in ["../../etc/passwd", "/", "a\0b", "$(reboot)", ""] {
        let mut queue = queue(&[Asked { target_file_name: name.to_string(), ..download("") }], at(0));
        assert_eq!(queue.next_work(at(0), false), work(1, Task::Fetch));
        assert_eq!(queue.queued()[0].target_file_name, name);
    }
}

/// Ten thousand at a time: sixteen wait, and the others change nothing.
// Proves: X-27
#[test]
fn the_seventeenth_is_refused_x27() {
    let mut queue = queue(&vec![download("same"); MAX_TRANSFERS], at(0));
    let before = queue.records().len();
    assert_eq!(before, 2 * MAX_TRANSFERS);
    for _ in 0..10_000 {
        assert_eq!(queue.ask(download("same"), at(0)).map_err(|f| f.code.0), Err(9004));
    }
    assert!(queue.records().is_empty());
    // Nonsense is told as such, however full it is.
    assert_eq!(
        queue.ask(Asked { url: String::new(), ..download("") }, at(0)).map_err(|f| f.code.0),
        Err(9003)
    );
    assert_eq!(queue.all().count(), MAX_TRANSFERS);
}
