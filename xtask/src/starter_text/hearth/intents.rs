//! What people want when they need a command or a flag of Hearth, as the lessons say it.
//!
//! A row for each command; `{a|b}` are choices. A command without a row is asked for in the words of its summary.
//! Rows of commands that the table does not have are not used. Held-out questions stand in another program.

/// A command and what people want to do with it, as they say it after "How do I".
pub type CommandIntents = (&'static str, &'static [&'static str]);

/// A command, its flag, and what people want when they need it.
pub type FlagIntents = (&'static str, &'static str, &'static [&'static str]);

/// For each command.
pub static COMMAND_INTENTS: &[CommandIntents] = &[
    (
        "run",
        &[
            "{run|start|use|launch|try|try out} {a|the|my} model",
            "{chat|talk|speak} {with|to} {a|the|my} model",
            "{begin|start|open|have} a {chat|conversation}{ with a model|}",
            "ask {a|the|my} model {a question|something}",
            "{get|have} an answer from {a|the|my} model",
            "let {a|the|my} model {answer|write|answer a question|write something|tell a story}",
            "{give|send|pass} a prompt to {a|the|my} model",
            "{generate|make|write} {a |some |}text with {a|the|my} model",
            "put a question to {a|the|my} model",
        ],
    ),
    (
        "explain",
        &[
            "{see|look at|watch|understand|find out} what happens inside{ a model| the model|}",
            "look {inside|into} {a|the|my} model{ while it answers|}",
            "{see|understand|find out|know} why {a|the|my} model {says|said|answers|wrote} {this|that|something}",
            "{see|show|look at} the tokens{ of my prompt| of an answer| and their alternatives|}",
            "{see|show|look at} {the alternatives|what else the model could say|what the layers say|the layers}",
            "{explain|understand} {an answer|how a model works|how a model thinks}",
            "{see|find out} how likely {each|a} {word|token} {is|was}",
            "{see|find out} how much time each {part|layer} {takes|took}",
        ],
    ),
    (
        "import",
        &[
            "{import|add|install|bring in|load|get} {a|the|my|a new|my own|another} model",
            "{import|add|bring in|load|use} {a|the|my} {model file|GGUF file|file with a model|downloaded model|GGUF}",
            "{put|bring|copy|get} {a|my} {model|model file|file} into {the store|Hearth}",
            "{make|let} Hearth {know|take|keep} {a|my} {model|model file|file}",
            "{use|try} a model {that I have|from a file|from my disk|from another folder}",
            "{store|keep|save} {a|my} model {file |}in Hearth",
            "add {a file|weights} to {my models|the store}",
        ],
    ),
    (
        "list",
        &[
            "{list|see|show|print} {all |}{my models|the models|models that I have}",
            "{see|show|find out|know|check} {which|what} models {I have|are here|there are|are installed}",
            "{get|print|see|show} a list of {all |}{my |the |}models",
            "{find out|know|see|count} how many models {I have|there are}",
            "{find|see} the {names|sizes} of {all |}{my|the} models",
            "see everything that is {in the store|installed}",
        ],
    ),
    (
        "show",
        &[
            "{see|show|get|print|look at} {the |}{details|facts|information|metadata} {of|about} {a|the|my|one} model",
            "{see|show|know|learn} everything about {a|one|my} model",
            "{see|find out|know} {what a model is made of|the architecture of a model|how large a model is|how many layers a model has}",
            "{see|show|find} {the size|the layers|the context length|the license|the vocabulary size} of {a|one|my} model",
            "{inspect|describe|examine} {a model|one model|my model|one of my models}",
            "look at {a|one|my} model{ closely| in detail|}",
        ],
    ),
    (
        "cp",
        &[
            "{copy|duplicate|clone} {a model|the model|my model|one of my models|one of the models}",
            "{give|add} {a|the|my} model {a second|another|a new|one more} name",
            "{make|get} a {copy|second name} of {a|the|my} model",
            "rename {a|the|my} model",
            "{call|name} {a|the|my} model {something else|by another name|differently}",
            "{have|keep|use} {a|one|the same} model under two names",
        ],
    ),
    (
        "rm",
        &[
            "{remove|delete|erase|uninstall|drop} {a model|the model|my model|an old model|one of my models|one of the models}",
            "{throw|take|put} {a|the|my|an old} model away",
            "get rid of {a|the|my|an old} model",
            "{free|get back|make|win} {some |}{space|disk space|room}{ on my disk|}",
            "{remove|delete|erase} {some|several|two|old} models",
            "{take|get} {a|the|an old} model {out of|off|from} {the store|my disk|this machine}",
        ],
    ),
    (
        "verify",
        &[
            "{verify|check|test} {a|the|my|all} {model|models}",
            "{check|see|know|find out|make sure|be sure} {that|whether|if} {a|the|my} {model|file} is {not broken|not damaged|whole|intact|complete|right|still good}",
            "{find|look for|detect} {damage|errors|broken files|damaged files|bad bytes}{ in a model| in the store|}",
            "{check|compare|read} the {hash|hashes|bytes|files} of {a|the|my|all} {model|models}",
            "{see|know|find out} {whether|if} my disk {broke|damaged|changed} a model",
        ],
    ),
    (
        "completions",
        &[
            "{complete|get completions for} {commands|words|flags} in my shell",
            "{get|print|install|make} {the |a |}completion {script|scripts|file}",
            "{get|have|use|turn on|set up} {tab|shell|bash|zsh|fish} {completion|completions}",
            "make {bash|zsh|fish|my shell|the tab key} complete {commands|hearth|words|flags}",
            "let {bash|zsh|fish|my shell|the tab key} complete {commands|the commands|words}",
        ],
    ),
    (
        "man",
        &[
            "{read|see|print|open|get} the {manual|manual page|man page}",
            "{write|make|save|install|get} {the |all |}{manual|man} pages",
            "{write|save|put} the {manual|man pages|manual pages} into a folder",
            "{get|read|find} {a|the} manual{ of Hearth| for Hearth|}",
        ],
    ),
    (
        "help",
        &[
            "{get|find|see|read} {some |}help",
            "{see|find out|learn|know} {which|what} commands {there are|exist|Hearth has|I can type}",
            "{get|read|see|print} {the |}help {of|for|about|on} a command",
            "{learn|find out|see} {how a command works|what a command does|what I can type}",
            "{see|list|print} {all|the} commands{ of Hearth|}",
            "{get|print} the table of commands",
        ],
    ),
    (
        "train",
        &[
            "{train|teach|make|build} {a|my own|a small|a new} model{ from scratch| of my own|}",
            "{train|teach} a model {on|with|from} {my|a folder of} {text|texts|files|data|notes}",
            "{start|begin|run|continue|resume} a training",
            "make a model {learn|read} {my|from my} {texts|files|notes}",
            "{get|have} a model of my own from {a folder of text|my texts}",
        ],
    ),
    (
        "runs list",
        &[
            "{list|see|show} {all |}{my|the} {runs|trainings|training runs}",
            "{see|find out|know} {which|what} {runs|trainings} {there are|there were|I have}",
        ],
    ),
    (
        "runs show",
        &[
            "{see|show|look at} {a|one|my} {run|training|training run}",
            "{see|show} the {loss|curve|settings|record} of a {run|training}",
        ],
    ),
    (
        "runs compare",
        &[
            "compare {two|some|my} {runs|trainings|training runs}",
            "{see|find out} which {run|training} {is|was} better",
            "see how two {runs|trainings} differ",
        ],
    ),
    (
        "export",
        &[
            "{export|save|write|write out} {a|the|my|one} {model|trained model}",
            "{get|write|make} a {GGUF|safetensors} file {of|from} {a|the|my} model",
            "{use|take} my model {in|to} {another program|other programs|llama.cpp}",
            "{share|give away|pass on} {a|the|my} model",
        ],
    ),
];

/// For each flag that people ask for by what it brings.
pub static FLAG_INTENTS: &[FlagIntents] = &[
    (
        "run",
        "--raw",
        &[
            "{complete|continue} a text{ as it is|}",
            "use a model without {chat|a chat template|the template}",
            "turn off the chat template",
            "get plain completion",
        ],
    ),
    (
        "run",
        "--system",
        &[
            "{set|give|write} a system {message|prompt}",
            "tell {a|the} model {how to speak|who it is|what it is} {before the chat|beforehand}",
            "give the model {a role|a character|a rule}",
        ],
    ),
    (
        "run",
        "--device",
        &[
            "{run|compute} on {the|my} {GPU|graphics card|CPU}",
            "{choose|set} {the device|where to compute}",
            "use {the|my} {GPU|graphics card}{ for a model|}",
        ],
    ),
    (
        "run",
        "--messages",
        &[
            "{give|pass|send} {a whole conversation|many messages|a list of messages}",
            "{answer|continue} a conversation {from|in} a file",
            "{use|read} {messages|a conversation} {from|in} {a JSON file|JSON}",
        ],
    ),
    (
        "run",
        "--stats",
        &[
            "{see|know|measure} how fast {a|the} model {is|answers}",
            "{see|count} {the |}tokens per second",
            "{see|get|print} {statistics|the speed|timings}{ of an answer|}",
        ],
    ),
    (
        "run",
        "--temperature",
        &[
            "{get|make} {bolder|more random|less random|more creative|wilder|calmer} answers",
            "{set|change|raise|lower} the temperature",
            "make {a|the} model {more creative|bolder|less random|always take the likeliest word}",
        ],
    ),
    (
        "run",
        "--top-k",
        &[
            "choose among a few {likeliest |}tokens",
            "{limit|set} how many {likely |likeliest |}tokens to choose {from|among}",
            "set top k",
        ],
    ),
    (
        "run",
        "--top-p",
        &["choose among {tokens|the tokens} that make up a share", "set top p", "{set|use} nucleus sampling"],
    ),
    ("run", "--min-p", &["{drop|leave out|avoid} {very |}unlikely tokens", "set min p"]),
    (
        "run",
        "--repetition-penalty",
        &[
            "{stop|avoid|prevent|punish} {repetition|repetitions|repeated words}",
            "stop {a|the} model {repeating itself|from repeating itself|saying the same}",
            "make {a|the} model repeat {less|itself less}",
        ],
    ),
    (
        "run",
        "--presence-penalty",
        &[
            "{lower|reduce} the score of {tokens|words} that {came before|the answer holds}",
            "{get|make} {a|the} model {talk about|find} new {things|words}",
            "set a presence penalty",
        ],
    ),
    (
        "run",
        "--frequency-penalty",
        &[
            "{lower|reduce} the score of {tokens|words} each time {they come|they occur}",
            "{punish|avoid} {frequent|often used} words",
            "set a frequency penalty",
        ],
    ),
    (
        "run",
        "--max-tokens",
        &[
            "{get|make} {shorter|short|longer} answers",
            "{limit|set|change} {the length|how long an answer is|the length of an answer}",
            "stop after {some|a hundred|a few} tokens",
            "make {an|the} answer {shorter|longer|short}",
        ],
    ),
    (
        "run",
        "--seed",
        &[
            "get the same answer {again|twice|every time}",
            "{set|choose|fix} {the|a} seed",
            "make {an answer|answers|it} repeatable",
            "{repeat|reproduce} an answer",
        ],
    ),
    (
        "run",
        "--stop",
        &[
            "{end|stop} {an|the} answer {at|before} a {word|text}",
            "{set|use|give} a stop {word|text|sequence}",
            "make {a|the} model stop {at|before} {a|some} {word|text}",
        ],
    ),
    (
        "run",
        "--json",
        &[
            "get {JSON|events}",
            "{use|read} {the|an} {output|answer} {in|with} {a script|a program|another program}",
            "get output {for a program|for a script|that a program can read}",
        ],
    ),
    (
        "explain",
        "--alternatives",
        &[
            "{see|get|show|name} {more|fewer|ten|many} alternatives{ for each token| at each place|}",
            "{set|choose} how many alternatives {are named|to see|there are}",
        ],
    ),
    (
        "import",
        "--tokenizer",
        &[
            "{add|give|use|name|import} {a|another|the} {tokenizer|vocabulary}{ file|}",
            "import a model {whose tokenizer is a file of its own|with a tokenizer file|with its vocabulary}",
        ],
    ),
    (
        "import",
        "--name",
        &[
            "{choose|set|give} {the|a} name {for|of} {a|the|my} {new |imported |}model",
            "import a model under {a name|another name|a name that I like}",
        ],
    ),
    (
        "import",
        "--in-place",
        &[
            "import {a model |a file |}{without copying|without a copy|in place}{ it|}",
            "{use|leave|keep} {a|the|my} {file|model file} where it is",
            "import a model {and|but} save {disk |}space",
        ],
    ),
    (
        "show",
        "--tensors",
        &[
            "{list|see|show|print} {all|the|every} {tensors|tensor|weights}{ of a model|}",
            "see the shapes of the {weights|tensors}",
        ],
    ),
    (
        "show",
        "--template",
        &["{see|show|print|read} the chat template{ of a model|}", "print only the template"],
    ),
    (
        "man",
        "--dir",
        &[
            "{choose|set} the folder {for|of} the {manual|man} pages",
            "write {a page|the pages} for each verb into a folder",
        ],
    ),
];
