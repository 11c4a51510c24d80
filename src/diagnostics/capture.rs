//! Device.PacketCaptureDiagnostics: packets of one device, or of all, in a file of libpcap's below `run_dir`: kept
//! there, or sent to `FileTarget` by PUT when the capture is over.
//!
//! A capture shows the ACS what subscribers send, and each password that goes in clear: it is off unless the
//! configuration lets it. It is bounded in time, in packets and in bytes, since the file lies in memory. The upload
//! is not in it, as it comes behind; a session with the ACS that is held meanwhile is.

mod file;
mod filter;

use super::run::{Canceled, Run, after};
use super::{Job, Kind, Record, Report, time};
use crate::net::client::Options;
use crate::net::digest::is_speakable;
use crate::net::transfer::{self, Failure, Limits, Meter, Request, Source};
use crate::net::url::Url;
use crate::sys::file::free_space;
use crate::sys::netlink::{Dump, collect, link};
use file::{Link, Stamp};
pub use filter::{Filter, View};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The test.
pub const KIND: Kind = Kind { object: "Device.PacketCaptureDiagnostics.", word: "capture", run, judge };

/// Fact: the folder where the file is.
pub const RUN_DIR: &str = "run_dir";
/// Fact: `true` where the configuration lets packets be captured.
pub const ALLOWED: &str = "allowed";

/// The file's name below `run_dir`; there is one at a time.
const NAME: &str = "capture.pcap";
/// The largest file, in bytes; never more than half of what its folder has free.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Below this a capture is not begun, in bytes.
const LEAST_FILE: u64 = 64 * 1024;
/// The longest capture, in seconds, also when a shell asks.
const MAX_SECONDS: u64 = 600;
/// Packets that are read before the test looks whether it is canceled, or over.
const AT_ONCE: usize = 64;
/// What the kernel keeps until it is read, in bytes.
const QUEUE: usize = 1024 * 1024;
/// The longest time without a byte of the upload.
const SILENCE: Duration = Duration::from_secs(30);
/// The longest time for all of it.
const UPLOAD: Duration = Duration::from_secs(600);

/// ARPHRD_ETHER.
const ETHERNET: u16 = 1;
/// ARPHRD_LOOPBACK.
const LOOPBACK: u16 = 772;
/// PACKET_OUTGOING.
const OUTGOING: u8 = 4;

/// A filter that is not of our language, a target that is no file server: 9007.
fn judge(name: &str, value: &str) -> Result<(), String> {
    match name {
        "FilterExpression" => Filter::parse(value).map(drop),
        "FileTarget" if !value.is_empty() => Url::parse(value).map(drop).map_err(str::to_owned),
        "Username" if !is_speakable(value) => Err("a user name for HTTP holds visible ASCII only".to_owned()),
        _ => Ok(()),
    }
}

/// Does it. `Error`: the configuration does not let it. `Error_Internal`: the device cannot do it. `Error_Other`:
/// what was captured could not be sent.
fn run(job: &Job, run: &mut Run) -> Result<Report, Canceled> {
    if job.around.facts.text(ALLOWED) != "true" {
        return Ok(Report::error("Error", "diagnostics.packet_capture is not set in the configuration"));
    }
    let path = Path::new(job.around.facts.text(RUN_DIR)).join(NAME);
    // That of the run before.
    let _ = std::fs::remove_file(&path);
    let filter = match Filter::parse(job.arguments.text("FilterExpression")) {
        Ok(filter) => filter,
        Err(why) => return Ok(Report::error("Error_Internal", why)),
    };
    let mut kept = Kept { path, is_wanted: false };
    let captured = match capture(job, &filter, &kept.path, run)? {
        Ok(captured) => captured,
        Err(why) => return Ok(Report::error("Error_Internal", why)),
    };
    log::info!("capture: {} packets, {} bytes, {} lost", captured.count, captured.bytes, captured.lost);
    let target = job.arguments.text("FileTarget");
    let mut report = Report::complete();
    let location = if target.is_empty() {
        kept.is_wanted = true;
        format!("file://{}", kept.path.display())
    } else if let Err(why) = upload(job, target, captured.file, run)? {
        report = Report::error("Error_Other", why);
        String::new()
    } else {
        target.to_owned()
    };
    let row: Record = vec![
        ("FileLocation", location),
        ("StartTime", time::micros(captured.began)),
        ("EndTime", time::micros(captured.ended)),
        ("Count", captured.count.to_string()),
    ];
    report.tables.push(("PacketCaptureResult", vec![row]));
    Ok(report)
}

