//! Which names are most like one that was mistyped.
//!
//! Not a search. Source: optimal string alignment, the restricted edit distance of F. Damerau (1964).

/// The most names that are suggested.
const MAX_SUGGESTIONS: usize = 3;

/// The candidates most like `wanted`, the best first: a third of the letters may differ, or one holds the other.
pub(crate) fn nearest(wanted: &str, candidates: impl Iterator<Item = String>) -> Vec<String> {
    let wanted = wanted.to_ascii_lowercase();
    let mut scored: Vec<(usize, String)> = candidates
        .filter_map(|candidate| Some((score(&wanted, &candidate.to_ascii_lowercase())?, candidate)))
        .collect();
    scored.sort();
    scored.into_iter().map(|(_, candidate)| candidate).take(MAX_SUGGESTIONS).collect()
}

/// How far apart two names are; `None` when nobody would take one for the other.
fn score(wanted: &str, candidate: &str) -> Option<usize> {
    let edits = distance(wanted.as_bytes(), candidate.as_bytes());
    let contained = wanted.len() >= 3 && (candidate.contains(wanted) || wanted.contains(candidate));
    (edits <= (wanted.len() / 3).max(1) || contained).then_some(edits)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one text to the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_the_known_ones() {
        for (a, b, expected) in
            [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("starter", "satrter", 1), ("a", "b", 1)]
        {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
            assert_eq!(distance(b.as_bytes(), a.as_bytes()), expected, "{b} {a}");
        }
    }

    #[test]
    fn the_likely_names_come_first_and_the_others_not_at_all() {
        let here = ["starter", "stories260k", "qwen3:4b", "qwen3:8b", "clip"].map(str::to_owned);
        let check = |wanted, expected: &[&str]| assert_eq!(nearest(wanted, here.iter().cloned()), expected);
        check("stater", &["starter"]);
        check("Qwen3", &["qwen3:4b", "qwen3:8b"]);
        check("stories", &["stories260k"]);
        check("whisper", &[]);
    }
}
