//! The front: takes jobs in, gives each a seed and the time, and hands it to the worker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use base::clock::Clock;
use base::disk::RealDisk;
use kernels::Isa;
use store::Store;
use store::found::{Folder, Place as FoundIn};

use crate::caller::Caller;
use crate::clock::RealClock;
use crate::doors::Doors;
use crate::job::{Generate, Job};
use crate::responses::Responses;
use crate::running::{Reporter, Running};
use crate::upload::{self, Pieces};
use crate::worker::draw::turns::Turns;
use crate::worker::forms::Form;
use crate::worker::means::Means;
use crate::worker::prefixes::Keeper;
use crate::worker::share::Shares;
use crate::worker::training::Place;
use crate::worker::{self, Bounds, Hands, Order, Task};
use crate::{Failure, Network};

/// Requests at once where nobody says how many.
const MAX_REQUESTS: usize = 1024;
/// Pixels of all pictures of one request together: 64 of 1024 x 1024.
const MAX_PIXELS_FROM_AFAR: u64 = 1 << 26;

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
    /// Bytes that models may take together with the program; absent, most of what the machine has left.
    pub memory_bytes: Option<u64>,
    /// How many requests for answers and vectors there may be at once, computed or waiting; absent, 1024.
    pub max_requests: Option<usize>,
    /// How the network is reached when somebody asks for it.
    pub network: Network,
    /// Where Ollama keeps its models, which are used in place.
    pub ollama_models: Option<PathBuf>,
    /// Where the Hugging Face cache keeps its repositories, which are used in place.
    pub hugging_face_hub: Option<PathBuf>,
}

/// Limits that can be set anew while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// As in [`Settings`].
    pub memory_bytes: Option<u64>,
    /// As in [`Settings`].
    pub max_requests: Option<usize>,
}

impl Settings {
    /// Those that can be set anew while the program runs.
    pub fn limits(&self) -> Limits {
        Limits { memory_bytes: self.memory_bytes, max_requests: self.max_requests }
    }
}

