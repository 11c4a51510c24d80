//! Calls: somebody asks, and waits for the answer with a deadline.

use super::message::{Draft, Message, attribute, kind};
use super::stream::Stream;
use super::{Answer, Args, Place, Problem, Writer, json, recorded};
use crate::sys::trace;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// The most objects whose numbers are remembered.
const MAX_KNOWN: usize = 64;
/// The most objects that a list holds.
pub const MAX_OBJECTS: usize = 1024;
/// How long nothing is asked of a ubusd that did not answer.
pub const HOLD: Duration = Duration::from_secs(30);

/// A connection with ubusd, made when it is first needed, and again when it broke.
pub struct Ubus {
    place: Place,
    client: Option<Client>,
    /// Nothing is asked before this: ubusd did not answer.
    held: Option<Instant>,
}

impl Ubus {
    /// Asks nothing yet.
    pub fn new(place: Place) -> Ubus {
        Ubus { place, client: None, held: None }
    }

    /// Whether the connection was made just now: services that were there before ubusd was started again may
    /// not be there yet.
    pub fn is_fresh(&self) -> bool {
        self.client.as_ref().is_some_and(|client| client.made.elapsed() < HOLD)
    }

    /// Who answers.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Calls a method. Of several answers the first counts; one without any is empty.
    ///
    /// # Errors
    /// [`Problem`]
    pub fn call(
        &mut self,
        object: &str,
        method: &str,
        args: Args<'_>,
        deadline: Duration,
    ) -> Result<Answer, Problem> {
        let answer = if let Place::Recorded(root) = &self.place {
            recorded::read(root, object, method, args)?
        } else {
            let until = Instant::now() + deadline;
            self.with(until, &mut |client| client.call(object, method, args, until))?
        };
        trace::answer(|| (recorded::file(object, method, args), answer.to_json()));
        Ok(answer)
    }

    /// The names of all objects, or of those that begin like a pattern with a final `*`, at most
    /// [`MAX_OBJECTS`].
    ///
    /// # Errors
    /// [`Problem`]
    pub fn list(&mut self, pattern: Option<&str>, deadline: Duration) -> Result<Vec<String>, Problem> {
        if let Place::Recorded(root) = &self.place {
            return Ok(recorded::list(root, pattern));
        }
        let until = Instant::now() + deadline;
        let found = self.with(until, &mut |client| client.lookup(pattern, until));
        match found {
            Ok(found) => Ok(found.into_iter().map(|object| object.path).collect()),
            Err(Problem::NoObject) => Ok(Vec::new()),
            Err(problem) => Err(problem),
        }
    }

    /// Does something with the connection, and closes it when it is of no more use.
    fn with<T>(
        &mut self,
        until: Instant,
        work: &mut dyn FnMut(&mut Client) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let Place::Socket(path) = &self.place else { return Err(Problem::NoObject) };
        if self.held.is_some_and(|held| Instant::now() < held) {
            return Err(Problem::Silent);
        }
        self.held = None;
        // What broke since the last call is found before anything is asked, so that nothing is asked twice.
        let mut client = self.client.take().and_then(|mut client| client.is_alive().then_some(client));
        let result = match &mut client {
            Some(client) => work(client),
            None => Client::connect(path, until).and_then(|c| work(client.insert(c))),
        };
        match &result {
            Err(Problem::Silent) => self.held = Some(Instant::now() + HOLD),
            Err(problem) if problem.is_bus() => {}
            _ => self.client = client,
        }
        result
    }
}

/// An object that was looked up.
#[derive(Clone)]
pub(super) struct Object {
    pub path: String,
    pub number: u32,
    /// What its methods take.
    signature: Answer,
}

/// A connection that is there.
pub(super) struct Client {
    stream: Stream,
    sequence: u16,
    known: Vec<Object>,
    /// Somebody told something while an answer was waited for.
    rang: bool,
    made: Instant,
}

