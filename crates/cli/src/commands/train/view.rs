//! What a person is told of a training: what was read, what follows from it, how far it is, where it ended.

use std::rc::Rc;

use app::Event;
use app::event::training::{Ending, HeldOut, Pass, Step, Trained, Training};
use app::job::training::{Start, Train, Vocabulary};

use super::block::{self, Losses, Room};
use super::pictures;
use crate::console::Console;
use crate::terminal::paint::Ink;
use crate::terminal::table::wrapped;
use crate::terminal::width::wrap;
use crate::terminal::{units, visible};

/// Between two drawings of the block.
const REDRAW_MS: u64 = 250;
/// Between two lines where nothing can be redrawn, unless a twentieth of the way is made before.
const LINE_MS: u64 = 10_000;
const LINES_OF_THE_WAY: u64 = 20;
/// Files and lines that were left out and are named.
const MOST_SKIPPED: usize = 5;
/// What the tokens that begin a turn of a conversation begin with.
const TURN: &str = "<|";

/// What is kept between events.
pub struct View {
    elapsed_ms: Rc<dyn Fn() -> u64>,
    losses: Losses,
    /// The mean of the last losses.
    loss: Option<f64>,
    step: Option<Step>,
    held_out: Option<HeldOut>,
    /// What the last sample began with.
    prompt: String,
    has_learned_vocabulary: bool,
    told_ms: Option<u64>,
}

impl View {
    pub fn new(elapsed_ms: Rc<dyn Fn() -> u64>) -> Self {
        Self {
            elapsed_ms,
            losses: Losses::default(),
            loss: None,
            step: None,
            held_out: None,
            prompt: String::new(),
            has_learned_vocabulary: false,
            told_ms: None,
        }
    }

    /// Says what begins: reading can take a while.
    pub fn begin(&mut self, console: &mut Console, train: &Train) {
        match &train.start {
            Start::New(new) => {
                self.has_learned_vocabulary = new.vocabulary == Vocabulary::Learned;
                console.say(&format!("Reading {} …", new.data.display()));
            }
            Start::NewPictures(new) => console.say(&format!("Looking at {} …", new.data.display())),
            Start::Resume => {
                console.say(&format!("Checking that the data of {} is what it was …", train.name))
            }
        }
    }

    pub fn take(&mut self, console: &mut Console, event: &Event) {
        match event {
            Event::Training(Training::Data { n_documents, n_bytes, n_skipped, skipped }) => {
                let documents = units::many(*n_documents as usize, "document");
                console.say(&format!("Read {documents}, {}.", units::bytes(*n_bytes)));
                left_out(console, *n_skipped, skipped);
            }
            Event::Training(Training::Vocabulary { n_tokens, n_wanted }) => {
                let fewer = match self.has_learned_vocabulary && n_tokens < n_wanted {
                    true => format!(", all that these texts give ({n_wanted} were asked for)"),
                    false => String::new(),
                };
                console.say(&format!("Vocabulary: {}{fewer}.", units::many(*n_tokens, "token")));
            }
            Event::Training(Training::Tokens { n_training, n_held_out }) => {
                let (learned, held_out) = (units::count(*n_training), units::count(*n_held_out));
                console
                    .say(&format!("Tokens: {learned} to learn from, {held_out} held out that only measure."));
            }
            Event::Training(Training::Reading { pass, n_bytes, of_bytes }) => {
                let what = match pass {
                    Pass::Vocabulary => "learning the vocabulary",
                    Pass::Tokens => "writing tokens",
                };
                console.progress(what, *n_bytes, *of_bytes);
            }
            Event::Training(planned @ Training::Planned { curve, .. }) => {
                for report in curve {
                    self.losses.push(report.step, report.loss);
                    self.loss = Some(block::smooth(self.loss, report.loss));
                }
                plan(console, planned);
            }
            Event::Training(Training::Pictures { n_pictures, n_skipped, skipped }) => {
                console
                    .say(&format!("Found {} with captions.", units::many(*n_pictures as usize, "picture")));
                left_out(console, *n_skipped, skipped);
            }
            Event::Training(Training::PictureStep(step)) => {
                self.loss = Some(block::smooth(self.loss, step.report.loss));
                if self.is_due(step.report.step, step.n_steps) {
                    console.say(&pictures::line(step, self.loss));
                }
            }
            Event::Painted(painted) => pictures::end(console, painted),
            Event::Training(Training::Step(step)) => self.step(console, step),
            Event::Training(Training::HeldOut(held_out)) => self.held_out(console, held_out),
            Event::Training(Training::Sample { prompt, text, .. }) => {
                self.prompt.clone_from(prompt);
                sample(console, prompt, text);
                self.draw(console);
            }
            Event::Trained(trained) => self.end(console, trained),
            _ => {}
        }
    }

