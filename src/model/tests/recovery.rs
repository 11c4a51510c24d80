use super::*;
use crate::sys::sorted::SortedMap;

type Rows = SortedMap<String, SortedMap<String, String>>;

fn rows(b: &Bench) -> (Rows, Rows) {
    (b.one.borrow().rows.clone(), b.two.borrow().rows.clone())
}

const LIST: &[(&str, &str)] = &[
    ("Device.Port.1.Name", "new"),
    ("Device.Port.2.Speed", "7"),
    ("Device.Link.1.Note", "n"),
    ("Device.Info.Code", "c"),
];

/// The process is cut off before the first commit, between commits, and after the last, before
/// "done": the next start takes back what was done. The cut is the state of the journal and of the
/// handlers at that moment.
#[test]
fn a_transaction_that_was_cut_off_is_undone() {
    for commits in 0..=3 {
        let b = Bench::new();
        let before = rows(&b);
        let mut b = b;
        b.value("Device.Port.1.Name");
        // What the journal holds while the commits run.
        let cut = Rc::new(RefCell::new(Journal::in_memory()));
        b.log();
        b.set(LIST).unwrap();
        let done = rows(&b);
        let committed: Vec<String> =
            b.log().into_iter().filter_map(|l| l.strip_prefix("commit ").map(str::to_owned)).collect();
        assert_eq!(committed.len(), 3);

        // The same again in a second world, of which the intent is taken.
        let mut second = Bench::new();
        second.value("Device.Port.1.Name");
        second.two.borrow_mut().failing =
            texts(&["commit Device.Link.{i}. l0", "undo Device.Port.{i}. eth0"]);
        let seen = intent_of(&mut second);
        let mut batch = crate::state::journal::Batch::default();
        batch.put("t/intent", seen);
        cut.borrow_mut().commit(batch).unwrap();

        // Rows as they are after so many commits.
        for world in [&b.one, &b.two] {
            let mut memory = world.borrow_mut();
            let (old, new) =
                if Rc::ptr_eq(world, &b.one) { (&before.0, &done.0) } else { (&before.1, &done.1) };
            memory.rows.clone_from(old);
            for name in committed.iter().take(commits) {
                if let Some(row) = new.get(name) {
                    memory.rows.insert(name.clone(), row.clone());
                }
            }
        }
        let (tree, notes) = open(&cut, &b.one, &b.two);
        let mut b = Bench { tree, journal: cut, one: b.one, two: b.two, notes };
        assert_eq!(b.notes.len(), 3, "{:?}", b.notes);
        assert_eq!(rows(&b), before, "after {commits} commits");
        let undone: Vec<String> = b.log().into_iter().filter(|l| l.starts_with("undo")).collect();
        assert_eq!(undone.len(), 3);
        assert_eq!(b.value("Device.Info.Code"), "first");
        assert!(b.journal.borrow().get("t/intent").is_none());
        assert!(b.restart().notes.is_empty(), "and only once");
    }
}

