//! From documents to batches: nothing is lost, the parts never mix, a position that was saved is found again.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use base::TokenId;
use base::disk::{Disk, RealDisk};
use data::packing::{Batch, IGNORED, Packer, Position, Shape, Sweep};
use data::tokens::{Encoded, Header, Part, Plan, Refused, Summary, Token, Tokens, write};
use data::{Content, Digest, Document, Error, Folder};
use testkit::disk::{Fault, FaultyDisk, Lasting, Survives};

const END: u32 = 256;

fn header(n_vocabulary: u32) -> Header {
    Header {
        vocabulary: Digest::of(b"vocabulary"),
        n_vocabulary,
        data: Digest::of(b"data"),
        end: Some(TokenId(END)),
        held_out_ppm: 100_000,
    }
}

/// Each byte is a token; of a conversation the assistant's are to be learned.
fn bytes(document: &Document) -> Result<Encoded, Refused> {
    let mut encoded = Encoded::default();
    let mut add = |text: &str, is_counted| {
        encoded.ids.extend(text.bytes().map(|byte| TokenId(u32::from(byte))));
        encoded.is_counted.extend(text.bytes().map(|_| is_counted));
    };
    match &document.content {
        Content::Text(text) => add(text, true),
        Content::Messages(messages) => {
            messages.iter().for_each(|message| add(&message.content, message.role == "assistant"));
        }
    }
    Ok(encoded)
}

fn make_with(disk: &dyn Disk, folder: &Path, path: &Path, header: Header) -> Result<Summary, Error> {
    let folder = Folder::open(Arc::new(RealDisk), folder)?;
    write(&mut folder.documents(), &mut bytes, &Plan { disk, path, header })
}

/// A token file of these files, and what it says of itself.
fn make(files: &[(&str, &str)], header: Header) -> (tempfile::TempDir, Result<Summary, Error>) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    files.iter().for_each(|(name, content)| fs::write(folder.path().join("in").join(name), content).unwrap());
    let made = make_with(&RealDisk, &folder.path().join("in"), &folder.path().join("tokens"), header);
    (folder, made)
}

fn open(folder: &tempfile::TempDir) -> Tokens {
    let mut tokens = Tokens::open(&folder.path().join("tokens")).unwrap();
    tokens.verify().unwrap();
    tokens
}

fn all(tokens: &mut Tokens, part: Part) -> Vec<Token> {
    let mut out = vec![Token::default(); tokens.n_tokens(part) as usize];
    tokens.read(part, 0, &mut out).unwrap();
    out
}

fn text(tokens: &[Token]) -> String {
    tokens.iter().map(|token| if token.id == END { '|' } else { char::from(token.id as u8) }).collect()
}

fn many_documents(n: usize) -> String {
    (0..n).map(|index| format!("{{\"text\": \"<{index}>\"}}\n")).collect()
}

#[test]
fn a_single_text_is_divided_before_its_last_tenth() {
    for n_vocabulary in [257, 100_000] {
        let (folder, summary) = make(&[("a.txt", &"0123456789".repeat(10))], header(n_vocabulary));
        let expected = Summary { n_documents: 1, n_training: 91, n_held_out: 10, n_counted: 101 };
        assert_eq!(summary.unwrap(), expected);
        let mut tokens = open(&folder);
        let training = all(&mut tokens, Part::Training);
        assert_eq!(text(&training), format!("{}0", "0123456789".repeat(9)));
        assert_eq!(text(&all(&mut tokens, Part::HeldOut)), "123456789|");
        assert!(training.iter().all(|token| token.is_counted));
        assert_eq!(*tokens.header(), header(n_vocabulary));
    }
}

#[test]
fn every_document_stands_in_one_part_and_copies_in_the_same() {
    let documents = many_documents(500);
    let (folder, summary) = make(&[("a.jsonl", &documents), ("b.jsonl", &documents)], header(257));
    assert_eq!(summary.unwrap().n_documents, 1000);
    let mut tokens = open(&folder);
    let split = |text: String| -> Vec<String> { text.split_terminator('|').map(str::to_owned).collect() };
    let training = split(text(&all(&mut tokens, Part::Training)));
    let held_out = split(text(&all(&mut tokens, Part::HeldOut)));
    assert_eq!(tokens.n_documents(Part::HeldOut), held_out.len() as u64);
    assert_eq!(training.len() + held_out.len(), 1000);
    assert!((60..160).contains(&held_out.len()), "{}", held_out.len());
    let set = |documents: &[String]| -> BTreeSet<String> { documents.iter().cloned().collect() };
    assert!(set(&training).is_disjoint(&set(&held_out)));
    assert_eq!(set(&training).len() + set(&held_out).len(), 500);
    // Windows across the gaps of a part are those of the part in one piece.
    let whole = all(&mut tokens, Part::Training);
    for start in (0..whole.len() - 40).step_by(17) {
        let mut window = vec![Token::default(); 40];
        tokens.read(Part::Training, start as u64, &mut window).unwrap();
        assert_eq!(window, whole[start..start + 40]);
    }
    let past = tokens.read(Part::Training, whole.len() as u64 - 39, &mut [Token::default(); 40]);
    assert!(matches!(past, Err(Error::TooFewTokens { .. })));
}

