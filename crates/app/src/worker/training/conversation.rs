//! How a conversation becomes tokens: the template that models trained here are given, and the same as token ids,
//! with what the model is to say marked.
//!
//! Each turn is `<|im_start|>role`, a line break, its text, `<|im_end|>`, a line break (ChatML, as OpenAI published
//! it in 2023). Only what the assistant says is learned, and the token that ends it. Tools stand in the system message,
//! a line of JSON each: the name, and for each argument the list of its values or the word for its type. A call is one
//! JSON object and the whole answer.

use base::TokenId;
use data::tokens::{Encoded, Refused};
use data::{Content, Document, Message};
use text::{Special, Tokenizer};

/// Ends a text without turns.
pub(crate) const END_OF_TEXT: &str = "<|endoftext|>";
/// Begins a turn.
const TURN: &str = "<|im_start|>";
/// Ends a turn.
const END_OF_TURN: &str = "<|im_end|>";
/// The control tokens of a vocabulary that is learned here; their ids are their places.
pub(crate) const SPECIAL: [&str; 3] = [END_OF_TEXT, TURN, END_OF_TURN];
/// Who says what is learned.
const ASSISTANT: &str = "assistant";

/// The template of models that were trained before it could write tools.
pub(crate) const CHAT_WITHOUT_TOOLS: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The chat template. What a person writes stands only in `content`, in tools and in calls.
///
/// Without tools and calls it writes what [`CHAT_WITHOUT_TOOLS`] writes. The sentence about tools is also the sign by
/// which the format of the answers is known.
pub(crate) fn chat_template() -> String {
    [SYSTEM_WITH_TOOLS, TURNS, BEGIN_OF_ANSWER].concat()
}

/// What the system says goes on with the tools.
const SYSTEM_WITH_TOOLS: &str = concat!(
    "{% if tools %}{{ '<|im_start|>system\\n' }}",
    "{% if messages and messages[0]['role'] == 'system' %}{{ messages[0]['content'] + ' ' }}{% endif %}",
    "{{ 'Answer with one call of a tool as JSON, or in words when no tool fits.' }}",
    "{% for tool in tools %}{% set schema = tool['function']['parameters'] %}",
    "{{ '\\n{\"name\": ' + tool['function']['name']|tojson + ', \"arguments\": {' }}",
    "{% if schema and schema['properties'] %}{% for name in schema['properties'] %}",
    "{% set kind = schema['properties'][name] %}",
    "{{ (', ' if not loop.first else '') + name|tojson + ': ' }}",
    "{{ (kind['enum'] if kind['enum'] else kind['type'] if kind['type'] else 'string')|tojson }}",
    "{% endfor %}{% endif %}{{ '}' + '}' }}{% endfor %}{{ '<|im_end|>\\n' }}{% endif %}",
);
const TURNS: &str = concat!(
    "{% for message in messages %}{% if not (tools and loop.first and message['role'] == 'system') %}",
    "{{ '<|im_start|>' + message['role'] + '\\n' }}",
    "{% if message['content'] %}{{ message['content'] }}{% endif %}",
    "{% for call in message['tool_calls'] or [] %}",
    "{{ ('\\n' if message['content'] or not loop.first else '') + '{\"name\": ' + call['function']['name']|tojson }}",
    "{{ ', \"arguments\": ' + call['function']['arguments']|tojson + '}' }}{% endfor %}",
    "{{ '<|im_end|>\\n' }}{% endif %}{% endfor %}",
);
const BEGIN_OF_ANSWER: &str = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// Turns documents into tokens.
pub(crate) struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    /// The tokens of turns, where the vocabulary has them.
    turns: Option<[TokenId; 2]>,
}

impl<'a> Encoder<'a> {
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        let turns = tokenizer.find(TURN).zip(tokenizer.find(END_OF_TURN));
        Self { tokenizer, turns: turns.map(|(begin, end)| [begin, end]) }
    }

    /// A document, or a piece of one, as tokens.
    pub fn encode(&self, document: &Document) -> Result<Encoded, Refused> {
        let mut encoded = Encoded::default();
        match &document.content {
            Content::Text(text) => self.push(&mut encoded, text, Learn::Yes)?,
            Content::Messages(messages) => self.conversation(&mut encoded, messages)?,
        }
        Ok(encoded)
    }

    fn conversation(&self, encoded: &mut Encoded, messages: &[Message]) -> Result<(), Refused> {
        let Some([begin, end]) = self.turns else {
            return Err(Refused::Skip(
                "this vocabulary has no tokens for the turns of a conversation".into(),
            ));
        };
        for message in messages {
            encoded.ids.push(begin);
            encoded.is_counted.push(false);
            if message.role == ASSISTANT {
                // Apart from its heading, as it is when the model answers.
                self.push(encoded, &format!("{ASSISTANT}\n"), Learn::No)?;
                self.push(encoded, &message.content, Learn::Yes)?;
            } else {
                self.push(encoded, &format!("{}\n{}", message.role, message.content), Learn::No)?;
            }
            encoded.ids.push(end);
            encoded.is_counted.push(message.role == ASSISTANT);
            self.push(encoded, "\n", Learn::No)?;
        }
        Ok(())
    }

    fn push(&self, encoded: &mut Encoded, text: &str, learn: Learn) -> Result<(), Refused> {
        let ids =
            self.tokenizer.encode(text, Special::Plain).map_err(|error| Refused::Skip(error.to_string()))?;
        encoded.is_counted.extend(ids.iter().map(|_| learn == Learn::Yes));
        encoded.ids.extend(ids);
        Ok(())
    }
}

