//! Where the components' files are, unless the operator says otherwise.

use std::env;
use std::path::{Path, PathBuf};

/// The validator's file.
pub const VALIDATOR: &str = "countersign-native.wasm";

/// The registrar's file.
pub const REGISTRAR: &str = "countersign-registrar-native.wasm";

/// Neither beside this program nor where the build puts it.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no {file} beside this program: name one with `{option}`, or make it with `cargo xtask compose native`"
)]
pub struct Missing {
    file: &'static str,
    option: &'static str,
}

/// The file of a component: beside this program, in `../components` from there, or in `target/components`, where `cargo xtask compose`
/// writes it. `option` is how an operator names another, for the error.
pub fn find(file: &'static str, option: &'static str) -> Result<PathBuf, Missing> {
    let program = env::current_exe().unwrap_or_default();
    let beside = program.parent().unwrap_or(Path::new("."));
    let places = [beside, &beside.join("../components"), Path::new("target/components")];
    places.map(|place| place.join(file)).into_iter().find(|path| path.exists()).ok_or(Missing { file, option })
}
