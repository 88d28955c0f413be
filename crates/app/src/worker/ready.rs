//! The models that are in memory: made ready when somebody asks for them, kept for those who come next, and gone when
//! others need their place.
//!
//! Who asks for a model that has no room waits until those who are busy have ended; meanwhile nobody new begins with the
//! models that are to go, so that nobody waits for ever.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use models::KvCache;

use super::broker::{Broker, Held, Keep, Need, Room};
use super::contents::Contents;
use super::embed::{self, Embedder};
use super::forms::{Compiler, Unformed};
use super::loaded::{self, Loaded};
use super::measure::fit::Needs;
use super::measure::memory;
use super::open::{self, Source};
use super::share::{Progress, Wish};
use super::{Bounds, Hands, Order, Task, rerank};
use crate::event::loaded::{Holder, LoadedModel, Memory};
use crate::running::Reporter;
use crate::{Event, Failure, job};

/// How often who waits for others to end, or for its caller to leave, is looked after while nothing is computed here.
const PAUSE: Duration = Duration::from_millis(20);

/// The models that are in memory.
pub(crate) struct Ready {
    hands: Hands,
    broker: Broker,
    max_requests: usize,
    loaded: Vec<Loaded>,
    embedders: Vec<(String, Arc<Embedder>)>,
    /// Work that has a share of the memory, by its name.
    work: Vec<(String, Arc<Progress>)>,
    waiting: VecDeque<Order>,
    /// Models that are to go for those who wait: nobody begins with them.
    leaving: Vec<String>,
    /// Whether a model has gone since those who wait were looked at.
    has_let_go: bool,
    /// Where orders come in; nowhere, once nobody can give any.
    orders: Weak<Sender<Order>>,
    /// Compiles forms, since the first one was wanted.
    compiler: Option<Compiler>,
}

/// What an order needs before it can begin.
struct Wanted {
    source: Source,
    draft: Option<Source>,
    key: String,
    keep: Option<Keep>,
}

impl Ready {
    pub fn new(hands: Hands, bounds: Bounds, orders: Weak<Sender<Order>>) -> Self {
        let broker = Broker::new(bounds.memory_bytes, memory::held().unwrap_or(0));
        let max_requests = bounds.max_requests;
        let (loaded, embedders, work) = (Vec::new(), Vec::new(), Vec::new());
        let (waiting, leaving, has_let_go, compiler) = (VecDeque::new(), Vec::new(), false, None);
        Self {
            hands,
            broker,
            max_requests,
            loaded,
            embedders,
            work,
            waiting,
            leaving,
            has_let_go,
            orders,
            compiler,
        }
    }

    /// Whether there is something to compute or to look after.
    pub fn is_busy(&self) -> bool {
        self.loaded.iter().any(Loaded::is_busy)
    }

    /// When something has to be looked after although nobody asks.
    pub fn next_end(&self) -> Option<Instant> {
        let now = Instant::now();
        let pause = (!self.waiting.is_empty()).then(|| now + PAUSE);
        // Who is busy beyond its end is looked at again a little later.
        let end = self.broker.next_end().map(|end| end.max(now + PAUSE));
        pause.into_iter().chain(end).min()
    }

    /// Advances every answer by one step.
    pub fn step(&mut self) {
        let now = Instant::now();
        let mut index = 0;
        while index < self.loaded.len() {
            let model = &mut self.loaded[index];
            if model.is_busy() {
                self.broker.touch(&model.key, now, None);
            }
            if catch_unwind(AssertUnwindSafe(|| model.step())).is_ok() {
                index += 1;
            } else {
                // A bug of ours: the answers of this model end, the others go on.
                let broken = self.loaded.swap_remove(index);
                self.broker.release(&broken.key);
                self.has_let_go = true;
                broken.fail(&Failure::internal());
            }
        }
    }

    /// Lets go of what nobody has used for long.
    pub fn drop_expired(&mut self) {
        for key in self.broker.expired(Instant::now(), |key| self.is_busy_with(key)) {
            self.let_go(&key);
        }
    }

    /// Begins what waited, as far as there is room now: the first one first, and nobody before it.
    pub fn begin_waiting(&mut self) {
        if !self.may_begin_more() {
            return;
        }
        self.leaving.clear();
        let mut waiting = std::mem::take(&mut self.waiting);
        while let Some(order) = waiting.pop_front() {
            let Some(asker) = order.asker() else { continue };
            if asker.is_cancelled() {
                asker.refuse(left());
                continue;
            }
            let begun = catch_unwind(AssertUnwindSafe(|| self.try_begin(order)));
            if let Err(failure) = begun.unwrap_or_else(|_| Err(Failure::internal())) {
                asker.refuse(failure);
            }
        }
    }

