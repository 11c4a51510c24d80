//! Many edits of one file: what they cost, and that they come to the same as one after another.

use super::*;
use std::cell::Cell;

/// What was done in this thread.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(in crate::sys::uci) struct Counts {
    /// Files read.
    pub files: usize,
    /// Prints of sections made.
    pub prints: usize,
    /// Folders synced.
    pub folders: usize,
}

thread_local!(static COUNTS: Cell<Counts> = Cell::default());

pub(in crate::sys::uci) fn count(more: impl FnOnce(&mut Counts)) {
    let mut counts = COUNTS.get();
    more(&mut counts);
    COUNTS.set(counts);
}

fn counted<T>(what: impl FnOnce() -> T) -> (T, Counts) {
    COUNTS.set(Counts::default());
    let done = what();
    (done, COUNTS.get())
}

const HOSTS: usize = 1000;

fn hosts() -> String {
    let host = |n: usize| {
        format!(
            "config host\n\toption name 'h{n}'\n\toption mac '02:00:00:00:{:02x}:{:02x}'\n\toption ip '10.0.{}.{}'\n\n",
            n / 256,
            n % 256,
            n / 256,
            n % 256
        )
    };
    (0..HOSTS).map(host).collect()
}

#[test]
fn many_edits_cost_as_much_as_few() {
    let text = hosts();
    let p = package(&text);
    let keys: Vec<String> = p.sections().map(|s| s.key().into_owned()).collect();
    let edits: Vec<Edit> = keys.iter().step_by(5).map(|key| set(key, "name", "other")).collect();
    assert_eq!(edits.len(), 200);
    let (after, costs) = counted(|| edited(&p, &edits).expect("they can be made"));
    assert!(costs.files <= 2 && costs.prints <= 2 * HOSTS, "{costs:?}");
    let (saved, costs) = counted(|| undo_of(&p, &edits));
    assert!(costs.files <= 2 && costs.prints <= 6 * HOSTS, "{costs:?}");
    let (found, costs) = counted(|| back(&after, &saved));
    assert_eq!((found == text, costs), (true, Counts::default()), "put back without a look");
    assert_eq!(after.matches("name 'other'").count(), 200);
    // Somebody has written the file anew meanwhile: it is put back by what was meant.
    let theirs = after.replace("\tconfig", "config").replace("10.0.3.200", "10.9.9.9");
    assert_eq!(back(&theirs, &saved), text.replace("10.0.3.200", "10.9.9.9"));
    // Sections come and go by the hundred.
    let mut edits: Vec<Edit> = keys.iter().step_by(5).map(|key| drop_section(key)).collect();
    for n in 0..100 {
        let name = format!("n{n}");
        edits.extend([make("host", &name), set(&name, "ip", "10.1.0.1"), list(&name, "tag", &["a", "b"])]);
    }
    let (after, costs) = counted(|| edited(&p, &edits).expect("they can be made"));
    assert!(costs.files <= 1 && costs.prints <= 2 * HOSTS, "{costs:?}");
    assert_eq!(package(&after).sections().count(), HOSTS - 200 + 100);
    let saved = undo_of(&p, &edits);
    assert_eq!(back(&after, &saved), text);
    let theirs = after.replace("10.0.3.201", "10.9.9.9");
    assert_eq!(
        told(&package(&back(&theirs, &saved))),
        told(&package(&text.replace("10.0.3.201", "10.9.9.9")))
    );
}

#[test]
fn an_edit_behind_a_section_that_goes_is_made() {
    // Sections move up when one goes: what was edited before and what is edited behind are not the same.
    let p = package("config a one\nconfig a two\n\toption x 1\nconfig a three\n\toption x 1\n");
    let edits = [set("two", "x", "2"), drop_section("one"), set("three", "x", "3"), set("two", "x", "4")];
    let after = edited(&p, &edits).expect("they can be made");
    assert_eq!(told(&package(&after)), ["a two x=4", "a three x=3"]);
}

