//! An agent that is a few lines of socket code and says what it is told.

use crate::SOON;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// An agent that says what it is told.
pub struct Agent {
    host: String,
    stream: BufReader<Box<dyn Stream>>,
    pub cookies: Vec<String>,
    pub authorization: String,
}

pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }
}

impl Agent {
    pub fn new(url: &str) -> Agent {
        let host = url.strip_prefix("http://").and_then(|u| u.split('/').next()).expect("an http URL");
        Agent::over(host, Box::new(connect(host)))
    }

    pub fn over(host: &str, stream: Box<dyn Stream>) -> Agent {
        let (cookies, authorization) = (Vec::new(), String::new());
        Agent { host: host.to_string(), stream: BufReader::new(stream), cookies, authorization }
    }

    pub fn reconnect(&mut self) {
        self.stream = BufReader::new(Box::new(connect(&self.host)));
    }

    pub fn post(&mut self, body: &str) -> Answer {
        let framing = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.exchange(&framing).expect("an answer")
    }

    pub fn exchange(&mut self, framing_and_body: &str) -> Option<Answer> {
        let mut head = format!("POST /acs HTTP/1.1\r\nHost: {}\r\n", self.host);
        if !self.cookies.is_empty() {
            head += &format!("Cookie: {}\r\n", self.cookies.join("; "));
        }
        if !self.authorization.is_empty() {
            head += &format!("Authorization: {}\r\n", self.authorization);
        }
        let stream = self.stream.get_mut();
        stream.write_all((head + framing_and_body).as_bytes()).expect("the ACS reads");
        stream.flush().expect("the ACS reads");
        loop {
            let line = self.line()?;
            let status: u16 = line.get(9..12).expect("a status line").parse().expect("a status");
            let headers = std::iter::from_fn(|| self.line().filter(|l| !l.is_empty()))
                .map(|l| l.split_once(": ").map(|(n, v)| (n.to_string(), v.to_string())).expect("a header"))
                .collect();
            if status != 100 {
                let mut answer = Answer { status, headers, body: String::new() };
                answer.body = self.body(&answer);
                let set = answer.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case("Set-Cookie"));
                let cookies = set.map(|(_, v)| v.split(';').next().unwrap_or_default().to_string());
                self.cookies.extend(cookies);
                return Some(answer);
            }
        }
    }

    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let n = self.stream.read_line(&mut line).expect("the ACS answers in time");
        (n > 0).then(|| line.trim_end().to_string())
    }

    fn body(&mut self, answer: &Answer) -> String {
        let mut body = String::new();
        let mut piece = |agent: &mut Agent, length| {
            let mut bytes = vec![0; length];
            agent.stream.read_exact(&mut bytes).expect("a whole body");
            body += &String::from_utf8(bytes).expect("UTF-8");
        };
        if answer.header("Transfer-Encoding") == "chunked" {
            loop {
                let size = usize::from_str_radix(&self.line().expect("a chunk"), 16).expect("a size");
                piece(self, size);
                assert_eq!(self.line().as_deref(), Some(""));
                if size == 0 {
                    return body;
                }
            }
        }
        piece(self, answer.header("Content-Length").parse().unwrap_or(0));
        body
    }
}

pub fn connect(host: &str) -> TcpStream {
    let stream = TcpStream::connect(host).expect("the ACS listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

pub fn envelope(id: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:e=\"http://schemas.xmlsoap.org/soap/encoding/\" xmlns:x=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:c=\"urn:dslforum-org:cwmp-1-2\">\
         <s:Header><c:ID s:mustUnderstand=\"1\">{id}</c:ID></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

pub fn inform() -> String {
    envelope(
        "7",
        "<c:Inform><DeviceId><Manufacturer>M&amp;M</Manufacturer><OUI>3C9066</OUI><ProductClass/>\
         <SerialNumber>1</SerialNumber></DeviceId><Event e:arrayType=\"c:EventStruct[2]\">\
         <EventStruct><EventCode>1 BOOT</EventCode><CommandKey/></EventStruct>\
         <EventStruct><EventCode>M Reboot</EventCode><CommandKey>k</CommandKey></EventStruct></Event>\
         <MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-11-22T10:28:55+01:00</CurrentTime>\
         <RetryCount>3</RetryCount><ParameterList e:arrayType=\"c:ParameterValueStruct[1]\">\
         <ParameterValueStruct><Name>Device.X</Name><Value i:type=\"x:string\">a&#10;&lt;b</Value>\
         </ParameterValueStruct></ParameterList></c:Inform>",
    )
}
