//! The datagrams of the UDP speed test protocol (TR-471, RFC 9946), version 20: fixed layouts in network order.
//!
//! What a server sends is judged here: a size or an identifier that is not its own makes it none of ours, and
//! numbers that decide how much is sent are bounded.

/// Where a server listens unless ServerList says otherwise.
pub const PORT: u16 = 24601;
/// The version spoken.
pub const VERSION: u16 = 20;
/// Octets of a setup request or response.
pub const SETUP: usize = 56;
/// Octets of a request or response of test activation.
pub const ACTIVATION: usize = 104;
/// Octets of the header that each datagram of load begins with.
pub const LOAD: usize = 32;
/// Octets of a status feedback.
pub const STATUS: usize = 204;
/// Octets of a sending rate inside others.
const RATE: usize = 28;

/// Where the mode of authentication stands, which time, digest, key and checksum follow.
pub const SETUP_AUTH: usize = 15;
/// The same in a test activation.
pub const ACTIVATION_AUTH: usize = 63;
/// The same in a status feedback, which has no digest.
const STATUS_AUTH: usize = 163;
/// Octets from the mode to the checksum.
pub const TO_CHECKSUM: usize = 39;

/// "It was accepted" of responses.
pub const ACCEPTED: u8 = 1;
/// The test goes on (testAction).
pub const GOES_ON: u8 = 0;
/// The test stops, as the server says and the client confirms.
pub const STOP: u8 = 2;
/// There is no such value: of delays.
pub const NO_DELAY: u32 = u32::MAX;
/// The server is to search from the lowest rate.
pub const SEARCH: u16 = u16::MAX;

/// The most datagrams of one burst.
pub const MAX_BURST: u32 = 100;
/// The most octets of load in a datagram: what a jumbo frame of 9000 leaves.
pub const MAX_PAYLOAD: u32 = 8972;
/// The fastest timer, in microseconds.
pub const MIN_INTERVAL: u32 = 100;
/// The slowest timer, in microseconds.
const MAX_INTERVAL: u32 = 1_000_000;
/// This bit of a size says that sizes up to the rest of it are drawn by chance.
const BY_CHANCE: u32 = 0x8000_0000;

/// Why a datagram is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// Not as long as it must be.
    Size,
    /// Not the kind that is waited for, or damaged.
    Kind,
}

fn put16(to: &mut [u8], at: usize, value: u16) {
    put(to, at, &value.to_be_bytes());
}

fn put32(to: &mut [u8], at: usize, value: u32) {
    put(to, at, &value.to_be_bytes());
}

/// Bytes at a place; what has none is left out.
pub fn put(to: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = to.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

fn get8(from: &[u8], at: usize) -> u8 {
    from.get(at).copied().unwrap_or(0)
}

fn get16(from: &[u8], at: usize) -> u16 {
    from.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_be_bytes(*b))
}

fn get32(from: &[u8], at: usize) -> u32 {
    from.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_be_bytes(*b))
}

/// Whether the Internet checksum over these octets, its own field among them, is as it must be.
fn adds_up(bytes: &[u8]) -> bool {
    let word = |pair: &[u8]| u32::from(get8(pair, 0)) << 8 | u32::from(get8(pair, 1));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum == 0xFFFF
}

/// Its size, its identifier, and its checksum where one is set.
fn check(bytes: &[u8], size: usize, id: u16, checksum: usize) -> Result<(), Wrong> {
    match () {
        () if bytes.len() != size => Err(Wrong::Size),
        () if get16(bytes, 0) != id => Err(Wrong::Kind),
        () if get16(bytes, checksum) != 0 && !adds_up(bytes) => Err(Wrong::Kind),
        () => Ok(()),
    }
}

/// A setup request: one flow among several.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Which flow, from 0.
    pub index: u8,
    /// How many there are.
    pub count: u8,
    /// What they have in common.
    pub ident: u16,
    /// The most that the flow shall take, in Mbit/s; 0 says nothing of it.
    pub bandwidth: u16,
    /// Load goes to the server.
    pub upstream: bool,
    /// Above 1 Gbit/s packets may be larger than 1500 octets.
    pub jumbo: bool,
    /// Packets of 1500 octets instead of 1250.
    pub traditional: bool,
}

/// Identifier of setup.
const SETUP_ID: u16 = 0xACE1;
/// Identifier of test activation.
const ACTIVATION_ID: u16 = 0xACE2;
/// Identifier of load.
const LOAD_ID: u16 = 0xBEEF;
/// Identifier of status feedback.
const STATUS_ID: u16 = 0xFEED;

