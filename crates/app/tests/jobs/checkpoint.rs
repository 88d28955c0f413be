//! A tiny llama2.c checkpoint with its vocabulary, made here: small enough to read, large enough to run.

use std::path::{Path, PathBuf};

use base::Rng;

pub const VOCABULARY: usize = 30;

/// Writes a checkpoint of random weights.
pub fn write(folder: &Path) -> PathBuf {
    let (dim, hidden, layers, heads, kv_heads, seq) = (16, 24, 2, 4, 2, 64);
    let kv_dim = dim / heads * kv_heads;
    let per_layer = 2 * dim + 2 * dim * dim + 2 * kv_dim * dim + 3 * hidden * dim;
    let n = VOCABULARY * dim + layers * per_layer + dim + seq * (dim / heads);
    let mut bytes = Vec::new();
    for value in [dim, hidden, layers, heads, kv_heads, VOCABULARY, seq] {
        bytes.extend((value as i32).to_le_bytes());
    }
    let mut rng = Rng::new(5);
    for _ in 0..n {
        bytes.extend(((rng.uniform() - 0.5) as f32).to_le_bytes());
    }
    let path = folder.join("tiny.bin");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Writes a vocabulary of `n` tokens: the three special ones, then single letters.
pub fn write_vocabulary(folder: &Path, n: usize) -> PathBuf {
    let mut bytes = 7i32.to_le_bytes().to_vec();
    for index in 0..n {
        let text = match index {
            0 => "<unk>".to_owned(),
            1 => "\n<s>\n".to_owned(),
            2 => "\n</s>\n".to_owned(),
            3 => " ".to_owned(),
            _ => char::from(b'a' + (index - 4) as u8).to_string(),
        };
        bytes.extend((-(index as f32)).to_le_bytes());
        bytes.extend((text.len() as i32).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    let path = folder.join(format!("vocabulary-{n}.bin"));
    std::fs::write(&path, bytes).unwrap();
    path
}
