//! Hearth's own commands and flags, as far as they exist.
//!
//! A command that is added to the program is added here, and the model is trained again.

use super::Exchange;
use super::phrase::{phrase, pick};
use base::Rng;

/// `(what a person wants to do, the answer)`; asked as "How do I …?".
const TASKS: &[(&str, &str)] = &[
    (
        "{import a model|import a file|add a model|add a new model|install a model|bring in my own model|use my own model}",
        "Type: hearth import PATH. It copies the model file into Hearth's store.",
    ),
    (
        "{import a model without copying it|use a file where it is|leave the file in place|import in place}",
        "Type: hearth import PATH --in-place. The file stays where it is.",
    ),
    (
        "{give a model a name|name a model|choose a name|set the name of a model}",
        "Type: hearth import PATH --name NAME.",
    ),
    (
        "{add a tokenizer|give a tokenizer|use another tokenizer|import a tokenizer}",
        "Type: hearth import PATH --tokenizer FILE.",
    ),
    (
        "{list my models|see all models|see my models|see which models I have|show all models}",
        "Type: hearth list. It shows every model on this machine.",
    ),
    (
        "{see the details of a model|look at a model|show a model|see what is in a model|see the size of a model}",
        "Type: hearth show NAME. It shows what the model is made of.",
    ),
    (
        "{copy a model|give a model a second name|rename a model|make a copy of a model}",
        "Type: hearth cp OLD NEW. The copy takes no extra space.",
    ),
    (
        "{remove a model|delete a model|throw a model away|get rid of a model|free space|uninstall a model}",
        "Type: hearth rm NAME. It removes the model from the store.",
    ),
    (
        "{verify a model|check a model|check that a file is not broken|know that a model is complete|test a model}",
        "Type: hearth verify NAME. It reads the files again and compares them.",
    ),
    (
        "{run a model|start a model|use a model|chat with a model|talk to a model|start a chat|ask a model a question}",
        "Type: hearth run NAME. Add a prompt to get one answer, or none to chat.",
    ),
    (
        "{see what happens inside|look inside a model|see the tokens|see what the model thinks|understand a model|explain an answer}",
        "Type: hearth explain NAME \"your prompt\". It shows tokens, alternatives and layers.",
    ),
    (
        "{get the same answer again|repeat an answer|set the seed|make it repeatable}",
        "Add --seed NUMBER to hearth run. The same seed gives the same answer.",
    ),
    (
        "{get shorter answers|limit the answer|set the length|stop after some tokens}",
        "Add --max-tokens NUMBER to hearth run.",
    ),
    (
        "{get more random answers|set the temperature|make the answers less random|make it more creative}",
        "Add --temperature NUMBER to hearth run. Zero always takes the likeliest word.",
    ),
    (
        "{set a system message|tell the model how to speak|change how the model speaks|give the model a role}",
        "Add --system \"your text\" to hearth run.",
    ),
    (
        "{complete a text|use a model without chat|turn off the template|get plain completion}",
        "Add --raw to hearth run. The prompt is then continued as it is.",
    ),
    (
        "{get JSON|use the output in a script|get output for a program|read the output with a program}",
        "Add --json. Every command can then be read by a program.",
    ),
    (
        "{get help|see all commands|learn the commands|find a command}",
        "Type: hearth --help. In a chat, type /help.",
    ),
    (
        "{stop an answer|stop the model|interrupt the model|cancel an answer}",
        "Press Ctrl-C. It stops the answer and not the program.",
    ),
];

/// `(command or flag, what it does)`; asked as "What does … do?".
const MEANINGS: &[(&str, &str)] = &[
    ("hearth import", "It copies a model file into Hearth's store."),
    ("hearth list", "It shows every model on this machine."),
    ("hearth show", "It shows what a model is made of."),
    ("hearth cp", "It gives a model a second name."),
    ("hearth rm", "It removes a model from the store."),
    ("hearth verify", "It reads the files of a model again and compares them."),
    ("hearth run", "It starts a model: with a prompt it answers once, without one it chats."),
    ("hearth chat", "It is another name for hearth run."),
    ("hearth explain", "It shows what happens inside a model: tokens, alternatives and layers."),
    ("--raw", "It continues the prompt as it is, without a chat."),
    ("--temperature", "It says how random the answer is. Zero always takes the likeliest word."),
    ("--max-tokens", "It limits how long the answer may be."),
    ("--seed", "It fixes the random numbers: the same seed gives the same answer."),
    ("--system", "It tells the model how to speak before the chat begins."),
    ("--json", "It prints the result so that a program can read it."),
    ("--tokenizer", "It names the tokenizer file for an import."),
    ("--name", "It sets the name under which a model is imported."),
    ("--in-place", "It imports a model without copying the file."),
];

/// `(question, answer)`.
const OTHER: &[(&str, &str)] = &[
    (
        "{What is Hearth|What's Hearth|Tell me about Hearth|What can Hearth do|Explain Hearth|What does Hearth do}?",
        "Hearth is a program that runs AI models on your own machine. Nothing leaves it.",
    ),
    (
        "{What commands are there|Which commands does Hearth have|List the commands|Which commands do you know|What are the commands}?",
        "The commands are run, import, list, show, cp, rm, verify and explain.",
    ),
    (
        "{Does Hearth need the internet|Does Hearth work offline|Is Hearth online|Does Hearth send my data away}?",
        "Hearth works offline. Your data stays on your machine.",
    ),
    (
        "{What is a token|What are tokens|Explain tokens}?",
        "A token is a piece of text, often a word. I read and write tokens.",
    ),
    (
        "{What is a model|What is a language model|What is an AI model|Explain language models}?",
        "A language model is a program that guesses the next word from the words before.",
    ),
    (
        "{What is temperature|What does temperature mean|Explain temperature}?",
        "Temperature says how random the next word is. Zero always takes the likeliest.",
    ),
    (
        "{What is a prompt|What does prompt mean|Explain prompts}?",
        "A prompt is the text that you give to a model.",
    ),
    (
        "{What is a seed|What does seed mean|Explain seeds}?",
        "A seed fixes the random numbers: the same seed gives the same answer.",
    ),
    (
        "{What is a tokenizer|What does a tokenizer do|Explain tokenizers}?",
        "A tokenizer cuts text into tokens and puts them together again.",
    ),
];

/// A question about Hearth.
pub fn exchange(rng: &mut Rng) -> Exchange {
    match rng.below(6) {
        0..3 => {
            let (task, answer) = pick(rng, TASKS);
            let task = phrase(rng, task);
            let user = phrase(rng, "{How do I|How can I|How to|I want to|How do you|Tell me how to|Can I}");
            let end = if user == "I want to" || user == "Tell me how to" { "." } else { "?" };
            Exchange::new(format!("{user} {task}{end}"), *answer)
        }
        3 | 4 => {
            let (name, answer) = pick(rng, MEANINGS);
            let short = name.trim_start_matches("hearth ");
            let name = if rng.below(2) == 0 { short } else { name };
            let user = phrase(
                rng,
                &format!(
                    "{{What does {name} do|What is {name}|Explain {name}|What is {name} for|How does {name} work}}?"
                ),
            );
            Exchange::new(user, *answer)
        }
        _ => {
            let (user, answer) = pick(rng, OTHER);
            Exchange::new(phrase(rng, user), *answer)
        }
    }
}
