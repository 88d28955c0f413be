//! stories260K through every layer: the text that llama2.c tells.

use app::job::{Generate, Prompt, Sampling};

use crate::home::{Home, import};

#[test]
fn stories260k_tells_its_story_to_the_letter() {
    let test = "app::jobs::stories::stories260k_tells_its_story_to_the_letter";
    let Some(shared) = testkit::shared::shared(test) else { return };
    let folder = shared.join("llm/stories260K");
    let home = Home::new();
    let (model, tokenizer) = (folder.join("stories260K.bin"), folder.join("tok512.bin"));
    home.last(import(&model, Some(&tokenizer), "stories260k")).unwrap();
    let sampling = Sampling { temperature: Some(0.0), max_tokens: Some(200), ..Sampling::default() };
    let generate = Generate { sampling, ..Generate::new("stories260k", Prompt::Raw(String::new())) };
    let expected = std::fs::read_to_string(folder.join("expected_greedy_200.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(home.text(generate), expected["expected_stdout"].as_str().unwrap());
}
