//! Engines that follow one another with one shelf: what the earlier ones computed is brought back by the later ones, and
//! changes no bit of any answer, also where the shelf has lost some of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base::TokenId;
use infer::shelf::{Behind, Known, Shelf};
use infer::{Engine, Event, Guessing, Limits, LocalModel, Model, Request, SequenceId};
use ops::linear::low_rank::AdapterId;
use ops::weight::Storage;

use crate::hashed::{self, Hashed};
use crate::real;
use crate::scenario::{Report, Scenario, Sizes, alone, compare, run};

/// A text with all that decides what is computed for it.
type Key = (u64, Option<AdapterId>, Vec<TokenId>, usize);

#[derive(Default)]
struct Shelves {
    pages: HashMap<Key, Vec<u8>>,
    behind: HashMap<Key, Behind>,
    n_used: usize,
    /// One page in so many is lost; none at 0.
    loses: usize,
}

/// A shelf in memory that several engines share.
#[derive(Clone, Default)]
struct InMemory(Arc<Mutex<Shelves>>);

fn key(text: Known<'_>) -> Key {
    assert!(text.n_prompt <= text.tokens.len(), "a text is told up to its end");
    (text.salt, text.adapter, text.tokens.to_vec(), text.n_prompt)
}

impl Shelf for InMemory {
    fn page(&mut self, text: Known<'_>, size: usize) -> Option<Vec<u8>> {
        assert!(!text.tokens.is_empty() && text.tokens.len().is_multiple_of(size));
        self.0.lock().unwrap().pages.get(&key(text)).cloned()
    }

    fn behind(&mut self, text: Known<'_>) -> Option<Behind> {
        self.0.lock().unwrap().behind.get(&key(text)).cloned()
    }

    fn put_page(&mut self, text: Known<'_>, size: usize, bytes: Vec<u8>) {
        assert!(!text.tokens.is_empty() && text.tokens.len().is_multiple_of(size));
        let mut shelves = self.0.lock().unwrap();
        let n = shelves.pages.len() + shelves.behind.len();
        if shelves.loses == 0 || !n.is_multiple_of(shelves.loses) {
            let before = shelves.pages.insert(key(text), bytes.clone());
            assert!(before.is_none_or(|before| before == bytes), "the same text has the same bits");
        }
    }

    fn put_behind(&mut self, text: Known<'_>, behind: Behind) {
        assert!(!behind.tokens.is_empty() && text.tokens.len().is_multiple_of(infer::BLOCK));
        self.0.lock().unwrap().behind.insert(key(text), behind);
    }

    fn used(&mut self, _: Known<'_>, _: usize) {
        self.0.lock().unwrap().n_used += 1;
    }
}

/// Runs a scenario on two engines that follow one another; gives the tokens that the second one found more.
fn twice<M: Model>(
    seed: u64,
    sizes: Sizes,
    engine: impl Fn(Limits) -> Engine<M>,
    (loses, adapters): (usize, &[AdapterId]),
) -> [usize; 2] {
    let scenario = Scenario::new(seed, sizes).with_adapters(seed, adapters);
    let shelf = InMemory::default();
    shelf.0.lock().unwrap().loses = loses;
    let once = || -> Report {
        let report = run(&mut engine(scenario.limits).with_shelf(shelf.clone()), &scenario);
        compare(&scenario, &report, |request| alone(&mut engine(Limits::default()), request), seed);
        report
    };
    let (first, second) = (once(), once());
    [first.n_found, second.n_found]
}

#[test]
fn what_is_brought_back_changes_no_answer_of_a_hash() {
    let mut found = [0, 0];
    for seed in 0..600 {
        let blocks = [7, 9, 14, 100][seed as usize % 4];
        let engine = |limits| Hashed::engine(blocks, limits);
        let adapters = if seed % 3 == 0 { &hashed::ADAPTERS[..] } else { &[] };
        let [first, second] = twice(seed, hashed::SIZES, engine, ([0, 3][(seed / 4) as usize % 2], adapters));
        found = [found[0] + first, found[1] + second];
    }
    let [first, second] = found;
    assert!(
        second > 2 * first,
        "{second} tokens are found with a shelf, and {first} without what stands on it"
    );
}

#[test]
fn a_shelf_that_gives_other_pages_is_noticed() {
    /// Gives a page that was kept for another text.
    struct Liar(InMemory);
    impl Shelf for Liar {
        fn page(&mut self, text: Known<'_>, size: usize) -> Option<Vec<u8>> {
            let mut bytes = self.0.page(text, size)?;
            bytes[9] ^= 1;
            Some(bytes)
        }
        fn behind(&mut self, text: Known<'_>) -> Option<Behind> {
            self.0.behind(text)
        }
        fn put_page(&mut self, text: Known<'_>, size: usize, bytes: Vec<u8>) {
            self.0.put_page(text, size, bytes);
        }
        fn put_behind(&mut self, text: Known<'_>, behind: Behind) {
            self.0.put_behind(text, behind);
        }
        fn used(&mut self, text: Known<'_>, size: usize) {
            self.0.used(text, size);
        }
    }
    let caught = (0..20).filter(|&seed| {
        let scenario = Scenario::new(seed, hashed::SIZES);
        let shelf = InMemory::default();
        run(&mut Hashed::engine(100, scenario.limits).with_shelf(shelf.clone()), &scenario);
        let report = run(&mut Hashed::engine(100, scenario.limits).with_shelf(Liar(shelf)), &scenario);
        let alone = |request: &Request| alone(&mut Hashed::engine(100, Limits::default()), request);
        let check = || compare(&scenario, &report, alone, seed);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
    });
    assert!(caught.count() > 5, "wrong pages go unnoticed");
}

