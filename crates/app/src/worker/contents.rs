//! What the files of a model hold, in whatever form they are: tensors, sizes, vocabulary, how it is spoken with.
//!
//! Everything that computes with a model or shows it asks here; nothing else asks which form the files have.

use formats::adapter::Naming;
use formats::{FileBytes, TensorFile};
use models::encoder::{Classifier, Encoder};
use models::{Config, Decoder, Dialect, Family};
use ops::device::Device;
use store::Store;
use text::Tokenizer;

use super::adapters::AdapterSource;
use super::dialogue::{Dialogue, Sayings};
use super::draw::{files, parts};
use super::folder::Folder;
use super::measure::memory;
use super::open::{Files, Source};
use super::{loaded, vocabulary};
use crate::Failure;

/// Weights of fewer bytes stay where the file shows them.
const HELD_BYTES: u64 = 64 << 20;

/// What the files of a model hold.
pub(crate) struct Contents<'a> {
    /// How people call it.
    name: &'a str,
    /// Its tensors, under the names that the files have for them.
    pub tensors: TensorFile,
    /// Where settings and vocabulary are files of their own.
    folder: Option<&'a Folder>,
}

impl<'a> Contents<'a> {
    /// Reads what the files say of themselves; weights stay where they are.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn read(source: &'a Source) -> Result<Self, Failure> {
        Self::of(&source.files, &source.name)
    }

    /// So too, of files that errors call `name`.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn of(files: &'a Files, name: &'a str) -> Result<Self, Failure> {
        Ok(match files {
            Files::Gguf(parts) => {
                let tensors = match parts.as_slice() {
                    [file] => formats::gguf::read(file)?,
                    parts => formats::gguf::join(parts)?,
                };
                Self { name, tensors, folder: None }
            }
            Files::Folder(folder) if files::is_image_model(folder) => return Err(parts::draws(name)),
            Files::Folder(folder) => {
                // Without settings nobody knows what weights are; but what was named has to be some first.
                if folder.is_file() {
                    folder.weights()?;
                }
                folder.config()?;
                Self { name, tensors: folder.weights()?, folder: Some(folder) }
            }
        })
    }

    /// Adds an adapter to the weights.
    ///
    /// # Errors
    /// What is wrong with its files, or that it belongs to another model.
    pub fn merge(&mut self, adapter: &AdapterSource) -> Result<(), Failure> {
        let (_, config) = self.decoder_sizes()?;
        let form = self.form()?;
        let adapter =
            models::tensors::adapter::Adapter::new(&adapter.read()?, &config, form, &ops::device::cpu())?;
        self.tensors = adapter.merged(self.tensors.clone(), &config, form)?;
        Ok(())
    }

    /// How people call the model.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Where settings and vocabulary are files of their own.
    pub fn folder(&self) -> Option<&'a Folder> {
        self.folder
    }

    /// The family, of decoders or encoders.
    ///
    /// # Errors
    /// A family that is not known.
    pub fn family(&self) -> Result<&'static Family, Failure> {
        match self.folder {
            Some(folder) => Ok(models::families::recognise_config(&folder.config()?, folder.label())?),
            None => Ok(models::recognise(&self.tensors).or_else(|error| {
                // An encoder is no decoder with a similar name.
                models::families::recognise_encoder(&self.tensors).map_err(|_| error)
            })?),
        }
    }

    /// Whether the family is one of encoders.
    ///
    /// # Errors
    /// A family that is not known.
    pub fn is_encoder(&self) -> Result<bool, Failure> {
        Ok(makes_vectors(self.family()?))
    }

    /// How the files write the family.
    pub fn dialect(&self, family: &'static Family) -> &'static Dialect {
        if self.folder.is_some() { &family.hugging_face } else { &family.gguf }
    }

    /// The family, and whose names the files have.
    ///
    /// # Errors
    /// A family that is not known.
    pub fn form(&self) -> Result<(&'static Family, Naming), Failure> {
        let naming = if self.folder.is_some() { Naming::HuggingFace } else { Naming::Gguf };
        Ok((self.family()?, naming))
    }

    /// The family and the sizes.
    ///
    /// # Errors
    /// A family that is not known, or sizes that make no sense.
    pub fn sizes(&self) -> Result<(&'static Family, Config), Failure> {
        match self.folder {
            Some(folder) => folder.family(),
            None => {
                let family = self.family()?;
                let label = self.tensors.file().label();
                Ok((family, Config::from_gguf(self.tensors.metadata(), &family.gguf, label)?))
            }
        }
    }

    /// The family and the sizes of a model that writes.
    ///
    /// # Errors
    /// Those of [`sizes`](Self::sizes), and an encoder.
    pub fn decoder_sizes(&self) -> Result<(&'static Family, Config), Failure> {
        let (family, config) = self.sizes()?;
        if self.n_labels()?.is_some() {
            let message = format!("{}: it judges texts and writes none", self.name);
            let hint = "send a question and texts to `POST /v1/rerank` of `hearth serve`";
            return Err(Failure::new("wrong_task", message, hint));
        }
        if self.is_encoder()? {
            return Err(no_writer(self.name));
        }
        Ok((family, config))
    }

    /// The model, ready to compute.
    ///
    /// # Errors
    /// Weights that are missing, of other shapes, or stored in a way that is not known.
    pub fn decoder(&self, device: &Device) -> Result<Decoder, Failure> {
        let (family, config) = self.decoder_sizes()?;
        Ok(Decoder::load(&self.tensors, config, self.dialect(family), device)?)
    }

    /// The files that are worth reading into large pages, where there are such and it leaves a third of the memory that is
    /// available: every token goes through all of them.
    pub fn worth_holding(&self, device: &Device) -> Vec<FileBytes> {
        let n_bytes: u64 = self.tensors.parts().iter().map(FileBytes::size_bytes).sum();
        let has_room = || memory::available().is_some_and(|available| n_bytes / 2 * 3 <= available);
        let is_worth = ops::device::is_cpu(device) && n_bytes >= HELD_BYTES && has_room();
        if is_worth && memory::has_large_pages() { self.tensors.parts().to_vec() } else { Vec::new() }
    }

    /// The encoder, ready to compute.
    ///
    /// # Errors
    /// So too, and a model that is none.
    pub fn encoder(&self, device: &Device) -> Result<Encoder, Failure> {
        let (family, config) = match self.folder {
            Some(_) if self.is_encoder()? => self.sizes()?,
            Some(_) => return Err(self.no_encoder()),
            None => {
                let family = models::families::recognise_encoder(&self.tensors)?;
                let label = self.tensors.file().label();
                (family, Config::from_gguf(self.tensors.metadata(), &family.gguf, label)?)
            }
        };
        Ok(Encoder::load(&self.tensors, config, self.dialect(family), device)?)
    }

    /// How many labels an encoder tells apart that was taught to classify; `None` for any other model.
    ///
    /// # Errors
    /// A family that is not known, or a head that the files say to have and do not.
    pub fn n_labels(&self) -> Result<Option<usize>, Failure> {
        let family = self.family()?;
        let classifies = makes_vectors(family)
            && match self.folder {
                Some(folder) => Classifier::is_in_folder(&folder.config()?),
                None => Classifier::is_in_gguf(&self.tensors)?,
            };
        if !classifies {
            return Ok(None);
        }
        let head = self.tensors.tensor(self.dialect(family).names.classifier)?;
        Ok(head.shape.first().copied())
    }

    /// The head of `encoder`, ready to compute, where it was taught to classify.
    ///
    /// # Errors
    /// Those of [`n_labels`](Self::n_labels), and weights of other shapes or stored in a way that is not known.
    pub fn classifier(&self, encoder: &Encoder, device: &Device) -> Result<Option<Classifier>, Failure> {
        if self.n_labels()?.is_none() {
            return Ok(None);
        }
        let config = encoder.config();
        Ok(Some(match self.folder {
            Some(_) => Classifier::load(&self.tensors, config, self.dialect(self.family()?), device)?,
            None => Classifier::from_gguf(&self.tensors, config, device)?,
        }))
    }

    fn no_encoder(&self) -> Failure {
        let message = format!("{}: it writes text and makes no vectors", self.name);
        Failure::new("unknown_architecture", message, "use an encoder, such as those of BERT's kind")
    }

    /// The vocabulary.
    ///
    /// # Errors
    /// One that is missing, broken or of a kind that is not known.
    pub fn tokenizer(&self) -> Result<Tokenizer, Failure> {
        match self.folder {
            Some(folder) => folder.tokenizer(),
            None => vocabulary::read(self.tensors.metadata(), self.name),
        }
    }

    /// The vocabulary, compiled where `store` keeps it so.
    ///
    /// # Errors
    /// Those of [`tokenizer`](Self::tokenizer).
    pub fn compiled_tokenizer(&self, store: &Store) -> Result<Tokenizer, Failure> {
        match self.folder {
            Some(folder) => folder.tokenizer(),
            None => vocabulary::read_or_compile(self.tensors.metadata(), self.name, store),
        }
    }

    /// The model and its vocabulary, seen to belong together.
    ///
    /// # Errors
    /// Those of both, and a vocabulary with more tokens than the model has rows for.
    pub fn decoder_and_tokenizer(&self, device: &Device) -> Result<(Decoder, Tokenizer), Failure> {
        let decoder = self.decoder(device)?;
        let tokenizer = self.tokenizer()?;
        loaded::check_fit(&tokenizer, decoder.config().vocabulary, self.name)?;
        Ok((decoder, tokenizer))
    }

    /// The chat template that the files bring.
    ///
    /// # Errors
    /// A file that is no text.
    pub fn template(&self) -> Result<Option<String>, Failure> {
        match self.folder {
            Some(folder) => folder.template(),
            None => Ok(self.tensors.metadata().find::<&str>("tokenizer.chat_template")?.map(str::to_owned)),
        }
    }

    /// How the model is spoken with.
    ///
    /// # Errors
    /// A template that is none, or settings that are broken.
    pub fn dialogue(&self, tokenizer: &Tokenizer) -> Result<Dialogue, Failure> {
        Dialogue::read(&self.sayings()?, tokenizer)
    }

    /// What the files say about speaking with the model.
    ///
    /// # Errors
    /// Settings that are broken.
    pub fn sayings(&self) -> Result<Sayings, Failure> {
        let template = self.template()?;
        match self.folder {
            Some(folder) => Ok(Sayings {
                template,
                generation_config: folder.settings("generation_config.json")?,
                config: folder.settings("config.json")?,
                tokenizer_config: folder.settings("tokenizer_config.json")?,
                ..Sayings::default()
            }),
            None => Ok(Sayings { template, ..Sayings::of_gguf(self.tensors.metadata())? }),
        }
    }
}

/// Whether a family is one of encoders.
pub(crate) fn makes_vectors(family: &'static Family) -> bool {
    models::families::ENCODERS.iter().any(|encoder| std::ptr::eq(*encoder, family))
}

/// What an encoder answers who is asked to write.
pub(crate) fn no_writer(name: &str) -> Failure {
    let message = format!("{name}: it is an encoder, which makes vectors and writes no text");
    Failure::new("wrong_task", message, format!("use `hearth embed {name}`"))
}
