//! PURE: the head of an HTTP request, as far as a connection request needs it. Lenient where real
//! ACSs differ (line ends, version, letter case), strict where two readers could disagree.

/// The largest head that is read; beyond it the answer is 431.
pub const MAX_HEAD: usize = 4096;

/// The largest body that is skipped on a connection that is kept; after a larger one it is closed.
const MAX_SKIPPED: usize = 64 * 1024;

/// What a request says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head<'a> {
    /// `GET`, or another.
    pub method: &'a str,
    /// As it was sent; see [`path`].
    pub target: &'a str,
    /// The value of `Authorization`; `None` also when there are several.
    pub authorization: Option<&'a str>,
    /// Whether the peer can use the connection again after the answer.
    pub keep: bool,
    /// Bytes of the body that follow: never read, only passed over (CR-3).
    pub body: usize,
}

/// What stands in a buffer.
#[derive(Debug, PartialEq, Eq)]
pub enum Scan<'a> {
    /// No whole head yet.
    Partial,
    /// Not HTTP/1.x as it may be written: 400.
    Broken,
    /// A request and the number of bytes of its head.
    Whole(Head<'a>, usize),
}

/// Looks for a head at the beginning of what was received.
pub fn scan(received: &[u8]) -> Scan<'_> {
    let empty_lines = received.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let mut lines = Lines { rest: received.get(empty_lines..).unwrap_or_default() };
    let Some(first) = lines.next() else {
        return Scan::Partial;
    };
    let Some((mut head, minor)) = request_line(first) else {
        return Scan::Broken;
    };
    let mut connection = Connection::default();
    let mut authorizations = 0;
    let mut length = None;
    let mut framing_known = true;
    loop {
        let Some(line) = lines.next() else {
            return Scan::Partial;
        };
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = header(line) else {
            return Scan::Broken;
        };
        let is = |n: &str| name.eq_ignore_ascii_case(n.as_bytes());
        if is("authorization") {
            authorizations += 1;
            head.authorization = std::str::from_utf8(value).ok();
        } else if is("connection") {
            connection.read(value);
        } else if is("content-length") {
            let said = number(value);
            framing_known &= said.is_some() && (length.is_none() || length == said);
            length = said;
        } else if is("transfer-encoding") || is("expect") || is("upgrade") {
            framing_known = false;
        }
    }
    if authorizations > 1 {
        head.authorization = None;
    }
    head.body = length.unwrap_or(0);
    let wanted = if minor == 0 { connection.keep_alive } else { true };
    head.keep = wanted && !connection.close && framing_known && head.body <= MAX_SKIPPED;
    Scan::Whole(head, received.len() - lines.rest.len())
}

/// The path of a request target or of a digest `uri`: an absolute form loses scheme and authority,
/// every form its query (CR-3). Empty for what has no path.
pub fn path(target: &str) -> &str {
    let scheme = "http://";
    let origin = match target.get(..scheme.len()) {
        Some(start) if start.eq_ignore_ascii_case(scheme) => {
            let rest = target.get(scheme.len()..).unwrap_or_default();
            rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or_default()
        }
        _ => target,
    };
    let path = origin.split(['?', '#']).next().unwrap_or_default();
    if path.starts_with('/') { path } else { "" }
}

struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// The next whole line without its end, which is CRLF or a bare LF.
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|b| *b == b'\n')?;
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Method and target, with the minor version.
fn request_line(line: &[u8]) -> Option<(Head<'_>, u8)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let minor = match version.strip_prefix("HTTP/1.")?.as_bytes() {
        [digit] if digit.is_ascii_digit() => digit - b'0',
        _ => return None,
    };
    let good = words.next().is_none()
        && is_token(method.as_bytes())
        && !target.is_empty()
        && target.bytes().all(|b| b.is_ascii_graphic());
    good.then_some((Head { method, target, authorization: None, keep: false, body: 0 }, minor))
}

