//! Why a command failed, in one line, and its exit code.

use std::io;
use std::process::ExitCode;

use countersign_host::backup::BackupError;
use countersign_host::imports::store::ReaderError;

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
    Store(#[from] ReaderError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// The reader of standard output has closed it, as `head` does.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(crate) struct ReaderGone;

impl CommandError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Input(_) | Self::Backup(BackupError::Exists(_)) => 2,
            Self::Store(_) | Self::Backup(_) | Self::Other(_) => 3,
            Self::Unauthorised(_) => 6,
            // What shells report for a program that SIGPIPE ended: 128 + 13. Neither success nor a
            // verdict.
            Self::Reader(_) => 141,
            Self::Api(error) => error.exit_code(),
        })
    }

    /// Whether the reader of the output is gone, so that a message would be noise.
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
