//! Sockets: takes connections in, bounds how many there are and how long a client may be silent, and ends gracefully.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use app::doors::Hosts;
use app::{App, Failure};
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::shared::Shared;
use crate::tls::Tls;
use crate::{Settings, page, receive};

/// How long a client may take for the headers of a request.
const HEADERS: Duration = Duration::from_secs(15);
/// How long requests that are being answered may go on when the server stops.
const GRACE: Duration = Duration::from_secs(8);
/// How long to wait when the system gives no connection.
const PAUSE: Duration = Duration::from_millis(50);

/// A server that listens.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<std::net::TcpListener>,
    acceptor: Option<TlsAcceptor>,
    stopping: watch::Sender<bool>,
}

/// Stops a server, from any thread.
#[derive(Clone)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// No new connection is taken; answers go on for a few seconds.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Begins to listen; connections are answered by [`Server::run`].
    ///
    /// # Errors
    /// An address that cannot be had.
    pub fn bind(app: Arc<App>, settings: Settings) -> Result<Self, Failure> {
        let doors = app.doors()?;
        if settings.addresses.iter().any(|address| !address.ip().is_loopback()) {
            check_guarded(&settings, doors.has_keys()?)?;
        }
        let acceptor = settings.tls.as_ref().map(Tls::acceptor).transpose()?;
        let listeners: Vec<_> = settings.addresses.iter().map(bind).collect::<Result<_, _>>()?;
        let addresses: Vec<SocketAddr> =
            listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let hosts = hosts(&settings, &addresses)?;
        let urls = urls(&settings, &addresses);
        let shared = Arc::new(Shared { app, doors, hosts, settings, urls, metrics: Arc::default() });
        Ok(Self { shared, listeners, acceptor, stopping: watch::Sender::new(false) })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Where it is reached, as clients write it.
    pub fn urls(&self) -> &[String] {
        &self.shared.urls
    }

    /// What stops it.
    pub fn stop(&self) -> Stop {
        Stop(self.stopping.clone())
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
        runtime.shutdown_background();
        ended
    }

    async fn answer(self) -> Result<(), Failure> {
        let router = receive::router(&self.shared);
        let most = self.shared.settings.max_connections;
        let room = Arc::new(Semaphore::new(most));
        let mut taking = Vec::new();
        tokio::spawn(stop_when_told(self.stopping.clone()));
        tokio::spawn(write_now_and_then(self.shared.clone()));
        for listener in self.listeners {
            let listener =
                TcpListener::from_std(listener).map_err(|error| no_socket("the server", &error))?;
            let taker = Taker {
                router: router.clone(),
                shared: self.shared.clone(),
                room: room.clone(),
                acceptor: self.acceptor.clone(),
                stopping: self.stopping.subscribe(),
            };
            taking.push(tokio::spawn(taker.take(listener)));
        }
        for taking in taking {
            // A bug in one listener ends it alone.
            let _ = taking.await;
        }
        let all = u32::try_from(most).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(GRACE, room.acquire_many(all)).await;
        Ok(())
    }
}

/// Stops the server when the system or a person at the terminal says so.
#[cfg(unix)]
async fn stop_when_told(stopping: watch::Sender<bool>) {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stopping.send_replace(true);
}

