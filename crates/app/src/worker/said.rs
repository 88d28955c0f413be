//! What is said of a model beside its weights, where it takes effect: its first words, its sampling, its template.
//!
//! Does not: read the weights' own template.

use std::borrow::Cow;

use store::about::{Settings, TemplateLanguage};
use store::{FileRef, Role, Store};

use crate::Failure;
use crate::job::{Generate, Message, Mirostat, Prompt, Sampling};

/// Parameters that are kept and have no effect on answers here: memory grows with the context by itself.
pub(crate) const UNUSED: [&str; 2] = ["num_ctx", "num_keep"];

/// What is said of a model beside its weights.
#[derive(Default)]
pub(crate) struct Said {
    pub settings: Settings,
    /// Its Jinja template, which takes the place of the weights' own.
    pub template: Option<String>,
}

impl Said {
    /// What the store says of `model`.
    pub fn of(store: &Store, model: &store::Model) -> Result<Self, Failure> {
        let files = &model.manifest.files;
        let is_template =
            |file: &&FileRef| file.role == Role::Template && file.format == TemplateLanguage::Jinja.format();
        let template = files.iter().find(is_template).map(|file| store.read_text_file(file)).transpose()?;
        Ok(Self { settings: Settings::read(&model.manifest.parameters), template })
    }

    /// The template with which a conversation is given to the model, where it is not the weights' own.
    ///
    /// # Errors
    /// `bad_template` for one of the person in Go's language.
    pub fn template_for<'a>(&'a self, generate: &'a Generate) -> Result<Option<&'a str>, Failure> {
        let Some(template) = &generate.template else { return Ok(self.template.as_deref()) };
        if TemplateLanguage::of(template) == TemplateLanguage::Go {
            let message = "the template is in Go's language, and templates are in Jinja's here";
            return Err(Failure::new("bad_template", message, "leave it out, or write it in Jinja"));
        }
        Ok(Some(template))
    }

    /// The sampling that the model asks for.
    pub fn sampling(&self) -> Sampling {
        let said = &self.settings.parameters;
        let number = |number: Option<f64>| number.map(|number| number as f32);
        let count = |count: Option<i64>| count.and_then(|count| usize::try_from(count).ok());
        Sampling {
            temperature: number(said.temperature),
            top_k: count(said.top_k),
            top_p: number(said.top_p),
            min_p: number(said.min_p),
            typical_p: number(said.typical_p).filter(|share| *share > 0.0),
            mirostat: said.mirostat.map(Mirostat::numbered),
            mirostat_tau: number(said.mirostat_tau),
            mirostat_eta: number(said.mirostat_eta),
            repeat_last_n: said.repeat_last_n.map(Sampling::last_n),
            repetition_penalty: number(said.repeat_penalty),
            presence_penalty: number(said.presence_penalty),
            frequency_penalty: number(said.frequency_penalty),
            seed: said.seed.and_then(|seed| u64::try_from(seed).ok()),
            max_tokens: count(said.num_predict),
            // An empty text would end every answer at once.
            stop: said.stop.iter().filter(|text| !text.is_empty()).cloned().collect(),
            ..Sampling::default()
        }
    }

    /// The prompt with the model's first words: its system prompt where the person gives none, then its messages.
    pub fn begin<'a>(&self, prompt: &'a Prompt) -> Cow<'a, Prompt> {
        let Prompt::Chat(given) = prompt else { return Cow::Borrowed(prompt) };
        let n_system = given.iter().take_while(|message| message.role == "system").count();
        let (system, rest) = given.split_at(n_system);
        let own = self.settings.system.iter().filter(|_| system.is_empty());
        let own = own.map(|text| Message::new("system", text));
        let first = self.messages();
        let messages = own.chain(system.iter().cloned()).chain(first).chain(rest.iter().cloned());
        Cow::Owned(Prompt::Chat(messages.collect()))
    }

    /// The messages with which every conversation begins.
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        let message = |message: &store::about::Message| Message::new(message.role.word(), &message.content);
        self.settings.messages.iter().map(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::about::{Message as First, Speaker};

    fn message(role: &str, content: &str) -> Message {
        Message::new(role, content)
    }

    #[test]
    fn the_persons_words_win_over_the_models() {
        let messages = vec![First { role: Speaker::Assistant, content: "Hello.".into() }];
        let settings = Settings { system: Some("Be brief.".into()), messages, ..Settings::default() };
        let said = Said { settings, ..Said::default() };
        let (own, first, user) =
            (message("system", "Be brief."), message("assistant", "Hello."), message("user", "hi"));
        let check = |given: Vec<Message>, expected: Vec<Message>| {
            assert_eq!(*said.begin(&Prompt::Chat(given)), Prompt::Chat(expected));
        };
        check(vec![user.clone()], vec![own, first.clone(), user.clone()]);
        for text in ["Be long.", ""] {
            let given = message("system", text);
            check(vec![given.clone(), user.clone()], vec![given, first.clone(), user.clone()]);
        }
        let raw = Prompt::Raw("as it is".into());
        assert_eq!(*said.begin(&raw), raw);
    }

    #[test]
    fn parameters_become_sampling() {
        let map = serde_json::json!({
            "temperature": 0.5, "top_k": 0, "repeat_penalty": 1.5, "repeat_last_n": 64, "typical_p": 0.5, "seed": -1, "num_predict": -1,
            "mirostat": 2, "mirostat_tau": 4, "mirostat_eta": 0.2, "stop": ["", "END"],
        });
        let settings = Settings::read(map.as_object().expect("it is a map"));
        let expected = Sampling {
            temperature: Some(0.5),
            top_k: Some(0),
            repetition_penalty: Some(1.5),
            repeat_last_n: Some(64),
            typical_p: Some(0.5),
            mirostat: Some(Mirostat::Second),
            mirostat_tau: Some(4.0),
            mirostat_eta: Some(0.2),
            stop: vec!["END".into()],
            ..Sampling::default()
        };
        assert_eq!(Said { settings, ..Said::default() }.sampling(), expected);
    }
}
