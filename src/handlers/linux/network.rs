//! What the kernel says about the network, read once per RPC and shared by the providers.
//!
//! A part is read when somebody asks for it, and kept for the epoch; a part that cannot be read is
//! not tried again in the same epoch, and fails only who needs it. On the root `/` the kernel is
//! asked over netlink, elsewhere [`super::recorded`] files stand for it.

use super::hosts::{self, Host};
use super::layers::Layer;
use super::naming::{self, Named, Namer, Names};
use super::queue::{self, Held};
use super::recorded;
use super::sockets;
use crate::model::handler::{Ctx, Failure, Fields, Row};
use crate::sys::netlink::link::{Link, hardware, link_flag};
use crate::sys::netlink::route::{Address, Neighbour, Route, Socket, TABLE_MAIN};
use crate::sys::netlink::{Dump, Error, collect};
use crate::sys::{host, kernel_file};
use std::cell::Cell;
use std::net::IpAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// Parts of the network, as bits.
pub mod part {
    /// Devices with their counters.
    pub const DEVICES: u8 = 1;
    /// IPv4 and IPv6 addresses.
    pub const ADDRESSES: u8 = 2;
    /// The main routing table.
    pub const ROUTES: u8 = 4;
    /// Stations on the local networks.
    pub const HOSTS: u8 = 8;
    /// TCP sockets.
    pub const SOCKETS: u8 = 16;
    /// Queue disciplines.
    pub const QUEUES: u8 = 32;
    /// How many there are.
    pub const COUNT: usize = 6;
}

/// A device, and what sysfs alone tells of it.
pub struct Device {
    link: Link,
    /// The radio it transmits by (`phy0`); empty when it is not wireless.
    pub phy: String,
    /// A bridge that looks at VLAN tags.
    pub filtering: bool,
}

impl Deref for Device {
    type Target = Link;
    fn deref(&self) -> &Link {
        &self.link
    }
}

/// An address with its key: `primary` for a device's first IPv4 address, so that its instance number
/// stays while a provider gives it ever new ones; the address with its prefix length for all others.
pub struct OwnAddress {
    address: Address,
    /// Unique among the addresses of its device.
    pub key: String,
}

impl Deref for OwnAddress {
    type Target = Address;
    fn deref(&self) -> &Address {
        &self.address
    }
}

/// A route of the main table with its key, which reads as in `ip route`.
pub struct Way {
    route: Route,
    /// Unique within the table.
    pub key: String,
}

impl Deref for Way {
    type Target = Route;
    fn deref(&self) -> &Route {
        &self.route
    }
}

/// The network, as far as it was read.
#[derive(Default)]
pub struct View {
    /// Everything lies below it.
    pub root: PathBuf,
    /// In the kernel's order.
    pub devices: Vec<Device>,
    /// In the kernel's order: by device, primary ones first.
    pub addresses: Vec<OwnAddress>,
    /// Only routes that packets are sent by or refused by; not those to the machine itself.
    pub routes: Vec<Way>,
    /// By MAC address.
    pub hosts: Vec<Host>,
    /// Listening and established TCP sockets.
    pub sockets: Vec<Socket>,
    /// Queue disciplines that hold packets on their way out.
    pub queues: Vec<Held>,
    /// What the platform calls rows; none where devices' names are the keys.
    pub names: Option<Names>,
    last: Cell<usize>,
}

/// The snapshot.
#[derive(Default)]
pub struct Network {
    epoch: Option<u32>,
    loaded: u8,
    failed: [Option<String>; part::COUNT],
    view: View,
    namer: Option<Box<dyn Namer>>,
}

impl Network {
    /// A network whose rows have names of the platform's.
    pub fn named(namer: Box<dyn Namer>) -> Network {
        Network { namer: Some(namer), ..Network::default() }
    }

    /// Takes the names from somebody who has them at hand, and stands where the namer cannot be asked.
    pub fn name(&mut self, ctx: &Ctx<'_>, names: impl FnOnce() -> Names) {
        self.begin(ctx);
        if self.view.names.is_none() {
            self.view.names = Some(names());
        }
    }

    fn begin(&mut self, ctx: &Ctx<'_>) {
        if self.epoch != Some(ctx.epoch) {
            self.forget();
            self.epoch = Some(ctx.epoch);
        }
    }

