//! A session in which everything outside is a script: jobs, typed lines, pipes, streams, Ctrl-C.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use app::event::training::{Report, RunDetails};
use app::event::{Finished, Model, Reason, Started};
use app::{Event, Job, Settings};

use crate::chat::lines::{Lines, Typed};
use crate::configuration::Configured;
use crate::console::{Console, End, Look};
use crate::interrupt::Interrupt;
use crate::jobs::{Cancel, Jobs, RunningJob};
use crate::outcome::Exit;
use crate::program;
use crate::session::{Served, Session, Stdin, World};
use crate::terminal::paint::Color;

/// What happens around a call of the program.
pub struct Script {
    answers: Vec<Vec<Event>>,
    typed: VecDeque<Typed>,
    stdin: Stdin,
    end: End,
    columns: usize,
    interrupted_after: Option<usize>,
    closed_after: Option<usize>,
}

/// What a call of the program did.
pub struct Told {
    pub exit: Exit,
    pub out: String,
    pub err: String,
    pub jobs: Vec<Job>,
    pub is_cancelled: bool,
    /// What the line editor was asked to remember.
    pub remembered: Vec<String>,
    /// What stood before the cursor at each line.
    pub prompts: Vec<String>,
}

impl Script {
    /// 2026-11-20.
    pub const NOW_MS: u64 = 1_795_132_800_000;

    /// Every job tells these events.
    pub fn new(events: impl IntoIterator<Item = Event>) -> Self {
        Self {
            answers: vec![events.into_iter().collect()],
            typed: VecDeque::new(),
            stdin: Stdin::Piped(Box::new(io::empty())),
            end: End::Other,
            columns: 80,
            interrupted_after: None,
            closed_after: None,
        }
    }

    /// The second job tells other events, the third others again; the last are told from then on.
    pub fn then(mut self, events: impl IntoIterator<Item = Event>) -> Self {
        self.answers.push(events.into_iter().collect());
        self
    }

    pub fn piped(mut self, text: &'static str) -> Self {
        self.stdin = Stdin::Piped(Box::new(text.as_bytes()));
        self
    }

    /// All streams are a terminal with colours.
    pub fn on_terminal(mut self) -> Self {
        self.end = End::Terminal;
        self
    }

    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns;
        self
    }

    /// A person types these lines, then Ctrl-D; `^C` is Ctrl-C.
    pub fn types<'a>(mut self, lines: impl IntoIterator<Item = &'a str>) -> Self {
        let typed = |line: &str| if line == "^C" { Typed::Interrupted } else { Typed::Line(line.to_owned()) };
        self.typed = lines.into_iter().map(typed).collect();
        self.stdin = Stdin::Terminal;
        self
    }

    /// Ctrl-C happens after this many events of the first job.
    pub fn interrupted_after(mut self, n_events: usize) -> Self {
        self.interrupted_after = Some(n_events);
        self
    }

    /// Whoever reads stdout leaves after this many writes.
    pub fn closed_after(mut self, n_writes: usize) -> Self {
        self.closed_after = Some(n_writes);
        self
    }

    pub fn run(self, words: &[&str]) -> Told {
        let (out, err) = (Stream::default(), Stream::default());
        out.n_left.set(self.closed_after);
        let look = Look { out: self.end, err: self.end, color: Color::On, columns: self.columns, rows: 24 };
        let play = Rc::new(Play {
            answers: self.answers,
            interrupted_after: self.interrupted_after,
            ..Play::default()
        });
        let typed = Rc::new(RefCell::new(self.typed));
        let (at_open, at_edit, at_listen) = (play.clone(), play.clone(), play.clone());
        let at_server = play.clone();
        let world = World {
            console: Console::new(Box::new(out.clone()), Box::new(err.clone()), look),
            stdin: self.stdin,
            settings: Ok(Settings::default()),
            open: Box::new(move |_| Ok(Box::new(ScriptedJobs { play: at_open.clone() }))),
            configure: Arc::new(|| Ok(Configured::default())),
            serve: Box::new(|plan, tell| {
                let settings = plan()?.server;
                let urls = settings.addresses.iter().map(|address| format!("http://{address}")).collect();
                tell(&Served { urls, house: None });
                Ok(())
            }),
            find_server: Box::new(move |_, job| {
                Ok(Some(ScriptedJobs { play: at_server.clone() }.start(job.clone())))
            }),
            edit: Box::new(move || {
                Ok(Box::new(ScriptedLines { typed: typed.clone(), play: at_edit.clone() }))
            }),
            listen: Box::new(move |interrupt| drop(at_listen.interrupt.replace(interrupt.clone()))),
            elapsed_ms: ticking(),
            now_ms: Self::NOW_MS,
        };
        let words = ["hearth"].iter().chain(words).map(OsString::from);
        let exit = program::main(words, &mut Session::new(world));
        Told {
            exit,
            out: out.text(),
            err: err.text(),
            jobs: play.jobs.take(),
            is_cancelled: play.is_cancelled.load(Ordering::SeqCst),
            remembered: play.remembered.take(),
            prompts: play.prompts.take(),
        }
    }
}

