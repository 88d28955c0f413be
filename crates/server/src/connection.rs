//! One connection: its requests, how long a client may be silent, and its end.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::shared::Shared;

/// How long a client may take for the headers of a request.
const HEADERS: Duration = Duration::from_secs(15);
/// When the server ends: how long the last bytes of an answer may take to leave, and half a request to become whole.
const LAST_BYTES: Duration = Duration::from_secs(1);

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

/// When a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// While the server answers.
    Usual,
    /// When it ends already: its request is refused, and that is all.
    Late,
}

/// Answers the requests of one connection.
pub async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    (shared, manner): (&Arc<Shared>, Manner),
) {
    let answers = Arc::new(watch::Sender::new(0));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        let open = Open::new(shared, &answers);
        let answering = router.call(request);
        async move {
            let response: Response<Body> = answering.await?;
            Ok::<_, Infallible>(response.map(|body| Held { body, _open: open }))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(64 << 10)
        .keep_alive(manner == Manner::Usual);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEADERS)).max_concurrent_streams(64);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A client that breaks the rules or off has only itself to tell.
    if manner == Manner::Usual {
        let mut end = shared.end.clone();
        tokio::select! {
            _ = connection.as_mut() => return,
            () = end.begun() => connection.as_mut().graceful_shutdown(),
        }
    }
    tokio::select! {
        _ = connection.as_mut() => {}
        () = quiet(answers.subscribe()) => {}
    }
}

/// Waits until nothing has been answered for a while.
async fn quiet(mut answers: watch::Receiver<usize>) {
    loop {
        // The sender lives as long as the connection.
        let _ = answers.wait_for(|n| *n == 0).await;
        let more = answers.wait_for(|n| *n > 0);
        if tokio::time::timeout(LAST_BYTES, more).await.is_err() {
            return;
        }
    }
}

/// A request that is being answered, for as long as this lives: until the last byte of the answer, or until the client
/// leaves.
struct Open {
    shared: Arc<Shared>,
    answers: Arc<watch::Sender<usize>>,
}

impl Open {
    fn new(shared: &Arc<Shared>, answers: &Arc<watch::Sender<usize>>) -> Self {
        shared.metrics.open.fetch_add(1, Ordering::Relaxed);
        answers.send_modify(|n| *n += 1);
        Self { shared: shared.clone(), answers: answers.clone() }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.metrics.open.fetch_sub(1, Ordering::Relaxed);
        self.answers.send_modify(|n| *n -= 1);
    }
}

/// A body that holds its request open.
struct Held {
    body: Body,
    _open: Open,
}

impl hyper::body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
