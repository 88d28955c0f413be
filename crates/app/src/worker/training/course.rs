//! The course of a training: step after step, now and then a measurement, a sample and a checkpoint.

use std::time::Instant;

use data::packing::{Batch as Packed, Packer, Shape, Sweep};
use data::tokens::{Part, Tokens};
use kernels::machine;
use text::Tokenizer;
use train::{Batch, Batches, Report, Training, save};

use super::pace::{Pace, SAVE_EVERY_S, lines, recent_loss};
use super::record::{Folder, Record};
use super::{BEST, LAST, sample};
use crate::event::training::{Ending, HeldOut, Step, Training as Told};
use crate::running::Reporter;
use crate::worker::runs::thinned;
use crate::worker::share::Share;
use crate::{Event, Failure};

/// Batches by which the held-out part is measured, at most.
const HELD_OUT_BATCHES: usize = 32;
const PATIENCE: u64 = 10;

/// Tokens from a file, in the order of a seed.
struct Source {
    packer: Packer,
    packed: Packed,
}

impl Batches for Source {
    fn next(&mut self) -> Result<Batch, train::Error> {
        self.packer.next_batch(&mut self.packed).map_err(|error| train::Error::Data(Box::new(error)))?;
        Ok(batch(&self.packed, self.packer.position().row_tokens))
    }

    fn position(&self) -> String {
        serde_json::to_string(&self.packer.position()).expect("a position is plain numbers")
    }
}

fn batch(packed: &Packed, row_tokens: u64) -> Batch {
    let length = usize::try_from(row_tokens).unwrap_or(usize::MAX).max(1);
    Batch {
        sequences: packed.inputs.len() / length,
        ids: packed.inputs.clone(),
        targets: packed.targets.clone(),
    }
}

/// A training that goes on.
pub(super) struct Course<'a> {
    folder: Folder<'a>,
    record: Record,
    tokenizer: Tokenizer,
    source: Source,
    held_out: Vec<Batch>,
    training: Training,
    share: &'a Share,
    reporter: &'a Reporter,
    curve: Vec<Report>,
    measured: Vec<HeldOut>,
    /// What samples begin with.
    prompt: String,
    /// Floating-point operations of a token.
    flops_per_token: f64,
    /// This machine's highest f32 speed, in operations a second.
    peak: f64,
}

/// Where a course ended.
pub(super) struct Arrived<'a> {
    pub folder: Folder<'a>,
    pub record: Record,
    pub training: Training,
    pub curve: Vec<Report>,
    pub measured: Vec<HeldOut>,
    pub ending: Ending,
}