/// The program: jobs go in, events come out.
pub struct App {
    orders: Arc<Sender<Order>>,
    store: Arc<Store>,
    home: PathBuf,
    means: Means,
    network: Network,
    clock: Arc<dyn Clock>,
    keeper: Option<Keeper>,
    turns: Turns,
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
                    "use scalar, avx2, avx512, avx512vnni, avx512bf16, avx512fp16 or amx; on aarch64 neon, neondotprod or neoni8mm",
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
        let hands = Hands { store: store.clone(), means, keeper: keeper.clone() };
        let orders = worker::start(hands, bounds(settings.limits()))?;
        Ok(Self {
            orders,
            store,
            home: settings.home,
            means,
            network: settings.network,
            clock: Arc::new(RealClock),
            keeper,
            turns: Turns::default(),
        })
    }

    /// Sets limits anew, for everything that is asked for from now on. What runs goes on; models that nobody uses go at
    /// once where there is less room than before.
    pub fn set_limits(&self, limits: Limits) {
        // A worker that is gone has nothing to limit.
        let _ = self.orders.send(Order::Limit(bounds(limits)));
    }

    /// Starts a job of the person at this machine. Any number may run at once; answers of one model are computed
    /// together.
    pub fn run(&self, job: Job) -> Running {
        self.run_for(Caller::default(), job)
    }

    /// Starts a job of somebody.
    pub fn run_for(&self, caller: Caller, job: Job) -> Running {
        let (running, reporter) = Running::new();
        self.start(caller, job, reporter);
        running
    }

    /// Starts a job of somebody who asks over a network, and counts what it takes. It may name no file of this machine.
    pub fn run_counted(&self, doors: &Doors, caller: Caller, job: Job) -> Running {
        let (running, reporter) = Running::new();
        if let Err(failure) = job.check_from_afar() {
            reporter.tell(crate::Event::Failed(failure));
            return running;
        }
        let is_counted = matches!(job, Job::Generate(_) | Job::Embed(_) | Job::Rerank(_) | Job::Draw(_));
        match is_counted.then(|| doors.bill(caller)).transpose() {
            Ok(None) => self.start(caller, job, reporter),
            Ok(Some(bill)) => self.start(caller, job, reporter.with_bill(bill)),
            Err(failure) => reporter.tell(crate::Event::Failed(failure)),
        }
        running
    }

    fn start(&self, caller: Caller, job: Job, reporter: Reporter) {
        match job {
            Job::Generate(generate) => {
                let task = self.task(generate, caller, reporter);
                self.order(Order::Generate(Box::new(task)));
            }
            Job::Render(generate) => {
                let task = self.task(*generate, caller, reporter);
                self.order(Order::Render(Box::new(task)));
            }
            Job::Embed(embed) => self.order(Order::Embed(embed, reporter)),
            Job::Rerank(rerank) => self.order(Order::Rerank(rerank, reporter)),
            Job::Loaded => self.order(Order::Loaded(reporter)),
            Job::Unload { model } => self.order(Order::Unload(model, reporter)),
            Job::Train(train) => self.run_training(train, reporter),
            Job::Draw(draw) => self.run_drawing((caller, reporter), move |place, reporter| {
                worker::draw::run(place, &draw, reporter);
            }),
            Job::Upscale(upscale) => self.run_drawing((caller, reporter), move |place, reporter| {
                worker::draw::upscale::run(place, &upscale, reporter);
            }),
            Job::Quantise(quantise) => self.run_quantise(quantise, reporter),
            Job::Bench(bench) => self.run_bench(bench, reporter),
            Job::Fit(fit) => {
                let means = self.means;
                self.run_fetch(reporter, move |place| worker::measure::run_fit(place, &fit, means))
            }
            Job::Pull(pull) => self.run_fetch(reporter, move |place| place.pull(&pull)),
            Job::Outdated { model } => {
                self.run_fetch(reporter, move |place| place.outdated(model.as_deref()))
            }
            Job::Keys(keys) => self.run_keys(keys, reporter),
            job => self.run_library(job, reporter),
        }
    }

    fn task(&self, generate: Generate, caller: Caller, reporter: Reporter) -> Task {
        let (drawn_seed, now_unix_ms) = (draw_seed(), self.clock.now_unix_ms());
        Task { generate, caller, drawn_seed, now_unix_ms, reporter, form: Form::default() }
    }

    /// The folder of everything that is kept.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    fn run_keys(&self, keys: crate::job::keys::Keys, reporter: Reporter) {
        let (home, now_unix_ms) = (self.home.clone(), self.clock.now_unix_ms());
        self.on_a_thread("keys", reporter, move |reporter| {
            reporter.finish(|| worker::keys::run(&home, keys, now_unix_ms));
        });
    }

    /// The answers that are kept for their owners.
    pub fn responses(&self) -> Responses {
        Responses::new(Arc::new(RealDisk), &self.home)
    }

    /// Takes in a file of at most so many bytes whose content has this digest, for a model that is made of it later: where
    /// to give its pieces, and the job, which ends with [`crate::Event::Blob`].
    pub fn receive(&self, digest: &str, at_most_bytes: u64) -> (Pieces, Running) {
        let (running, reporter) = Running::new();
        let (pieces, mut arriving) = upload::new();
        let (store, digest) = (self.store.clone(), digest.to_owned());
        self.on_a_thread("upload", reporter, move |reporter| {
            reporter.finish(|| {
                let parsed = store::Digest::parse(&digest)?;
                let size_bytes = Some(store.put_blob(&parsed, &mut arriving, at_most_bytes)?);
                Ok(crate::Event::Blob { digest, size_bytes })
            });
        });
        (pieces, running)
    }

    /// Where work beside the models has its memory from.
    fn shares(&self) -> Shares {
        Shares::new(Sender::clone(&self.orders))
    }

    fn run_training(&self, train: crate::job::training::Train, reporter: Reporter) {
        let (home, store, now_unix_ms) = (self.home.clone(), self.store.clone(), self.clock.now_unix_ms());
        let shares = self.shares();
        let place = Place { home, store, now_unix_ms, shares };
        self.on_a_thread("training", reporter, move |reporter| {
            worker::training::run(&place, &train, reporter)
        });
    }

    fn run_drawing(
        &self,
        (caller, reporter): (Caller, Reporter),
        work: impl FnOnce(&worker::draw::Place<'_>, &Reporter) + Send + 'static,
    ) {
        let turn = match self.turns.enter(caller) {
            Ok(turn) => turn,
            Err(failure) => return reporter.tell(crate::Event::Failed(failure)),
        };
        let (home, store, drawn_seed) = (self.home.clone(), self.store.clone(), draw_seed());
        let shares = self.shares();
        // A request's pictures wait in memory until the answer is whole.
        let most_pixels = if reporter.is_counted() { MAX_PIXELS_FROM_AFAR } else { u64::MAX };
        self.on_a_thread("drawing", reporter, move |reporter| {
            // A seed that people can write down and other programs take.
            let drawn_seed = drawn_seed & u64::from(u32::MAX);
            let (store, home) = (&store, &*home);
            let place = worker::draw::Place { store, shares, drawn_seed, home, turn, most_pixels };
            work(&place, reporter);
        });
    }

    fn run_quantise(&self, quantise: crate::job::quantise::Quantise, reporter: Reporter) {
        let (store, now_unix_ms) = (self.store.clone(), self.clock.now_unix_ms());
        let shares = self.shares();
        let place = worker::quantise::Place { store, now_unix_ms, shares };
        self.on_a_thread("quantize", reporter, move |reporter| {
            worker::quantise::run(&place, &quantise, reporter)
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

    fn order(&self, order: Order) {
        if let Err(returned) = self.orders.send(order) {
            returned.0.asker().iter().for_each(|asker| asker.refuse(Failure::internal()));
        }
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
            reporter.tell(crate::Event::Failed(Failure::no_thread(&error)));
        }
    }
}

/// Where others keep models.
fn folders(settings: &Settings) -> Vec<Folder> {
    let ollama = settings.ollama_models.iter().map(|path| (FoundIn::Ollama, path));
    let hub = settings.hugging_face_hub.iter().map(|path| (FoundIn::HuggingFace, path));
    ollama.chain(hub).map(|(place, path)| Folder { place, path: path.clone() }).collect()
}

/// The limits as the worker holds to them.
fn bounds(limits: Limits) -> Bounds {
    Bounds {
        memory_bytes: limits.memory_bytes.unwrap_or_else(usual_memory),
        max_requests: limits.max_requests.unwrap_or(MAX_REQUESTS),
    }
}

/// Nine tenths of what this program holds and what is free; no limit where the system tells neither.
fn usual_memory() -> u64 {
    let held = worker::measure::memory::held().unwrap_or(0);
    let free = worker::measure::memory::available();
    free.map_or(u64::MAX, |free| free.saturating_add(held) / 10 * 9)
}

/// A seed that nobody chose: short enough to be typed again.
fn draw_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish() & 0xffff_ffff
}