    /// The network with at least these parts of it. Routes that cannot be read are none: most who ask
    /// for them want to know of the uplink too, and have more to tell.
    ///
    /// # Errors
    /// Another part cannot be read, or routes when it is about hosts.
    pub fn view(&mut self, ctx: &Ctx<'_>, parts: u8) -> Result<&View, Failure> {
        self.begin(ctx);
        if let (None, Some(namer)) = (&self.view.names, &mut self.namer) {
            self.view.names = Some(namer.names(ctx));
        }
        if self.view.root != ctx.root {
            self.view.root = ctx.root.to_path_buf();
        }
        // All but sockets speak of devices; whether a host is ours to show depends on routes.
        let mut parts = parts;
        if parts & part::HOSTS != 0 {
            parts |= part::ROUTES;
        }
        if parts & (part::ADDRESSES | part::ROUTES | part::HOSTS | part::QUEUES) != 0 {
            parts |= part::DEVICES;
        }
        for at in 0..part::COUNT {
            let bit = 1 << at;
            if parts & bit == 0 {
                continue;
            }
            if self.loaded & bit == 0 {
                self.loaded |= bit;
                self.failed[at] = self.view.load(bit).err();
                if let (part::ROUTES, Some(reason)) = (bit, &self.failed[at]) {
                    self.view.routes.clear();
                    log::warn!("no routes can be read: {reason}");
                }
            }
            let can_do_without = bit == part::ROUTES && parts & part::HOSTS == 0;
            if let Some(reason) = self.failed[at].as_ref().filter(|_| !can_do_without) {
                return Err(Failure::internal(reason.clone()));
            }
        }
        Ok(&self.view)
    }

    /// Gives its memory back: nobody reads for a while.
    pub fn release(&mut self) {
        *self = Network { namer: self.namer.take(), ..Network::default() };
    }

    /// What was read is stale: something was changed.
    pub fn forget(&mut self) {
        self.loaded = 0;
        self.view.names = None;
        self.failed = Default::default();
    }
}

impl View {
    fn load(&mut self, part: u8) -> Result<(), String> {
        let live = self.root == Path::new("/");
        self.last.set(0);
        match part {
            part::DEVICES => self.devices = devices(&self.root, live)?,
            part::ADDRESSES => self.addresses = addresses(&self.root, live, &self.devices)?,
            part::ROUTES => self.routes = routes(&self.root, live, &self.devices)?,
            part::HOSTS => {
                let (known, learned) = neighbours(&self.root, live, &self.devices)?;
                self.hosts = hosts::gather(self, &known, &learned);
            }
            part::QUEUES => self.queues = queue::read(&self.root, live, &self.devices)?,
            _ => self.sockets = sockets::read(&self.root, live),
        }
        Ok(())
    }

    /// The device of this name.
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.seek(&self.devices, |d| d.name == name)
    }

    /// The device of a row, whose key is a device's name or one of the platform's.
    pub fn device_of(&self, row: &Row<'_>) -> Option<&Device> {
        if let ("Device.Bridging.Bridge.{i}.Port.{i}.", [bridge, port, ..]) = (naming::table(row), row.keys) {
            return self.device(self.port_device(bridge, port));
        }
        match (self.named(row), &self.names, naming::layer_of(row)) {
            (Some(named), ..) => self.device(&named.device),
            // Named by the platform, and gone.
            (None, Some(_), Some(_)) => None,
            _ => self.device(row.key()),
        }
    }

    /// What the platform says of a row; nothing where devices' names are the keys.
    pub fn named(&self, row: &Row<'_>) -> Option<&Named> {
        self.names.as_ref()?.find(naming::layer_of(row)?, row.keys.first()?)
    }

    /// The key of the row that a device is in a layer.
    pub fn key<'v>(&'v self, layer: Layer, device: &'v Device) -> Option<&'v str> {
        match &self.names {
            Some(names) if naming::is_named(layer) => Some(&names.on(layer, &device.name)?.key),
            Some(_) if layer == Layer::Port => Some(self.port_key(device)),
            _ if layer == Layer::Radio => Some(&device.phy),
            _ => Some(&device.name),
        }
    }

    /// The key of a device among the ports of its bridge.
    pub fn port_key<'v>(&'v self, device: &'v Device) -> &'v str {
        let named = self.names.as_ref().and_then(|names| names.on(Layer::Port, &device.name));
        named.map_or(&device.name, |named| &named.key)
    }

    /// The device of a port of a bridge; empty while the port has none.
    pub fn port_device<'v>(&'v self, bridge: &str, key: &'v str) -> &'v str {
        let ports = self.names.iter().flat_map(|names| names.of(Layer::Port));
        ports.into_iter().find(|n| n.lower == bridge && n.key == key).map_or(key, |n| &n.device)
    }

    /// Puts a reference to the IP interface on a device, the one for IPv6 where there are two.
    pub fn refer_ip(&self, out: &mut Fields, at: usize, device: &Device, six: bool) {
        let key = match &self.names {
            Some(names) => names.ip(&device.name, six).map(|n| n.key.as_str()),
            None => Some(device.name.as_str()),
        };
        if let Some(key) = key {
            out.refer(at, "Device.IP.Interface.{i}.", &[key]);
        }
    }

    /// The device of this index.
    pub fn at(&self, index: u32) -> Option<&Device> {
        (index != 0).then(|| self.devices.iter().find(|d| d.index == index))?
    }

    /// The addresses of a device.
    pub fn addresses_of(&self, device: &Device) -> impl Iterator<Item = &OwnAddress> {
        let index = device.index;
        self.addresses.iter().filter(move |a| a.link == index)
    }

    /// The addresses of the IP interface with this key, and its device.
    pub fn addresses_at<'v>(
        &'v self,
        row: &Row<'_>,
    ) -> Option<(&'v Device, impl Iterator<Item = &'v OwnAddress>)> {
        let key = (*row.keys.first()?).to_string();
        let (device, names) = match (&self.names, self.named(row)) {
            (Some(names), Some(named)) => (self.device(&named.device)?, Some(names)),
            (Some(_), None) => return None,
            (None, _) => (self.device(&key)?, None),
        };
        let is_own = move |a: &&OwnAddress| {
            names.is_none_or(|n| n.owner(&device.name, a.local).is_some_and(|n| n.key == key))
        };
        Some((device, self.addresses_of(device).filter(is_own)))
    }

    /// The first that `is` it, looked for from where the last search ended: a walk over a table asks
    /// for its rows in their order, and so costs the same for each row, however long the table is.
    pub fn seek<'t, T>(&self, all: &'t [T], is: impl Fn(&T) -> bool) -> Option<&'t T> {
        let start = self.last.get().min(all.len());
        let (before, after) = all.split_at(start);
        let found =
            after.iter().position(&is).map(|at| start + at).or_else(|| before.iter().position(&is))?;
        self.last.set(found);
        all.get(found)
    }

    /// A file below the root.
    pub fn file(&self, path: &str) -> PathBuf {
        host::below(&self.root, path)
    }

    /// The device that leads to the Internet: that of the default route with the least metric.
    pub fn uplink(&self) -> Option<&Device> {
        let default = self.routes.iter().filter(|r| r.prefix == 0 && r.kind == 1 && r.link != 0);
        // IPv4 decides where both have one.
        let best = default.min_by_key(|r| (r.destination.is_ipv6(), r.metric))?;
        self.at(best.link)
    }
}

