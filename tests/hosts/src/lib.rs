//! The harness of the host tests: starts each real host, gives it licences, sends requests, and
//! stops it.
//!
//! In reading order: the built files ([`artifacts`]), the licences that every host gets
//! ([`fixtures`]), requests with their expected answers ([`scenario`]), the HTTP client
//! ([`client`]), a host as a process ([`process`]), and the hosts themselves ([`hosts`]), one file
//! each. [`session`] runs all scenarios on one host. [`store`] and [`sql`] call the contract
//! guests, [`tour`] runs a vendor's tour, and [`linearizable`] judges concurrent histories.

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
