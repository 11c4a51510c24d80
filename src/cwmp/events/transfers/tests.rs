use super::super::{BOOTSTRAP, M_REBOOT, MAX_EVENTS, PERIODIC};
use super::*;

fn shown(queue: &Queue) -> Vec<String> {
    queue.pending().map(|e| format!("{} {}", e.code, e.command_key).trim().to_string()).collect()
}

// Proves: V-16, V-17, X-28
#[test]
fn they_follow_from_the_transfers_v16_v17() {
    let mut queue = Queue::default();
    queue.add(PERIODIC, "");
    queue.follow_transfers(&[], false);
    assert_eq!(shown(&queue), ["2 PERIODIC"]);
    let ended = [(M_DOWNLOAD, "k"), (M_DOWNLOAD, "k"), (M_UPLOAD, "k")];
    for _ in 0..3 {
        queue.follow_transfers(&ended, true);
        let all = ["2 PERIODIC", TRANSFER_COMPLETE, "M Download k", "M Download k", "M Upload k"];
        assert_eq!(shown(&queue)[..5], all);
        assert_eq!(shown(&queue)[5..], [AUTONOMOUS_TRANSFER_COMPLETE]);
    }
    queue.follow_transfers(&ended[1..2], false);
    assert_eq!(shown(&queue), ["2 PERIODIC", TRANSFER_COMPLETE, "M Download k"]);
    // Another key and another RPC are another transfer.
    queue.follow_transfers(&[(M_DOWNLOAD, "K"), (M_SCHEDULE_DOWNLOAD, "k")], false);
    assert_eq!(shown(&queue), ["2 PERIODIC", TRANSFER_COMPLETE, "M Download K", "M ScheduleDownload k"]);
    queue.follow_transfers(&[], false);
    assert_eq!(shown(&queue), ["2 PERIODIC"]);
}

/// A bootstrap on its way sets them aside, and they are not made again beside it.
#[test]
fn those_of_a_former_acs_stay_aside() {
    let mut queue = Queue::default();
    queue.add(BOOTSTRAP, "");
    for _ in 0..2 {
        queue.follow_transfers(&[(M_DOWNLOAD, "k")], true);
        assert_eq!(shown(&queue), [BOOTSTRAP, AUTONOMOUS_TRANSFER_COMPLETE]);
        assert_eq!(queue.entries.len(), 4);
    }
    queue.withdraw_bootstrap();
    assert_eq!(shown(&queue), [TRANSFER_COMPLETE, "M Download k", AUTONOMOUS_TRANSFER_COMPLETE]);
}

/// V-2 drops others first: these are never discarded.
// Proves: V-2, V-16
#[test]
fn no_crowd_drives_them_out_v16() {
    let mut queue = Queue::default();
    let ended = [(M_DOWNLOAD, "k"), (M_UPLOAD, "k")];
    queue.follow_transfers(&ended, true);
    let before = shown(&queue);
    for n in 0..2 * MAX_EVENTS {
        queue.add(M_REBOOT, &n.to_string());
    }
    assert_eq!(queue.entries.len(), MAX_EVENTS);
    assert_eq!(shown(&queue)[..4], before);
}

#[test]
fn which_events_are_of_transfers() {
    for code in [TRANSFER_COMPLETE, AUTONOMOUS_TRANSFER_COMPLETE, M_DOWNLOAD, M_SCHEDULE_DOWNLOAD, M_UPLOAD] {
        assert!(is_transfer(code));
    }
    for code in [PERIODIC, BOOTSTRAP, M_REBOOT, "M ChangeDUState", "9 REQUEST DOWNLOAD", "70"] {
        assert!(!is_transfer(code));
    }
}
