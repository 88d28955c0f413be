//! Which tokens end an answer, gathered from every place where models say so, each with the places that said it.
//!
//! Plain values come in, ids come out: files are read elsewhere. A place that says nonsense is passed over; the others
//! still count.

use base::TokenId;
use serde_json::Value as Json;

use crate::{ChatTemplate, Conversation, Message, Trust};

/// Texts of tokens that end a turn in whatever vocabulary they are control tokens of.
const KNOWN: &[&str] = &[
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "</s>",
    "<end_of_turn>",
    "<turn|>",
    "<eos>",
    "[EOS]",
    "<EOS>",
    "<|EOT|>",
    "<|eot|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|end_of_turn|>",
    "<|end_of_sentence|>",
    "<｜end▁of▁sentence｜>",
    "<seed:eos>",
    "<|assistant_end|>",
    "<|message_sep|>",
    "[e~[",
    "<|endofturn|>",
    "<|eos|>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
];
/// In a vocabulary with these two an answer has several messages, and the third only ends one of them.
const CHANNELS: [&str; 3] = ["<|channel|>", "<|message|>", "<|end|>"];
/// Stands for an answer while a template is tried.
const PROBE: &str = "Quoth";

/// What the files of a model say about its tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopSources<'a> {
    /// Keys of a GGUF file with their values: `tokenizer.ggml.eos_token_id`, `…eot_token_id`, `…eom_token_id`.
    pub gguf: &'a [(&'a str, TokenId)],
    /// All of `generation_config.json`.
    pub generation_config: Option<&'a Json>,
    /// All of `config.json`.
    pub config: Option<&'a Json>,
    /// All of `tokenizer_config.json`.
    pub tokenizer_config: Option<&'a Json>,
    /// Control and added tokens of the vocabulary.
    pub tokens: &'a [(TokenId, &'a str)],
    /// The chat template.
    pub template: Option<&'a ChatTemplate>,
    /// Texts of the begin and the end token, which templates write.
    pub bos_token: &'a str,
    /// Empty for none.
    pub eos_token: &'a str,
}

/// Where a token is said to end an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopPlace {
    /// A key of a GGUF file.
    Gguf(String),
    /// `eos_token_id` of `generation_config.json`.
    GenerationConfig,
    /// `eos_token_id` of `config.json`.
    Config,
    /// `eos_token` of `tokenizer_config.json`.
    TokenizerConfig,
    /// Its text, which ends turns wherever it is a token.
    KnownText,
    /// The chat template writes it after an answer.
    Template,
}

/// A token that ends an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopToken {
    /// Its id.
    pub id: TokenId,
    /// Everything that says so.
    pub places: Vec<StopPlace>,
}

/// All tokens that end an answer, by id.
pub fn stop_tokens(sources: &StopSources<'_>) -> Vec<StopToken> {
    let mut found: Vec<StopToken> = Vec::new();
    let mut add = |id: TokenId, place: StopPlace| match found.iter_mut().find(|token| token.id == id) {
        Some(token) if token.places.contains(&place) => {}
        Some(token) => token.places.push(place),
        None => found.push(StopToken { id, places: vec![place] }),
    };
    for (key, id) in sources.gguf {
        add(*id, StopPlace::Gguf((*key).to_owned()));
    }
    for id in ids(sources.generation_config) {
        add(id, StopPlace::GenerationConfig);
    }
    let inner = sources.config.and_then(|config| config.get("text_config"));
    for id in ids(sources.config).into_iter().chain(ids(inner)) {
        add(id, StopPlace::Config);
    }
    if let Some(id) = tokenizer_end(sources) {
        add(id, StopPlace::TokenizerConfig);
    }
    let has = |text: &str| sources.tokens.iter().any(|(_, known)| *known == text);
    let [channel, message, message_end] = CHANNELS;
    let ends_message = |text: &str| text == message_end && has(channel) && has(message);
    for (id, text) in sources.tokens {
        if KNOWN.contains(text) && !ends_message(text) {
            add(*id, StopPlace::KnownText);
        }
    }
    for (id, text) in written_after_answers(sources) {
        if !ends_message(text) {
            add(id, StopPlace::Template);
        }
    }
    found.sort_by_key(|token| token.id.0);
    found
}