/// A clock that goes on by a second whenever somebody looks.
fn ticking() -> Rc<dyn Fn() -> u64> {
    let now_ms = Cell::new(0);
    Rc::new(move || now_ms.replace(now_ms.get() + 1000))
}

/// An answer of these pieces, from its start to its end.
pub fn answer(pieces: &[&str]) -> Vec<Event> {
    let started = Started {
        model: "tiny:latest".into(),
        context: 512,
        n_prompt_tokens: 3,
        prompt_tokens: Vec::new(),
        seed: 42,
        sampling: app::job::Sampling::usual(),
    };
    let texts = pieces.iter().map(|text| Event::Text { text: (*text).to_owned() });
    [Event::Started(started)]
        .into_iter()
        .chain(texts)
        .chain([Event::Finished(finished(Reason::Stop))])
        .collect()
}

pub fn finished(reason: Reason) -> Finished {
    Finished {
        reason,
        stop_text: None,
        n_prompt_tokens: 3,
        n_found_tokens: 0,
        n_generated_tokens: 41,
        n_thinking_tokens: 0,
        load_ms: 12.0,
        prompt_ms: 6.0,
        generate_ms: 80.0,
        timing: Vec::new(),
    }
}

pub fn model(name: &str) -> Model {
    Model {
        name: name.into(),
        digest: "sha256:0123456789abcdef0123456789abcdef".into(),
        size_bytes: 1_060_000,
        created_ms: Script::NOW_MS,
        architecture: "llama".into(),
        place: String::new(),
        is_pinned: false,
        n_versions: 1,
        adapter: None,
    }
}

/// A run called `run`, as it is after its end.
pub fn run_details(run: &str) -> RunDetails {
    let knob = |name: &str, value: &str, reason: &str| serde_json::json!({ "name": name, "value": value, "reason": reason });
    let record = serde_json::json!({
        "version": 1, "run": run, "name": "stories:latest", "began_unix_ms": Script::NOW_MS - 3_600_000,
        "hearth": "0.1.0", "isa": "avx512", "n_threads": 2, "data": "/texts\u{1b}[2J",
        "data_digest": "sha256:0123", "n_documents": 1200, "n_training_tokens": 240_000,
        "n_held_out_tokens": 12_000, "vocabulary": "learned", "knobs": { "size": "nano" }, "watch": {},
        "plan": {
            "sizes": { "family": "llama", "biases": false, "vocabulary": 512, "width": 64, "layers": 2, "heads": 2, "kv_heads": 2,
                "feed_forward": 192, "context": 64 },
            "settings": { "steps": 400, "length": 64, "batch": 16, "accumulation": 1, "learning_rate": 0.003,
                "last_learning_rate": 0.0003, "warm_up": 20, "schedule": "cosine", "beta_1": 0.9,
                "beta_2": 0.95, "epsilon": 1e-8, "weight_decay": 0.1, "clip": 1.0, "precision": "f32",
                "segments": 1, "seed": 1 },
            "derived": [
                knob("width", "64", "what `--size nano` stands for"),
                knob("steps", "400", "4 passes over 240000 tokens, 1024 a step; more of the same teaches little"),
            ],
        },
        "steps": 400, "seconds": 83.2, "loss": 2.5, "ending": "done",
        "best": { "step": 380, "loss": 2.6, "perplexity": 13.46, "is_best": true },
        "fingerprint": { "files": [] },
    });
    let report = |step: u64| Report {
        step,
        loss: 2.0 + 4.0 / (step as f64).sqrt(),
        gradient_norm: 0.5,
        learning_rate: 0.003,
    };
    RunDetails {
        record: serde_json::from_value(record).expect("a record"),
        folder: PathBuf::from("/home/runs").join(run),
        curve: (1..=400).map(report).collect(),
        held_out: Vec::new(),
    }
}

