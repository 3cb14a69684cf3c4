//! Builds the components and composes them: a shell over an app over the host's adapters.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::{
    join::{Export, Part, Wire, join},
    run::{cargo, root, run, target_directory},
    target::{self, TARGET},
};

/// Which compositions to write.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Set {
    /// For the native host, which provides every import of both apps
    Native,
    /// For `wasmtime serve`
    Wasi,
    /// For Fastly Compute
    Fastly,
    /// For Spin
    Spin,
    /// All of these, and what only tests run
    All,
}

/// A file of `target/components` and what it is composed of.
struct Composition {
    set: Set,
    file: &'static str,
    /// Packages, outermost first. An export satisfies the import of its name in the parts before
    /// it.
    parts: &'static [&'static str],
    /// Connections between an import and an export of different names.
    wires: &'static [Wire],
    /// Exports of inner parts that the result has too.
    exports: &'static [Export],
}

const VALIDATOR: &str = "countersign-validator";
const REGISTRAR: &str = "countersign-registrar";
const CONTRACT_STORE: &str = "countersign-guest-store-contract";
const CONTRACT_SQL: &str = "countersign-guest-sql-contract";
const SHELL_WASI_HTTP: &str = "countersign-shell-wasi-http";
const SHELL_FASTLY: &str = "countersign-shell-fastly";
const SHELL_SPIN: &str = "countersign-shell-spin";
const ADAPTER_WASI: &str = "countersign-adapter-wasi";
const ADAPTER_WASI_HTTP: &str = "countersign-adapter-wasi-http";
const ADAPTER_FASTLY: &str = "countersign-adapter-fastly";
const ADAPTER_SPIN_KEY_VALUE: &str = "countersign-adapter-spin-key-value";
const ADAPTER_SPIN_SQLITE: &str = "countersign-adapter-spin-sqlite";
const ADAPTER_SPIN_DATABASE: &str = "countersign-adapter-spin-database";
const TIERED: &str = "countersign-store-tiered";
const ORIGIN_HTTP: &str = "countersign-store-origin-http";
const PLANTED: &str = "countersign-guest-planted";
const EMBEDDED: &str = "countersign-example-embedded";