    fn step(&mut self, console: &mut Console, step: &Step) {
        self.losses.push(step.report.step, step.report.loss);
        let loss = block::smooth(self.loss, step.report.loss);
        self.loss = Some(loss);
        self.step = Some(*step);
        let now_ms = (self.elapsed_ms)();
        let is_due =
            |every_ms: u64| self.told_ms.is_none_or(|told_ms| now_ms.saturating_sub(told_ms) >= every_ms);
        if console.is_live() {
            if is_due(REDRAW_MS) {
                self.told_ms = Some(now_ms);
                self.draw(console);
            }
            return;
        }
        let every = step.n_steps.div_ceil(LINES_OF_THE_WAY).max(1);
        if step.report.step.is_multiple_of(every) || is_due(LINE_MS) {
            self.told_ms = Some(now_ms);
            console.say(&block::line(step, loss));
        }
    }

    /// Whether a line is due; a terminal that could redraw gets as many as any.
    fn is_due(&mut self, step: u64, n_steps: u64) -> bool {
        let now_ms = (self.elapsed_ms)();
        let every = n_steps.div_ceil(LINES_OF_THE_WAY).max(1);
        let waited = self.told_ms.is_none_or(|told_ms| now_ms.saturating_sub(told_ms) >= LINE_MS);
        let is_due = step.is_multiple_of(every) || waited;
        if is_due {
            self.told_ms = Some(now_ms);
        }
        is_due
    }

    fn draw(&self, console: &mut Console) {
        if let (true, Some(step), Some(loss)) = (console.is_live(), &self.step, self.loss) {
            let room = Room { columns: console.columns(), rows: console.rows(), color: console.talk_color() };
            console.live(&block::block(step, loss, self.held_out.as_ref(), &self.losses, room));
        }
    }

    fn held_out(&mut self, console: &mut Console, held_out: &HeldOut) {
        self.held_out = Some(*held_out);
        let best = if held_out.is_best { ", the lowest so far" } else { "" };
        let HeldOut { step, loss, perplexity, .. } = held_out;
        console.tell(&format!("step {step}: held-out loss {loss:.4}, perplexity {perplexity:.1}{best}\n"));
        self.draw(console);
    }

    fn end(&self, console: &mut Console, trained: &Trained) {
        let record = &trained.record;
        let steps = units::many(record.steps as usize, "step");
        let time = units::duration(record.seconds);
        let bold = |text: &str| console.talk_color().paint(Ink::Bold, text);
        let mut text = match trained.ending {
            Ending::Done => format!("Done: {steps} in {time}."),
            Ending::Patience => {
                format!("Ended after {steps} in {time}: the held-out loss had stopped falling.")
            }
            Ending::Stopped => {
                let command = bold(&format!("hearth train --resume {}", visible::line(&record.run)));
                let of = record.plan.settings.steps;
                console.tell(&format!("Saved after {steps} of {of}. To go on: {command}\n"));
                return;
            }
        };
        if let Some(best) = record.best {
            let HeldOut { step, loss, perplexity, .. } = best;
            text += &format!(
                " Held-out loss {loss:.4}, perplexity {perplexity:.1}, at its lowest at step {step}."
            );
        }
        text.push('\n');
        if let Some(model) = &trained.model {
            text += &format!("Try it:   {}\n", bold(&command(model, &self.prompt)));
        }
        let run = visible::line(&record.run).into_owned();
        text += &format!("The run:  {}\n", bold(&format!("hearth runs show {run}")));
        let folder = trained.folder.display().to_string();
        text += &format!("Its plot and card:  loss.svg and README.md in {}\n", visible::line(&folder));
        console.tell(&text);
    }
}