    /// Whether something changed for those who wait: looking for their models at every step would hold up the answers.
    fn may_begin_more(&mut self) -> bool {
        let has_let_go = std::mem::take(&mut self.has_let_go);
        let has_ended = |key: &String| !self.is_busy_with(key);
        let is_patient = |order: &Order| !order.is_cancelled();
        has_let_go
            || self.leaving.is_empty()
            || self.leaving.iter().any(has_ended)
            || !self.waiting.iter().all(is_patient)
    }

    /// Takes an order in.
    ///
    /// # Errors
    /// What the order comes to when it cannot be begun, nor later.
    pub fn take(&mut self, order: Order) -> Result<(), Failure> {
        match order {
            Order::Loaded(reporter) => reporter.tell(Event::Loaded(self.describe())),
            Order::Unload(model, reporter) => self.unload(&model, &reporter)?,
            Order::Render(task) => self.render(*task)?,
            Order::GiveBack(name) => self.take_back(&name),
            Order::Limit(bounds) => self.limit(bounds),
            order if self.n_requests() < self.max_requests => self.try_begin(order)?,
            _ => return Err(full(self.n_requests())),
        }
        Ok(())
    }

    /// Requests that are computed or wait.
    fn n_requests(&self) -> usize {
        let answers: usize = self.loaded.iter().map(|loaded| loaded.describe().1).sum();
        // Each text to vectors holds its encoder beside this one.
        let vectors: usize = self.embedders.iter().map(|(_, held)| Arc::strong_count(held) - 1).sum();
        self.waiting.len() + answers + vectors
    }

    /// Holds to other limits. Where there is less room, those that nobody uses go; who is busy stays until its end.
    fn limit(&mut self, bounds: Bounds) {
        self.max_requests = bounds.max_requests;
        self.broker.set_limit(bounds.memory_bytes);
        while self.broker.n_held() > self.broker.limit() {
            let idle = self.broker.oldest(|key| !self.is_busy_with(key));
            let Some(key) = idle else { break };
            self.let_go(&key);
        }
        // Who waits may have room now.
        self.has_let_go = true;
    }

    /// Begins an order, or lets it wait.
    fn try_begin(&mut self, order: Order) -> Result<(), Failure> {
        let mut order = match order {
            Order::Share(wish) => return self.share(wish),
            order => order,
        };
        let wanted = self.wanted(&order)?;
        let is_leaving = self.leaving.contains(&wanted.key);
        if is_leaving || self.broker.find(&wanted.key).is_none() && !self.has_room(&wanted, &order)? {
            if let Order::Generate(task) = &mut order {
                task.form.let_go();
            }
            self.wait(order);
            return Ok(());
        }
        self.broker.touch(&wanted.key, Instant::now(), wanted.keep);
        match order {
            Order::Generate(task) => self.answer(*task, &wanted),
            Order::Embed(embed, reporter) => {
                self.encode(&wanted.key, move |embedder| embed::run(embedder, &embed, &reporter))
            }
            Order::Rerank(job, reporter) => {
                self.encode(&wanted.key, move |embedder| rerank::run(embedder, &job, &reporter))
            }
            _ => Err(Failure::internal()),
        }
    }

    /// Gives work its share, or lets it wait until those are no longer busy who have to go for it, or until other work has
    /// ended. What has a share is never asked to go.
    fn share(&mut self, wish: Box<Wish>) -> Result<(), Failure> {
        let bytes = wish.bytes;
        if self.is_work(&wish.name) {
            // The same is being done: one after the other.
            self.let_wait(wish);
            return Ok(());
        }
        let need = Need { least: bytes, good: bytes, most: bytes };
        let gone = match self.broker.room(need, |key| self.is_busy_with(key)) {
            Room::Now { gone, .. } => gone,
            Room::Later { busy } => {
                self.leaving.extend(busy);
                self.let_wait(wish);
                return Ok(());
            }
            Room::Never { left, .. } if bytes <= left.saturating_add(self.work_bytes()) => {
                self.let_wait(wish);
                return Ok(());
            }
            Room::Never { kept, left } => return Err(self.no_share(&wish, left, &kept)),
        };
        gone.iter().for_each(|key| self.let_go(key));
        if wish.grant() {
            let Wish { name, progress, .. } = *wish;
            let (key, used) = (name.clone(), Instant::now());
            self.broker.hold(Held { key, name: name.clone(), bytes, keep: Keep::Always, used });
            self.work.push((name, progress));
        }
        Ok(())
    }

