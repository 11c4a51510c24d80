//! How a connection comes to be: one address after the other, TCP, TLS.

use super::{Common, Connection, End, Phase};
use crate::diagnostics::run::after;
use crate::diagnostics::socket;
use crate::diagnostics::throughput::MAX_OPENED;
use crate::diagnostics::throughput::interface::{Counters, device_with};
use crate::diagnostics::throughput::wire::Wire;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

impl Connection {
    /// This address is no good: on to the next one, if there is one.
    pub(super) fn next_address(&mut self, why: End) -> Result<(), End> {
        self.wire = None;
        self.phase = Phase::Idle;
        self.address += 1;
        // Somebody who refused says more than a missing way.
        if self.refusal.as_ref().is_none_or(|(state, _)| *state == "Error_NoRouteToHost") {
            self.refusal = Some(why);
        }
        self.until = Instant::now();
        Ok(())
    }

    pub(super) fn open(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let Some(&address) = common.addresses.get(self.address) else {
            return Err(self.refusal.take().unwrap_or(("Error_Other", "no address is left".to_owned())));
        };
        common.opened += 1;
        if common.opened > MAX_OPENED {
            let why = "the server closes one connection after the other".to_owned();
            return Err((common.plan.way.broken(), why));
        }
        // A silent address leaves their share of the time to those behind it.
        let shares = u32::try_from(common.addresses.len() - self.address).unwrap_or(1);
        self.until = after(common.plan.timeouts.connect / shares);
        self.marks.open_request.get_or_insert_with(Instant::now);
        match Wire::open(common.job, address) {
            Ok(wire) => {
                self.wire = Some(wire);
                self.phase = Phase::Connecting;
            }
            Err(error) => self.next_address(refused(address.ip(), &error))?,
        }
        Ok(true)
    }

    pub(super) fn connected(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let Some(wire) = &mut self.wire else { return Ok(false) };
        if let Err(error) = wire.opened() {
            let address = common.addresses.get(self.address).map_or([0; 4].into(), SocketAddr::ip);
            self.next_address(refused(address, &error))?;
            return Ok(true);
        }
        self.marks.open_response.get_or_insert_with(Instant::now);
        if common.local.is_none() {
            common.local = wire.local().map(|local| local.ip());
            let device = common.job.device.clone().or_else(|| common.local.and_then(device_with));
            common.counters = Counters::of(&common.job.around.root, device.as_deref());
        }
        match &common.tls {
            None => self.begin(common),
            Some(config) => {
                let said = wire.secure(config, &common.plan.url.host);
                said.map_err(|why| ("Error_InitConnectionFailed", why))?;
                self.phase = Phase::Securing;
            }
        }
        Ok(true)
    }

    pub(super) fn secured(&mut self, common: &mut Common<'_>) -> Result<bool, End> {
        let Some(wire) = &mut self.wire else { return Ok(false) };
        match wire.shake(&common.plan.url.host) {
            Ok(true) => self.begin(common),
            Ok(false) => return Ok(false),
            Err(why) => self.next_address(("Error_InitConnectionFailed", why))?,
        }
        Ok(true)
    }
}

fn refused(address: IpAddr, error: &io::Error) -> End {
    let state = match socket::is_no_route(error) {
        true => "Error_NoRouteToHost",
        false => "Error_InitConnectionFailed",
    };
    (state, format!("{address}: {error}"))
}
