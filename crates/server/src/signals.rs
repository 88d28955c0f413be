//! What the system tells the process: to end (SIGTERM, SIGINT), or to read its settings anew (SIGHUP).
//!
//! A second wish to end cuts what is open. SIGHUP also says that a terminal is gone: a server that was started in one
//! ends with it.

use std::sync::Arc;

use crate::reload::{self, Reload, Reread};
use crate::shared::Shared;
use crate::stage::{Stages, advance};

/// Follows the signals until the server is gone.
#[cfg(unix)]
pub async fn follow(shared: Arc<Shared>, stages: Stages, reread: Option<Reread>) {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    async fn next(signal: &mut Option<Signal>) {
        match signal {
            Some(signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }

    let wanted = |kind: SignalKind| signal(kind).ok();
    let (mut terminate, mut interrupt) = (wanted(SignalKind::terminate()), wanted(SignalKind::interrupt()));
    // Without anything to read the signal means what it always meant.
    let mut hang_up = reread.as_ref().and_then(|_| wanted(SignalKind::hangup()));
    let had_terminal = has_terminal();
    loop {
        tokio::select! {
            () = next(&mut terminate) => advance(&stages),
            () = next(&mut interrupt) => advance(&stages),
            () = next(&mut hang_up) => {
                // The system takes the terminal away a moment after it told.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                if had_terminal && !has_terminal() {
                    advance(&stages);
                } else if let Some(reread) = &reread {
                    read_anew(&shared, reread.clone()).await;
                }
            }
        }
    }
}

/// Follows the wish of a person at the terminal to end.
#[cfg(not(unix))]
pub async fn follow(_: Arc<Shared>, stages: Stages, _: Option<Reread>) {
    while tokio::signal::ctrl_c().await.is_ok() {
        advance(&stages);
    }
}

#[cfg(unix)]
async fn read_anew(shared: &Arc<Shared>, reread: Reread) {
    let reload = Reload(shared.clone());
    let read = tokio::task::spawn_blocking(move || reread().and_then(|renewed| reload.apply(renewed))).await;
    let read = read.unwrap_or_else(|_| Err(app::Failure::new("internal", "a bug", "please report it")));
    reload::tell(shared, read);
}

/// Whether the process belongs to a terminal. Source: POSIX, "Controlling terminal".
#[cfg(unix)]
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}
