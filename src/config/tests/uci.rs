//! The same configuration in UCI.

use super::*;
use toml::de::{DeTable, DeValue};

fn parse(text: &str) -> Result<Config, Error> {
    Config::parse(text, Path::new("/etc/config/cwmpd"))
}

/// A value of TOML as the options of UCI that say it.
fn options(key: &str, value: &DeValue<'_>) -> String {
    let quoted = |text: &str| text.replace('\'', "'\\''");
    let list = |text: &str| format!("\tlist {key} '{}'\n", quoted(text));
    match value {
        DeValue::String(text) if text.is_empty() => list(""),
        DeValue::String(text) => format!("\toption {key} '{}'\n", quoted(text)),
        DeValue::Integer(number) => format!("\toption {key} '{number}'\n"),
        DeValue::Boolean(truth) => format!("\toption {key} '{}'\n", u8::from(*truth)),
        DeValue::Array(items) if items.is_empty() => list(""),
        DeValue::Array(items) => items.iter().map(|i| list(i.get_ref().as_str().unwrap())).collect(),
        other => panic!("{other:?}"),
    }
}

/// A whole file of TOML in UCI.
fn to_uci(text: &str) -> String {
    let document = DeTable::parse(text).unwrap();
    let mut general = "# As the user has it.\n\nconfig cwmpd 'cwmpd'\n".to_owned();
    let mut tables = String::new();
    for (key, value) in document.get_ref().iter() {
        let key = key.get_ref();
        match value.get_ref() {
            DeValue::Table(table) => {
                tables += &format!("\nconfig {key} '{key}'\n");
                tables.extend(table.iter().map(|(name, value)| options(name.get_ref(), value.get_ref())));
            }
            value => general += &options(key, value),
        }
    }
    general + &tables
}

#[test]
fn every_key_says_the_same_in_both_forms() {
    let toml = super::parse(EVERY_KEY).unwrap();
    assert_eq!(parse(&to_uci(EVERY_KEY)).unwrap(), toml);
    assert_ne!(toml, with("", "").unwrap(), "of little worth otherwise");
    // And every key that is known in one is known in the other.
    let known = |error: Error| error.reason.split_once("expected one of").map(|(_, keys)| keys.to_owned());
    assert!(known(parse("config cwmpd\n\toption x y").unwrap_err()).is_some());
    let tables =
        ["cwmpd", "log", "device", "acs", "connection_request", "commands", "transfer", "diagnostics"];
    for table in tables {
        let uci = parse(&format!("config {table}\n\toption x y\n")).unwrap_err();
        let toml = with(if table == "cwmpd" { "" } else { table }, "x = \"y\"").unwrap_err();
        assert_eq!(known(uci), known(toml), "{table}");
    }
}

#[test]
fn openwrt_is_the_default_of_its_form() {
    let config = parse("config acs\n\toption url 'http://acs.example.com/'\n").unwrap();
    assert_eq!(config.platform, Platform::OpenWrt);
    assert_eq!(config.state_dir, Path::new("/etc/cwmpd/state"));
    assert_eq!(config.run_dir, Path::new("/var/run/cwmpd"));
    assert_eq!(config.commands.factory_reset, ["firstboot", "-y"]);
    // TOML that says so has the same; what is given holds.
    assert_eq!(with("", "platform = \"openwrt\"").unwrap().state_dir, Path::new("/etc/cwmpd/state"));
    let kept = with("", "platform = \"openwrt\"\nstate_dir = \"/overlay/cwmpd\"").unwrap();
    assert_eq!(kept.state_dir, Path::new("/overlay/cwmpd"));
    let linux = "config cwmpd\n\toption platform linux\nconfig acs\n\toption url http://a/\n";
    assert_eq!(parse(linux).unwrap().state_dir, Path::new("/var/lib/cwmpd"));
}

#[test]
fn the_form_is_told_by_the_first_word() {
    let url = "option url 'http://a/'";
    for uci in [
        format!("config acs\n{url}\n"),
        format!("\n# [acs]\n \t config acs 'acs'\n\t{url}"),
        format!("package cwmpd\n\nconfig\tacs\n{url}\n"),
        "c acs\no url http://a/\n".to_owned(),
    ] {
        // Whatever the file is called.
        let config = Config::parse(&uci, Path::new("/tmp/x.toml")).expect(&uci);
        assert_eq!((config.platform, config.acs.url.as_str()), (Platform::OpenWrt, "http://a/"), "{uci}");
    }
    let toml = Config::parse("[acs]\nurl = \"http://a/\"\n", Path::new("/etc/config/cwmpd")).unwrap();
    assert_eq!(toml.platform, Platform::Linux);
    for line in ["config = 1", "package.x = 1", "c\t= 1"] {
        let error = Config::parse(line, Path::new("/x")).unwrap_err();
        assert!(error.reason.contains("unknown field"), "{error}");
    }
}

