//! What transformers of flow matching read of a prompt: the rows of T5 with CLIP's pooled one, or the streams behind some
//! layers of a language model.
//!
//! A prompt is read as it is written: these models know no weights of words. Sources: the prompts and layers with which
//! FLUX.1, FLUX.2 \[klein\] and Z-Image were published.

use base::TokenId;
use diffuse::pipeline::{Family, Text};
use diffuse::prompt::{self, Chunk};
use models::Decoder;
use models::images::adapter::Part;
use models::images::t5::{T5Config, T5Encoder};
use models::tensors::Tensors;
use ops::Precision;
use text::{Segment, Tokenizer, Trust};

use super::glass;
use super::parts::{Parts, Reader};
use crate::Failure;
use crate::event::glass::Encoder;
use crate::worker::contents::Contents;
use crate::worker::open::Files;

/// The token with which T5's prompts are filled up.
const T5_PADDING: u32 = 0;
/// The name of the token that fills prompts of Qwen up.
const QWEN_PADDING: &str = "<|endoftext|>";
/// The most tokens that FLUX.2 and Z-Image read.
pub(super) const QWEN_TOKENS: usize = 512;
/// The layers of Qwen3 behind which FLUX.2 reads its stream.
const FLUX_2_LAYERS: [usize; 3] = [9, 18, 27];
/// What stands around a prompt of Qwen3, and behind one that is answered without thinking.
const QWEN_BEFORE: &str = "<|im_start|>user\n";
const QWEN_BEHIND: &str = "<|im_end|>\n<|im_start|>assistant\n";
const QWEN_WITHOUT_THINKING: &str = "<think>\n\n</think>\n\n";

/// The text encoders of a model, with their vocabularies.
pub(super) enum Readers {
    /// T5 and CLIP.
    Flux(Box<T5>, Box<Reader>),
    /// Qwen3.
    Qwen(Box<Qwen>),
}

/// T5, and how many tokens of it are read.
pub(super) struct T5 {
    model: T5Encoder,
    tokenizer: Tokenizer,
    n_tokens: usize,
}

/// Qwen3, and what of it is read.
pub(super) struct Qwen {
    model: Decoder,
    tokenizer: Tokenizer,
    family: Family,
    /// Behind which layers, counted from 1.
    layers: Vec<usize>,
}

impl Readers {
    /// Loads the text encoders.
    ///
    /// # Errors
    /// What is wrong with their files.
    pub fn load(parts: &Parts<'_>, family: Family) -> Result<Self, Failure> {
        match family {
            Family::Flux { n_tokens } => {
                let clip = parts.clip("text_encoder", "tokenizer")?;
                Ok(Self::Flux(Box::new(T5::load(parts, n_tokens)?), Box::new(clip)))
            }
            Family::Flux2 | Family::ZImage => Ok(Self::Qwen(Box::new(Qwen::load(parts, family)?))),
        }
    }

    /// What the model reads of a prompt.
    ///
    /// # Errors
    /// A prompt that is too long, or has a token that no table has.
    pub fn read(&self, prompt: &str, precision: Precision) -> Result<Text, Failure> {
        prompt::literal(prompt)?;
        match self {
            Self::Flux(t5, clip) => {
                let (ids, ends) = (t5.ids(prompt)?, ends(clip, prompt));
                Ok(Text::of_t5_and_clip((&t5.model, &ids), (&clip.model, &ends), precision)?)
            }
            Self::Qwen(qwen) => qwen.read(prompt, precision),
        }
    }

    /// What each of them reads of a prompt, in its tokens, without what only fills up.
    ///
    /// # Errors
    /// A prompt that cannot be cut into tokens.
    pub fn tokens(&self, prompt: &str) -> Result<Vec<Encoder>, Failure> {
        Ok(match self {
            Self::Flux(t5, clip) => {
                let ids = t5.ids(prompt)?;
                let n_filling = ids.iter().rev().take_while(|id| **id == T5_PADDING).count();
                let all = ends(clip, prompt).into_iter().map(TokenId).collect::<Vec<_>>();
                let chunk = Chunk { weights: vec![1.0; all.len()], tokens: all };
                vec![
                    glass::tokens(("text_encoder_2", &t5.tokenizer), &ids[..ids.len() - n_filling]),
                    glass::clip_tokens((clip.name, &clip.tokenizer), &[chunk]),
                ]
            }
            Self::Qwen(qwen) => {
                let (ids, n_tokens) = qwen.ids(prompt)?;
                vec![glass::tokens(("text_encoder", &qwen.tokenizer), &ids[..n_tokens])]
            }
        })
    }
}

