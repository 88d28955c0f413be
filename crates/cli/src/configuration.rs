//! `config.toml` in the home folder: what `hearth serve` and the environment are told otherwise.
//!
//! A command's option wins over the environment, the environment over this file, this file over what is usual. A key
//! that is not known is an error with the nearest one; the home folder itself is the environment's to say.
//!
//! Source: TOML 1.1.

pub mod values;

use core::net::IpAddr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use app::Failure;
use serde::{Deserialize, Serialize};

use crate::training_settings::{fields, nearest};
use values::{Bytes, Duration, HostName, Origin, Within};

/// The file's name in the home folder.
const NAME: &str = "config.toml";
/// Far more than all keys and values take.
const MAX_BYTES: u64 = 64 << 10;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    /// Memory that models may take, together with the program; `HEARTH_MEMORY`.
    pub memory: Option<Bytes>,
    /// How many threads compute; `HEARTH_THREADS`.
    pub threads: Option<Within<1, 4096>>,
    /// Limits the instruction set; `HEARTH_ISA`.
    pub isa: Option<String>,
    /// What keys and values are kept in; `HEARTH_KV_CACHE`.
    pub kv_cache: Option<String>,
    /// Keeps what is computed of texts on disk; `HEARTH_KEEP_PREFIXES`.
    pub keep_prefixes: Option<Bytes>,
    /// What `hearth serve` does.
    pub serve: Serve,
}

/// What `hearth serve` does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serve {
    /// Where to listen; `--address`.
    pub address: Option<IpAddr>,
    /// The port; `--port`.
    pub port: Option<u16>,
    /// Serves the house; `--lan`.
    pub lan: Option<bool>,
    /// Further names of this server; `--host`.
    pub hosts: Option<Vec<HostName>>,
    /// Web pages that may ask; `--origin`.
    pub origins: Option<Vec<Origin>>,
    /// A certificate, below the home folder where it is no whole path; `--certificate`.
    pub certificate: Option<PathBuf>,
    /// Its key; `--certificate-key`.
    pub certificate_key: Option<PathBuf>,
    /// Listens at Ollama's port too; `--ollama-port`.
    pub ollama_port: Option<bool>,
    /// Wants a key of the person at this machine too; `--require-keys`.
    pub require_keys: Option<bool>,
    /// Writes a line of each request; `--log`.
    pub log: Option<bool>,
    /// How long answers may go on when the server ends; `--grace`.
    pub grace: Option<Duration>,
    /// Requests at once, computed or waiting.
    pub queue: Option<Within<1, 1024>>,
    /// The longest request.
    pub body: Option<Bytes>,
    /// Connections at once.
    pub connections: Option<Within<1, 65536>>,
}

/// What the program is told by the environment and the file.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    pub settings: app::Settings,
    pub serve: Serve,
}

/// Puts what the file of the home folder says behind what the environment says.
///
/// # Errors
/// A file that cannot be read, or that says what cannot be.
pub fn behind(settings: app::Settings) -> Result<Configured, Failure> {
    let Configuration { memory, threads, isa, kv_cache, keep_prefixes, serve } = read(&settings.home)?;
    let settings = app::Settings {
        memory_bytes: settings.memory_bytes.or(memory.map(|bytes| bytes.0)),
        max_requests: settings.max_requests.or(serve.queue.map(|queue| queue.0)),
        n_threads: settings.n_threads.or(threads.map(|threads| threads.0)),
        isa: settings.isa.or(isa),
        kept: settings.kept.or(kv_cache),
        prefix_bytes: settings.prefix_bytes.or(keep_prefixes.map(|bytes| bytes.0)),
        ..settings
    };
    Ok(Configured { settings, serve })
}

impl Serve {
    /// These settings, and where they say nothing, those of `file`. What encrypts connections is one wish.
    pub fn over(self, file: Self) -> Self {
        let says_how = self.lan.is_some() || self.certificate.is_some();
        let encryption = if says_how { &self } else { &file };
        let lan = encryption.lan;
        let (certificate, certificate_key) =
            (encryption.certificate.clone(), encryption.certificate_key.clone());
        Self {
            lan,
            certificate,
            certificate_key,
            address: self.address.or(file.address),
            port: self.port.or(file.port),
            hosts: self.hosts.or(file.hosts),
            origins: self.origins.or(file.origins),
            ollama_port: self.ollama_port.or(file.ollama_port),
            require_keys: self.require_keys.or(file.require_keys),
            log: self.log.or(file.log),
            grace: self.grace.or(file.grace),
            queue: self.queue.or(file.queue),
            body: self.body.or(file.body),
            connections: self.connections.or(file.connections),
        }
    }
}

