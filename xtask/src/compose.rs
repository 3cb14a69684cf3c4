//! Builds the components and joins them: a shell over an app over a store.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId, types::Package};
use wit_component::DecodedWasm;

use crate::{
    run::{cargo, root, run, target_directory},
    target,
};

/// Which compositions to write.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Set {
    /// For our own host: the validator, to which the host gives everything
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
const CONTRACT: &str = "countersign-guest-store-contract";
const WASI_HTTP: &str = "countersign-shell-wasi-http";
const FASTLY: &str = "countersign-shell-fastly";
const SPIN: &str = "countersign-shell-spin";
const WASI_KEYVALUE: &str = "countersign-store-wasi-keyvalue";
const FASTLY_KV: &str = "countersign-store-fastly-kv";
const SPIN_KV: &str = "countersign-store-spin-kv";
const SPIN_SQLITE: &str = "countersign-store-spin-sqlite";

const COMPOSITIONS: [Composition; 12] = [
    Composition { set: Set::Native, file: "countersign-native", parts: &[VALIDATOR] },
    Composition { set: Set::Wasi, file: "countersign-wasi", parts: &[WASI_HTTP, VALIDATOR, WASI_KEYVALUE] },
    Composition { set: Set::Fastly, file: "countersign-fastly", parts: &[FASTLY, VALIDATOR, FASTLY_KV] },
    Composition { set: Set::Spin, file: "countersign-spin", parts: &[WASI_HTTP, VALIDATOR, SPIN_KV] },
    Composition { set: Set::All, file: "countersign-spin-sqlite", parts: &[WASI_HTTP, VALIDATOR, SPIN_SQLITE] },
    Composition { set: Set::All, file: "countersign-spin3", parts: &[SPIN, VALIDATOR, SPIN_KV] },
    Composition {
        set: Set::All,
        file: "tests/embedded",
        parts: &["countersign-example-embedded", VALIDATOR, WASI_KEYVALUE],
    },
    Composition { set: Set::All, file: "tests/contract-native", parts: &[CONTRACT] },
    Composition { set: Set::All, file: "tests/contract-wasi", parts: &[WASI_HTTP, CONTRACT, WASI_KEYVALUE] },
    Composition { set: Set::All, file: "tests/contract-fastly", parts: &[FASTLY, CONTRACT, FASTLY_KV] },
    Composition { set: Set::All, file: "tests/contract-spin-kv", parts: &[WASI_HTTP, CONTRACT, SPIN_KV] },
    Composition { set: Set::All, file: "tests/contract-spin-sqlite", parts: &[WASI_HTTP, CONTRACT, SPIN_SQLITE] },
];

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
    // One by one: packages that are built together share the features of their dependencies, and the validator's bytes would then depend
    // on what else was asked for.
    for package in packages(set) {
        run(cargo().args(["build", "--profile", "component", "--target", "wasm32-wasip2", "--package", package]))?;
    }

    let built = target_directory()?.join("wasm32-wasip2/component");
    fs::create_dir_all(directory().join("tests"))?;
    for composition in chosen(set) {
        let bytes =
            join(composition.parts, &built).with_context(|| format!("{} does not compose", composition.file))?;
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

fn join(parts: &[&str], built: &Path) -> Result<Vec<u8>> {
    let read = |package: &str| {
        let file = built.join(package.replace('-', "_")).with_extension("wasm");
        fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))
    };
    let [outermost, inner @ ..] = parts else { bail!("nothing to compose") };
    if inner.is_empty() {
        return read(outermost);
    }

    let mut graph = CompositionGraph::new();
    let mut outer: Vec<(PackageId, NodeId)> = Vec::new();
    for part in parts {
        let package = Package::from_bytes(part, None, read(part)?, graph.types_mut())?;
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
    let name_of = |key| entry(&resolve.name_world_key(key));
    let imports = world.imports.keys().map(|key| format!("import {}\n", name_of(key)));
    let exports = world.exports.keys().map(|key| format!("export {}\n", name_of(key)));
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

/// An interface as the lists have it. Releases of WASI 0.2 are compatible, and which one std and libc were generated from depends on where
/// the target came from; so does which of `wasi:cli` and `wasi:io` they touch, so those two are listed as packages.
fn entry(interface: &str) -> String {
    let Some((name, version)) = interface.split_once('@') else { return interface.to_owned() };
    if !name.starts_with("wasi:") || !version.starts_with("0.2.") || version.contains('-') {
        return interface.to_owned();
    }
    let (package, _) = name.split_once('/').unwrap_or((name, ""));
    let listed = if ["wasi:cli", "wasi:io"].contains(&package) { package } else { name };
    format!("{listed}@0.2")
}

#[cfg(test)]
mod tests {
    use super::entry;

    #[test]
    fn releases_of_wasi_0_2_are_one_and_drafts_are_not() {
        assert_eq!(entry("wasi:http/types@0.2.4"), "wasi:http/types@0.2");
        assert_eq!(entry("wasi:cli/stdout@0.2.6"), "wasi:cli@0.2");
        assert_eq!(entry("wasi:keyvalue/store@0.2.0-draft"), "wasi:keyvalue/store@0.2.0-draft");
        assert_eq!(entry("wasi:http/handler@0.3.0"), "wasi:http/handler@0.3.0");
        assert_eq!(entry("fastly:compute/kv-store@0.1.0"), "fastly:compute/kv-store@0.1.0");
    }
}
