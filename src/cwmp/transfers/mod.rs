//! Transfers (TR-069 A.3.2.8, A.4.1.5, A.4.1.7, A.4.1.8, A.4.1.9, A.3.3.2, A.3.3.3): what was asked,
//! in which order it is done, and what has to be told of it.
//!
//! [`Queue`] is a table without I/O. Whoever owns it asks it for work when no session runs, tells it how
//! that ended, and after each call writes what [`Queue::records`] gives before anything else is done;
//! [`Queue::follow_events`] then makes the events agree with it, in the same batch of the journal.

mod asked;
mod judge;
mod policy;
mod queue;
mod record;
mod report;
mod transfer;
pub mod types;
mod windows;
mod work;

pub use asked::{Asked, Complete, MAX_WINDOWS, Method, Mode, Origin, Progress, Queued, Step, Window};
pub use judge::{MAX_COMMAND_KEY, MAX_LOCAL_URL, MAX_TEXT, MAX_USER_MESSAGE, fragment};
pub use policy::{Policy, ResultType, TransferType};
pub use queue::{MAX_TRANSFERS, Outcome, Queue, Resumed};
pub use report::MAX_FAULT_STRING;
pub use transfer::{Found, Task, Transfer, Waits};
pub use types::{FileType, MAX_FILE_TYPE};
pub use windows::{ADRIFT_WAIT, FIRST_RETRY_WAIT, MAX_AWAY, MAX_LATE, MAX_RETRY_WAIT};
pub use work::{IDLE_LOOK, Work};

#[cfg(test)]
mod tests;
