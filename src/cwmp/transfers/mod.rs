//! Transfers (TR-069 A.3.2.8, A.4.1.5, A.4.1.7, A.4.1.8, A.4.1.9, A.3.3.2, A.3.3.3): what was asked,
//! in which order it is done, and what has to be told of it.

mod asked;

pub use asked::{Asked, Complete, MAX_WINDOWS, Method, Mode, Origin, Progress, Queued, Step, Window};
