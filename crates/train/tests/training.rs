//! A small training, looked at from outside: what it promises about its losses, its bits and its checkpoints.
#![allow(clippy::unwrap_used, reason = "a test says where it fails")]

use base::Rng;
use base::disk::RealDisk;
use models::families::LLAMA;
use models::parameters::{Head, Parameters};
use ops::Precision;
use testkit::disk::{Fault, FaultyDisk, Lasting, Survives};
use train::{Batch, Batches, Error, Facts, Knobs, Plan, Saved, Size, Training, save};

/// Counting upwards from a random number, three sequences of sixteen.
struct Counting {
    n_given: u64,
}

const VOCABULARY: u32 = 40;

impl Batches for Counting {
    fn next(&mut self) -> Result<Batch, Error> {
        let mut rng = Rng::new(1000 + self.n_given);
        self.n_given += 1;
        let mut batch = Batch { sequences: 3, ..Batch::default() };
        for _ in 0..batch.sequences {
            let first = rng.below(VOCABULARY as usize) as u32;
            batch.ids.extend((0..16).map(|i| (first + i) % VOCABULARY));
            batch.targets.extend((1..17).map(|i| (first + i) % VOCABULARY));
        }
        batch.targets[0] = Batch::IGNORED;
        Ok(batch)
    }

    fn position(&self) -> String {
        self.n_given.to_string()
    }
}

fn knobs() -> Knobs {
    Knobs {
        size: Size::Nano,
        width: Some(32),
        layers: Some(3),
        heads: Some(2),
        kv_heads: Some(1),
        feed_forward: Some(64),
        length: Some(16),
        batch: Some(3),
        steps: Some(60),
        learning_rate: Some(0.01),
        ..Knobs::default()
    }
}

fn plan_of(knobs: &Knobs) -> Plan {
    knobs.plan(Facts { n_tokens: 10_000, vocabulary: VOCABULARY as usize, has_16_bit_units: false }).unwrap()
}

fn parameters(plan: &Plan) -> Parameters {
    let config = plan.sizes.config();
    Parameters::random(
        config,
        Head::Tied,
        &LLAMA.gguf,
        &mut Rng::new(plan.settings.seed),
        &ops::device::cpu(),
    )
}

fn training(knobs: &Knobs) -> Training {
    let plan = plan_of(knobs);
    Training::new(parameters(&plan), plan.settings).unwrap()
}

/// The bits of the losses of `n` steps.
fn losses(training: &mut Training, batches: &mut Counting, n: usize) -> Vec<u64> {
    (0..n).map(|_| training.step(batches).unwrap().loss.to_bits()).collect()
}

fn weights(training: &Training) -> Vec<Vec<u32>> {
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    training.parameters().iter().map(|parameter| bits(parameter.tensor.values())).collect()
}

#[test]
fn counting_is_learned() {
    let (mut training, mut batches) = (training(&knobs()), Counting { n_given: 0 });
    let held_out = [Counting { n_given: 1 << 40 }.next().unwrap()];
    let first = training.step(&mut batches).unwrap().loss;
    assert!((first - f64::from(VOCABULARY).ln()).abs() < 0.3, "a guess at first: {first}");
    while !training.is_done() {
        training.step(&mut batches).unwrap();
    }
    let last = training.held_out_loss(&held_out).unwrap();
    assert!(last < 0.5, "{last}");
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let before = kernels::pool::active_threads();
    for precision in [Precision::F32, Precision::Bf16] {
        let all = [1, 2, 3, 5].map(|n_threads| {
            kernels::pool::set_active_threads(n_threads);
            let mut training = training(&Knobs { precision: Some(precision), ..knobs() });
            (losses(&mut training, &mut Counting { n_given: 0 }, 4), weights(&training))
        });
        assert!(all.windows(2).all(|two| two[0] == two[1]), "{precision:?}");
    }
    kernels::pool::set_active_threads(before);
}

#[test]
fn segments_change_the_memory_and_nothing_else() {
    let run = |segments| {
        let mut training = training(&Knobs { segments: Some(segments), ..knobs() });
        (losses(&mut training, &mut Counting { n_given: 0 }, 3), weights(&training))
    };
    assert_eq!(run(1), run(3));
    assert_eq!(run(1), run(2));
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    struct Joined(Counting);
    impl Batches for Joined {
        fn next(&mut self) -> Result<Batch, Error> {
            let (mut a, b) = (self.0.next()?, self.0.next()?);
            a.sequences += b.sequences;
            a.ids.extend(b.ids);
            a.targets.extend(b.targets);
            Ok(a)
        }
        fn position(&self) -> String {
            self.0.position()
        }
    }
    let mut apart = training(&Knobs { accumulation: Some(2), ..knobs() });
    let mut joined = training(&knobs());
    let (mut a, mut b) = (Counting { n_given: 0 }, Joined(Counting { n_given: 0 }));
    for _ in 0..3 {
        let (apart, joined) = (apart.step(&mut a).unwrap(), joined.step(&mut b).unwrap());
        assert!((apart.loss - joined.loss).abs() < 1e-5, "{} {}", apart.loss, joined.loss);
        assert!((apart.gradient_norm / joined.gradient_norm - 1.0).abs() < 1e-4);
    }
}

