//! Calls of tools, in the format of a model's family, as a form that answers are held to.
//!
//! The format says what stands around a call; the schemas of the tools say what its arguments are: as JSON, between tags,
//! in Python's notation or another one of literals, or in a channel. What of a schema cannot be written so is no form:
//! there an answer that has to call is refused, and one that may is left free.

mod channels;
mod literals;
mod tagged;
mod words;

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};

use super::guide::{Marker, Plan, Then, Thinking};
use super::{Grammar, Vocabulary, lark, schema};
use crate::answer::Format;
use crate::answer::format::{Body, Calls, Heads, Keys, Named};
use crate::{Error, Tokenizer};
use literals::Notation;
use words::Words;

/// What an answer is called in errors about its tools.
const KIND: &str = "tool schema";
/// White space between what stands around a call.
const LAYOUT: &str = "/[ \\n]{1,4}/?";
/// Calls of one answer, at most.
const MAX_CALLS: usize = 64;

/// Whether an answer has to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It may: what it calls is held to the schemas.
    May,
    /// It has to, and says nothing else.
    Must,
}

/// How many calls an answer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerAnswer {
    /// One.
    One,
    /// Several.
    Many,
}

/// The tools that may be called, and how.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Names and JSON schemas of their arguments.
    pub tools: &'a [(&'a str, &'a Json)],
    /// Whether one has to be called.
    pub choice: Choice,
    /// How many calls there may be.
    pub per_answer: PerAnswer,
}

/// What an answer in this format is held to; absent where it may call, and its calls cannot be held to anything: for their
/// format, or for what a schema asks for.
///
/// # Errors
/// Where it has to call: [`Error::CallsNotForced`] for a format that cannot be held to; a schema that cannot be kept.
pub fn calls(
    format: &'static Format,
    offer: &Offer<'_>,
    tokenizer: &Tokenizer,
    vocabulary: &Vocabulary,
) -> Result<Option<Plan>, Error> {
    match held(format, offer, tokenizer, vocabulary) {
        Ok(then) => Ok(Some(Plan { thinking: None, then })),
        Err(_) if offer.choice == Choice::May => Ok(None),
        Err(error) => Err(error),
    }
}

fn held(
    format: &'static Format,
    offer: &Offer<'_>,
    tokenizer: &Tokenizer,
    vocabulary: &Vocabulary,
) -> Result<Then, Error> {
    let refused = |reason: String| Error::CallsNotForced { format: format.name, reason };
    if offer.tools.is_empty() {
        return Err(refused("there are no tools".to_owned()));
    }
    let (tools, rules) = (checked(offer)?, Rules::new(Words::new(tokenizer)));
    if let Some(channels) = format.channels {
        let heads = channels.heads.as_ref();
        let heads = heads.ok_or_else(|| refused("it writes them in channels".to_owned()))?;
        return in_channel(heads, &tools, rules, offer.choice).map_err(refused)?.compiled(vocabulary);
    }
    let written = Written::new(format, offer, &tools, rules).map_err(refused)?;
    if offer.choice == Choice::Must {
        let start = written.whole();
        return Ok(Then::Form(written.rules.compiled(&start, vocabulary)?));
    }
    let (marker, behind) = written.rules.words.marker(written.trigger());
    let start = format!("{behind} {}", written.rest());
    let grammar = written.rules.compiled(&start, vocabulary)?;
    Ok(match offer.per_answer {
        PerAnswer::One => Then::Once(marker, grammar),
        PerAnswer::Many => Then::Each(marker, grammar),
    })
}

impl Plan {
    /// The same behind what the model thinks, where its format has that: free until it is closed. `prompt` is the end of
    /// what the template wrote, which may have opened it.
    #[must_use]
    pub fn after_thinking(self, format: &Format, prompt: &str, tokenizer: &Tokenizer) -> Self {
        let prompt = prompt.trim_end();
        let opened = format.thinking.iter().find(|thinking| prompt.ends_with(thinking.opens.trim_end()));
        let of = |opens: &str, closes: &str, is_open| Thinking {
            closes: Marker::new(closes, tokenizer),
            opens: tokenizer.find(opens),
            is_open,
        };
        let thinking = match (opened, format.thinking.first()) {
            (Some(thinking), _) => Some(of(thinking.opens, thinking.closes, true)),
            (None, Some(thinking)) => Some(of(thinking.opens, thinking.closes, false)),
            (None, None) => None,
        };
        // Without a token that opens it, a model thinks only where its template opens it.
        let thinking = thinking.filter(|thinking| thinking.is_open || thinking.opens.is_some());
        Self { thinking, ..self }
    }
}

