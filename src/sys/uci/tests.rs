//! What libuci reads and refuses, what is pending, the bytes that a change touches, and the way back.

mod aligning;
pub(super) mod batching;
mod editing;
mod pending;
mod reading;
mod undoing;
mod writing;

use super::edited as uci_edited;
use super::*;

/// A package with nothing pending.
fn parse(text: &str) -> Result<Package, Problem> {
    Package::parse("a", text.as_bytes().to_vec(), b"")
}

fn package(text: &str) -> Package {
    parse(text).unwrap_or_else(|p| panic!("{p}: {text:?}"))
}

/// `interface lan proto=static dns=[1,2]` for each section, in order.
fn told(package: &Package) -> Vec<String> {
    package
        .sections()
        .map(|section| {
            let mut text = format!("{} {}", section.kind(), section.name().unwrap_or("-"));
            for (name, held) in section.options() {
                text += &match held {
                    Held::One(value) => format!(" {name}={value}"),
                    Held::Many(items) => format!(" {name}=[{}]", items.join(",")),
                };
            }
            text
        })
        .collect()
}

/// The text after edits.
fn edited(package: &Package, edits: &[Edit]) -> Result<String, Problem> {
    uci_edited(package, edits).map(|bytes| String::from_utf8(bytes).expect("text stays text"))
}

/// The text after what was saved is put back.
fn back(text: &str, saved: &[u8]) -> String {
    let bytes = undo::put_back("a", text.as_bytes().to_vec(), saved).unwrap_or_else(|p| panic!("{p}"));
    String::from_utf8(bytes).expect("text stays text")
}

fn owned(text: &str) -> String {
    text.to_owned()
}

fn set(section: &str, option: &str, value: &str) -> Edit {
    Edit::Set { section: owned(section), option: owned(option), value: owned(value) }
}

fn unset(section: &str, option: &str) -> Edit {
    Edit::Unset { section: owned(section), option: owned(option) }
}

fn list(section: &str, option: &str, items: &[&str]) -> Edit {
    let items = items.iter().map(|i| owned(i)).collect();
    Edit::List { section: owned(section), option: owned(option), items }
}

fn add(section: &str, option: &str, item: &str) -> Edit {
    Edit::AddItem { section: owned(section), option: owned(option), item: owned(item) }
}

fn remove(section: &str, option: &str, item: &str) -> Edit {
    Edit::RemoveItem { section: owned(section), option: owned(option), item: owned(item) }
}

fn make(kind: &str, name: &str) -> Edit {
    Edit::Make { kind: owned(kind), name: owned(name) }
}

fn drop_section(section: &str) -> Edit {
    Edit::Drop { section: owned(section) }
}
