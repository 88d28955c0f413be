//! The two streams of a terminal: data on stdout, talk on stderr.
//!
//! Everything that others wrote is made safe before a terminal gets it (see `terminal::visible`). With
//! `--json`, what a command prints for people is dropped and its events are written instead. A broken
//! pipe comes back as an error for the caller; talk that nobody can hear is dropped.

use std::io::{self, Write};

use app::{Event, Failure};
use serde_json::{Value as Json, json};

use crate::terminal::bar::bar;
use crate::terminal::paint::{Color, Ink};
use crate::terminal::units::bytes;
use crate::terminal::visible;
use crate::terminal::width::left;

/// What stands at the other end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Terminal,
    Other,
}

/// For whom stdout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    People,
    Json,
}

/// What the streams can show.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// What stdout leads to.
    pub out: End,
    /// What stderr leads to.
    pub err: End,
    /// Whether a terminal gets colours.
    pub color: Color,
    /// Columns of the terminal.
    pub columns: usize,
    /// Rows of the terminal.
    pub rows: usize,
}

/// The two streams.
pub struct Console {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    look: Look,
    pub format: Format,
    /// Whether the answer's last line is still open.
    is_mid_line: bool,
    /// Whether the last line of what the model thinks is still open.
    is_thinking: bool,
    /// What the progress line shows, while there is one.
    progress: Option<String>,
    /// Lines of the block that is redrawn, while there is one.
    n_live: usize,
}

impl Console {
    pub fn new(out: Box<dyn Write>, err: Box<dyn Write>, look: Look) -> Self {
        Self {
            out,
            err,
            look,
            format: Format::People,
            is_mid_line: false,
            is_thinking: false,
            progress: None,
            n_live: 0,
        }
    }

    /// Colours for stdout.
    pub fn color(&self) -> Color {
        self.color_of(self.look.out)
    }

    /// Columns of the terminal.
    pub fn columns(&self) -> usize {
        self.look.columns
    }

    /// Rows of the terminal.
    pub fn rows(&self) -> usize {
        self.look.rows
    }

    /// Colours for stderr.
    pub fn talk_color(&self) -> Color {
        self.color_of(self.look.err)
    }

    /// Whether a block can be redrawn: stderr is a terminal, and no events are written to the same one.
    pub fn is_live(&self) -> bool {
        let has_events = self.format == Format::Json && self.look.out == End::Terminal;
        self.look.err == End::Terminal && !has_events
    }

