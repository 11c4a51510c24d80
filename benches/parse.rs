//! Reading a SetParameterValues of 1 MiB into its typed message, beside what quick-xml alone takes to
//! read the same bytes through: the cost of namespaces, limits, types and copies. Three kinds: as ACSs
//! write it, with much to unescape, and with few large values.
//!
//! Time is processor time, the mean of many readings; the two are taken in turns, so that both see the
//! same machine.

use cwmpd::cwmp::rpc::{Body, Request};
use cwmpd::soap::reader;
use nix::time::{ClockId, clock_gettime};
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

const SIZE: usize = 1024 * 1024;
/// Readings go on until so much time went by for each kind.
const ENOUGH: Duration = Duration::from_millis(1500);

/// Processor time of this thread: others on the machine do not count.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock that Linux has").into()
}

/// A request of 1 MiB or a little more, whose n-th value a closure gives.
fn request(value: impl Fn(usize) -> String) -> (String, usize) {
    let mut list = String::new();
    let mut count = 0;
    while list.len() < SIZE {
        count += 1;
        let _ = writeln!(
            list,
            "<ParameterValueStruct><Name>Device.NAT.PortMapping.{count}.Description</Name>\
             <Value xsi:type=\"xsd:string\">{}</Value></ParameterValueStruct>",
            value(count)
        );
    }
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<soap-env:Envelope \
         xmlns:soap-env=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:soap-enc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:cwmp=\"urn:dslforum-org:cwmp-1-2\"><soap-env:Header>\
         <cwmp:ID soap-env:mustUnderstand=\"1\">1</cwmp:ID></soap-env:Header><soap-env:Body>\
         <cwmp:SetParameterValues><ParameterList soap-enc:arrayType=\"cwmp:ParameterValueStruct[{count}]\">\n\
         {list}</ParameterList><ParameterKey>key</ParameterKey></cwmp:SetParameterValues>\
         </soap-env:Body></soap-env:Envelope>\n"
    );
    (text, count)
}

/// quick-xml alone: every event, from the first byte to the last.
fn alone(text: &str) -> usize {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut events = 0;
    while !matches!(black_box(reader.read_event().expect("XML")), quick_xml::events::Event::Eof) {
        events += 1;
    }
    events
}

fn ours(text: &str, count: usize) {
    match reader::read(text.as_bytes()).expect("a message").body {
        Body::Request(Request::SetParameterValues { list, .. }) => assert_eq!(list.len(), count),
        other => panic!("{other:?}"),
    }
}

fn main() {
    let kinds = [
        ("short values", request(|n| format!("port mapping of host {n}"))),
        ("escaped text", request(|n| format!("a &lt;b&gt; &amp; &quot;c&#10;{n}&apos; é"))),
        ("long values", request(|n| format!("{n} ").repeat(16 * 1024))),
    ];
    println!("parse: 1 MiB SetParameterValues, microseconds of processor time");
    println!("{:14} {:>7} {:>10} {:>10} {:>7}", "", "values", "quick-xml", "cwmpd", "ratio");
    for (name, (text, count)) in &kinds {
        let (mut xml, mut own, mut rounds) = (Duration::ZERO, Duration::ZERO, 0);
        while xml + own < ENOUGH {
            let started = cpu();
            black_box(alone(text));
            xml += cpu() - started;
            let started = cpu();
            ours(text, *count);
            own += cpu() - started;
            rounds += 1;
        }
        let mean = |all: Duration| all.as_secs_f64() * 1e6 / f64::from(rounds);
        let ratio = own.as_secs_f64() / xml.as_secs_f64();
        println!("{name:14} {count:>7} {:>10.0} {:>10.0} {ratio:>7.2}", mean(xml), mean(own));
    }
}
