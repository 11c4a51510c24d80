//! The responder of UDP Echo: that it runs as UDPEchoConfig says.

use super::host::Core;
use crate::diagnostics::responder::{Counters, Responder, Settings};
use crate::model::request::ParameterValue;
use nix::net::if_::if_nametoindex;

const OBJECT: &str = "Device.IP.Diagnostics.UDPEchoConfig.";

/// The engine's part in it.
#[derive(Default)]
pub struct UdpEcho {
    /// Enable, as it was seen last.
    is_enabled: bool,
    responder: Option<Responder>,
}

impl Core {
    /// Values were set, by whomever.
    pub fn note_udp_echo(&mut self, list: &[ParameterValue]) {
        if list.iter().any(|value| value.name.starts_with(OBJECT)) {
            self.follow_udp_echo();
        }
    }

    /// Starts, ends, or starts anew. When that cannot be it is tried again after the next session or change.
    pub fn follow_udp_echo(&mut self) {
        let enabled = self.udp_echo_value("Enable") == "true";
        if enabled && !self.udp_echo.is_enabled {
            // "When enabled from a disabled state all … statistics and UDP Echo Plus counters are cleared."
            let tally = self.facts.borrow().udp_echo.clone();
            *tally.lock() = Counters::default();
        }
        self.udp_echo.is_enabled = enabled;
        let wanted = if enabled { self.udp_echo_settings() } else { None };
        let running = self.udp_echo.responder.as_ref();
        if running.filter(|responder| responder.is_alive()).map(Responder::settings) == wanted.as_ref() {
            return;
        }
        // First: it may be about the same port.
        self.udp_echo.responder = None;
        let Some(settings) = wanted else {
            log::info!("UDP echo: no packet is answered");
            return;
        };
        let (source, port) = (settings.source, settings.port);
        let tally = self.facts.borrow().udp_echo.clone();
        match Responder::start(settings, tally) {
            Ok(responder) => {
                log::info!("UDP echo: packets of {source} to port {port} are answered");
                self.udp_echo.responder = Some(responder);
            }
            Err(error) => log::warn!("UDP echo: nothing is answered, port {port}: {error}"),
        }
    }

    /// `None` when nobody is to be answered, or the interface has no device now.
    fn udp_echo_settings(&mut self) -> Option<Settings> {
        let source = Settings::source(&self.udp_echo_value("SourceIPAddress"))?;
        let interface = self.udp_echo_value("Interface");
        let device = match interface.as_str() {
            "" => None,
            interface => {
                let device = self.device_of(interface).ok()?;
                let number = if_nametoindex(device.as_str()).ok()?;
                Some((device, number))
            }
        };
        let port = self.udp_echo_value("UDPPort").parse().ok()?;
        Some(Settings { port, source, device, plus: self.udp_echo_value("EchoPlusEnabled") == "true" })
    }

    fn udp_echo_value(&mut self, name: &str) -> String {
        self.tree.value(&format!("{OBJECT}{name}")).unwrap_or_default()
    }
}
