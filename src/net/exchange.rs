//! Requests and the heads of their answers, one after the other, on one connection that is continued on a
//! new one when the server closes it; Digest and Basic, redirects. What a request is and what becomes of a
//! body is for those above: the ACS client and the transfers of files.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::{AutoHeaderValue, Config};
use ureq::http::{HeaderMap, StatusCode, header};
use ureq::{Agent, RequestBuilder};

use super::buffer::{BUFFER, MAX_HEAD};
use super::client::Options;
use super::connector::{Handover, NoLookup, Opener};
use super::credentials::Credentials;
use super::error::{Error, Reached};
use super::shared::{Bounds, Note, Shared};
use super::url::Url;

/// The most redirects in a row that are followed (T-25, X-35).
pub const MAX_REDIRECTS: u32 = 5;
/// The most headers of a response; more fail the session. (ureq itself stops at 128.)
pub const MAX_HEADERS: usize = 100;
/// The most of a challenge's or redirect's own body that is read to keep the connection.
const MAX_IGNORED: u64 = 64 * 1024;
/// The most of an error's body that is told.
const MAX_WORDS: usize = 96;
/// How long a server may take to say whether it wants a body (`Expect: 100-continue`); then it is sent.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// What a server answered, its body not yet read.
pub type Answer = ureq::http::Response<ureq::Body>;

/// A request that can be sent several times: again after a challenge, a redirect or a dead connection.
pub trait Request {
    /// `POST`: what a Digest answer is computed for.
    fn method(&self) -> &'static str;
    /// The statuses whose Location is followed, with the same method and body.
    fn follows(&self) -> &'static [u16];
    /// Puts it on the connection, and waits for the head of the answer.
    fn send(&mut self, agent: &Agent, head: &Head<'_>) -> Result<Answer, ureq::Error>;
    /// The body is wanted again, from its first byte.
    fn rewind(&mut self) -> io::Result<()>;
    /// The head of each answer, in between ones included.
    fn head_came(&mut self, _from: &Url, _headers: &HeaderMap) {}
}

/// What is the same in the head of every request.
pub struct Head<'a> {
    /// Where it goes.
    pub url: &'a Url,
    user_agent: &'a str,
    authorization: Option<String>,
    response: Duration,
}

impl Head<'_> {
    /// Writes it.
    pub fn onto<Any>(&self, request: RequestBuilder<Any>) -> RequestBuilder<Any> {
        let request = request
            .config()
            .timeout_recv_response(Some(self.response))
            .build()
            .header_raw("Host", self.url.authority().as_bytes())
            .header_raw("User-Agent", self.user_agent.as_bytes());
        match &self.authorization {
            Some(value) => request.header_raw("Authorization", value.as_bytes()),
            None => request,
        }
    }

    /// Whether the server has challenged us, and this answers it.
    pub fn is_authorized(&self) -> bool {
        self.authorization.is_some()
    }
}

/// One server, or several that lead to each other; see the module.
pub struct Exchange {
    options: Options,
    shared: Arc<Shared>,
    opener: Opener,
    agent: Agent,
    /// Where requests go: after a redirect, the new place from then on (T-24).
    url: Url,
    credentials: Credentials,
    local_address: Option<SocketAddr>,
    peer_address: Option<SocketAddr>,
    /// How long a response may take: the configuration's time, or what the ACS said (T-8).
    response: Duration,
}

