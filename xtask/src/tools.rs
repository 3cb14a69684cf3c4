//! The hosts and checkers that cargo can give, each at one version, in a cache that every clone of this user finds.

use std::path::PathBuf;

use anyhow::Result;

use crate::run::{cache, cargo, run};

/// A program of a crate.
pub(crate) struct Tool {
    package: &'static str,
    version: &'static str,
    program: &'static str,
    /// All of the package's default features where empty.
    features: &'static str,
}

/// Fastly Compute on this machine.
pub(crate) const VICEROY: Tool = Tool { package: "viceroy", version: "0.22.0", program: "viceroy", features: "" };

/// `wasmtime serve` and `run`, with the interfaces that we use and no more: it halves the build.
pub(crate) const WASMTIME: Tool = Tool {
    package: "wasmtime-cli",
    version: "48.0.8",
    program: "wasmtime",
    features: "run,compile,serve,wasi-http,wasi-keyvalue,wasi-config,pooling-allocator,parallel-compilation,component-model,component-model-async",
};

/// Licences, bans and sources of the dependencies.
pub(crate) const CARGO_DENY: Tool =
    Tool { package: "cargo-deny", version: "0.20.2", program: "cargo-deny", features: "" };

/// Runs the fuzz targets.
pub(crate) const CARGO_FUZZ: Tool =
    Tool { package: "cargo-fuzz", version: "0.13.2", program: "cargo-fuzz", features: "" };

/// Sends the load of `cargo xtask bench`.
pub(crate) const OHA: Tool = Tool { package: "oha", version: "1.16.0", program: "oha", features: "" };

impl Tool {
    /// `package version`, for what is written down.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.package, self.version)
    }

    /// The program's file, installed first if the cache does not hold it.
    pub(crate) fn ensure(&self) -> Result<PathBuf> {
        let home = cache()?.join("tools").join(format!("{}-{}", self.package, self.version));
        let program = home.join("bin").join(self.program);
        if program.is_file() {
            return Ok(program);
        }
        eprintln!("installing {} {} (once for this user, several minutes)", self.package, self.version);
        let mut install = cargo();
        install.args(["install", self.package, "--version", self.version, "--locked", "--root"]).arg(&home);
        install.arg("--target-dir").arg(home.join("build"));
        if !self.features.is_empty() {
            install.args(["--no-default-features", "--features", self.features]);
        }
        run(&mut install)?;
        std::fs::remove_dir_all(home.join("build"))?;
        Ok(program)
    }
}
