//! Delay, reordering and loss by a schedule that is known: what a test says has to be in it. (A kernel with `netem`
//! could do the same to any host; not every one has that, and a host that answers so is as good.)

use super::net::{FAR, in_namespaces};
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

const OBJECT: &str = "Device.IP.Diagnostics.UDPEchoDiagnostics.";
const PACKETS: usize = 20;
/// How long the third of each four is held back, in microseconds.
const HELD: u64 = 150_000;
/// Between two packets, in milliseconds: less than that, so that the fourth and others overtake.
const APART: &str = "20";

/// Of each four: the first is answered behind the second, the third after [`HELD`], the fourth never.
fn serve(socket: UdpSocket) {
    let mut buffer = [0; 2048];
    let mut first = Vec::new();
    let mut n = 0;
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let packet = buffer[..length].to_vec();
        let answer = |socket: &UdpSocket, packet: &[u8]| drop(socket.send_to(packet, from));
        match n % 4 {
            0 => first = packet,
            1 => {
                answer(&socket, &packet);
                answer(&socket, &first);
            }
            2 => {
                let socket = socket.try_clone().expect("a descriptor");
                let due = Instant::now() + Duration::from_micros(HELD);
                thread::spawn(move || {
                    thread::sleep(due - Instant::now()); // the schedule itself
                    drop(socket.send_to(&packet, from));
                });
            }
            _ => {}
        }
        n += 1;
    }
}

/// Microseconds of the day that a time says.
fn micros(time: &str) -> u64 {
    let clock = &time[11..26];
    let number = |at: usize, end: usize| clock[at..end].parse::<u64>().expect("a number");
    ((number(0, 2) * 60 + number(3, 5)) * 60 + number(6, 8)) * 1_000_000 + number(9, 15)
}

// Proves: DG-8, DG-12
#[test]
fn held_back_overtaken_and_lost() {
    in_namespaces("schedule::held_back_overtaken_and_lost", |bed| {
        let socket = UdpSocket::bind((FAR, 4200)).expect("a port");
        thread::spawn(move || serve(socket));
        let own = [
            ("Host", FAR),
            ("Port", "4200"),
            ("DataBlockSize", "64"),
            ("NumberOfRepetitions", &PACKETS.to_string()),
            ("InterTransmissionTime", APART),
            ("Timeout", "2000"),
            ("EnableIndividualPacketResults", "true"),
        ];
        let results = bed.ask(OBJECT, &own);
        let counts = ["SuccessCount", "FailureCount"].map(|name| results.number(name));
        assert_eq!((results.state(), counts), ("Complete", [PACKETS as u64 * 3 / 4, PACKETS as u64 / 4]));
        let column = |name: &str| results.column("IndividualPacketResult", name);
        let came: Vec<bool> = column("PacketSuccess").iter().map(|word| *word == "true").collect();
        assert_eq!(came, (0..PACKETS).map(|n| n % 4 != 3).collect::<Vec<_>>());
        let (sent, received) = (column("PacketSendTime"), column("PacketReceiveTime"));
        const DAY: u64 = 86_400_000_000;
        let took = |n: usize| (micros(received[n]) + DAY - micros(sent[n])) % DAY;
        for n in (0..PACKETS).step_by(4) {
            assert!(received[n] >= received[n + 1], "{n} is answered behind the next: {sent:?} {received:?}");
            assert!(took(n + 2) >= HELD, "{n}: {} µs", took(n + 2));
        }
        let times: Vec<u64> = (0..PACKETS).filter(|n| came[*n]).map(took).collect();
        // They are of the packets in the table; two times that were cut to microseconds may differ by one.
        let mean = times.iter().sum::<u64>() / times.len() as u64;
        let expected =
            [("Minimum", times.iter().min()), ("Maximum", times.iter().max()), ("Average", Some(&mean))];
        for (name, value) in expected {
            let said = results.number(&format!("{name}ResponseTime"));
            assert!(value.is_some_and(|value| said.abs_diff(*value) <= 1), "{name}: {said}, {value:?}");
        }
    });
}