/// A call in a channel: an answer that has to be one, or what follows the text that tells one.
struct InChannel {
    start: String,
    rules: Rules,
    told: Option<Marker>,
}

/// # Errors
/// What a head cannot say.
fn in_channel(
    heads: &Heads,
    tools: &[Tool<'_>],
    mut rules: Rules,
    choice: Choice,
) -> Result<InChannel, String> {
    let behind = channels::behind(heads, tools, &rules)?;
    if choice == Choice::Must {
        let start = channels::whole(heads, &behind, &mut rules);
        return Ok(InChannel { start, rules, told: None });
    }
    let (marker, rest) = rules.words.marker(heads.told_by);
    Ok(InChannel { start: format!("{rest} {behind}"), rules, told: Some(marker) })
}

impl InChannel {
    /// One call: it ends the answer.
    fn compiled(self, vocabulary: &Vocabulary) -> Result<Then, Error> {
        let grammar = self.rules.compiled(&self.start, vocabulary)?;
        Ok(match self.told {
            None => Then::Form(grammar),
            Some(marker) => Then::Once(marker, grammar),
        })
    }
}

/// How a family writes its calls, as parts of a grammar.
struct Written {
    calls: &'static Calls,
    per_answer: PerAnswer,
    /// Section, opening and closing, as terminals; empty for nothing.
    section: [String; 2],
    opens: String,
    closes: String,
    /// What stands between the opening and the closing.
    body: String,
    /// Rules of the body.
    rules: Rules,
    /// What tells a call where nothing opens it.
    begins: String,
}

impl Written {
    /// # Errors
    /// Why the calls cannot be held to anything.
    fn new(
        format: &'static Format,
        offer: &Offer<'_>,
        tools: &[Tool<'_>],
        mut rules: Rules,
    ) -> Result<Self, String> {
        let found = format.calls.iter().find(|calls| !held_bodies(calls).is_empty());
        let Some(calls) = found else {
            return Err(match format.calls.is_empty() {
                true => "the model's template has no calls".to_owned(),
                false => "their arguments are no values".to_owned(),
            });
        };
        let bodies = held_bodies(calls);
        // A list is read by the first body that has any.
        let has_lists = !calls.bodies.iter().any(|body| matches!(body, Body::PythonList));
        let n_listed = match offer.per_answer {
            _ if !has_lists => 0,
            PerAnswer::One => 1,
            PerAnswer::Many => MAX_CALLS,
        };
        for body in &bodies {
            rules.add_body(body, tools, n_listed)?;
        }
        let key = calls.bodies.iter().find_map(first_key);
        let is_bare = calls.opens.is_empty() && calls.section[0].is_empty();
        if is_bare && key.is_none() {
            return Err("nothing tells them from text".to_owned());
        }
        let terminals = |text: &str| rules.words.terminals(text);
        let closes = calls.closes.first().filter(|_| !calls.opens.is_empty());
        Ok(Self {
            calls,
            per_answer: offer.per_answer,
            section: calls.section.map(terminals),
            opens: terminals(calls.opens),
            closes: terminals(closes.unwrap_or(&"")),
            body: format!("({})", rules.names.join(" | ")),
            begins: format!("{{\"{}\"", key.unwrap_or_default()),
            rules,
        })
    }

    /// A call with what stands around it.
    fn call(&self) -> String {
        let (opens, closes) = (&self.opens, &self.closes);
        let before = if opens.is_empty() { "" } else { LAYOUT };
        let after = if closes.is_empty() { "" } else { LAYOUT };
        format!("{opens} {before} {} {after} {closes}", self.body)
    }

    /// Further calls.
    fn more(&self) -> String {
        let is_told = !self.opens.is_empty() && !self.closes.is_empty() || !self.section[0].is_empty();
        // What ends a call must not look like the beginning of the next one.
        let is_clear = self.calls.closes.iter().all(|close| !self.calls.opens.starts_with(close));
        match self.per_answer {
            PerAnswer::Many if is_told && is_clear => {
                format!("({LAYOUT} {}){{0,{}}}", self.call(), MAX_CALLS - 1)
            }
            _ => String::new(),
        }
    }

    /// An answer that calls and does nothing else.
    fn whole(&self) -> String {
        let [opens, closes] = &self.section;
        let (call, more) = (self.call(), self.more());
        match opens.is_empty() {
            true => format!("{call} {more}"),
            false => format!("{opens} {LAYOUT} {call} {more} {LAYOUT} {closes}"),
        }
    }

    /// The text at which a call begins.
    fn trigger(&self) -> &str {
        match (self.calls.section[0], self.calls.opens) {
            ("", "") => &self.begins,
            ("", opens) => opens,
            (section, _) => section,
        }
    }

    /// What follows that text.
    fn rest(&self) -> String {
        match (self.calls.section[0], self.calls.opens) {
            ("", "") => "behind".to_owned(),
            ("", _) => {
                let after = if self.closes.is_empty() { "" } else { LAYOUT };
                format!("{LAYOUT} {} {after} {}", self.body, self.closes)
            }
            _ => format!("{LAYOUT} {} {} {LAYOUT} {}", self.call(), self.more(), self.section[1]),
        }
    }
}

/// What a call is held to: where a family has a notation of its own, that alone, and else all that are JSON.
fn held_bodies(calls: &'static Calls) -> Vec<&'static Body> {
    match calls.bodies.first() {
        Some(own @ (Body::Tagged(_) | Body::Python | Body::Braces { .. })) => vec![own],
        _ => calls.bodies.iter().filter(|body| is_json(body)).collect(),
    }
}

/// Whether what stands in a call is JSON, or a name and JSON.
fn is_json(body: &Body) -> bool {
    match body {
        Body::Json(_) | Body::KeyedJson => true,
        // What stands before the name is not known.
        Body::Named(named) => named.after.is_empty(),
        _ => false,
    }
}

/// The first key of a call that is an object with a name.
fn first_key(body: &Body) -> Option<&'static str> {
    match body {
        Body::Json(keys) => keys.name.first().copied(),
        _ => None,
    }
}

/// A tool with what its arguments are.
struct Tool<'a> {
    name: &'a str,
    arguments: Json,
}

/// # Errors
/// A schema that cannot be kept, with the tool's name.
fn checked<'a>(offer: &Offer<'a>) -> Result<Vec<Tool<'a>>, Error> {
    let tool = |(name, given): &(&'a str, &Json)| {
        let checked = schema::check(given, KIND).map_err(|error| of_tool(error, name))?;
        let arguments = closed(checked);
        Ok(Tool { name, arguments })
    };
    offer.tools.iter().map(tool).collect()
}