/// Stops the server when a person at the terminal says so.
#[cfg(not(unix))]
async fn stop_when_told(stopping: watch::Sender<bool>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stopping.send_replace(true);
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

/// Takes connections in.
struct Taker {
    router: Router,
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    acceptor: Option<TlsAcceptor>,
    stopping: watch::Receiver<bool>,
}

impl Taker {
    async fn take(mut self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.stopping.wait_for(|stopping| *stopping) => return,
            };
            // Descriptors run out, or a client has left already: others come.
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            // Who finds no room is turned away at once, so that it does not wait for ever.
            let Ok(permit) = self.room.clone().try_acquire_owned() else { continue };
            let (shared, acceptor, stopping) =
                (self.shared.clone(), self.acceptor.clone(), self.stopping.clone());
            let router = self.router.clone().layer(Extension(Peer { address: peer.ip() }));
            tokio::spawn(async move {
                shared.metrics.connections.fetch_add(1, Ordering::Relaxed);
                // Pieces of answers are small, and somebody waits for each.
                let _ = stream.set_nodelay(true);
                match acceptor {
                    None => converse(stream, router, stopping).await,
                    Some(acceptor) => encrypted(stream, &acceptor, (router, shared.clone()), stopping).await,
                }
                shared.metrics.connections.fetch_sub(1, Ordering::Relaxed);
                drop(permit);
            });
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
}

impl Peer {
    /// Nobody that is known: treated as somebody from outside.
    pub const NOBODY: Self = Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
}

/// Answers the requests of a connection that is to be encrypted. Who speaks plainly gets the certificate of the house,
/// which is for everybody, and else the address to come to.
async fn encrypted(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    (router, shared): (Router, Arc<Shared>),
    stopping: watch::Receiver<bool>,
) {
    // Source: RFC 8446, section 5.1: every connection begins with a record of this type.
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    match tokio::time::timeout(HEADERS, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == HANDSHAKE => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HEADERS, acceptor.accept(stream)).await {
                converse(stream, router, stopping).await;
            }
        }
        Ok(Ok(1)) => converse(stream, page::plain(shared), stopping).await,
        _ => {}
    }
}

/// Answers the requests of one connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(64 << 10);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEADERS)).max_concurrent_streams(64);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        // A client that breaks the rules or off has only itself to tell.
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stopping| *stopping) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
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

/// Refuses to be found from outside without keys and encryption.
fn check_guarded(settings: &Settings, has_keys: bool) -> Result<(), Failure> {
    let address = settings.addresses.iter().find(|address| !address.ip().is_loopback());
    let address = address.map(ToString::to_string).unwrap_or_default();
    let (missing, hint) = match (has_keys, settings.tls.is_some()) {
        (true, true) => return Ok(()),
        (false, true) => ("there is no key", "`hearth key create NAME`, then start again".to_owned()),
        (true, false) => ("connections would not be encrypted", "`hearth serve --lan`".to_owned()),
        (false, false) => (
            "there is no key, and connections would not be encrypted",
            "`hearth key create NAME`, then `hearth serve --lan`".to_owned(),
        ),
    };
    Err(Failure::new("not_guarded", format!("{address} can be reached by others, but {missing}"), hint))
}

/// The names by which clients may call the server.
fn hosts(settings: &Settings, addresses: &[SocketAddr]) -> Result<Hosts, Failure> {
    let mut hosts = Hosts::default();
    for address in addresses {
        hosts = match address.ip().is_loopback() {
            true => hosts.with_loopback(address.port()),
            false => hosts.with_address(*address).with_loopback(address.port()),
        };
    }
    for host in &settings.hosts {
        hosts = hosts.with_host(host)?;
    }
    for origin in &settings.origins {
        hosts = hosts.with_origin(origin)?;
    }
    Ok(hosts)
}

/// The addresses as clients write them: of one that stands for all of the machine, the one that it has at home.
fn urls(settings: &Settings, addresses: &[SocketAddr]) -> Vec<String> {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let url = |address: &SocketAddr| {
        let ip = address.ip();
        let ip = if ip.is_unspecified() { home_address().unwrap_or(Ipv4Addr::LOCALHOST.into()) } else { ip };
        format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
    };
    addresses.iter().map(url).collect()
}

/// The address that this machine has at home, where it has one. Nothing is sent: the system is only asked from which
/// address it would be.
pub fn home_address() -> Option<IpAddr> {
    // An address for documentation (RFC 5737), which leads out of every home.
    const OUTSIDE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(OUTSIDE).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}
