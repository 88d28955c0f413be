//! Entry points for fuzzing what reads bytes from outside: names, digests, manifests, records, and what
//! servers answer.
//!
//! Not a part of the store's work. Each target panics when a promise breaks, not only when the parser does.

use std::path::Path;

use crate::layout::Layout;
use crate::manifest::{Manifest, Record, to_json};
use crate::pull::fuzz as pull;
use crate::{Digest, ModelName};

/// A target: its name, and what is called with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this crate.
pub static TARGETS: &[Target] = &[
    ("model_name", model_name),
    ("digest", digest),
    ("manifest", manifest),
    ("record", record),
    ("pull_remote", pull::remote),
    ("pull_address", pull::address),
    ("pull_headers", pull::headers),
    ("pull_repository", pull::repository),
    ("pull_shards", pull::shards),
    ("pull_image_manifest", pull::image_manifest),
    ("pull_journal", pull::journal),
];

/// A name that is accepted stays below the folder of the manifests, four levels deep, and reads back as itself.
fn model_name(bytes: &[u8]) {
    let Ok(name) = ModelName::parse(&String::from_utf8_lossy(bytes)) else { return };
    let layout = Layout::new(Path::new("home"));
    let path = layout.record(&name);
    let below = path.strip_prefix(&layout.manifests).expect("a record lies below the manifests");
    let is_plain = |part| matches!(part, std::path::Component::Normal(_));
    assert!(below.components().count() == 4 && below.components().all(is_plain), "{path:?}");
    assert_eq!(ModelName::parse(&name.to_string()).expect("a shown name is a name"), name);
}

/// A digest that is accepted is exactly the text that it shows.
fn digest(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(digest) = Digest::parse(&text) {
        assert_eq!(digest.to_string(), text);
    }
}

/// A manifest that is accepted reads back as itself.
fn manifest(bytes: &[u8]) {
    let path = Path::new("manifest");
    if let Ok(manifest) = Manifest::from_json(bytes, path) {
        Manifest::from_json(&to_json(&manifest), path).expect("a written manifest can be read");
    }
}

/// A record that is accepted is about the model that was asked for, and reads back as itself.
fn record(bytes: &[u8]) {
    let path = Path::new("record");
    let name = ModelName::parse("starter").expect("a plain word is a name");
    if let Ok(record) = Record::from_json(bytes, &name, path) {
        assert_eq!(Record::from_json(&to_json(&record), &name, path).expect("it can be read"), record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutated_seeds_break_no_promise() {
        let hash = Digest::of(b"x");
        let file = format!(
            r#"{{"role":"model","digest":"{hash}","size_bytes":1,"format":"gguf","location":"blob"}}"#
        );
        let seeds = [
            format!("hf.co/user/repo:Q4_K_M@{hash}"),
            format!(
                r#"{{"version":1,"files":[{file}],"parameters":{{"t":0.1}},"source":"s","created_ms":9}}"#
            ),
            format!(r#"{{"version":1,"name":"starter","current":"{hash}","versions":["{hash}"]}}"#),
        ];
        let mut rng = base::Rng::new(20_240_624);
        for _ in 0..3_000 {
            for seed in &seeds {
                let mut bytes = seed.clone().into_bytes();
                for _ in 0..rng.below(4) {
                    let at = rng.below(bytes.len());
                    match rng.below(3) {
                        0 => bytes[at] = rng.next_u64() as u8,
                        1 => bytes.truncate(at.max(1)),
                        _ => bytes.insert(at, b"/.:@\\\0\"{}[]9"[rng.below(12)]),
                    }
                }
                TARGETS.iter().for_each(|(_, target)| target(&bytes));
            }
        }
    }
}
