//! `cargo xtask up`: from a fresh clone to a server that answers.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::Write,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt},
        process::CommandExt,
    },
    path::{self, Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    compose::{self, Set},
    run::{cargo, on_path, output, root, run, target_directory},
    tools::{VICEROY, WASMTIME},
};

/// The sample licence's domain.
const DOMAIN: &str = "example.com";

/// Builds, issues a sample licence, says what to try, and becomes the server.
///
/// # Errors
///
/// Fails if the address is taken, or if building or issuing fails.
pub(crate) fn up(listen: SocketAddr, data: Option<PathBuf>) -> Result<()> {
    // Before the build, which takes minutes. Port 0 becomes a free port here, so that the guide can
    // name it.
    let listen = TcpListener::bind(listen)
        .and_then(|listener| listener.local_addr())
        .with_context(|| format!("cannot listen on {listen}; try `--listen 127.0.0.1:0`"))?;

    compose::compose(Set::Native, false)?;
    let server = build_host()?;
    // Absolute, as other shells read it from `env`.
    let data = data.map_or_else(|| Ok(root().join(".countersign")), path::absolute)?;
    let key = sample_key(&server, &data)?;
    let environment = data.join("env");
    write_private(&environment, &exports(&server, &data, listen, &key))?;

    let journal = data.join("journal");
    println!("{}", guide(listen, &environment, &journal));
    let error = Command::new(server)
        .args(["serve", "--listen", &listen.to_string(), "--data"])
        .arg(&data)
        .arg("--journal") // on standard output, it would scroll the guide away
        .arg(journal)
        .arg("--component")
        .arg(compose::directory().join("countersign-native.wasm"))
        .arg("--registrar")
        .arg(registrar())
        .exec();
    Err(error).context("the server cannot be started")
}

/// Builds the command line, which has the native host in it, and returns its program.
///
/// # Errors
///
/// Fails if the build fails.
pub(crate) fn build_host() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "countersign-cli"]))?;
    Ok(target_directory()?.join("release/countersign"))
}

fn registrar() -> PathBuf {
    compose::directory().join("countersign-registrar-native.wasm")
}

/// The key of a sample licence that is valid: that of an earlier run, or of one issued now. Keys
/// are stored nowhere else; this one is, because it is a sample.
fn sample_key(server: &Path, data: &Path) -> Result<String> {
    let file = data.join("sample.json");
    if file.exists() {
        let sample: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
        let key = sample["key"].as_str();
        let key = key.with_context(|| format!("{} has no `key`; delete the file", file.display()))?;
        let validate = ["validate", key, "--domain", DOMAIN, "--data"];
        let verdict = Command::new(server).args(validate).arg(data).output()?;
        match verdict.status.code() {
            Some(0) => return Ok(key.to_owned()),
            // Revoked, as the tour in README.md does.
            Some(1) => {}
            _ => bail!("the sample licence cannot be checked: {}", String::from_utf8_lossy(&verdict.stderr).trim()),
        }
    }
    let mut issue = Command::new(server);
    issue.args(["issue", "--json", "--product", "sample", "--plan", "pro", "--domain", DOMAIN, "--feature", "export"]);
    let issued = output(issue.arg("--data").arg(data).arg("--registrar").arg(registrar()))?;
    write_private(&file, &issued)?;
    let issued: serde_json::Value = serde_json::from_str(&issued)?;
    Ok(issued["key"].as_str().context("`countersign issue --json` printed no `key`")?.to_owned())
}

/// Writes a file that its owner alone can read.
fn write_private(file: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(file).and_then(|mut file| {
        // The mode of one that exists stays as it was.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())
    });
    written.with_context(|| format!("{} cannot be written", file.display()))
}

