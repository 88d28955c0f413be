//! The files of an image model: a folder as `diffusers` writes it, or one file that holds a whole model.
//!
//! Whatever form they have, a part of the model is its settings and its tensors, by the names that `diffusers` has for them.

use std::path::{Path, PathBuf};

use formats::{Dtype, FileBytes, TensorFile};
use models::images::single_file::{self, SingleFile};
use models::tensors::Tensors;
use serde_json::{Value, json};
use text::clip::ClipTokenizer;

use super::parts::{INDEX, SCHEDULER, SCHEDULER_CONFIG};
use super::vocabulary::FILES;
use super::writes;
use crate::Failure;
use crate::worker::folder::Folder;
use crate::worker::open::Files;

/// The parts that see noise, of which a model has one.
const SEERS: [&str; 2] = ["unet", "transformer"];
/// The settings of a part.
const CONFIG: &str = "config.json";

/// The files of an image model.
pub(crate) struct ImageFiles {
    folder: Folder,
    /// The one file that holds the model, where it is such a one.
    single: Option<TensorFile>,
    /// Where the vocabulary is that such a file does not hold.
    vocabulary: Option<Folder>,
    /// The file that holds the model that sees noise instead of the folder's.
    seer: Option<TensorFile>,
}

/// A part of a model.
pub(crate) struct Part<'a> {
    /// How errors name its settings.
    pub label: String,
    pub settings: Value,
    pub tensors: Box<dyn Tensors + 'a>,
}

impl ImageFiles {
    /// Looks at files.
    ///
    /// # Errors
    /// Files of no image model, and those that cannot be read.
    pub fn open(folder: &Folder) -> Result<Self, Failure> {
        let of = |single| Self { folder: folder.clone(), single, vocabulary: None, seer: None };
        if folder.path(INDEX).is_some() {
            return Ok(Self { seer: seer_in(folder)?, ..of(None) });
        }
        // What was named says what is wrong with it; a folder without weights is no model of this form.
        if folder.is_file() || folder.path(CONFIG).is_none() && folder.weights_name().is_ok() {
            let file = folder.tensors()?;
            if single_file::is_one(&file)? {
                return Ok(of(Some(file)));
            }
        }
        Err(no_image_model(folder))
    }

    /// The same files, with the vocabulary that one file does not hold.
    pub fn with_vocabulary(self, vocabulary: Option<Folder>) -> Self {
        Self { vocabulary, ..self }
    }

