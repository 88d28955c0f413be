//! How a model is spoken with: its chat template, the format of its answers, the tokens that end them.
//!
//! Everything comes from the model's own files. Does not: tokenize, compute, know people.

use std::sync::Arc;

use base::TokenId;
use formats::Metadata;
use serde_json::{Map, Value as Json, json};
use text::answer::{AnswerParser, Format, Setting, StopSources, format_of, stop_tokens};
use text::template::CivilTime;
use text::{ChatTemplate, Conversation, Segment, TokenType, Tokenizer, Trust};

use super::form;
use super::training::conversation::{CHAT_WITHOUT_TOOLS, chat_template};
use crate::Failure;
use crate::job::{Generate, Message, Tool, ToolCall, Turn};

/// Keys of a GGUF file that name a token at which generation ends.
const END_KEYS: [&str; 3] =
    ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];
/// Variables by which templates let thinking be turned on and off.
const THINKING: [&str; 2] = ["enable_thinking", "thinking"];

/// How a model is spoken with.
pub(crate) struct Dialogue {
    template: Option<ChatTemplate>,
    format: &'static Format,
    takes_tools: bool,
    /// Texts of the begin and the end token; empty for none.
    bos: String,
    eos: String,
    /// Texts of the control tokens.
    control: Vec<String>,
    /// Tokens that end an answer.
    pub ends: Arc<[TokenId]>,
}

/// What the files of a model say about speaking with it.
#[derive(Default)]
pub(crate) struct Sayings {
    /// The chat template.
    pub template: Option<String>,
    /// Keys of a GGUF file that name a token at which generation ends.
    pub end_keys: Vec<(&'static str, TokenId)>,
    /// `generation_config.json`, `config.json` and `tokenizer_config.json` of a folder.
    pub generation_config: Option<Json>,
    pub config: Option<Json>,
    pub tokenizer_config: Option<Json>,
}

impl Sayings {
    /// What a GGUF file says, without its template.
    ///
    /// # Errors
    /// A key of another type.
    pub fn of_gguf(metadata: &Metadata) -> Result<Self, Failure> {
        let mut end_keys = Vec::new();
        for key in END_KEYS {
            end_keys.extend(metadata.find::<u32>(key)?.map(|id| (key, TokenId(id))));
        }
        Ok(Self { end_keys, ..Self::default() })
    }
}

impl Dialogue {
    /// What the files of a model say about it.
    ///
    /// # Errors
    /// A template that is none.
    pub fn read(sayings: &Sayings, tokenizer: &Tokenizer) -> Result<Self, Failure> {
        let own = chat_template();
        let source = sayings.template.as_deref();
        // Earlier models of Hearth learned the same form; their template could not write the tools.
        let source = source.map(|source| if source == CHAT_WITHOUT_TOOLS { own.as_str() } else { source });
        let template = source.map(ChatTemplate::new).transpose()?;
        let special = |id: Option<TokenId>| id.map(|id| tokenizer.token_text(id).into_owned());
        let ids = (0..).map(TokenId).take(tokenizer.len());
        let control = ids.filter(|&id| tokenizer.is_special(id)).map(|id| tokenizer.token_text(id).into());
        let mut dialogue = Self {
            format: format_of(source.unwrap_or_default()),
            takes_tools: source.is_some_and(|source| source.contains("tools")),
            bos: special(tokenizer.bos()).unwrap_or_default(),
            eos: special(tokenizer.eos()).unwrap_or_default(),
            control: control.collect(),
            ends: Arc::default(),
            template,
        };
        dialogue.ends = dialogue.ends(sayings, tokenizer).into();
        Ok(dialogue)
    }

    /// The same model with another template.
    ///
    /// # Errors
    /// A template that is none.
    pub fn with_template(&self, source: &str) -> Result<Self, Failure> {
        Ok(Self {
            template: Some(ChatTemplate::new(source)?),
            format: format_of(source),
            takes_tools: source.contains("tools"),
            bos: self.bos.clone(),
            eos: self.eos.clone(),
            control: self.control.clone(),
            ends: self.ends.clone(),
        })
    }

    fn ends(&self, sayings: &Sayings, tokenizer: &Tokenizer) -> Vec<TokenId> {
        let is_added = |id: TokenId| {
            tokenizer.is_special(id) || tokenizer.token_type(id) == Some(TokenType::UserDefined)
        };
        let ids = (0..).map(TokenId).take(tokenizer.len());
        let texts: Vec<_> = ids.filter(|&id| is_added(id)).map(|id| (id, tokenizer.token_text(id))).collect();
        let tokens: Vec<(TokenId, &str)> = texts.iter().map(|(id, text)| (*id, text.as_ref())).collect();
        let found = stop_tokens(&StopSources {
            gguf: &sayings.end_keys,
            generation_config: sayings.generation_config.as_ref(),
            config: sayings.config.as_ref(),
            tokenizer_config: sayings.tokenizer_config.as_ref(),
            tokens: &tokens,
            template: self.template.as_ref(),
            bos_token: &self.bos,
            eos_token: &self.eos,
        });
        // A model that begins another text has ended this one.
        let found = found.into_iter().map(|token| token.id).chain(tokenizer.bos());
        found.filter(|id| id.index() < tokenizer.len()).collect()
    }

