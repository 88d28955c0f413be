//! Chat templates: a model's own Jinja program turns a conversation into a prompt, inside a sandbox.
//!
//! A template is a stranger's program: it has no files, no other templates, no clock, and a budget for
//! instructions, for work and for the length of strings (`scope`). What it renders is what the `transformers`
//! library renders. Text that came from people is marked letter by letter on its way (`twins`), so that
//! [`Rendered::segments`] says which text is the template's own; only there do special tokens count.
//!
//! Does not: tokenize, know models, or choose a template.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::machinery::{CodeGenerator, Vm, WhitespaceConfig, make_string_output, parse};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Rest, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, State, Value};
use serde_json::{Map, Value as Json};

use crate::{Error, Segment};
pub use clock::CivilTime;
use scope::{Call, Fail, Fault, Scope};
use twins::Twins;

mod clock;
mod filters;
mod formats;
mod methods;
mod objects;
mod operators;
mod printing;
mod rewrite;
mod scope;
mod twins;

/// Longest template, in bytes.
const MAX_SOURCE_BYTES: usize = 256 << 10;
/// Deepest calls of macros and recursive loops.
const MAX_CALLS: usize = 64;
/// Longest string and output of a template beyond what its input explains, in bytes.
const MAX_STRING_BYTES: usize = 1 << 20;
/// Instructions that any template may run, and more for each value of its input.
const FUEL: u64 = 50_000;
const FUEL_PER_VALUE: u64 = 400;
/// Bytes that any template may look at or build, and more for each byte and value of its input.
const WORK: u64 = 4 << 20;
const WORK_PER_BYTE: u64 = 256;
const WORK_PER_VALUE: u64 = 16_384;

/// Roles that models are trained with. They belong to the template; any other role is a person's text.
const ROLES: &[&str] = &[
    "system",
    "user",
    "assistant",
    "tool",
    "function",
    "developer",
    "model",
    "ipython",
    "observation",
    "context",
    "document",
    "documents",
    "tool_response",
    "tool_call",
    "tools",
    "human",
    "bot",
    "critic",
];

/// Names under which a message may bring its reasoning, the standard one first. `transformers` hands it to a template
/// under the first two, and so do we.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// For models that bring no template: the layout known as ChatML.
const DEFAULT_SOURCE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + \
    message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}\
    {{ '<|im_start|>assistant\\n' }}{% endif %}";

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, …
    pub role: String,
    /// A string, a list of parts, or null.
    pub content: Json,
    /// What else the message has: `tool_calls`, `name`, `reasoning_content`, `tool_call_id`, …
    pub extra: Map<String, Json>,
}

impl Message {
    /// A message of text.
    pub fn new(role: &str, text: &str) -> Self {
        Self { role: role.to_owned(), content: Json::from(text), extra: Map::new() }
    }
}

/// All that a template sees.
#[derive(Clone, Debug, Default)]
pub struct Conversation<'a> {
    /// The messages, oldest first.
    pub messages: &'a [Message],
    /// Descriptions of tools, as JSON schemas.
    pub tools: Option<Json>,
    /// Whether the prompt ends where the model's next answer begins.
    pub add_generation_prompt: bool,
    /// Text of the begin token, empty for none.
    pub bos_token: &'a str,
    /// Text of the end token, empty for none.
    pub eos_token: &'a str,
    /// Further variables, such as `enable_thinking`.
    pub variables: Map<String, Json>,
    /// The time that the template may print; without it `strftime_now` is not defined.
    pub now: Option<CivilTime>,
}

/// A prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The prompt in stretches of the template's own text and of people's text.
    pub segments: Vec<Segment>,
}

impl Rendered {
    /// The prompt as one text.
    pub fn text(&self) -> String {
        self.segments.iter().map(|segment| segment.text.as_str()).collect()
    }
}

/// Whether the last message is complete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Closed,
    Open,
}

/// A template that parses and uses nothing that is refused.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    source: String,
}

impl Default for ChatTemplate {
    fn default() -> Self {
        Self { source: DEFAULT_SOURCE.to_owned() }
    }
}