/// How to let a model speak that learned from texts, or from conversations.
fn command(model: &str, prompt: &str) -> String {
    let model = visible::line(model);
    let is_plain = |letter: char| letter.is_alphanumeric() || " ,.'-".contains(letter);
    match prompt {
        prompt if prompt.starts_with(TURN) => format!("hearth run {model}"),
        prompt if !prompt.trim().is_empty() && prompt.chars().all(is_plain) => {
            format!("hearth run {model} --raw \"{}\"", prompt.trim())
        }
        _ => format!("hearth run {model} --raw \"Once upon a time\""),
    }
}

fn left_out(console: &mut Console, n_skipped: u64, skipped: &[String]) {
    if n_skipped == 0 {
        return;
    }
    console.say(&format!("{} left out:", units::many(n_skipped as usize, "piece")));
    let named = &skipped[..skipped.len().min(MOST_SKIPPED)];
    named.iter().for_each(|reason| console.say(&format!("  {}", visible::line(reason))));
    let n_more = n_skipped.saturating_sub(named.len() as u64);
    if n_more > 0 {
        console.say(&format!("  … and {n_more} more"));
    }
}

fn plan(console: &mut Console, planned: &Training) {
    let Training::Planned { run, folder, n_values, steps_done, derived, .. } = planned else { return };
    let heading = |text: &str| console.talk_color().paint(Ink::Bold, &visible::line(text)) + "\n";
    let values = units::count(*n_values);
    if *steps_done > 0 {
        let text = format!("Run {run}: {values} parameters, going on after step {steps_done}.");
        return console.tell(&heading(&text));
    }
    let text = heading(&format!("Run {run}: {values} parameters, in {}", folder.display()));
    let row = |row: &app::event::training::Derived| {
        vec![row.name.clone(), units::brief(&row.value), row.reason.clone()]
    };
    let rows: Vec<Vec<String>> = derived.iter().map(row).collect();
    console.tell(&(text + &wrapped(&rows, console.columns()) + "\n"));
}

