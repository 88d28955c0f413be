//! A home with tools: what the model is told of them, what a call is, and what a tool gives back.
//!
//! The wire form is one that a chat template can write from the JSON schema of any tool: its name, and for each
//! argument the list of its values or the word for its type. A call is one JSON object and nothing around it:
//! `{"name": "set_light", "arguments": {"room": "kitchen", "state": "on"}}`.

use crate::json::spaced;
use crate::phrase::{fill, one_in, phrase, pick, some};
use crate::things::person;
use base::Rng;
use serde_json::{Map, Value, json};

/// What stands before the tools in a system message.
pub const SYSTEM: &str =
    "You control a home. Answer with one call of a tool as JSON, or in words when no tool fits.";

/// One argument: its name and what it can be.
pub struct Argument {
    /// The key in the call.
    pub name: &'static str,
    /// What it can be.
    pub values: Values,
}

/// What an argument can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// A room of the home.
    Rooms,
    /// A door of the home.
    Doors,
    /// A kind of music that the home has.
    Genres,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A whole number from the first to the second, in steps of the third.
    Whole(u32, u32, u32),
    /// A time of day, `7:30`.
    Time,
    /// Something to buy.
    Item,
    /// A person's name.
    Person,
}

/// Something that a home can do.
pub struct Tool {
    /// Its name in the call.
    pub name: &'static str,
    /// Its arguments, in order.
    pub arguments: &'static [Argument],
}

const fn argument(name: &'static str, values: Values) -> Argument {
    Argument { name, values }
}

const ROOM: Argument = argument("room", Values::Rooms);
const DOOR: Argument = argument("door", Values::Doors);
const MINUTES: Argument = argument("minutes", Values::Whole(2, 90, 1));

/// Every tool that a home can have.
pub static TOOLS: &[Tool] = &[
    Tool { name: "set_light", arguments: &[ROOM, argument("state", Values::OneOf(&["on", "off"]))] },
    Tool { name: "set_brightness", arguments: &[ROOM, argument("percent", Values::Whole(5, 100, 5))] },
    Tool { name: "set_temperature", arguments: &[ROOM, argument("celsius", Values::Whole(12, 28, 1))] },
    Tool { name: "get_temperature", arguments: &[ROOM] },
    Tool { name: "play_music", arguments: &[ROOM, argument("genre", Values::Genres)] },
    Tool { name: "stop_music", arguments: &[ROOM] },
    Tool { name: "set_lock", arguments: &[DOOR, argument("state", Values::OneOf(&["locked", "unlocked"]))] },
    Tool { name: "get_lock", arguments: &[DOOR] },
    Tool { name: "set_blinds", arguments: &[ROOM, argument("state", Values::OneOf(&["open", "closed"]))] },
    Tool { name: "set_fan", arguments: &[ROOM, argument("speed", Values::OneOf(&["off", "low", "high"]))] },
    Tool { name: "start_vacuum", arguments: &[ROOM] },
    Tool { name: "set_timer", arguments: &[MINUTES] },
    Tool { name: "set_alarm", arguments: &[argument("time", Values::Time)] },
    Tool { name: "add_to_list", arguments: &[argument("item", Values::Item)] },
    Tool { name: "make_coffee", arguments: &[argument("cups", Values::Whole(2, 8, 1))] },
    Tool { name: "call_person", arguments: &[argument("name", Values::Person)] },
    Tool { name: "water_garden", arguments: &[MINUTES] },
];

const ROOMS: &[&str] = &[
    "kitchen",
    "bedroom",
    "bathroom",
    "living room",
    "hall",
    "office",
    "garage",
    "attic",
    "cellar",
    "dining room",
    "nursery",
    "guest room",
    "library",
    "laundry room",
    "playroom",
    "studio",
    "workshop",
    "balcony",
    "porch",
    "study",
    "gym",
    "pantry",
    "sunroom",
    "corridor",
    "greenhouse",
    "music room",
    "small bedroom",
    "upstairs bathroom",
];
const DOORS: &[&str] = &[
    "front door",
    "back door",
    "garage door",
    "cellar door",
    "garden door",
    "balcony door",
    "side door",
    "gate",
    "kitchen door",
    "porch door",
];
const GENRES: &[&str] = &[
    "jazz",
    "rock",
    "pop",
    "classical",
    "folk",
    "blues",
    "piano",
    "techno",
    "reggae",
    "country",
    "soul",
    "opera",
    "disco",
    "hip hop",
    "swing",
    "guitar",
];
const ITEMS: &[&str] = &[
    "milk",
    "bread",
    "eggs",
    "butter",
    "apples",
    "rice",
    "tea",
    "coffee",
    "cheese",
    "soap",
    "tomatoes",
    "potatoes",
    "bananas",
    "salt",
    "sugar",
    "flour",
    "honey",
    "candles",
    "paper towels",
    "dog food",
    "olive oil",
    "orange juice",
    "batteries",
    "onions",
    "carrots",
    "yoghurt",
    "noodles",
    "toothpaste",
];

