//! Measuring a model and saying beforehand what it needs: figures that belong together, and what is refused.

use app::event::measure::{Fitting, Measured};
use app::job::measure::{Bench, Fit};
use app::{Event, Failure, Job};

use crate::home::Home;

fn bench(home: &Home, n_prompt: usize) -> Result<Measured, Failure> {
    let job = Bench { model: "tiny".into(), n_prompt, n_generated: 4, n_runs: 2 };
    match home.last(Job::Bench(job))? {
        Event::Measured(measured) => Ok(*measured),
        other => panic!("{other:?}"),
    }
}

fn fit(home: &Home, model: &str, contexts: &[usize]) -> Result<Fitting, Failure> {
    match home.last(Job::Fit(Fit { model: model.into(), contexts: contexts.into() }))? {
        Event::Fitting(fitting) => Ok(*fitting),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_model_is_measured_as_often_as_was_asked_for() {
    let home = Home::with_tiny();
    let measured = bench(&home, 8).unwrap();
    for spread in [measured.prompt_tokens_per_s, measured.generated_tokens_per_s] {
        assert!(0.0 < spread.lowest && spread.lowest <= spread.median && spread.median <= spread.highest);
    }
    assert!(measured.share_of_bandwidth > 0.0 && measured.share_of_arithmetic > 0.0, "{measured:?}");
    assert!(measured.machine.flops_per_s > 1e8 && measured.machine.read_bytes_per_s > 1e8, "{measured:?}");
    assert_eq!(bench(&home, 0).unwrap_err().code, "bad_setting");
    assert_eq!(bench(&home, 1 << 20).unwrap_err().code, "prompt_too_long");
}

#[test]
fn a_longer_context_takes_more_memory_and_fewer_bits_take_less() {
    let home = Home::with_tiny();
    let fitting = fit(&home, "starter", &[64, 512]).unwrap();
    let [short, long] = fitting.lengths[..] else { panic!("{fitting:?}") };
    assert_eq!(long.cache_bytes, 8 * short.cache_bytes);
    assert!(long.memory_bytes > short.memory_bytes + long.cache_bytes - short.cache_bytes);
    assert!(long.generated_tokens_per_s < short.generated_tokens_per_s);
    let bytes: Vec<u64> = fitting.storages.iter().map(|stored| stored.weight_bytes).collect();
    assert!(bytes.len() >= 2 && bytes.is_sorted_by(|more, fewer| more > fewer), "{:?}", fitting.storages);
    assert!(fitting.storages.iter().filter(|stored| stored.is_best).count() <= 1);
    let usual = fit(&home, "starter", &[]).unwrap();
    assert_eq!(usual.lengths.last().unwrap().n_tokens, usual.context);
    assert_eq!(fit(&home, "starter", &[1 << 22]).unwrap_err().code, "bad_setting");
    assert_eq!(fit(&home, "nothing", &[]).unwrap_err().code, "model_not_found");
}
