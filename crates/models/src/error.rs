//! What can be wrong with a model file, as far as the model goes.

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file says that it holds an architecture that no family covers.
    #[error("{file}: architecture \"{found}\" is not known; the nearest that works is \"{nearest}\"")]
    Architecture {
        /// How errors name the file.
        file: String,
        /// What the file says.
        found: String,
        /// A known one with the most similar name.
        nearest: &'static str,
    },
    /// The file says nothing about its architecture.
    #[error("{file}: no architecture: metadata key \"{key}\" is missing")]
    NoArchitecture {
        /// How errors name the file.
        file: String,
        /// The key that would say it.
        key: &'static str,
    },
    /// A size or setting is missing, or has no meaning.
    #[error("{file}: {key}: {reason}")]
    Setting {
        /// How errors name the file.
        file: String,
        /// The metadata key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A tensor that the architecture needs is not there.
    #[error("{file}: tensor \"{name}\" is missing")]
    MissingTensor {
        /// How errors name the file.
        file: String,
        /// The tensor's name.
        name: String,
    },
    /// A tensor has another shape than the file's own sizes ask for.
    #[error("{file}: tensor \"{name}\" has shape {found:?}, but the file's sizes ask for {expected:?}")]
    Shape {
        /// How errors name the file.
        file: String,
        /// The tensor's name.
        name: String,
        /// As the file has it.
        found: Vec<usize>,
        /// As its sizes ask for.
        expected: Vec<usize>,
    },
    /// A tensor that the architecture does not have.
    #[error("{file}: tensor \"{name}\" is none of this architecture")]
    UnknownTensor {
        /// How errors name the file.
        file: String,
        /// The tensor's name.
        name: String,
    },
    /// A tensor is stored in a way that cannot be computed with.
    #[error("{file}: tensor \"{name}\" is stored as {found}, which cannot be computed with yet")]
    Storage {
        /// How errors name the file.
        file: String,
        /// The tensor's name.
        name: String,
        /// The storage's name.
        found: String,
    },
    /// The model computes in a way that cannot be taught, or written in another form, yet.
    #[error("{family} models with {what} cannot be trained or written in another form yet")]
    Learning {
        /// The family's name, or that of its architecture.
        family: String,
        /// What stands in the way.
        what: &'static str,
    },
    /// An adapter was made for another architecture.
    #[error("{file}: the adapter was made for the architecture \"{found}\", the model is \"{expected}\"")]
    AdapterArchitecture {
        /// How errors name the adapter's file.
        file: String,
        /// What it was made for.
        found: String,
        /// What the model is.
        expected: &'static str,
    },
    /// An adapter changes what the model does not have, or what adapters do not reach.
    #[error(
        "{file}: the adapter changes \"{name}\", which is no product of this model that adapters can change"
    )]
    AdapterTarget {
        /// How errors name the adapter's file.
        file: String,
        /// What it changes.
        name: String,
    },
    /// A matrix of an adapter does not fit the product that it changes.
    #[error("{file}: the adapter's tensor \"{name}\" has shape {found:?}, the model asks for {expected:?}")]
    AdapterShape {
        /// How errors name the adapter's file.
        file: String,
        /// The tensor's name.
        name: String,
        /// As the file has it.
        found: Vec<usize>,
        /// As the model asks for.
        expected: Vec<usize>,
    },
    /// A LoRA was made for another image model.
    #[error(
        "{file}: the LoRA does not fit this model: {n_misfits} of {n_layers} layers, such as {layers}{}",
        .base.as_ref().map_or(String::new(), |base| format!("; it looks like one for {base}"))
    )]
    AdapterBase {
        /// How errors name the LoRA's file.
        file: String,
        /// The names of some layers that do not fit, as the file has them.
        layers: String,
        /// How many do not.
        n_misfits: usize,
        /// How many there are, of the part of the model that was looked at.
        n_layers: usize,
        /// What it was made for, where that can be seen.
        base: Option<String>,
    },
    /// The file itself is broken.
    #[error(transparent)]
    File(#[from] formats::Error),
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> &str {
        match self {
            Self::Architecture { .. } => {
                "this version runs Llama, Mistral, Mixtral, Qwen 2 and 3, Gemma 2 and 3, Phi 3, SmolLM 3, GLM-4, GPT-2, \
                 GPT-NeoX and gpt-oss, and encoders and rerankers of BERT's kind"
            }
            Self::NoArchitecture { .. } => "the file may hold only a vocabulary, or be a part of a model",
            Self::Setting { .. } | Self::Shape { .. } | Self::MissingTensor { .. } => {
                "the file is incomplete or was converted wrongly: fetch it again, or convert it again"
            }
            Self::UnknownTensor { .. } => "it can be used as it is, but not be written in another form yet",
            Self::AdapterArchitecture { .. } | Self::AdapterShape { .. } | Self::AdapterBase { .. } => {
                "use the adapter with the model that it was made for"
            }
            Self::AdapterTarget { .. } => {
                "use the adapter with the model that it was made for; one for experts, embeddings or the output head has \
                 to be merged into its model first"
            }
            Self::Learning { .. } => "it can be used as it is",
            Self::Storage { .. } => {
                "use a file with weights in F32, F16, BF16, Q2_K to Q8_0, IQ1_S to IQ4_XS, TQ1_0, TQ2_0, MXFP4 or NVFP4"
            }
            Self::File(error) => error.hint(),
        }
    }
}
