//! The parameters text: the lines that web UIs write below a picture and into its file.
//!
//! The prompt, `Negative prompt:`, and in the last line names and values with commas between; a value with a comma, a
//! colon or a line's end in it is quoted as in JSON. Source: AUTOMATIC1111's stable-diffusion-webui; read as it reads:
//! a last line with fewer than three parameters belongs to the prompt.

use super::Recipe;
use crate::Error;

/// The longest text that is read.
pub const MAX_TEXT_BYTES: usize = 1 << 18;

const NEGATIVE: &str = "Negative prompt:";
/// A last line with fewer parameters is none.
const LEAST_PARAMETERS: usize = 3;
/// Hexadecimal digits of a hash that web UIs write.
const SHORT_HASH: usize = 10;
const ADAPTERS: &str = "Lora hashes";
const EMBEDDINGS: &str = "TI hashes";
/// Of what is used beside a model they write more.
const LONGER_HASH: usize = 12;

/// A parameter that has its own place in a recipe.
struct Field {
    name: &'static str,
    get: fn(&Recipe) -> Option<String>,
    /// `None` when the value is not of the field's kind.
    set: fn(&mut Recipe, &str) -> Option<()>,
}

/// Every parameter with its own place, in the order in which they are written.
static FIELDS: &[Field] = &[
    Field { name: "Steps", get: |r| shown(&r.steps), set: |r, v| put(&mut r.steps, v) },
    Field { name: "Sampler", get: |r| shown(&r.sampler), set: |r, v| put(&mut r.sampler, v) },
    Field { name: "Schedule type", get: |r| shown(&r.schedule), set: |r, v| put(&mut r.schedule, v) },
    Field { name: "CFG scale", get: |r| shown(&r.guidance), set: |r, v| number(&mut r.guidance, v) },
    Field { name: "Seed", get: |r| shown(&r.seed), set: |r, v| put(&mut r.seed, v) },
    Field { name: "Size", get: |r| r.size.map(|(columns, rows)| format!("{columns}x{rows}")), set: size },
    Field { name: "Model hash", get: |r| short(&r.model_hash), set: |r, v| put(&mut r.model_hash, v) },
    Field { name: "Model", get: |r| shown(&r.model), set: |r, v| put(&mut r.model, v) },
    Field { name: "VAE hash", get: |r| short(&r.vae_hash), set: |r, v| put(&mut r.vae_hash, v) },
    Field { name: "VAE", get: |r| shown(&r.vae), set: |r, v| put(&mut r.vae, v) },
    Field {
        name: "Variation seed",
        get: |r| shown(&r.variation_seed),
        set: |r, v| put(&mut r.variation_seed, v),
    },
    Field {
        name: "Variation seed strength",
        get: |r| shown(&r.variation_strength),
        set: |r, v| number(&mut r.variation_strength, v),
    },
    Field { name: "Denoising strength", get: |r| shown(&r.strength), set: |r, v| number(&mut r.strength, v) },
    Field { name: "Clip skip", get: |r| shown(&r.clip_skip), set: |r, v| put(&mut r.clip_skip, v) },
    Field { name: "Eta", get: |r| shown(&r.eta), set: |r, v| number(&mut r.eta, v) },
    Field { name: "RNG", get: |r| shown(&r.noise), set: |r, v| put(&mut r.noise, v) },
    Field { name: "Emphasis", get: |r| shown(&r.emphasis), set: |r, v| put(&mut r.emphasis, v) },
    Field { name: ADAPTERS, get: |r| hashes(&r.adapters), set: |r, v| put_hashes(&mut r.adapters, v) },
    Field { name: EMBEDDINGS, get: |r| hashes(&r.embeddings), set: |r, v| put_hashes(&mut r.embeddings, v) },
];

/// The last one, behind what has no place of its own.
static VERSION: Field =
    Field { name: "Version", get: |r| shown(&r.version), set: |r, v| put(&mut r.version, v) };

fn shown<T: ToString>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(T::to_string)
}

fn short(hash: &Option<String>) -> Option<String> {
    hash.as_ref().map(|hash| hash.chars().take(SHORT_HASH).collect())
}

fn put<T: std::str::FromStr>(place: &mut Option<T>, value: &str) -> Option<()> {
    *place = Some(value.parse().ok()?);
    Some(())
}

fn number(place: &mut Option<f64>, value: &str) -> Option<()> {
    *place = Some(value.parse().ok().filter(|value: &f64| value.is_finite())?);
    Some(())
}

fn size(recipe: &mut Recipe, value: &str) -> Option<()> {
    let (columns, rows) = value.split_once('x')?;
    recipe.size = Some((columns.parse().ok()?, rows.parse().ok()?));
    Some(())
}

