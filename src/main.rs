//! The `tanist` program. All of it is in the library, see [`tanist::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tanist::cli::main()
}