impl Client {
    /// Connects and waits for ubusd's greeting.
    pub fn connect(path: &Path, until: Instant) -> Result<Client, Problem> {
        let (stream, made) = (Stream::connect(path)?, Instant::now());
        let mut client = Client { stream, sequence: 0, known: Vec::new(), rang: false, made };
        match client.wait(until)? {
            Some(message) if message.kind == kind::HELLO && message.peer != 0 => Ok(client),
            Some(_) => Err(Problem::Broken("no greeting")),
            None => Err(Problem::Silent),
        }
    }

    /// Whether ubusd is still there; reads what nobody asked for.
    fn is_alive(&mut self) -> bool {
        // As many as a message has bytes at least: a flood is not read to its end.
        (0..1024).find_map(|_| match self.stream.next() {
            Ok(Some(_)) => None,
            Ok(None) => Some(true),
            Err(_) => Some(false),
        }) == Some(true)
    }

    /// The next message; `None` when it is too late.
    fn wait(&mut self, until: Instant) -> Result<Option<Message>, Problem> {
        loop {
            if let Some(message) = self.stream.next()? {
                return Ok(Some(message));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, self.stream.wants_to_send());
            // One more than is left: poll rounds down. At most a minute: it is asked again.
            let wait = PollTimeout::from(left.as_millis().min(60_000) as u16 + 1);
            match poll(&mut [PollFd::new(self.stream.as_fd(), flags)], wait) {
                Ok(_) | Err(Errno::EINTR) => self.stream.flush()?,
                Err(_) => return Err(Problem::Broken("it cannot be waited for")),
            }
        }
    }

