//! Provider `ow_modules`: SoftwareModules. A package is a deployment unit under its name; an instance of a
//! procd service is an execution unit under the service's name and, unless it is its only one, its own:
//! `uhttpd`, `dnsmasq.cfg01411c`. The one environment is OpenWrt.

use super::packages::{self, About, Package};
use super::{interface_on, procd, put};
use crate::handlers::linux::process::Process;
use crate::handlers::openwrt::sources::Shared;
use crate::handlers::reading::{PerRpc, ReadOnly, Reading};
use crate::model::handler::{Bell, Ctx, Fields, Handler, Keys, Row, Want};
use crate::sys::hash::name_uuid;
use crate::sys::ubus::{Answer, Value};
use crate::sys::{clock, host};
use std::rc::Rc;

/// The key of the environment.
const ENVIRONMENT: &str = "OpenWrt";
const UNIT: &str = "Device.SoftwareModules.ExecutionUnit.{i}.";
const CONFIG: &str = "Device.DeviceInfo.VendorConfigFile.{i}.";
/// What procd calls an instance whose script gave it no name.
const ONLY: &str = "instance1";
/// The namespace of names that are URLs (RFC 4122, appendix C).
const URLS: &[u8; 16] = b"\x6b\xa7\xb8\x11\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8";
/// No more units than this are shown.
const MAX_UNITS: usize = 1024;

/// The provider.
struct Modules {
    sources: Shared,
    packages: PerRpc<Vec<Package>>,
}

/// The provider `ow_modules`.
pub fn provider(sources: Shared) -> Box<dyn Handler> {
    Box::new(ReadOnly(Box::new(Modules { sources, packages: PerRpc::default() })))
}

/// Key, service, instance.
fn units(services: &Answer) -> Vec<(String, &str, Option<Value<'_>>)> {
    let mut found = Vec::new();
    for (service, _) in services.root().fields() {
        let mut none = true;
        for (name, instance) in procd::instances(services, service) {
            let key = if name == ONLY { service.to_owned() } else { [service, ".", name].concat() };
            found.push((key, service, Some(instance)));
            none = false;
        }
        // A service that has nothing to run, or is not to run.
        if none {
            found.push((service.to_owned(), service, None));
        }
    }
    found.truncate(MAX_UNITS);
    found
}

impl Modules {
    fn services(&self, ctx: &Ctx<'_>) -> Option<Rc<Answer>> {
        procd::services(&mut self.sources.borrow_mut(), ctx)
    }

    fn packages(&mut self, ctx: &Ctx<'_>) -> &[Package] {
        self.packages.get(ctx, || packages::installed(ctx.root))
    }

