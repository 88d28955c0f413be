//! What people ask for, as plain values that can cross a channel today and a socket later.

pub mod embed;
pub mod measure;
pub mod pull;
pub mod quantise;
pub mod training;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Continue a text or answer a conversation.
    Generate(Generate),
    /// Bring a model file into the store.
    Import(Import),
    /// Turn texts into vectors.
    Embed(embed::Embed),
    /// Fetch a model over the network.
    Pull(pull::Pull),
    /// Ask where models came from what is offered there now.
    Outdated {
        /// A model's name; all that were fetched when absent.
        model: Option<String>,
    },
    /// All models.
    List,
    /// Everything about one model.
    Show {
        /// Its name.
        model: String,
    },
    /// A second name for a model.
    Copy {
        /// Its name.
        from: String,
        /// The new name.
        to: String,
    },
    /// Take a model away.
    Remove {
        /// Its name.
        model: String,
    },
    /// Read every byte again and compare with its hash.
    Verify {
        /// Its name; all models when absent.
        model: Option<String>,
    },
    /// Train a model.
    Train(training::Train),
    /// Look at runs.
    Runs(training::Runs),
    /// Write a model for other programs.
    Export(training::Export),
    /// Store a model in fewer bits.
    Quantise(quantise::Quantise),
    /// Measure how fast a model is here.
    Bench(measure::Bench),
    /// Say how much memory a model needs here and how fast it will be.
    Fit(measure::Fit),
}

/// Continue a text or answer a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generate {
    /// The model's name, or the path of a model file.
    pub model: String,
    /// What to continue.
    pub prompt: Prompt,
    /// How to choose tokens.
    #[serde(default)]
    pub sampling: Sampling,
    /// What to tell besides the text.
    #[serde(default)]
    pub detail: Detail,
}

/// What to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// A text, as it is.
    Raw(String),
    /// A conversation, through the model's chat template.
    Chat(Vec<Message>),
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// How to choose tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Divides the logits; 0 takes the best token always.
    pub temperature: f32,
    /// Keep the `top_k` best tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the best tokens whose probabilities sum to this.
    pub top_p: f32,
    /// Drop tokens less likely than this share of the best one's probability.
    pub min_p: f32,
    /// Divides (or multiplies, when negative) the logits of tokens that occurred; 1 changes nothing.
    pub repetition_penalty: f32,
    /// Subtracted from the logits of tokens that occurred in the answer.
    pub presence_penalty: f32,
    /// Subtracted from the logits of tokens, for each time that they occurred in the answer.
    pub frequency_penalty: f32,
    /// Added to the logits of single tokens.
    pub logit_bias: BTreeMap<u32, f32>,
    /// Starts the random numbers; absent, one is drawn.
    pub seed: Option<u64>,
    /// Tokens at most; absent, as many as fit the context.
    pub max_tokens: Option<usize>,
    /// Texts that end the answer and are not part of it.
    pub stop: Vec<String>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: BTreeMap::new(),
            seed: None,
            max_tokens: None,
            stop: Vec::new(),
        }
    }
}

/// What to tell besides the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// How many alternatives to name for each generated token; 0 for none.
    pub alternatives: usize,
    /// Tell the prompt's tokens.
    pub prompt_tokens: bool,
    /// For each generated token, tell what each layer would have said.
    pub lens: bool,
    /// Tell how long each kind of layer took.
    pub timing: bool,
}

/// Bring a model file into the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Import {
    /// The file.
    pub path: PathBuf,
    /// Its vocabulary, where it is a file of its own.
    pub tokenizer: Option<PathBuf>,
    /// The name that the model gets; from the file's name when absent.
    pub name: Option<String>,
    /// Whether its bytes are copied.
    pub placement: Placement,
}

/// Whether a file's bytes are copied into the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// They are copied, by reference where the file system can.
    #[default]
    Copy,
    /// The file is used where it is, and verified again when it changed.
    InPlace,
}
