//! Lookups by a name server that nobody here wrote, where it is installed: dnsmasq.

use super::net::{FAR, in_namespaces};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const OBJECT: &str = "Device.DNS.Diagnostics.NSLookupDiagnostics.";
const PATIENCE: Duration = Duration::from_secs(20);

/// It ends with the test.
struct Dnsmasq(Child);

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Dnsmasq {
    fn start() -> Option<Dnsmasq> {
        let child = Command::new("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--user=root",
            ])
            .args(["--bind-interfaces", "--except-interface=lo", &format!("--listen-address={FAR}")])
            .args(["--pid-file=", "--log-facility=-", "--local=/example/"])
            .args(["--host-record=real.example,192.0.2.9,2001:db8::9", "--cname=alias.example,real.example"])
            .args(["--host-record=four.example,192.0.2.10"])
            .stderr(Stdio::null())
            .spawn();
        let mut child = match child {
            Ok(child) => Dnsmasq(child),
            Err(error) => {
                println!("skipped: dnsmasq: {error}");
                return None;
            }
        };
        // The kernel says when it listens; a bind of our own could take the port from it.
        let until = Instant::now() + PATIENCE;
        while !fs::read_to_string("/proc/thread-self/net/udp").expect("the kernel's table").contains(":0035 ")
        {
            assert!(child.0.try_wait().expect("a child").is_none(), "dnsmasq has ended");
            assert!(Instant::now() < until, "dnsmasq does not listen");
            std::thread::yield_now();
        }
        Some(child)
    }
}

// Proves: DG-17
#[test]
fn answers_of_dnsmasq() {
    in_namespaces("dnsmasq::answers_of_dnsmasq", |bed| {
        let Some(_server) = Dnsmasq::start() else { return };
        for (name, canonical, addresses) in [
            ("real.example", "real.example", "192.0.2.9,2001:db8::9"),
            ("alias.example", "real.example", "192.0.2.9,2001:db8::9"),
            ("four.example", "four.example", "192.0.2.10"),
        ] {
            let own = [("HostName", name), ("DNSServer", FAR), ("NumberOfRepetitions", "3")];
            let results = bed.ask(OBJECT, &own);
            assert_eq!((results.state(), results.number("SuccessCount")), ("Complete", 3), "{results:?}");
            assert_eq!(results.column("Result", "Status"), ["Success"; 3]);
            assert_eq!(results.column("Result", "HostNameReturned"), [canonical; 3]);
            for found in results.column("Result", "IPAddresses") {
                let mut found: Vec<&str> = found.split(',').collect();
                found.sort_unstable();
                assert_eq!(found.join(","), addresses);
            }
        }
        let results = bed.ask(OBJECT, &[("HostName", "nobody.example"), ("NumberOfRepetitions", "1")]);
        assert_eq!(results.number("SuccessCount"), 0);
        assert_eq!(results.column("Result", "Status"), ["Error_HostNameNotResolved"]);
    });
}
