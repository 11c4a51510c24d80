//! What the tree is asked: the entries of SetParameterValues and SetParameterAttributes.

use std::borrow::Cow;

/// One entry of SetParameterValues (A.3.2.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParameterValue {
    /// As the peer wrote it.
    pub name: String,
    /// Text content, XML unescaped.
    pub value: String,
    /// Local name of the xsi:type (`boolean`), when there was one (E-30, E-31).
    pub xsi_type: Option<Cow<'static, str>>,
}

/// One entry of SetParameterAttributes (A.3.2.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetAttributes {
    /// A parameter or a partial path (R-SPA-2).
    pub name: String,
    /// The new notification, when NotificationChange is true.
    pub notification: Option<i64>,
    /// The new access list, when AccessListChange is true.
    pub access_list: Option<Vec<String>>,
}
