//! Files and directories that no other user may read or write, whatever the umask.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bits of a mode that let the group or all others write.
const OTHERS_WRITE: u32 = 0o022;
/// Bits of a mode that let them read.
const OTHERS_READ: u32 = 0o044;

/// Why a directory cannot be used. The texts are for operators.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Other users may write to it: what lies in it could be theirs.
    #[error("other users may write to {0}; run `chmod go-w {0}`")]
    OthersWrite(PathBuf),
    /// It belongs to another user.
    #[error("{0} belongs to another user; run `chown -R $(id -un) {0}`, or use another directory")]
    Foreign(PathBuf),
    /// It cannot be created or read.
    #[error("cannot use the directory {0}: {1}")]
    Io(PathBuf, io::Error),
}

/// Creates a directory, and those above it, with mode 0700. If it exists, checks that no other user
/// may write to it.
///
/// # Errors
/// [`DirectoryError`].
pub fn create_directory(path: &Path) -> Result<(), DirectoryError> {
    match check_directory(path) {
        Err(DirectoryError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => {
            let created = DirBuilder::new().recursive(true).mode(0o700).create(path);
            created.map_err(|error| DirectoryError::Io(path.to_owned(), error))?;
            // Another process may have created it in this moment.
            check_directory(path)
        }
        checked => checked,
    }
}

/// Checks that no other user may write to a directory: neither by its mode nor as its owner. The
/// administrator may.
///
/// # Errors
/// [`DirectoryError`].
pub fn check_directory(path: &Path) -> Result<(), DirectoryError> {
    let metadata = fs::metadata(path).map_err(|error| DirectoryError::Io(path.to_owned(), error))?;
    let (owner, me) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if metadata.mode() & OTHERS_WRITE != 0 {
        Err(DirectoryError::OthersWrite(path.to_owned()))
    } else if owner != me && owner != 0 && me != 0 {
        Err(DirectoryError::Foreign(path.to_owned()))
    } else {
        Ok(())
    }
}

/// Checks that no other user may write to a file, if it exists.
///
/// # Errors
/// [`DirectoryError`].
pub fn check_file(path: &Path) -> Result<(), DirectoryError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.mode() & OTHERS_WRITE != 0 => Err(DirectoryError::OthersWrite(path.to_owned())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DirectoryError::Io(path.to_owned(), error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Whether other users may read a file, as far as its mode says.
pub fn others_can_read(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.mode() & OTHERS_READ != 0)
}

/// Opens a file to append to, with mode 0600 if it does not exist.
///
/// # Errors
/// If it cannot be opened.
pub fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// Writes a file with mode 0600, in place of one that exists.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // The mode of one that exists stays as it was.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_directory_is_created_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        create_directory(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
        create_directory(&path).unwrap();
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        for (mode, is_right) in
            [(0o700, true), (0o755, true), (0o775, false), (0o757, false), (0o777, false), (0o1777, false)]
        {
            fs::set_permissions(directory.path(), Permissions::from_mode(mode)).unwrap();
            let checked = create_directory(directory.path());
            assert_eq!(checked.is_ok(), is_right, "{mode:o}");
            if let Err(error) = checked {
                assert!(error.to_string().contains("run `chmod go-w /"), "{error}");
            }
        }
    }

    #[test]
    fn a_file_is_written_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "a longer text").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        write(&path, "text").unwrap();
        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap().as_str()), (0o600, "text"));
        let journal = directory.path().join("journal");
        append(&journal).unwrap();
        assert_eq!(mode(&journal), 0o600);
    }
}