/// Reads the file of this home; where there is none, it says nothing.
///
/// # Errors
/// A file that cannot be read, or that says what cannot be.
fn read(home: &Path) -> Result<Configuration, Failure> {
    let path = home.join(NAME);
    let failure =
        |why: String, hint: &str| Failure::new("bad_setting", format!("{}: {why}", path.display()), hint);
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Configuration::default()),
        Err(error) => {
            return Err(failure(error.to_string(), "make it a file that you may read, or remove it"));
        }
        Ok(_) => {}
    }
    if bytes.len() as u64 > MAX_BYTES {
        return Err(failure("more than 64 kB".into(), "settings are a few lines of `key = value`"));
    }
    let text = String::from_utf8(bytes).map_err(|_| failure("not a text".into(), "write it as UTF-8"))?;
    let mut configuration = parse(&text).map_err(|wrong| failure(wrong.what, &wrong.hint))?;
    let serve = &mut configuration.serve;
    for file in [&mut serve.certificate, &mut serve.certificate_key].into_iter().flatten() {
        *file = home.join(&*file);
    }
    Ok(configuration)
}

/// What is wrong with a text, and what to do.
#[derive(Debug, PartialEq)]
struct Wrong {
    what: String,
    hint: String,
}

fn parse(text: &str) -> Result<Configuration, Wrong> {
    let configuration: Configuration = toml::from_str(text).map_err(|error| explain(text, &error))?;
    let serve = &configuration.serve;
    let wrong = |what: &str, hint: &str| Err(Wrong { what: what.into(), hint: hint.into() });
    if serve.certificate.is_some() != serve.certificate_key.is_some() {
        return wrong("[serve] has one of certificate and certificate_key", "give both, or none");
    }
    if serve.certificate.is_some() && serve.lan == Some(true) {
        return wrong(
            "[serve] has both lan and a certificate",
            "leave out one: lan makes its own certificate",
        );
    }
    Ok(configuration)
}

/// The place, the key and the next step.
fn explain(text: &str, error: &toml::de::Error) -> Wrong {
    let place = error.span().unwrap_or(0..0);
    let before = text.get(..place.start).unwrap_or(text);
    let n_line = before.matches('\n').count();
    let line = text.lines().nth(n_line).unwrap_or_default();
    let n_line = n_line + 1;
    if error.message().starts_with("unknown field") {
        let key = text.get(place).unwrap_or_default().trim_matches(['"', '\'']);
        let what = format!("line {n_line}: there is no setting `{key}`{}", meant(key, before));
        return Wrong { what, hint: "the settings stand in docs/recipes/serve-the-house.md".into() };
    }
    let key = match line.split_once('=') {
        Some((key, _)) => format!("{}: ", key.trim()),
        None => String::new(),
    };
    let what = format!("line {n_line}: {key}{}", error.message().replace('\n', ", "));
    Wrong { what, hint: "mend the line, or take it out".into() }
}

