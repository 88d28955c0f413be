//! Flags of training, storing and measuring.

use super::FlagIntents;

pub(super) static ROWS: &[FlagIntents] = &[
    (
        "train",
        "--data",
        &[
            "{name|choose|give} {the|a} {folder|file|data} {to train on|to learn from|of my texts}",
            "say what {a|the} training learns from",
        ],
    ),
    (
        "train",
        "--resume",
        &[
            "{pick up|take up|continue} {an old|a stopped|the last|my} {training|run}{ again|}",
            "{carry on|go on} with {a|my|the} {training|run} {after a break|that ended early|that was interrupted}",
            "{resume|continue|go on with} {a|my|the} {training|run|stopped training|interrupted run}",
            "{let|have} a {training|run} go on{ after a stop| where it ended|}",
        ],
    ),
    (
        "train",
        "--config",
        &[
            "{read|take|use} the settings {of a training |}from a {file|YAML file}",
            "{use|give} a {recipe|YAML file|settings file}{ for a training|}",
        ],
    ),
    (
        "train",
        "--size",
        &[
            "{choose|set} {the size of a new model|how large a new model is}",
            "train a {larger|smaller|bigger|nano|medium} model",
        ],
    ),
    (
        "train",
        "--learning-rate",
        &[
            "{set|choose|change|lower|raise} the {learning rate|rate of learning}",
            "{learn|train} {faster|slower} {at|in} each step",
        ],
    ),
    (
        "train",
        "--batch",
        &[
            "{set|choose|change} the batch{ size|}",
            "{read|train on} {more|fewer} sequences {together|at once}",
        ],
    ),
    (
        "train",
        "--length",
        &[
            "{set|choose|change} the {length of the sequences|sequence length|length of the context}{ in training|}",
            "train {on|with} {longer|shorter} {texts|sequences}",
        ],
    ),
    (
        "train",
        "--vocabulary",
        &[
            "{choose|set} {where the vocabulary comes from|the kind of vocabulary}",
            "train {on|with} {characters|single letters|the vocabulary of another model}",
        ],
    ),
    (
        "train",
        "--from",
        &[
            "{go on|continue|start} from {a|another|my old} model{ in training|}",
            "{train|improve|tune} {a|my} {model that is there|existing model|finished model} {further|more|again}",
        ],
    ),
    (
        "train",
        "--vocabulary-size",
        &[
            "{set|choose|change} {how many tokens a vocabulary has|the size of the vocabulary}",
            "{learn|have} a {larger|smaller} vocabulary",
        ],
    ),
    (
        "train",
        "--sample",
        &[
            "{see|read|get} {samples|a sample|some text} {while it trains|during training|now and then}",
            "{set|choose} the {text|beginning} of the samples{ in training|}",
        ],
    ),
    (
        "quantize",
        "--text",
        &[
            "{compare|measure} {a|the} quantized model {over|on} {a|my} text",
            "{choose|give} the text {for|of} the comparison{ when I quantize|}",
        ],
    ),
    (
        "quantize",
        "--importance",
        &[
            "{use|give|take} an {imatrix|importance matrix|importance file}",
            "{tell|learn} which columns matter{ when I quantize|}",
        ],
    ),
    (
        "export",
        "--format",
        &[
            "{choose|set} {the format of an export|what a model is written as}",
            "{export|write} {as|to} {safetensors|GGUF}",
        ],
    ),
    (
        "export",
        "--storage",
        &[
            "{choose|set} how {matrices|weights} are stored {in an export|when I export}",
            "export in {Q8_0|16 bits|f16}",
        ],
    ),
    (
        "fit",
        "--context",
        &[
            "{ask|know} how much memory a {longer|long|certain} context needs",
            "{give|set} {a|the} length of context {to|for} fit",
        ],
    ),
    (
        "bench",
        "--prompt",
        &[
            "{measure|bench} with a {longer|shorter|long} prompt",
            "{set|choose} the prompt tokens of a {bench|measurement}",
        ],
    ),
    (
        "bench",
        "--tokens",
        &[
            "{measure|bench} {more|fewer} generated tokens",
            "{set|choose} how many tokens a {bench|measurement} {generates|writes}",
        ],
    ),
    (
        "bench",
        "--runs",
        &[
            "{measure|bench} {more often|several times|ten times}",
            "{set|choose} how often a {bench|measurement} runs",
        ],
    ),
    (
        "bench",
        "--users",
        &[
            "{measure|bench} {many|several|sixteen} users{ together| at once|}",
            "{see|find out} how fast {many people|several users} are answered{ together|}",
        ],
    ),
    (
        "bench",
        "--edits",
        &[
            "{measure|bench} {edits|answers that repeat their prompt}",
            "{see|find out} what guesses {bring|gain}",
        ],
    ),
    ("bench", "--force-target", &["{take|force} the targets of {the |}edits as answers"]),
    (
        "train",
        "--kind",
        &[
            "train {a|an|my own} {model that draws|image model|model of pictures}",
            "{learn|train} from {pictures|images|a folder of pictures}",
        ],
    ),
];
