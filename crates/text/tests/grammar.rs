//! What grammars let through, letter by letter, and what answers are held to from where on.

#![allow(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

#[path = "support/written_calls.rs"]
mod written_calls;

use std::sync::Arc;

use base::TokenId;
use serde_json::{Value as Json, json};
use text::answer::{AnswerParser, Event, FORMATS, Setting, format_named};
use text::grammar::{Choice, Grammar, Guide, Offer, PerAnswer, Plan, Source, Vocabulary, calls};
use text::{Error, TokenType, Tokenizer, VocabularyKind, VocabularyParts};
use written_calls::{CALLS, CONTROL, pieces};

/// Bytes, a few words, and control tokens.
fn tokenizer() -> Tokenizer {
    let mut parts = VocabularyParts::new(VocabularyKind::Spm, Vec::new());
    parts.tokens = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
    parts.token_types = vec![TokenType::Byte; 256];
    for word in ["{\"", "\":", ">{\"", ">\"", "name", "<tool_call>", "<think>", "room", "▁the"] {
        parts.tokens.push(word.into());
        parts.token_types.push(TokenType::Normal);
    }
    for token in CONTROL {
        parts.tokens.push((*token).into());
        parts.token_types.push(TokenType::Control);
    }
    parts.scores = vec![0.0; parts.tokens.len()];
    Tokenizer::from_parts(parts).unwrap()
}

struct Bench {
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    end: TokenId,
}

impl Bench {
    fn new() -> Self {
        let tokenizer = tokenizer();
        let vocabulary = Vocabulary::new(&tokenizer).unwrap();
        let end = tokenizer.find("</s>").unwrap();
        Self { tokenizer, vocabulary, end }
    }

    fn compile(&self, source: &Source) -> Result<Grammar, Error> {
        Grammar::compile(source, &self.vocabulary)
    }

    fn guide(&self, plan: Plan) -> Guide {
        plan.guide(Arc::new([self.end]))
    }

    /// Whether a text goes through as single bytes and may end.
    fn takes(&self, grammar: &Grammar, text: &str) -> bool {
        let mut guide = self.guide(Plan::whole(grammar.clone()));
        for byte in text.bytes() {
            let token = TokenId(u32::from(byte));
            let is_allowed = guide.allowed().is_ok_and(|set| set.is_none_or(|set| set.has(token)));
            if guide.is_complete() || !is_allowed {
                return false;
            }
            guide.push(token).unwrap();
        }
        let allowed = guide.allowed().unwrap_or_else(|error| panic!("{text:?}: {error}"));
        allowed.is_none_or(|set| set.has(self.end))
    }

    /// Pushes a text: control tokens as themselves, all else as bytes. The first thing that may not come.
    fn push(&self, guide: &mut Guide, parts: &[&str]) -> Option<String> {
        for part in parts {
            let whole = self.tokenizer.find(part).filter(|_| part.len() > 1);
            let bytes = part.bytes().map(|byte| TokenId(u32::from(byte)));
            for token in whole.map_or_else(|| bytes.collect(), |token| vec![token]) {
                if guide.is_complete() || !guide.allowed().unwrap().is_none_or(|set| set.has(token)) {
                    return Some(self.tokenizer.token_text(token).into_owned());
                }
                guide.push(token).unwrap();
            }
        }
        None
    }
}

const GBNF: &[(&str, &[&str], &[&str])] = &[
    ("root ::= \"yes\" | \"no\"", &["yes", "no"], &["", "y", "yesno", "maybe"]),
    ("root ::= [a-c]+ \"end\"?", &["a", "abcend", "cc"], &["", "end", "d"]),
    ("root ::= [^\"\\n]{2,3}", &["ab", "äöü"], &["a", "abcd", "a\"", "a\nb"]),
    ("root ::= . \"\\x41\\u00e4\" #x\n", &["xAä", "\nAä"], &["Aä", "xAa"]),
    ("root ::= a* b\na ::= \"a\" |\n \"-\"\nb ::= (\"b\" \"c\"?){2}", &["bb", "a-abcb"], &["b", "abbb"]),
    (
        "root ::= \"(\" ws root? ws \")\"\nws ::= [ ]*",
        &["()", "( ( ) )", "((()))"],
        &["(", "())", "() ", "[]"],
    ),
    (
        "root ::= sum\nsum ::= product (\"+\" product)*\nproduct ::= atom (\"*\" atom)*\natom ::= [0-9]+ | \"(\" sum \")\"",
        &["1", "12+3*(4+5)", "((7))*2"],
        &["", "1+", "(1", "1 + 2"],
    ),
    ("root ::= \"a\" root \"b\" | \"\"", &["", "ab", "aaabbb"], &["aab", "abb", "ba"]),
];