fn sample(console: &mut Console, prompt: &str, text: &str) {
    let color = console.talk_color();
    let prompt = visible::text(prompt).replace('\t', "    ");
    let text = visible::text(text).replace('\t', "    ");
    let lines = wrap(&format!("{prompt}{text}"), console.columns().saturating_sub(3));
    let told: String = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("  {}\n", color.paint(Ink::Dim, line)))
        .collect();
    console.tell(&told);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Exit;
    use crate::scripted::{Script, run_details};
    use app::event::training::{Derived, Report};
    use expect_test::expect_file;

    fn trained(ending: Ending) -> Event {
        let details = run_details("stories");
        let model = (ending != Ending::Stopped).then(|| "stories:latest".to_owned());
        Event::Trained(Box::new(Trained { ending, model, folder: details.folder, record: details.record }))
    }

    fn step(step: u64) -> Event {
        let report = Report { step, loss: 8.0 / step as f64, gradient_norm: 0.5, learning_rate: 0.003 };
        let (tokens_per_second, peak_share) = (12_000.0, 0.25);
        Event::Training(Training::Step(Step {
            report,
            n_steps: 4,
            tokens_per_second,
            peak_share,
            remaining_s: 9.0,
        }))
    }

    fn story() -> Vec<Event> {
        let derived = |name: &str, value: &str, reason: &str| Derived {
            name: name.into(),
            value: value.into(),
            reason: reason.into(),
        };
        let skipped: Vec<String> = (0..6).map(|n| format!("a{n}\x1b[2J.bin: not a text")).collect();
        let held_out = HeldOut { step: 4, loss: 2.0, perplexity: 7.389, is_best: true };
        let told = [
            Training::Vocabulary { n_tokens: 300, n_wanted: 512 },
            Training::Data { n_documents: 12, n_bytes: 34_000, n_skipped: 9, skipped },
            Training::Tokens { n_training: 9_000, n_held_out: 450 },
            Training::Planned {
                run: "stories".into(),
                folder: "/home/runs/stories".into(),
                n_values: 140_000,
                steps_done: 0,
                curve: Vec::new(),
                derived: vec![
                    derived("width", "64", "what `--size nano` stands for"),
                    derived(
                        "steps",
                        "4",
                        "4 passes over 9000 tokens, 9000 a step; more of the same teaches little",
                    ),
                ],
            },
        ];
        let end = [
            Training::HeldOut(held_out),
            Training::Sample { step: 4, prompt: "One day".into(), text: " a cat\x1b[2J sat.".into() },
            Training::Saved { step: 4 },
        ];
        let steps = (1..=4).map(step);
        told.map(Event::Training)
            .into_iter()
            .chain(steps)
            .chain(end.map(Event::Training))
            .chain([trained(Ending::Done)])
            .collect()
    }

    const WORDS: [&str; 5] = ["train", "--data", "/texts", "--name", "stories"];

    #[test]
    fn a_training_is_told_line_by_line_where_nothing_can_be_redrawn() {
        let told = Script::new(story()).run(&WORDS);
        assert_eq!((told.exit, told.out.as_str()), (Exit::Done, ""));
        expect_file!["../../../snapshots/train.txt"].assert_eq(&told.err);
    }

    #[test]
    fn a_terminal_gets_one_block_that_vanishes_before_every_line() {
        let told = Script::new(story()).on_terminal().run(&WORDS);
        assert!(told.err.contains("step 4/4 ") && !told.err.contains("step 4 of 4"), "{}", told.err);
        // Nothing that others wrote moves the cursor.
        assert!(!told.err.contains("\x1b[2J"), "{}", told.err);
        let last = told.err.rsplit("\x1b[J").next().unwrap();
        assert!(last.starts_with("Done: 400 steps"), "{last}");
        assert!(last.contains("hearth run stories:latest --raw \"One day\""), "{last}");
    }

    #[test]
    fn json_is_the_events_themselves() {
        let told = Script::new(story()).run(&[&WORDS[..], &["--json"]].concat());
        let read: Vec<Event> = told.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, story());
        let told = Script::new(story()).on_terminal().run(&[&WORDS[..], &["--json"]].concat());
        assert!(!told.err.contains("\x1b[J"), "{}", told.err);
    }

    #[test]
    fn ctrl_c_says_how_to_go_on() {
        let mut events = story();
        events.pop();
        events.push(trained(Ending::Stopped));
        let told = Script::new(events).interrupted_after(6).run(&WORDS);
        assert_eq!(told.exit, Exit::Interrupted);
        assert!(
            told.err.ends_with(
                "Saved after 400 steps of 400. To go on: hearth train --resume stories\nStopped.\n"
            ),
            "{}",
            told.err
        );
    }

    #[test]
    fn the_next_step_fits_what_was_learned() {
        assert_eq!(command("m", "<|im_start|>user\n"), "hearth run m");
        assert_eq!(command("m", " One day"), "hearth run m --raw \"One day\"");
        assert_eq!(command("m", "$(rm x)"), "hearth run m --raw \"Once upon a time\"");
    }
}
