//! The one table of routes.

use crate::dialects::{anthropic, llama_cpp, ollama, openai, operators, rerank, responses};
use crate::page;
use crate::route::Route;

/// All lists of routes; a dialect adds its own here.
pub static LISTS: &[&[Route]] = &[
    openai::ROUTES,
    responses::ROUTES,
    anthropic::ROUTES,
    ollama::ROUTES,
    llama_cpp::ROUTES,
    rerank::ROUTES,
    operators::ROUTES,
    page::ROUTES,
];

/// All routes.
pub fn all() -> impl Iterator<Item = &'static Route> {
    LISTS.iter().flat_map(|list| list.iter())
}
