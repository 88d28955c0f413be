//! The one thread pool of the process. A caller hands it tasks numbered from 0, takes part itself, and comes
//! back when all are done; several callers may do so at once.
//!
//! Not a scheduler of jobs or requests, and no task may wait for another. What a task computes must not
//! depend on who runs it: the pool promises no order and no placement.
//!
//! Workers look for the next work for a few tens of microseconds before they sleep, because a model's forward
//! pass comes back that often; with more threads than cores they sleep at once.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};

/// Who goes first when several callers want the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Work that nobody is waiting for: training, indexing. Its threads make room for interactive work at the
    /// next task.
    Batch,
    /// Work that somebody is waiting for; the default.
    Interactive,
}

/// The most threads that a pool takes, whatever is asked.
pub const MAX_THREADS: usize = 1024;

/// How often an idle thread looks before it sleeps: about 50 µs at 50 ns a look.
const LOOKS_BEFORE_SLEEP: usize = 1000;

/// Threads that do batch work, in the pool or between two of their calls to it.
static N_BATCH: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PRIORITY: Cell<Priority> = const { Cell::new(Priority::Interactive) };
    static IS_IN_TASK: Cell<bool> = const { Cell::new(false) };
}

/// The pool of the process, with as many threads as the machine offers until [`set_active_threads`] says
/// otherwise.
pub fn global() -> &'static Pool {
    static GLOBAL: OnceLock<Pool> = OnceLock::new();
    GLOBAL.get_or_init(|| Pool::new(n_cores()))
}

/// Runs `task(0)` to `task(n_tasks - 1)` on the pool of the process; see [`Pool::run`].
pub fn run(n_tasks: usize, task: &(dyn Fn(usize) + Sync)) {
    global().run(n_tasks, task);
}

/// Cuts `0..n_items` into ranges of `grain` items (the last may be shorter) and runs `task` on each.
pub fn run_ranges(n_items: usize, grain: usize, task: &(dyn Fn(Range<usize>) + Sync)) {
    let grain = grain.max(1);
    run(n_items.div_ceil(grain), &|index| {
        let start = index * grain;
        task(start..n_items.min(start + grain));
    });
}

/// Lets `n_threads` threads (the caller is one of them) take part from now on, in the pool of the process.
/// 0 counts as 1; more threads than cores are allowed, up to [`MAX_THREADS`].
pub fn set_active_threads(n_threads: usize) {
    global().set_active_threads(n_threads);
}

/// How many threads take part, the caller included.
pub fn active_threads() -> usize {
    global().active_threads()
}

/// Runs `work` with this thread's calls to the pool at `priority`.
pub fn with_priority<R>(priority: Priority, work: impl FnOnce() -> R) -> R {
    let _restore = Restore { cell: &PRIORITY, before: PRIORITY.replace(priority) };
    let _counted = (priority == Priority::Batch).then(BatchWork::begin);
    work()
}

/// Whether a thread does batch work now, in the pool or between two of its calls to it.
pub fn has_batch_work() -> bool {
    N_BATCH.load(Ordering::Relaxed) > 0
}

/// Does `work` while no batch task begins in the pool of the process; see [`Pool::hold_back_batch`].
pub fn hold_back_batch<R>(work: impl FnOnce() -> R) -> R {
    global().hold_back_batch(work)
}

/// A pool of threads. The process has one, [`global`]; others exist in tests.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Mutex<Vec<thread::JoinHandle<()>>>,
}

struct Shared {
    open: Mutex<Vec<Arc<Job>>>,
    /// Rises, under the lock of `open`, whenever there is something new to look at.
    news: AtomicUsize,
    wake: Condvar,
    /// Told when no interactive work is left while there is batch work.
    quiet: Condvar,
    /// Threads that take part, the caller included.
    n_active: AtomicUsize,
    /// Open jobs of [`Priority::Interactive`], and times for which batch work is held back; falls under the
    /// lock of `open`.
    n_interactive: AtomicUsize,
    is_closing: AtomicBool,
}

