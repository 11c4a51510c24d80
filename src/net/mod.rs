//! Sockets: the client of an ACS session, transfers of files, and the listener for connection requests.
mod buffer;
pub mod client;
pub mod coding;
pub mod connection_request;
mod connector;
pub mod cookies;
mod credentials;
pub mod digest;
mod error;
mod exchange;
mod line;
mod shared;
pub mod source;
pub mod tls;
pub mod transfer;
pub mod url;
