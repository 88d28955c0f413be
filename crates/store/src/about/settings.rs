//! All that a manifest's `parameters` say: the parameters, and beside them the system prompt and first messages.
//!
//! Not a second copy: a manifest keeps one map, and this is how it is read and written.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Parameters;

/// The most first messages of a model.
const MAX_MESSAGES: usize = 1024;

/// What a manifest's map of parameters says, typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Sampling, lengths, stops.
    pub parameters: Parameters,
    /// The system prompt that a conversation has where nobody gives another.
    pub system: Option<String>,
    /// Messages that every conversation begins with, after the system prompt.
    pub messages: Vec<Message>,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Whose words they are.
    pub role: Speaker,
    /// The words.
    pub content: String,
}

/// Whose words a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    /// Whoever sets the model up.
    System,
    /// Whoever asks.
    User,
    /// The model.
    Assistant,
}

impl Speaker {
    /// Reads a role as a Modelfile and a request name it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::System, Self::User, Self::Assistant].into_iter().find(|speaker| speaker.word() == text)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl Settings {
    /// Reads a manifest's map.
    pub fn read(map: &Map<String, Value>) -> Self {
        let mut rest = map.clone();
        let system = match map.get("system") {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        };
        let messages = map.get("messages").and_then(messages);
        let read = [("system", system.is_some()), ("messages", messages.is_some())];
        rest.retain(|key, _| !read.contains(&(key.as_str(), true)));
        Self { parameters: Parameters::read(&rest), system, messages: messages.unwrap_or_default() }
    }

    /// The same as a manifest's map, which [`Settings::read`] reads back.
    pub fn to_map(&self) -> Map<String, Value> {
        let mut map = self.parameters.to_map();
        if let Some(system) = &self.system {
            map.insert("system".into(), system.clone().into());
        }
        if !self.messages.is_empty() {
            let messages = serde_json::to_value(&self.messages);
            map.insert("messages".into(), messages.expect("roles and texts always have a JSON form"));
        }
        map
    }

    /// These settings over a base's: what is said here counts, the rest stays. An empty system prompt takes the
    /// base's away; messages replace the base's.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        let system = self.system.clone().or_else(|| base.system.clone()).filter(|text| !text.is_empty());
        let messages = if self.messages.is_empty() { &base.messages } else { &self.messages };
        Self { parameters: self.parameters.over(&base.parameters), system, messages: messages.clone() }
    }
}

/// The messages of a list, if it is one and not too long.
pub(crate) fn messages(value: &Value) -> Option<Vec<Message>> {
    let n_messages = value.as_array()?.len();
    if n_messages > MAX_MESSAGES {
        return None;
    }
    Vec::deserialize(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_map_is_read_and_written() {
        let map = json!({
            "temperature": 0.5,
            "x": [1],
            "system": "Be brief.",
            "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
        });
        let settings = Settings::read(map.as_object().unwrap());
        assert_eq!((settings.system.as_deref(), settings.messages.len()), (Some("Be brief."), 2));
        assert_eq!(Value::Object(settings.to_map()), map);
        let odd = json!({"system": 1, "messages": [{"role": "pope", "content": ""}]});
        let settings = Settings::read(odd.as_object().unwrap());
        assert_eq!((settings.system.as_deref(), settings.messages.len()), (None, 0));
        assert_eq!(Value::Object(settings.to_map()), odd, "what cannot be read is kept");
    }

    #[test]
    fn an_empty_prompt_takes_the_bases_away() {
        let base = Settings { system: Some("a".into()), ..Settings::default() };
        assert_eq!(Settings::default().over(&base).system.as_deref(), Some("a"));
        let empty = Settings { system: Some(String::new()), ..Settings::default() };
        assert_eq!(empty.over(&base).system, None);
    }
}