#[test]
fn grammars_of_llama_cpp_let_through_what_they_say() {
    let bench = Bench::new();
    for (source, good, bad) in GBNF {
        let grammar = bench
            .compile(&Source::Gbnf((*source).to_owned()))
            .unwrap_or_else(|error| panic!("{source}: {error}"));
        for text in *good {
            assert!(bench.takes(&grammar, text), "{source}: {text:?}");
        }
        for text in *bad {
            assert!(!bench.takes(&grammar, text), "{source}: {text:?}");
        }
    }
}

#[test]
fn the_other_notations_let_through_what_they_say() {
    let bench = Bench::new();
    let date = json!({"type": "object", "properties": {"day": {"type": "string", "format": "date"}, "n": {"$ref": "#/$defs/n"}},
        "required": ["n"], "additionalProperties": false, "$defs": {"n": {"type": "integer", "minimum": 2, "x-unit": "m"}}});
    let cases: [(Source, &[&str], &[&str]); 6] = [
        (Source::Regex("^a/b|c$".into()), &["a/b", "c"], &["a", "a/bc", ""]),
        (Source::Regex(r"\d{2}-\w+".into()), &["12-x", "99-ab_1"], &["1-x", "12-"]),
        (Source::Lark("start: \"a\" b?\nb: /[xy]/+".into()), &["a", "axyx"], &["", "x", "ab"]),
        (Source::JsonObject, &["{}", "{\"a\": [1, null, {\"b\": \"ü\\n\"}]}"], &["", "[]", "{\"a\"}", "{} "]),
        (
            Source::JsonSchema(date),
            &["{\"n\": 2}", "{\"day\": \"2024-02-29\",\n  \"n\":77}"],
            &[
                "{}",
                "{\"n\": 1}",
                "{\"n\": 2.5}",
                "{\"day\": \"2024-02-30\", \"n\": 2}",
                "{\"n\": 2, \"m\": 1}",
            ],
        ),
        (Source::JsonSchema(json!(true)), &["1", "\"a\"", "[true]"], &["", "tru"]),
    ];
    for (source, good, bad) in cases {
        let grammar = bench.compile(&source).unwrap_or_else(|error| panic!("{source:?}: {error}"));
        good.iter().for_each(|text| assert!(bench.takes(&grammar, text), "{source:?}: {text:?}"));
        bad.iter().for_each(|text| assert!(!bench.takes(&grammar, text), "{source:?}: {text:?}"));
    }
}

