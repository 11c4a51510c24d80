//! Sockets: the client of an ACS session and the listener for connection requests.
pub mod client;
mod connector;
pub mod cookies;
pub mod connection_request;
mod credentials;
pub mod digest;
mod line;
mod tls;
pub mod route;
pub mod url;
