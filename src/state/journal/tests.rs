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
