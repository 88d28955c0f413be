//! One call of the program: its streams, its settings, and the one way in which a job is run.

use std::io::{self, Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use app::event::loaded::{Holder, Waiting};
use app::{Event, Failure, Job, Settings};

use crate::chat::lines::Lines;
use crate::configuration::Configured;
use crate::console::Console;
use crate::interrupt::Interrupt;
use crate::jobs::{Jobs, RunningJob};
use crate::outcome::Stop;
use crate::terminal::units;

/// Where typed text comes from.
pub enum Stdin {
    /// A person; the lines are edited.
    Terminal,
    /// A file or another program.
    Piped(Box<dyn Read>),
}

/// Opens what takes jobs.
pub type Open = dyn Fn(Settings) -> Result<Box<dyn Jobs>, Failure>;
/// Reads the environment and the file of the home folder.
pub type Configure = dyn Fn() -> Result<Configured, Failure> + Send + Sync;
/// Says what is to be served; asked again whenever the server is to read its settings anew.
pub type Plan = Arc<dyn Fn() -> Result<Serving, Failure> + Send + Sync>;
/// Answers over the network until somebody ends it; tells where, before the first answer.
pub type Serve = dyn Fn(Plan, &mut dyn FnMut(&Served)) -> Result<(), Failure>;

/// What is to be served.
#[derive(Clone, Debug)]
pub struct Serving {
    pub settings: Settings,
    pub server: server::Settings,
    pub certificates: Certificates,
}

/// Writes a line of talk from any thread, with the time (UTC).
pub fn log(line: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (hours, minutes, seconds) = (now / 3600 % 24, now / 60 % 60, now % 60);
    // A log that nobody can read any more stops nobody.
    let _ = writeln!(io::stderr(), "{hours:02}:{minutes:02}:{seconds:02} {line}");
}

/// Whose certificates a server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// None, or those that its settings name.
    AsGiven,
    /// Its own, made for this house.
    OfTheHouse,
}

/// Where a server is reached.
#[derive(Clone, Debug, Default)]
pub struct Served {
    pub urls: Vec<String>,
    pub house: Option<ServedHouse>,
}

/// What is told of the certificates of the house.
#[derive(Clone, Debug)]
pub struct ServedHouse {
    pub how_to_trust: String,
}

/// Gives a job to the server of a home, if one runs.
pub type FindServer = dyn Fn(&Path, &Job) -> Result<Option<Box<dyn RunningJob>>, Failure>;
/// Opens a line editor.
pub type Edit = dyn Fn() -> io::Result<Box<dyn Lines>>;

/// What a session takes from the outside world. Tests give their own.
pub struct World {
    pub console: Console,
    pub stdin: Stdin,
    /// The settings, or what is wrong with them; asked for at the first job only.
    pub settings: Result<Settings, Failure>,
    /// Reads what the settings were read from, again.
    pub configure: Arc<Configure>,
    /// Opens what takes jobs; called at the first job only.
    pub open: Box<Open>,
    /// Answers over the network.
    pub serve: Box<Serve>,
    /// Gives a job to the server of a home, if one runs.
    pub find_server: Box<FindServer>,
    /// Opens the line editor of a chat.
    pub edit: Box<Edit>,
    /// Joins Ctrl-C to the running job; called before the first job.
    pub listen: Box<dyn Fn(&Interrupt)>,
    /// Milliseconds since the program began.
    pub elapsed_ms: Rc<dyn Fn() -> u64>,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

/// One call of the program.
pub struct Session {
    pub world: World,
    pub interrupt: Interrupt,
    jobs: Option<Box<dyn Jobs>>,
}

impl Session {
    pub fn new(world: World) -> Self {
        Self { world, interrupt: Interrupt::default(), jobs: None }
    }

    /// Where to compute, when a person says it.
    pub fn set_device(&mut self, device: Option<String>) {
        if let Ok(settings) = &mut self.world.settings {
            settings.device = device;
        }
    }

    /// How many bytes computed beginnings may take on disk, when a person says it.
    pub fn set_prefix_bytes(&mut self, prefix_bytes: Option<u64>) {
        if let (Ok(settings), Some(_)) = (&mut self.world.settings, prefix_bytes) {
            settings.prefix_bytes = prefix_bytes;
        }
    }

