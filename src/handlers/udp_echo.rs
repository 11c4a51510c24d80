//! Provider `udp_echo`: what the responder of UDP Echo has counted. What it is to do is kept by the tree (`store`).

use super::reading::Reading;
use crate::diagnostics::responder::Tally;
use crate::diagnostics::time;
use crate::model::handler::{Bell, Ctx, Fields, Keys, Row, Want};
use crate::sys::clock;

/// The provider.
pub struct UdpEcho {
    /// Filled by the responder.
    pub tally: Tally,
}

impl Reading for UdpEcho {
    /// They move with each packet.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        ring(Bell::Dear);
    }

    fn list(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &mut Keys) {}

    fn get(&mut self, _: &Ctx<'_>, _: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let counters = self.tally.lock().clone();
        let time = |time: Option<_>| time.map_or(clock::UNKNOWN_TIME.to_owned(), time::micros);
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "PacketsReceived" => out.put(i, counters.packets_received),
                "PacketsResponded" => out.put(i, counters.packets_responded),
                "BytesReceived" => out.put(i, counters.bytes_received),
                "BytesResponded" => out.put(i, counters.bytes_responded),
                "TimeFirstPacketReceived" => out.put(i, time(counters.first)),
                "TimeLastPacketReceived" => out.put(i, time(counters.last)),
                _ => {}
            }
        }
    }
}
