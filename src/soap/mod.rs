//! PURE: SOAP 1.1 envelopes, read with limits and written as a stream.

pub mod reader;
pub mod writer;
mod xml;

/// The namespace of SOAP 1.1 envelopes (E-1).
pub const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// The namespace of SOAP 1.1 encoding, of arrayType (E-1).
pub const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";
/// The namespace of the xsd types.
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";
/// The namespace of xsi:type.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