/// What one home has.
pub struct Home {
    rooms: Vec<String>,
    doors: Vec<String>,
    genres: Vec<String>,
    /// Its tools, in the order in which the model is told of them.
    pub tools: Vec<&'static Tool>,
}

/// A call: a tool, and a value for each of its arguments.
pub struct Call {
    /// The tool.
    pub tool: &'static Tool,
    /// The values, in the order of the arguments.
    pub values: Vec<Value>,
}

/// How people ask for a tool.
pub struct Phrasing {
    /// The tool's name.
    pub tool: &'static str,
    /// The state or speed that is wanted; empty where it does not matter.
    pub choice: &'static str,
    /// Orders, which can be made polite: `turn on the light in the @room`.
    pub orders: &'static [&'static str],
    /// Whole sentences: `It is dark in the @room.`
    pub remarks: &'static [&'static str],
}

/// An order or a remark, with the blanks filled.
pub enum Said {
    /// To be made a sentence.
    Order(String),
    /// A sentence.
    Remark(String),
}

/// What a person says for this call, as one of the phrasings has it.
pub fn say(rng: &mut Rng, phrasings: &[Phrasing], call: &Call) -> Said {
    let fits = |row: &&Phrasing| {
        row.tool == call.tool.name && (row.choice.is_empty() || row.choice == call.choice())
    };
    let rows: Vec<&Phrasing> = phrasings.iter().filter(fits).collect();
    let n_orders: usize = rows.iter().map(|row| row.orders.len()).sum();
    let n_remarks: usize = rows.iter().map(|row| row.remarks.len()).sum();
    let at = rng.below(n_orders + n_remarks);
    let mut all = rows.iter().flat_map(|row| row.orders).chain(rows.iter().flat_map(|row| row.remarks));
    let pattern =
        all.nth(at).unwrap_or_else(|| panic!("nobody asks for {} {}", call.tool.name, call.choice()));
    let text = call.fill(&phrase(rng, pattern));
    if at < n_orders { Said::Order(text) } else { Said::Remark(text) }
}

