//! OpenWrt's services make a change of UCI after they were told of it, one after the other: the line goes away
//! when a session has been held by it.

use crate::acs::{Acs, Session};
use crate::bed::{Bed, HOME, in_namespaces};
use crate::daemon::{Daemon, Folder};
use crate::ubusd::{Ubusd, json};
use crate::{Agent, ELSEWHERE, GOOD, KEY, ROLLBACK, SOON, acs_at, executable, kicked, over, status};
use std::fs;
use std::time::{Duration, Instant};

const ADDRESS: &str = "Device.X_00D09E_Uplink.Address";
/// Services have half of this.
const TRIAL: u64 = 10;

/// An agent of platform openwrt in the device's namespace, and the bus of its services.
struct Box {
    agent: Agent,
    ubusd: Ubusd,
}

impl Box {
    fn settled(bed: &Bed, acs: &Acs) -> Box {
        let wrapper = Folder::new("uplink-services");
        let binary = wrapper.0.join("cwmpd");
        let text =
            format!("#!/bin/sh\nexec ip netns exec {} {} \"$@\"\n", bed.device, env!("CARGO_BIN_EXE_cwmpd"));
        executable(&binary, &text);
        let keys = format!(
            "url = \"{}\"\nusername = \"agent\"\npassword = \"secret\"\nretry_minimum_wait_interval = 1\n\
             retry_interval_multiplier = 1000\nconnect_timeout = 1\nconfirm_timeout = {TRIAL}\n",
            acs.url()
        );
        let rest = "[device]\nmanufacturer = \"Example\"\nmanufacturer_oui = \"00D09E\"\n\
                    product_class = \"Box\"\nserial_number = \"S1\"\n";
        let mut daemon = Daemon::new(binary, "uplink-services-daemon", &keys, rest);
        let folder = daemon.folder.0.clone();
        fs::create_dir_all(folder.join("root/etc/config")).expect("a folder");
        fs::create_dir_all(folder.join("overlays")).expect("a folder");
        let network = format!("config interface 'wan'\n\toption ipaddr '{HOME}'\n");
        fs::write(folder.join("root/etc/config/network"), network).expect("a package");
        let rows = "[\"Device.X_00D09E_Uplink.\"]\nAddress = { type = \"string(64)\", \
                    uci = \"network.wan.ipaddr\", write = true, uplink = true }\n";
        fs::write(folder.join("overlays/uplink.toml"), rows).expect("an overlay");
        let config = fs::read_to_string(daemon.config()).expect("a configuration");
        let dir = folder.display();
        let top =
            format!("platform = \"openwrt\"\nroot = \"{dir}/root\"\nubus_socket = \"{dir}/ubus.sock\"\n");
        fs::write(daemon.config(), top + &config).expect("a configuration");
        let ubusd = Ubusd::start_with(&folder.join("ubus.sock"), &["network.interface"]);
        ubusd.says("service", "event", json("{}"));
        daemon.start();
        acs.next_session(SOON).end();
        over(&daemon);
        Box { agent: Agent { daemon, _wrapper: wrapper }, ubusd }
    }

    /// How often services were told that the network is another one.
    fn told(&self) -> usize {
        let calls = self.ubusd.calls();
        calls.iter().filter(|(object, _, args)| object == "service" && args.contains("\"network\"")).count()
    }

    fn configured(&self) -> String {
        let text =
            fs::read_to_string(self.agent.folder.0.join("root/etc/config/network")).expect("a package");
        text.split('\'').nth(3).expect("an address").to_owned()
    }

    /// netifd makes what is configured, and says so.
    fn reload(&self, bed: &Bed) {
        bed.ip(&["-n", &bed.device, "addr", "flush", "dev", "wan0"]);
        bed.ip(&["-n", &bed.device, "addr", "add", &self.configured(), "dev", "wan0"]);
        self.moves();
    }

    /// netifd says that something has changed.
    fn moves(&self) {
        self.ubusd.event("network.interface", r#"{"action":"ifupdate","interface":"wan"}"#);
    }

    /// The ACS sets the address, and asks for another session at once, by the way that is there still; `None`
    /// when that took the machine so long that services may have been done. They are not.
    fn set_and_ask(&self, acs: &Acs, address: &str) -> Option<Session> {
        let mut session = kicked(acs, &self.agent);
        assert_eq!(session.set(&[(ADDRESS, "xsd:string", address)], "changed"), Ok(1), "after the session");
        let before = self.told();
        let start = Instant::now();
        session.end();
        self.agent.wait_for("word to the services", || self.told() > before);
        self.moves();
        let session = kicked(acs, &self.agent);
        (start.elapsed() < Duration::from_secs(TRIAL / 2)).then_some(session)
    }
}

#[test]
fn a_line_that_goes_away_late_is_put_back() {
    in_namespaces("services::a_line_that_goes_away_late_is_put_back", |bed| {
        let acs = acs_at(8080);
        let device = Box::settled(bed, &acs);
        let Some(mut session) = device.set_and_ask(&acs, ELSEWHERE) else {
            eprintln!("a machine as slow as that shows nothing");
            return;
        };
        assert_eq!(session.inform.value(KEY), Some("changed"));
        // Nor does the ACS confirm it by what else it wants.
        session.set(&[], "too").expect("an empty set");
        session.end();
        over(&device.agent);
        let said = status(&device.agent);
        assert_eq!(said["trial"]["parameters"], serde_json::json!([ADDRESS]), "{said}");
        let told = device.told();
        device.reload(bed);
        assert_eq!(bed.addresses(), [ELSEWHERE]);
        device.agent.wait_for("the way back", || device.told() > told);
        assert_eq!(device.configured(), HOME);
        device.reload(bed);
        let mut session = acs.next_session(SOON);
        assert!(session.inform.codes().contains(&ROLLBACK), "{:?}", session.inform.codes());
        let reason = session.value("Device.X_CWMPD_Rollback.Reason").expect("a reason");
        assert!(reason.contains("no connection"), "{reason}");
        assert_eq!(session.value(ADDRESS).as_deref(), Ok(HOME));
        session.end();
        over(&device.agent);
        assert!(status(&device.agent)["trial"].is_null());
    });
}

#[test]
fn a_good_line_is_confirmed_when_services_are_done() {
    in_namespaces("services::a_good_line_is_confirmed_when_services_are_done", |bed| {
        let acs = acs_at(8080);
        let mut device = Box::settled(bed, &acs);
        let Some(session) = device.set_and_ask(&acs, GOOD) else {
            eprintln!("a machine as slow as that shows nothing");
            return;
        };
        session.end();
        over(&device.agent);
        assert!(!status(&device.agent)["trial"].is_null());
        // Who comes back does not know whether they are done.
        device.agent.kill();
        device.agent.start();
        device.agent.wait_ready();
        device.reload(bed);
        // Sessions that it may have something to tell in, until one counts.
        let mut sessions = 0;
        while !status(&device.agent)["trial"].is_null() {
            acs.next_session(SOON).end();
            over(&device.agent);
            sessions += 1;
        }
        assert!(sessions > 0);
        let said = status(&device.agent);
        assert!(said["rollback"].is_null(), "{said}");
        assert_eq!((device.configured().as_str(), bed.addresses()), (GOOD, vec![GOOD.to_owned()]));
    });
}
