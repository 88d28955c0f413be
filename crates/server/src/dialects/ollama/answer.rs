//! Answers of `/api/generate` and `/api/chat`: whole, or a line of JSON for each piece.

use app::Event;
use app::event::{Finished, Reason, Token};
use serde_json::{Map, Value as Json, json};

use super::super::openai::probabilities::chat_token;
use super::time::{ns, written};
use crate::answer::Answer;
use crate::refusal::Refusal;
use crate::telling::{Telling, line};

/// Where the text of an answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In `response`.
    Generate,
    /// In `message`.
    Chat,
}

/// What all lines of an answer have.
pub struct Head {
    pub form: Form,
    pub model: String,
    /// Nanoseconds since 1970.
    pub now_ns: fn() -> u64,
    pub begun_ns: u64,
    /// How many alternatives to tell, where somebody wants to know how likely tokens were.
    pub n_alternatives: Option<usize>,
}

/// What the model said.
#[derive(Default)]
struct Said<'a> {
    text: &'a str,
    thinking: &'a str,
    calls: Vec<Json>,
    tokens: &'a [Token],
}

impl Head {
    /// A whole answer.
    pub fn whole(&self, answer: &Answer) -> Json {
        let call =
            |(index, call): (usize, &crate::answer::Call)| called(index, None, &call.name, &call.arguments);
        let mut told = self.line(&Said {
            text: &answer.text,
            thinking: &answer.thinking,
            calls: answer.calls.iter().enumerate().map(call).collect(),
            tokens: &answer.tokens,
        });
        self.end(&mut told, &answer.end());
        told
    }

    /// An answer of no token, for the reason that clients know.
    pub fn nothing(&self, reason: &str) -> Json {
        let mut told = self.line(&Said::default());
        told["done"] = Json::Bool(true);
        told["done_reason"] = Json::from(reason);
        told
    }

    fn line(&self, said: &Said<'_>) -> Json {
        let mut told = json!({ "model": self.model, "created_at": written((self.now_ns)()) });
        let mut more = Map::new();
        if !said.thinking.is_empty() {
            more.insert("thinking".into(), Json::from(said.thinking));
        }
        if !said.calls.is_empty() {
            more.insert("tool_calls".into(), Json::from(said.calls.clone()));
        }
        let words = match self.form {
            Form::Generate => {
                told["response"] = Json::from(said.text);
                &mut told
            }
            Form::Chat => {
                told["message"] = json!({ "role": "assistant", "content": said.text });
                &mut told["message"]
            }
        };
        words.as_object_mut().into_iter().for_each(|words| words.extend(more.clone()));
        told["done"] = Json::Bool(false);
        if let Some(n) = self.n_alternatives.filter(|_| !said.tokens.is_empty()) {
            told["logprobs"] = said.tokens.iter().map(|token| chat_token(token, n)).collect();
        }
        told
    }

    /// Adds why an answer ended, and its times in nanoseconds.
    fn end(&self, told: &mut Json, end: &Finished) {
        let Finished { load_ms, prompt_ms, generate_ms, .. } = *end;
        let total = (self.now_ns)().saturating_sub(self.begun_ns);
        told["done"] = Json::Bool(true);
        told["done_reason"] = Json::from(match end.reason {
            Reason::Length => "length",
            Reason::Stop | Reason::Cancelled => "stop",
        });
        told["total_duration"] = Json::from(total.max(ns(load_ms + prompt_ms + generate_ms)));
        told["load_duration"] = Json::from(ns(load_ms));
        told["prompt_eval_count"] = Json::from(end.n_prompt_tokens);
        told["prompt_eval_duration"] = Json::from(ns(prompt_ms));
        told["eval_count"] = Json::from(end.n_generated_tokens);
        told["eval_duration"] = Json::from(ns(generate_ms));
    }
}

/// A call of a tool, its arguments as an object.
fn called(index: usize, id: Option<String>, name: &str, arguments: &str) -> Json {
    let arguments: Json = serde_json::from_str(arguments).unwrap_or_else(|_| Json::from(arguments));
    let mut call = json!({ "function": { "index": index, "name": name, "arguments": arguments } });
    if let Some(id) = id {
        call["id"] = Json::from(id);
    }
    call
}

/// Tells an answer while it is made.
pub struct Stream {
    head: Head,
    /// Tokens whose text did not come yet.
    tokens: Vec<Token>,
}

impl Stream {
    pub fn new(head: Head) -> Self {
        Self { head, tokens: Vec::new() }
    }

    fn say(&mut self, said: Said<'_>, out: &mut Vec<u8>) {
        let tokens = std::mem::take(&mut self.tokens);
        line(&self.head.line(&Said { tokens: &tokens, ..said }), out);
    }
}

impl Telling for Stream {
    fn media_type(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn tell(&mut self, _: usize, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Token(token) => self.tokens.push(token),
            Event::Text { text } => self.say(Said { text: &text, ..Said::default() }, out),
            Event::Thinking { text } => self.say(Said { thinking: &text, ..Said::default() }, out),
            Event::ToolCall { index, id, name, arguments } => {
                let calls = vec![called(index, id, &name, &arguments)];
                self.say(Said { calls, ..Said::default() }, out);
            }
            Event::Finished(end) => {
                let tokens = std::mem::take(&mut self.tokens);
                let mut told = self.head.line(&Said { tokens: &tokens, ..Said::default() });
                self.head.end(&mut told, &end);
                line(&told, out);
            }
            Event::Failed(failure) => line(&super::refuse(&Refusal::from(failure)), out),
            _ => {}
        }
    }

