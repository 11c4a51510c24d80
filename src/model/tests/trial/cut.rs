//! The power goes at any moment of a history of trials: whatever the disk then holds, the start finds the
//! change promised, on trial, or over, and can put it back exactly or keep it whole.

use super::*;
use crate::model::handler::Handler;
use crate::model::schema::Platform;
use crate::model::tests::cut::{Noting, World, folder};
use std::path::{Path, PathBuf};

/// What was true when the journal file had this length.
enum Event {
    /// A handler did something: what both hold now.
    Did(World),
    /// A call returned.
    Knows(Known),
}

/// What the owner of the tree knows.
#[derive(Clone, Debug)]
struct Known {
    /// The number of the last transaction.
    round: usize,
    /// It is still on trial.
    open: bool,
    /// What there is without it: before the first, or since the last trial was over.
    settled: State,
    /// The round whose values those are.
    settled_round: usize,
    /// Rows of `Device.Link.` that were told of, and whether they are there with the trial.
    rows: Vec<(u32, bool)>,
}

type Events = Rc<RefCell<Vec<(u64, Event)>>>;

const NAMES: [&str; 6] = [
    "Device.Info.Uplink",
    "Device.Port.1.Name",
    "Device.Link.1.Note",
    "Device.Info.Code",
    "Device.ManagementServer.URL",
    "Device.Link.1.Sub.Text",
];

struct History {
    trials: Trials,
    file: PathBuf,
    events: Events,
    known: Known,
}

impl History {
    fn new(dir: &Path) -> History {
        let mut trials = Trials::new();
        trials.0.journal = Rc::new(RefCell::new(Journal::open(dir).unwrap()));
        let mut trials = trials.restart();
        let values: Vec<(&str, String)> = NAMES.iter().map(|n| (*n, value(n, 0))).collect();
        let list: Vec<(&str, &str)> = values.iter().map(|(n, v)| (*n, v.as_str())).collect();
        trials.acs(&list, "k0").unwrap();
        trials.confirm();
        let events = Events::default();
        let both = (trials.one.clone(), trials.two.clone());
        let noting = |memory: &Rc<RefCell<Memory>>| -> Box<dyn Handler> {
            let events = events.clone();
            Box::new(Noting {
                inner: MemoryHandler(memory.clone()),
                both: both.clone(),
                file: dir.join("journal"),
                note: Box::new(move |len, world| events.borrow_mut().push((len, Event::Did(world)))),
            })
        };
        trials.0.tree.handlers = vec![noting(&both.0), noting(&both.1)];
        let world = World::of(&both.0, &both.1);
        let file = dir.join("journal");
        let settled = trials.state();
        let known = Known { round: 0, open: false, settled, settled_round: 0, rows: vec![(1, true)] };
        events.borrow_mut().push((0, Event::Did(world)));
        let mut history = History { trials, file, events, known };
        history.knows();
        history
    }

    fn knows(&mut self) {
        let len = std::fs::metadata(&self.file).unwrap().len();
        self.events.borrow_mut().push((len, Event::Knows(self.known.clone())));
    }

    fn set(&mut self, round: usize, writer: Writer<'_>) {
        let values: Vec<(&str, String)> = NAMES.iter().map(|n| (*n, value(n, round))).collect();
        let list: Vec<(&str, &str)> = values.iter().map(|(n, v)| (*n, v.as_str())).collect();
        self.trials.set_as(&list, writer).unwrap();
        (self.known.round, self.known.open) = (round, true);
        self.knows();
    }

    fn row(&mut self, number: u32, there: bool) {
        let b = &mut self.trials;
        b.tree.begin_rpc();
        let writer = Writer::Local;
        match there {
            true => assert_eq!(b.tree.add("Device.Link.", writer).unwrap().0, number),
            false => drop(b.tree.delete(&format!("Device.Link.{number}."), writer).unwrap()),
        }
        self.known.rows.retain(|row| row.0 != number);
        self.known.rows.push((number, there));
        self.knows();
    }

    fn over(&mut self, stays: bool) {
        let mut batch = Batch::default();
        let word = if stays { "stays" } else { "back" };
        batch.put("e/queue", format!("{word} {}", self.known.round));
        if stays {
            self.trials.tree.confirm_trial(batch).unwrap();
            self.known.settled = self.trials.state();
            self.known.settled_round = self.known.round;
        } else {
            let back = self.trials.tree.put_back_trial(batch);
            assert_eq!(back.notes, Vec::<String>::new());
            assert_eq!(self.trials.state(), self.known.settled);
            self.known.rows.retain(|row| row.0 <= 2);
            self.known.rows.iter_mut().for_each(|row| row.1 = true);
        }
        self.known.open = false;
        self.knows();
    }
}

fn value(name: &str, round: usize) -> String {
    if name.ends_with("URL") { format!("http://acs{round}/") } else { format!("v{round}") }
}

