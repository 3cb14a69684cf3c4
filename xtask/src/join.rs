//! Joins components: each import of one is satisfied by an export of another.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, bail};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId, types::Package};

/// Satisfies an import by an export of another name. Parts are counted from 0, the outermost.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    /// The part that exports.
    pub(crate) from: usize,
    pub(crate) export: &'static str,
    /// The part that imports.
    pub(crate) to: usize,
    pub(crate) import: &'static str,
}

/// An export of a part that is not the outermost, which the result has too.
#[derive(Clone, Copy)]
pub(crate) struct Export {
    pub(crate) from: usize,
    pub(crate) name: &'static str,
}

/// A component to join. Parts of one name are instances of one component.
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    pub(crate) bytes: Vec<u8>,
}

/// A part in the graph.
struct Joined {
    package: PackageId,
    instance: NodeId,
    exports: Vec<String>,
}

/// Joins the parts, of which the first is the outermost and gives the result its exports.
///
/// The wires come first. Then each export goes to every part further out that imports its name and
/// has not got it yet, the innermost exports last: in a shell, a middleware and an app, the shell
/// gets the middleware's `service` and the middleware gets the app's. What no export satisfies is
/// an import of the result. Its exports are those of the first part, and `exports`.
///
/// # Errors
///
/// Fails if a part is not a component, if a wire names a part, an import or an export that does not
/// exist, and if the types of an import and its export differ.
pub(crate) fn join(parts: &[Part<'_>], wires: &[Wire], exports: &[Export]) -> Result<Vec<u8>> {
    let (mut graph, joined) = connect(parts, wires)?;
    for Export { from, name } in exports {
        let part = joined.get(*from).with_context(|| format!("there is no part {from} to export {name}"))?;
        let export = graph.alias_instance_export(part.instance, name)?;
        graph.export(export, *name)?;
    }
    Ok(graph.encode(EncodeOptions::default())?)
}

fn connect(parts: &[Part<'_>], wires: &[Wire]) -> Result<(CompositionGraph, Vec<Joined>)> {
    let mut graph = CompositionGraph::new();
    let mut packages = HashMap::new();
    let mut joined = Vec::new();
    for Part { name, bytes } in parts {
        let package = match packages.get(name) {
            Some(package) => *package,
            None => {
                let package = Package::from_bytes(name, None, bytes.clone(), graph.types_mut())?;
                let package = graph.register_package(package)?;
                packages.insert(name, package);
                package
            }
        };
        let exports = graph.types()[graph[package].ty()].exports.keys().cloned().collect();
        joined.push(Joined { package, instance: graph.instantiate(package), exports });
    }
    let mut satisfied = HashSet::new();
    for Wire { from, export, to, import } in wires {
        let (Some(exporter), Some(importer)) = (joined.get(*from), joined.get(*to)) else {
            bail!("a wire leads from part {from} to part {to}, and there are {}", joined.len());
        };
        plug(&mut graph, (exporter, export), (importer, import))?;
        satisfied.insert((*to, (*import).to_owned()));
    }
    for (index, exporter) in joined.iter().enumerate() {
        for name in &exporter.exports {
            if index == 0 {
                let export = graph.alias_instance_export(exporter.instance, name)?;
                graph.export(export, name)?;
            }
            for (to, importer) in joined[..index].iter().enumerate() {
                let imports = graph.types()[graph[importer.package].ty()].imports.contains_key(name);
                if imports && satisfied.insert((to, name.clone())) {
                    plug(&mut graph, (exporter, name), (importer, name))?;
                }
            }
        }
    }
    Ok((graph, joined))
}

fn plug(graph: &mut CompositionGraph, (from, export): (&Joined, &str), (to, import): (&Joined, &str)) -> Result<()> {
    let plugged = graph.alias_instance_export(from.instance, export).map_err(anyhow::Error::from);
    let plugged = plugged.and_then(|export| Ok(graph.set_instantiation_argument(to.instance, import, export)?));
    plugged.with_context(|| format!("the import {import} cannot be satisfied by the export {export}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "test:seams/service";
    const SETTINGS: &str = "test:seams/settings";
    const STORE: &str = "test:seams/store";
    const NEAR: &str = "test:seams/near";
    const ORIGIN: &str = "test:seams/origin";

    /// A component of which each import and each export is an instance with the function `get`.
    fn part(name: &'static str, imports: &[&str], exports: &[&str]) -> Part<'static> {
        let imports = imports
            .iter()
            .map(|import| format!(r#"(import "{import}" (instance (export "get" (func (result u32)))))"#));
        let exports = exports.iter().map(|export| format!(r#"(export "{export}" (instance $exported))"#));
        let text = format!(
            r#"(component
                {}
                (core module $code (func (export "get") (result i32) i32.const 0))
                (core instance $code (instantiate $code))
                (func $get (result u32) (canon lift (core func $code "get")))
                (instance $exported (export "get" (func $get)))
                {})"#,
            imports.collect::<String>(),
            exports.collect::<String>(),
        );
        Part { name, bytes: wat::parse_str(text).unwrap() }
    }

    /// Each import that is satisfied, and by which export of which part.
    fn wires(parts: &[Part<'_>], wires: &[Wire]) -> Result<Vec<(usize, String, usize, String)>> {
        let (graph, joined) = connect(parts, wires)?;
        let mut found = Vec::new();
        for (to, part) in joined.iter().enumerate() {
            for (import, argument) in graph.get_instantiation_arguments(part.instance) {
                let (instance, export) = graph.get_alias_source(argument).unwrap();
                let from = joined.iter().position(|part| part.instance == instance).unwrap();
                found.push((to, import.to_owned(), from, export.to_owned()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// What a joined component imports and exports.
    fn surface(parts: &[Part<'_>], wires: &[Wire]) -> (Vec<String>, Vec<String>) {
        let bytes = join(parts, wires, &[]).unwrap();
        let mut graph = CompositionGraph::new();
        let package = Package::from_bytes("test:joined", None, bytes, graph.types_mut()).unwrap();
        let world = &graph.types()[package.ty()];
        (world.imports.keys().cloned().collect(), world.exports.keys().cloned().collect())
    }

    fn wire(to: usize, import: &str, from: usize, export: &str) -> (usize, String, usize, String) {
        (to, import.into(), from, export.into())
    }

    #[test]
    fn a_middleware_is_joined_between_shell_and_app() {
        let parts = [
            part("test:shell", &[SERVICE], &["test:host/http"]),
            part("test:middleware", &[SERVICE, SETTINGS], &[SERVICE]),
            part("test:app", &[STORE, SETTINGS], &[SERVICE]),
            part("test:adapter", &["test:host/files"], &[STORE, SETTINGS]),
        ];
        let expected = [
            wire(0, SERVICE, 1, SERVICE),
            wire(1, SERVICE, 2, SERVICE),
            wire(1, SETTINGS, 3, SETTINGS),
            wire(2, SETTINGS, 3, SETTINGS),
            wire(2, STORE, 3, STORE),
        ];
        assert_eq!(wires(&parts, &[]).unwrap(), expected);
        assert_eq!(surface(&parts, &[]), (vec!["test:host/files".into()], vec!["test:host/http".into()]));
    }

    #[test]
    fn a_store_of_stores_has_two_instances_of_one_component() {
        let adapter = || part("test:adapter", &["test:host/files"], &[STORE, SETTINGS]);
        let parts = [
            part("test:app", &[STORE, SETTINGS], &[SERVICE]),
            part("test:tiered", &[NEAR, ORIGIN], &[STORE]),
            adapter(),
            adapter(),
        ];
        let named = [
            Wire { from: 2, export: STORE, to: 1, import: NEAR },
            Wire { from: 3, export: STORE, to: 1, import: ORIGIN },
        ];
        let expected = [
            wire(0, SETTINGS, 2, SETTINGS),
            wire(0, STORE, 1, STORE),
            wire(1, NEAR, 2, STORE),
            wire(1, ORIGIN, 3, STORE),
        ];
        assert_eq!(wires(&parts, &named).unwrap(), expected);
        assert_eq!(surface(&parts, &named), (vec!["test:host/files".into()], vec![SERVICE.into()]));
    }

    #[test]
    fn an_inner_part_exports_what_is_named() {
        let parts = || [part("test:app", &[STORE], &[SERVICE]), part("test:tiered", &[], &[STORE, NEAR])];
        let surface = |exports: &[Export]| {
            let mut graph = CompositionGraph::new();
            let bytes = join(&parts(), &[], exports)?;
            let package = Package::from_bytes("test:joined", None, bytes, graph.types_mut())?;
            anyhow::Ok(graph.types()[package.ty()].exports.keys().cloned().collect::<Vec<_>>())
        };
        assert_eq!(surface(&[Export { from: 1, name: NEAR }]).unwrap(), [SERVICE, NEAR]);
        assert!(surface(&[Export { from: 2, name: NEAR }]).is_err());
        assert!(surface(&[Export { from: 1, name: SETTINGS }]).is_err());
    }

    #[test]
    fn what_no_part_exports_is_left_as_an_import() {
        let parts = [part("test:app", &[STORE], &[SERVICE]), part("test:adapter", &[], &[SETTINGS])];
        assert_eq!(wires(&parts, &[]).unwrap(), []);
        assert_eq!(surface(&parts, &[]), (vec![STORE.into()], vec![SERVICE.into()]));
    }

    #[test]
    fn a_wire_that_leads_nowhere_is_refused() {
        let parts = || [part("test:app", &[STORE], &[SERVICE]), part("test:adapter", &[], &[STORE])];
        for wrong in [
            Wire { from: 2, export: STORE, to: 0, import: STORE },
            Wire { from: 1, export: NEAR, to: 0, import: STORE },
            Wire { from: 1, export: STORE, to: 0, import: NEAR },
        ] {
            assert!(join(&parts(), &[wrong], &[]).is_err());
        }
    }

    #[test]
    fn an_import_has_one_wire() {
        let adapter = || part("test:adapter", &[], &[STORE]);
        let parts = [part("test:app", &[STORE], &[SERVICE]), adapter(), adapter()];
        let wires = [1, 2].map(|from| Wire { from, export: STORE, to: 0, import: STORE });
        assert!(join(&parts, &wires[..1], &[]).is_ok() && join(&parts, &wires, &[]).is_err());
    }
}