    pub fn console(&mut self) -> &mut Console {
        &mut self.world.console
    }

    /// Runs `job` to its end and shows every event; with `--json` each is also a line.
    ///
    /// Progress is shown here; a failure is the error, and whoever gets it tells it. Ctrl-C cancels the job and its last events still come; afterwards the
    /// error is `Interrupted`. A view that cannot write cancels the job as well.
    pub fn follow(
        &mut self,
        job: Job,
        view: &mut dyn FnMut(&mut Console, &Event) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let running = self.start(job)?;
        self.watch(running, view)
    }

    /// The same with a server that runs already and has its own models in memory.
    pub fn follow_at_server(
        &mut self,
        job: Job,
        view: &mut dyn FnMut(&mut Console, &Event) -> io::Result<()>,
    ) -> Result<(), Stop> {
        match self.find_server(job)? {
            Ok(running) => self.watch(running, view),
            Err(_) => {
                let hint = "start one with `hearth serve`";
                Err(Failure::new("no_server", "no server of this home runs", hint).into())
            }
        }
    }

    /// The same where one runs, else here.
    pub fn follow_anywhere(
        &mut self,
        job: Job,
        view: &mut dyn FnMut(&mut Console, &Event) -> io::Result<()>,
    ) -> Result<(), Stop> {
        match self.find_server(job)? {
            Ok(running) => self.watch(running, view),
            Err(job) => self.follow(*job, view),
        }
    }

    /// Gives a job to the server that runs; the job comes back where none does.
    fn find_server(&mut self, job: Job) -> Result<Result<Box<dyn RunningJob>, Box<Job>>, Stop> {
        let settings = self.world.settings.clone()?;
        match (self.world.find_server)(&settings.home, &job)? {
            Some(running) => {
                (self.world.listen)(&self.interrupt);
                Ok(Ok(running))
            }
            None => Ok(Err(Box::new(job))),
        }
    }

    fn watch(
        &mut self,
        mut running: Box<dyn RunningJob>,
        view: &mut dyn FnMut(&mut Console, &Event) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let cancel = running.canceller();
        self.interrupt.watch(running.canceller());
        let shown = show(&mut *running, &mut self.world.console, view);
        let is_interrupted = self.interrupt.unwatch();
        match shown {
            Err(Stop::Output(error)) => {
                cancel();
                Err(Stop::Output(error))
            }
            _ if is_interrupted => Err(Stop::Interrupted),
            shown => shown,
        }
    }

    fn start(&mut self, job: Job) -> Result<Box<dyn RunningJob>, Stop> {
        if self.jobs.is_none() {
            (self.world.listen)(&self.interrupt);
            self.jobs = Some((self.world.open)(self.world.settings.clone()?)?);
        }
        let jobs = self.jobs.as_ref().expect("opened above");
        Ok(jobs.start(job))
    }
}

fn show(
    running: &mut dyn RunningJob,
    console: &mut Console,
    view: &mut dyn FnMut(&mut Console, &Event) -> io::Result<()>,
) -> Result<(), Stop> {
    for event in running {
        if let Event::Failed(failure) = event {
            return Err(Stop::Failed(failure));
        }
        console.event(&event)?;
        match event {
            Event::Progress { what, done_bytes, total_bytes } => {
                console.progress(&what, done_bytes, total_bytes);
            }
            Event::Waiting(waiting) => console.say(&waits(&waiting)),
            event => view(console, &event)?,
        }
    }
    Ok(())
}

/// What is said of work that waits for memory.
fn waits(waiting: &Waiting) -> String {
    let holder = |holder: &Holder| format!("{} ({})", holder.name, units::bytes(holder.size_bytes));
    let holders: Vec<String> = waiting.holders.iter().map(holder).collect();
    format!(
        "Waiting for memory: {} takes {}, of which {} are missing. Held by {}; it goes on by itself.",
        waiting.name,
        units::bytes(waiting.size_bytes),
        units::bytes(waiting.missing_bytes),
        holders.join(" and ")
    )
}