#[test]
fn of_a_conversation_only_the_answers_count() {
    let line = r#"{"messages": [{"role": "system", "content": "SS"}, {"role": "user", "content": "uu"},
        {"role": "assistant", "content": "aaa"}]}"#
        .replace('\n', "");
    let files = [("a.jsonl", format!("{line}\n").repeat(5))];
    let (folder, summary) = make(&[(files[0].0, &files[0].1)], header(257));
    assert_eq!(summary.unwrap().n_counted, 15);
    let mut tokens = open(&folder);
    // Five copies have one digest, so they stand together until one part would be empty.
    let part = if tokens.n_documents(Part::Training) > 1 { Part::Training } else { Part::HeldOut };
    let found = all(&mut tokens, part);
    let marks: String = found.iter().take(8).map(|token| if token.is_counted { '1' } else { '0' }).collect();
    assert_eq!((text(&found[..8]).as_str(), marks.as_str()), ("SSuuaaa|", "00001110"));
    let shape = Shape { n_rows: 1, n_tokens: 8 };
    let mut batch = Batch::default();
    let mut sweep = Sweep::new(tokens, part, shape).unwrap();
    assert!(sweep.next_batch(&mut batch).unwrap());
    let said = u32::from(b'a');
    assert_eq!(batch.targets, [IGNORED, IGNORED, IGNORED, said, said, said, IGNORED, IGNORED]);
    assert_eq!((batch.inputs[4], batch.n_counted), (said, 3));
}

#[test]
fn an_epoch_shows_every_window_once_and_the_seed_decides_the_order() {
    let (folder, _) = make(&[("a.txt", &"abcdefghijklmnopqrstuvwxyz".repeat(40))], header(257));
    let shape = Shape { n_rows: 3, n_tokens: 16 };
    let rows = |seed: u64, n: usize| -> Vec<(Vec<u32>, Vec<u32>)> {
        let mut packer = Packer::new(open(&folder), shape, seed).unwrap();
        let mut batch = Batch::default();
        let mut rows = Vec::new();
        for _ in 0..n {
            packer.next_batch(&mut batch).unwrap();
            assert_eq!((batch.inputs.len(), batch.n_counted), (48, 48));
            let pairs = batch.inputs.chunks(16).zip(batch.targets.chunks(16));
            rows.extend(pairs.map(|(inputs, targets)| (inputs.to_vec(), targets.to_vec())));
        }
        rows
    };
    let one = rows(1, 60);
    assert_eq!(one, rows(1, 60));
    assert_ne!(one, rows(2, 60));
    assert!(one.iter().all(|(inputs, targets)| inputs[1..] == targets[..15]));
    // The first epoch: each window once, side by side, from the epoch's offset on.
    let mut tokens = open(&folder);
    let whole: Vec<u32> = all(&mut tokens, Part::Training).iter().map(|token| token.id).collect();
    let packer = Packer::new(tokens, shape, 1).unwrap();
    let n_windows = packer.n_rows_in_epoch() as usize;
    let most = (whole.len() - 1) / 16;
    assert!((most - 1..=most).contains(&n_windows), "{n_windows} of {most}");
    let covers = |offset: usize| {
        let mut wanted: Vec<&[u32]> = (0..n_windows)
            .filter_map(|window| whole.get(offset + window * 16..offset + window * 16 + 16))
            .collect();
        let mut found: Vec<&[u32]> = one[..n_windows].iter().map(|(inputs, _)| inputs.as_slice()).collect();
        wanted.sort_unstable();
        found.sort_unstable();
        wanted == found
    };
    assert!((0..16).any(covers));
    let in_order: Vec<&Vec<u32>> = one[..n_windows].iter().map(|(inputs, _)| inputs).collect();
    assert_ne!(in_order, one[n_windows..2 * n_windows].iter().map(|(inputs, _)| inputs).collect::<Vec<_>>());
}

