//! The cost of a validation inside the core: in time, by criterion (`cargo bench --bench core`),
//! and in instructions, by callgrind (`cargo xtask bench --instructions`). A busy machine does not
//! change the number of instructions.
#![allow(clippy::expect_used, reason = "a benchmark must not measure an error")]

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
