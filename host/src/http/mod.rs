//! HTTP in front of the apps.

pub mod server;