impl Setup {
    /// Without authentication.
    pub fn request(&self) -> [u8; SETUP] {
        let mut pdu = [0; SETUP];
        put16(&mut pdu, 0, SETUP_ID);
        put16(&mut pdu, 2, VERSION);
        put(&mut pdu, 4, &[self.index, self.count]);
        put16(&mut pdu, 6, self.ident);
        put(&mut pdu, 8, &[1]);
        let direction = if self.upstream && self.bandwidth > 0 { 0x8000 } else { 0 };
        put16(&mut pdu, 10, self.bandwidth.min(0x7FFF) | direction);
        put(&mut pdu, 14, &[u8::from(self.jumbo) | u8::from(self.traditional) << 1]);
        pdu
    }
}

/// What a server says to a setup request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetUp {
    /// [`ACCEPTED`], or why not.
    pub code: u8,
    /// The version that the server speaks.
    pub version: u16,
    /// Where it waits for the activation.
    pub port: u16,
}

/// Reads the answer to this flow's request.
///
/// # Errors
/// It is none.
pub fn set_up(bytes: &[u8], flow: &Setup) -> Result<SetUp, Wrong> {
    check(bytes, SETUP, SETUP_ID, SETUP_AUTH + TO_CHECKSUM)?;
    if get8(bytes, 8) != 2 || get8(bytes, 4) != flow.index || get16(bytes, 6) != flow.ident {
        return Err(Wrong::Kind);
    }
    Ok(SetUp { code: get8(bytes, 9), version: get16(bytes, 2), port: get16(bytes, 12) })
}

/// What a test shall be; what a server makes of it comes back in the same form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Activation {
    /// Load goes to the server.
    pub upstream: bool,
    /// Thresholds of delay variation, in milliseconds.
    pub lower: u16,
    /// The upper one.
    pub upper: u16,
    /// Between two feedbacks, in milliseconds.
    pub feedback: u16,
    /// The test's length, in seconds.
    pub seconds: u16,
    /// DSCP in the upper six bits.
    pub class: u8,
    /// Row of the table of sending rates, or [`SEARCH`].
    pub index: u16,
    /// The row is where the search begins, not the rate of the whole test.
    pub is_start: bool,
    /// One-way delay counts, not that of the round trip.
    pub one_way: bool,
    /// Rows per step of the fast ascent.
    pub delta: u8,
    /// How many bad feedbacks end it.
    pub slow: u16,
    /// How many sequence errors are bad.
    pub errors: u16,
    /// Only loss is one.
    pub only_loss: bool,
    /// The server's load has random content.
    pub random: bool,
    /// Algorithm C instead of B.
    pub algorithm_c: bool,
    /// A sub-interval, in milliseconds.
    pub period: u16,
}

impl Activation {
    /// Without authentication.
    pub fn request(&self) -> [u8; ACTIVATION] {
        let mut pdu = [0; ACTIVATION];
        put16(&mut pdu, 0, ACTIVATION_ID);
        put16(&mut pdu, 2, VERSION);
        put(&mut pdu, 4, &[if self.upstream { 1 } else { 2 }]);
        for (at, value) in [(6, self.lower), (8, self.upper), (10, self.feedback), (12, self.seconds)] {
            put16(&mut pdu, at, value);
        }
        put(&mut pdu, 15, &[self.class]);
        put16(&mut pdu, 16, self.index);
        put(&mut pdu, 18, &[self.one_way.into(), self.delta]);
        put16(&mut pdu, 20, self.slow);
        put16(&mut pdu, 22, self.errors);
        let modifiers = u8::from(self.is_start) | u8::from(self.random) << 1;
        put(&mut pdu, 24, &[self.only_loss.into(), modifiers, self.algorithm_c.into()]);
        put16(&mut pdu, 56, self.period);
        pdu
    }
}

/// What a server says to an activation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activated {
    /// [`ACCEPTED`], or not.
    pub code: u8,
    /// In milliseconds, as the server wants it.
    pub feedback: u16,
    /// The test's length as the server wants it, in seconds.
    pub seconds: u16,
    /// In milliseconds.
    pub period: u16,
    /// At which rate the client begins (upstream).
    pub rate: Rate,
}

/// Reads the answer.
///
/// # Errors
/// It is none.
pub fn activated(bytes: &[u8], upstream: bool) -> Result<Activated, Wrong> {
    check(bytes, ACTIVATION, ACTIVATION_ID, ACTIVATION_AUTH + TO_CHECKSUM)?;
    if get8(bytes, 4) != if upstream { 1 } else { 2 } {
        return Err(Wrong::Kind);
    }
    Ok(Activated {
        code: get8(bytes, 5),
        feedback: get16(bytes, 10),
        seconds: get16(bytes, 12),
        period: get16(bytes, 56),
        rate: Rate::read(bytes, 28),
    })
}