    /// An empty piece: the clients read every line as JSON.
    fn idle(&mut self, out: &mut Vec<u8>) {
        line(&self.head.line(&Said::default()), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::Failure;
    use app::event::{Alternative, Piece};

    fn head(form: Form, n_alternatives: Option<usize>) -> Head {
        Head { form, model: "m".into(), now_ns: || 5_000_000_000, begun_ns: 4_000_000_000, n_alternatives }
    }

    fn told(form: Form, n_alternatives: Option<usize>, events: Vec<Event>) -> String {
        let (mut stream, mut out) = (Stream::new(head(form, n_alternatives)), Vec::new());
        for event in events {
            stream.tell(0, event, &mut out);
        }
        stream.idle(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn finished(reason: Reason) -> Event {
        Event::Finished(Finished {
            reason,
            load_ms: 1.5,
            prompt_ms: 2.0,
            generate_ms: 3.0,
            n_prompt_tokens: 4,
            n_generated_tokens: 2,
            ..Answer::default().end()
        })
    }

    const BEGIN: &str = r#"{"model":"m","created_at":"1970-01-01T00:00:05.000000000Z","#;
    const END: &str = r#""total_duration":1000000000,"load_duration":1500000,"prompt_eval_count":4,"prompt_eval_duration":2000000,"eval_count":2,"eval_duration":3000000}"#;

    #[test]
    fn a_generation_is_told_line_by_line() {
        let text = |text: &str| Event::Text { text: text.into() };
        let events =
            vec![Event::Thinking { text: "hm".into() }, text("Hi"), text("!"), finished(Reason::Length)];
        let expected = [
            r#""response":"","thinking":"hm","done":false}"#.to_owned(),
            r#""response":"Hi","done":false}"#.to_owned(),
            r#""response":"!","done":false}"#.to_owned(),
            format!(r#""response":"","done":true,"done_reason":"length",{END}"#),
            r#""response":"","done":false}"#.to_owned(),
        ];
        let expected: String = expected.iter().map(|line| format!("{BEGIN}{line}\n")).collect();
        assert_eq!(told(Form::Generate, None, events), expected);
    }

    #[test]
    fn a_chat_is_told_line_by_line_with_calls() {
        let call = Event::ToolCall {
            index: 0,
            id: Some("c1".into()),
            name: "light".into(),
            arguments: r#"{"room": "hall"}"#.into(),
        };
        let events = vec![Event::Text { text: "Hi".into() }, call, finished(Reason::Stop)];
        let called = r#"[{"function":{"index":0,"name":"light","arguments":{"room":"hall"}},"id":"c1"}]"#;
        let expected = [
            r#""message":{"role":"assistant","content":"Hi"},"done":false}"#.to_owned(),
            format!(r#""message":{{"role":"assistant","content":"","tool_calls":{called}}},"done":false}}"#),
            format!(
                r#""message":{{"role":"assistant","content":""}},"done":true,"done_reason":"stop",{END}"#
            ),
            r#""message":{"role":"assistant","content":""},"done":false}"#.to_owned(),
        ];
        let expected: String = expected.iter().map(|line| format!("{BEGIN}{line}\n")).collect();
        assert_eq!(told(Form::Chat, None, events), expected);
    }

    #[test]
    fn a_failure_in_the_middle_is_a_line_that_clients_raise() {
        let events = vec![Event::Failed(Failure::new("busy", "too much", "wait"))];
        let said = told(Form::Chat, None, events);
        assert!(said.starts_with("{\"error\":\"too much (next: wait)\",\"code\":\"busy\"}\n"), "{said}");
    }

    #[test]
    fn probabilities_stand_with_the_text_that_they_belong_to() {
        let piece = |text: &str| Piece { id: 1, text: text.into(), bytes: None };
        let other = Alternative { piece: piece("Ho"), log_probability: -1.5 };
        let token = Token {
            piece: piece("Hi"),
            log_probability: -0.5,
            alternatives: vec![other.clone(), other],
            lens: Vec::new(),
        };
        let events = vec![Event::Token(token), Event::Text { text: "Hi".into() }];
        let said = told(Form::Generate, Some(1), events);
        let expected = r#""logprobs":[{"token":"Hi","logprob":-0.5,"bytes":[72,105],"top_logprobs":[{"token":"Ho","logprob":-1.5,"bytes":[72,111]}]}]}"#;
        assert!(said.lines().next().unwrap().ends_with(expected), "{said}");
    }

    #[test]
    fn a_whole_answer_is_one_object() {
        let mut answer = Answer::default();
        for event in [Event::Text { text: "Hi".into() }, finished(Reason::Stop)] {
            answer.take(event).unwrap();
        }
        let whole = head(Form::Chat, None).whole(&answer);
        assert_eq!(whole["message"], json!({ "role": "assistant", "content": "Hi" }));
        let end = (&whole["done"], &whole["done_reason"], &whole["eval_count"]);
        assert_eq!(end, (&json!(true), &json!("stop"), &json!(2)));
        let loaded = head(Form::Generate, None).nothing("load");
        assert_eq!((&loaded["response"], &loaded["done_reason"]), (&json!(""), &json!("load")));
        assert!(loaded.get("eval_count").is_none());
    }
}
