//! Who holds how much of the machine's memory, and who has to go for somebody else.
//!
//! A value without a clock and without models: it is told what is there, what is busy and what time it is, and says what
//! to do. What is held is predicted before it is loaded; the sum never passes the limit. Of those that nobody uses, who was
//! used longest ago goes first; what is kept for good never goes by itself.

use std::time::{Duration, Instant};

/// How long a model that nobody uses stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    For(Duration),
    Always,
}

impl Keep {
    /// As Ollama has it. Source: its documentation, "How do I keep a model loaded in memory".
    pub const USUAL: Self = Self::For(Duration::from_secs(300));
}

/// Something that takes memory.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub key: String,
    pub name: String,
    pub bytes: u64,
    pub keep: Keep,
    pub used: Instant,
}

impl Held {
    /// When it goes although nothing needs its place.
    pub fn ends(&self) -> Option<Instant> {
        match self.keep {
            Keep::For(time) => self.used.checked_add(time),
            Keep::Always => None,
        }
    }
}

/// How much something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// With the shortest context that is of any use.
    pub least: u64,
    /// With a context for which others may have to go.
    pub good: u64,
    /// With all that it could use.
    pub most: u64,
}

/// Whether there is room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// So many bytes, once these have gone.
    Now { bytes: u64, gone: Vec<String> },
    /// When these, which are busy, have ended.
    Later { busy: Vec<String> },
    /// Not beside what is kept for good: their names, and how many bytes are left beside them.
    Never { kept: Vec<String>, left: u64 },
}

/// What is held, and how much that may be.
pub(crate) struct Broker {
    limit: u64,
    /// What the program holds without any model.
    base: u64,
    held: Vec<Held>,
}

impl Broker {
    pub fn new(limit: u64, base: u64) -> Self {
        Self { limit, base, held: Vec::new() }
    }

    /// Bytes that may be held in all.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Sets anew how many may be held in all. What is held stays: whoever asks decides what goes.
    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Bytes that are held, as predicted.
    pub fn n_held(&self) -> u64 {
        self.held.iter().map(|held| held.bytes).fold(self.base, u64::saturating_add)
    }

    /// All that is held.
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// What was used longest ago of those that may go.
    pub fn oldest(&self, may_go: impl Fn(&str) -> bool) -> Option<String> {
        let going = self.held.iter().filter(|held| held.keep != Keep::Always && may_go(&held.key));
        going.min_by_key(|held| held.used).map(|held| held.key.clone())
    }

    pub fn find(&self, key: &str) -> Option<&Held> {
        self.held.iter().find(|held| held.key == key)
    }

    /// Notes that something is loaded.
    pub fn hold(&mut self, held: Held) {
        self.release(&held.key);
        self.held.push(held);
    }

    /// Notes that something is gone.
    pub fn release(&mut self, key: &str) {
        self.held.retain(|held| held.key != key);
    }

    /// Notes that something is used, and how long it shall stay where somebody said so.
    pub fn touch(&mut self, key: &str, now: Instant, keep: Option<Keep>) {
        if let Some(held) = self.held.iter_mut().find(|held| held.key == key) {
            held.used = now;
            held.keep = keep.unwrap_or(held.keep);
        }
    }

    /// What stays until it has ended, and how many bytes are missing beside that where so many are wanted.
    pub fn staying(&self, bytes: u64, is_busy: impl Fn(&str) -> bool) -> (Vec<&Held>, u64) {
        let stays = |held: &&Held| held.keep == Keep::Always || is_busy(&held.key);
        let staying: Vec<&Held> = self.held.iter().filter(stays).collect();
        let taken = staying.iter().map(|held| held.bytes).fold(self.base, u64::saturating_add);
        (staying, bytes.saturating_sub(self.limit.saturating_sub(taken)))
    }

    /// Whether there is room for what needs so much.
    pub fn room(&self, need: Need, is_busy: impl Fn(&str) -> bool) -> Room {
        let mut free = self.limit.saturating_sub(self.n_held());
        let mut going: Vec<&Held> = self.held.iter().filter(|held| held.keep != Keep::Always).collect();
        let left = going.iter().map(|held| held.bytes).fold(free, u64::saturating_add);
        if need.least > left {
            let kept = self.held.iter().filter(|held| held.keep == Keep::Always);
            return Room::Never { kept: kept.map(|held| held.name.clone()).collect(), left };
        }
        // Nobody has to go for a comfort that there is no room for.
        let wanted = if need.good <= left { need.good } else { need.least };
        going.sort_by_key(|held| (is_busy(&held.key), held.used));
        let mut gone = Vec::new();
        for held in going {
            if free >= wanted {
                break;
            }
            free = free.saturating_add(held.bytes);
            gone.push(held.key.clone());
        }
        let busy: Vec<String> = gone.iter().filter(|key| is_busy(key)).cloned().collect();
        match busy.is_empty() {
            true => Room::Now { bytes: free.min(need.most), gone },
            false => Room::Later { busy },
        }
    }

