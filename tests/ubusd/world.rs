//! What the fake ubusd knows, and what it does with a message.

use super::{Incoming, Says, is_meant, message, table};
use cwmpd::sys::ubus::Answer;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

// Types of messages.
const STATUS: u8 = 1;
const DATA: u8 = 2;
const LOOKUP: u8 = 4;
const INVOKE: u8 = 5;
const ADD_OBJECT: u8 = 6;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 9;
// Attributes.
const A_STATUS: u8 = 1;
const A_PATH: u8 = 2;
const A_OBJECT: u8 = 3;
const A_METHOD: u8 = 4;
const A_TYPE: u8 = 5;
const A_SIGNATURE: u8 = 6;
const A_DATA: u8 = 7;
const A_TARGET: u8 = 8;
const A_NO_REPLY: u8 = 10;
const A_USER: u8 = 12;
const A_GROUP: u8 = 13;

/// Who calls from the test itself.
const TEST: u32 = 0x7e57_0000;

/// A connection.
pub struct Client {
    pub id: u32,
    pub stream: UnixStream,
}

/// An object.
#[derive(Clone)]
pub struct Object {
    pub number: u32,
    /// Empty for one that has none.
    pub path: String,
    pub signature: Vec<u8>,
    /// The client that put it there; `None` for a scripted one.
    pub owner: Option<u32>,
    pub methods: Vec<(String, Says)>,
}

/// What a client's object has answered so far.
#[derive(Clone)]
pub struct Told {
    pub caller: u16,
    pub data: Vec<String>,
    pub status: Option<u32>,
}

/// Everything.
#[derive(Default)]
pub struct World {
    pub last: u32,
    pub greeted: usize,
    pub mute: bool,
    pub clients: Vec<Client>,
    pub objects: Vec<Object>,
    /// Numbers of objects, and what events they hear.
    pub patterns: Vec<(u32, String)>,
    /// Numbers of objects: who hears, and whom.
    pub subscriptions: Vec<(u32, u32)>,
    pub calls: Vec<(String, String, String)>,
    pub answers: Vec<Told>,
    /// Statuses that notifications were answered with.
    pub thanks: usize,
    /// Events that clients sent: name and JSON.
    pub events: Vec<(String, String)>,
    sequence: u16,
}

fn show(table: &[u8]) -> String {
    Answer::new(table.to_vec()).expect("a table").to_json()
}

