//! What carries the ACS session is tried out: promised, applied, confirmed or put back.

mod cut;
mod failing;
mod joining;
mod life;
mod rows;

use super::*;
use crate::model::trial::{PutBack, Trial};
use crate::state::journal::Batch;
use crate::sys::sorted::SortedMap;
use std::ops::{Deref, DerefMut};

fn trial_model() -> String {
    let more = r#"
["Device.ManagementServer."]
URL      = { type = "URL", store = "http://old/", write = true, uplink = true }
Username = { type = "string", store = "", write = true, uplink = true }
Password = { type = "string", store = "", write = true, hidden = true, uplink = true }

["Device.Way.{i}."]
store = ""
create = true
uplink = true
Alias = { type = "Alias", write = true }
Text = { type = "string", store = "", write = true }

["Device.Link.{i}.Sub."]
Text = { type = "string", native = "two", write = true }
Later = { type = "string", native = "two", write = true, after_session = true }

["Device.Link.{i}.Hop.{i}."]
store = ""
create = true
Text = { type = "string", store = "", write = true }

["Device.Later."]
Refs = { type = "list(ref())", store = "", write = true }
Text = { type = "string", native = "one", write = true, after_session = true }
Own  = { type = "string", store = "", write = true }
"#;
    let mark = |text: String, table: &str, with: &str| {
        let head = format!("[\"{table}\"]\nnative  = \"two\"\n");
        assert!(text.contains(&head));
        text.replace(&head, &format!("{head}uplink = true\n{with}"))
    };
    let to =
        "Number = { type = \"string(8)\", write = true }\nTo = { type = \"list(ref())\", write = true }\n";
    let text = mark(mark(model(), "Device.Link.{i}.", to), "Device.Zone.{i}.", "");
    let text = text.replace("Lower   =", "To = { type = \"ref()\", write = true }\nLower   =");
    let text = text.replace("write = true, after_session = true }", "write = true, uplink = true }");
    format!("{text}{more}")
}

/// A tree that tries changes out.
struct Trials(Bench);

impl From<Trials> for Bench {
    fn from(trials: Trials) -> Bench {
        trials.0
    }
}

impl Deref for Trials {
    type Target = Bench;
    fn deref(&self) -> &Bench {
        &self.0
    }
}

impl DerefMut for Trials {
    fn deref_mut(&mut self) -> &mut Bench {
        &mut self.0
    }
}

impl Trials {
    fn new() -> Trials {
        Trials(Bench::new()).restart()
    }

    /// A tree that nobody has told to.
    fn untried() -> Trials {
        let Bench { journal, one, two, .. } = Bench::new();
        let (tree, notes) = sample::tree(&trial_model(), &journal, handlers(&one, &two));
        Trials(Bench { tree, journal, one, two, notes })
    }

    fn restart(self) -> Trials {
        let Bench { journal, one, two, .. } = self.0;
        let (mut tree, notes) = sample::tree(&trial_model(), &journal, handlers(&one, &two));
        tree.set_trials(true);
        Trials(Bench { tree, journal, one, two, notes })
    }

    fn trial(&self) -> Trial {
        self.tree.trial().expect("something is on trial")
    }

    fn info(&self, name: &str) -> String {
        self.one.borrow_mut().row("Device.Info.")[name].clone()
    }

    fn link(&self, name: &str) -> String {
        self.two.borrow_mut().row("Device.Link.{i}. l0").get(name).cloned().unwrap_or_default()
    }

    fn acs(&mut self, list: &[(&str, &str)], key: &str) -> Result<Status, Fault> {
        self.set_as(list, Writer::Acs { parameter_key: key })
    }

    fn local(&mut self, list: &[(&str, &str)]) -> Result<Status, Fault> {
        self.set_as(list, Writer::Local)
    }

    fn end(&mut self) {
        let notes = self.tree.end_session();
        assert_eq!(notes, Vec::<String>::new());
    }

    fn put_back(&mut self) -> PutBack {
        self.tree.put_back_trial(Batch::default())
    }

    fn confirm(&mut self) {
        self.tree.confirm_trial(Batch::default()).unwrap();
    }

    /// Everything that a trial may change: rows, keys, and the tree's own values.
    fn state(&self) -> State {
        let journal = self.journal.borrow();
        let mut own: Vec<(String, Vec<u8>)> = Vec::new();
        for kind in ["v/", "l/", "k"] {
            own.extend(journal.scan(kind).map(|(key, value)| (key.to_owned(), value.to_vec())));
        }
        // What is empty was made by asking.
        let held = |m: &Rc<RefCell<Memory>>| {
            let (mut rows, mut keys) = (m.borrow().rows.clone(), m.borrow().keys.clone());
            rows.retain(|_, row| !row.is_empty());
            keys.retain(|_, keys| !keys.is_empty());
            (rows, keys)
        };
        (held(&self.one), held(&self.two), own)
    }

    fn of_trial(&self) -> Vec<String> {
        self.journal.borrow().scan("t/").map(|(key, _)| key.to_owned()).collect()
    }
}

type Held = (SortedMap<String, SortedMap<String, String>>, SortedMap<String, Vec<String>>);
type State = (Held, Held, Vec<(String, Vec<u8>)>);