/// One of the two timers of a sending rate: at each, a burst of datagrams of one size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timer {
    /// Microseconds; 0 is off.
    pub interval: u32,
    /// Octets of each datagram.
    pub payload: u32,
    /// How many.
    pub burst: u32,
    /// Octets of one more; 0 is none.
    pub addon: u32,
    /// That one's size is drawn by chance, up to it.
    pub by_chance: bool,
}

/// A row of the table of sending rates: two timers that run beside each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rate(pub [Timer; 2]);

impl Rate {
    /// Reads one, made to fit what any row may be: no server makes a client send more.
    fn read(bytes: &[u8], at: usize) -> Rate {
        let bytes = bytes.get(at..at + RATE).unwrap_or_default();
        let timer = |at: usize, addon: u32| Timer {
            interval: match get32(bytes, at) {
                0 => 0,
                interval => interval.clamp(MIN_INTERVAL, MAX_INTERVAL),
            },
            payload: (get32(bytes, at + 4) & !BY_CHANCE).min(MAX_PAYLOAD),
            burst: get32(bytes, at + 8).min(MAX_BURST),
            addon: (addon & !BY_CHANCE).min(MAX_PAYLOAD),
            by_chance: addon & BY_CHANCE != 0,
        };
        Rate([timer(0, 0), timer(12, get32(bytes, 24))])
    }
}

/// A time as the protocol has it: seconds and nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    seconds: u32,
    nanos: u32,
}

impl Stamp {
    /// Of microseconds since 1970.
    pub fn of(micros: i64) -> Stamp {
        // The protocol's seconds wrap in 2106.
        Stamp { seconds: (micros / 1_000_000) as u32, nanos: (micros % 1_000_000) as u32 * 1000 }
    }

    /// Microseconds since 1970, with nanoseconds that are none cut.
    pub fn micros(self) -> i64 {
        i64::from(self.seconds) * 1_000_000 + i64::from(self.nanos.min(999_999_999) / 1000)
    }

    fn read(bytes: &[u8], at: usize) -> Stamp {
        Stamp { seconds: get32(bytes, at), nanos: get32(bytes, at + 4) }
    }

    fn write(self, to: &mut [u8], at: usize) {
        put32(to, at, self.seconds);
        put32(to, at + 4, self.nanos);
    }
}

/// The header of a datagram of load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Load {
    /// [`GOES_ON`] or [`STOP`].
    pub action: u8,
    /// The sender hears nothing.
    pub is_deaf: bool,
    /// From 1.
    pub sequence: u32,
    /// Octets of UDP payload, this header among them.
    pub payload: u16,
    /// Feedbacks that its sender has missed.
    pub missed: u16,
    /// When the last feedback was sent that its sender has got.
    pub feedback: Stamp,
    /// When it was sent.
    pub sent: Stamp,
    /// Milliseconds between that feedback and this.
    pub held: u16,
}

impl Load {
    /// Reads the header of a datagram of which `length` octets came; `bytes` are the first ones.
    ///
    /// # Errors
    /// It is none.
    pub fn read(bytes: &[u8], length: usize) -> Result<Load, Wrong> {
        let head = bytes.get(..LOAD).filter(|_| length >= LOAD).ok_or(Wrong::Size)?;
        check(head, LOAD, LOAD_ID, 30)?;
        let load = Load {
            action: get8(head, 2),
            is_deaf: get8(head, 3) != 0,
            sequence: get32(head, 4),
            payload: get16(head, 8),
            missed: get16(head, 10),
            feedback: Stamp::read(head, 12),
            sent: Stamp::read(head, 20),
            held: get16(head, 28),
        };
        // What it says of its size counts: it must be true.
        if usize::from(load.payload) != length {
            return Err(Wrong::Size);
        }
        if load.action > STOP || get8(head, 3) > 1 { Err(Wrong::Kind) } else { Ok(load) }
    }

    /// Writes the header; the rest of the datagram stays.
    pub fn write(&self, to: &mut [u8]) {
        put16(to, 0, LOAD_ID);
        put(to, 2, &[self.action, self.is_deaf.into()]);
        put32(to, 4, self.sequence);
        put16(to, 8, self.payload);
        put16(to, 10, self.missed);
        self.feedback.write(to, 12);
        self.sent.write(to, 20);
        put16(to, 28, self.held);
        put16(to, 30, 0);
    }
}

/// What was counted of load in a sub-interval; delays in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// Datagrams.
    pub datagrams: u32,
    /// Octets of their payload.
    pub bytes: u64,
    /// Microseconds.
    pub time: u32,
    /// Lost, out of order, doubled.
    pub errors: [u32; 3],
    /// Delay variation: minimum, maximum, sum, count.
    pub variation: [u32; 4],
    /// Variation of the round trip: minimum, maximum.
    pub round_trip: [u32; 2],
    /// Since the first one, in milliseconds.
    pub elapsed: u32,
}

