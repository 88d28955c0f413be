//! What a prompt is to a model: its text through the chat template and its tokens, as an answer to it would begin.
//!
//! Does not: load weights, compute.

use std::sync::{Arc, Mutex, PoisonError};

use base::TokenId;
use store::Store;
use text::template::CivilTime;
use text::{Segment, Special, Tokenizer};

use super::contents::Contents;
use super::dialogue::Dialogue;
use super::open::Source;
use super::{Task, fill_in};
use crate::event::tokens::Rendered;
use crate::job::Prompt;
use crate::{Event, Failure};

/// Vocabularies are large: one of those that are not in memory is read at a time.
static READING: Mutex<()> = Mutex::new(());

/// Tells what the prompt of `task` is to a model that is not in memory, on a thread of its own.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start(store: Arc<Store>, source: Source, task: Task) -> Result<(), Failure> {
    let work = move || {
        let reporter = task.reporter.clone();
        reporter.finish(|| {
            let _one = READING.lock().unwrap_or_else(PoisonError::into_inner);
            let contents = Contents::read(&source)?;
            let tokenizer = contents.compiled_tokenizer(&store)?;
            render(&contents.dialogue(&tokenizer)?, &tokenizer, &task, &source)
        });
    };
    let started = std::thread::Builder::new().name("tokens".into()).spawn(work);
    started.map(drop).map_err(|error| Failure::no_thread(&error))
}

/// What the prompt of `task` is to the model `source`, which speaks so.
///
/// # Errors
/// What the template says against the prompt.
pub(crate) fn render(
    dialogue: &Dialogue,
    tokenizer: &Tokenizer,
    task: &Task,
    source: &Source,
) -> Result<Event, Failure> {
    let own = source.said.template_for(&task.generate)?;
    let own = own.map(|template| dialogue.with_template(template)).transpose()?;
    let dialogue = own.as_ref().unwrap_or(dialogue);
    let prompt = source.said.begin(&task.generate.prompt);
    let given = give(&prompt, dialogue, tokenizer, task)?;
    let text = match (&*prompt, &given.segments) {
        (Prompt::Raw(text), _) => text.clone(),
        (_, segments) => segments.iter().flatten().map(|segment| segment.text.as_str()).collect(),
    };
    let tokens = given.tokens.into_iter().map(|token| token.0).collect();
    Ok(Event::Rendered(Rendered { model: source.name.clone(), text, tokens }))
}

/// A prompt as a model is given it.
pub(super) struct Given {
    pub tokens: Vec<TokenId>,
    /// Of a conversation, what its template made of it.
    pub segments: Option<Vec<Segment>>,
}

/// A prompt as a model of this dialogue is given it.
///
/// # Errors
/// What the template says against the prompt, or a text that has no tokens.
pub(super) fn give(
    prompt: &Prompt,
    dialogue: &Dialogue,
    tokenizer: &Tokenizer,
    task: &Task,
) -> Result<Given, Failure> {
    let generate = &task.generate;
    let (tokens, begins_itself, segments) = match prompt {
        Prompt::Raw(text) => (tokenizer.encode(text, Special::Parse)?, false, None),
        // Whoever gives tokens gives all of them.
        Prompt::Tokens(ids) => (ids.iter().copied().map(TokenId).collect(), true, None),
        Prompt::FillIn { prefix, suffix } => {
            (fill_in::prompt(tokenizer, &generate.model, prefix, suffix)?, false, None)
        }
        Prompt::Chat(messages) => {
            let now = CivilTime::from_unix_ms(task.now_unix_ms);
            let segments = dialogue.render(messages, generate, now)?;
            let tokens = tokenizer.encode_segments(&segments)?;
            let begins_itself = tokens.first().copied() == tokenizer.bos();
            (tokens, begins_itself, Some(segments))
        }
    };
    let bos = tokenizer.bos().filter(|_| tokenizer.add_bos() && !begins_itself);
    Ok(Given { tokens: bos.into_iter().chain(tokens).collect(), segments })
}
