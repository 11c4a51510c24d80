//! A ubusd for tests: it takes connections, knows the objects that a test gives it and those that clients put
//! on the bus, and answers as it is told, wrongly if need be. Framing and numbers are written down here anew;
//! only the JSON of tables is read by the agent's own code, which has transcripts of its own.

#![allow(dead_code)] // each program that has this module uses a part of it

mod world;

use cwmpd::sys::ubus::Answer;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use world::{Client, Object, World};

/// How long anything may take before a test gives up; never a measure of speed.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a method of a scripted object says.
#[derive(Clone)]
pub enum Says {
    /// This, and that it went well.
    Json(String),
    /// This, after a while.
    Late(Duration, String),
    /// A status and nothing else.
    Status(u32),
    /// These bytes as its table.
    Table(Vec<u8>),
    /// This, behind answers to requests and of objects that nobody asked.
    AmongOthers(String),
    /// Answers to other requests only.
    Others(String),
    /// Nothing.
    Silence,
    /// These bytes instead of a message.
    Bytes(Vec<u8>),
    /// Half of this, and then the end of the connection.
    Half(String),
    /// The end of the connection.
    End,
}

/// JSON that went well.
pub fn json(text: &str) -> Says {
    Says::Json(text.to_owned())
}

/// A ubusd. It ends, and its socket goes away, with its owner.
pub struct Ubusd {
    path: PathBuf,
    world: Arc<Shared>,
    over: Arc<AtomicBool>,
    door: Option<JoinHandle<()>>,
}

pub(crate) struct Shared {
    world: Mutex<World>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Ubusd {
    /// Listens at a path.
    pub fn start(path: &Path) -> Ubusd {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).expect("a socket");
        let world = Arc::new(Shared { world: Mutex::new(World::default()), changed: Condvar::new() });
        let over = Arc::new(AtomicBool::new(false));
        let (shared, ends) = (world.clone(), over.clone());
        let door = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let shared = shared.clone();
                let stream = stream.expect("a connection");
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Ubusd { path: path.to_owned(), world, over, door: Some(door) }
    }

    /// What a method of an object says from now on; makes the object when there is none.
    pub fn says(&self, object: &str, method: &str, says: Says) {
        let mut world = self.world.lock();
        let at = world.objects.iter().position(|o| o.path == object);
        let at = at.unwrap_or_else(|| world.add(object, None));
        let methods = &mut world.objects[at].methods;
        methods.retain(|(name, _)| name != method);
        methods.push((method.to_owned(), says));
    }

    /// What the methods of an object take, as `ubus -v list` has it: types by their numbers.
    pub fn takes(&self, object: &str, signature: &str) {
        let mut world = self.world.lock();
        let found = world.objects.iter_mut().find(|o| o.path == object).expect("an object");
        found.signature = table(signature);
    }

    /// Takes an object away, and says so to whom it may concern.
    pub fn remove(&self, object: &str) {
        let mut world = self.world.lock();
        world.remove(object);
    }

    /// Nobody is answered or greeted any more, or everybody is again.
    pub fn mute(&self, mute: bool) {
        self.world.lock().mute = mute;
    }

    /// Object and method of every call so far, with its arguments.
    pub fn calls(&self) -> Vec<(String, String, String)> {
        self.world.lock().calls.clone()
    }

    /// How many connections there were, and how many there are.
    pub fn connections(&self) -> (usize, usize) {
        let world = self.world.lock();
        (world.greeted, world.clients.len())
    }

    /// Waits until something is so.
    #[track_caller]
    pub fn wait_for(&self, what: &str, mut so: impl FnMut(&World) -> bool) {
        let until = Instant::now() + DEADLINE;
        let mut world = self.world.lock();
        while !so(&world) {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what} within {DEADLINE:?}");
            (world, _) = self.world.changed.wait_timeout(world, left).expect("a lock");
        }
    }

    /// Waits until a client has put an object on the bus.
    #[track_caller]
    pub fn wait_object(&self, path: &str) {
        self.wait_for(path, |world| world.objects.iter().any(|o| o.path == path && o.owner.is_some()));
    }

    /// Calls an object of a client: what it says, one JSON each, and its status.
    #[track_caller]
    pub fn call(&self, object: &str, method: &str, args: &str) -> (Vec<String>, u32) {
        self.wait_object(object);
        let caller = self.world.lock().call(object, method, &table(args));
        let mut found = None;
        self.wait_for("answer", |world| {
            found = world.answers.iter().find(|a| a.caller == caller && a.status.is_some()).cloned();
            found.is_some()
        });
        let answer = found.expect("an answer");
        (answer.data, answer.status.expect("a status"))
    }

    /// Tells an event.
    pub fn event(&self, name: &str, data: &str) {
        self.world.lock().event(name, &table(data));
    }

    /// An object tells those who have subscribed to it.
    pub fn notify(&self, object: &str, kind: &str, data: &str, reply: bool) {
        self.world.lock().notify(object, kind, &table(data), reply);
    }

    /// Ends it: every connection is closed, and the socket goes away.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(door) = self.door.take() else { return };
        self.over.store(true, Ordering::SeqCst);
        // Where its folder is gone nobody can wake it, and nobody needs to.
        let woken = UnixStream::connect(&self.path).is_ok();
        let _ = std::fs::remove_file(&self.path);
        for client in &self.world.lock().clients {
            let _ = client.stream.shutdown(Shutdown::Both);
        }
        if woken {
            let _ = door.join();
        }
    }
}

