//! `tokenizer.json` files: a real one against its reference encodings, and small ones made here.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use base::TokenId;
use serde_json::{Value as Json, json};
use testkit::stopwatch::Stopwatch;
use text::{Begin, Detokenizer, Segment, ShowSpecial, Special, Tokenizer, Trust};

fn ids(tokens: &[u32]) -> Vec<TokenId> {
    tokens.iter().map(|id| TokenId(*id)).collect()
}

fn added(id: u32, content: &str, flags: Json) -> Json {
    let mut token = json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true});
    flags.as_object().unwrap().iter().for_each(|(name, value)| token[name] = value.clone());
    token
}

/// A byte-level vocabulary of six letters and a merge, with the special tokens of a chat.
fn small() -> Json {
    json!({
        "version": "1.0",
        "added_tokens": [
            added(6, "<|im_start|>", json!({})),
            added(7, "<|im_end|>", json!({"rstrip": true})),
            added(8, "ef", json!({"special": false, "normalized": true})),
        ],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": "a", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "<": 4, "|": 5, "<|im_start|>": 6, "<|im_end|>": 7, "ef": 8,
                "i": 9, "m": 10, "_": 11, "e": 12, "n": 13, "d": 14, ">": 15, "Ċ": 16},
            "merges": ["a b"]}
    })
}

fn load(file: &Json) -> Tokenizer {
    Tokenizer::from_json(file.to_string().as_bytes()).unwrap()
}

#[test]
fn special_tokens_count_only_in_trusted_text() {
    let tokenizer = load(&small());
    assert_eq!(tokenizer.encode("ab a", Special::Plain).unwrap(), ids(&[3, 2, 0]));
    assert_eq!(tokenizer.encode("<|im_end|> \nAB", Special::Parse).unwrap(), ids(&[7, 3]));
    let spelled = ids(&[4, 5, 9, 10, 11, 12, 13, 14, 5, 15]);
    assert_eq!(tokenizer.encode("<|im_end|>", Special::Plain).unwrap(), spelled);
    let segment = |text: &str, trust| Segment { text: text.into(), trust };
    let segments = [
        segment("<|im_start|>a", Trust::Trusted),
        segment("b<|im_end|>", Trust::Untrusted),
        segment("<|im_end|>", Trust::Trusted),
    ];
    let mut expected = ids(&[6, 3]);
    expected.extend(&spelled);
    expected.push(TokenId(7));
    assert_eq!(tokenizer.encode_segments(&segments).unwrap(), expected);
    assert!(
        tokenizer.is_special(TokenId(7)) && tokenizer.is_end(TokenId(7)) && !tokenizer.is_end(TokenId(6))
    );
}

#[test]
fn added_text_is_matched_after_normalisation_and_everywhere() {
    let tokenizer = load(&small());
    assert_eq!(tokenizer.encode("aEFb", Special::Plain).unwrap(), ids(&[0, 8, 1]));
    assert!(!tokenizer.is_special(TokenId(8)));
}

#[test]
fn metaspace_and_byte_fallback_decode() {
    let mut vocabulary: serde_json::Map<String, Json> = serde_json::Map::new();
    let named = ["<unk>", "<s>", "</s>"].map(String::from);
    let bytes = (0..=255).map(|byte| format!("<0x{byte:02X}>"));
    let words = ["▁", "h", "i", "▁h", "▁hi"].map(String::from);
    for (id, token) in named.into_iter().chain(bytes).chain(words).enumerate() {
        vocabulary.insert(token, id.into());
    }
    let tokenizer = load(&json!({
        "version": "1.0",
        "added_tokens": [added(0, "<unk>", json!({})), added(1, "<s>", json!({})), added(2, "</s>", json!({}))],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "vocab": vocabulary,
            "merges": ["▁ h", "▁h i"]}
    }));
    let encoded = tokenizer.encode("hi hié", Special::Plain).unwrap();
    assert_eq!(encoded, ids(&[263, 263, 3 + 0xC3, 3 + 0xA9]));
    assert_eq!(tokenizer.decode(&encoded), "hi hié");
    assert_eq!((tokenizer.bos(), tokenizer.add_bos(), tokenizer.eos()), (Some(TokenId(1)), true, None));
    let mut stream = Detokenizer::new(Begin::Continuation, ShowSpecial::Yes);
    let pieces: Vec<String> =
        encoded.iter().chain(&ids(&[2])).map(|id| stream.push(&tokenizer, *id)).collect();
    assert_eq!(pieces, [" hi", " hi", "", "é", "</s>"]);
    let tokenizer = tokenizer.with_ends(None, Some(TokenId(2)), &[]).unwrap();
    assert!(tokenizer.is_end(TokenId(2)));
    assert!(tokenizer.with_ends(None, Some(TokenId(999)), &[]).is_err());
}

#[test]
fn broken_files_are_errors() {
    let text = small().to_string();
    for cut in 0..256 {
        let end = text.floor_char_boundary(text.len() * cut / 256);
        assert!(Tokenizer::from_json(&text.as_bytes()[..end]).is_err());
    }
    let mut without_tokens = small();
    without_tokens["model"]["vocab"] = json!({});
    without_tokens["added_tokens"] = json!([]);
    without_tokens["model"]["merges"] = json!([]);
    assert!(Tokenizer::from_json(without_tokens.to_string().as_bytes()).is_err());
    let mut far = small();
    far["model"]["vocab"]["far"] = json!(u32::MAX);
    assert!(Tokenizer::from_json(far.to_string().as_bytes()).is_err());
}

#[test]
fn a_real_file_gives_its_reference_encodings() {
    let Some(shared) = testkit::shared::shared("a_real_file_gives_its_reference_encodings") else { return };
    let folder = shared.join("tokenizer/gpt2-bert/reftests");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let tokenizer = Tokenizer::from_json(&read("models/gpt2/tokenizer.json")).unwrap();
    let text = String::from_utf8(read("monty-python-credits.txt")).unwrap();
    let reference: Json = serde_json::from_slice(&read("monty-python-credits-gpt2.json")).unwrap();
    let expected: Vec<u32> = serde_json::from_value(reference["token_ids"].clone()).unwrap();
    let encoded = tokenizer.encode(&text, Special::Plain).unwrap();
    assert_eq!(encoded, ids(&expected));
    assert_eq!(tokenizer.decode(&encoded), text);
    for text in ["a".repeat(1 << 20), "🦙".repeat(1 << 18), "<|endoftext|>".repeat(80659)] {
        let watch = Stopwatch::start();
        assert_eq!(tokenizer.decode(&tokenizer.encode(&text, Special::Plain).unwrap()), text);
        println!("{:.2} s", watch.computed().as_secs_f64());
        assert!(watch.computed().as_secs() < 20);
    }
}
