//! What the server counts, as Prometheus reads it.
//!
//! Source: the Prometheus documentation, "Exposition formats" (text format 0.0.4) and "Metric and label naming".

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use app::Event;
use app::event::loaded::Memory;

/// Upper bounds of the classes of times, in seconds.
const BOUNDS_S: [f64; 14] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0];

/// How often times fell into classes.
#[derive(Default)]
pub struct Histogram {
    classes: [AtomicU64; BOUNDS_S.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    pub fn add(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        if let Some(class) = BOUNDS_S.iter().position(|bound| seconds <= *bound) {
            self.classes[class].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn write(&self, name: &str, help: &str, out: &mut String) {
        header(name, "histogram", help, out);
        let mut below = 0;
        for (bound, class) in BOUNDS_S.iter().zip(&self.classes) {
            below += class.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {below}");
        }
        let count = self.count.load(Ordering::Relaxed).max(below);
        let sum_s = self.sum_us.load(Ordering::Relaxed) as f64 / 1e6;
        let _ =
            writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum_s}\n{name}_count {count}");
    }
}

/// What the server counts.
#[derive(Default)]
pub struct Metrics {
    /// Requests by the first digit of their status.
    pub by_status: [AtomicU64; 6],
    pub connections: AtomicU64,
    pub answers: AtomicU64,
    pub failures: AtomicU64,
    pub cancelled: AtomicU64,
    pub prompt_tokens: AtomicU64,
    pub found_tokens: AtomicU64,
    pub answer_tokens: AtomicU64,
    pub queue: Histogram,
    pub first_token: Histogram,
    pub between_tokens: Histogram,
    pub pictures: AtomicU64,
    pub drawing_step: Histogram,
    /// Requests that are being answered.
    pub open: AtomicU64,
}

impl Metrics {
    /// All figures, with what is in memory.
    pub fn text(&self, memory: &Memory) -> String {
        let mut out = String::new();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        header("hearth_requests_total", "counter", "Requests by the first digit of their status.", &mut out);
        for (digit, counter) in self.by_status.iter().enumerate().skip(1) {
            let _ = writeln!(out, "hearth_requests_total{{status=\"{digit}xx\"}} {}", count(counter));
        }
        let counters = [
            ("hearth_answers_total", "Answers that were given to their end.", count(&self.answers)),
            ("hearth_answers_failed_total", "Answers that failed.", count(&self.failures)),
            ("hearth_answers_cancelled_total", "Answers that somebody ended early.", count(&self.cancelled)),
            ("hearth_prompt_tokens_total", "Tokens of prompts.", count(&self.prompt_tokens)),
            (
                "hearth_cached_tokens_total",
                "Tokens of prompts that were found instead of computed.",
                count(&self.found_tokens),
            ),
            ("hearth_answer_tokens_total", "Tokens that were generated.", count(&self.answer_tokens)),
            ("hearth_pictures_total", "Pictures that were made.", count(&self.pictures)),
        ];
        for (name, help, value) in counters {
            header(name, "counter", help, &mut out);
            let _ = writeln!(out, "{name} {value}");
        }
        let used: usize = memory.models.iter().map(|model| model.n_pages_used).sum();
        let pages: usize = memory.models.iter().map(|model| model.n_pages).sum();
        let running: usize = memory.models.iter().map(|model| model.n_answers).sum();
        let gauges = [
            ("hearth_requests_open", "Requests that are being answered.", count(&self.open)),
            ("hearth_connections", "Open connections.", count(&self.connections)),
            ("hearth_answers_running", "Answers that are being given.", running as u64),
            ("hearth_queue_length", "Jobs that wait for a model to have room.", memory.n_waiting as u64),
            (
                "hearth_work_running",
                "Drawings, trainings and other work with a share of the memory.",
                memory.work.len() as u64,
            ),
            ("hearth_models_loaded", "Models in memory.", memory.models.len() as u64),
            ("hearth_memory_limit_bytes", "Memory that models may take.", memory.limit_bytes),
            ("hearth_memory_predicted_bytes", "Memory that they take at most.", memory.predicted_bytes),
            ("hearth_memory_held_bytes", "Memory that the program holds.", memory.held_bytes.unwrap_or(0)),
            ("hearth_cache_pages_used", "Pages of keys and values in use.", used as u64),
            ("hearth_cache_pages", "Pages of keys and values.", pages as u64),
        ];
        for (name, help, value) in gauges {
            header(name, "gauge", help, &mut out);
            let _ = writeln!(out, "{name} {value}");
        }
        let times = [
            ("hearth_queue_seconds", "From the request to the beginning of its prompt.", &self.queue),
            ("hearth_first_token_seconds", "From the request to its first token.", &self.first_token),
            ("hearth_between_tokens_seconds", "Between two pieces of an answer.", &self.between_tokens),
            ("hearth_drawing_step_seconds", "A step of a picture.", &self.drawing_step),
        ];
        for (name, help, histogram) in times {
            histogram.write(name, help, &mut out);
        }
        out
    }
}

fn header(name: &str, kind: &str, help: &str, out: &mut String) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Counts what the jobs of one request do.
pub struct Meter {
    metrics: Arc<Metrics>,
    begun: Instant,
    /// When each job said something last.
    last: Vec<Option<Instant>>,
}

impl Meter {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, begun: Instant::now(), last: Vec::new() }
    }

    /// Counts an event of the job `index`.
    pub fn see(&mut self, index: usize, event: &Event) {
        let (metrics, now) = (&self.metrics, Instant::now());
        match event {
            Event::Started(_) => metrics.queue.add(now - self.begun),
            Event::Text { .. } | Event::Thinking { .. } | Event::ToolCall { .. } => {
                self.last.resize(self.last.len().max(index + 1), None);
                match self.last[index].replace(now) {
                    None => metrics.first_token.add(now - self.begun),
                    Some(last) => metrics.between_tokens.add(now - last),
                }
            }
            Event::Finished(finished) => {
                let add = |counter: &AtomicU64, n: usize| counter.fetch_add(n as u64, Ordering::Relaxed);
                add(&metrics.prompt_tokens, finished.n_prompt_tokens);
                add(&metrics.found_tokens, finished.n_found_tokens);
                add(&metrics.answer_tokens, finished.n_generated_tokens);
                let is_whole = finished.reason != app::event::Reason::Cancelled;
                add(if is_whole { &metrics.answers } else { &metrics.cancelled }, 1);
            }
            Event::Begun(_) => metrics.queue.add(now - self.begun),
            Event::Drawing(drawing) => {
                // A clock that ran backwards tells nothing.
                let seconds = Duration::try_from_secs_f64(drawing.step_seconds);
                metrics.drawing_step.add(seconds.unwrap_or_default());
            }
            Event::Picture(_) => {
                metrics.pictures.fetch_add(1, Ordering::Relaxed);
            }
            Event::Failed(_) => {
                metrics.failures.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
}
