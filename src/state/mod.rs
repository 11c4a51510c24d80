//! What must survive a power cut: one journal, and the names under which the rooms keep things in it.
//!
//! # Data storage
//! `state_dir` has mode 0700, its files 0600. Every value is one key and one value:
//!
//! | key | value | who |
//! |---|---|---|
//! | `v/PATH` | value of a `store` parameter, instance numbers in the path | tree |
//! | `i/TABLE PATH` (`Device.X.` or `Device.X.3.Y.`) | instance numbers: next free number, then number and key of each | tree |
//! | `a/PATH` | attributes of a parameter: notification and access list | tree |
//! | `l/PATH` | Alias of an instance, when not the `cpe-` default | tree |
//! | `r/PATH` | hash of the value last reported to the ACS, for watched parameters | tree |
//! | `k` | ParameterKey | tree |
//! | `t/intent`, `t/promised` | the transaction under way; changes answered with Status 1 | tree |
//! | `c/PATH` | the value the configuration file had when it was last taken over | engine |
//! | `d/identity` | device identity, resolved once; survives a factory reset | engine |
//! | `e/queue` | undelivered events | cwmp::events |
//! | `e/schedule` | pending ScheduleInforms | cwmp::schedule |
//! | `b/…` | boot: boot id of the last start, connection-request path, reboot and reset under way | engine |

pub mod journal;
mod record;