impl Drop for Ubusd {
    fn drop(&mut self) {
        self.end();
    }
}

/// JSON as the bytes of a table.
fn table(json: &str) -> Vec<u8> {
    Answer::from_json(json).expect("JSON").bytes().to_vec()
}

/// A message: header, and attributes.
pub fn message(kind: u8, sequence: u16, peer: u32, attributes: &[(u8, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (number, value) in attributes {
        body.extend((u32::from(*number) << 24 | (4 + value.len()) as u32).to_be_bytes());
        body.extend_from_slice(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut out = vec![0, kind];
    out.extend(sequence.to_be_bytes());
    out.extend(peer.to_be_bytes());
    out.extend((4 + body.len() as u32).to_be_bytes());
    out.extend(body);
    out
}

/// A message that came.
pub(crate) struct Incoming {
    kind: u8,
    sequence: u16,
    peer: u32,
    attributes: Vec<(u8, Vec<u8>)>,
}

impl Incoming {
    fn read(from: &mut impl Read) -> Option<Incoming> {
        let mut head = [0; 12];
        from.read_exact(&mut head).ok()?;
        assert_eq!(head[0], 0, "the version");
        let len = u32::from_be_bytes(head[8..12].try_into().unwrap()) as usize;
        assert!((4..=1024 * 1024).contains(&len), "ubusd would close the connection");
        let mut rest = vec![0; len - 4];
        from.read_exact(&mut rest).ok()?;
        let (mut attributes, mut at) = (Vec::new(), 0);
        while at < rest.len() {
            let word = u32::from_be_bytes(rest[at..at + 4].try_into().expect("a word"));
            let len = (word & 0xff_ffff) as usize;
            attributes.push(((word >> 24) as u8 & 0x7f, rest[at + 4..at + len].to_vec()));
            at += len.next_multiple_of(4);
        }
        let two = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let peer = u32::from(two(4)) << 16 | u32::from(two(6));
        Some(Incoming { kind: head[1], sequence: two(2), peer, attributes })
    }

    fn get(&self, number: u8) -> Option<&[u8]> {
        self.attributes.iter().find(|(n, _)| *n == number).map(|(_, value)| value.as_slice())
    }

    fn number(&self, number: u8) -> Option<u32> {
        self.get(number).map(|value| u32::from_be_bytes(value.try_into().expect("four bytes")))
    }

    fn text(&self, number: u8) -> Option<String> {
        let bytes = self.get(number)?.strip_suffix(&[0]).expect("a zero byte");
        Some(String::from_utf8(bytes.to_vec()).expect("text"))
    }
}

fn serve(stream: UnixStream, shared: &Shared) {
    let mut reader = stream.try_clone().expect("a descriptor");
    let id = {
        let mut world = shared.lock();
        world.last += 1;
        let id = world.last;
        world.greeted += 1;
        if !world.mute {
            let _ = (&stream).write_all(&message(0, 0, id, &[]));
        }
        world.clients.push(Client { id, stream });
        id
    };
    shared.changed.notify_all();
    while let Some(incoming) = Incoming::read(&mut reader) {
        let mut world = shared.lock();
        if !world.mute {
            world.take(id, &incoming);
        }
        drop(world);
        shared.changed.notify_all();
    }
    shared.lock().gone(id);
    shared.changed.notify_all();
}

/// Whether a path is meant by a name, or by a pattern with a star at its end.
pub(crate) fn is_meant(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    }
}

impl Object {
    fn is_scripted(&self) -> bool {
        self.owner.is_none()
    }
}