#[test]
fn what_is_brought_back_changes_no_bit_of_the_starter() {
    let decoder = real::starter();
    let sizes = Sizes { vocabulary: decoder.config().vocabulary, longest_prompt: 90, longest_answer: 25 };
    let mut found = [0, 0];
    for seed in 0..4 {
        let storage = [Storage::F16, Storage::Q8_0][seed as usize % 2];
        let engine = |limits| {
            let model = LocalModel::with_blocks(decoder.clone(), [9, 40][seed as usize / 2], storage);
            Engine::new(model.expect("heads that can be kept so"), limits)
        };
        let [first, second] = twice(100 + seed, sizes, engine, (0, &[]));
        found = [found[0] + first, found[1] + second];
    }
    assert!(found[1] > found[0], "{found:?}");
}

#[test]
fn what_is_brought_back_changes_no_bit_of_stories260k() {
    let test = "infer::simulator::shelf::what_is_brought_back_changes_no_bit_of_stories260k";
    let Some(shared) = testkit::shared::shared(test) else { return };
    // Its weights are numbers: rows of prompts and of answers are computed differently.
    let decoder = real::stories260k(&shared.join("llm/stories260K/stories260K.bin"));
    let sizes = Sizes { vocabulary: 512, longest_prompt: 110, longest_answer: 40 };
    for seed in 0..12 {
        let engine = |limits| {
            let model = LocalModel::with_blocks(decoder.clone(), 20, Storage::F32);
            Engine::new(model.expect("numbers can be kept"), limits)
        };
        twice(seed, sizes, engine, ([0, 3][seed as usize % 2], &[]));
    }
}

/// The same question again: all but its last token is there, though the answer filled the page in which it ended.
#[test]
fn the_same_question_is_found_up_to_its_last_token() {
    let decoder = real::starter();
    for n_prompt in [1, 20, 32, 33, 64, 70] {
        let shelf = InMemory::default();
        let engine = || {
            let model = LocalModel::new(decoder.clone(), 64 << 20);
            Engine::new(model, Limits::default()).with_shelf(shelf.clone())
        };
        let prompt = (0..n_prompt).map(|index| TokenId(300 + index * 7)).collect();
        let request = Request::new(prompt, 50);
        let scenario = |request: &Request| {
            let arrival =
                crate::scenario::Arrival { step: 0, cancelled_after: None, request: request.clone() };
            Scenario { arrivals: vec![arrival], limits: Limits::default() }
        };
        let first = run(&mut engine(), &scenario(&request));
        let second = run(&mut engine(), &scenario(&request));
        assert!(first.outcomes == second.outcomes, "{n_prompt}");
        assert_eq!((first.n_found, second.n_found), (0, n_prompt as usize - 1));
        assert_eq!(shelf.0.lock().unwrap().n_used, 2);
    }
}

#[test]
fn a_long_text_is_brought_in_several_steps_while_others_go_on() {
    let shelf = InMemory::default();
    let engine = || Hashed::engine(100, Limits::default()).with_shelf(shelf.clone());
    let prompt = (0..900).map(|index| TokenId(index * index % 47)).collect();
    let long = Request { guessing: Guessing::Off, ..Request::new(prompt, 3) };
    let expected = alone(&mut engine(), &long);
    let mut second = engine();
    let short = Request { guessing: Guessing::Off, ..Request::new(vec![TokenId(3)], 9) };
    let other = second.submit(short).unwrap();
    let told = |events: &[Event]| -> Vec<(SequenceId, Option<usize>)> {
        let told = |event: &Event| match event {
            Event::Token { id, .. } => Some((*id, None)),
            Event::Found { id, n_tokens } => Some((*id, Some(*n_tokens))),
            _ => None,
        };
        events.iter().filter_map(told).collect()
    };
    assert_eq!(told(&second.step(None)), [(other, None)]);
    let id = second.submit(long.clone()).unwrap();
    assert_eq!(told(&second.step(None)), [(other, None)], "sixteen of its 28 pages come in this step");
    let both = [(other, None), (id, Some(899)), (id, None)];
    assert_eq!(told(&second.step(None)), both, "the other twelve, and three tokens of the last page");
    assert_eq!(alone(&mut engine(), &long), expected);
}