fn hashes(files: &[(String, String)]) -> Option<String> {
    let pairs = files.iter().map(|(name, hash)| {
        let hash: String = hash.chars().take(LONGER_HASH).collect();
        format!("{}: {hash}", name.replace([':', ','], ""))
    });
    let text = pairs.collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then_some(text)
}

fn put_hashes(place: &mut Vec<(String, String)>, value: &str) -> Option<()> {
    let pairs = value.split(',').map(|pair| {
        let (name, hash) = pair.split_once(':')?;
        Some((name.trim().to_owned(), hash.trim().to_owned()))
    });
    *place = pairs.collect::<Option<_>>()?;
    Some(())
}

impl Recipe {
    /// The parameters text, as web UIs write it.
    pub fn to_text(&self) -> String {
        let known = FIELDS.iter().filter_map(|field| Some((field.name.to_owned(), (field.get)(self)?)));
        let other = self.other.iter().filter(|(name, _)| is_name(name)).cloned();
        let version = (VERSION.get)(self).map(|value| (VERSION.name.to_owned(), value));
        let parameters = known.chain(other).chain(version).filter(|(_, value)| !value.is_empty());
        let line: Vec<String> =
            parameters.map(|(name, value)| format!("{name}: {}", quoted(&value))).collect();
        let negative = match self.negative_prompt.as_str() {
            "" => String::new(),
            text => format!("\n{NEGATIVE} {text}"),
        };
        format!("{}{negative}\n{}", self.prompt, line.join(", ")).trim().to_owned()
    }

    /// The recipe that a parameters text tells. Parameters without a place of their own, and those whose values are not
    /// of their kind, are kept in `other`.
    ///
    /// # Errors
    /// `Parameters` above [`MAX_TEXT_BYTES`].
    pub fn from_text(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(Error::Parameters(format!("{} bytes are more than {MAX_TEXT_BYTES}", text.len())));
        }
        let text = text.trim();
        let (first, last) = text.rsplit_once('\n').unwrap_or(("", text));
        let parameters = parameters(last);
        let (words, parameters) =
            if parameters.len() < LEAST_PARAMETERS { (text, Vec::new()) } else { (first, parameters) };
        let mut recipe = Self::default();
        recipe.read_prompts(words);
        for (name, value) in parameters {
            recipe.read_parameter(name, value);
        }
        Ok(recipe)
    }

    fn read_prompts(&mut self, text: &str) {
        let (mut positive, mut negative, mut is_negative) = (Vec::new(), Vec::new(), false);
        for line in text.lines().map(str::trim) {
            let begin = line.strip_prefix(NEGATIVE);
            is_negative |= begin.is_some();
            let lines = if is_negative { &mut negative } else { &mut positive };
            lines.push(begin.unwrap_or(line).trim());
        }
        self.prompt = positive.join("\n").trim().to_owned();
        self.negative_prompt = negative.join("\n").trim().to_owned();
    }

    fn read_parameter(&mut self, name: &str, value: String) {
        let field = FIELDS.iter().chain([&VERSION]).find(|field| field.name == name);
        if field.and_then(|field| (field.set)(self, &value)).is_none() {
            self.other.push((name.to_owned(), value));
        }
    }
}

/// Whether a name can be read back: letters, digits, `_`, and inside also spaces, `-` and `/`; two or more of them.
fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(is_word) && !letters.as_str().is_empty() && letters.all(is_inside_name)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn is_inside_name(letter: char) -> bool {
    is_word(letter) || letter.is_whitespace() || letter == '-' || letter == '/'
}

fn quoted(value: &str) -> String {
    if !value.contains([',', '\n', ':']) {
        return value.to_owned();
    }
    serde_json::Value::from(value).to_string()
}

