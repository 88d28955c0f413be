//! Jobs for a server that runs already, from other processes of the same person: over a socket in the home folder, which
//! nobody else can open.
//!
//! One job a connection: a line of JSON in, a line for each event out. Who breaks off cancels the job.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener as Listener, UnixStream as Stream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{App, Event, Failure, Job};

/// The longest line that is read.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// Where a server of this home listens for its person.
fn path(home: &Path) -> PathBuf {
    home.join("control.sock")
}

/// A server that runs already.
pub struct Control(Stream);

/// The events of a job that another process runs.
pub struct Remote {
    events: BufReader<Stream>,
    canceller: RemoteCanceller,
    is_over: bool,
}

/// Ends a job that another process runs, from any thread.
pub struct RemoteCanceller(Stream);

/// Takes jobs of this home for as long as the returned value lives.
///
/// # Errors
/// `already_served` where another server does, or what the system says.
pub fn listen(app: &Arc<App>, home: &Path) -> Result<Listening, Failure> {
    let path = path(home);
    if Stream::connect(&path).is_ok() {
        let message = format!("another server runs with the models of {}", home.display());
        return Err(Failure::new("already_served", message, "end it, or set HEARTH_HOME to another folder"));
    }
    let wrong = |error: io::Error| {
        let message = format!("{}: {error}", path.display());
        Failure::new("cannot_listen", message, "check that the folder can be written")
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(wrong)?;
    // What a server that was killed left behind.
    let _ = std::fs::remove_file(&path);
    let listener = Listener::bind(&path).map_err(wrong)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(wrong)?;
    let app = Arc::downgrade(app);
    let taken = std::thread::Builder::new().name("control".into()).spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), Some(app)) = (stream, app.upgrade()) else { return };
            // Who gets no thread finds the connection closed.
            let _ =
                std::thread::Builder::new().name("control".into()).spawn(move || drop(serve(&app, stream)));
        }
    });
    taken.map_err(wrong)?;
    Ok(Listening(path))
}

/// A socket that takes jobs; it is gone when this is dropped.
pub struct Listening(PathBuf);

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Runs the job of one connection.
fn serve(app: &App, stream: Stream) -> io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.by_ref().take(MAX_LINE_BYTES).read_line(&mut line)?;
    let running = match serde_json::from_str::<Job>(&line) {
        Ok(job) => app.run(job),
        Err(error) => {
            let failure =
                Failure::new("bad_job", format!("no job: {error}"), "use a program of the same version");
            return tell(&mut out, &Event::Failed(failure));
        }
    };
    let canceller = running.canceller();
    // What follows the job is the wish to end it, or the end of the connection.
    let _ = std::thread::Builder::new().name("control".into()).spawn(move || {
        let _ = lines.read(&mut [0]);
        canceller.cancel();
    });
    for event in running {
        tell(&mut out, &event)?;
    }
    Ok(())
}

fn tell(out: &mut Stream, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    out.write_all(&line)
}

impl Control {
    /// The server of this home, if one runs.
    pub fn find(home: &Path) -> Option<Self> {
        Stream::connect(path(home)).ok().map(Self)
    }

    /// Gives it a job.
    ///
    /// # Errors
    /// When it has just ended.
    pub fn run(self, job: &Job) -> Result<Remote, Failure> {
        let wrong = |error: io::Error| {
            let message = format!("the server that runs does not answer: {error}");
            Failure::new("no_server", message, "start it again with `hearth serve`")
        };
        let mut line = serde_json::to_vec(job).map_err(|error| wrong(error.into()))?;
        line.push(b'\n');
        (&self.0).write_all(&line).map_err(wrong)?;
        let canceller = RemoteCanceller(self.0.try_clone().map_err(wrong)?);
        Ok(Remote { events: BufReader::new(self.0), canceller, is_over: false })
    }
}

impl RemoteCanceller {
    /// Asks the job to end; what it made so far stays, and its last events still come.
    pub fn cancel(&self) {
        // Whatever follows the job ends it.
        let _ = (&self.0).write_all(b"\n");
    }
}

impl Remote {
    /// A handle that can end this job from another thread.
    pub fn canceller(&self) -> Option<RemoteCanceller> {
        self.canceller.0.try_clone().ok().map(RemoteCanceller)
    }
}

impl Iterator for Remote {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.is_over {
            return None;
        }
        let mut line = String::new();
        let read = self.events.by_ref().take(MAX_LINE_BYTES).read_line(&mut line);
        let event = read.ok().and_then(|_| serde_json::from_str(&line).ok()).unwrap_or_else(|| {
            let message = "the server ended before the job did";
            Event::Failed(Failure::new("no_server", message, "start it again with `hearth serve`"))
        });
        self.is_over = event.is_last();
        Some(event)
    }
}
