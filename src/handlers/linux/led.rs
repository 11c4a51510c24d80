//! Provider `led`: the LEDs table, from `/sys/class/leds`. The key is the kernel's name.

use crate::handlers::reading::Reading;
use crate::model::handler::{Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::path::Path;

const LEDS: &str = "/sys/class/leds";
/// No more than this are shown.
const MAX_LEDS: usize = 256;

/// The provider.
pub struct Leds;

impl Reading for Leds {
    fn list(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, out: &mut Keys) {
        out.extend(host::names(ctx.root, LEDS).into_iter().take(MAX_LEDS));
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let name = row.key();
        let number = |file: &str| host::number::<u32>(ctx.root, &format!("{LEDS}/{name}/{file}"));
        let Some(brightness) = number("brightness") else {
            return;
        };
        let trigger = trigger(ctx.root, name);
        let used = brightness > 0 || trigger.is_some();
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Name" => out.put(i, name),
                "Enable" => out.put(i, used),
                "Status" => out.put(i, if used { "InUse" } else { "Disabled" }),
                "Reason" => out.put(i, trigger.as_deref().unwrap_or("")),
                "MaxBrightness" => {
                    if let Some(max) = number("max_brightness") {
                        out.put(i, max);
                    }
                }
                _ => {}
            }
        }
    }
}

/// What makes it shine: of all triggers the file lists, the one in brackets; `None` for `none`.
fn trigger(root: &Path, name: &str) -> Option<String> {
    let line = host::line(root, &format!("{LEDS}/{name}/trigger"))?;
    let chosen = line.split_ascii_whitespace().find_map(|w| w.strip_prefix('[')?.strip_suffix(']'))?;
    (chosen != "none").then(|| chosen.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    #[test]
    fn golden() {
        let f = Folder::new();
        let led = |name: &str, brightness: &str, trigger: &str| {
            f.file(&format!("sys/class/leds/{name}/brightness"), brightness);
            f.file(&format!("sys/class/leds/{name}/max_brightness"), "255\n");
            f.file(&format!("sys/class/leds/{name}/trigger"), trigger);
        };
        led("green:power", "255\n", "[none] timer netdev\n");
        led("blue:wan", "0\n", "none timer [netdev]\n");
        led("red:off", "0\n", "[none] timer\n");
        led("bad", "x", "[[]");
        let mut leds = ReadOnly(Box::new(Leds));
        let table = "Device.LEDs.LED.{i}.";
        assert_eq!(probe::list(&mut leds, f.root(), table, &[]).len(), 4);
        let names = ["Name", "Enable", "Status", "Reason", "MaxBrightness"];
        let mut get = |key| {
            let v = probe::get(&mut leds, f.root(), table, &[key], &names);
            probe::line(&v, &names)
        };
        assert_eq!(get("green:power"), "green:power|true|InUse||255");
        assert_eq!(get("blue:wan"), "blue:wan|true|InUse|netdev|255");
        assert_eq!(get("red:off"), "red:off|false|Disabled||255");
        assert_eq!(get("bad"), "-|-|-|-|-");
    }
}
