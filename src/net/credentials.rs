//! Which challenges of the ACS are answered, how, and when to stop (S-11 to S-20).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::client::Options;
use super::digest::{self, Answering, Challenge, MAX_CHALLENGES};
use super::error::Error;
use super::url::Url;

/// How many challenges of one place are answered for one request (S-18): a plain one, and a stale nonce
/// behind it. Beyond it the session fails. A redirect to another place begins anew, and of those
/// there are few.
pub const MAX_ANSWERS: u32 = 2;

/// What is sent to the origin that challenged.
enum Scheme {
    Digest(Answering),
    /// The whole header value.
    Basic(String),
}

/// Our credentials and what they are used for in this session.
pub struct Credentials {
    username: String,
    password: String,
    /// The session began over http: whoever sits on the way could have redirected it to an https of
    /// his own, so there Basic is no safer (S-12).
    clear: bool,
    basic_over_http: bool,
    /// The origin that challenged us: nobody else gets an answer.
    answering: Option<(Url, Scheme)>,
    /// The one place that may ask for them, when there is but one; and its host by https.
    home: Option<Url>,
    cnonce: String,
    /// Challenges answered for the present request, at the present place.
    answers: u32,
}

impl Credentials {
    /// Refuses what a header cannot carry. `https` says how the session begins.
    pub fn new(options: &Options, https: bool) -> Result<Credentials, Error> {
        if !digest::is_speakable(&options.username) {
            let text = "the user name holds a character other than visible ASCII";
            return Err(Error::Credentials(text.to_string()));
        }
        Ok(Credentials {
            username: options.username.clone(),
            password: options.password.clone(),
            clear: !https,
            basic_over_http: options.basic_over_http,
            answering: None,
            home: None,
            cnonce: String::new(),
            answers: 0,
        })
    }

    /// A new request: it may be challenged again.
    pub fn begin(&mut self) {
        self.answers = 0;
    }

    /// From now on only this place is answered, and the same host by https: whom it redirects to is nobody
    /// whom the ACS named with these credentials.
    pub fn keep_to(&mut self, home: Url) {
        self.home = Some(home);
    }

    /// Whether that is a place that may ask for them.
    pub fn are_for(&self, url: &Url) -> bool {
        let is_home = |home: &Url| home.same_origin(url) || (home.host == url.host && url.https);
        self.home.as_ref().is_none_or(is_home)
    }

    /// A new connection has a new cnonce (S-17).
    pub fn new_connection(&mut self) -> Result<(), Error> {
        self.cnonce = digest::random_hex::<16>()
            .map_err(|e| Error::Authentication(format!("no random cnonce: {e}")))?;
        if let Some((_, Scheme::Digest(answering))) = &mut self.answering {
            answering.set_cnonce(&self.cnonce);
        }
        Ok(())
    }

    /// The value of `Authorization` for a request, once its origin has challenged us (S-13).
    pub fn header(&mut self, url: &Url, method: &str) -> Option<String> {
        match &mut self.answering {
            Some((origin, scheme)) if origin.same_origin(url) => Some(match scheme {
                Scheme::Basic(value) => value.clone(),
                Scheme::Digest(answering) => {
                    answering.authorization(&self.username, &self.password, method, &url.target)
                }
            }),
            _ => None,
        }
    }

    /// The last header was never sent.
    pub fn take_back(&mut self, url: &Url) {
        if let Some((origin, Scheme::Digest(answering))) = &mut self.answering
            && origin.same_origin(url)
        {
            answering.take_back();
        }
    }

    /// `Authentication-Info` of a response (S-20).
    pub fn next_nonce(&mut self, url: &Url, info: &str) {
        let parsed = digest::parse(&format!("Digest {info}"));
        let next = parsed.first().and_then(|c| c.get("nextnonce"));
        if let (Some(next), Some((origin, Scheme::Digest(answering)))) = (next, &mut self.answering)
            && origin.same_origin(url)
        {
            answering.set_nonce(next);
        }
    }

    /// Takes the strongest challenge of a 401 up (S-19); the POST is to be sent again when this is
    /// `Ok`. One plain challenge is answered a POST, and one stale nonce more (S-18).
    pub fn challenged(&mut self, url: &Url, headers: &[String]) -> Result<(), Error> {
        let same = |(origin, _): &(Url, Scheme)| origin.same_origin(url);
        if !self.answering.as_ref().is_some_and(same) {
            self.begin(); // led here by a redirect
        }
        let challenges: Vec<Challenge> =
            headers.iter().flat_map(|h| digest::parse(h)).take(MAX_CHALLENGES).collect();
        let strongest = strongest(&challenges, &self.cnonce);
        let stale = |c: &Challenge| c.get("stale").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let is_stale = strongest.as_ref().is_some_and(|(c, _)| stale(c));
        if self.answers >= MAX_ANSWERS || (self.answers > 0 && !is_stale) {
            let text = format!("{} refused our user name or password (401)", url.host);
            return Err(Error::Authentication(text));
        }
        self.answers += 1;
        if self.username.is_empty() && self.password.is_empty() {
            let text = format!("{} asks for credentials, and none are set", url.host);
            return Err(Error::Authentication(text));
        }
        if let Some(home) = self.home.as_ref().filter(|_| !self.are_for(url)) {
            let text = format!("{} asks for credentials that are for {} alone", url.host, home.host);
            return Err(Error::Authentication(text));
        }
        let scheme = match strongest {
            Some((_, answering)) => Scheme::Digest(answering),
            None => Scheme::Basic(self.basic(url, &challenges)?),
        };
        self.answering = Some((url.clone(), scheme));
        Ok(())
    }

    fn basic(&self, url: &Url, challenges: &[Challenge]) -> Result<String, Error> {
        let refused = |text: String| Err(Error::Authentication(text));
        let host = &url.host;
        if !challenges.iter().any(|c| c.scheme == "basic") {
            let schemes: Vec<&str> = challenges.iter().map(|c| c.scheme.as_str()).collect();
            return refused(match schemes.as_slice() {
                [] => format!("{host} answered 401 without a challenge"),
                list => format!("{host} asks in ways that are not known: {}", list.join(", ")),
            });
        }
        if (self.clear || !url.https) && !self.basic_over_http {
            return refused(format!(
                "{host} asks for Basic over http, which would show the password (acs.basic_over_http)"
            ));
        }
        if self.username.contains(':') {
            return refused(format!("{host} asks for Basic, and the user name holds a colon"));
        }
        let pair = format!("{}:{}", self.username, self.password);
        Ok(format!("Basic {}", STANDARD.encode(pair)))
    }
}

/// The Digest challenge to answer: the first with SHA-256, else the first with MD5.
fn strongest<'a>(list: &'a [Challenge], cnonce: &str) -> Option<(&'a Challenge, Answering)> {
    let known = |c: &'a Challenge| Some((c, Answering::new(c, cnonce)?));
    // max_by_key gives the last of equals
    let rank = |(_, a): &(&Challenge, Answering)| a.algorithm().is_sha256();
    list.iter().rev().filter_map(known).max_by_key(rank)
}
