use std::env;
use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, value_parser};
use countersign::limiter::FREE_KEYS;
use countersign::secret;
use countersign_host::edge::{self, Origin};
use countersign_host::engine::{Bounds, Machine};
use countersign_host::http::{self, Apps, Proxies, Proxy};
use countersign_host::imports::counts::Counts;
use countersign_host::imports::journal::{Destination, Journal};
use countersign_host::imports::settings::{
    ENVIRONMENT_PREFIX, Settings, parse_setting, parse_setting_file, read_setting,
};
use countersign_host::imports::sql;
use countersign_host::imports::store::{ReaderError, Shared, Store};
use countersign_host::imports::{Grants, Imports};
use countersign_host::limiter::Limiter;
use countersign_host::limits::{
    COMMAND_BUSY_TIMEOUT, EDGE_DEADLINE, KEEP_ALIVE, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS, MAX_GUEST_MEMORY,
    MAX_VENDOR_CONNECTIONS, REQUEST_DEADLINE, STOP_TIMEOUT, WARM_INSTANCES,
};
use countersign_host::registrar::{Registrar, chores};
use countersign_host::{components, private};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn;
use tokio::time::timeout;

use crate::api::{Remote, Token};
use crate::error::CommandError;
use crate::options::values::address;

/// The variable that has the component of an edge.
const EDGE: &str = "COUNTERSIGN_EDGE";

/// The file of the data directory that the first admin token is written to.
const FIRST_TOKEN: &str = "admin-token";

/// Serve licence checks and the vendor API over HTTP
///
/// Prints `listening on http://ADDRESS` when it is ready. At the first start it creates an admin
/// token for the vendor API, and shows it on the terminal, or without one writes it to the file
/// `admin-token` in the data directory. SIGTERM and SIGINT stop it once the requests in flight are
/// answered.
///
/// A setting is also read from the environment, as COUNTERSIGN_<NAME>. Set the secret `admin_token`
/// there or by --setting-file: other users can read a command line.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The data directory; created if missing
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_DATA", hide_env_values = true)]
    data: PathBuf,
    /// The address and port to listen on; port 0 is any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000", value_parser = address)]
    listen: SocketAddr,
    /// Serve the vendor API on this address only; --listen then serves licence checks alone
    #[arg(long, value_name = "ADDR", value_parser = address, conflicts_with = "no_registrar")]
    vendor_listen: Option<SocketAddr>,
    /// How long an idle connection is kept; set it above the idle time of a load balancer in front
    #[arg(long, value_name = "SECONDS", default_value_t = KEEP_ALIVE.as_secs(), value_parser = value_parser!(u64).range(1..=86_400))]
    keep_alive: u64,
    /// Connections at once; then the one that has waited longest makes room for the next
    #[arg(long, value_name = "N", default_value_t = MAX_CONNECTIONS, value_parser = at_least_10)]
    max_connections: usize,
    /// Connections of one address at once; a trusted proxy may have any number
    #[arg(long, value_name = "N", default_value_t = MAX_CONNECTIONS_PER_ADDRESS, value_parser = at_least_10)]
    max_connections_per_address: usize,
    /// Believe what this proxy says of its callers' addresses, in `Forwarded` or `X-Forwarded-For`:
    /// an address, or a network of proxies such as 10.0.0.0/8; repeat for more
    #[arg(
        long = "trusted-proxy",
        value_name = "CIDR",
        env = "COUNTERSIGN_TRUSTED_PROXY",
        hide_env_values = true,
        value_delimiter = ','
    )]
    trusted_proxies: Vec<Proxy>,
    /// Unknown keys that an address may send until each further one gets a 429 for a while; 0 for
    /// any number
    #[arg(long, value_name = "N", default_value_t = FREE_KEYS)]
    free_unknown_keys: u32,
    /// The validator component [default: countersign-native.wasm beside this program, in
    /// ../components from there, or in target/components; at an edge $COUNTERSIGN_EDGE, or
    /// countersign-edge-native.wasm in these places]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_COMPONENT", hide_env_values = true)]
    component: Option<PathBuf>,
    /// The registrar component [default: countersign-registrar-native.wasm, in the same places]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_REGISTRAR", hide_env_values = true)]
    registrar: Option<PathBuf>,
    /// Serve licence checks only, without the vendor API
    #[arg(long)]
    no_registrar: bool,
    /// Be an edge of the Countersign at this address: serve its licences, also while it is out of
    /// reach, without a vendor API
    ///
    /// The token is that of `countersign edge add` at the origin, in $COUNTERSIGN_ORIGIN_TOKEN or
    /// in the file of --origin-token-file.
    #[arg(long, value_name = "URL", conflicts_with = "vendor_listen")]
    origin: Option<String>,
    /// Read the token for --origin from this file [default: the token in
    /// $COUNTERSIGN_ORIGIN_TOKEN]
    #[arg(long, value_name = "FILE", requires = "origin")]
    origin_token_file: Option<PathBuf>,
    /// Allow plain HTTP to an origin on another machine, although others can read the token
    #[arg(long, requires = "origin")]
    insecure_http: bool,
    /// Where compiled components are cached [default: DIR/cache]
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_CACHE", hide_env_values = true)]
    cache: Option<PathBuf>,
    /// The time limit of a licence check, in milliseconds; beyond it the answer is 503 [default:
    /// 1000, or 5000 at an edge]
    #[arg(long, value_name = "MS", value_parser = value_parser!(u64).range(1..))]
    deadline_ms: Option<u64>,
    /// Where to log each validation as a line of JSON: `stdout`, `none` or a file
    #[arg(long, value_name = "DEST", default_value = "stdout")]
    journal: Destination,
    /// A setting of the components; overrides $COUNTERSIGN_<NAME>; repeat for more
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = parse_setting)]
    settings: Vec<(String, String)>,
    /// The same, with the value in a file; for secrets
    #[arg(long = "setting-file", value_name = "NAME=FILE", value_parser = parse_setting_file)]
    setting_files: Vec<(String, PathBuf)>,
}

