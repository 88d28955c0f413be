//! The templates and conversations of `fixtures/templates`, rendered here; what Python makes of them is told there.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};
use text::template::CivilTime;
use text::{ChatTemplate, Conversation, Error, Message};

/// The time that `render.py` tells its templates.
pub const NOW: CivilTime = CivilTime { year: 2025, month: 7, day: 26, hour: 12, minute: 30, second: 0 };

/// Every template of a folder by its file's name, sorted.
pub fn templates(folder: &Path) -> Vec<(String, Result<ChatTemplate, Error>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jinja"));
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, ChatTemplate::new(&std::fs::read_to_string(&path).unwrap()))
    };
    files.into_iter().map(read).collect()
}

/// `(template, conversation, outcome)` for every template of a folder and every conversation, sorted by template.
pub fn outcomes(folder: &Path) -> Vec<(String, String, Json)> {
    let given = read("conversations.json");
    let mut all = Vec::new();
    for (name, template) in templates(folder) {
        for (conversation, fields) in given["conversations"].as_object().unwrap() {
            let mut fields = fields.as_object().unwrap().clone();
            fields.extend(given["always"].as_object().unwrap().clone());
            let rendered = template.clone().and_then(|template| render(&template, fields));
            all.push((name.clone(), conversation.clone(), outcome(rendered)));
        }
    }
    all
}

/// `(template, outcome)` for the small templates of `expressions.json`.
pub fn expressions() -> Vec<(String, Json)> {
    let given = read("expressions.json");
    let sources = given["templates"].as_array().unwrap().iter().map(|source| source.as_str().unwrap());
    let outcome_of = |source: &str| {
        let variables = given["variables"].as_object().unwrap().clone();
        let conversation = Conversation { variables, now: Some(NOW), ..Conversation::default() };
        let rendered = ChatTemplate::new(source).and_then(|template| template.render(&conversation));
        (source.to_owned(), outcome(rendered.map(|rendered| rendered.text())))
    };
    sources.map(outcome_of).collect()
}

/// A file of `fixtures/templates`.
pub fn read(name: &str) -> Json {
    let path = testkit::shared::root().join("fixtures/templates").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn outcome(rendered: Result<String, Error>) -> Json {
    match rendered {
        Ok(text) => json!({"text": text}),
        Err(Error::TemplateRaised { message }) => json!({"raised": message}),
        Err(error) => json!({"failed": error.to_string()}),
    }
}

fn render(template: &ChatTemplate, mut fields: Map<String, Json>) -> Result<String, Error> {
    let mut take = |name: &str| fields.remove(name).unwrap_or_default();
    let messages: Vec<Message> = take("messages").as_array().unwrap().iter().map(message).collect();
    let (bos, eos) = (take("bos_token"), take("eos_token"));
    let tools = Some(take("tools")).filter(|tools| !tools.is_null());
    let conversation = Conversation {
        messages: &messages,
        tools,
        add_generation_prompt: take("add_generation_prompt") != json!(false),
        bos_token: bos.as_str().unwrap(),
        eos_token: eos.as_str().unwrap(),
        variables: fields,
        now: Some(NOW),
    };
    template.render(&conversation).map(|rendered| rendered.text())
}

fn message(fields: &Json) -> Message {
    let mut extra = fields.as_object().unwrap().clone();
    let role = extra.remove("role").unwrap().as_str().unwrap().to_owned();
    Message { role, content: extra.remove("content").unwrap_or_default(), extra }
}
