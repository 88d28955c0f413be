//! What jobs took together: by key, by model, by day.
//!
//! Does not: know money or energy.

use base::KeyId;
use rusqlite::Row;
use rusqlite::types::FromSql;

use crate::database::{loaded, stored};
use crate::{DAY_MS, Ledger, Result};

/// A stretch of time, by when jobs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first millisecond since 1970 that is in it.
    pub from_unix_ms: u64,
    /// The first one that is not.
    pub until_unix_ms: u64,
}

impl Span {
    /// All of time.
    pub const ALL: Self = Self { from_unix_ms: 0, until_unix_ms: u64::MAX };
}

/// What several jobs took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many there were, however they ended.
    pub jobs: u64,
    /// Tokens of their prompts, those that were found computed among them.
    pub prompt_tokens: u64,
    /// Of them those that were found computed.
    pub found_tokens: u64,
    /// Tokens of their answers.
    pub answer_tokens: u64,
    /// How long they waited, in milliseconds.
    pub queue_ms: u64,
    /// How long they were computed, in milliseconds.
    pub compute_ms: u64,
}

impl Sum {
    /// Tokens of prompts and answers.
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.answer_tokens)
    }
}

impl Ledger {
    /// What each key took, the one with most tokens first; `None` for jobs without a key.
    ///
    /// # Errors
    /// Those of the database.
    pub fn per_key(&self, span: Span) -> Result<Vec<(Option<KeyId>, Sum)>> {
        let rows = self.sums::<Option<i64>>("key", "sum(prompt_tokens + answer_tokens)", span)?;
        let key = |bits: i64| KeyId::from_bits(loaded(bits));
        Ok(rows.into_iter().map(|(bits, sum)| (bits.map(key), sum)).collect())
    }

    /// What was taken of each model, the one with most tokens first.
    ///
    /// # Errors
    /// Those of the database.
    pub fn per_model(&self, span: Span) -> Result<Vec<(String, Sum)>> {
        self.sums("model", "sum(prompt_tokens + answer_tokens)", span)
    }

    /// What was taken on each day (UTC), by when jobs ended; the last day first. A day is given by its start, in
    /// milliseconds since 1970.
    ///
    /// # Errors
    /// Those of the database.
    pub fn per_day(&self, span: Span) -> Result<Vec<(u64, Sum)>> {
        let day = format!("at_unix_ms / {DAY_MS}");
        let rows = self.sums::<i64>(&day, &day, span)?;
        Ok(rows.into_iter().map(|(day, sum)| (loaded(day) * DAY_MS, sum)).collect())
    }

    fn sums<G: FromSql>(&self, group: &str, order: &str, span: Span) -> Result<Vec<(G, Sum)>> {
        let text = format!(
            "SELECT {group}, count(*), sum(prompt_tokens), sum(found_tokens), sum(answer_tokens), sum(queue_ms), \
             sum(compute_ms) FROM entries WHERE at_unix_ms >= ?1 AND at_unix_ms < ?2 GROUP BY {group} \
             ORDER BY {order} DESC, {group}"
        );
        // The end of time itself is kept as the largest number, and is in the span that has no end.
        let until = if span.until_unix_ms == u64::MAX { None } else { Some(stored(span.until_unix_ms)) };
        let text = if until.is_none() { text.replace("at_unix_ms < ?2", "?2 IS NULL") } else { text };
        self.read("sum up", |connection| {
            let mut statement = connection.prepare(&text)?;
            statement.query_map((stored(span.from_unix_ms), until), read_sum)?.collect()
        })
    }
}

fn read_sum<G: FromSql>(row: &Row) -> rusqlite::Result<(G, Sum)> {
    let number = |column| row.get::<_, i64>(column).map(loaded);
    let sum = Sum {
        jobs: number(1)?,
        prompt_tokens: number(2)?,
        found_tokens: number(3)?,
        answer_tokens: number(4)?,
        queue_ms: number(5)?,
        compute_ms: number(6)?,
    };
    Ok((row.get(0)?, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, Outcome};

    #[test]
    fn sums_are_those_of_the_entries_in_the_span() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let [anna, bert] = [1, 2].map(KeyId::from_bits);
        // Day, key, model, tokens of the prompt; found, answer and times follow from them.
        let jobs = [
            (10, Some(anna), "small", 100),
            (10, Some(bert), "large", 1),
            (11, Some(anna), "large", 10),
            (12, None, "small", 5),
        ];
        for (day, key, model, prompt_tokens) in jobs {
            let entry = Entry {
                at_unix_ms: day * DAY_MS + 7,
                job: "j".into(),
                key,
                model: model.into(),
                prompt_tokens,
                found_tokens: prompt_tokens / 2,
                answer_tokens: 2 * prompt_tokens,
                queue_ms: 3,
                compute_ms: 1 << 39,
                outcome: Outcome::Done,
            };
            ledger.record(&entry).unwrap();
        }
        let sum = |jobs: u64, prompt_tokens: u64, found_tokens: u64| Sum {
            jobs,
            prompt_tokens,
            found_tokens,
            answer_tokens: 2 * prompt_tokens,
            queue_ms: 3 * jobs,
            compute_ms: jobs << 39,
        };
        let per_key = ledger.per_key(Span::ALL).unwrap();
        assert_eq!(
            per_key,
            [(Some(anna), sum(2, 110, 55)), (None, sum(1, 5, 2)), (Some(bert), sum(1, 1, 0))]
        );
        let per_model = ledger.per_model(Span::ALL).unwrap();
        assert_eq!(per_model, [("small".into(), sum(2, 105, 52)), ("large".into(), sum(2, 11, 5))]);
        assert_eq!(per_model[0].1.tokens(), 315);
        let per_day: Vec<(u64, Sum)> = ledger.per_day(Span::ALL).unwrap();
        let days: Vec<u64> = per_day.iter().map(|(start, _)| start / DAY_MS).collect();
        assert_eq!((days, per_day[2].1), (vec![12, 11, 10], sum(2, 101, 50)));
        let span = Span { from_unix_ms: 10 * DAY_MS + 8, until_unix_ms: 12 * DAY_MS + 7 };
        assert_eq!(ledger.per_key(span).unwrap(), [(Some(anna), sum(1, 10, 5))]);
    }
}
