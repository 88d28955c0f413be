//! What can be pulled: a repository of Hugging Face, a model of an Ollama registry, a file at an address.
//!
//! Not a model's name: that says where a model lies here. A text is one of
//! `hf.co/user/repo[:QUANT][@REVISION]`, `[host/][namespace/]name[:tag]`, `https://…`.

use std::fmt;

use super::address::{Address, without_secrets};
use super::{Problem, Settings};
use crate::error::shown;
use crate::{Error, ModelName, Result};

/// The branch that is meant where none is named.
pub(super) const MAIN: &str = "main";

/// Where something is pulled from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    HuggingFace {
        user: String,
        repo: String,
        quantisation: Option<String>,
        revision: Option<String>,
    },
    Ollama {
        /// `None` for the registry of the settings.
        host: Option<String>,
        namespace: String,
        name: String,
        tag: String,
    },
    Url(Address),
}

impl Remote {
    /// Reads what a person writes. An address on Hugging Face's own pages is understood as the repository.
    ///
    /// # Errors
    /// [`Error::Remote`] with [`Problem::BadAddress`]; [`Error::BadName`] for what is not even a name.
    pub fn parse(text: &str) -> Result<Self> {
        let failed = |problem| Error::remote(&without_secrets(text), problem);
        if text.contains("://") {
            let address = Address::parse(text).map_err(failed)?;
            return match of_page(&address).map_err(failed)? {
                Some(remote) => Ok(remote),
                None => Self::of_file(address).map_err(failed),
            };
        }
        let (path, revision) = match text.split_once('@') {
            Some((path, revision)) => (path, Some(check_revision(revision).map_err(failed)?)),
            None => (text, None),
        };
        let path = path
            .strip_prefix("huggingface.co/")
            .map_or_else(|| path.to_owned(), |rest| format!("hf.co/{rest}"));
        let name = ModelName::parse(&path)?;
        let is_hugging_face = name.host().eq_ignore_ascii_case("hf.co");
        if revision.is_some() && !is_hugging_face {
            let rule = "only a repository of hf.co has revisions; a registry has tags, name:tag";
            return Err(failed(bad(text, rule)));
        }
        let (namespace, model, tag) =
            (name.namespace().to_owned(), name.name().to_owned(), name.tag().to_owned());
        if is_hugging_face {
            let quantisation = Some(tag).filter(|tag| !tag.eq_ignore_ascii_case("latest"));
            let kind = Kind::HuggingFace { user: namespace, repo: model, quantisation, revision };
            return Ok(Self { kind });
        }
        let host = Some(name.host().to_owned()).filter(|_| !name.is_at_home());
        Ok(Self { kind: Kind::Ollama { host, namespace, name: model, tag } })
    }

    fn of_file(address: Address) -> std::result::Result<Self, Problem> {
        match format_of(address.file_name()) {
            Some(_) => Ok(Self { kind: Kind::Url(address) }),
            None => Err(bad(&address.to_string(), "the address of a file ends in .gguf or .safetensors")),
        }
    }

    /// The name under which it is stored unless the person gives another.
    ///
    /// # Errors
    /// [`Error::BadName`] where a file's name is no model name; the person then gives one.
    pub fn default_name(&self) -> Result<ModelName> {
        match &self.kind {
            Kind::HuggingFace { user, repo, quantisation, .. } => {
                let tag = quantisation.as_deref().unwrap_or("latest");
                ModelName::parse(&format!("hf.co/{user}/{repo}:{tag}"))
            }
            Kind::Ollama { host: None, namespace, name, tag } => {
                ModelName::parse(&format!("hearth.local/{namespace}/{name}:{tag}"))
            }
            Kind::Ollama { host: Some(host), namespace, name, tag } => {
                ModelName::parse(&format!("{host}/{namespace}/{name}:{tag}"))
            }
            Kind::Url(address) => {
                let file = address.file_name();
                let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
                ModelName::parse(stem)
            }
        }
    }

    /// The same repository's files of this quantisation; what has no quantisations to choose from stays as it is.
    #[must_use]
    pub fn in_quantisation(&self, name: &str) -> Self {
        let mut other = self.clone();
        if let Kind::HuggingFace { quantisation, .. } = &mut other.kind {
            *quantisation = Some(name.to_owned());
        }
        other
    }

    /// What [`Remote::parse`] reads to ask for the same again; empty where that would hold a secret.
    pub(super) fn text_to_ask_again(&self) -> String {
        match &self.kind {
            Kind::Url(address) if address.has_query() => String::new(),
            _ => self.to_string(),
        }
    }

    /// Where its requests begin, and the hosts that the person named by it and by the settings.
    pub(super) fn end_point(&self, settings: &Settings) -> std::result::Result<Address, Problem> {
        match &self.kind {
            Kind::HuggingFace { .. } => Address::parse(&settings.hugging_face),
            Kind::Ollama { host: None, .. } => Address::parse(&settings.ollama),
            Kind::Ollama { host: Some(host), .. } => Address::parse(&format!("https://{host}")),
            Kind::Url(address) => Ok(address.clone()),
        }
    }
}

