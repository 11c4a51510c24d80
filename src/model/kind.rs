//! What a value may be: the lexical forms and bounds of the TR-106 types.

use super::schema::{Base, KindRow, Schema};
use std::borrow::Cow;

/// A type with its bounds.
#[derive(Clone, Copy)]
pub struct Kind<'a> {
    /// The schema it stands in.
    pub schema: &'a Schema,
    /// Its row.
    pub row: &'a KindRow,
}

/// Why a text is no value of a type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Misfit {
    /// Not of the type at all: fault 9006.
    Type(String),
    /// Of the type, but outside its bounds, enumeration or pattern: fault 9007.
    Value(String),
}

impl<'a> Kind<'a> {
    /// The xsi:type of its values: `xsd:string`, `xsd:unsignedInt` …; a list is a string (R-GPV-8).
    pub fn xsi_type(self) -> &'static str {
        if self.row.list {
            return "xsd:string";
        }
        match self.row.base {
            Base::String => "xsd:string",
            Base::Int => "xsd:int",
            Base::UnsignedInt => "xsd:unsignedInt",
            Base::Long => "xsd:long",
            Base::UnsignedLong => "xsd:unsignedLong",
            Base::Decimal => "xsd:decimal",
            Base::Boolean => "xsd:boolean",
            Base::DateTime => "xsd:dateTime",
            Base::Base64 => "xsd:base64Binary",
            Base::HexBinary => "xsd:hexBinary",
        }
    }

    /// The value shown where a source has none: empty, 0, false, Unknown Time; the nearest value
    /// within the bounds where 0 lies outside; the empty string also for an enumeration.
    pub fn neutral(self) -> &'static str {
        if self.row.list {
            return "";
        }
        match self.row.base {
            Base::String | Base::Base64 | Base::HexBinary => "",
            Base::Boolean => "false",
            Base::DateTime => "0001-01-01T00:00:00Z",
            _ => "0",
        }
    }

    /// Checks a text written by a peer and gives its canonical form (`1` becomes `true`, list items
    /// are trimmed, numbers lose leading zeros and plus signs). Path references are checked for their
    /// form only: whether the row exists is the tree's question.
    ///
    /// # Errors
    /// [`Misfit`], naming the bound that was broken; never quotes the value itself.
    pub fn check<'t>(self, _text: &'t str) -> Result<Cow<'t, str>, Misfit> {
        todo!()
    }
}
