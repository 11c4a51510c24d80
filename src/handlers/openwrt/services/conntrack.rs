//! `Device.Firewall.ConnectionTracking.`: the helpers of the kernel that follow protocols which open further
//! connections. A helper works while its module is there; the module was told its switches when it was loaded.

use crate::handlers::openwrt::provider::{Spec, adds_nothing, lists_nothing, plans_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Row, Want};
use crate::sys::host;

/// The provider.
pub const SPECS: &[Spec] = &[Spec {
    name: "conntrack_helper",
    list: lists_nothing,
    fill,
    plan: plans_nothing,
    key: adds_nothing,
    packages: &[],
    objects: &[],
}];

/// Switches, by parameter.
const SWITCHES: [(&str, &str); 6] = [
    ("DirectMedia", "sip_direct_media"),
    ("DirectSignaling", "sip_direct_signalling"),
    ("ExternalMedia", "sip_external_media"),
    ("GKRoutedOnly", "gkrouted_only"),
    ("CallForwardFilter", "callforward_filter"),
    ("Loose", "loose"),
];

fn fill(
    _: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    let module = format!("/sys/module/nf_conntrack_{}", row.object.name().to_ascii_lowercase());
    for (at, want) in want.iter().enumerate() {
        match SWITCHES.iter().find(|s| s.0 == want.param.name()) {
            Some((_, name)) => {
                if let Some(value) = host::line(ctx.root, &format!("{module}/parameters/{name}")) {
                    out.put(at, matches!(value.as_str(), "1" | "Y"));
                }
            }
            None => out.put(at, !host::names(ctx.root, &module).is_empty()),
        }
    }
    Ok(())
}
