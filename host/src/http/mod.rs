//! HTTP in front of the apps.
//!
//! [`server`] accepts connections and speaks the protocol on their `stream`. `places` says how many
//! there may be and which one makes room for the next, `open_files` how many fit. `exchange` turns
//! one request into one answer, with the header `host` checked and each `problem` of the
//! server's own. Behind a proxy, `proxies` says whose request it is. [`apps`] says which app
//! serves a path, and `notices` tells the operator who was refused.

pub mod apps;
mod exchange;
mod host;
mod notices;
mod open_files;
mod places;
mod problem;
mod proxies;
pub mod server;
mod stream;

pub use apps::Apps;
pub use open_files::make_room_for;
pub use places::Bounds;
pub use proxies::{Proxies, Proxy};
pub use server::{bind, serve};
