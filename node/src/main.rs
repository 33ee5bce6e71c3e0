//! `cuntong`: see `--help`.

fn main() -> std::process::ExitCode {
    cuntong_node::cli::main()
}