#[test]
fn words_are_numbers_and_truths_as_elsewhere_in_uci() {
    let acs = |line: &str| parse(&format!("config acs\n\toption url 'http://a/'\n\t{line}\n"));
    for (word, truth) in [("1", true), ("on", true), ("yes", true), ("0", false), ("off", false)] {
        assert_eq!(acs(&format!("option basic_over_http '{word}'")).unwrap().acs.basic_over_http, truth);
    }
    assert_eq!(acs("option confirm_timeout '060'").unwrap().acs.confirm_timeout, 60);
    // An item behind an option makes a list of both, as in libuci; the last of several options holds.
    let both = acs("option fallback_urls http://b/\n\tlist fallback_urls http://c/").unwrap();
    assert_eq!(both.acs.fallback_urls, ["http://b/", "http://c/"]);
    assert_eq!(acs("option url 'http://z/'").unwrap().acs.url, "http://z/");
    assert_eq!(acs("option username ''").unwrap().acs.username, "");
    // Sections of one name are one.
    let twice = "config acs 'a'\n\toption url 'http://a/'\nconfig log\nconfig acs 'a'\n\toption username u\n";
    assert_eq!(parse(twice).unwrap().acs.username, "u");
}

#[test]
fn errors_of_uci_cite_file_line_and_reason() {
    let cases = [
        ("config cwmpd\n\toption stat_dir '/s'\n", 2, "unknown field `stat_dir`"),
        ("config tr069\n\toption x '1'\n", 1, "unknown field `tr069`"),
        ("config acs\n\toption url 'http://a/'\n\toption urll 'x'\n", 3, "unknown field `urll`"),
        ("config acs\n\toption url 'ftp://a/'\n", 2, "acs.url: "),
        ("config acs\n\tlist url 'http://a/'\n\tlist url 'http://b/'\n", 2, "expected a string"),
        (
            "config acs\n\n# x\n\toption url 'http://a/'\n\toption session_timeout 'long'\n",
            5,
            "expected a whole number",
        ),
        ("config acs\n\toption session_timeout '-1'\n", 2, "invalid value: integer `-1`, expected 0 to"),
        ("config acs\n\toption session_timeout '0x10'\n", 2, "invalid value: integer `0x10`"),
        ("config acs\n\toption basic_over_http 'perhaps'\n", 2, "string \"perhaps\", expected a boolean"),
        ("config acs\n\toption url 'http://a/'\nconfig acs\n", 3, "a second section of type `acs`"),
        ("config cwmpd\n\toption acs 'x'\nconfig acs\n", 3, "`acs` is a section, and no option"),
        ("config acs\nconfig cwmpd\n\tlist acs 'x'\n", 3, "`acs` is a section, and no option"),
        ("config acs\nconfig cwmpd\n\toption acs 'x'\n", 3, "`acs` is a section, and no option"),
        ("config cwmpd\n\toption acs 'x'\n", 2, "expected a table"),
        ("config acs\n\toption url 'http://a/\n", 2, "a quote that does not end"),
        ("config acs\nurl 'http://a/'\n", 2, "neither config, option nor list"),
    ];
    for (text, line, reason) in cases {
        let error = parse(text).expect_err(text);
        assert!(error.reason.contains(reason), "{text}: {error}");
        assert!(error.to_string().starts_with(&format!("/etc/config/cwmpd:{line}: ")), "{text}: {error}");
    }
    for empty in ["", "# nothing\n", "config acs 'acs'\n"] {
        let error = parse(empty).unwrap_err();
        assert_eq!(error.to_string().split(": ").last(), Some("no URL is given"), "{error}");
    }
    let secret = parse("config acs\n\tlist password 'sesame'\n\tlist password 'b'\n").unwrap_err();
    assert!(!secret.to_string().contains("sesame"), "{secret}");
}

#[test]
fn the_socket_is_found_in_a_file_that_is_not_right() {
    let folder = std::env::temp_dir().join(format!("cwmpd-uci-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("cwmpd");
    std::fs::write(&file, "config cwmpd\n\toption run_dir '/r'\n\toption x 'y'\n").unwrap();
    assert_eq!(Config::socket_of(&file).unwrap(), Path::new("/r/cwmpd.sock"));
    assert!(Config::load(&file).is_err());
    std::fs::remove_dir_all(folder).unwrap();
}
