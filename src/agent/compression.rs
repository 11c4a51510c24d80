//! Whether the next session compresses its requests: what HTTPCompression says (T-32), unless the ACS has
//! shown that it cannot read them (T-33). That is remembered in memory only, for each ACS, until URL or
//! HTTPCompression change.

use crate::net::client::{Error, Options};

/// The most ACSs of which it is remembered; a further one drives the oldest out.
const MAX_KNOWN: usize = 8;

/// What an ACS makes of compressed requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    /// It answered one.
    Reads,
    /// It said 415, or nothing but plain requests were answered.
    Refuses,
    /// It failed at its first one with a status that may say so: a plain one will tell.
    Suspected,
}

/// What is known of the ACSs.
#[derive(Default)]
pub struct Compression {
    known: Vec<(String, Verdict)>,
    /// The URL of the session under way, and whether it compresses.
    session: Option<(String, bool)>,
    /// The last session failed by it.
    blamed: bool,
}

impl Compression {
    /// A session begins: what the ACS refused is not used.
    pub fn begin(&mut self, options: &mut Options) {
        self.blamed = false;
        self.session = options.compression.map(|_| {
            let compresses = !matches!(self.of(&options.url), Some(Verdict::Refuses | Verdict::Suspected));
            (options.url.clone(), compresses)
        });
        if !self.session.as_ref().is_some_and(|(_, compresses)| *compresses) {
            options.compression = None;
        }
    }

    /// The ACS answered a request.
    pub fn answered(&mut self) {
        let Some((url, compresses)) = self.session.clone() else { return };
        match (compresses, self.of(&url)) {
            (true, None) => self.keep(url, Some(Verdict::Reads)),
            (false, Some(Verdict::Suspected)) => self.keep(url, Some(Verdict::Refuses)),
            _ => {}
        }
    }

    /// The session failed at its wire.
    pub fn failed(&mut self, error: &Error) {
        let (Some((url, compresses)), Error::Status { code, compressed, .. }) = (self.session.clone(), error)
        else {
            return;
        };
        let verdict = match (self.of(&url), compresses) {
            (_, true) if *compressed && *code == 415 => Some(Verdict::Refuses),
            // What servers say to a body that they cannot make out. One that has read a compressed body
            // before means something else.
            (None, true) if *compressed && matches!(*code, 400 | 500 | 501) => Some(Verdict::Suspected),
            // It was not that.
            (Some(Verdict::Suspected), false) => None,
            _ => return,
        };
        self.blamed = verdict.is_some();
        if self.blamed {
            log::warn!("the next session with {url} sends its requests uncompressed");
        }
        self.keep(url, verdict);
    }

    /// Whether the last session failed, or may have failed, by compression: nothing else is to blame then,
    /// and the same ACS is asked again.
    pub fn is_blamed(&self) -> bool {
        self.blamed
    }

    /// URL or HTTPCompression changed: everybody is asked anew.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// What `status` says of the ACS at a URL.
    pub fn note(&self, url: &str) -> Option<String> {
        let refuses = matches!(self.of(url), Some(Verdict::Refuses | Verdict::Suspected));
        refuses.then(|| {
            "the ACS does not read compressed requests: HTTPCompression is not used until it or URL changes, or the \
             agent starts again"
                .to_owned()
        })
    }

    fn of(&self, url: &str) -> Option<Verdict> {
        self.known.iter().find(|(known, _)| known == url).map(|(_, verdict)| *verdict)
    }

    fn keep(&mut self, url: String, verdict: Option<Verdict>) {
        self.known.retain(|(known, _)| *known != url);
        self.known.extend(verdict.map(|verdict| (url, verdict)));
        let old = self.known.len().saturating_sub(MAX_KNOWN);
        self.known.drain(..old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::coding::Coding;

    /// One session: what the ACS says to its first request; whether it was compressed.
    fn session(compression: &mut Compression, url: &str, status: u16) -> bool {
        let mut options =
            Options { url: url.to_owned(), compression: Some(Coding::Gzip), ..Options::default() };
        compression.begin(&mut options);
        let compressed = options.compression.is_some();
        match status {
            200 => compression.answered(),
            0 => compression.failed(&Error::Broken(String::new())),
            code => {
                let text = String::new();
                compression.failed(&Error::Status { code, compressed, retry_after: None, text });
            }
        }
        compressed
    }

    // Proves: T-33
    #[test]
    fn t_33_what_is_made_of_an_answer() {
        let table: &[(&[(u16, bool)], bool)] = &[
            (&[(200, true), (200, true)], false),
            (&[(415, true), (200, false), (415, false), (503, false), (200, false)], true),
            (&[(200, true), (415, true), (200, false)], true),
            // No word of 415, and still it is compression that it cannot do.
            (&[(400, true), (200, false), (500, false), (200, false)], true),
            (&[(500, true), (200, false), (200, false)], true),
            // Out of order, compressed or not.
            (
                &[
                    (500, true),
                    (500, false),
                    (500, true),
                    (501, false),
                    (200, true),
                    (500, true),
                    (200, true),
                ],
                false,
            ),
            (&[(500, true), (0, false), (0, false), (200, false), (200, false)], true),
            (&[(503, true), (404, true), (0, true), (401, true), (200, true)], false),
        ];
        for (story, noted) in table {
            let mut compression = Compression::default();
            for (at, (status, compressed)) in story.iter().enumerate() {
                assert_eq!(
                    session(&mut compression, "http://acs/", *status),
                    *compressed,
                    "{at} of {story:?}"
                );
            }
            assert_eq!(compression.note("http://acs/").is_some(), *noted, "{story:?}");
            compression.forget();
            assert!(session(&mut compression, "http://acs/", 200), "asked anew after {story:?}");
        }
    }

    #[test]
    fn each_acs_has_its_own_verdict_and_the_list_its_end() {
        let mut compression = Compression::default();
        session(&mut compression, "http://a/", 415);
        assert!(session(&mut compression, "http://b/", 200));
        assert!(!session(&mut compression, "http://a/", 200));
        assert!(compression.note("http://b/").is_none());
        for n in 0..MAX_KNOWN {
            session(&mut compression, &format!("http://{n}/"), 415);
        }
        assert_eq!(compression.known.len(), MAX_KNOWN);
        assert!(session(&mut compression, "http://a/", 200));
    }

    #[test]
    fn without_compression_nothing_is_learnt() {
        let mut compression = Compression::default();
        compression.begin(&mut Options { url: "http://a/".to_owned(), ..Options::default() });
        compression.failed(&Error::Status {
            code: 415,
            compressed: false,
            retry_after: None,
            text: String::new(),
        });
        assert!(compression.known.is_empty());
    }
}