/// A composition that needs no wires.
const fn chain(set: Set, file: &'static str, parts: &'static [&'static str]) -> Composition {
    Composition { set, file, parts, wires: &[], exports: &[] }
}

const COMPOSITIONS: [Composition; 20] = [
    chain(Set::Native, "countersign-native", &[VALIDATOR]),
    chain(Set::Native, "countersign-registrar-native", &[REGISTRAR]),
    Composition {
        set: Set::Native,
        file: "countersign-edge-native",
        parts: &[VALIDATOR, TIERED, ORIGIN_HTTP],
        wires: &[],
        exports: &[Export { from: 1, name: "countersign:license/edge@0.1.0" }],
    },
    chain(Set::Wasi, "countersign-wasi", &[SHELL_WASI_HTTP, VALIDATOR, ADAPTER_WASI]),
    chain(Set::Fastly, "countersign-fastly", &[SHELL_FASTLY, VALIDATOR, ADAPTER_FASTLY]),
    chain(Set::Spin, "countersign-spin", &[SHELL_WASI_HTTP, VALIDATOR, ADAPTER_SPIN_KEY_VALUE]),
    Composition {
        set: Set::Spin,
        file: "countersign-edge-spin",
        parts: &[SHELL_WASI_HTTP, VALIDATOR, TIERED, ORIGIN_HTTP, ADAPTER_WASI_HTTP, ADAPTER_SPIN_KEY_VALUE],
        wires: &[Wire {
            from: 5,
            export: "countersign:license/store@0.1.0",
            to: 2,
            import: "countersign:license/near@0.1.0",
        }],
        exports: &[],
    },
    chain(Set::Spin, "countersign-spin-sqlite", &[SHELL_WASI_HTTP, VALIDATOR, ADAPTER_SPIN_SQLITE]),
    chain(
        Set::Spin,
        "countersign-registrar-spin",
        &[SHELL_WASI_HTTP, REGISTRAR, ADAPTER_SPIN_KEY_VALUE, ADAPTER_SPIN_DATABASE],
    ),
    chain(Set::All, "countersign-spin3", &[SHELL_SPIN, VALIDATOR, ADAPTER_SPIN_KEY_VALUE]),
    Composition {
        set: Set::All,
        file: "tests/edge",
        parts: &[VALIDATOR, TIERED],
        wires: &[],
        exports: &[Export { from: 1, name: "countersign:license/edge@0.1.0" }],
    },
    Composition {
        set: Set::All,
        file: "tests/edge-planted",
        parts: &[VALIDATOR, PLANTED],
        wires: &[],
        exports: &[Export { from: 1, name: "countersign:license/edge@0.1.0" }],
    },
    chain(Set::All, "tests/embedded", &[EMBEDDED, VALIDATOR, ADAPTER_WASI]),
    chain(Set::All, "tests/contract-native", &[CONTRACT_STORE]),
    chain(Set::All, "tests/contract-wasi", &[SHELL_WASI_HTTP, CONTRACT_STORE, ADAPTER_WASI]),
    chain(Set::All, "tests/contract-fastly", &[SHELL_FASTLY, CONTRACT_STORE, ADAPTER_FASTLY]),
    chain(Set::All, "tests/contract-spin-kv", &[SHELL_WASI_HTTP, CONTRACT_STORE, ADAPTER_SPIN_KEY_VALUE]),
    chain(Set::All, "tests/contract-spin-sqlite", &[SHELL_WASI_HTTP, CONTRACT_STORE, ADAPTER_SPIN_SQLITE]),
    chain(Set::All, "tests/sql-contract-native", &[CONTRACT_SQL]),
    chain(Set::All, "tests/sql-contract-spin", &[SHELL_WASI_HTTP, CONTRACT_SQL, ADAPTER_SPIN_DATABASE]),
];

/// Components of the tests and the benchmark that are written as text.
const TEXTS: [(&str, &str); 2] =
    [("tests/empty", "benches/runner/empty.wat"), ("tests/misbehaving", "cli/tests/support/guest.wat")];

/// Where compositions are written. `spin.toml` names it, so it does not follow `CARGO_TARGET_DIR`.
pub(crate) fn directory() -> PathBuf {
    root().join("target/components")
}

/// The packages that are components. They build for the WebAssembly target only.
pub(crate) fn packages(set: Set) -> Vec<&'static str> {
    let mut packages: Vec<_> = chosen(set).flat_map(|composition| composition.parts).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Builds and composes a set, and compares the imports and exports of each result with its list in
/// `components/worlds`.
///
/// # Errors
///
/// Fails if a package does not build or compose, or if a list differs; `bless` writes the list
/// instead.
pub(crate) fn compose(set: Set, bless: bool) -> Result<()> {
    target::ensure()?;
    let built = target_directory()?.join(TARGET).join("component");
    let home = home();
    let paths: Vec<&Path> = home.as_deref().into_iter().chain([root()]).collect();
    fs::create_dir_all(directory().join("parts"))?;
    fs::create_dir_all(directory().join("tests"))?;
    // One by one: packages that are built together share the features of their dependencies, so the
    // validator's bytes would depend on the set.
    for package in packages(set) {
        let build = ["build", "--profile", "component", "--target", TARGET, "--package", package];
        run(reproducible(&mut cargo()).args(build))?;
        let module = built.join(package.replace('-', "_")).with_extension("wasm");
        let module = fs::read(&module).with_context(|| format!("{} cannot be read", module.display()))?;
        check_paths(package, &module, &paths)?;
        let component = ComponentEncoder::default().module(&module).and_then(|encoder| encoder.encode());
        fs::write(path_of(package), component.with_context(|| format!("{package} is not a component"))?)?;
    }

    for (file, text) in TEXTS {
        fs::write(directory().join(file).with_extension("wasm"), wat::parse_file(root().join(text))?)?;
    }
    for composition in chosen(set) {
        let bytes = join_packages(composition).with_context(|| format!("{} does not compose", composition.file))?;
        let file = directory().join(composition.file).with_extension("wasm");
        check_world(composition.file, &bytes, bless)?;
        fs::write(&file, &bytes)?;
        println!("target/components/{}.wasm  {} bytes", composition.file, bytes.len());
    }
    Ok(())
}

/// Lets rustc write the same bytes for whoever builds: panics have the paths of their sources,
/// those of dependencies below cargo's home.
fn reproducible(cargo: &mut Command) -> &mut Command {
    let flags = home().map(|home| format!("--remap-path-prefix={}=/cargo", home.display()));
    // Other flags would be other bytes.
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.unwrap_or_default())
}

