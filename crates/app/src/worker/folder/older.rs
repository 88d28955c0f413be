//! The vocabulary of a folder without `tokenizer.json`: in the files of earlier days, and of other libraries.
//!
//! What a file does not say, its family does: a tiktoken file has neither the cut nor the special tokens, `vocab.json` has
//! no cut. Where nobody says it, the file is refused, since a wrong guess answers with quietly worse tokens. Sources: the
//! code that Qwen, Llama 3.1, GLM 4, Kimi K2 and gpt-oss published with their vocabularies.

use base::TokenId;
use text::{TokenType, VocabularyParts};

use super::Folder;
use crate::Failure;

/// How a tiktoken file ends its name, where it is not called `tokenizer.model`.
const TIKTOKEN: &str = ".tiktoken";
/// Kimi's name for it.
const TIKTOKEN_MODEL: &str = "tiktoken.model";

/// What the families' files leave unsaid.
struct Unsaid {
    /// How their `model_type` begins.
    family: &'static str,
    /// The name of their cut.
    cut: &'static str,
    /// The special tokens that follow the ranks; none where a file of the model names them.
    special: fn() -> Vec<String>,
}

/// Rows whose `family` begins like another's stand before it.
const UNSAID: &[Unsaid] = &[
    Unsaid { family: "qwen", cut: "qwen2", special: of_qwen },
    Unsaid { family: "llama", cut: "llama-bpe", special: of_llama_3 },
    Unsaid { family: "glm", cut: "glm4", special: Vec::new },
    Unsaid { family: "chatglm", cut: "glm4", special: Vec::new },
    Unsaid { family: "kimi", cut: "kimi-k2", special: Vec::new },
    Unsaid { family: "gpt_oss", cut: "o200k_base", special: Vec::new },
];

/// The cuts of `vocab.json` with `merges.txt` that are not GPT-2's.
const CUTS_OF_LISTS: &[(&str, &str)] =
    &[("qwen2", "qwen2"), ("qwen3", "qwen2"), ("roberta", "roberta-bpe"), ("starcoder", "starcoder")];

impl Folder {
    /// The vocabulary from other files than `tokenizer.json`, with what `tokenizer_config.json` adds.
    ///
    /// # Errors
    /// When there is none, what is wrong with it, or what nobody says of it.
    pub(super) fn older_vocabulary(&self) -> Result<VocabularyParts, Failure> {
        let mut parts = if let Some(file) = self.file("tekken.json")? {
            self.configured(VocabularyParts::from_tekken(file.as_slice())?)?
        } else if let Some(name) = self.tiktoken_name()? {
            self.tiktoken(&name)?
        } else if let Some(file) = self.file("tokenizer.model")? {
            self.configured(VocabularyParts::from_sentencepiece(file.as_slice())?)?
        } else if let (Some(vocabulary), Some(merges)) = (self.file("vocab.json")?, self.file("merges.txt")?)
        {
            let kind = self.model_type()?;
            let cut = CUTS_OF_LISTS.iter().find(|(family, _)| kind.starts_with(family));
            let cut = cut.map_or("", |(_, cut)| cut);
            let parts = VocabularyParts::from_vocab_json(vocabulary.as_slice(), merges.as_slice(), cut)?;
            self.configured(parts)?
        } else if let Some(file) = self.file("vocab.txt")? {
            self.configured(VocabularyParts::from_vocab_txt(file.as_slice())?)?
        } else {
            return Err(self.missing("tokenizer.json"));
        };
        let n_tokens = parts.tokens.len();
        let config = self.config().ok();
        let id = |key: &str| {
            let id = u32::try_from(config.as_ref()?.get(key)?.as_u64()?).ok()?;
            (id as usize).lt(&n_tokens).then_some(TokenId(id))
        };
        parts.bos = parts.bos.or_else(|| id("bos_token_id"));
        parts.eos = parts.eos.or_else(|| id("eos_token_id"));
        Ok(parts)
    }

