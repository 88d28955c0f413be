//! Forms of answers, compiled on a thread where nobody's answer waits for it, and kept for those who ask for the same
//! again.
//!
//! To compile a form takes up to a second. A task whose form is not known goes to the thread and comes back to the worker
//! as an order with its form; the others go on meanwhile. One form is compiled at a time, so that what is made to be
//! expensive takes the time and the memory of one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use text::Tokenizer;
use text::answer::Format;
use text::grammar::{Plan, Vocabulary};

use super::{Order, Task, form};
use crate::job::Generate;
use crate::{Event, Failure};

/// Forms of one model that are kept. Each may take as much memory as a grammar may.
const MOST_KEPT: usize = 8;
/// Tasks that may wait for their form.
const MOST_WAITING: usize = 256;

/// What the answer to a task is held to, as far as that is known.
#[derive(Default)]
pub(crate) enum Form {
    /// Nobody looked yet.
    #[default]
    Unknown,
    /// It is compiled; absent where nothing holds the answer.
    Compiled {
        plan: Option<Plan>,
        /// Keeps the model from leaving before the answer begins.
        of: Option<Arc<Forms>>,
    },
}

impl Form {
    /// Lets the model leave: the answer begins when it is there again.
    pub fn let_go(&mut self) {
        if let Self::Compiled { of, .. } = self {
            *of = None;
        }
    }
}

/// The forms of one model's answers.
pub(crate) struct Forms {
    tokenizer: Arc<Tokenizer>,
    /// The tokens as grammars see them, once an answer had to have a form.
    vocabulary: OnceLock<Vocabulary>,
    /// What was compiled, by what it was made of; what was asked for last stands last.
    kept: Mutex<Vec<(String, Option<Plan>)>>,
}

impl Forms {
    pub fn new(tokenizer: Arc<Tokenizer>) -> Self {
        Self { tokenizer, vocabulary: OnceLock::new(), kept: Mutex::new(Vec::new()) }
    }

    /// What was made of `key` before.
    pub fn find(&self, key: &str) -> Option<Option<Plan>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == key)?;
        let found = kept.remove(at);
        let plan = found.1.clone();
        kept.push(found);
        Some(plan)
    }

    /// The form of an answer in `format`: what was made before, or a new one, which is kept.
    ///
    /// # Errors
    /// A form that cannot be kept, and calls that cannot be forced.
    pub fn compile(&self, generate: &Generate, format: &'static Format) -> Result<Option<Plan>, Failure> {
        let key = form::key(generate, format);
        if let Some(plan) = self.find(&key) {
            return Ok(plan);
        }
        let plan = form::plan(generate, format, &self.tokenizer, self.vocabulary()?)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((key, plan.clone()));
        let n_over = kept.len().saturating_sub(MOST_KEPT);
        kept.drain(..n_over);
        Ok(plan)
    }

    fn vocabulary(&self) -> Result<&Vocabulary, Failure> {
        if let Some(vocabulary) = self.vocabulary.get() {
            return Ok(vocabulary);
        }
        let made = Vocabulary::new(&self.tokenizer)?;
        Ok(self.vocabulary.get_or_init(|| made))
    }
}

/// A task whose form has to be compiled.
pub(crate) struct Unformed {
    pub task: Task,
    pub forms: Arc<Forms>,
    pub format: &'static Format,
}

impl Unformed {
    /// The same task with its form.
    ///
    /// # Errors
    /// What [`Forms::compile`] names.
    pub fn compile(mut self) -> Result<Task, Failure> {
        let compile = || self.forms.compile(&self.task.generate, self.format);
        // A bug of ours ends the job and not the thread.
        let plan = catch_unwind(AssertUnwindSafe(compile)).unwrap_or_else(|_| Err(Failure::internal()))?;
        self.task.form = Form::Compiled { plan, of: Some(self.forms) };
        Ok(self.task)
    }
}

/// A task, and where it goes when it has its form.
type Work = (Unformed, Arc<Sender<Order>>);

/// The thread that compiles.
pub(crate) struct Compiler(SyncSender<Work>);

