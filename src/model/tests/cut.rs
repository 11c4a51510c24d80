//! The power goes at any moment of a history of transactions: whatever the disk then holds, each
//! transaction is found wholly made or not at all.

use super::*;
use crate::model::handler::{Change, Ctx, Failure, Fields, Handler, Keys, Row, Want};
use crate::model::schema::Platform;
use crate::sys::sorted::SortedMap;
use std::path::{Path, PathBuf};

/// Rows and keys of one handler.
pub(super) type Held = (SortedMap<String, SortedMap<String, String>>, SortedMap<String, Vec<String>>);

/// What the two handlers hold.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct World([Held; 2]);

impl World {
    pub(super) fn of(one: &Rc<RefCell<Memory>>, two: &Rc<RefCell<Memory>>) -> World {
        World([one, two].map(|m| (m.borrow().rows.clone(), m.borrow().keys.clone())))
    }

    pub(super) fn put(self, one: &Rc<RefCell<Memory>>, two: &Rc<RefCell<Memory>>) {
        for (memory, (rows, keys)) in [one, two].into_iter().zip(self.0) {
            (memory.borrow_mut().rows, memory.borrow_mut().keys) = (rows, keys);
        }
    }
}

/// What was true when the journal file had this length.
enum Event {
    /// A handler did something: what both hold now.
    Did(World),
    /// A call returned to the ACS.
    Answered(Known),
}

/// What the ACS was told.
#[derive(Clone, Default, PartialEq, Debug)]
struct Known {
    /// The number of the last transaction.
    round: usize,
    /// Rows by instance number, of `Device.Rule.` and `Device.Link.`; `None` when deleted.
    rules: SortedMap<u32, Option<()>>,
    links: SortedMap<u32, Option<()>>,
    /// The notification of [`WATCHED`].
    watched: u8,
}

type Events = Rc<RefCell<Vec<(u64, Event)>>>;

/// Notes what both handlers hold after each commit and undo, and how long the journal was.
pub(super) struct Noting {
    pub(super) inner: MemoryHandler,
    pub(super) both: (Rc<RefCell<Memory>>, Rc<RefCell<Memory>>),
    pub(super) file: PathBuf,
    pub(super) note: Box<dyn Fn(u64, World)>,
}

impl Noting {
    fn note(&self) {
        let len = std::fs::metadata(&self.file).unwrap().len();
        let world = World::of(&self.both.0, &self.both.1);
        (self.note)(len, world);
    }
}

impl Handler for Noting {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
        self.inner.list(ctx, row, out)
    }
    fn get(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) -> Result<(), Failure> {
        self.inner.get(ctx, row, want, out)
    }
    fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
        self.inner.stage(ctx, row, change)
    }
    fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
        let done = self.inner.commit(ctx, row, change);
        self.note();
        done
    }
    fn undo(
        &mut self,
        ctx: &Ctx<'_>,
        row: &Row<'_>,
        change: &Change<'_>,
        saved: &[u8],
    ) -> Result<(), Failure> {
        let done = self.inner.undo(ctx, row, change, saved);
        self.note();
        done
    }
    fn add_key(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, number: u32) -> Result<String, Failure> {
        self.inner.add_key(ctx, row, number)
    }
}

const NAMES: [&str; 5] = [
    "Device.Port.1.Name",
    "Device.Port.2.Name",
    "Device.Link.1.Note",
    "Device.Info.Code",
    "Device.Info.Uplink",
];

/// What each session watches, in other ways than the one before.
const WATCHED: [&str; 4] =
    ["Device.Port.1.Name", "Device.Port.3.Speed", "Device.Info.Count", "Device.Link.1.Note"];

/// The notification of a session: the first one's, or the second one's.
fn notification(round: usize) -> u8 {
    round.min(2) as u8
}

struct History {
    bench: Bench,
    dir: PathBuf,
    events: Events,
    known: Known,
}

impl History {
    fn new(dir: &Path) -> History {
        let mut bench = Bench::new();
        bench.journal = Rc::new(RefCell::new(Journal::open(dir).unwrap()));
        let events = Events::default();
        let both = (bench.one.clone(), bench.two.clone());
        let noting = |memory: &Rc<RefCell<Memory>>| -> Box<dyn Handler> {
            let events = events.clone();
            Box::new(Noting {
                inner: MemoryHandler(memory.clone()),
                both: both.clone(),
                file: dir.join("journal"),
                note: Box::new(move |len, world| events.borrow_mut().push((len, Event::Did(world)))),
            })
        };
        let handlers = vec![noting(&both.0), noting(&both.1)];
        let (mut tree, _) = open(&bench.journal, &bench.one, &bench.two);
        tree.handlers = handlers;
        bench.tree = tree;
        let world = World::of(&bench.one, &bench.two);
        events.borrow_mut().push((0, Event::Did(world)));
        History { bench, dir: dir.to_owned(), events, known: Known::default() }
    }

