//! Bad safetensors files.

use crate::Case;

/// A safetensors file with this header and 8 bytes of data.
pub fn safe(header: &str) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([1; 8]);
    bytes
}

pub fn safe_one(facts: &str) -> Vec<u8> {
    safe(&format!("{{\"w\":{{{facts}}}}}"))
}

pub fn headers() -> Vec<Case> {
    let length = |length: u64| [&length.to_le_bytes(), b"{}      ".as_slice()].concat();
    let sound = r#""dtype":"U8","shape":[8],"data_offsets":[0,8]"#;
    let twice = safe(&format!("{{\"w\":{{{sound}}},\"w\":{{{sound}}}}}"));
    let mut cut = safe("{\"abc\":1}");
    cut.truncate(12);
    let colours = safe("{\"w\":{\"\\u001b[2J\":1}}");
    let not_text = safe("{\"a\":1}").iter().map(|byte| if *byte == b'a' { 0xff } else { *byte }).collect();
    let long = format!("{{\"__metadata__\":{{\"k\":\"{}\"}}}}", "x".repeat(9 << 20));
    vec![
        ("no bytes", vec![], "header length: needs 8 bytes where 0 are left (byte 0)"),
        ("seven bytes", vec![1; 7], "header length: needs 8 bytes where 7 are left (byte 0)"),
        (
            "length max",
            length(u64::MAX),
            "header length: 18446744073709551615 is over the limit of 100000000",
        ),
        ("length over the limit", length(100_000_001), "header length: 100000001 is over the limit"),
        ("length behind the end", length(9), "header length: needs 9 bytes where 8 are left"),
        ("length zero", length(0), "header: EOF while parsing a value (byte 8)"),
        ("cut header", cut, "header length: needs 9 bytes where 4 are left"),
        ("not JSON", safe("{\"a\" 1}"), "header: expected `:` (byte 14)"),
        ("cut JSON", safe("{\"a\":{"), "header: EOF while parsing an object"),
        ("two objects", safe("{}{}"), "header: trailing characters"),
        ("not text", not_text, "header: invalid unicode code point"),
        ("a list", safe_one("\"dtype\":[]"), "header: invalid type: sequence, expected a string"),
        ("a number in place of a tensor", safe("{\"w\":7}"), "header: invalid type: integer `7`"),
        ("no type", safe_one(r#""shape":[8],"data_offsets":[0,8]"#), "header: missing field `dtype`"),
        ("no shape", safe_one(r#""dtype":"U8","data_offsets":[0,8]"#), "header: missing field `shape`"),
        ("no range", safe_one(r#""dtype":"U8","shape":[8]"#), "header: missing field `data_offsets`"),
        ("another field", safe_one(&format!("{sound},\"more\":1")), "header: unknown field `more`"),
        ("a field that paints", colours, "header: unknown field `\\u{1b}[2J`"),
        ("type twice", safe_one(&format!("\"dtype\":\"U8\",{sound}")), "header: duplicate field `dtype`"),
        ("name twice", twice, "tensor \"w\": the name stands twice (byte 61)"),
        (
            "empty name",
            safe(&format!("{{\"\":{{{sound}}}}}")),
            "tensor \"\": an empty name, expected a name (byte 9)",
        ),
        ("metadata of numbers", safe("{\"__metadata__\":{\"a\":1}}"), "header: invalid type: integer `1`"),
        (
            "metadata a list",
            safe("{\"__metadata__\":[]}"),
            "header: invalid type: sequence, expected a map of texts",
        ),
        (
            "metadata twice",
            safe("{\"__metadata__\":{},\"__metadata__\":{}}"),
            "header: the key `__metadata__` stands",
        ),
        (
            "metadata key twice",
            safe("{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}"),
            "metadata key \"a\": the name stands",
        ),
        ("deep lists", safe(&format!("{{\"w\":{}", "[".repeat(10_000))), "header: invalid type: sequence"),
        ("a text of 9 MiB", safe(&long), "header: a text: 9437184 is over the limit of 8388608 (byte 29)"),
    ]
}

pub fn tensors() -> Vec<Case> {
    let entry = |dtype: &str, shape: &str, offsets: &str| {
        safe_one(&format!(r#""dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}"#))
    };
    let pair = |first: &str, second: &str| {
        let tensor = |name: &str, facts: &str| format!(r#""{name}":{{"dtype":"U8",{facts}}}"#);
        safe(&format!("{{{},{}}}", tensor("a", first), tensor("b", second)))
    };
    let half = r#""shape":[4],"data_offsets":[0,4]"#;
    vec![
        ("unknown type", entry("F7", "[8]", "[0,8]"), "tensor \"w\": unknown tensor type \"F7\" (byte 9)"),
        ("type of GGML", entry("Q8_0", "[32]", "[0,34]"), "tensor \"w\": unknown tensor type \"Q8_0\""),
        ("negative size", entry("U8", "[-8]", "[0,8]"), "header: invalid value: integer `-8`"),
        ("fraction of a size", entry("U8", "[8.5]", "[0,8]"), "header: invalid type: floating point `8.5`"),
        (
            "size over 64 bits",
            entry("U8", "[99999999999999999999]", "[0,8]"),
            "header: invalid type: floating point",
        ),
        ("nine dimensions", entry("U8", "[1,1,1,1,1,1,1,1,8]", "[0,8]"), "header: a shape of more than 8"),
        (
            "elements overflow",
            entry("U8", "[4294967296,4294967296]", "[0,8]"),
            "of U8: more elements than can",
        ),
        (
            "bytes overflow",
            entry("F64", "[4611686018427387904]", "[0,8]"),
            "of F64: more bytes than can be counted",
        ),
        (
            "range too short",
            entry("F32", "[2]", "[0,4]"),
            "data_offsets of 4 bytes, expected as many bytes as its",
        ),
        (
            "range too long",
            entry("F32", "[1]", "[0,8]"),
            "data_offsets of 8 bytes, expected as many bytes as its",
        ),
        (
            "zero elements with bytes",
            entry("F32", "[0]", "[0,8]"),
            "data_offsets of 8 bytes, expected as many",
        ),
        ("range backwards", entry("U8", "[8]", "[8,0]"), "tensor \"w\": range 69..61 ends outside the file"),
        (
            "behind the end",
            entry("U8", "[9]", "[0,9]"),
            "tensor \"w\": range 61..70 ends outside the file of 69 bytes",
        ),
        (
            "offset max",
            entry("U8", "[1]", "[18446744073709551614,18446744073709551615]"),
            "ends outside the file",
        ),
        ("three offsets", entry("U8", "[8]", "[0,8,9]"), "header: trailing characters"),
        ("one offset", entry("U8", "[8]", "[0]"), "header: invalid length 1"),
        (
            "hole at the beginning",
            entry("U8", "[4]", "[4,8]"),
            "tensor \"w\": bytes 61..65 of the file belong to no",
        ),
        (
            "hole at the end",
            entry("U8", "[4]", "[0,4]"),
            "the end of the data: bytes 65..69 of the file belong to no",
        ),
        (
            "no tensor for the data",
            safe("{}"),
            "the end of the data: bytes 10..18 of the file belong to no tensor",
        ),
        ("same place", pair(half, half), "tensor \"b\": range 113..117 overlaps tensor \"a\""),
        (
            "half over the other",
            pair(half, r#""shape":[4],"data_offsets":[2,6]"#),
            "overlaps tensor \"a\" (byte 61)",
        ),
    ]
}