impl ChatTemplate {
    /// Checks a template.
    ///
    /// # Errors
    /// Too long, not Jinja, or uses what templates may not: includes, imports, blocks.
    pub fn new(source: &str) -> Result<Self, Error> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(Error::TemplateTooLong { found: source.len(), limit: MAX_SOURCE_BYTES });
        }
        let source = without_generation_marks(source);
        let syntax = SyntaxConfig;
        let root = parse(&source, "template", syntax, WHITESPACE).map_err(|error| syntax_error(&error))?;
        rewrite::template(&root).map_err(|refused| Error::TemplateRefused { what: refused.0 })?;
        drop(root);
        Ok(Self { source })
    }

    /// The prompt for a conversation.
    ///
    /// # Errors
    /// What the template raises itself, a fault in it, or a limit that it runs into.
    pub fn render(&self, conversation: &Conversation<'_>) -> Result<Rendered, Error> {
        self.rendered(conversation, Turn::Closed)
    }

    /// The prompt up to the end of the last message's text, as if the model were writing it: nothing closes its turn.
    /// `add_generation_prompt` does not matter.
    ///
    /// # Errors
    /// What [`ChatTemplate::render`] names, and [`Error::NotOpen`] where the last message's text cannot be found.
    pub fn render_open(&self, conversation: &Conversation<'_>) -> Result<Rendered, Error> {
        self.rendered(&Conversation { add_generation_prompt: false, ..conversation.clone() }, Turn::Open)
    }

    fn rendered(&self, conversation: &Conversation<'_>, turn: Turn) -> Result<Rendered, Error> {
        let mut input = Json::Object(input(conversation));
        let mut size = Size::default();
        size.add(&input, 0)?;
        let texts = Texts::of(&input);
        let trusted = [conversation.bos_token, conversation.eos_token];
        let source = [self.source.as_str(), trusted[0], trusted[1]].concat();
        let twins = Twins::new(&source, texts.0.into_iter()).ok_or(Error::TooManyLetters)?;
        if turn == Turn::Open {
            mark_end(&mut input, twins.end()).ok_or(Error::NotOpen)?;
        }
        // A marked letter takes four bytes.
        let longest = MAX_STRING_BYTES + 8 * size.bytes;
        let work = WORK + WORK_PER_BYTE * size.bytes as u64 + WORK_PER_VALUE * size.values;
        let scope = Arc::new(Scope::new(twins, conversation.now, work, longest));
        let fuel = FUEL + FUEL_PER_VALUE * size.values;
        let rendered = self.run(&scope, fuel, variables(conversation, input, &scope.twins));
        let mut rendered = rendered.map_err(|error| failure(&scope, fuel, &error))?;
        if turn == Turn::Open {
            rendered = scope.twins.up_to_end(&rendered).ok_or(Error::NotOpen)?;
        }
        Ok(Rendered { segments: scope.twins.segments(&rendered) })
    }

    fn run(&self, scope: &Arc<Scope>, fuel: u64, variables: Value) -> Result<String, Fail> {
        let root = parse(&self.source, "template", SyntaxConfig, WHITESPACE)?;
        let root = rewrite::template(&root).map_err(|refused| scope::fail(refused.0.into()))?;
        let mut generator = CodeGenerator::new("template", &self.source);
        generator.compile_stmt(&root);
        let (instructions, blocks): (_, BTreeMap<_, _>) = generator.finish();
        let environment = environment(scope, fuel);
        let mut out = String::new();
        let mut output = make_string_output(&mut out);
        Vm::new(&environment).eval(&instructions, variables, &blocks, &mut output, AutoEscape::None)?;
        Ok(out)
    }
}

/// As `transformers` sets them.
const WHITESPACE: WhitespaceConfig =
    WhitespaceConfig { keep_trailing_newline: false, lstrip_blocks: true, trim_blocks: true };

fn environment(scope: &Arc<Scope>, fuel: u64) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_fuel(Some(fuel));
    environment.set_recursion_limit(MAX_CALLS * 4);
    for (name, body) in operators::OPERATORS.iter().chain(filters::FILTERS) {
        let scope = Arc::clone(scope);
        environment.add_filter(*name, move |state: &State, args: Rest<Value>| {
            body(&Call::new(&scope, state, args)?)
        });
    }
    for (name, body) in filters::TESTS {
        let scope = Arc::clone(scope);
        environment
            .add_test(*name, move |state: &State, args: Rest<Value>| body(&Call::new(&scope, state, args)?));
    }
    for (name, body) in operators::LITERALS {
        let scope = Arc::clone(scope);
        environment.add_function(*name, move |state: &State, args: Rest<Value>| {
            body(&Call::new(&scope, state, args)?)
        });
    }
    let methods = Arc::clone(scope);
    environment.add_filter("#method", move |state: &State, args: Rest<Value>| {
        methods::call(Call::new(&methods, state, args)?)
    });
    add_functions(&mut environment, scope);
    let printer = Arc::clone(scope);
    environment.set_formatter(move |out, _, value| {
        let text = printing::text(&printer, value)?;
        printer.charge_output(text.len())?;
        out.write_str(&text).map_err(Fail::from)
    });
    environment
}

