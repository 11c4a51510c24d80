//! What is masked, and what is not.

use super::*;

#[test]
fn names_tell_what_is_secret() {
    for name in [
        "key",
        "key1",
        "KEY",
        "psk",
        "wpa_psk",
        "password",
        "Password",
        "identity_password",
        "passwd",
        "wps_pin",
        "pincode",
        "private_key",
        "preshared_key",
        "auth_secret",
        "shared_secret",
        "community",
        "sae_password",
        "api_key",
        "ubus_rpc_session",
        "root_password_hash",
        "priv_key_pwd",
        "wpa_passphrase",
        "PasswordAuth",
        "r1kh",
        "acct_secret",
        "token",
        "dpp_netaccesskey",
        "updatekey",
        "rocommunity",
        "param_enc",
        "pass",
    ] {
        assert!(is_secret(name), "{name}");
    }
    for name in [
        "public_key",
        "key_mgmt",
        "keepalive",
        "ssid",
        "keyboard",
        "pinger",
        "spin",
        "username",
        "wpa_group_rekey",
        "persistent_keepalive",
        "key_type",
        "tokens_per",
        "compass",
        "ipaddr",
        "mac",
        "monkey",
        "okey",
        "",
    ] {
        assert!(!is_secret(name), "{name}");
    }
}

#[test]
fn a_secret_goes_wherever_it_stands() {
    let mut m = Masks::default();
    let package = Package::parse(
        "wireless",
        b"config wifi-iface x\n\toption ssid home\n\toption key 'correct horse'\n\toption key1 1\n\toption psk admin\n".to_vec(),
        b"",
    )
    .expect("it is sound");
    m.learn_package(&package);
    assert_eq!(m.value("key", "correct horse"), MASK);
    assert_eq!(m.value("key1", "1"), "1");
    assert_eq!(m.value("ssid", "home"), "home");
    assert_eq!(m.value("private_key", &("B".repeat(43) + "=")), ZERO_KEY);
    assert_eq!(m.text("a:correct horse;"), format!("a:{MASK};"));
    assert_eq!(m.text("admin"), "admin", "too short to be told from other words");
    assert_eq!(
        m.text("https://me:pw@host/x?u=a@b http://h:80/"),
        format!("https://me:{MASK}@host/x?u=a@b http://h:80/")
    );
    assert_eq!(m.file("tmp/any.bin", b"\xffcorrect horse\xfe", false), b"\xffXXXXXXXXXXXXX\xfe");
}

#[test]
fn files_are_masked_by_their_form() {
    let mut m = Masks::default();
    let told = |m: &mut Masks, path: &str, text: &str| {
        m.file(path, text.as_bytes(), true);
        String::from_utf8(m.file(path, text.as_bytes(), false)).expect("text stays text")
    };
    for (path, text, masked) in [
        (
            "etc/shadow",
            "root:$1$abc$def:19000:0\nguest::1\nx:*:1\n",
            "root:$0$masked:19000:0\nguest::1\nx:*:1\n",
        ),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/ash\n", "root:x:0:0:root:/root:/bin/ash\n"),
        ("etc/dropbear/dropbear_rsa_host_key", "anything", ""),
        ("etc/ppp/chap-secrets", "a * b\n", ""),
        (
            "etc/x.pem",
            "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nBBB\n-----END EC PRIVATE KEY-----\n",
            "-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n",
        ),
        (
            "var/run/hostapd.conf",
            "ssid=home\nwpa_passphrase=swordfish\n",
            "ssid=home\nwpa_passphrase=XXXXXXXX\n",
        ),
        ("etc/ppp/options", "user me\npassword \"sword fish\"\n", "user me\npassword \"XXXXXXXX\"\n"),
        (
            "proc/7/cmdline",
            "pppd\0user\0me\0password\0hunter22\0--key=hunter23\0",
            "pppd\0user\0me\0password\0XXXXXXXX\0--key=XXXXXXXX\0",
        ),
        ("proc/8/status", "Name:\tswordfish x\n", "Name:\tXXXXXXXX x\n"),
        (
            "etc/board.json",
            "{ \"root_password_hash\": \"$1$x\", \"model\": { \"id\": \"a\" } }",
            "{ \"root_password_hash\": \"XXXXXXXX\", \"model\": { \"id\": \"a\" } }",
        ),
    ] {
        assert_eq!(told(&mut m, path, text), masked, "{path}");
    }
}

#[test]
fn answers_are_masked_by_the_names_of_their_fields() {
    let mut m = Masks::default();
    let json = r#"{"config":{"ssid":"a\"b","key":"swordfish","keys":["one two"],"key1":"1","wps_pin":12345670,"up":true},"list":[{"name":"key"},{"psk":"x\\y"}],"note":"swordfish, too"}"#;
    m.json(json, true);
    let masked = m.json(json, false);
    assert_eq!(
        masked,
        r#"{"config":{"ssid":"a\"b","key":"XXXXXXXX","keys":["one two"],"key1":"1","wps_pin":0,"up":true},"list":[{"name":"key"},{"psk":"XXXXXXXX"}],"note":"XXXXXXXX, too"}"#
    );
    assert_eq!(m.json("{\"key\":\"unended", false), "{\"key\":\"unended");
    assert_eq!(m.json("", false), "");
}

