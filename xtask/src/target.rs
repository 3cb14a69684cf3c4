//! The target that components are built for: rustup adds it, or it is built from Debian's sources
//! of std.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::run::{cache, cargo, on_path, output, run, target_directory};

/// The target of the components. Its std imports nothing, so a component imports only what its own
/// code calls. The build is a module, which becomes a component by the WIT it carries. The std of
/// `wasm32-wasip2` would add `wasi:cli`, `wasi:io` and some 45 KB to each component, most of it for
/// the messages of panics.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Suites that have the sources of several versions of std. A stable release has one old version.
const SUITES: &str = "trixie-backports forky sid";

/// Adds the target to the toolchain if it lacks it.
///
/// # Errors
///
/// Fails if rustup cannot add it. Building it from Debian's packages writes to the toolchain's own
/// directories, so only a CI machine, where `CI` is set, goes on to do that unasked.
pub(crate) fn ensure() -> Result<()> {
    if installed()? {
        return Ok(());
    }
    eprintln!("adding rustc's {TARGET} target");
    let rustup = Command::new("rustup").args(["target", "add", TARGET]).output();
    if rustup.is_ok_and(|output| output.status.success()) && installed()? {
        return Ok(());
    }
    if env::var_os("CI").is_none_or(|value| value.is_empty()) {
        bail!(
            "rustc has no {TARGET} target, and `rustup target add {TARGET}` failed. Add the target in the way your \
             toolchain was installed. On Debian, `cargo xtask target --from-debian` builds it from the package \
             rust-src and copies it into rustc's sysroot"
        );
    }
    from_debian()
}

/// Builds the target from Debian's package `rust-src` and copies it into rustc's sysroot.
///
/// # Errors
///
/// Fails on a system other than Debian, if Debian has no `rust-src` of rustc's version, and if the
/// sysroot cannot be written.
pub(crate) fn from_debian() -> Result<()> {
    eprintln!("building rustc's {TARGET} target from Debian's rust-src (about a minute)");
    build().with_context(|| format!("the {TARGET} target cannot be built from Debian's rust-src"))?;
    if !installed()? {
        bail!("the {TARGET} target is built, but rustc does not find it in its sysroot");
    }
    Ok(())
}

fn installed() -> Result<bool> {
    let Ok(directory) = output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET])) else {
        return Ok(false);
    };
    let Ok(files) = fs::read_dir(directory.trim()) else { return Ok(false) };
    // Each std has a hash in its name.
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    Ok(files.flatten().any(|file| file.file_name().to_str().is_some_and(is_std)))
}

fn build() -> Result<()> {
    for program in ["apt-get", "apt-cache", "dpkg"] {
        on_path(program).with_context(|| format!("`{program}` is not on PATH; this needs a Debian system"))?;
    }
    let work = cache()?.join(TARGET);
    fs::create_dir_all(&work)?;
    let sources = unpack_sources(&work)?;
    let sysroot = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?.trim());

    let build = build_std(&work, &sources, &sysroot)?;
    let destination = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&destination)?;
    for file in fs::read_dir(build)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "rlib") {
            fs::copy(&file, destination.join(file.file_name().context("a file without a name")?))?;
        }
    }
    fs::remove_dir_all(&work)?;
    // Cargo does not notice that std has changed.
    let outdated = target_directory()?.join(TARGET);
    if outdated.exists() {
        fs::remove_dir_all(outdated)?;
    }
    Ok(())
}

