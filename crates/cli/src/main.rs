//! The program `hearth`: commands, the chat and the glass box in a terminal.
//!
//! It turns words on a command line into `app::Job` and `app::Event` into text. It does not compute,
//! read models or keep anything: that is behind `app`. stdout is data, stderr is talk.
#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "a program has no public interface; what needs a word has it")]

mod chat;
mod commands;
mod configuration;
mod console;
mod environment;
mod explanations;
mod interrupt;
mod jobs;
mod knobs;
mod outcome;
mod program;
mod prompt;
#[cfg(test)]
mod scripted;
mod session;
mod statistics;
mod terminal;
mod training_settings;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use app::house::House;
use app::{App, Failure, Job, Settings};
use server::{Renewed, Server, Tls};
use terminal_size::{Height, Width, terminal_size};

use crate::configuration::Configured;
use crate::console::{Console, End, Look};
use crate::jobs::{Jobs, RunningJob};
use crate::session::{Certificates, Plan, Served, ServedHouse, Serving, Session, Stdin, World};

/// Columns where no terminal says how many it has.
const COLUMNS: u16 = 80;
/// Rows where no terminal says how many it has.
const ROWS: u16 = 24;

fn main() -> ExitCode {
    let exit = program::main(std::env::args_os(), &mut Session::new(world(console())));
    ExitCode::from(exit.code())
}

fn console() -> Console {
    let end = |is_terminal: bool| if is_terminal { End::Terminal } else { End::Other };
    let (Width(columns), Height(rows)) = terminal_size().unwrap_or((Width(COLUMNS), Height(ROWS)));
    let can_redraw = io::stderr().is_terminal() && !environment::is_dumb(environment::variable);
    let look = Look {
        out: end(io::stdout().is_terminal()),
        err: end(can_redraw),
        color: environment::color(environment::variable),
        columns: usize::from(columns).max(20),
        rows: rows.into(),
    };
    Console::new(Box::new(io::stdout()), Box::new(io::stderr()), look)
}

fn world(console: Console) -> World {
    let is_terminal = io::stdin().is_terminal();
    World {
        console,
        stdin: if is_terminal { Stdin::Terminal } else { Stdin::Piped(Box::new(io::stdin())) },
        settings: configure().map(|configured| configured.settings),
        configure: Arc::new(configure),
        open: Box::new(open),
        serve: Box::new(serve),
        find_server: Box::new(find_server),
        edit: Box::new(chat::lines::editor),
        // Without a handler Ctrl-C ends the program at once, which loses only a goodbye.
        listen: Box::new(|interrupt| drop(interrupt.listen())),
        elapsed_ms: elapsed_ms(),
        now_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
    }
}

fn configure() -> Result<Configured, Failure> {
    configuration::behind(environment::settings(environment::variable)?)
}

/// Milliseconds since the program began.
fn elapsed_ms() -> Rc<dyn Fn() -> u64> {
    let begun = Instant::now();
    Rc::new(move || u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX))
}

fn open(settings: Settings) -> Result<Box<dyn Jobs>, Failure> {
    App::open(settings).map(|app| Box::new(app) as Box<dyn Jobs>)
}

fn serve(plan: Plan, tell: &mut dyn FnMut(&Served)) -> Result<(), Failure> {
    let Serving { settings, server, certificates } = plan()?;
    let begun = settings.clone();
    let app = Arc::new(App::open(settings)?);
    #[cfg(unix)]
    let _listening = app::control::listen(&app, &begun.home)?;
    let (server, house) = certified(&app, server, certificates)?;
    let server = Server::bind(app.clone(), server)?;
    let urls = server.urls().to_vec();
    let house = house.map(|house| how_to_trust(&house, &urls)).transpose()?;
    tell(&Served { urls, house });
    let reread = move || {
        let Serving { settings, server, certificates } = plan()?;
        let (server, _) = certified(&app, server, certificates)?;
        Ok(Renewed { settings: server, limits: settings.limits(), fixed: fixed(&begun, &settings) })
    };
    server.rereading(Arc::new(reread)).run()
}

/// The settings of the server with the certificates that it is to show.
fn certified(
    app: &App,
    mut server: server::Settings,
    certificates: Certificates,
) -> Result<(server::Settings, Option<House>), Failure> {
    let house = match certificates {
        Certificates::AsGiven => return Ok((server, None)),
        Certificates::OfTheHouse => {
            let own: Vec<String> = server::home_address().iter().map(ToString::to_string).collect();
            app.house(&own, &server.hosts)?
        }
    };
    let (chain_pem, key_pem) = (house.chain_pem.clone(), house.key_pem.0.clone());
    server.tls = Some(Tls { chain_pem, key_pem });
    server.authority_pem = Some(house.authority_pem.clone());
    server.hosts.extend(house.names.iter().filter(|name| *name != "localhost").cloned());
    Ok((server, Some(house)))
}

/// What differs of the settings that hold from the beginning of the program to its end.
fn fixed(begun: &Settings, now: &Settings) -> Vec<String> {
    let differs = [
        ("threads", begun.n_threads != now.n_threads),
        ("isa", begun.isa != now.isa),
        ("kv_cache", begun.kept != now.kept),
        ("keep_prefixes", begun.prefix_bytes != now.prefix_bytes),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
}

/// How a phone comes to trust the server: by the code, then by the certificate's print.
fn how_to_trust(house: &House, urls: &[String]) -> Result<ServedHouse, Failure> {
    let address = urls.first().map(|url| url.replacen("https://", "http://", 1)).unwrap_or_default();
    let url = format!("{address}/house.crt");
    let how_to_trust = format!(
        "\nA device trusts this server when it trusts \"{}\". Open {url} on it\n\
         (or point its camera here), install the certificate, and compare its SHA-256 before you agree:\n\n\
         {}\n\n{}",
        house.name,
        house.fingerprint,
        app::house::code(&url)?,
    );
    Ok(ServedHouse { how_to_trust })
}

#[cfg(unix)]
fn find_server(home: &Path, job: &Job) -> Result<Option<Box<dyn RunningJob>>, Failure> {
    let Some(control) = app::control::Control::find(home) else { return Ok(None) };
    Ok(Some(Box::new(control.run(job)?)))
}

#[cfg(not(unix))]
fn find_server(_: &Path, _: &Job) -> Result<Option<Box<dyn RunningJob>>, Failure> {
    Ok(None)
}
