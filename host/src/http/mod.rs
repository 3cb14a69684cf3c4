//! HTTP in front of the apps: [`server`] speaks it, [`apps`] says which app serves a path.

pub mod apps;
pub mod server;

pub use apps::Apps;
pub use server::serve;