impl T5 {
    fn load(parts: &Parts<'_>, n_tokens: usize) -> Result<Self, Failure> {
        let part = parts.part("text_encoder_2")?;
        let config = T5Config::from_json(&part.settings, &part.label)?;
        let load = |tensors: &dyn Tensors| T5Encoder::load(tensors, config, parts.device);
        let model = parts.adapted((&*part.tensors, Part::SecondText), load)?;
        let tokenizer = parts.files.folder().part("tokenizer_2").tokenizer()?;
        Ok(Self { model, tokenizer, n_tokens })
    }

    fn ids(&self, prompt: &str) -> Result<Vec<u32>, Failure> {
        let mut ids = ids(&self.tokenizer, &[said(prompt)])?;
        ids.truncate(self.n_tokens.saturating_sub(1));
        ids.extend(self.tokenizer.eos().map(|end| end.0));
        ids.resize(self.n_tokens, T5_PADDING);
        Ok(ids)
    }
}

/// A prompt in CLIP's tokens, of which only the end is read.
fn ends(clip: &Reader, prompt: &str) -> Vec<u32> {
    let (context, marks) = (clip.model.config().context, clip.marks);
    let mut ids = vec![marks.start.0];
    ids.extend(clip.tokenizer.encode(prompt).into_iter().take(context.saturating_sub(2)));
    ids.push(marks.end.0);
    ids.resize(context, marks.pad.0);
    ids
}

impl Qwen {
    fn load(parts: &Parts<'_>, family: Family) -> Result<Self, Failure> {
        let folder = parts.files.folder().part("text_encoder");
        let label = folder.label().to_owned();
        let files = Files::Folder(folder);
        let model = Contents::of(&files, &label)?.decoder(parts.device)?;
        let tokenizer = parts.files.folder().part("tokenizer").tokenizer()?;
        let n_layers = model.config().n_layers;
        let layers = match family {
            Family::Flux2 => FLUX_2_LAYERS.to_vec(),
            Family::Flux { .. } | Family::ZImage => vec![n_layers.saturating_sub(1)],
        };
        Ok(Self { model, tokenizer, family, layers })
    }

    /// The tokens of a prompt, and how many of them do not only fill up.
    fn ids(&self, prompt: &str) -> Result<(Vec<u32>, usize), Failure> {
        // FLUX.2 reads all rows up to its most, also those that only fill up.
        let is_filled = self.family == Family::Flux2;
        let behind =
            if is_filled { [QWEN_BEHIND, QWEN_WITHOUT_THINKING].concat() } else { QWEN_BEHIND.into() };
        let own = |text: &str| Segment { text: text.to_owned(), trust: Trust::Trusted };
        let mut ids = ids(&self.tokenizer, &[own(QWEN_BEFORE), said(prompt), own(&behind)])?;
        ids.truncate(QWEN_TOKENS);
        let n_tokens = ids.len();
        if is_filled {
            let padding = self.tokenizer.find(QWEN_PADDING).or(self.tokenizer.eos()).map_or(0, |id| id.0);
            ids.resize(QWEN_TOKENS, padding);
        }
        Ok((ids, n_tokens))
    }

    fn read(&self, prompt: &str, precision: Precision) -> Result<Text, Failure> {
        let (ids, n_tokens) = self.ids(prompt)?;
        Ok(Text::of_streams(&self.model, (&ids, n_tokens), &self.layers, precision)?)
    }
}

/// What a person wrote.
fn said(prompt: &str) -> Segment {
    Segment { text: prompt.to_owned(), trust: Trust::Untrusted }
}

fn ids(tokenizer: &Tokenizer, segments: &[Segment]) -> Result<Vec<u32>, Failure> {
    Ok(tokenizer.encode_segments(segments)?.into_iter().map(|id| id.0).collect())
}
