//! Times and counts of many requests.

use std::time::Duration;

/// The time below which `share` of all lie; `None` when there is none.
pub fn quantile(times: &[Duration], share: f64) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// Milliseconds with as many places as tell them apart.
pub fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_times() {
        let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        let check = |share: f64, expected: u64| {
            assert_eq!(quantile(&times, share), Some(Duration::from_millis(expected)), "{share}");
        };
        check(0.0, 1);
        check(0.5, 50);
        check(0.95, 95);
        check(1.0, 100);
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&times[..1], 0.95), Some(times[0]));
    }
}
