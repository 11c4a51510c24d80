//! ubus from bytes that can be explained.