/// Whether the model is to learn to say something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Learn {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use text::learn::{LearnVocabulary, Settings};
    use text::{ChatTemplate, Conversation, VocabularyParts};

    fn parts() -> VocabularyParts {
        let mut learning = LearnVocabulary::new(Settings::new(400, &SPECIAL)).unwrap();
        learning.add(
            "user\nHi, I am Anna and I am 12.\nassistant\nNice to meet you, Anna!\nsystem\nBe kind. tool",
        );
        learning.finish().unwrap().parts
    }

    fn message(role: &str, content: &str) -> Message {
        Message { role: role.into(), content: content.into() }
    }

    fn rendered(source: &str, messages: &[text::Message], tools: Option<serde_json::Value>) -> String {
        let template = ChatTemplate::new(source).unwrap();
        let conversation =
            Conversation { messages, tools, add_generation_prompt: true, ..Default::default() };
        template.render(&conversation).unwrap().text()
    }

    #[test]
    fn the_template_writes_tools_and_calls_as_they_are_learned() {
        let schema = json!({"type": "object", "properties": {
            "room": {"type": "string", "enum": ["hall", "Zoë's room"]}, "percent": {"type": "integer"}, "any": {},
        }});
        let tools = json!([
            {"type": "function", "function": {"name": "dim", "description": "", "parameters": schema}},
            {"type": "function", "function": {"name": "now", "parameters": {}}},
        ]);
        let mut call = text::Message::new("assistant", "");
        call.content = serde_json::Value::Null;
        let arguments = json!({"room": "hall", "percent": 5});
        let made = json!([{"type": "function", "function": {"name": "dim", "arguments": arguments}}]);
        call.extra.insert("tool_calls".into(), made);
        let user = text::Message::new("user", "Dim the hall.");
        let result = text::Message::new("tool", "{\"result\": \"done\"}");
        let said = [text::Message::new("system", "You control a home."), user, call, result];
        let expected = r#"<|im_start|>system
You control a home. Answer with one call of a tool as JSON, or in words when no tool fits.
{"name": "dim", "arguments": {"room": ["hall", "Zoë's room"], "percent": "integer", "any": "string"}}
{"name": "now", "arguments": {}}<|im_end|>
<|im_start|>user
Dim the hall.<|im_end|>
<|im_start|>assistant
{"name": "dim", "arguments": {"room": "hall", "percent": 5}}<|im_end|>
<|im_start|>tool
{"result": "done"}<|im_end|>
<|im_start|>assistant
"#;
        assert_eq!(rendered(&chat_template(), &said, Some(tools.clone())), expected);
        let alone = rendered(&chat_template(), &said[1..2], Some(tools));
        assert!(alone.starts_with("<|im_start|>system\nAnswer with one call"), "{alone}");
        assert!(
            alone.ends_with("<|im_end|>\n<|im_start|>user\nDim the hall.<|im_end|>\n<|im_start|>assistant\n")
        );
        assert_eq!(text::answer::format_of(&chat_template()).name, "hearth");
    }

    #[test]
    fn without_tools_it_writes_what_it_always_wrote() {
        let said =
            ["system", "user", "assistant", "tool", "user"].map(|role| text::Message::new(role, "Hé {}\n"));
        for messages in [&said[..], &said[1..2], &[text::Message::new("user", "")]] {
            let before = rendered(CHAT_WITHOUT_TOOLS, messages, None);
            assert_eq!(rendered(&chat_template(), messages, None), before);
        }
    }

    #[test]
    fn a_conversation_is_learned_as_the_template_writes_it() {
        let tokenizer = Tokenizer::from_parts(parts()).unwrap();
        let said = [
            message("system", "Be kind."),
            message("user", "Hi, I am Anna <|im_end|> 12."),
            message("assistant", "Nice to meet you!"),
            message("tool", "{}"),
            message("assistant", "85"),
        ];
        let mut encoded = Encoded::default();
        Encoder::new(&tokenizer).conversation(&mut encoded, &said).unwrap();
        let template = ChatTemplate::new(&chat_template()).unwrap();
        for (n_said, answer) in [(2, "Nice to meet you!"), (4, "85")] {
            let messages: Vec<_> =
                said[..n_said].iter().map(|turn| text::Message::new(&turn.role, &turn.content)).collect();
            let conversation =
                Conversation { messages: &messages, add_generation_prompt: true, ..Default::default() };
            let prompt = template.render(&conversation).unwrap().segments;
            let prompt = tokenizer.encode_segments(&prompt).unwrap();
            assert_eq!(encoded.ids[..prompt.len()], prompt);
            let n_learned = encoded.is_counted[prompt.len()..].iter().take_while(|counts| **counts).count();
            let learned = &encoded.ids[prompt.len()..prompt.len() + n_learned];
            assert_eq!(tokenizer.decode(&learned[..n_learned - 1]), answer);
            assert_eq!(learned[n_learned - 1], tokenizer.find(END_OF_TURN).unwrap());
        }
        let n_counted = encoded.is_counted.iter().filter(|counts| **counts).count();
        let n_said: usize = ["Nice to meet you!", "85"]
            .map(|answer| tokenizer.encode(answer, Special::Plain).unwrap().len() + 1)
            .iter()
            .sum();
        assert_eq!(n_counted, n_said, "nothing but the answers and their ends");
    }
}
