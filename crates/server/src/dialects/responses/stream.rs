//! A response while it is made, as server-sent events, numbered in their order.
//!
//! Source: OpenAI's API reference, "Streaming events" of responses.

use app::{Event, Failure};
use serde_json::{Value as Json, json};

use super::super::parts::{Added, Part, Parts};
use super::{CALL, Head, Keeping, prefix};
use crate::telling::{Telling, named};

/// Tells a response.
pub struct Stream {
    head: Head,
    keeping: Option<Keeping>,
    parts: Parts,
    /// The items that are told wholly.
    output: Vec<Json>,
    /// The name of the item that is being told.
    open: Option<String>,
    n_events: usize,
}

impl Stream {
    pub fn new(head: Head, keeping: Option<Keeping>) -> Self {
        let (parts, output) = (Parts::default(), Vec::new());
        Self { head, keeping, parts, output, open: None, n_events: 0 }
    }

    /// Tells an event of this kind, with what it says.
    fn say(&mut self, kind: &str, says: Json, out: &mut Vec<u8>) {
        let mut event = json!({ "type": kind, "sequence_number": self.n_events });
        if let (Json::Object(event), Json::Object(says)) = (&mut event, says) {
            event.extend(says);
        }
        self.n_events += 1;
        named(kind, &event, out);
    }

    /// Tells an event of the part that is open.
    fn say_of_part(&mut self, kind: &str, says: Json, out: &mut Vec<u8>) {
        let mut all = json!({ "item_id": self.open, "output_index": self.output.len() });
        // A call has no contents to be counted.
        if !matches!(self.parts.list.get(self.output.len()), Some(Part::Call(_))) {
            all["content_index"] = json!(0);
        }
        if let (Json::Object(all), Json::Object(says)) = (&mut all, says) {
            all.extend(says);
        }
        self.say(kind, all, out);
    }

    fn begin_response(&mut self, out: &mut Vec<u8>) {
        for kind in ["response.created", "response.in_progress"] {
            let response = self.head.response(&self.parts, Vec::new(), None);
            self.say(kind, json!({ "response": response }), out);
        }
    }

    /// Begins the last part with what is in it already.
    fn begin_part(&mut self, out: &mut Vec<u8>) {
        let Some(part) = self.parts.list.last().cloned() else { return };
        let id = (self.head.name)(prefix(&part));
        let empty = emptied(&part);
        let mut item = self.head.item(&empty, &id, "in_progress");
        if item.get("content").is_some() {
            item["content"] = json!([]);
        }
        self.open = Some(id);
        let index = self.output.len();
        self.say("response.output_item.added", json!({ "output_index": index, "item": item }), out);
        match part {
            Part::Call(call) => {
                let delta = json!({ "delta": call.arguments });
                self.say_of_part("response.function_call_arguments.delta", delta, out);
            }
            Part::Text { text, tokens } => {
                let content = self.head.content(&empty);
                self.say_of_part("response.content_part.added", json!({ "part": content }), out);
                self.more(&text, &tokens, out);
            }
            Part::Thinking(text) => {
                let content = self.head.content(&empty);
                self.say_of_part("response.content_part.added", json!({ "part": content }), out);
                self.more(&text, &[], out);
            }
        }
    }

    fn more(&mut self, piece: &str, tokens: &[app::event::Token], out: &mut Vec<u8>) {
        match self.parts.list.last() {
            Some(Part::Text { .. }) => {
                let says = json!({ "delta": piece, "logprobs": self.head.probabilities(tokens) });
                self.say_of_part("response.output_text.delta", says, out);
            }
            Some(Part::Thinking(_)) => {
                self.say_of_part("response.reasoning_text.delta", json!({ "delta": piece }), out);
            }
            _ => {}
        }
    }

