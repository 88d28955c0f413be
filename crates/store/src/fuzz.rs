//! Entry points for fuzzing what reads bytes from outside: names, digests, manifests, records, Modelfiles, cards,
//! what other programs keep, and what servers answer.
//!
//! Not a part of the store's work. Each target panics when a promise breaks, not only when the parser does.

use std::path::Path;

use crate::about::{Card, Modelfile, Settings};
use crate::found::{contents, ollama};
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
    ("modelfile", modelfile),
    ("model_card", model_card),
    ("model_settings", model_settings),
    ("ollama_manifest", ollama_manifest),
    ("snapshot_names", snapshot_names),
    ("prefix_page", crate::prefixes::fuzz),
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

/// A Modelfile that is accepted can be written, and reads back as itself.
fn modelfile(bytes: &[u8]) {
    let Ok(modelfile) = Modelfile::parse(bytes) else { return };
    let Modelfile { parameters, .. } = &modelfile;
    assert!(parameters.unknown().len() <= parameters.other.len());
    // A quoted text may hold lines that no quotes can hold again; then writing is an error.
    let Ok(text) = modelfile.to_text() else { return };
    let again = Modelfile::parse(text.as_bytes()).expect("a written Modelfile can be read");
    assert_eq!(again, modelfile, "{text}");
}

/// Any text is a card, and keeps what stands below its front matter.
fn model_card(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let card = Card::parse(&text);
    assert!(text.ends_with(&card.text) && (card.problem.is_none() || card.license.is_none()));
}

/// Settings that were read are written, and read back as themselves.
fn model_settings(bytes: &[u8]) {
    let Ok(map) = serde_json::from_slice(bytes) else { return };
    let settings = Settings::read(&map);
    assert_eq!(Settings::read(&settings.to_map()), settings);
    assert_eq!(settings.over(&Settings::default()).parameters, settings.parameters);
}

/// No manifest of Ollama's leads out of the folder of blobs.
fn ollama_manifest(bytes: &[u8]) {
    for digest in ollama::digests(bytes) {
        let path = Path::new("blobs").join(digest.file_name());
        assert_eq!(path.components().count(), 2, "{path:?}");
    }
}

/// Of the names of a snapshot, one on a line, every one makes part of one model at most.
fn snapshot_names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let names: std::collections::BTreeSet<&str> = text.lines().collect();
    let models = contents::weights(names.iter().copied());
    let n_weights: usize = models.iter().map(|weights| weights.names.len()).sum();
    assert!(n_weights <= names.len());
    for weights in &models {
        assert!(weights.missing_parts().iter().all(|missing| !names.contains(missing.as_str())));
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
            "FROM a\nSYSTEM \"\"\"b\nc\"\"\"\nPARAMETER stop \" d\"\nMESSAGE user e".into(),
            "---\nlicense: mit\nlanguage: [a, b]\ntags: &x [c]\n---\ntext".into(),
            r#"{"temperature":0.5,"stop":["a"],"system":"b","messages":[{"role":"user","content":"c"}]}"#
                .into(),
        ];
        let mut rng = base::Rng::new(20_240_624);
        for _ in 0..1_000 {
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