/// Each place in which a router may say a secret, by the form that it has there.
#[test]
fn every_form_of_a_secret() {
    const S: &str = "sw0rdf1sh+sw0rdf1sh";
    for (path, text) in [
        ("etc/x.conf", "\tpsk=\"<S>\"\n"),
        ("etc/x.conf", "  option key '<S>'\n"),
        ("etc/x.conf", "'password' '<S>'\n"),
        ("etc/x.conf", "user me, password: <S>, more\n"),
        ("etc/x.conf", "export DDNS_PASSWORD=<S>\n"),
        ("etc/x.conf", "rocommunity <S> default\n"),
        ("etc/x.conf", "createUser me SHA \"<S>\" AES \"<S>\"\n"),
        ("etc/x.conf", "url=https://me:<S>@host/x\n"),
        ("etc/x.conf", "url=https://me:a/<S>@host\n"),
        ("etc/x.conf", "url=https://host/update.php?<S>\n"),
        ("etc/x.conf", "url=https://host:8080/update?host=a&token=<S>&b=c\n"),
        ("etc/x.json", "[{\"auth\":{\"private_key\":\"<S>\"}}]"),
        (
            "etc/x.json",
            "{\"command\":[\"/usr/sbin/pppd\",\"password\",\"<S>\"],\"env\":{\"API_TOKEN\":\"<S>\"}}",
        ),
        ("etc/x.json", "{\"command\":[\"sh\",\"-c\",\"x --password <S> -k\"]}"),
        ("etc/shadow", "root:<S>:1:2:3:4:5:6:\n"),
        ("etc/shadow-", "root:!$1$<S>:1:2:3:4:5:6:\n"),
        ("etc/wpa.psk", "00:11:22:33:44:55 <S>\n"),
        ("etc/ipsec.secrets", ": PSK <S>\n"),
        ("root/.ssh/id_dropbear", "<S>"),
        ("etc/dropbear/dropbear_ed25519_host_key", "<S>"),
        ("etc/ssl/private/x.pem", "<S>"),
        ("etc/x.p12", "<S>"),
        ("etc/x.der", "0\u{7f}\u{2}\u{1}\0<S>"),
        ("etc/x.pem", "-----BEGIN PRIVATE KEY-----\nS\n-----END PRIVATE KEY-----\n"),
        ("proc/1/cmdline", "pppd\0user\0me\0password\0<S>\0"),
        ("proc/1/cmdline", "ppp.sh\0setup\0{\"proto\":\"pppoe\",\"password\":\"<S>\"}\0"),
        ("proc/1/cmdline", "curl\0-u\0me:<S>\0https://host/\0"),
        ("proc/1/cmdline", "curl\0--user=me:<S>\0"),
        ("proc/1/cmdline", "sshpass\0-p\0<S>\0ssh\0me@host\0"),
        ("proc/1/cmdline", "sh\0-c\0wget --password=<S> https://host/\0"),
        ("proc/cmdline", "console=ttyS0 vpn.password=<S> quiet\n"),
    ] {
        let mut m = Masks::default();
        let text = text.replace("<S>", S);
        let masked = m.file(path, text.as_bytes(), false);
        let masked = String::from_utf8_lossy(&masked);
        assert!(!masked.contains("rdf1sh"), "{path}: {text:?} became {masked:?}");
        assert!(m.count > 0, "{path}: {text:?}");
    }
}

/// What only looks like a secret stays: a snapshot is there to be read.
#[test]
fn what_is_no_secret_stays() {
    for (path, text) in [
        ("etc/x.conf", "Description: provides a key exchange, and a password prompt\n"),
        ("etc/x.conf", "option cert '/etc/uhttpd.crt'\noption key '/etc/uhttpd.key'\n"),
        ("etc/x.conf", "option PasswordAuth 'off'\noption hash_algorithm 'sha256'\nkey=1\n"),
        ("etc/x.conf", "url=http://host:80/a?mail=b@c&short\n"),
        (
            "etc/x.json",
            "{\"ssid\":\"key west\",\"list\":[\"key\",\"west\"],\"command\":[\"x\",\"-p\",\"22\"]}",
        ),
        ("etc/shadow", "a:*:1\nb:!:1\nc::1\nd:x:1\ne:*LK*:1\n"),
        ("proc/1/cmdline", "uhttpd\0-C\0/etc/uhttpd.crt\0-K\0/etc/uhttpd.key\0-s\x000.0.0.0:443\0"),
        ("proc/1/cmdline", "dropbear\0-p\x0022\0"),
    ] {
        let mut m = Masks::default();
        m.file(path, text.as_bytes(), true);
        let kept = m.file(path, text.as_bytes(), false);
        assert_eq!(String::from_utf8_lossy(&kept), text);
    }
}
