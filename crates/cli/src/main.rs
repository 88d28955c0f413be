//! The program `hearth`: commands, the chat and the glass box in a terminal.
//!
//! It turns words on a command line into `app::Job` and `app::Event` into text. It does not compute,
//! read models or keep anything: that is behind `app`. stdout is data, stderr is talk.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "a program has no public interface; what needs a word has it")]

mod chat;
mod commands;
mod console;
mod environment;
mod explanations;
mod interrupt;
mod jobs;
mod knobs;
mod outcome;
mod program;
mod prompt;
#[cfg(test)]
mod scripted;
mod session;
mod statistics;
mod terminal;
mod training_settings;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use app::{App, Failure, Settings};
use terminal_size::{Height, Width, terminal_size};

use crate::console::{Console, End, Look};
use crate::jobs::Jobs;
use crate::session::{Session, Stdin, World};

/// Columns where no terminal says how many it has.
const COLUMNS: u16 = 80;
/// Rows where no terminal says how many it has.
const ROWS: u16 = 24;

fn main() -> ExitCode {
    let exit = program::main(std::env::args_os(), &mut Session::new(world(console())));
    ExitCode::from(exit.code())
}

fn console() -> Console {
    let end = |is_terminal: bool| if is_terminal { End::Terminal } else { End::Other };
    let (Width(columns), Height(rows)) = terminal_size().unwrap_or((Width(COLUMNS), Height(ROWS)));
    let can_redraw = io::stderr().is_terminal() && !environment::is_dumb(environment::variable);
    let look = Look {
        out: end(io::stdout().is_terminal()),
        err: end(can_redraw),
        color: environment::color(environment::variable),
        columns: usize::from(columns).max(20),
        rows: rows.into(),
    };
    Console::new(Box::new(io::stdout()), Box::new(io::stderr()), look)
}

fn world(console: Console) -> World {
    let is_terminal = io::stdin().is_terminal();
    World {
        console,
        stdin: if is_terminal { Stdin::Terminal } else { Stdin::Piped(Box::new(io::stdin())) },
        settings: environment::settings(environment::variable),
        open: Box::new(open),
        edit: Box::new(chat::lines::editor),
        // Without a handler Ctrl-C ends the program at once, which loses only a goodbye.
        listen: Box::new(|interrupt| drop(interrupt.listen())),
        elapsed_ms: elapsed_ms(),
        now_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
    }
}

/// Milliseconds since the program began.
fn elapsed_ms() -> Rc<dyn Fn() -> u64> {
    let begun = Instant::now();
    Rc::new(move || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
}

fn open(settings: Settings) -> Result<Box<dyn Jobs>, Failure> {
    App::open(settings).map(|app| Box::new(app) as Box<dyn Jobs>)
}
