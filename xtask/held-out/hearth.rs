//! Questions about the commands of Hearth, as no lesson asks them.

use crate::item::{Expected, Item};
use base::Rng;
use starter_words::commands::commands;
use starter_words::phrase::{capital, one_in, phrase, pick};

/// A question about a command, or now and then about a flag.
pub fn question(rng: &mut Rng) -> Item {
    let (task, expected) = if one_in(rng, 4) { flag(rng) } else { command(rng) };
    const FRAMES: &[&str] = &[
        "Tell me the command to @, please.",
        "Which command must I type to @?",
        "What do I need to type if I want to @?",
        "How is it possible for me to @?",
        "Please show me how I can @.",
        "I do not know how to @, can you help?",
        "With which command can I @?",
        "Is there something in Hearth to @?",
        "Hearth should @. How?",
        "My wish is to @.",
        "Do you know the command to @?",
        "What should one type to @?",
        "Can you explain how to @?",
        "I have to know how to @.",
        "Which words do I type to @?",
        "Can you show me the way to @?",
    ];
    Item::new(capital(&pick(rng, FRAMES).replace('@', &task)), Expected::Contains(vec![expected]))
}

/// A task, and the first words of the command for it. A command without a row is asked for by its summary.
fn command(rng: &mut Rng) -> (String, String) {
    let command = pick(rng, commands());
    let task = match COMMANDS.iter().find(|(name, _)| *name == command.name) {
        Some((_, tasks)) => {
            let task = *pick(rng, tasks);
            phrase(rng, task)
        }
        None => command.task(),
    };
    (task, command.words())
}

fn flag(rng: &mut Rng) -> (String, String) {
    let (flag, tasks) = pick(rng, FLAGS);
    let task = *pick(rng, tasks);
    (phrase(rng, task), (*flag).to_owned())
}

/// What people want to do with each command.
static COMMANDS: &[(&str, &[&str])] = &[
    (
        "run",
        &[
            "start a conversation with my model",
            "use the model to answer a question",
            "let my model tell me something",
            "have a chat with the model on my machine",
            "write something with my model",
            "start talking to a model",
        ],
    ),
    (
        "explain",
        &[
            "see inside the model while it writes",
            "understand why the model said something",
            "see the layers and what they would say",
            "find out what else the model could say at each token",
            "look at what happens in the layers",
        ],
    ),
    (
        "import",
        &[
            "bring a file with a model into Hearth",
            "add my downloaded GGUF file to the store",
            "install the model that I have on my disk",
            "load a new model from a file",
            "put the file of another model into the store",
        ],
    ),
    (
        "list",
        &[
            "see the list of models that are installed",
            "know the names of all my models",
            "show me which models are on this machine",
            "see how many models there are here",
            "print every model that I have",
        ],
    ),
    (
        "show",
        &[
            "know the details of one model",
            "see the architecture and the size of a model",
            "get all facts about my model",
            "see how many layers my model has",
            "look closely at one model",
        ],
    ),
    (
        "cp",
        &[
            "make a second name for my model",
            "have the same model under another name",
            "make a copy of the model",
            "call my model by a new name",
            "duplicate one of my models",
        ],
    ),
    (
        "rm",
        &[
            "delete one of the models",
            "get space on my disk by removing an old model",
            "throw away two old models",
            "erase my model from the store",
            "uninstall one of my models",
        ],
    ),
    (
        "verify",
        &[
            "be sure that no model is broken",
            "find out if a file of my model is damaged",
            "check the bytes of every model",
            "test whether the model is still whole",
            "compare the hashes of my models",
        ],
    ),
    (
        "completions",
        &[
            "have the tab key complete commands in bash",
            "install the completion script for fish",
            "turn on completion in my shell",
            "get the words completed by zsh",
        ],
    ),
    (
        "man",
        &[
            "print the man page",
            "open the manual of Hearth",
            "have all manual pages in a folder",
            "read the manual",
        ],
    ),
    (
        "help",
        &[
            "know all the commands that I can type",
            "read the help about one command",
            "see what commands Hearth has",
            "find help for a command",
        ],
    ),
    (
        "train",
        &[
            "teach a small model with my texts",
            "make my own model from a folder of notes",
            "start to train a new model",
            "train on my own files",
        ],
    ),
    ("runs list", &["see which trainings I have", "list the training runs"]),
    ("runs show", &["look at one training run", "see the loss curve of a run"]),
    ("runs compare", &["see which of two runs was better", "compare two trainings"]),
    (
        "export",
        &[
            "write my model to a GGUF file",
            "use the trained model in other programs",
            "save my model as a safetensors file",
        ],
    ),
    (
        "quantize",
        &[
            "make my big model need only half of its space",
            "pack the weights of my model into few bits",
            "get a Q4_0 model from my model",
            "store the weights with less precision",
        ],
    ),
    (
        "fit",
        &[
            "learn if my memory is enough for this model",
            "see how much RAM this model is going to need",
            "be told whether my computer can run a model",
            "know before the start how fast a model is going to be",
        ],
    ),
    (
        "bench",
        &[
            "measure how many tokens a second a model writes",
            "test how fast this machine is with my model",
            "do a speed test with my model",
            "benchmark one of my models",
        ],
    ),
    (
        "pull",
        &[
            "download a model from Hugging Face to my machine",
            "get a new model from the internet",
            "fetch one of the models on Ollama",
            "download the weights of a model",
        ],
    ),
    (
        "create",
        &[
            "make my own model with a Modelfile",
            "build a custom model out of another one",
            "write a Modelfile and get a model from it",
        ],
    ),
    (
        "gc",
        &[
            "clean the store of files that are not needed",
            "get the disk space back that no model uses",
            "remove all unused files from the store",
        ],
    ),
    (
        "pin",
        &[
            "keep my model from being updated",
            "let a model stay at this version",
            "hold one model at its version",
        ],
    ),
    (
        "outdated",
        &[
            "see if there are newer versions of my models",
            "know which of my models are old",
            "look for updates of all models",
        ],
    ),
    (
        "diff",
        &[
            "see what is different between two models",
            "compare two of my models",
            "know how two models differ",
        ],
    ),
    (
        "rollback",
        &[
            "go back to the old version of my model",
            "undo the last update of a model",
            "have the previous version of the model again",
        ],
    ),
    (
        "embed",
        &[
            "turn my sentences into vectors",
            "compute the embedding of a text",
            "get a vector for each of my texts",
        ],
    ),
    (
        "draw",
        &["see my words as a picture", "make a nice image with a prompt", "have my computer paint for me"],
    ),
    (
        "serve",
        &[
            "let my OpenAI client talk to Hearth",
            "have my models answer over HTTP",
            "start Hearth as a server",
            "chat with my model on a web page",
        ],
    ),
    ("key create", &["make an API key for my son", "give my laptop a key for the server"]),
    ("key list", &["know all keys that I have made", "look through the list of keys"]),
    ("key revoke", &["take back a key that was lost", "end a key so that nobody can use it"]),
    ("ps", &["know which models are loaded now", "see what is in the memory of my server"]),
    ("stop", &["unload my model", "have the memory of a loaded model back"]),
];

