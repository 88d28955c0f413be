//! What all requests share.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use app::App;
use app::doors::{Doors, Hosts};
use tokio_rustls::TlsAcceptor;

use crate::desks::Desks;
use crate::metrics::{Meter, Metrics};
use crate::stage::End;
use crate::{Settings, addresses};

/// What all requests share.
pub struct Shared {
    pub app: Arc<App>,
    pub doors: Arc<Doors>,
    /// Where the server listens.
    pub bound: Vec<SocketAddr>,
    /// Where it is reached, as clients write it.
    pub urls: Vec<String>,
    pub metrics: Arc<Metrics>,
    /// What clients of web UIs expect to be remembered.
    pub desks: Arc<Desks>,
    pub end: End,
    rules: RwLock<Arc<Rules>>,
}

/// What holds until the settings are read anew.
pub struct Rules {
    pub settings: Settings,
    pub hosts: Hosts,
    /// Turns connections into encrypted ones, where they are to be.
    pub acceptor: Option<TlsAcceptor>,
}

impl Shared {
    pub fn new(app: Arc<App>, doors: Arc<Doors>, (rules, bound): (Rules, Vec<SocketAddr>), end: End) -> Self {
        let urls = addresses::urls(&rules.settings, &bound);
        let rules = RwLock::new(Arc::new(rules));
        Self { app, doors, bound, urls, metrics: Arc::default(), desks: Arc::default(), end, rules }
    }

    /// What holds now.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets other rules hold, for every request that comes from now on.
    pub fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Counts what the jobs of a request do.
    pub fn meter(&self) -> Meter {
        Meter::new(self.metrics.clone())
    }
}
