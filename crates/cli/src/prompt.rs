//! The prompt of `run` and `explain`: from the command line, from a pipe, from a file, or not given yet.

use std::fs::File;
use std::io::Read;

use app::Failure;
use app::job::{Constraint, Message, Prompt, Tool};
use clap::{Arg, ArgAction, ArgMatches};

use crate::outcome::Stop;
use crate::session::{Session, Stdin};
use serde::de::DeserializeOwned;

/// More than any context holds.
const MAX_PIPED_BYTES: u64 = 16 << 20;

/// The flags that say how a prompt is to be read.
pub fn arguments() -> [Arg; 4] {
    [
        Arg::new("prompt")
            .value_name("PROMPT")
            .num_args(0..)
            .help("What to say; several words are joined, `-` stands for what is piped in"),
        Arg::new("raw")
            .long("raw")
            .action(ArgAction::SetTrue)
            .help("Continue the text as it is, without the model's chat template"),
        Arg::new("system")
            .long("system")
            .value_name("TEXT")
            .conflicts_with("raw")
            .help("What the model is told before the conversation"),
        Arg::new("device")
            .long("device")
            .value_name("DEVICE")
            .value_parser(["cpu", "gpu"])
            .help("Where to compute (default: cpu)"),
    ]
}

/// The flag that gives a whole conversation.
pub fn messages_argument() -> Arg {
    Arg::new("messages")
        .long("messages")
        .value_name("FILE")
        .conflicts_with_all(["prompt", "raw", "system"])
        .help("A conversation to answer: a JSON list of {\"role\", \"content\"}, with tool calls and their results as \
               OpenAI writes them; `-` for what is piped in")
}

/// The flags that say what a model may do besides answering.
pub fn ability_arguments() -> [Arg; 3] {
    [
        Arg::new("draft")
            .long("draft")
            .value_name("MODEL")
            .help("A smaller model of the same vocabulary that guesses ahead: the answer is the same, sooner"),
        Arg::new("think")
            .long("think")
            .value_name("WHETHER")
            .value_parser(["on", "off"])
            .conflicts_with("raw")
            .help("Whether the model thinks before it answers, where one can choose; its thoughts go to stderr"),
        Arg::new("tools")
            .long("tools")
            .value_name("FILE")
            .conflicts_with("raw")
            .help("Tools that the model may call: a JSON list of functions as OpenAI writes them; each call is a line \
                   of JSON"),
    ]
}

/// The flags that say what form an answer has to have.
pub fn form_arguments() -> [Arg; 3] {
    let arg = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    [
        arg("schema", "FILE")
            .conflicts_with_all(["grammar", "regex", "tools"])
            .help("A JSON schema that the answer has to fit; what of it cannot be kept is refused"),
        arg("grammar", "FILE")
            .conflicts_with_all(["regex", "tools"])
            .help("A grammar that the answer has to follow, in the notation of Lark or of llama.cpp (GBNF)"),
        arg("regex", "REGEX")
            .conflicts_with("tools")
            .help("A regular expression that the whole answer has to match"),
    ]
}

/// What `--schema`, `--grammar` or `--regex` says; absent without them.
pub fn constraint(matches: &ArgMatches) -> Result<Option<Constraint>, Stop> {
    let given = |name: &str| matches.get_one::<String>(name);
    if let Some(path) = given("schema") {
        let hint = r#"write a JSON schema: {"type": "object", "properties": {…}}"#;
        let wrong = |error: serde_json::Error| Failure::new("wrong_schema", format!("{path}: {error}"), hint);
        let schema = serde_json::from_str(&file(path)?).map_err(wrong)?;
        return Ok(Some(Constraint::JsonSchema(schema)));
    }
    if let Some(path) = given("grammar") {
        let text = file(path)?;
        // Only there a rule is told from its name by this sign.
        let is_gbnf = path.ends_with(".gbnf") || !path.ends_with(".lark") && text.contains("::=");
        return Ok(Some(if is_gbnf { Constraint::Gbnf(text) } else { Constraint::Lark(text) }));
    }
    Ok(given("regex").cloned().map(Constraint::Regex))
}

/// The model that `--draft` names.
pub fn draft(matches: &ArgMatches) -> Option<String> {
    matches.get_one::<String>("draft").cloned()
}

/// What `--think` says; absent where it says nothing.
pub fn thinking(matches: &ArgMatches) -> Option<bool> {
    matches.get_one::<String>("think").map(|whether| whether == "on")
}

/// The tools of `--tools`; none without it.
pub fn tools(matches: &ArgMatches) -> Result<Vec<Tool>, Stop> {
    let Some(path) = matches.get_one::<String>("tools") else { return Ok(Vec::new()) };
    let hint = r#"write a list: [{"type": "function", "function": {"name": "now", "parameters": {…}}}]"#;
    list(path, &file(path)?, &Wanted { code: "wrong_tools", what: "tool", hint })
}

