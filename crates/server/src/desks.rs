//! What clients of web UIs expect a server to remember between requests: which drawings go on and how far they are, and
//! the settings that they made. Each owner has their own, and sees and stops nobody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use app::event::draw::{Drawing, Preview};
use app::{Canceller, Event};

/// What every owner has before them. There are as many as keys that were used.
#[derive(Default)]
pub struct Desks(Mutex<HashMap<u64, Desk>>);

/// What one owner has before them.
#[derive(Default)]
struct Desk {
    settings: Settings,
    /// The oldest first.
    going: Vec<Going>,
    n_begun: u64,
}

/// Settings that hold for all later drawings of an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The model's name.
    pub model: Option<String>,
    pub clip_skip: Option<usize>,
    /// Whose noise a seed stands for, in the words of web UIs.
    pub noise: Option<&'static str>,
}

/// A drawing that goes on.
#[derive(Clone)]
pub struct Going {
    number: u64,
    canceller: Canceller,
    begun: Instant,
    pub n_pictures: usize,
    pub drawing: Option<Drawing>,
    pub preview: Option<Preview>,
    pub is_interrupted: bool,
}

impl Going {
    /// How much is done, from 0 to 1, and how long the rest takes at this pace. Source: `progressapi` of AUTOMATIC1111's
    /// stable-diffusion-webui, which begins with a hundredth.
    pub fn progress(&self) -> (f64, Duration) {
        let n_pictures = self.n_pictures.max(1) as f64;
        let done = self.drawing.map_or(0.0, |drawing| {
            (drawing.index as f64 + drawing.steps_done as f64 / drawing.n_steps.max(1) as f64) / n_pictures
        });
        let share = (0.01 + done).min(1.0);
        let past = self.begun.elapsed().as_secs_f64();
        (share, Duration::try_from_secs_f64(past / share - past).unwrap_or_default())
    }
}

/// A drawing's place on its owner's desk, for as long as this lives.
pub struct Place {
    desks: Arc<Desks>,
    owner: u64,
    number: u64,
}

impl Desks {
    /// Lays a drawing on its owner's desk.
    pub fn lay(self: &Arc<Self>, owner: u64, canceller: Canceller, n_pictures: usize) -> Place {
        let mut desks = self.all();
        let desk = desks.entry(owner).or_default();
        desk.n_begun += 1;
        let (number, begun) = (desk.n_begun, Instant::now());
        desk.going.push(Going {
            number,
            canceller,
            begun,
            n_pictures,
            drawing: None,
            preview: None,
            is_interrupted: false,
        });
        Place { desks: self.clone(), owner, number }
    }

    /// The owner's oldest drawing that goes on.
    pub fn going(&self, owner: u64) -> Option<Going> {
        self.all().get(&owner)?.going.first().cloned()
    }

    /// Stops it; what it made so far is answered.
    pub fn interrupt(&self, owner: u64) {
        if let Some(going) = self.all().get_mut(&owner).and_then(|desk| desk.going.first_mut()) {
            going.is_interrupted = true;
            going.canceller.cancel();
        }
    }

    pub fn settings(&self, owner: u64) -> Settings {
        self.all().get(&owner).map(|desk| desk.settings.clone()).unwrap_or_default()
    }

    pub fn set(&self, owner: u64, settings: Settings) {
        self.all().entry(owner).or_default().settings = settings;
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Desk>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Notes what an event says of how far it is.
    pub fn note(&self, event: &Event) {
        let mut desks = self.desks.all();
        let desk = desks.get_mut(&self.owner);
        let going = desk.and_then(|desk| desk.going.iter_mut().find(|going| going.number == self.number));
        let Some(going) = going else { return };
        match event {
            Event::Drawing(drawing) => going.drawing = Some(*drawing),
            Event::Preview(preview) => going.preview = Some(preview.clone()),
            _ => {}
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(desk) = self.desks.all().get_mut(&self.owner) {
            desk.going.retain(|going| going.number != self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawing(index: usize, steps_done: usize) -> Event {
        Event::Drawing(Drawing { index, steps_done, n_steps: 4, step_seconds: 1.0 })
    }

    #[test]
    fn who_interrupts_stops_their_own_oldest_drawing() {
        let desks = Arc::<Desks>::default();
        let cancellers: Vec<Canceller> = (0..3).map(|_| Canceller::default()).collect();
        let [first, second, other] = [(1, 0), (1, 1), (2, 2)]
            .map(|(owner, at): (u64, usize)| desks.lay(owner, cancellers[at].clone(), 2));
        desks.interrupt(3);
        desks.interrupt(1);
        let cancelled = || cancellers.iter().map(Canceller::is_cancelled).collect::<Vec<_>>();
        assert_eq!(cancelled(), [true, false, false]);
        assert!(desks.going(1).unwrap().is_interrupted && !desks.going(2).unwrap().is_interrupted);
        drop(first);
        desks.interrupt(1);
        assert_eq!(cancelled(), [true, true, false]);
        drop((second, other));
        assert!(desks.going(1).is_none() && desks.going(2).is_none());
    }

    #[test]
    fn progress_is_of_all_pictures() {
        let desks = Arc::<Desks>::default();
        let place = desks.lay(0, Canceller::default(), 2);
        let share = || desks.going(0).unwrap().progress().0;
        assert_eq!(share(), 0.01);
        place.note(&drawing(0, 2));
        assert_eq!(share(), 0.26);
        place.note(&drawing(1, 2));
        assert_eq!(share(), 0.76);
        place.note(&drawing(1, 4));
        assert_eq!(share(), 1.0);
        assert_eq!(desks.going(0).unwrap().progress().1, Duration::ZERO);
    }

    #[test]
    fn settings_are_each_owners_own() {
        let desks = Desks::default();
        let mine = Settings { clip_skip: Some(2), ..Settings::default() };
        desks.set(1, mine.clone());
        assert_eq!((desks.settings(1), desks.settings(2)), (mine, Settings::default()));
    }
}
