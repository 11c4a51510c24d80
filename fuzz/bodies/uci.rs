//! Configuration files and what is pending for them: parted by zero bytes come the file, the pending changes,
//! and words for edits.

use cwmpd::sys::uci::{self, Edit, Held, Package, Section};

/// A file as libuci would write it.
fn written(package: &Package) -> String {
    let quoted = |value: &str| format!("'{}'", value.replace('\'', "'\\''"));
    let section = |section: Section<'_>| {
        let name = section.name().map_or(String::new(), |name| format!(" {}", quoted(name)));
        let mut text = format!("config {}{name}\n", quoted(section.kind()));
        for (option, held) in section.options() {
            match held {
                Held::One(value) => text += &format!("option {option} {}\n", quoted(value)),
                Held::Many(items) => {
                    items.iter().for_each(|item| text += &format!("list {option} {}\n", quoted(item)));
                }
            }
        }
        text
    };
    package.sections().map(section).collect()
}

/// Edits from bytes: which one, of which section, which option, which value.
fn edits(package: &Package, bytes: &[u8]) -> Vec<Edit> {
    let sections: Vec<Section<'_>> = package.sections().collect();
    let mut edits = Vec::new();
    for word in bytes.split(|b| *b == b'\n').take(6) {
        let [what, which, option, value @ ..] = word else { continue };
        let section = sections.get(usize::from(*which) % (sections.len() + 1));
        let options: Vec<&str> =
            section.map(|s| s.options().map(|(name, _)| name).collect()).unwrap_or_default();
        let option = options.get(usize::from(*option) % (options.len() + 1)).unwrap_or(&"fresh").to_string();
        let section = section.map_or("made".to_owned(), |s| s.key().into_owned());
        let value = String::from_utf8_lossy(value).into_owned();
        edits.push(match what % 8 {
            0 | 1 => Edit::Set { section, option, value },
            2 => Edit::Unset { section, option },
            3 => Edit::List { section, option, items: value.split(' ').map(str::to_owned).collect() },
            4 => Edit::AddItem { section, option, item: value },
            5 => Edit::RemoveItem { section, option, item: value },
            6 => Edit::Make { kind: "kind".to_owned(), name: "made".to_owned() },
            _ => Edit::Drop { section },
        });
    }
    edits
}

/// What is read reads the same when it is written; keys mean their own sections; what edits make of a file can
/// be read, and their way back leads to the same bytes.
pub fn uci(data: &[u8]) {
    let mut parts = data.splitn(3, |b| *b == 0);
    let [file, pending, script] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let Ok(package) = Package::parse("a", file.to_vec(), pending) else {
        return;
    };
    let keys: Vec<String> = package.sections().map(|s| s.key().into_owned()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    assert!(uci::align(&keys, &keys).iter().enumerate().all(|(n, at)| *at == Some(n)));
    for section in package.sections().take(64) {
        let found = package.section(&section.key()).map(|s| s.index());
        // Of sections that somebody gave one name the first has it.
        assert!(found == Some(section.index()) || keys.iter().filter(|k| **k == section.key()).count() > 1);
    }
    let Ok(alone) = Package::parse("a", file.to_vec(), b"") else {
        return;
    };
    // What is no text is not written by the agent.
    let text = written(&alone);
    let again = Package::parse("a", text.clone().into_bytes(), b"").expect("what was read can be written");
    assert_eq!(written(&again), text);
    for package in [&alone, &package] {
        let edits = edits(package, script);
        let saved = uci::undo_of(package, &edits);
        if let Ok(after) = uci::edited(package, &edits) {
            assert!(Package::parse("a", after.clone(), pending).is_ok());
            let back = uci::put_back("a", after, &saved).expect("it was saved");
            assert_eq!(back, file, "{edits:?}");
            assert_eq!(uci::put_back("a", back, &saved).expect("it was saved"), file, "{edits:?}");
        }
    }
    // Damaged on the disk.
    let _ = uci::put_back("a", file.to_vec(), script);
}
