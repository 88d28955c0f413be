//! What the server answers, as an OpenAPI 3.1 document, made of the routes' tables.
//!
//! Source: OpenAPI Specification 3.1.0; JSON Schema 2020-12.

use serde_json::{Map, Value as Json, json};

use crate::fields::{Field, Kind, Need};
use crate::route::{Gives, Route, Scope, Takes, Verb};
use crate::routes;

/// The document.
pub fn description() -> Json {
    let mut paths = Map::new();
    for route in routes::all() {
        let path = route.path.replace("{*", "{");
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[route.method.name().to_ascii_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hearth",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "AI models on a machine that you own, in the dialects of existing clients.",
        },
        "paths": paths,
        "components": { "securitySchemes": {
            "bearer": { "type": "http", "scheme": "bearer" },
            "key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
        } },
    })
}

fn operation(route: &Route) -> Json {
    let answer = match route.gives {
        Gives::Body => json!({ "description": "The answer.", "content": { "*/*": {} } }),
        Gives::Nothing => json!({ "description": "It is done; there is no body." }),
    };
    let refusal = json!({
        "description": "A refusal in the dialect's own shape, with a code, the cause and the next step.",
        "content": { "application/json": { "schema": { "type": "object", "required": ["error"] } } },
    });
    let mut operation = json!({
        "summary": route.does,
        "tags": [route.dialect.name],
        "responses": { "200": answer, "default": refusal },
    });
    if route.method == Verb::Post {
        let not_here = "What is not part of this version, such as sound, refused in the dialect's own shape.";
        operation["responses"]["501"] =
            json!({ "description": not_here, "content": { "application/json": {} } });
    }
    let body = match route.takes {
        Takes::Json(fields) => Some(("application/json", fields)),
        Takes::Form(fields) => Some(("multipart/form-data", fields)),
        Takes::Nothing | Takes::Bytes => None,
    };
    if let Some((kind, fields)) = body {
        let content = json!({ kind: { "schema": object(fields) } });
        operation["requestBody"] = json!({ "required": fields.iter().any(is_needed), "content": content });
    }
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = Json::Array(parameters);
    }
    // The word that `hearth key create --scopes` takes.
    operation["x-scope"] = Json::from(route.scope.of_keys().map_or("open", app::doors::Scope::word));
    if route.scope != Scope::Open {
        operation["security"] = json!([{ "bearer": [] }, { "key": [] }]);
    }
    operation
}

/// The variable part of the path, and what may stand behind it.
fn parameters(route: &Route) -> Vec<Json> {
    let in_path = route.path.split_once('{').map(|(_, name)| {
        let name = name.split('}').next().unwrap_or(name).trim_start_matches('*');
        let schema = json!({ "type": "string", "minLength": 1 });
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = route.query.iter().map(|field| {
        let (schema, required) = (schema(&field.kind), is_needed(field));
        json!({ "name": field.name, "in": "query", "required": required, "schema": schema,
            "description": field.does })
    });
    in_path.into_iter().chain(in_query).collect()
}

fn is_needed(field: &Field) -> bool {
    field.need == Need::Must
}

fn object(fields: &[Field]) -> Json {
    let property = |field: &Field| {
        let mut schema = schema(&field.kind);
        // A form has no sign for nothing.
        if field.need == Need::May && !matches!(field.kind, Kind::File) {
            schema = json!({ "anyOf": [schema, { "type": "null" }] });
        }
        if !field.does.is_empty() {
            schema["description"] = Json::from(field.does);
        }
        (field.name.to_owned(), schema)
    };
    let properties: Map<String, Json> = fields.iter().map(property).collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| is_needed(field)).map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn schema(kind: &Kind) -> Json {
    match kind {
        Kind::Text { most } => json!({ "type": "string", "maxLength": most }),
        Kind::Integer { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Number { least, most } => json!({ "type": "number", "minimum": least, "maximum": most }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::List { of, least, most } => {
            json!({ "type": "array", "items": schema(of), "minItems": least, "maxItems": most })
        }
        Kind::Map { of, most } => {
            json!({ "type": "object", "additionalProperties": schema(of), "maxProperties": most })
        }
        Kind::Object(fields) => object(fields),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(schema).collect::<Vec<_>>() }),
        Kind::File => json!({ "type": "string", "format": "binary" }),
        Kind::Any => json!({}),
    }
}
