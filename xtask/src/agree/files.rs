//! The six files that are asked where none is named: the model in the box and stories260K in F16, Q8_0 and Q4_0.
//!
//! Hearth makes them, in a home of their own below the target folder; what is there already is made anew. The
//! checkpoint of stories260K is of the shared data.

use super::Wishes;
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file to ask, and the texts whose prompts it is asked.
pub struct File {
    pub model: PathBuf,
    pub texts: PathBuf,
}

/// How a file is made from a model of the home.
enum Make {
    Export(&'static str),
    Quantize(&'static str),
}

const KINDS: [(&str, Make); 3] =
    [("F16", Make::Export("f16")), ("Q8_0", Make::Export("q8_0")), ("Q4_0", Make::Quantize("Q4_0"))];

/// Makes all files. The model in the box is asked held-out questions of all that it learned, unless other texts are
/// wished; stories260K is asked to continue stories.
pub fn make(wishes: &Wishes) -> Result<Vec<File>> {
    let shared = workspace::shared_data().context("../shared is not here: name files with --model")?;
    let folder = std::path::absolute(workspace::target().join("agree"))?;
    std::fs::create_dir_all(&folder)?;
    let program = Program { path: std::path::absolute(&wishes.program)?, home: folder.join("home") };
    let questions = match &wishes.texts {
        Some(texts) => texts.clone(),
        None => questions(&folder)?,
    };
    let stories = shared.join("llm/stories260K");
    let tokenizer = stories.join("tok512.bin");
    program.import(&stories.join("stories260K.bin"), &tokenizer, "stories260K")?;
    let mut files = program.files("starter", &folder, &questions)?;
    let texts = shared.join("text/tinystories/tiny_stories.txt");
    files.extend(program.files("stories260K", &folder, &texts)?);
    Ok(files)
}

/// Held-out questions, written by their own program.
fn questions(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("questions.jsonl");
    let path_text = path.to_str().context("the target folder's name is no UTF-8")?;
    crate::starter_check::write_held_out(&["--out".to_owned(), path_text.to_owned()])?;
    Ok(path)
}

/// Hearth with a home of its own.
struct Program {
    path: PathBuf,
    home: PathBuf,
}

impl Program {
    fn files(&self, model: &str, folder: &Path, texts: &Path) -> Result<Vec<File>> {
        let mut files = Vec::new();
        for (kind, make) in &KINDS {
            let path = folder.join(format!("{model}-{kind}.gguf"));
            match make {
                Make::Export(storage) => self.export(model, &path, &["--storage", storage])?,
                Make::Quantize(mix) => {
                    let name = format!("{model}-made:{}", mix.to_lowercase());
                    self.run(&["quantize", model, mix, "--name", &name].map(Path::new))?;
                    self.export(&name, &path, &[])?;
                }
            }
            files.push(File { model: path, texts: texts.to_owned() });
        }
        Ok(files)
    }

    fn import(&self, checkpoint: &Path, tokenizer: &Path, name: &str) -> Result<()> {
        let [import, with, named, name] = ["import", "--tokenizer", "--name", name].map(Path::new);
        self.run(&[import, checkpoint, with, tokenizer, named, name])
    }

    fn export(&self, model: &str, to: &Path, options: &[&str]) -> Result<()> {
        let mut arguments = vec![Path::new("export"), Path::new(model), Path::new("--out"), to];
        arguments.extend(options.iter().map(Path::new));
        self.run(&arguments)
    }

    fn run(&self, arguments: &[&Path]) -> Result<()> {
        let output = Command::new(&self.path).args(arguments).env("HEARTH_HOME", &self.home).output();
        let output = output.with_context(|| format!("{} does not start", self.path.display()))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} {arguments:?}: {said}", self.path.display());
        Ok(())
    }
}