    /// Sends a request and waits for its status; `each` takes the data before it. Answers to other requests,
    /// too late, are passed over.
    fn request(
        &mut self,
        draft: impl FnOnce(u16) -> Draft,
        peer: u32,
        until: Instant,
        each: &mut dyn FnMut(Message),
    ) -> Result<u32, Problem> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let bytes = draft(sequence).finish()?;
        self.stream.send(&bytes)?;
        loop {
            let Some(message) = self.wait(until)? else { return Err(Problem::TimedOut) };
            self.rang |= matches!(message.kind, kind::INVOKE | kind::UNSUBSCRIBE);
            if message.sequence != sequence || message.peer != peer {
                continue;
            }
            match message.kind {
                kind::DATA => each(message),
                kind::STATUS => {
                    let status = message.number(attribute::STATUS);
                    return status.ok_or(Problem::Broken("a status without its number"));
                }
                _ => {}
            }
        }
    }

    /// As [`Client::request`], of ubusd itself: what it does not answer in time nobody will.
    fn ask(
        &mut self,
        draft: impl FnOnce(u16) -> Draft,
        peer: u32,
        until: Instant,
        each: &mut dyn FnMut(Message),
    ) -> Result<(), Problem> {
        match self.request(draft, peer, until, each) {
            Ok(0) => Ok(()),
            Ok(status) => Err(Problem::Status(status)),
            Err(Problem::TimedOut) => Err(Problem::Silent),
            Err(problem) => Err(problem),
        }
    }

    /// The objects of a name or a pattern.
    pub fn lookup(&mut self, path: Option<&str>, until: Instant) -> Result<Vec<Object>, Problem> {
        let mut found = Vec::new();
        let draft = |sequence| {
            let draft = Draft::new(kind::LOOKUP, sequence, 0);
            match path {
                Some(path) => draft.text(attribute::PATH, path),
                None => draft,
            }
        };
        let asked = self.ask(draft, 0, until, &mut |message| {
            let (path, number) = (message.text(attribute::PATH), message.number(attribute::OBJECT));
            if let (Some(path), Some(number)) = (path.map(str::to_owned), number)
                && found.len() < MAX_OBJECTS
            {
                let signature = message.into(attribute::SIGNATURE).unwrap_or_default();
                found.push(Object { path, number, signature: Answer::new(signature).unwrap_or_default() });
            }
        });
        match asked {
            Err(Problem::Status(NOT_FOUND)) => Err(Problem::NoObject),
            asked => asked.map(|()| found),
        }
    }

    /// Puts an object without a name on the bus: others reach it by what it listens to. Its number.
    pub fn add_object(&mut self, until: Instant) -> Result<u32, Problem> {
        let mut number = None;
        let draft = |sequence| Draft::new(kind::ADD_OBJECT, sequence, 0);
        self.ask(draft, 0, until, &mut |message| number = message.number(attribute::OBJECT))?;
        number.ok_or(Problem::Broken("an object without a number"))
    }

    /// An object of ours hears what another tells from now on; no effect when that is gone.
    pub fn subscribe(&mut self, object: u32, target: u32, until: Instant) -> Result<(), Problem> {
        let draft = |sequence| {
            Draft::new(kind::SUBSCRIBE, sequence, 0)
                .number(attribute::OBJECT, object)
                .number(attribute::TARGET, target)
        };
        match self.ask(draft, 0, until, &mut |_| {}) {
            Err(Problem::Status(NOT_FOUND)) => Ok(()),
            done => done,
        }
    }

    /// The connection, and whether somebody told something meanwhile.
    pub fn into_stream(self) -> (Stream, bool) {
        (self.stream, self.rang)
    }

    /// The number of an object, looked up when it is not known.
    fn number(&mut self, path: &str, until: Instant) -> Result<u32, Problem> {
        if let Some(object) = self.known.iter().find(|object| object.path == path) {
            return Ok(object.number);
        }
        // A name is no pattern.
        let found = if path.ends_with('*') { Vec::new() } else { self.lookup(Some(path), until)? };
        let object = found.into_iter().find(|object| object.path == path).ok_or(Problem::NoObject)?;
        let number = object.number;
        if self.known.len() >= MAX_KNOWN {
            self.known.remove(0);
        }
        self.known.push(object);
        Ok(number)
    }

    fn call(&mut self, path: &str, method: &str, args: Args<'_>, until: Instant) -> Result<Answer, Problem> {
        let number = self.number(path, until)?;
        let args = self.arguments(path, method, args)?;
        let answer = self.invoke(number, method, &args, until);
        if answer != Err(Problem::Status(NOT_FOUND)) {
            return answer;
        }
        // The method's own word, or the object is another since: then nobody has heard the call.
        self.known.retain(|object| object.path != path);
        match self.number(path, until)? {
            same if same == number => answer,
            other => self.invoke(other, method, &args, until),
        }
    }

    /// Arguments as a table, words as the types that the method wants.
    fn arguments(&self, path: &str, method: &str, args: Args<'_>) -> Result<Answer, Problem> {
        let words = match args {
            Args::None => return Ok(Answer::default()),
            Args::Table(table) => return Ok(table.clone()),
            Args::Words(words) => words,
        };
        let object = self.known.iter().find(|object| object.path == path);
        let policy = object.and_then(|object| object.signature.root().get(method));
        let mut table = Writer::default();
        for (name, word) in words {
            let expected = policy.and_then(|p| p.get(name)?.number()).and_then(|n| u8::try_from(n).ok());
            json::put_word(&mut table, name, word, expected);
        }
        table.finish()
    }

    /// Calls a method of an object by its number.
    pub fn invoke(
        &mut self,
        object: u32,
        method: &str,
        args: &Answer,
        until: Instant,
    ) -> Result<Answer, Problem> {
        let mut answer = None;
        let draft = |sequence| {
            Draft::new(kind::INVOKE, sequence, object)
                .number(attribute::OBJECT, object)
                .text(attribute::METHOD, method)
                .bytes(attribute::DATA, args.bytes())
        };
        let status = self.request(draft, object, until, &mut |message| {
            if answer.is_none() {
                answer = message.into(attribute::DATA);
            }
        })?;
        match status {
            0 => Answer::new(answer.unwrap_or_default()),
            status => Err(Problem::Status(status)),
        }
    }
}

/// A status: no such object, or what an object says that does not have a thing.
const NOT_FOUND: u32 = 4;