// Proves: R-GEN-5, R-OBJ-6, R-OBJ-8, R-SPV-9
#[test]
fn cut_at_every_byte_a_trial_is_promised_or_open_or_over() {
    let base = folder("trial-cut");
    let mut h = History::new(&base.join("whole"));
    // Confirmed; with a row that comes.
    h.trials.tree.begin_session();
    h.set(1, Writer::Acs { parameter_key: "k1" });
    h.row(2, true);
    h.trials.end();
    h.knows();
    h.trials.tree.note_trial(15).unwrap();
    h.over(true);
    // Put back; with a row that goes, and one that comes.
    h.trials.tree.begin_session();
    h.set(2, Writer::Acs { parameter_key: "k2" });
    h.row(2, false);
    h.row(3, true);
    h.trials.end();
    h.knows();
    h.trials.tree.note_trial(30).unwrap();
    h.over(false);
    // By a shell, at once, and then once more on top of it; put back.
    h.set(3, Writer::Local);
    h.row(2, false);
    h.set(4, Writer::Local);
    h.over(false);

    let bytes = std::fs::read(&h.file).unwrap();
    let (one, two) = (h.trials.one.clone(), h.trials.two.clone());
    let events = h.events.take();
    drop(h.trials);
    assert!(events.windows(2).all(|w| w[0].0 <= w[1].0), "the journal was not compacted");
    assert_eq!(events.last().unwrap().0, bytes.len() as u64);
    let first = events[1].0 as usize;

    let dir = base.join("cut");
    let schema = sample::schema(&trial_model(), &["one", "two"]);
    let (mut worlds, mut seen) = (0, crate::sys::sorted::SortedMap::<String, usize>::new());
    let mut last = None;
    for cut in first..=bytes.len() {
        // Before a byte behind a length was written, all had been done that was done at that length.
        let before = events.partition_point(|e| e.0 < cut as u64);
        let until = events.partition_point(|e| e.0 <= cut as u64);
        for end in before.max(2)..=until.max(2) {
            let _ = std::fs::remove_dir_all(&dir);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("journal"), &bytes[..cut]).unwrap();
            let journal = Rc::new(RefCell::new(Journal::open(&dir).unwrap()));
            worlds += 1;
            // Most bytes lie in the middle of a record, and the journal then holds what it held before.
            let held: Vec<_> = journal.borrow().scan("").map(|(k, v)| (k.to_owned(), v.to_vec())).collect();
            if last.replace((end, held.clone())) == Some((end, held)) {
                continue;
            }
            let past = &events[..end];
            let world = past.iter().rev().find_map(|e| match &e.1 {
                Event::Did(world) => Some(world.clone()),
                Event::Knows(_) => None,
            });
            let known = past.iter().rev().find_map(|e| match &e.1 {
                Event::Knows(known) => Some(known),
                Event::Did(_) => None,
            });
            world.unwrap().put(&one, &two);
            let root = PathBuf::from("/");
            let was_open = journal.borrow().get("t/trial").is_some();
            let (tree, notes) =
                Tree::open(schema.clone(), Platform::Linux, root, journal.clone(), handlers(&one, &two));
            let trials = Trials(Bench { tree, journal, one: one.clone(), two: two.clone(), notes });
            let found = check(trials, known.unwrap(), was_open, cut);
            *seen.entry(found).or_default() += 1;
        }
    }
    assert!(worlds > bytes.len() - first);
    let kinds: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["failed", "on trial", "over"], "{seen:?}");
    std::fs::remove_dir_all(&base).unwrap();
}

/// Says in which of its states the trial was found.
fn check(mut b: Trials, known: &Known, was_open: bool, cut: usize) -> String {
    let at = format!("at {cut}: {:?} {}, open {}", b.notes, known.round, known.open);
    assert_eq!(b.journal.borrow().get("t/intent"), None, "{at}");
    let queue = b.journal.borrow().text("e/queue").unwrap_or_default().to_owned();
    let trial = b.tree.trial();
    assert_eq!(trial.is_some(), was_open, "{at}");
    let rounds: Vec<Option<usize>> =
        NAMES.iter().map(|n| (0..=4).find(|r| b.value(n) == value(n, *r))).collect();
    let key = b.key().unwrap_or_default();
    let found = match trial {
        None => {
            // Never neither: what was promised and is not there any more was decided, and the owner's
            // words about it are there.
            let over =
                format!("{} {}", if queue.starts_with("stays") { "stays" } else { "back" }, known.round);
            assert!(!known.open || queue == over, "{at}: {queue}");
            let round =
                if queue == format!("stays {}", known.round) { known.round } else { known.settled_round };
            assert_eq!(rounds, [Some(round); NAMES.len()], "{at}");
            assert_eq!(key, format!("k{round}"), "{at}");
            "over"
        }
        Some(trial) if trial.failed.is_none() => {
            assert!(trial.applied, "{at}");
            let round = rounds[0].unwrap();
            assert!(round == known.round || round == known.round + 1, "{at}");
            assert_eq!(rounds, vec![Some(round); NAMES.len()], "{at}");
            // A shell gives no key.
            assert!(round > 2 || key == format!("k{round}"), "{at}: {key}");
            assert!(known.open || round == known.round + 1, "{at}");
            if known.open && round == known.round {
                let names = b.names("Device.Link.", true).unwrap();
                let last = known.rows.last().map(|row| row.0);
                for (number, there) in &known.rows {
                    let name = format!("Device.Link.{number}.");
                    let is = names.contains(&name);
                    // What was told last may have been changed once more without an answer.
                    assert!(is == *there || Some(*number) != last || *there, "{at}: {name} {names:?}");
                }
            }
            "on trial"
        }
        Some(_) => "failed",
    };
    if found != "over" {
        let mut batch = Batch::default();
        batch.put("e/queue", "put back by the start");
        let back = b.tree.put_back_trial(batch);
        assert_eq!(back.notes, Vec::<String>::new(), "{at}");
        assert_eq!(b.state(), known.settled, "{at}");
        assert_eq!(b.journal.borrow().text("e/queue"), Some("put back by the start"));
    }
    assert_eq!(b.of_trial(), Vec::<String>::new(), "{at}");
    let given = b.add("Device.Link.").unwrap().0;
    assert!(known.rows.iter().all(|(number, _)| *number < given), "{at}: {given} was given before");
    found.to_owned()
}
