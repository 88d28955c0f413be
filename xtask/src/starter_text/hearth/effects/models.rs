//! Flags of the models that there are.

use super::FlagIntents;

pub(super) static ROWS: &[FlagIntents] = &[
    (
        "import",
        "--tokenizer",
        &[
            "{take|use|pass|name} {a|the} {separate|own|different} {tokenizer|vocabulary}{ for an import|}",
            "{add|give|use|name|import} {a|another|the} {tokenizer|vocabulary}{ file|}",
            "import a model {whose tokenizer is a file of its own|with a tokenizer file|with its vocabulary}",
        ],
    ),
    (
        "import",
        "--name",
        &[
            "{give|choose} {a|the|another} name {when I import|on import|for the import}",
            "{import|add} {a model|a file|it} {under|with} {a different|an own|a better|a short} name",
            "{import|bring in} a model {as|called|with} {another name|a name of my own|a new name}",
            "{name|call} {the|a} model {on import|when I import it|while importing}",
            "{choose|set|give} {the|a} name {for|of} {a|the|my} {new |imported |}model",
            "import a model under {a name|another name|a name that I like}",
        ],
    ),
    (
        "import",
        "--in-place",
        &[
            "{not copy|import and not copy|import but not move} {a|the|my} {file|model file}",
            "{let|have} {a|the|my} model file stay {where it is|in its folder}",
            "import {a model |a file |}{without copying|without a copy|in place}{ it|}",
            "{use|leave|keep} {a|the|my} {file|model file} where it is",
            "import a model {and|but} save {disk |}space",
        ],
    ),
    (
        "show",
        "--tensors",
        &[
            "{get|read|display|have} {every|each|all} {tensor|tensors|weight|weights}{ of a model|}",
            "{know|see|print} {the tensors|the weight matrices} {in|of} {a|one|my} model",
            "{list|see|show|print} {all|the|every} {tensors|tensor|weights}{ of a model|}",
            "see the shapes of the {weights|tensors}",
        ],
    ),
    (
        "show",
        "--template",
        &[
            "{get|display|have|find} the {chat |}template {in|of} {a|one|my} model",
            "{see|show|print|read} the chat template{ of a model|}",
            "print only the template",
        ],
    ),
    (
        "pull",
        "--name",
        &[
            "{give|choose} {the|a} name {for|of} {a|the} {pulled|fetched|downloaded} model",
            "{pull|download|fetch} a model under another name",
        ],
    ),
    (
        "list",
        "--skipped",
        &[
            "{see|show|know} {which files are no models|what was left out of the list|what was skipped}",
            "list what {is broken|is not whole|other programs keep}",
        ],
    ),
    (
        "show",
        "--license",
        &[
            "{read|see|print|show} {the|a} {licence|license|licences}{ of a model|}",
            "{know|find out} whether I may {use|sell} a model",
        ],
    ),
    (
        "show",
        "--modelfile",
        &[
            "{see|print|get|write} the Modelfile of a model",
            "{get|have} a Modelfile that makes {a|the|my} model again",
        ],
    ),
    (
        "create",
        "--file",
        &[
            "{name|choose|give} the Modelfile",
            "{use|read} a Modelfile {of another name|from another folder|that lies elsewhere}",
        ],
    ),
    (
        "rollback",
        "--to",
        &["{choose|name} the version to go back to", "go back to {one certain|a certain|an exact} version"],
    ),
    (
        "rollback",
        "--forward",
        &["go {forward|forth} {again|to the next version|to a newer version}", "undo {a|the} rollback"],
    ),
    (
        "pin",
        "--off",
        &[
            "{unpin|release} {a|my|the} model",
            "{let|allow} a pinned model {change|to change|be updated}{ again|}",
        ],
    ),
    (
        "gc",
        "--versions",
        &[
            "{keep|leave} only {the newest|a few|some|two|three} versions{ of each model|}",
            "{remove|clean away|free} old versions{ of models|}",
        ],
    ),
    (
        "gc",
        "--yes",
        &[
            "{clean|free|remove} without {a question|being asked}",
            "{not be|never be} asked{ before files go|}",
        ],
    ),
];
