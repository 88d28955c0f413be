//! The front: takes jobs in, gives each a seed and the time, and hands it to the worker.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use base::clock::Clock;
use base::disk::RealDisk;
use kernels::Isa;
use store::Store;
use store::found::{Folder, Place as FoundIn};

use crate::clock::RealClock;
use crate::job::Job;
use crate::running::{Reporter, Running};
use crate::worker::means::Means;
use crate::worker::prefixes::Keeper;
use crate::worker::training::Place;
use crate::worker::{self, Task};
use crate::{Failure, Network};

/// How the program is set up. Read from the environment and the command line by whoever opens the [`App`].
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The folder of everything that Hearth keeps.
    pub home: PathBuf,
    /// Threads that compute; as many as there are processors when absent.
    pub n_threads: Option<usize>,
    /// The highest instruction set to use; what the processor has when absent.
    pub isa: Option<String>,
    /// `cpu` (the default) or `gpu`.
    pub device: Option<String>,
    /// What keys and values are kept in: `f32`, `f16`, `q8_0` or `q4_0`; absent, it follows from the weights.
    pub kept: Option<String>,
    /// Bytes that computed beginnings of texts may take on disk, where later processes find them; absent, none is kept. They
    /// tell who can read them what the texts were.
    pub prefix_bytes: Option<u64>,
    /// How the network is reached when somebody asks for it.
    pub network: Network,
    /// Where Ollama keeps its models, which are used in place.
    pub ollama_models: Option<PathBuf>,
    /// Where the Hugging Face cache keeps its repositories, which are used in place.
    pub hugging_face_hub: Option<PathBuf>,
}

/// The program: jobs go in, events come out.
pub struct App {
    tasks: Sender<Task>,
    store: Arc<Store>,
    home: PathBuf,
    means: Means,
    network: Network,
    clock: Arc<dyn Clock>,
    keeper: Option<Keeper>,
}

impl Drop for App {
    /// What was computed is written before the program may end.
    fn drop(&mut self) {
        self.keeper.iter().for_each(Keeper::flush);
    }
}

impl App {
    /// Opens the home folder, which need not be there yet, and starts the worker.
    ///
    /// # Errors
    /// A setting that has no meaning, or a home that cannot be used.
    pub fn open(settings: Settings) -> Result<Self, Failure> {
        if let Some(isa) = &settings.isa {
            let isa: Isa = isa.parse().map_err(|error: kernels::Error| {
                Failure::new(
                    "bad_setting",
                    error.to_string(),
                    "use scalar, avx2, avx512, avx512vnni, avx512fp16 or amx; on aarch64 neon, neondotprod or neoni8mm",
                )
            })?;
            kernels::isa::limit(isa);
        }
        if let Some(n_threads) = settings.n_threads {
            kernels::pool::set_active_threads(n_threads);
        }
        let means = Means::parse(settings.device.as_deref(), settings.kept.as_deref())?;
        let store = Store::open(Arc::new(RealDisk), &settings.home)?.with_folders(folders(&settings));
        let store = Arc::new(store);
        let keeper = settings.prefix_bytes.map(|max_bytes| Keeper::start(store.clone(), max_bytes));
        let keeper = keeper.transpose()?;
        let tasks = worker::start(store.clone(), means, keeper.clone())?;
        Ok(Self {
            tasks,
            store,
            home: settings.home,
            means,
            network: settings.network,
            clock: Arc::new(RealClock),
            keeper,
        })
    }

    /// Starts a job. Any number may run at once; answers of one model are computed together.
    pub fn run(&self, job: Job) -> Running {
        let (running, reporter) = Running::new();
        match job {
            Job::Generate(generate) => {
                let now_unix_ms = self.clock.now_unix_ms();
                let task = Task { generate, drawn_seed: draw_seed(), now_unix_ms, reporter };
                if let Err(returned) = self.tasks.send(task) {
                    returned.0.reporter.tell(crate::Event::Failed(Failure::internal()));
                }
            }
            Job::Train(train) => self.run_training(train, reporter),
            Job::Bench(bench) => self.run_bench(bench, reporter),
            Job::Embed(embed) => self.run_embed(embed, reporter),
            Job::Fit(fit) => {
                let means = self.means;
                self.run_fetch(reporter, move |place| worker::measure::run_fit(place, &fit, means))
            }
            Job::Pull(pull) => self.run_fetch(reporter, move |place| place.pull(&pull)),
            Job::Outdated { model } => {
                self.run_fetch(reporter, move |place| place.outdated(model.as_deref()))
            }
            job => self.run_library(job, reporter),
        }
        running
    }

    fn run_training(&self, train: crate::job::training::Train, reporter: Reporter) {
        let (home, store, now_unix_ms) = (self.home.clone(), self.store.clone(), self.clock.now_unix_ms());
        let place = Place { home, store, now_unix_ms };
        self.on_a_thread("training", reporter, move |reporter| {
            worker::training::run(&place, &train, reporter)
        });
    }

    fn run_fetch(
        &self,
        reporter: Reporter,
        work: impl FnOnce(&worker::fetch::Place<'_>) -> Result<crate::Event, Failure> + Send + 'static,
    ) {
        let (store, settings, clock) = (self.store.clone(), self.network.settings(), self.clock.clone());
        self.on_a_thread("fetch", reporter, move |reporter| {
            let place = worker::fetch::Place { store: &store, settings: &settings, clock: &*clock, reporter };
            reporter.finish(|| work(&place));
        });
    }

    fn run_embed(&self, embed: crate::job::embed::Embed, reporter: Reporter) {
        let (store, means) = (self.store.clone(), self.means);
        self.on_a_thread("embed", reporter, move |reporter| {
            worker::embed::run(&store, &embed, &means.device.tensors(), reporter)
        });
    }

    fn run_bench(&self, bench: crate::job::measure::Bench, reporter: Reporter) {
        let (store, means) = (self.store.clone(), self.means);
        self.on_a_thread("bench", reporter, move |reporter| {
            worker::measure::run_bench(&store, &bench, means, reporter)
        });
    }

    fn run_library(&self, job: Job, reporter: Reporter) {
        let (home, store, now_ms) = (self.home.clone(), self.store.clone(), self.clock.now_unix_ms());
        self.on_a_thread("library", reporter, move |reporter| match job {
            Job::Runs(runs) => worker::runs::run(&home, &runs, reporter),
            job => worker::library::run(&store, job, now_ms, reporter),
        });
    }

    fn on_a_thread(&self, name: &str, reporter: Reporter, work: impl FnOnce(&Reporter) + Send + 'static) {
        let on_its_own = reporter.clone();
        let started = std::thread::Builder::new().name(name.into()).spawn(move || work(&on_its_own));
        if let Err(error) = started {
            let hint = "close other programs, then try again";
            reporter.tell(crate::Event::Failed(Failure::new("no_thread", error.to_string(), hint)));
        }
    }
}

/// Where others keep models.
fn folders(settings: &Settings) -> Vec<Folder> {
    let ollama = settings.ollama_models.iter().map(|path| (FoundIn::Ollama, path));
    let hub = settings.hugging_face_hub.iter().map(|path| (FoundIn::HuggingFace, path));
    ollama.chain(hub).map(|(place, path)| Folder { place, path: path.clone() }).collect()
}

/// A seed that nobody chose: short enough to be typed again.
fn draw_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() & 0xffff_ffff
}
