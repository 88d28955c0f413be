//! The orders of a chat, as one table: `/help`, `/clear` and so on.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use app::Failure;
use app::job::Message;

use super::Chat;
use crate::knobs;
use crate::session::Session;
use crate::terminal::table::pairs;

/// What a chat does after an order.
pub enum Next {
    /// Reads the next line.
    Read,
    /// Asks the model this.
    Ask(String),
    /// Ends.
    Leave,
}

struct Order {
    /// The first is shown, the others are habits from elsewhere.
    names: &'static [&'static str],
    argument: &'static str,
    help: &'static str,
    run: fn(&mut Chat, &mut Session, &str) -> Next,
}

static ORDERS: &[Order] = &[
    Order { names: &["help", "?"], argument: "", help: "show this", run: help },
    Order { names: &["clear"], argument: "", help: "forget the conversation and begin anew", run: clear },
    Order {
        names: &["system"],
        argument: "TEXT",
        help: "tell the model this first; nothing without a text",
        run: system,
    },
    Order {
        names: &["set"],
        argument: "KNOB VALUE",
        help: "turn a knob, such as temperature 0.5; back without a value",
        run: set,
    },
    Order { names: &["show"], argument: "", help: "show the model, the knobs and the room left", run: show },
    Order { names: &["retry"], argument: "", help: "ask the last question again", run: retry },
    Order {
        names: &["save"],
        argument: "FILE",
        help: "write the conversation to a new file as lines of JSON",
        run: save,
    },
    Order { names: &["bye", "exit", "quit"], argument: "", help: "leave", run: |_, _, _| Next::Leave },
];

const KEYS: &str = "\
\"\"\" begins and ends a text of several lines; a backslash at a line's end goes on
in the next. A text that begins with / wants a blank before it. Ctrl-C stops an
answer, Ctrl-D leaves. What you type is kept in memory only.";

/// Does the order called `name`.
pub fn obey(chat: &mut Chat, session: &mut Session, name: &str, rest: &str) -> Next {
    match ORDERS.iter().find(|order| order.names.contains(&name)) {
        Some(order) => (order.run)(chat, session, rest),
        None => {
            let message = format!("there is no order /{name}");
            let hint = "/help lists them; a text that begins with / wants a blank before it";
            session.console().fail(&Failure::new("unknown_order", message, hint));
            Next::Read
        }
    }
}

fn help(_: &mut Chat, session: &mut Session, _: &str) -> Next {
    let left = |order: &Order| format!("/{} {}", order.names[0], order.argument).trim_end().to_owned();
    let lines: Vec<_> = ORDERS.iter().map(|order| (left(order), order.help.to_owned())).collect();
    session.console().say(&(pairs(&lines) + KEYS));
    Next::Read
}

fn clear(chat: &mut Chat, session: &mut Session, _: &str) -> Next {
    chat.conversation.clear();
    chat.n_used = 0;
    session.console().say("Forgotten.");
    Next::Read
}

fn system(chat: &mut Chat, session: &mut Session, text: &str) -> Next {
    chat.conversation.system = (!text.is_empty()).then(|| text.to_owned());
    let said = if text.is_empty() { "The system says nothing." } else { "The system says so from now on." };
    session.console().say(said);
    Next::Read
}

fn set(chat: &mut Chat, session: &mut Session, rest: &str) -> Next {
    let (name, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match knobs::turn(&mut chat.sampling, name, value.trim(), &chat.at_start) {
        Ok(()) => session.console().say(pairs(&chat.knobs()).trim_end()),
        Err(message) => {
            let hint = "/show lists the knobs with their values";
            session.console().fail(&Failure::new("wrong_knob", message, hint));
        }
    }
    Next::Read
}

fn show(chat: &mut Chat, session: &mut Session, _: &str) -> Next {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let room = match chat.context {
        0 => "–".to_owned(),
        context => format!("{} of {context} tokens used", chat.n_used),
    };
    let system = chat.conversation.system.clone().unwrap_or_else(|| "–".to_owned());
    let mut facts = vec![
        pair("model", chat.model.clone()),
        pair("system", system),
        pair("answers", chat.conversation.n_answers().to_string()),
        pair("context", room),
    ];
    facts.extend(chat.knobs());
    session.console().say(pairs(&facts).trim_end());
    Next::Read
}

fn retry(chat: &mut Chat, session: &mut Session, _: &str) -> Next {
    match chat.conversation.take_last() {
        Some(question) => Next::Ask(question),
        None => {
            session.console().say("Nothing was asked yet.");
            Next::Read
        }
    }
}

fn save(chat: &mut Chat, session: &mut Session, file: &str) -> Next {
    let messages = chat.conversation.messages();
    let saved = match file {
        "" => Err(io::Error::other("a file's name is wanted")),
        file => write(Path::new(file), &messages),
    };
    match saved {
        Ok(()) => session.console().say(&format!("{} messages are in {file}.", messages.len())),
        Err(error) => {
            let hint = "name a file that does not exist yet, in a folder that you may write to";
            session.console().fail(&Failure::new("unwritable", format!("/save {file}: {error}"), hint));
        }
    }
    Next::Read
}

/// A new file that only its owner can read. Nothing that exists is written over.
fn write(path: &Path, messages: &[Message]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    for message in messages {
        writeln!(file, "{}", serde_json::to_string(message)?)?;
    }
    file.sync_all()
}