    /// The conversation as the model wants to see it. A model without a template was made to continue texts, so
    /// it is given the messages one after the other.
    ///
    /// # Errors
    /// What the template says against it, or tools where the model has no place for them.
    pub fn render(
        &self,
        messages: &[Message],
        generate: &Generate,
        now: CivilTime,
    ) -> Result<Vec<Segment>, Failure> {
        let tools = form::offered(generate)?;
        if !tools.is_empty() && !self.takes_tools {
            return Err(Failure::new(
                "no_tools",
                format!(
                    "{} was not made to call tools: its chat template has no place for them",
                    generate.model
                ),
                "leave the tools out, or use a model whose template has them",
            ));
        }
        if generate.turn == Turn::Continued && !messages.last().is_some_and(Message::can_go_on) {
            return Err(not_begun());
        }
        let Some(template) = &self.template else {
            let texts: Vec<&str> = messages.iter().map(|message| message.content.as_str()).collect();
            return Ok(vec![Segment { text: texts.join("\n"), trust: Trust::Untrusted }]);
        };
        let rendered = |arguments: Arguments| {
            let messages: Vec<_> = messages.iter().map(|message| turn(message, arguments)).collect();
            let conversation = Conversation {
                messages: &messages,
                tools: offered(&tools),
                add_generation_prompt: true,
                bos_token: &self.bos,
                eos_token: &self.eos,
                variables: variables(generate),
                now: Some(now),
            };
            match generate.turn {
                Turn::New => template.render(&conversation),
                Turn::Continued => template.render_open(&conversation),
            }
        };
        let has_calls = messages.iter().any(|message| !message.tool_calls.is_empty());
        let rendered = match rendered(Arguments::Object) {
            Err(error) if has_calls => rendered(Arguments::Text).map_err(|_| error),
            rendered => rendered,
        };
        Ok(rendered?.segments)
    }

    /// How the model's family writes its answers.
    pub fn format(&self) -> &'static Format {
        self.format
    }

    /// What reads the answer to this prompt; absent where there is no template, and all is text.
    pub fn parser(&self, prompt: &[Segment], generate: &Generate) -> Option<AnswerParser> {
        self.template.as_ref()?;
        let control: Vec<&str> = self.control.iter().map(String::as_str).collect();
        let tools = form::offered(generate).map(|tools| offered(&tools)).unwrap_or_default();
        let setting = Setting { tools: tools.as_ref(), control: &control, prompt: written_last(prompt) };
        let parser = AnswerParser::new(self.format, &setting);
        // What has to have a form of another kind is no call, whatever it looks like.
        let parser = if generate.constraint.is_some() { parser.without_calls() } else { parser };
        Some(if generate.turn == Turn::Continued { parser.within_text() } else { parser })
    }
}

fn not_begun() -> Failure {
    let message = "the answer is to go on within the last message, which is no text of the assistant's";
    Failure::new("bad_prompt", message, "let the conversation end with the beginning of the answer")
}

/// What the template wrote at the end of a prompt.
pub(crate) fn written_last(prompt: &[Segment]) -> &str {
    let end = prompt.last().filter(|segment| segment.trust == Trust::Trusted);
    end.map_or("", |segment| segment.text.as_str())
}

/// How a template is given the arguments of a call: most want the object, some the text.
#[derive(Clone, Copy)]
enum Arguments {
    Object,
    Text,
}

/// A message as templates know it.
fn turn(message: &Message, arguments: Arguments) -> text::Message {
    let mut turn = text::Message::new(&message.role, &message.content);
    let mut add = |key: &str, value: Option<Json>| {
        turn.extra.extend(value.map(|value| (key.to_owned(), value)));
    };
    let text = |text: &Option<String>| text.as_deref().map(Json::from);
    add("reasoning_content", text(&message.thinking));
    add("tool_call_id", text(&message.tool_call_id));
    add("name", text(&message.name));
    if !message.tool_calls.is_empty() {
        add("tool_calls", Some(message.tool_calls.iter().map(|made| call(made, arguments)).collect()));
        if message.content.is_empty() {
            turn.content = Json::Null;
        }
    }
    turn
}

fn call(call: &ToolCall, arguments: Arguments) -> Json {
    let object = Json::Object(call.arguments.clone());
    let arguments = match arguments {
        Arguments::Object => object,
        Arguments::Text => Json::from(object.to_string()),
    };
    let mut made = json!({ "type": "function", "function": { "name": call.name, "arguments": arguments } });
    if let Some(id) = &call.id {
        made["id"] = Json::from(id.as_str());
    }
    made
}

/// The tools as templates know them.
fn offered(tools: &[Tool]) -> Option<Json> {
    let tool = |tool: &Tool| {
        let Tool { name, description, parameters } = tool;
        json!({
            "type": "function",
            "function": { "name": name, "description": description, "parameters": parameters },
        })
    };
    (!tools.is_empty()).then(|| tools.iter().map(tool).collect())
}

/// What the job says by name comes before what it says by `thinking`.
fn variables(generate: &Generate) -> Map<String, Json> {
    let mut variables = Map::new();
    if let Some(thinking) = generate.thinking {
        variables.extend(THINKING.map(|name| (name.to_owned(), Json::Bool(thinking))));
    }
    variables.extend(generate.variables.clone());
    variables
}
