//! Where the components' files are, unless the operator names others.

use std::env;
use std::path::{Path, PathBuf};

/// The validator's file.
pub const VALIDATOR: &str = "countersign-native.wasm";

/// The file of an edge's validator.
pub const EDGE: &str = "countersign-edge-native.wasm";

/// The registrar's file.
pub const REGISTRAR: &str = "countersign-registrar-native.wasm";

/// A component's file was not found.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot find {file} beside this program: name it with `{option}`, or build it with `cargo xtask compose native`"
)]
pub struct Missing {
    file: &'static str,
    option: &'static str,
}

/// Finds the file of a component: beside this program, in `../components` from there, or in
/// `target/components`, where `cargo xtask compose` writes it. `option` is the option by which an
/// operator names another file.
///
/// # Errors
/// [`Missing`] if the file is in none of these places.
pub fn find(file: &'static str, option: &'static str) -> Result<PathBuf, Missing> {
    let program = env::current_exe().unwrap_or_default();
    let beside = program.parent().unwrap_or(Path::new("."));
    let places = [beside, &beside.join("../components"), Path::new("target/components")];
    places.map(|place| place.join(file)).into_iter().find(|path| path.exists()).ok_or(Missing { file, option })
}
