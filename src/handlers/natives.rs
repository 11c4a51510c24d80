//! The native providers by name. `build.rs` reads this list too, so a row that names a provider that
//! does not exist is a compile error with file and line.

/// Every name that `native = "…"` may have in `datamodel/*.toml`.
pub const NAMES: &[&str] = &[
    // The agent itself.
    "agent",
    // The machine.
    "cpu",
    "dns",
    "hostname",
    "kernel_fault",
    "led",
    "memory",
    "process",
    "process_fault",
    "sensor",
    "ssh",
    "syslog",
    "system",
    "time",
    "unix_socket",
    "usb",
    "user_interface",
    "users",
    "vendor_config_file",
    "vendor_log_file",
    // The network.
];