fn text(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

impl World {
    /// A new object; its place.
    pub fn add(&mut self, path: &str, owner: Option<u32>) -> usize {
        self.last += 1;
        let number = 0x5a5a_0000 + self.last;
        let (path, signature) = (path.to_owned(), Vec::new());
        self.objects.push(Object { number, path, signature, owner, methods: Vec::new() });
        self.objects.len() - 1
    }

    fn send(&mut self, client: u32, bytes: &[u8]) {
        if let Some(client) = self.clients.iter().find(|c| c.id == client) {
            // It may be gone, which its own thread finds.
            let _ = (&client.stream).write_all(bytes);
        }
    }

    fn owner_of(&self, number: u32) -> Option<u32> {
        self.objects.iter().find(|o| o.number == number)?.owner
    }

    fn told(&mut self, path: &str, number: u32, come: bool) {
        if !path.is_empty() {
            let data = table(&format!("{{\"id\":{},\"path\":\"{path}\"}}", number as i32));
            self.event(if come { "ubus.object.add" } else { "ubus.object.remove" }, &data);
        }
    }

    pub fn remove(&mut self, path: &str) {
        let Some(at) = self.objects.iter().position(|o| o.path == path) else { return };
        let gone = self.objects.remove(at);
        self.forget(&gone);
    }

    fn forget(&mut self, gone: &Object) {
        let number = gone.number;
        self.patterns.retain(|(object, _)| *object != number);
        let (lost, kept) = std::mem::take(&mut self.subscriptions)
            .into_iter()
            .filter(|(hears, _)| *hears != number)
            .partition(|(_, whom)| *whom == number);
        self.subscriptions = kept;
        let lost: Vec<(u32, u32)> = lost;
        for (hears, whom) in lost {
            let Some(owner) = self.owner_of(hears) else { continue };
            self.sequence += 1;
            let attributes: &[(u8, &[u8])] =
                &[(A_OBJECT, &hears.to_be_bytes()), (A_TARGET, &whom.to_be_bytes())];
            let bytes = message(UNSUBSCRIBE, self.sequence, 0, attributes);
            self.send(owner, &bytes);
        }
        self.told(&gone.path, number, false);
    }

    /// A client is gone, and its objects with it.
    pub fn gone(&mut self, client: u32) {
        self.clients.retain(|c| c.id != client);
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.objects).into_iter().partition(|o| o.owner == Some(client));
        self.objects = kept;
        gone.iter().for_each(|object| self.forget(object));
    }

    /// Calls an object of a client in the test's name.
    pub fn call(&mut self, path: &str, method: &str, args: &[u8]) -> u16 {
        let object = self.objects.iter().find(|o| o.path == path).expect("an object").clone();
        self.sequence += 1;
        let caller = self.sequence;
        self.answers.push(Told { caller, data: Vec::new(), status: None });
        let attributes: &[(u8, &[u8])] = &[
            (A_OBJECT, &object.number.to_be_bytes()),
            (A_METHOD, &text(method)),
            (A_USER, b"root\0"),
            (A_GROUP, b"root\0"),
            (A_DATA, args),
        ];
        self.send(object.owner.expect("a client's"), &message(INVOKE, caller, TEST, attributes));
        caller
    }

    pub fn event(&mut self, name: &str, data: &[u8]) {
        let hearers: Vec<u32> =
            self.patterns.iter().filter(|(_, p)| is_meant(p, name)).map(|(object, _)| *object).collect();
        for object in hearers {
            let Some(owner) = self.owner_of(object) else { continue };
            self.sequence += 1;
            let attributes: &[(u8, &[u8])] =
                &[(A_OBJECT, &object.to_be_bytes()), (A_METHOD, &text(name)), (A_DATA, data)];
            let bytes = message(INVOKE, self.sequence, 0, attributes);
            self.send(owner, &bytes);
        }
    }

    pub fn notify(&mut self, path: &str, kind: &str, data: &[u8], reply: bool) {
        let number = self.objects.iter().find(|o| o.path == path).expect("an object").number;
        let hearers: Vec<u32> =
            self.subscriptions.iter().filter(|(_, whom)| *whom == number).map(|(hears, _)| *hears).collect();
        for object in hearers {
            let Some(owner) = self.owner_of(object) else { continue };
            self.sequence += 1;
            let (number, kind) = (object.to_be_bytes(), text(kind));
            let mut attributes: Vec<(u8, &[u8])> = Vec::new();
            if !reply {
                attributes.push((A_NO_REPLY, &[1]));
            }
            attributes.extend([(A_OBJECT, &number[..]), (A_METHOD, &kind), (A_DATA, data)]);
            let bytes = message(INVOKE, self.sequence, TEST + 1, &attributes);
            self.send(owner, &bytes);
        }
    }

    /// Does what a client wants.
    pub fn take(&mut self, client: u32, incoming: &Incoming) {
        let status = match incoming.kind {
            LOOKUP => Some(self.lookup(client, incoming)),
            INVOKE => self.invoke(client, incoming),
            ADD_OBJECT => Some(self.add_object(client, incoming)),
            SUBSCRIBE => {
                let pair = (incoming.number(A_OBJECT), incoming.number(A_TARGET));
                let (hears, whom) = (pair.0.expect("an object"), pair.1.expect("a target"));
                let there = self.objects.iter().any(|o| o.number == whom);
                self.subscriptions.extend(there.then_some((hears, whom)));
                Some(if there { 0 } else { 4 })
            }
            STATUS | DATA => {
                self.answered(incoming);
                None
            }
            _ => Some(1),
        };
        if let Some(status) = status {
            let bytes =
                message(STATUS, incoming.sequence, incoming.peer, &[(A_STATUS, &u32::to_be_bytes(status))]);
            self.send(client, &bytes);
        }
    }

    /// An object of a client has answered.
    fn answered(&mut self, incoming: &Incoming) {
        let object = incoming.number(A_OBJECT).expect("its object");
        assert!(self.objects.iter().any(|o| o.number == object), "an object of nobody");
        if incoming.peer == TEST + 1 {
            self.thanks += 1;
        }
        let told = self.answers.iter_mut().find(|a| a.caller == incoming.sequence);
        let Some(told) = told.filter(|_| incoming.peer == TEST) else { return };
        assert_eq!(told.status, None, "answered twice");
        match incoming.kind {
            DATA => told.data.push(show(incoming.get(A_DATA).expect("data"))),
            _ => told.status = Some(incoming.number(A_STATUS).expect("a status")),
        }
    }

    fn add_object(&mut self, client: u32, incoming: &Incoming) -> u32 {
        let path = incoming.text(A_PATH).unwrap_or_default();
        if !path.is_empty() && self.objects.iter().any(|o| o.path == path) {
            return 2;
        }
        let at = self.add(&path, Some(client));
        self.objects[at].signature = incoming.get(A_SIGNATURE).unwrap_or_default().to_vec();
        let number = self.objects[at].number;
        let bytes = message(DATA, incoming.sequence, incoming.peer, &[(A_OBJECT, &number.to_be_bytes())]);
        self.send(client, &bytes);
        self.told(&path, number, true);
        0
    }

    fn lookup(&mut self, client: u32, incoming: &Incoming) -> u32 {
        let pattern = incoming.text(A_PATH);
        let meant = |o: &&Object| {
            !o.path.is_empty() && pattern.as_ref().is_none_or(|pattern| is_meant(pattern, &o.path))
        };
        let found: Vec<Object> = self.objects.iter().filter(meant).cloned().collect();
        for object in &found {
            let attributes: &[(u8, &[u8])] = &[
                (A_PATH, &text(&object.path)),
                (A_OBJECT, &object.number.to_be_bytes()),
                (A_TYPE, &[0, 0, 0, 9]),
                (A_SIGNATURE, &object.signature),
            ];
            let bytes = message(DATA, incoming.sequence, incoming.peer, attributes);
            self.send(client, &bytes);
        }
        if found.is_empty() && pattern.is_some() { 4 } else { 0 }
    }

    fn invoke(&mut self, client: u32, incoming: &Incoming) -> Option<u32> {
        let number = incoming.number(A_OBJECT).expect("an object");
        assert_eq!(incoming.peer, number, "the peer is who is called");
        let method = incoming.text(A_METHOD).expect("a method");
        let data = incoming.get(A_DATA).expect("arguments");
        if number == 1 {
            return Some(self.events(&method, data));
        }
        let Some(object) = self.objects.iter().find(|o| o.number == number && o.is_scripted()) else {
            return Some(4);
        };
        self.calls.push((object.path.clone(), method.clone(), show(data)));
        let Some((_, says)) = object.methods.iter().find(|(name, _)| *name == method).cloned() else {
            return Some(3);
        };
        self.say(client, incoming.sequence, number, says);
        None
    }

    fn events(&mut self, method: &str, data: &[u8]) -> u32 {
        let data = Answer::new(data.to_vec()).expect("a table");
        let get = |name: &str| data.root().get(name);
        match method {
            "register" => {
                let object = get("object").and_then(|o| o.number()).expect("an object") as u32;
                let pattern = get("pattern").and_then(|p| p.text()).expect("a pattern");
                self.patterns.push((object, pattern.to_owned()));
            }
            "send" => {
                let name = get("id").and_then(|i| i.text()).expect("a name").to_owned();
                let json = get("data").filter(|d| d.is_table()).expect("data").show().to_string();
                self.event(&name, &table(&json));
                self.events.push((name, json));
            }
            _ => return 1,
        }
        0
    }

    /// A scripted object answers.
    fn say(&mut self, client: u32, sequence: u16, number: u32, says: Says) {
        let object = number.to_be_bytes();
        let data = |sequence, peer, table: &[u8]| {
            message(DATA, sequence, peer, &[(A_OBJECT, &object[..]), (A_DATA, table)])
        };
        let status = |sequence, peer, status: u32| {
            message(STATUS, sequence, peer, &[(A_STATUS, &status.to_be_bytes()[..]), (A_OBJECT, &object)])
        };
        let lies = |json: &str| {
            let lie = table(json);
            let other = |sequence, peer| [data(sequence, peer, &lie), status(sequence, peer, 7)].concat();
            [other(sequence.wrapping_sub(1), number), other(sequence, number ^ 1), other(sequence, 0)]
                .concat()
        };
        let well = |json: &str| [data(sequence, number, &table(json)), status(sequence, number, 0)].concat();
        let ends = matches!(says, Says::Half(_) | Says::End);
        let bytes = match says {
            Says::Json(json) => well(&json),
            Says::Late(after, json) => {
                let bytes = well(&json);
                let stream =
                    self.clients.iter().find(|c| c.id == client).and_then(|c| c.stream.try_clone().ok());
                std::thread::spawn(move || {
                    std::thread::sleep(after);
                    stream.map(|mut stream| stream.write_all(&bytes))
                });
                return;
            }
            Says::Status(how) => status(sequence, number, how),
            Says::Table(bytes) => [data(sequence, number, &bytes), status(sequence, number, 0)].concat(),
            Says::AmongOthers(json) => {
                [lies("{\"a\":\"lie\"}"), well(&json), lies("{\"a\":\"lie\"}")].concat()
            }
            Says::Others(json) => lies(&json),
            Says::Silence => return,
            Says::Bytes(bytes) => bytes,
            Says::Half(json) => {
                let mut bytes = well(&json);
                bytes.truncate(bytes.len() / 2);
                bytes
            }
            Says::End => Vec::new(),
        };
        self.send(client, &bytes);
        if let Some(client) = self.clients.iter().find(|c| ends && c.id == client) {
            let _ = client.stream.shutdown(Shutdown::Both);
        }
    }
}
