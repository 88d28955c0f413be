//! Which documents are held out, so that what a model has learned is measured on text that it has not seen.
//!
//! The rule, for a share s of the tokens: a document that holds more than a quarter of all tokens gives its last s,
//! since neither part can do without it (so a single book gives its last tenth where s is a tenth, as nanoGPT does);
//! of the others those are held out whose digest, as a number between 0 and 1, is below s. Equal documents have equal
//! digests, so a copy never stands on the other side. If that leaves a part empty, it gets the document with the
//! smallest digest, or the largest. Nothing depends on the order of the documents or on chance.

use crate::tokens::Part;

/// Parts per million that make the whole.
const WHOLE_PPM: u64 = 1_000_000;
/// A document with more than one part in so many of all tokens is cut.
const LONG: u128 = 4;

/// A document that was written: its digest as a number, and its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub hash: u64,
    pub n_tokens: u64,
}

/// Consecutive tokens of one document that belong to one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub n_tokens: u64,
    pub part: Part,
}

/// Divides documents; `held_out_ppm` is the share in parts per million. No stretch is empty.
pub(crate) fn divide(documents: &[Written], held_out_ppm: u32) -> Vec<Stretch> {
    let total: u128 = documents.iter().map(|document| u128::from(document.n_tokens)).sum();
    let is_long = |document: &Written| u128::from(document.n_tokens) * LONG > total;
    let is_below = |document: &Written| {
        u128::from(document.hash) * u128::from(WHOLE_PPM) < u128::from(held_out_ppm) << 64
    };
    let mut stretches = Vec::with_capacity(documents.len() + 1);
    for document in documents {
        let part = if is_below(document) { Part::HeldOut } else { Part::Training };
        match is_long(document) {
            true => cut(*document, held_out_ppm, &mut stretches),
            false => stretches.push(Stretch { n_tokens: document.n_tokens, part }),
        }
    }
    // A part can only be empty if nothing was cut; then stretches and documents are the same.
    let is_all = |part| stretches.len() > 1 && stretches.iter().all(|stretch| stretch.part == part);
    if is_all(Part::Training) {
        let smallest = (0..stretches.len()).min_by_key(|index| documents[*index].hash);
        smallest.into_iter().for_each(|index| stretches[index].part = Part::HeldOut);
    } else if is_all(Part::HeldOut) {
        let largest = (0..stretches.len()).max_by_key(|index| documents[*index].hash);
        largest.into_iter().for_each(|index| stretches[index].part = Part::Training);
    }
    stretches
}

/// A long document's beginning and end. One token alone cannot be cut.
fn cut(document: Written, held_out_ppm: u32, stretches: &mut Vec<Stretch>) {
    let share = u128::from(document.n_tokens) * u128::from(held_out_ppm) / u128::from(WHOLE_PPM);
    let held_out = u64::try_from(share).expect("a share of a number is no larger").max(1);
    if document.n_tokens > held_out {
        stretches.push(Stretch { n_tokens: document.n_tokens - held_out, part: Part::Training });
        stretches.push(Stretch { n_tokens: held_out, part: Part::HeldOut });
    } else {
        stretches.push(Stretch { n_tokens: document.n_tokens, part: Part::Training });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;

    fn lengths(stretches: &[Stretch], part: Part) -> Vec<u64> {
        let of_part = stretches.iter().filter(|stretch| stretch.part == part);
        of_part.map(|stretch| stretch.n_tokens).collect()
    }

    fn random(n: usize, n_tokens: u64) -> Vec<Written> {
        let mut rng = Rng::new(n as u64);
        (0..n).map(|_| Written { hash: rng.next_u64(), n_tokens }).collect()
    }

    #[test]
    fn a_single_document_gives_its_last_tenth() {
        let stretches = divide(&[Written { hash: 0, n_tokens: 1003 }], 100_000);
        assert_eq!(lengths(&stretches, Part::Training), [903]);
        assert_eq!(lengths(&stretches, Part::HeldOut), [100]);
        assert_eq!(divide(&[Written { hash: 0, n_tokens: 2 }], 100_000).len(), 2);
        assert_eq!(divide(&[Written { hash: 0, n_tokens: 1 }], 100_000).len(), 1);
        assert!(divide(&[], 100_000).is_empty());
    }

    #[test]
    fn many_documents_are_divided_by_their_digests_near_the_share() {
        let documents = random(20_000, 7);
        let stretches = divide(&documents, 50_000);
        let held_out = lengths(&stretches, Part::HeldOut).len();
        assert!((900..1100).contains(&held_out), "{held_out}");
        // The same documents in another order are divided in the same way.
        let reversed: Vec<Written> = documents.iter().rev().copied().collect();
        let mut again = divide(&reversed, 50_000);
        again.reverse();
        assert_eq!(again, stretches);
    }

    #[test]
    fn a_long_document_among_short_ones_is_never_held_out_whole() {
        for hash in [0, u64::MAX] {
            let mut documents = random(3, 10);
            documents.push(Written { hash, n_tokens: 10_000 });
            let stretches = divide(&documents, 100_000);
            assert!(lengths(&stretches, Part::Training).contains(&9_000), "{stretches:?}");
            assert!(lengths(&stretches, Part::HeldOut).contains(&1_000), "{stretches:?}");
        }
    }

    #[test]
    fn something_is_always_held_out_and_something_always_stays() {
        for n in 1..60 {
            for ppm in [1, 10_000, 100_000, 500_000] {
                let stretches = divide(&random(n, 5), ppm);
                let (training, held_out) =
                    (lengths(&stretches, Part::Training), lengths(&stretches, Part::HeldOut));
                assert!(!training.is_empty() && !held_out.is_empty(), "{n} {ppm}");
                assert_eq!(training.iter().chain(&held_out).sum::<u64>(), 5 * n as u64);
            }
        }
    }
}