    /// What has stayed for as long as it should.
    pub fn expired(&self, now: Instant, is_busy: impl Fn(&str) -> bool) -> Vec<String> {
        let is_over = |held: &&Held| held.ends().is_some_and(|end| end <= now) && !is_busy(&held.key);
        self.held.iter().filter(is_over).map(|held| held.key.clone()).collect()
    }

    /// When the next thing will have stayed for as long as it should.
    pub fn next_end(&self) -> Option<Instant> {
        self.held.iter().filter_map(Held::ends).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;

    const NEED: Need = Need { least: 20, good: 40, most: 60 };

    fn broker(held: &[(&str, u64, Keep)], begun: Instant) -> Broker {
        let mut broker = Broker::new(100, 10);
        for (age, (key, bytes, keep)) in held.iter().enumerate() {
            let used = begun + Duration::from_secs(age as u64);
            let (key, name) = ((*key).to_owned(), (*key).to_uppercase());
            broker.hold(Held { key, name, bytes: *bytes, keep: *keep, used });
        }
        broker
    }

    #[test]
    fn what_stays_is_told_with_what_is_missing() {
        let now = Instant::now();
        let mut broker = Broker::new(100, 10);
        for (name, bytes, keep) in
            [("idle", 20, Keep::USUAL), ("busy", 30, Keep::USUAL), ("work", 25, Keep::Always)]
        {
            broker.hold(Held { key: name.into(), name: name.into(), bytes, keep, used: now });
        }
        let staying = |bytes| {
            let (staying, missing) = broker.staying(bytes, |key| key == "busy");
            (staying.iter().map(|held| held.name.clone()).collect::<Vec<_>>(), missing)
        };
        assert_eq!(staying(50), (vec!["busy".to_owned(), "work".to_owned()], 15));
        assert_eq!(staying(35).1, 0);
    }

    #[test]
    fn the_least_used_goes_first_and_only_as_many_as_must() {
        let begun = Instant::now();
        let held = [("a", 30, Keep::USUAL), ("b", 30, Keep::USUAL), ("c", 20, Keep::USUAL)];
        let mut broker = broker(&held, begun);
        let now =
            |bytes, gone: &[&str]| Room::Now { bytes, gone: gone.iter().map(|&key| key.into()).collect() };
        assert_eq!(broker.room(NEED, |_| false), now(40, &["a"]));
        broker.touch("a", begun + Duration::from_secs(9), None);
        assert_eq!(broker.room(NEED, |_| false), now(40, &["b"]));
        assert_eq!(broker.room(NEED, |key| key == "b"), now(60, &["c", "a"]));
        assert_eq!(broker.room(NEED, |_| true), Room::Later { busy: vec!["b".into()] });
        broker.release("a");
        assert_eq!(broker.room(NEED, |_| true), now(40, &[]));
        assert_eq!(broker.room(Need { most: 35, good: 30, ..NEED }, |_| true), now(35, &[]));
    }

    #[test]
    fn what_is_kept_for_good_stays_and_is_named() {
        let broker = broker(&[("a", 50, Keep::Always), ("b", 20, Keep::USUAL)], Instant::now());
        let need = Need { least: 41, good: 50, most: 60 };
        assert_eq!(broker.room(need, |_| false), Room::Never { kept: vec!["A".into()], left: 40 });
        let need = Need { least: 40, good: 50, most: 60 };
        assert_eq!(broker.room(need, |_| false), Room::Now { bytes: 40, gone: vec!["b".into()] });
    }

    #[test]
    fn what_nobody_uses_goes_after_its_time() {
        let begun = Instant::now();
        let short = Keep::For(Duration::from_secs(5));
        let broker = broker(&[("a", 10, short), ("b", 10, Keep::Always), ("c", 10, Keep::USUAL)], begun);
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(broker.next_end(), Some(at(5)));
        assert!(broker.expired(at(4), |_| false).is_empty());
        assert_eq!(broker.expired(at(5), |_| false), ["a"]);
        assert!(broker.expired(at(5), |_| true).is_empty(), "who is busy stays");
        assert_eq!(broker.expired(at(1000), |_| false), ["a", "c"]);
    }

    /// Whatever comes, the sum stays within the limit, and who is busy stays.
    #[test]
    fn the_limit_holds() {
        let mut rng = Rng::new(7);
        let mut broker = Broker::new(100, 10);
        let begun = Instant::now();
        for at in 0..2000 {
            let least = 1 + rng.below(70) as u64;
            let good = least + rng.below(30) as u64;
            let need = Need { least, good, most: good + rng.below(50) as u64 };
            let busy = rng.below(8).to_string();
            if let Room::Now { bytes, gone } = broker.room(need, |key| key == busy) {
                assert!((need.least..=need.most).contains(&bytes) && !gone.contains(&busy));
                gone.iter().for_each(|key| broker.release(key));
                let key = rng.below(8).to_string();
                let used = begun + Duration::from_millis(at);
                broker.release(&key);
                broker.hold(Held { name: key.clone(), key, bytes, keep: Keep::USUAL, used });
            }
            assert!(broker.n_held() <= broker.limit());
        }
    }
}
