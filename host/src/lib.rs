//! The native host of Countersign: it runs the components over HTTP and SQLite.
//!
//! A request meets the modules in this order:
//!
//! 1. [`http`] reads the request and chooses one of two apps by its path.
//! 2. [`engine`] calls the app's `service.handle` on a warm instance of its component.
//! 3. [`imports`] has what the component can reach: the store, settings, the journal, and for the
//!    registrar its SQL database.
//!
//! The others support them: [`registrar`] is the vendors' app for callers in this process, [`edge`]
//! has a validator follow an origin, [`limiter`] counts who guesses keys, [`private`] keeps files
//! from other users, [`mod@backup`] copies a data directory, [`components`] finds the components'
//! files, [`bindings`] has the types of `wit/`, and [`limits`] has every bound.
//!
//! A server of licence checks, without the vendors' API:
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use countersign_host::engine::{Bounds, Machine};
//! use countersign_host::http::{self, Apps};
//! use countersign_host::imports::journal::{Destination, Journal};
//! use countersign_host::imports::settings::Settings;
//! use countersign_host::imports::store::{Shared, Store};
//! use countersign_host::imports::{Grants, Imports};
//! use countersign_host::limiter::Limiter;
//! use countersign_host::{components, limits};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let data = Path::new("data");
//! Store::create(data, limits::COMMAND_BUSY_TIMEOUT)?;
//! let store = Arc::new(Shared::new(data.to_owned())?);
//! let (journal, _) = Journal::start(&Destination::Stdout, None)?;
//! let settings = Settings::of_process(&[]);
//! let imports = Imports::new(store, settings, journal.clone(), Grants::validator());
//!
//! let bounds = Bounds {
//!     deadline: limits::REQUEST_DEADLINE,
//!     memory: limits::MAX_GUEST_MEMORY,
//!     warm: limits::WARM_INSTANCES,
//! };
//! let machine = Machine::new(Some(&data.join("cache")), 1)?;
//! let component = components::find(components::VALIDATOR, "--component")?;
//! let validator = machine.load(&component, imports, bounds).await?;
//!
//! let apps = Apps::new(Arc::new(validator), None, Arc::new(Limiter::new(100)));
//! let bounds = http::Bounds {
//!     connections: limits::MAX_CONNECTIONS,
//!     per_address: limits::MAX_CONNECTIONS_PER_ADDRESS,
//!     keep_alive: limits::KEEP_ALIVE,
//! };
//! let listener = http::bind("127.0.0.1:3000".parse()?)?;
//! let proxies = Arc::new(http::Proxies::default());
//! http::serve(listener, Arc::new(apps), bounds, proxies, journal, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! A program that works on a data directory itself needs only [`registrar::Local`]:
//!
//! ```no_run
//! use countersign_host::registrar::Local;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registrar = Local::create("data".as_ref(), None, None)?;
//! let answer = registrar.call("POST", "/api/v1/products", &[], br#"{"code":"acme"}"#.to_vec())?;
//! assert_eq!(answer.status, 201);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod backup;
pub mod bindings;
pub mod components;
pub mod edge;
pub mod engine;
pub mod http;
pub mod imports;
pub mod limiter;
pub mod limits;
mod pool;
pub mod private;
pub mod registrar;
