//! Provider `ow_roles`: the groups of rpcd's access control lists as roles, and which of them an account has
//! by its login (package rpcd).

use super::Spec;
use crate::handlers::openwrt::provider::{adds_nothing, plans_nothing};
use crate::handlers::openwrt::sources::Sources;
use crate::model::handler::{Ctx, Failure, Fields, Keys, Row, Want};
use crate::sys::crc::crc32;
use crate::sys::host;
use crate::sys::ubus::Answer;
use std::path::Path;

const FOLDER: &str = "/usr/share/rpcd/acl.d";
const TABLE: &str = "Device.Users.Role.{i}.";
/// What everybody may do who asks.
const NOBODY: &str = "unauthenticated";
/// No more files and roles than these are looked at.
const MAX_FILES: usize = 512;
const MAX_ROLES: usize = 512;

/// The provider.
pub const SPEC: Spec = Spec {
    name: "ow_roles",
    list,
    fill,
    plan: plans_nothing,
    key: adds_nothing,
    packages: &["rpcd"],
    objects: &[],
};

/// The groups of all files; a name that is in several is one.
fn roles(root: &Path) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for file in host::names(root, FOLDER).iter().filter(|n| n.ends_with(".json")).take(MAX_FILES) {
        let text = host::read(root, &format!("{FOLDER}/{file}")).unwrap_or_default();
        let Ok(answer) = Answer::from_json(&text) else { continue };
        for (name, _) in answer.root().fields() {
            let plain = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
            if plain && found.len() < MAX_ROLES && !found.iter().any(|f| f == name) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

fn list(_: &mut Sources, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
    out.extend(roles(ctx.root));
    Ok(())
}

fn fill(
    sources: &mut Sources,
    ctx: &Ctx<'_>,
    row: &Row<'_>,
    want: &[Want<'_>],
    out: &mut Fields,
) -> Result<(), Failure> {
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "RoleName" => out.put(i, row.key()),
            // There are no numbers but this one, which is the same after every boot.
            "RoleID" => out.put(i, crc32(row.key().as_bytes())),
            "Enable" | "StaticRole" => out.put(i, true),
            "RoleParticipation" => {
                let Some(package) = sources.package(ctx, "rpcd")? else { continue };
                let login = package.of_kind("login").find(|l| l.get("username") == Some(row.key()));
                let Some(login) = login else { continue };
                let mut lists = login.items("read");
                lists.extend(login.items("write"));
                for role in roles(ctx.root) {
                    if role != NOBODY && lists.iter().any(|pattern| fits(&role, pattern)) {
                        out.refer(i, TABLE, &[&role]);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A pattern of rpcd's: a name in which `*` is any text and `?` any letter.
fn fits(name: &str, pattern: &str) -> bool {
    let (name, pattern) = (name.as_bytes(), pattern.as_bytes());
    let (mut n, mut p, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == b'?' || Some(c) == name.get(n) => {
                n += 1;
                p += 1;
            }
            // What the last star stands for grows.
            _ => match &mut star {
                Some((behind, from)) => {
                    *from += 1;
                    (p, n) = (*behind, *from);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns() {
        for (name, pattern, want) in [
            ("luci-base", "*", true),
            ("luci-base", "luci-*", true),
            ("luci-base", "l*-?ase", true),
            ("luci-base", "luci-base", true),
            ("luci-base", "luci", false),
            ("luci-base", "*x*", false),
            ("", "**", true),
            ("a", "", false),
            ("aaab", "*a*b", true),
            ("luci-base", "luci-base?", false),
        ] {
            assert_eq!(fits(name, pattern), want, "{name} {pattern}");
        }
    }
}