/// A device that is a port of another and has no IP of its own.
pub fn is_port(view: &View, device: &Device) -> bool {
    // A VRF is a routing table in the shape of a master.
    device.master != 0 && view.at(device.master).is_none_or(|m| m.kind != "vrf")
}

fn text(e: Error) -> String {
    e.to_string()
}

/// The devices, as the kernel tells them or the files say.
///
/// # Errors
/// They cannot be read.
pub(super) fn devices(root: &Path, live: bool) -> Result<Vec<Device>, String> {
    let mut links =
        if live { collect(Dump::Links, Link::parse).map_err(text)? } else { recorded::links(root)? };
    let net = host::below(root, "sys/class/net");
    if !live {
        for link in &mut links {
            let folder = net.join(&link.name);
            link.mtu = kernel_file::number(&folder.join("mtu")).unwrap_or(link.mtu);
            if let Some(flags) = kernel_file::read(&folder.join("flags")).and_then(|t| hexadecimal(&t)) {
                link.flags = link.flags & !link_flag::UP | flags & link_flag::UP;
            }
        }
    }
    let mut devices: Vec<Device> = links
        .into_iter()
        .map(|link| {
            let folder = net.join(&link.name);
            let is_plain = link.hardware == hardware::ETHER && link.kind.is_empty();
            let phy = is_plain
                .then(|| kernel_file::read(&folder.join("phy80211/name")))
                .flatten()
                .unwrap_or_default();
            let filtering = link.kind == "bridge"
                && kernel_file::number(&folder.join("bridge/vlan_filtering")) == Some(1);
            Device { link, phy, filtering }
        })
        .collect();
    if live && devices.iter().any(|d| d.filtering) {
        for port in collect(Dump::PortVlans, Link::parse).map_err(text)? {
            if let Some(device) = devices.iter_mut().find(|d| d.index == port.index) {
                device.link.vlans = port.vlans;
            }
        }
    }
    Ok(devices)
}