/// The text that [`Remote::parse`] reads; an address without its query, which may be a secret.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::HuggingFace { user, repo, quantisation, revision } => {
                write!(f, "hf.co/{user}/{repo}")?;
                quantisation.as_ref().map_or(Ok(()), |quantisation| write!(f, ":{quantisation}"))?;
                revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
            }
            Kind::Ollama { host, namespace, name, tag } => {
                host.as_ref().map_or(Ok(()), |host| write!(f, "{host}/"))?;
                if host.is_some() || namespace != "library" {
                    write!(f, "{namespace}/")?;
                }
                write!(f, "{name}:{tag}")
            }
            Kind::Url(address) => address.fmt(f),
        }
    }
}

/// The format that a file's name promises, if it is one that a model can be pulled as.
pub(super) fn format_of(file_name: &str) -> Option<&'static str> {
    let lower = file_name.to_ascii_lowercase();
    ["gguf", "safetensors"].into_iter().find(|format| {
        lower
            .strip_suffix(format)
            .and_then(|stem| stem.strip_suffix('.'))
            .is_some_and(|stem| !stem.is_empty())
    })
}

/// A repository's page, as copied from a browser: `/user/repo`, or `/user/repo/tree/REVISION`.
fn of_page(address: &Address) -> std::result::Result<Option<Remote>, Problem> {
    if !["huggingface.co", "hf.co"].contains(&address.origin.host.as_str()) || !address.origin.is_secure {
        return Ok(None);
    }
    let parts: Vec<&str> = address.parts().collect();
    let (user, repo, revision) = match parts[..] {
        [user, repo] => (user, repo, None),
        [user, repo, "tree", revision] => (user, repo, Some(check_revision(revision)?)),
        _ => return Ok(None),
    };
    let name = ModelName::parse(&format!("hf.co/{user}/{repo}"));
    let Ok(name) = name else { return Err(bad(&address.to_string(), "its path is no /user/repo")) };
    let (user, repo) = (name.namespace().to_owned(), name.name().to_owned());
    Ok(Some(Remote { kind: Kind::HuggingFace { user, repo, quantisation: None, revision } }))
}

/// A branch, tag or commit: a part of a request's path, never of a path here.
fn check_revision(text: &str) -> std::result::Result<String, Problem> {
    const MAX_BYTES: usize = 128;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let is_sound = !text.is_empty()
        && text.len() <= MAX_BYTES
        && text.bytes().all(allowed)
        && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains(".."));
    if is_sound { Ok(text.to_owned()) } else { Err(bad(text, "a revision is a branch, tag or commit")) }
}

fn bad(given: &str, rule: &'static str) -> Problem {
    Problem::BadAddress { given: shown(given), rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood_and_shown_again() {
        let check = |text: &str, shown: &str, name: &str| {
            let remote = Remote::parse(text).unwrap();
            assert_eq!(remote.to_string(), shown);
            assert_eq!(Remote::parse(shown).unwrap(), remote);
            assert_eq!(remote.default_name().unwrap().to_string(), name);
        };
        check("hf.co/a/B", "hf.co/a/B", "hf.co/a/B");
        check("huggingface.co/a/B:Q8_0", "hf.co/a/B:Q8_0", "hf.co/a/B:Q8_0");
        check("hf.co/a/B:Q8_0@refs/pr/1", "hf.co/a/B:Q8_0@refs/pr/1", "hf.co/a/B:Q8_0");
        check("https://huggingface.co/a/B", "hf.co/a/B", "hf.co/a/B");
        check("https://hf.co/a/B/tree/v1", "hf.co/a/B@v1", "hf.co/a/B");
        check("llama3.2:1b", "llama3.2:1b", "llama3.2:1b");
        check("llama3.2", "llama3.2:latest", "llama3.2");
        check("anna/poems:x", "anna/poems:x", "anna/poems:x");
        check("reg.example/anna/poems", "reg.example/anna/poems:latest", "reg.example/anna/poems");
        check("https://h.example/m/tiny-Q4_0.gguf", "https://h.example/m/tiny-Q4_0.gguf", "tiny-Q4_0");
    }

    #[test]
    fn another_quantisation_of_the_same_repository_is_asked_for() {
        let other = |text: &str| Remote::parse(text).unwrap().in_quantisation("Q8_0").to_string();
        assert_eq!(other("hf.co/a/B"), "hf.co/a/B:Q8_0");
        assert_eq!(other("hf.co/a/B:Q4_0@main"), "hf.co/a/B:Q8_0@main");
        assert_eq!(other("llama3.2:1b"), "llama3.2:1b");
    }

    #[test]
    fn what_cannot_be_pulled_is_refused() {
        for text in [
            "",
            "hf.co/a",
            "hf.co/a/b@",
            "hf.co/a/b@../x",
            "hf.co/a/b@a b",
            "llama3.2@main",
            "https://h/",
            "https://h/a.bin",
            "https://h/.gguf",
            "ftp://h/a.gguf",
            "https://u:p@h/a.gguf",
            "../a",
            "https://hf.co/a/..",
        ] {
            let error = Remote::parse(text).expect_err(text);
            assert!(!error.hint().is_empty(), "{error}");
        }
        let error = Remote::parse("https://u:SECRET@h/a.gguf?sig=SECRET").unwrap_err();
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }
}
