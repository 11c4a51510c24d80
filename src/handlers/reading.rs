//! What the providers have in common that only read.

use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};

/// A source whose rows are read and never changed.
pub trait Reading {
    /// See [`Handler::list`].
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys);

    /// See [`Handler::get`]: a source that is not there fills nothing.
    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields);

    /// See [`Handler::bells`].
    fn bells(&self, ctx: &Ctx<'_>, row: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        let _ = (ctx, row, want);
        ring(Bell::None);
    }
}

/// A [`Reading`] as a handler: no row of it is writable, so a change only comes here by a row of the
/// data model that promises too much.
pub struct ReadOnly(pub Box<dyn Reading>);

impl Handler for ReadOnly {
    fn bells(&self, ctx: &Ctx<'_>, row: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        self.0.bells(ctx, row, want, ring);
    }

    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        self.0.list(ctx, row, out);
        Ok(())
    }

    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        self.0.get(ctx, row, want, out);
        Ok(())
    }

    fn stage(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<Vec<u8>, Failure> {
        Err(Failure::denied("read only on this platform"))
    }

    fn commit(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<(), Failure> {
        Err(Failure::denied("read only on this platform"))
    }

    fn undo(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>, _: &[u8]) -> Result<(), Failure> {
        Ok(())
    }
}

/// What was read of a source, kept for as long as the RPC lasts.
#[derive(Default)]
pub struct PerRpc<T> {
    epoch: Option<u32>,
    value: T,
}

impl<T: Default> PerRpc<T> {
    /// What `read` gives, read once per [`Ctx::epoch`].
    pub fn get(&mut self, ctx: &Ctx<'_>, read: impl FnOnce() -> T) -> &T {
        if self.epoch != Some(ctx.epoch) {
            self.value = read();
            self.epoch = Some(ctx.epoch);
        }
        &self.value
    }
}