    fn answered(&mut self) {
        let len = std::fs::metadata(self.dir.join("journal")).unwrap().len();
        self.events.borrow_mut().push((len, Event::Answered(self.known.clone())));
    }

    /// One session: a set over everything, one part of it promised, rows that come and go, and a set
    /// that fails and is taken back.
    fn session(&mut self, round: usize) {
        let b = &mut self.bench;
        b.tree.begin_session();
        let (value, key) = (format!("v{round}"), format!("k{round}"));
        let other = format!("w{round}");
        // Rows that are made on the way: one that a handler makes with one in it, and one of the tree.
        let made = [
            format!("Device.Zone.[z{round}].Name"),
            format!("Device.Zone.[z{round}].Host.[h].Name"),
            format!("Device.Rule.[r{round}].Text"),
        ];
        let list: Vec<(&str, &str)> = NAMES
            .iter()
            .copied()
            .chain(made.iter().map(String::as_str))
            .map(|n| (n, if n.contains("Port.2") { other.as_str() } else { value.as_str() }))
            .collect();
        b.tree.begin_rpc();
        let status = b.tree.set_creating(&entries(&list), Writer::Acs { parameter_key: &key });
        assert_eq!(status, Ok(Status::AtSessionEnd));
        self.known.round = round;
        self.answered();
        for table in ["Device.Rule.", "Device.Link."] {
            let b = &mut self.bench;
            b.tree.begin_rpc();
            let (number, _) = b.tree.add(table, Writer::Acs { parameter_key: &key }).unwrap();
            let rows = if table.contains("Rule") { &mut self.known.rules } else { &mut self.known.links };
            assert!(rows.keys().all(|n| *n < number), "{number} was given before");
            rows.insert(number, Some(()));
            self.answered();
            if round.is_multiple_of(2) {
                let b = &mut self.bench;
                b.tree.begin_rpc();
                b.tree.delete(&format!("{table}{number}."), Writer::Acs { parameter_key: &key }).unwrap();
                let rows = if table.contains("Rule") { &mut self.known.rules } else { &mut self.known.links };
                rows.insert(number, None);
                self.answered();
            }
        }
        let b = &mut self.bench;
        let wish = |name| super::attributes::entry(name, Some(notification(round).into()), None);
        b.tree.set_attributes(&[wish("Device.Port."), wish(WATCHED[2]), wish(WATCHED[3])]).unwrap();
        self.known.watched = notification(round);
        self.answered();
        let b = &mut self.bench;
        b.two.borrow_mut().failing = texts(&["commit Device.Link.{i}. l0"]);
        let bad = [
            ("Device.Zone.[bad].Host.[bad].Name", "bad"),
            ("Device.Rule.[bad].Text", "bad"),
            ("Device.Port.1.Name", "bad"),
            ("Device.Link.1.Note", "bad"),
            ("Device.Info.Code", "bad"),
        ];
        b.tree.begin_rpc();
        b.tree.set_creating(&entries(&bad), Writer::Acs { parameter_key: "bad" }).unwrap_err();
        b.two.borrow_mut().failing.clear();
        assert!(b.tree.end_session().is_empty());
        self.answered();
    }
}

