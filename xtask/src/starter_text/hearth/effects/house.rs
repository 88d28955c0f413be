//! Flags of the server, its keys and the manual.

use super::FlagIntents;

pub(super) static ROWS: &[FlagIntents] = &[
    (
        "man",
        "--dir",
        &[
            "{choose|set} the folder {for|of} the {manual|man} pages",
            "write {a page|the pages} for each verb into a folder",
        ],
    ),
    (
        "serve",
        "--address",
        &[
            "{choose|set} {the address|where the server listens}{ of the server|}",
            "{listen|serve} on {one|another} address",
        ],
    ),
    (
        "serve",
        "--port",
        &[
            "{let|make|have} the server {use|listen on|take} {port 8080|another port|a certain port|port 80}",
            "{move|put|start} the server {to|on|at} {another|a different|a free} port",
            "{pick|name} {a|the} port{ for the server| to listen on|}",
            "{choose|set|change} the port{ of the server|}",
            "{listen|serve} {on|at} another port",
        ],
    ),
    (
        "serve",
        "--lan",
        &[
            "{open|offer} the server to {the house|my family|everybody at home|all machines here}",
            "{let|allow} {a phone|my phone|the tablet|another laptop} {in the house|at home} {use|ask|reach} {the server|my models}",
            "{serve|reach} the whole {house|home|network}",
            "{let|allow} {other machines|phones|everyone at home} {reach|use} the server",
            "{serve|listen} on {every|all} {network|networks}",
        ],
    ),
    (
        "serve",
        "--host",
        &[
            "{give|add} {the server |}{another|a further} {host |}name{ for the server|}",
            "{call|reach} the server by another name",
        ],
    ),
    (
        "serve",
        "--origin",
        &["{let|allow} a web page {ask|use} the server", "{allow|set|add} {an origin|a web origin|CORS}"],
    ),
    (
        "serve",
        "--certificate",
        &[
            "{encrypt|serve} with {my own|a|another} certificate",
            "{give|use} {my|a} certificate{ for the server|}",
        ],
    ),
    ("serve", "--certificate-key", &["{give|name} the {private |}key of {my|a|the} certificate"]),
    (
        "serve",
        "--log",
        &[
            "{see|log|write down|print} {each request|requests|every request}",
            "{watch|follow} what the server is asked",
        ],
    ),
    (
        "serve",
        "--require-keys",
        &[
            "{want|require|ask for} a key{ from everybody| on this machine| of everyone|}",
            "{lock|protect} the server with keys",
        ],
    ),
    (
        "serve",
        "--grace",
        &[
            "{let|give} answers time {when the server ends|to finish}",
            "{set|choose} how long answers may go on{ at the end|}",
        ],
    ),
    (
        "serve",
        "--ollama-port",
        &[
            "{listen|answer|serve} {at|on} {Ollama's port|port 11434|the port of Ollama}",
            "{take the place of|replace|stand in for} Ollama",
        ],
    ),
    (
        "key create",
        "--scopes",
        &[
            "{limit|choose|set} what a key {may do|is good for}",
            "{make|create} a key {for chat only|with few rights}",
        ],
    ),
    (
        "key create",
        "--lasts",
        &[
            "{make|let} a key {expire|end by itself|last a day}",
            "{set|choose} how long a key {lasts|is good}",
        ],
    ),
    (
        "key create",
        "--requests-per-minute",
        &["{limit|set} the requests {a minute|in a minute|per minute}{ of a key|}"],
    ),
    ("key create", "--requests-per-day", &["{limit|set} the requests {a day|in a day|per day}{ of a key|}"]),
    ("key create", "--tokens-per-day", &["{limit|set} the tokens {a day|in a day|per day}{ of a key|}"]),
];
