use super::*;

fn parse(text: &str) -> Result<Config, Error> {
    Config::parse(text, Path::new("/etc/cwmpd/cwmpd.toml"))
}

/// A file with the required key and one more line.
fn with(table: &str, line: &str) -> Result<Config, Error> {
    let head = "[acs]\nurl = \"http://acs.example.com/\"\n";
    match table {
        "" => parse(&format!("{line}\n{head}")),
        "acs" => parse(&format!("{head}{line}\n")),
        _ => parse(&format!("{head}[{table}]\n{line}\n")),
    }
}

#[test]
fn only_the_url_is_required() {
    let config = with("acs", "").unwrap();
    assert_eq!(config.platform, Platform::Linux);
    assert_eq!(config.state_dir, Path::new("/var/lib/cwmpd"));
    assert_eq!(config.socket(), Path::new("/var/run/cwmpd/cwmpd.sock"));
    assert_eq!(config.acs.retry_minimum_wait_interval, 5);
    assert_eq!(config.acs.retry_interval_multiplier, 2000);
    assert_eq!(config.acs.timeouts(), Timeouts::default());
    assert_eq!((config.acs.confirm_timeout, config.acs.fallback_after), (300, 3));
    assert!(config.acs.fallback_urls.is_empty());
    assert_eq!(config.connection_request.listen, Listen::Auto);
    assert_eq!(config.connection_request.algorithms, [Algorithm::Md5]);
    assert_eq!(config.commands.reboot, ["reboot"]);
    assert!(config.commands.factory_reset.is_empty());
    // What plain Linux does with a file nobody can know.
    assert_eq!(config.commands, Commands { reboot: vec!["reboot".into()], ..Commands::default() });
    assert_eq!(config.download_dir(), Path::new("/var/run/cwmpd/transfers"));
    assert_eq!((config.transfer.max_bytes, config.transfer.max_bytes_per_second), (256 << 20, 0));
    let error = parse("").unwrap_err();
    assert_eq!(error.to_string(), "/etc/cwmpd/cwmpd.toml: acs.url: no URL is given");
}

