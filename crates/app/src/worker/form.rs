//! The form that an answer has to have, from what a job says: a constraint, or the calls of tools.
//!
//! Does not: know the formats of calls, keep what was compiled, choose tokens.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use text::Tokenizer;
use text::answer::Format;
use text::grammar::{Choice, Grammar, Offer, PerAnswer, Plan, Source, Vocabulary, calls};

use crate::Failure;
use crate::job::{Constraint, Generate, Prompt, Tool, ToolCalls, ToolChoice};

/// What a constraint is to the grammars.
fn source(constraint: &Constraint) -> Source {
    match constraint {
        Constraint::JsonObject => Source::JsonObject,
        Constraint::JsonSchema(schema) => Source::JsonSchema(schema.clone()),
        Constraint::Regex(regex) => Source::Regex(regex.clone()),
        Constraint::Lark(grammar) => Source::Lark(grammar.clone()),
        Constraint::Gbnf(grammar) => Source::Gbnf(grammar.clone()),
    }
}

/// The tools that the model is told of: none where it may not call, the one that it has to call.
///
/// # Errors
/// A choice that no tool is there for.
pub(crate) fn offered(generate: &Generate) -> Result<Cow<'_, [Tool]>, Failure> {
    let tools = &generate.tools;
    let missing = |message: String| {
        Err(Failure::new("bad_tool_choice", message, "name one of the tools that the job brings along"))
    };
    match &generate.tool_choice {
        ToolChoice::None => Ok(Cow::Owned(Vec::new())),
        ToolChoice::Required if tools.is_empty() => {
            missing("a call is required, but there are no tools".into())
        }
        ToolChoice::Named(name) => match tools.iter().find(|tool| tool.name == *name) {
            Some(tool) => Ok(Cow::Owned(vec![tool.clone()])),
            None => missing(format!("the tool {name:?} is to be called, but is not among the tools")),
        },
        ToolChoice::Auto | ToolChoice::Required => Ok(Cow::Borrowed(tools)),
    }
}

/// Whether an answer has to have a form at all.
///
/// # Errors
/// A form for the answer where it may, or has to, be calls; calls without a conversation.
pub(crate) fn is_wanted(generate: &Generate) -> Result<bool, Failure> {
    check(generate)?;
    Ok(generate.constraint.is_some() || may_call(generate) && is_chat(generate))
}

/// What a form is made of, as a text: the same text makes the same form of one model.
pub(crate) fn key(generate: &Generate, format: &Format) -> String {
    let tools = match &generate.constraint {
        Some(_) => Cow::default(),
        None => offered(generate).unwrap_or_default(),
    };
    json!([format.name, generate.constraint, tools, is_forced(generate), generate.tool_calls]).to_string()
}

/// What an answer in `format` is held to behind its thinking.
///
/// # Errors
/// A form that cannot be kept, and calls that cannot be forced.
pub(crate) fn plan(
    generate: &Generate,
    format: &'static Format,
    tokenizer: &Tokenizer,
    vocabulary: &Vocabulary,
) -> Result<Option<Plan>, Failure> {
    match &generate.constraint {
        Some(constraint) => Ok(Some(Plan::whole(Grammar::compile(&source(constraint), vocabulary)?))),
        None => calls_of(generate, format, tokenizer, vocabulary),
    }
}

/// The calls of the tools that the model is told of.
fn calls_of(
    generate: &Generate,
    format: &'static Format,
    tokenizer: &Tokenizer,
    vocabulary: &Vocabulary,
) -> Result<Option<Plan>, Failure> {
    let tools = offered(generate)?;
    let tools: Vec<(&str, &Json)> = tools.iter().map(|tool| (tool.name.as_str(), &tool.parameters)).collect();
    if tools.is_empty() {
        return Ok(None);
    }
    let choice = if is_forced(generate) { Choice::Must } else { Choice::May };
    let per_answer = match generate.tool_calls {
        ToolCalls::One => PerAnswer::One,
        ToolCalls::Many => PerAnswer::Many,
    };
    let offer = Offer { tools: &tools, choice, per_answer };
    Ok(calls(format, &offer, tokenizer, vocabulary)?)
}

/// Whether the answer has to be calls.
fn is_forced(generate: &Generate) -> bool {
    matches!(generate.tool_choice, ToolChoice::Required | ToolChoice::Named(_))
}

fn may_call(generate: &Generate) -> bool {
    !generate.tools.is_empty() && generate.tool_choice != ToolChoice::None
}

fn is_chat(generate: &Generate) -> bool {
    matches!(generate.prompt, Prompt::Chat(_))
}

fn check(generate: &Generate) -> Result<(), Failure> {
    if may_call(generate) && generate.constraint.is_some() {
        let hint = "leave the tools out, or the form";
        return Err(Failure::new(
            "bad_tool_choice",
            "an answer that has to have a form cannot call tools",
            hint,
        ));
    }
    if is_forced(generate) && matches!(generate.prompt, Prompt::Raw(_)) {
        let hint = "give the prompt as a conversation";
        return Err(Failure::new("bad_tool_choice", "tools are called in conversations only", hint));
    }
    Ok(())
}
