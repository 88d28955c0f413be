//! A way in: method, path, dialect, what it takes, and what answers.

use std::future::Future;
use std::pin::Pin;

use axum::response::Response;
use axum::routing::MethodFilter;
use serde_json::Value as Json;

use crate::call::Call;
use crate::fields::Field;
use crate::refusal::Refusal;

/// A way in.
pub struct Route {
    pub method: Verb,
    /// As in `/v1/models/{*model}`.
    pub path: &'static str,
    pub dialect: &'static Dialect,
    /// What a key has to be good for.
    pub scope: Scope,
    pub takes: Takes,
    /// What may stand behind its path.
    pub query: &'static [Field],
    pub gives: Gives,
    pub answer: fn(Call) -> Answering,
    /// What it does, in one sentence.
    pub does: &'static str,
}

/// Whether there is a body in what a route answers where all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    Body,
    Nothing,
}

/// The methods that routes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Head,
    Post,
    Delete,
}

impl Verb {
    /// As HTTP writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }

    pub fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Head => MethodFilter::HEAD,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// An answer that is being made.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

/// What a key has to be good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing: everybody may ask.
    Open,
    /// Asking models.
    Use,
    /// Looking at what is here.
    Read,
    /// Changing which models there are.
    Manage,
    /// Reading the counters.
    Metrics,
}

impl Scope {
    /// What a key calls it.
    pub fn of_keys(self) -> Option<app::doors::Scope> {
        match self {
            Self::Open => None,
            Self::Use => Some(app::doors::Scope::Use),
            Self::Read => Some(app::doors::Scope::Read),
            Self::Manage => Some(app::doors::Scope::Manage),
            Self::Metrics => Some(app::doors::Scope::Metrics),
        }
    }
}

/// What the body of a request is.
#[derive(Clone, Copy)]
pub enum Takes {
    Nothing,
    /// An object as this table says.
    Json(&'static [Field]),
    /// A form with fields and files as this table says.
    Form(&'static [Field]),
    /// Bytes, which are read as they come.
    Bytes,
}

/// How a family of clients is spoken with.
pub struct Dialect {
    pub name: &'static str,
    /// A refusal in its shape.
    pub refuse: fn(&Refusal) -> Json,
}

/// Makes an answer of a future.
pub fn answering(future: impl Future<Output = Result<Response, Refusal>> + Send + 'static) -> Answering {
    Box::pin(future)
}

impl Route {
    /// A route that reads.
    pub const fn get(
        path: &'static str,
        dialect: &'static Dialect,
        scope: Scope,
        answer: fn(Call) -> Answering,
        does: &'static str,
    ) -> Self {
        Self {
            method: Verb::Get,
            path,
            dialect,
            scope,
            takes: Takes::Nothing,
            query: &[],
            gives: Gives::Body,
            answer,
            does,
        }
    }

    /// A route that asks a model.
    pub const fn ask(
        path: &'static str,
        dialect: &'static Dialect,
        fields: &'static [Field],
        answer: fn(Call) -> Answering,
        does: &'static str,
    ) -> Self {
        let (method, scope, takes) = (Verb::Post, Scope::Use, Takes::Json(fields));
        Self { method, path, dialect, scope, takes, query: &[], gives: Gives::Body, answer, does }
    }

    /// The same with another scope.
    #[must_use]
    pub const fn scoped(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// The same with another method.
    #[must_use]
    pub const fn by(mut self, method: Verb) -> Self {
        self.method = method;
        self
    }

    /// The same, where this may stand behind the path.
    #[must_use]
    pub const fn asked(mut self, query: &'static [Field]) -> Self {
        self.query = query;
        self
    }

    /// The same, whose answer has no body.
    #[must_use]
    pub const fn silent(mut self) -> Self {
        self.gives = Gives::Nothing;
        self
    }

    /// The same with another body.
    #[must_use]
    pub const fn taking(mut self, takes: Takes) -> Self {
        self.takes = takes;
        self
    }
}