/// The file, which goes unless it is to stay.
struct Kept {
    path: PathBuf,
    is_wanted: bool,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.is_wanted {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What was captured.
struct Captured {
    file: File,
    began: SystemTime,
    ended: SystemTime,
    count: u64,
    bytes: u64,
    /// Packets that the kernel had no room for.
    lost: u32,
}

fn capture(
    job: &Job,
    filter: &Filter,
    path: &Path,
    run: &mut Run,
) -> Result<Result<Captured, String>, Canceled> {
    let mut sniffer = match Sniffer::open(job.device.as_deref()) {
        Ok(sniffer) => sniffer,
        Err(why) => return Ok(Err(why)),
    };
    let unwritten = |e: io::Error| format!("{}: {e}", path.display());
    let most = free(path).map_or(MAX_FILE, |free| (free / 2).min(MAX_FILE));
    if most < LEAST_FILE {
        return Ok(Err(format!("{}: there is no room for a capture", path.display())));
    }
    let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    let mut file = match options.and_then(|mut file| file::begin(&mut file, sniffer.link).map(|()| file)) {
        Ok(file) => file,
        Err(error) => return Ok(Err(unwritten(error))),
    };
    let bound = |name, most: u64| match job.arguments.number(name) {
        0 => most,
        given => given.min(most),
    };
    let (packets, bytes) = (bound("PacketCount", u64::MAX), bound("ByteCount", u64::MAX));
    let until = after(Duration::from_secs(bound("Duration", MAX_SECONDS)));
    let mut room = most - file::HEADER as u64;
    let (began, mut count, mut taken) = (SystemTime::now(), 0, 0);
    run.show(&format!("captures for {} s, {most} bytes at most", bound("Duration", MAX_SECONDS)));
    'over: while run.wait(&mut [(sniffer.socket.as_fd(), PollFlags::POLLIN, false)], until)? {
        for _ in 0..AT_ONCE {
            let Some(packet) = sniffer.next() else { break };
            if !filter.passes(&packet.view) {
                continue;
            }
            let size = packet.head.len() as u64 + packet.bytes.len() as u64;
            if taken + size > bytes || file::RECORD as u64 + size > room {
                break 'over;
            }
            let whole = packet.whole + packet.head.len();
            let mut piece = file::record(packet.stamp, size as usize, whole).to_vec();
            piece.extend(packet.head);
            piece.extend(packet.bytes);
            if let Err(error) = file.write_all(&piece) {
                return Ok(Err(unwritten(error)));
            }
            (count, taken, room) = (count + 1, taken + size, room - piece.len() as u64);
            if count >= packets {
                break 'over;
            }
        }
    }
    let (ended, lost) = (SystemTime::now(), sniffer.lost);
    run.show(&format!("{count} packets, {taken} bytes"));
    Ok(Ok(Captured { file, began, ended, count, bytes: taken, lost }))
}

fn free(path: &Path) -> Option<u64> {
    free_space(&File::open(path.parent()?).ok()?)
}

/// A socket that hears all packets of all devices.
struct Sniffer {
    socket: OwnedFd,
    link: Link,
    /// The device that counts; 0 for all.
    index: usize,
    buffer: Vec<u8>,
    lost: u32,
}

/// A packet that it heard.
struct Packet<'a> {
    view: View,
    stamp: Stamp,
    /// What stands before it in the file.
    head: Vec<u8>,
    bytes: &'a [u8],
    /// How long it was on the way.
    whole: usize,
}

