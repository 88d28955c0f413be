//! `hearth serve`: answers other programs over HTTP until it is stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use app::Failure;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use server::{IpAddr, Ipv4Addr, Keys, SocketAddr, Tls};

use super::Command;
use crate::configuration::values::{Duration as GraceMs, HostName, Origin, grace_ms};
use crate::configuration::{Configured, Serve};
use crate::outcome::{Exit, Stop};
use crate::session::{self, Certificates, Serving, Session};

pub const COMMAND: Command = Command { name: "serve", build, run };

/// Where Hearth listens.
const PORT: u16 = 4242;
/// Where Ollama listens.
const OLLAMA_PORT: u16 = 11434;

const AFTER_HELP: &str = "\
Clients of OpenAI, Anthropic and Ollama work when their address is changed to this one, and a browser shows a chat:

  hearth serve
  OPENAI_BASE_URL=http://127.0.0.1:4242/v1 OPENAI_API_KEY=none python3 my_program.py

Ctrl-C ends it; answers that are being given have a few seconds to end, and a second Ctrl-C cuts them.

What stands in config.toml in HEARTH_HOME holds where no option says otherwise. SIGHUP reads it again, and the
certificate, while everybody is being answered.";

fn build(command: clap::Command) -> clap::Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let address =
        option("address", "ADDRESS", "Where to listen (default: 127.0.0.1; with --lan every address)");
    let port = option("port", "PORT", "The port; 0 takes any that is free (default: 4242)");
    let host = option("host", "NAME", "A further name by which clients call this server");
    let origin = option("origin", "ORIGIN", "A web page that may ask this server, as https://example.org");
    let certificate =
        option("certificate", "FILE", "Encrypt with this certificate (PEM, with those above it)");
    command
        .about("Answer other programs and the browser over HTTP")
        .arg(address.value_parser(value_parser!(IpAddr)))
        .arg(port.value_parser(value_parser!(u16)))
        .arg(flag(
            "lan",
            "Serve the house: every network of this machine, encrypted by a certificate of its own",
        ))
        .arg(host.action(ArgAction::Append))
        .arg(origin.action(ArgAction::Append))
        .arg(certificate.requires("certificate-key").conflicts_with("lan"))
        .arg(option("certificate-key", "FILE", "Its key (PEM)").requires("certificate"))
        .arg(flag("log", "Write a line of each request to stderr; never what was asked or answered"))
        .arg(flag("require-keys", "Want a key of the person at this machine too"))
        .arg(
            option("grace", "TIME", "How long answers may go on when it ends (default: 8s)")
                .value_parser(|text: &str| grace_ms(text)),
        )
        .arg(flag("ollama-port", "Listen at Ollama's port, 11434, too"))
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let options = options(matches);
    let configure = session.world.configure.clone();
    let plan = move || serving(&options, configure()?);
    let console = &mut session.world.console;
    (session.world.serve)(Arc::new(plan), &mut |served| {
        for url in &served.urls {
            console.say(&format!("Listening at {url}"));
        }
        if let Some(house) = &served.house {
            console.say(&house.how_to_trust);
        }
    })?;
    session.console().say("Stopped.");
    Ok(Exit::Done)
}

/// What the command line says.
fn options(matches: &ArgMatches) -> Serve {
    let flag = |name: &str| matches.get_flag(name).then_some(true);
    let path = |name: &str| matches.get_one::<String>(name).map(PathBuf::from);
    let texts = |name: &str| -> Option<Vec<String>> {
        matches.get_many::<String>(name).map(|texts| texts.cloned().collect())
    };
    Serve {
        address: matches.get_one::<IpAddr>("address").copied(),
        port: matches.get_one::<u16>("port").copied(),
        lan: flag("lan"),
        hosts: texts("host").map(|hosts| hosts.into_iter().map(HostName).collect()),
        origins: texts("origin").map(|origins| origins.into_iter().map(Origin).collect()),
        certificate: path("certificate"),
        certificate_key: path("certificate-key"),
        ollama_port: flag("ollama-port"),
        require_keys: flag("require-keys"),
        log: flag("log"),
        grace: matches.get_one::<u64>("grace").copied().map(GraceMs),
        ..Serve::default()
    }
}

