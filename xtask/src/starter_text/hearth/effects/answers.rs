//! Flags of answers and insights.

use super::FlagIntents;

pub(super) static ROWS: &[FlagIntents] = &[
    (
        "run",
        "--raw",
        &[
            "{continue|go on with|finish} {plain|raw} text",
            "{leave out|skip|avoid|do without} the {chat template|template}",
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
            "{set|write|give} {the|a} {system prompt|system text|instruction} {for|to} {a|the|my} model",
            "{have|make} {a|the|my} model {play a role|follow a rule|speak like somebody}",
            "{set|give|write} a system {message|prompt}",
            "tell {a|the} model {how to speak|who it is|what it is} {before the chat|beforehand}",
            "give the model {a role|a character|a rule}",
        ],
    ),
    (
        "run",
        "--device",
        &[
            "{use|take|have} {the|my} {GPU|graphics card|video card} {for|to run} a model",
            "{calculate|work|run a model} on {the|my} {GPU|graphics card|video card|CPU}",
            "{say|choose|pick} where {a|the} model {runs|computes}",
            "{run|compute} on {the|my} {GPU|graphics card|CPU}",
            "{choose|set} {the device|where to compute}",
            "use {the|my} {GPU|graphics card}{ for a model|}",
        ],
    ),
    (
        "run",
        "--messages",
        &[
            "{load|take|pass|answer} {messages|a conversation|a chat} {from|in|of} a {file|JSON file}",
            "{give|pass|send} {a whole conversation|many messages|a list of messages}",
            "{answer|continue} a conversation {from|in} a file",
            "{use|read} {messages|a conversation} {from|in} {a JSON file|JSON}",
        ],
    ),
    (
        "run",
        "--stats",
        &[
            "{see|know} how {long|fast} {an|the|each} answer {took|was|came}",
            "{see|count|know} {the |}tokens {per second |}of {an|the|each} answer",
            "{see|get|print|have} {statistics|the speed|timings|the time} {of|for|after} {an|the|each} answer",
            "{see|print|know} {the token counts|how many tokens an answer had|the number of tokens} {after|with|of} an answer",
        ],
    ),
    (
        "run",
        "--temperature",
        &[
            "{have|use|try} {a higher|a lower|another} temperature",
            "{make|get} {the|an} answer {wilder|calmer|more surprising|more careful}",
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
            "{never|not} {repeat|hear} the same words{ again|}",
            "{have|get} {less|no} repetition{ in an answer|}",
            "{keep|stop} {a|the|my} model from {looping|saying things twice|going in circles}",
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
            "{cut|keep|hold} {an|the} answer short",
            "{have|set|give} {a|the} {maximum|limit} {of tokens|for the length|to the tokens}",
            "{let|have} the model stop {early|after so many tokens}",
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
            "{always get|have|see} the same {answer|text|words}{ again|}",
            "{give|use|fix|pick} {a|the|my own} seed",
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
            "{finish|cut|end|stop} {the|an} answer {when a word comes|at a certain word|at some text}",
            "{choose|name|say} {a|the} word {at which|where} {the|an} answer {stops|ends}",
            "{have|let} {an|the|each} answer {stop|finish} {at|before|when it comes to} {a|some|this} {word|text}",
            "{end|stop} {an|the} answer {at|before} a {word|text}",
            "{set|use|give} a stop {word|text|sequence}",
            "make {a|the} model stop {at|before} {a|some} {word|text}",
        ],
    ),
    (
        "run",
        "--json",
        &[
            "{print|write|give|receive} {JSON|the output in JSON|events}",
            "{process|parse|use} the output {in|with|by} {a script|a program|code}",
            "get {JSON|events}",
            "{use|read} {the|an} {output|answer} {in|with} {a script|a program|another program}",
            "get output {for a program|for a script|that a program can read}",
        ],
    ),
    (
        "explain",
        "--alternatives",
        &[
            "{have|get|show} {more|other} {alternatives|choices|candidates} {at|for} {a|each} {place|token|word}",
            "{set|change|give} the number of alternatives",
            "{see|get|show|name} {more|fewer|ten|many} alternatives{ for each token| at each place|}",
            "{set|choose} how many alternatives {are named|to see|there are}",
        ],
    ),
    (
        "run",
        "--draft",
        &[
            "{use|take} {a|another|a smaller} model that guesses{ ahead|}",
            "{get|have} answers sooner with a {small|second} model",
            "{set|name} a draft model",
        ],
    ),
    (
        "run",
        "--think",
        &[
            "{let|make|stop|keep} {a|the} model {think|thinking|from thinking}{ first| before it answers|}",
            "{switch|turn} {thinking|thoughts|reasoning} {on|off}",
        ],
    ),
    (
        "run",
        "--tools",
        &[
            "{hand|pass|give} {a|the|my} model a {list|file} of {tools|functions}",
            "{tell|show} {a|the|my} model {which|what} {tools|functions} {there are|it has}",
            "{give|offer|name} {a|the|my} model {tools|functions}{ to call|}",
            "{let|have} {a|the|my} model call {tools|functions|a tool}",
            "use {tool|function} calls",
        ],
    ),
    (
        "run",
        "--schema",
        &[
            "{hold|keep|bind} {an|the} answer to a {JSON |}schema",
            "{get|have} {an answer|JSON} that fits a schema",
            "{force|want|make} {an|the} answer {in|to be} JSON of {a|my} {form|schema}",
        ],
    ),
    (
        "run",
        "--grammar",
        &[
            "{hold|keep|bind} {an|the} answer to a grammar",
            "{give|use|set} a grammar{ for the answer|}",
            "make {an|the} answer follow {a|my} grammar",
        ],
    ),
    (
        "run",
        "--regex",
        &[
            "{hold|keep|bind} {an|the} answer to a {regex|regular expression|pattern}",
            "make {an|the} answer match a {regex|pattern|regular expression}",
        ],
    ),
    (
        "run",
        "--keep-prefixes",
        &[
            "{keep|store} what {was|is} computed of {texts|a long text|a prompt} on disk",
            "{read|start} a long prompt faster {the next time|again}",
        ],
    ),
    (
        "run",
        "--typical-p",
        &["{use|set} typical {sampling|p}", "choose tokens {of|with} an ordinary surprise"],
    ),
    (
        "run",
        "--mirostat",
        &["{use|try|switch on|set} Mirostat", "{hold|keep} the surprise {of a text |}{steady|even}"],
    ),
    ("run", "--mirostat-tau", &["{set|choose|change} the surprise that Mirostat {wants|aims at}", "set tau"]),
    ("run", "--mirostat-eta", &["{set|choose|change} how fast Mirostat learns", "set eta"]),
    (
        "run",
        "--repeat-last-n",
        &[
            "{set|choose|limit} how far {back |}the penalties look{ back|}",
            "{let|make} the penalties look at {more|fewer|all} tokens",
        ],
    ),
    (
        "run",
        "--min-tokens",
        &[
            "{force|get|want} {a longer answer|at least so many tokens|an answer that is not too short}",
            "{keep|stop} {a|the} model from ending {early|too soon}",
        ],
    ),
    (
        "explain",
        "--knob",
        &[
            "{explain|understand|read about} {a|one} {knob|setting|parameter}{ of training| of sampling|}",
            "{find out|know|learn} what {a|one} {knob|setting|parameter} does",
            "list {all |the |}{knobs|settings}",
        ],
    ),
];
