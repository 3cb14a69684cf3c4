//! The licensing rules as pure functions of bytes and time: no I/O, no clock, no globals.
//!
//! To follow one validation, read in this order:
//!
//! 1. [`request`] reads what a licence holder's program sent, and hashes its [`key`].
//! 2. The caller reads the [`license`] stored under that hash and, if the decision needs it, the
//!    licence's [`state`].
//! 3. [`decide`] decides on the three at a moment that the caller gives.
//! 4. The [`verdict`] is the answer, and is written as JSON.
//!
//! [`transitions`] has the verbs that change the state, such as taking a seat: a change is kept
//! only if the decision on its outcome allows it. [`terms`] says what a licence allows, and
//! [`holder`] who takes a seat. [`domain`], [`version`], [`time`], [`span`], [`period`] and
//! [`name`] are values in all of these, and [`limits`] bounds them. [`audit`] chains the events of
//! a vendor's changes.
//!
//! ```
//! use countersign::{decide::Case, license::License, request::{Request, Verb}, state::State, time::Timestamp, verdict::Code};
//!
//! let record =
//! br#"{"format":1,"generation":1,"id":"lic_00000000000000000000000000","product":"acme","status":"active",
//!     "plan":"pro","issuedAt":"2026-01-01T00:00:00Z","expiresAt":"2027-01-01T00:00:00Z","features":["export"],
//!     "domains":["example.com"],"requires":[]}"#;
//! let license = License::from_json(record)?;
//! let request = Request::from_json(Verb::Validate, br#"{"key":"an existing key","domain":"app.example.com"}"#)?;
//! let verdict = Case::new(&license, &request).decide(&State::default(), Timestamp::parse("2026-06-01T00:00:00Z")?);
//! assert_eq!(verdict.code(), Code::Valid);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[macro_use]
mod text;
#[macro_use]
pub mod word;
mod object;
mod typed;

pub mod audit;
pub mod crockford;
pub mod field;
pub mod generation;
pub mod hash;
pub mod hex;
pub mod id;

pub mod event;
pub mod forwarded;
pub mod limiter;
pub mod limits;
pub mod routes;
pub mod seam;
pub mod secret;
pub mod store_keys;

pub mod domain;
pub mod key;
pub mod name;
pub mod nonce;
pub mod number;
pub mod period;
pub mod span;
pub mod time;
pub mod version;

pub mod body;
pub mod form;

pub mod holder;
pub mod license;
pub mod request;
pub mod role;
pub mod state;
pub mod terms;

pub mod decide;
pub mod transitions;
pub mod verdict;
pub mod wish;