/// What is to be served: as the options say, else as the file says, else as is usual.
fn serving(options: &Serve, configured: Configured) -> Result<Serving, Failure> {
    let Configured { settings, serve: file } = configured;
    let asked = options.clone().over(file);
    let is_lan = asked.lan == Some(true);
    let usual_ip = if is_lan { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let ip = asked.address.unwrap_or(usual_ip.into());
    let ollama = (asked.ollama_port == Some(true)).then_some(OLLAMA_PORT);
    let ports = [Some(asked.port.unwrap_or(PORT)), ollama];
    let usual = server::Settings::default();
    let server = server::Settings {
        addresses: ports.into_iter().flatten().map(|port| SocketAddr::new(ip, port)).collect(),
        hosts: asked.hosts.unwrap_or_default().into_iter().map(|host| host.0).collect(),
        origins: asked.origins.unwrap_or_default().into_iter().map(|origin| origin.0).collect(),
        keys: if asked.require_keys == Some(true) { Keys::Always } else { Keys::FromOutside },
        tls: match (&asked.certificate, &asked.certificate_key) {
            (Some(chain), Some(key)) => Some(Tls { chain_pem: pem(chain)?, key_pem: pem(key)? }),
            _ => None,
        },
        tell: Some(session::log),
        log: (asked.log == Some(true)).then_some(session::log as fn(&str)),
        max_body_bytes: asked
            .body
            .map_or(usual.max_body_bytes, |body| usize::try_from(body.0).unwrap_or(usize::MAX)),
        max_connections: asked.connections.map_or(usual.max_connections, |connections| connections.0),
        grace: asked.grace.map_or(usual.grace, |grace| Duration::from_millis(grace.0)),
        ..usual
    };
    let certificates = if is_lan { Certificates::OfTheHouse } else { Certificates::AsGiven };
    Ok(Serving { settings, server, certificates })
}

fn pem(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        Failure::new("cannot_read", message, "give a PEM file that can be read")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::Script;

    #[test]
    fn it_tells_where_it_listens() {
        let told = Script::new([]).run(&["serve", "--ollama-port"]);
        assert_eq!(told.exit, Exit::Done);
        assert_eq!(
            told.err,
            "Listening at http://127.0.0.1:4242\nListening at http://127.0.0.1:11434\nStopped.\n"
        );
        let told = Script::new([]).run(&["serve", "--address", "::1", "--port", "0"]);
        assert_eq!(told.err, "Listening at http://[::1]:0\nStopped.\n");
        assert_eq!(Script::new([]).run(&["serve", "--port", "65536"]).exit, Exit::Usage);
        assert_eq!(Script::new([]).run(&["serve", "--grace", "2h"]).exit, Exit::Usage);
    }

    /// Option before file before usual.
    #[test]
    fn options_win_over_the_file() {
        let file = Serve {
            port: Some(1),
            lan: Some(true),
            hosts: Some(vec![HostName("of-file".into())]),
            origins: Some(vec![Origin("https://of-file".into())]),
            log: Some(true),
            grace: Some(GraceMs(1000)),
            ..Serve::default()
        };
        let served = |options: Serve| {
            let configured = Configured { serve: file.clone(), ..Configured::default() };
            serving(&options, configured).unwrap()
        };
        let alone = served(Serve::default());
        assert_eq!(alone.certificates, Certificates::OfTheHouse);
        assert_eq!(alone.server.addresses, ["0.0.0.0:1".parse().unwrap()]);
        assert_eq!((alone.server.hosts, alone.server.log.is_some()), (vec!["of-file".to_owned()], true));
        assert_eq!(alone.server.grace, Duration::from_secs(1));
        let options = Serve {
            port: Some(2),
            address: Some(Ipv4Addr::LOCALHOST.into()),
            hosts: Some(vec![HostName("of-option".into())]),
            grace: Some(GraceMs(2000)),
            ..Serve::default()
        };
        let over = served(options);
        assert_eq!(over.server.addresses, ["127.0.0.1:2".parse().unwrap()]);
        assert_eq!(
            (over.server.hosts, over.server.origins),
            (vec!["of-option".into()], vec!["https://of-file".into()])
        );
        assert_eq!(over.server.grace, Duration::from_secs(2));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        std::fs::write(&path, "a").unwrap();
        let certificate = Some(path);
        let options =
            Serve { certificate: certificate.clone(), certificate_key: certificate, ..Serve::default() };
        let own = served(options);
        assert_eq!((own.certificates, own.server.tls.is_some()), (Certificates::AsGiven, true));
        let usual = serving(&Serve::default(), Configured::default()).unwrap().server;
        assert_eq!(
            (usual.addresses, usual.grace),
            (vec!["127.0.0.1:4242".parse().unwrap()], Duration::from_secs(8))
        );
    }
}