#[test]
fn a_saved_position_is_found_again_exactly() {
    let (folder, _) = make(&[("a.jsonl", &many_documents(300))], header(257));
    let shape = Shape { n_rows: 4, n_tokens: 32 };
    let mut packer = Packer::new(open(&folder), shape, 7).unwrap();
    let (mut positions, mut batches): (Vec<Position>, Vec<Batch>) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        positions.push(packer.position());
        let mut batch = Batch::default();
        packer.next_batch(&mut batch).unwrap();
        batches.push(batch);
    }
    assert!(positions[49].epoch >= 2, "{:?}", positions[49]);
    for (position, expected) in positions.iter().zip(&batches).rev() {
        let saved = serde_json::to_string(position).unwrap();
        let mut again = Packer::new(open(&folder), shape, 7).unwrap();
        again.go_to(serde_json::from_str(&saved).unwrap()).unwrap();
        let mut batch = Batch::default();
        again.next_batch(&mut batch).unwrap();
        assert_eq!(&batch, expected, "{position:?}");
    }
    // Rows do not depend on how many of them a batch has.
    let mut single = Packer::new(open(&folder), Shape { n_rows: 1, ..shape }, 7).unwrap();
    let mut row = Batch::default();
    for index in 0..12 {
        single.next_batch(&mut row).unwrap();
        assert_eq!(row.inputs, batches[index / 4].inputs[index % 4 * 32..][..32]);
    }
    let refused = |change: fn(&mut Position)| {
        let mut position = positions[3];
        change(&mut position);
        let error = Packer::new(open(&folder), shape, 7).unwrap().go_to(position).unwrap_err();
        assert!(matches!(error, Error::OtherPosition { .. }), "{error}");
    };
    refused(|position| position.seed = 8);
    refused(|position| position.row_tokens = 31);
    refused(|position| position.n_tokens += 1);
    refused(|position| position.index = 1 << 40);
}

