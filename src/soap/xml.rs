//! XML as the reader wants it: elements one after the other, namespaces resolved, everything bounded.
//!
//! What a SOAP message may not have is refused (a document type, entities of its own: E-32); what
//! does not matter is passed over (comments, processing instructions, text between elements: E-6).

use super::{ENCODING, ENVELOPE, XSI};
use crate::cwmp::rpc::Namespace;
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceError, NamespaceResolver, QName, ResolveResult};
use std::borrow::Cow;
use std::fmt;

/// How deep elements may nest. SetParameterAttributes, the deepest of the standard, needs 8.
pub const MAX_DEPTH: usize = 64;
/// How long the name of an element may be, prefix included, in bytes.
pub const MAX_ELEMENT_NAME: usize = 256;
/// How many namespace declarations may be in scope at once.
pub const MAX_NAMESPACES: usize = 64;
/// How many attributes one element may have, namespace declarations included. The standard's have
/// two at most, an Envelope with all its declarations some six.
pub const MAX_ATTRIBUTES: usize = 64;
/// How long a start tag may be with all its attributes, in bytes.
pub const MAX_TAG: usize = 16 * 1024;
/// The fewest bytes that an attribute takes in a tag: ` a=""`.
const LEAST_ATTRIBUTE: usize = 5;

/// Why a document cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// It is no well-formed XML, or not in an encoding that is read.
    Malformed(String),
    /// It is XML, but no SOAP 1.1 envelope with one message.
    NotSoap(String),
    /// It goes beyond a limit; the text names the limit.
    Limit(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed(text) => write!(f, "not well-formed XML: {text}"),
            Error::NotSoap(text) => write!(f, "not a SOAP message: {text}"),
            Error::Limit(text) => write!(f, "beyond a limit: {text}"),
        }
    }
}

impl std::error::Error for Error {}

/// The namespaces that mean something here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ns {
    /// None, or a prefix that nobody declared: matched by local name alone.
    None,
    /// SOAP's envelope.
    Envelope,
    /// SOAP's encoding.
    Encoding,
    /// XML Schema instance.
    Xsi,
    /// CWMP; without a version when the URN begins like CWMP's but is none of them.
    Cwmp(Option<Namespace>),
    /// Another one.
    Other,
}

impl Ns {
    fn of(resolved: ResolveResult<'_>) -> Ns {
        let ResolveResult::Bound(namespace) = resolved else {
            return Ns::None;
        };
        match namespace.into_inner().trim() {
            "" => Ns::None,
            ENVELOPE => Ns::Envelope,
            ENCODING => Ns::Encoding,
            XSI => Ns::Xsi,
            urn if urn.starts_with("urn:dslforum-org:cwmp-") => Ns::Cwmp(Namespace::from_urn(urn)),
            _ => Ns::Other,
        }
    }
}

/// The start of an element.
pub struct Element<'i> {
    /// Its namespace.
    pub ns: Ns,
    tag: BytesStart<'i>,
}

impl Element<'_> {
    /// Its name without prefix.
    pub fn name(&self) -> &str {
        self.tag.local_name().into_inner()
    }
}

/// A document that is being read, front to back.
pub struct Document<'i> {
    reader: Reader<&'i [u8]>,
    /// quick-xml's `NsReader` would look through the attributes of each element twice and begin a scope
    /// for it. Few elements declare a namespace, so it is told of those alone.
    names: NamespaceResolver,
    /// What the names of elements without a prefix are in.
    default: Ns,
    depth: usize,
}

