//! The sockets of the file server: a thread for each connection, and what they share with the test.

use super::answer::{self, End};
use super::{Manner, Request};
use crate::acs::http::{self, Head};
use crate::acs::{Authentication, Guard, Identity, Tls, tls};
use nix::sys::socket::{setsockopt, sockopt::Linger};
use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A file, and how it is given away.
#[derive(Clone, Debug)]
pub struct Entry {
    pub content: Arc<[u8]>,
    pub etag: Option<String>,
    pub next: VecDeque<Manner>,
    pub always: Manner,
    pub protection: Option<(Authentication, String, String)>,
    /// Whether gates let through.
    pub open: bool,
    /// Requests that wait at a gate or in silence.
    pub waiting: usize,
}

impl Default for Entry {
    fn default() -> Entry {
        Entry {
            content: Arc::from(&[][..]),
            etag: None,
            next: VecDeque::new(),
            always: Manner::Good,
            protection: None,
            open: false,
            waiting: 0,
        }
    }
}

/// What threads and test share.
#[derive(Default)]
pub struct State {
    pub entries: HashMap<String, Entry>,
    pub uploaded: HashMap<String, Vec<u8>>,
    pub requests: Vec<Request>,
    pub connections: usize,
    pub versions: u32,
    pub guard: Guard,
    pub open: HashMap<usize, TcpStream>,
    pub stopping: bool,
}

impl State {
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.requests.iter().filter(|r| r.method == method && r.path() == path).count()
    }
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
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())?;
            state = match self.changed.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// The running server.
pub struct Server {
    pub address: SocketAddr,
    pub identity: Option<Identity>,
    pub shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens.
    pub fn start(tls: Option<&Tls>) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback");
        let address = listener.local_addr().expect("bound");
        let (config, identity) = tls.map(tls::prepare).unzip();
        let shared = Arc::new(Shared::default());
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
                        let _ = serve(&shared, stream, config);
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
pub trait Stream: Read + Write {
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

/// One connection to its end.
fn serve(shared: &Shared, tcp: TcpStream, config: Option<Arc<rustls::ServerConfig>>) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let (copy, raw) = (tcp.try_clone()?, tcp.try_clone()?);
    let number = shared.change(|state| {
        state.connections += 1;
        state.open.insert(state.connections, copy);
        state.connections
    });
    let stream: Box<dyn Stream> = match config {
        None => Box::new(tcp),
        Some(config) => {
            let tls = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
            Box::new(rustls::StreamOwned::new(tls, tcp))
        }
    };
    let mut stream = BufReader::new(stream);
    let mut end = Ok(End::Close);
    while let Ok(Some(head)) = http::read_head(&mut stream) {
        end = one(shared, number, &head, &mut stream);
        match end {
            Ok(End::GoOn) => {}
            _ => break,
        }
    }
    shared.change(|state| state.open.remove(&number));
    match end {
        Ok(End::Reset) => {
            // closing with a linger of zero sends RST
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            let _ = setsockopt(&raw, Linger, &linger);
        }
        Ok(End::HalfClose) => {
            let _ = raw.shutdown(Shutdown::Write);
            let _ = io::copy(&mut stream, &mut io::sink()); // until the client closes, too
        }
        // No shutdown of what may still be read: the last bytes must arrive before the end does.
        _ => {
            if let Ok(End::Finish) = end {
                let _ = stream.get_mut().finish();
            }
            let _ = raw.shutdown(Shutdown::Write);
        }
    }
    Ok(())
}

/// One request.
fn one(
    shared: &Shared,
    connection: usize,
    head: &Head,
    stream: &mut BufReader<Box<dyn Stream>>,
) -> io::Result<End> {
    let mut words = head.line.split(' ').map(str::to_string);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let request = Request {
        connection,
        method,
        target,
        headers: head.headers.clone(),
        body: Vec::new(),
        status: 0,
        sent: 0,
    };
    let path = request.path().to_string();
    let authorization = head.header("Authorization");
    let (index, entry, manner) = shared.change(|state| {
        state.requests.push(request.clone());
        let index = state.requests.len() - 1;
        let Some(entry) = state.entries.get_mut(&path) else {
            let known = request.method == "PUT";
            return (index, Entry::default(), if known { Manner::Good } else { Manner::Status(404) });
        };
        if let Some((asked, username, password)) = entry.protection.clone() {
            let guard = &mut state.guard;
            let pair = (username.as_str(), password.as_str());
            if guard.check(&asked, pair, (&request.method, &request.target), authorization).is_err() {
                return (index, entry.clone(), Manner::Refuse(asked));
            }
        }
        let manner = entry.next.pop_front().unwrap_or_else(|| entry.always.clone());
        (index, entry.clone(), manner)
    });
    let mut exchange = answer::Exchange { shared, index, path, request, entry };
    exchange.answer(&manner, head, stream)
}
