//! Which rows carry the ACS session: what edits the packages of the way out is marked `uplink`, or says here why not.

use crate::model::builtin::builtin;
use crate::model::grammar::expression::{self, Place, Table};
use crate::model::schema::{Format, Param, Platform, Source, SourceKind, flag};

/// Packages that say how packets leave.
const PATH: [&str; 3] = ["network", "wireless", "firewall"];
/// What begins so need not be tried out.
const CARRIES_NOTHING: [(&str, &str); 18] = [
    ("Device.DHCPv4.Server.", "it edits dhcp alone, and reads network"),
    ("Device.DHCPv4.Relay.", "it edits dhcp alone, and reads network"),
    ("Device.Hosts.AccessControl.", "hosts are forwarded, and the device's own packets are not"),
    ("Device.Firewall.Policy.", "a forwarding: the device's own packets are not forwarded"),
    ("Device.Firewall.Pinhole.", "a rule of what is forwarded"),
    (
        "Device.Firewall.DMZ.",
        "a new connection from outside goes on to a host: the session is one from inside",
    ),
    ("Device.Firewall.Level.", "the policy of what is forwarded"),
    ("Device.Firewall.Log.", "what is logged"),
    ("Device.Firewall.Chain.{i}.Rule.{i}.", "TABLE"),
    ("Device.Firewall.Service.{i}.", "TABLE"),
    ("Device.Firewall.Set.{i}.", "TABLE"),
    ("Device.NAT.InterfaceSetting.", "the device's own packets have its address already"),
    ("Device.NAT.PortMapping.", "as of Firewall.DMZ"),
    ("Device.IP.ULAPrefix", "an address of the LAN's, beside others"),
    ("Device.WiFi.SSID.{i}.", "TABLE"),
    ("Device.WiFi.AccessPoint.", "others connect to an access point; the way out is a station's (EndPoint)"),
    ("Device.UserInterface.", "the port of the web server; rules that let it in follow it"),
    ("Device.Schedules.", "when a rule of forwarding is in force"),
];
// TABLE: its parameters are marked, but a row that comes is switched off, and has to be there at once for the
// values that make something of it. That a row goes is not tried out.

/// The packages that a source edits or may edit.
fn packages(source: Option<Source<'_>>) -> Vec<String> {
    let Some(source) = source else { return Vec::new() };
    match source.kind {
        SourceKind::Native => {
            let spec = super::super::SPECS.iter().flat_map(|s| s.iter()).find(|s| s.name == source.arg);
            spec.map_or(Vec::new(), |s| s.packages.iter().map(|p| (*p).to_owned()).collect())
        }
        SourceKind::Expression => match expression::table(source.arg) {
            Ok(Table::Sections(sections)) => vec![sections.package.to_owned()],
            _ => {
                let mut first = None;
                expression::each_place(source.arg, &mut |place| {
                    if let (Place::Uci(uci), None) = (place, &first) {
                        first = Some(uci.package.to_owned());
                    }
                });
                first.into_iter().collect()
            }
        },
        _ => Vec::new(),
    }
}

fn is_path(source: Option<Source<'_>>) -> bool {
    packages(source).iter().any(|p| PATH.contains(&p.as_str()))
}

#[test]
fn what_edits_the_way_out_is_tried_out() {
    let schema = builtin();
    let on = Platform::OpenWrt;
    let mut used = [false; CARRIES_NOTHING.len()];
    let mut excused = |path: &str, table: bool| {
        let found = CARRIES_NOTHING.iter().position(|(start, why)| match *why {
            "TABLE" => table && path == *start,
            _ => path.starts_with(start),
        });
        found.inspect(|at| used[*at] = true).is_some()
    };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for object in (0..schema.objects.len() as u16).map(|id| schema.object(id)) {
        if object.is_creatable(on) && is_path(object.source(on)) && !object.is_uplink() {
            seen += 1;
            wrong.extend((!excused(object.path(), true)).then(|| object.path().to_owned()));
        }
        let counts = |p: &Param<'_>| p.is_writable(on) && p.kind().row.format != Format::Alias;
        for param in object.params().filter(counts).filter(|p| is_path(p.source(on))) {
            seen += 1;
            let path = [object.path(), param.name()].concat();
            wrong.extend((!param.has(flag::UPLINK) && !excused(&path, false)).then_some(path));
        }
    }
    assert!(wrong.is_empty(), "neither `uplink` nor excused:\n{}", wrong.join("\n"));
    let idle: Vec<&str> =
        CARRIES_NOTHING.iter().zip(used).filter(|(_, used)| !used).map(|(e, _)| e.0).collect();
    assert!(idle.is_empty(), "excused, and not to be: {idle:?}");
    assert!(seen > 300, "only {seen} rows edit the way out");
}
