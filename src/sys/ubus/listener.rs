//! Hearing what others tell on the bus: events, and notifications of objects. What is heard rings; what it
//! says is hardly looked at, since whoever hears it reads anew.

use super::client::Client;
use super::message::{Draft, EVENTS, Message, attribute, kind};
use super::stream::Stream;
use super::{Problem, Writer};
use crate::sys::watch::Heard;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// What the bus can tell of, as bits.
pub mod topic {
    /// netifd: its interfaces.
    pub const INTERFACE: u8 = 1;
    /// hostapd: access points and their stations.
    pub const WIRELESS: u8 = 2;
    /// procd: services.
    pub const SERVICE: u8 = 4;
    /// dnsmasq and odhcpd: leases.
    pub const LEASE: u8 = 8;

    /// What tells of changes of what this object answers; 0 when nothing does.
    pub fn of(object: &str) -> u8 {
        match object {
            "service" => SERVICE,
            "dnsmasq" | "dhcp" => LEASE,
            "iwinfo" | "network.wireless" => WIRELESS | INTERFACE,
            _ if object.starts_with("network.interface") => INTERFACE,
            _ if object.starts_with("hostapd.") => WIRELESS,
            _ => 0,
        }
    }

    /// The objects of each topic whose notifications are heard. One that is not there when listening begins is
    /// heard of when it comes.
    pub(super) const OBJECTS: [(u8, &[&str]); 4] = [
        (INTERFACE, &["network.interface"]),
        (WIRELESS, &["hostapd.*"]),
        (SERVICE, &["service"]),
        (LEASE, &["dnsmasq*", "dhcp"]),
    ];
    /// And the events.
    pub(super) const EVENTS: [(u8, &[&str]); 4] =
        [(INTERFACE, &["network.interface"]), (WIRELESS, &[]), (SERVICE, &[]), (LEASE, &["dhcp.*"])];
}

/// The most objects that are subscribed to.
const MAX_OBJECTS: usize = 64;
/// The most messages read at once: a flood is not read to its end.
const MAX_READ: usize = 64;
/// What tells of nothing that is shown: every phone that passes by probes.
const CHATTER: [&str; 3] = ["probe", "auth", "beacon-report"];

/// A connection that hears.
pub struct Listener {
    stream: Stream,
    /// Our object: notifications and events are calls of its methods.
    number: u32,
    topics: u8,
    /// Something was told while others were still being asked.
    rang: bool,
    /// Somebody waits for an answer to what they tell.
    waited_for: bool,
}

impl Listener {
    /// Hears of these topics from now on.
    ///
    /// # Errors
    /// [`Problem`]: ubusd is not there, or does not let us listen.
    pub fn listen(socket: &Path, topics: u8, deadline: Duration) -> Result<Listener, Problem> {
        let until = Instant::now() + deadline;
        let mut client = Client::connect(socket, until)?;
        let number = client.add_object(until)?;
        let wanted = |table: &'static [(u8, &[&str])]| {
            table.iter().filter(move |(topic, _)| topics & topic != 0).flat_map(|(_, names)| *names)
        };
        // Objects that come and go: those that are wanted may be among them.
        let comings: &[&str] = &["ubus.object.add", "ubus.object.remove"];
        for event in wanted(&topic::EVENTS).chain(comings) {
            let mut pattern = Writer::default();
            // As it goes over the wire: a number has a sign nowhere.
            pattern.number("object", (number as i32).into());
            pattern.text("pattern", event);
            client.invoke(EVENTS, "register", &pattern.finish()?, until)?;
        }
        let mut places = MAX_OBJECTS;
        for path in wanted(&topic::OBJECTS) {
            let found = match client.lookup(Some(path), until) {
                Err(Problem::NoObject) => continue,
                found => found?,
            };
            for object in found.iter().take(places) {
                // It may be gone by now.
                client.subscribe(number, object.number, until)?;
            }
            places = places.saturating_sub(found.len());
        }
        let (stream, rang) = client.into_stream();
        Ok(Listener { stream, number, topics, rang, waited_for: false })
    }

    /// Whether somebody waits for an answer to what they tell: then it is to be read at once.
    pub fn is_waited_for(&self) -> bool {
        self.waited_for
    }

    /// Reads what is there. A connection that broke rings: whoever was heard of is gone.
    pub fn heard(&mut self) -> Heard {
        if std::mem::take(&mut self.rang) || self.stream.flush().is_err() {
            return Heard::Ring;
        }
        let mut most = Heard::Nothing;
        for _ in 0..MAX_READ {
            let heard = match self.stream.next() {
                Ok(Some(message)) => self.hear(&message),
                Ok(None) => return most,
                Err(_) => Heard::Ring,
            };
            match heard {
                Heard::Ring => return Heard::Ring,
                Heard::Chatter => most = Heard::Chatter,
                Heard::Nothing => {}
            }
        }
        // The rest of them is read a little later.
        Heard::Chatter
    }

    fn hear(&mut self, message: &Message) -> Heard {
        if message.number(attribute::OBJECT) != Some(self.number) {
            return Heard::Nothing;
        }
        match message.kind {
            // Who was subscribed to is gone.
            kind::UNSUBSCRIBE => Heard::Ring,
            kind::INVOKE => {
                // An event has no sender who could wait, a notification says when nobody does.
                if message.peer != 0 && !message.flag(attribute::NO_REPLY) {
                    self.waited_for = true;
                    let answer = Draft::new(kind::STATUS, message.sequence, message.peer)
                        .number(attribute::STATUS, 0)
                        .number(attribute::OBJECT, self.number);
                    let sent = answer.finish().and_then(|answer| self.stream.send(&answer));
                    if sent.is_err() {
                        return Heard::Ring;
                    }
                }
                match message.text(attribute::METHOD) {
                    Some(told) if CHATTER.contains(&told) => Heard::Chatter,
                    Some("ubus.object.add" | "ubus.object.remove") if !self.is_wanted(message) => {
                        Heard::Chatter
                    }
                    _ => Heard::Ring,
                }
            }
            _ => Heard::Nothing,
        }
    }

    /// Whether the object that came or went is one of those that are listened to.
    fn is_wanted(&self, message: &Message) -> bool {
        let told = message.get(attribute::DATA).map(|data| super::Answer::new(data.to_vec()));
        let Some(Ok(told)) = told else { return false };
        let path = told.root().get("path").and_then(|path| path.text()).unwrap_or("");
        topic::OBJECTS.iter().filter(|(topic, _)| self.topics & topic != 0).any(|(_, names)| {
            names.iter().any(|name| match name.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => path == *name,
            })
        })
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
