//! What the ACS's connections and the test share: the session of the moment, the script, the log.

use super::auth::{Authentication, Guard};
use super::http::{Head, Reply};
use super::soap::{Count, Envelope};
use super::{Incident, Message, Options};
use std::collections::{HashMap, VecDeque};
use std::net::TcpStream;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// A cookie beside the session's own: agents must return all of them (T-19).
pub const ROUTE_COOKIE: &str = "route=a/b+c";

/// A POST that waits for its reply.
#[derive(Clone, Debug)]
pub enum Post {
    /// No body.
    Empty,
    /// An envelope, read and as it was.
    Envelope(Box<Envelope>, String),
    /// An answer that was only counted; with its size in bytes.
    Counted(Count, u64),
}

impl Post {
    /// A word for log and panics.
    pub fn name(&self) -> &str {
        match self {
            Post::Empty => "empty POST",
            Post::Envelope(envelope, _) => &envelope.method.name,
            Post::Counted(count, _) => &count.method,
        }
    }
}

/// The session of the moment.
#[derive(Debug, Default)]
pub struct Live {
    pub number: usize,
    /// POSTs that came through to the test.
    pub posts: usize,
    pub post: Option<Post>,
    pub reply: Option<Reply>,
    /// The next answer is only counted.
    pub counting: bool,
    /// Ended by the ACS: what still comes is answered empty.
    pub over: bool,
    /// The last answer held the agent's requests (C-12).
    pub held: bool,
    /// The agent has said that it has no more requests (C-13).
    pub no_more: bool,
}

/// What threads and test share.
#[derive(Default)]
pub struct State {
    pub options: Options,
    pub incidents: Vec<(usize, Incident)>,
    /// Informs that no test has taken up: session number, with the Inform.
    pub informs: VecDeque<(usize, Post)>,
    pub live: Option<Live>,
    pub sessions: usize,
    /// How the last session that is over ended.
    pub last: String,
    pub log: Vec<Message>,
    /// Whether silent POSTs go on.
    pub released: bool,
    pub guard: Guard,
    pub connections: usize,
    pub open: HashMap<usize, TcpStream>,
    pub stopping: bool,
}

/// [`State`] with the bell that rings at each change.
#[derive(Default)]
pub struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    /// The state, also when a test panicked while it held it.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Changes the state, and wakes everyone who waits for it.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.notify_all();
        result
    }

    /// Waits until `look` finds something; `None` when the time is over.
    pub fn wait<T>(&self, time: Duration, mut look: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + time;
        let mut state = self.state();
        loop {
            if let Some(found) = look(&mut state) {
                drop(state);
                self.changed.notify_all();
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())?;
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Gives the waiting POST of a session its reply, and waits until it is written.
    ///
    /// # Errors
    /// There is no such POST, or the agent did not take the reply.
    pub fn reply(&self, number: usize, reply: Reply) -> Result<(), String> {
        let time = self.change(|state| {
            let live = state.live.as_mut().filter(|l| l.number == number && l.post.is_some());
            let live = live.ok_or("the session is over")?;
            live.held = holds(&reply.body);
            live.reply = Some(reply);
            Ok::<_, String>(state.options.patience)
        })?;
        let written = self.wait(time, |state| match state.live.as_ref() {
            Some(live) if live.number == number && live.reply.is_some() => None,
            _ => Some(()),
        });
        written.ok_or_else(|| "the agent does not take the reply".to_string())
    }
}

impl State {
    /// An Inform: a new session, whatever became of the one before.
    pub fn begin(&mut self, inform: Post) -> usize {
        if let Some(live) = self.live.as_ref().filter(|l| !l.over) {
            self.last = format!("broke off after {} POSTs: a new Inform came", live.posts);
        }
        self.sessions += 1;
        let number = self.sessions;
        self.informs.push_back((number, inform.clone()));
        self.live = Some(Live { number, posts: 1, post: Some(inform), ..Live::default() });
        number
    }

    /// Another POST of the session; the reply when it is none.
    pub fn go_on(&mut self, head: &Head, post: Post) -> Result<usize, Reply> {
        let Some(live) = self.live.as_mut() else {
            self.last = format!("broke off: {} came without a session", post.name());
            return Err(Reply::status(400));
        };
        let sent: Vec<&str> =
            head.all("Cookie").into_iter().flat_map(|c| c.split(';')).map(str::trim).collect();
        let due = [session_cookie(live.number), ROUTE_COOKIE.to_string()];
        if self.options.cookies && !due.iter().all(|c| sent.contains(&c.as_str())) {
            self.last = format!("broke off: {} came with the cookies {sent:?}, not {due:?}", post.name());
            return Err(Reply::status(400));
        }
        if live.over {
            return Err(empty(&self.options));
        }
        match &post {
            Post::Envelope(envelope, _) if envelope.is_request() && (live.held || live.no_more) => {
                let rule = if live.held { "C-12" } else { "C-13" };
                self.last = format!("broke off: {} came against {rule}", post.name());
                return Err(Reply::status(400));
            }
            Post::Empty => live.no_more |= !live.held,
            _ => {}
        }
        live.posts += 1;
        live.counting = false;
        live.post = Some(post);
        Ok(live.number)
    }

    /// The session is over, for the ACS.
    pub fn end(&mut self, number: usize, how: &str) {
        if let Some(live) = self.live.as_mut().filter(|l| l.number == number && !l.over) {
            live.over = true;
            self.last = format!("session {number} {how} after {} POSTs", live.posts);
        }
    }

    /// What happened lately, for panics.
    pub fn story(&self) -> String {
        let last = if self.last.is_empty() { "no session ended yet" } else { &self.last };
        let tail: Vec<String> = self.log.iter().rev().take(6).rev().map(Message::to_string).collect();
        format!("{last}; {} sessions began; the last messages: [{}]", self.sessions, tail.join(" | "))
    }
}

/// Whether an answer has HoldRequests with true.
fn holds(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    let header = text.split_once("HoldRequests").and_then(|(_, rest)| rest.split_once('>'));
    header.is_some_and(|(_, value)| value.starts_with(['1', 't']))
}

/// 204, or the empty 200 of some ACSs.
pub fn empty(options: &Options) -> Reply {
    Reply::status(if options.empty_as_200 { 200 } else { 204 })
}

pub fn session_cookie(number: usize) -> String {
    format!("session={number}")
}

pub fn challenge(asked: &Authentication, guard: &mut Guard, stale: bool) -> Reply {
    let challenges = guard.challenges(asked, stale);
    challenges.into_iter().fold(Reply::status(401), |reply, c| reply.with("WWW-Authenticate", c))
}
