//! Envelopes: read by namespace into a plain tree, written as text. Strict about what the agent
//! sends: it says what is wrong with it.

use quick_xml::XmlVersion::Implicit1_0;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, QName, ResolveResult};
use quick_xml::reader::NsReader;
use std::io::BufRead;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";
const XSD: &str = "http://www.w3.org/2001/XMLSchema";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// An XML element.
#[derive(Clone, Debug, Default)]
pub struct Element {
    /// Empty when it has none.
    pub namespace: String,
    /// The local name.
    pub name: String,
    /// Namespace, local name, value. The value of `xsi:type` has the prefix `xsd` when it means the
    /// XML Schema namespace, whatever prefix was written.
    pub attributes: Vec<(String, String, String)>,
    /// All text directly in it.
    pub text: String,
    /// In their order.
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of this local name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The text of a child; empty without it.
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |c| &c.text)
    }

    fn attribute(&self, namespace: &str, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(s, n, _)| s == namespace && n == name)?;
        Some(&found.2)
    }

    /// The children of an array.
    ///
    /// # Errors
    /// When its `arrayType` has another count (E-4).
    pub fn items(&self) -> Result<&[Element], String> {
        let kind =
            self.attribute(ENCODING, "arrayType").ok_or_else(|| format!("{} has no arrayType", self.name))?;
        match array_length(kind) {
            Some(n) if n == self.children.len() => Ok(&self.children),
            _ => Err(format!("{} says {kind} and has {}", self.name, self.children.len())),
        }
    }

    /// The value that stands in it, with its type.
    ///
    /// # Errors
    /// When it has no `xsi:type` (E-5).
    pub fn typed(&self) -> Result<(&str, &str), String> {
        let kind = self.attribute(XSI, "type").ok_or_else(|| format!("{} has no xsi:type", self.name))?;
        Ok((kind, &self.text))
    }
}

/// What one POST of the agent says.
#[derive(Clone, Debug, Default)]
pub struct Envelope {
    /// The `cwmp:ID` header.
    pub id: Option<String>,
    /// All headers.
    pub headers: Vec<Element>,
    /// The one child of the body.
    pub method: Element,
}

impl Envelope {
    /// Whether it asks something of the ACS (an Inform does, too).
    pub fn is_request(&self) -> bool {
        self.method.name != "Fault" && !self.method.name.ends_with("Response")
    }
}

/// Reads an envelope.
///
/// # Errors
/// What is wrong with it.
pub fn envelope(xml: &[u8]) -> Result<Envelope, String> {
    let root = parse(xml)?;
    if (root.namespace.as_str(), root.name.as_str()) != (SOAP, "Envelope") {
        return Err(format!("the root is {{{}}}{}", root.namespace, root.name));
    }
    let headers = root.child("Header").map(|h| h.children.clone()).unwrap_or_default();
    let bodies: Vec<&Element> = root.children.iter().filter(|c| c.name == "Body").collect();
    let [body] = bodies.as_slice() else {
        return Err(format!("{} bodies", bodies.len()));
    };
    let [method] = body.children.as_slice() else {
        return Err(format!("{} elements in the body", body.children.len()));
    };
    let expected = if method.name == "Fault" { SOAP } else { "urn:dslforum-org:cwmp-1-" };
    if !method.namespace.starts_with(expected) {
        return Err(format!("{} is in the namespace {:?}", method.name, method.namespace));
    }
    let qualified = method.children.iter().find(|c| !c.namespace.is_empty());
    if let Some(argument) = qualified.filter(|_| method.name != "Fault") {
        return Err(format!("the argument {} has a namespace (E-3)", argument.name));
    }
    let id = headers.iter().find(|h| h.name == "ID").map(|h| h.text.clone());
    Ok(Envelope { id, headers, method: method.clone() })
}

