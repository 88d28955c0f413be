//! A message while it is made, as server-sent events.
//!
//! Source: Anthropic's API reference, "Streaming messages".

use app::Event;
use serde_json::{Value as Json, json};

use super::super::parts::{Added, Part, Parts};
use super::{CALL, Head, SIGNATURE, refuse};
use crate::refusal::Refusal;
use crate::telling::{Telling, named};

/// Tells a message.
pub struct Stream {
    head: Head,
    parts: Parts,
    /// Whether the last part is still being told.
    is_open: bool,
}

impl Stream {
    pub fn new(head: Head) -> Self {
        Self { head, parts: Parts::default(), is_open: false }
    }

    fn index(&self) -> usize {
        self.parts.list.len().saturating_sub(1)
    }

    fn delta(&self, delta: &Json, out: &mut Vec<u8>) {
        let event = json!({ "type": "content_block_delta", "index": self.index(), "delta": delta });
        named("content_block_delta", &event, out);
    }

    fn more(&self, piece: &str, out: &mut Vec<u8>) {
        match self.parts.list.last() {
            Some(Part::Text { .. }) => self.delta(&json!({ "type": "text_delta", "text": piece }), out),
            Some(Part::Thinking(_)) if self.head.wanted.shows_thinking => {
                self.delta(&json!({ "type": "thinking_delta", "thinking": piece }), out);
            }
            _ => {}
        }
    }

    /// Begins the last part with what is in it already.
    fn begin_part(&mut self, out: &mut Vec<u8>) {
        let index = self.index();
        let Some(part) = self.parts.list.last() else { return };
        let block = match part {
            Part::Thinking(_) => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Part::Text { .. } => json!({ "type": "text", "text": "" }),
            Part::Call(call) => json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} }),
        };
        let event = json!({ "type": "content_block_start", "index": index, "content_block": block });
        named("content_block_start", &event, out);
        if index == 0 {
            ping(out);
        }
        match part {
            Part::Thinking(text) | Part::Text { text, .. } => self.more(text, out),
            Part::Call(call) => {
                self.delta(&json!({ "type": "input_json_delta", "partial_json": call.arguments }), out);
            }
        }
        self.is_open = true;
    }

    /// Closes the part at `index`, where it is open.
    fn close_part(&mut self, index: usize, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        if let Some(Part::Thinking(_)) = self.parts.list.get(index) {
            let delta = json!({ "type": "signature_delta", "signature": SIGNATURE });
            let event = json!({ "type": "content_block_delta", "index": index, "delta": delta });
            named("content_block_delta", &event, out);
        }
        named("content_block_stop", &json!({ "type": "content_block_stop", "index": index }), out);
    }

    fn start(&self, n_prompt_tokens: usize, out: &mut Vec<u8>) {
        let message = self.head.message(Vec::new(), (None, None), &self.head.usage(None, n_prompt_tokens));
        named("message_start", &json!({ "type": "message_start", "message": message }), out);
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        self.close_part(self.index(), out);
        let finished = self.parts.finished.as_ref();
        let (reason, sequence) = self.head.ending(finished, self.parts.n_calls());
        let event = json!({
            "type": "message_delta",
            "delta": { "stop_reason": reason, "stop_sequence": sequence },
            "usage": self.head.usage(finished, 0),
        });
        named("message_delta", &event, out);
        named("message_stop", &json!({ "type": "message_stop" }), out);
    }
}

impl Telling for Stream {
    fn tell(&mut self, _index: usize, event: Event, out: &mut Vec<u8>) {
        let started = if let Event::Started(started) = &event { Some(started.n_prompt_tokens) } else { None };
        let is_finished = matches!(event, Event::Finished(_));
        match self.parts.take(event, CALL) {
            Ok(Added::Part) => {
                let before = self.parts.list.len().saturating_sub(2);
                self.close_part(before, out);
                self.begin_part(out);
            }
            Ok(Added::More(piece, _)) => self.more(&piece, out),
            Ok(Added::Nothing) => {}
            Err(failure) => {
                let told = refuse(&Refusal::from(failure).of_request(&self.head.request_id));
                named("error", &told, out);
            }
        }
        if let Some(n_prompt_tokens) = started {
            self.start(n_prompt_tokens, out);
        }
        if is_finished {
            self.finish(out);
        }
    }

    fn idle(&mut self, out: &mut Vec<u8>) {
        ping(out);
    }
}