/// A task with its lifetime forgotten; [`Pool::run`] does not return while anybody may still call it.
struct Task(*const (dyn Fn(usize) + Sync));

// SAFETY: what it points to is `Sync`, so it may be called from any thread.
unsafe impl Send for Task {}
// SAFETY: as above.
unsafe impl Sync for Task {}

struct Job {
    task: Task,
    n_tasks: usize,
    n_claimed: AtomicUsize,
    n_done: AtomicUsize,
    priority: Priority,
    has_panicked: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    caller: Thread,
}

impl Pool {
    /// A pool in which `n_threads` threads take part, the caller included. Workers start when they are first
    /// needed.
    pub fn new(n_threads: usize) -> Self {
        let shared = Shared {
            open: Mutex::new(Vec::new()),
            news: AtomicUsize::new(0),
            wake: Condvar::new(),
            quiet: Condvar::new(),
            n_active: AtomicUsize::new(n_threads.clamp(1, MAX_THREADS)),
            n_interactive: AtomicUsize::new(0),
            is_closing: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), workers: Mutex::new(Vec::new()) }
    }

    /// How many threads take part, the caller included.
    pub fn active_threads(&self) -> usize {
        self.shared.n_active.load(Ordering::Relaxed)
    }

    /// Lets `n_threads` threads take part from now on; work already begun ends with the threads that it has.
    pub fn set_active_threads(&self, n_threads: usize) {
        self.shared.n_active.store(n_threads.clamp(1, MAX_THREADS), Ordering::Relaxed);
        let open = self.shared.lock();
        self.shared.tell(open);
    }

    /// Runs `task(0)` to `task(n_tasks - 1)`, each once, on this thread and the workers, and returns when all
    /// are done. A call from inside a task runs its tasks one after the other on the same thread.
    ///
    /// # Panics
    /// With the first panic of a task, after the tasks in flight have ended; the remaining ones are skipped.
    /// The pool itself stays usable.
    pub fn run(&self, n_tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        if IS_IN_TASK.get() {
            return (0..n_tasks).for_each(task);
        }
        if n_tasks <= 1 || self.active_threads() == 1 {
            return (0..n_tasks).for_each(|index| {
                self.shared.wait_behind_interactive(PRIORITY.get());
                task(index);
            });
        }
        self.start_workers();
        let job = Arc::new(Job::new(n_tasks, task));
        self.shared.open(&job);
        self.shared.work_as_caller(&job);
        job.wait(self.shared.n_looks());
        let panic = lock(&job.panic).take();
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// Does `work`, and begins no batch task meanwhile: not between the calls of `work` to the pool either, of
    /// which a forward pass has hundreds, and each would wait for the batch tasks that slipped in before it.
    /// Batch tasks that run already come to their end.
    pub fn hold_back_batch<R>(&self, work: impl FnOnce() -> R) -> R {
        self.shared.n_interactive.fetch_add(1, Ordering::Relaxed);
        let _held = HeldBack(&self.shared);
        work()
    }

    fn start_workers(&self) {
        let mut workers = lock(&self.workers);
        for index in workers.len()..self.active_threads() - 1 {
            let shared = Arc::clone(&self.shared);
            let started =
                thread::Builder::new().name(format!("pool-{index}")).spawn(move || shared.serve(index));
            // Without another thread the work is still done, by those that there are.
            let Ok(worker) = started else { return };
            workers.push(worker);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.is_closing.store(true, Ordering::Relaxed);
        self.shared.tell(self.shared.lock());
        for worker in lock(&self.workers).drain(..) {
            // A worker catches the panics of its tasks and has none of its own.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Job>>> {
        lock(&self.open)
    }

    fn tell(&self, open: MutexGuard<'_, Vec<Arc<Job>>>) {
        self.news.fetch_add(1, Ordering::Release);
        drop(open);
        self.wake.notify_all();
    }

    fn n_looks(&self) -> usize {
        if self.n_active.load(Ordering::Relaxed) > n_cores() { 0 } else { LOOKS_BEFORE_SLEEP }
    }

    fn open(&self, job: &Arc<Job>) {
        let mut open = self.lock();
        open.push(Arc::clone(job));
        if job.priority == Priority::Interactive {
            self.n_interactive.fetch_add(1, Ordering::Relaxed);
        }
        self.tell(open);
    }

    /// Takes a job whose tasks are all claimed off the list; whoever notices first does it.
    fn close(&self, job: &Arc<Job>) {
        let mut open = self.lock();
        let Some(place) = open.iter().position(|other| Arc::ptr_eq(other, job)) else { return };
        open.remove(place);
        if job.priority == Priority::Interactive {
            self.end_interactive(open);
        }
    }

    /// Notes that interactive work has ended; behind the last one batch work goes on.
    fn end_interactive(&self, open: MutexGuard<'_, Vec<Arc<Job>>>) {
        if self.n_interactive.fetch_sub(1, Ordering::Relaxed) == 1 && has_batch_work() {
            self.quiet.notify_all();
            self.tell(open);
        }
    }

    /// The oldest of the open jobs with the highest priority.
    fn best(&self, lowest: Priority) -> Option<Arc<Job>> {
        let open = self.lock();
        let mut best: Option<&Arc<Job>> = None;
        for job in open.iter().filter(|job| job.priority >= lowest) {
            if best.is_none_or(|best| best.priority < job.priority) {
                best = Some(job);
            }
        }
        best.cloned()
    }

    /// The life of worker `index`.
    fn serve(&self, index: usize) {
        while !self.is_closing.load(Ordering::Relaxed) {
            let seen = self.news.load(Ordering::Acquire);
            let takes_part = index + 1 < self.n_active.load(Ordering::Relaxed);
            match self.best(self.lowest()).filter(|_| takes_part) {
                Some(job) => self.work_on(&job),
                None => self.sleep(seen, if takes_part { self.n_looks() } else { 0 }),
            }
        }
    }

    fn sleep(&self, seen: usize, n_looks: usize) {
        for _ in 0..n_looks {
            if self.news.load(Ordering::Acquire) != seen {
                return;
            }
            std::hint::spin_loop();
        }
        let mut open = self.lock();
        while self.news.load(Ordering::Acquire) == seen {
            open = self.wake.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What may be begun now.
    fn lowest(&self) -> Priority {
        match self.n_interactive.load(Ordering::Relaxed) {
            0 => Priority::Batch,
            _ => Priority::Interactive,
        }
    }

    /// Runs tasks of `job` until none is left or interactive work has come.
    fn work_on(&self, job: &Arc<Job>) {
        while job.priority >= self.lowest() {
            if !job.run_one() {
                return self.close(job);
            }
        }
    }

    /// Runs tasks of `job` until none is left, and sleeps while interactive work has the pool: that has a
    /// thread for each core without this one.
    fn work_as_caller(&self, job: &Arc<Job>) {
        loop {
            self.work_on(job);
            if job.is_all_claimed() {
                return;
            }
            self.wait_behind_interactive(job.priority);
        }
    }

    /// Sleeps for as long as work of this priority may not begin.
    fn wait_behind_interactive(&self, priority: Priority) {
        if priority >= self.lowest() {
            return;
        }
        let mut open = self.lock();
        while priority < self.lowest() {
            open = self.quiet.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Job {
    fn new(n_tasks: usize, task: &(dyn Fn(usize) + Sync)) -> Self {
        // SAFETY: only the lifetime changes. `run_one` calls the task only between claiming an index and
        // counting it done, and `Pool::run`, which holds the borrow, waits until all indices are counted.
        let task = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(
                task,
            )
        };
        Self {
            task: Task(task),
            n_tasks,
            n_claimed: AtomicUsize::new(0),
            n_done: AtomicUsize::new(0),
            priority: PRIORITY.get(),
            has_panicked: AtomicBool::new(false),
            panic: Mutex::new(None),
            caller: thread::current(),
        }
    }

    fn is_all_claimed(&self) -> bool {
        self.n_claimed.load(Ordering::Relaxed) >= self.n_tasks
    }

    /// Claims a task and runs it; false when none was left.
    fn run_one(&self) -> bool {
        if self.is_all_claimed() {
            return false;
        }
        let index = self.n_claimed.fetch_add(1, Ordering::Relaxed);
        if index >= self.n_tasks {
            return false;
        }
        if !self.has_panicked.load(Ordering::Relaxed) {
            self.run_task(index);
        }
        // The last one to finish wakes the caller; from here on only the job itself may be touched, not the
        // task.
        if self.n_done.fetch_add(1, Ordering::AcqRel) + 1 == self.n_tasks {
            self.caller.unpark();
        }
        true
    }

    fn run_task(&self, index: usize) {
        // SAFETY: `index` is claimed and not yet counted as done, so the borrow behind the pointer still
        // lives.
        let task = unsafe { &*self.task.0 };
        let restore = Restore { cell: &IS_IN_TASK, before: IS_IN_TASK.replace(true) };
        let outcome = catch_unwind(AssertUnwindSafe(|| task(index)));
        drop(restore);
        if let Err(payload) = outcome {
            self.has_panicked.store(true, Ordering::Relaxed);
            lock(&self.panic).get_or_insert(payload);
        }
    }

    fn wait(&self, n_looks: usize) {
        let is_done = || self.n_done.load(Ordering::Acquire) == self.n_tasks;
        for _ in 0..n_looks {
            if is_done() {
                return;
            }
            std::hint::spin_loop();
        }
        while !is_done() {
            thread::park();
        }
    }
}

/// A time for which batch work is held back; it ends also when a panic passes.
struct HeldBack<'a>(&'a Shared);

impl Drop for HeldBack<'_> {
    fn drop(&mut self) {
        self.0.end_interactive(self.0.lock());
    }
}

/// A thread that does batch work.
struct BatchWork;

impl BatchWork {
    fn begin() -> Self {
        N_BATCH.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for BatchWork {
    fn drop(&mut self) {
        N_BATCH.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Puts a thread-local value back, also when a panic passes.
struct Restore<T: Copy + 'static> {
    cell: &'static thread::LocalKey<Cell<T>>,
    before: T,
}

impl<T: Copy + 'static> Drop for Restore<T> {
    fn drop(&mut self) {
        self.cell.set(self.before);
    }
}

/// Nothing that can panic runs under these locks, so a poisoned one is as good as a sound one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn n_cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;

    fn check_every_task_once(pool: &Pool, n_tasks: usize) {
        let counts: Vec<AtomicUsize> = (0..n_tasks).map(|_| AtomicUsize::new(0)).collect();
        pool.run(n_tasks, &|index| {
            counts[index].fetch_add(1, Ordering::Relaxed);
        });
        assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }

    #[test]
    fn every_task_runs_once_for_any_number_of_tasks_and_threads() {
        for n_threads in [1, 2, 3, 5, 9] {
            let pool = Pool::new(n_threads);
            for n_tasks in [0, 1, 2, 3, 7, 64, 1000] {
                check_every_task_once(&pool, n_tasks);
            }
        }
    }

    #[test]
    fn many_callers_with_changing_thread_counts_lose_nothing() {
        let pool = Pool::new(4);
        thread::scope(|scope| {
            for caller in 0..6 {
                let pool = &pool;
                scope.spawn(move || {
                    let mut rng = Rng::new(caller);
                    for _ in 0..400 {
                        let priority = [Priority::Batch, Priority::Interactive][rng.below(2)];
                        with_priority(priority, || check_every_task_once(pool, rng.below(40)));
                        if rng.below(10) == 0 {
                            pool.set_active_threads(1 + rng.below(6));
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_reaches_its_caller_alone_and_the_pool_lives_on() {
        let pool = Pool::new(3);
        thread::scope(|scope| {
            scope.spawn(|| (0..200).for_each(|_| check_every_task_once(&pool, 20)));
            for round in 0..50 {
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    pool.run(20, &|index| assert_ne!(index, round % 20, "task fell"));
                }));
                let payload = outcome.expect_err("one task panics");
                let text = payload.downcast_ref::<String>().expect("assert_ne! panics with a String");
                assert!(text.contains("task fell"));
                check_every_task_once(&pool, 20);
            }
        });
    }

    #[test]
    fn a_nested_call_runs_inline() {
        let pool = Pool::new(4);
        let total = AtomicUsize::new(0);
        pool.run(8, &|_| {
            let outer = thread::current().id();
            pool.run(8, &|_| {
                assert_eq!(thread::current().id(), outer);
                total.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(total.into_inner(), 64);
    }

    #[test]
    fn two_threads_take_part_at_once() {
        let pool = Pool::new(2);
        let meeting = std::sync::Barrier::new(2);
        // Would hang if one thread ran both tasks.
        pool.run(2, &|_| {
            meeting.wait();
        });
    }

    #[test]
    fn interactive_work_is_taken_before_batch_work() {
        // One worker; a batch caller holds it with many small tasks. Once the interactive job is open, no
        // thread begins a batch task until all interactive tasks are claimed.
        let pool = Pool::new(2);
        let order = Mutex::new(Vec::new());
        let has_opened = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                with_priority(Priority::Batch, || {
                    pool.run(200, &|index| {
                        if index == 4 {
                            while !has_opened.load(Ordering::Acquire) {
                                thread::yield_now();
                            }
                        }
                        lock(&order).push(Priority::Batch);
                    });
                });
            });
            pool.run(40, &|_| {
                lock(&order).push(Priority::Interactive);
                has_opened.store(true, Ordering::Release);
            });
        });
        let order = lock(&order);
        let interactive: Vec<usize> =
            (0..order.len()).filter(|place| order[*place] == Priority::Interactive).collect();
        // Of the last, each of three threads may have claimed one and not have said so yet, while the batch goes on.
        let between = interactive[36] - interactive[0] - 36;
        // Each of the two other threads may have had one batch task in flight.
        assert!(between <= 2, "{between} batch tasks between interactive ones");
    }

    #[test]
    fn held_back_batch_work_begins_no_task_between_interactive_calls_and_goes_on_afterwards() {
        let pool = Pool::new(2);
        let (n_done, is_held) = (AtomicUsize::new(0), AtomicBool::new(false));
        let wait_until = |is_so: &dyn Fn() -> bool| {
            while !is_so() {
                thread::yield_now();
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                with_priority(Priority::Batch, || {
                    assert!(has_batch_work());
                    pool.run(200, &|index| {
                        if index >= 4 {
                            wait_until(&|| is_held.load(Ordering::Acquire));
                        }
                        n_done.fetch_add(1, Ordering::AcqRel);
                    });
                });
            });
            wait_until(&|| n_done.load(Ordering::Acquire) > 0);
            pool.hold_back_batch(|| {
                is_held.store(true, Ordering::Release);
                for _ in 0..200 {
                    check_every_task_once(&pool, 3);
                    thread::yield_now();
                }
                // The first four, and what its two threads had begun by then.
                assert!(n_done.load(Ordering::Acquire) <= 6, "{n_done:?}");
            });
        });
        assert_eq!(n_done.into_inner(), 200);
    }

    #[test]
    fn ranges_cover_everything_once() {
        for (n_items, grain) in [(0, 3), (1, 3), (9, 3), (10, 3), (5, 0)] {
            let seen: Vec<AtomicUsize> = (0..n_items).map(|_| AtomicUsize::new(0)).collect();
            run_ranges(n_items, grain, &|range| {
                for item in range {
                    seen[item].fetch_add(1, Ordering::Relaxed);
                }
            });
            assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        }
    }
}