/// Reads any document.
fn parse(xml: &[u8]) -> Result<Element, String> {
    let text = std::str::from_utf8(xml).map_err(|e| e.to_string())?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open = vec![Element::default()];
    loop {
        let event = reader.read_event().map_err(|e| e.to_string())?;
        let innermost = open.last_mut().ok_or("more ends than starts")?;
        match event {
            Event::Start(start) => {
                let element = begin(&reader, &start)?;
                open.push(element);
            }
            Event::End(_) => {
                let element = open.pop().ok_or("more ends than starts")?;
                open.last_mut().ok_or("more ends than starts")?.children.push(element);
            }
            Event::Text(t) => innermost.text.push_str(&t.xml_content(Implicit1_0)),
            Event::CData(t) => innermost.text.push_str(&t.xml_content(Implicit1_0)),
            Event::GeneralRef(r) => {
                let name = r.xml_content(Implicit1_0);
                match r.resolve_char_ref().map_err(|e| e.to_string())? {
                    Some(c) => innermost.text.push(c),
                    None => innermost.text.push_str(
                        quick_xml::escape::resolve_predefined_entity(&name).ok_or(format!("&{name};"))?,
                    ),
                }
            }
            Event::DocType(_) => return Err("a DOCTYPE".to_string()),
            Event::Eof => break,
            _ => {}
        }
    }
    let document = open.pop().filter(|_| open.is_empty()).ok_or("an element is not closed")?;
    let [root] = <[Element; 1]>::try_from(document.children).map_err(|all| format!("{} roots", all.len()))?;
    Ok(root)
}

fn begin(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<Element, String> {
    let resolver = reader.resolver();
    let (bound, name) = resolver.resolve_element(start.name());
    let mut element =
        Element { namespace: namespace(bound)?, name: name.into_inner().to_string(), ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (bound, name) = resolver.resolve_attribute(attribute.key);
        let (bound, name) = (namespace(bound)?, name.into_inner().to_string());
        let mut value = attribute.normalized_value(Implicit1_0).map_err(|e| e.to_string())?.into_owned();
        if (bound.as_str(), name.as_str()) == (XSI, "type") {
            let (of, local) = resolver.resolve(QName(&value), true);
            if namespace(of)? == XSD {
                value = format!("xsd:{}", local.into_inner());
            }
        }
        element.attributes.push((bound, name, value));
    }
    Ok(element)
}

fn namespace(bound: ResolveResult<'_>) -> Result<String, String> {
    match bound {
        ResolveResult::Bound(Namespace(name)) => Ok(name.to_string()),
        ResolveResult::Unbound => Ok(String::new()),
        ResolveResult::Unknown(prefix) => Err(format!("the prefix {prefix} is not declared")),
    }
}

/// The 3 of `cwmp:ParameterValueStruct[3]`.
fn array_length(kind: &str) -> Option<usize> {
    kind.split_once('[')?.1.strip_suffix(']')?.parse().ok()
}

/// What a large answer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// ParameterValueStruct elements.
    pub values: usize,
    /// What `arrayType` said.
    pub declared: Option<usize>,
    /// The message, `GetParameterValuesResponse` or `Fault`.
    pub method: String,
}

/// Counts the values in an answer without keeping them.
///
/// # Errors
/// What is wrong with it.
pub fn count(input: impl BufRead) -> Result<Count, String> {
    let mut reader = quick_xml::Reader::from_reader(input);
    reader.config_mut().expand_empty_elements = true;
    let (mut buffer, mut found) = (Vec::new(), Count::default());
    let (mut depth, mut in_body) = (0, false);
    loop {
        match reader.read_event_into(&mut buffer).map_err(|e| e.to_string())? {
            Event::Start(start) => {
                depth += 1;
                match start.local_name().into_inner() {
                    name if depth == 2 => in_body = name == "Body",
                    name if depth == 3 && in_body => found.method = name.to_string(),
                    "ParameterValueStruct" => found.values += 1,
                    "ParameterList" => {
                        let mut attributes = start.attributes().flatten();
                        let kind = attributes.find(|a| a.key.local_name().into_inner() == "arrayType");
                        found.declared = kind.and_then(|a| array_length(&a.value));
                    }
                    _ => {}
                }
            }
            Event::End(_) => depth -= 1,
            Event::Eof if depth == 0 => return Ok(found),
            Event::Eof => return Err("the envelope breaks off".to_string()),
            _ => {}
        }
        buffer.clear();
    }
}

