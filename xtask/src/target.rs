//! The target of the components: from rustup, or, where rustup's server is out of reach, built from Debian's package of std's sources.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::run::{cache, cargo, on_path, output, run, target_directory};

/// On this target std asks nothing of a host, so that a component imports what its own code calls and nothing else; what is built is a
/// module, which becomes a component by the WIT it carries. On `wasm32-wasip2` std brings `wasi:cli` and `wasi:io`, for the messages of
/// panics above all, and some 45 KB to each component.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// Suites that hold rustc's library sources in several versions; the machine's own suite holds one, long outdated.
const SUITES: &str = "trixie-backports forky sid";

/// Gives rustc the target if it has it not.
pub(crate) fn ensure() -> Result<()> {
    if installed()? {
        return Ok(());
    }
    eprintln!("adding rustc's {TARGET} target");
    let rustup = Command::new("rustup").args(["target", "add", TARGET]).output();
    if rustup.is_ok_and(|output| output.status.success()) && installed()? {
        return Ok(());
    }
    eprintln!("rustup could not add it: building it from Debian's rust-src (about a minute)");
    from_debian().with_context(|| {
        format!(
            "rustc has no {TARGET} target. Neither `rustup target add {TARGET}` nor a build from Debian's rust-src \
             worked here; add the target in the way your toolchain came"
        )
    })?;
    if !installed()? {
        bail!("the {TARGET} target was built, and rustc still does not find it");
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

fn from_debian() -> Result<()> {
    for program in ["apt-get", "apt-cache", "dpkg"] {
        on_path(program).with_context(|| format!("`{program}` is not here: this is no Debian system"))?;
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
    // What cargo built on another std does not go with this one.
    let outdated = target_directory()?.join(TARGET);
    if outdated.exists() {
        fs::remove_dir_all(outdated)?;
    }
    Ok(())
}

/// Fetches rustc's library sources with apt, beside the system's own packages, and unpacks them.
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
    let release = release.split(' ').nth(1).context("rustc does not tell its version")?.to_owned();
    let rust_src = versions(&offered)
        .find(|version| version.starts_with(&format!("{release}+")))
        .with_context(|| format!("none of Debian's suites {SUITES} has rust-src of version {release}"))?;

    run(apt("apt-get").arg("download").arg(format!("rust-src={rust_src}")))?;
    let root = work.join("root");
    for package in fs::read_dir(work.join("debs"))? {
        run(Command::new("dpkg").arg("-x").arg(package?.path()).arg(&root))?;
    }
    Ok(fs::read_dir(root.join("usr/src"))?.next().context("rust-src holds no sources")??.path())
}

/// The first Debian archive that this system already trusts, with other suites.
fn source_list() -> Result<String> {
    let configured = fs::read_to_string("/etc/apt/sources.list.d/debian.sources")
        .context("the system's list of Debian packages (debian.sources) cannot be read")?;
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

/// Builds std for the target, and gives the directory of its rlibs.
fn build_std(work: &Path, sources: &Path, sysroot: &Path) -> Result<PathBuf> {
    let library = sysroot.join("lib/rustlib/src/rust/library");
    let lent = !library.exists();
    if lent {
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
        .env("RUSTFLAGS", "-Cembed-bitcode=yes") // or link-time optimisation fails later
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .args(["build", "--release", "-Zbuild-std=std,panic_abort", "--target", TARGET])
        .arg("--target-dir")
        .arg(crate_directory.join("target")));
    if lent {
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