impl<'a> Course<'a> {
    pub fn new(
        (folder, record): (Folder<'a>, Record),
        (tokenizer, tokens): (Tokenizer, Tokens),
        (training, share): (Training, &'a Share),
        reporter: &'a Reporter,
    ) -> Result<Self, Failure> {
        let settings = training.settings();
        let shape = Shape { n_rows: settings.batch, n_tokens: settings.length };
        let mut tokens = tokens;
        let prompt = prompt(&record, &tokenizer, &mut tokens)?;
        let held_out = held_out(Tokens::open(&folder.file("tokens"))?, shape)?;
        let mut packer = Packer::new(tokens, shape, settings.seed)?;
        let steps = training.progress().steps;
        if steps > 0 {
            let position = serde_json::from_str(&training.progress().position).map_err(|error| {
                let message =
                    format!("{}: its position cannot be read: {error}", folder.file(LAST).display());
                Failure::new("damaged_run", message, "begin a new run")
            })?;
            packer.go_to(position)?;
        }
        let mut curve: Vec<Report> = folder.lines("curve.jsonl")?;
        curve.retain(|report| report.step <= steps);
        let mut measured: Vec<HeldOut> = folder.lines("held-out.jsonl")?;
        measured.retain(|measured| measured.step <= steps);
        let flops_per_token = flops_per_token(&record);
        Ok(Self {
            source: Source { packer, packed: Packed::default() },
            peak: peak(),
            flops_per_token,
            folder,
            record,
            tokenizer,
            held_out,
            training,
            share,
            reporter,
            curve,
            measured,
            prompt,
        })
    }

    /// Where it is to go, and how far it has come.
    pub fn planned(&self) -> Told {
        Told::Planned {
            run: self.record.run.clone(),
            folder: self.folder.path.clone(),
            n_values: self.training.parameters().n_values() as u64,
            steps_done: self.training.progress().steps,
            curve: thinned(&self.curve),
            derived: self.record.plan.derived.clone(),
        }
    }

    /// Trains until the end, until patience is over, or until somebody stops it.
    pub fn run(mut self) -> Result<Arrived<'a>, Failure> {
        let every =
            self.record.watch.evaluate_every.unwrap_or(self.training.settings().steps.div_ceil(20)).max(1);
        let save_every_s = self.record.watch.save_every_s.unwrap_or(SAVE_EVERY_S).max(0.0);
        let mut pace = Pace::default();
        let mut saved = Instant::now();
        let ending = loop {
            if self.training.is_done() {
                break Ending::Done;
            }
            if self.reporter.is_cancelled() {
                break Ending::Stopped;
            }
            self.step(&mut pace)?;
            let steps = self.training.progress().steps;
            if steps.is_multiple_of(every) || self.training.is_done() {
                self.measure()?;
                if self.is_out_of_patience() {
                    break Ending::Patience;
                }
            }
            if saved.elapsed().as_secs_f64() >= save_every_s {
                self.save()?;
                saved = Instant::now();
            }
        };
        self.save()?;
        let Self { folder, record, training, curve, measured, .. } = self;
        Ok(Arrived { folder, record, training, curve, measured, ending })
    }

    fn step(&mut self, pace: &mut Pace) -> Result<(), Failure> {
        let begun = Instant::now();
        let report = match self.training.step(&mut self.source) {
            Ok(report) => report,
            Err(error) => {
                // What was learned until now is good.
                self.save()?;
                return Err(self.explained(error));
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        self.record.seconds += seconds;
        self.curve.push(report);
        let settings = self.training.settings();
        self.share.note(report.step, settings.steps);
        let mean = pace.after(seconds);
        let tokens_per_second = settings.tokens_per_step() as f64 / mean;
        self.reporter.tell(Event::Training(Told::Step(Step {
            report,
            n_steps: settings.steps,
            tokens_per_second,
            peak_share: tokens_per_second * self.flops_per_token / self.peak,
            remaining_s: mean * (settings.steps - report.step) as f64,
        })));
        Ok(())
    }

    fn explained(&self, error: train::Error) -> Failure {
        let is_not_finite = matches!(error, train::Error::NotFinite { .. });
        let mut failure = Failure::from(error);
        if is_not_finite {
            let path = self.folder.file(LAST);
            failure.hint = format!(
                "begin again with a lower --learning-rate than {}; the last good weights are in {}",
                self.training.settings().learning_rate,
                path.display()
            );
        }
        failure
    }

    fn measure(&mut self) -> Result<(), Failure> {
        let Some(loss) = self.training.held_out_loss(&self.held_out) else { return Ok(()) };
        let step = self.training.progress().steps;
        let is_best = self.record.best.is_none_or(|best| loss < best.loss);
        let measured = HeldOut { step, loss, perplexity: loss.exp(), is_best };
        self.measured.push(measured);
        self.reporter.tell(Event::Training(Told::HeldOut(measured)));
        if is_best {
            self.record.best = Some(measured);
            self.save_best(measured)?;
        }
        if let Some(text) = sample::write(self.training.parameters(), &self.tokenizer, &self.prompt) {
            let prompt = self.prompt.clone();
            self.reporter.tell(Event::Training(Told::Sample { step, prompt, text }));
        }
        Ok(())
    }

    fn is_out_of_patience(&self) -> bool {
        let patience = self.record.watch.patience.unwrap_or(PATIENCE);
        let since_best = self.measured.iter().rev().take_while(|measured| !measured.is_best).count() as u64;
        patience > 0 && since_best >= patience
    }

    /// Writes the curve and the checkpoint of the lowest loss, from which a training can go on as well.
    fn save_best(&self, measured: HeldOut) -> Result<(), Failure> {
        self.write_curve()?;
        let notes = serde_json::to_string(&measured).expect("plain values");
        Ok(save(self.folder.disk, &self.folder.file(BEST), &self.training, &notes)?)
    }

    fn write_curve(&self) -> Result<(), Failure> {
        self.folder.write("curve.jsonl", lines(&self.curve).as_bytes())?;
        self.folder.write("held-out.jsonl", lines(&self.measured).as_bytes())
    }

    /// Writes curve, checkpoint and record, in this order: the curve may be longer than the checkpoint, which
    /// reading it back mends.
    fn save(&mut self) -> Result<(), Failure> {
        let steps = self.training.progress().steps;
        self.write_curve()?;
        save(self.folder.disk, &self.folder.file(LAST), &self.training, "")?;
        self.record.steps = steps;
        self.record.loss = recent_loss(&self.curve);
        self.folder.write_record(&self.record)?;
        self.reporter.tell(Event::Training(Told::Saved { step: steps }));
        Ok(())
    }
}

/// The batches that only measure, the same every time.
fn held_out(tokens: Tokens, shape: Shape) -> Result<Vec<Batch>, Failure> {
    let mut sweep = Sweep::new(tokens, Part::HeldOut, shape)?;
    let (mut packed, mut batches) = (Packed::default(), Vec::new());
    while batches.len() < HELD_OUT_BATCHES && sweep.next_batch(&mut packed)? {
        batches.push(batch(&packed, shape.n_tokens as u64));
    }
    Ok(batches)
}

/// What samples begin with: as it was asked for, else the first words of the held-out part.
fn prompt(record: &Record, tokenizer: &Tokenizer, tokens: &mut Tokens) -> Result<String, Failure> {
    if let Some(prompt) = &record.watch.sample {
        return Ok(prompt.clone());
    }
    const FIRST: u64 = 24;
    let n = tokens.n_tokens(Part::HeldOut).min(FIRST) as usize;
    let mut first = vec![data::tokens::Token { id: 0, is_counted: false }; n];
    tokens.read(Part::HeldOut, 0, &mut first)?;
    let begins_turn = first.first().is_some_and(|token| tokenizer.is_special(base::TokenId(token.id)));
    let ids = first.iter().map(|token| base::TokenId(token.id));
    let text: String = ids.map(|id| tokenizer.token_text(id).into_owned()).collect();
    Ok(if begins_turn { text } else { first_words(&text) })
}

/// The first whole words of a text, or of one without words all of it.
fn first_words(text: &str) -> String {
    const WORDS: usize = 4;
    let text = text.trim_start();
    let blanks = text.match_indices(char::is_whitespace).map(|(at, _)| at);
    let ends: Vec<usize> =
        blanks.filter(|at| !text[..*at].ends_with(char::is_whitespace)).take(WORDS).collect();
    text[..ends.last().copied().unwrap_or(text.len())].to_owned()
}

/// Six for each number of a layer or the head, and the products of attention forward and backward.
fn flops_per_token(record: &Record) -> f64 {
    let (sizes, length) = (record.plan.sizes, record.plan.settings.length);
    let head = sizes.width / sizes.heads;
    6.0 * sizes.n_values() as f64 + 7.0 * (sizes.layers * sizes.heads * head * length) as f64
}

/// The f32 operations a second that this machine can do at most, measured for a few hundredths of a second.
fn peak() -> f64 {
    let n_threads = kernels::pool::active_threads();
    let begun = Instant::now();
    let n = machine::multiply_add(kernels::isa::current(), n_threads, 1 << 22);
    n as f64 / begun.elapsed().as_secs_f64()
}
