//! Settings that are read anew while the server runs. All of them hold from then on, or none: who is being answered
//! notices nothing, and a mistake leaves everything as it was.
//!
//! Not the addresses: sockets stay as they are until the server is started again.

use std::sync::Arc;

use app::{Failure, Limits};

use crate::shared::{Rules, Shared};
use crate::{Settings, Tls, addresses};

/// Settings that were read anew.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// How the server is set up now.
    pub settings: Settings,
    /// The limits of the program.
    pub limits: Limits,
    /// What differs, and cannot change while the program runs: what it is called.
    pub fixed: Vec<String>,
}

/// Reads the settings anew.
pub type Reread = Arc<dyn Fn() -> Result<Renewed, Failure> + Send + Sync>;

/// Gives a running server other settings, from any thread.
#[derive(Clone)]
pub struct Reload(pub(crate) Arc<Shared>);

impl Reload {
    /// Lets other settings hold. Gives a sentence for each that has to wait until the server is started again.
    ///
    /// # Errors
    /// A setting that cannot be: then nothing changes.
    pub fn apply(&self, renewed: Renewed) -> Result<Vec<String>, Failure> {
        let shared = &self.0;
        let now = shared.rules();
        let Renewed { mut settings, limits, fixed } = renewed;
        let mut waiting: Vec<String> = fixed.iter().map(|what| waits(what)).collect();
        if settings.addresses != now.settings.addresses {
            waiting.push(waits(&format!("listening at {}", list(&settings))));
            settings.addresses.clone_from(&now.settings.addresses);
        }
        if settings.tls.is_some() != now.settings.tls.is_some() {
            waiting.push(waits(if settings.tls.is_some() {
                "encryption"
            } else {
                "doing without encryption"
            }));
            settings.tls.clone_from(&now.settings.tls);
            settings.authority_pem.clone_from(&now.settings.authority_pem);
        }
        let acceptor = settings.tls.as_ref().map(Tls::acceptor).transpose()?;
        let hosts = addresses::hosts(&settings, &shared.bound)?;
        shared.app.set_limits(limits);
        shared.set_rules(Rules { settings, hosts, acceptor });
        Ok(waiting)
    }
}

/// Tells how it went.
pub fn tell(shared: &Shared, read: Result<Vec<String>, Failure>) {
    let Some(tell) = shared.rules().settings.tell else { return };
    match read {
        Ok(waiting) => {
            tell("the settings were read anew");
            waiting.iter().for_each(|sentence| tell(sentence));
        }
        Err(failure) => {
            tell(&format!("the settings stay as they were: {} (next: {})", failure.message, failure.hint));
        }
    }
}

fn waits(what: &str) -> String {
    format!("{what}: cannot change while the server runs (next: start it again)")
}

fn list(settings: &Settings) -> String {
    settings.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
