//! What only the engine knows of what a test is about: told to it when it begins, as it touches neither tree nor
//! journal.

use super::host::Core;
use crate::diagnostics::{Facts, Kind, capture, neighbours, selftest};
use crate::model::schema::Platform;
use crate::model::tree::Item;
use crate::net::url::Url;
use crate::sys::ubus::Place;
use std::path::Path;

impl Core {
    /// The facts that a test asks for.
    pub(super) fn facts_for(&mut self, kind: &Kind) -> Facts {
        let mut facts = Facts::default();
        let mut add = |name, text: &str| facts.0.push((name, text.to_owned()));
        if kind.object == selftest::KIND.object {
            self.self_test_facts(&mut add);
        }
        if kind.object == capture::KIND.object {
            add(capture::RUN_DIR, &shown(&self.config.run_dir));
            add(capture::ALLOWED, if self.config.diagnostics.packet_capture { "true" } else { "" });
        }
        if kind.object == neighbours::KIND.object {
            for (device, radio) in self.radios() {
                add(neighbours::DEVICE, &format!("{device} {radio}"));
            }
        }
        facts
    }

    fn self_test_facts(&self, add: &mut dyn FnMut(&'static str, &str)) {
        use selftest::fact;
        let known = self.facts.borrow();
        let acs = &self.config.acs;
        let url = match self.fallback.asked() {
            "" => self.settings.url.as_str(),
            asked => asked,
        };
        add(fact::ACS, url);
        add(fact::JOURNAL, &self.journal.borrow().health().unwrap_or_default());
        self.diagnostics.overlay_problems.iter().for_each(|problem| add(fact::OVERLAY, problem));
        known.troubles.iter().for_each(|trouble| add(fact::TROUBLE, trouble));
        add(fact::STATE_DIR, &shown(&self.config.state_dir));
        add(fact::RUN_DIR, &shown(&self.config.run_dir));
        if let (Some(certificate), Some(key)) = (&acs.client_certificate, &acs.client_key) {
            add(fact::CERTIFICATE, &shown(certificate));
            add(fact::KEY, &shown(key));
        }
        if let Some(interface) = &acs.bind_interface {
            add(fact::INTERFACE, interface);
        }
        // Without its path, which nobody needs to know.
        if let Ok(url) = Url::parse(&known.connection_request_url) {
            add(fact::DOOR, &url.authority());
            if self.settings.request_username.is_empty() {
                add(fact::CLOSED, "true");
            }
        }
        if let (Platform::OpenWrt, Place::Socket(socket)) = (self.config.platform, self.config.ubus()) {
            add(fact::UBUS, &shown(&socket));
        }
    }

    /// Devices of the kernel's that use a radio, with the radio's row.
    fn radios(&mut self) -> Vec<(String, String)> {
        const TABLE: &str = "Device.WiFi.SSID.";
        let mut rows: Vec<String> = Vec::new();
        if let Ok(mut selection) = self.tree.names(TABLE, true) {
            while self.tree.next(&mut selection, &mut |item| {
                if let Item::Name { path, .. } = item {
                    rows.push(path.to_owned());
                }
            }) {}
        }
        let mut found = Vec::new();
        for row in rows.iter().take(neighbours::MAX_DEVICES) {
            let name = self.tree.value(&format!("{row}Name")).unwrap_or_default();
            let below = self.tree.value(&format!("{row}LowerLayers")).unwrap_or_default();
            let radio = below.split(',').next().unwrap_or("");
            if !name.is_empty() && radio.starts_with("Device.WiFi.Radio.") {
                found.push((name, radio.to_owned()));
            }
        }
        found
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