/// Every key there is, each with a value that is not its default.
const EVERY_KEY: &str = r#"
enabled = false
platform = "openwrt"
ubus_socket = "/run/u"
state_dir = "/s"
run_dir = "/r"
root = "/"
overlay_dir = "/nowhere/at/all"
[log]
target = "syslog"
level = "debug"
[device]
manufacturer = "M"
manufacturer_oui = "00D09E"
product_class = ""
serial_number = "S"
software_version = "1"
hardware_version = "2"
[acs]
url = "https://[2001:db8::1]:7548/acs"
username = "u"
password = "p"
bind_interface = "eth0.2"
basic_over_http = true
periodic_inform_enable = false
periodic_inform_interval = 30
retry_minimum_wait_interval = 1
retry_interval_multiplier = 1000
confirm_timeout = 0
fallback_urls = ["https://b.example/", "http://c.example/"]
fallback_after = 1
[connection_request]
listen = "127.0.0.1:0"
username = "cu"
password = "cp"
algorithms = ["SHA-256", "MD5"]
burst = 1
refill = 1
[commands]
reboot = ["/sbin/reboot", "{command_key}"]
config_apply = []
firmware_banks = ["banks"]
firmware_boot = ["banks", "{bank}"]
firmware_store = ["banks", "{bank}", "{file}"]
file_apply = ["x", "{file}", "{file_type}"]
web_apply = ["x", "{file}"]
[transfer]
download_dir = "/tmp/d"
trusted_keys = ["/etc/hosts", "RWQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
max_bytes = 1099511627776
max_bytes_per_second = 1000
silence_timeout = 1
total_timeout = 604800
check_timeout = 1
apply_timeout = 86400
save_timeout = 1
boot_timeout = 2
health_timeout = 0
idle_bytes_per_second = 0
"#;

#[test]
fn every_key_of_the_file() {
    let config = parse(EVERY_KEY).unwrap();
    assert_eq!(config.platform, Platform::OpenWrt);
    assert_eq!(config.log, LogSettings { target: LogTarget::Syslog, level: log::LevelFilter::Debug });
    assert_eq!(config.device.product_class.as_deref(), Some(""));
    assert_eq!(config.connection_request.listen, Listen::Address("127.0.0.1:0".parse().unwrap()));
    assert_eq!(config.connection_request.algorithms, [Algorithm::Sha256, Algorithm::Md5]);
    assert_eq!(config.commands.factory_reset, ["firstboot", "-y"]);
    let commands = &config.commands;
    assert_eq!(commands.firmware_check, ["sysupgrade", "-T", "{file}"]);
    assert_eq!(commands.firmware_apply, ["sysupgrade", "{file}"]);
    assert_eq!(commands.config_save, ["sysupgrade", "-b", "{file}"]);
    assert_eq!(commands.log_read, ["logread"]);
    assert!(commands.config_apply.is_empty(), "the file's own empty vector stays");
    assert_eq!(config.download_dir(), Path::new("/tmp/d"));
    assert_eq!(config.acs.fallback_urls.len(), 2);
    assert!(config.warnings().iter().any(|w| w.contains("ca_file")));
    assert!(config.warnings().iter().any(|w| w.starts_with("acs.fallback_urls") && w.contains("in clear")));
    let first = config.first_values();
    assert!(first.contains(&("Device.ManagementServer.PeriodicInformInterval", "30".into())));
    assert!(first.contains(&("Device.ManagementServer.ConnectionRequestPassword", "cp".into())));
}

#[test]
fn errors_cite_line_and_reason() {
    let cases = [
        ("", "stat_dir = \"/s\"", 1, "unknown field `stat_dir`"),
        ("acs", "urll = \"x\"", 3, "unknown field `urll`"),
        ("tr069", "x = 1", 3, "unknown field `tr069`"),
        ("", "platform = \"windows\"", 1, "`windows` is not one of `linux`, `openwrt`"),
        ("", "state_dir = \"state\"", 1, "state_dir: not an absolute path"),
        ("", "state_dir = 5", 1, "invalid type: integer `5`"),
        ("", "root = \"/no/such/folder\"", 1, "root: /no/such/folder is not a folder"),
        ("", "overlay_dir = \"/dev/null\"", 1, "overlay_dir: /dev/null is not a folder"),
        ("log", "target = \"file\"", 4, "`file` is not one of `stderr`, `syslog`"),
        ("log", "level = \"loud\"", 4, "`loud` is not one of"),
        (
            "device",
            "manufacturer_oui = \"3c9066\"",
            4,
            "device.manufacturer_oui: `3c9066` is not six upper-case",
        ),
        ("device", "manufacturer_oui = \"00D09\"", 4, "six upper-case"),
        ("device", "serial_number = \"\"", 4, "device.serial_number: not of 1 to 64 characters"),
        ("device", "manufacturer = \"a\\nb\"", 4, "control character"),
        ("acs", "ca_file = \"/no/such.pem\"", 3, "acs.ca_file: /no/such.pem cannot be read"),
        ("acs", "ca_file = \"/dev/null\"", 3, "acs.ca_file: /dev/null is not a file"),
        ("acs", "ca_file = \"/etc/passwd\"", 3, "acs.ca_file: /etc/passwd holds no PEM block"),
        ("acs", "username = \"für\"", 3, "acs.username: holds a character other than visible ASCII"),
        ("acs", "client_key = \"/no/key.pem\"", 3, "acs.client_key: /no/key.pem cannot be read"),
        ("acs", "bind_interface = \"a name far too long\"", 3, "not the name of an interface"),
        ("acs", "periodic_inform_interval = 0", 3, "acs.periodic_inform_interval: 0 is not 1 or more"),
        ("acs", "retry_minimum_wait_interval = 65536", 3, "65536 is not 1 to 65535"),
        ("acs", "retry_interval_multiplier = 999", 3, "999 is not 1000 to 65535"),
        ("acs", "session_timeout = -1", 3, "invalid value: integer `-1`"),
        ("acs", "confirm_timeout = 86401", 3, "acs.confirm_timeout: 86401 is not 0 to 86400"),
        ("acs", "fallback_after = 0", 3, "acs.fallback_after: 0 is not 1 to 1000"),
        ("acs", "fallback_urls = \"http://b/\"", 3, "invalid type: string"),
        ("acs", "fallback_urls = [\"http://b/\", \"ftp://c/\"]", 3, "acs.fallback_urls: "),
        ("acs", "fallback_urls = [\"http://me:sesame@b/\"]", 3, "acs.fallback_urls: "),
        ("acs", &format!("fallback_urls = [{}]", "\"http://b/\",".repeat(9)), 3, "more than 8"),
        ("acs", &format!("dhcp_interfaces = [{}]", "\"wan\",".repeat(9)), 3, "more than 8"),
        ("acs", "basic_over_http = \"yes\"", 3, "invalid type: string"),
        ("acs", "url = \"http://b/\"", 3, "duplicate key"),
        ("connection_request", "listen = \"7547\"", 4, "`7547` is neither \"auto\" nor ADDRESS:PORT"),
        ("connection_request", "algorithms = [\"SHA1\"]", 4, "`SHA1` is not one of `MD5`, `SHA-256`"),
        (
            "connection_request",
            "algorithms = []",
            4,
            "connection_request.algorithms: not MD5, SHA-256 or both",
        ),
        ("connection_request", "algorithms = [\"MD5\", \"MD5\"]", 4, "each once"),
        ("connection_request", "refill = 0", 4, "connection_request.refill: 0 is not 1 to 3600"),
        ("commands", "reboot = \"reboot\"", 4, "invalid type: string \"reboot\", expected a sequence"),
        ("commands", "factory_reset = [\"\"]", 4, "commands.factory_reset: the first word"),
        ("commands", "factory_reset = [\"x\", \"{y}\"]", 4, "there is no {y}; known are {command_key}"),
        ("commands", "config_save = [\"x\", \"{bank}\"]", 4, "there is no {bank}; known are {command_key}"),
        ("commands", "firmware_apply = [\"flash\"]", 4, "commands.firmware_apply: no word is {file}"),
        ("commands", "file_apply = [\"x\", \"a{file}\"]", 4, "commands.file_apply: no word is {file}"),
        ("commands", "firmware_boot = [\"x\", \"1\"]", 4, "commands.firmware_boot: no word is {bank}"),
        ("commands", "firmware_boot = [\"x\", \"{bank}\"]", 4, "goes with commands.firmware_banks"),
        ("commands", "log_read = [\"{file}\"]", 4, "commands.log_read: the first word"),
        ("transfer", "max_byte = 1", 4, "unknown field `max_byte`"),
        ("transfer", "download_dir = \"files\"", 4, "transfer.download_dir: not an absolute path"),
        ("transfer", "max_bytes = 0", 4, "transfer.max_bytes: 0 is not 1 to 1099511627776"),
        ("transfer", "max_bytes = -1", 4, "invalid value: integer `-1`"),
        ("transfer", "max_bytes_per_second = 4294967296", 4, "invalid value: integer `4294967296`"),
        ("transfer", "silence_timeout = 0", 4, "transfer.silence_timeout: 0 is not 1 to 86400"),
        ("transfer", "total_timeout = 604801", 4, "transfer.total_timeout: 604801 is not 1 to 604800"),
        ("transfer", "check_timeout = 0", 4, "transfer.check_timeout: 0 is not 1 to 86400"),
        ("transfer", "apply_timeout = 0", 4, "transfer.apply_timeout: 0 is not 1 to 86400"),
        ("transfer", "save_timeout = 86401", 4, "transfer.save_timeout: 86401 is not 1 to 86400"),
        ("transfer", "boot_timeout = 1", 4, "transfer.boot_timeout: 1 is not 2 to 604800"),
        ("transfer", "health_timeout = 86401", 4, "transfer.health_timeout: 86401 is not 0 to 86400"),
        ("transfer", "trusted_keys = \"/key\"", 4, "invalid type: string"),
        ("transfer", "trusted_keys = [\"/no/key\"]", 4, "transfer.trusted_keys: /no/key cannot be read"),
        ("transfer", "trusted_keys = [\"/dev/null\"]", 4, "transfer.trusted_keys: /dev/null is not a file"),
        ("transfer", "trusted_keys = [\"key.pub\"]", 4, "`key.pub` is neither an absolute path nor"),
        ("transfer", "trusted_keys = [\"RWQA\"]", 4, "`RWQA` is neither an absolute path nor"),
        ("transfer", &format!("trusted_keys = [{}]", "\"/etc/hosts\",".repeat(17)), 4, "more than 16"),
        ("", "this is no TOML", 1, ""),
    ];
    for (table, line, number, reason) in cases {
        let error = with(table, line).expect_err(line);
        assert_eq!(error.line, Some(number), "{line}: {error}");
        assert!(error.reason.contains(reason), "{line}: {error}");
        assert_eq!(error.to_string().lines().count(), 1, "one line: {error}");
        assert!(error.to_string().starts_with(&format!("/etc/cwmpd/cwmpd.toml:{number}: ")), "{error}");
    }
}

// Proves: T-37
#[test]
fn t_37_a_url_with_a_password_is_refused_and_not_shown() {
    let error = parse("[acs]\n\nurl = \"http://me:sesame@acs.example.com/\"\n").unwrap_err();
    assert_eq!(error.line, Some(3));
    assert!(!error.to_string().contains("sesame"));
}

#[test]
fn no_error_and_no_debug_text_shows_a_password() {
    let config = with("acs", "password = \"sesame\"").unwrap();
    assert!(!format!("{config:?} {}", config.acs.password).contains("sesame"));
    assert_eq!(config.acs.password.reveal(), "sesame");
    let error = with("acs", "password = 12345678").unwrap_err();
    assert_eq!((error.line, error.reason.as_str()), (Some(3), "a password is a string in quotes"));
    for line in [
        "password = [\"sesame\"]",
        "password = \"sesame",
        "password = \"sesame\\u0001\"",
        "password = sesame",
    ] {
        let error = with("acs", line).unwrap_err();
        assert!(!error.to_string().contains("sesame"), "{error}");
    }
}

#[test]
fn words_of_commands_are_replaced_whole() {
    let argv: Vec<String> = ["x", "{command_key}", "a{command_key}", "{other}"].map(String::from).to_vec();
    assert_eq!(expand(&argv, &[("command_key", "a b; c")]), ["x", "a b; c", "a{command_key}", "{other}"]);
}

#[test]
fn files_and_the_path_of_the_socket_are_bounded() {
    let file = std::env::temp_dir().join(format!("cwmpd-config-{}.toml", std::process::id()));
    let text = "[acs]\nurl = \"http://a/\"\n#";
    let filled = |n: usize| format!("{text}{}", " ".repeat(n - text.len()));
    std::fs::write(&file, filled(MAX_FILE as usize)).unwrap();
    assert!(Config::load(&file).is_ok());
    std::fs::write(&file, filled(MAX_FILE as usize + 1)).unwrap();
    assert!(Config::load(&file).unwrap_err().reason.contains("larger than 262144 bytes"));
    assert!(Config::socket_of(&file).is_err());
    std::fs::remove_file(file).unwrap();
    let folder = |n: usize| with("", &format!("run_dir = \"/{}\"", "x".repeat(n - "/".len())));
    let most = judge::MAX_SOCKET - "/cwmpd.sock".len();
    assert!(folder(most).is_ok());
    assert!(folder(most + 1).unwrap_err().reason.contains("too long for the socket"));
    let deep = format!("x = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(parse(&deep).unwrap_err().reason.contains("recurs"));
}

#[test]
fn a_certificate_needs_its_key() {
    let file = std::env::temp_dir().join(format!("cwmpd-config-{}.pem", std::process::id()));
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n").unwrap();
    let error = with("acs", &format!("client_certificate = {file:?}")).unwrap_err();
    assert!(error.reason.contains("goes with acs.client_key"), "{error}");
    assert!(with("acs", &format!("ca_file = {file:?}")).is_ok());
    std::fs::remove_file(file).unwrap();
}

mod uci;