    /// Bytes of all work that has a share.
    fn work_bytes(&self) -> u64 {
        let bytes = |(name, _): &(String, Arc<Progress>)| self.broker.find(name).map(|held| held.bytes);
        self.work.iter().filter_map(bytes).fold(0, u64::saturating_add)
    }

    /// Lets work wait, and tells what it waits for.
    fn let_wait(&mut self, mut wish: Box<Wish>) {
        let (staying, missing_bytes) = self.broker.staying(wish.bytes, |key| self.is_busy_with(key));
        let holder = |held: &Held| Holder { name: held.name.clone(), size_bytes: held.bytes };
        let holders = staying.into_iter().map(holder).collect();
        wish.tell_waiting(missing_bytes, holders);
        self.wait(Order::Share(wish));
    }

    /// Lets an order wait behind those that came before it; what can wait, behind all others.
    fn wait(&mut self, order: Order) {
        let first_batch = self.waiting.iter().position(Order::is_batch);
        let at = first_batch.filter(|_| !order.is_batch()).unwrap_or(self.waiting.len());
        self.waiting.insert(at, order);
    }

    fn take_back(&mut self, name: &str) {
        self.work.retain(|(known, _)| known != name);
        self.let_go(name);
    }

    fn wanted(&self, order: &Order) -> Result<Wanted, Failure> {
        let store = &self.hands.store;
        match order {
            Order::Generate(task) => {
                let generate = &task.generate;
                let source = open::find_adapted(store, &generate.model)?;
                let draft = generate.draft.as_deref().map(|draft| open::find(store, draft)).transpose()?;
                let key = loaded::key(&source, draft.as_ref());
                Ok(Wanted { source, draft, key, keep: generate.keep.map(keep) })
            }
            Order::Embed(embed, _) => self.wanted_encoder(&embed.model, embed.keep),
            Order::Rerank(rerank, _) => self.wanted_encoder(&rerank.model, rerank.keep),
            _ => Err(Failure::internal()),
        }
    }

    fn wanted_encoder(&self, model: &str, kept: Option<job::Keep>) -> Result<Wanted, Failure> {
        let source = open::find(&self.hands.store, model)?;
        let key = format!("vectors {}", source.key);
        Ok(Wanted { source, draft: None, key, keep: kept.map(keep) })
    }

    /// Makes room and loads what is wanted; false where that has to wait.
    fn has_room(&mut self, wanted: &Wanted, order: &Order) -> Result<bool, Failure> {
        let is_for_vectors = matches!(order, Order::Embed(..) | Order::Rerank(..));
        let (need, fixed) = self.need(wanted, is_for_vectors)?;
        let (bytes, gone) = match self.broker.room(need, |key| self.is_busy_with(key)) {
            Room::Now { bytes, gone } => (bytes, gone),
            Room::Later { busy } => {
                self.leaving.extend(busy);
                return Ok(false);
            }
            Room::Never { kept, left } => return Err(self.no_room(&wanted.source.name, need, left, &kept)),
        };
        gone.iter().for_each(|key| self.let_go(key));
        self.load(wanted, is_for_vectors, bytes - fixed)?;
        let (key, name) = (wanted.key.clone(), wanted.source.name.clone());
        let keep = wanted.keep.unwrap_or(Keep::USUAL);
        self.broker.hold(Held { key, name, bytes, keep, used: Instant::now() });
        self.look_after();
        Ok(true)
    }

