//! Where a command does its work: on a data directory, or by a server.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::limits::{MAX_PROFILES_BYTES, MAX_TOKEN_BYTES};
use anyhow::Context;
use clap::Args;
use serde::Deserialize;

use crate::api::{Api, LocalApi, Remote, Token};
use crate::error::CommandError;

const TOKEN: &str = "COUNTERSIGN_TOKEN";
const PROFILE: &str = "COUNTERSIGN_PROFILE";

/// Where a command does its work, and how it prints.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub(crate) struct Connection {
    /// Work on this data directory, in this process
    #[arg(long, value_name = "DIR", group = "where")]
    data: Option<PathBuf>,
    /// Ask this server: https://HOST, or http:// on this machine. The token is $COUNTERSIGN_TOKEN, or what --token-file has
    #[arg(long, value_name = "URL", group = "where")]
    server: Option<String>,
    /// Ask the server of this name in ~/.config/countersign/profiles.toml, with the token there [default: $COUNTERSIGN_PROFILE]
    #[arg(long, value_name = "NAME", group = "where")]
    profile: Option<String>,
    /// The file with the token for --server
    #[arg(long, value_name = "FILE", requires = "server", conflicts_with_all = ["data", "profile"])]
    token_file: Option<PathBuf>,
    /// Ask another machine over plain HTTP, where others can read the token
    #[arg(long)]
    insecure_http: bool,
    /// The registrar component, for --data [default: countersign-registrar-native.wasm beside this program, in ../components from there, or
    /// in ./target/components]
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_REGISTRAR", hide_env_values = true)]
    registrar: Option<PathBuf>,
    /// Where the compiled component is kept, for --data [default: DIR/cache]
    #[arg(long, value_name = "DIR", env = "COUNTERSIGN_CACHE", hide_env_values = true)]
    cache: Option<PathBuf>,
    /// Print JSON
    #[arg(long, help_heading = "Options")]
    pub(crate) json: bool,
}

/// Servers by name: a table each.
#[derive(Deserialize)]
#[serde(transparent)]
struct Profiles(BTreeMap<String, Profile>);

/// A server and its token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    server: String,
    token: String,
}

/// What a command was told of where to work.
enum Place<'a> {
    Data(&'a Path),
    Server(&'a str),
    Profile(String),
}

impl Connection {
    /// The data directory, of commands that only work on one.
    pub(crate) fn data_directory(&self) -> Result<&Path, CommandError> {
        self.data
            .as_deref()
            .ok_or_else(|| CommandError::Input("this works on a data directory: say which with `--data DIR`".into()))
    }

    /// The registrar, of a data directory that has licences already.
    pub(crate) fn open(&self) -> Result<Api, CommandError> {
        self.connect(false)
    }

    /// The registrar; a data directory is made where there is none.
    pub(crate) fn create(&self) -> Result<Api, CommandError> {
        self.connect(true)
    }

    fn connect(&self, create: bool) -> Result<Api, CommandError> {
        match self.place()? {
            Place::Data(directory) => {
                let (component, cache) = (self.registrar.as_deref(), self.cache.as_deref());
                Ok(Api::Local(LocalApi::new(directory, create, component, cache)?))
            }
            Place::Server(url) => self.remote(url, Some(self.token()?)),
            Place::Profile(name) => {
                let profile = profile(&name)?;
                let token = Token::parse(&profile.token);
                let token =
                    token.ok_or_else(|| CommandError::Input(format!("the token of the profile `{name}` is none")))?;
                self.remote(&profile.server, Some(token))
            }
        }
    }

    /// The server for what needs no token, if it is a server that is asked.
    pub(crate) fn public_server(&self) -> Result<Option<Api>, CommandError> {
        match self.place()? {
            Place::Data(_) => Ok(None),
            Place::Server(url) => self.remote(url, None).map(Some),
            Place::Profile(name) => self.remote(&profile(&name)?.server, None).map(Some),
        }
    }

    fn remote(&self, url: &str, token: Option<Token>) -> Result<Api, CommandError> {
        Remote::new(url, token, self.insecure_http).map(Api::Remote).map_err(CommandError::Input)
    }

    fn place(&self) -> Result<Place<'_>, CommandError> {
        let named = self.profile.clone().or_else(|| env::var(PROFILE).ok());
        match (&self.data, &self.server, named) {
            (Some(directory), ..) => Ok(Place::Data(directory)),
            (None, Some(url), _) => Ok(Place::Server(url)),
            (None, None, Some(name)) => Ok(Place::Profile(name)),
            (None, None, None) => {
                Err(CommandError::Input("say where: `--data DIR`, `--server URL` or `--profile NAME`".into()))
            }
        }
    }

    fn token(&self) -> Result<Token, CommandError> {
        let (text, place) = match &self.token_file {
            Some(path) => (read(open(path)?, path, MAX_TOKEN_BYTES)?, path.display().to_string()),
            None => {
                let missing =
                    format!("the server wants a token: put it into ${TOKEN}, or name its file with `--token-file`");
                (env::var(TOKEN).map_err(|_| CommandError::Unauthorised(missing))?, format!("${TOKEN}"))
            }
        };
        Token::parse(&text).ok_or_else(|| CommandError::Input(format!("what {place} has is no token")))
    }
}

fn profile(name: &str) -> Result<Profile, CommandError> {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let configuration =
        env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute()).or_else(home);
    let path = configuration.context("there is no home directory for the profiles")?.join("countersign/profiles.toml");
    let text = read_private(&path)?;
    // What TOML's errors show of the file may be a token.
    let profiles: Result<Profiles, _> = toml::from_str(&text);
    let Profiles(mut profiles) = profiles.map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let shape = "each profile is a table with `server` and `token`";
        CommandError::Input(format!("{}, line {line}: {shape}", path.display()))
    })?;
    profiles.remove(name).ok_or_else(|| CommandError::Input(format!("{} has no profile `{name}`", path.display())))
}

/// Reads a file that holds secrets, if no one else can.
fn read_private(path: &Path) -> Result<String, CommandError> {
    let file = open(path)?;
    if file.metadata()?.mode() & 0o077 != 0 {
        let advice = format!("others may read {0}, which has tokens in it: `chmod 600 {0}`", path.display());
        return Err(CommandError::Input(advice));
    }
    read(file, path, MAX_PROFILES_BYTES)
}

fn open(path: &Path) -> Result<File, CommandError> {
    Ok(File::open(path).with_context(|| format!("cannot read {}", path.display()))?)
}

fn read(file: File, path: &Path, limit: u64) -> Result<String, CommandError> {
    let mut text = String::new();
    file.take(limit).read_to_string(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
