//! Instructions of each operation, counted by
//! [callgrind](https://valgrind.org/docs/manual/cl-manual.html).
//!
//! This program runs itself under valgrind once for each operation, and callgrind counts only
//! within [`counted`].

use std::{
    env,
    hint::black_box,
    process::{Command, Stdio},
};

use crate::operations;

/// Prints a table in Markdown. Without valgrind, says so on standard error.
pub(crate) fn print() {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !valgrind.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: instructions of the core: valgrind is not on PATH");
        return;
    }
    println!("| operation | instructions |\n|---|---|");
    for operation in operations::all() {
        println!("| {} | {} |", operation.name, count(&operation.name));
    }
}

fn count(name: &str) -> u64 {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]);
    // Matches the name of `counted`, mangled or not.
    valgrind.arg("--toggle-collect=*instructions*counted*");
    valgrind.arg(env::current_exe().expect("this program")).args(["--once", name]);
    let output = valgrind.output().expect("valgrind runs");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {report}");
    let collected = report.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, count)| count.trim());
    collected.and_then(|count| count.parse().ok()).filter(|count| *count > 0).expect("callgrind counted something")
}

/// Runs one operation within [`counted`].
pub(crate) fn once(name: &str) {
    let operation = operations::all().into_iter().find(|operation| operation.name == name).expect("an operation");
    // The first run initialises what is made once, and the allocator's first pages.
    (operation.run)();
    counted(&operation.run);
}

/// Callgrind must see this function entered and left: so it is not inlined, and the call is not its
/// last expression.
#[inline(never)]
fn counted(run: &dyn Fn()) {
    run();
    black_box(());
}
