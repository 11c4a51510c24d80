//! The thin binary: parse, call the library, map the outcome to a named exit code.

fn main() -> std::process::ExitCode {
    cwmpd::cli::main(std::env::args_os().skip(1)).into()
}