/// What `run` is to continue; absent where a person is at the terminal and gave nothing.
pub fn given(matches: &ArgMatches, session: &mut Session) -> Result<Option<Prompt>, Stop> {
    match matches.get_one::<String>("messages") {
        Some(path) => messages(path, session).map(|messages| Some(Prompt::Chat(messages))),
        None => Ok(text(matches, session)?.map(|text| prompt(matches, text))),
    }
}

fn messages(path: &str, session: &mut Session) -> Result<Vec<Message>, Stop> {
    let text = if path == "-" { piped(session)? } else { file(path)? };
    let hint = r#"write a list: [{"role": "user", "content": "Hello"}]"#;
    list(path, &text, &Wanted { code: "wrong_messages", what: "message", hint })
}

/// What a list is to hold.
struct Wanted {
    code: &'static str,
    what: &'static str,
    hint: &'static str,
}

fn list<T: DeserializeOwned>(path: &str, text: &str, wanted: &Wanted) -> Result<Vec<T>, Stop> {
    let wrong = |why: String| Stop::Failed(Failure::new(wanted.code, format!("{path}: {why}"), wanted.hint));
    let items: Vec<T> = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if items.is_empty() {
        return Err(wrong(format!("there is no {}", wanted.what)));
    }
    Ok(items)
}

fn file(path: &str) -> Result<String, Stop> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_PIPED_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| {
        Failure::new("unreadable_prompt", format!("{path}: {error}"), "name a file that you may read")
    })?;
    decode(bytes).map_err(Stop::Failed)
}

/// The text that was asked for; absent where a person is at the terminal and gave none.
///
/// A piped text loses one line break at its end, which `echo` put there.
pub fn text(matches: &ArgMatches, session: &mut Session) -> Result<Option<String>, Stop> {
    let words: Vec<&String> = matches.get_many("prompt").into_iter().flatten().collect();
    match (words.as_slice(), &session.world.stdin) {
        ([], Stdin::Terminal) => Ok(None),
        ([], Stdin::Piped(_)) => piped(session).map(Some),
        (words, _) => {
            let has_pipe = words.iter().any(|word| *word == "-");
            let piped = if has_pipe { piped(session)? } else { String::new() };
            let words = words.iter().map(|word| if *word == "-" { piped.as_str() } else { word.as_str() });
            Ok(Some(words.collect::<Vec<_>>().join(" ")))
        }
    }
}

/// `text` as a prompt: as it is, or as what a person says after what the system says.
pub fn prompt(matches: &ArgMatches, text: String) -> Prompt {
    if matches.get_flag("raw") {
        return Prompt::Raw(text);
    }
    let system = matches.get_one::<String>("system").map(|system| message("system", system));
    Prompt::Chat(system.into_iter().chain([message("user", &text)]).collect())
}

pub fn message(role: &str, content: &str) -> Message {
    Message::new(role, content)
}

/// Everything that is piped in, once.
pub fn piped(session: &mut Session) -> Result<String, Stop> {
    let stdin = std::mem::replace(&mut session.world.stdin, Stdin::Piped(Box::new(std::io::empty())));
    let mut source: Box<dyn Read> = match stdin {
        Stdin::Piped(source) => source,
        Stdin::Terminal => {
            session.console().say("Type the text, then Ctrl-D at the beginning of a line.");
            Box::new(std::io::stdin())
        }
    };
    let mut bytes = Vec::new();
    let read = source.by_ref().take(MAX_PIPED_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| {
        let message = format!("stdin cannot be read: {error}");
        Failure::new("unreadable_prompt", message, "give the prompt in quotes after the model's name")
    })?;
    decode(bytes).map_err(Stop::Failed)
}

fn decode(bytes: Vec<u8>) -> Result<String, Failure> {
    if bytes.len() as u64 > MAX_PIPED_BYTES {
        let message = format!("the prompt is longer than {} MiB", MAX_PIPED_BYTES >> 20);
        return Err(Failure::new("prompt_too_long", message, "pipe a shorter text"));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("the prompt is not UTF-8 text: byte {at}");
        Failure::new("prompt_not_text", message, "convert it first, for example with iconv -t UTF-8")
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn piped_bytes_are_text_of_a_bounded_length() {
        let decode = |bytes: &[u8]| decode(bytes.to_vec()).map_err(|failure| failure.message);
        assert_eq!(decode(b"Once\n"), Ok("Once".to_owned()));
        assert_eq!(decode(b"Once\r\n"), Ok("Once".to_owned()));
        assert_eq!(decode(b"Once\n\n"), Ok("Once\n".to_owned()));
        assert_eq!(decode(b""), Ok(String::new()));
        assert_eq!(decode(b"ab\xff"), Err("the prompt is not UTF-8 text: byte 2".to_owned()));
        assert!(decode(&vec![b'a'; (MAX_PIPED_BYTES + 1) as usize]).is_err());
    }
}
