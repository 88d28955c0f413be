//! `hearth serve`: answers other programs over HTTP until it is stopped.

use app::Failure;
use clap::{Arg, ArgAction, ArgMatches, value_parser};
use server::{IpAddr, Ipv4Addr, Keys, SocketAddr, Tls};

use super::Command;
use crate::outcome::{Exit, Stop};
use crate::session::{self, Certificates, Session};

pub const COMMAND: Command = Command { name: "serve", build, run };

/// Where Hearth listens.
const PORT: u16 = 4242;
/// Where Ollama listens.
const OLLAMA_PORT: u16 = 11434;

const AFTER_HELP: &str = "\
Clients of OpenAI, Anthropic and Ollama work when their address is changed to this one, and a browser shows a chat:

  hearth serve
  OPENAI_BASE_URL=http://127.0.0.1:4242/v1 OPENAI_API_KEY=none python3 my_program.py

Ctrl-C ends it; answers that are being given have a few seconds to end.";

fn build(command: clap::Command) -> clap::Command {
    let option = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let address =
        option("address", "ADDRESS", "Where to listen (default: 127.0.0.1; with --lan every address)");
    let port = option("port", "PORT", "The port; 0 takes any that is free").default_value("4242");
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
        .arg(flag("ollama-port", "Listen at Ollama's port, 11434, too"))
        .after_help(AFTER_HELP)
}

fn run(matches: &ArgMatches, session: &mut Session) -> Result<Exit, Stop> {
    let is_lan = matches.get_flag("lan");
    let usual = if is_lan { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let ip = matches.get_one::<IpAddr>("address").copied().unwrap_or(usual.into());
    let port = matches.get_one::<u16>("port").copied().unwrap_or(PORT);
    let ollama = matches.get_flag("ollama-port").then_some(OLLAMA_PORT);
    let addresses =
        [Some(port), ollama].into_iter().flatten().map(|port| SocketAddr::new(ip, port)).collect();
    let texts = |name: &str| matches.get_many::<String>(name).unwrap_or_default().cloned().collect();
    let server = server::Settings {
        addresses,
        hosts: texts("host"),
        origins: texts("origin"),
        keys: if matches.get_flag("require-keys") { Keys::Always } else { Keys::FromOutside },
        tls: certificate(matches)?,
        log: matches.get_flag("log").then_some(session::log as fn(&str)),
        ..server::Settings::default()
    };
    let certificates = if is_lan { Certificates::OfTheHouse } else { Certificates::AsGiven };
    let settings: Result<app::Settings, Failure> = session.world.settings.clone();
    let console = &mut session.world.console;
    (session.world.serve)(settings?, (server, certificates), &mut |served| {
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

fn certificate(matches: &ArgMatches) -> Result<Option<Tls>, Failure> {
    let file = |name: &str| {
        let Some(path) = matches.get_one::<String>(name) else { return Ok(None) };
        std::fs::read_to_string(path).map(Some).map_err(|error| {
            Failure::new("cannot_read", format!("{path}: {error}"), "give a PEM file that can be read")
        })
    };
    let (chain, key) = (file("certificate")?, file("certificate-key")?);
    Ok(chain.zip(key).map(|(chain_pem, key_pem)| Tls { chain_pem, key_pem }))
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
    }
}