impl<'i> Document<'i> {
    /// A document in UTF-8 (see [`decode`]); what is not is found when it is read.
    pub fn new(text: &'i [u8]) -> Document<'i> {
        let mut reader = Reader::from_reader(text);
        reader.config_mut().expand_empty_elements = true;
        let mut names = NamespaceResolver::default();
        names.set_max_namespace_bindings(MAX_NAMESPACES);
        Document { reader, names, default: Ns::None, depth: 0 }
    }

    /// How many elements are open.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The next element inside the one that is open, or `None` at its end (which is then passed).
    pub fn child(&mut self) -> Result<Option<Element<'i>>, Error> {
        loop {
            match self.event()? {
                Event::Start(tag) => return Ok(Some(self.element(tag))),
                Event::End(_) => return Ok(None),
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }

    /// The text of the element that is open, up to and with its end; elements inside are ignored.
    pub fn text(&mut self) -> Result<String, Error> {
        let depth = self.depth;
        let mut text = String::new();
        loop {
            let piece = match self.event()? {
                Event::End(_) if self.depth < depth => return Ok(text),
                Event::Text(t) if self.depth == depth => t.xml10_content(),
                Event::CData(t) if self.depth == depth => t.xml10_content(),
                Event::GeneralRef(r) => {
                    let character = r.resolve_char_ref().map_err(|e| self.malformed(&e))?;
                    let text = match character {
                        Some(c) => Cow::Owned(c.to_string()),
                        None => Cow::Borrowed(resolve_xml_entity(&r).ok_or_else(|| {
                            Error::Malformed("an entity that XML does not define".to_string())
                        })?),
                    };
                    if self.depth > depth {
                        continue;
                    }
                    text
                }
                _ => continue,
            };
            if text.is_empty() && matches!(piece, Cow::Owned(_)) {
                text = piece.into_owned();
            } else {
                text.push_str(&piece);
            }
        }
    }

    /// Passes over everything until only `depth - 1` elements are open: with [`Document::depth`]
    /// taken inside an element, to behind its end.
    pub fn leave(&mut self, depth: usize) -> Result<(), Error> {
        while self.depth >= depth {
            self.event()?;
        }
        Ok(())
    }

    /// The value of an attribute. As with elements, one without a namespace is taken for the one that is
    /// meant.
    pub fn attribute<'e>(&self, element: &'e Element<'_>, ns: Ns, name: &str) -> Option<Cow<'e, str>> {
        // Checking for doubled names is quadratic in their number, and nothing depends on it.
        for attribute in element.tag.attributes().with_checks(false).flatten() {
            if attribute.key.local_name().into_inner() != name {
                continue;
            }
            let found = Ns::of(self.names.resolve_attribute(attribute.key).0);
            if found == ns || found == Ns::None {
                return attribute.normalized_value(XmlVersion::Implicit1_0).ok();
            }
        }
        None
    }

    fn element(&self, tag: BytesStart<'i>) -> Element<'i> {
        let ns = match tag.name().prefix() {
            None => self.default,
            Some(_) => Ns::of(self.names.resolve_element(tag.name()).0),
        };
        Element { ns, tag }
    }

    /// An element begins at the present depth: the namespaces that it declares hold inside it.
    fn declared(&mut self, tag: &BytesStart<'_>) -> Result<(), Error> {
        // MAX_DEPTH fits.
        self.names.set_level(self.depth as u16 - 1);
        let declared = self.names.push(tag).map_err(quick_xml::Error::Namespace);
        declared.map_err(|error| match error {
            quick_xml::Error::Namespace(NamespaceError::TooManyBindings(_)) => {
                Error::Limit(format!("more than {MAX_NAMESPACES} namespaces in scope"))
            }
            error => self.malformed(&error),
        })?;
        self.default = Ns::of(self.names.resolve_element(QName("e")).0);
        Ok(())
    }

    /// An element of this depth has ended.
    fn undeclared(&mut self, depth: usize) {
        if usize::from(self.names.level()) >= depth {
            self.names.set_level(depth.saturating_sub(1) as u16);
            self.default = Ns::of(self.names.resolve_element(QName("e")).0);
        }
    }

    fn event(&mut self) -> Result<Event<'i>, Error> {
        let event = self.reader.read_event().map_err(|e| self.malformed(&e))?;
        match &event {
            Event::Start(tag) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(Error::Limit(format!("elements nested deeper than {MAX_DEPTH}")));
                }
                bounded(tag)?;
                if tag.attributes_raw().contains("xmlns") {
                    self.declared(tag)?;
                }
            }
            Event::End(_) => {
                self.undeclared(self.depth);
                self.depth = self.depth.saturating_sub(1);
            }
            Event::DocType(_) => {
                return Err(Error::NotSoap("it has a document type (DOCTYPE)".to_string()));
            }
            Event::Eof if self.depth > 0 => {
                return Err(Error::Malformed("it ends inside an element".to_string()));
            }
            _ => {}
        }
        Ok(event)
    }

