//! Provider `user_interface`: whether a web interface is there (somebody listens on the web's ports),
//! the system's language, and the size of a display.

use super::network::{Network, part};
use crate::handlers::reading::Reading;
use crate::model::handler::{Ctx, Fields, Keys, Row, Want};
use crate::sys::host;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

const HTTP: u16 = 80;
const HTTPS: u16 = 443;

/// The provider.
pub struct UserInterface {
    /// Tells who listens.
    pub network: Rc<RefCell<Network>>,
}

impl UserInterface {
    /// What the web's ports that somebody listens on speak.
    fn protocols(&self, ctx: &Ctx<'_>) -> Vec<&'static str> {
        let mut network = self.network.borrow_mut();
        // Without an answer nobody is seen to listen; the network's own tables log the reason.
        let Ok(view) = network.view(ctx, part::SOCKETS) else {
            return Vec::new();
        };
        let listens = |port| view.sockets.iter().any(|s| s.remote.is_none() && s.local.port() == port);
        let known = [(HTTP, "HTTP"), (HTTPS, "HTTPS")];
        known.into_iter().filter(|(port, _)| listens(*port)).map(|(_, name)| name).collect()
    }
}

impl Reading for UserInterface {
    fn list(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &mut Keys) {}

    fn get(&mut self, ctx: &Ctx<'_>, _: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Enable" => out.put(i, !self.protocols(ctx).is_empty()),
                "HTTPAccessSupportedProtocols" => out.put(i, self.protocols(ctx).join(",")),
                "CurrentLanguage" | "AvailableLanguages" => {
                    if let Some(language) = language(ctx.root) {
                        out.put(i, language);
                    }
                }
                "DisplayWidth" => put_size(ctx.root, 0, i, out),
                "DisplayHeight" => put_size(ctx.root, 1, i, out),
                _ => {}
            }
        }
    }
}

/// `en-GB` for `LANG=en_GB.UTF-8`; `None` when none is chosen or it is the language of programs.
fn language(root: &Path) -> Option<String> {
    let text =
        ["/etc/locale.conf", "/etc/default/locale"].into_iter().find_map(|f| host::read(root, f).ok())?;
    let lang = text.lines().find_map(|l| l.trim().strip_prefix("LANG="))?.trim_matches('"');
    let plain = lang.split(['.', '@']).next()?.replace('_', "-");
    let good =
        (2..=16).contains(&plain.len()) && plain.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (good && plain != "POSIX").then_some(plain)
}

/// `1024,768`
fn put_size(root: &Path, nth: usize, i: usize, out: &mut Fields) {
    let line = host::line(root, "/sys/class/graphics/fb0/virtual_size").unwrap_or_default();
    if let Some(n) = line.split(',').nth(nth).and_then(|n| n.parse::<u32>().ok()) {
        out.put(i, n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::probe::{self, Folder};
    use crate::handlers::reading::ReadOnly;

    fn interface() -> ReadOnly {
        ReadOnly(Box::new(UserInterface { network: Rc::default() }))
    }

    #[test]
    fn golden() {
        let f = Folder::new();
        let read = || {
            let names = ["Enable", "HTTPAccessSupportedProtocols", "CurrentLanguage", "AvailableLanguages"];
            let v = probe::get(&mut interface(), f.root(), "Device.UserInterface.", &[], &names);
            probe::line(&v, &names)
        };
        assert_eq!(read(), "false||-|-");
        let line = |port, state| format!("   0: 00000000:{port} 00000000:0000 {state} 00000000:00000000\n");
        f.file("proc/net/tcp", &["  sl  local_address\n", &line("0050", "06"), &line("1F90", "0A")].concat());
        assert_eq!(read(), "false||-|-", "not listening, or another port");
        f.file("proc/net/tcp6", &["  sl\n", &line("01BB", "0A"), &line("0050", "0A"), "bad\n"].concat());
        f.file("etc/default/locale", "# x\nLANG=\"en_GB.UTF-8\"\n");
        assert_eq!(read(), "true|HTTP,HTTPS|en-GB|en-GB");
        f.file("etc/locale.conf", "LANG=C.UTF-8\n");
        assert_eq!(read(), "true|HTTP,HTTPS|-|-");
        f.file("sys/class/graphics/fb0/virtual_size", "1024,768\n");
        let names = ["DisplayWidth", "DisplayHeight"];
        let v = probe::get(&mut interface(), f.root(), "Device.UserInterface.LocalDisplay.", &[], &names);
        assert_eq!(probe::line(&v, &names), "1024|768");
    }
}
