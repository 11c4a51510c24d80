//! What leads out and over the air: radios and their networks, DSL, modems, shapers.

mod air;
mod cellular;
mod dsl;
mod htmode;
mod qos;
mod radio;
mod radio_change;
mod security;
mod security_change;
mod station;
#[cfg(test)]
mod tests;
mod wifi;

use super::provider::{Spec, adds_nothing, lists_nothing, plans_nothing};
use crate::model::fault::Code;
use crate::model::handler::Failure;
use crate::sys::uci::Edit;

/// The native providers of this subject.
pub const SPECS: &[Spec] = &[
    Spec {
        name: "openwrt_radio",
        list: lists_nothing,
        fill: radio::fill,
        plan: radio_change::plan,
        key: adds_nothing,
        packages: &["wireless"],
        objects: &["*"],
    },
    Spec {
        name: "openwrt_wifi_iface",
        list: lists_nothing,
        fill: wifi::fill,
        plan: wifi::plan,
        key: adds_nothing,
        packages: &["wireless"],
        objects: &["network.wireless"],
    },
    Spec {
        name: "openwrt_wifi_security",
        list: lists_nothing,
        fill: security::fill,
        plan: security_change::plan,
        key: adds_nothing,
        packages: &["wireless"],
        objects: &[],
    },
    Spec {
        name: "openwrt_station",
        list: station::list,
        fill: station::fill,
        plan: plans_nothing,
        key: adds_nothing,
        packages: &[],
        objects: &["*"],
    },
    Spec {
        name: "openwrt_dsl",
        list: dsl::list,
        fill: dsl::fill,
        plan: dsl::plan,
        key: adds_nothing,
        packages: &["network"],
        objects: &["*"],
    },
    Spec {
        name: "openwrt_cellular",
        list: cellular::list,
        fill: cellular::fill,
        plan: cellular::plan,
        key: adds_nothing,
        packages: &["network"],
        objects: &["*"],
    },
    Spec {
        name: "openwrt_shaper",
        list: lists_nothing,
        fill: qos::fill_shaper,
        plan: qos::plan_shaper,
        key: adds_nothing,
        packages: &["sqm"],
        objects: &["network.interface"],
    },
    Spec {
        name: "openwrt_classification",
        list: lists_nothing,
        fill: qos::fill_rule,
        plan: qos::plan_rule,
        key: adds_nothing,
        packages: &["qos"],
        objects: &[],
    },
];

/// A value that cannot be taken (9007).
fn bad(text: impl Into<String>) -> Failure {
    Failure { code: Code::INVALID_VALUE, text: text.into() }
}

/// The row's section is gone (9005).
fn gone() -> Failure {
    Failure { code: Code::INVALID_NAME, text: "the section is gone".to_owned() }
}

/// Edits of one section.
struct Edits<'k> {
    package: &'static str,
    section: &'k str,
    plan: Vec<(String, Edit)>,
}

impl<'k> Edits<'k> {
    fn new(package: &'static str, section: &'k str) -> Edits<'k> {
        Edits { package, section, plan: Vec::new() }
    }

    /// Sets an option, or removes it with an empty value.
    fn set(&mut self, option: &str, value: impl Into<String>) {
        self.set_in(self.section, option, value);
    }

    /// As [`Edits::set`], in another section.
    fn set_in(&mut self, section: &str, option: &str, value: impl Into<String>) {
        let (section, option) = (section.to_owned(), option.to_owned());
        self.plan.push((self.package.to_owned(), Edit::Set { section, option, value: value.into() }));
    }

    /// Sets a whole list.
    fn list(&mut self, option: &str, items: Vec<String>) {
        let (section, option) = (self.section.to_owned(), option.to_owned());
        self.plan.push((self.package.to_owned(), Edit::List { section, option, items }));
    }
}