/// Downloads the sources of std with apt and unpacks them. Lists and caches are in `work`, so the
/// system's own packages stay as they are.
fn unpack_sources(work: &Path) -> Result<PathBuf> {
    for directory in ["parts", "lists/partial", "cache/archives/partial", "debs"] {
        fs::create_dir_all(work.join(directory))?;
    }
    fs::write(work.join("parts/countersign.sources"), source_list()?)?;
    let apt = |program: &str| {
        let mut command = Command::new(program);
        command.current_dir(work.join("debs"));
        command.args(["-qq", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", "APT::Sandbox::User=root"]);
        for (name, directory) in
            [("Dir::Etc::sourceparts", "parts"), ("Dir::State::lists", "lists"), ("Dir::Cache", "cache")]
        {
            command.arg("-o").arg(format!("{name}={}", work.join(directory).display()));
        }
        command
    };
    run(apt("apt-get").arg("update"))?;
    let offered = output(apt("apt-cache").args(["madison", "rust-src"]))?;

    let release = output(Command::new("rustc").arg("--version"))?;
    let release = release.split(' ').nth(1).context("`rustc --version` names no version")?.to_owned();
    let rust_src = versions(&offered)
        .find(|version| version.starts_with(&format!("{release}+")))
        .with_context(|| format!("Debian's suites {SUITES} have no rust-src of version {release}"))?;

    run(apt("apt-get").arg("download").arg(format!("rust-src={rust_src}")))?;
    let root = work.join("root");
    for package in fs::read_dir(work.join("debs"))? {
        run(Command::new("dpkg").arg("-x").arg(package?.path()).arg(&root))?;
    }
    Ok(fs::read_dir(root.join("usr/src"))?.next().context("the package rust-src has no sources")??.path())
}

/// The first archive that this system is configured to trust, with other suites.
fn source_list() -> Result<String> {
    let configured = fs::read_to_string("/etc/apt/sources.list.d/debian.sources")
        .context("/etc/apt/sources.list.d/debian.sources cannot be read")?;
    let field = |name: &str| {
        let line = configured.lines().find(|line| line.starts_with(name));
        line.with_context(|| format!("debian.sources has no `{name}`"))
    };
    let (uris, key) = (field("URIs:")?, field("Signed-By:")?);
    Ok(format!("Types: deb\n{uris}\nSuites: {SUITES}\nComponents: main\n{key}\n"))
}

/// The versions in what `apt-cache madison` prints: `package | version | source`.
fn versions(offered: &str) -> impl Iterator<Item = &str> {
    offered.lines().filter_map(|line| line.split('|').nth(1).map(str::trim))
}

/// Builds std for the target and returns the directory of its rlibs.
fn build_std(work: &Path, sources: &Path, sysroot: &Path) -> Result<PathBuf> {
    let library = sysroot.join("lib/rustlib/src/rust/library");
    let linked = !library.exists();
    if linked {
        fs::create_dir_all(library.parent().context("a sysroot has parents")?)?;
        symlink(sources.join("library"), &library)
            .with_context(|| format!("{} cannot be written", sysroot.display()))?;
    }

    let crate_directory = work.join("probe");
    fs::create_dir_all(crate_directory.join("src"))?;
    fs::write(crate_directory.join("Cargo.toml"), PROBE)?;
    fs::write(crate_directory.join("src/lib.rs"), "")?;
    let built = run(cargo()
        .current_dir(&crate_directory)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes") // link-time optimisation needs it
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET])
        .arg("--target-dir")
        .arg(crate_directory.join("target")));
    if linked {
        fs::remove_file(&library)?;
    }
    built?;
    Ok(crate_directory.join("target").join(TARGET).join("release/deps"))
}

const PROBE: &str = r#"
[package]
name = "probe"
edition = "2024"

[lib]
crate-type = ["cdylib"]

[profile.release]
codegen-units = 1
lto = false
panic = "abort"

[workspace]
"#;

#[cfg(test)]
mod tests {
    use super::versions;

    const MADISON: &str = "
  rust-src | 1.97.1+dfsg1-1 | archive sid/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | archive trixie-backports/main amd64 Packages
";

    #[test]
    fn versions_are_those_of_the_second_column() {
        assert_eq!(versions(MADISON).collect::<Vec<_>>(), ["1.97.1+dfsg1-1", "1.95.0+dfsg1-2~bpo13+1"]);
    }
}
