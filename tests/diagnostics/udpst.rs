//! The server of a UDP speed test (TR-471, RFC 9946, version 20), as small as tests want it and with the manners that
//! they want: its own reading of the protocol, which shares no line with the agent's.

use sha2::{Digest, Sha256};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How a server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As the protocol says.
    Good,
    /// It says nothing.
    Silent,
    /// Its answers are too short.
    Short,
    /// It answers the setup and nothing else.
    Mute,
    /// Refuses the setup with this code.
    Refuses(u8),
    /// Refuses the activation.
    RefusesTest,
    /// It makes an impossible test of what was asked for.
    Strange,
    /// A second into the test it falls silent.
    Dies,
    /// It never stops.
    Endless,
    /// Rates beyond any table, datagrams that are none, load of somebody else's, feedback without end.
    Hostile,
}

/// What a server has seen.
#[derive(Default, Debug)]
pub struct Seen {
    /// Feedbacks (downstream) or datagrams of load (upstream).
    pub heard: u32,
    /// The largest datagram of load.
    pub largest: usize,
    /// An octet of the content of load.
    pub content: u8,
    /// The client has confirmed the stop.
    pub is_confirmed: bool,
    /// Datagrams and octets of each sub-interval told, and its microseconds.
    pub told: Vec<(u32, u64, u32)>,
    /// The request of test activation.
    pub activation: Vec<u8>,
    /// Datagrams of load that were sent.
    pub sent: u32,
}

pub type Shared = Arc<Mutex<Seen>>;