    /// How much is needed, and how much of it is not for keys and values.
    fn need(&self, wanted: &Wanted, is_for_vectors: bool) -> Result<(Need, u64), Failure> {
        let contents = Contents::read(&wanted.source)?;
        if is_for_vectors {
            let bytes = embed::most_bytes(&contents);
            return Ok((Need { least: bytes, good: bytes, most: bytes }, bytes));
        }
        let needs = |contents: &Contents<'_>| -> Result<Needs, Failure> {
            let (family, config) = contents.decoder_sizes()?;
            let tensors = contents.tensors.tensors().to_vec();
            Ok(Needs::new(config, contents.dialect(family), tensors, self.hands.means))
        };
        let own = needs(&contents)?;
        if KvCache::block_bytes(&own.config, infer::BLOCK, own.cache()).is_none() {
            return Err(super::means::not_kept(contents.name(), own.config.head_size, own.cache()));
        }
        let (mut need, mut fixed) = own.need();
        if let Some(draft) = &wanted.draft {
            let (more, without_cache) = needs(&Contents::read(draft)?)?.need();
            // What guesses keeps as many tokens as what it guesses for.
            let add = |bytes: &mut u64| *bytes = bytes.saturating_add(more.most);
            [&mut need.least, &mut need.good, &mut need.most].into_iter().for_each(add);
            fixed += more.most;
            debug_assert!(without_cache <= more.most);
        }
        Ok((need, fixed))
    }

    fn load(&mut self, wanted: &Wanted, is_for_vectors: bool, cache_bytes: u64) -> Result<(), Failure> {
        if is_for_vectors {
            let embedder = Embedder::new(&wanted.source, &self.hands)?;
            self.embedders.push((wanted.key.clone(), Arc::new(embedder)));
            return Ok(());
        }
        let begun = Instant::now();
        let mut loaded = Loaded::new(&wanted.source, &self.hands, cache_bytes)?;
        if let Some(draft) = &wanted.draft {
            loaded = loaded.with_draft(draft, &self.hands, loaded::CACHE_BYTES)?;
        }
        loaded.load_ms = begun.elapsed().as_secs_f64() * 1e3;
        self.loaded.push(loaded);
        Ok(())
    }

    /// What was predicted is checked: where the program holds more than it may, those that nobody uses go.
    fn look_after(&mut self) {
        let limit = self.broker.limit();
        let is_over = || memory::held().is_some_and(|held| held > limit);
        if is_over() {
            kernels::machine::memory::give_back_freed();
        }
        while is_over() {
            let newest = self.loaded.last().map(|loaded| loaded.key.clone()).unwrap_or_default();
            let is_idle = |key: &str| !self.is_busy_with(key) && key != newest;
            let idle = self.broker.oldest(is_idle);
            let Some(key) = idle else { return };
            self.let_go(&key);
        }
    }

    fn answer(&mut self, task: Task, wanted: &Wanted) -> Result<(), Failure> {
        let loaded = self.loaded.iter_mut().find(|loaded| loaded.key == wanted.key);
        let loaded = loaded.ok_or_else(Failure::internal)?;
        match loaded.submit(task, &wanted.source)? {
            Some(unformed) => self.form(unformed, wanted),
            None => Ok(()),
        }
    }

    /// Lets the form of an answer be compiled; its task comes back as an order.
    fn form(&mut self, unformed: Unformed, wanted: &Wanted) -> Result<(), Failure> {
        let Some(orders) = self.orders.upgrade() else {
            // The way back is closed: nobody asks any more, and nobody has to wait.
            let task = unformed.compile()?;
            return self.answer(task, wanted);
        };
        let compiler = match self.compiler.take() {
            Some(compiler) => compiler,
            None => Compiler::start()?,
        };
        self.compiler.insert(compiler).take(unformed, orders)
    }

    /// Tells what a prompt is to its model: by the model that is in memory, or by its files alone.
    fn render(&self, task: Task) -> Result<(), Failure> {
        let source = open::find(&self.hands.store, &task.generate.model)?;
        let loaded = self.loaded.iter().find(|loaded| loaded.key == source.key);
        match loaded {
            Some(loaded) => task.reporter.tell(loaded.render(&task, &source)?),
            None => super::tokens::start(self.hands.store.clone(), source, task)?,
        }
        Ok(())
    }

    /// Has something computed by the encoder under `key`, on a thread of its own.
    fn encode(&self, key: &str, work: impl FnOnce(&Embedder) + Send + 'static) -> Result<(), Failure> {
        let found = self.embedders.iter().find(|(known, _)| known == key);
        let embedder = found.ok_or_else(Failure::internal)?.1.clone();
        let started = std::thread::Builder::new().name("encode".into()).spawn(move || work(&embedder));
        started.map(drop).map_err(|error| Failure::no_thread(&error))
    }

    fn is_busy_with(&self, key: &str) -> bool {
        let is_used = |loaded: &Loaded| loaded.is_busy() || loaded.is_awaited();
        let answers = self.loaded.iter().any(|loaded| loaded.key == key && is_used(loaded));
        answers || self.embedders.iter().any(|(known, held)| known == key && Arc::strong_count(held) > 1)
    }

    fn let_go(&mut self, key: &str) {
        self.loaded.retain(|loaded| loaded.key != key);
        self.embedders.retain(|(known, _)| known != key);
        self.broker.release(key);
        self.has_let_go = true;
        // What is freed and kept would count beside what comes next.
        kernels::machine::memory::give_back_freed();
    }

    fn unload(&mut self, model: &str, reporter: &Reporter) -> Result<(), Failure> {
        let source = open::find(&self.hands.store, model)?;
        let keys = [source.key.clone(), format!("vectors {}", source.key)];
        for key in keys {
            // Who is busy goes when its answers have ended.
            self.broker.touch(&key, Instant::now(), Some(Keep::For(Duration::ZERO)));
        }
        self.drop_expired();
        reporter.tell(Event::Unloaded { model: source.name });
        Ok(())
    }

    fn is_work(&self, key: &str) -> bool {
        self.work.iter().any(|(name, _)| name == key)
    }

    /// What is said of a model that has no room beside what is kept for good.
    fn no_room(&self, name: &str, need: Need, left: u64, kept: &[String]) -> Failure {
        let message = format!(
            "{name} needs {:.2} GiB of memory with a short context, and {:.2} GiB can be had for it",
            gib(need.least),
            gib(left)
        );
        let smaller = "take a smaller model or quantisation (`hearth fit` names one), or raise HEARTH_MEMORY";
        Failure::new("no_room", message, self.way_out(kept).unwrap_or_else(|| smaller.to_owned()))
    }

    /// So too of work.
    fn no_share(&self, wish: &Wish, left: u64, kept: &[String]) -> Failure {
        let message = format!(
            "the {} needs {:.2} GiB of memory, and {:.2} GiB can be had for it",
            wish.name,
            gib(wish.bytes),
            gib(left)
        );
        Failure::new("no_room", message, self.way_out(kept).unwrap_or_else(|| wish.hint.to_owned()))
    }

    /// What would have to go; nothing where nothing could.
    fn way_out(&self, kept: &[String]) -> Option<String> {
        let size = |name: &String| {
            let held = self.broker.held().iter().find(|held| held.name == *name);
            gib(held.map_or(0, |held| held.bytes))
        };
        if let Some(model) = kept.iter().find(|name| !self.is_work(name)) {
            let size = size(model);
            return Some(format!(
                "end what is kept for good, `hearth stop {model}` ({size:.2} GiB), or raise HEARTH_MEMORY"
            ));
        }
        let work = kept.first()?;
        let size = size(work);
        Some(format!(
            "wait until the {work} ({size:.2} GiB) has ended, end it with Ctrl-C (it can go on later), or raise \
             HEARTH_MEMORY"
        ))
    }

    fn describe(&self) -> Memory {
        let now = Instant::now();
        let model = |held: &Held| {
            let loaded = self.loaded.iter().find(|loaded| loaded.key == held.key);
            let (context, n_answers) = loaded.map_or((0, 0), Loaded::describe);
            let (n_pages_used, n_pages) = loaded.map_or((0, 0), Loaded::pages);
            let ends = held.ends().map(|end| end.saturating_duration_since(now));
            LoadedModel {
                name: held.name.clone(),
                key: held.key.clone(),
                size_bytes: held.bytes,
                context,
                n_answers,
                n_pages_used,
                n_pages,
                ends_in_ms: ends.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            }
        };
        let models = self.broker.held().iter().filter(|held| !self.is_work(&held.key));
        let work = |(name, progress): &(String, Arc<Progress>)| {
            Some(progress.describe(name.clone(), self.broker.find(name)?.bytes))
        };
        Memory {
            limit_bytes: self.broker.limit(),
            predicted_bytes: self.broker.n_held(),
            held_bytes: memory::held(),
            models: models.map(model).collect(),
            work: self.work.iter().filter_map(work).collect(),
            n_waiting: self.waiting.len(),
        }
    }
}

/// How long something stays, as somebody said it.
fn keep(keep: job::Keep) -> Keep {
    match keep {
        job::Keep::Seconds(seconds) => Keep::For(Duration::from_secs(seconds)),
        job::Keep::Always => Keep::Always,
    }
}

fn left() -> Failure {
    Failure::new("stopped", "stopped before there was room in the memory", "begin again any time")
}

fn full(n_requests: usize) -> Failure {
    let message = format!("{n_requests} requests are computed or wait already");
    Failure::new("busy", message, "try again a little later")
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

#[cfg(test)]
mod tests;
