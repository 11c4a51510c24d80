//! The worker: one thread that does one step of one transfer. It touches neither tree nor journal:
//! arguments in, one [`Event`] back. Every wait of it can be woken.

use super::apply::Failed;
use super::verify::{self, Expected, Hasher, Key, MAX_SIGNATURE};
use crate::model::fault::{Code, Fault};
use crate::net::transfer::{self as net, Failure, Limits, Meter, Request, Tee};
use crate::sys::clock::Now;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// rustls and ureq are the deepest callers: 48 KiB overflow in a build without optimization, 96 do not.
const STACK: usize = 256 * 1024;

/// Work of any kind, with what shows how far it is and the end of the pipe that wakes it.
pub type Run = Box<dyn FnOnce(&Meter, OwnedFd) -> Event + Send>;

/// What is to be done.
pub enum Job {
    /// Fetches a file.
    Fetch(Box<Fetch>),
    /// Looks whether it is what it should be.
    Verify(Box<Verify>),
    /// Anything else.
    Run(Run),
}

/// What is fetched.
pub struct Fetch {
    /// From where, with which credentials and bounds.
    pub request: Request,
    /// FileSize, a hint; 0 for unknown.
    pub size: u64,
    /// Whereto.
    pub file: PathBuf,
    /// Whether its SHA-256 will be wanted.
    pub hash: bool,
}

