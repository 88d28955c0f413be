//! Bad settings in JSON, and bad indexes of shards.

use crate::Case;

fn json(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

pub fn settings() -> Vec<Case> {
    vec![
        ("a number", json("7"), "not settings in JSON: it is of no kind"),
        ("a list", json("[1, 2]"), "settings: a value, expected an object (byte 0)"),
        ("objects in a list", json("[{\"a\": 1}]"), "settings: a value, expected an object (byte 0)"),
        ("cut", json("{\"a\": [1,"), "settings: EOF while parsing a value (byte 9)"),
        ("no colon", json("{\"a\" 1}"), "settings: expected `:` (byte 6)"),
        ("a comma at the end", json("{\"a\": 1,}"), "settings: trailing comma"),
        ("two objects", json("{}{}"), "settings: trailing characters (byte 3)"),
        ("infinity", json("{\"a\": Infinity}"), "settings: expected value (byte 7)"),
        ("a number too large", json("{\"a\": 1e999}"), "settings: number out of range"),
        ("a key twice", json("{\"a\": 1, \"a\": 2}"), "settings: the key \"a\" stands twice (byte 12)"),
        (
            "a key that paints",
            json("{\"\\u001b[2J\":1,\"\\u001b[2J\":2}"),
            "the key \"\\\\u{1b}[2J\" stands twice",
        ),
        ("a key twice inside", json("{\"b\": {\"a\": 1, \"a\": 2}}"), "settings: the key \"a\" stands twice"),
        ("not text", b"{\"a\": \"\xff\"}".to_vec(), "settings: invalid unicode code point"),
        ("a lone surrogate", json("{\"a\": \"\\ud800\"}"), "settings: unexpected end of hex escape"),
        ("lists in lists", json(&format!("{{\"a\":{}", "[".repeat(100_000))), "nest more than 16 deep"),
        ("objects in objects", json(&"{\"a\":".repeat(100_000)), "nest more than 16 deep"),
        ("a long key", json(&format!("{{\"{}\":1}}", "k".repeat(2000))), "a key of more than 1024 letters"),
        (
            "a long list",
            json(&format!("{{\"a\":[{}0]}}", "0,".repeat(140_000))),
            "more values in lists than are",
        ),
    ]
}

pub fn indexes() -> Vec<Case> {
    let map = |map: &str| json(&format!("{{\"weight_map\": {{{map}}}}}"));
    vec![
        ("no map", json("{\"metadata\": {}}"), "metadata key \"weight_map\" is missing"),
        ("an empty map", map(""), "metadata key \"weight_map\" is missing"),
        ("a map that is a list", json("{\"weight_map\": [\"a\"]}"), "metadata key \"weight_map\" is missing"),
        ("a number", map("\"w\": 1"), "metadata key \"weight_map.w\" is i64 1, expected text"),
        (
            "a file above",
            map("\"w\": \"../model.bin\""),
            "tensor \"w\": in \"../model.bin\", expected the plain",
        ),
        ("a file below", map("\"w\": \"a/model.bin\""), "in \"a/model.bin\", expected the plain name"),
        ("a file elsewhere", map("\"w\": \"/etc/shadow\""), "in \"/etc/shadow\", expected the plain name"),
        (
            "a file of another system",
            map("\"w\": \"C:\\\\a.bin\""),
            "in \"C:\\\\a.bin\", expected the plain name",
        ),
        (
            "a share",
            map("\"w\": \"\\\\\\\\host\\\\a\""),
            "expected the plain name of a file beside the index",
        ),
        ("a stream", map("\"w\": \"a.bin:b\""), "in \"a.bin:b\", expected the plain name"),
        ("the folder", map("\"w\": \".\""), "in \".\", expected the plain name"),
        ("no file", map("\"w\": \"\""), "in \"\", expected the plain name"),
        ("a file that paints", map("\"w\": \"\\u001b[2J\""), "in \"\\u{1b}[2J\", expected the plain name"),
        (
            "a long name",
            map(&format!("\"w\": \"{}\"", "n".repeat(300))),
            "…, expected the plain name of a file",
        ),
        ("a tensor twice", map("\"w\": \"a\", \"w\": \"b\""), "the key \"w\" stands twice"),
        ("an index of itself", map("\"w\": \"self\""), "not a model file: it is JSON text"),
        ("a tensor of no shard", map("\"v\": \"bad.bin\""), "tensor \"v\" is missing among 1"),
        (
            "a tensor elsewhere",
            map("\"w\": \"sound\", \"x\": \"same\""),
            "said to be in \"sound\", is in \"same\"",
        ),
    ]
}