/// The names and values of a line, whatever stands between them.
fn parameters(line: &str) -> Vec<(&str, String)> {
    let (mut found, mut rest) = (Vec::new(), line);
    while let Some(begin) = rest.find(is_word) {
        rest = &rest[begin..];
        let end = rest.find(|letter| !is_inside_name(letter)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        let Some(after) = after.strip_prefix(':').filter(|_| is_name(name)) else { continue };
        let (value, behind) = value_at(after.trim_start());
        rest = behind;
        if !value.is_empty() {
            found.push((name, value));
        }
    }
    found
}

/// A value and what is behind its comma.
fn value_at(text: &str) -> (String, &str) {
    if let Some((quoted, behind)) = quoted_at(text) {
        let value = serde_json::from_str(quoted).unwrap_or_else(|_| quoted.to_owned());
        return (value, behind);
    }
    let (value, behind) = text.split_once(',').unwrap_or((text, ""));
    (value.to_owned(), behind)
}

/// A text in quotes that a comma or the line's end follows.
fn quoted_at(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inside.find(|letter| {
        let is_end = letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        is_end
    })?;
    let (quoted, behind) = text.split_at(end + 2);
    let behind = if behind.is_empty() { behind } else { behind.strip_prefix(',')? };
    (end > 0).then_some((quoted, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB_UI: &str = "girl with an artist's beret, ((eyeshadow)), <lora:x:0.8>\nsecond line\n\
        Negative prompt: ugly, (((deformed))), [blurry]\nmore of it\n\
        Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 965400086, Size: 512x768, \
        Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Denoising strength: 0.7, Clip skip: 2, RNG: CPU, \
        Hires upscale: 2, Lora hashes: \"x: 0123456789ab, y z: ba9876543210\", \
        TI hashes: \"easy: c74b4e810b03\", Version: v1.10.1";

    #[test]
    fn the_text_of_a_web_ui_is_read_and_written() {
        let recipe = Recipe::from_text(WEB_UI).unwrap();
        assert_eq!(recipe.prompt, "girl with an artist's beret, ((eyeshadow)), <lora:x:0.8>\nsecond line");
        assert_eq!(recipe.negative_prompt, "ugly, (((deformed))), [blurry]\nmore of it");
        assert_eq!((recipe.steps, recipe.guidance, recipe.seed), (Some(20), Some(7.5), Some(965_400_086)));
        assert_eq!((recipe.size, recipe.clip_skip), (Some((512, 768)), Some(2)));
        assert_eq!(recipe.schedule.as_deref(), Some("Karras"));
        let adapters = [("x", "0123456789ab"), ("y z", "ba9876543210")];
        assert_eq!(recipe.adapters, adapters.map(|(name, hash)| (name.to_owned(), hash.to_owned())));
        assert_eq!(recipe.embeddings, [("easy".to_owned(), "c74b4e810b03".to_owned())]);
        assert_eq!(recipe.other, [("Hires upscale".to_owned(), "2".to_owned())]);
        let again = Recipe::from_text(&recipe.to_text()).unwrap();
        assert_eq!(again, recipe);
        // What has no place of its own is written behind the rest; all else is the same to the letter.
        let swapped =
            WEB_UI.replace("Hires upscale: 2, ", "").replace("Version", "Hires upscale: 2, Version");
        assert_eq!(recipe.to_text(), swapped);
    }

    #[test]
    fn values_are_quoted_where_they_must_be() {
        for value in [
            "a, b",
            "a: b",
            "two\nlines",
            "say \"a, b\"",
            "back\\slash, é",
            "plain",
            "\"half",
            "{\"a\": [1, 2]}",
        ] {
            let recipe = Recipe {
                prompt: "p".to_owned(),
                steps: Some(1),
                seed: Some(u64::MAX),
                model: Some(value.to_owned()),
                other: vec![("Other one".to_owned(), value.to_owned())],
                ..Recipe::default()
            };
            assert_eq!(Recipe::from_text(&recipe.to_text()).unwrap(), recipe, "{value}");
        }
    }

    #[test]
    fn a_last_line_with_few_parameters_is_prompt() {
        let recipe = Recipe::from_text("a cat, Steps: 20, Seed: 5").unwrap();
        assert_eq!((recipe.prompt.as_str(), recipe.steps), ("a cat, Steps: 20, Seed: 5", None));
        let recipe = Recipe::from_text("Steps: 4, Sampler: LCM, Seed: 5").unwrap();
        assert_eq!((recipe.prompt.as_str(), recipe.steps), ("", Some(4)));
        assert_eq!(Recipe::from_text("").unwrap(), Recipe::default());
    }

    #[test]
    fn values_of_another_kind_are_kept() {
        let recipe = Recipe::from_text("p\nSteps: many, CFG scale: NaN, Size: 5, Seed: -1").unwrap();
        let names: Vec<&str> = recipe.other.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Steps", "CFG scale", "Size", "Seed"]);
        assert!(Recipe::from_text(&"a".repeat(MAX_TEXT_BYTES + 1)).is_err());
    }

    #[test]
    fn hashes_are_short_in_the_text_and_whole_in_json() {
        let files = |name: &str| vec![(name.to_owned(), "cd".repeat(32))];
        let of_files = Recipe { adapters: files("x"), embeddings: files("y"), ..Recipe::default() };
        assert_eq!(of_files.to_text(), "Lora hashes: \"x: cdcdcdcdcdcd\", TI hashes: \"y: cdcdcdcdcdcd\"");
        let json = serde_json::to_string(&of_files).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), of_files);
        let recipe = Recipe { model_hash: Some("ab".repeat(32)), ..Recipe::default() };
        assert_eq!(recipe.to_text(), "Model hash: ababababab");
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
        assert_eq!(json, format!("{{\"prompt\":\"\",\"model_hash\":\"{}\"}}", "ab".repeat(32)));
    }
}
