//! A chat in a terminal: reads, asks, streams, remembers.
//!
//! It decides what is sent and what is kept. How lines are put together is `entry`, what was said is
//! `conversation`, what a `/word` does is `orders`, the keyboard is `lines`.

mod conversation;
mod entry;
pub mod lines;
mod orders;

use std::io;

use app::event::{Finished, Reason, Started};
use app::job::{Generate, Prompt, Sampling};
use app::{Event, Failure, Job};

use crate::interrupt::Manner;
use crate::outcome::{Exit, Stop};
use crate::session::Session;
use crate::{knobs, statistics};
use conversation::Conversation;
use entry::{Collector, Entry};
use lines::{Lines, Typed};
use orders::Next;

/// The code of a failure: question and conversation do not fit the model.
const TOO_LONG: &str = "prompt_too_long";

/// How a question is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With the conversation, through the model's template.
    Chat,
    /// Alone, as a text to continue.
    Raw,
}

/// What is told after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Answers,
    Statistics,
}

/// A chat and its settings.
pub struct Chat {
    model: String,
    sampling: Sampling,
    /// What `/set` goes back to.
    at_start: Sampling,
    /// How the tokens of the last answer were chosen, with all that the model says; unknown until it is loaded.
    used: Sampling,
    form: Form,
    told: Told,
    /// Whether the model is to think, where somebody said so.
    thinking: Option<bool>,
    /// A smaller model that guesses ahead.
    draft: Option<String>,
    conversation: Conversation,
    /// Tokens that the model can hold; 0 until it is loaded.
    context: usize,
    /// Tokens of the last question with all before it, and its answer.
    n_used: usize,
}

impl Chat {
    pub fn new(model: String, sampling: Sampling) -> Self {
        Self {
            model,
            at_start: sampling.clone(),
            sampling,
            used: Sampling::default(),
            form: Form::Chat,
            told: Told::Answers,
            thinking: None,
            draft: None,
            conversation: Conversation::default(),
            context: 0,
            n_used: 0,
        }
    }

    /// The knobs as they stand, as far as that is known.
    fn knobs(&self) -> Vec<(String, String)> {
        knobs::values(&self.sampling.over(&self.used))
    }

    pub fn form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    pub fn told(self, told: Told) -> Self {
        Self { told, ..self }
    }

    pub fn thinking(self, thinking: Option<bool>) -> Self {
        Self { thinking, ..self }
    }

    pub fn draft(self, draft: Option<String>) -> Self {
        Self { draft, ..self }
    }

    pub fn system(mut self, system: Option<String>) -> Self {
        self.conversation.system = system;
        self
    }
}

/// Chats until the person leaves.
pub fn chat(session: &mut Session, mut chat: Chat) -> Result<Exit, Stop> {
    let mut lines = (session.world.edit)().map_err(no_keyboard)?;
    session.interrupt.set_manner(Manner::Stay);
    session.console().say(&format!("This is {}. /help tells how to chat, Ctrl-D leaves.", chat.model));
    let mut collector = Collector::default();
    loop {
        let next = match lines.read(collector.prompt()).map_err(no_keyboard)? {
            Typed::End => Next::Leave,
            Typed::Interrupted => {
                let said = if collector.abandon() { "Dropped." } else { "Ctrl-D or /bye leaves." };
                session.console().say(said);
                Next::Read
            }
            Typed::Line(line) => hear(&mut chat, session, &mut *lines, collector.push(&line)),
        };
        match next {
            Next::Read => {}
            Next::Ask(question) => ask(&mut chat, session, &question)?,
            Next::Leave => return Ok(Exit::Done),
        }
    }
}

fn no_keyboard(error: io::Error) -> Failure {
    let message = format!("the terminal cannot be read: {error}");
    Failure::new("no_terminal", message, "give the prompt in quotes after the model's name")
}

fn hear(chat: &mut Chat, session: &mut Session, lines: &mut dyn Lines, entry: Entry) -> Next {
    match entry {
        Entry::Open | Entry::Blank => Next::Read,
        Entry::TooLong => {
            session.console().say("That is too long for any model; it was dropped.");
            Next::Read
        }
        Entry::Said(text) => {
            lines.remember(&text);
            Next::Ask(text)
        }
        Entry::Order { name, rest } => {
            lines.remember(format!("/{name} {rest}").trim_end());
            orders::obey(chat, session, &name, &rest)
        }
    }
}

