//! The ACS's side of the wire: a thread for each connection reads POSTs, and each waits for the
//! reply that the test's [`super::Session`] has for it.

use super::coding::decoded;
use super::http::{self, Head, Manner, Reply};
use super::soap;
use super::state::{Post, ROUTE_COOKIE, Shared, State, challenge, session_cookie};
use super::{Direction, Incident, Message, Options, tls};
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The largest body that is kept; a counted one may be larger.
const MAX_BODY: u64 = 16 * 1024 * 1024;
/// Of a longer body the log keeps so much.
const MAX_LOGGED: usize = 1024 * 1024;

/// The running server.
pub struct Server {
    pub address: SocketAddr,
    pub identity: Option<tls::Identity>,
    pub shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens.
    pub fn start(options: Options) -> Server {
        let listener = TcpListener::bind(options.address).expect("an address of this machine");
        let address = listener.local_addr().expect("bound");
        let prepared = options.tls.as_ref().map(tls::prepare);
        let (config, identity) = prepared.unzip();
        let shared = Arc::new(Shared::default());
        shared.state().options = options;
        let thread = {
            let shared = shared.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if shared.state().stopping {
                        return;
                    }
                    let (shared, config) = (shared.clone(), config.clone());
                    std::thread::spawn(move || {
                        // a connection that breaks is the agent's affair; the test sees what is missing
                        let _ = Connection::open(shared, stream, config).map(Connection::serve);
                    });
                }
            })
        };
        Server { address, identity, shared, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.change(|state| {
            state.stopping = true;
            for stream in state.open.values() {
                let _ = stream.shutdown(Shutdown::Both); // closed already: nothing to do
            }
        });
        let _ = TcpStream::connect(self.address); // wakes the listening thread, which then ends
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Plain or TLS.
trait Stream: Read + Write {
    /// Says that nothing more comes.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for TcpStream {}

impl Stream for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn finish(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()
    }
}

struct Connection {
    shared: Arc<Shared>,
    number: usize,
    peer: SocketAddr,
    stream: BufReader<Box<dyn Stream>>,
}

/// What becomes of a POST.
enum Outcome {
    Reply(Reply),
    /// The reply of a session: to be confirmed once it is written.
    OfSession(usize, Reply),
    /// The connection is closed without a word.
    Drop,
}

impl Connection {
    fn open(
        shared: Arc<Shared>,
        stream: TcpStream,
        config: Option<Arc<rustls::ServerConfig>>,
    ) -> io::Result<Connection> {
        let peer = stream.peer_addr()?;
        let copy = stream.try_clone()?;
        let number = shared.change(|state| {
            state.connections += 1;
            state.open.insert(state.connections, copy);
            state.connections
        });
        let stream: Box<dyn Stream> = match config {
            None => Box::new(stream),
            Some(config) => {
                let tls = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
                Box::new(rustls::StreamOwned::new(tls, stream))
            }
        };
        Ok(Connection { shared, number, peer, stream: BufReader::new(stream) })
    }

    fn serve(mut self) {
        let result = self.exchange_all();
        self.shared.change(|state| {
            if let Some(stream) = state.open.remove(&self.number) {
                let _ = stream.shutdown(Shutdown::Both); // closed already: nothing to do
            }
        });
        if let Err(e) = result {
            let head = Head { line: format!("(connection broke: {e})"), headers: Vec::new() };
            self.log(Direction::FromAgent, head, b"", 0);
        }
    }

    /// Reads POSTs and answers them until one side closes.
    fn exchange_all(&mut self) -> io::Result<()> {
        while let Some(head) = http::read_head(&mut self.stream)? {
            if head.says("Expect", "100-continue") {
                self.stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let refusal = self.refusal(&head);
            let post = self.read_post(&head, refusal.is_none())?;
            let outcome = match (refusal, post) {
                (Some(refusal), _) => Outcome::Reply(refusal),
                (None, Err(what)) => {
                    self.shared.change(|state| state.last = format!("broke off: {what}"));
                    Outcome::Reply(Reply::status(400))
                }
                (None, Ok(post)) => self.judge(&head, post),
            };
            let (session, reply) = match outcome {
                Outcome::Reply(reply) => (None, reply),
                Outcome::OfSession(number, reply) => (Some(number), reply),
                Outcome::Drop => return Ok(()),
            };
            let manner = self.manner(&head);
            let coding = self.shared.state().options.coding;
            let sent = coding.map_or_else(|| reply.clone(), |coding| coding.reply(&reply));
            let written = http::write(self.stream.get_mut(), &sent, manner);
            if let Ok(head) = &written {
                self.log(Direction::ToAgent, head.clone(), &reply.body, sent.body.len() as u64);
            }
            if let Some(number) = session {
                self.confirm(number);
            }
            written?;
            if manner.close || self.shared.state().options.close_unsaid {
                return self.stream.get_mut().finish();
            }
        }
        Ok(())
    }

    /// The 401 for a request without a good answer to the challenge.
    fn refusal(&self, head: &Head) -> Option<Reply> {
        let state = &mut *self.shared.state();
        let asked = &state.options.authentication;
        let credentials = (state.options.username.as_str(), state.options.password.as_str());
        let verdict =
            state.guard.check(asked, credentials, ("POST", head.target()), head.header("Authorization"));
        verdict.err().map(|_| challenge(asked, &mut state.guard, false))
    }

    fn read_post(&mut self, head: &Head, good: bool) -> io::Result<Result<Post, String>> {
        let live = |state: &State| state.live.as_ref().is_some_and(|l| l.counting);
        let counting = good && live(&self.shared.state());
        let mut wire = Counted { input: http::body(head, &mut self.stream)?, bytes: 0 };
        if counting {
            let mut plain = BufReader::new(Counted { input: decoded(head, &mut wire)?, bytes: 0 });
            let count = soap::count(&mut plain);
            io::copy(&mut plain, &mut io::sink())?;
            let bytes = plain.get_ref().bytes;
            drop(plain);
            let wire = wire.bytes;
            self.log(Direction::FromAgent, head.clone(), b"(counted)", wire);
            return Ok(count.map(|count| Post::Counted(count, bytes)));
        }
        let mut bytes = Vec::new();
        let mut plain = decoded(head, &mut wire)?;
        (&mut plain).take(MAX_BODY).read_to_end(&mut bytes)?;
        let rest = io::copy(&mut plain, &mut io::sink())?;
        drop(plain);
        let wire = wire.bytes;
        self.log(Direction::FromAgent, head.clone(), &bytes, wire);
        if rest > 0 {
            return Ok(Err(format!("a body of {} bytes", bytes.len() as u64 + rest)));
        }
        if bytes.is_empty() {
            return Ok(Ok(Post::Empty));
        }
        Ok(soap::envelope(&bytes).map(|envelope| {
            let text = String::from_utf8_lossy(&bytes).into_owned(); // parsed, so it is UTF-8
            Post::Envelope(Box::new(envelope), text)
        }))
    }

    /// Hands a POST to its session and waits for the reply.
    fn judge(&self, head: &Head, post: Post) -> Outcome {
        let begins = post.name() == "Inform";
        if let Some(outcome) = self.incident(&post, begins) {
            return outcome;
        }
        let begun = self.shared.change(|state| match begins {
            true => Ok(state.begin(post.clone())),
            false => state.go_on(head, post.clone()),
        });
        let number = match begun {
            Ok(number) => number,
            Err(reply) => return Outcome::Reply(reply),
        };
        let time = self.shared.state().options.patience;
        let reply = self.shared.wait(time, |state| {
            if state.stopping {
                return Some(None);
            }
            match state.live.as_ref() {
                Some(live) if live.number == number => live.reply.clone().map(Some),
                _ => Some(None),
            }
        });
        match reply {
            Some(Some(reply)) => {
                let state = self.shared.state();
                let cookies = begins && state.options.cookies;
                let reply = if cookies {
                    let own = format!("{}; Path=/", session_cookie(number));
                    reply.with("Set-Cookie", own).with("Set-Cookie", format!("{ROUTE_COOKIE}; HttpOnly"))
                } else {
                    reply
                };
                Outcome::OfSession(number, reply)
            }
            Some(None) => Outcome::Drop,
            None => {
                let what = format!("broke off: the test left {} without an answer", post.name());
                self.shared.change(|state| state.end(number, &what));
                Outcome::Reply(Reply::status(503))
            }
        }
    }

    /// What the script has for this POST in place of an answer; `None` lets it through.
    fn incident(&self, post: &Post, begins: bool) -> Option<Outcome> {
        let incident = {
            let state = &mut *self.shared.state();
            let number = if begins { 1 } else { state.live.as_ref().map_or(1, |l| l.posts + 1) };
            let at = state.incidents.iter().position(|(n, _)| *n == number)?;
            state.incidents.remove(at).1
        };
        let id = match post {
            Post::Envelope(envelope, _) => envelope.id.clone(),
            _ => None,
        };
        Some(Outcome::Reply(match incident {
            Incident::Status(status) => Reply::status(status),
            Incident::Reply(reply) => reply,
            Incident::Redirect(status, to) => Reply::status(status).with("Location", to),
            Incident::Fault(code) => {
                let dialect = &self.shared.state().options.dialect;
                let id = dialect.answer_id(id.as_deref());
                Reply::envelope(dialect.envelope(id, &dialect.fault(code)))
            }
            Incident::StaleNonce => {
                let state = &mut *self.shared.state();
                challenge(&state.options.authentication, &mut state.guard, true)
            }
            Incident::Drop => return Some(Outcome::Drop),
            Incident::Silence => {
                let forever = Duration::from_secs(3600);
                self.shared.wait(forever, |state| (state.released || state.stopping).then_some(()));
                return None;
            }
        }))
    }

    /// The reply of a session is written: the next POST may come.
    fn confirm(&self, number: usize) {
        self.shared.change(|state| {
            if let Some(live) = state.live.as_mut().filter(|l| l.number == number) {
                live.reply = None;
                live.post = None;
            }
        });
    }

    fn manner(&self, head: &Head) -> Manner {
        let options = &self.shared.state().options;
        Manner {
            chunk: options.chunk,
            close: options.close_each || head.says("Connection", "close"),
            lower_case: options.lower_case_headers,
            interim: options.interim_100,
        }
    }

    fn log(&self, direction: Direction, head: Head, body: &[u8], wire: u64) {
        if direction == Direction::FromAgent {
            keep(body);
        }
        let body = String::from_utf8_lossy(&body[..body.len().min(MAX_LOGGED)]).into_owned();
        let message = Message { direction, connection: self.number, peer: self.peer, head, body, wire };
        self.shared.change(|state| state.log.push(message));
    }
}

/// With `CWMPD_MESSAGES` every envelope that the agent sends is kept in that folder, to be held
/// against the schemas afterwards.
fn keep(body: &[u8]) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let Some(folder) = std::env::var_os("CWMPD_MESSAGES").filter(|_| !body.is_empty()) else { return };
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = Path::new(&folder).join(format!("{}-{number}.xml", std::process::id()));
    std::fs::write(&file, body).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
}

/// Counts the bytes that pass.
struct Counted<R> {
    input: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(out)?;
        self.bytes += n as u64;
        Ok(n)
    }
}