/// Name and value of a header line; `None` for a folded line, which two readers may read differently,
/// and for one with control characters.
fn header(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let value = value.get(1..)?.trim_ascii();
    let printable = value.iter().all(|b| *b == b'\t' || *b >= b' ' && *b != 0x7f);
    (is_token(name) && printable).then_some((name, value))
}

fn is_token(word: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !word.is_empty() && word.iter().all(allowed)
}

fn number(value: &[u8]) -> Option<usize> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok())?
}

#[derive(Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
}

impl Connection {
    fn read(&mut self, value: &[u8]) {
        for word in value.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
            self.close |= word.eq_ignore_ascii_case(b"close");
            self.keep_alive |= word.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Head<'_> {
        match scan(text.as_bytes()) {
            Scan::Whole(head, _) => head,
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn heads_of_all_shapes() {
        let head = whole("GET /x?a=b HTTP/1.1\r\nHost: h\r\nAUTHORIZATION:  Digest a=b \r\n\r\n");
        assert_eq!((head.method, head.target), ("GET", "/x?a=b"));
        assert_eq!((head.authorization, head.keep, head.body), (Some("Digest a=b"), true, 0));
        // bare line feeds, empty lines before, and what follows is not touched
        let text = "\r\n\nGET / HTTP/1.1\nA: b\n\nNEXT";
        let Scan::Whole(head, length) = scan(text.as_bytes()) else { panic!("no head") };
        assert_eq!((head.method, length), ("GET", text.len() - 4));
        // nothing but the last byte makes it whole
        for end in 0..text.len() - 4 {
            assert_eq!(scan(&text.as_bytes()[..end]), Scan::Partial, "{end}");
        }
    }

    #[test]
    fn which_connections_are_kept() {
        let table = [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: foo, Close\r\n", false),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.1", "Content-Length: 10\r\n", true),
            ("1.1", "Content-Length: 10\r\nContent-Length: 10\r\n", true),
            ("1.1", "Content-Length: 10\r\nContent-Length: 11\r\n", false),
            ("1.1", "Content-Length: ten\r\n", false),
            ("1.1", "Content-Length: -1\r\n", false),
            ("1.1", "Content-Length: 99999999\r\n", false),
            ("1.1", "Content-Length: 99999999999999999999999999\r\n", false),
            ("1.1", "Transfer-Encoding: chunked\r\n", false),
            ("1.1", "Expect: 100-continue\r\n", false),
        ];
        for (version, headers, keep) in table {
            let text = format!("GET / HTTP/{version}\r\n{headers}\r\n");
            assert_eq!(whole(&text).keep, keep, "{text}");
        }
        for (length, keep) in [(MAX_SKIPPED, true), (MAX_SKIPPED + 1, false)] {
            let text = format!("GET / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(whole(&text).keep, keep, "{length}");
        }
    }

    #[test]
    fn what_is_no_request() {
        let table = [
            "GET /\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET / HTTP/1.10\r\n\r\n",
            " GET / HTTP/1.1\r\n\r\n",
            "G\tT / HTTP/1.1\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nNo colon\r\n\r\n",
            "GET / HTTP/1.1\r\nSpace : x\r\n\r\n",
            "GET / HTTP/1.1\r\n: no name\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\0\r\n\r\n",
            "\u{16}\u{3}\u{1}TLS hello\n",
        ];
        for text in table {
            assert_eq!(scan(text.as_bytes()), Scan::Broken, "{text:?}");
        }
        // two Authorization headers are none: nobody can say which one counts
        let twice = "GET / HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n";
        assert_eq!(whole(twice).authorization, None);
    }

    #[test]
    fn paths_of_targets() {
        let table = [
            ("/x", "/x"),
            ("/x?a=b", "/x"),
            ("/x#f", "/x"),
            ("/x/", "/x/"),
            ("http://h:7547/x?a", "/x"),
            ("HTTP://[::1]/x", "/x"),
            ("http://h", ""),
            ("http://h?/x", "/x"),
            ("https://h/x", ""),
            ("*", ""),
            ("h:80", ""),
            ("", ""),
        ];
        for (target, expected) in table {
            assert_eq!(path(target), expected, "{target}");
        }
    }
}
