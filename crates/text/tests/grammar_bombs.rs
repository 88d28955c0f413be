//! Grammars that are made to be expensive (TRUST T28): each ends within a second and 64 MiB, and says why.
//!
//! One test only: memory is that of the whole process, as the system counts it. Where it tells nothing, time alone is held.

#![allow(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

use std::time::Duration;

use base::TokenId;
use serde_json::{Value as Json, json};
use testkit::stopwatch::Stopwatch;
use text::grammar::{Grammar, Plan, Source, Vocabulary};
use text::{Error, Tokenizer, VocabularyKind, VocabularyParts};

/// What `/proc/self/status` says under a name, in KiB.
fn kib(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// A second is what people wait for at most: a test build computes several times as long, a machine may be slow, and what
/// shares a core with the test slows it down too. What has no limit takes minutes.
const MOST_COMPUTED: Duration = Duration::from_secs(8);

/// How much more memory was there at the most while something ran, in KiB.
fn peak<T>(run: impl FnOnce() -> T) -> (T, u64) {
    // Begins to count the highest anew.
    let is_reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = kib("VmRSS").unwrap_or_default();
    let result = run();
    let highest = kib("VmHWM").filter(|_| is_reset).unwrap_or(before);
    (result, highest.saturating_sub(before))
}

/// Bytes, and words of letters as a large vocabulary has them.
fn vocabulary() -> Vocabulary {
    let mut parts = VocabularyParts::new(VocabularyKind::Spm, Vec::new());
    parts.tokens = (0..=255).map(|byte| format!("<0x{byte:02X}>")).collect();
    let letters = || ('a'..='z').chain(['▁', '"', '{', '0', '1', ',']);
    for first in letters() {
        for second in letters() {
            parts.tokens.push(format!("{first}{second}"));
            parts.tokens.extend(letters().map(|third| format!("{first}{second}{third}")));
        }
    }
    parts.scores = vec![0.0; parts.tokens.len()];
    Vocabulary::new(&Tokenizer::from_parts(parts).unwrap()).unwrap()
}

/// What became of a source: why it is refused, or how many steps could be made with it.
fn outcome(source: &Source, vocabulary: &Vocabulary) -> Result<usize, Error> {
    let grammar = Grammar::compile(source, vocabulary)?;
    let mut guide = Plan::whole(grammar).guide([].into());
    for step in 0..60 {
        let Some(set) = guide.allowed()? else { return Ok(step) };
        let mut allowed = (0..vocabulary.n_tokens() as u32).map(TokenId).filter(|&token| set.has(token));
        let Some(token) = allowed.nth(step % 3).or_else(|| allowed.next()) else { return Ok(step) };
        guide.push(token)?;
        if guide.is_complete() {
            return Ok(step);
        }
    }
    Ok(60)
}

fn schema(schema: Json) -> Source {
    Source::JsonSchema(schema)
}

fn lark(text: impl Into<String>) -> Source {
    Source::Lark(text.into())
}

fn regex(text: impl Into<String>) -> Source {
    Source::Regex(text.into())
}

/// `levels` objects within each other.
fn nested(levels: usize) -> Json {
    (0..levels)
        .fold(json!({"type": "string"}), |inner, _| json!({"type": "object", "properties": {"a": inner}}))
}

/// Each of so many definitions is two of the next.
fn doubling(levels: usize, key: &str) -> Json {
    let mut definitions = serde_json::Map::new();
    for level in 0..levels {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        definitions.insert(format!("d{level}"), json!({ key: [next, next] }));
    }
    definitions
        .insert(format!("d{levels}"), json!({"type": "object", "properties": {"a": {"type": "string"}}}));
    json!({"$defs": definitions, "$ref": "#/$defs/d0"})
}

/// An object of so many properties, none of which has to be there.
fn many(n: usize) -> Json {
    let properties = words(n).into_iter().map(|word| (word, json!({"type": "integer"})));
    json!({"type": "object", "properties": properties.collect::<serde_json::Map<_, _>>()})
}

fn words(n: usize) -> Vec<String> {
    (0..n).map(|index| format!("{:x}", (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

/// What is tried, and what the error says; nothing where it may also end well.
fn bombs() -> Vec<(&'static str, Source, &'static str)> {
    let chain = |n: usize| -> Json {
        let definition =
            |level: usize| (format!("d{level}"), json!({"$ref": format!("#/$defs/d{}", level + 1)}));
        let definitions: serde_json::Map<_, _> = (0..n).map(definition).collect();
        json!({"$defs": definitions, "$ref": "#/$defs/d0"})
    };
    let products = |n: usize| {
        let any = |at: usize| json!({"anyOf": [{"properties": {format!("a{at}"): {"const": 1}}}, {"properties": {format!("b{at}"): {"const": 2}}}]});
        json!({"type": "object", "allOf": (0..n).map(any).collect::<Vec<_>>()})
    };
    vec![
        ("deep", schema(nested(200)), "levels of nesting"),
        ("deep enough", schema(nested(40)), ""),
        ("long", schema(json!({"enum": (0..30_000).collect::<Vec<_>>()})), "values"),
        ("many words", schema(json!({"enum": words(12_000)})), ""),
        ("long text", schema(json!({"const": "a".repeat(1 << 20)})), "bytes"),
        ("text of 200 KB", schema(json!({"const": "ab".repeat(100_000)})), ""),
        ("doubling allOf", schema(doubling(30, "allOf")), ""),
        ("doubling anyOf", schema(doubling(30, "anyOf")), ""),
        ("doubling oneOf", schema(doubling(30, "oneOf")), ""),
        ("products", schema(products(24)), ""),
        ("many properties", schema(many(4000)), "properties of one object"),
        ("properties", schema(many(390)), ""),
        (
            "a ring of references",
            schema(
                json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
            ),
            "",
        ),
        (
            "a ring with siblings",
            schema(json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a", "minLength": 3}}})),
            "",
        ),
        ("a tree", schema(json!({"$ref": "#", "type": "object"})), ""),
        ("a long chain", schema(chain(5000)), "levels of nesting and references"),
        (
            "a reference outside",
            schema(json!({"$ref": "https://example.com/a.json"})),
            "\"https://example.com/a.json\"",
        ),
        (
            "minLength",
            schema(json!({"type": "string", "minLength": 1_000_000_000_000_u64})),
            "minLength is 1000000000000",
        ),
        ("a long string", schema(json!({"type": "string", "minLength": 60_000, "maxLength": 65_000})), ""),
        (
            "maxItems",
            schema(json!({"type": "array", "items": {"type": "integer"}, "maxItems": u64::MAX})),
            "maxItems is",
        ),
        (
            "many items",
            schema(
                json!({"type": "array", "items": {"type": "array", "items": {"type": "array", "minItems": 60_000}, "minItems": 60_000}, "minItems": 60_000}),
            ),
            "",
        ),
        (
            "multiples at odds",
            schema(json!({"allOf": [{"type": "integer", "multipleOf": 997}, {"multipleOf": 991}]})),
            "multipleOf 991",
        ),
        ("a multiple", schema(json!({"type": "integer", "multipleOf": 9973})), ""),
        (
            "many objects",
            schema(
                json!({"type": "array", "prefixItems": (0..20).map(|_| many(390)).collect::<Vec<_>>(), "minItems": 20}),
            ),
            "",
        ),
        (
            "objects within",
            schema((0..20).fold(json!(true), |inner, _| {
                let mut outer = many(390);
                outer["properties"]["a"] = inner;
                outer
            })),
            "",
        ),
        ("a large multiple", schema(json!({"type": "integer", "multipleOf": 999_983})), "multipleOf 999983"),
        ("a fine multiple", schema(json!({"type": "number", "multipleOf": 1e-300})), ""),
        ("a wide range", schema(json!({"type": "integer", "minimum": -9e18, "maximum": 9e18})), ""),
        (
            "patterns at odds",
            schema(
                json!({"type": "object", "patternProperties": {"(a|b)*a(a|b){12}": {"type": "string"}, "(a|b)*b(a|b){12}": {"type": "null"}}}),
            ),
            "",
        ),
        ("a pattern", schema(json!({"type": "string", "pattern": "^(a{1000}){1000}$"})), ""),
        (
            "a key that cannot be kept",
            schema(json!({"type": "array", "uniqueItems": true})),
            "\"uniqueItems\" at #",
        ),
        ("a repetition", regex("(a{1000}){1000}"), ""),
        ("repetitions", regex("((a{100}){100}){100}"), ""),
        ("wide repetitions", regex("(.{0,1000}x){0,1000}"), ""),
        ("catastrophe", regex("(a*)*b"), ""),
        ("exponential states", regex("(a|b)*a(a|b){18}c"), ""),
        ("look ahead", regex("a(?=b)"), "look"),
        ("look behind", regex("(?<!b)a"), "look"),
        ("deep brackets", regex("(".repeat(5000) + "a" + &")".repeat(5000)), ""),
        ("many words in a row", regex(words(10_000).join("|")), ""),
        ("letters of all kinds", regex(r"(\w{1,50}\s\p{L}{1,50}){50}"), ""),
        ("deep Lark", lark("start: ".to_owned() + &"(".repeat(5000)), "open brackets"),
        (
            "a chain of rules",
            lark(
                (0..2000).fold("start: r0\n".to_owned(), |all, at| format!("{all}r{at}: r{}\n", at + 1))
                    + "r2000: \"a\"",
            ),
            "rules within rules",
        ),
        (
            "doubling rules",
            lark(
                (0..60).fold("start: r0\n".to_owned(), |all, at| {
                    format!("{all}r{at}: r{} r{}\n", at + 1, at + 1)
                }) + "r60: \"a\"",
            ),
            "",
        ),
        (
            "doubling terminals",
            lark(
                (0..60).fold("start: T0\n".to_owned(), |all, at| {
                    format!("{all}T{at}: T{} T{}\n", at + 1, at + 1)
                }) + "T60: \"a\"",
            ),
            "",
        ),
        ("ambiguity", lark("start: s\ns: s s | s s s | \"a\" | \"b\" | \"\""), ""),
        ("nothing and again nothing", lark("start: a* b*\na: b*\nb: a*"), ""),
        ("only itself", lark("start: start"), ""),
        ("repeated groups", lark("start: (((\"a\"{60000}){60000}){60000})"), ""),
        (
            "many rules",
            lark(
                (0..6000).fold("start: \"x\"\n".to_owned(), |all, at| format!("{all}r{at}: /[a-z]+{at}/\n")),
            ),
            "",
        ),
        ("a schema within", lark("start: %json {\"$ref\": \"file:///etc/passwd\"}"), "file:///etc/passwd"),
        ("GBNF repeated", Source::Gbnf("root ::= ((\"a\"{60000}){60000}){60000}".into()), ""),
        ("GBNF deep", Source::Gbnf("root ::= ".to_owned() + &"(".repeat(100_000)), "open brackets"),
        ("GBNF to the left", Source::Gbnf("root ::= root root | \"a\" |".into()), ""),
        ("GBNF signs", Source::Gbnf("root ::= \"a\"".to_owned() + &"*".repeat(100_000)), "too many signs"),
    ]
}

#[test]
fn what_is_made_to_be_expensive_ends_within_a_second_and_64_mib() {
    let vocabulary = vocabulary();
    let mut wrong = Vec::new();
    for (name, source, said) in bombs() {
        let watch = Stopwatch::start();
        let (outcome, used) = peak(|| outcome(&source, &vocabulary));
        let took = watch.computed();
        println!("{name}: {outcome:?}, {used} KiB, {took:?}");
        let is_told = match &outcome {
            Ok(_) => said.is_empty(),
            Err(error) => error.to_string().contains(said) && !error.to_string().contains("panic"),
        };
        if !is_told || used > 64 << 10 || took > MOST_COMPUTED {
            wrong.push(format!("{name}: {outcome:?}, {used} KiB, {took:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