    // quick-xml's own words would quote the peer's text, which may hold a secret.
    fn malformed(&self, error: &quick_xml::Error) -> Error {
        let what = match error {
            quick_xml::Error::Syntax(_) => "a tag, comment or section that does not end",
            quick_xml::Error::IllFormed(_) => "tags that do not match, or a stray &",
            quick_xml::Error::Escape(_) => "a character reference that is none",
            quick_xml::Error::Namespace(_) => "a reserved prefix that is declared",
            quick_xml::Error::InvalidAttr(_) => "an attribute that is none",
            quick_xml::Error::Encoding(_) => "bytes that are not UTF-8",
            _ => "unreadable text",
        };
        Error::Malformed(format!("{what} near byte {}", self.reader.error_position()))
    }
}

/// Judges the size of a start tag.
fn bounded(tag: &BytesStart<'_>) -> Result<(), Error> {
    if tag.name().into_inner().len() > MAX_ELEMENT_NAME {
        return Err(Error::Limit(format!("an element's name longer than {MAX_ELEMENT_NAME} bytes")));
    }
    if tag.len() > MAX_TAG {
        return Err(Error::Limit(format!("a tag longer than {MAX_TAG} bytes")));
    }
    // Hardly a tag is long enough to be worth the count.
    if tag.len() > MAX_ATTRIBUTES * LEAST_ATTRIBUTE
        && tag.attributes().with_checks(false).nth(MAX_ATTRIBUTES).is_some()
    {
        return Err(Error::Limit(format!("more than {MAX_ATTRIBUTES} attributes of one element")));
    }
    Ok(())
}

/// The text of a message as UTF-8: it is that already (also with a byte order mark), which its reader finds
/// out, or ISO-8859-1 or US-ASCII when its XML declaration says so.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    if bytes.starts_with(b"\xFE\xFF") || bytes.starts_with(b"\xFF\xFE") {
        return Err(Error::Malformed("UTF-16 is not read, only UTF-8, ISO-8859-1 and US-ASCII".to_string()));
    }
    let declared = declared_encoding(bytes).map(|e| e.to_ascii_lowercase());
    match declared.as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii" | "ascii") => Ok(Cow::Borrowed(bytes)),
        Some("iso-8859-1" | "latin1" | "iso_8859-1") => {
            Ok(Cow::Owned(bytes.iter().map(|b| *b as char).collect::<String>().into_bytes()))
        }
        Some(_) => {
            Err(Error::Malformed("its encoding is not read, only UTF-8, ISO-8859-1 and US-ASCII".to_string()))
        }
    }
}

fn declared_encoding(bytes: &[u8]) -> Option<&str> {
    let rest = bytes.strip_prefix(b"<?xml")?;
    let end = rest.iter().take(256).position(|b| *b == b'>')?;
    let declaration = std::str::from_utf8(rest.get(..end)?).ok()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(value.get(1..)?.split_once(quote)?.0.trim())
}

/// Whether XML 1.0 allows every character of a text.
pub fn is_legal(text: &str) -> bool {
    // Nearly every text is decided by one look over its bytes, which has no branch and so is quick: only
    // control characters and what begins like U+FFFE may be wrong.
    let doubtful = text.bytes().fold(false, |found, b| found | (b < b' ') | (b == 0xEF));
    !doubtful
        || text
            .chars()
            .all(|c| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{FFFE}' | '\u{FFFF}')))
}
