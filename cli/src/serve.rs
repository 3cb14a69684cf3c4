use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, value_parser};
use countersign_host::components;
use countersign_host::engine::{Bounds, Machine};
use countersign_host::http::{self, Apps};
use countersign_host::imports::counts::Counts;
use countersign_host::imports::journal::{Destination, Journal};
use countersign_host::imports::settings::{Settings, parse_setting};
use countersign_host::imports::store::{ReaderError, Shared, Store};
use countersign_host::imports::{Grants, Imports};
use countersign_host::limits::{
    COMMAND_BUSY_TIMEOUT, MAX_GUEST_MEMORY, REQUEST_DEADLINE, STOP_TIMEOUT, WARM_INSTANCES,
};
use countersign_host::registrar::{Registrar, chores};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::spawn;
use tokio::time::timeout;

use crate::error::CommandError;
use crate::options::values::address;

/// Serve licence checks and the vendor API over HTTP
///
/// Prints `listening on http://ADDRESS` when it is ready and, at the first start, an admin token
/// for the vendor API. SIGTERM and SIGINT stop it once the requests in flight are answered.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The data directory; created if missing
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_DATA", hide_env_values = true)]
    data: PathBuf,
    /// The address and port to listen on; port 0 is any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000", value_parser = address)]
    listen: SocketAddr,
    /// The validator component [default: countersign-native.wasm beside this program, in
    /// ../components from there, or in target/components]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_COMPONENT", hide_env_values = true)]
    component: Option<PathBuf>,
    /// The registrar component [default: countersign-registrar-native.wasm, in the same places]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_REGISTRAR", hide_env_values = true)]
    registrar: Option<PathBuf>,
    /// Serve licence checks only, without the vendor API
    #[arg(long)]
    no_registrar: bool,
    /// Where compiled components are cached [default: DIR/cache]
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_CACHE", hide_env_values = true)]
    cache: Option<PathBuf>,
    /// The time limit of a licence check, in milliseconds; beyond it the answer is 503
    #[arg(long, value_name = "MS", default_value_t = REQUEST_DEADLINE.as_millis() as u64, value_parser = value_parser!(u64).range(1..))]
    deadline_ms: u64,
    /// Where to log each validation as a line of JSON: `stdout`, `none` or a file
    #[arg(long, value_name = "DEST", default_value = "stdout")]
    journal: Destination,
    /// A setting of the components; overrides $COUNTERSIGN_<NAME>; repeat for more
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
}

impl Serve {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        // A line that cannot be written is lost. By default tracing would report that on standard
        // error, and panic if that cannot be written either.
        tracing_subscriber::fmt().with_writer(io::stderr).log_internal_errors(false).init();
        // At least two, so that one can answer while another computes a slow request.
        let threads = available_parallelism().map_or(2, |cores| cores.get().max(2));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        let counts = (!self.no_registrar).then(Counts::default);
        let (journal, writer) = Journal::start(&self.journal, counts.clone()).context("cannot open the journal")?;
        let served = runtime.block_on(self.serve(journal, counts, threads - 1));
        // This ends the last requests and with them the journal's senders, so that `finish`
        // returns.
        drop(runtime);
        writer.finish();
        served.map(|()| ExitCode::SUCCESS)
    }

    async fn serve(self, journal: Journal, counts: Option<Counts>, slow_calls: usize) -> Result<(), CommandError> {
        let component = self.component.map_or_else(|| components::find(components::VALIDATOR, "--component"), Ok);
        let component = component.map_err(anyhow::Error::from)?;
        let registrar = counts
            .is_some()
            .then(|| self.registrar.map_or_else(|| components::find(components::REGISTRAR, "--registrar"), Ok));
        let registrar = registrar.transpose().map_err(anyhow::Error::from)?;
        Store::create(&self.data, COMMAND_BUSY_TIMEOUT).map_err(ReaderError::from)?;
        let cache = self.cache.unwrap_or_else(|| self.data.join("cache"));
        let machine = Machine::new(Some(&cache), slow_calls).map_err(|error| anyhow!("{error:#}"))?;
        let shared = Arc::new(Shared::new(self.data.clone())?);
        let settings = Settings::of_process(&self.settings);

        let imports = Imports::new(shared.clone(), settings.clone(), journal.clone(), Grants::validator());
        let bounds = Bounds {
            deadline: Duration::from_millis(self.deadline_ms),
            memory: MAX_GUEST_MEMORY,
            warm: WARM_INSTANCES,
        };
        let validator = machine.load(&component, imports, bounds).await;
        let validator = validator.map_err(|error| anyhow!("cannot run {}: {error:#}", component.display()))?;
        let registrar = match registrar {
            Some(file) => {
                let loaded = Registrar::load(&machine, &file, &self.data, shared, settings, journal.clone()).await;
                Some(Arc::new(loaded.map_err(anyhow::Error::from)?))
            }
            None => None,
        };

        let listener =
            TcpListener::bind(self.listen).await.with_context(|| format!("cannot listen on {}", self.listen))?;
        // Before the address is printed, because its reader may stop the server at once.
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?).context("cannot print the address")?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let (stopped, stops) = oneshot::channel();
        let chores =
            registrar.clone().zip(counts).map(|(registrar, counts)| spawn(do_chores(registrar, counts, stops)));
        http::serve(listener, Arc::new(Apps::new(validator, registrar)), stop).await;
        if let Some(chores) = chores {
            journal.settle();
            drop(stopped);
            if timeout(STOP_TIMEOUT, chores).await.is_err() {
                tracing::warn!("reporting the last validations took too long: some are not counted");
            }
        }
        Ok(())
    }
}

/// Runs the registrar's background work until the server stops. Failures are logged, and most work
/// is retried: licence checks do not depend on it.
async fn do_chores(registrar: Arc<Registrar>, counts: Counts, stops: oneshot::Receiver<()>) {
    let others = async {
        match registrar.first_token().await {
            Ok(Some(token)) => {
                // If this is lost, `token create` creates another.
                let _: io::Result<()> = writeln!(io::stdout(), "admin token  {token}  (shown once)");
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "cannot create the first admin token; create one with `countersign token create`")
            }
        }
        chores::deliver(&registrar).await;
    };
    tokio::select! {
        () = others => {}
        () = chores::report_counts(&registrar, &counts, stops) => {}
    }
}
