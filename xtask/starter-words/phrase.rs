//! Phrases with choices, `{Hello|Hi}{ there|}!`, and with blanks, `@name`.
//!
//! Does not know any subject.

use base::Rng;

/// One of several.
pub fn pick<'a, T>(rng: &mut Rng, list: &'a [T]) -> &'a T {
    &list[rng.below(list.len())]
}

/// Whether something happens that happens once in `n` times.
pub fn one_in(rng: &mut Rng, n: usize) -> bool {
    rng.below(n) == 0
}

/// `n` different ones of several, in random order; all of them where there are fewer.
pub fn some<T: Clone>(rng: &mut Rng, list: &[T], n: usize) -> Vec<T> {
    let mut rest = list.to_vec();
    let n = n.min(rest.len());
    for at in 0..n {
        let other = at + rng.below(rest.len() - at);
        rest.swap(at, other);
    }
    rest.truncate(n);
    rest
}

/// A phrase with each `{a|b|c}` replaced by one of its choices; choices may contain choices.
pub fn phrase(rng: &mut Rng, pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let (choices, after) = choices(&rest[open + 1..]);
        let chosen = *pick(rng, &choices);
        out.push_str(&phrase(rng, chosen));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The choices up to the brace that closes them, and what follows it.
fn choices(text: &str) -> (Vec<&str>, &str) {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '|' if depth == 0 => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            '}' if depth == 0 => {
                found.push(&text[start..at]);
                return (found, &text[at + 1..]);
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    panic!("a template does not close its brace: {text}")
}

/// A text with each `@blank` replaced by its value, and each `@Blank` by the value with a large first letter.
pub fn fill(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut pieces = text.split('@');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(piece.len());
        let (name, rest) = piece.split_at(end);
        let small = name.to_lowercase();
        let found = value(&small).unwrap_or_else(|| panic!("a template has an unknown blank: @{name}"));
        out.push_str(&if small == name { found } else { capital(&found) });
        out.push_str(rest);
    }
    out
}

/// What a person would type: sometimes in small letters, without the last mark.
pub fn typed(rng: &mut Rng, text: &str) -> String {
    let text = without_mark(rng, text);
    if one_in(rng, 4) { text.to_lowercase() } else { text }
}

/// The same where names have to stay as they are: only the first letter and the last mark may go.
pub fn typed_with_names(rng: &mut Rng, text: &str) -> String {
    let text = without_mark(rng, text);
    let keeps = text.starts_with("I ") || text.starts_with("I'");
    if keeps || !one_in(rng, 4) {
        return text;
    }
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn without_mark(rng: &mut Rng, text: &str) -> String {
    let text = if one_in(rng, 4) { text.trim_end_matches(['.', '?', '!']) } else { text };
    text.trim_end().to_owned()
}

/// The word with its article.
pub fn with_article(word: &str) -> String {
    let is_open = word.starts_with(['a', 'e', 'i', 'o']) || word.starts_with("um") || word.starts_with("un");
    format!("{} {word}", if is_open && !word.starts_with("unicorn") { "an" } else { "a" })
}

/// The word with its first letter large.
pub fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A word that does not exist.
pub fn made_up_word(rng: &mut Rng) -> String {
    const STARTS: &[&str] =
        &["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "tr"];
    const MIDDLES: &[&str] = &["a", "e", "i", "o", "u", "oo", "ee"];
    const ENDS: &[&str] = &["", "n", "r", "l", "x", "m", "ck", "nd"];
    let mut word = String::new();
    for _ in 0..2 {
        word.push_str(pick::<&str>(rng, STARTS));
        word.push_str(pick::<&str>(rng, MIDDLES));
    }
    word.push_str(pick::<&str>(rng, ENDS));
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn choices_nest_and_all_of_them_come() {
        let mut rng = Rng::new(1);
        let found: BTreeSet<String> = (0..200).map(|_| phrase(&mut rng, "{a{1|2}|b|}{!|}")).collect();
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, ["", "!", "a1", "a1!", "a2", "a2!", "b", "b!"]);
    }

    #[test]
    fn blanks_are_filled_by_their_whole_name() {
        let value = |name: &str| (name == "he").then(|| "she".to_owned());
        assert_eq!(fill("@He said that @he's here.", &value), "She said that she's here.");
        assert_eq!(fill("no blank", &value), "no blank");
    }

    #[test]
    #[should_panic(expected = "@hero")]
    fn an_unknown_blank_is_found() {
        fill("@hero", &|_| None);
    }

    #[test]
    fn some_are_different_ones() {
        let mut rng = Rng::new(1);
        for n in 0..6 {
            let found = some(&mut rng, &[1, 2, 3, 4], n);
            assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), n.min(4));
        }
    }

    #[test]
    fn articles_follow_the_sound() {
        let check = |word: &str, expected: &str| assert_eq!(with_article(word), expected);
        check("owl", "an owl");
        check("cat", "a cat");
        check("umbrella", "an umbrella");
        check("unicorn", "a unicorn");
    }
}
