//! `/api/blobs/:digest`: files that come before the model that is made of them.
//!
//! A digest is a type of the store, never a path; the file is hashed while it comes, and nothing of it stays where it is
//! not what its name says. Source: docs/api.md, "Check if a Blob Exists", "Push a Blob".

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use app::{Event, Failure, Job};
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use hyper::body::Body as _;
use tokio::sync::Semaphore;

use crate::call::Call;
use crate::jobs::Jobs;
use crate::refusal::Refusal;
use crate::route::{Answering, answering};

/// The largest file: what a disk has room for is far less.
const MOST_BYTES: u64 = 1 << 40;
/// How long a client may send nothing.
const PATIENCE: Duration = Duration::from_secs(60);
/// Files that come at once; each holds a thread.
static ROOM: Semaphore = Semaphore::const_new(4);

pub fn look(call: Call) -> Answering {
    answering(async move {
        match size(&call).await? {
            Some(_) => Ok(StatusCode::OK.into_response()),
            None => {
                let message = format!("there is no file {}", call.path);
                let hint = "send it with POST to the same address";
                Err(Refusal::new(StatusCode::NOT_FOUND, Failure::new("no_such_file", message, hint)))
            }
        }
    })
}

pub fn take(call: Call) -> Answering {
    answering(async move {
        let body = call.bytes.lock().ok().and_then(|mut body| body.take());
        let mut body = body.ok_or_else(|| Refusal::field("body", "it is missing"))?;
        if size(&call).await?.is_some() {
            // The client hears of it when it has said all.
            while next(&mut body).await?.is_some() {}
            return Ok(StatusCode::OK.into_response());
        }
        let _room = ROOM.acquire().await.map_err(|_| Refusal::not_here("taking files in"))?;
        let (pieces, running) = call.shared.app.receive(&call.path, MOST_BYTES);
        while let Some(piece) = next(&mut body).await? {
            if !pieces.send(piece.to_vec()).await {
                break;
            }
        }
        drop(pieces);
        Jobs::new(vec![running], call.shared.meter()).last().await?;
        Ok(StatusCode::CREATED.into_response())
    })
}

/// How long the file is that a request names, if it is here.
async fn size(call: &Call) -> Result<Option<u64>, Refusal> {
    match call.run(Job::Blob { digest: call.path.clone() }).last().await? {
        Event::Blob { size_bytes, .. } => Ok(size_bytes),
        _ => Ok(None),
    }
}

/// The next piece of a body; nothing behind its end.
///
/// # Errors
/// A client that breaks off or sends nothing for long.
async fn next(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
        match tokio::time::timeout(PATIENCE, frame).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
            Ok(Some(Err(_))) => return Err(broken("the file was cut off")),
            Err(_) => return Err(broken("nothing more of the file came")),
        }
    }
}

fn broken(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, Failure::new("cut_off", message, "send the whole file again"))
}
