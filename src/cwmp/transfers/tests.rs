//! The transfers, as whoever owns the queue sees them. Time is made up: `At` is a device with a clock.

mod clock;
mod judge;
mod order;
mod record;
mod report;
mod windows;

use super::*;
use crate::model::fault::{Code, Fault};
use crate::sys::clock::Now;
use std::time::Duration;

const HOUR: u64 = 3600;
/// When the device of these tests booted, by the wall clock.
const BOOTED: i64 = 1_800_000_000;

/// So many seconds after the boot, with a clock that is right.
fn at(mono: u64) -> Now {
    Now { mono: Duration::from_secs(mono), wall: BOOTED + mono as i64, clock_set: true }
}

/// The same without a clock.
fn blind(mono: u64) -> Now {
    Now { wall: mono as i64, clock_set: false, ..at(mono) }
}

fn download(key: &str) -> Asked {
    Asked {
        method: Method::Download,
        origin: Origin::Acs,
        command_key: key.to_string(),
        file_type: "1 Firmware Upgrade Image".to_string(),
        url: "http://files.example/image.bin?token=sesame#top".to_string(),
        username: "user".to_string(),
        password: "pass\tword".to_string(),
        file_size: 1000,
        target_file_name: "../../etc/passwd".to_string(),
        delay_seconds: 0,
        windows: Vec::new(),
    }
}

fn delayed(key: &str, delay_seconds: u32) -> Asked {
    Asked { delay_seconds, ..download(key) }
}

fn upload(key: &str) -> Asked {
    let file_type = "1 Vendor Configuration File".to_string();
    Asked { method: Method::Upload, file_type, file_size: 0, ..download(key) }
}

fn window(start: u32, end: u32, mode: Mode) -> Window {
    Window { start, end, mode, user_message: "May I?".to_string(), max_retries: Some(0) }
}

fn scheduled(key: &str, windows: &[Window]) -> Asked {
    Asked { method: Method::ScheduleDownload, windows: windows.to_vec(), ..download(key) }
}

fn fault(code: Code) -> Fault {
    Fault::new(code, "why")
}

fn work(number: u32, task: Task) -> Option<Work> {
    Some(Work { number, task })
}

/// A queue of these, asked for at once.
fn queue(asked: &[Asked], now: Now) -> Queue {
    let mut queue = Queue::default();
    for asked in asked {
        queue.ask(asked.clone(), now).expect("a good request");
    }
    queue
}

/// What a journal would have after all that was recorded.
#[derive(Default)]
struct Journal(Vec<(String, String)>);

impl Journal {
    /// Writes what is new; how many entries that were.
    fn write(&mut self, queue: &mut Queue) -> usize {
        let changes = queue.records();
        let count = changes.len();
        for (key, text) in changes {
            self.0.retain(|(k, _)| *k != key);
            self.0.extend(text.map(|text| (key, text)));
        }
        count
    }

    fn start(&self, rebooted: bool, now: Now) -> Queue {
        Queue::from_records(self.0.iter().map(|(k, v)| (k.as_str(), v.as_str())), rebooted, now)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(k, _)| k.as_str()).collect()
    }
}

/// Stopped and started again; nothing of the queue is left but what was recorded.
fn restart(queue: &mut Queue, journal: &mut Journal, rebooted: bool, now: Now) {
    journal.write(queue);
    *queue = journal.start(rebooted, now);
}