/// What is shared between the script's parts.
#[derive(Default)]
struct Play {
    answers: Vec<Vec<Event>>,
    interrupted_after: Option<usize>,
    interrupt: RefCell<Interrupt>,
    jobs: RefCell<Vec<Job>>,
    is_cancelled: Arc<AtomicBool>,
    remembered: RefCell<Vec<String>>,
    prompts: RefCell<Vec<String>>,
}

struct ScriptedJobs {
    play: Rc<Play>,
}

impl Jobs for ScriptedJobs {
    fn start(&self, job: Job) -> Box<dyn RunningJob> {
        let mut jobs = self.play.jobs.borrow_mut();
        let at = jobs.len();
        jobs.push(job);
        let events = self.play.answers[at.min(self.play.answers.len() - 1)].clone();
        let interrupted_after = self.play.interrupted_after.filter(|_| at == 0);
        self.play.is_cancelled.store(false, Ordering::SeqCst);
        Box::new(Scripted { events: events.into(), interrupted_after, n_told: 0, play: self.play.clone() })
    }
}

struct Scripted {
    events: VecDeque<Event>,
    interrupted_after: Option<usize>,
    n_told: usize,
    play: Rc<Play>,
}

impl RunningJob for Scripted {
    fn canceller(&self) -> Cancel {
        let is_cancelled = self.play.is_cancelled.clone();
        Box::new(move || is_cancelled.store(true, Ordering::SeqCst))
    }
}

impl Iterator for Scripted {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.interrupted_after == Some(self.n_told) {
            self.play.interrupt.borrow().raise();
        }
        self.n_told += 1;
        if self.play.is_cancelled.load(Ordering::SeqCst) && !self.events.is_empty() {
            let last = self.events.drain(..).next_back();
            let stopped = last.filter(|last| matches!(last, Event::Trained(_)));
            return Some(stopped.unwrap_or_else(|| Event::Finished(finished(Reason::Cancelled))));
        }
        self.events.pop_front()
    }
}

struct ScriptedLines {
    typed: Rc<RefCell<VecDeque<Typed>>>,
    play: Rc<Play>,
}

impl Lines for ScriptedLines {
    fn read(&mut self, prompt: &str) -> io::Result<Typed> {
        self.play.prompts.borrow_mut().push(prompt.to_owned());
        Ok(self.typed.borrow_mut().pop_front().unwrap_or(Typed::End))
    }

    fn remember(&mut self, entry: &str) {
        self.play.remembered.borrow_mut().push(entry.to_owned());
    }
}

/// A stream that keeps what it is given, until nobody reads it.
#[derive(Clone, Default)]
struct Stream {
    bytes: Rc<RefCell<Vec<u8>>>,
    n_left: Rc<Cell<Option<usize>>>,
}

impl Stream {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.take()).expect("the program writes text")
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.n_left.get() {
            Some(0) => return Err(io::ErrorKind::BrokenPipe.into()),
            left => self.n_left.set(left.map(|left| left - 1)),
        }
        self.bytes.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