    fn environment(&mut self, ctx: &Ctx<'_>, want: &[Want<'_>], out: &mut Fields) {
        let overlay = || host::space(ctx.root, "/overlay").or_else(|| host::space(ctx.root, "/"));
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "Enable" => out.put(i, true),
                "Status" => out.put(i, "Up"),
                "Name" => out.put(i, ENVIRONMENT),
                // It has no run levels.
                "CurrentRunLevel" => out.put(i, -1),
                "AllocatedDiskSpace" | "AllocatedMemory" | "AllocatedCPUPercent" => out.put(i, -1),
                "AvailableDiskSpace" => put(out, i, overlay().map(|space| fit(space.free))),
                "AvailableMemory" => {
                    let info = host::read(ctx.root, "/proc/meminfo").unwrap_or_default();
                    let line = info.lines().find_map(|l| l.strip_prefix("MemAvailable:"));
                    let kib = line.and_then(|l| l.split_ascii_whitespace().next()?.parse().ok());
                    put(out, i, kib.map(fit));
                }
                "ActiveExecutionUnits" => {
                    let Some(services) = self.services(ctx) else { continue };
                    for (key, ..) in units(&services).iter().filter(|u| u.2.is_some_and(procd::runs)) {
                        out.refer(i, UNIT, &[key]);
                    }
                }
                "ProcessorRefList" => {
                    let stat = host::read(ctx.root, "/proc/stat").unwrap_or_default();
                    let names = stat.lines().filter_map(|l| l.split_ascii_whitespace().next());
                    for cpu in names.filter(|n| n.starts_with("cpu") && *n != "cpu") {
                        out.refer(i, "Device.DeviceInfo.Processor.{i}.", &[cpu]);
                    }
                }
                // What the image was built with was installed when it was built.
                "CreatedAt" => {
                    let first = self.packages(ctx).iter().filter_map(|p| p.installed).min();
                    put(out, i, first.map(clock::utc));
                }
                _ => {}
            }
        }
    }

    fn deployment(&mut self, ctx: &Ctx<'_>, name: &str, want: &[Want<'_>], out: &mut Fields) {
        let services = self.services(ctx);
        let Some(package) = self.packages(ctx).iter().find(|p| p.name == name) else {
            return;
        };
        let mut about: Option<About> = None;
        let mut about = || about.get_or_insert_with(|| package.about(ctx.root)).clone();
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "UUID" => out.put(i, name_uuid(URLS, &["https://openwrt.org/packages/", name].concat())),
                "DUID" => out.put(i, cut(name, 64)),
                "Name" => out.put(i, name),
                "Status" => out.put(i, if package.complete { "Installed" } else { "Installing" }),
                "Resolved" => out.put(i, package.complete),
                "Description" => out.put(i, cut(&about().description, 256)),
                "Vendor" => out.put(i, vendor(&about())),
                "Version" => out.put(i, cut(&package.version, 32)),
                "VendorConfigList" => package.configs.iter().for_each(|path| out.refer(i, CONFIG, &[path])),
                "ExecutionUnitList" => {
                    let Some(services) = &services else { continue };
                    for (key, service, _) in units(services) {
                        if package.services.iter().any(|s| s == service) {
                            out.refer(i, UNIT, &[&key]);
                        }
                    }
                }
                "ExecutionEnvRef" => environment_of(i, out),
                "Installed" | "LastUpdate" => put(out, i, package.installed.map(clock::utc)),
                _ => {}
            }
        }
    }

    fn execution(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        let Some(services) = self.services(ctx) else { return };
        let key = row.keys.first().copied().unwrap_or("");
        let all = units(&services);
        let Some((_, service, instance)) = all.iter().find(|u| u.0 == key) else {
            return;
        };
        let within = row.keys.get(1).copied();
        match (row.object.name(), instance, within) {
            ("AutoRestart", Some(instance), _) => restart(*instance, want, out),
            ("NetworkConfig", Some(instance), _) => self.network(ctx, *instance, want, out),
            ("HostObject", Some(instance), Some(path)) => {
                let mount = instance.get("mount").and_then(|m| m.get(path)).and_then(Value::text);
                let Some(mount) = mount else { return };
                for (i, want) in want.iter().enumerate() {
                    match want.param.name() {
                        "Options" => out.put(i, if mount == "1" { "rw" } else { "ro" }),
                        _ => out.put(i, cut(path, 256)),
                    }
                }
            }
            ("EnvVariable", Some(instance), Some(name)) => {
                let value = instance.get("env").and_then(|e| e.get(name)).and_then(Value::text);
                let Some(value) = value else { return };
                for (i, want) in want.iter().enumerate() {
                    out.put(i, cut(if want.param.name() == "Key" { name } else { value }, 2048));
                }
            }
            ("ExecutionUnit", ..) => self.unit(ctx, key, service, *instance, want, out),
            _ => {}
        }
    }

    fn unit(
        &mut self,
        ctx: &Ctx<'_>,
        key: &str,
        service: &str,
        instance: Option<Value<'_>>,
        want: &[Want<'_>],
        out: &mut Fields,
    ) {
        let script = self.sources.borrow_mut().answer(ctx, "rc", "list", &[]);
        let script = script.as_ref().and_then(|a| a.root().get(service));
        let package = self.packages(ctx).iter().find(|p| p.services.iter().any(|s| s == service));
        let mut about: Option<About> = None;
        let mut about =
            || about.get_or_insert_with(|| package.map(|p| p.about(ctx.root)).unwrap_or_default()).clone();
        let process: Option<Process> = instance.and_then(|i| procd::process(ctx, i));
        let runs = instance.is_some_and(procd::runs);
        let exit =
            instance.and_then(|i| i.get("exit_code")).and_then(Value::number).filter(|c| *c != 0 && !runs);
        let user = instance.and_then(|i| i.get("user")).and_then(Value::text);
        let group = instance.and_then(|i| i.get("group")).and_then(Value::text);
        for (i, want) in want.iter().enumerate() {
            match want.param.name() {
                "EUID" => out.put(i, cut(key, 64)),
                "Name" => out.put(i, service),
                "ExecEnvLabel" => out.put(i, cut(key, 64)),
                "Status" => out.put(i, if runs { "Active" } else { "Idle" }),
                "ExecutionFaultCode" => {
                    out.put(i, if exit.is_some() { "FailureWhileActive" } else { "NoFault" })
                }
                "ExecutionFaultMessage" => put(out, i, exit.map(|code| format!("ended with {code}"))),
                "AutoStart" => put(out, i, script.and_then(|s| s.get("enabled")?.flag())),
                "RunLevel" => put(out, i, script.and_then(|s| s.get("start")?.number())),
                "Vendor" => put(out, i, package.map(|_| vendor(&about()))),
                "Version" => put(out, i, package.map(|p| cut(&p.version, 32))),
                "Description" => put(out, i, package.map(|_| cut(&about().description, 256).to_owned())),
                // Procd runs as root what names no one else.
                "Privileged" => put(out, i, instance.map(|_| user.is_none_or(|u| u == "root"))),
                "AllocatedDiskSpace" | "AllocatedMemory" | "AllocatedCPUPercent" => out.put(i, -1),
                "DiskSpaceInUse" => put(out, i, about().size.map(fit)),
                "MemoryInUse" => put(out, i, process.as_ref().map(|p| fit(p.resident(ctx.root)))),
                "AllocatedHostUID" => put(out, i, user.and_then(|name| number_of(ctx, "/etc/passwd", name))),
                "AllocatedHostGID" => put(out, i, group.and_then(|name| number_of(ctx, "/etc/group", name))),
                "CreationTime" => {
                    put(out, i, process.as_ref().and_then(|p| p.started(ctx.root)).map(clock::utc));
                }
                "Uptime" => put(out, i, process.as_ref().and_then(|p| p.age(ctx.root))),
                "ShutdownDelay" => put(out, i, instance.and_then(|i| i.get("term_timeout")?.number())),
                "AssociatedProcessList" => {
                    if let Some(process) = &process {
                        let pid = process.pid.to_string();
                        out.refer(i, "Device.DeviceInfo.ProcessStatus.Process.{i}.", &[&pid]);
                    }
                }
                "VendorConfigList" => {
                    for path in package.iter().flat_map(|p| &p.configs) {
                        out.refer(i, CONFIG, &[path]);
                    }
                }
                "ExecutionEnvRef" => environment_of(i, out),
                _ => {}
            }
        }
    }

    /// The devices that procd starts an instance again for.
    fn network(&self, ctx: &Ctx<'_>, instance: Value<'_>, want: &[Want<'_>], out: &mut Fields) {
        let devices = instance.get("netdev").into_iter().flat_map(Value::fields);
        for device in devices.filter_map(|(_, device)| device.text()) {
            let key = interface_on(&mut self.sources.borrow_mut(), ctx, device);
            key.into_iter()
                .for_each(|key| (0..want.len()).for_each(|i| out.refer(i, super::INTERFACE, &[&key])));
        }
    }
}

impl Reading for Modules {
    fn list(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, out: &mut Keys) {
        let table = row.object.name();
        match table {
            // Where there is no procd there is no OpenWrt.
            "ExecEnv" => {
                if self.services(ctx).is_some() {
                    out.push(ENVIRONMENT);
                }
            }
            "DeploymentUnit" => out.extend(self.packages(ctx).iter().map(|p| p.name.as_str())),
            _ => {
                let Some(services) = self.services(ctx) else { return };
                let all = units(&services);
                if table == "ExecutionUnit" {
                    return out.extend(all.iter().map(|u| &u.0));
                }
                let unit = all.iter().find(|u| row.keys.first().is_some_and(|key| *key == u.0));
                let named = if table == "HostObject" { "mount" } else { "env" };
                let list = unit.and_then(|u| u.2?.get(named));
                out.extend(list.into_iter().flat_map(Value::fields).map(|(name, _)| name));
            }
        }
    }

    fn get(&mut self, ctx: &Ctx<'_>, row: &Row<'_>, want: &[Want<'_>], out: &mut Fields) {
        match row.object.name() {
            "ExecEnv" => self.environment(ctx, want, out),
            "DeploymentUnit" => self.deployment(ctx, row.key(), want, out),
            _ => self.execution(ctx, row, want, out),
        }
    }

    fn bells(&self, _: &Ctx<'_>, row: &Row<'_>, want: Option<&Want<'_>>, ring: &mut dyn FnMut(Bell)) {
        match (row.object.name(), want.map(|w| w.param.name())) {
            ("DeploymentUnit", _) => {
                packages::DATABASES.iter().for_each(|path| ring(Bell::File((*path).to_owned())))
            }
            (_, Some("MemoryInUse" | "AvailableMemory" | "AvailableDiskSpace" | "Uptime")) => {
                ring(Bell::Dear)
            }
            _ => ring(Bell::None),
        }
    }
}

fn restart(instance: Value<'_>, want: &[Want<'_>], out: &mut Fields) {
    let respawn = instance.get("respawn");
    let number = |name| respawn.and_then(|r| r.get(name)?.number());
    for (i, want) in want.iter().enumerate() {
        match want.param.name() {
            "Enable" => out.put(i, respawn.is_some()),
            "RetryMinimumWaitInterval" | "RetryMaximumWaitInterval" => put(out, i, number("timeout")),
            "RetryIntervalMultiplier" => put(out, i, respawn.map(|_| 1000)),
            // Less than none is no end.
            "MaximumRetryCount" => put(out, i, number("retry").map(|n| n.max(0))),
            "ResetPeriod" => put(out, i, number("threshold")),
            _ => {}
        }
    }
}

fn environment_of(i: usize, out: &mut Fields) {
    out.refer(i, "Device.SoftwareModules.ExecEnv.{i}.", &[ENVIRONMENT]);
}

/// Who keeps a package; where nobody is named, those who built the system.
fn vendor(about: &About) -> String {
    cut(if about.maintainer.is_empty() { ENVIRONMENT } else { &about.maintainer }, 128).to_owned()
}

/// The number of a user or a group by its name.
fn number_of(ctx: &Ctx<'_>, file: &str, name: &str) -> Option<u32> {
    let text = host::read(ctx.root, file).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

fn fit(kib: u64) -> i32 {
    i32::try_from(kib).unwrap_or(i32::MAX)
}

/// At most so many characters.
fn cut(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}
