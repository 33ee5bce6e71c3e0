//! `cuntong-county`: the registrar's desk on the administrator's PC. The only program that opens
//! county keys.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