impl Sniffer {
    /// An Ethernet device gives its packets with their Ethernet header; devices of other kinds, and all of them
    /// together, with what the kernel says of each.
    fn open(device: Option<&str>) -> Result<Sniffer, String> {
        let said = |errno: Errno| match errno {
            Errno::EPERM | Errno::EACCES => "a capture takes CAP_NET_RAW, which the agent has not".to_owned(),
            other => format!("no packet socket: {}", other.desc()),
        };
        let (index, link) = match device {
            None => (0, Link::Cooked),
            Some(name) => {
                let index = if_nametoindex(name).map_err(|e| format!("{name}: {}", e.desc()))?;
                let links = collect(Dump::Links, link::Link::parse).map_err(|e| e.to_string())?;
                let own = links.iter().find(|link| link.index == index);
                let is_ethernet = own.is_some_and(|link| link.hardware == ETHERNET);
                (index as usize, if is_ethernet { Link::Ethernet } else { Link::Cooked })
            }
        };
        let kind = match link {
            Link::Ethernet => SockType::Raw,
            Link::Cooked => SockType::Datagram,
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Packet, kind, flags, SockProtocol::EthAll).map_err(said)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).map_err(said)?;
        // More room and the number of the lost are welcome, not needed.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &QUEUE);
        let _ = setsockopt(&socket, sockopt::RxqOvfl, &1);
        Ok(Sniffer { socket, link, index, buffer: vec![0; file::SNAP], lost: 0 })
    }

    /// The next packet of the device, when it is there now and not too many of others are before it.
    fn next(&mut self) -> Option<Packet<'_>> {
        let mut found = None;
        for _ in 0..AT_ONCE {
            let mut space = nix::cmsg_space!(TimeSpec, u32);
            let mut pieces = [IoSliceMut::new(&mut self.buffer)];
            let heard = recvmsg::<LinkAddr>(
                self.socket.as_raw_fd(),
                &mut pieces,
                Some(&mut space),
                MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC,
            );
            let message = match heard {
                Ok(message) => message,
                Err(Errno::EINTR) => continue,
                // Nothing more now; or a device went down, which is told once.
                Err(Errno::ENETDOWN) => continue,
                Err(_) => return None,
            };
            let mut stamp = Stamp::default();
            for told in message.cmsgs().into_iter().flatten() {
                match told {
                    ControlMessageOwned::ScmTimestampns(time) => {
                        stamp = Stamp(time.tv_sec() as u32, (time.tv_nsec() / 1000) as u32);
                    }
                    ControlMessageOwned::RxqOvfl(lost) => self.lost = lost,
                    _ => {}
                }
            }
            let Some(from) = message.address else { continue };
            let is_own = self.index == 0 || from.ifindex() == self.index;
            // The loopback's packets are heard twice.
            let is_second = from.hatype() == LOOPBACK && from.pkttype() == OUTGOING;
            if is_own && !is_second {
                found = Some((message.bytes.min(file::SNAP), message.bytes, from, stamp));
                break;
            }
        }
        let (bytes, whole, from, stamp) = found?;
        let bytes = self.buffer.get(..bytes).unwrap_or(&[]);
        let protocol = u16::from_be(from.protocol());
        let (view, head) = match self.link {
            Link::Ethernet => {
                // What the frame itself says: behind a tag of a VLAN there is another.
                let ether = bytes.get(12..14).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
                (View::of(ether, bytes.get(14..).unwrap_or(&[])), Vec::new())
            }
            Link::Cooked => {
                let address = from.addr().unwrap_or_default();
                let address = address.get(..from.halen().min(6)).unwrap_or(&[]);
                let head = file::cooked(from.pkttype(), from.hatype(), address, protocol);
                (View::of(protocol, bytes), head.to_vec())
            }
        };
        Some(Packet { view, stamp, head, bytes, whole })
    }
}

/// Sends the file. The inner error is why it could not.
fn upload(job: &Job, target: &str, mut file: File, run: &mut Run) -> Result<Result<(), String>, Canceled> {
    let prepared = file.rewind().and_then(|()| run.second_wake());
    let wake = match prepared {
        Ok(wake) => wake,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let options = Options {
        url: target.to_owned(),
        username: job.arguments.text("Username").to_owned(),
        password: job.arguments.text("Password").to_owned(),
        bind_interface: None,
        ..job.around.options.clone()
    };
    let limits = Limits { max_bytes: MAX_FILE, bytes_per_second: 0, silence: SILENCE, whole: UPLOAD };
    run.show(&format!("sends it to {target}"));
    let sent = transfer::put(Request { options, limits }, Source::File(file), &Meter::default(), wake);
    run.check()?;
    match sent {
        Ok(_) => Ok(Ok(())),
        Err(Failure::Stopped) => Err(Canceled),
        Err(Failure::Status(_, fault) | Failure::Fault(fault)) => Ok(Err(fault.to_string())),
    }
}
