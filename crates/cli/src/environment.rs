//! The process's environment, read here and nowhere else.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use app::{Failure, Network, Settings};

use crate::terminal::paint::Color;
use crate::terminal::units;

/// The variables, for help pages.
pub const VARIABLES: &[(&str, &str)] = &[
    ("HEARTH_HOME", "where models and config.toml are kept (default: ~/.hearth)"),
    ("HEARTH_THREADS", "how many threads compute (default: one for each core)"),
    (
        "HEARTH_ISA",
        "limit the instruction set: scalar, avx2, avx512, avx512vnni, avx512bf16, avx512fp16, amx; on aarch64 neon, neondotprod, neoni8mm (default: the best)",
    ),
    (
        "HEARTH_KV_CACHE",
        "what keys and values are kept in: f32, f16, q8_0 or q4_0 (default: f16, but f32 beside weights of f32)",
    ),
    (
        "HEARTH_MEMORY",
        "memory that models may take (8GB), together with the program (default: most of what is free)",
    ),
    (
        "HEARTH_KEEP_PREFIXES",
        "keep what is computed of texts on disk for later calls, so many bytes (2GB) at most; these files tell what the \
         texts were (default: nothing is kept)",
    ),
    ("HF_TOKEN", "the secret for `hearth pull` from Hugging Face; HF_ENDPOINT names another address of it"),
    (
        "HTTPS_PROXY",
        "the proxy for `hearth pull`; NO_PROXY lists hosts without it, SSL_CERT_FILE other roots",
    ),
    ("OLLAMA_MODELS", "where Ollama keeps its models, used in place (default: ~/.ollama/models)"),
    ("HF_HUB_CACHE", "the Hugging Face cache, used in place (default: ~/.cache/huggingface/hub)"),
    ("NO_COLOR", "no colours, when set and not empty"),
];

/// Reads a variable; absent where it is not set or empty.
pub fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The settings that `read` tells, usually from the environment.
pub fn settings(read: impl Fn(&str) -> Option<OsString>) -> Result<Settings, Failure> {
    let home = match read("HEARTH_HOME") {
        Some(home) => PathBuf::from(home),
        None => person(&read)?.join(".hearth"),
    };
    let n_threads = match text(&read, "HEARTH_THREADS")? {
        Some(count) => Some(threads(&count)?),
        None => None,
    };
    Ok(Settings {
        home,
        n_threads,
        isa: text(&read, "HEARTH_ISA")?,
        device: None,
        kept: text(&read, "HEARTH_KV_CACHE")?,
        prefix_bytes: bytes(&read, "HEARTH_KEEP_PREFIXES")?,
        memory_bytes: bytes(&read, "HEARTH_MEMORY")?,
        max_requests: None,
        ollama_models: ollama_models(&read),
        hugging_face_hub: hugging_face_hub(&read),
        network: network(&read)?,
    })
}

/// A number of bytes, as `2GB`.
fn bytes(read: &impl Fn(&str) -> Option<OsString>, name: &str) -> Result<Option<u64>, Failure> {
    let Some(size) = text(read, name)? else { return Ok(None) };
    let wrong =
        |why| Failure::new("bad_setting", format!("{name}: {why}"), format!("unset {name}, or write 2GB"));
    units::parse_bytes(&size).map(Some).map_err(wrong)
}

/// Where Ollama keeps its models. Source: its documentation, "Where are models stored?".
fn ollama_models(read: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let default = || Some(person(read).ok()?.join(".ollama").join("models"));
    folder(read("OLLAMA_MODELS")).or_else(default)
}

/// Where the Hugging Face cache keeps its repositories. Source: the documentation of `huggingface_hub`,
/// "Environment variables".
fn hugging_face_hub(read: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let below_home = || Some(folder(read("HF_HOME"))?.join("hub"));
    let default = || Some(person(read).ok()?.join(".cache").join("huggingface").join("hub"));
    folder(read("HF_HUB_CACHE")).or_else(below_home).or_else(default)
}

/// A folder that a variable names, wherever the program was called.
fn folder(value: Option<OsString>) -> Option<PathBuf> {
    std::path::absolute(value?).ok()
}

/// How the network is reached, by the variables that other programs read too.
fn network(read: &impl Fn(&str) -> Option<OsString>) -> Result<Network, Failure> {
    let either = |names: [&str; 2]| match text(read, names[0])? {
        Some(value) => Ok(Some(value)),
        None => text(read, names[1]),
    };
    let no_proxy = either(["NO_PROXY", "no_proxy"])?.unwrap_or_default();
    let hosts = no_proxy.split(',').map(str::trim).filter(|host| !host.is_empty());
    let certificates_pem = match read("SSL_CERT_FILE") {
        Some(path) => Some(std::fs::read(&path).map_err(|error| {
            let message = format!("SSL_CERT_FILE names {}: {error}", path.to_string_lossy());
            Failure::new("bad_setting", message, "name a readable file of certificates, or unset it")
        })?),
        None => None,
    };
    Ok(Network {
        hugging_face: text(read, "HF_ENDPOINT")?,
        hugging_face_token: either(["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"])?,
        registry: text(read, "HEARTH_REGISTRY")?,
        proxy: either(["HTTPS_PROXY", "https_proxy"])?,
        no_proxy: hosts.map(str::to_owned).collect(),
        certificates_pem,
    })
}

