//! The one table of routes.

use crate::dialects::{anthropic, llama_cpp, ollama, openai, operators, rerank, responses, web_ui};
use crate::page;
use crate::route::{Dialect, Route};

/// All lists of routes; a dialect adds its own here.
pub static LISTS: &[&[Route]] = &[
    openai::ROUTES,
    responses::ROUTES,
    anthropic::ROUTES,
    ollama::ROUTES,
    llama_cpp::ROUTES,
    rerank::ROUTES,
    web_ui::ROUTES,
    operators::ROUTES,
    page::ROUTES,
];

/// Whose paths begin so; all others are OpenAI's.
const NEAR: &[(&str, &Dialect)] =
    &[("/v1/messages", &anthropic::DIALECT), ("/api/", &ollama::DIALECT), ("/sdapi/", &web_ui::DIALECT)];

/// The dialect of clients that ask for this path, whether there is something or not.
pub fn dialect_near(path: &str) -> &'static Dialect {
    let near = NEAR.iter().find(|(begin, _)| path.starts_with(begin));
    near.map_or(&openai::DIALECT, |(_, dialect)| dialect)
}

/// All routes.
pub fn all() -> impl Iterator<Item = &'static Route> {
    LISTS.iter().flat_map(|list| list.iter())
}