/// The tool that is called so.
pub fn tool(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

impl Home {
    /// Three to five tools, and a few rooms, doors and kinds of music.
    pub fn random(rng: &mut Rng) -> Self {
        let n_tools = 3 + rng.below(3);
        Self::sized(rng, n_tools, 3)
    }

    /// So many tools, so many rooms or one more, and a few doors and kinds of music.
    pub fn sized(rng: &mut Rng, n_tools: usize, n_rooms: usize) -> Self {
        let words = |rng: &mut Rng, list: &[&str], least: usize| {
            let n = least + rng.below(2);
            some(rng, list, n).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut rooms = words(rng, ROOMS, n_rooms);
        if one_in(rng, 4) {
            let at = rng.below(rooms.len());
            rooms[at] = format!("{}'s room", person(rng));
        }
        let (doors, genres) = (words(rng, DOORS, 2), words(rng, GENRES, 2));
        let tools: Vec<&Tool> = some(rng, &TOOLS.iter().collect::<Vec<_>>(), n_tools);
        Self { rooms, doors, genres, tools }
    }

    /// The tools as the model is told of them, a line each.
    pub fn told(&self) -> String {
        let lines: Vec<String> = self.tools.iter().map(|tool| spaced(&self.signature(tool))).collect();
        lines.join("\n")
    }

    fn signature(&self, tool: &Tool) -> Value {
        let kinds =
            tool.arguments.iter().map(|argument| (argument.name.to_owned(), self.kind(argument.values)));
        json!({ "name": tool.name, "arguments": kinds.collect::<Map<_, _>>() })
    }

    fn kind(&self, values: Values) -> Value {
        match values {
            Values::Rooms => json!(self.rooms),
            Values::Doors => json!(self.doors),
            Values::Genres => json!(self.genres),
            Values::OneOf(words) => json!(words),
            Values::Whole(..) => json!("integer"),
            Values::Time | Values::Item | Values::Person => json!("string"),
        }
    }

    /// A call of this tool with values that the home has.
    pub fn call(&self, rng: &mut Rng, tool: &'static Tool) -> Call {
        let values = tool.arguments.iter().map(|argument| self.value(rng, argument.values)).collect();
        Call { tool, values }
    }

    fn value(&self, rng: &mut Rng, values: Values) -> Value {
        match values {
            Values::Rooms => json!(pick(rng, &self.rooms)),
            Values::Doors => json!(pick(rng, &self.doors)),
            Values::Genres => json!(pick(rng, &self.genres)),
            Values::OneOf(words) => json!(pick(rng, words)),
            Values::Whole(least, most, step) => {
                let n_steps = ((most - least) / step) as usize;
                json!(least + step * rng.below(n_steps + 1) as u32)
            }
            Values::Time => json!(format!("{}:{:02}", rng.below(24), rng.below(60))),
            Values::Item => json!(pick(rng, ITEMS)),
            Values::Person => json!(person(rng)),
        }
    }

    /// A tool that this home does not have.
    pub fn missing(&self, rng: &mut Rng) -> &'static Tool {
        let has = |tool: &Tool| self.tools.iter().any(|own| own.name == tool.name);
        let missing: Vec<&'static Tool> = TOOLS.iter().filter(|tool| !has(tool)).collect();
        missing[rng.below(missing.len())]
    }
}

impl Call {
    /// The call as a JSON value.
    pub fn json(&self) -> Value {
        let names = self.tool.arguments.iter().map(|argument| argument.name.to_owned());
        let arguments: Map<String, Value> = names.zip(self.values.iter().cloned()).collect();
        json!({ "name": self.tool.name, "arguments": arguments })
    }

    /// The value that chooses what is said: the state or speed, or nothing.
    pub fn choice(&self) -> &str {
        let is_choice = |argument: &Argument| matches!(argument.values, Values::OneOf(_));
        let at = self.tool.arguments.iter().position(is_choice);
        at.and_then(|at| self.values[at].as_str()).unwrap_or_default()
    }

    /// A text with `@room`, `@percent` and so on replaced by the values of the arguments.
    pub fn fill(&self, text: &str) -> String {
        // A room that is somebody's has no article.
        let text = if self.has_name() {
            text.replace("the @room", "@room").replace("The @room", "@Room")
        } else {
            text.to_owned()
        };
        fill(&text, &|blank| {
            let at = self.tool.arguments.iter().position(|argument| argument.name == blank)?;
            Some(self.values[at].as_str().map_or_else(|| self.values[at].to_string(), str::to_owned))
        })
    }

    /// Whether a value is a name, which keeps its large letter.
    pub fn has_name(&self) -> bool {
        let mut texts = self.values.iter().filter_map(Value::as_str);
        texts.any(|text| text.starts_with(char::is_uppercase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_object_and_its_tools_are_lines_of_json() {
        let mut rng = Rng::new(1);
        for _ in 0..200 {
            let home = Home::random(&mut rng);
            for line in home.told().lines() {
                let signature: Value = serde_json::from_str(line).unwrap();
                let tool = tool(signature["name"].as_str().unwrap()).unwrap();
                let call = home.call(&mut rng, tool).json();
                for (name, value) in call["arguments"].as_object().unwrap() {
                    let kind = &signature["arguments"][name];
                    let fits = match kind {
                        Value::Array(values) => values.contains(value),
                        kind => *kind == if value.is_number() { "integer" } else { "string" },
                    };
                    assert!(fits, "{name} {value} {kind}");
                }
            }
            assert!(!home.told().contains(home.missing(&mut rng).name));
        }
    }

    #[test]
    fn blanks_take_the_values() {
        let call = Call { tool: &TOOLS[0], values: vec![json!("hall"), json!("off")] };
        assert_eq!(call.fill("The @room light is @state."), "The hall light is off.");
        assert_eq!((call.choice(), call.has_name()), ("off", false));
        let expected = r#"{"name": "set_light", "arguments": {"room": "hall", "state": "off"}}"#;
        assert_eq!(spaced(&call.json()), expected);
    }
}
