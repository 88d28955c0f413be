//! Requests to a home with tools, as no lesson says them.

use crate::item::{Expected, Item};
use base::Rng;
use starter_words::conversation::Message;
use starter_words::home::{Call, Home, Phrasing, SYSTEM, Said, say};
use starter_words::phrase::{capital, one_in, pick};

/// One request in so many is for something that no tool of the home does.
const UNCOVERED_SHARE: usize = 10;

/// A request and its call, or a request that no tool covers.
pub fn call(rng: &mut Rng) -> Item {
    let home = Home::random(rng);
    let is_covered = !one_in(rng, UNCOVERED_SHARE);
    let tool = if is_covered { *pick(rng, &home.tools) } else { home.missing(rng) };
    let call = home.call(rng, tool);
    let expected = if is_covered { Expected::Call(call.json()) } else { Expected::Words };
    let system = Message::system(format!("{SYSTEM}\n{}", home.told()));
    Item { messages: vec![system, Message::user(request(rng, &call))], expected }
}

fn request(rng: &mut Rng, call: &Call) -> String {
    const FRAMES: &[&str] = &[
        "Would it be possible to @?",
        "I need you to @.",
        "Please be so kind and @.",
        "Hello house, @!",
        "@ right now.",
        "It would be nice if you could @.",
        "Is it possible to @?",
        "@, would you?",
        "Can you please @ for us?",
        "My wish: @.",
        "Now you can @, please.",
        "Hey there, please @.",
    ];
    match say(rng, PHRASINGS, call) {
        Said::Order(order) => capital(&pick(rng, FRAMES).replace('@', &order)),
        Said::Remark(remark) => remark,
    }
}

const fn asks(
    tool: &'static str,
    choice: &'static str,
    orders: &'static [&'static str],
    remarks: &'static [&'static str],
) -> Phrasing {
    Phrasing { tool, choice, orders, remarks }
}

