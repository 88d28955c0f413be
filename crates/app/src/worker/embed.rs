//! Texts to vectors: an encoder in a file or a folder, its vocabulary, and how its rows become one.

use base::TokenId;
use formats::FileBytes;
use models::encoder::{Classifier, Encoder, Pooling};
use serde_json::Value;
use text::{Special, Tokenizer};

use super::Hands;
use super::contents::Contents;
use super::folder::{Folder, POOLING};
use super::open::Source;
use crate::event::embed::Embedding;
use crate::job::embed::{Embed, Text, TooLong};
use crate::running::Reporter;
use crate::{Event, Failure};

/// Rows that are computed at once, unless one text alone has more.
const ROWS: usize = 2048;
/// What an encoder takes beside its weights: its vocabulary, and the rows that it computes.
const ROOM_BYTES: u64 = 256 << 20;

/// Bytes that an encoder takes at most.
pub(crate) fn most_bytes(contents: &Contents<'_>) -> u64 {
    let weights: u64 = contents.tensors.parts().iter().map(FileBytes::size_bytes).sum();
    // Rows of a batch pass through a few buffers as wide as the model.
    weights.saturating_add(ROOM_BYTES)
}

/// Runs one job to its last event.
pub(crate) fn run(embedder: &Embedder, job: &Embed, reporter: &Reporter) {
    reporter.finish(|| embed(embedder, job, reporter));
}

fn embed(embedder: &Embedder, job: &Embed, reporter: &Reporter) -> Result<Event, Failure> {
    if job.texts.is_empty() {
        return Err(Failure::new("no_prompt", "there is no text", "give a text, or lines on stdin"));
    }
    if let Some(head) = &embedder.head {
        return Err(no_vectors(&embedder.name, head.n_labels()));
    }
    let texts = job.texts.iter().map(|text| embedder.encode(text)).collect::<Result<Vec<_>, _>>()?;
    if job.too_long == TooLong::Refuse
        && let Some(index) = texts.iter().position(|text| text.is_cut)
    {
        return Err(embedder.too_long(index));
    }
    let mut index = 0;
    in_batches(
        &texts,
        |text| text.ids.len(),
        reporter,
        |batch| {
            for (text, vector) in batch.iter().zip(embedder.vectors(batch)) {
                let (n_tokens, is_cut) = (text.ids.len(), text.is_cut);
                reporter.tell(Event::Embedding(Embedding { index, n_tokens, is_cut, vector }));
                index += 1;
            }
            Ok(())
        },
    )?;
    let n_tokens = texts.iter().map(|text| text.ids.len()).sum();
    Ok(Event::Embedded { model: embedder.name.clone(), n_texts: texts.len(), n_tokens })
}

/// Gives texts to `compute`, as many at once as their tokens allow, until all are done or somebody ends the job.
///
/// # Errors
/// `stopped`, and what `compute` says.
pub(super) fn in_batches<T>(
    texts: &[T],
    n_tokens: impl Fn(&T) -> usize,
    reporter: &Reporter,
    mut compute: impl FnMut(&[T]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut rest = texts;
    while !rest.is_empty() {
        if reporter.is_cancelled() {
            let message = "stopped before every text was read";
            return Err(Failure::new("stopped", message, "begin again any time"));
        }
        let (batch, behind) = rest.split_at(together(rest.iter().map(&n_tokens)));
        compute(batch)?;
        rest = behind;
    }
    Ok(())
}

/// How many of the next texts are computed at once: at least one.
fn together(lengths: impl Iterator<Item = usize>) -> usize {
    let mut rows = 0;
    let fitting = lengths.take_while(|length| {
        rows += length;
        rows <= ROWS
    });
    fitting.count().max(1)
}

/// A text as the encoder reads it.
pub(super) struct Encoded {
    pub ids: Vec<u32>,
    pub is_cut: bool,
}

/// An encoder that is ready.
pub(crate) struct Embedder {
    pub(super) name: String,
    pub(super) encoder: Encoder,
    /// What judges pairs of texts, or tells texts apart, where the model was taught that: then it makes no vectors.
    pub(super) head: Option<Classifier>,
    pub(super) tokenizer: Tokenizer,
    pooling: Pooling,
    /// The most tokens of a text, or of two that are read together.
    pub(super) length: usize,
}

impl Embedder {
    /// Reads the files of `source`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(source: &Source, hands: &Hands) -> Result<Self, Failure> {
        let contents = Contents::read(source)?;
        let encoder = contents.encoder(&hands.means.device.tensors())?;
        let tokenizer = contents.compiled_tokenizer(&hands.store)?;
        let context = encoder.config().context;
        let head = contents.classifier(&encoder, &hands.means.device.tensors())?;
        let pooling = pooling_of(&contents)?;
        let mut length = contents.folder().map_or(Ok(context), |folder| length_of(folder, context))?;
        if let Some(folder) = contents.folder().filter(|_| head.is_some()) {
            length = length_of_pairs(folder, length)?;
        }
        Self { name: contents.name().to_owned(), encoder, head, tokenizer, pooling, length }.checked()
    }

    /// # Errors
    /// When the vocabulary has more tokens than the model has rows for, or the model reads no token.
    fn checked(self) -> Result<Self, Failure> {
        super::loaded::check_fit(&self.tokenizer, self.encoder.config().vocabulary, &self.name)?;
        let room = usize::from(self.tokenizer.add_bos()) + usize::from(self.tokenizer.add_eos());
        if self.length <= room {
            let message = format!("{}: it reads {} tokens, too few for a text", self.name, self.length);
            return Err(Failure::new("bad_file", message, "fetch the model again from its source"));
        }
        Ok(self)
    }

    /// A text between the tokens that begin and end it; what is too long loses its end.
    pub(super) fn encode(&self, text: &Text) -> Result<Encoded, Failure> {
        let begin = self.tokenizer.bos().filter(|_| self.tokenizer.add_bos());
        let end = self.tokenizer.eos().filter(|_| self.tokenizer.add_eos());
        let mut tokens = match text {
            Text::Written(text) => self.tokenizer.encode(text, Special::Plain)?,
            Text::Tokens(ids) => self.tokens(ids)?,
        };
        let room = self.length - begin.iter().chain(&end).count();
        let is_cut = tokens.len() > room;
        tokens.truncate(room);
        let ids: Vec<u32> = begin.into_iter().chain(tokens).chain(end).map(|TokenId(id)| id).collect();
        Ok(Encoded { ids, is_cut })
    }

    /// # Errors
    /// An id that is no token.
    fn tokens(&self, ids: &[u32]) -> Result<Vec<TokenId>, Failure> {
        let size = self.tokenizer.len();
        if let Some(id) = ids.iter().find(|id| **id as usize >= size) {
            let message = format!("{}: token {id} is not one of its {size} tokens", self.name);
            return Err(Failure::new(
                "vocabulary_mismatch",
                message,
                "give texts, or ids of this vocabulary",
            ));
        }
        Ok(ids.iter().copied().map(TokenId).collect())
    }

    fn too_long(&self, index: usize) -> Failure {
        let message =
            format!("{}: text {index} is longer than the {} tokens that it reads", self.name, self.length);
        Failure::new("prompt_too_long", message, "shorten the text, or let its end be left out")
    }

    pub(super) fn vectors(&self, texts: &[Encoded]) -> Vec<Vec<f32>> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.ids.len()).collect();
        let ids: Vec<u32> = texts.iter().flat_map(|text| text.ids.iter().copied()).collect();
        self.encoder.embed(&ids, &lengths, self.pooling)
    }
}

