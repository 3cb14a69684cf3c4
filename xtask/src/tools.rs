//! Hosts and checkers that cargo or PyPI can install, each in one version, in a cache that all
//! clones of a user share.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Result;

use crate::run::{cache, cargo, on_path, root, run};

/// A program of a crate.
pub(crate) struct Tool {
    package: &'static str,
    version: &'static str,
    pub(crate) program: &'static str,
    /// Empty for the package's default features.
    features: &'static str,
}

/// Fastly's test host, which runs its components on this machine.
pub(crate) const VICEROY: Tool = Tool { package: "viceroy", version: "0.22.0", program: "viceroy", features: "" };

/// `wasmtime serve` and `run`, with only the interfaces that we use, which halves the build.
pub(crate) const WASMTIME: Tool = Tool {
    package: "wasmtime-cli",
    version: "48.0.8",
    program: "wasmtime",
    features: "run,compile,serve,wasi-http,wasi-keyvalue,wasi-config,pooling-allocator,parallel-compilation,component-model,component-model-async",
};

/// Checks licences, bans and sources of the dependencies.
pub(crate) const CARGO_DENY: Tool =
    Tool { package: "cargo-deny", version: "0.20.2", program: "cargo-deny", features: "" };

/// Runs the fuzz targets.
pub(crate) const CARGO_FUZZ: Tool =
    Tool { package: "cargo-fuzz", version: "0.13.2", program: "cargo-fuzz", features: "" };

/// Sends the load of `cargo xtask bench`.
pub(crate) const OHA: Tool = Tool { package: "oha", version: "1.16.0", program: "oha", features: "" };

/// Drives both apps from `openapi.json`.
pub(crate) const SCHEMATHESIS: Venv = Venv { name: "schemathesis", requirements: "tests/api/requirements.txt" };

impl Tool {
    /// `package version`, for reports.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.package, self.version)
    }

    /// The program's file, if the cache has it.
    pub(crate) fn installed(&self) -> Option<PathBuf> {
        Some(self.home().ok()?.join("bin").join(self.program)).filter(|program| program.is_file())
    }

    /// The program's file, installed first if the cache does not have it.
    ///
    /// # Errors
    ///
    /// Fails if the installation fails.
    pub(crate) fn ensure(&self) -> Result<PathBuf> {
        if let Some(program) = self.installed() {
            return Ok(program);
        }
        let home = self.home()?;
        eprintln!("installing {} {} (once for this user, several minutes)", self.package, self.version);
        let mut install = cargo();
        install.args(["install", self.package, "--version", self.version, "--locked", "--root"]).arg(&home);
        install.arg("--target-dir").arg(home.join("build"));
        if !self.features.is_empty() {
            install.args(["--no-default-features", "--features", self.features]);
        }
        run(&mut install)?;
        fs::remove_dir_all(home.join("build"))?;
        Ok(home.join("bin").join(self.program))
    }

    fn home(&self) -> Result<PathBuf> {
        Ok(cache()?.join("tools").join(format!("{}-{}", self.package, self.version)))
    }
}

/// Programs of packages from PyPI, in a virtual environment of their own.
pub(crate) struct Venv {
    name: &'static str,
    /// The repository's file that names the packages with their versions.
    requirements: &'static str,
}

/// The oldest Python that the programs run on.
const PYTHON: (u32, u32) = (3, 10);

impl Venv {
    /// The directory of the programs, installed first if the cache does not have them. `None`
    /// without a Python that is new enough and can create virtual environments.
    ///
    /// # Errors
    ///
    /// Fails if the installation fails.
    pub(crate) fn ensure(&self) -> Result<Option<PathBuf>> {
        let requirements = fs::read_to_string(root().join(self.requirements))?;
        let home = cache()?.join("tools").join(self.name);
        let (programs, installed) = (home.join("bin"), home.join("installed.txt"));
        if fs::read_to_string(&installed).is_ok_and(|installed| installed == requirements) {
            return Ok(Some(programs));
        }
        let (major, minor) = PYTHON;
        let suits = format!("import ensurepip, sys, venv; sys.exit(sys.version_info < ({major}, {minor}))");
        let Some(python) = on_path("python3") else { return Ok(None) };
        if !Command::new(&python).args(["-c", &suits]).stderr(Stdio::null()).status()?.success() {
            return Ok(None);
        }
        eprintln!("installing {} (once for this user)", self.name);
        run(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&home))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
        run(Command::new(programs.join("python")).args(install).arg(root().join(self.requirements)))?;
        // Last, so that an interrupted installation is not taken for a complete one.
        fs::write(installed, requirements)?;
        Ok(Some(programs))
    }
}
