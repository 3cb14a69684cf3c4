//! The step `readme`: pastes the commands of README.md, docs/vendors.md and docs/edge.md into a
//! shell, in their order, against a server that `up` has started in an empty directory.
//!
//! A command is a line of a block marked `sh`, with the lines that a backslash continues. Comments
//! directly below it are its output, in which `…` matches any text. In a command, `pol_…` is the
//! last word beginning with `pol_` that was printed before it; other prefixes likewise.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::run::{root, target_directory};

const DOCUMENTS: [&str; 3] = ["README.md", "docs/vendors.md", "docs/edge.md"];

/// The set-up of README.md: it builds for minutes, and this step does the same by itself.
const SET_UP: &str = "cargo xtask ";

/// How long the server may take to build and start.
const START: Duration = Duration::from_secs(1800);

/// How long to wait for a line of the server that a command needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs every command of the documents.
///
/// # Errors
///
/// Fails at the first command whose output is not the one shown, or that has none shown and fails.
pub(crate) fn check() -> Result<()> {
    let directory = target_directory()?.join("readme");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    let server = Server::start(&directory.join(".countersign"))?;
    let mut shell = Shell::start(&directory, server)?;
    for document in DOCUMENTS {
        let commands = commands(&fs::read_to_string(root().join(document))?);
        for command in &commands {
            shell.paste(command).with_context(|| format!("{document}:{}", command.line))?;
        }
        println!("{document}: {} commands do what it says", commands.len());
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Example {
    /// From 1.
    line: usize,
    command: String,
    /// Lines, without `#`.
    output: Vec<String>,
}

fn commands(document: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    // Whether the line is in a block of commands, follows a command, or continues one.
    let (mut inside, mut follows, mut continues) = (false, false, false);
    for (index, line) in document.lines().enumerate() {
        let output = line.strip_prefix('#').map(|output| output.strip_prefix(' ').unwrap_or(output));
        match (found.last_mut(), output) {
            _ if line.starts_with("```") => {
                inside = line == "```sh";
                follows = false;
            }
            _ if !inside => {}
            (Some(last), _) if continues => {
                last.command.push('\n');
                last.command.push_str(line);
                continues = line.ends_with('\\');
            }
            (Some(last), Some(output)) if follows => last.output.push(output.to_owned()),
            _ => {
                follows = output.is_none() && !line.is_empty() && !line.starts_with(SET_UP);
                if follows {
                    found.push(Example { line: index + 1, command: line.to_owned(), output: Vec::new() });
                    continues = line.ends_with('\\');
                }
            }
        }
    }
    found
}

/// A POSIX shell that is given one command after the other.
struct Shell {
    child: Child,
    input: ChildStdin,
    codes: BufReader<ChildStdout>,
    output: PathBuf,
    /// All that was printed so far, by commands and by the server.
    printed: String,
    server: Server,
}

impl Shell {
    fn start(directory: &Path, server: Server) -> Result<Self> {
        let mut child = Command::new("sh")
            .current_dir(directory)
            .env_remove("COUNTERSIGN_PROFILE")
            .env_remove("COUNTERSIGN_TOKEN")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("the shell has no standard input")?;
        let codes = BufReader::new(child.stdout.take().context("the shell has no standard output")?);
        Ok(Self { child, input, codes, output: directory.join("output"), printed: String::new(), server })
    }

    fn paste(&mut self, example: &Example) -> Result<()> {
        let command = self.resolved(&example.command)?;
        // In braces rather than in a shell of its own: what it sets, the next command sees.
        writeln!(self.input, "{{ {command}\n}} </dev/null >'{}' 2>&1; echo $?", self.output.display())?;
        let mut code = String::new();
        self.codes.read_line(&mut code)?;
        let output = fs::read_to_string(&self.output)?;
        self.printed.push_str(&output);
        let is_right = if example.output.is_empty() { code.trim() == "0" } else { matches(&example.output, &output) };
        ensure!(is_right, "{command}\nshould print\n{}\nand prints\n{output}", example.output.join("\n"));
        Ok(())
    }

    /// The command with each `prefix…` replaced.
    fn resolved(&mut self, command: &str) -> Result<String> {
        let mut parts = command.split('…');
        let mut resolved = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let start = resolved.rfind(|char| !is_word(char)).map_or(0, |at| at + 1);
            let prefix = resolved.split_off(start);
            resolved.push_str(&self.last_word(&prefix)?);
            resolved.push_str(part);
        }
        Ok(resolved)
    }

    fn last_word(&mut self, prefix: &str) -> Result<String> {
        loop {
            self.printed.extend(self.server.lines.try_iter());
            let mut words = self.printed.split(|char| !is_word(char));
            if let Some(word) = words.rfind(|word| word.starts_with(prefix) && *word != prefix) {
                return Ok(word.to_owned());
            }
            let line = self.server.lines.recv_timeout(PATIENCE);
            self.printed.push_str(&line.with_context(|| format!("nothing printed before begins with {prefix}"))?);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || "_-".contains(char)
}

/// Whether `printed` is as the document shows it.
fn matches(shown: &[String], printed: &str) -> bool {
    let (shown, printed) = (shown.join("\n"), printed.trim_end());
    let Some((first, others)) = shown.split_once('…') else { return shown == printed };
    let (middle, last) = others.rsplit_once('…').unwrap_or(("", others));
    let inner = printed.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let Some(mut rest) = inner else { return false };
    middle.split('…').all(|part| match rest.split_once(part) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

/// The server that `up` builds and becomes.
struct Server {
    child: Child,
    lines: Receiver<String>,
}

impl Server {
    fn start(data: &Path) -> Result<Self> {
        let mut up = Command::new(env::current_exe()?);
        up.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let mut child = up.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("`up` has no standard output")?;
        let (sender, lines) = mpsc::channel();
        // Reads to the end: a server whose output nobody reads would stop.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line + "\n");
            }
        });
        let server = Self { child, lines };
        while !server.lines.recv_timeout(START).context("`up` did not start a server")?.starts_with("listening on") {}
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_output_below_them() {
        let document = "\
```sh
cargo xtask up      # builds
```
```toml
a = 1
```
```sh
# A title.
. env               # reads it

one \\
  more
# {…}
# end
two
```
";
        let example = |line, command: &str, output: &[&str]| Example {
            line,
            command: command.to_owned(),
            output: output.iter().map(|line| (*line).to_owned()).collect(),
        };
        let expected = [
            example(9, ". env               # reads it", &[]),
            example(11, "one \\\n  more", &["{…}", "end"]),
            example(15, "two", &[]),
        ];
        assert_eq!(commands(document), expected);
    }

    #[test]
    fn an_output_is_compared_but_for_ellipses() {
        let is_right = |shown: &str, printed: &str| matches(&[shown.to_owned()], printed);
        assert!(is_right("{\"valid\":true,…}", "{\"valid\":true,\"code\":\"VALID\"}\n"));
        assert!(is_right("lic_… is revoked", "lic_4g is revoked\n"));
        assert!(!is_right("lic_… is revoked", "lic_4g is revoked, or not\n"));
        assert!(!is_right("REVOKED", "VALID\n"));
        assert!(!is_right("{\"valid\":true,…}", "{\"valid\":false}"));
    }
}
