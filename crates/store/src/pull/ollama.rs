//! A model of an Ollama registry: a manifest that names layers by their digests, each a part of the model.
//!
//! Source: the Docker registry's protocol, version 2, schema 2, with Ollama's own media types.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::address::Address;
use super::client::{Ask, Credential};
use super::plan::{Plan, Wanted};
use super::problem::Announced;
use super::remote::{Kind, Remote};
use super::session::Session;
use super::{Problem, json};
use crate::{Digest, Role};

/// A manifest of two hundred layers is a tenth of it.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// Settings, system texts and messages are read into the model's parameters.
const MAX_TEXT_BYTES: u64 = 1 << 20;

const MAX_LAYERS: usize = 256;

const ACCEPT: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What the registry says of a tag.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageManifest {
    #[serde(default)]
    config: Option<Layer>,
    layers: Vec<Layer>,
}

#[derive(Debug, Deserialize)]
struct Layer {
    #[serde(rename = "mediaType")]
    media_type: String,
    /// Anything but a digest is refused here: a digest becomes a part of a path.
    digest: Digest,
    size: u64,
}

/// What a layer is for.
enum Part {
    File(Role, &'static str),
    Parameters,
    Messages,
    System,
}

pub(super) fn plan(session: &Session<'_>, remote: &Remote, end_point: &Address) -> Result<Plan, Problem> {
    let Kind::Ollama { host, namespace, name, tag } = &remote.kind else {
        unreachable!("only models of a registry come here");
    };
    // The token is for the registry of the settings, not for one that a name brings along.
    let token = session.settings.ollama_token.clone().filter(|_| host.is_none());
    let credential = token.map(|token| Credential { origin: end_point.origin.clone(), token });
    let base = end_point.below(["v2", namespace, name]);
    let registry = Registry { session, base: &base, credential: credential.as_ref() };
    let bytes = registry.manifest(tag)?;
    let manifest = ImageManifest::read(&bytes)?;
    let weights_format = registry.weights_format(&manifest)?;
    let mut parameters = Map::new();
    let mut files = Vec::new();
    for layer in &manifest.layers {
        match layer.part(weights_format) {
            Some(Part::File(role, format)) => files.push(registry.wanted(layer, role, format)),
            Some(Part::Parameters) => match registry.read(layer)? {
                Value::Object(settings) => parameters.extend(settings),
                _ => {
                    return Err(Problem::BadAnswer {
                        rule: "parameters are a JSON object",
                        shown: String::new(),
                    });
                }
            },
            Some(Part::Messages) => {
                parameters.insert("messages".into(), registry.read(layer)?);
            }
            Some(Part::System) => {
                parameters.insert("system".into(), registry.text(layer)?.into());
            }
            None => {}
        }
    }
    if !files.iter().any(|file| file.role == Role::Model) {
        return Err(Problem::NoWeights);
    }
    let version = Digest::of(&bytes).to_string();
    Ok(Plan { files, parameters, version, license: None, credential, quantisations: Vec::new() })
}

/// A model at a registry, and how to reach its layers.
struct Registry<'a> {
    session: &'a Session<'a>,
    base: &'a Address,
    credential: Option<&'a Credential>,
}

impl Registry<'_> {
    fn manifest(&self, tag: &str) -> Result<Vec<u8>, Problem> {
        let address = self.base.below(["manifests", tag]);
        let headers = [("accept", ACCEPT.to_owned())];
        let ask = Ask { address: &address, credential: self.credential, headers: &headers };
        self.session.ask(ask, |answer| match answer.refusal(self.credential, self.session.now_unix_ms()) {
            Some(Problem::NotFound { .. }) => Err(Problem::NotFound { what: "model or tag" }),
            Some(problem) => Err(problem),
            None => answer.read_all(&self.session.client, "the registry's manifest", MAX_MANIFEST_BYTES),
        })
    }

    fn address(&self, layer: &Layer) -> Address {
        self.base.below(["blobs"]).digest(&layer.digest)
    }

    fn wanted(&self, layer: &Layer, role: Role, format: &str) -> Wanted {
        let name = layer.media_type.rsplit('.').next().unwrap_or_default();
        Wanted {
            role,
            format: format.to_owned(),
            name: crate::error::shown(name),
            address: self.address(layer),
            announced: Announced::Sha256(layer.digest),
            size_bytes: Some(layer.size),
            etag: None,
            gate: None,
        }
    }

    /// A short layer, checked against its digest.
    fn bytes(&self, layer: &Layer) -> Result<Vec<u8>, Problem> {
        let address = self.address(layer);
        let ask = Ask { address: &address, credential: self.credential, headers: &[] };
        self.session.ask(ask, |answer| {
            if let Some(problem) = answer.refusal(self.credential, self.session.now_unix_ms()) {
                return Err(problem);
            }
            let bytes = answer.read_all(&self.session.client, "a layer of settings", MAX_TEXT_BYTES)?;
            let found = Digest::of(&bytes);
            if found == layer.digest {
                return Ok(bytes);
            }
            // Worth another try within the usual patience.
            Err(Problem::BadAnswer { rule: "a layer has the digest of its name", shown: found.to_string() })
        })
    }

    fn read(&self, layer: &Layer) -> Result<Value, Problem> {
        json(&self.bytes(layer)?, "a layer of settings is JSON")
    }

    fn text(&self, layer: &Layer) -> Result<String, Problem> {
        let rule = "a layer of text is UTF-8";
        String::from_utf8(self.bytes(layer)?).map_err(|_| Problem::BadAnswer { rule, shown: String::new() })
    }

    /// `gguf` unless the configuration says otherwise.
    fn weights_format(&self, manifest: &ImageManifest) -> Result<&'static str, Problem> {
        let Some(config) = &manifest.config else { return Ok("gguf") };
        let config = self.read(config)?;
        match config.get("model_format").and_then(Value::as_str) {
            None | Some("" | "gguf") => Ok("gguf"),
            Some("safetensors") => Ok("safetensors"),
            Some(other) => {
                let rule = "weights are in GGUF or safetensors";
                Err(Problem::BadAnswer { rule, shown: crate::error::shown(other) })
            }
        }
    }
}

impl ImageManifest {
    /// Reads a registry's manifest; a digest that is none is refused.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let manifest: Self = json(bytes, "a registry's manifest names its layers by their SHA-256")?;
        if manifest.layers.len() > MAX_LAYERS {
            let rule = "a manifest has at most 256 layers";
            return Err(Problem::BadAnswer { rule, shown: manifest.layers.len().to_string() });
        }
        Ok(manifest)
    }
}

impl Layer {
    /// What the layer is for; `None` for what a newer registry may add.
    fn part(&self, weights_format: &'static str) -> Option<Part> {
        Some(match self.media_type.strip_prefix("application/vnd.ollama.image.")? {
            "model" => Part::File(Role::Model, weights_format),
            "adapter" => Part::File(Role::Adapter, weights_format),
            "projector" => Part::File(Role::Projector, weights_format),
            // Ollama's templates are written for Go's template engine.
            "template" => Part::File(Role::Template, "go-template"),
            "license" => Part::File(Role::License, "text"),
            "params" => Part::Parameters,
            "system" => Part::System,
            "messages" => Part::Messages,
            _ => return None,
        })
    }
}
