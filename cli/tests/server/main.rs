//! `countersign serve` as an HTTP client meets it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod guests;
mod http;
mod listeners;
mod proxies;
mod secrets;