    /// The same files, with the file of a U-Net or a transformer in place of theirs.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no such model.
    pub fn with_seer(self, path: Option<&str>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(self) };
        let place = named(path, "name a GGUF or safetensors file with --transformer")?;
        let file = match Files::at(place)? {
            Files::Gguf(parts) => match parts.as_slice() {
                [file] => formats::gguf::read(file)?,
                parts => formats::gguf::join(parts)?,
            },
            Files::Folder(folder) => folder.tensors()?,
        };
        expect_seer(&file)?;
        Ok(Self { seer: Some(file), ..self })
    }

    /// How errors name the model.
    pub fn label(&self) -> &str {
        self.folder.label()
    }

    /// Where they lie.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where the one file lies that holds the whole model, where there is one.
    pub fn single_path(&self) -> Option<PathBuf> {
        let _ = self.single.as_ref()?;
        self.folder.path(self.folder.weights_name().ok()?)
    }

    /// The one file, where there is one.
    pub fn single(&self) -> Option<&TensorFile> {
        self.single.as_ref()
    }

    /// The `model_index.json`: which pipeline the files are for.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn index(&self) -> Result<Value, Failure> {
        match &self.single {
            None => self.folder.settings(INDEX)?.ok_or_else(|| no_image_model(&self.folder)),
            Some(file) => {
                let kind = SingleFile::open(file)?.kind();
                let mut index = json!({ "_class_name": kind.class() });
                if kind == single_file::Kind::SdXlRefiner {
                    index["requires_aesthetics_score"] = Value::from(true);
                    ["text_encoder", "tokenizer"].iter().for_each(|name| index[name] = json!([null, null]));
                }
                Ok(index)
            }
        }
    }

    /// How the model was trained; nothing where no file says it.
    ///
    /// # Errors
    /// Settings that cannot be read.
    pub fn scheduler(&self) -> Result<Value, Failure> {
        match &self.single {
            None => Ok(self.folder.part(SCHEDULER).settings(SCHEDULER_CONFIG)?.unwrap_or_default()),
            Some(file) => Ok(SingleFile::open(file)?.scheduler()?),
        }
    }

    /// The settings of a part, and how errors name them; `None` where there is no such part.
    ///
    /// # Errors
    /// Settings that cannot be read.
    pub fn settings(&self, name: &str) -> Result<Option<(String, Value)>, Failure> {
        let Some(file) = &self.single else {
            let folder = self.folder.part(name);
            let settings = folder.settings(CONFIG)?;
            return Ok(settings.map(|settings| (format!("{}/{CONFIG}", folder.label()), settings)));
        };
        let part = part_of(&SingleFile::open(file)?, name)?;
        Ok(part.map(|part| (self.label().to_owned(), part.settings)))
    }

    /// A part; `None` where there is none of this name.
    ///
    /// # Errors
    /// Files that cannot be read, or hold no such part.
    pub fn part(&self, name: &str) -> Result<Option<Part<'_>>, Failure> {
        let Some(file) = &self.single else {
            let Some((label, settings)) = self.settings(name)? else { return Ok(None) };
            let tensors: Box<dyn Tensors> = match &self.seer {
                Some(file) if SEERS.contains(&name) => Box::new(expect_seer(file)?),
                _ => Box::new(self.folder.part(name).tensors()?),
            };
            return Ok(Some(Part { label, settings, tensors }));
        };
        if let (Some(seer), true) = (&self.seer, SEERS.contains(&name)) {
            let part = self.settings(name)?;
            let tensors = Box::new(expect_seer(seer)?);
            return Ok(part.map(|(label, settings)| Part { label, settings, tensors }));
        }
        let part = part_of(&SingleFile::open(file)?, name)?;
        let label = self.label().to_owned();
        Ok(part.map(|part| Part { label, settings: part.settings, tensors: Box::new(part.tensors) }))
    }

    /// Whether a part has files of its own, with its names in them.
    pub fn is_alone(&self, name: &str) -> bool {
        self.single.is_none() && !(self.seer.is_some() && SEERS.contains(&name))
    }

    /// What most bytes of a part are stored in.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn storage(&self, name: &str) -> Result<Dtype, Failure> {
        let own = match (&self.seer, &self.single) {
            (None, None) => Some(self.folder.part(name).tensors()?),
            _ => None,
        };
        let file = self.seer.as_ref().or(self.single.as_ref()).or(own.as_ref());
        let tensors = file.map(TensorFile::tensors).unwrap_or_default();
        let bytes = |dtype: Dtype| -> usize {
            tensors.iter().filter(|tensor| tensor.dtype == dtype).map(|tensor| tensor.range.len()).sum()
        };
        let mut dtypes: Vec<Dtype> = tensors.iter().map(|tensor| tensor.dtype).collect();
        dtypes.sort_by_key(|dtype| dtype.name());
        dtypes.dedup();
        let most = dtypes.into_iter().max_by_key(|dtype| bytes(*dtype));
        most.ok_or_else(|| self.missing(name))
    }

    /// Bytes that the weights of a part have in its files.
    pub fn size_bytes(&self, name: &str) -> u64 {
        if let (Some(seer), true) = (&self.seer, SEERS.contains(&name)) {
            let is_there = self.settings(name).is_ok_and(|settings| settings.is_some());
            return if is_there { seer.parts().iter().map(FileBytes::size_bytes).sum() } else { 0 };
        }
        let Some(file) = &self.single else { return self.folder.part(name).size_bytes() };
        let prefix = SingleFile::open(file).ok().and_then(|single| single.prefix(name));
        let Some(prefix) = prefix else { return 0 };
        let of_part = file.tensors().iter().filter(|tensor| tensor.name.starts_with(prefix));
        of_part.filter_map(|tensor| tensor.spec().size_bytes().ok()).sum()
    }

    /// The vocabulary of a text encoder that is CLIP's.
    ///
    /// # Errors
    /// Files that are not there, or what is wrong with them.
    pub fn clip_words(&self, vocabulary: &str) -> Result<ClipTokenizer, Failure> {
        let missing = || match self.single {
            Some(_) => super::vocabulary::missing(self.label()),
            None => self.missing(&format!("{vocabulary}/{}", FILES[0])),
        };
        super::vocabulary::read(&self.words(vocabulary).ok_or_else(missing)?)?.ok_or_else(missing)
    }

    /// A file of the vocabulary of a text encoder, where there is one of this name.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn word_file(&self, vocabulary: &str, name: &str) -> Result<Option<FileBytes>, Failure> {
        self.words(vocabulary).map_or(Ok(None), |folder| folder.file(name))
    }

    fn words(&self, vocabulary: &str) -> Option<Folder> {
        match self.single {
            Some(_) => self.vocabulary.clone(),
            None => Some(self.folder.part(vocabulary)),
        }
    }

    /// The token with which prompts of a text encoder are filled up, where that is not the one that ends them.
    ///
    /// # Errors
    /// Settings that cannot be read.
    pub fn padding(&self, encoder: &str, vocabulary: &str) -> Result<Option<String>, Failure> {
        if let Some(file) = &self.single {
            return Ok(SingleFile::open(file)?.padding(encoder).map(str::to_owned));
        }
        let settings = self.folder.part(vocabulary).settings("tokenizer_config.json")?.unwrap_or_default();
        let token = &settings["pad_token"];
        Ok(token.as_str().or(token["content"].as_str()).map(str::to_owned))
    }

    /// The failure of a part that is not there.
    pub fn missing(&self, name: &str) -> Failure {
        let message = format!("{}: there is no {name}", self.label());
        Failure::new("bad_file", message, "fetch the model again, with all its folders")
    }
}

