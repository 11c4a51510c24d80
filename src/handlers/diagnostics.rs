//! Provider `diagnostics`: state and results of tests, and the word that asks for one. Arguments are kept by the
//! tree (`store`).

use crate::diagnostics::board::Board;
use crate::diagnostics::{Kind, kind};
use crate::model::handler::{Bell, Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use std::cell::RefCell;
use std::rc::Rc;

/// The provider.
pub struct Diagnostics {
    /// Filled by the engine.
    pub board: Rc<RefCell<Board>>,
}

/// The test that a row belongs to, and the table of its results.
fn place<'a>(row: &Row<'a>) -> Option<(&'static Kind, &'a str)> {
    let path = row.object.path();
    let kind = kind(path)?;
    Some((kind, path.strip_prefix(kind.object)?.trim_end_matches(".{i}.")))
}

impl Handler for Diagnostics {
    fn list(&mut self, _: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        if let Some((kind, table)) = place(row) {
            (1..=self.board.borrow().rows(kind, table)).for_each(|n| out.push(n.to_string()));
        }
        Ok(())
    }

    fn get(
        &mut self,
        _: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        let Some((kind, table)) = place(row) else { return Ok(()) };
        let board = self.board.borrow();
        for (i, want) in want.iter().enumerate() {
            let value = match (row.key().parse(), want.param.name()) {
                (Ok(number), name) => board.cell(kind, table, number, name),
                (Err(_), "DiagnosticsState") => Some(board.state(kind)),
                (Err(_), name) => board.value(kind, name),
            };
            if let Some(value) = value {
                out.put(i, value);
            }
        }
        Ok(())
    }

    fn stage(&mut self, _: &Ctx<'_>, _: &Row<'_>, _: &Change<'_>) -> Result<Vec<u8>, Failure> {
        Ok(Vec::new())
    }

    /// DiagnosticsState, the only one that is written; its type lets Requested and Canceled pass (DG-1).
    fn commit(&mut self, _: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let (Change::Set([set]), Some((kind, ""))) = (change, place(row)) else { return Ok(()) };
        match set.value {
            "Requested" => self.board.borrow_mut().ask(kind),
            _ => self.board.borrow_mut().cancel(kind),
        }
        Ok(())
    }

    /// What was canceled stays so.
    fn undo(&mut self, _: &Ctx<'_>, row: &Row<'_>, _: &Change<'_>, _: &[u8]) -> Result<(), Failure> {
        if let Some((kind, _)) = place(row) {
            self.board.borrow_mut().withdraw(kind);
        }
        Ok(())
    }

    /// The engine looks when a test has ended.
    fn bells(&self, _: &Ctx<'_>, _: &Row<'_>, _: Option<&Want<'_>>, _: &mut dyn FnMut(Bell)) {}
}
