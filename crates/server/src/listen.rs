//! The server: its sockets, its threads and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use app::{App, Failure};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::reload::{Reload, Reread};
use crate::shared::{Rules, Shared};
use crate::stage::{End, Stage, Stages};
use crate::taking::Taker;
use crate::tls::Tls;
use crate::{Settings, addresses, receive, signals};

/// How long the server's own threads may take to let go of what they hold, when all is over.
const LETTING_GO: Duration = Duration::from_secs(1);

/// A server that listens.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<std::net::TcpListener>,
    stages: Stages,
    reread: Option<Reread>,
}

/// Stops a server, from any thread.
#[derive(Clone)]
pub struct Stop(Stages);

impl Stop {
    /// Nothing new is answered; what is being answered goes on to its end, for as long as the grace lasts.
    pub fn stop(&self) {
        self.0.send_if_modified(|stage| {
            let is_first = *stage == Stage::Running;
            if is_first {
                *stage = Stage::Ending;
            }
            is_first
        });
    }
}

impl Server {
    /// Begins to listen; connections are answered by [`Server::run`].
    ///
    /// # Errors
    /// An address that cannot be had.
    pub fn bind(app: Arc<App>, settings: Settings) -> Result<Self, Failure> {
        let doors = app.doors()?;
        if settings.is_open_to_others() {
            addresses::check_guarded(&settings, &doors)?;
        }
        let acceptor = settings.tls.as_ref().map(Tls::acceptor).transpose()?;
        let listeners: Vec<_> = settings.addresses.iter().map(bind).collect::<Result<_, _>>()?;
        let bound: Vec<SocketAddr> =
            listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let hosts = addresses::hosts(&settings, &bound)?;
        let stages = Stages::default();
        let rules = Rules { settings, hosts, acceptor };
        let shared = Arc::new(Shared::new(app, doors, (rules, bound), End::of(&stages)));
        Ok(Self { shared, listeners, stages, reread: None })
    }

    /// The same, whose settings are read anew with this when the process gets SIGHUP.
    #[must_use]
    pub fn rereading(self, reread: Reread) -> Self {
        Self { reread: Some(reread), ..self }
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.bound
    }

    /// Where it is reached, as clients write it.
    pub fn urls(&self) -> &[String] {
        &self.shared.urls
    }

    /// What stops it.
    pub fn stop(&self) -> Stop {
        Stop(self.stages.clone())
    }

    /// What gives it other settings.
    pub fn reload(&self) -> Reload {
        Reload(self.shared.clone())
    }

    /// Answers until it is stopped.
    ///
    /// # Errors
    /// When the system gives no threads or sockets.
    pub fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .thread_name("server")
            .build()
            .map_err(|error| no_socket("the server", &error))?;
        let ended = runtime.block_on(self.answer());
        // What is still open is cut: its time is over.
        runtime.shutdown_timeout(LETTING_GO);
        ended
    }

    async fn answer(self) -> Result<(), Failure> {
        let Self { shared, listeners, stages, reread } = self;
        let router = receive::router(&shared);
        tokio::spawn(signals::follow(shared.clone(), stages.clone(), reread));
        tokio::spawn(write_now_and_then(shared.clone()));
        let taker = Taker::new(router, shared.clone());
        let mut taking = JoinSet::new();
        for listener in listeners {
            let listener =
                TcpListener::from_std(listener).map_err(|error| no_socket("the server", &error))?;
            taking.spawn(taker.clone().take(listener));
        }
        let (mut end, mut cut) = (shared.end.clone(), shared.end.clone());
        tokio::select! {
            () = end.begun() => {}
            // A bug in one listener ends it alone.
            () = async { while taking.join_next().await.is_some() {} } => {}
        }
        let grace = shared.rules().settings.grace;
        tokio::select! {
            () = taker.all_gone() => {}
            () = tokio::time::sleep(grace) => {}
            () = cut.over() => {}
        }
        Ok(())
    }
}

/// Writes what may be written late.
async fn write_now_and_then(shared: Arc<Shared>) {
    let mut hours = tokio::time::interval(Duration::from_secs(3600));
    loop {
        hours.tick().await;
        let shared = shared.clone();
        // A write that fails is tried again after an hour.
        let _ = tokio::task::spawn_blocking(move || shared.doors.write()).await;
    }
}

fn bind(address: &SocketAddr) -> Result<std::net::TcpListener, Failure> {
    let listener =
        std::net::TcpListener::bind(address).map_err(|error| no_socket(&address.to_string(), &error))?;
    listener.set_nonblocking(true).map_err(|error| no_socket(&address.to_string(), &error))?;
    Ok(listener)
}

fn no_socket(what: &str, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; end it, or take another port with --port",
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 are for the system's administrator; take another with --port"
        }
        _ => "take another address with --address",
    };
    Failure::new("cannot_listen", format!("{what}: {error}"), hint)
}