#[test]
fn a_sweep_asks_for_every_token_once() {
    let (folder, _) = make(&[("a.jsonl", &many_documents(300))], header(257));
    for (n_rows, n_tokens) in [(1, 1), (2, 7), (3, 50), (4, 5000)] {
        for part in [Part::Training, Part::HeldOut] {
            let mut tokens = open(&folder);
            let whole = all(&mut tokens, part);
            let mut sweep = Sweep::new(tokens, part, Shape { n_rows, n_tokens }).unwrap();
            for _ in 0..2 {
                let (mut targets, mut n_batches, mut batch) = (Vec::new(), 0, Batch::default());
                while sweep.next_batch(&mut batch).unwrap() {
                    assert_eq!(batch.inputs.len(), n_rows * n_tokens);
                    targets.extend(batch.targets.iter().copied().filter(|target| *target != IGNORED));
                    n_batches += 1;
                }
                let expected: Vec<u32> = whole[1..].iter().map(|token| token.id).collect();
                assert_eq!((targets, n_batches), (expected, sweep.n_batches()));
                sweep.restart();
            }
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let check = |header: Header, expected: &str| {
        let (folder, made) = make(&[("a.txt", "some text")], header);
        assert_eq!(
            made.unwrap_err().to_string().replace(&folder.path().display().to_string(), "ROOT"),
            expected
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the documents are there");
    };
    let good = header(257);
    check(
        Header { held_out_ppm: 0, ..good },
        "held-out share is 0; it must be between 1 and 500,000 parts per million",
    );
    check(Header { end: Some(TokenId(257)), ..good }, "end token is 257; it must be in the vocabulary");
    check(
        Header { n_vocabulary: 0, end: None, ..good },
        "vocabulary size is 0; it must be between 1 and 2,147,483,648",
    );
    check(
        Header { n_vocabulary: 99, end: None, ..good },
        "ROOT/in/a.txt:1: it became a token that is not in the vocabulary",
    );
    let (folder, _) = make(&[("a.txt", "some text")], good);
    let error = Packer::new(open(&folder), Shape { n_rows: 1, n_tokens: 9 }, 1).err().unwrap();
    assert_eq!(error.to_string(), "the training part: 9 tokens, at least 10 are needed");
    for shape in [(0, 1), (1, 0), (usize::MAX, 2), (1 << 20, 1 << 20)] {
        let shape = Shape { n_rows: shape.0, n_tokens: shape.1 };
        let error = Packer::new(open(&folder), shape, 1).err().unwrap();
        assert!(matches!(error, Error::BadSetting { .. }), "{error}");
    }
    let tokens = open(&folder);
    let (vocabulary, data, other) = (good.vocabulary, good.data, Digest::of(b"other"));
    tokens.check_made_from(vocabulary, data).unwrap();
    assert!(matches!(tokens.check_made_from(other, data), Err(Error::OtherVocabulary { .. })));
    assert!(matches!(tokens.check_made_from(vocabulary, other), Err(Error::OtherData { .. })));
}

#[test]
fn a_refused_document_is_told_and_a_stop_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (input, path) = (folder.path().join("in"), folder.path().join("tokens"));
    fs::create_dir(&input).unwrap();
    fs::write(input.join("a.jsonl"), many_documents(20)).unwrap();
    let opened = Folder::open(Arc::new(RealDisk), &input).unwrap();
    let plan = Plan { disk: &RealDisk, path: &path, header: header(257) };
    let mut documents = opened.documents();
    let mut odd = |document: &Document| match document.origin.line % 2 {
        0 => bytes(document),
        _ => Err(Refused::Skip("roles must\nalternate".to_owned())),
    };
    let summary = write(&mut documents, &mut odd, &plan).unwrap();
    assert_eq!((summary.n_documents, documents.report().n_skipped), (10, 10));
    let told = documents.report().skipped[0].to_string();
    assert!(told.ends_with("a.jsonl:1: the model cannot be given it: roles must\\nalternate"), "{told}");
    fs::remove_file(&path).unwrap();
    let none = write(&mut opened.documents(), &mut |_| Err(Refused::Skip("no".to_owned())), &plan);
    assert!(none.unwrap_err().to_string().starts_with("there is nothing to learn from: 20 documents"));
    let stopped = write(&mut opened.documents(), &mut |_| Err(Refused::Stop), &plan);
    assert!(matches!(stopped, Err(Error::Stopped)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn no_fault_of_the_disk_leaves_half_a_file() {
    let faults = [Fault::NoSpace, Fault::Io, Fault::SyncFails]
        .into_iter()
        .chain([Survives::Nothing, Survives::Names, Survives::Chance].map(Fault::PowerLoss));
    for fault in faults {
        let mut struck = true;
        let mut at = 0;
        while struck {
            let folder = tempfile::tempdir().unwrap();
            let (input, output) = (folder.path().join("in"), folder.path().join("out"));
            fs::create_dir(&input).unwrap();
            fs::create_dir(&output).unwrap();
            fs::write(input.join("a.jsonl"), many_documents(50)).unwrap();
            let plan = testkit::disk::Plan { fault, at, lasting: Lasting::FromThenOn, seed: at };
            let disk = FaultyDisk::new(&output, Some(plan));
            let path = output.join("tokens");
            let made = make_with(&disk, &input, &path, header(257));
            struck = disk.struck();
            if path.exists() {
                let sound = Tokens::open(&path).and_then(|mut tokens| tokens.verify());
                assert!(sound.is_ok(), "{fault:?} at {at}: {sound:?}");
            }
            assert!(path.exists() || made.is_err(), "{fault:?} at {at}");
            // Whatever was left behind, the next attempt succeeds.
            make_with(&RealDisk, &input, &path, header(257)).unwrap();
            assert_eq!(fs::read_dir(&output).unwrap().count(), 1, "{fault:?} at {at}");
            at += 1;
        }
        assert!(at > 2, "{fault:?} never struck");
    }
}

#[test]
fn a_damaged_file_is_refused() {
    let (folder, _) = make(&[("a.jsonl", &many_documents(30))], header(257));
    let path = folder.path().join("tokens");
    let sound = fs::read(&path).unwrap();
    let broken = |change: &dyn Fn(&mut Vec<u8>)| -> String {
        let mut bytes = sound.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let outcome = Tokens::open(&path).and_then(|mut tokens| tokens.verify());
        outcome.unwrap_err().to_string().rsplit_once(": ").unwrap().1.to_owned()
    };
    assert_eq!(broken(&|bytes| bytes.truncate(100)), "it is too short");
    assert_eq!(broken(&|bytes| bytes[0] = b'X'), "it does not begin as one");
    assert_eq!(broken(&|bytes| bytes.truncate(bytes.len() - 1)), "its end is missing");
    let counts = sound.len() - 56;
    assert_eq!(broken(&|bytes| bytes[counts] ^= 1), "its length does not fit its counts");
    assert_eq!(broken(&|bytes| bytes[counts + 7] = 0xFF), "its length does not fit its counts");
    assert_eq!(broken(&|bytes| bytes[counts - 8] = 0), "its documents do not follow each other");
    // One flipped bit anywhere is found.
    for at in (0..sound.len()).step_by(13) {
        broken(&|bytes| bytes[at] ^= 1 << (at % 8));
    }
    fs::write(&path, [&sound[..8], &2u32.to_le_bytes(), &sound[12..]].concat()).unwrap();
    assert!(matches!(Tokens::open(&path), Err(Error::FutureVersion { found: 2, known: 1, .. })));
}
