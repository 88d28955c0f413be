//! Lines that a person types, with editing and a history that lives in memory only.
//!
//! What people ask a model is private, so that no history file is written.

use std::io;

use rustyline::config::Config;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Editor, Helper};

/// What came from the keyboard.
pub enum Typed {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D.
    End,
}

/// Where lines come from.
pub trait Lines {
    /// The next line, with `prompt` before it.
    fn read(&mut self, prompt: &str) -> io::Result<Typed>;
    /// Lets the arrow keys bring `entry` back.
    fn remember(&mut self, entry: &str);
}

/// The terminal's line editor.
pub fn editor() -> io::Result<Box<dyn Lines>> {
    const ENTRIES: usize = 1000;
    let too_many = |error: ReadlineError| io::Error::other(error.to_string());
    let config = Config::builder().max_history_size(ENTRIES).map_err(too_many)?.build();
    let history = MemHistory::with_config(&config);
    let editor = Editor::<(), MemHistory>::with_history(config, history).map_err(too_many)?;
    Ok(Box::new(editor))
}

impl<H: Helper> Lines for Editor<H, MemHistory> {
    fn read(&mut self, prompt: &str) -> io::Result<Typed> {
        match self.readline(prompt) {
            Ok(line) => Ok(Typed::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
            Err(ReadlineError::Eof) => Ok(Typed::End),
            Err(ReadlineError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }

    fn remember(&mut self, entry: &str) {
        // An entry that cannot be remembered is only not remembered.
        drop(self.add_history_entry(entry));
    }
}
