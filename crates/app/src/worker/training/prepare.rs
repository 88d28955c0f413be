//! From a folder to tokens: reading documents, learning a vocabulary, writing the token file.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::TokenId;
use base::disk::{Disk, RealDisk};
use data::tokens::{Header, Part, Refused, Tokens};
use data::{Content, Digest, Fingerprint, Report, tokens};
use formats::{FileBytes, Metadata, gguf};
use store::Store;
use text::learn::{LearnVocabulary, Settings, Unit};
use text::{Tokenizer, VocabularyParts};

use super::conversation::{END_OF_TEXT, Encoder, SPECIAL, chat_template};
use super::record::Folder;
use crate::event::training::{Pass, Training as Told};
use crate::job::training::{NewTraining, Vocabulary};
use crate::running::Reporter;
use crate::worker::contents::Contents;
use crate::worker::{one_file, open, vocabulary};
use crate::{Event, Failure};

/// The share that is held out where nobody says otherwise.
const HELD_OUT: f64 = 0.05;
const VOCABULARY_FILE: &str = "vocabulary.gguf";
const TOKENS_FILE: &str = "tokens";

/// What a training is prepared with.
pub(super) struct Prepared {
    pub fingerprint: Fingerprint,
    pub tokenizer: Tokenizer,
    pub tokens: Tokens,
    /// What the vocabulary's file says: also the beginning of the model's.
    pub vocabulary: Metadata,
    pub n_documents: u64,
}

/// Reads everything and writes vocabulary and tokens into the run's folder.
pub(super) fn prepare(
    new: &NewTraining,
    (folder, store): (&Folder<'_>, &Store),
    reporter: &Reporter,
) -> Result<Prepared, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let documents = data::Folder::open(disk.clone(), &new.data)?;
    let fingerprint = documents.fingerprint()?;
    let mut reading = Reading::new(fingerprint.size_bytes(), reporter);
    let vocabulary = match &new.vocabulary {
        Vocabulary::Of(model) => of_model(store, model)?,
        Vocabulary::Learned => {
            learn(&documents, new.knobs.wanted_vocabulary(), Unit::default(), &mut reading)?
        }
        Vocabulary::Characters => learn(&documents, MOST_CHARACTERS, Unit::Characters, &mut reading)?,
    };
    folder.write(VOCABULARY_FILE, &gguf::write(Vec::new(), &vocabulary, &[])?.finish()?)?;
    let (vocabulary, tokenizer, digest) = read_vocabulary(folder)?;
    let encoder = Encoder::new(&tokenizer);
    reading.begin(Pass::Tokens);
    let mut encode = |document: &data::Document| match reporter.is_cancelled() {
        true => Err(Refused::Stop),
        false => {
            reading.add(document);
            encoder.encode(document)
        }
    };
    let header = Header {
        vocabulary: digest,
        n_vocabulary: tokenizer.len() as u32,
        data: fingerprint.digest(),
        end: end(&tokenizer),
        held_out_ppm: (new.watch.held_out.unwrap_or(HELD_OUT) * 1e6) as u32,
    };
    let path = folder.file(TOKENS_FILE);
    let mut source = documents.documents();
    let summary =
        tokens::write(&mut source, &mut encode, &tokens::Plan { disk: &*disk, path: &path, header })?;
    tell_data(source.report(), documents.passed_over(), reporter);
    let (n_training, n_held_out) = (summary.n_training, summary.n_held_out);
    reporter.tell(Event::Training(Told::Tokens { n_training, n_held_out }));
    let tokens = Tokens::open(&path)?;
    Ok(Prepared { fingerprint, tokenizer, tokens, vocabulary, n_documents: summary.n_documents })
}

/// Tells how far a pass over the documents is.
struct Reading<'a> {
    reporter: &'a Reporter,
    pass: Pass,
    n_bytes: u64,
    of_bytes: u64,
    told: Instant,
}

impl<'a> Reading<'a> {
    /// Between two reports.
    const EVERY: Duration = Duration::from_millis(500);

    fn new(of_bytes: u64, reporter: &'a Reporter) -> Self {
        Self { reporter, pass: Pass::Vocabulary, n_bytes: 0, of_bytes, told: Instant::now() }
    }

    fn begin(&mut self, pass: Pass) {
        (self.pass, self.n_bytes) = (pass, 0);
    }

    fn add(&mut self, document: &data::Document) {
        self.n_bytes += document.n_bytes();
        if self.told.elapsed() >= Self::EVERY {
            self.told = Instant::now();
            let Self { pass, n_bytes, of_bytes, .. } = *self;
            self.reporter.tell(Event::Training(Told::Reading { pass, n_bytes, of_bytes }));
        }
    }
}