    /// Writes data for people as it is: the caller has made it safe.
    pub fn print(&mut self, text: &str) -> io::Result<()> {
        self.clear_progress();
        if self.format == Format::Json || text.is_empty() {
            return Ok(());
        }
        self.is_mid_line = !text.ends_with('\n');
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes a piece of what a model says at once: safe on a terminal, byte for byte elsewhere.
    pub fn stream(&mut self, text: &str) -> io::Result<()> {
        match self.look.out {
            End::Terminal => self.print(&visible::text(text)),
            End::Other => self.print(text),
        }
    }

    /// Writes a piece of what a model thinks, beside the data; whatever follows begins a new line.
    pub fn think(&mut self, text: &str) -> io::Result<()> {
        if self.format == Format::Json || text.is_empty() {
            return Ok(());
        }
        if self.look.out == End::Terminal {
            self.end_line()?;
        }
        if !self.is_thinking {
            self.clear_progress();
        }
        let shown = self.talk_color().paint(Ink::Dim, &visible::text(text));
        self.write_talk(&shown);
        self.is_thinking = true;
        Ok(())
    }

    /// Writes a model's call of a tool as a line of JSON.
    pub fn call(&mut self, name: &str, arguments: &str) -> io::Result<()> {
        // Whoever read the answer has seen that they are an object.
        let arguments: Json = serde_json::from_str(arguments).unwrap_or_else(|_| arguments.into());
        let line = json!({ "name": name, "arguments": arguments }).to_string();
        self.end_line()?;
        self.print(&format!("{}\n", visible::json(&line)))
    }

    /// Ends a line that was begun.
    pub fn end_line(&mut self) -> io::Result<()> {
        if self.is_mid_line { self.print("\n") } else { Ok(()) }
    }

    /// Writes what is neither for people nor an event: a completion script, a manual page.
    pub fn write_file(&mut self, content: &[u8]) -> io::Result<()> {
        self.out.write_all(content)?;
        self.out.flush()
    }

    /// Writes an event as one line of JSON, with `--json`.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        if self.format == Format::People {
            return Ok(());
        }
        let line = serde_json::to_string(event).map_err(io::Error::other)?;
        writeln!(self.out, "{}", visible::json(&line))?;
        self.out.flush()
    }

    /// Says a line beside the data.
    pub fn say(&mut self, text: &str) {
        let shown = self.color_of(self.look.err).paint(Ink::Dim, &visible::text(text));
        self.talk(&(shown + "\n"));
    }

    /// Says something that the caller has made safe, and painted for `talk_color`.
    pub fn tell(&mut self, text: &str) {
        self.talk(text);
    }

    /// Redraws the block that stays below everything else, where a block can be redrawn; each line has to be
    /// safe and narrower than the terminal.
    pub fn live(&mut self, lines: &[String]) {
        if !self.is_live() || lines.is_empty() {
            return;
        }
        self.clear_progress();
        self.write_talk(&lines.join("\n"));
        self.n_live = lines.len();
    }

    /// Says what is wrong with the command line, in the parser's words.
    pub fn complain(&mut self, text: &str) {
        self.talk(&format!("{}\n", visible::text(text)));
    }

    /// Says what went wrong and what to do next; with `--json`, also as an event.
    pub fn fail(&mut self, failure: &Failure) {
        // When stdout is gone, stderr still tells.
        drop(self.event(&Event::Failed(failure.clone())));
        self.say_failure("error:", failure);
    }

    /// Says what is wrong beside what was asked for; it stands in the data already.
    pub fn warn(&mut self, failure: &Failure) {
        self.say_failure("warning:", failure);
    }

    fn say_failure(&mut self, word: &str, failure: &Failure) {
        let color = self.color_of(self.look.err);
        let error = color.paint(Ink::Bad, word);
        self.talk(&format!("{error} {}\n", visible::text(&failure.message)));
        if !failure.hint.is_empty() {
            let hint = color.paint(Ink::Bold, "hint:");
            self.talk(&format!("{hint} {}\n", visible::text(&failure.hint)));
        }
    }

    /// Shows how far a job is, on a terminal; a later write takes the line away.
    pub fn progress(&mut self, what: &str, done_bytes: u64, total_bytes: u64) {
        if self.look.err == End::Other {
            return;
        }
        let share = if total_bytes == 0 { 0.0 } else { done_bytes as f64 / total_bytes as f64 };
        let amount = format!("{:3.0}% of {}", (share * 100.0).clamp(0.0, 100.0), bytes(total_bytes));
        let line = format!("{} {} {amount}", visible::line(what), bar(share, 20));
        let line = left(&line, self.look.columns.saturating_sub(1));
        if self.progress.as_ref() != Some(&line) {
            self.write_talk(&format!("\r{line}"));
            self.progress = Some(line);
        }
    }

    fn clear_progress(&mut self) {
        if std::mem::take(&mut self.is_thinking) {
            self.write_talk("\n");
        }
        if self.progress.take().is_some() {
            let blanks = " ".repeat(self.look.columns.saturating_sub(1));
            self.write_talk(&format!("\r{blanks}\r"));
        }
        // ECMA-48: up to the first line of the block, then everything from there on is erased.
        match std::mem::take(&mut self.n_live) {
            0 => {}
            1 => self.write_talk("\r\x1b[J"),
            n_lines => self.write_talk(&format!("\r\x1b[{}A\x1b[J", n_lines - 1)),
        }
    }

    fn talk(&mut self, text: &str) {
        self.clear_progress();
        self.write_talk(text);
    }

    /// Nobody can be told that nobody can be told.
    fn write_talk(&mut self, text: &str) {
        let written = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
        drop(written);
    }

    fn color_of(&self, end: End) -> Color {
        if end == End::Terminal { self.look.color } else { Color::Off }
    }
}
