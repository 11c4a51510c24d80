//! Queue disciplines (`linux/rtnetlink.h`, `linux/pkt_sched.h`, `linux/gen_stats.h`).

use super::{attributes, nested, text, u8_at, u32_at, u64_at};

/// [`Queue::parent`] of the discipline that a device hands its packets to first.
pub const ROOT: u32 = u32::MAX;

/// One queue discipline.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Queue {
    /// The kernel's number of the device.
    pub link: u32,
    /// [`ROOT`], or the class it hangs below: major number times 65536 plus minor.
    pub parent: u32,
    /// `fq_codel`, `pfifo_fast` …
    pub kind: String,
    /// The device itself does the work.
    pub hardware: bool,
    /// Bytes sent.
    pub bytes: u64,
    /// Packets sent.
    pub packets: u64,
    /// Packets dropped.
    pub drops: u32,
    /// Packets that wait now.
    pub waiting: u32,
}

impl Queue {
    /// Reads the payload of an RTM_NEWQDISC.
    pub fn parse(bytes: &[u8], out: &mut Vec<Queue>) {
        let (Some(link), Some(parent)) = (u32_at(bytes, 4), u32_at(bytes, 12)) else {
            return;
        };
        let mut queue = Queue { link, parent, ..Queue::default() };
        // TCA_STATS2_PKT64 stands behind the 32 bits of the basic counters, and only when they overflow.
        let mut wide = None;
        for a in attributes(bytes, 20) {
            match a.kind {
                1 => queue.kind = text(a.data),
                7 => {
                    for s in nested(a) {
                        match s.kind {
                            1 => {
                                queue.bytes = u64_at(s.data, 0).unwrap_or(0);
                                queue.packets = u32_at(s.data, 8).unwrap_or(0).into();
                            }
                            3 => {
                                queue.waiting = u32_at(s.data, 0).unwrap_or(0);
                                queue.drops = u32_at(s.data, 8).unwrap_or(0);
                            }
                            8 => wide = u64_at(s.data, 0),
                            _ => {}
                        }
                    }
                }
                12 => queue.hardware = u8_at(a.data, 0) == Some(1),
                _ => {}
            }
        }
        queue.packets = wide.unwrap_or(queue.packets);
        out.push(queue);
    }
}

#[cfg(test)]
mod tests {
    use super::super::link::tests::attribute;
    use super::*;

    fn message(stats: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 20];
        out[4] = 7;
        out[12..16].copy_from_slice(&ROOT.to_ne_bytes());
        out.extend(attribute(1, b"fq_codel\0"));
        out.extend(attribute(12, &[1]));
        out.extend(attribute(7, stats));
        out
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_ne_bytes()).collect()
    }

    fn one(bytes: &[u8]) -> Option<Queue> {
        let mut out = Vec::new();
        Queue::parse(bytes, &mut out);
        out.pop()
    }

    #[test]
    fn a_queue_with_its_counters() {
        let basic = [1000u64.to_ne_bytes().to_vec(), words(&[10, 0])].concat();
        let queue = words(&[2, 3000, 5, 6, 7]);
        let stats = [attribute(1, &basic), attribute(3, &queue)].concat();
        let expected = Queue {
            link: 7,
            parent: ROOT,
            kind: "fq_codel".into(),
            hardware: true,
            bytes: 1000,
            packets: 10,
            drops: 5,
            waiting: 2,
        };
        assert_eq!(one(&message(&stats)), Some(expected));
        let wide = [attribute(8, &u64::MAX.to_ne_bytes()), stats].concat();
        assert_eq!(one(&message(&wide)).map(|q| q.packets), Some(u64::MAX));
    }

    #[test]
    fn short_and_lying_messages() {
        let whole = message(&attribute(1, &[0xff; 16]));
        for end in 0..whole.len() {
            let _ = one(&whole[..end]);
        }
        assert_eq!(one(&whole[..15]), None);
        // Counters of the wrong size count nothing.
        let stats = [attribute(1, &[1; 3]), attribute(3, &[]), attribute(8, &[1])].concat();
        let got = one(&message(&stats)).expect("a queue");
        assert_eq!((got.bytes, got.packets, got.drops, got.waiting), (0, 0, 0, 0));
    }
}
