//! The licensing rules as pure functions of bytes and time: no I/O, no clock, no globals.
//!
//! One validation, in reading order: [`request`] takes what a licence holder's program sent and hashes its [`key`];
//! the caller reads the [`license`] stored under that hash and, where it counts, the [`state`] of its use; [`decide`] weighs them at a
//! moment the caller names; the [`verdict`] is what the program is told. [`transitions`] is what else a program asks: each changes the
//! state, if the decision on what would come of it allows that. [`terms`] says what a licence allows and [`holder`] who asks.
//! [`domain`], [`version`], [`time`], [`period`] and [`name`] are the values in all of these, and [`limits`] bounds them. [`audit`] chains
//! what a vendor changed.
//!
//! ```
//! use countersign::{decide::Case, license::License, request::{Request, Verb}, state::State, time::Timestamp, verdict::Code};
//!
//! let record =
//! br#"{"format":1,"generation":1,"id":"lic_00000000000000000000000000","product":"acme","status":"active",
//!     "plan":"pro","issuedAt":"2026-01-01T00:00:00Z","expiresAt":"2027-01-01T00:00:00Z","features":["export"],
//!     "domains":["example.com"],"requires":[]}"#;
//! let license = License::from_json(record)?;
//! let request = Request::from_json(Verb::Validate, br#"{"key":"a key from elsewhere","domain":"app.example.com"}"#)?;
//! let verdict = Case::new(&license, &request).decide(&State::default(), Timestamp::parse("2026-06-01T00:00:00Z")?);
//! assert_eq!(verdict.code, Code::Valid);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[macro_use]
mod text;
mod object;

pub mod audit;
pub mod crockford;
pub mod field;
pub mod hex;
pub mod id;

pub mod event;
pub mod limits;
pub mod routes;
pub mod seam;
pub mod store_keys;

pub mod domain;
pub mod key;
pub mod name;
pub mod period;
pub mod time;
pub mod version;

pub mod holder;
pub mod license;
pub mod request;
pub mod state;
pub mod terms;

pub mod decide;
pub mod transitions;
pub mod verdict;
