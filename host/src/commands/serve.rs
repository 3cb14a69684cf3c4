use std::env;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, value_parser};
use countersign_host::engine::Engine;
use countersign_host::imports::Imports;
use countersign_host::journal::{Destination, Journal};
use countersign_host::limits::{COMMAND_BUSY_TIMEOUT, REQUEST_DEADLINE};
use countersign_host::registry::RegistryError;
use countersign_host::server;
use countersign_host::settings::{Settings, parse_setting};
use countersign_host::store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;

/// The component's file: beside this program, or where `cargo xtask compose` writes it.
const COMPONENT: &str = "countersign-native.wasm";

/// Serve licence checks over HTTP
///
/// Prints `listening on http://ADDRESS` once it does. SIGTERM and SIGINT stop it, after the requests in flight.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The data directory; made if it is not there
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The component to serve [default: countersign-native.wasm beside this program, in ../components from there, or in ./target/components]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_COMPONENT")]
    component: Option<PathBuf>,
    /// Where compiled components are kept [default: DIR/cache]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// What a request may take, in milliseconds, before it is answered with 503
    #[arg(long, value_name = "MS", default_value_t = REQUEST_DEADLINE.as_millis() as u64, value_parser = value_parser!(u64).range(1..))]
    deadline_ms: u64,
    /// Where one JSON line for each validation goes: `stdout`, `none` or a file
    #[arg(long, value_name = "DEST", default_value = "stdout")]
    journal: Destination,
    /// A setting of the component, before the environment's COUNTERSIGN_<NAME>; repeat for more
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        tracing_subscriber::fmt().with_writer(io::stderr).init();
        // Two at least: one is left to answer while the other computes for a slow request.
        let threads = available_parallelism().map_or(2, |cores| cores.get().max(2));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        let (journal, writer) = Journal::start(&self.journal).context("cannot open the journal")?;
        let served = runtime.block_on(self.serve(journal, threads - 1));
        // With the runtime the last requests end, and with them the journal's senders.
        drop(runtime);
        writer.finish();
        served.map(|()| ExitCode::SUCCESS)
    }

    async fn serve(self, journal: Journal, slow_calls: usize) -> Result<(), CommandError> {
        Store::create(&self.data, COMMAND_BUSY_TIMEOUT).map_err(RegistryError::from)?;
        let component = self.component.map_or_else(find_component, Ok)?;
        let environment =
            env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
        let imports = Imports::new(self.data.clone(), Settings::new(environment, &self.settings), journal)?;
        let cache = self.cache.unwrap_or_else(|| self.data.join("cache"));
        let deadline = Duration::from_millis(self.deadline_ms);
        let engine = Engine::load(&component, Some(&cache), imports, deadline, slow_calls)
            .await
            .map_err(|error| anyhow!("cannot run {}: {error:#}", component.display()))?;
        let listener =
            TcpListener::bind(self.listen).await.with_context(|| format!("cannot listen on {}", self.listen))?;
        // Before the line that says so: whoever reads it may stop the server at once.
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?)?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        server::serve(listener, Arc::new(engine), stop).await;
        Ok(())
    }
}

fn find_component() -> anyhow::Result<PathBuf> {
    let program = env::current_exe()?;
    let directory = program.parent().context("this program has no directory")?;
    let places = [directory, &directory.join("../components"), Path::new("target/components")];
    places.map(|place| place.join(COMPONENT)).into_iter().find(|file| file.exists()).with_context(|| {
        format!("there is no {COMPONENT} beside this program: give one with `--component`, or make it with `cargo xtask compose native`")
    })
}
