//! The metadata of a trusted GGUF file, read just far enough for these tests; not a reader for other files.

use std::collections::HashMap;
use std::path::PathBuf;

use base::TokenId;
use text::{TokenType, VocabularyKind, VocabularyParts};

/// A metadata value.
pub enum Value {
    Number(f64),
    Text(String),
    List(Vec<Value>),
}

struct Reader {
    bytes: Vec<u8>,
    at: usize,
}

impl Reader {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.at += N;
        self.bytes[self.at - N..self.at].try_into().unwrap()
    }

    fn text(&mut self) -> String {
        let n = u64::from_le_bytes(self.take()) as usize;
        self.at += n;
        String::from_utf8(self.bytes[self.at - n..self.at].to_vec()).unwrap()
    }

    fn value(&mut self, kind: u32) -> Value {
        Value::Number(match kind {
            0 | 7 => f64::from(self.take::<1>()[0]),
            1 => f64::from(i8::from_le_bytes(self.take())),
            2 => f64::from(u16::from_le_bytes(self.take())),
            3 => f64::from(i16::from_le_bytes(self.take())),
            4 => f64::from(u32::from_le_bytes(self.take())),
            5 => f64::from(i32::from_le_bytes(self.take())),
            6 => f64::from(f32::from_le_bytes(self.take())),
            8 => return Value::Text(self.text()),
            9 => {
                let (inner, n) = (u32::from_le_bytes(self.take()), u64::from_le_bytes(self.take()));
                return Value::List((0..n).map(|_| self.value(inner)).collect());
            }
            10 => u64::from_le_bytes(self.take()) as f64,
            11 => i64::from_le_bytes(self.take()) as f64,
            12 => f64::from_le_bytes(self.take()),
            other => panic!("metadata of type {other}"),
        })
    }
}

/// All metadata of a file.
pub fn metadata(path: &PathBuf) -> HashMap<String, Value> {
    let mut reader = Reader { bytes: std::fs::read(path).unwrap(), at: 16 };
    let n = u64::from_le_bytes(reader.take());
    let mut pair = || {
        let name = reader.text();
        let kind = u32::from_le_bytes(reader.take());
        (name, reader.value(kind))
    };
    (0..n).map(|_| pair()).collect()
}

/// The vocabulary of a file.
pub fn vocabulary(path: &PathBuf) -> VocabularyParts {
    let mut metadata = metadata(path);
    let mut list = |name: &str| match metadata.remove(&format!("tokenizer.ggml.{name}")) {
        Some(Value::List(values)) => values,
        _ => Vec::new(),
    };
    let texts = |values: Vec<Value>| -> Vec<String> {
        values.into_iter().filter_map(|v| if let Value::Text(text) = v { Some(text) } else { None }).collect()
    };
    let numbers = |values: Vec<Value>| -> Vec<f64> {
        values.into_iter().filter_map(|v| if let Value::Number(n) = v { Some(n) } else { None }).collect()
    };
    let tokens = texts(list("tokens"));
    let scores = numbers(list("scores")).into_iter().map(|score| score as f32).collect();
    let types = numbers(list("token_type")).into_iter().map(|n| TokenType::from_gguf(n as i32)).collect();
    let merges = texts(list("merges"));
    let text = |name: &str| match metadata.get(&format!("tokenizer.ggml.{name}")) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    };
    let number = |name: &str| match metadata.get(&format!("tokenizer.ggml.{name}")) {
        Some(Value::Number(number)) => Some(*number as u32),
        _ => None,
    };
    let id = |name: &str| number(&format!("{name}_token_id")).map(TokenId);
    let kind = match text("model").as_str() {
        "llama" => VocabularyKind::Spm,
        "bert" => VocabularyKind::WordPiece,
        "gpt2" => VocabularyKind::ByteBpe,
        other => panic!("vocabulary {other}"),
    };
    VocabularyParts {
        scores,
        token_types: types,
        merges,
        pre_tokenizer: text("pre"),
        bos: id("bos"),
        eos: id("eos"),
        unk: id("unknown"),
        sep: id("seperator"),
        pad: id("padding"),
        cls: id("cls"),
        add_bos: number("add_bos_token").map(|flag| flag != 0),
        add_eos: number("add_eos_token").map(|flag| flag != 0),
        ..VocabularyParts::new(kind, tokens)
    }
}