/// What people want when they need a flag.
static FLAGS: &[(&str, &[&str])] = &[
    ("--seed", &["have the same answer every time", "repeat the same answer", "choose a seed"]),
    (
        "--temperature",
        &["have bolder answers", "make my model less random", "set the temperature of the model"],
    ),
    (
        "--max-tokens",
        &["have a shorter answer", "limit the length of the answer", "stop the model after a hundred tokens"],
    ),
    ("--system", &["give my model a system message", "give my model a role before the chat"]),
    ("--raw", &["continue a text without the chat template", "have plain completion"]),
    ("--stop", &["have the answer end at a word", "use a word that stops the answer"]),
    ("--stats", &["know how long the answer took", "see the count of tokens under the answer"]),
    ("--json", &["have the output as JSON", "read the answer with a program"]),
    ("--in-place", &["import a model and leave the file where it is", "import without a copy"]),
    ("--name", &["set the name of the model that I import", "import under another name"]),
    ("--tokenizer", &["import a model with another tokenizer file", "give a vocabulary file to the import"]),
    ("--tensors", &["see every tensor of a model", "list the weights of a model"]),
    ("--template", &["read the chat template of my model", "see only the chat template"]),
    ("--device", &["compute on the graphics card", "use my GPU"]),
    ("--messages", &["send a list of messages from a file", "answer the messages in a JSON file"]),
    ("--repetition-penalty", &["keep the model from repeating words", "avoid repetition"]),
    ("--alternatives", &["see more alternatives at every place", "choose the number of alternatives"]),
    ("--size", &["set how wide and how high my picture is", "draw an image with 512 pixels"]),
    ("--negative", &["say what I do not want in my picture"]),
    ("--lan", &["let the phones in my home use the server"]),
    ("--port", &["let the server listen at a port of my choice"]),
    ("--resume", &["go on with the training that I stopped"]),
    ("--schema", &["get an answer by my JSON schema"]),
    ("--tools", &["give my model a file of tools that it can call"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_one_of_the_program() {
        for (name, _) in FLAGS {
            let mut all = commands().iter().flat_map(|command| &command.options);
            assert!(all.any(|flag| flag.name == *name), "{name}");
        }
    }
}
