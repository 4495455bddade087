//! The `lienthong` program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    lienthong::cli::main()
}
