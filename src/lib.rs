//! cwmpd, a TR-069 (CWMP) agent: the rooms of the house, from the top to the ground.
//! A room imports only from rooms below it; `ARCHITECTURE.md` gives the reasons.

// Words of the command line: `run get set add del names inform status check verify`.
pub mod cli;

// The running daemon: engine (tree, journal, session), reactor (poll loop), wire (one ACS session).
pub mod agent;

// Log lines: to stderr with their time, or to syslog.
pub mod logging;

// What a transfer does to files of this device: verified, then made use of.
pub mod transfer;

// Tests that the ACS asks for: ping, traceroute, lookups, throughput, echo … Pure state, and sockets of their own.
pub mod diagnostics;

// The configuration file: names, defaults, and errors that cite file and line.
pub mod config;

// PURE: the session machine, RPC vocabulary, events, Inform and schedule. No socket, no clock.
pub mod cwmp;

// Sockets: the ACS client (HTTP, TLS, Digest, cookies) and the connection-request listener.
pub mod net;

// PURE: SOAP envelopes read with limits and written as a stream.
pub mod soap;

// Where values live: file, exec, uci, and native Rust for Linux.
pub mod handlers;

// PURE: schema, paths, values, the tree with its cursor and its transactions, the Handler trait.
pub mod model;

// The journal: everything that must survive a power cut.
pub mod state;

// Thin wrappers around the system: clock, files replaced whole, child processes, netlink, UCI files.
pub mod sys;