/// A key and its number.
pub type Key = (u8, &'static str);

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let pad = |with: u8| -> Vec<u8> { (0..64).map(|n| key.get(n).copied().unwrap_or(0) ^ with).collect() };
    let mut inner = Sha256::new();
    inner.update(pad(0x36));
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new();
    outer.update(pad(0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

fn derived(key: &str, time: u32, counter: u8) -> [u8; 32] {
    let time = time.to_string();
    hmac(key.as_bytes(), &[&[0, 0, 0, counter], b"UDPSTP", &[0], time.as_bytes(), &[0, 0, 2, 0]])
}

fn word(from: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(from[at..at + 4].try_into().expect("four"))
}

fn set(to: &mut [u8], at: usize, value: &[u8]) {
    to[at..at + value.len()].copy_from_slice(value);
}

fn stamp(to: &mut [u8], at: usize) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    set(to, at, &(now.as_secs() as u32).to_be_bytes());
    set(to, at + 4, &now.subsec_nanos().to_be_bytes());
}

/// Whether the client has signed a datagram whose mode stands at `mode`.
fn is_signed(datagram: &[u8], mode: usize, key: &[u8; 32]) -> bool {
    let mut plain = datagram.to_vec();
    set(&mut plain, mode + 5, &[0; 32]);
    datagram[mode] == 1 && hmac(key, &[&plain])[..] == datagram[mode + 5..mode + 37]
}

fn sign(datagram: &mut [u8], mode: usize, key: &[u8; 32]) {
    set(datagram, mode + 5, &[0; 32]);
    let digest = hmac(key, &[datagram]);
    set(datagram, mode + 5, &digest);
}

/// A server on this port of every address.
pub fn serve(port: u16, manner: Manner, key: Option<Key>) -> Shared {
    let seen = Shared::default();
    let control = UdpSocket::bind(("::", port)).expect("a port of this namespace");
    let shared = seen.clone();
    thread::spawn(move || {
        let mut room = [0; 2048];
        while let Ok((length, peer)) = control.recv_from(&mut room) {
            if length == 56 && manner != Manner::Silent {
                set_up(&control, &room[..56], peer, manner, key, &shared);
            }
        }
    });
    seen
}

fn set_up(
    control: &UdpSocket,
    request: &[u8],
    peer: SocketAddr,
    manner: Manner,
    key: Option<Key>,
    seen: &Shared,
) {
    assert_eq!(request[..4], [0xAC, 0xE1, 0, 20]);
    let mut answer = request.to_vec();
    let test = UdpSocket::bind("[::]:0").expect("a port");
    let time = word(request, 16);
    let keys = key.map(|(_, key)| (derived(key, time, 1), derived(key, time, 2)));
    answer[8] = 2;
    answer[9] = match (manner, &keys) {
        (Manner::Refuses(code), _) => code,
        (_, None) if request[15] != 0 => 4,
        (_, Some(_)) if request[15] == 0 => 5,
        (_, Some((ours, _))) if !is_signed(request, 15, ours) || request[52] != key.expect("a key").0 => 7,
        _ => 1,
    };
    set(&mut answer, 12, &test.local_addr().expect("a port").port().to_be_bytes());
    if let Some((_, theirs)) = &keys {
        sign(&mut answer, 15, theirs);
    }
    let length = if manner == Manner::Short { 55 } else { 56 };
    let garbage: [&[u8]; 3] = [&[], &[0; 56], &[0xFF; 1400]];
    if manner == Manner::Hostile {
        garbage.iter().for_each(|g| drop(control.send_to(g, peer)));
    }
    control.send_to(&answer[..length], peer).expect("sent");
    if answer[9] == 1 && manner != Manner::Short {
        let seen = seen.clone();
        thread::spawn(move || run(&test, manner, keys, &seen));
    }
}

fn run(test: &UdpSocket, manner: Manner, keys: Option<([u8; 32], [u8; 32])>, seen: &Shared) {
    let mut room = [0; 9000];
    test.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let Ok((length, peer)) = test.recv_from(&mut room) else { return };
    if manner == Manner::Mute {
        thread::park();
    }
    let request = &room[..length];
    assert_eq!((length, &request[..4]), (104, &[0xAC, 0xE2, 0, 20][..]));
    if let Some((ours, _)) = &keys {
        assert!(is_signed(request, 63, ours), "the activation is not signed");
    }
    seen.lock().expect("no panic").activation = request.to_vec();
    test.connect(peer).expect("connected");
    let mut answer = request.to_vec();
    answer[5] = if manner == Manner::RefusesTest { 2 } else { 1 };
    if manner == Manner::Strange {
        set(&mut answer, 56, &[0, 1]);
    }
    rate(&mut answer, 28, manner, 1);
    if let Some((_, theirs)) = &keys {
        sign(&mut answer, 63, theirs);
    }
    test.send(&answer).expect("sent");
    let time = Duration::from_secs(u16::from_be_bytes([request[12], request[13]]).into());
    test.set_nonblocking(true).expect("set");
    match (answer[5], request[4]) {
        (1, 2) => send_load(test, manner, time, seen),
        (1, _) => take_load(test, manner, time, seen, request[63]),
        _ => {}
    }
}

/// A sending rate: so many datagrams of 1222 octets each millisecond.
fn rate(to: &mut [u8], at: usize, manner: Manner, burst: u32) {
    let words = match manner {
        Manner::Hostile => [1, u32::MAX, u32::MAX, 1, u32::MAX, u32::MAX, u32::MAX],
        _ => [0, 0, 0, 1000, 1222, burst, 0],
    };
    words.iter().enumerate().for_each(|(n, word)| set(to, at + 4 * n, &word.to_be_bytes()));
}

/// One datagram a millisecond; of each hundred one is missing, one comes twice, two change their places.
fn send_load(test: &UdpSocket, manner: Manner, time: Duration, seen: &Shared) {
    let begun = Instant::now();
    let (mut room, mut echo) = ([0; 300], ([0; 8], Instant::now()));
    let other = UdpSocket::bind("[::]:0").expect("a port");
    let peer = test.peer_addr().expect("connected");
    let mut number = 0_u32;
    loop {
        let since = begun.elapsed();
        let stops = manner != Manner::Endless && since > time + Duration::from_millis(300);
        if manner == Manner::Dies && since > Duration::from_secs(1) || since > time + Duration::from_secs(2) {
            return;
        }
        while let Ok(length) = test.recv(&mut room) {
            let feedback = &room[..length];
            assert_eq!((length, &feedback[..2]), (204, &[0xFE, 0xED][..]));
            echo = (feedback[152..160].try_into().expect("eight"), Instant::now());
            let mut seen = seen.lock().expect("no panic");
            seen.heard += 1;
            if feedback[2] == 2 {
                seen.is_confirmed = true;
                return;
            }
        }
        let due = (since.as_millis() as u32).min(number + 20);
        while number < due {
            number += 1;
            let sequence = match number % 100 {
                70 => number + 1,
                71 => number - 1,
                _ => number,
            };
            let mut load = [0; 1222];
            set(&mut load, 0, &[0xBE, 0xEF, if stops { 2 } else { 0 }]);
            set(&mut load, 4, &sequence.to_be_bytes());
            set(&mut load, 8, &1222_u16.to_be_bytes());
            set(&mut load, 12, &echo.0);
            stamp(&mut load, 20);
            set(&mut load, 28, &(echo.1.elapsed().as_millis() as u16).to_be_bytes());
            let times = match number % 100 {
                0 => 0,
                50 => 2,
                _ => 1,
            };
            for _ in 0..times {
                let _ = test.send(&load);
            }
            seen.lock().expect("no panic").sent += times;
            if manner == Manner::Hostile {
                let _ = other.send_to(&load, peer);
                let _ = test.send(&load[..number as usize % 32]);
                let mut lies = load;
                set(&mut lies, 8, &60_000_u16.to_be_bytes());
                let _ = test.send(&lies);
            }
        }
        thread::yield_now();
        thread::sleep(Duration::from_micros(500));
    }
}

/// Feedback each 50 milliseconds, a sub-interval each second.
fn take_load(test: &UdpSocket, manner: Manner, time: Duration, seen: &Shared, mode: u8) {
    let begun = Instant::now();
    let mut room = [0; 9000];
    let (mut feedbacks, mut subs, mut datagrams, mut octets, mut sub) = (0_u32, 0_u32, 0_u32, 0_u64, begun);
    let (mut next, mut saved) = (begun, [0; 56]);
    loop {
        let stops = begun.elapsed() > time + Duration::from_millis(300);
        let dead = manner == Manner::Dies && begun.elapsed() > Duration::from_secs(1);
        if dead || begun.elapsed() > time + Duration::from_secs(2) {
            return;
        }
        for _ in 0..200 {
            let Ok(length) = test.recv(&mut room) else { break };
            let mut seen = seen.lock().expect("no panic");
            assert_eq!(room[..2], [0xBE, 0xEF]);
            assert_eq!(usize::from(u16::from_be_bytes([room[8], room[9]])), length);
            seen.heard += 1;
            seen.largest = seen.largest.max(length);
            seen.content = if length > 40 { room[40] } else { seen.content };
            if room[2] == 2 {
                seen.is_confirmed = true;
                return;
            }
            datagrams += 1;
            octets += length as u64;
        }
        let now = Instant::now();
        if now >= sub + Duration::from_secs(1) {
            let micros = (now - sub).as_micros() as u32;
            seen.lock().expect("no panic").told.push((datagrams, octets, micros));
            saved = [0; 56];
            set(&mut saved, 0, &datagrams.to_be_bytes());
            set(&mut saved, 4, &octets.to_be_bytes());
            set(&mut saved, 12, &micros.to_be_bytes());
            // One lost, two late, three doubled; variations of 2 to 9 ms, of the round trip 1 to 4 ms.
            for (n, value) in [1_u32, 2, 3, 2, 9, 10, 5, 1, 4].iter().enumerate() {
                set(&mut saved, 16 + 4 * n, &value.to_be_bytes());
            }
            (subs, datagrams, octets, sub) = (subs + 1, 0, 0, now);
        }
        if now >= next || manner == Manner::Hostile {
            next = now + Duration::from_millis(50);
            feedbacks += 1;
            let mut status = [0; 204];
            set(&mut status, 0, &[0xFE, 0xED, if stops { 2 } else { 0 }]);
            set(&mut status, 4, &feedbacks.to_be_bytes());
            rate(&mut status, 8, manner, if subs < 2 { 1 } else { 2 });
            set(&mut status, 36, &subs.to_be_bytes());
            set(&mut status, 40, &saved);
            // Clocks 6 ms apart, a round trip of 3 ms at least.
            set(&mut status, 108, &6_u32.to_be_bytes());
            set(&mut status, 128, &3_u32.to_be_bytes());
            stamp(&mut status, 152);
            status[163] = mode;
            let _ = test.send(&status);
            if manner == Manner::Hostile {
                let _ = test.send(&status[..203]);
                let _ = test.send(&[0; 204]);
            }
        }
        thread::sleep(Duration::from_micros(500));
    }
}