/// How the rows of a text become one; their mean where nothing says otherwise.
pub(super) fn pooling_of(contents: &Contents<'_>) -> Result<Pooling, Failure> {
    let Some(folder) = contents.folder() else {
        return Ok(Pooling::of_gguf(&contents.tensors)?.unwrap_or(Pooling::Mean));
    };
    match folder.settings(POOLING)? {
        Some(settings) => pooling(&settings, folder.label()),
        None => Ok(Pooling::Mean),
    }
}

/// The most tokens of a text.
fn length_of(folder: &Folder, context: usize) -> Result<usize, Failure> {
    let settings = folder.settings("sentence_bert_config.json")?;
    let length = settings.and_then(|settings| settings.get("max_seq_length")?.as_u64());
    Ok(length.map_or(context, |length| context.min(usize::try_from(length).unwrap_or(context))))
}

/// The most tokens of two texts that are read together, as their tokenizer says it.
fn length_of_pairs(folder: &Folder, length: usize) -> Result<usize, Failure> {
    let settings = folder.settings("tokenizer_config.json")?;
    let most = settings.and_then(|settings| settings.get("model_max_length")?.as_u64());
    Ok(most.map_or(length, |most| length.min(usize::try_from(most).unwrap_or(length))))
}

/// What a model says that judges texts and is asked for vectors.
fn no_vectors(name: &str, n_labels: usize) -> Failure {
    let (what, hint) = match n_labels {
        1 => (
            "it judges how well texts answer a question".to_owned(),
            "send it the question and the texts: `POST /v1/rerank` of `hearth serve`",
        ),
        n => (
            format!("it tells {n} kinds of texts apart"),
            "use an encoder that makes vectors, such as all-MiniLM-L6-v2",
        ),
    };
    Failure::new("wrong_task", format!("{name}: {what}, and makes no vectors"), hint)
}

/// What `sentence-transformers` writes of how rows become one.
fn pooling(settings: &Value, label: &str) -> Result<Pooling, Failure> {
    let is = |key: &str| settings.get(key).and_then(Value::as_bool).unwrap_or(false);
    let known = [
        ("pooling_mode_mean_tokens", Pooling::Mean),
        ("pooling_mode_cls_token", Pooling::First),
        ("pooling_mode_lasttoken", Pooling::Last),
    ];
    let chosen: Vec<Pooling> = known.iter().filter(|(key, _)| is(key)).map(|(_, pooling)| *pooling).collect();
    match chosen[..] {
        [pooling] => Ok(pooling),
        _ => {
            let message = format!("{label}: 1_Pooling/config.json asks for a pooling that is not known");
            Err(Failure::new("bad_file", message, "take an encoder that pools by mean, first or last token"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_computed_together_as_far_as_rows_allow() {
        assert_eq!(together([10, 20, 30].into_iter()), 3);
        assert_eq!(together([ROWS - 1, 1, 1].into_iter()), 2);
        assert_eq!(together([ROWS + 1, 1].into_iter()), 1);
    }

    #[test]
    fn one_pooling_is_known_and_two_are_not() {
        let of = |settings| pooling(&settings, "m").ok();
        assert_eq!(
            of(json!({ "pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false })),
            Some(Pooling::Mean)
        );
        assert_eq!(of(json!({ "pooling_mode_cls_token": true })), Some(Pooling::First));
        assert_eq!(of(json!({ "pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true })), None);
        assert_eq!(of(json!({ "pooling_mode_max_tokens": true })), None);
    }
}
