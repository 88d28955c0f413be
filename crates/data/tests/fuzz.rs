//! Each fuzz target survives about two seconds of mutated cases, on the kept corpus.

use std::time::Duration;

#[test]
fn targets_survive_mutated_bytes() {
    for (name, target) in data::fuzz::TARGETS {
        let corpus = testkit::fuzz::corpus(&testkit::shared::root().join("fuzz/corpus").join(name));
        assert!(!corpus.is_empty(), "{name} has no corpus");
        let plan = testkit::fuzz::Plan {
            corpus,
            seed: 1,
            max_cases: 20_000,
            max_time: Duration::from_secs(2),
            trace: None,
        };
        let outcome = testkit::fuzz::run(*target, &plan);
        println!("{name}: {} cases", outcome.cases);
        if let Some(found) = &outcome.found {
            panic!(
                "{name} case {}: {}: {:?}",
                found.index,
                found.what,
                String::from_utf8_lossy(&found.bytes)
            );
        }
    }
}