/// Arguments are an object, whether the schema says so or not; and where it lists them, they are those that it lists.
fn closed(mut schema: Json) -> Json {
    let Json::Object(keys) = &mut schema else { return schema };
    keys.entry("type").or_insert_with(|| "object".into());
    let others =
        ["additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref", "minProperties"];
    if keys.contains_key("properties") && !others.iter().any(|key| keys.contains_key(*key)) {
        keys.insert("additionalProperties".into(), Json::Bool(false));
    }
    schema
}

fn of_tool(error: Error, name: &str) -> Error {
    match error {
        Error::GrammarUnsupported { kind, key, at } => {
            Error::GrammarUnsupported { kind, key, at: format!("{at} of the tool {name:?}") }
        }
        Error::BadGrammar { kind, reason } => {
            Error::BadGrammar { kind, reason: format!("the tool {name:?}: {reason}") }
        }
        error => error,
    }
}

/// An argument: its name, its schema, and whether it is required.
type Property<'a> = (&'a str, &'a Json, bool);

/// The arguments of a tool, in their order; none where its schema lists none.
///
/// # Errors
/// A schema that does not list them one by one.
fn listed<'a>(tool: &'a Tool<'_>) -> Result<Vec<Property<'a>>, String> {
    let others = ["patternProperties", "allOf", "anyOf", "oneOf", "$ref", "minProperties"];
    if let Some(other) = others.iter().find(|other| tool.arguments.get(**other).is_some()) {
        return Err(format!(
            "{other:?} in the schema of the tool {:?}: its arguments are not listed",
            tool.name
        ));
    }
    Ok(properties_of(&tool.arguments)?.unwrap_or_default())
}

