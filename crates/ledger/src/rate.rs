//! Requests in a minute: a token bucket for each key.
//!
//! Plain values in memory; the time is passed in. They forget at a restart, which costs a minute's worth at most.
//!
//! A bucket holds a minute's requests and fills evenly, so that a burst is let in and the mean is the limit. Source:
//! J. Turner, "New directions in communications" (1986), the leaky bucket as a meter.

use std::collections::HashMap;

use base::KeyId;

const MINUTE_MS: u64 = 60_000;

/// The bucket of one key. Its level is counted in parts of a request: 60,000 are one, and in a millisecond as many
/// flow in as there may be requests in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_minute: u32,
    level: u64,
    last_ms: u64,
}

/// How a key stands, for the headers of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests that it may make in a minute.
    pub limit: u32,
    /// Requests that it may make at once.
    pub remaining: u32,
    /// After so many milliseconds without a request the bucket is full.
    pub resets_in_ms: u64,
}

/// Too many requests in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this key may make {} requests in a minute; the next one in {retry_after_ms} ms", standing.limit)]
pub struct TooFast {
    /// How the key stands.
    pub standing: Standing,
    /// When a request would be let in, in milliseconds.
    pub retry_after_ms: u64,
}

impl Rate {
    /// A full bucket of so many requests in a minute; of 0 it lets none in.
    pub fn new(per_minute: u32, now_unix_ms: u64) -> Self {
        Self { per_minute, level: u64::from(per_minute) * MINUTE_MS, last_ms: now_unix_ms }
    }

    /// Lets one request in.
    ///
    /// # Errors
    /// [`TooFast`]: nothing was taken.
    pub fn take(&mut self, now_unix_ms: u64) -> Result<Standing, TooFast> {
        self.fill(now_unix_ms);
        let Some(level) = self.level.checked_sub(MINUTE_MS) else {
            let missing = MINUTE_MS - self.level;
            let retry_after_ms = match u64::from(self.per_minute) {
                0 => MINUTE_MS,
                per_minute => missing.div_ceil(per_minute),
            };
            return Err(TooFast { standing: self.standing(), retry_after_ms });
        };
        self.level = level;
        Ok(self.standing())
    }

    /// What has flowed in since the last time. A clock that goes back lets nothing flow, and takes nothing away.
    fn fill(&mut self, now_unix_ms: u64) {
        let passed_ms = now_unix_ms.saturating_sub(self.last_ms).min(MINUTE_MS);
        self.last_ms = now_unix_ms;
        self.level = (self.level + passed_ms * u64::from(self.per_minute)).min(self.capacity());
    }

    fn capacity(&self) -> u64 {
        u64::from(self.per_minute) * MINUTE_MS
    }

    fn standing(&self) -> Standing {
        let missing = self.capacity() - self.level;
        Standing {
            limit: self.per_minute,
            remaining: u32::try_from(self.level / MINUTE_MS)
                .expect("the level is at most that of a u32 of requests"),
            resets_in_ms: missing.div_ceil(u64::from(self.per_minute).max(1)),
        }
    }
}

/// The buckets of all keys that are let in. It grows with the keys that exist, not with what strangers present.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    rates: HashMap<KeyId, Rate>,
}

impl Rates {
    /// Lets one request of a key in; `None` for a key without such a limit. A limit that has changed begins with a
    /// full bucket.
    ///
    /// # Errors
    /// [`TooFast`]: nothing was taken.
    pub fn take(
        &mut self,
        key: KeyId,
        per_minute: Option<u32>,
        now_unix_ms: u64,
    ) -> Result<Option<Standing>, TooFast> {
        let Some(per_minute) = per_minute else {
            self.rates.remove(&key);
            return Ok(None);
        };
        let fresh = Rate::new(per_minute, now_unix_ms);
        let rate = self.rates.entry(key).or_insert(fresh);
        if rate.per_minute != per_minute {
            *rate = fresh;
        }
        rate.take(now_unix_ms).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_a_minute_is_let_in_and_then_the_mean() {
        let mut rate = Rate::new(3, 1_000);
        let standing = |remaining, resets_in_ms| Standing { limit: 3, remaining, resets_in_ms };
        assert_eq!(rate.take(1_000), Ok(standing(2, 20_000)));
        assert_eq!(rate.take(1_000), Ok(standing(1, 40_000)));
        assert_eq!(rate.take(1_000), Ok(standing(0, 60_000)));
        let refused = TooFast { standing: standing(0, 60_000), retry_after_ms: 20_000 };
        assert_eq!(rate.take(1_000), Err(refused));
        let refused = TooFast { standing: standing(0, 40_001), retry_after_ms: 1 };
        assert_eq!(rate.take(20_999), Err(refused));
        assert_eq!(rate.take(21_000), Ok(standing(0, 60_000)));
        assert_eq!(rate.take(21_000 + 600_000), Ok(standing(2, 20_000)), "no more than a minute's flows in");
    }

    #[test]
    fn over_many_minutes_the_mean_is_the_limit() {
        for per_minute in [1_u32, 7, 60, 999] {
            let mut rate = Rate::new(per_minute, 0);
            // A client that asks every 10 ms for ten minutes.
            let n_let_in = (0..60_000).filter(|step| rate.take(step * 10).is_ok()).count();
            let expected = per_minute as usize * 11;
            assert!((expected - 1..=expected).contains(&n_let_in), "{per_minute}: {n_let_in}");
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_stop_for_ever() {
        let mut rate = Rate::new(u32::MAX, 0);
        assert_eq!(rate.take(u64::MAX).unwrap().remaining, u32::MAX - 1);
        let mut none = Rate::new(0, 0);
        assert_eq!(none.take(u64::MAX).unwrap_err().retry_after_ms, 60_000);
        // Back a year: what was there stays, and it fills by the clock as it is now.
        const YEAR_MS: u64 = 365 * 24 * 60 * 60_000;
        let mut rate = Rate::new(2, 3 * YEAR_MS);
        rate.take(3 * YEAR_MS).unwrap();
        assert_eq!(rate.take(2 * YEAR_MS).unwrap().remaining, 0);
        assert!(rate.take(2 * YEAR_MS).is_err());
        assert_eq!(rate.take(2 * YEAR_MS + 30_000).unwrap().remaining, 0);
        assert_eq!(rate.take(12 * YEAR_MS).unwrap().remaining, 1);
    }

    #[test]
    fn each_key_has_its_own_bucket() {
        let [one, other] = [1, 2].map(KeyId::from_bits);
        let mut rates = Rates::default();
        assert!(rates.take(one, Some(1), 0).is_ok() && rates.take(one, Some(1), 0).is_err());
        assert!(rates.take(other, Some(1), 0).is_ok());
        assert_eq!(rates.take(one, None, 0), Ok(None));
        assert_eq!(rates.take(one, Some(5), 0).unwrap().unwrap().remaining, 4);
        assert_eq!(rates.take(one, Some(9), 0).unwrap().unwrap().remaining, 8, "a new limit begins full");
    }
}
