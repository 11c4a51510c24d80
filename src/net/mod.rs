//! Sockets: the client of an ACS session and the listener for connection requests.
pub mod client;
pub mod connection_request;
pub mod digest;
