//! The command line, as scripts and people use it: each test runs the program.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod backup;
mod bulk;
mod https;
mod measure;
mod remote;
mod scripts;
mod steps;
