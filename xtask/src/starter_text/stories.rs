//! Very short stories about things that a person names.
//!
//! A story is an opening, a plot of three or four parts and an ending. Each part has several wordings; who does
//! what is fixed by the plot, so that a tiny model can keep the thread. The words that are wished for are the
//! hero, the thing and the place.

mod plots;

use super::{Document, Exchange};
use base::Rng;
use plots::{ENDINGS, OPENINGS, PLOTS};
use starter_words::phrase::{capital, fill, listed, made_up_word, one_in, phrase, pick, typed, with_article};
use starter_words::things::{HEROES, PLACES, THINGS, her_name, his_name};

/// A story by itself, or one or two that somebody wished for.
pub fn document(rng: &mut Rng) -> Document {
    if one_in(rng, 4) {
        return Document::Plain(plain(rng));
    }
    let n = if one_in(rng, 6) { 2 } else { 1 };
    let exchanges = (0..n).map(|_| {
        let Exchange { user, assistant } = exchange(rng);
        Exchange::new(typed(rng, &user), assistant)
    });
    Document::exchanges(exchanges.collect::<Vec<_>>())
}

/// What a story is made of.
#[derive(Clone)]
struct Cast {
    hero: String,
    name: String,
    thing: String,
    place: String,
    before_place: &'static str,
    friend: String,
    friend_name: String,
    is_she: bool,
}

/// One cast in so many never occurs in a lesson.
const HELD_OUT_SHARE: usize = 20;

impl Cast {
    /// Some cast that lessons may have.
    fn random(rng: &mut Rng) -> Self {
        loop {
            let cast = Self::any(rng);
            if !cast.is_held_out() {
                return cast;
            }
        }
    }

    fn any(rng: &mut Rng) -> Self {
        let word = |rng: &mut Rng, list: &[&str]| match one_in(rng, 25) {
            true => made_up_word(rng),
            false => (*pick(rng, list)).to_owned(),
        };
        let hero = word(rng, HEROES);
        let friend = loop {
            let friend = *pick(rng, HEROES);
            if friend != hero {
                break friend.to_owned();
            }
        };
        let is_she = is_she(rng, &hero);
        let name = if is_she { her_name(rng) } else { his_name(rng) };
        let friend_name = loop {
            let other = if self::is_she(rng, &friend) { her_name(rng) } else { his_name(rng) };
            if other != name {
                break other;
            }
        };
        let (before_place, place) = *pick(rng, PLACES);
        let (thing, place) = (word(rng, THINGS), place.to_owned());
        Self { hero, name, thing, place, before_place, friend, friend_name, is_she }
    }

    /// Whether lessons leave this hero with this thing at this place out.
    fn is_held_out(&self) -> bool {
        let letters = self.hero.bytes().chain(self.thing.bytes()).chain(self.place.bytes());
        let sum = letters.fold(7usize, |sum, letter| sum.wrapping_mul(31).wrapping_add(usize::from(letter)));
        sum.is_multiple_of(HELD_OUT_SHARE)
    }

    fn fill(&self, text: &str) -> String {
        let [he, him, his] = if self.is_she { ["she", "her", "her"] } else { ["he", "him", "his"] };
        fill(text, &|blank| {
            Some(match blank {
                "hero" => self.hero.clone(),
                "ahero" => with_article(&self.hero),
                "name" => self.name.clone(),
                "thing" => self.thing.clone(),
                "athing" => with_article(&self.thing),
                "place" => self.place.clone(),
                "atplace" => format!("{} the {}", self.before_place, self.place),
                "friend" => self.friend.clone(),
                "afriend" => with_article(&self.friend),
                "friendname" => self.friend_name.clone(),
                "he" => he.to_owned(),
                "him" => him.to_owned(),
                "his" => his.to_owned(),
                _ => return None,
            })
        })
    }

    /// A story about this cast.
    fn story(&self, rng: &mut Rng) -> String {
        let plot = *pick(rng, PLOTS);
        let mut parts = vec![*pick(rng, OPENINGS)];
        parts.extend(plot.iter().map(|wordings| *pick(rng, wordings)));
        if !one_in(rng, 3) {
            parts.push(*pick(rng, ENDINGS));
        }
        let told: Vec<String> = parts.iter().map(|part| self.fill(&articles(&phrase(rng, part)))).collect();
        told.join(" ")
    }
}

/// Whether this is a she; for most it is open.
fn is_she(rng: &mut Rng, hero: &str) -> bool {
    match hero {
        "girl" | "queen" | "princess" | "witch" | "hen" | "cow" => true,
        "boy" | "king" | "prince" | "wizard" | "fisherman" => false,
        _ => one_in(rng, 2),
    }
}