    /// Ends the part that is open.
    fn end_part(&mut self, status: &str, out: &mut Vec<u8>) {
        let index = self.output.len();
        let (Some(id), Some(part)) = (self.open.clone(), self.parts.list.get(index).cloned()) else { return };
        match &part {
            Part::Call(call) => {
                let says = json!({ "name": call.name, "arguments": call.arguments });
                self.say_of_part("response.function_call_arguments.done", says, out);
            }
            Part::Text { text, tokens } => {
                let says = json!({ "text": text, "logprobs": self.head.probabilities(tokens) });
                self.say_of_part("response.output_text.done", says, out);
            }
            Part::Thinking(text) => {
                self.say_of_part("response.reasoning_text.done", json!({ "text": text }), out);
            }
        }
        let content = self.head.content(&part);
        if !content.is_null() {
            self.say_of_part("response.content_part.done", json!({ "part": content }), out);
        }
        let item = self.head.item(&part, &id, status);
        self.say("response.output_item.done", json!({ "output_index": index, "item": item }), out);
        self.output.push(item);
        self.open = None;
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        let is_cut = self.parts.finished.as_ref().is_some_and(|end| end.reason == app::event::Reason::Length);
        self.end_part(if is_cut { "incomplete" } else { "completed" }, out);
        let response = self.head.response(&self.parts, self.output.clone(), None);
        if let Some(keeping) = self.keeping.take()
            && let Err(failure) = keeping.keep(&self.head, self.output.clone(), response.clone())
        {
            return self.fail(&failure, out);
        }
        let kind = if is_cut { "response.incomplete" } else { "response.completed" };
        self.say(kind, json!({ "response": response }), out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut Vec<u8>) {
        let response = self.head.response(&self.parts, self.output.clone(), Some(failure));
        self.say("response.failed", json!({ "response": response }), out);
    }
}

/// A part with nothing in it yet.
fn emptied(part: &Part) -> Part {
    match part {
        Part::Thinking(_) => Part::Thinking(String::new()),
        Part::Text { .. } => Part::Text { text: String::new(), tokens: Vec::new() },
        Part::Call(call) => Part::Call(crate::answer::Call { arguments: String::new(), ..call.clone() }),
    }
}

impl Telling for Stream {
    fn tell(&mut self, _index: usize, event: Event, out: &mut Vec<u8>) {
        let (is_started, is_finished) =
            (matches!(event, Event::Started(_)), matches!(event, Event::Finished(_)));
        match self.parts.take(event, CALL) {
            Ok(Added::Part) => {
                self.end_part("completed", out);
                self.begin_part(out);
            }
            Ok(Added::More(piece, tokens)) => self.more(&piece, &tokens, out),
            Ok(Added::Nothing) => {}
            Err(failure) => self.fail(&failure, out),
        }
        if is_started {
            self.begin_response(out);
        }
        if is_finished {
            self.finish(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::Wanted;
    use super::*;
    use crate::dialects::parts::tests::{call, finished, started, text, thinking, token};
    use crate::tier::Tier;
    use app::event::Reason;
    use app::job::{Generate, Prompt};

    fn head(n_alternatives: Option<usize>) -> Head {
        let wanted = Wanted {
            generate: Generate::new("starter", Prompt::Raw(String::new())),
            previous: None,
            input: Vec::new(),
            is_stored: false,
            n_alternatives,
            instructions: json!("Be brief."),
            reasoning: json!({ "effort": null, "summary": null }),
            text: json!({ "format": { "type": "text" } }),
            tools: json!([]),
            tool_choice: json!("auto"),
            metadata: json!({ "a": "b" }),
        };
        Head {
            id: "resp_1".into(),
            created: 7,
            tier: Tier::Untold,
            wanted,
            name: |prefix| format!("{prefix}1"),
        }
    }

    fn told(n_alternatives: Option<usize>, events: Vec<Event>) -> String {
        let (mut stream, mut out) = (Stream::new(head(n_alternatives), None), Vec::new());
        stream.begin(&mut out);
        events.into_iter().for_each(|event| stream.tell(0, event, &mut out));
        stream.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The response as it stands, with these parts of it.
    fn response(status: &str, output: &str, usage: &str) -> String {
        let incomplete = if status == "incomplete" { r#"{"reason":"max_output_tokens"}"# } else { "null" };
        let error = if status == "failed" {
            r#"{"code":"server_error","message":"they are not finite"}"#
        } else {
            "null"
        };
        format!(
            r#"{{"id":"resp_1","object":"response","created_at":7,"status":"{status}","background":false,"error":{error},"incomplete_details":{incomplete},"instructions":"Be brief.","max_output_tokens":null,"model":"starter","output":{output},"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{{"effort":null,"summary":null}},"store":false,"temperature":0.5,"text":{{"format":{{"type":"text"}}}},"tool_choice":"auto","tools":[],"top_logprobs":0,"top_p":0.95,"truncation":"disabled","usage":{usage},"metadata":{{"a":"b"}}}}"#
        )
    }

    const USAGE: &str = r#"{"input_tokens":20,"input_tokens_details":{"cached_tokens":16},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":29}"#;

    fn events(lines: &[(&str, String)]) -> String {
        let event = |(index, (kind, says)): (usize, &(&str, String))| {
            format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{index},{says}}}\n\n")
        };
        lines.iter().enumerate().map(event).collect()
    }

    fn begun() -> Vec<(&'static str, String)> {
        let response = format!(r#""response":{}"#, response("in_progress", "[]", "null"));
        vec![("response.created", response.clone()), ("response.in_progress", response)]
    }

    #[test]
    fn thinking_text_and_calls_are_told_byte_for_byte() {
        let told = told(
            None,
            vec![
                started(),
                thinking("h"),
                thinking("m"),
                text("Let me"),
                text(" see."),
                call("call_1", r#"{"a":1}"#),
                finished(Reason::Stop, None),
            ],
        );
        let thought = r#"{"id":"rs_1","type":"reasoning","status":"completed","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]}"#;
        let said = r#"{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Let me see."}]}"#;
        let called = r#"{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"a\":1}","call_id":"call_1","name":"now"}"#;
        let of =
            |id: &str, index: usize, rest: &str| format!(r#""item_id":"{id}","output_index":{index},{rest}"#);
        let part = |kind: &str, text: &str| match kind {
            "reasoning_text" => format!(r#""content_index":0,"part":{{"type":"{kind}","text":"{text}"}}"#),
            _ => format!(
                r#""content_index":0,"part":{{"type":"{kind}","annotations":[],"logprobs":[],"text":"{text}"}}"#
            ),
        };
        let mut lines = begun();
        lines.extend([
            (
                "response.output_item.added",
                r#""output_index":0,"item":{"id":"rs_1","type":"reasoning","status":"in_progress","summary":[],"content":[]}"#.to_owned(),
            ),
            ("response.content_part.added", of("rs_1", 0, &part("reasoning_text", ""))),
            ("response.reasoning_text.delta", of("rs_1", 0, r#""content_index":0,"delta":"h""#)),
            ("response.reasoning_text.delta", of("rs_1", 0, r#""content_index":0,"delta":"m""#)),
            ("response.reasoning_text.done", of("rs_1", 0, r#""content_index":0,"text":"hm""#)),
            ("response.content_part.done", of("rs_1", 0, &part("reasoning_text", "hm"))),
            ("response.output_item.done", format!(r#""output_index":0,"item":{thought}"#)),
            (
                "response.output_item.added",
                r#""output_index":1,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}"#.to_owned(),
            ),
            ("response.content_part.added", of("msg_1", 1, &part("output_text", ""))),
            ("response.output_text.delta", of("msg_1", 1, r#""content_index":0,"delta":"Let me","logprobs":[]"#)),
            ("response.output_text.delta", of("msg_1", 1, r#""content_index":0,"delta":" see.","logprobs":[]"#)),
            ("response.output_text.done", of("msg_1", 1, r#""content_index":0,"text":"Let me see.","logprobs":[]"#)),
            ("response.content_part.done", of("msg_1", 1, &part("output_text", "Let me see."))),
            ("response.output_item.done", format!(r#""output_index":1,"item":{said}"#)),
            (
                "response.output_item.added",
                r#""output_index":2,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"call_1","name":"now"}"#.to_owned(),
            ),
            ("response.function_call_arguments.delta", of("fc_1", 2, r#""delta":"{\"a\":1}""#)),
            (
                "response.function_call_arguments.done",
                of("fc_1", 2, r#""name":"now","arguments":"{\"a\":1}""#),
            ),
            ("response.output_item.done", format!(r#""output_index":2,"item":{called}"#)),
            (
                "response.completed",
                format!(r#""response":{}"#, response("completed", &format!("[{thought},{said},{called}]"), USAGE)),
            ),
        ]);
        assert_eq!(told, events(&lines));
    }

    #[test]
    fn an_answer_that_is_cut_or_fails_says_so() {
        let cut = told(None, vec![started(), text("a"), finished(Reason::Length, None)]);
        let said = r#"{"id":"msg_1","type":"message","status":"incomplete","role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"a"}]}"#;
        let end = format!(
            "event: response.incomplete\ndata: {{\"type\":\"response.incomplete\",\"sequence_number\":8,\"response\":{}}}\n\n",
            response("incomplete", &format!("[{said}]"), USAGE)
        );
        assert!(cut.ends_with(&end), "{cut}");
        let failure = Failure::new("damaged_weights", "they are not finite", "fetch it again");
        let failed = told(None, vec![started(), Event::Failed(failure)]);
        let mut lines = begun();
        lines.push(("response.failed", format!(r#""response":{}"#, response("failed", "[]", "null"))));
        assert_eq!(failed, events(&lines));
        let nothing = told(None, vec![started(), finished(Reason::Stop, None)]);
        let mut lines = begun();
        lines.push(("response.completed", format!(r#""response":{}"#, response("completed", "[]", USAGE))));
        assert_eq!(nothing, events(&lines));
    }

    #[test]
    fn tokens_come_with_their_text() {
        let told = told(
            Some(2),
            vec![
                started(),
                token("a"),
                token("b"),
                text("ab"),
                token("c"),
                text("c"),
                finished(Reason::Stop, None),
            ],
        );
        let one = |text: &str, byte: u8| {
            format!(r#"{{"token":"{text}","logprob":-0.5,"bytes":[{byte}],"top_logprobs":[]}}"#)
        };
        let (a, b, c) = (one("a", 97), one("b", 98), one("c", 99));
        assert!(told.contains(&format!(r#""delta":"ab","logprobs":[{a},{b}]"#)), "{told}");
        assert!(told.contains(&format!(r#""delta":"c","logprobs":[{c}]"#)), "{told}");
        assert!(told.contains(&format!(r#""text":"abc","logprobs":[{a},{b},{c}]"#)), "{told}");
    }
}
