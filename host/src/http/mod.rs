//! HTTP in front of the apps: [`apps`] says which of them serves a path, [`server`] the rest.

pub mod apps;
pub mod server;

pub use apps::Apps;
pub use server::serve;