#[test]
fn a_training_that_was_saved_goes_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    let mut whole = training(&knobs());
    let curve = losses(&mut whole, &mut Counting { n_given: 0 }, 20);
    let (mut first, mut batches) = (training(&knobs()), Counting { n_given: 0 });
    let mut found = losses(&mut first, &mut batches, 7);
    save(&RealDisk, &path, &first, "a note").unwrap();
    drop(first);
    let saved = Saved::open(&path).unwrap();
    assert_eq!(saved.notes, "a note");
    let mut batches = Counting { n_given: saved.progress.position.parse().unwrap() };
    let mut second = saved.restore(parameters(&plan_of(&knobs()))).unwrap();
    assert_eq!(second.progress().steps, 7);
    found.extend(losses(&mut second, &mut batches, 13));
    assert_eq!(found, curve);
    assert_eq!(weights(&second), weights(&whole));
}

#[test]
fn a_loss_that_is_no_number_stops_and_changes_nothing() {
    let plan = plan_of(&knobs());
    let config = plan.sizes.config();
    let device = ops::device::cpu();
    let huge = |name: &str, n| vec![if name == "blk.1.ffn_down.weight" { f32::MAX } else { 0.5 }; n];
    let parameters = Parameters::from_values(config, Head::Tied, &LLAMA.gguf, &device, &mut { huge });
    let mut training = Training::new(parameters, plan.settings).unwrap();
    let before = weights(&training);
    let error = training.step(&mut Counting { n_given: 0 }).unwrap_err();
    assert_eq!(error.to_string(), "step 1: the loss is not a finite number");
    assert_eq!(weights(&training), before);
    assert_eq!(training.progress().steps, 0);
}

#[test]
fn a_batch_in_which_nothing_counts_is_refused() {
    struct Nothing;
    impl Batches for Nothing {
        fn next(&mut self) -> Result<Batch, Error> {
            Ok(Batch { sequences: 1, ids: vec![1, 2], targets: vec![Batch::IGNORED; 2] })
        }
        fn position(&self) -> String {
            String::new()
        }
    }
    let refused = training(&knobs()).step(&mut Nothing);
    assert!(matches!(refused, Err(Error::NothingToLearn { step: 1 })));
}

#[test]
fn a_disk_that_fails_while_saving_leaves_a_whole_checkpoint() {
    let knobs = Knobs { layers: Some(1), width: Some(16), heads: Some(1), ..knobs() };
    let at = |steps| {
        let mut training = training(&knobs);
        losses(&mut training, &mut Counting { n_given: 0 }, steps);
        training
    };
    let (old, new) = (at(1), at(3));
    let faults = [
        Fault::NoSpace,
        Fault::Io,
        Fault::SyncFails,
        Fault::PowerLoss(Survives::Nothing),
        Fault::PowerLoss(Survives::Names),
        Fault::PowerLoss(Survives::Chance),
    ];
    for fault in faults {
        let (mut struck, mut number) = (true, 0);
        while struck {
            let folder = testkit::disk::quick_folder().unwrap();
            let path = folder.path().join("last.safetensors");
            save(&RealDisk, &path, &old, "old").unwrap();
            let plan = testkit::disk::Plan { fault, at: number, lasting: Lasting::FromThenOn, seed: number };
            let disk = FaultyDisk::new(folder.path(), Some(plan));
            let saved = save(&disk, &path, &new, "new");
            struck = disk.struck();
            let found = Saved::open(&path).unwrap_or_else(|error| panic!("{fault:?} at {number}: {error}"));
            assert!(saved.is_err() || found.notes == "new", "{fault:?} at {number}: it was acknowledged");
            let is_of_the_disk = matches!(saved, Ok(()) | Err(Error::Io { .. }));
            assert!(is_of_the_disk, "{fault:?} at {number}: {saved:?} blames the run");
            let steps = if found.notes == "new" { 3 } else { 1 };
            assert_eq!(found.progress.steps, steps);
            let expected = if steps == 3 { &new } else { &old };
            let restored = found.restore(parameters(&plan_of(&knobs))).unwrap();
            assert_eq!(weights(&restored), weights(expected), "{fault:?} at {number}");
            // Whatever was left behind, the next attempt succeeds.
            save(&RealDisk, &path, &new, "new").unwrap();
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{fault:?} at {number}");
            number += 1;
        }
        assert!(number > 2, "{fault:?} never struck");
    }
}
