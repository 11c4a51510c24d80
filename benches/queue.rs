//! The queue of transfers when it is full: what each operation costs, the records of the journal made with it,
//! the journal's own writing left out. ScheduleDownloads with two windows and long arguments, the largest
//! there are. Processor time of the fastest of many rounds, since the operations take microseconds.

use cwmpd::cwmp::events::Queue as Events;
use cwmpd::cwmp::transfers::{Asked, MAX_TRANSFERS, Method, Mode, Origin, Queue, Step, Window};
use cwmpd::sys::clock::Now;
use nix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::Duration;

const ROUNDS: usize = 2000;

fn asked(number: usize) -> Asked {
    let window = |start: u32| Window {
        start,
        end: start + 3600,
        mode: Mode::AtAnyTime,
        user_message: "m".repeat(256),
        max_retries: Some(3),
    };
    Asked {
        method: Method::ScheduleDownload,
        origin: Origin::Acs,
        command_key: format!("key-{number:028}"),
        file_type: "1 Firmware Upgrade Image".to_owned(),
        url: format!("https://files.example/{}", "u".repeat(230)),
        username: "n".repeat(256),
        password: "p".repeat(256),
        file_size: 16 << 20,
        target_file_name: "t".repeat(256),
        delay_seconds: 0,
        windows: vec![window(10), window(7200)],
    }
}

fn now(seconds: u64) -> Now {
    Now { mono: Duration::from_secs(seconds), wall: 1_800_000_000 + seconds as i64, clock_set: true }
}

fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock that Linux has").into()
}

/// Tells the fastest of many rounds, each with a queue of its own.
fn measure<T>(what: &str, full: &Queue, operation: impl Fn(&mut Queue) -> T) {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let mut queue = full.clone();
        let since = cpu();
        black_box(operation(&mut queue));
        best = best.min(cpu() - since);
    }
    println!("{what:<44} {:>9.1} µs", best.as_nanos() as f64 / 1e3);
}

fn main() {
    let mut full = Queue::default();
    for number in 1..MAX_TRANSFERS {
        full.ask(asked(number), now(1)).expect("there is room");
    }
    full.records();
    measure("ask, and its records (the sixteenth)", &full, |queue| {
        queue.ask(asked(16), now(1)).expect("there is room");
        queue.records()
    });
    full.ask(asked(16), now(1)).expect("there is room");
    full.records();
    println!("{MAX_TRANSFERS} transfers");
    measure("records, when nothing has changed", &full, Queue::records);
    measure("next_work, and its records", &full, |queue| {
        let work = queue.next_work(now(11), true).expect("the first window is open");
        (work, queue.records())
    });
    measure("next", &full, |queue| queue.next());
    measure("queued (GetAllQueuedTransfers)", &full, |queue| queue.queued());
    measure("reached the end, records and events", &full, |queue| {
        let work = queue.next_work(now(11), true).expect("the first window is open");
        queue.reached(work.number, Step::Done, now(12));
        let mut events = Events::default();
        queue.follow_events(&mut events);
        (queue.records(), events.record())
    });
    measure("cancel, and its records", &full, |queue| {
        queue.cancel("key-0000000000000000000000000016").expect("it has not begun");
        queue.records()
    });
    let mut fresh = Queue::default();
    for number in 1..=MAX_TRANSFERS {
        fresh.ask(asked(number), now(1)).expect("there is room");
    }
    let kept: Vec<(String, String)> =
        fresh.records().into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    measure("from_records, at a start", &full, |_| {
        Queue::from_records(kept.iter().map(|(k, v)| (k.as_str(), v.as_str())), false, now(2))
    });
}