impl Exchange {
    /// Connects at the first request or by [`Exchange::connect`]. `wake` is the read end of a pipe: as soon
    /// as it is readable (or closed) every wait ends with [`Error::Woken`].
    pub fn new(options: Options, bounds: Bounds, wake: OwnedFd) -> Result<Exchange, Error> {
        let url = Url::parse(&options.url).map_err(|why| Error::Url(why.to_string()))?;
        if !options.user_agent.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Err(Error::Credentials("the user agent's name is not ASCII".to_string()));
        }
        let credentials = Credentials::new(&options, url.https)?;
        let shared = Arc::new(Shared::new(wake, options.timeouts, bounds));
        let mut opener = Opener::new(&options, Arc::clone(&shared));
        if url.https {
            opener.prepare_tls(&options)?;
        }
        let handover = Handover(Arc::clone(&shared));
        Ok(Exchange {
            agent: Agent::with_parts(settings(&options), handover, NoLookup),
            response: options.timeouts.response,
            options,
            shared,
            opener,
            url,
            credentials,
            local_address: None,
            peer_address: None,
        })
    }

    /// From now on only the present place learns the credentials, and the same host by https.
    pub fn keep_credentials_here(&mut self) {
        self.credentials.keep_to(self.url.clone());
    }

    /// The server says how long to wait for its responses.
    pub fn wait_for_responses(&mut self, wait: Duration) {
        self.response = wait;
    }

    /// What its connections share with it.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Where the last request went.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The local address of the last connection.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }

    /// The other end of it.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer_address
    }

    /// Sends a request until it has an answer that is neither a challenge (S-11 to S-20) nor a redirect that
    /// is followed (T-22 to T-30).
    pub fn ask(&mut self, request: &mut dyn Request) -> Result<Answer, Error> {
        self.credentials.begin();
        let mut redirects = 0;
        loop {
            let answer = self.once(request)?;
            match answer.status() {
                StatusCode::UNAUTHORIZED => {
                    let challenges = texts(answer.headers(), header::WWW_AUTHENTICATE);
                    self.credentials.challenged(&self.url, &challenges)?;
                    self.ignore(answer)?;
                }
                status if request.follows().contains(&status.as_u16()) => {
                    redirects += 1;
                    let target = self.target(answer.headers(), redirects)?;
                    self.ignore(answer)?;
                    log::info!("{} redirects to {}://{}", self.url.host, target.scheme(), target.authority());
                    if target.https {
                        // Who we are is for the place that was named, as the credentials are.
                        if !self.credentials.are_for(&target)
                            && self.options.client_certificate.take().is_some()
                        {
                            self.opener.forget_tls();
                        }
                        self.opener.prepare_tls(&self.options)?;
                    }
                    self.url = target;
                }
                _ => return Ok(answer),
            }
            request.rewind().map_err(rendering)?;
        }
    }

    /// One request and the head of its response, on the connection at hand if there is one. When
    /// that turns out to be dead before anything was answered, once more on a new one (T-4).
    fn once(&mut self, request: &mut dyn Request) -> Result<Answer, Error> {
        let mut fresh = self.shared.note().ready.is_some();
        loop {
            self.shared.check()?;
            let result = self.send(request);
            let (failure, broken, received, wanted) = {
                let mut note = self.shared.note();
                note.ready = None;
                (note.failure.take(), note.broken, note.received, note.wanted)
            };
            let error = match result {
                Ok(answer) if answer.headers().len() > MAX_HEADERS => {
                    return Err(Error::TooLarge(format!("a response with more than {MAX_HEADERS} headers")));
                }
                Ok(answer) => {
                    self.shared.came(Reached::Answered(answer.status().as_u16()));
                    for text in
                        texts(answer.headers(), header::HeaderName::from_static("authentication-info"))
                    {
                        self.credentials.next_nonce(&self.url, &text);
                    }
                    request.head_came(&self.url, answer.headers());
                    return Ok(answer);
                }
                Err(_) if wanted && !fresh => {
                    self.credentials.take_back(&self.url);
                    self.connect()?;
                    fresh = true;
                    continue;
                }
                Err(error) => error,
            };
            if !broken || received || fresh {
                return Err(failure.unwrap_or_else(|| plain(error)));
            }
            log::debug!("{} has closed the connection: the request is sent again", self.url.host);
            request.rewind().map_err(rendering)?;
            self.connect()?;
            fresh = true;
        }
    }

    /// Opens a connection, which the next request will use.
    pub fn connect(&mut self) -> Result<(), Error> {
        let line = self.opener.open(&self.url)?;
        (self.local_address, self.peer_address) = (line.local_address(), line.peer_address());
        self.shared.note().ready = Some(line);
        self.credentials.new_connection()
    }

    fn send(&mut self, request: &mut dyn Request) -> Result<Answer, ureq::Error> {
        let ready = self.shared.note().ready.take();
        *self.shared.note() = Note { ready, ..Default::default() };
        let head = Head {
            url: &self.url,
            user_agent: &self.options.user_agent,
            authorization: self.credentials.header(&self.url, request.method()),
            response: self.response,
        };
        request.send(&self.agent, &head)
    }

    /// Where a redirect leads (T-25, T-28, T-30).
    fn target(&self, headers: &HeaderMap, redirects: u32) -> Result<Url, Error> {
        let refused = |why: &str| Error::Redirect(format!("{} {why}", self.url.host));
        if redirects > MAX_REDIRECTS {
            return Err(refused(&format!("leads to more than {MAX_REDIRECTS} redirects in a row")));
        }
        let locations = texts(headers, header::LOCATION);
        let location = locations
            .first()
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| refused("gives no Location"))?;
        let target = self
            .url
            .join(location)
            .map_err(|why| refused(&format!("gives a Location that is no use: {why}")))?;
        if self.url.https && !target.https {
            return Err(refused("leads from https to http"));
        }
        Ok(target)
    }

    /// The first words of an error's body, when they are plain ASCII and no page of markup.
    pub fn words(&self, mut answer: Answer) -> String {
        let mut body = [0; MAX_WORDS];
        let mut length = 0;
        let mut reader = answer.body_mut().as_reader();
        while let Some(room) = body.get_mut(length..).filter(|room| !room.is_empty()) {
            // A body that breaks off says as much as came.
            match reader.read(room) {
                Ok(0) | Err(_) => break,
                Ok(more) => length += more,
            }
        }
        let text = body.get(..length).unwrap_or(&[]).trim_ascii();
        let line = text.split(|b| *b == b'\r' || *b == b'\n').next().unwrap_or(&[]);
        match std::str::from_utf8(line) {
            Ok(line) if !line.starts_with('<') && line.bytes().all(|b| matches!(b, b' '..=b'~')) => {
                line.to_owned()
            }
            _ => String::new(),
        }
    }

    /// Reads a body that nobody wants, so that its connection can be used again (T-5).
    fn ignore(&self, mut answer: Answer) -> Result<(), Error> {
        let mut reader = answer.body_mut().as_reader().take(MAX_IGNORED + 1); // its end is seen too
        match io::copy(&mut reader, &mut io::sink()) {
            Ok(_) => Ok(()),
            Err(e) => match self.failure(e) {
                // the next request goes by a new connection
                Error::Broken(_) => Ok(()),
                other => Err(other),
            },
        }
    }

    /// Why a body could not be read.
    pub fn failure(&self, e: io::Error) -> Error {
        let failure = self.shared.note().failure.take();
        failure.unwrap_or_else(|| Error::Broken(format!("the response's body: {e}")))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // a connection that waits there holds the note itself
        self.shared.note().ready = None;
    }
}

