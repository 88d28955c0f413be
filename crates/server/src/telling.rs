//! An answer that is told while it is made: events become the lines of a dialect, and go out as they come.
//!
//! A slow reader holds nobody up: what is made waits in memory, bounded by the length of an answer. A reader who leaves
//! ends the jobs at their next step.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use app::{Event, Failure};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use tokio::sync::mpsc::{Receiver, channel};

use crate::jobs::Jobs;

/// How long nothing is said before a sign of life: well within the patience of proxies.
const QUIET: Duration = Duration::from_secs(10);
/// Pieces that wait for the connection.
const WAITING: usize = 4;
/// What is ready at once goes out as one piece, up to so many bytes.
const PIECE_BYTES: usize = 16 << 10;

/// How a dialect tells an answer while it is made. A pure translation: what it puts out depends on the events alone.
pub trait Telling: Send + 'static {
    /// The media type of the lines.
    fn media_type(&self) -> &'static str {
        "text/event-stream"
    }

    /// Says what comes before every event.
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    /// Says what an event of the job `index` says.
    fn tell(&mut self, index: usize, event: Event, out: &mut Vec<u8>);

    /// Says that nothing happened for a while.
    fn idle(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }

    /// Says what comes behind every event.
    fn end(&mut self, _out: &mut Vec<u8>) {}
}

/// Tells the answers of jobs. The first event is waited for, so that a request that comes to nothing is refused with a
/// status of its own.
///
/// # Errors
/// The failure of a job before anything was told.
pub async fn tell(mut jobs: Jobs, mut telling: impl Telling) -> Result<Response, Failure> {
    let first = match jobs.next().await {
        Some((_, Event::Failed(failure))) => return Err(failure),
        Some(first) => first,
        None => return Err(Failure::new("internal", "a job told nothing", "please report it")),
    };
    let media_type = HeaderValue::from_static(telling.media_type());
    let (sender, receiver) = channel(WAITING);
    tokio::spawn(async move {
        let mut out = Vec::new();
        telling.begin(&mut out);
        telling.tell(first.0, first.1, &mut out);
        loop {
            while out.len() < PIECE_BYTES
                && let Some((index, event)) = jobs.ready()
            {
                telling.tell(index, event, &mut out);
            }
            if !out.is_empty() && sender.send(Bytes::from(std::mem::take(&mut out))).await.is_err() {
                return;
            }
            tokio::select! {
                next = jobs.next() => match next {
                    Some((index, event)) => telling.tell(index, event, &mut out),
                    None => break,
                },
                () = tokio::time::sleep(QUIET) => telling.idle(&mut out),
                () = sender.closed() => return,
            }
        }
        telling.end(&mut out);
        if !out.is_empty() {
            // Who has left misses the end only.
            let _ = sender.send(Bytes::from(out)).await;
        }
    });
    let mut response = Response::new(Body::new(Lines(receiver)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Source: nginx's documentation of `proxy_buffering`.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The pieces of a body as they come.
struct Lines(Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(hyper::body::Frame::data(piece))))
    }
}

/// Writes a server-sent event without a name.
pub fn data(value: &serde_json::Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(value.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// Writes a server-sent event with a name.
pub fn named(name: &str, value: &serde_json::Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    data(value, out);
}

/// Writes a line of JSON.
pub fn line(value: &serde_json::Value, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
    out.push(b'\n');
}
