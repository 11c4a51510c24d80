//! Providers `qos_queue` and `qos_queue_stats`: the queue disciplines that hold packets on their way
//! out of a device, with what went through them.

use super::layers;
use super::network::{Device, View};
use super::recorded;
use crate::model::handler::{Fields, Keys, Row, Want};
use crate::sys::netlink::queue::{Queue, ROOT};
use crate::sys::netlink::{Dump, Error, collect};
use crate::sys::order;
use std::ops::Deref;
use std::path::Path;

/// No queue at all, or one that packets pass on their way in.
const NO_QUEUE: [&str; 4] = ["noqueue", "noop", "ingress", "clsact"];

/// A queue discipline with its key: the device and where it hangs, `eth0 root` or `eth0 1:a`.
pub struct Held {
    queue: Queue,
    /// Unique: at one place hangs one discipline.
    pub key: String,
}

impl Deref for Held {
    type Target = Queue;
    fn deref(&self) -> &Queue {
        &self.queue
    }
}

/// The queue disciplines as they are told.
///
/// # Errors
/// The kernel did not answer, or the file that stands for it cannot be read.
pub(super) fn raw(root: &Path, live: bool, devices: &[Device]) -> Result<Vec<Queue>, String> {
    if !live {
        return recorded::queues(root, devices);
    }
    match collect(Dump::Queues, Queue::parse) {
        // A kernel without queue disciplines.
        Err(Error::Refused(_)) => Ok(Vec::new()),
        told => told.map_err(|e| e.to_string()),
    }
}

/// The queue disciplines of these devices.
///
/// # Errors
/// As of [`raw`].
pub fn read(root: &Path, live: bool, devices: &[Device]) -> Result<Vec<Held>, String> {
    let all = raw(root, live, devices)?;
    let mut found: Vec<Held> = Vec::new();
    for queue in all {
        let device = devices.iter().find(|d| d.index == queue.link);
        let Some(device) = device.filter(|_| !NO_QUEUE.contains(&queue.kind.as_str())) else {
            continue;
        };
        let key = match queue.parent {
            ROOT => format!("{} root", device.name),
            parent => format!("{} {:x}:{:x}", device.name, parent >> 16, parent & 0xffff),
        };
        found.push(Held { queue, key });
    }
    order::sort_by(&mut found, |a, b| (a.link, &a.key).cmp(&(b.link, &b.key)));
    found.dedup_by(|a, b| a.key == b.key);
    Ok(found)
}

/// The keys of both tables: each queue has its counters.
pub fn list(view: &View, _: &Row<'_>, out: &mut Keys) {
    out.extend(view.queues.iter().map(|q| &q.key));
}

fn find<'v>(view: &'v View, row: &Row<'_>) -> Option<(&'v Held, &'v Device)> {
    let queue = view.seek(&view.queues, |q| q.key == row.key())?;
    Some((queue, view.at(queue.link)?))
}

/// What both tables say of a queue and its device.
fn common(view: &View, device: &Device, name: &str, at: usize, out: &mut Fields) {
    match name {
        "Status" => out.put(at, if device.is_up() { "Enabled" } else { "Disabled" }),
        "Interface" => {
            if let Some(place) = layers::lowest(view, device) {
                place.refer(out, at);
            }
        }
        _ => {}
    }
}

/// `Device.QoS.Queue.{i}.`
pub fn fill(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some((queue, device)) = find(view, row) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "HardwareAssisted" => out.put(at, queue.hardware),
            name => common(view, device, name, at, out),
        }
    }
}

/// `Device.QoS.QueueStats.{i}.`; its counters of 32 bits roll over.
pub fn fill_stats(view: &View, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
    let Some((queue, device)) = find(view, row) else {
        return;
    };
    for (at, w) in want.iter().enumerate() {
        match w.param.name() {
            "Queue" => out.refer(at, "Device.QoS.Queue.{i}.", &[&queue.key]),
            "OutputPackets" => out.put(at, queue.packets as u32),
            "OutputBytes" => out.put(at, queue.bytes as u32),
            "DroppedPackets" => out.put(at, queue.drops),
            "QueueOccupancyPackets" => out.put(at, queue.waiting),
            name => common(view, device, name, at, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::providers;
    use crate::handlers::probe::{self, Folder};
    use crate::model::handler::Handler;
    use std::rc::Rc;

    const QUEUE: &str = "Device.QoS.Queue.{i}.";
    const STATS: &str = "Device.QoS.QueueStats.{i}.";
    const NAMES: [&str; 6] =
        ["Status", "Interface", "OutputPackets", "OutputBytes", "DroppedPackets", "QueueOccupancyPackets"];

    fn provider(name: &str) -> Box<dyn Handler> {
        let mut all = providers(&Rc::default());
        let at = all.iter().position(|(n, _)| *n == name).expect("a provider");
        all.swap_remove(at).1
    }

    #[test]
    fn golden() {
        let f = Folder::new();
        f.file(
            ".cwmpd/links",
            "index=1 name=lo type=loopback flags=up,loopback\nindex=2 name=eth0 flags=up\nindex=3 name=ppp0 type=ppp\n",
        );
        f.file(
            ".cwmpd/queues",
            "dev=lo kind=noqueue\n\
             dev=ppp0 kind=pfifo\n\
             dev=eth0 kind=fq_codel parent=0x1000a hardware=1\n\
             dev=eth0 kind=mq bytes=4294967297 packets=7 drops=2 waiting=1\n\
             dev=eth0 kind=mq bytes=9\n\
             dev=eth0 kind=ingress parent=0xfffffff1\n\
             dev=gone kind=mq\n\
             dev=eth0 kind=mq bytes=-1\n",
        );
        let (mut queue, mut stats) = (provider("qos_queue"), provider("qos_queue_stats"));
        for (handler, table) in [(&mut queue, QUEUE), (&mut stats, STATS)] {
            assert_eq!(
                probe::list(&mut **handler, f.root(), table, &[]),
                ["eth0 1:a", "eth0 root", "ppp0 root"]
            );
        }
        let v = probe::get(&mut *stats, f.root(), STATS, &["eth0 root"], &NAMES);
        assert_eq!(probe::line(&v, &NAMES), "Enabled|Device.Ethernet.Interface.{i}.<eth0>|7|1|2|1");
        let names = ["Status", "Interface", "HardwareAssisted"];
        let mut get = |key| {
            let v = probe::get(&mut *queue, f.root(), QUEUE, &[key], &names);
            probe::line(&v, &names)
        };
        assert_eq!(get("eth0 1:a"), "Enabled|Device.Ethernet.Interface.{i}.<eth0>|true");
        assert_eq!(get("ppp0 root"), "Disabled|Device.PPP.Interface.{i}.<ppp0>|false");
        assert_eq!(get("eth9 root"), "-|-|-");
    }
}
