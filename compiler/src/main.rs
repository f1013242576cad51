//! The command `dp`.

mod cli;

#[global_allocator]
static ALLOCATOR: dp_runtime::align::Aligned = dp_runtime::align::Aligned;

fn main() -> std::process::ExitCode {
    cli::main()
}