/// `0x1003`, as sysfs writes flags.
pub fn hexadecimal(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The addresses as they are told.
///
/// # Errors
/// They cannot be read.
pub(super) fn raw_addresses(root: &Path, live: bool, devices: &[Device]) -> Result<Vec<Address>, String> {
    match live {
        true => collect(Dump::Addresses, Address::parse).map_err(text),
        false => recorded::addresses(root, devices),
    }
}

fn addresses(root: &Path, live: bool, devices: &[Device]) -> Result<Vec<OwnAddress>, String> {
    let all = raw_addresses(root, live, devices)?;
    let mut out: Vec<OwnAddress> = Vec::with_capacity(all.len());
    // The devices whose primary address was seen.
    let mut seen: Vec<u32> = Vec::new();
    for address in all {
        let key = if address.local.is_ipv4() && !seen.contains(&address.link) {
            seen.push(address.link);
            "primary".to_string()
        } else {
            format!("{}/{}", address.local, address.prefix)
        };
        out.push(OwnAddress { address, key });
    }
    Ok(out)
}

/// The routes of the main table that packets are sent or refused by, as they are told.
///
/// # Errors
/// They cannot be read.
pub(super) fn raw_routes(root: &Path, live: bool, devices: &[Device]) -> Result<Vec<Route>, String> {
    let mut all = if live {
        let mut all = collect(Dump::Routes4, Route::parse).map_err(text)?;
        match collect(Dump::Routes6, Route::parse) {
            Ok(six) => all.extend(six.into_iter().filter(|r| r.destination.is_ipv6())),
            // A kernel without IPv6.
            Err(Error::Refused(_)) => {}
            Err(e) => return Err(text(e)),
        }
        all
    } else {
        recorded::routes(root, devices)?
    };
    all.retain(|r| r.table == TABLE_MAIN && matches!(r.kind, 1 | 6 | 7 | 8));
    Ok(all)
}

fn routes(root: &Path, live: bool, devices: &[Device]) -> Result<Vec<Way>, String> {
    let all = raw_routes(root, live, devices)?;
    Ok(all.into_iter().map(|route| Way { key: route_key(&route, devices), route }).collect())
}

/// The devices that carry the default routes in force, those with the smallest metric, each with whether the route is
/// one of IPv6.
///
/// # Errors
/// The kernel or a recorded file cannot be read.
pub fn default_devices(root: &Path) -> Result<Vec<(bool, String)>, String> {
    let live = root == Path::new("/");
    let devices = devices(root, live)?;
    let mut all: Vec<Route> = routes(root, live, &devices)?.into_iter().map(|way| way.route).collect();
    all.retain(|r| r.prefix == 0 && r.kind == 1 && r.tos == 0);
    let best = |six: bool| all.iter().filter(|r| r.destination.is_ipv6() == six).map(|r| r.metric).min();
    let (best4, best6) = (best(false), best(true));
    all.retain(|r| Some(r.metric) == if r.destination.is_ipv6() { best6 } else { best4 });
    let named = |r: &Route| {
        let device = devices.iter().find(|d| d.index == r.link)?;
        Some((r.destination.is_ipv6(), device.name.clone()))
    };
    Ok(all.iter().filter_map(named).collect())
}

fn route_key(route: &Route, devices: &[Device]) -> String {
    use std::fmt::Write as _;
    let mut key = match route.kind {
        6 => "blackhole ",
        7 => "unreachable ",
        8 => "prohibit ",
        _ => "",
    }
    .to_string();
    // Writing to a String cannot fail.
    let _ = write!(key, "{}/{}", route.destination, route.prefix);
    if let Some(gateway) = route.gateway {
        let _ = write!(key, " via {gateway}");
    }
    if let Some(device) = devices.iter().find(|d| d.index == route.link) {
        let _ = write!(key, " dev {}", device.name);
    }
    if route.tos != 0 {
        let _ = write!(key, " tos {}", route.tos);
    }
    if route.metric != 0 {
        let _ = write!(key, " metric {}", route.metric);
    }
    key
}

/// Neighbours by IP, and what bridges learned.
///
/// # Errors
/// They cannot be read.
pub(super) fn neighbours(
    root: &Path,
    live: bool,
    devices: &[Device],
) -> Result<(Vec<Neighbour>, Vec<Neighbour>), String> {
    if !live {
        return recorded::neighbours(root, devices);
    }
    let known = collect(Dump::Neighbours, Neighbour::parse).map_err(text)?;
    let learned = if devices.iter().any(|d| d.kind == "bridge") {
        collect(Dump::Forwarding, Neighbour::parse).map_err(text)?
    } else {
        Vec::new()
    };
    Ok((known, learned))
}

/// The network an address lies in, as `2001:db8::/64`.
pub fn prefix_text(address: IpAddr, prefix: u8) -> String {
    let masked = match address {
        IpAddr::V4(a) => IpAddr::V4((a.to_bits() & mask4(prefix)).into()),
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::V6((a.to_bits() & mask).into())
        }
    };
    format!("{masked}/{prefix}")
}

/// The bits of an IPv4 mask.
pub fn mask4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}
