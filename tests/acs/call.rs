//! Connection requests: the ACS calls the agent (TR-069 3.2.2).

use super::auth;
use super::http::{self, Head};
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// Calls with Digest; gives the last HTTP status: 200 when the agent took it.
pub fn connection_request(url: &str, username: &str, password: &str) -> u16 {
    let first = get(url, None);
    let Some(challenge) = first.header("WWW-Authenticate") else {
        return first.status().expect("a status");
    };
    let (_, path) = split(url);
    let authorization = auth::answer(challenge, username, password, "GET", path);
    let authorization = authorization.unwrap_or_else(|| panic!("cannot answer {challenge}"));
    get(url, Some(&authorization)).status().expect("a status")
}

/// One GET on a connection of its own; gives the head of the answer.
pub fn get(url: &str, authorization: Option<&str>) -> Head {
    let (host, path) = split(url);
    let authorization = authorization.map(|a| format!("Authorization: {a}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}Connection: close\r\n\r\n");
    let mut stream = connect(host);
    stream.write_all(request.as_bytes()).expect("the request goes out");
    let head = http::read_head(&mut BufReader::new(stream)).expect("an answer in time");
    head.unwrap_or_else(|| panic!("{host} closed the connection without an answer"))
}

/// Sends bytes as they are and gives all that comes back until the agent closes the connection.
pub fn raw(url: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(split(url).0);
    let mut answer = Vec::new();
    // a listener that has seen enough may close before all is written: what it said still counts
    if stream.write_all(bytes).is_ok() {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn connect(host: &str) -> TcpStream {
    let stream = TcpStream::connect(host).unwrap_or_else(|e| panic!("no connection to {host}: {e}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// `host:port` and path of an http URL.
fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("{url} is no http URL"));
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}