fn part_of<'a>(file: &SingleFile<'a>, name: &str) -> Result<Option<single_file::Part<'a>>, Failure> {
    Ok(match name {
        "unet" => Some(file.unet()?),
        "vae" => Some(file.auto_encoder()?),
        // Of its text encoders those that it has for its kind.
        _ if file.prefix(name).is_some() => file.texts()?.into_iter().find(|text| text.folder == name),
        _ => None,
    })
}

/// The GGUF file of a model whose folder has no other weights of the part that sees noise.
fn seer_in(folder: &Folder) -> Result<Option<TensorFile>, Failure> {
    for name in SEERS {
        let part = folder.part(name);
        if part.path(CONFIG).is_none() || part.weights_name().is_ok() {
            continue;
        }
        if let Some(file) = part.names()?.into_iter().find(|name| name.ends_with(".gguf"))
            && let Some(file) = part.file(&file)?
        {
            let file = formats::gguf::read(&file)?;
            expect_seer(&file)?;
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The path that a person names.
///
/// # Errors
/// `no_such_file`, with how it is named in `hint`.
pub(super) fn named<'a>(name: &'a str, hint: &str) -> Result<&'a Path, Failure> {
    let path = Path::new(name);
    let missing = || Failure::new("no_such_file", format!("{name}: there is no such file or folder"), hint);
    path.exists().then_some(path).ok_or_else(missing)
}

/// The tensors of a model that sees noise, by the names that a folder has for them.
fn expect_seer(file: &TensorFile) -> Result<single_file::Renamed<'_>, Failure> {
    single_file::seer(file)?.ok_or_else(|| {
        let message =
            format!("{}: it holds no transformer and no U-Net of a kind that is known", file.file().label());
        Failure::new("unknown_family", message, "name a file of FLUX, Z-Image or Stable Diffusion")
    })
}

/// Whether these are the files of an image model.
pub(crate) fn is_image_model(folder: &Folder) -> bool {
    ImageFiles::open(folder).is_ok()
}

fn no_image_model(folder: &Folder) -> Failure {
    if folder.path(CONFIG).is_some() && !folder.is_file() {
        return writes(folder.label());
    }
    let message = match folder.is_file() {
        true => format!("{}: it holds no image model of a kind that is known", folder.label()),
        false => format!("{}: there is no {INDEX}: these are no files of an image model", folder.label()),
    };
    let hint =
        "name a folder as diffusers writes it, with unet, vae and text_encoder, or a file of a whole model";
    Failure::new("wrong_task", message, hint)
}
