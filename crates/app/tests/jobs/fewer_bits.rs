//! Models stored in fewer bits: what becomes of them, and what is refused.

use app::event::quantise::Quantised;
use app::job::quantise::Quantise;
use app::{Event, Failure, Job};

use crate::home::{Home, greedy};

fn quantise(home: &Home, mix: &str, name: Option<&str>) -> Result<Quantised, Failure> {
    let name = name.map(str::to_owned);
    let job = Quantise { model: "starter".into(), mix: mix.into(), name, text: None };
    match home.last(Job::Quantise(job))? {
        Event::Quantised(quantised) => Ok(*quantised),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fewer_bits_cost_more_and_the_model_still_answers() {
    let home = Home::new();
    let (mut divergence, mut error) = (-1.0, -1.0);
    for mix in ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0"] {
        let quantised = quantise(&home, mix, None).unwrap();
        let tag = mix.to_lowercase();
        assert_eq!((quantised.model.as_str(), quantised.mix.as_str()), (&*format!("starter:{tag}"), mix));
        assert!(quantised.relative_error >= error, "{mix}: {} after {error}", quantised.relative_error);
        assert!(quantised.divergence.mean >= divergence * 0.8, "{mix}: {:?}", quantised.divergence);
        (divergence, error) = (quantised.divergence.mean, quantised.relative_error);
        assert!(quantised.divergence.n_tokens > 500 && quantised.divergence.same_best > 0.5, "{quantised:?}");
        assert!(quantised.bytes[1] <= quantised.bytes[0] && quantised.bits_per_weight < 9.0);
        assert!(!home.text(greedy(&quantised.model, "The", 8)).is_empty());
    }
    assert!(divergence > 0.0 && error > 0.02, "{divergence} {error}");
}

#[test]
fn the_mix_gives_what_matters_more_bits() {
    let home = Home::new();
    let quantised = quantise(&home, "q4_k_m", Some("mine")).unwrap();
    assert_eq!(quantised.model, "mine");
    let of = |name: &str| quantised.tensors.iter().find(|tensor| tensor.name == name).unwrap().now.clone();
    assert_eq!([of("token_embd.weight"), of("blk.0.attn_q.weight")], ["Q6_K", "Q4_K"]);
    assert!(quantised.tensors.iter().any(|tensor| tensor.name.contains("attn_v") && tensor.now == "Q6_K"));
    assert!(quantised.tensors.iter().all(|tensor| !tensor.name.contains("norm")), "factors stay exact");
}

#[test]
fn what_cannot_be_done_is_refused() {
    let home = Home::new();
    let failure = quantise(&home, "Q9_Z", None).unwrap_err();
    assert!(failure.code == "bad_setting" && failure.hint.contains("Q4_K_M"), "{failure:?}");
    let text = Some(home.path().join("nowhere.txt"));
    let job = Quantise { model: "starter".into(), mix: "Q8_0".into(), name: None, text };
    assert_eq!(home.last(Job::Quantise(job)).unwrap_err().code, "cannot_read");
    let job = Quantise { model: "nobody".into(), mix: "Q8_0".into(), name: None, text: None };
    assert_eq!(home.last(Job::Quantise(job)).unwrap_err().code, "model_not_found");
}
