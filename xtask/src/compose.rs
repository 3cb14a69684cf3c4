//! Builds the components and joins them: a shell over an app over a store.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId, types::Package};
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::{
    run::{cargo, root, run, target_directory},
    target::{self, TARGET},
};

/// Which compositions to write.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Set {
    /// For our own host: the validator and the registrar, to which the host gives everything
    Native,
    /// For `wasmtime serve`
    Wasi,
    /// For Fastly Compute and Viceroy
    Fastly,
    /// For Spin
    Spin,
    /// The four above, and what only the tests run
    All,
}

struct Composition {
    set: Set,
    file: &'static str,
    /// Packages, outermost first: each is given what those behind it export.
    parts: &'static [&'static str],
}

const VALIDATOR: &str = "countersign-validator";
const REGISTRAR: &str = "countersign-registrar";
const CONTRACT: &str = "countersign-guest-store-contract";
const SQL_CONTRACT: &str = "countersign-guest-sql-contract";
const WASI_HTTP: &str = "countersign-shell-wasi-http";
const FASTLY: &str = "countersign-shell-fastly";
const SPIN: &str = "countersign-shell-spin";
const WASI_KEYVALUE: &str = "countersign-adapter-wasi";
const FASTLY_KV: &str = "countersign-adapter-fastly";
const SPIN_KV: &str = "countersign-adapter-spin-key-value";
const SPIN_SQLITE: &str = "countersign-adapter-spin-sqlite";
const SQL_SPIN_SQLITE: &str = "countersign-adapter-spin-database";
const EMBEDDED: &str = "countersign-example-embedded";

const COMPOSITIONS: [Composition; 16] = [
    Composition { set: Set::Native, file: "countersign-native", parts: &[VALIDATOR] },
    Composition { set: Set::Native, file: "countersign-registrar-native", parts: &[REGISTRAR] },
    Composition { set: Set::Wasi, file: "countersign-wasi", parts: &[WASI_HTTP, VALIDATOR, WASI_KEYVALUE] },
    Composition { set: Set::Fastly, file: "countersign-fastly", parts: &[FASTLY, VALIDATOR, FASTLY_KV] },
    Composition { set: Set::Spin, file: "countersign-spin", parts: &[WASI_HTTP, VALIDATOR, SPIN_KV] },
    Composition { set: Set::Spin, file: "countersign-spin-sqlite", parts: &[WASI_HTTP, VALIDATOR, SPIN_SQLITE] },
    Composition {
        set: Set::Spin,
        file: "countersign-registrar-spin",
        parts: &[WASI_HTTP, REGISTRAR, SPIN_KV, SQL_SPIN_SQLITE],
    },
    Composition { set: Set::All, file: "countersign-spin3", parts: &[SPIN, VALIDATOR, SPIN_KV] },
    Composition { set: Set::All, file: "tests/embedded", parts: &[EMBEDDED, VALIDATOR, WASI_KEYVALUE] },
    Composition { set: Set::All, file: "tests/contract-native", parts: &[CONTRACT] },
    Composition { set: Set::All, file: "tests/contract-wasi", parts: &[WASI_HTTP, CONTRACT, WASI_KEYVALUE] },
    Composition { set: Set::All, file: "tests/contract-fastly", parts: &[FASTLY, CONTRACT, FASTLY_KV] },
    Composition { set: Set::All, file: "tests/contract-spin-kv", parts: &[WASI_HTTP, CONTRACT, SPIN_KV] },
    Composition { set: Set::All, file: "tests/contract-spin-sqlite", parts: &[WASI_HTTP, CONTRACT, SPIN_SQLITE] },
    Composition { set: Set::All, file: "tests/sql-contract-native", parts: &[SQL_CONTRACT] },
    Composition { set: Set::All, file: "tests/sql-contract-spin", parts: &[WASI_HTTP, SQL_CONTRACT, SQL_SPIN_SQLITE] },
];

