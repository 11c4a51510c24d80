//! What each fuzz target does with its bytes: something a peer (or a disk) could have sent, read by
//! the agent's own code, and what must hold afterwards. Where it can be, what was read is written and
//! read again. Plain functions without a fuzzer in them: `fuzz_targets/` hands them to libFuzzer,
//! `tests/mutations.rs` runs them in every test run.

#![allow(dead_code, unused_imports)] // each target uses one of them

mod archive;
mod authentication;
mod capacity;
mod diagnostics;
mod dns;
mod http;
mod image;
mod local;
mod model;
mod scratch;
mod tree;
mod ubus;
mod uci;
mod xml;

pub use archive::archive;
pub use authentication::{connection_request, digest_answer, digest_challenge, request_head};
pub use capacity::capacity;
pub use diagnostics::{capture_filter, scan};
pub use dns::dns_answer;
pub use http::{coding, response, set_cookie, url};
pub use image::image;
pub use local::{config, control, dhcp, exec_answer, journal, records};
pub use model::{overlay, path, value};
pub use tree::tree;
pub use ubus::{ubus_messages, ubus_table};
pub use uci::uci;
pub use xml::envelope;
