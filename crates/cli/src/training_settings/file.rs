//! Settings from a YAML file: one `name: value` on each line, the names those of the knobs.
//!
//! Not more than that: nothing nested, no list, one document.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use app::Failure;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Number, Value};

use super::{Settings, check, known, nearest};

/// Far more than all names and values take, and so little that the deepest nesting is refused at once: the parser's time
/// for it grows with the square.
const MAX_BYTES: u64 = 32 << 10;

/// The settings in the file at `path`.
pub fn read(path: &Path) -> Result<Settings, Failure> {
    let failure =
        |code: &str, why: String, hint: &str| Failure::new(code, format!("{}: {why}", path.display()), hint);
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| failure("cannot_read", error.to_string(), "name a file that you may read"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(failure(
            "bad_setting",
            "more than 32 kB".into(),
            "settings are a few lines of `name: value`",
        ));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| failure("bad_setting", "not a text".into(), "write it as UTF-8"))?;
    parse(&text).map_err(|error| {
        let hint = "`hearth explain --knob` lists all settings, `hearth explain --knob NAME` explains one";
        failure("bad_setting", error.to_string(), hint)
    })
}

fn parse(text: &str) -> Result<Settings, yaml_serde::Error> {
    yaml_serde::Deserializer::from_str(text).deserialize_any(Whole)
}

/// All lines.
struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Settings;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lines of `name: value`")
    }

    /// A file of comments.
    fn visit_none<E: de::Error>(self) -> Result<Settings, E> {
        Ok(Settings::default())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Settings, E> {
        Ok(Settings::default())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Settings, M::Error> {
        let mut settings = Settings::default();
        while let Some(name) = map.next_key_seed(Name(&settings))? {
            let value = map.next_value_seed(Setting(&name))?;
            settings.0.insert(name, value);
        }
        // A setting without a value is as if it were not there.
        settings.0.retain(|_, value| !value.is_null());
        Ok(settings)
    }
}

/// A name that is known and new; an error says the line, because it is made while the name is read.
struct Name<'a>(&'a Settings);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a setting")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<String, E> {
        let known = known();
        if !known.iter().any(|known| known == name) {
            let nearest = nearest(&name.replace('-', "_"), &known);
            let meant =
                nearest.first().map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"));
            return Err(E::custom(format!("there is no setting `{name}`{meant}")));
        }
        match self.0.has(name) {
            true => Err(E::custom(format!("`{name}` is set twice"))),
            false => Ok(name.to_owned()),
        }
    }
}

/// A value that the setting of this name can have.
struct Setting<'a>(&'a str);

impl Setting<'_> {
    fn take<E: de::Error>(&self, value: Value) -> Result<Value, E> {
        check(self.0, &value).map(|()| value).map_err(E::custom)
    }

    fn nested<E: de::Error>(&self) -> E {
        E::custom(format!("{} is one value, not several", self.0))
    }
}

impl<'de> DeserializeSeed<'de> for Setting<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Setting<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a text")
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.take(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.take(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.take(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).map(Value::Number);
        self.take(number.unwrap_or_else(|| value.to_string().into()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.take(value.into())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Err(self.nested())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Err(self.nested())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        pairs.iter().for_each(|(name, text)| settings.set_text(name, text).expect("a setting"));
        settings
    }

    #[test]
    fn lines_become_settings() {
        let text = "# a nano model\nsize: nano\nsteps: 200\nlearning_rate: 1e-3\nclip: 1\nsample: \"Once: upon\"\n\
                    schedule: constant-decay\nvocabulary_from: characters\nwidth:\n";
        let settings = parse(text).unwrap();
        let pairs = [
            ("size", "nano"),
            ("steps", "200"),
            ("learning_rate", "1e-3"),
            ("clip", "1"),
            ("sample", "Once: upon"),
            ("schedule", "constant-decay"),
            ("vocabulary_from", "characters"),
        ];
        assert_eq!(settings, expected(&pairs));
        assert_eq!(parse("# nothing yet\n").unwrap(), Settings::default());
        assert_eq!(parse("").unwrap(), Settings::default());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let check = |text: &str, parts: [&str; 2]| {
            let told = parse(text).unwrap_err().to_string();
            assert!(parts.iter().all(|part| told.contains(part)), "{told}");
        };
        check(
            "size: nano\nlearnig_rate: 1\n",
            ["no setting `learnig_rate`; did you mean `learning_rate`?", "line 2"],
        );
        check("size: nano\nlearning-rate: 1\n", ["did you mean `learning_rate`?", "line 2"]);
        check("size: nano\n\nsteps: many\n", ["a whole number from 0 is wanted", "line 3"]);
        check("size: huge\n", ["nano, tiny, small, medium", "line 1"]);
        check("steps: 1\nsteps: 2\n", ["`steps` is set twice", "line 2"]);
        check("steps: [1, 2]\n", ["one value", "steps"]);
        check("steps: {a: 1}\n", ["one value", "steps"]);
        check("- steps\n", ["lines of `name: value`", ""]);
        check("steps: .nan\n", ["a whole number", "line 1"]);
        check("steps: 1\n--- \nsteps: 2\n", ["document", ""]);
        check("steps: *nothing\n", ["anchor", ""]);
        check("steps: \"1\n", ["", "line"]);
    }

    #[test]
    fn a_file_that_is_no_settings_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        assert_eq!(read(&path).unwrap_err().code, "cannot_read");
        std::fs::write(&path, b"\xff\xfe").unwrap();
        assert_eq!(read(&path).unwrap_err().code, "bad_setting");
        std::fs::write(&path, " ".repeat((32 << 10) + 1)).unwrap();
        assert!(read(&path).unwrap_err().message.contains("more than 32 kB"));
        std::fs::write(&path, "steps: 7\n").unwrap();
        assert_eq!(read(&path).unwrap(), expected(&[("steps", "7")]));
        // Hostile nesting ends in an error, not in a full stack.
        std::fs::write(&path, format!("steps: {}", "[".repeat(32_000))).unwrap();
        assert_eq!(read(&path).unwrap_err().code, "bad_setting");
    }
}
