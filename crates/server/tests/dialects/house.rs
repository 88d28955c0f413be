//! A server with a home of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use app::{App, Settings};
use serde_json::Value as Json;
use server::{Reload, Server, Stop};
use tempfile::TempDir;
use testkit::wire::{self, Answer};

/// A server that runs until it is dropped.
pub struct House {
    pub address: SocketAddr,
    pub app: Arc<App>,
    pub reload: Reload,
    stop: Stop,
    running: Option<JoinHandle<()>>,
    _home: TempDir,
}

impl House {
    pub fn new() -> Self {
        Self::with(server::Settings::default())
    }

    pub fn with(settings: server::Settings) -> Self {
        Self::of(Settings::default(), settings)
    }

    pub fn of(program: Settings, settings: server::Settings) -> Self {
        let home = TempDir::new().unwrap();
        let app = App::open(Settings { home: home.path().into(), ..program }).unwrap();
        let app = Arc::new(app);
        let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        let server = Server::bind(app.clone(), server::Settings { addresses, ..settings }).unwrap();
        let (address, stop, reload) = (server.addresses()[0], server.stop(), server.reload());
        let running = Some(std::thread::spawn(move || server.run().unwrap()));
        Self { address, app, reload, stop, running, _home: home }
    }

    pub fn get(&self, path: &str) -> Answer {
        wire::get(self.address, path, &[]).unwrap()
    }

    pub fn post(&self, path: &str, body: &Json) -> Answer {
        wire::post(self.address, path, &[], &body.to_string()).unwrap()
    }

    /// The body of a request that is answered.
    pub fn ask(&self, path: &str, body: &Json) -> Json {
        let answer = self.post(path, body);
        let (status, text) = (answer.status, answer.text().unwrap());
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The status and body of a request that is refused.
    pub fn refused(&self, path: &str, body: &Json) -> (u16, Json) {
        let answer = self.post(path, body);
        let (status, text) = (answer.status, answer.text().unwrap());
        assert_ne!(status, 200, "{path}: {text}");
        (status, serde_json::from_str(&text).unwrap())
    }

    /// The lines of a stream's data.
    pub fn data(&self, path: &str, body: &Json) -> Vec<Json> {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200);
        let text = answer.text().unwrap();
        let lines =
            text.split("\n\n").filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
        lines.filter(|line| *line != "[DONE]").map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Brings the image model of `fixtures/draw` in as `painter`.
    pub fn with_painter(self) -> Self {
        let path = testkit::shared::root().join("fixtures/draw/stable");
        let (name, placement) = (Some("painter".into()), app::job::Placement::Copy);
        let import = app::job::Import { path, tokenizer: None, name, placement };
        let end = self.app.run(app::Job::Import(import)).last();
        assert!(matches!(end, Some(app::Event::Stored(_))), "{end:?}");
        self
    }

    /// The pictures that a job makes here, as files.
    pub fn drawn(&self, draw: app::job::draw::Draw) -> Vec<Vec<u8>> {
        let events = self.app.run(app::Job::Draw(draw));
        let files = events.filter_map(|event| match event {
            app::Event::Picture(picture) => Some(picture.png),
            app::Event::Failed(failure) => panic!("{failure:?}"),
            _ => None,
        });
        files.collect()
    }

    /// A figure of the server.
    pub fn figure(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Waits until a figure of the server is this.
    pub fn comes_to(&self, name: &str, wanted: f64) {
        while self.figure(name) != wanted {
            std::thread::yield_now();
        }
    }

    /// Tells it to stop.
    pub fn begin_to_stop(&self) {
        self.stop.stop();
    }

    /// Stops it and waits for its end.
    pub fn stop(&mut self) {
        self.begin_to_stop();
        if let Some(running) = self.running.take() {
            running.join().unwrap();
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop();
    }
}