#[test]
fn what_cannot_be_kept_is_refused_by_its_name_and_place() {
    let bench = Bench::new();
    for (schema, said) in [
        (
            json!({"properties": {"a": {"type": "array", "uniqueItems": true}}}),
            "\"uniqueItems\" at #/properties/a",
        ),
        (json!({"not": {"type": "string"}}), "\"not\" at #"),
        (json!({"if": true, "then": false}), "\"if\" at #"),
        (json!({"type": "string", "nullable": true}), "\"nullable\" at #"),
        (json!({"x-guidance": {"lenient": true}, "not": {}}), "\"x-guidance\" at #"),
        (json!({"items": {"format": "idn-email"}}), "format \"idn-email\" at #/items"),
        (json!({"$ref": "other.json#/a"}), "$ref \"other.json#/a\", which leads out of this schema, at #"),
        (json!({"$ref": "#/$defs/b", "$defs": {"a": true}}), "$ref \"#/$defs/b\" leads nowhere"),
        (json!({"$schema": "http://json-schema.org/draft-03/schema#"}), "$schema"),
        (json!({"anyOf": [{"dependentRequired": {}}]}), "\"dependentRequired\" at #/anyOf/0"),
        (json!({"$defs": {"a/b": {"contains": {}}}}), "\"contains\" at #/$defs/a~1b"),
        (json!({"required": "a"}), "required is no list of names"),
        (json!({"type": "array", "minItems": -1}), "minItems is no whole number"),
        (json!({"properties": []}), "properties does not hold what it should"),
        (json!({"type": "text"}), "text"),
        (json!([]), "a schema is an object, true or false"),
        (json!({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "oneOf"),
        (json!(false), "false"),
    ] {
        let error = bench.compile(&Source::JsonSchema(schema.clone())).expect_err(&schema.to_string());
        assert!(error.to_string().contains(said), "{schema}: {error}");
        assert!(error.to_string().starts_with("JSON schema: "), "{error}");
    }
    for regex in ["a\\", "(a", "[z-a]", "a(?=b)", "(a)\\1", "a{5,2}"] {
        assert!(bench.compile(&Source::Regex(regex.into())).is_err(), "{regex}");
    }
}

#[test]
fn control_tokens_never_come_and_ends_only_where_the_form_is_complete() {
    let bench = Bench::new();
    let grammar = bench.compile(&Source::Regex("(?s:.){1,3}".into())).unwrap();
    let mut guide = bench.guide(Plan::whole(grammar));
    for step in 0..3 {
        let set = guide.allowed().unwrap().unwrap();
        assert_eq!(set.has(bench.end), step > 0);
        let control = ["[TOOL_CALLS]", "[THINK]", "<|tool_call_begin|>"];
        assert!(control.iter().all(|token| !set.has(bench.tokenizer.find(token).unwrap())));
        guide.push(TokenId(u32::from(b'x'))).unwrap();
    }
    assert!(guide.is_complete());
    assert!(guide.push(TokenId(u32::from(b'x'))).is_err());
    let grammar = bench.compile(&Source::Lark("start: \"</s>\"".into())).unwrap();
    let mut guide = bench.guide(Plan::whole(grammar));
    assert!(!guide.allowed().unwrap().unwrap().has(bench.end), "the text is not the token");
}

#[test]
fn thinking_is_free_and_the_form_holds_behind_it() {
    let bench = Bench::new();
    let (hermes, mistral) = (format_named("hermes").unwrap(), format_named("mistral").unwrap());
    let plan = |format, prompt| {
        let grammar = bench.compile(&Source::Regex("[0-9]{2}".into())).unwrap();
        Plan::whole(grammar).after_thinking(format, prompt, &bench.tokenizer)
    };
    let mut guide = bench.guide(plan(hermes, "assistant\n<think>\n"));
    assert_eq!(
        bench.push(&mut guide, &["Hm", "</s>"]),
        Some("</s>".into()),
        "it may not end in its thoughts"
    );
    assert_eq!(bench.push(&mut guide, &[", no. </thin </think>", "42"]), None);
    assert!(guide.is_complete());
    let mut guide = bench.guide(plan(mistral, ""));
    assert_eq!(bench.push(&mut guide, &["a"]), Some("a".into()));
    assert_eq!(bench.push(&mut guide, &["[THINK]", "a ", "[/THINK]", "7"]), None);
    assert_eq!(bench.push(&mut guide, &["[THINK]"]), Some("[THINK]".into()), "once");
    assert_eq!(bench.push(&mut bench.guide(plan(mistral, "")), &["42"]), None, "it need not think");
}

fn light() -> Json {
    json!({"type": "object", "properties": {"room": {"enum": ["hall", "attic"]}, "on": {"$ref": "#/$defs/on"}},
        "required": ["room"], "$defs": {"on": {"type": "boolean"}}})
}

const NO_ARGUMENTS: &str = "{\"type\": \"object\", \"properties\": {}}";

#[test]
fn forced_calls_are_calls_to_what_reads_answers_in_every_format_that_can_be_forced() {
    let bench = Bench::new();
    let (light, none) = (light(), serde_json::from_str(NO_ARGUMENTS).unwrap());
    let tools = [("set_light", &light), ("now", &none)];
    let offered = json!([{"name": "set_light", "parameters": light}, {"name": "now", "parameters": none}]);
    let mut forced = Vec::new();
    for format in FORMATS {
        let offer = Offer { tools: &tools, choice: Choice::Must, per_answer: PerAnswer::Many };
        let plan = match calls(format, &offer, &bench.tokenizer, &bench.vocabulary) {
            Ok(plan) => plan.unwrap(),
            Err(error) => {
                assert!(matches!(error, Error::CallsNotForced { .. }), "{}: {error}", format.name);
                continue;
            }
        };
        forced.push(format.name);
        for seed in 0..12 {
            let text = walk(&bench, bench.guide(plan.clone()), seed);
            let mut parser =
                AnswerParser::new(format, &Setting { tools: Some(&offered), ..Setting::default() });
            let mut events = parser.push(&text);
            events.extend(parser.finish());
            check_calls(format.name, &text, &events);
        }
    }
    let expected = [
        "deepseek-v3.1",
        "kimi-k2",
        "functionary-v3.1",
        "granite",
        "phi-4-mini",
        "apertus",
        "apriel",
        "command-r7b",
        "command-r",
        "gigachat",
        "functools",
        "mistral",
        "hermes",
        "llama-3",
        "hearth",
        "qwen3-coder",
        "seed-oss",
        "glm",
        "minimax",
        "deepseek-v3.2",
        "lfm2",
        "gemma",
        "gemma-4",
        "harmony",
    ];
    assert!(expected.iter().all(|name| forced.contains(name)), "{forced:?}");
}

/// A complete answer, each token drawn among those that may come.
fn walk(bench: &Bench, mut guide: Guide, seed: u64) -> String {
    let mut rng = base::Rng::new(seed);
    let mut said = Vec::new();
    for _ in 0..4000 {
        let set = guide.allowed().unwrap().expect("all of it is held to the form").clone();
        // Ends as soon as it may, so that walks are short.
        if guide.is_complete() || set.has(bench.end) && rng.below(2) == 0 {
            return String::from_utf8(said).unwrap();
        }
        let all =
            (0..bench.tokenizer.len() as u32).map(TokenId).filter(|id| set.has(*id) && *id != bench.end);
        let all: Vec<TokenId> = all.collect();
        // Letters that are one byte, where there are some.
        let plain = |id: &&TokenId| !(0..32).contains(&id.0) && !(127..256).contains(&id.0) || id.0 == 10;
        let plain: Vec<TokenId> = all.iter().filter(plain).copied().collect();
        let from = if plain.is_empty() { &all } else { &plain };
        let Some(&token) = from.get(rng.below(from.len().max(1))) else {
            return String::from_utf8(said).unwrap();
        };
        said.extend_from_slice(bench.tokenizer.token_bytes(token));
        guide.push(token).unwrap();
    }
    panic!("it does not end: {}", String::from_utf8_lossy(&said))
}

fn check_calls(format: &str, text: &str, events: &[Event]) {
    let mut n_calls = 0;
    for event in events {
        match event {
            Event::Call { name, arguments, .. } => {
                n_calls += 1;
                let arguments: Json = serde_json::from_str(arguments).unwrap();
                let fits = match name.as_str() {
                    "now" => arguments == json!({}),
                    "set_light" => {
                        let known =
                            arguments.as_object().unwrap().keys().all(|key| key == "room" || key == "on");
                        let is_room = matches!(arguments["room"].as_str(), Some("hall" | "attic"));
                        known && is_room && arguments.get("on").is_none_or(Json::is_boolean)
                    }
                    _ => false,
                };
                assert!(fits, "{format}: {text}: {name} {arguments}");
            }
            Event::CallBegun { .. } | Event::Arguments { .. } => {}
            Event::Thinking(_) if format == "harmony" => {}
            other => panic!("{format}: {text:?}: {other:?}"),
        }
    }
    assert!(n_calls > 0, "{format}: {text:?}");
}

fn note() -> Json {
    json!({"type": "object", "required": ["text"], "properties": {
        "text": {"type": "string"}, "level": {"type": "integer", "minimum": 1, "maximum": 5},
        "tags": {"type": "array", "items": {"type": "string"}}, "mood": {"type": "string", "enum": ["calm", "it's"]},
        "place": {"type": "object", "properties": {"x": {"type": "number"}, "home": {"type": ["boolean", "null"]}},
            "required": ["x"]}}})
}

#[test]
fn a_forced_call_is_what_its_family_writes_and_nothing_else() {
    let bench = Bench::new();
    let (light, none, note) = (light(), serde_json::from_str(NO_ARGUMENTS).unwrap(), note());
    let tools = [("set_light", &light), ("now", &none), ("note", &note)];
    let described = tools.map(|(name, schema)| json!({"name": name, "parameters": schema}));
    let offered = Json::from(described.to_vec());
    for (name, good, bad) in CALLS {
        let format = format_named(name).unwrap();
        let offer = Offer { tools: &tools, choice: Choice::Must, per_answer: PerAnswer::One };
        let plan = calls(format, &offer, &bench.tokenizer, &bench.vocabulary);
        let plan = plan.unwrap_or_else(|error| panic!("{name}: {error}")).unwrap();
        for (text, tool, arguments) in *good {
            let mut guide = bench.guide(plan.clone());
            assert_eq!(bench.push(&mut guide, &pieces(text)), None, "{name}: {text}");
            let may_end = guide.is_complete() || guide.allowed().unwrap().unwrap().has(bench.end);
            assert!(may_end, "{name}: {text}");
            let setting = Setting { tools: Some(&offered), control: CONTROL, ..Setting::default() };
            let mut parser = AnswerParser::new(format, &setting);
            let mut events = Vec::new();
            for piece in pieces(text) {
                events.extend(if CONTROL.contains(&piece) {
                    parser.push_control(piece)
                } else {
                    parser.push(piece)
                });
            }
            events.extend(parser.finish());
            let calls: Vec<(&str, Json)> = events
                .iter()
                .filter_map(|event| match event {
                    Event::Call { name, arguments, .. } => {
                        Some((name.as_str(), serde_json::from_str(arguments).unwrap()))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(
                calls,
                [(*tool, serde_json::from_str(arguments).unwrap())],
                "{name}: {text}: {events:?}"
            );
        }
        for text in *bad {
            let mut guide = bench.guide(plan.clone());
            let is_stopped = bench.push(&mut guide, &pieces(text)).is_some();
            assert!(is_stopped, "{name}: {text}");
        }
    }
}

#[test]
fn what_a_notation_cannot_say_is_refused_by_name() {
    let bench = Bench::new();
    for (format, tool, schema, said) in [
        ("qwen3-coder", "f", json!({"properties": {"a": {"type": "string", "pattern": "b+"}}}), "pattern"),
        ("qwen3-coder", "f", json!({"anyOf": [{"type": "object"}]}), "anyOf"),
        ("qwen3-coder", "f<g", json!({}), "f<g"),
        ("glm", "f", json!({"required": ["a"]}), "\"a\" is required"),
        ("gemma", "a.b", json!({}), "a.b"),
        ("gemma", "f", json!({"properties": {"a b": {}}}), "a b"),
        ("gemma-4", "f", json!({"properties": {"a": {"enum": ["<|\"|>"]}}}), "ends texts"),
        ("harmony", "python", json!({}), "python"),
    ] {
        let tools = [(tool, &schema)];
        let offer = |choice| Offer { tools: &tools, choice, per_answer: PerAnswer::Many };
        let format = format_named(format).unwrap();
        let error = calls(format, &offer(Choice::Must), &bench.tokenizer, &bench.vocabulary).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
        assert!(calls(format, &offer(Choice::May), &bench.tokenizer, &bench.vocabulary).unwrap().is_none());
    }
}

#[test]
fn a_call_that_may_come_is_held_from_its_opening_on() {
    let bench = Bench::new();
    let light = light();
    let plan = |format: &str, per_answer| {
        let offer = Offer { tools: &[("set_light", &light)], choice: Choice::May, per_answer };
        calls(format_named(format).unwrap(), &offer, &bench.tokenizer, &bench.vocabulary).unwrap().unwrap()
    };
    let mut guide = bench.guide(plan("hermes", PerAnswer::Many));
    let opening = "I <b>say</b> <tool_cal, then <tool_call>";
    assert_eq!(bench.push(&mut guide, &[opening]), None);
    assert_eq!(bench.push(&mut guide, &["{\"name\": \"x"]), Some("x".into()));
    let first = "set_light\", \"arguments\": {\"room\": \"hall\"}}</tool_call>";
    assert_eq!(
        bench.push(
            &mut guide,
            &[first, "\nMore words", "<tool_call>\n{\"name\": \"set_light\", \"arguments\": {"]
        ),
        None
    );
    assert_eq!(bench.push(&mut guide, &["}"]), Some("}".into()), "the second is held too");

    let mut guide = bench.guide(plan("hermes", PerAnswer::One));
    let call = "<tool_call>{\"name\": \"set_light\", \"arguments\": {\"room\": \"hall\"}}</tool_call>";
    assert_eq!(bench.push(&mut guide, &["Well, ", call]), None);
    assert!(guide.is_complete(), "one is enough");

    // A token that ends the opening and goes on: only as a call goes on.
    let mut guide = bench.guide(plan("hermes", PerAnswer::Many));
    assert_eq!(bench.push(&mut guide, &["<tool_call"]), None);
    let set = guide.allowed().unwrap().unwrap().clone();
    let has = |text: &str| set.has(bench.tokenizer.find(text).unwrap());
    assert!(has(">{\"") && !has(">\"") && has("room"));

    let mut guide = bench.guide(plan("mistral", PerAnswer::Many));
    assert_eq!(bench.push(&mut guide, &["Text ", "[TOOL_CALLS]"]), None);
    assert_eq!(bench.push(&mut guide, &["set_light", "[ARGS]", "{\"room\": \"c"]), Some("c".into()));

    let mut guide = bench.guide(plan("hearth", PerAnswer::Many));
    assert_eq!(
        bench.push(&mut guide, &["{\"", "name", "\":", " \"set_light\", \"arguments\": {\"room\": \"b"]),
        Some("b".into())
    );
    let mut guide = bench.guide(plan("harmony", PerAnswer::Many));
    let before =
        ["<|channel|>", "analysis", "<|message|>", "Hm to=functions.x", "<|end|>", "<|start|>", "assistant"];
    assert_eq!(bench.push(&mut guide, &before), None);
    assert_eq!(bench.push(&mut guide, &["<|channel|>", "commentary to=functions.other"]), Some("o".into()));
    let mut guide = bench.guide(plan("glm", PerAnswer::Many));
    assert_eq!(
        bench.push(&mut guide, &["Well <tool_call>set_light<arg_key>room</arg_key><arg_value>b"]),
        Some("b".into())
    );
    let mut guide = bench.guide(plan("deepseek-v3.2", PerAnswer::Many));
    assert_eq!(
        bench.push(&mut guide, &["Well <", "｜DSML｜", "function_calls>\n<", "｜DSML｜", "invoke name=\"x"]),
        Some("x".into())
    );

    let mut guide = bench.guide(plan("hearth", PerAnswer::Many));
    assert_eq!(bench.push(&mut guide, &["{\"day\": 1} and ", "</s>"]), None, "words are free");
}

#[test]
fn a_family_whose_calls_cannot_be_held_is_refused_or_left_free() {
    let bench = Bench::new();
    let light = light();
    let lights = [("set_light", &light)];
    let offer = |choice| Offer { tools: &lights, choice, per_answer: PerAnswer::Many };
    for (format, reason) in [("functionary-v3.2", "channels"), ("think", "no calls")] {
        let format = format_named(format).unwrap();
        let (must, may) = (offer(Choice::Must), offer(Choice::May));
        let error = calls(format, &must, &bench.tokenizer, &bench.vocabulary).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(calls(format, &may, &bench.tokenizer, &bench.vocabulary).unwrap().is_none());
    }
    let bad = json!({"type": "object", "properties": {"a": {"not": {}}}});
    let hermes = format_named("hermes").unwrap();
    let bad = [("f", &bad)];
    let offer = |choice| Offer { tools: &bad, choice, per_answer: PerAnswer::One };
    let error = calls(hermes, &offer(Choice::Must), &bench.tokenizer, &bench.vocabulary).unwrap_err();
    let said = "tool schema: the key \"not\" at #/properties/a of the tool \"f\" is not supported";
    assert_eq!(error.to_string(), said);
    assert!(calls(hermes, &offer(Choice::May), &bench.tokenizer, &bench.vocabulary).unwrap().is_none());
}

/// A model that would say white space for ever cannot: of what pretty-printers put between the parts of JSON, once each.
#[test]
fn white_space_between_the_parts_of_json_is_bounded() {
    let bench = Bench::new();
    let schema = json!({
        "type": "object",
        "properties": {
            "a": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 2},
            "b": {"type": "object", "properties": {"c": {"type": "null"}}, "required": ["c"], "additionalProperties": false},
        },
        "required": ["a", "b"],
        "additionalProperties": false,
    });
    let grammar = bench.compile(&Source::JsonSchema(schema)).unwrap();
    let value = json!({"a": [true, false], "b": {"c": null}});
    let tabs = serde_json::to_string_pretty(&value).unwrap().replace("  ", "\t");
    let four = serde_json::to_string_pretty(&value).unwrap().replace("  ", "    ").replace('\n', "\r\n");
    let loose = "{ \"a\" : [ true , false ] , \"b\" : { \"c\" : null } }";
    for form in [&value.to_string(), &serde_json::to_string_pretty(&value).unwrap(), &tabs, &four, loose] {
        assert!(bench.takes(&grammar, form), "{form}");
    }
    let compact = value.to_string();
    for space in
        ["\n\n", " \n", "\n \n", "         ", &format!("\n{}", " ".repeat(65)), " ".repeat(200).as_str()]
    {
        let form = compact.replacen(',', &format!(",{space}"), 1);
        assert!(!bench.takes(&grammar, &form), "{space:?}");
    }
    // Whoever takes white space wherever it may come still comes to the end.
    let mut guide = bench.guide(Plan::whole(grammar));
    let (mut said, mut n_space) = (String::new(), 0);
    while !guide.is_complete() {
        let set = guide.allowed().unwrap().unwrap().clone();
        if set.has(bench.end) {
            break;
        }
        let byte = *b"\n\r \t".iter().find(|byte| set.has(TokenId(u32::from(**byte)))).unwrap_or_else(|| {
            compact.as_bytes().iter().find(|byte| set.has(TokenId(u32::from(**byte)))).unwrap()
        });
        n_space = if byte.is_ascii_whitespace() { n_space + 1 } else { 0 };
        assert!(n_space <= 66, "{said:?}");
        said.push(char::from(byte));
        guide.push(TokenId(u32::from(byte))).unwrap();
    }
    let kept: Json = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{said:?}: {error}"));
    assert_eq!(kept["a"].as_array().unwrap().len(), 2);
}

#[test]
fn a_form_holds_behind_a_beginning_that_is_given() {
    let bench = Bench::new();
    let grammar = bench.compile(&Source::Regex("ab+c".into())).unwrap();
    let begun = |text: &str| bench.guide(Plan::whole(grammar.clone())).behind(text);
    let mut guide = begun("ab").unwrap();
    assert_eq!(bench.push(&mut guide, &["bbc"]), None);
    assert!(guide.is_complete());
    assert_eq!(bench.push(&mut begun("ab").unwrap(), &["a"]), Some("a".into()));
    assert!(begun("abc").unwrap().is_complete());
    assert_eq!(begun("ac").err(), Some(Error::BeginningDoesNotFit));
    assert_eq!(begun("abcd").err(), Some(Error::BeginningDoesNotFit));
}
