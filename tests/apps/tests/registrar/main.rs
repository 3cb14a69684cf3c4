//! The registrar by itself: roles, retries, the audit, and what faults leave behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod access;
mod audit;
mod delivery;
mod erasure;
mod faults;
mod licenses;
mod matrix;
mod migration;
mod origin;
mod repeats;
mod resources;
mod retention;