/// How the ACS writes its envelopes: as its likes do in the field.
#[derive(Clone, Debug)]
pub struct Dialect {
    /// The namespace of CWMP.
    pub namespace: String,
    /// The prefix of SOAP's elements.
    pub soap: String,
    /// The prefix of CWMP's elements.
    pub cwmp: String,
    /// Whether the prefixes of SOAP encoding, XML Schema and its instances are declared; they are
    /// used in any case.
    pub declared: bool,
    /// Whether envelopes have an ID.
    pub id: Id,
    /// Whether `arrayType` gives the right count.
    pub true_counts: bool,
    /// The `HoldRequests` header.
    pub hold_requests: Option<bool>,
    /// The `SessionTimeout` header, seconds.
    pub session_timeout: Option<u32>,
    /// The `UseCWMPVersion` header of the InformResponse.
    pub use_cwmp_version: Option<String>,
}

/// The IDs that an ACS puts on its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// Answers have the ID of the request.
    Echoed,
    /// Answers have an ID of their own.
    Other,
    /// There are none.
    Missing,
}

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect {
            namespace: "urn:dslforum-org:cwmp-1-2".to_string(),
            soap: "soap-env".to_string(),
            cwmp: "cwmp".to_string(),
            declared: true,
            id: Id::Echoed,
            true_counts: true,
            hold_requests: None,
            session_timeout: None,
            use_cwmp_version: None,
        }
    }
}

impl Dialect {
    /// An envelope; `{c}` in the body stands for CWMP's prefix.
    pub fn envelope(&self, id: Option<&str>, body: &str) -> String {
        let (s, c) = (&self.soap, &self.cwmp);
        let must = format!("{s}:mustUnderstand=\"1\"");
        let mut header = String::new();
        if let Some(id) = id.filter(|_| self.id != Id::Missing) {
            header += &format!("<{c}:ID {must}>{}</{c}:ID>", escape(id));
        }
        if let Some(hold) = self.hold_requests {
            header += &format!("<{c}:HoldRequests {must}>{}</{c}:HoldRequests>", u8::from(hold));
        }
        if let Some(seconds) = self.session_timeout {
            header += &format!("<{c}:SessionTimeout>{seconds}</{c}:SessionTimeout>");
        }
        if let Some(version) = self.use_cwmp_version.as_ref().filter(|_| body.contains("InformResponse")) {
            header += &format!("<{c}:UseCWMPVersion {must}>{version}</{c}:UseCWMPVersion>");
        }
        let more = match self.declared {
            true => {
                format!(" xmlns:soap-enc=\"{ENCODING}\" xmlns:xsd=\"{XSD}\" xmlns:xsi=\"{XSI}\"")
            }
            false => String::new(),
        };
        let body = body.replace("{c}", c);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{s}:Envelope xmlns:{s}=\"{SOAP}\" xmlns:{c}=\"{}\"{more}>\
             <{s}:Header>{header}</{s}:Header><{s}:Body>{body}</{s}:Body></{s}:Envelope>\n",
            self.namespace
        )
    }

    /// The ID of an answer to a message with this ID.
    pub fn answer_id<'a>(&self, id: Option<&'a str>) -> Option<&'a str> {
        if self.id == Id::Other { Some("an ID of the ACS") } else { id }
    }

    /// An array element with its items.
    pub fn array(&self, name: &str, kind: &str, items: &[String]) -> String {
        let count = if self.true_counts { items.len() } else { items.len() + 7 };
        format!("<{name} soap-enc:arrayType=\"{kind}[{count}]\">{}</{name}>", items.concat())
    }

    /// A fault of the ACS, as a body.
    pub fn fault(&self, code: u16) -> String {
        let s = &self.soap;
        format!(
            "<{s}:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail><{{c}}:Fault>\
             <FaultCode>{code}</FaultCode><FaultString>scripted</FaultString></{{c}}:Fault></detail></{s}:Fault>"
        )
    }
}

/// A text for XML; what stands for CWMP's prefix in a body is left no meaning.
pub fn escape(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;").replace('{', "&#123;").replace('\r', "&#13;")
}