/// `eos_token_id`: a number or a list of numbers.
fn ids(config: Option<&Json>) -> Vec<TokenId> {
    let id = |value: &Json| value.as_u64().and_then(|id| u32::try_from(id).ok()).map(TokenId);
    match config.and_then(|config| config.get("eos_token_id")) {
        Some(Json::Array(all)) => all.iter().filter_map(id).collect(),
        Some(one) => id(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// `eos_token`, a text or an object with its `content`, by the tokens of the same file or of the vocabulary.
fn tokenizer_end(sources: &StopSources<'_>) -> Option<TokenId> {
    let config = sources.tokenizer_config?;
    let end = config.get("eos_token")?;
    let text = end.as_str().or_else(|| end.get("content")?.as_str())?;
    let added = config.get("added_tokens_decoder").and_then(Json::as_object);
    let id_of = |(id, token): (&String, &Json)| {
        let is_it = token.get("content").and_then(Json::as_str) == Some(text);
        id.parse().ok().filter(|_| is_it).map(TokenId)
    };
    let known = || sources.tokens.iter().find(|(_, known)| *known == text).map(|(id, _)| *id);
    added.and_then(|added| added.iter().find_map(id_of)).or_else(known)
}

/// The token that the template itself writes right after an answer, when the answer is the last message and when
/// another follows.
fn written_after_answers<'a>(sources: &StopSources<'a>) -> Vec<(TokenId, &'a str)> {
    let Some(template) = sources.template else { return Vec::new() };
    let messages = [("user", "Hi"), ("assistant", PROBE), ("user", "Hi")];
    let messages = messages.map(|(role, text)| Message::new(role, text));
    let after = |messages: &[Message]| {
        let (bos_token, eos_token) = (sources.bos_token, sources.eos_token);
        let conversation = Conversation { messages, bos_token, eos_token, ..Conversation::default() };
        let rendered = template.render(&conversation).ok()?;
        let answer = rendered.segments.iter().position(|segment| segment.text.trim_end().ends_with(PROBE))?;
        let written = rendered.segments.get(answer + 1).filter(|segment| segment.trust == Trust::Trusted)?;
        let written = written.text.trim_start();
        let begins =
            sources.tokens.iter().filter(|(_, text)| !text.trim().is_empty() && written.starts_with(text));
        begins.max_by_key(|(_, text)| text.len()).copied()
    };
    [&messages[..2], &messages[..]].into_iter().filter_map(after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(sources: &StopSources<'_>) -> Vec<(u32, usize)> {
        stop_tokens(sources).into_iter().map(|token| (token.id.0, token.places.len())).collect()
    }

    #[test]
    fn every_place_counts_and_says_so() {
        let generation = json!({"eos_token_id": [2, 7, -1, 1e30, "x"]});
        let config = json!({"eos_token_id": 2, "text_config": {"eos_token_id": 9}});
        let tokenizer =
            json!({"eos_token": {"content": "<e>"}, "added_tokens_decoder": {"5": {"content": "<e>"}}});
        let sources = StopSources {
            gguf: &[("tokenizer.ggml.eos_token_id", TokenId(2)), ("tokenizer.ggml.eot_token_id", TokenId(3))],
            generation_config: Some(&generation),
            config: Some(&config),
            tokenizer_config: Some(&tokenizer),
            tokens: &[(TokenId(3), "<|im_end|>"), (TokenId(4), "<|im_start|>"), (TokenId(8), "<|eot_id|>")],
            template: Some(&ChatTemplate::default()),
            ..StopSources::default()
        };
        // 3: its key, its text and the default template, which is ChatML.
        assert_eq!(told(&sources), [(2, 3), (3, 3), (5, 1), (7, 1), (8, 1), (9, 1)]);
        let third = &stop_tokens(&sources)[1];
        let key = StopPlace::Gguf("tokenizer.ggml.eot_token_id".into());
        assert_eq!(third.places, [key, StopPlace::KnownText, StopPlace::Template]);
        assert_eq!(told(&StopSources::default()), []);
    }

    #[test]
    fn the_end_of_a_message_is_no_end_of_an_answer_in_channels() {
        let source =
            "{% for m in messages %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}";
        let template = ChatTemplate::new(source).unwrap();
        let all = ["<|end|>", "<|return|>", "<|call|>", "<|message|>", "<|channel|>", "<|start|>"];
        let tokens: Vec<(TokenId, &str)> = (0..).map(TokenId).zip(all).collect();
        let sources = StopSources { tokens: &tokens, template: Some(&template), ..StopSources::default() };
        assert_eq!(told(&sources), [(1, 1), (2, 1)]);
        // Without channels it ends the answer.
        let sources = StopSources { tokens: &tokens[..1], ..sources };
        assert_eq!(told(&sources), [(0, 2)]);
    }

    #[test]
    fn a_template_that_writes_nothing_after_an_answer_ends_it_with_the_next_turn() {
        let source = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}";
        let template = ChatTemplate::new(source).unwrap();
        let tokens = [(TokenId(1), "<|user|>"), (TokenId(2), "<|assistant|>")];
        let sources = StopSources { tokens: &tokens, template: Some(&template), ..StopSources::default() };
        assert_eq!(told(&sources), [(1, 1)]);
        let hostile = ChatTemplate::new("{{ raise_exception('no') }}").unwrap();
        assert_eq!(told(&StopSources { template: Some(&hostile), ..sources }), []);
    }
}
