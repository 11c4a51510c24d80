//! An object of our own: others call its methods. Nothing here waits: [`Published::next`] does what can be
//! done with what has come.

use super::message::{Draft, EVENTS, Message, attribute, kind};
use super::stream::Stream;
use super::{Answer, Problem, Writer};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The most messages read in one turn: a flood is not read to its end.
const MAX_READ: usize = 64;
/// The numbers of our requests: adding the object, and events, whose status nobody waits for.
const ADDING: u16 = 1;
const TELLING: u16 = 2;

/// What an argument is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// An array.
    Array = 1,
    /// A table.
    Table = 2,
    /// Text.
    Text = 3,
}

/// A method, and its arguments by name.
pub type Method = (&'static str, &'static [(&'static str, Kind)]);

/// Who called, to be answered once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    peer: u32,
    sequence: u16,
}

/// A call.
pub struct Invocation {
    /// Who called.
    pub caller: Caller,
    /// What is to be done.
    pub method: String,
    /// With what.
    pub args: Answer,
}

enum State {
    /// Connected; ubusd greets.
    Greeting,
    /// The object is being added; its number when that is known.
    Adding(Option<u32>),
    /// There it is.
    There(u32),
}

/// A connection that carries one object.
pub struct Published {
    stream: Stream,
    state: State,
    name: &'static str,
    methods: &'static [Method],
}

impl Published {
    /// Begins to put an object on the bus.
    ///
    /// # Errors
    /// [`Problem::Absent`] or [`Problem::Silent`].
    pub fn begin(
        socket: &Path,
        name: &'static str,
        methods: &'static [Method],
    ) -> Result<Published, Problem> {
        Ok(Published { stream: Stream::connect(socket)?, state: State::Greeting, name, methods })
    }

    /// As [`Published::begin`], over a connection that is there and does not wait.
    pub fn over(socket: UnixStream, name: &'static str, methods: &'static [Method]) -> Published {
        Published { stream: Stream::over(socket), state: State::Greeting, name, methods }
    }

    /// Whether others can see it.
    pub fn is_there(&self) -> bool {
        matches!(self.state, State::There(_))
    }

    /// Whether something waits to be sent: then it is to be polled for writing, too.
    pub fn wants_to_send(&self) -> bool {
        self.stream.wants_to_send()
    }

    /// Whether calls have come that were not taken: there is nothing to poll for then.
    pub fn has_more(&self) -> bool {
        self.stream.has_more()
    }

    /// Sends what waits, reads what has come; the next call among it.
    ///
    /// # Errors
    /// [`Problem`]: the connection is of no more use, or ubusd does not take the object.
    pub fn next(&mut self) -> Result<Option<Invocation>, Problem> {
        self.stream.flush()?;
        for _ in 0..MAX_READ {
            let Some(message) = self.stream.next()? else { return Ok(None) };
            if let Some(invocation) = self.take(message)? {
                return Ok(Some(invocation));
            }
        }
        Ok(None)
    }

    fn take(&mut self, message: Message) -> Result<Option<Invocation>, Problem> {
        let ours = message.sequence == ADDING && message.peer == 0;
        match (&self.state, message.kind) {
            (State::Greeting, kind::HELLO) => {
                self.add()?;
                self.state = State::Adding(None);
            }
            (State::Greeting, _) => return Err(Problem::Broken("no greeting")),
            (State::Adding(_), kind::DATA) if ours => {
                self.state = State::Adding(message.number(attribute::OBJECT));
            }
            (State::Adding(number), kind::STATUS) if ours => {
                match (message.number(attribute::STATUS), number) {
                    (Some(0), Some(number)) => self.state = State::There(*number),
                    (Some(0) | None, _) => return Err(Problem::Broken("an object without a number")),
                    (Some(status), _) => return Err(Problem::Status(status)),
                }
            }
            (State::There(number), kind::INVOKE) => return self.invoked(*number, message),
            _ => {}
        }
        Ok(None)
    }

    fn add(&mut self) -> Result<(), Problem> {
        let mut signature = Writer::default();
        for (method, args) in self.methods {
            signature.table(method);
            args.iter().for_each(|(name, kind)| signature.number(name, *kind as i64));
            signature.end();
        }
        let draft = Draft::new(kind::ADD_OBJECT, ADDING, 0)
            .text(attribute::PATH, self.name)
            .bytes(attribute::SIGNATURE, signature.finish()?.bytes());
        self.stream.send(&draft.finish()?)
    }

    fn invoked(&mut self, number: u32, message: Message) -> Result<Option<Invocation>, Problem> {
        let caller = Caller { peer: message.peer, sequence: message.sequence };
        let method = message.text(attribute::METHOD).map(str::to_owned);
        let status = match method {
            _ if message.number(attribute::OBJECT) != Some(number) => NOT_FOUND,
            None => INVALID_ARGUMENT,
            Some(method) if !self.methods.iter().any(|(name, _)| *name == method) => METHOD_NOT_FOUND,
            Some(method) => match message.into(attribute::DATA).map(Answer::new) {
                Some(Ok(args)) => return Ok(Some(Invocation { caller, method, args })),
                _ => INVALID_ARGUMENT,
            },
        };
        self.answer(caller, None, status)?;
        Ok(None)
    }

    /// Answers a call: with what there is to say, and a status.
    ///
    /// # Errors
    /// [`Problem::Broken`]: the connection is of no more use.
    pub fn answer(&mut self, caller: Caller, data: Option<&Answer>, status: u32) -> Result<(), Problem> {
        let State::There(number) = self.state else { return Ok(()) };
        let draft = |kind| Draft::new(kind, caller.sequence, caller.peer).number(attribute::OBJECT, number);
        if let Some(data) = data {
            self.stream.send(&draft(kind::DATA).bytes(attribute::DATA, data.bytes()).finish()?)?;
        }
        let status = Draft::new(kind::STATUS, caller.sequence, caller.peer)
            .number(attribute::STATUS, status)
            .number(attribute::OBJECT, number);
        self.stream.send(&status.finish()?)
    }

    /// Tells everybody who listens for events of this name. While the object is not there nobody hears.
    ///
    /// # Errors
    /// [`Problem::Broken`]: the connection is of no more use; [`Problem::TooLong`].
    pub fn send_event(&mut self, name: &str, data: &Answer) -> Result<(), Problem> {
        if !self.is_there() {
            return Ok(());
        }
        let mut event = Writer::default();
        event.text("id", name);
        event.whole("data", data);
        let draft = Draft::new(kind::INVOKE, TELLING, EVENTS)
            .number(attribute::OBJECT, EVENTS)
            .text(attribute::METHOD, "send")
            .bytes(attribute::DATA, event.finish()?.bytes());
        self.stream.send(&draft.finish()?)
    }
}

impl AsFd for Published {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Statuses that a caller is answered with.
pub const INVALID_ARGUMENT: u32 = 2;
/// See [`INVALID_ARGUMENT`].
pub const METHOD_NOT_FOUND: u32 = 3;
/// See [`INVALID_ARGUMENT`].
pub const NOT_FOUND: u32 = 4;