fn add_functions(environment: &mut Environment<'static>, scope: &Arc<Scope>) {
    let raising = Arc::clone(scope);
    environment.add_function("raise_exception", move |message: Value| -> Result<Value, Fail> {
        let message = printing::text(&raising, &message)?;
        let message = raising.twins.plain(&message).into_owned();
        Err(raising.stop(Fault::Raised(message.clone()), &message))
    });
    let ranging = Arc::clone(scope);
    environment.add_function("range", move |first: i64, second: Option<i64>, step: Option<i64>| {
        range(&ranging, second.map_or((0, first), |second| (first, second)), step.unwrap_or(1))
    });
    let spaces = Arc::clone(scope);
    environment.add_function("namespace", move |state: &State, args: Rest<Value>| -> Result<Value, Fail> {
        spaces.charge_namespace()?;
        let call = Call::new(&spaces, state, args)?;
        let mut entries = call.named();
        if let Some(first) = call.args.first() {
            for key in call.scope.items(first)? {
                let value = first.get_item(&key)?;
                entries.push((key.to_string(), value));
            }
        }
        minijinja::functions::namespace(Some(entries.into_iter().collect()))
    });
    let joiners = Arc::clone(scope);
    environment.add_function("joiner", move |separator: Option<Value>| -> Result<Value, Fail> {
        let separator =
            separator.map_or_else(|| Ok(", ".to_owned()), |value| printing::text(&joiners, &value));
        Ok(Value::from_object(objects::Joiner::new(separator?)))
    });
    let maps = Arc::clone(scope);
    environment.add_function("dict", move |state: &State, args: Rest<Value>| -> Result<Value, Fail> {
        let call = Call::new(&maps, state, args)?;
        let mut entries = Vec::new();
        if let Some(first) = call.args.first() {
            for item in maps.items(first)? {
                // The entries of a map, or pairs.
                entries.push(match first.kind() {
                    ValueKind::Map => (item.clone(), first.get_item(&item)?),
                    _ => (item.get_item_by_index(0)?, item.get_item_by_index(1)?),
                });
            }
        }
        entries.extend(call.named().into_iter().map(|(name, value)| (Value::from(name), value)));
        entries.iter().try_for_each(|(_, value)| maps.check_depth(value))?;
        Ok(entries.into_iter().collect())
    });
    if let Some(now) = scope.now {
        let clock = Arc::clone(scope);
        environment.add_function("strftime_now", move |pattern: String| -> Result<Value, Fail> {
            let pattern = clock.twins.plain(&pattern);
            clock.charge_string(pattern.len().saturating_mul(16))?;
            Ok(Value::from(now.format(&pattern)))
        });
    }
}

fn range(scope: &Scope, (first, end): (i64, i64), step: i64) -> Result<Value, Fail> {
    if step == 0 {
        return Err(scope::fail("the step of a range is zero".into()));
    }
    let distance =
        if step > 0 { i128::from(end) - i128::from(first) } else { i128::from(first) - i128::from(end) };
    let n = (distance.max(0) as u128).div_ceil(u128::from(step.unsigned_abs()));
    scope.charge(usize::try_from(n).unwrap_or(usize::MAX).saturating_mul(size_of::<Value>()))?;
    Ok((0..n as i64).map(|place| Value::from(first + place * step)).collect())
}

/// What people wrote, as one JSON object: messages, tools and variables.
fn input(conversation: &Conversation<'_>) -> Map<String, Json> {
    let message = |message: &Message| {
        let mut fields = Map::new();
        let given = REASONING.iter().filter_map(|name| message.extra.get(*name)).find(|text| !text.is_null());
        fields.extend(given.map(|text| ("thinking".into(), text.clone())));
        fields.insert("role".into(), message.role.clone().into());
        fields.insert("content".into(), message.content.clone());
        fields.extend(message.extra.clone());
        fields.extend(given.map(|text| ("reasoning_content".into(), text.clone())));
        Json::Object(fields)
    };
    let mut all = conversation.variables.clone();
    all.insert("messages".into(), conversation.messages.iter().map(message).collect());
    all.extend(conversation.tools.clone().map(|tools| ("tools".into(), tools)));
    all
}

/// Puts `end` behind the last message's text; nothing where it has none.
fn mark_end(input: &mut Json, end: char) -> Option<()> {
    match input.get_mut("messages")?.as_array_mut()?.last_mut()?.get_mut("content")? {
        Json::String(text) if !text.trim().is_empty() => text.push(end),
        _ => return None,
    }
    Some(())
}

