//! Who may come in and what they may spend: the front of a server.
//!
//! Keys are held against `guard`, quotas against `ledger`; every answer of a guest, and every one that a server gives at
//! all, is written into the ledger before its last event is told.

mod bill;

use core::net::IpAddr;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use base::clock::Clock;
use base::{KeyId, Limits};
pub use guard::Scope;
use guard::backoff::Backoff;
pub use guard::hosts::{Asked, HostName, Hosts, Origin, Refused};
use guard::{Guard, Scopes};
use ledger::Ledger;
use ledger::rate::{Rates, Standing};

use crate::caller::{Caller, Class};
use crate::{App, Failure};
pub(crate) use bill::{Bill, Settlement};

/// The doors of a server.
pub struct Doors {
    guard: Guard,
    ledger: Arc<Ledger>,
    rates: Mutex<Rates>,
    backoff: Mutex<Backoff>,
    clock: Arc<dyn Clock>,
    books: Mutex<Sender<Settlement>>,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Whose jobs these are.
    pub caller: Caller,
    /// What the key is called; empty for the person at this machine.
    pub name: String,
    scopes: Option<Scopes>,
    /// How many requests a minute there may be, how many are left, and in how many milliseconds it is full again.
    pub rate: Option<(u32, u32, u64)>,
}

/// Why somebody is not let in.
#[derive(Clone, Debug)]
pub enum Turned {
    /// No key, or a wrong one.
    Unknown(Failure),
    /// A key that may not do this.
    Forbidden(Failure),
    /// Too many wrong keys or requests: come back in so many milliseconds.
    TooFast(Failure, u64),
    /// The keys cannot be read.
    Broken(Failure),
}

impl App {
    /// Opens the keys and the ledger of this home.
    ///
    /// # Errors
    /// Files that are damaged or cannot be read.
    pub fn doors(&self) -> Result<Arc<Doors>, Failure> {
        let (guard, ledger) = (Guard::open(self.home())?, Arc::new(Ledger::open(self.home())?));
        let (sender, settlements) = channel();
        let books = ledger.clone();
        std::thread::Builder::new()
            .name("books".into())
            .spawn(move || bill::keep(&books, &settlements))
            .map_err(|error| Failure::no_thread(&error))?;
        Ok(Arc::new(Doors {
            guard,
            ledger,
            rates: Mutex::default(),
            backoff: Mutex::default(),
            clock: self.clock(),
            books: Mutex::new(sender),
        }))
    }
}

impl Doors {
    /// Whether there is a key that lets somebody in.
    ///
    /// # Errors
    /// Keys that cannot be read.
    pub fn has_keys(&self) -> Result<bool, Failure> {
        let now = self.clock.now_unix_ms();
        let is_living = |key: &guard::KeyRecord| {
            key.revoked_unix_ms.is_none() && key.expires_unix_ms.is_none_or(|end| end > now)
        };
        Ok(self.guard.keys()?.iter().any(is_living))
    }

    /// The person at this machine, who needs no key.
    pub fn person(&self) -> Guest {
        Guest { caller: Caller::default(), name: String::new(), scopes: None, rate: None }
    }

    /// Lets in who presents this key from this address.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, presented: &str, from: IpAddr) -> Result<Guest, Turned> {
        let now = self.clock.now_unix_ms();
        let admitted = self.guard.check(presented, now).map_err(|refusal| {
            let failure = Failure::new("bad_key", refusal.to_string(), refusal.hint());
            match refusal {
                guard::Refusal::Unreadable(_) => Turned::Broken(failure),
                guard::Refusal::Unknown => self.wrong(failure, from, now),
                _ => Turned::Unknown(failure),
            }
        })?;
        let rate = lock(&self.rates).take(admitted.id, admitted.limits.requests_per_minute, now);
        let rate = rate.map_err(|too_fast| {
            let message = format!("this key may ask {} times a minute", too_fast.standing.limit);
            let failure = Failure::new("rate_limit", message, "ask a little later");
            Turned::TooFast(failure, too_fast.retry_after_ms)
        })?;
        let caller = Caller {
            // The person at this machine has the number 0, which no key has.
            owner: admitted.id.bits() | 1 << 63,
            class: Class::Interactive,
            key: Some(admitted.id),
            limits: admitted.limits,
        };
        let rate = rate.map(|Standing { limit, remaining, resets_in_ms }| (limit, remaining, resets_in_ms));
        Ok(Guest { caller, name: admitted.name, scopes: Some(admitted.scopes), rate })
    }

    fn wrong(&self, failure: Failure, from: IpAddr, now: u64) -> Turned {
        match lock(&self.backoff).wrong(from, now) {
            0 => Turned::Unknown(failure),
            wait_ms => Turned::TooFast(failure, wait_ms),
        }
    }

    /// What a request of a key needs to be counted; nothing for the person at this machine.
    ///
    /// # Errors
    /// `over_quota`, or a ledger that cannot be written.
    pub(crate) fn bill(&self, caller: Caller) -> Result<Bill, Failure> {
        let now = self.clock.now_unix_ms();
        let grant = caller.key.map(|key| self.take(key, &caller.limits, now)).transpose()?;
        Ok(Bill::new(caller.key, grant, lock(&self.books).clone(), self.clock.clone()))
    }

    fn take(&self, key: KeyId, limits: &Limits, now: u64) -> Result<ledger::Grant, Failure> {
        self.ledger.take(key, limits, now).map_err(|error| {
            let code = if matches!(error, ledger::Error::Over(_)) { "over_quota" } else { "ledger" };
            Failure::new(code, error.to_string(), error.hint())
        })
    }

    /// What is kept in memory and is to be kept for good; to be called now and then.
    pub fn write(&self) {
        // Only when a key was used last.
        let _ = self.guard.write_uses();
    }
}

impl Guest {
    /// Whether a guest may do this.
    ///
    /// # Errors
    /// [`Turned::Forbidden`].
    pub fn require(&self, scope: Scope) -> Result<(), Turned> {
        match self.scopes {
            Some(scopes) if !scopes.allow(scope) => {
                let message =
                    format!("the key \"{}\" is not good for this: it may do \"{scopes}\"", self.name);
                let hint = format!("ask who runs this server for a key with the scope {scope}");
                Err(Turned::Forbidden(Failure::new("out_of_scope", message, hint)))
            }
            _ => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
