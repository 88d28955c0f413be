//! A `hearth serve` with a home of its own, as a process: what it listens at, what it takes, and its end.
//!
//! Not the server's own test support: nothing here is linked with what it starts. Figures of a process are read from
//! Linux's `/proc`.

use crate::{synth, workspace};
use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::wire;

/// What a server on this machine's own address is asked with: it wants no key.
pub const NO_KEY: &str = "none";
/// How long a server may take to listen.
const START: Duration = Duration::from_secs(60);
/// How often an end is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A home with models, for servers that follow each other.
pub struct Home {
    program: PathBuf,
    folder: TempDir,
}

/// A server that listens until it is dropped.
pub struct Served {
    pub address: SocketAddr,
    child: Child,
}

/// A command that runs until this is dropped.
pub struct Started(Child);

impl Started {
    /// Whether it has come to its end by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a process takes.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Memory now, and the most that it ever was, in MiB.
    pub memory_mib: f64,
    pub peak_mib: f64,
    /// Open files and sockets.
    pub n_descriptors: usize,
}

/// The program `hearth`: the one that is given, or a release build of this tree.
pub fn program(given: Option<PathBuf>) -> Result<PathBuf> {
    let program = match given {
        Some(program) => std::path::absolute(program)?,
        None => synth::build()?.join("hearth"),
    };
    ensure!(program.is_file(), "{} is not there", program.display());
    Ok(program)
}

impl Home {
    /// An empty home.
    pub fn new(program: &Path) -> Result<Self> {
        Ok(Self { program: program.to_owned(), folder: TempDir::new()? })
    }

    /// Room for files of a chore, which goes with the home.
    pub fn room(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command of the program to its end; what it prints.
    pub fn hearth(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words).stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("{} does not start", self.program.display()))?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "hearth {}: {told}", words.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Brings a model in.
    pub fn import(&self, path: &Path, name: &str) -> Result<()> {
        let path = path.to_str().context("a path that is no text")?;
        self.hearth(&["import", path, "--name", name]).map(drop)
    }

    /// A key of a new user.
    pub fn key(&self, name: &str) -> Result<String> {
        let told = self.hearth(&["key", "create", name])?;
        let key = told.split_whitespace().find(|word| word.starts_with("hearth-")).map(str::to_owned);
        key.with_context(|| format!("`hearth key create` tells no key: {told}"))
    }

    /// Starts a server at a free port; `settings` are variables of its environment.
    pub fn serve(&self, settings: &[(&str, &str)]) -> Result<Served> {
        let mut command = self.command(&["serve", "--port", "0"]);
        command
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("hearth does not start")?;
        let talk = child.stderr.take().expect("it was asked for");
        let (told, telling) = std::sync::mpsc::channel();
        // Reads to the end, so that the server never waits for somebody to listen to what it says.
        std::thread::spawn(move || {
            for line in BufReader::new(talk).lines().map_while(Result::ok) {
                eprintln!("  {line}");
                let _ = told.send(line);
            }
        });
        let begun = Instant::now();
        while let Ok(line) = telling.recv_timeout(START.saturating_sub(begun.elapsed())) {
            if let Some((_, address)) = line.split_once("http://") {
                let address = address.trim().parse().with_context(|| line.clone())?;
                return Ok(Served { address, child });
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        bail!("hearth serve does not listen; what it said stands above")
    }

    /// Starts a command of the program that runs until what is returned is dropped.
    pub fn start(&self, words: &[&str]) -> Result<Started> {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Started(command.spawn().context("hearth does not start")?))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .env("HEARTH_HOME", self.folder.path().join("home"))
            .current_dir(workspace::root());
        command
    }
}

impl Served {
    /// Its address, as clients are told it.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A figure of `/metrics`.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = wire::get(self.address, "/metrics", &[])?.text()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).with_context(|| format!("/metrics says nothing of {name}"))
    }

    /// Waits until a figure is what is wanted.
    pub fn comes_to(&self, name: &str, wanted: f64, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            let found = self.metric(name)?;
            if found == wanted {
                return Ok(());
            }
            ensure!(Instant::now() < end, "{name} is still {found}, not {wanted}");
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    /// What its process takes.
    pub fn taken(&self) -> Result<Taken> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status =
            std::fs::read_to_string(folder.join("status")).context("this chore reads Linux's /proc")?;
        let mib = |name: &str| in_mib(&status, name).with_context(|| format!("/proc says nothing of {name}"));
        let n_descriptors = std::fs::read_dir(folder.join("fd"))?.count();
        Ok(Taken { memory_mib: mib("VmRSS")?, peak_mib: mib("VmHWM")?, n_descriptors })
    }

    /// Asks it to end, and waits; the time that it took and how it ended.
    pub fn stop(&mut self, patience: Duration) -> Result<(Duration, ExitStatus)> {
        let begun = Instant::now();
        terminate(&self.child)?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((begun.elapsed(), status));
            }
            ensure!(begun.elapsed() < patience, "it still runs {:?} after SIGTERM", begun.elapsed());
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn in_mib(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

#[cfg(target_os = "linux")]
fn terminate(child: &Child) -> Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process has this id")?;
    kill_process(id, Signal::TERM).context("it cannot be told to end")
}

#[cfg(not(target_os = "linux"))]
fn terminate(_: &Child) -> Result<()> {
    bail!("this chore sends Linux's SIGTERM")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_process_are_read_by_their_whole_name() {
        let status = "VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nVmRSSx:\t 1 kB\n";
        assert_eq!((in_mib(status, "VmRSS"), in_mib(status, "VmHWM")), (Some(1.0), Some(2.0)));
        assert_eq!((in_mib(status, "Vm"), in_mib(status, "VmSwap")), (None, None));
    }

    #[test]
    fn a_program_that_is_not_there_is_refused() {
        assert!(program(Some("no/such/hearth".into())).unwrap_err().to_string().contains("no/such/hearth"));
    }
}
