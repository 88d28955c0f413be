//! What all requests share.

use std::sync::Arc;

use app::App;
use app::doors::{Doors, Hosts};

use crate::Settings;
use crate::metrics::{Meter, Metrics};

/// What all requests share.
pub struct Shared {
    pub app: Arc<App>,
    pub doors: Arc<Doors>,
    pub hosts: Hosts,
    pub settings: Settings,
    /// Where the server is reached, as clients write it.
    pub urls: Vec<String>,
    pub metrics: Arc<Metrics>,
}

impl Shared {
    /// Counts what the jobs of a request do.
    pub fn meter(&self) -> Meter {
        Meter::new(self.metrics.clone())
    }

    /// Whether others than the person at this machine may come.
    pub fn is_open_to_others(&self) -> bool {
        self.settings.addresses.iter().any(|address| !address.ip().is_loopback())
    }
}
