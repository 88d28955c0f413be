//! Prompts of others (T30): whether somebody else asked the same before cannot be told from the time of the first token.
//!
//! A coin decides for each prompt whether another key asks it first, or asks something else of the same length; then the
//! time is taken. The same key asks once more behind that, so that it is known that a prompt which is found would show.

use super::Soak;
use super::conversation::{STARTER, complete};
use super::figures::{ms, quantile};
use crate::served::{Home, Served};
use anyhow::{Context, Result, ensure};
use base::Rng;
use serde_json::json;
use std::time::Duration;

/// Words of a prompt: enough for several pages of keys and values.
const WORDS: usize = 120;
/// Below this, times differ by more than chance would have it.
const P: f64 = 0.05;
/// Chance alone gives less than `P` in one trial of twenty: so many have to say the same.
const TRIALS: usize = 3;
const SEED: u64 = 30;
static VOCABULARY: &[&str] = &[
    "garden", "river", "window", "letter", "mountain", "teacher", "yellow", "quiet", "running", "bread",
    "winter", "friend", "music", "little", "morning", "stone", "basket", "silver", "thunder", "happy",
];

/// Times to the first token, in seconds.
#[derive(Default)]
struct Times {
    asked_by_another: Vec<f64>,
    new: Vec<f64>,
    asked_by_oneself: Vec<f64>,
}

/// Trials until one shows no difference.
pub fn run(soak: &Soak) -> Result<String> {
    let n = soak.pick(100, 1000);
    let home = Home::new(&soak.program)?;
    let keys = [home.key("one")?, home.key("other")?];
    let server = home.serve(&[])?;
    let mut rng = Rng::new(SEED);
    let mut told = Vec::new();
    for _ in 0..TRIALS {
        let times = trial(&server, [&keys[0], &keys[1]], n, &mut rng)?;
        let p = p_of_equal(&times.asked_by_another, &times.new);
        let p_own = p_of_equal(&times.asked_by_oneself, &times.new);
        let median = |times: &[f64]| {
            let times: Vec<Duration> = times.iter().copied().map(Duration::from_secs_f64).collect();
            quantile(&times, 0.5).map_or_else(|| "never".into(), ms)
        };
        told.push(format!(
            "{n} prompts (seed {SEED}): first token after {} where another key asked the same before, {} where nobody did, p \
             {p:.3}; {} where oneself did, p {p_own:.0e}",
            median(&times.asked_by_another),
            median(&times.new),
            median(&times.asked_by_oneself)
        ));
        ensure!(
            p_own < P / 50.0,
            "a prompt that is found does not show, so this says nothing: {}",
            told.join("; ")
        );
        if p > P {
            return Ok(told.join("; "));
        }
    }
    anyhow::bail!("prompts of others show: {}", told.join("; "))
}

fn trial(server: &Served, [one, other]: [&str; 2], n: usize, rng: &mut Rng) -> Result<Times> {
    let mut times = Times::default();
    for _ in 0..n {
        let prompt = prompt(rng);
        let is_asked_before = rng.below(2) == 0;
        let before = if is_asked_before { prompt.clone() } else { self::prompt(rng) };
        first_token(server, one, &before)?;
        let time = first_token(server, other, &prompt)?;
        if is_asked_before { &mut times.asked_by_another } else { &mut times.new }.push(time);
        times.asked_by_oneself.push(first_token(server, other, &prompt)?);
    }
    Ok(times)
}

fn prompt(rng: &mut Rng) -> String {
    let words: Vec<&str> = (0..WORDS).map(|_| VOCABULARY[rng.below(VOCABULARY.len())]).collect();
    words.join(" ")
}

fn first_token(server: &Served, key: &str, prompt: &str) -> Result<f64> {
    let body = json!({ "model": STARTER, "prompt": prompt, "max_tokens": 1, "temperature": 0, "stream": true,
                       "logit_bias": { "0": -100, "1": -100, "2": -100 } });
    let told = complete(server.address, &[&format!("Authorization: Bearer {key}")], &body)?;
    Ok(told.first.context("an answer without a token")?.as_secs_f64())
}

/// How probable it is that two samples lie as far apart as these if they are drawn alike: the test of Mann and Whitney with
/// the normal approximation. Source: Mann and Whitney 1947, "On a test of whether one of two random variables is
/// stochastically larger than the other"; the correction for ties: Lehmann, "Nonparametrics", 1.5.
fn p_of_equal(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> =
        a.iter().map(|value| (*value, true)).chain(b.iter().map(|value| (*value, false))).collect();
    all.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut rank_sum, mut ties, mut begin) = (0.0, 0.0, 0);
    while begin < all.len() {
        let n_equal = all[begin..].iter().take_while(|(value, _)| *value == all[begin].0).count();
        let rank = begin as f64 + (n_equal as f64 + 1.0) / 2.0;
        let of_a = all[begin..begin + n_equal].iter().filter(|(_, is_a)| *is_a).count();
        rank_sum += rank * of_a as f64;
        ties += (n_equal as f64).powi(3) - n_equal as f64;
        begin += n_equal;
    }
    let (n_a, n_b, n) = (a.len() as f64, b.len() as f64, all.len() as f64);
    let u = rank_sum - n_a * (n_a + 1.0) / 2.0;
    let variance = n_a * n_b / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    complementary_error(((u - n_a * n_b / 2.0).abs() / variance.sqrt()) / std::f64::consts::SQRT_2)
}

/// erfc(x) for x ≥ 0 within 1.2e-7 of its value. Source: Numerical Recipes, 6.2, the fit by Chebyshev polynomials.
fn complementary_error(x: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let t = 1.0 / (1.0 + 0.5 * x);
    t * (FIT.iter().rev().fold(0.0, |sum, factor| sum * t + factor) - x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complementary_error_is_that_of_the_tables() {
        for (x, expected) in [(0.0, 1.0), (0.5, 0.479_500_122), (1.0, 0.157_299_207), (2.0, 0.004_677_735)] {
            assert!((complementary_error(x) - expected).abs() < 2e-7, "{x}");
        }
    }

    #[test]
    fn samples_that_are_drawn_alike_are_told_from_those_that_are_not() {
        // By hand: of 9 pairs none has a above b, U = 0, z = 4.5 / √5.25.
        let p = p_of_equal(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
        assert!(
            (p - complementary_error(4.5 / 5.25f64.sqrt() / std::f64::consts::SQRT_2)).abs() < 1e-12,
            "{p}"
        );
        let mut rng = Rng::new(1);
        let mut draw = |shift: f64| (0..1000).map(|_| rng.uniform() + shift).collect::<Vec<f64>>();
        let (a, b, c) = (draw(0.0), draw(0.0), draw(0.1));
        assert!(p_of_equal(&a, &b) > P, "{}", p_of_equal(&a, &b));
        assert!(p_of_equal(&a, &c) < 1e-6, "{}", p_of_equal(&a, &c));
        assert!(p_of_equal(&a, &a) > 0.99);
    }
}
