//! What a person set of a training, by the names of `Knobs` and `Watch`: from flags and from a file, each checked
//! as soon as it is read. What fits together is `app`'s to say.

pub mod file;

use std::path::PathBuf;

use app::Failure;
use app::job::training::{Knobs, NewPictures, NewTraining, PictureKnobs, Vocabulary, Watch};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// The setting that is no number of the dial: where the vocabulary comes from.
pub const VOCABULARY_FROM: &str = "vocabulary_from";
const PICTURE_HINT: &str = "docs/recipes/starter-draw names them all; leave --kind away for a language model";
const LANGUAGE_HINT: &str = "`hearth explain --knob` lists all settings; --kind image trains on pictures";
/// And where the weights come from.
pub const WEIGHTS_FROM: &str = "weights_from";

/// The names of all settings of a language model.
pub fn names() -> Vec<String> {
    [fields::<Knobs>(), fields::<Watch>(), [VOCABULARY_FROM, WEIGHTS_FROM].map(str::to_owned).to_vec()]
        .concat()
}

/// The names of all settings, those of image models among them.
pub fn known() -> Vec<String> {
    let mut names = names();
    names.extend(fields::<PictureKnobs>().into_iter().filter(|name| !self::names().contains(name)));
    names
}

/// Names like `name`, the most alike first; none that is not alike at all.
pub fn nearest(name: &str, known: &[String]) -> Vec<String> {
    const ALIKE: f64 = 0.6;
    let likeness = |other: &String| {
        let contains = !name.is_empty() && other.contains(name);
        strsim::jaro_winkler(name, other).max(if contains { 0.9 } else { 0.0 })
    };
    let mut rated: Vec<(f64, &String)> = known.iter().map(|other| (likeness(other), other)).collect();
    rated.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    rated.into_iter().filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, name)| name.clone()).collect()
}

/// The names of the fields of plain values.
pub fn fields<T: Default + Serialize>() -> Vec<String> {
    match serde_json::to_value(T::default()) {
        Ok(Value::Object(fields)) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => unreachable!("settings are a struct of plain values"),
    }
}

