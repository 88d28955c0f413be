//! How far a server's end has come: told to everything that has to hear of it.

use tokio::sync::watch;

/// How far a server's end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It answers.
    #[default]
    Running,
    /// What is being answered goes on to its end, for as long as the grace lasts; nothing new begins.
    Ending,
    /// What is still open is cut.
    Over,
}

/// Tells of the end.
pub type Stages = watch::Sender<Stage>;

/// Hears of the end.
#[derive(Clone, Debug)]
pub struct End(watch::Receiver<Stage>);

impl End {
    pub fn of(stages: &Stages) -> Self {
        Self(stages.subscribe())
    }

    /// Whether nothing new may begin.
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() >= Stage::Ending
    }

    /// Waits until nothing new may begin.
    pub async fn begun(&mut self) {
        self.reached(Stage::Ending).await;
    }

    /// Waits until what is open is cut.
    pub async fn over(&mut self) {
        self.reached(Stage::Over).await;
    }

    async fn reached(&mut self, stage: Stage) {
        // That nobody can tell any more means that the server is gone.
        let _ = self.0.wait_for(|now| *now >= stage).await;
    }
}

/// One more wish to end: the first lets answers go on, the second cuts them.
pub fn advance(stages: &Stages) {
    stages.send_modify(|stage| {
        *stage = match stage {
            Stage::Running => Stage::Ending,
            Stage::Ending | Stage::Over => Stage::Over,
        };
    });
}
