//! Orders are taken in and computed step by step, without the worker's thread: what happens in a step depends on nothing
//! else.

use std::sync::{Arc, Weak};

use base::disk::RealDisk;
use store::Store;
use tempfile::TempDir;

use super::*;
use crate::caller::{Caller, Class};
use crate::job::{Generate, Prompt, Sampling};
use crate::running::Running;
use crate::worker::forms::Form;
use crate::worker::means::Means;

/// Sequences that an engine computes in a step.
fn n_at_once() -> usize {
    infer::Limits::default().sequences
}

fn ready(folder: &TempDir, memory_bytes: u64) -> Ready {
    let store = Arc::new(Store::open(Arc::new(RealDisk), folder.path()).unwrap());
    let hands = Hands { store, means: Means::parse(None, None).unwrap(), keeper: None };
    Ready::new(hands, Bounds { memory_bytes, max_requests: 1024 }, Weak::new())
}

/// An answer of the model in the box, of so many tokens.
fn order(class: Class, max_tokens: usize) -> (Order, Running) {
    let (running, reporter) = Running::new();
    let sampling = Sampling { max_tokens: Some(max_tokens), temperature: Some(0.0), ..Sampling::default() };
    let generate = Generate { sampling, ..Generate::new("starter", Prompt::Raw("Once".into())) };
    let caller = Caller { class, ..Caller::default() };
    let task = Task { generate, caller, now_unix_ms: 0, drawn_seed: 1, form: Form::Unknown, reporter };
    (Order::Generate(Box::new(task)), running)
}

fn begin(ready: &mut Ready, class: Class, max_tokens: usize) -> Running {
    let (order, running) = order(class, max_tokens);
    assert_eq!(ready.take(order), Ok(()));
    running
}

/// What was told of an answer since somebody looked last: how many tokens, and whether it ended.
fn told(running: &mut Running) -> (usize, bool) {
    let mut seen = (0, false);
    while let Some(event) = running.ready_event() {
        match event {
            Event::Text { .. } => seen.0 += 1,
            Event::Finished(_) => seen.1 = true,
            Event::Failed(failure) => panic!("{failure:?}"),
            _ => {}
        }
    }
    seen
}

#[test]
fn who_can_wait_leaves_a_place_in_every_step_to_who_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let mut ready = ready(&folder, u64::MAX);
    // More than are computed at once, so that some wait for others already.
    let mut patient: Vec<Running> = (0..=n_at_once()).map(|_| begin(&mut ready, Class::Batch, 200)).collect();
    (0..3).for_each(|_| ready.step());
    let n_begun = patient.iter_mut().map(|running| told(running).0.min(1)).sum::<usize>();
    assert_eq!(n_begun, n_at_once(), "every place is taken");
    let mut asked = begin(&mut ready, Class::Interactive, 3);
    (0..3).for_each(|_| ready.step());
    assert!(told(&mut asked).1, "three tokens take three steps");
    let others: Vec<(usize, bool)> = patient.iter_mut().map(told).collect();
    assert!(others.iter().all(|(_, has_ended)| !has_ended));
    assert!(others.iter().filter(|(n_tokens, _)| *n_tokens > 0).count() >= n_at_once() - 1, "they go on");
    // Of one class who comes later waits for who was begun.
    let mut last = begin(&mut ready, Class::Batch, 3);
    (0..3).for_each(|_| ready.step());
    assert_eq!(told(&mut last), (0, false));
}

#[test]
fn who_waits_for_a_model_waits_behind_those_who_cannot_wait() {
    let folder = tempfile::tempdir().unwrap();
    let mut ready = ready(&folder, u64::MAX);
    let classes = [Class::Batch, Class::Interactive, Class::Batch, Class::Interactive];
    let mut runnings = Vec::new();
    for (n_tokens, class) in classes.into_iter().enumerate() {
        let (order, running) = order(class, n_tokens);
        ready.wait(order);
        runnings.push(running);
    }
    let number = |order: &Order| match order {
        Order::Generate(task) => task.generate.sampling.max_tokens,
        _ => None,
    };
    let numbers: Vec<usize> = ready.waiting.iter().filter_map(number).collect();
    assert_eq!(numbers, [1, 3, 0, 2]);
}