impl Serve {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        // A line that cannot be written is lost. By default tracing would report that on standard
        // error, and panic if that cannot be written either.
        tracing_subscriber::fmt().with_writer(io::stderr).log_internal_errors(false).init();
        // At least two, so that one can answer while another computes a slow request.
        let threads = available_parallelism().map_or(2, |cores| cores.get().max(2));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
        let counts = (!self.no_registrar || self.origin.is_some()).then(Counts::default);
        let (journal, writer) = Journal::start(&self.journal, counts.clone()).context("cannot open the journal")?;
        let served = runtime.block_on(self.serve(journal, counts, threads - 1));
        // This ends the last requests and with them the journal's senders, so that `finish`
        // returns.
        drop(runtime);
        writer.finish();
        served.map(|()| ExitCode::SUCCESS)
    }

    async fn serve(self, journal: Journal, counts: Option<Counts>, slow_calls: usize) -> Result<(), CommandError> {
        let file = if self.origin.is_some() { components::EDGE } else { components::VALIDATOR };
        let given = self.component.or_else(|| env::var_os(EDGE).filter(|_| self.origin.is_some()).map(PathBuf::from));
        let component = given.map_or_else(|| components::find(file, "--component"), Ok);
        let component = component.map_err(anyhow::Error::from)?;
        let registrar = (!self.no_registrar && self.origin.is_none())
            .then(|| self.registrar.map_or_else(|| components::find(components::REGISTRAR, "--registrar"), Ok));
        let registrar = registrar.transpose().map_err(anyhow::Error::from)?;
        if self.origin.is_some() && self.data.join(sql::FILE_NAME).exists() {
            return Err(CommandError::Input(format!(
                "{} has licences of its own, and cannot be an edge; give another --data",
                self.data.display()
            )));
        }
        Store::create(&self.data, COMMAND_BUSY_TIMEOUT).map_err(ReaderError::from)?;
        let cache = self.cache.unwrap_or_else(|| self.data.join("cache"));
        let machine = Machine::new(Some(&cache), slow_calls).map_err(|error| anyhow!("{error:#}"))?;
        let shared = Arc::new(Shared::new(self.data.clone())?);
        let mut settings = self.settings;
        let origin_token = self.origin_token_file.map(|file| (edge::TOKEN.to_owned(), file));
        for (name, file) in self.setting_files.into_iter().chain(origin_token) {
            let value = read_setting(&file).with_context(|| format!("cannot read {}", file.display()))?;
            if secret::is_secret(&name) && private::others_can_read(&file) {
                tracing::warn!(
                    "other users can read {0}, with the secret `{name}`; run `chmod go-r {0}`",
                    file.display()
                );
            }
            settings.push((name, value));
        }
        let settings = Settings::of_process(&settings);
        for (name, weakness) in settings.weak_secrets() {
            let variable = format!("${ENVIRONMENT_PREFIX}{}", name.to_ascii_uppercase());
            tracing::warn!("`{name}` ({variable}) is not taken for a secret: it {weakness}");
        }

        let origin = match &self.origin {
            Some(url) => {
                let token = settings.get(edge::TOKEN).ok().flatten();
                Some(Arc::new(origin(url, token, self.insecure_http)?))
            }
            None => None,
        };
        let grants = origin.clone().map_or_else(Grants::validator, Grants::edge);
        let imports = Imports::new(shared.clone(), settings.clone(), journal.clone(), grants);
        let deadline = if origin.is_some() { EDGE_DEADLINE } else { REQUEST_DEADLINE };
        let bounds = Bounds {
            deadline: self.deadline_ms.map_or(deadline, Duration::from_millis),
            memory: MAX_GUEST_MEMORY,
            warm: WARM_INSTANCES,
        };
        let validator = machine.load(&component, imports, bounds).await;
        let validator = validator.map_err(|error| anyhow!("cannot run {}: {error:#}", component.display()))?;
        let validator = Arc::new(validator);
        let registrar = match registrar {
            Some(file) => {
                let store = shared.clone();
                let loaded = Registrar::load(&machine, &file, &self.data, store, settings, journal.clone()).await;
                Some(Arc::new(loaded.map_err(anyhow::Error::from)?))
            }
            None => None,
        };

        let limiter = Arc::new(Limiter::new(self.free_unknown_keys));
        let proxies = Arc::new(Proxies::new(self.trusted_proxies));
        let mut bounds = http::Bounds {
            connections: self.max_connections,
            per_address: self.max_connections_per_address,
            keep_alive: Duration::from_secs(self.keep_alive),
        };
        let vendors = self.vendor_listen.map(|_| MAX_VENDOR_CONNECTIONS).unwrap_or_default();
        let room = http::make_room_for(bounds.connections + vendors);
        if room < bounds.connections + vendors {
            bounds.connections = room.saturating_sub(vendors).max(10);
            tracing::warn!("the limit on open files (`ulimit -Hn`) allows {} connections", bounds.connections);
        }
        let listener = listen(self.listen)?;
        let vendor_listener = self.vendor_listen.map(listen).transpose()?;
        // Before the address is printed, because its reader may stop the server at once.
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        writeln!(io::stdout(), "listening on http://{}", listener.local_addr()?).context("cannot print the address")?;
        let (stop, stops) = watch::channel(());
        spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            drop(stop);
        });
        let (stopped, chores_stop) = oneshot::channel();
        let chores = match (registrar.clone(), origin.clone(), counts) {
            (Some(registrar), _, Some(counts)) => Some(spawn(do_chores(registrar, counts, self.data, chores_stop))),
            (None, Some(origin), Some(counts)) => Some(spawn(edge::report(origin, counts, chores_stop))),
            _ => None,
        };
        if let Some(origin) = origin {
            spawn(edge::follow(origin, validator.clone(), shared.clone()));
        }
        spawn(async move { shared.clean().await });

        let serve = |listener, bounds, registrar| {
            let apps = Apps::new(validator.clone(), registrar, limiter.clone());
            let mut stops = stops.clone();
            let stop = async move {
                // Nothing is sent: the sender is dropped.
                let _: Result<(), watch::error::RecvError> = stops.changed().await;
            };
            http::serve(listener, Arc::new(apps), bounds, proxies.clone(), journal.clone(), stop)
        };
        match vendor_listener {
            None => serve(listener, bounds, registrar).await,
            Some(vendor_listener) => {
                let address = vendor_listener.local_addr()?;
                writeln!(io::stdout(), "vendor API on http://{address}").context("cannot print the address")?;
                let vendor_bounds = http::Bounds { connections: MAX_VENDOR_CONNECTIONS, ..bounds };
                tokio::join!(serve(listener, bounds, None), serve(vendor_listener, vendor_bounds, registrar));
            }
        }
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