/// `a @thing` with the article that the word wants.
fn articles(text: &str) -> String {
    let mut text = text.to_owned();
    for word in ["thing", "hero", "friend"] {
        text = text.replace(&format!(" a @{word}"), &format!(" @a{word}"));
        text = text.replace(&format!("A @{word}"), &format!("@A{word}"));
    }
    text
}

/// A story by itself.
fn plain(rng: &mut Rng) -> String {
    Cast::random(rng).story(rng)
}

/// A story about a cast that no lesson has.
pub fn held_out(rng: &mut Rng) -> String {
    loop {
        let cast = Cast::any(rng);
        if cast.is_held_out() {
            return cast.story(rng);
        }
    }
}

/// A wish for a story, and the story.
pub fn exchange(rng: &mut Rng) -> Exchange {
    const WISHES: &str = "{{Tell me|Tell us|Write|Write me|Make up|Invent|Give me|Please tell me|Please write|I want|I want to hear|I would like|I'd like|Let me hear|How about|Think of|Read me} a {short |little |nice |new |funny |}{story|story|tale}@|{Can|Could|Would} you {please |}{tell me|tell us|write|write me|make up|invent} a {short |little |nice |new |}{story|tale}@}";
    let mut cast = Cast::random(rng);
    let words = words(rng, &mut cast);
    let wish = phrase(rng, WISHES);
    let mark =
        if ["Can", "Could", "Would", "How"].iter().any(|word| wish.starts_with(word)) { "?" } else { "." };
    Exchange::new(wish.replace('@', &words) + mark, capital(&cast.story(rng)))
}

/// What the story is to be about, as it follows the word "story".
fn words(rng: &mut Rng, cast: &mut Cast) -> String {
    let mut bare = vec![cast.hero.clone(), cast.thing.clone(), cast.place.clone()];
    let turns = rng.below(3);
    bare.rotate_left(turns);
    if one_in(rng, 2) {
        bare.swap(0, 1);
    }
    bare.truncate(*pick(rng, &[1, 2, 3, 3, 3]));
    let with = phrase(rng, "{with|using|that has|from} the {words|words|three words}");
    let with = if bare.len() == 3 { with } else { with.replace("three ", "") };
    let with = if bare.len() == 1 { with.replace("words", "word") } else { with };
    match rng.below(10) {
        0 => String::new(),
        1 => cast.fill(" about @ahero"),
        2 => cast.fill(" about @ahero and @athing"),
        3 => cast.fill(" about @ahero {AT}").replace("{AT}", &cast.fill("@atplace")),
        4 => cast.fill(" about @ahero named @name"),
        5 => cast.fill(" about @name the @hero and @athing"),
        6 => {
            let articles: Vec<String> = bare.iter().map(|word| with_article(word)).collect();
            format!(" {} {}", pick(rng, &["about", "with"]), listed(&articles))
        }
        7 => format!(": {}", bare.join(", ")),
        _ => format!(" {with} {}", listed(&bare)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_has_the_words_and_is_neither_a_line_nor_a_book() {
        let mut rng = Rng::new(1);
        let mut total = 0;
        for _ in 0..2000 {
            let cast = Cast::random(&mut rng);
            let story = cast.story(&mut rng);
            for word in [&cast.hero, &cast.thing, &cast.place, &cast.name] {
                assert!(story.contains(word.as_str()), "{word}: {story}");
            }
            let n_words = story.split(' ').count();
            assert!((40..=150).contains(&n_words), "{n_words} {story}");
            assert!(story.ends_with(['.', '!', '"']) && !story.contains(['@', '{', '}', '|']), "{story}");
            total += n_words;
        }
        assert!((60..=120).contains(&(total / 2000)), "{} words on average", total / 2000);
    }

    #[test]
    fn articles_fit() {
        let mut rng = Rng::new(2);
        for _ in 0..2000 {
            let story = plain(&mut rng).to_lowercase();
            for wrong in [" a a", " a e", " a i", " a o", " an b", " an d", " an f", " an h"] {
                assert!(!story.contains(wrong), "{wrong}: {story}");
            }
        }
    }

    #[test]
    fn held_out_casts_never_occur_in_a_lesson() {
        let mut rng = Rng::new(3);
        assert!((0..500).all(|_| !Cast::random(&mut rng).is_held_out()));
        let n_held_out = (0..2000).filter(|_| Cast::any(&mut rng).is_held_out()).count();
        assert!((50..150).contains(&n_held_out), "{n_held_out} of 2000");
    }
}
