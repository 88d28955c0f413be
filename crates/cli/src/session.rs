//! One call of the program: its streams, its settings, and the one way in which a job is run.

use std::io::{self, Read};
use std::rc::Rc;

use app::{Event, Failure, Job, Settings};

use crate::chat::lines::Lines;
use crate::console::Console;
use crate::interrupt::Interrupt;
use crate::jobs::{Jobs, RunningJob};
use crate::outcome::Stop;

/// Where typed text comes from.
pub enum Stdin {
    /// A person; the lines are edited.
    Terminal,
    /// A file or another program.
    Piped(Box<dyn Read>),
}

/// Opens what takes jobs.
pub type Open = dyn Fn(Settings) -> Result<Box<dyn Jobs>, Failure>;
/// Opens a line editor.
pub type Edit = dyn Fn() -> io::Result<Box<dyn Lines>>;

/// What a session takes from the outside world. Tests give their own.
pub struct World {
    pub console: Console,
    pub stdin: Stdin,
    /// The settings, or what is wrong with them; asked for at the first job only.
    pub settings: Result<Settings, Failure>,
    /// Opens what takes jobs; called at the first job only.
    pub open: Box<Open>,
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
        let mut running = self.start(job)?;
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
            event => view(console, &event)?,
        }
    }
    Ok(())
}