/// A folder of this test's own. Thousands of journals are opened: in memory, where there is such a place.
pub(super) fn folder(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = base.join(format!("cwmpd-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// R-GEN-5, R-SPV-22, R-SPV-27, R-OBJ-6, R-OBJ-8, R-SPA-1.
// Proves: R-SPV-22, R-SPA-1
#[test]
fn cut_at_every_byte_each_transaction_is_whole() {
    let base = folder("cut");
    let mut history = History::new(&base.join("whole"));
    history.answered();
    for round in 1..=2 {
        history.session(round);
    }
    let bytes = std::fs::read(base.join("whole/journal")).unwrap();
    let History { bench, events, .. } = history;
    let (one, two) = (bench.one.clone(), bench.two.clone());
    drop(bench);
    let events = events.take();
    assert!(events.windows(2).all(|w| w[0].0 <= w[1].0), "the journal was not compacted");
    assert_eq!(events.last().unwrap().0, bytes.len() as u64);

    let dir = base.join("cut");
    let schema = sample::schema(&model(), &["one", "two"]);
    let mut worlds = 0;
    for cut in 0..=bytes.len() {
        // Before a byte behind a length was written, all had been done that was done at that length.
        let before = events.partition_point(|e| e.0 < cut as u64);
        let until = events.partition_point(|e| e.0 <= cut as u64);
        for end in before.max(1)..=until.max(1) {
            let past = &events[..end];
            if end > before.max(1) && !matches!(past.last(), Some((_, Event::Did(_)))) && end < until {
                continue;
            }
            worlds += 1;
            let world = past.iter().rev().find_map(|e| match &e.1 {
                Event::Did(world) => Some(world.clone()),
                Event::Answered(_) => None,
            });
            let known = past.iter().rev().find_map(|e| match &e.1 {
                Event::Answered(known) => Some(known.clone()),
                Event::Did(_) => None,
            });
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("journal"), &bytes[..cut]).unwrap();
            world.unwrap().put(&one, &two);
            let journal = Rc::new(RefCell::new(Journal::open(&dir).unwrap()));
            let root = PathBuf::from("/");
            let (tree, notes) =
                Tree::open(schema.clone(), Platform::Linux, root, journal.clone(), handlers(&one, &two));
            let bench = Bench { tree, journal, one: one.clone(), two: two.clone(), notes };
            check(bench, &known.unwrap_or_default(), cut);
        }
    }
    assert!(worlds > bytes.len());
    std::fs::remove_dir_all(&base).unwrap();
}

fn check(mut b: Bench, known: &Known, cut: usize) {
    for left in ["t/intent", "t/promised"] {
        assert_eq!(b.journal.borrow().get(left), None, "at {cut}");
    }
    // All of the same transaction, and of none before the last that was answered.
    let found: Vec<String> = NAMES.iter().map(|n| b.value(n)).collect();
    let found: Vec<&str> = found.iter().map(|v| v.trim_start_matches(['v', 'w'])).collect();
    let key = b.key().unwrap_or_default();
    // The rows that the transactions made, with all that belongs to them, are there with the rest.
    let rounds = found[0].parse::<usize>().unwrap_or(0);
    let made: Vec<String> = (1..=rounds).map(|n| format!("v{n}")).collect();
    for name in ["Device.Zone.*.Name", "Device.Zone.*.Host.*.Name"] {
        let values: Vec<String> = b.values(&[name]).unwrap().into_iter().map(|p| p.1).collect();
        assert_eq!(values, made, "at {cut}: {name} {:?}", b.notes);
    }
    for n in 1..=rounds {
        assert_eq!(b.value(&format!("Device.Zone.{n}.Alias")), format!("z{n}"), "at {cut}");
        assert_eq!(b.value(&format!("Device.Zone.[z{n}].Host.1.Alias")), "h", "at {cut}");
        assert_eq!(b.value(&format!("Device.Rule.[r{n}].Text")), format!("v{n}"), "at {cut}");
    }
    let aliases = b.values(&["Device.Rule.*.Alias"]).unwrap();
    assert_eq!(aliases.iter().filter(|a| a.1.starts_with('r')).count(), rounds, "at {cut}: {aliases:?}");
    assert!(aliases.iter().all(|a| a.1 != "bad"), "at {cut}: {aliases:?}");
    match found[0].parse::<usize>() {
        Ok(round) => {
            assert!(found.iter().all(|f| *f == found[0]), "at {cut}: {found:?} {:?}", b.notes);
            assert_eq!(key, format!("k{round}"), "at {cut}");
            assert!(round == known.round || round == known.round + 1, "at {cut}: {found:?} {known:?}");
        }
        Err(_) => {
            assert_eq!(
                (found, key.as_str(), known.round),
                (vec!["eth0", "eth1", "old", "first", "dsl"], "", 0)
            );
        }
    }
    // R-SPA-1: watched all in the same way, the one that was answered or the one after it.
    let selection = b.tree.attributes(&texts(&WATCHED)).unwrap();
    let watched: Vec<String> = pairs(&mut b.tree, selection).into_iter().map(|p| p.1).collect();
    assert!(watched.iter().all(|w| *w == watched[0]), "at {cut}: {watched:?}");
    let number = watched[0].trim_end_matches("true").parse::<u8>().unwrap();
    assert!(number == known.watched || number == known.watched + 1, "at {cut}: {watched:?} {known:?}");
    for (table, rows) in [("Device.Rule.", &known.rules), ("Device.Link.", &known.links)] {
        let names = b.names(table, true).unwrap();
        for (number, row) in rows {
            let name = format!("{table}{number}.");
            // What was told last may have been changed once more without an answer.
            let last = rows.keys().next_back() == Some(number);
            assert!(
                names.contains(&name) == row.is_some() || (last && row.is_some()),
                "at {cut}: {name} {names:?}"
            );
        }
        let given = b.add(table).unwrap().0;
        assert!(rows.keys().all(|n| *n < given), "at {cut}: {given} was given before");
        assert!(!names.contains(&format!("{table}{given}.")), "at {cut}");
    }
}
