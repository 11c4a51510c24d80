//! https: who the ACS is, and who the agent is.

use crate::acs::{Acs, Authentication, Options, Tls};
use crate::daemon::Daemon;
use crate::{LONG_WAIT, SOON, agent_at, failure, keys, over, sections};
use std::fs;

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";

fn https(tls: Tls) -> Acs {
    Acs::start(Options { tls: Some(tls), ..Options::default() })
}

/// An agent that trusts a CA, started; `more` are keys of `[acs]`.
fn trusting(acs: &Acs, name: &str, ca: &str, more: &str) -> Daemon {
    let mut daemon = agent_at(&acs.url(), name, "");
    let file = |name: &str, text: &str| {
        let path = daemon.folder.0.join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let ca = file("ca.pem", ca);
    let more = more
        .replace("CERT", &file("cert.pem", &acs.identity().client.0))
        .replace("KEY", &file("key.pem", &acs.identity().client.1));
    daemon.configure(&(keys(&acs.url()) + LONG_WAIT + &format!("ca_file = \"{ca}\"\n{more}")), &sections());
    daemon.start();
    daemon
}

#[track_caller]
fn refused(daemon: &Daemon) -> String {
    daemon.wait_ready();
    daemon.wait_for("failure", || failure(daemon).is_some());
    let why = failure(daemon).expect("failed");
    assert!(why.starts_with("TLS:"), "{why}");
    why
}

/// S-1, S-2, S-5: TLS 1.3 and 1.2 with the CA of the configuration; S-12: Basic is allowed there.
// Proves: S-2
#[test]
fn s_5_the_right_ca() {
    for only_1_2 in [false, true] {
        let acs = https(Tls { only_1_2, ..Tls::default() });
        acs.change(|options| options.authentication = Authentication::Basic);
        let daemon = trusting(&acs, "right", &acs.identity().ca, "");
        let mut session = acs.next_session(SOON);
        session.set(&[(CODE, "xsd:string", "over TLS")], "").expect("set");
        assert_eq!(session.value(CODE).as_deref(), Ok("over TLS"));
        session.end();
        over(&daemon);
        assert!(acs.log().iter().all(|m| m.connection == 1), "T-3, T-5");
    }
}

/// S-5, S-6, S-8, S-10: who cannot prove to be the ACS is told nothing, and status says why.
// Proves: S-8, S-10
#[test]
fn s_5_an_impostor() {
    let other = https(Tls::default());
    let wrong_ca = https(Tls::default());
    let wrong_name = https(Tls { names: vec!["acs.example.com".into()], ..Tls::default() });
    let expired = https(Tls { years: (2001, 2002), ..Tls::default() });
    for (acs, ca, word) in [
        (&wrong_ca, &other.identity().ca, "certificate"),
        (&wrong_name, &wrong_name.identity().ca, "acs.example.com"),
        (&expired, &expired.identity().ca, "expired"),
    ] {
        let daemon = trusting(acs, "impostor", ca, "");
        let why = refused(&daemon);
        assert!(why.to_lowercase().contains(word), "{word}: {why}");
        assert_eq!(acs.sessions(), 0, "S-10");
    }
}

/// S-1: never in clear text, when the ACS speaks none but that.
// Proves: S-1
#[test]
fn s_1_no_way_back_to_clear_text() {
    let acs = Acs::start(Options::default());
    let tls = https(Tls::default());
    let mut daemon = agent_at("http://127.0.0.1:1/", "clear", "");
    let ca = daemon.folder.0.join("ca.pem");
    fs::write(&ca, &tls.identity().ca).expect("a file");
    let url = acs.url().replace("http://", "https://");
    daemon.configure(&(keys(&url) + LONG_WAIT + &format!("ca_file = \"{}\"\n", ca.display())), &sections());
    daemon.start();
    refused(&daemon);
    assert_eq!(acs.sessions(), 0);
}

/// S-9: the agent shows its certificate when it has one; without it the ACS lets nobody in.
#[test]
fn s_9_a_client_certificate() {
    let acs = https(Tls { client_certificate: true, ..Tls::default() });
    let daemon = trusting(&acs, "unknown-agent", &acs.identity().ca, "");
    daemon.wait_ready();
    daemon.wait_for("failure", || failure(&daemon).is_some());
    assert_eq!(acs.sessions(), 0);
    let daemon = trusting(
        &acs,
        "known-agent",
        &acs.identity().ca,
        "client_certificate = \"CERT\"\nclient_key = \"KEY\"\n",
    );
    acs.next_session(SOON).end();
    over(&daemon);
    assert_eq!(failure(&daemon), None);
}