/// The properties that a schema lists.
///
/// # Errors
/// One that is required and not described.
fn properties_of(schema: &Json) -> Result<Option<Vec<Property<'_>>>, String> {
    let required: Vec<&str> = match schema.get("required").and_then(Json::as_array) {
        Some(names) => names.iter().filter_map(Json::as_str).collect(),
        None => Vec::new(),
    };
    let properties = schema.get("properties").and_then(Json::as_object);
    let is_described = |name: &&str| properties.is_some_and(|all| all.contains_key(*name));
    if let Some(name) = required.iter().find(|name| !is_described(name)) {
        return Err(format!("{name:?} is required and not described"));
    }
    let is_required = |name: &String| required.contains(&name.as_str());
    let all = properties.map(|all| all.iter());
    Ok(all.map(|all| all.map(|(name, schema)| (name.as_str(), schema, is_required(name))).collect()))
}

/// Rules of a grammar, and the names of those that are the body of a call.
struct Rules {
    words: Words,
    names: Vec<&'static str>,
    text: String,
    /// Rules that have no name of their own.
    n_numbered: usize,
    /// Rules of texts up to what ends them, by that.
    until: HashMap<String, String>,
}

impl Rules {
    fn new(words: Words) -> Self {
        Self { words, names: Vec::new(), text: String::new(), n_numbered: 0, until: HashMap::new() }
    }

    fn add(&mut self, name: &str, rule: &str) {
        self.text.push_str(&format!("{name}: {rule}\n"));
    }

    /// A name that no other rule has.
    fn reserve(&mut self) -> String {
        self.n_numbered += 1;
        format!("rule{}", self.n_numbered)
    }

    /// Adds a rule and tells its name.
    fn named(&mut self, rule: &str) -> String {
        let name = self.reserve();
        self.add(&name, rule);
        name
    }

    /// The rule of any text up to and with the first `end`.
    fn until(&mut self, end: &str) -> String {
        if let Some(name) = self.until.get(end) {
            return name.clone();
        }
        let (attributes, body) = self.words.until(end);
        let name = self.reserve();
        self.add(&format!("{name}{attributes}"), &body);
        self.until.insert(end.to_owned(), name.clone());
        name
    }

    fn compiled(&self, start: &str, vocabulary: &Vocabulary) -> Result<Grammar, Error> {
        Grammar::from_lark(format!("start: {start}\n{}", self.text), KIND, vocabulary)
    }