/// Says that the connection lives.
fn ping(out: &mut Vec<u8>) {
    named("ping", &json!({ "type": "ping" }), out);
}

#[cfg(test)]
mod tests {
    use super::super::request::Wanted;
    use super::*;
    use crate::dialects::parts::tests::{call, finished, started, text, thinking};
    use crate::tier::Tier;
    use app::Failure;
    use app::event::Reason;
    use app::job::{Generate, Prompt};

    fn told(events: Vec<Event>, shows_thinking: bool) -> String {
        told_in(Tier::Untold, events, shows_thinking)
    }

    fn told_in(tier: Tier, events: Vec<Event>, shows_thinking: bool) -> String {
        let mut generate = Generate::new("starter", Prompt::Raw(String::new()));
        generate.sampling.stop = vec!["STOP".into()];
        let wanted = Wanted { generate, shows_thinking };
        let head = Head { id: "msg_1".into(), request_id: "req_1".into(), tier, wanted };
        let (mut stream, mut out) = (Stream::new(head), Vec::new());
        stream.begin(&mut out);
        events.into_iter().for_each(|event| stream.tell(0, event, &mut out));
        stream.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    const START: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"starter","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":20,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

"#;

    #[test]
    fn thinking_text_and_calls_are_told_byte_for_byte() {
        let events = vec![
            started(),
            thinking("h"),
            thinking("m"),
            text("Let me"),
            text(" see."),
            call("toolu_1", r#"{"a":1}"#),
            finished(Reason::Stop, None),
        ];
        let expected = r#"event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"m"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"unsigned"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Let me"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":" see."}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"now","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":4,"cache_creation_input_tokens":0,"cache_read_input_tokens":16,"output_tokens":9}}

event: message_stop
data: {"type":"message_stop"}

"#;
        assert_eq!(told(events, true), format!("{START}{expected}"));
    }

    #[test]
    fn thinking_that_is_not_shown_leaves_its_place() {
        let told = told(vec![started(), thinking("secret"), text("a"), finished(Reason::Stop, None)], false);
        assert!(!told.contains("secret") && told.contains("signature_delta"), "{told}");
    }

    #[test]
    fn the_tier_that_was_asked_for_is_told() {
        for (tier, word) in [(Tier::Usual, "standard"), (Tier::Patient, "batch")] {
            let told = told_in(tier, vec![started(), text("a"), finished(Reason::Stop, None)], true);
            let says = format!("\"service_tier\":\"{word}\"");
            assert_eq!(told.matches(&says).count(), 2, "{told}");
        }
        assert!(!told(vec![started(), finished(Reason::Stop, None)], true).contains("service_tier"));
    }

    #[test]
    fn the_stop_text_of_the_person_is_named() {
        let ending = |reason, stop| {
            let told = told(vec![started(), text("a"), finished(reason, stop)], true);
            let line = told.lines().find(|line| line.contains("\"message_delta\"")).unwrap().to_owned();
            line.split("\"delta\":").nth(1).unwrap().split('}').next().unwrap().to_owned()
        };
        let named =
            |reason: &str, stop: &str| format!("{{\"stop_reason\":\"{reason}\",\"stop_sequence\":{stop}");
        assert_eq!(ending(Reason::Stop, Some("STOP")), named("stop_sequence", "\"STOP\""));
        assert_eq!(ending(Reason::Stop, Some("the model's own")), named("end_turn", "null"));
        assert_eq!(ending(Reason::Stop, None), named("end_turn", "null"));
        assert_eq!(ending(Reason::Length, None), named("max_tokens", "null"));
    }

    #[test]
    fn an_answer_of_nothing_and_one_that_fails_end_as_well() {
        let nothing = told(vec![started(), finished(Reason::Stop, None)], true);
        let end = nothing.strip_prefix(START).unwrap();
        assert!(
            end.starts_with("event: message_delta\n") && end.ends_with("{\"type\":\"message_stop\"}\n\n")
        );
        let failure = Failure::new("damaged_weights", "they are not finite", "fetch it again");
        let failed = told(vec![started(), text("a"), Event::Failed(failure)], true);
        let expected = r#"event: error
data: {"type":"error","error":{"type":"api_error","message":"they are not finite (next: fetch it again)","code":"damaged_weights","hint":"fetch it again"},"request_id":"req_1"}

"#;
        assert!(failed.ends_with(expected), "{failed}");
    }
}
