//! The names of models in a job: whoever asks over a network may name what is in the store, and no file of this machine.

use super::Job;
use super::library::Base;
use crate::Failure;
use crate::worker::open;

impl Job {
    /// Refuses a job that names a file or folder of this machine, or one that only the person at it may ask for.
    ///
    /// # Errors
    /// `model_not_found`, whether there is such a file or not.
    pub(crate) fn check_from_afar(&self) -> Result<(), Failure> {
        let names: Vec<&str> = match self {
            Self::Generate(generate) => vec![&generate.model, generate.draft.as_deref().unwrap_or_default()],
            Self::Render(generate) => vec![&generate.model],
            Self::Embed(embed) => vec![&embed.model],
            Self::Rerank(rerank) => vec![&rerank.model],
            // Not with files, which lie on this machine; a prompt names LoRAs of the home.
            Self::Draw(draw) if draw.names_no_file() => {
                let parts = [&draw.model, &draw.tokenizer, &draw.transformer];
                parts.map(|name| name.as_deref().unwrap_or_default()).to_vec()
            }
            Self::Tokenise(tokenise) => vec![&tokenise.model],
            Self::Detokenise(detokenise) => vec![&detokenise.model],
            Self::Show { model } | Self::Modelfile { model } | Self::Unload { model } => vec![model],
            Self::Remove { model } | Self::Pin { model } | Self::Unpin { model } => vec![model],
            Self::Copy { from, to } => vec![from, to],
            Self::Make(make) => match &make.base {
                Base::Model(base) => vec![&make.model, base],
                Base::Files(_) => vec![&make.model],
            },
            // Not with a text or a file of importance, which lie on this machine.
            Self::Quantise(quantise) if quantise.text.is_none() && quantise.importance.is_none() => {
                vec![&quantise.model, quantise.name.as_deref().unwrap_or_default()]
            }
            Self::Blob { .. } => Vec::new(),
            Self::Pull(_) | Self::List | Self::Loaded | Self::Outdated { .. } | Self::Verify { .. } => {
                Vec::new()
            }
            _ => {
                let message = "this is for the person at this machine";
                return Err(Failure::new("not_from_afar", message, "run it there, as a command of `hearth`"));
            }
        };
        let parts = names.iter().flat_map(|name| name.split('+'));
        match parts.into_iter().find(|name| open::is_a_path(name)) {
            Some(name) => Err(Failure::new(
                "model_not_found",
                format!("there is no model {name:?}: a request may not name files"),
                "import it first: `hearth import PATH --name NAME`",
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::draw::{Control, Draw, File};
    use crate::job::{Generate, Prompt};

    #[test]
    fn who_asks_from_afar_names_no_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m.gguf");
        std::fs::write(&file, "GGUF").unwrap();
        let ask =
            |model: &str| Job::Generate(Generate::new(model, Prompt::Raw("a".into()))).check_from_afar();
        for name in ["starter", "hf.co/user/repo:Q4_K_M", "a+b", "library/a:latest"] {
            assert_eq!(ask(name), Ok(()), "{name}");
        }
        let there = file.to_str().unwrap();
        for name in [there, "/etc/passwd", "../x", "./x", "a+/etc/hostname", "~/m", "m.gguf", "src", "C:\\m"]
        {
            assert_eq!(ask(name).unwrap_err().code, "model_not_found", "{name}");
        }
        let mut draw = Draw::new("painter", "a house");
        assert_eq!(Job::Draw(draw.clone()).check_from_afar(), Ok(()));
        draw.transformer = Some(there.to_owned());
        assert_eq!(Job::Draw(draw.clone()).check_from_afar().unwrap_err().code, "model_not_found");
        let map = File { name: "map.png".into(), bytes: Vec::new() };
        let control = Control { model: "canny".into(), map, weight: 1.0, from: 0.0, to: 1.0 };
        let draw = Draw { transformer: None, ..draw };
        let upscaler = Some("x4.pth".to_owned());
        assert_eq!(
            Job::Draw(Draw { upscaler, ..draw.clone() }).check_from_afar().unwrap_err().code,
            "not_from_afar"
        );
        let draw = Draw { controls: vec![control], ..draw };
        assert_eq!(Job::Draw(draw).check_from_afar().unwrap_err().code, "not_from_afar");
        assert_eq!(Job::List.check_from_afar(), Ok(()));
        let collect = Job::PlanCollection { n_versions: None };
        assert_eq!(collect.check_from_afar().unwrap_err().code, "not_from_afar");
    }
}