/// Most characters of a vocabulary of characters: more are a language that byte pairs suit better.
const MOST_CHARACTERS: usize = 1 << 15;

/// What was prepared for a run that goes on; the data has to be what it was.
pub(super) fn prepared(folder: &Folder<'_>, data: &Path, known: &Fingerprint) -> Result<Prepared, Failure> {
    let now = data::Folder::open(Arc::new(RealDisk), data)?.fingerprint()?;
    known.check_same(&now)?;
    let (vocabulary, tokenizer, digest) = read_vocabulary(folder)?;
    let mut tokens = Tokens::open(&folder.file(TOKENS_FILE))?;
    tokens.check_made_from(digest, known.digest())?;
    tokens.verify()?;
    let n_documents = tokens.n_documents(Part::Training) + tokens.n_documents(Part::HeldOut);
    Ok(Prepared { fingerprint: now, tokenizer, tokens, vocabulary, n_documents })
}

fn read_vocabulary(folder: &Folder<'_>) -> Result<(Metadata, Tokenizer, Digest), Failure> {
    let path = folder.file(VOCABULARY_FILE);
    let bytes = FileBytes::open(&path)?;
    let digest = Digest::of(bytes.as_slice());
    let file = gguf::read(&bytes)?;
    let tokenizer = vocabulary::read(file.metadata(), &path.display().to_string())?;
    Ok((file.metadata().clone(), tokenizer, digest))
}

/// The token that ends a text.
fn end(tokenizer: &Tokenizer) -> Option<TokenId> {
    tokenizer.find(END_OF_TEXT).or(tokenizer.eos())
}

fn tell_data(report: &Report, passed_over: &Report, reporter: &Reporter) {
    let skipped = passed_over.skipped.iter().chain(&report.skipped).map(ToString::to_string).collect();
    let n_skipped = passed_over.n_skipped + report.n_skipped;
    let (n_documents, n_bytes) = (report.n_documents, report.n_bytes);
    reporter.tell(Event::Training(Told::Data { n_documents, n_bytes, n_skipped, skipped }));
}

fn learn(
    documents: &data::Folder,
    size: usize,
    unit: Unit,
    reading: &mut Reading<'_>,
) -> Result<Metadata, Failure> {
    let mut learning = LearnVocabulary::new(Settings { unit, ..Settings::new(size, &SPECIAL) })?;
    let mut has_conversations = false;
    for document in documents.documents() {
        if reading.reporter.is_cancelled() {
            return Err(super::stopped());
        }
        let document = document?;
        reading.add(&document);
        match &document.content {
            Content::Text(text) => learning.add(text),
            Content::Messages(messages) => {
                has_conversations = true;
                for message in messages {
                    learning.add(&format!("{}\n", message.role));
                    learning.add(&message.content);
                }
            }
        }
    }
    let learned = learning.finish()?;
    let (n_tokens, n_wanted) = (learned.parts.tokens.len(), learned.n_wanted);
    reading.reporter.tell(Event::Training(Told::Vocabulary { n_tokens, n_wanted }));
    let special =
        |text: &str| SPECIAL.iter().position(|special| *special == text).map(|id| TokenId(id as u32));
    let parts = VocabularyParts {
        bos: special(SPECIAL[0]),
        eos: special(SPECIAL[2]),
        pad: special(SPECIAL[0]),
        ends: special(SPECIAL[0]).into_iter().collect(),
        add_bos: Some(false),
        ..learned.parts
    };
    let mut metadata = Metadata::new(VOCABULARY_FILE);
    // Who learned from texts alone goes on with texts: turns would be new to it.
    let template = has_conversations.then(chat_template);
    vocabulary::describe(&parts, template.as_deref(), &mut metadata);
    Ok(metadata)
}

/// The vocabulary of a model, with its chat template.
fn of_model(store: &Store, model: &str) -> Result<Metadata, Failure> {
    let source = open::find(store, model)?;
    let contents = Contents::read(&source)?;
    let mut metadata = Metadata::new(VOCABULARY_FILE);
    if let Some(folder) = contents.folder() {
        let parts = one_file::parts(&contents, folder)?;
        vocabulary::describe(&parts, contents.template()?.as_deref(), &mut metadata);
        return Ok(metadata);
    }
    for (key, value) in contents.tensors.metadata().iter().filter(|(key, _)| key.starts_with("tokenizer.")) {
        metadata.insert(key, value.clone());
    }
    Ok(metadata)
}