    /// Whether `tokenizer.model` is SentencePiece's own file, which says more than what was made of it.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn has_sentencepiece(&self) -> Result<bool, Failure> {
        let file = self.file("tokenizer.model")?;
        Ok(file.is_some_and(|file| !VocabularyParts::looks_like_tiktoken(file.as_slice())))
    }

    fn configured(&self, parts: VocabularyParts) -> Result<VocabularyParts, Failure> {
        Ok(match self.file("tokenizer_config.json")? {
            Some(config) => parts.with_tokenizer_config(config.as_slice())?,
            None => parts,
        })
    }

    /// The name of the tiktoken file, where there is one.
    fn tiktoken_name(&self) -> Result<Option<String>, Failure> {
        let is_one = |name: &String| name.ends_with(TIKTOKEN) || name == TIKTOKEN_MODEL;
        if let Some(name) = self.names()?.into_iter().find(is_one) {
            return Ok(Some(name));
        }
        let usual = "tokenizer.model";
        let is_one = self.path(usual).is_some() && !self.has_sentencepiece()?;
        Ok(is_one.then(|| usual.to_owned()))
    }

    fn tiktoken(&self, name: &str) -> Result<VocabularyParts, Failure> {
        let kind = self.model_type()?;
        let unsaid = |what: &str| {
            let message =
                format!("{}: {name} does not say {what}, and of \"{kind}\" it is not known", self.label);
            let hint = "put tokenizer.json from the model's source beside the weights";
            Failure::new("unknown_vocabulary", message, hint)
        };
        let row = UNSAID.iter().find(|row| kind.starts_with(row.family));
        let row = row.ok_or_else(|| unsaid("how text is cut into words"))?;
        let file = self.file(name)?.ok_or_else(|| self.missing(name))?;
        let ranks = VocabularyParts::from_tiktoken(file.as_slice(), row.cut)?;
        let first = ranks.tokens.len();
        let parts = self.configured(ranks.clone())?;
        if parts.token_types.contains(&TokenType::Control) {
            return Ok(parts);
        }
        let special = (row.special)();
        if special.is_empty() {
            return Err(unsaid("which tokens are special"));
        }
        let ids = (first as u32..).map(TokenId);
        // Once more, since the settings may name as begin and end what only now is there.
        self.configured(ranks.with_special_tokens(ids.zip(special.iter().map(String::as_str)))?)
    }

    /// The `model_type` of the text's settings; empty where there is none.
    fn model_type(&self) -> Result<String, Failure> {
        let config = self.config()?;
        Ok(config.get("model_type").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned())
    }
}

fn of_qwen() -> Vec<String> {
    let named = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned);
    named.into_iter().chain((0..205).map(|number| format!("<|extra_{number}|>"))).collect()
}

fn of_llama_3() -> Vec<String> {
    let reserved = |number: usize| format!("<|reserved_special_token_{number}|>");
    let mut tokens = vec!["<|begin_of_text|>".into(), "<|end_of_text|>".into(), reserved(0), reserved(1)];
    tokens.extend(["<|finetune_right_pad_id|>".into(), reserved(2)]);
    let names = ["start_header_id", "end_header_id", "eom_id", "eot_id", "python_tag"];
    tokens.extend(names.map(|name| format!("<|{name}|>")));
    tokens.extend((3..248).map(reserved));
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_are_as_many_as_the_models_have_rows_for() {
        let (qwen, llama) = (of_qwen(), of_llama_3());
        assert_eq!((qwen.len(), &*qwen[2], &*qwen[207]), (208, "<|im_end|>", "<|extra_204|>"));
        // Llama 3.1 begins them at 128,000: its end of a turn is 128,009.
        assert_eq!(
            (llama.len(), &*llama[9], &*llama[255]),
            (256, "<|eot_id|>", "<|reserved_special_token_247|>")
        );
    }

    #[test]
    fn every_cut_is_known() {
        let cuts = UNSAID.iter().map(|row| row.cut).chain(CUTS_OF_LISTS.iter().map(|(_, cut)| *cut));
        for cut in cuts {
            assert!(VocabularyParts::from_tiktoken(b"", cut).is_ok(), "{cut}");
        }
    }
}
