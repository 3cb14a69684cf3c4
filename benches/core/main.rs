//! What a validation costs inside the core: in time, by criterion (`cargo bench --bench core`), and
//! in instructions, by callgrind (`cargo xtask bench --instructions`), which are the same on a busy
//! machine.
#![allow(clippy::expect_used, reason = "a benchmark of nothing must fail")]

mod instructions;
mod operations;

use std::env;

use criterion::Criterion;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--instructions"] => instructions::print(),
        ["--once", name] => instructions::once(name),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            for operation in operations::all() {
                criterion.bench_function(&operation.name, |bencher| bencher.iter(&operation.run));
            }
            criterion.final_summary();
        }
    }
}
