//! Wishes for stories with three given words.

use crate::item::{Expected, Item};
use base::Rng;
use starter_words::phrase::{phrase, pick, with_article};
use starter_words::things::{HEROES, PLACES, THINGS};

/// A wish; the story has to have the words.
pub fn wish(rng: &mut Rng) -> Item {
    let (hero, thing, place) = (*pick(rng, HEROES), *pick(rng, THINGS), pick(rng, PLACES).1);
    const WISHES: &str = "{My child wants a story with @hero, @thing and @place.|\
        Make up something about @ahero, @athing and the @place.|\
        These are the words for your story: @thing, @hero, @place.|\
        {Please use|Use} the words @place, @hero and @thing in a {story|short tale}.|\
        {A story|One story}, please, and it must have the words @hero, @place and @thing.|\
        I need a {bedtime |}story. It is about @ahero who has @athing near the @place.}";
    let question = starter_words::phrase::fill(&phrase(rng, WISHES), &|blank| {
        Some(match blank {
            "hero" => hero.to_owned(),
            "ahero" => with_article(hero),
            "thing" => thing.to_owned(),
            "athing" => with_article(thing),
            "place" => place.to_owned(),
            _ => return None,
        })
    });
    Item::new(question, Expected::Contains([hero, thing, place].map(str::to_owned).to_vec()))
}
