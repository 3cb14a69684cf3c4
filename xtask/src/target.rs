//! The `wasm32-wasip2` target: from rustup, or, where rustup's server is out of reach, built from Debian's packages.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::run::{cache, cargo, on_path, output, run, target_directory};

const TARGET: &str = "wasm32-wasip2";

/// Suites that hold rustc's library sources in several versions; the machine's own suite holds one, long outdated.
const SUITES: &str = "trixie-backports forky sid";

/// The oldest `wasi-libc` package (by the date in its version) that has `wasm32-wasip2`.
const WASI_LIBC_SINCE: u32 = 20_260_129;

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
    eprintln!("rustup could not add it: building it from Debian's rust-src and wasi-libc (about a minute)");
    from_debian().with_context(|| {
        format!(
            "rustc has no {TARGET} target. Neither `rustup target add {TARGET}` nor a build from Debian's packages \
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
    let packages = unpack_packages(&work)?;
    let libc = packages.join("usr/lib").join(TARGET);
    let sysroot = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?.trim());

    let build = build_std(&work, &packages, &libc, &sysroot)?;
    let destination = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(destination.join("self-contained"))?;
    for file in ["libc.a", "crt1-command.o", "crt1-reactor.o"] {
        fs::copy(libc.join(file), destination.join("self-contained").join(file))?;
    }
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

/// Fetches rustc's library sources and wasi-libc with apt, beside the system's own packages, and unpacks them.
fn unpack_packages(work: &Path) -> Result<PathBuf> {
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
    let offered = output(apt("apt-cache").args(["madison", "rust-src", "wasi-libc"]))?;

    let release = output(Command::new("rustc").arg("--version"))?;
    let release = release.split(' ').nth(1).context("rustc does not tell its version")?.to_owned();
    let rust_src = versions(&offered, "rust-src")
        .find(|version| version.starts_with(&format!("{release}+")))
        .with_context(|| format!("none of Debian's suites {SUITES} has rust-src of version {release}"))?;
    let wasi_libc = versions(&offered, "wasi-libc")
        .filter(|version| packaged_on(version).is_some_and(|date| date >= WASI_LIBC_SINCE))
        .min_by_key(|version| packaged_on(version))
        .with_context(|| format!("none of Debian's suites {SUITES} has a wasi-libc with {TARGET}"))?;

    let packages = [format!("rust-src={rust_src}"), format!("wasi-libc={wasi_libc}")];
    run(apt("apt-get").arg("download").args(&packages))?;
    let root = work.join("root");
    for package in fs::read_dir(work.join("debs"))? {
        run(Command::new("dpkg").arg("-x").arg(package?.path()).arg(&root))?;
    }
    Ok(root)
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

/// The versions of one package in what `apt-cache madison` prints: `package | version | source`.
fn versions<'a>(offered: &'a str, package: &'a str) -> impl Iterator<Item = &'a str> {
    offered.lines().filter_map(move |line| {
        let mut columns = line.split('|').map(str::trim);
        (columns.next()? == package).then(|| columns.next()).flatten()
    })
}

/// `0.0~git20260129.ec0effd-3` was packaged from the sources of 2026-01-29.
fn packaged_on(version: &str) -> Option<u32> {
    version.split_once("git")?.1.get(..8)?.parse().ok()
}

/// Builds std for the target, and gives the directory of its rlibs.
fn build_std(work: &Path, packages: &Path, libc: &Path, sysroot: &Path) -> Result<PathBuf> {
    let library = sysroot.join("lib/rustlib/src/rust/library");
    let lent = !library.exists();
    if lent {
        let sources = fs::read_dir(packages.join("usr/src"))?.next().context("rust-src holds no sources")??.path();
        fs::create_dir_all(library.parent().context("a sysroot has parents")?)?;
        symlink(sources.join("library"), &library)
            .with_context(|| format!("{} cannot be written", sysroot.display()))?;
    }

    let crate_directory = work.join("probe");
    fs::create_dir_all(crate_directory.join("src"))?;
    fs::write(crate_directory.join("Cargo.toml"), PROBE)?;
    fs::write(crate_directory.join("src/lib.rs"), "")?;
    // With bitcode, or link-time optimisation fails later; one codegen unit, or std's own WIT sections collide.
    let flags = format!("-Cembed-bitcode=yes -Clink-self-contained=no -L {}", libc.display());
    let built = run(cargo()
        .current_dir(&crate_directory)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", flags)
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
    use super::{packaged_on, versions};

    const MADISON: &str = "
  rust-src | 1.97.1+dfsg1-1 | archive sid/main amd64 Packages
  rust-src | 1.95.0+dfsg1-2~bpo13+1 | archive trixie-backports/main amd64 Packages
 wasi-libc | 0.0~git20260129.ec0effd-3~bpo13+1 | archive trixie-backports/main amd64 Packages
";

    #[test]
    fn versions_are_those_of_the_package_asked_for() {
        assert_eq!(versions(MADISON, "rust-src").collect::<Vec<_>>(), ["1.97.1+dfsg1-1", "1.95.0+dfsg1-2~bpo13+1"]);
        assert_eq!(versions(MADISON, "wasi-libc").count(), 1);
    }

    #[test]
    fn a_snapshot_version_tells_its_date() {
        assert_eq!(packaged_on("0.0~git20260129.ec0effd-3~bpo13+1"), Some(20_260_129));
        assert_eq!(packaged_on("0.0~git20220510.9886d3d-2"), Some(20_220_510));
        assert_eq!(packaged_on("27-1"), None);
    }
}