/// Fails if a module has one of these paths, which are this machine's. Apart from paths a build
/// depends on sources, lock file and toolchain only, so this replaces building twice in two places.
fn check_paths(package: &str, module: &[u8], paths: &[&Path]) -> Result<()> {
    for path in paths {
        let bytes = path.as_os_str().as_encoded_bytes();
        if module.windows(bytes.len()).any(|window| window == bytes) {
            bail!(
                "{package} contains the path {}, so another machine would build other bytes; \
                 `reproducible` in xtask/src/compose.rs must map it",
                path.display()
            );
        }
    }
    Ok(())
}

/// Cargo's home, which has the sources of dependencies.
fn home() -> Option<PathBuf> {
    let set = env::var_os("CARGO_HOME").filter(|home| !home.is_empty());
    // As cargo does, from the directory where it runs.
    set.map(|home| root().join(home)).or_else(|| Some(env::home_dir()?.join(".cargo")))
}

fn chosen(set: Set) -> impl Iterator<Item = &'static Composition> {
    COMPOSITIONS.iter().filter(move |composition| match set {
        Set::All => true,
        one => composition.set == one,
    })
}

/// The file of a package's component before it is composed.
fn path_of(package: &str) -> PathBuf {
    directory().join("parts").join(package).with_extension("wasm")
}

/// Joins the components of the packages.
fn join_packages(Composition { parts, wires, exports, .. }: &Composition) -> Result<Vec<u8>> {
    let read = |name: &&'static str| Ok(Part { name, bytes: fs::read(path_of(name))? });
    let parts = parts.iter().map(read).collect::<Result<Vec<_>>>()?;
    match &parts[..] {
        // Joining would wrap it in another component.
        [app] => Ok(app.bytes.clone()),
        parts => join(parts, wires, exports),
    }
}

/// Compares the imports and exports of a composition with its list: an import that nothing
/// satisfied is still there, and composing does not report it.
fn check_world(name: &str, bytes: &[u8], bless: bool) -> Result<()> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(bytes)? else {
        bail!("{name} is not a component");
    };
    let world = &resolve.worlds[world];
    let imports = world.imports.keys().map(|key| format!("import {}\n", resolve.name_world_key(key)));
    let exports = world.exports.keys().map(|key| format!("export {}\n", resolve.name_world_key(key)));
    let found: BTreeSet<_> = imports.chain(exports).collect();
    let found: String = found.into_iter().collect();

    let list = root().join("components/worlds").join(name.replace('/', "-")).with_extension("txt");
    if bless {
        fs::create_dir_all(root().join("components/worlds"))?;
        fs::write(&list, found)?;
        return Ok(());
    }
    let expected = fs::read_to_string(&list).with_context(|| format!("{} cannot be read", list.display()))?;
    if found != expected {
        bail!(
            "the imports and exports of {name} differ from {}; to accept them, run `cargo xtask compose --bless`\n\
             listed:\n{expected}found:\n{found}",
            list.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_with_a_path_of_the_machine_is_refused() {
        let paths = [Path::new("/elsewhere/.cargo"), Path::new("/elsewhere/countersign")];
        let check = |module: &str| check_paths("a package", module.as_bytes(), &paths);
        assert!(check("\0asm/cargo/registry/src/idna/src/lib.rs, src/license.rs, /rustc/1/library/core").is_ok());
        for path in ["/elsewhere/.cargo/registry/src/idna/src/lib.rs", "/elsewhere/countersign/src/license.rs"] {
            let error = check(&format!("\0asm/cargo/{path}\0")).unwrap_err().to_string();
            assert!(error.contains("another machine would build other bytes"), "{error}");
        }
    }

    #[test]
    fn a_build_maps_the_sources_of_dependencies_and_takes_no_other_flags() {
        let mut command = cargo();
        let variables: Vec<_> = reproducible(&mut command).get_envs().collect();
        let flags = variables.iter().find(|(name, _)| *name == "CARGO_ENCODED_RUSTFLAGS").unwrap().1.unwrap();
        let expected = format!("--remap-path-prefix={}=/cargo", home().unwrap().display());
        assert_eq!(flags, expected.as_str());
        assert!(variables.contains(&("RUSTFLAGS".as_ref(), None)));
    }
}