/// The intent that the transaction of `LIST` writes, caught by a handler whose commit looks into the
/// journal.
fn intent_of(b: &mut Bench) -> Vec<u8> {
    struct Spy(sample::MemoryHandler, Rc<RefCell<Journal>>, Rc<RefCell<Vec<u8>>>);
    use crate::model::handler::*;
    impl Handler for Spy {
        fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) -> Result<(), Failure> {
            self.0.list(ctx, row, out)
        }
        fn get(
            &mut self,
            ctx: &Ctx<'_>,
            row: &Row<'_>,
            want: &[Want<'_>],
            out: &mut Fields,
        ) -> Result<(), Failure> {
            self.0.get(ctx, row, want, out)
        }
        fn stage(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<Vec<u8>, Failure> {
            self.0.stage(ctx, row, change)
        }
        fn commit(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, change: &Change<'_>) -> Result<(), Failure> {
            *self.2.borrow_mut() = self.1.borrow().get("t/intent").unwrap().to_vec();
            self.0.commit(ctx, row, change)
        }
        fn undo(
            &mut self,
            ctx: &Ctx<'_>,
            row: &Row<'_>,
            change: &Change<'_>,
            saved: &[u8],
        ) -> Result<(), Failure> {
            self.0.undo(ctx, row, change, saved)
        }
    }
    let seen = Rc::new(RefCell::new(Vec::new()));
    let spy = |memory: &Rc<RefCell<Memory>>| {
        Box::new(Spy(MemoryHandler(memory.clone()), b.journal.clone(), seen.clone()))
    };
    let natives: Vec<(&'static str, Box<dyn Handler>)> = vec![("one", spy(&b.one)), ("two", spy(&b.two))];
    let text = MODEL.replacen("\n\n", &format!("\n{COUNTERS}\n"), 1);
    let (mut tree, _) = sample::tree(&text, &b.journal, Handlers { by_kind: Vec::new(), natives });
    let list: Vec<ParameterValue> = LIST
        .iter()
        .map(|(n, v)| ParameterValue { name: (*n).into(), value: (*v).into(), xsi_type: None })
        .collect();
    b.two.borrow_mut().failing.clear();
    tree.set(&list, Writer::Local).unwrap();
    drop(tree);
    Rc::try_unwrap(seen).map(RefCell::into_inner).unwrap_or_else(|rc| rc.borrow().clone())
}

/// R-SPV-9: what was promised is made by the next start, when the process died before it could.
#[test]
fn a_promise_outlives_the_process() {
    let mut b = Bench::new();
    b.tree.begin_session();
    b.set(&[("Device.Info.Uplink", "fibre")]).unwrap();
    let mut b = b.restart();
    assert_eq!(b.notes.len(), 1, "{:?}", b.notes);
    assert_eq!(b.one.borrow_mut().row("Device.Info.")["Uplink"], "fibre");
    assert_eq!(b.value("Device.Info.Uplink"), "fibre");
    assert!(b.restart().notes.is_empty());
}

#[test]
fn a_damaged_record_stops_nothing() {
    let b = Bench::new();
    let mut batch = crate::state::journal::Batch::default();
    batch.put("t/intent", vec![9, 0, 0, 0, 1, 2]);
    batch.put("t/promised", vec![255; 8]);
    batch.put("i/Device.Port.", vec![7, 0, 0, 0, 1, 0, 0, 0, 200, 0, 1]);
    b.journal.borrow_mut().commit(batch).unwrap();
    let mut b = b.restart();
    assert_eq!(b.notes.len(), 2);
    assert_eq!(
        b.names("Device.Port.", true).unwrap(),
        ["Device.Port.7.", "Device.Port.8.", "Device.Port.9."]
    );
}

/// R-SYS-5: after a factory reset nothing of before is known, and numbers begin anew (R-OBJ-6).
#[test]
fn a_factory_reset_forgets() {
    let mut b = Bench::new();
    b.add("Device.Rule.").unwrap();
    b.delete("Device.Rule.1.").unwrap();
    b.tree.begin_session();
    b.set(&[("Device.Info.Code", "x"), ("Device.Info.Uplink", "fibre"), ("Device.Port.1.Alias", "a")])
        .unwrap();
    let mut empty = crate::state::journal::Batch::default();
    b.journal.borrow().scan("").for_each(|(key, _)| empty.delete(key));
    b.journal.borrow_mut().commit(empty).unwrap();
    b.tree.forget();
    assert!(b.tree.end_session().is_empty());
    assert_eq!(b.value("Device.Info.Code"), "first");
    assert_eq!(b.value("Device.Info.Uplink"), "dsl");
    assert_eq!(b.value("Device.Port.1.Alias"), "cpe-1");
    assert_eq!(b.add("Device.Rule.").unwrap().0, 1);
}
