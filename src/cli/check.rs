//! `cwmpd check`: what a start would find, without starting.

use super::{Exit, show::plain};
use crate::config::Config;
use crate::model::{builtin, overlay};
use crate::transfer::verify::Key;
use std::io::{self, Write};
use std::path::Path;

/// Reads the configuration and the overlays and says what is wrong with them.
pub(super) fn check(file: &Path, json: bool, out: &mut impl Write) -> io::Result<Exit> {
    let (mut problems, mut warnings, mut served) = (Vec::new(), Vec::new(), None);
    match Config::load(file) {
        Err(e) => problems.push(e.to_string()),
        Ok(config) => {
            let (schema, refused) = overlay::load(builtin::builtin(), &config.overlay_dir);
            problems.extend(refused.iter().map(ToString::to_string));
            warnings.extend(config.warnings().iter().map(|w| format!("{}: warning: {w}", file.display())));
            served = Some(schema.counts(config.platform));
            problems.extend(Key::load(&config.transfer.trusted_keys).err());
        }
    }
    let exit = if problems.is_empty() { Exit::Ok } else { Exit::Configuration };
    if json {
        let (objects, parameters) = served.unzip();
        let report = serde_json::json!({
            "ok": exit == Exit::Ok,
            "problems": problems,
            "warnings": warnings,
            "objects": objects,
            "parameters": parameters,
        });
        writeln!(out, "{report}")?;
        return Ok(exit);
    }
    for line in problems.iter().chain(&warnings) {
        writeln!(out, "{}", plain(line, false))?;
    }
    if let Some((objects, parameters)) = served {
        writeln!(out, "{objects} objects and {parameters} parameters are served")?;
    }
    Ok(exit)
}