/// Settings by their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// Sets `name` to what a person wrote.
    pub fn set_text(&mut self, name: &str, text: &str) -> Result<(), String> {
        let number = text.parse::<u64>().map(Value::from).ok();
        let number =
            number.or_else(|| text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::from));
        // A text may look like a number, as a sample may.
        let meant = number.filter(|number| check(name, number).is_ok()).unwrap_or_else(|| text.into());
        self.set(name, meant)
    }

    /// Sets `name`; says what is wanted when it cannot be `value`.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), String> {
        check(name, &value)?;
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// These settings, and where `others` says something else, that.
    pub fn with(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The job that they describe on pictures.
    ///
    /// # Errors
    /// Names a setting that such a training does not have.
    pub fn pictures(self, data: PathBuf) -> Result<NewPictures, Failure> {
        for (name, value) in &self.0 {
            let refused = if fields::<PictureKnobs>().contains(name) {
                of_pictures(name, value.clone()).err()
            } else {
                Some(format!("{name} is no setting of a training on pictures"))
            };
            if let Some(refused) = refused {
                return Err(Failure::new("bad_setting", refused, PICTURE_HINT));
            }
        }
        Ok(NewPictures { data, knobs: self.part() })
    }

    /// What of these settings a training of a language model does not have.
    ///
    /// # Errors
    /// Names the first of them.
    pub fn check_language(&self) -> Result<(), Failure> {
        let refused = self.0.iter().find_map(|(name, value)| of_language(name, value).err());
        match refused {
            Some(refused) => Err(Failure::new("bad_setting", refused, LANGUAGE_HINT)),
            None => Ok(()),
        }
    }

    /// The job that they describe.
    pub fn training(mut self, data: PathBuf) -> NewTraining {
        let vocabulary = match self.0.remove(VOCABULARY_FROM) {
            Some(Value::String(word)) => vocabulary(word),
            _ => Vocabulary::default(),
        };
        let weights_from = match self.0.remove(WEIGHTS_FROM) {
            Some(Value::String(model)) => Some(model),
            _ => None,
        };
        NewTraining { data, knobs: self.part(), vocabulary, weights_from, watch: self.part() }
    }

    fn part<T: Default + Serialize + DeserializeOwned>(&self) -> T {
        let names = fields::<T>();
        let part: Map<String, Value> = self
            .0
            .iter()
            .filter(|(name, _)| names.contains(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        serde_json::from_value(Value::Object(part)).expect("each value was checked when it was set")
    }
}

fn vocabulary(word: String) -> Vocabulary {
    match word.as_str() {
        "learned" => Vocabulary::Learned,
        "characters" => Vocabulary::Characters,
        _ => Vocabulary::Of(word),
    }
}

/// Whether `name` can be `value` in some training; says what is wanted otherwise.
fn check(name: &str, value: &Value) -> Result<(), String> {
    let Err(refused) = of_language(name, value) else { return Ok(()) };
    let is_of_pictures = fields::<PictureKnobs>().iter().any(|known| known == name);
    let taken = is_of_pictures.then(|| of_pictures(name, value.clone()));
    match taken {
        Some(Ok(())) => Ok(()),
        Some(Err(refused)) if !names().iter().any(|known| known == name) => Err(refused),
        _ => Err(refused),
    }
}

/// Whether a setting of a training on pictures can be `value`.
fn of_pictures(name: &str, value: Value) -> Result<(), String> {
    let text = value.to_string();
    let one = Value::Object(Map::from_iter([(name.to_owned(), value)]));
    let taken = serde_json::from_value::<PictureKnobs>(one);
    taken
        .map(drop)
        .map_err(|error| format!("{name} cannot be {text}: {}", error.to_string().replace('`', "")))
}

/// Whether a setting of a language model can be `value`; says what is wanted otherwise.
fn of_language(name: &str, value: &Value) -> Result<(), String> {
    let Err(refused) = take(name, value.clone()) else { return Ok(()) };
    let takes = |example: Value| take(name, example).is_ok();
    let wanted = match () {
        () if takes(json!(0.5)) => "a number is wanted".to_owned(),
        () if takes(json!(1)) => "a whole number from 0 is wanted".to_owned(),
        () if takes(json!("any")) && ![VOCABULARY_FROM, WEIGHTS_FROM].contains(&name) => {
            "a text is wanted".to_owned()
        }
        () => refused.replace('`', ""),
    };
    Err(format!("{name} cannot be {value}: {wanted}"))
}

fn take(name: &str, value: Value) -> Result<(), String> {
    let wanted = match name {
        VOCABULARY_FROM => Some("learned, characters or a model's name is wanted"),
        WEIGHTS_FROM => Some("a model's name is wanted"),
        _ => None,
    };
    if let Some(wanted) = wanted {
        let is_word = value.as_str().is_some_and(|word| !word.is_empty());
        return if is_word { Ok(()) } else { Err(wanted.to_owned()) };
    }
    let one = Value::Object(Map::from_iter([(name.to_owned(), value)]));
    let taken = match fields::<Watch>().iter().any(|known| known == name) {
        true => serde_json::from_value::<Watch>(one).map(drop),
        false => serde_json::from_value::<Knobs>(one).map(drop),
    };
    taken.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::job::training::Size;

    #[test]
    fn words_become_what_they_mean() {
        let mut settings = Settings::default();
        for (name, text) in [
            ("size", "nano"),
            ("steps", "300"),
            ("learning_rate", "2e-3"),
            ("precision", "bf16"),
            ("schedule", "constant-decay"),
            ("sample", "12"),
            ("held_out", "0.1"),
            ("vocabulary", "700"),
            ("vocabulary_from", "starter"),
        ] {
            settings.set_text(name, text).unwrap_or_else(|error| panic!("{error}"));
        }
        let new = settings.training(PathBuf::from("/d"));
        let knobs = &new.knobs;
        assert_eq!((knobs.size, knobs.steps, knobs.learning_rate), (Size::Nano, Some(300), Some(2e-3)));
        assert_eq!((knobs.vocabulary, &new.vocabulary), (Some(700), &Vocabulary::Of("starter".into())));
        assert_eq!((new.watch.sample.as_deref(), new.watch.held_out), (Some("12"), Some(0.1)));
        assert_eq!(serde_json::to_value(knobs).unwrap()["precision"], "bf16");
        assert_eq!(serde_json::to_value(knobs).unwrap()["schedule"], "constant-decay");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_is_wanted() {
        let check = |name: &str, text: &str, expected: &str| {
            assert_eq!(Settings::default().set_text(name, text).unwrap_err(), expected);
        };
        check("steps", "2.5", "steps cannot be \"2.5\": a whole number from 0 is wanted");
        check("steps", "-1", "steps cannot be \"-1\": a whole number from 0 is wanted");
        check("learning_rate", "NaN", "learning_rate cannot be \"NaN\": a number is wanted");
        check(
            "size",
            "huge",
            "size cannot be \"huge\": unknown variant huge, expected one of nano, tiny, small, medium",
        );
        check("precision", "f8", "precision cannot be \"f8\": precision is f32 or bf16, not f8");
        check(
            "vocabulary_from",
            "",
            "vocabulary_from cannot be \"\": learned, characters or a model's name is wanted",
        );
        assert!(Settings::default().set_text("no_such_thing", "1").is_err());
    }

    #[test]
    fn later_settings_win() {
        let set = |pairs: &[(&str, &str)]| {
            let mut settings = Settings::default();
            pairs.iter().for_each(|(name, text)| settings.set_text(name, text).unwrap());
            settings
        };
        let both = set(&[("steps", "1"), ("batch", "2")]).with(set(&[("steps", "3")]));
        assert_eq!(both, set(&[("steps", "3"), ("batch", "2")]));
        assert_eq!(Settings::default().training(PathBuf::new()).vocabulary, Vocabulary::Learned);
    }

    #[test]
    fn products_of_a_training_on_pictures_can_be_exact_or_of_sixteen_bits() {
        for said in [json!("bf16"), json!("f32"), json!(null)] {
            let mut settings = Settings::default();
            settings.set("batch", json!(3)).unwrap();
            if said.is_string() {
                settings.set("precision", said.clone()).unwrap();
            }
            let knobs = settings.pictures("p".into()).unwrap().knobs;
            assert_eq!(serde_json::to_value(&knobs).unwrap()["precision"], said);
        }
    }

    #[test]
    fn near_names_come_first() {
        let names = names();
        assert_eq!(nearest("learnig_rate", &names)[0], "learning_rate");
        assert_eq!(nearest("warmup", &names)[0], "warm_up");
        assert_eq!(nearest("lr_zzz", &[]), Vec::<String>::new());
        assert!(nearest("decay", &names).contains(&"weight_decay".to_owned()));
        assert!(nearest("", &names).is_empty());
    }
}