/// Asks and streams the answer. What was said until an end of any kind is remembered.
fn ask(chat: &mut Chat, session: &mut Session, question: &str) -> Result<(), Stop> {
    chat.conversation.ask(question);
    let (mut answer, mut started, mut finished) = (String::new(), None, None);
    let followed = session.follow(job(chat, question), &mut |console, event| {
        match event {
            Event::Started(event) => started = Some(event.clone()),
            Event::Text { text } => {
                answer.push_str(text);
                console.stream(text)?;
            }
            Event::Thinking { text } => console.think(text)?,
            Event::ToolCall { name, arguments, .. } => console.call(name, arguments)?,
            Event::Finished(event) => finished = Some(event.clone()),
            _ => {}
        }
        Ok(())
    });
    chat.conversation.answer(&answer);
    session.console().end_line()?;
    match followed {
        Ok(()) => {}
        Err(Stop::Interrupted) => session.console().say("Stopped."),
        Err(Stop::Failed(failure)) => {
            session.console().fail(&failure);
            if failure.code == TOO_LONG && chat.conversation.n_answers() > 0 {
                session.console().say("/clear begins a new conversation.");
            }
        }
        Err(Stop::Output(error)) => return Err(Stop::Output(error)),
    }
    tell(chat, session, started.as_ref(), finished.as_ref());
    Ok(())
}

fn job(chat: &Chat, question: &str) -> Job {
    let prompt = match chat.form {
        Form::Chat => Prompt::Chat(chat.conversation.messages()),
        Form::Raw => Prompt::Raw(question.to_owned()),
    };
    let (sampling, thinking, draft) = (chat.sampling.clone(), chat.thinking, chat.draft.clone());
    Job::Generate(Generate { sampling, thinking, draft, ..Generate::new(chat.model.as_str(), prompt) })
}