/// Colours unless somebody said no, or the terminal knows none.
pub fn color(read: impl Fn(&str) -> Option<OsString>) -> Color {
    if read("NO_COLOR").is_some() || is_dumb(read) { Color::Off } else { Color::On }
}

/// Whether the terminal cannot move its cursor.
pub fn is_dumb(read: impl Fn(&str) -> Option<OsString>) -> bool {
    read("TERM").is_some_and(|term| term == "dumb")
}

/// The folder of the person who calls.
fn person(read: &impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Failure> {
    let home = read("HOME").or_else(|| read("USERPROFILE")).map(PathBuf::from);
    home.ok_or_else(|| {
        let hint = "set HEARTH_HOME to the folder where models are to be kept";
        Failure::new("no_home", "neither HEARTH_HOME nor HOME is set", hint)
    })
}

fn text(read: &impl Fn(&str) -> Option<OsString>, name: &str) -> Result<Option<String>, Failure> {
    let value = read(name).map(OsString::into_string).transpose();
    value.map_err(|value| {
        let message = format!("{name} is not text: {}", value.to_string_lossy());
        Failure::new("bad_setting", message, format!("unset {name}"))
    })
}

fn threads(count: &str) -> Result<usize, Failure> {
    const MOST: usize = 4096;
    match count.parse() {
        Ok(count @ 1..=MOST) => Ok(count),
        _ => {
            let message = format!("HEARTH_THREADS is `{count}`");
            let hint = format!("set it to a number from 1 to {MOST}, or unset it");
            Err(Failure::new("bad_setting", message, hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.to_string(), OsString::from(v))).collect();
        move |name| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn the_home_is_named_or_in_the_persons_folder() {
        let settings = |pairs: &[_]| settings(from(pairs));
        assert_eq!(settings(&[("HOME", "/h")]).unwrap().home, PathBuf::from("/h/.hearth"));
        assert_eq!(settings(&[("HOME", "/h"), ("HEARTH_HOME", "/x")]).unwrap().home, PathBuf::from("/x"));
        assert_eq!(settings(&[]).unwrap_err().code, "no_home");
    }

    #[test]
    fn the_folders_of_others_are_named_or_where_they_put_them() {
        let folders = |pairs: &[_]| {
            let settings = settings(from(&[&[("HOME", "/h")], pairs].concat())).unwrap();
            (settings.ollama_models.unwrap(), settings.hugging_face_hub.unwrap())
        };
        let paths = |ollama: &str, hub: &str| (PathBuf::from(ollama), PathBuf::from(hub));
        assert_eq!(folders(&[]), paths("/h/.ollama/models", "/h/.cache/huggingface/hub"));
        let named = [("OLLAMA_MODELS", "/o"), ("HF_HOME", "/f")];
        assert_eq!(folders(&named), paths("/o", "/f/hub"));
        assert_eq!(folders(&[named[1], ("HF_HUB_CACHE", "/c")]), paths("/h/.ollama/models", "/c"));
        let nowhere = settings(from(&[("HEARTH_HOME", "/x")])).unwrap();
        assert_eq!((nowhere.ollama_models, nowhere.hugging_face_hub), (None, None));
    }

    #[test]
    fn threads_and_instruction_set() {
        let settings = |name, value| settings(from(&[("HOME", "/h"), (name, value)]));
        assert_eq!(settings("HEARTH_THREADS", "3").unwrap().n_threads, Some(3));
        assert_eq!(settings("HEARTH_ISA", "avx2").unwrap().isa.as_deref(), Some("avx2"));
        assert_eq!(settings("HEARTH_KV_CACHE", "q8_0").unwrap().kept.as_deref(), Some("q8_0"));
        assert_eq!(settings("HEARTH_KEEP_PREFIXES", "500MB").unwrap().prefix_bytes, Some(500_000_000));
        assert_eq!(settings("HEARTH_THREADS", "3").unwrap().prefix_bytes, None);
        assert_eq!(settings("HEARTH_KEEP_PREFIXES", "yes").unwrap_err().code, "bad_setting");
        for wrong in ["0", "-1", "many", "99999999999999999999", "5000"] {
            assert_eq!(settings("HEARTH_THREADS", wrong).unwrap_err().code, "bad_setting", "{wrong}");
        }
    }

    #[test]
    fn the_network_is_reached_as_other_programs_reach_it() {
        let network = |pairs: &[(&'static str, &'static str)]| {
            let pairs = [&[("HOME", "/h")], pairs].concat();
            settings(from(&pairs)).map(|settings| settings.network)
        };
        let found =
            network(&[("HF_TOKEN", "t"), ("https_proxy", "http://p:1"), ("NO_PROXY", "a, b,")]).unwrap();
        assert_eq!(
            (found.hugging_face_token.as_deref(), found.proxy.as_deref()),
            (Some("t"), Some("http://p:1"))
        );
        assert_eq!(found.no_proxy, ["a", "b"]);
        assert_eq!(network(&[("SSL_CERT_FILE", "/nowhere.pem")]).unwrap_err().code, "bad_setting");
    }

    #[test]
    fn no_color_and_dumb_terminals() {
        assert_eq!(color(from(&[("NO_COLOR", "1"), ("TERM", "xterm")])), Color::Off);
        assert_eq!(color(from(&[("TERM", "dumb")])), Color::Off);
        assert_eq!(color(from(&[("TERM", "xterm")])), Color::On);
        assert!(is_dumb(from(&[("TERM", "dumb")])) && !is_dumb(from(&[("NO_COLOR", "1")])));
    }
}
