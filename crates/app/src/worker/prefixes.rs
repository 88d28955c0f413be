//! Computed beginnings of texts that survive the program, where a person wants that: the engine's shelf is a folder of the
//! home.
//!
//! Pages are read when an answer begins and written by a thread of their own. What is kept is found again only by the very
//! program, instruction set, model and way of keeping numbers that computed it: a number that differs in its last bit
//! would change answers.
//!
//! Does not: fail an answer. What cannot be kept or read is computed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use base::TokenId;
use infer::shelf::{Behind, Known, Shelf};
use ops::linear::low_rank::AdapterId;
use ops::weight::Storage;
use store::prefixes::{self, Prefixes, Text};
use store::{Digest, Store};

use super::open::Source;
use crate::Failure;

/// Bytes that may wait to be written; what is computed beyond them is not kept.
const MAX_WAITING_BYTES: usize = 256 << 20;

/// Keeps what models compute, in files.
#[derive(Clone)]
pub(crate) struct Keeper {
    store: Arc<Store>,
    max_bytes: u64,
    tasks: Sender<Task>,
    waiting_bytes: Arc<AtomicUsize>,
    /// The digest of this program's file; absent where it cannot be read.
    program: Arc<OnceLock<Option<Digest>>>,
}

/// Something for the thread that writes.
enum Task {
    Page {
        prefixes: Arc<Prefixes>,
        text: OwnText,
        size: usize,
        bytes: Vec<u8>,
    },
    Behind {
        prefixes: Arc<Prefixes>,
        text: OwnText,
        behind: prefixes::Behind,
    },
    Used {
        prefixes: Arc<Prefixes>,
        text: OwnText,
        size: usize,
    },
    /// To say when everything before it is done.
    Flush(Sender<()>),
}

/// A text that outlives the step in which it is told.
struct OwnText {
    salt: u64,
    tokens: Vec<TokenId>,
    n_prompt: usize,
}

impl OwnText {
    fn of(text: Known<'_>) -> Self {
        Self { salt: text.salt, tokens: text.tokens.to_vec(), n_prompt: text.n_prompt }
    }

    fn text(&self) -> Text<'_> {
        Text { salt: self.salt, tokens: &self.tokens, n_prompt: self.n_prompt }
    }
}

impl Keeper {
    /// Starts the thread that writes; it ends when nobody can send it anything any more.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(store: Arc<Store>, max_bytes: u64) -> Result<Self, Failure> {
        let (tasks, received) = channel();
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let waiting = waiting_bytes.clone();
        let all = Prefixes::new(store.clone(), String::new(), max_bytes);
        let started = std::thread::Builder::new().name("prefixes".into());
        let started = started.spawn(move || write(&received, &all, &waiting));
        started.map_err(|error| Failure::no_thread(&error))?;
        Ok(Self { store, max_bytes, tasks, waiting_bytes, program: Arc::default() })
    }

    /// The shelf of a model whose keys and values are kept in `storage`; nothing where it is not known what would have to be
    /// the same.
    pub fn shelf(&self, source: &Source, storage: Storage) -> Option<OnDisk> {
        let identity = source.identity.as_ref()?;
        let program = (*self.program.get_or_init(program))?;
        let made_with = format!(
            "program {program}\nprocessor {} {}\nmodel {identity}\nkept {storage:?}",
            std::env::consts::ARCH,
            kernels::isa::current()
        );
        Some(OnDisk { made_with, by_adapter: BTreeMap::new(), keeper: self.clone() })
    }

    /// Waits until everything that was given is written.
    pub fn flush(&self) {
        let (sender, done) = channel();
        if self.tasks.send(Task::Flush(sender)).is_ok() {
            // An error says that the thread is gone: then there is nothing to wait for.
            let _ = done.recv();
        }
    }

    /// Gives a task with so many bytes to the thread, unless too many wait.
    fn send(&self, task: Task, n_bytes: usize) {
        let before = self.waiting_bytes.fetch_add(n_bytes, Ordering::Relaxed);
        let has_room = before.saturating_add(n_bytes) <= MAX_WAITING_BYTES;
        if !has_room || self.tasks.send(task).is_err() {
            self.waiting_bytes.fetch_sub(n_bytes, Ordering::Relaxed);
        }
    }
}

