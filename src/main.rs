//! The thin binary: parse, call the library, map the error to a named exit code.

fn main() {}