/// A test of the platform's own; it gives up as soon as something can be read, or the pipe is closed.
pub type Check = Box<dyn FnOnce(BorrowedFd<'_>) -> Result<(), Failed> + Send>;

/// What is looked at.
pub struct Verify {
    /// The file, fetched whole.
    pub file: PathBuf,
    /// How a signature beside it is fetched.
    pub request: Request,
    /// From the URL's fragment.
    pub sha256: Option<[u8; 32]>,
    /// What it was while the file came.
    pub hashed: Option<[u8; 32]>,
    /// A firmware image.
    pub image: bool,
    /// `transfer.trusted_keys`.
    pub keys: Vec<Key>,
    /// Certificates are held against it.
    pub now: Now,
    /// The platform's own test; it is woken as the worker is.
    pub check: Option<Check>,
}

/// How it ended.
#[derive(Debug)]
pub enum Event {
    /// The file is there.
    Fetched {
        /// Its length, bytes.
        bytes: u64,
        /// When it was asked for.
        sha256: Option<[u8; 32]>,
    },
    /// The file is as it should be.
    Verified {
        /// The version that the image itself names.
        version: Option<String>,
    },
    /// The file was made use of.
    Applied,
    /// The file was sent.
    Sent {
        /// Its length, bytes.
        bytes: u64,
    },
    /// It did not work.
    Failed(Fault),
    /// It was woken, and gave up.
    Stopped,
}

impl From<Failed> for Event {
    fn from(failed: Failed) -> Event {
        match failed {
            Failed::Stopped => Event::Stopped,
            Failed::Fault(fault) => Event::Failed(fault),
        }
    }
}

impl From<Failure> for Event {
    fn from(failure: Failure) -> Event {
        match failure {
            Failure::Stopped => Event::Stopped,
            Failure::Status(_, fault) | Failure::Fault(fault) => Event::Failed(fault),
        }
    }
}

/// The engine's end of a worker. Dropping it wakes every wait of the thread.
pub struct Worker {
    /// How far it is.
    pub meter: Arc<Meter>,
    wake: Option<OwnedFd>,
}

impl Worker {
    /// Starts it; `tell` is called once, with how it ended.
    ///
    /// # Errors
    /// No pipe or no thread could be had.
    pub fn start(job: Job, tell: impl FnOnce(Event) + Send + 'static) -> io::Result<Worker> {
        let (waked, wake) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let meter = Arc::new(Meter::default());
        let shown = Arc::clone(&meter);
        thread::Builder::new()
            .name("transfer".into())
            .stack_size(STACK)
            .spawn(move || tell(run(job, &shown, waked)))?;
        Ok(Worker { meter, wake: Some(wake) })
    }

    /// Wakes it: it gives up as soon as it can.
    pub fn stop(&mut self) {
        self.wake = None;
    }
}

fn run(job: Job, meter: &Meter, wake: OwnedFd) -> Event {
    match job {
        Job::Fetch(job) => fetch(*job, meter, wake),
        Job::Verify(job) => match verified(*job, wake) {
            Ok(version) => Event::Verified { version },
            Err(failure) => failure.into(),
        },
        Job::Run(run) => run(meter, wake),
    }
}

/// Hashes what passes by.
struct Hash(Option<Hasher>);

impl Tee for Hash {
    fn anew(&mut self) {
        self.0 = self.0.take().map(|_| Hasher::default());
    }

    fn piece(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.0 {
            hasher.update(bytes);
        }
    }
}

fn fetch(job: Fetch, meter: &Meter, wake: OwnedFd) -> Event {
    let mut hash = Hash(job.hash.then(Hasher::default));
    match net::get(job.request, job.size, &job.file, meter, &mut hash, wake) {
        Ok(got) => Event::Fetched { bytes: got.bytes, sha256: hash.0.map(Hasher::finish) },
        Err(failure) => failure.into(),
    }
}

fn verified(job: Verify, wake: OwnedFd) -> Result<Option<String>, Failure> {
    let beside = match job.image && !job.keys.is_empty() && !verify::is_signed(&job.file) {
        true => beside(job.request, &job.file, &wake)?,
        false => None,
    };
    let expected =
        Expected { sha256: job.sha256, hashed: job.hashed, image: job.image, keys: &job.keys, now: job.now };
    let verified = verify::verify(&job.file, &expected, beside.as_deref()).map_err(Failure::Fault)?;
    if let Some(key) = verified.signed_by {
        log::info!("the image is signed by key {key}");
    }
    if let Some(check) = job.check {
        check(wake.as_fd()).map_err(|failed| match failed {
            Failed::Stopped => Failure::Stopped,
            Failed::Fault(fault) => Failure::Fault(fault),
        })?;
    }
    Ok(verified.version)
}

/// The signature beside an image: `<url>.sig`; `None` when there is none.
fn beside(mut request: Request, image: &Path, wake: &OwnedFd) -> Result<Option<Vec<u8>>, Failure> {
    let file = image.with_extension("sig");
    request.options.url = sig_of(&request.options.url);
    request.limits = Limits { max_bytes: MAX_SIGNATURE as u64, ..request.limits };
    let cannot = |error: io::Error| {
        let text = format!("the signature beside the image: {error}");
        Failure::Fault(Fault::new(Code::TRANSFER_FAILURE, text))
    };
    let wake = wake.try_clone().map_err(cannot)?;
    match net::get(request, 0, &file, &Meter::default(), &mut (), wake) {
        Ok(_) => {
            let mut bytes = Vec::new();
            let read = std::fs::File::open(&file)
                .and_then(|open| open.take(MAX_SIGNATURE as u64).read_to_end(&mut bytes));
            let _ = std::fs::remove_file(&file);
            read.map(|_| Some(bytes)).map_err(cannot)
        }
        // Nothing lies there, as far as we are told.
        Err(Failure::Status(400..=499, _)) => Ok(None),
        Err(Failure::Stopped) => Err(Failure::Stopped),
        Err(Failure::Status(_, fault) | Failure::Fault(fault)) => {
            let text = format!("the signature beside the image: {}", fault.text);
            // An answer that is too long to be a signature is none.
            let code = match fault.code {
                Code::TRANSFER_FAILURE => Code::FILE_AUTHENTICATION,
                code => code,
            };
            Err(Failure::Fault(Fault::new(code, text)))
        }
    }
}

/// The place of the signature beside a file; its query, if there is one, stays at the end.
fn sig_of(url: &str) -> String {
    let whole = url.split('#').next().unwrap_or_default();
    match whole.split_once('?') {
        Some((path, query)) => format!("{path}.sig?{query}"),
        None => format!("{whole}.sig"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn the_signature_lies_beside_the_image() {
        for (url, sig) in [
            ("http://h/a.bin", "http://h/a.bin.sig"),
            ("http://h/a.bin#sha256=00", "http://h/a.bin.sig"),
            ("http://h/a.bin?token=b.c#x", "http://h/a.bin.sig?token=b.c"),
        ] {
            assert_eq!(sig_of(url), sig);
        }
    }

    #[test]
    fn a_worker_is_woken_and_says_so_once() {
        let (told, events) = channel();
        let job = Job::Run(Box::new(|_, wake| {
            let mut byte = [0];
            assert_eq!(nix::unistd::read(&wake, &mut byte), Ok(0), "closed");
            Event::Stopped
        }));
        let mut worker = Worker::start(job, move |event| told.send(event).unwrap()).unwrap();
        worker.stop();
        let event = events.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(matches!(event, Event::Stopped), "{event:?}");
        assert!(events.recv().is_err(), "once");
    }
}
