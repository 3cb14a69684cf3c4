//! Where a command works: on a data directory or on a server.

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::profile::Profile;
use crate::api::{Api, LocalApi, Remote, Token};
use crate::error::CommandError;
use crate::limits::MAX_TOKEN_FILE_BYTES;

const DATA: &str = "COUNTERSIGN_DATA";
const PROFILE: &str = "COUNTERSIGN_PROFILE";
const TOKEN: &str = "COUNTERSIGN_TOKEN";

/// Where a command works, and how it prints.
///
/// This reads the variables of `--data` and `--profile`, and not clap: clap would count a variable
/// as a second place, and refuse `--server`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Connection {
    /// Work on this data directory, in this process [env: COUNTERSIGN_DATA]
    #[arg(long, value_name = "DIR", group = "where")]
    data: Option<PathBuf>,
    /// Work on this server: https://HOST, or http:// on this machine
    #[arg(long, value_name = "URL", group = "where")]
    server: Option<String>,
    /// Work on this server of ~/.config/countersign/profiles.toml, with its token [env:
    /// COUNTERSIGN_PROFILE]
    #[arg(long, value_name = "NAME", group = "where")]
    profile: Option<String>,
    /// Read the token for --server from this file [default: the token in $COUNTERSIGN_TOKEN]
    #[arg(long, value_name = "FILE", requires = "server", conflicts_with_all = ["data", "profile"])]
    token_file: Option<PathBuf>,
    /// Allow plain HTTP to another machine, although others can read the token
    #[arg(long)]
    insecure_http: bool,
    /// With a data directory: the registrar component [default: countersign-registrar-native.wasm
    /// beside this program, in ../components from there, or in target/components]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_REGISTRAR", hide_env_values = true)]
    registrar: Option<PathBuf>,
    /// With a data directory: where compiled components are cached [default: DIR/cache]
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_CACHE", hide_env_values = true)]
    cache: Option<PathBuf>,
    /// Print JSON
    #[arg(long, help_heading = None::<&str>)]
    pub(crate) json: bool,
}

/// Where to work.
enum Place {
    Data(PathBuf),
    Server(String),
    Profile(String),
}

impl Connection {
    /// The data directory, for commands that work on nothing else.
    pub(crate) fn data_directory(&self) -> Result<PathBuf, CommandError> {
        match self.place()? {
            Place::Data(directory) => Ok(directory),
            Place::Server(_) | Place::Profile(_) => {
                Err(CommandError::Input("this works on a data directory only; give `--data DIR`".into()))
            }
        }
    }

    /// The vendor API. A data directory must exist.
    pub(crate) fn open(&self) -> Result<Api, CommandError> {
        self.connect(false)
    }

    /// The vendor API. A missing data directory is created.
    pub(crate) fn create(&self) -> Result<Api, CommandError> {
        self.connect(true)
    }

    /// The vendor API of this data directory, which is created if it is missing.
    pub(crate) fn create_at(&self, directory: &Path) -> Result<Api, CommandError> {
        self.local(directory, true)
    }

    fn local(&self, directory: &Path, create: bool) -> Result<Api, CommandError> {
        let (component, cache) = (self.registrar.as_deref(), self.cache.as_deref());
        Ok(Api::Local(LocalApi::new(directory, create, component, cache)?.into()))
    }

    fn connect(&self, create: bool) -> Result<Api, CommandError> {
        match self.place()? {
            Place::Data(directory) => self.local(&directory, create),
            Place::Server(url) => self.remote(&url, Some(self.token()?)),
            Place::Profile(name) => {
                let profile = Profile::read(&name)?;
                let token = parse_token(&profile.token, &format!("the token of the profile `{name}`"))?;
                self.remote(&profile.server, Some(token))
            }
        }
    }

    /// The server, without a token. Nothing for a data directory.
    pub(crate) fn public_server(&self) -> Result<Option<Api>, CommandError> {
        match self.place()? {
            Place::Data(_) => Ok(None),
            Place::Server(url) => self.remote(&url, None).map(Some),
            Place::Profile(name) => self.remote(&Profile::read(&name)?.server, None).map(Some),
        }
    }

    fn remote(&self, url: &str, token: Option<Token>) -> Result<Api, CommandError> {
        Remote::new(url, token, self.insecure_http).map(Api::Remote).map_err(CommandError::Input)
    }

    /// An option wins over any variable. Of two variables neither wins: the wrong guess could
    /// revoke a customer's licence.
    fn place(&self) -> Result<Place, CommandError> {
        if let Some(directory) = &self.data {
            return Ok(Place::Data(directory.clone()));
        }
        if let Some(url) = &self.server {
            return Ok(Place::Server(url.clone()));
        }
        if let Some(name) = &self.profile {
            return Ok(Place::Profile(name.clone()));
        }
        let data = env::var_os(DATA).filter(|directory| !directory.is_empty());
        match (data, env::var(PROFILE).ok()) {
            (Some(directory), None) => Ok(Place::Data(directory.into())),
            (None, Some(name)) => Ok(Place::Profile(name)),
            (Some(_), Some(_)) => Err(CommandError::Input(format!(
                "${DATA} and ${PROFILE} are both set; choose with `--data DIR` or `--profile NAME`"
            ))),
            (None, None) => Err(CommandError::Input(format!(
                "no place to work on; give `--data DIR`, `--server URL` or `--profile NAME`, or set ${DATA}"
            ))),
        }
    }

    fn token(&self) -> Result<Token, CommandError> {
        if let Some(path) = &self.token_file {
            return parse_token(&read(path, MAX_TOKEN_FILE_BYTES)?, &path.display().to_string());
        }
        let missing = format!("the server requires a token; set ${TOKEN} or give `--token-file FILE`");
        let text = env::var(TOKEN).map_err(|_| CommandError::Unauthorised(missing))?;
        parse_token(&text, &format!("${TOKEN}"))
    }
}

fn parse_token(text: &str, from: &str) -> Result<Token, CommandError> {
    let wrong = || CommandError::Input(format!("{from} is not a valid token; it must be one word, such as cst_…"));
    Token::parse(text).ok_or_else(wrong)
}

fn read(path: &Path, limit: u64) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