/// Components that tests and the benchmark are given, written as text.
const TEXTS: [(&str, &str); 2] =
    [("tests/empty", "benches/runner/empty.wat"), ("tests/misbehaving", "cli/tests/support/guest.wat")];

/// Where compositions go: always the same place, as `spin.toml` names it.
pub(crate) fn directory() -> PathBuf {
    root().join("target/components")
}

/// The packages that are components, and so are built for the WebAssembly target alone.
pub(crate) fn packages(set: Set) -> Vec<&'static str> {
    let mut packages: Vec<_> = chosen(set).flat_map(|composition| composition.parts).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Builds what the set needs, composes it, and checks each result's imports and exports against the checked-in list; `bless` rewrites
/// the list instead.
pub(crate) fn compose(set: Set, bless: bool) -> Result<()> {
    target::ensure()?;
    let built = target_directory()?.join(TARGET).join("component");
    fs::create_dir_all(directory().join("parts"))?;
    fs::create_dir_all(directory().join("tests"))?;
    // One by one: packages that are built together share the features of their dependencies, and the validator's bytes would then depend
    // on what else was asked for.
    for package in packages(set) {
        run(cargo().args(["build", "--profile", "component", "--target", TARGET, "--package", package]))?;
        let module = built.join(package.replace('-', "_")).with_extension("wasm");
        let module = fs::read(&module).with_context(|| format!("{} cannot be read", module.display()))?;
        let component = ComponentEncoder::default().module(&module).and_then(|encoder| encoder.encode());
        fs::write(path_of(package), component.with_context(|| format!("{package} is no component"))?)?;
    }

    for (file, text) in TEXTS {
        fs::write(directory().join(file).with_extension("wasm"), wat::parse_file(root().join(text))?)?;
    }
    for composition in chosen(set) {
        let bytes = join(composition.parts).with_context(|| format!("{} does not compose", composition.file))?;
        let file = directory().join(composition.file).with_extension("wasm");
        check_world(composition.file, &bytes, bless)?;
        fs::write(&file, &bytes)?;
        println!("target/components/{}.wasm  {} bytes", composition.file, bytes.len());
    }
    Ok(())
}

fn chosen(set: Set) -> impl Iterator<Item = &'static Composition> {
    COMPOSITIONS.iter().filter(move |composition| match set {
        Set::All => true,
        one => composition.set == one,
    })
}

/// A package as a component by itself, imports and all.
fn path_of(package: &str) -> PathBuf {
    directory().join("parts").join(package).with_extension("wasm")
}

fn join(parts: &[&str]) -> Result<Vec<u8>> {
    let [outermost, inner @ ..] = parts else { bail!("nothing to compose") };
    if inner.is_empty() {
        return Ok(fs::read(path_of(outermost))?);
    }

    let mut graph = CompositionGraph::new();
    let mut outer: Vec<(PackageId, NodeId)> = Vec::new();
    for part in parts {
        let package = Package::from_bytes(part, None, fs::read(path_of(part))?, graph.types_mut())?;
        let package = graph.register_package(package)?;
        let instance = graph.instantiate(package);
        let exports: Vec<String> = graph.types()[graph[package].ty()].exports.keys().cloned().collect();
        for name in exports {
            if outer.is_empty() {
                let export = graph.alias_instance_export(instance, &name)?;
                graph.export(export, &name)?;
            }
            for &(importer, importing) in &outer {
                if graph.types()[graph[importer].ty()].imports.contains_key(&name) {
                    let export = graph.alias_instance_export(instance, &name)?;
                    graph.set_instantiation_argument(importing, &name, export)?;
                }
            }
        }
        outer.push((package, instance));
    }
    Ok(graph.encode(EncodeOptions::default())?)
}

/// Composing leaves what matches nothing as an import, without a word; so the imports that are left are looked at, each time.
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
            "{name} has other imports or exports than {} lists (if that is meant: `cargo xtask compose --bless`)\n\
             listed:\n{expected}found:\n{found}",
            list.display()
        );
    }
    Ok(())
}