/// The template's variables: people's text marked, roles and the names of tokens not.
fn variables(conversation: &Conversation<'_>, input: Json, twins: &Twins) -> Value {
    let Json::Object(mut all) = marked(input, twins) else { return Value::UNDEFINED };
    if let Some(Json::Array(messages)) = all.get_mut("messages") {
        for (fields, message) in messages.iter_mut().zip(conversation.messages) {
            if ROLES.contains(&message.role.as_str()) {
                fields["role"] = message.role.clone().into();
            }
        }
    }
    for (name, text) in [("bos_token", conversation.bos_token), ("eos_token", conversation.eos_token)] {
        all.insert(name.into(), text.into());
    }
    all.insert("add_generation_prompt".into(), conversation.add_generation_prompt.into());
    // Templates ask `tools is not none` and `documents is defined`: what transformers always passes is there.
    for name in ["tools", "documents"] {
        all.entry(name).or_insert(Json::Null);
    }
    Value::from_serialize(all)
}

/// JSON with every string marked, and every key that is more than a plain name.
fn marked(json: Json, twins: &Twins) -> Json {
    match json {
        Json::String(text) => Json::String(twins.mark(&text)),
        Json::Array(items) => items.into_iter().map(|item| marked(item, twins)).collect(),
        Json::Object(entries) => {
            let entry = |(key, value): (String, Json)| {
                let key = if is_plain_name(&key) { key } else { twins.mark(&key) };
                (key, marked(value, twins))
            };
            Json::Object(entries.into_iter().map(entry).collect())
        }
        other => other,
    }
}

fn is_plain_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$'))
}

/// How much people's input explains of a template's work.
#[derive(Default)]
struct Size {
    bytes: usize,
    values: u64,
}

impl Size {
    fn add(&mut self, json: &Json, depth: usize) -> Result<(), Error> {
        if depth > scope::MAX_DEPTH {
            return Err(Error::ConversationTooDeep { limit: scope::MAX_DEPTH });
        }
        self.values += 1;
        match json {
            Json::String(text) => self.bytes += text.len(),
            Json::Array(items) => items.iter().try_for_each(|item| self.add(item, depth + 1))?,
            Json::Object(entries) => {
                for (key, value) in entries {
                    self.bytes += key.len();
                    self.add(value, depth + 1)?;
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
        Ok(())
    }
}

/// All strings of an input.
struct Texts<'a>(Vec<&'a str>);

impl<'a> Texts<'a> {
    fn of(json: &'a Json) -> Self {
        let mut texts = Self(Vec::new());
        texts.add(json);
        texts
    }

    fn add(&mut self, json: &'a Json) {
        match json {
            Json::String(text) => self.0.push(text),
            Json::Array(items) => items.iter().for_each(|item| self.add(item)),
            Json::Object(entries) => entries.iter().for_each(|(key, value)| {
                self.0.push(key);
                self.add(value);
            }),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }
}

/// `{% generation %}` marks what a trainer learns from; it renders as its content, in a scope of its own.
fn without_generation_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("{%") {
        let Some((tag, _)) = after.split_once("%}") else { break };
        out.push_str(before);
        out.push_str("{%");
        let replacement = match tag.trim_matches(['-', '+']).trim() {
            "generation" => Some(("generation", "with")),
            "endgeneration" => Some(("endgeneration", "endwith")),
            _ => None,
        };
        match replacement {
            Some((name, other)) => out.push_str(&tag.replacen(name, other, 1)),
            None => out.push_str(tag),
        }
        rest = &after[tag.len()..];
    }
    out.push_str(rest);
    out
}

fn syntax_error(error: &Fail) -> Error {
    Error::TemplateSyntax { line: error.line().unwrap_or(0), reason: reason(error) }
}

fn reason(error: &Fail) -> String {
    let text = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    text.chars().take(300).collect()
}

fn failure(scope: &Scope, fuel: u64, error: &Fail) -> Error {
    match scope.fault() {
        Some(Fault::Raised(message)) => return Error::TemplateRaised { message },
        Some(Fault::Work) => return Error::TemplateWork,
        Some(Fault::Length) => return Error::TemplateOutputTooLong,
        None => {}
    }
    let plain = |text: String| scope.twins.plain(&text).into_owned();
    match error.kind() {
        ErrorKind::OutOfFuel => Error::TemplateFuel { limit: fuel },
        _ => Error::TemplateFailed { line: error.line().unwrap_or(0), reason: plain(reason(error)) },
    }
}
