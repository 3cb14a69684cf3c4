//! The harness of the host tests: starts each real host, gives it licences, asks it, and stops it.
//!
//! In reading order: what is built ([`artifacts`]), the licences every host is given ([`fixtures`]), the questions with
//! their answers ([`scenario`]), how they are asked ([`client`]), a host as a process ([`process`]), and the hosts
//! themselves ([`hosts`]), one file each. [`session`] puts them together for `tests/scenarios.rs`; [`store`] and [`sql`] speak
//! to the guests of `tests/contract` and `tests/sql`, [`tour`] walks a vendor's way, and [`linearizable`] judges what racing clients were told.
#![forbid(unsafe_code)]

pub mod artifacts;
pub mod client;
pub mod fixtures;
pub mod hosts;
pub mod linearizable;
pub mod process;
pub mod scenario;
pub mod session;
pub mod sql;
pub mod store;
pub mod tour;
