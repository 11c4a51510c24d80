use super::*;

impl Journal {
    /// Nothing can be written any more.
    pub(crate) fn fill_disk(&mut self) {
        // Appending fails with ENOSPC, and the way out, a new file, is barred too.
        self.file = Some(File::options().write(true).open("/dev/full").unwrap());
        std::fs::create_dir(self.dir.join(".journal.new")).unwrap();
    }
}

fn put(key: &str, value: &str) -> Batch {
    let mut batch = Batch::default();
    batch.put(key, value);
    batch
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("cwmpd-journal-unit-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

/// Who was killed while it started a process is gone a moment later.
#[test]
fn the_last_moment_of_another_daemon_is_waited_for() {
    let dir = scratch("moment");
    let first = Journal::open(&dir).unwrap();
    let (other, begun) = (dir.clone(), std::sync::Arc::new(std::sync::Barrier::new(2)));
    let here = begun.clone();
    let second = thread::spawn(move || {
        here.wait();
        Journal::open(&other).is_ok()
    });
    begun.wait();
    thread::sleep(LAST_MOMENT / 10); // no wait for anything: that the other one comes too early
    drop(first);
    assert!(second.join().unwrap());
    let _kept = Journal::open(&dir).unwrap();
    assert!(Journal::open(&dir).is_err(), "one that stays");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_full_disk_keeps_the_batch_in_memory_and_writes_it_later() {
    let dir = scratch("full");
    let mut journal = Journal::open(&dir).unwrap();
    journal.commit(put("a", "1")).unwrap();
    journal.fill_disk();
    assert!(journal.commit(put("a", "2")).is_err());
    assert!(journal.commit(put("b", "3")).is_err());
    assert_eq!((journal.text("a"), journal.text("b")), (Some("2"), Some("3")));
    assert!(journal.health().unwrap().contains("cannot be written"));
    std::fs::remove_dir(dir.join(".journal.new")).unwrap();
    journal.commit(put("c", "4")).unwrap();
    assert_eq!(journal.health(), None);
    drop(journal);
    let journal = Journal::open(&dir).unwrap();
    assert_eq!(journal.scan("").collect::<Vec<_>>(), [("a", &b"2"[..]), ("b", b"3"), ("c", b"4")]);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_full_disk_where_a_new_file_fits_loses_nothing() {
    let dir = scratch("anew");
    let mut journal = Journal::open(&dir).unwrap();
    journal.commit(put("a", "1")).unwrap();
    journal.file = Some(File::options().write(true).open("/dev/full").unwrap());
    journal.commit(put("a", "2")).unwrap();
    assert_eq!(journal.health(), None);
    drop(journal);
    assert_eq!(Journal::open(&dir).unwrap().text("a"), Some("2"));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn half_a_write_that_could_not_be_cut_off_hides_no_later_record() {
    for garbage in [3, 300] {
        let dir = scratch("half");
        let mut journal = Journal::open(&dir).unwrap();
        journal.commit(put("a", "1")).unwrap();
        let file = File::options().write(true).open(dir.join("journal")).unwrap();
        file.write_all_at(&vec![0x2b; garbage], journal.len).unwrap();
        journal.commit(put("b", "2")).unwrap();
        drop(journal);
        let mut journal = Journal::open(&dir).unwrap();
        assert_eq!((journal.text("a"), journal.text("b")), (Some("1"), Some("2")));
        journal.commit(put("c", "3")).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&dir).unwrap().scan("").count(), 3);
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn in_memory_commits_and_has_no_file() {
    let mut journal = Journal::in_memory();
    journal.commit(put("a", "1")).unwrap();
    journal.purge().unwrap();
    assert_eq!(journal.text("a"), Some("1"));
    assert_eq!(journal.health(), None);
}

/// A value or key that no record could hold is refused, and nothing of its batch holds.
#[test]
fn keys_and_values_are_bounded() {
    let mut journal = Journal::in_memory();
    let two = |key: usize, value: usize| {
        let mut batch = put("beside", "it");
        batch.put("k".repeat(key), vec![b'v'; value]);
        batch
    };
    for (key, value) in [(MAX_KEY + 1, 1), (1, MAX_VALUE + 1)] {
        assert_eq!(journal.commit(two(key, value)).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(journal.scan("").count(), 0);
    }
    journal.commit(two(MAX_KEY, MAX_VALUE)).unwrap();
    assert_eq!(journal.scan("").count(), 2);
    assert!(record::size(&"k".repeat(MAX_KEY), Some(&vec![0; MAX_VALUE])) <= MAX_RECORD);
}

/// A record as long as can be is read, a longer one is none; and a file that no compaction would have
/// left is not replayed to its end.
#[test]
fn records_and_files_are_bounded() {
    let record = |payload: usize, value: u8| {
        let length = payload - 8; // what stands around a key of one byte and its value
        let mut record = Record::default();
        record.push("k", Some(&vec![value; length]));
        record.finish()
    };
    for (payload, kept) in [(MAX_RECORD, 1), (MAX_RECORD + 1, 0)] {
        let dir = scratch("record");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("journal"), [MAGIC, &record(payload, b'v')].concat()).unwrap();
        assert_eq!(Journal::open(&dir).unwrap().scan("").count(), kept, "{payload}");
        std::fs::remove_dir_all(dir).unwrap();
    }
    let dir = scratch("file");
    std::fs::create_dir_all(&dir).unwrap();
    let mut file = File::create(dir.join("journal")).unwrap();
    file.write_all(MAGIC).unwrap();
    let records = MAX_FILE / (MAX_RECORD as u64 + 8) + 1;
    for n in 0..records + 2 {
        file.write_all(&record(MAX_RECORD, b'a' + (n % 26) as u8)).unwrap();
    }
    let journal = Journal::open(&dir).unwrap();
    assert!(journal.health().unwrap().contains("damaged at byte 67109"), "{:?}", journal.health());
    assert_eq!(journal.get("k").unwrap()[0], b'a' + ((records - 1) % 26) as u8, "the last that was read");
    drop(journal);
    assert!(std::fs::metadata(dir.join("journal")).unwrap().len() < 2 * MAX_RECORD as u64, "written anew");
    std::fs::remove_dir_all(dir).unwrap();
}

/// Far behind what is broken nobody looks: so much garbage is no torn write.
#[test]
fn the_search_for_whole_records_ends() {
    for (garbage, damaged) in [(MAX_SEARCH - 1, false), (MAX_SEARCH + 1, true)] {
        let dir = scratch("search");
        std::fs::create_dir_all(&dir).unwrap();
        let mut bytes = MAGIC.to_vec();
        bytes.resize(MAGIC.len() + garbage as usize, 0xff);
        std::fs::write(dir.join("journal"), bytes).unwrap();
        assert_eq!(Journal::open(&dir).unwrap().health().is_some(), damaged, "{garbage}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