impl Counted {
    const WORDS: usize = 11;

    fn words(&self) -> [u32; Counted::WORDS] {
        let ([a, b, c], [d, e, f, g], [h, i]) = (self.errors, self.variation, self.round_trip);
        [self.time, a, b, c, d, e, f, g, h, i, self.elapsed]
    }

    fn read(bytes: &[u8], at: usize) -> Counted {
        let word = |n: usize| get32(bytes, at + 12 + 4 * n);
        Counted {
            datagrams: get32(bytes, at),
            bytes: u64::from(get32(bytes, at + 4)) << 32 | u64::from(get32(bytes, at + 8)),
            time: word(0),
            errors: [word(1), word(2), word(3)],
            variation: [word(4), word(5), word(6), word(7)],
            round_trip: [word(8), word(9)],
            elapsed: word(10),
        }
    }

    fn write(&self, to: &mut [u8], at: usize) {
        put32(to, at, self.datagrams);
        put(to, at + 4, &self.bytes.to_be_bytes());
        for (n, word) in self.words().into_iter().enumerate() {
            put32(to, at + 12 + 4 * n, word);
        }
    }
}

/// A status feedback: what came of the load. Delays in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// [`GOES_ON`] or [`STOP`].
    pub action: u8,
    /// No load arrives.
    pub is_deaf: bool,
    /// From 1.
    pub sequence: u32,
    /// At which rate the client is to send (upstream).
    pub rate: Rate,
    /// How many sub-intervals have ended.
    pub sub_interval: u32,
    /// The last of them.
    pub counted: Counted,
    /// Since the last feedback: lost, out of order, doubled.
    pub errors: [u32; 3],
    /// The least difference of the two clocks seen: delay and offset in one.
    pub clock_delta: i32,
    /// Delay variation since the last feedback: minimum, maximum, sum, count.
    pub variation: [u32; 4],
    /// Shortest round trip, or [`NO_DELAY`].
    pub round_trip: u32,
    /// The last round trip beyond it, or [`NO_DELAY`].
    pub round_trip_variation: u32,
    /// One of the two minima is new.
    pub is_updated: bool,
    /// Since the last feedback: microseconds, datagrams, octets.
    pub trial: [u32; 3],
    /// When it was sent.
    pub sent: Stamp,
}

impl Status {
    /// Reads a server's.
    ///
    /// # Errors
    /// It is none.
    pub fn read(bytes: &[u8]) -> Result<Status, Wrong> {
        check(bytes, STATUS, STATUS_ID, STATUS_AUTH + TO_CHECKSUM)?;
        let words = |at: usize| [get32(bytes, at), get32(bytes, at + 4), get32(bytes, at + 8)];
        let [a, b, c] = words(112);
        let status = Status {
            action: get8(bytes, 2),
            is_deaf: get8(bytes, 3) != 0,
            sequence: get32(bytes, 4),
            rate: Rate::read(bytes, 8),
            sub_interval: get32(bytes, 36),
            counted: Counted::read(bytes, 40),
            errors: words(96),
            clock_delta: get32(bytes, 108) as i32, // two's complement
            variation: [a, b, c, get32(bytes, 124)],
            round_trip: get32(bytes, 128),
            round_trip_variation: get32(bytes, 132),
            is_updated: get8(bytes, 136) != 0,
            trial: words(140),
            sent: Stamp::read(bytes, 152),
        };
        if status.action > STOP || get8(bytes, 3) > 1 { Err(Wrong::Kind) } else { Ok(status) }
    }

    /// A client's, which orders no rate. `mode` is that of the flow's authentication; feedback has no digest.
    pub fn written(&self, mode: u8) -> [u8; STATUS] {
        let mut pdu = [0; STATUS];
        put16(&mut pdu, 0, STATUS_ID);
        put(&mut pdu, 2, &[self.action, self.is_deaf.into()]);
        put32(&mut pdu, 4, self.sequence);
        put32(&mut pdu, 36, self.sub_interval);
        self.counted.write(&mut pdu, 40);
        let ([a, b, c], [d, e, f, g]) = (self.errors, self.variation);
        let clocks = self.clock_delta as u32; // two's complement
        let words = [a, b, c, clocks, d, e, f, g, self.round_trip, self.round_trip_variation];
        for (n, word) in words.into_iter().enumerate() {
            put32(&mut pdu, 96 + 4 * n, word);
        }
        put(&mut pdu, 136, &[self.is_updated.into()]);
        for (n, word) in self.trial.into_iter().enumerate() {
            put32(&mut pdu, 140 + 4 * n, word);
        }
        self.sent.write(&mut pdu, 152);
        put(&mut pdu, STATUS_AUTH, &[mode]);
        pdu
    }
}
