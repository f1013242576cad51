//! The command `dp`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
