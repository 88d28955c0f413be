//! One real book on its way: characters, tokens, parts, rows, and back to the book.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use base::TokenId;
use base::disk::RealDisk;
use data::packing::{Batch, IGNORED, Shape, Sweep};
use data::tokens::{Encoded, Header, Part, Plan, Refused, Tokens, write};
use data::{Digest, Document, Folder};
use text::learn::{LearnVocabulary, Settings, Unit};
use text::{Special, Tokenizer};

#[test]
fn tinyshakespeare_is_divided_as_nanogpt_does_and_comes_back() {
    let name = "data::shakespeare::tinyshakespeare_is_divided_as_nanogpt_does_and_comes_back";
    let Some(shared) = testkit::shared::shared(name) else { return };
    let folder = Folder::open(Arc::new(RealDisk), &shared.join("text/tinyshakespeare")).unwrap();
    let mut learning =
        LearnVocabulary::new(Settings { unit: Unit::Characters, ..Settings::new(256, &[]) }).unwrap();
    for document in folder.documents() {
        document.unwrap().texts().for_each(|text| learning.add(text));
    }
    let tokenizer = Tokenizer::from_parts(learning.finish().unwrap().parts).unwrap();
    assert_eq!(tokenizer.len(), 65);
    let mut encode = |document: &Document| {
        let text = document.texts().next().unwrap();
        let ids = tokenizer.encode(text, Special::Plain).map_err(|error| Refused::Skip(error.to_string()))?;
        Ok(Encoded { is_counted: vec![true; ids.len()], ids })
    };
    let output = tempfile::tempdir().unwrap();
    let path = output.path().join("tokens");
    let digest = Digest::of(b"test");
    let header =
        Header { vocabulary: digest, n_vocabulary: 65, data: digest, end: None, held_out_ppm: 100_000 };
    let summary =
        write(&mut folder.documents(), &mut encode, &Plan { disk: &RealDisk, path: &path, header }).unwrap();
    // nanoGPT's prepare.py rounds the training part down (1,003,854 and 111,540), this the held-out part.
    assert_eq!((summary.n_documents, summary.n_training, summary.n_held_out), (1, 1_003_855, 111_539));
    let book = std::fs::read_to_string(shared.join("text/tinyshakespeare/input.txt")).unwrap();
    let mut again = String::new();
    for part in [Part::Training, Part::HeldOut] {
        let tokens = Tokens::open(&path).unwrap();
        let mut sweep = Sweep::new(tokens, part, Shape { n_rows: 12, n_tokens: 64 }).unwrap();
        let (mut ids, mut batch) = (Vec::new(), Batch::default());
        while sweep.next_batch(&mut batch).unwrap() {
            ids.extend(ids.is_empty().then(|| TokenId(batch.inputs[0])));
            ids.extend(batch.targets.iter().filter(|target| **target != IGNORED).map(|id| TokenId(*id)));
        }
        again.push_str(&tokenizer.decode(&ids));
    }
    assert!(again == book, "{} bytes came back of {}", again.len(), book.len());
}