/// The digest of the file that this program is.
fn program() -> Option<Digest> {
    let path = std::env::current_exe().ok()?;
    Some(Digest::of(&std::fs::read(path).ok()?))
}

/// Writes until nobody sends any more. `all` knows the folder of every model.
fn write(received: &Receiver<Task>, all: &Prefixes, waiting_bytes: &AtomicUsize) {
    let mut n_bytes = None;
    for task in received {
        let mut kept_bytes = n_bytes.unwrap_or_else(|| all.trim());
        match task {
            Task::Page { prefixes, text, size, bytes } => {
                kept_bytes += prefixes.keep_page(text.text(), size, &bytes);
                waiting_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
            }
            Task::Behind { prefixes, text, behind } => {
                kept_bytes += prefixes.keep_behind(text.text(), &behind);
                waiting_bytes.fetch_sub(behind.body.len(), Ordering::Relaxed);
            }
            Task::Used { prefixes, text, size } => prefixes.used(text.text(), size),
            // Who asked may have left.
            Task::Flush(sender) => drop(sender.send(())),
        }
        if kept_bytes > all.max_bytes() {
            kept_bytes = all.trim();
        }
        n_bytes = Some(kept_bytes);
    }
}

/// What one model keeps.
pub(crate) struct OnDisk {
    /// All that has to be the same, but the adapter.
    made_with: String,
    by_adapter: BTreeMap<Option<AdapterId>, Arc<Prefixes>>,
    keeper: Keeper,
}

impl OnDisk {
    /// What is kept of texts that are computed with what `text` is.
    fn of(&mut self, text: Known<'_>) -> Arc<Prefixes> {
        let (keeper, made_with) = (&self.keeper, &self.made_with);
        let new = || {
            let made_with = match text.adapter {
                Some(AdapterId(content)) => {
                    let digits: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
                    format!("{made_with}\nadapter {digits}")
                }
                None => made_with.clone(),
            };
            Arc::new(Prefixes::new(keeper.store.clone(), made_with, keeper.max_bytes))
        };
        self.by_adapter.entry(text.adapter).or_insert_with(new).clone()
    }
}

fn told(text: Known<'_>) -> Text<'_> {
    Text { salt: text.salt, tokens: text.tokens, n_prompt: text.n_prompt }
}

impl Shelf for OnDisk {
    fn page(&mut self, text: Known<'_>, size: usize) -> Option<Vec<u8>> {
        self.of(text).page(told(text), size)
    }

    fn behind(&mut self, text: Known<'_>) -> Option<Behind> {
        let prefixes::Behind { tokens, n_prompt, body } = self.of(text).behind(told(text))?;
        Some(Behind { tokens, n_prompt, bytes: body })
    }

    fn put_page(&mut self, text: Known<'_>, size: usize, bytes: Vec<u8>) {
        let (prefixes, n_bytes) = (self.of(text), bytes.len());
        self.keeper.send(Task::Page { prefixes, text: OwnText::of(text), size, bytes }, n_bytes);
    }

    fn put_behind(&mut self, text: Known<'_>, behind: Behind) {
        let (prefixes, n_bytes) = (self.of(text), behind.bytes.len());
        let Behind { tokens, n_prompt, bytes: body } = behind;
        let behind = prefixes::Behind { tokens, n_prompt, body };
        self.keeper.send(Task::Behind { prefixes, text: OwnText::of(text), behind }, n_bytes);
    }

    fn used(&mut self, text: Known<'_>, size: usize) {
        let prefixes = self.of(text);
        self.keeper.send(Task::Used { prefixes, text: OwnText::of(text), size }, 0);
    }
}

/// What tells a file apart that the store does not own: where it lies, its length, when it was changed.
pub(crate) fn facts(path: &Path) -> Option<String> {
    let (path, facts) = (path.canonicalize().ok()?, path.metadata().ok()?);
    let modified = facts.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    facts.is_file().then(|| format!("{} {} {}", path.display(), facts.len(), modified.as_nanos()))
}