/// What a second terminal needs, as a script to be sourced: programs on `PATH`, and variables.
fn exports(server: &Path, data: &Path, listen: SocketAddr, key: &str) -> String {
    let programs = server.parent().unwrap_or(server);
    // After the user's own, if there are any.
    let hosts = [&WASMTIME, &VICEROY].into_iter().filter_map(|tool| tool.installed()?.parent().map(quoted));
    let hosts: String = hosts.map(|directory| format!(":{directory}")).collect();
    format!(
        "# Written by `cargo xtask up`. Read it with `.` from a shell.\n\
         export PATH={}:\"$PATH\"{hosts}\n\
         export COUNTERSIGN_DATA={}\n\
         export COUNTERSIGN_REGISTRAR={}\n\
         export COUNTERSIGN_EDGE={}\n\
         URL=http://{listen}\n\
         KEY={key}\n",
        quoted(programs),
        quoted(data),
        quoted(&registrar()),
        quoted(&compose::directory().join("countersign-edge-native.wasm")),
    )
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// What to do next, in 80 columns.
fn guide(listen: SocketAddr, environment: &Path, journal: &Path) -> String {
    let from_root = |path: &Path| match path.strip_prefix(root()) {
        Ok(below) => below.display().to_string(),
        Err(_) => quoted(path),
    };
    let (environment, journal) = (from_root(environment), from_root(journal));
    let hosts: Vec<_> = HOSTS.iter().map(OtherHost::lines).collect();
    format!(
        r#"
Countersign serves on http://{listen} and logs to {journal}
Leave it running; Ctrl-C stops it. In a second terminal, from {root}:

  . {environment}    # `countersign` on PATH; the sample licence's $KEY; $URL

  curl -sw '\n' $URL/api/v1/validate \
    -d '{{"key":"'$KEY'","domain":"{DOMAIN}"}}'
  countersign show $KEY
  countersign revoke $KEY

The same licences and the same component on other hosts:

{}"#,
        hosts.join("\n"),
        root = root().display(),
    )
}

/// A host that can be tried on this machine, if its program is installed.
struct OtherHost {
    name: &'static str,
    program: &'static str,
    /// The commands, for a shell that has read the exports.
    commands: &'static [&'static str],
    /// How to get the program.
    install: &'static str,
}

const HOSTS: [OtherHost; 3] = [
    OtherHost {
        name: "wasmtime",
        program: "wasmtime",
        commands: &[
            "cargo xtask compose wasi",
            r"countersign export --format wasmtime | xargs wasmtime serve -Scli \",
            "  -Skeyvalue --addr 127.0.0.1:8080 target/components/countersign-wasi.wasm",
        ],
        install: "https://wasmtime.dev",
    },
    OtherHost {
        name: "Fastly Compute (Viceroy)",
        program: "viceroy",
        commands: &[
            "cargo xtask compose fastly",
            "countersign export --format fastly --output .countersign/fastly.json",
            "viceroy -C deploy/fastly/fastly.toml target/components/countersign-fastly.wasm",
        ],
        install: "cargo install viceroy",
    },
    OtherHost {
        name: "Spin",
        program: "spin",
        commands: &[
            r"countersign export --format spin | tr '\n' '\0' | xargs -0 spin up \",
            "  --build --listen 127.0.0.1:3001",
        ],
        install: "https://spinframework.dev/install",
    },
];

impl OtherHost {
    fn lines(&self) -> String {
        let tools = [&WASMTIME, &VICEROY];
        let is_installed = on_path(self.program).is_some()
            || tools.iter().any(|tool| tool.program == self.program && tool.installed().is_some());
        if is_installed {
            let commands: String = self.commands.iter().map(|command| format!("  {command}\n")).collect();
            format!("  # {}\n{commands}", self.name)
        } else {
            format!("  # {}: not installed; {}\n", self.name, self.install)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_fits_a_terminal() {
        let address = SocketAddr::from(([127, 0, 0, 1], 65535));
        let data = root().join(".countersign");
        let guide = guide(address, &data.join("env"), &data.join("journal"));
        let commands = HOSTS.iter().flat_map(|host| host.commands).map(|command| command.len() + 2);
        let prose = guide.lines().filter(|line| !line.contains("second terminal")).map(str::len);
        assert!(commands.chain(prose).all(|width| width <= 80), "{guide}");
    }

    #[test]
    fn a_file_with_a_key_is_the_owners_alone() {
        let file = std::env::temp_dir().join(format!("countersign-private-{}", std::process::id()));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        write_private(&file, "KEY=…").unwrap();
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        fs::remove_file(&file).unwrap();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("/it's here")), r"'/it'\''s here'");
    }
}
