//! Why a command failed, in one line, and its exit code.

use std::io;
use std::process::ExitCode;

use countersign_host::registry::RegistryError;

use crate::api::ApiError;

/// Why a command failed, in one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{0}")]
    Input(String),
    #[error("{0}")]
    Unauthorised(String),
    #[error(transparent)]
    Reader(ReaderGone),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl CommandError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Input(_) => 2,
            Self::Registry(_) | Self::Other(_) => 3,
            Self::Unauthorised(_) => 6,
            // As a shell has it of a program that ends by SIGPIPE: 128 + 13. It is no verdict and no success.
            Self::Reader(_) => 141,
            Self::Api(error) => error.exit_code(),
        })
    }

    /// Whether there is nobody to be told of it.
    pub(crate) fn is_of_reader(&self) -> bool {
        matches!(self, Self::Reader(_))
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<ReaderGone>() {
            Ok(gone) => Self::Reader(gone),
            Err(error) => Self::Other(error.into()),
        }
    }
}

/// Nobody reads standard output any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads what is printed")]
pub(crate) struct ReaderGone;
