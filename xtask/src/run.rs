//! Runs other programs, and knows where things are.

use std::{
    collections::VecDeque,
    env,
    ffi::OsStr,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use anyhow::{Context, Result, bail};

/// The repository's root: the directory above this package's. It is found at run time, as two
/// checkouts that share a target directory share this program too.
pub(crate) fn root() -> &'static Path {
    static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
    });
    PACKAGE.parent().unwrap_or(&PACKAGE)
}

/// Cargo's target directory, which `CARGO_TARGET_DIR` or cargo's configuration may have moved.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = output(cargo().args(["metadata", "--format-version=1", "--no-deps", "--offline"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let directory = metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(directory.into())
}

/// The directory of installed tools, which all clones of a user share.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))
        .context("there is no home directory for the cache; set XDG_CACHE_HOME")?;
    Ok(base.join("countersign"))
}

/// The cargo that runs this program, in the repository's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command to its end and shows its output.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{} cannot be started", name(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", name(command));
    }
    Ok(())
}

/// As [`run`], and the error of a command that failed ends with its last lines, as a long log has
/// them far above the summary.
pub(crate) fn check(command: &mut Command) -> Result<()> {
    follow(command, |line| println!("{line}"))
}

/// As [`check`], with the output of a command that failed only.
pub(crate) fn check_quietly(command: &mut Command) -> Result<()> {
    follow(command, |_| ())
}

fn follow(command: &mut Command, show: fn(&str)) -> Result<()> {
    const LAST_LINES: usize = 100;
    let (reader, writer) = io::pipe()?;
    let child = command.stdout(writer.try_clone()?).stderr(writer).spawn();
    // The command holds the pipe's other end, and as long as it does, the output does not end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = child.with_context(|| format!("{} cannot be started", name(command)))?;
    let mut last = VecDeque::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        show(&line);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{} failed ({status})\n{}", name(command), Vec::from(last).join("\n"));
    }
    Ok(())
}

/// Runs a command to its end and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{} cannot be started", name(command)))?;
    if !output.status.success() {
        bail!("{} failed ({}): {}", name(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The file of a program on `PATH`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy);
    format!("`{}`", words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_ends_with_the_last_lines_of_both_outputs() {
        let script = "for n in $(seq 300); do echo line $n; done; echo why >&2; exit 3";
        let error = check_quietly(Command::new("sh").args(["-c", script])).unwrap_err().to_string();
        assert!(error.ends_with("line 299\nline 300\nwhy") && !error.contains("line 200\n"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn success_is_ok_and_a_missing_program_is_an_error() {
        assert!(check_quietly(Command::new("sh").args(["-c", "echo fine"])).is_ok());
        assert!(check_quietly(&mut Command::new("no such program")).is_err());
    }
}