/// The origin of an edge.
fn origin(url: &str, token: Option<String>, insecure_http: bool) -> Result<Origin, CommandError> {
    let token = token.filter(|token| !token.is_empty()).ok_or_else(|| {
        CommandError::Unauthorised(
            "the origin requires a token; set $COUNTERSIGN_ORIGIN_TOKEN or give `--origin-token-file FILE`".into(),
        )
    })?;
    if Token::parse(&token).is_none() {
        return Err(CommandError::Input("the origin's token is not valid; it must be one word, such as cst_…".into()));
    }
    Remote::new(url, None, insecure_http).map_err(CommandError::Input)?;
    Ok(Origin::new(url, token))
}

/// Runs the registrar's background work until the server stops. Failures are logged, and most work
/// is retried: licence checks do not depend on it.
async fn do_chores(registrar: Arc<Registrar>, counts: Counts, data: PathBuf, stops: oneshot::Receiver<()>) {
    let others = async {
        match registrar.first_token().await {
            Ok(Some(token)) => show(&token, &data),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%error, "cannot create the first admin token; create one with `countersign token create`")
            }
        }
        chores::deliver(&registrar).await;
    };
    tokio::select! {
        () = others => {}
        () = chores::clean(&registrar) => {}
        () = chores::report_counts(&registrar, &counts, stops) => {}
    }
}

/// Shows the first admin token to the operator, and to nobody else: on the terminal, or in a file.
/// Standard output may be the journal's, which others collect and read.
fn show(token: &str, data: &Path) {
    if io::stderr().is_terminal() {
        // If this is lost, `token create` creates another.
        let _: io::Result<()> = writeln!(io::stderr(), "admin token  {token}  (shown once)");
        return;
    }
    let file = data.join(FIRST_TOKEN);
    match private::write(&file, &format!("{token}\n")) {
        Ok(()) => {
            // The file is there, whether or not anybody reads this.
            let _: io::Result<()> =
                writeln!(io::stdout(), "admin token  written to {}; delete the file once you have it", file.display());
        }
        Err(error) => tracing::error!(
            %error,
            "cannot write the first admin token to {}; create one with `countersign token create`", file.display()
        ),
    }
}

/// Listens on an address, with a warning if others can listen in.
fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    if !address.ip().is_loopback() {
        tracing::warn!(
            "keys and tokens go in the clear on {address}: put a proxy with TLS in front, and let only the proxy \
             reach this address"
        );
    }
    http::bind(address).with_context(|| format!("cannot listen on {address}"))
}

fn at_least_10(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number >= 10).ok_or_else(|| "must be a number, 10 or more".into())
}
