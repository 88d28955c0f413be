//! Connections: takes them in, bounds how many there are, and lets each end in its own time when the server does.
//!
//! At the end of the server a connection on which nothing is being answered goes at once. One with answers lives until
//! the last of them has left; half a request has a second. Who comes only then is told so and let go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::{Extension, Router};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::connection::{self, Manner, Peer};
use crate::page;
use crate::shared::Shared;

/// How long to wait when the system gives no connection.
const PAUSE: Duration = Duration::from_millis(50);
/// How long who comes too late waits for being told so: clients that come again at once take nothing from the answers that
/// are still being given.
const LATE: Duration = Duration::from_millis(250);
/// How long a client may take until its connection is encrypted.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// Takes connections in.
#[derive(Clone)]
pub struct Taker {
    router: Router,
    shared: Arc<Shared>,
    /// Connections that the end of the server waits for.
    waited_for: Arc<watch::Sender<usize>>,
}

impl Taker {
    pub fn new(router: Router, shared: Arc<Shared>) -> Self {
        Self { router, shared, waited_for: Arc::default() }
    }

    /// Takes connections in for as long as the server lives.
    pub async fn take(self, listener: TcpListener) {
        loop {
            // Descriptors run out, or a client has left already: others come.
            let Ok((stream, peer)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let manner = if self.shared.end.has_begun() { Manner::Late } else { Manner::Usual };
            // Who finds no room is turned away at once, so that it does not wait for ever.
            let Some(place) = Place::take(&self, manner) else { continue };
            let taker = self.clone();
            tokio::spawn(async move {
                // Pieces of answers are small, and somebody waits for each.
                let _ = stream.set_nodelay(true);
                taker.attend(stream, Peer { address: peer.ip() }, manner).await;
                drop(place);
            });
        }
    }

    /// Waits until every connection that came before the end is gone.
    pub async fn all_gone(&self) {
        // The sender is here: it cannot be gone.
        let _ = self.waited_for.subscribe().wait_for(|n| *n == 0).await;
    }

    async fn attend(&self, stream: TcpStream, peer: Peer, manner: Manner) {
        if manner == Manner::Late {
            tokio::time::sleep(LATE).await;
        }
        let router = self.router.clone().layer(Extension(peer));
        let acceptor = self.shared.rules().acceptor.clone();
        match acceptor {
            None => connection::converse(stream, router, (&self.shared, manner)).await,
            Some(acceptor) => self.encrypt(stream, &acceptor, (router, manner)).await,
        }
    }

    /// Answers the requests of a connection that is to be encrypted. Who speaks plainly gets the certificate of the
    /// house, which is for everybody, and else the address to come to.
    async fn encrypt(&self, stream: TcpStream, acceptor: &TlsAcceptor, (router, manner): (Router, Manner)) {
        // Source: RFC 8446, section 5.1: every connection begins with a record of this type.
        const BEGIN: u8 = 22;
        let shared = &self.shared;
        let mut first = [0];
        let Some(Ok(1)) = self.in_time(manner, stream.peek(&mut first)).await else { return };
        if first[0] != BEGIN {
            return connection::converse(stream, page::plain(shared.clone()), (shared, manner)).await;
        }
        if let Some(Ok(stream)) = self.in_time(manner, acceptor.accept(stream)).await {
            connection::converse(stream, router, (shared, manner)).await;
        }
    }

    /// What comes before the first request: nothing, where the client is too slow or the server ends meanwhile.
    async fn in_time<T>(&self, manner: Manner, coming: impl Future<Output = T>) -> Option<T> {
        let mut end = self.shared.end.clone();
        tokio::select! {
            came = tokio::time::timeout(HANDSHAKE, coming) => came.ok(),
            () = end.begun(), if manner == Manner::Usual => None,
        }
    }
}

/// A connection's place among all, for as long as this lives.
struct Place {
    shared: Arc<Shared>,
    waited_for: Option<Arc<watch::Sender<usize>>>,
}

impl Place {
    fn take(taker: &Taker, manner: Manner) -> Option<Self> {
        let Taker { shared, waited_for, .. } = taker;
        let most = shared.rules().settings.max_connections as u64;
        let n_before = shared.metrics.connections.fetch_add(1, Ordering::Relaxed);
        let waited_for = (manner == Manner::Usual).then(|| waited_for.clone());
        if let Some(waited_for) = &waited_for {
            waited_for.send_modify(|n| *n += 1);
        }
        let place = Self { shared: shared.clone(), waited_for };
        (n_before < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.metrics.connections.fetch_sub(1, Ordering::Relaxed);
        if let Some(waited_for) = &self.waited_for {
            waited_for.send_modify(|n| *n -= 1);
        }
    }
}
