//! A look at what a model writes while it learns.

use base::TokenId;
use infer::{Engine, Event, Limits, LocalModel, Request, Sampling};
use models::parameters::Parameters;
use text::{Special, Tokenizer};

/// Tokens of a sample.
const LENGTH: usize = 48;
/// Bytes for its keys and values.
const CACHE_BYTES: usize = 64 << 20;

/// How the model goes on after `prompt`: a text that is the same for the same weights.
pub(super) fn write(parameters: &Parameters, tokenizer: &Tokenizer, prompt: &str) -> Option<String> {
    let prompt = tokenizer.encode(prompt, Special::Parse).ok().filter(|ids| !ids.is_empty())?;
    let context = parameters.config().context;
    let prompt: Vec<TokenId> = prompt[..prompt.len().min(context / 2)].to_vec();
    let sampling = Sampling { temperature: 0.7, top_k: 40, seed: 1, ..Sampling::default() };
    let ends: Vec<TokenId> =
        (0..tokenizer.len() as u32).map(TokenId).filter(|&id| tokenizer.is_end(id)).collect();
    let max_tokens = LENGTH.min(context - prompt.len());
    let request = Request { sampling, ends: ends.into(), ..Request::new(prompt, max_tokens) };
    let mut engine = Engine::new(LocalModel::new(parameters.decoder(), CACHE_BYTES), Limits::default());
    engine.submit(request).ok()?;
    let mut said = Vec::new();
    while engine.n_sequences() > 0 {
        for event in engine.step(None) {
            if let Event::Token { choice, .. } = event {
                said.push(choice.chosen.token);
            }
        }
    }
    Some(tokenizer.decode(&said))
}