/// Edits of all kinds, as a generator without luck gives them.
fn any_edits(sections: &[String], seed: &mut u32, len: usize) -> Vec<Edit> {
    let mut next = |below: usize| {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 16) as usize % below
    };
    let mut edits = Vec::new();
    for _ in 0..len {
        let section = sections[next(sections.len())].as_str();
        let option = ["x", "y", "l", "new"][next(4)];
        let value = ["1", "a b", "it's", ""][next(4)];
        edits.push(match next(9) {
            0 => unset(section, option),
            1 => list(section, option, &["p", value, "q"]),
            2 => list(section, option, &[]),
            3 => add(section, option, if value.is_empty() { "z" } else { value }),
            4 => remove(section, option, "a"),
            5 => drop_section(section),
            6 if !section.starts_with('@') => make("a", section),
            _ => set(section, option, value),
        });
    }
    edits
}

#[test]
fn at_once_comes_to_the_same_as_one_after_another() {
    let texts = [
        "config a one\n\toption x 1\n\tlist l a\n\tlist l b # c\n\nconfig a\n\toption y 'a b'\n\nconfig b\n\n\nconfig a two\n\toption x 2\n\toption l a\n",
        "config a one ; option x '1' ; list l 'a' ; list l 'b' ; config a two\noption x y;dead\n# end\nconfig a\noption y 1\noption y 2",
        "config a two\noption x 1\nconfig a one\nlist l 1\nconfig a two\noption y 2\nlist x 3\nconfig b",
        "",
    ];
    let (mut seed, mut made, mut left) = (1, 0, 0);
    for round in 0..3000 {
        let text = texts[round % texts.len()];
        let p = package(text);
        let mut keys: Vec<String> = p.sections().map(|s| s.key().into_owned()).collect();
        keys.extend(["one", "two", "three"].map(owned));
        let edits = any_edits(&keys, &mut seed, 1 + round % 7);
        let Ok(steps) = batch::steps(&p, &edits) else { continue };
        let slow = batch::one_by_one(&p, &steps, &mut |_, _, _| {});
        let fast = match batch::at_once(&p, &steps) {
            Ok(Some(fast)) => fast,
            Ok(None) => {
                left += 1;
                continue;
            }
            Err(problem) => {
                assert_eq!(slow.err().map(|p| p.cause), Some(problem.cause), "{edits:?}");
                continue;
            }
        };
        let Ok(slow) = slow else { continue };
        let fast_text = String::from_utf8_lossy(&fast.bytes).into_owned();
        assert!(batch::alike(&fast.parts, &slow.file.parts), "{edits:?}\n{fast_text}");
        // Empty lines may be others, and new ones in another order.
        let lines = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let mut lines: Vec<_> = text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        if text.starts_with("config a one\n") {
            assert_eq!(lines(&fast.bytes), lines(&slow.file.bytes), "{edits:?}");
        }
        let saved = undo_of(&p, &edits);
        assert_eq!(back(&fast_text, &saved), text, "{edits:?}");
        // Without knowing the text that there was: by hunks and meaning alone.
        let blind = saved.strip_suffix(&saved[saved.len().saturating_sub(9)..]).unwrap_or_default();
        if saved.len() > 9 && text.starts_with("config a one\n") {
            let found = back(&fast_text, blind);
            let read = parse(&found).unwrap_or_else(|e| panic!("{e}: {edits:?}\n{fast_text}\n{found}"));
            assert_eq!(told(&read), told(&p), "{edits:?}\n{fast_text}");
        }
        made += 1;
    }
    assert!(made > 1000 && (1..1000).contains(&left), "{made} {left}");
}

#[test]
fn several_packages_need_one_sync_of_their_folder() {
    let folder = crate::handlers::probe::Folder::new();
    for name in ["a", "b", "c", "d", "e"] {
        folder.file(&format!("etc/config/{name}"), "config a s\n");
    }
    let edits = [set("s", "x", "1")];
    let all = ["a", "b", "c", "d", "e"].map(|name| (name, &edits[..]));
    let (done, costs) = counted(|| commit_all(folder.root(), &all));
    done.expect("they can be written");
    // Each is read, read with its statements, and read again as it was written.
    assert_eq!((costs.folders, costs.files), (1, 15), "{costs:?}");
    assert_eq!(folder.text("etc/config/e"), "config a s\n\toption x '1'\n");
    let (done, costs) = counted(|| commit_all(folder.root(), &all));
    done.expect("nothing to do");
    assert_eq!(costs.folders, 0, "what is there already is not written");
}