/// One row for each tool, or for each thing that a tool can be told.
static PHRASINGS: &[Phrasing] = &[
    asks(
        "set_light",
        "on",
        &[
            "get some light on in the @room",
            "have the light of the @room on",
            "switch the light on for the @room",
            "make the @room bright",
        ],
        &[
            "The @room lights should be on now.",
            "Please, the @room lamp on.",
            "In the @room it is dark.",
            "We need light now in the @room.",
            "It is much too dark in the @room for us.",
        ],
    ),
    asks(
        "set_light",
        "off",
        &[
            "have the light of the @room off",
            "switch the light off for the @room",
            "make the @room dark",
            "get the @room lamp off",
        ],
        &[
            "The @room lights should be off now.",
            "Please, the @room lamp off.",
            "Nobody is in the @room, no light there.",
            "We need no light now in the @room.",
        ],
    ),
    asks(
        "set_brightness",
        "",
        &[
            "change the @room lamp to @percent percent",
            "have @percent percent brightness in the @room",
            "turn the light of the @room to @percent percent",
        ],
        &[
            "The @room light should be at @percent percent.",
            "In the @room I want @percent percent light.",
            "For the @room: brightness @percent percent.",
        ],
    ),
    asks(
        "set_temperature",
        "",
        &[
            "get the @room to @celsius degrees",
            "have the heating in the @room at @celsius degrees",
            "change the temperature of the @room to @celsius degrees",
        ],
        &[
            "In the @room I want @celsius degrees.",
            "Temperature in the @room: @celsius degrees, please.",
            "It should be @celsius degrees in the @room.",
        ],
    ),
    asks(
        "get_temperature",
        "",
        &["tell us the temperature of the @room", "say how warm the @room is"],
        &[
            "In the @room, how warm is it?",
            "What is the @room temperature?",
            "Do you know how cold it is in the @room?",
            "How many degrees has the @room?",
        ],
    ),
    asks(
        "play_music",
        "",
        &[
            "play us some @genre in the @room",
            "have @genre music playing in the @room",
            "start the @genre music for the @room",
        ],
        &[
            "In the @room I want to hear @genre.",
            "Some @genre music would be nice in the @room.",
            "We want @genre in the @room now.",
            "For the @room, @genre music, please.",
        ],
    ),
    asks(
        "stop_music",
        "",
        &[
            "have the music in the @room stop",
            "end the song that is playing in the @room",
            "turn the @room music off now",
        ],
        &[
            "In the @room the music should stop.",
            "That is enough music in the @room.",
            "The @room music is too loud, stop it.",
            "I want no music in the @room.",
        ],
    ),
    asks(
        "set_lock",
        "locked",
        &["have the @door locked", "keep the @door locked", "lock the @door for the night"],
        &[
            "The @door must be locked.",
            "Please, the @door locked.",
            "We want the @door locked for the night.",
            "I forgot, lock the @door.",
        ],
    ),
    asks(
        "set_lock",
        "unlocked",
        &["have the @door unlocked", "keep the @door unlocked", "unlock the @door for me now"],
        &[
            "The @door must be unlocked.",
            "Please, the @door unlocked.",
            "We want the @door unlocked now.",
            "I need to get in, unlock the @door.",
        ],
    ),
    asks(
        "get_lock",
        "",
        &["see if somebody did lock the @door", "tell us whether the @door is locked or not"],
        &[
            "Did we lock the @door?",
            "The @door, is it locked?",
            "Do you know if the @door is locked?",
            "Is the @door locked or unlocked?",
        ],
    ),
    asks(
        "set_blinds",
        "open",
        &["have the @room blinds open", "get the blinds up in the @room", "pull the @room shutters up"],
        &[
            "In the @room the blinds should be up.",
            "Open blinds in the @room, please.",
            "We want the shutters in the @room open.",
            "I want to let the sun in, open the blinds in the @room.",
        ],
    ),
    asks(
        "set_blinds",
        "closed",
        &["have the @room blinds closed", "get the blinds down in the @room", "pull the @room shutters down"],
        &[
            "In the @room the blinds should be down.",
            "Closed blinds in the @room, please.",
            "We want the shutters in the @room closed.",
            "The sun is too much, close the blinds in the @room.",
        ],
    ),
    asks(
        "set_fan",
        "off",
        &["have the @room fan off", "make the fan in the @room stop", "turn the fan of the @room off"],
        &[
            "In the @room the fan should be off.",
            "We need no fan in the @room now.",
            "The @room fan should stop.",
        ],
    ),
    asks(
        "set_fan",
        "low",
        &["have the @room fan on low", "run the @room fan slowly", "change the fan in the @room to low"],
        &[
            "In the @room the fan should be on low.",
            "The @room fan on low, please.",
            "We want the fan in the @room slow.",
        ],
    ),
    asks(
        "set_fan",
        "high",
        &["have the @room fan on high", "run the @room fan fast", "change the fan in the @room to high"],
        &[
            "In the @room the fan should be on high.",
            "The @room fan on high, please.",
            "We want the fan in the @room fast.",
        ],
    ),
    asks(
        "start_vacuum",
        "",
        &[
            "have the vacuum clean the @room",
            "get the @room floor clean with the vacuum",
            "start cleaning the @room",
        ],
        &[
            "In the @room the floor is dirty.",
            "The vacuum should clean the @room.",
            "There is a lot of dust in the @room.",
            "The floor of the @room needs the vacuum.",
        ],
    ),
    asks(
        "set_timer",
        "",
        &[
            "put @minutes minutes on the timer",
            "have a timer run for @minutes minutes",
            "start the timer, @minutes minutes",
        ],
        &[
            "I need @minutes minutes on the timer.",
            "In @minutes minutes, wake me.",
            "The timer should run for @minutes minutes.",
            "My cake needs a timer of @minutes minutes.",
        ],
    ),
    asks(
        "set_alarm",
        "",
        &["have the alarm ring at @time", "make sure I wake up at @time", "get me awake at @time"],
        &[
            "At @time I have to wake up.",
            "The alarm should ring at @time.",
            "I want to be awake at @time, set the alarm.",
            "My alarm must be at @time.",
        ],
    ),
    asks(
        "add_to_list",
        "",
        &["have @item on the shopping list", "write down @item on our list", "put @item down for shopping"],
        &[
            "On the shopping list: @item, please.",
            "We have to buy @item.",
            "The list needs @item.",
            "There is no more @item, put it on the list.",
        ],
    ),
    asks(
        "make_coffee",
        "",
        &[
            "have @cups cups of coffee ready",
            "start the coffee, @cups cups",
            "cook coffee for us, @cups cups",
        ],
        &[
            "We would like coffee, @cups cups.",
            "Coffee, please, @cups cups of it.",
            "I need coffee now, @cups cups.",
        ],
    ),
    asks(
        "call_person",
        "",
        &["start a call to @name", "get me @name on the phone", "phone @name for me now"],
        &[
            "Could I talk to @name on the phone?",
            "I have to speak with @name now.",
            "Could I speak with @name on the phone?",
            "@name, please, on the phone.",
        ],
    ),
    asks(
        "water_garden",
        "",
        &[
            "have the sprinkler on for @minutes minutes",
            "start the sprinkler, @minutes minutes",
            "give @minutes minutes of water to the plants",
        ],
        &[
            "The sprinkler should run for @minutes minutes.",
            "In the garden it is dry, water it for @minutes minutes.",
            "The flowers are dry, they need @minutes minutes of water.",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use starter_words::home::TOOLS;

    #[test]
    fn every_tool_and_every_choice_is_asked_for() {
        let mut rng = Rng::new(1);
        for tool in TOOLS {
            for _ in 0..50 {
                let home = Home::random(&mut rng);
                let call = home.call(&mut rng, tool);
                assert!(request(&mut rng, &call).len() > 8);
            }
        }
    }
}