    /// Adds what a call of this kind is; where calls are listed, so many at most.
    ///
    /// # Errors
    /// What of a tool cannot be written so.
    fn add_body(&mut self, body: &Body, tools: &[Tool<'_>], n_listed: usize) -> Result<(), String> {
        let mut all = Vec::new();
        let (name, rule) = match body {
            Body::Json(keys) => {
                self.add("behind", &behind(keys, tools));
                ("fields", json_calls(tools, n_listed, &|tool, at| by_fields(keys, tool, at)))
            }
            Body::KeyedJson => {
                let call = |tool: &Tool<'_>, at| object(vec![(tool.name.to_owned(), at)]);
                ("keyed", json_calls(tools, n_listed, &call))
            }
            Body::Named(named) => {
                all.extend(tools.iter().map(|tool| by_name(named, tool, &self.words)));
                ("named", all.join(" | "))
            }
            Body::Tagged(tagged) => {
                for tool in tools {
                    all.push(tagged::call(tagged, tool, self)?);
                }
                ("tagged", all.join(" | "))
            }
            Body::Python => {
                for tool in tools {
                    all.push(literals::call(Notation::Python, tool, self)?);
                }
                let one = self.named(&all.join(" | "));
                let more = repeated(&format!("(/, ?/ {one})"), 0, Some(n_listed.saturating_sub(1)));
                ("python", format!("{one} | \"[\" {one} {more} \"]\""))
            }
            Body::Braces { before, quote } => {
                for tool in tools {
                    all.push(literals::call(Notation::Braces(quote), tool, self)?);
                }
                ("braces", format!("{} ({})", self.words.terminals(before), all.join(" | ")))
            }
            Body::PythonList | Body::Code => return Ok(()),
        };
        self.names.push(name);
        self.add(name, &rule);
        Ok(())
    }
}

/// A part of a rule so many times; at least where there is no most.
fn repeated(part: &str, least: usize, most: Option<usize>) -> String {
    match most {
        Some(0) => String::new(),
        Some(most) => format!("{part}{{{least},{most}}}"),
        None => format!("{part}{{{least},}}"),
    }
}

/// Calls that are JSON: one, or a list of so many at most, where there are lists.
fn json_calls(tools: &[Tool<'_>], n_listed: usize, call: &dyn Fn(&Tool<'_>, Json) -> Json) -> String {
    let (mut definitions, mut all) = (Map::new(), Vec::new());
    for (index, tool) in tools.iter().enumerate() {
        let name = format!("tool{index}");
        definitions.insert(name.clone(), moved(&tool.arguments, &format!("#/$defs/{name}")));
        all.push(call(tool, json!({ "$ref": format!("#/$defs/{name}") })));
    }
    definitions.insert("call".into(), json!({ "anyOf": all }));
    let one = json!({ "$ref": "#/$defs/call" });
    let list = json!({ "type": "array", "items": one, "minItems": 1, "maxItems": n_listed });
    let either: Vec<Json> = if n_listed == 0 { vec![one] } else { vec![one, list] };
    schema::embedded(json!({ "anyOf": either, "$defs": definitions }))
}

/// `{"name": …, "arguments": …}`, with each of the keys that a family may use.
fn by_fields(keys: &Keys, tool: &Tool<'_>, arguments: Json) -> Json {
    let mut all = Vec::new();
    for name in keys.name {
        for key in keys.arguments {
            let fields = vec![
                ((*name).to_owned(), json!({ "const": tool.name })),
                ((*key).to_owned(), arguments.clone()),
            ];
            all.push(object(fields));
        }
    }
    json!({ "anyOf": all })
}

/// What follows the first key of such an object.
fn behind(keys: &Keys, tools: &[Tool<'_>]) -> String {
    let call = |tool: &Tool<'_>| {
        let name = lark::literal(&Json::from(tool.name).to_string());
        let key = |key: &&str| lark::literal(&format!("\"{key}\""));
        let keys = keys.arguments.iter().map(key).collect::<Vec<_>>().join(" | ");
        let arguments = schema::embedded(tool.arguments.clone());
        format!("/ ?: ?/ {name} / ?, ?/ ({keys}) / ?: ?/ {arguments} / ?\\}}/")
    };
    tools.iter().map(call).collect::<Vec<_>>().join(" | ")
}

/// A name, then an object.
fn by_name(named: &Named, tool: &Tool<'_>, words: &Words) -> String {
    let name = lark::literal(&format!("{}{}", named.space, tool.name));
    let number = if named.space.is_empty() { "" } else { "/:[0-9]{1,2}/" };
    let arguments = schema::embedded(tool.arguments.clone());
    format!("{name} {number} {} {LAYOUT} {arguments}", words.terminals(named.ends))
}

/// An object of exactly these keys, in this order.
fn object(fields: Vec<(String, Json)>) -> Json {
    let required: Vec<&String> = fields.iter().map(|(name, _)| name).collect();
    let required = json!(required);
    let properties: Map<String, Json> = fields.into_iter().collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A schema that stands at another place now: its references lead there.
fn moved(schema: &Json, to: &str) -> Json {
    let named = |all: &Map<String, Json>| -> Map<String, Json> {
        all.iter().map(|(name, schema)| (name.clone(), moved(schema, to))).collect()
    };
    let key = |(key, value): (&String, &Json)| match (key.as_str(), value) {
        ("$ref", Json::String(at)) => (key.clone(), Json::from(at.replacen('#', to, 1))),
        ("$id" | "id" | "$schema", Json::String(_)) => (format!("x-{key}"), value.clone()),
        (name, Json::Object(all)) if schema::NAMED.contains(&name) => (key.clone(), Json::Object(named(all))),
        (name, value) if schema::SCHEMA.contains(&name) || schema::LIST.contains(&name) => {
            (key.clone(), moved(value, to))
        }
        (_, value) => (key.clone(), value.clone()),
    };
    match schema {
        Json::Object(keys) => Json::Object(keys.iter().map(key).collect()),
        Json::Array(items) => Json::Array(items.iter().map(|item| moved(item, to)).collect()),
        value => value.clone(),
    }
}
