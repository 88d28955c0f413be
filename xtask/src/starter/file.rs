//! The starter model as a GGUF file: what it says about itself, its vocabulary, and its weights in bf16.

use super::Sizes;
use super::vocabulary::{END_OF_TURN, PRE_TOKENIZER, TURN};
use ::text::{TokenType, VocabularyKind, VocabularyParts};
use anyhow::Result;
use base::TokenId;
use formats::metadata::{Array, Value};
use formats::{Dtype, Metadata, TensorSpec, gguf};
use half::bf16;
use models::parameters::{Parameter, Parameters};
use std::path::Path;

/// The chat template. A person's text stands only in `content`.
pub fn chat_template() -> String {
    format!(
        "{{% for message in messages %}}{{{{ '{TURN}' + message['role'] + '\\n' + message['content'] + '{END_OF_TURN}\\n' }}}}{{% endfor %}}{{% if add_generation_prompt %}}{{{{ '{TURN}assistant\\n' }}}}{{% endif %}}"
    )
}

/// What the file says about the model.
pub fn metadata(sizes: &Sizes, vocabulary: &VocabularyParts) -> Metadata {
    let mut metadata = Metadata::new("starter.gguf");
    let mut text = |key: &str, value: &str| metadata.insert(key, Value::String(value.to_owned()));
    text("general.architecture", "llama");
    text("general.type", "model");
    text("general.name", "starter");
    text("general.author", "The Hearth project");
    text("general.license", "MIT OR Apache-2.0");
    text(
        "general.description",
        "The tiny model that comes with Hearth, trained on text that a program in the project writes.",
    );
    text("tokenizer.ggml.model", "gpt2");
    text("tokenizer.ggml.pre", PRE_TOKENIZER);
    text("tokenizer.chat_template", &chat_template());
    let mut number = |key: &str, value: usize| {
        metadata.insert(key, Value::U32(u32::try_from(value).expect("the sizes are small")));
    };
    number("general.file_type", 32); // Mostly bf16.
    number("llama.vocab_size", sizes.vocabulary);
    number("llama.context_length", sizes.context);
    number("llama.embedding_length", sizes.width);
    number("llama.block_count", sizes.n_layers);
    number("llama.feed_forward_length", sizes.feed_forward);
    number("llama.attention.head_count", sizes.n_heads);
    number("llama.attention.head_count_kv", sizes.n_kv_heads);
    number("llama.rope.dimension_count", sizes.width / sizes.n_heads);
    number("tokenizer.ggml.bos_token_id", 0);
    number("tokenizer.ggml.eos_token_id", 2);
    number("tokenizer.ggml.padding_token_id", 0);
    metadata.insert("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5));
    metadata.insert("llama.rope.freq_base", Value::F32(10_000.0));
    metadata.insert("tokenizer.ggml.add_bos_token", Value::Bool(false));
    let strings = |list: &[String]| Value::Array(Array::Strings(list.iter().collect()));
    metadata.insert("tokenizer.ggml.tokens", strings(&vocabulary.tokens));
    metadata.insert("tokenizer.ggml.merges", strings(&vocabulary.merges));
    let types = vocabulary.token_types.iter().map(|kind| if *kind == TokenType::Control { 3 } else { 1 });
    metadata.insert("tokenizer.ggml.token_type", Value::Array(Array::I32(types.collect())));
    metadata
}

/// Writes the model: matrices in bf16, factors of normalisations in f32.
pub fn write(path: &Path, metadata: &Metadata, parameters: &Parameters) -> Result<()> {
    let spec = |parameter: &Parameter| TensorSpec {
        name: parameter.name.clone(),
        dtype: if parameter.shape.len() == 2 { Dtype::BF16 } else { Dtype::F32 },
        shape: parameter.shape.clone(),
    };
    let specs: Vec<TensorSpec> = parameters.iter().map(spec).collect();
    let mut writer = gguf::write(Vec::new(), metadata, &specs)?;
    for parameter in parameters.iter() {
        let values = parameter.tensor.values();
        let bytes: Vec<u8> = match parameter.shape.len() {
            2 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
            _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        writer.append(&bytes)?;
    }
    let beside = path.with_extension("gguf.new");
    std::fs::write(&beside, writer.finish()?)?;
    std::fs::rename(beside, path)?;
    Ok(())
}

/// The vocabulary that a file of ours carries.
pub fn vocabulary(metadata: &Metadata) -> Result<VocabularyParts> {
    let strings = |key: &str| -> Result<Vec<String>> {
        match metadata.get(key) {
            Some(Value::Array(Array::Strings(list))) => Ok(list.iter().map(str::to_owned).collect()),
            _ => anyhow::bail!("{key} is no list of texts"),
        }
    };
    let Some(Value::Array(Array::I32(types))) = metadata.get("tokenizer.ggml.token_type") else {
        anyhow::bail!("tokenizer.ggml.token_type is no list of numbers")
    };
    let id = |key: &str| -> Result<Option<TokenId>> {
        Ok(metadata.find::<u64>(key)?.map(|id| TokenId(id as u32)))
    };
    let tokens = strings("tokenizer.ggml.tokens")?;
    Ok(VocabularyParts {
        merges: strings("tokenizer.ggml.merges")?,
        token_types: types.iter().map(|number| TokenType::from_gguf(*number)).collect(),
        pre_tokenizer: metadata.read::<&str>("tokenizer.ggml.pre")?.to_owned(),
        bos: id("tokenizer.ggml.bos_token_id")?,
        eos: id("tokenizer.ggml.eos_token_id")?,
        add_bos: Some(false),
        ..VocabularyParts::new(VocabularyKind::ByteBpe, tokens)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::SIZES;
    use crate::starter::vocabulary::{learn, lesson};
    use crate::starter_text::Document;
    use ::text::{ChatTemplate, Conversation, Message, Tokenizer};
    use base::Rng;

    #[test]
    fn the_vocabulary_comes_out_of_the_metadata_as_it_went_in() {
        let parts = learn(400, 1);
        let read = vocabulary(&metadata(&SIZES, &parts)).unwrap();
        assert_eq!((&read.tokens, &read.merges), (&parts.tokens, &parts.merges));
        assert_eq!((&read.token_types, read.eos), (&parts.token_types, parts.eos));
    }

    #[test]
    fn the_template_writes_what_the_model_learned_to_read() {
        let tokenizer = Tokenizer::from_parts(learn(400, 1)).unwrap();
        let turns = [
            ("system", "Be kind."),
            ("user", "Hi, I am Anna."),
            ("assistant", "Nice to meet you!"),
            ("user", "Bye"),
            ("assistant", "Goodbye!"),
        ];
        let turn = |(role, content): (&str, &str)| starter_words::conversation::Message {
            role: role.to_owned(),
            content: content.to_owned(),
        };
        let document = Document::Chat(turns.map(turn).to_vec());
        let learned = lesson(&tokenizer, &document, &mut Rng::new(1)).ids;
        let messages: Vec<Message> =
            turns[..4].iter().map(|(role, content)| Message::new(role, content)).collect();
        let conversation =
            Conversation { messages: &messages, add_generation_prompt: true, ..Default::default() };
        let rendered = ChatTemplate::new(&chat_template()).unwrap().render(&conversation).unwrap();
        let prompt: Vec<u32> =
            tokenizer.encode_segments(&rendered.segments).unwrap().iter().map(|id| id.0).collect();
        assert_eq!(prompt, learned[..prompt.len()]);
        let rest: Vec<TokenId> = learned[prompt.len()..].iter().map(|id| TokenId(*id)).collect();
        assert_eq!(tokenizer.decode(&rest), "Goodbye!\n");
    }
}