impl Compiler {
    /// Starts it; it ends with this value.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start() -> Result<Self, Failure> {
        let (sender, work) = sync_channel(MOST_WAITING);
        let started = std::thread::Builder::new().name("forms".into()).spawn(move || run(&work));
        started.map(|_| Self(sender)).map_err(|error| Failure::no_thread(&error))
    }

    /// Lets a task have its form and go on to `orders`.
    ///
    /// # Errors
    /// When too many wait already.
    pub fn take(&self, unformed: Unformed, orders: Arc<Sender<Order>>) -> Result<(), Failure> {
        self.0.try_send((unformed, orders)).map_err(|error| match error {
            TrySendError::Full(_) => {
                let message = format!("{MOST_WAITING} requests wait for their form already");
                Failure::new("busy", message, "try again a little later")
            }
            TrySendError::Disconnected(_) => Failure::internal(),
        })
    }
}

fn run(work: &Receiver<Work>) {
    for (unformed, orders) in work {
        let reporter = unformed.task.reporter.clone();
        if reporter.is_cancelled() {
            let message = "stopped before the form of its answer was ready";
            reporter.tell(Event::Failed(Failure::new("stopped", message, "begin again any time")));
            continue;
        }
        let sent = unformed
            .compile()
            .and_then(|task| orders.send(Order::Generate(Box::new(task))).map_err(|_| Failure::internal()));
        if let Err(failure) = sent {
            reporter.tell(Event::Failed(failure));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::caller::Caller;
    use crate::job::{Constraint, Prompt};
    use crate::running::Running;
    use text::answer::format_of;
    use text::{VocabularyKind, VocabularyParts};

    fn forms() -> Arc<Forms> {
        let mut parts = VocabularyParts::new(VocabularyKind::Spm, Vec::new());
        parts.tokens = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
        parts.scores = vec![0.0; parts.tokens.len()];
        Arc::new(Forms::new(Arc::new(Tokenizer::from_parts(parts).unwrap())))
    }

    fn asked(regex: &str) -> Generate {
        let constraint = Some(Constraint::Regex(regex.into()));
        Generate { constraint, ..Generate::new("m", Prompt::Raw(String::new())) }
    }

    fn unformed(forms: &Arc<Forms>, regex: &str) -> (Unformed, Running) {
        let (running, reporter) = Running::new();
        let (generate, caller, form) = (asked(regex), Caller::default(), Form::Unknown);
        let task = Task { generate, caller, now_unix_ms: 0, drawn_seed: 0, form, reporter };
        (Unformed { task, forms: forms.clone(), format: format_of("") }, running)
    }

    #[test]
    fn the_last_forms_are_kept_by_what_they_are_made_of() {
        let (forms, format) = (forms(), format_of(""));
        let is_kept = |n: usize| forms.find(&form::key(&asked(&"a".repeat(n)), format)).is_some();
        for n in 1..=MOST_KEPT {
            assert!(!is_kept(n));
            forms.compile(&asked(&"a".repeat(n)), format).unwrap();
            assert!(is_kept(n));
        }
        // The first was asked for again just now, so that the second is the oldest.
        assert!(is_kept(1));
        forms.compile(&asked("b"), format).unwrap();
        assert!(is_kept(1) && !is_kept(2) && is_kept(3));
        assert!(forms.compile(&asked("("), format).is_err());
        assert!(forms.find(&form::key(&asked("("), format)).is_none(), "what failed is not kept");
    }

    #[test]
    fn tasks_come_back_with_their_form_and_those_that_fail_are_told() {
        let (forms, compiler) = (forms(), Compiler::start().unwrap());
        let (orders, worker) = channel();
        let orders = Arc::new(orders);
        let (bad, mut told) = unformed(&forms, "(");
        let (left, mut listener) = unformed(&forms, "a");
        listener.cancel();
        let (good, _waits) = unformed(&forms, "ab");
        for work in [bad, left, good] {
            compiler.take(work, orders.clone()).unwrap();
        }
        let Ok(Order::Generate(task)) = worker.recv() else { panic!("an order comes back") };
        assert_eq!(task.generate, asked("ab"));
        assert!(matches!(task.form, Form::Compiled { plan: Some(_), of: Some(_) }));
        let code = |running: &mut Running| match running.next() {
            Some(Event::Failed(failure)) => failure.code,
            other => panic!("{other:?}"),
        };
        assert_eq!((code(&mut told), code(&mut listener)), ("bad_grammar".into(), "stopped".into()));
        drop((compiler, orders, task));
        assert!(worker.recv().is_err(), "nothing else holds the way back");
    }
}