fn settings(options: &Options) -> Config {
    Config::builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .input_buffer_size(BUFFER)
        .output_buffer_size(BUFFER)
        .max_response_header_size(MAX_HEAD + BUFFER)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .max_idle_age(options.timeouts.session)
        .timeout_await_100(Some(CONTINUE_WAIT))
        .build()
}

/// Our own body could not be made.
pub fn rendering(e: io::Error) -> Error {
    Error::Broken(format!("our own body cannot be rendered: {e}"))
}

/// The values of a header, as far as they are text.
pub fn texts(headers: &HeaderMap, name: header::HeaderName) -> Vec<String> {
    let text = |v: &header::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
    headers.get_all(name).iter().map(text).collect()
}

/// An error of ureq's own, where the connection had none to tell.
fn plain(error: ureq::Error) -> Error {
    match error {
        ureq::Error::Timeout(ureq::Timeout::RecvResponse) => Error::Timeout("waiting for the response"),
        ureq::Error::LargeResponseHeader(..) => Error::TooLarge("the head of a response".to_string()),
        ureq::Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Error::Broken("the server closed the connection without a response".to_string())
        }
        ureq::Error::Io(e) => rendering(e),
        ureq::Error::Protocol(e) => Error::Broken(format!("the response is malformed: {e}")),
        other => Error::Broken(other.to_string()),
    }
}