/// What a person probably meant by a key that is not known, behind the lines before it.
fn meant(key: &str, before: &str) -> String {
    const TABLE: &str = "serve";
    let is_below = |line: &&str| line.trim_start().starts_with('[');
    let is_in_table = before.lines().rfind(is_below).is_some_and(|line| line.contains(TABLE));
    let (all, below) = (fields::<Configuration>(), fields::<Serve>());
    let (here, there) = if is_in_table { (&below, &all) } else { (&all, &below) };
    let key = key.replace('-', "_");
    let elsewhere = if is_in_table { "above `[serve]`" } else { "below `[serve]`" };
    match (nearest(&key, here).first(), nearest(&key, there).first()) {
        (_, Some(exact)) if *exact == key => format!("; `{key}` stands {elsewhere}"),
        (Some(near), _) => format!("; did you mean `{near}`?"),
        (None, Some(near)) => format!("; did you mean `{near}`, which stands {elsewhere}?"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recipe that tells people of the file.
    const RECIPE: &str = include_str!("../../../docs/recipes/serve-the-house.md");

    #[test]
    fn what_is_said_is_read() {
        assert_eq!(parse("").unwrap(), Configuration::default());
        let read = parse(
            "memory = \"8GB\"\n[serve]\naddress = \"::1\"\nhosts = [\"house.example\"]\n\
             origins = [\"https://mine.example\"]\ngrace = \"30s\"\nbody = 1000\nlog = true\n",
        )
        .unwrap();
        assert_eq!(read.memory.unwrap().0, 8_000_000_000);
        let serve = read.serve;
        assert_eq!((serve.address.unwrap().is_loopback(), serve.log), (true, Some(true)));
        assert_eq!((serve.grace.unwrap().0, serve.body.unwrap().0), (30_000, 1000));
        assert_eq!(serve.hosts.unwrap()[0].0, "house.example");
    }

    #[test]
    fn a_mistake_is_told_with_its_line_its_key_and_what_was_meant() {
        let check = |text: &str, expected: &str| {
            let told = parse(text).unwrap_err();
            assert!(told.what.contains(expected), "{text:?}: {told:?}");
            assert!(!told.hint.is_empty());
        };
        check("\nmemoy = \"1GB\"", "line 2: there is no setting `memoy`; did you mean `memory`?");
        check("[serve]\nlan = true\nhots = []", "line 3: there is no setting `hots`; did you mean `hosts`?");
        check("[serve]\nrequire-keys = true", "did you mean `require_keys`?");
        check("[serve]\n\"orgins\" = []", "line 2: there is no setting `orgins`; did you mean `origins`?");
        check("port = 1", "line 1: there is no setting `port`; `port` stands below `[serve]`");
        check(
            "[serve]\nmemory = \"1GB\"",
            "line 2: there is no setting `memory`; `memory` stands above `[serve]`",
        );
        check("[server]\nport = 1", "line 1: there is no setting `server`; did you mean `serve`?");
        check("serve.prt = 1", "there is no setting `prt`");
        check("zzzz = 1", "line 1: there is no setting `zzzz`");
        check("[serve]\nport = 65536", "line 2: port: ");
        check("[serve]\n\nlan = \"yes\"", "line 3: lan: ");
        check("memory = \"much\"", "line 1: memory: `much` is no number of bytes, such as 2GB");
        check("[serve]\ngrace = \"soon\"", "line 2: grace: `soon` is no time");
        check("[serve]\ngrace = \"2h\"", "line 2: grace: `2h` is too long: an hour at most");
        check("[serve]\nqueue = 0", "line 2: queue: 0 is not between 1 and 1024");
        check("[serve]\norigins = [\"mine.example\"]", "line 2: origins: ");
        check("[serve]\nhosts = [\"a b\"]", "line 2: hosts: ");
        check("threads = -1", "line 1: threads: ");
        check("memory = \"1GB\"\nmemory = \"2GB\"", "line 2");
        check("memory = ", "line 1: memory: ");
        check("[serve]\ncertificate = \"a.pem\"", "one of certificate and certificate_key");
        check(
            "[serve]\nlan = true\ncertificate = \"a\"\ncertificate_key = \"b\"",
            "both lan and a certificate",
        );
        check(&"[".repeat(60_000), "line 1");
    }

    #[test]
    fn a_file_that_is_none_is_refused_by_its_name() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read(home.path()).unwrap(), Configuration::default());
        let path = home.path().join(NAME);
        let refused = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let failure = read(home.path()).unwrap_err();
            assert!(
                failure.code == "bad_setting" && failure.message.contains("config.toml: "),
                "{failure:?}"
            );
            failure.message
        };
        assert!(refused(b"\xff").ends_with("not a text"));
        assert!(refused(&b"#".repeat(65 << 10)).ends_with("more than 64 kB"));
        assert!(refused(b"x = 1").contains("line 1"));
        std::fs::write(&path, "[serve]\ncertificate = \"c.pem\"\ncertificate_key = \"/k.pem\"").unwrap();
        let serve = read(home.path()).unwrap().serve;
        assert_eq!(serve.certificate, Some(home.path().join("c.pem")));
        assert_eq!(serve.certificate_key, Some("/k.pem".into()));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(read(home.path()).unwrap_err().code, "bad_setting");
    }

    /// The recipe names every key and no other, and its example holds.
    #[test]
    fn the_recipe_tells_of_every_key() {
        let told: Vec<&str> = RECIPE
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
            .map(|(key, _)| key)
            .filter(|key| {
                !key.contains(' ') && key.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
            })
            .collect();
        let mut known = fields::<Configuration>();
        known.retain(|name| name != "serve");
        known.extend(fields::<Serve>());
        assert_eq!(told, known);
        let example = RECIPE.split("```toml\n").nth(1).expect("an example").split("```").next().unwrap();
        assert_ne!(parse(example).unwrap(), Configuration::default());
    }
}