/// Says what a person may want to know after an answer.
fn tell(chat: &mut Chat, session: &mut Session, started: Option<&Started>, finished: Option<&Finished>) {
    if let Some(started) = started {
        chat.context = started.context;
        chat.n_used = started.n_prompt_tokens;
        // The seed is drawn anew for each answer.
        chat.used = Sampling { seed: None, ..started.sampling.clone() };
    }
    let Some(finished) = finished else {
        return;
    };
    chat.n_used = finished.n_prompt_tokens.saturating_add(finished.n_generated_tokens);
    if chat.told == Told::Statistics {
        session.console().say(&statistics::line(started, finished));
    }
    if finished.reason == Reason::Length && chat.context > 0 && chat.n_used >= chat.context {
        let context = chat.context;
        let text = format!("The context of {context} tokens is full. /clear begins a new conversation.");
        session.console().say(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Script, answer, finished};
    use app::job::Message;

    /// Each job's conversation as `user:hello assistant:…`.
    fn asked(jobs: &[Job]) -> Vec<String> {
        let turn = |message: &Message| format!("{}:{}", message.role, message.content);
        let one = |job: &Job| match job {
            Job::Generate(Generate { prompt: Prompt::Chat(messages), .. }) => {
                messages.iter().map(turn).collect::<Vec<_>>().join(" ")
            }
            Job::Generate(Generate { prompt: Prompt::Raw(text), .. }) => format!("raw:{text}"),
            other => panic!("{other:?}"),
        };
        jobs.iter().map(one).collect()
    }

    #[test]
    fn the_conversation_grows_and_the_answer_streams() {
        let script = Script::new(answer(&["Hel", "lo\x1b[2J."])).then(answer(&["Fine."]));
        let told =
            script.types(["hi", "", "\"\"\"", "how", "are you?", "\"\"\""]).on_terminal().run(&["run", "m"]);
        assert_eq!(told.out, "Hello␛[2J.\nFine.\n");
        assert_eq!(asked(&told.jobs), ["user:hi", "user:hi assistant:Hello\x1b[2J. user:how\nare you?"]);
        assert_eq!(told.remembered, ["hi", "how\nare you?"]);
        assert_eq!(told.prompts, [">>> ", ">>> ", ">>> ", "... ", "... ", "... ", ">>> "]);
        assert_eq!(told.exit, Exit::Done);
    }

    #[test]
    fn ctrl_c_stops_the_answer_and_not_the_chat() {
        let script = Script::new(answer(&["One", " two", " three"])).then(answer(&["Next."]));
        let told =
            script.interrupted_after(3).types(["^C", "a\\", "^C", "count", "go on"]).run(&["run", "m"]);
        assert_eq!(told.out, "One two\nNext.\n");
        assert_eq!(asked(&told.jobs), ["user:count", "user:count assistant:One two user:go on"]);
        let said: Vec<&str> = told.err.lines().skip(1).collect();
        assert_eq!(said, ["Ctrl-D or /bye leaves.", "Dropped.", "Stopped."]);
        assert_eq!(told.exit, Exit::Done);
    }

    #[test]
    fn a_failure_leaves_the_chat_and_can_be_asked_again() {
        let failure = || Event::Failed(Failure::new("busy", "too busy", "try again"));
        let script = Script::new([failure()]).then(answer(&["Yes."])).then(answer(&["No."]));
        let told = script.types(["well?", "/retry", "/retry", "/clear", "/retry"]).run(&["run", "m"]);
        assert_eq!(asked(&told.jobs), ["user:well?", "user:well?", "user:well?"]);
        assert!(told.err.contains("error: too busy\nhint: try again\n"), "{}", told.err);
        assert!(told.err.ends_with("Forgotten.\nNothing was asked yet.\n"), "{}", told.err);
    }

    #[test]
    fn orders_change_what_is_sent() {
        let lines = [
            "/system be brief",
            "/set temperature 0.5",
            "/set stop END",
            "/set stop",
            "a",
            "/clear",
            "/system",
            "b",
        ];
        let told = Script::new(answer(&["A"])).types(lines).run(&["run", "m", "--temperature", "0"]);
        assert_eq!(asked(&told.jobs), ["system:be brief user:a", "user:b"]);
        let [Job::Generate(first), _] = told.jobs.as_slice() else { panic!("{:?}", told.jobs) };
        assert_eq!((first.sampling.temperature, first.sampling.stop.len()), (Some(0.5), 0));
    }

    #[test]
    fn wrong_orders_say_what_is_right() {
        let told = Script::new([]).types(["/nonsense", "/set heat 1", "/set top-p 7", "/save"]).run(&["run"]);
        for text in
            ["/nonsense", "there is no knob `heat`", "top-p: a number from 0 to 1", "/save : a file's name"]
        {
            assert!(told.err.contains(text), "{text}: {}", told.err);
        }
        assert!(told.jobs.is_empty());
    }

    #[test]
    fn help_and_show_tell_everything() {
        let told =
            Script::new(answer(&["A"])).types(["/help", "a", "/show", "/quit", "b"]).run(&["run", "m"]);
        expect_test::expect![[r#"
            This is m. /help tells how to chat, Ctrl-D leaves.
              /help            show this
              /clear           forget the conversation and begin anew
              /system TEXT     tell the model this first; nothing without a text
              /set KNOB VALUE  turn a knob, such as temperature 0.5; back without a value
              /show            show the model, the knobs and the room left
              /retry           ask the last question again
              /save FILE       write the conversation to a new file as lines of JSON
              /bye             leave
            """ begins and ends a text of several lines; a backslash at a line's end goes on
            in the next. A text that begins with / wants a blank before it. Ctrl-C stops an
            answer, Ctrl-D leaves. What you type is kept in memory only.
              model               m
              system              –
              answers             1
              context             44 of 512 tokens used
              temperature         0.7
              top-k               40
              top-p               0.95
              min-p               0.05
              typical-p           –
              mirostat            –
              mirostat-tau        –
              mirostat-eta        –
              repetition-penalty  1
              presence-penalty    0
              frequency-penalty   0
              repeat-last-n       –
              max-tokens          –
              min-tokens          –
              seed                –
              stop                –
        "#]]
        .assert_eq(&told.err);
        assert_eq!(told.jobs.len(), 1);
    }

    #[test]
    fn a_conversation_is_saved_to_a_new_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.jsonl");
        let save = format!("/save {}", path.display());
        let told = Script::new(answer(&["A"])).types(["a", &save, &save]).run(&["run", "m"]);
        let expected = "{\"role\":\"user\",\"content\":\"a\"}\n{\"role\":\"assistant\",\"content\":\"A\"}\n";
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        assert!(told.err.contains("2 messages are in") && told.err.contains("error: /save"), "{}", told.err);
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_full_context_names_the_next_step() {
        let full = Finished { n_prompt_tokens: 471, ..finished(Reason::Length) };
        let mut events = answer(&["A"]);
        events.pop();
        events.push(Event::Finished(full));
        let told = Script::new(events).types(["a"]).run(&["run", "m"]);
        assert!(told.err.ends_with("The context of 512 tokens is full. /clear begins a new conversation.\n"));
    }

    #[test]
    fn a_conversation_that_is_too_long_names_the_next_step() {
        let failure = || Event::Failed(Failure::new(TOO_LONG, "600 tokens, 512 fit", "shorten the prompt"));
        let told = Script::new(answer(&["A"])).then([failure()]).types(["a", "b"]).run(&["run", "m"]);
        assert!(told.err.ends_with("/clear begins a new conversation.\n"), "{}", told.err);
        let told = Script::new([failure()]).types(["a"]).run(&["run", "m"]);
        assert!(told.err.ends_with("hint: shorten the prompt\n"), "{}", told.err);
    }

    #[test]
    fn thoughts_are_shown_and_not_remembered() {
        let mut events = answer(&["Yes."]);
        events.insert(1, Event::Thinking { text: "Hm.".into() });
        let told = Script::new(events).types(["a", "b"]).run(&["run", "m", "--think", "on"]);
        assert_eq!(asked(&told.jobs), ["user:a", "user:a assistant:Yes. user:b"]);
        assert!(told.out == "Yes.\nYes.\n" && told.err.contains("\nHm.\n"), "{}", told.err);
        let thinks = |job: &Job| matches!(job, Job::Generate(Generate { thinking: Some(true), .. }));
        assert!(told.jobs.iter().all(thinks));
    }

    #[test]
    fn a_raw_chat_continues_each_line_alone() {
        let told = Script::new(answer(&["A"])).types(["a", "b"]).run(&["run", "m", "--raw"]);
        assert_eq!(asked(&told.jobs), ["raw:a", "raw:b"]);
    }
}
