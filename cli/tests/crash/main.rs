//! What survives when a process is killed or a disk is full: each test runs the program.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod disk_full;
mod kill;
mod registrar_kill;
mod storm;
