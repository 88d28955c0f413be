//! Questions about Hearth's own commands and flags, answered from its table of commands.
//!
//! A command that is added to the program is in the table, and with it in these lessons: what people say for it
//! is a row in `hearth/intents.rs` (of a flag in `hearth/effects`), and until that row is written the words of its summary.

mod effects;
mod intents;

use super::{Document, Exchange, greetings};
use base::Rng;
use effects::{FlagIntents, flag_intents};
use intents::COMMAND_INTENTS;
use starter_words::commands::{Command, Flag, commands};
use starter_words::phrase::{capital, listed, one_in, phrase, pick, typed};

/// A conversation about one to four commands.
pub fn document(rng: &mut Rng) -> Document {
    let n_turns = 1 + rng.below(4);
    let exchanges = (0..n_turns).map(|turn| match turn > 0 && one_in(rng, 8) {
        true => greetings::thanks(rng),
        false => {
            let Exchange { user, assistant } = exchange(rng);
            Exchange::new(typed(rng, &user), assistant)
        }
    });
    Document::exchanges(exchanges.collect::<Vec<_>>())
}

/// A question about Hearth.
pub fn exchange(rng: &mut Rng) -> Exchange {
    match rng.below(20) {
        0..10 => about_a_task(rng),
        10 => about_a_command(rng),
        11..16 => about_an_effect(rng),
        16 => about_a_flag(rng),
        17 => beyond(rng),
        _ => {
            let (user, answer) = pick(rng, FACTS);
            let names: Vec<String> = commands().iter().map(|command| command.name.clone()).collect();
            Exchange::new(phrase(rng, user), answer.replace("COMMANDS", &listed(&names)))
        }
    }
}

/// How people ask for the way to do something; `@` is what they want to do.
const FRAMES: &[&str] = &[
    "How do I @?",
    "How do I @?",
    "How can I @?",
    "How to @?",
    "How do you @?",
    "How does one @?",
    "How would I @?",
    "I want to @.",
    "I'd like to @.",
    "I would like to @.",
    "I need to @.",
    "I have to @.",
    "I wish to @.",
    "Tell me how to @.",
    "Show me how to @.",
    "Explain how to @.",
    "Do you know how to @?",
    "Can you tell me how to @?",
    "Which command do I need to @?",
    "Which command lets me @?",
    "Which command can @?",
    "Which command is there to @?",
    "What do I type to @?",
    "What should I type to @?",
    "What must I type to @?",
    "What do I have to type to @?",
    "What is the command to @?",
    "What's the command to @?",
    "Command to @?",
    "Give me the command to @.",
    "Can Hearth @?",
    "Can I @ with Hearth?",
    "Is there a way to @?",
    "Is there a command to @?",
    "Is it possible to @?",
    "Help me @.",
    "Let me @.",
    "With Hearth, how do I @?",
    "Hearth: how can I @?",
    "Please, how do I @?",
    "@",
    "@?",
    "What if I want to @?",
    "How is it possible to @?",
    "I don't know how to @.",
    "I forgot how to @.",
    "{Please|Please,|Kindly} {tell|show} me how to @.",
    "{Please|Please,} {name|give me} the {command|call} to @.",
    "{Name|Say|Write|Print|Find} the {command|call} {to|that can|for me to} @.",
    "{Name|Tell me|Show me} {a|one|some} {command|way} to @{, please|}.",
    "{Tell|Show} me {which|what} command {can|will|does it take to|I use to} @{, please|}.",
    "{Could|Can|Would|Will} you {tell me|show me|say|explain|explain to me} how {I|one|to} {can |}@?",
    "{Could|Can|Would} you {tell me|say} {which|what} command {can|will} @?",
    "{I|We} {have no idea|am not sure|can't find out|never learned|can't remember} how to @{. Can you tell me|. Please help|}.",
    "{I am|I'm} {trying|about|going} to @{. How|. What do I type|}?",
    "{I've|I have} {always wanted|been asked|decided} to @.",
    "{My plan|My goal|My task|What I want|The plan} is to @.",
    "{Now|Next|Today|First|So} I {want|need|have} to @{. How|. Which command is it|}?",
    "{What|Which command|Which one} {do I use|should I use|would I use|does one use|is there} to @?",
    "{What|Which command} {is used|is needed|helps|is good|works} to @?",
    "{Which|What} {verb|call|part} of Hearth {can|will|lets me|is there to} @?",
    "{Does|Will} Hearth {let me|help me|know how to} @?",
    "{Does|Has} Hearth {offer|got|have} {a command|a way|anything} to @?",
    "{Is|Isn't} there {anything|a verb|some command|a trick|an option} to @?",
    "{Can|May|Could} {I|one|we|you} @{ here| in Hearth| with this program|}{, and how|}?",
    "{Suppose|Say|Imagine} I {want|have} to @{. What do I type|. How|}?",
    "If I {want|wanted|have|need} to @, {what do I type|which command is it|what is the command|how do I do it}?",
    "To @, {what do I type|which command is it|what do I enter|how do I begin}?",
    "{How|In what way} {could|might|should|may|must|shall} {I|one|we} @?",
    "{Any idea|Any hint|Tips on|A hint, please:} how to @?",
    "{Teach|Help|Remind} me {how |}to @.",
    "{What|Which words} {does one|would I|must one} {type|enter|write} to @?",
    "{Hello|Hi|Hey|Hearth}, {how do I|how can I|I want to|I need to} @{, please|}?",
    "{Thanks|Good|Okay}. {And how|How} do I @?",
    "@: {how|which command|what do I type}?",
    "@, {how does that work|how do I do that|please|how}?",
    "{The|What was the} command to @?",
];

fn about_a_task(rng: &mut Rng) -> Exchange {
    let command = pick(rng, commands());
    let row = COMMAND_INTENTS.iter().find(|(name, _)| *name == command.name);
    let task = match row {
        Some((_, tasks)) if !one_in(rng, 8) => {
            let task = *pick(rng, tasks);
            phrase(rng, task)
        }
        _ => command.task(),
    };
    Exchange::new(framed(rng, &task), answer(command))
}

/// The task as somebody asks for it.
fn framed(rng: &mut Rng, task: &str) -> String {
    let frame = *pick(rng, FRAMES);
    capital(&phrase(rng, frame).replace('@', task))
}

fn answer(command: &Command) -> String {
    format!("Type `{}` to {}.", command.call(), command.task())
}

/// A question that names the command.
fn about_a_command(rng: &mut Rng) -> Exchange {
    let command = pick(rng, commands());
    let name = match (command.aliases.first(), command.name.rsplit_once(' ')) {
        (Some(alias), Some((group, _))) if one_in(rng, 4) => format!("{group} {alias}"),
        (Some(alias), None) if one_in(rng, 4) => alias.clone(),
        _ => command.name.clone(),
    };
    let pattern = "{What does `@` do|What is `@`|Explain `@`|What is `@` for|How does `@` work|What happens with `@`|When do I need `@`|How do I use `@`}?";
    let pattern = if one_in(rng, 2) { pattern.replace('@', "hearth @") } else { pattern.to_owned() };
    let pattern = if one_in(rng, 2) { pattern.replace('`', "") } else { pattern };
    Exchange::new(phrase(rng, &pattern).replace('@', &name), answer(command))
}

/// A question about what a flag brings.
fn about_an_effect(rng: &mut Rng) -> Exchange {
    let (command, flag) = any_flag(rng);
    let is_meant = |row: &&FlagIntents| (row.0, row.1) == (command.name.as_str(), flag.name.as_str());
    let Some((_, _, effects)) = flag_intents().find(is_meant) else {
        return asked_by_name(rng, command, flag);
    };
    let effect = *pick(rng, effects);
    let effect = phrase(rng, effect);
    Exchange::new(framed(rng, &effect), flag_answer(command, flag))
}

fn about_a_flag(rng: &mut Rng) -> Exchange {
    let (command, flag) = any_flag(rng);
    asked_by_name(rng, command, flag)
}

fn asked_by_name(rng: &mut Rng, command: &Command, flag: &Flag) -> Exchange {
    let pattern = "{What does @ do|What is @|Explain @|What is @ for|How does @ work|What does the flag @ mean|When do I need @|What does hearth COMMAND @ do}?";
    let user = phrase(rng, pattern).replace('@', &flag.name).replace("COMMAND", &command.name);
    Exchange::new(user, flag_answer(command, flag))
}

fn flag_answer(command: &Command, flag: &Flag) -> String {
    match flag.name.as_str() {
        "--json" => format!("Add `--json` to any command. {}", flag.sentence()),
        _ => format!("Add `{}` to `{}`. {}", flag.call(), command.words(), flag.sentence()),
    }
}

/// A flag, with the first command that has it in this form.
fn any_flag(rng: &mut Rng) -> (&'static Command, &'static Flag) {
    let mut flags: Vec<(&Command, &Flag)> = Vec::new();
    for command in commands() {
        let is_new = |flag: &&Flag| flags.iter().all(|(_, known)| known.call() != flag.call());
        let new: Vec<&Flag> = command.options.iter().filter(is_new).collect();
        flags.extend(new.into_iter().map(|flag| (command, flag)));
    }
    *pick(rng, &flags)
}

/// Something that Hearth has no command for.
fn beyond(rng: &mut Rng) -> Exchange {
    const TASKS: &str = "{bake {a cake|bread}|order {a pizza|a taxi}|book a {flight|hotel}|send {an email|a letter}|edit a photo|print a page|play {music|chess|a film}|browse the web|watch television|write a spreadsheet|pay my taxes|weave a rug|call my mother|water the plants|fix my car|translate a book|scan a document|make coffee|find a job|buy shoes}";
    let task = phrase(rng, TASKS);
    let user = phrase(
        rng,
        "{How do I @ with Hearth?|Can Hearth @?|Which command can @?|Is there a command to @?|Hearth: how can I @?|What is the command to @?}",
    );
    Exchange::new(
        user.replace('@', &task),
        "Hearth has no command for that. Type `hearth help` to see what there is.",
    )
}

/// `(question, answer)`; `COMMANDS` stands for all of them.
const FACTS: &[(&str, &str)] = &[
    (
        "{What is Hearth|What's Hearth|Tell me about Hearth|What can Hearth do|Explain Hearth|What does Hearth do|What is Hearth for}?",
        "Hearth is a program that runs AI models on your own machine. Nothing leaves it.",
    ),
    (
        "{What commands are there|Which commands does Hearth have|List the commands|Which commands do you know|What are the commands|What are all commands of Hearth}?",
        "The commands are COMMANDS.",
    ),
    (
        "{Does Hearth need the internet|Does Hearth work offline|Is Hearth online|Does Hearth send my data away|Does Hearth use the cloud|Is Hearth private}?",
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
        "{What is temperature in sampling|What does temperature mean for a model|Explain temperature}?",
        "Temperature says how random the next word is. Zero always takes the likeliest.",
    ),
    (
        "{What is a prompt|What does prompt mean|Explain prompts}?",
        "A prompt is the text that you give to a model.",
    ),
    (
        "{What is a seed for a model|What does seed mean|Explain seeds}?",
        "A seed fixes the random numbers: the same seed gives the same answer.",
    ),
    (
        "{What is a tokenizer|What does a tokenizer do|Explain tokenizers}?",
        "A tokenizer cuts text into tokens and puts them together again.",
    ),
    (
        "{What is a chat template|What does the chat template do|Explain chat templates}?",
        "A chat template writes a conversation in the form that a model has learned to read.",
    ),
    (
        "{How do I stop an answer|How can I interrupt the model|How do I cancel an answer|Stop an answer, how}?",
        "Press Ctrl-C. It stops the answer, and what was made until then stays.",
    ),
    (
        "{Where does Hearth keep models|Where are my models|In which folder are the models|How do I choose the folder for models}?",
        "Models are kept in the folder that HEARTH_HOME names.",
    ),
    (
        "{How do I set the number of threads|How many threads does Hearth use|How can I use fewer cores}?",
        "HEARTH_THREADS says how many threads compute; one for each core when it is not set.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_every_flag_gets_asked_about_and_answered_by_its_own_words() {
        let mut rng = Rng::new(1);
        let answers: Vec<String> = (0..16_000).map(|_| exchange(&mut rng).assistant).collect();
        for command in commands() {
            assert!(
                answers.iter().any(|said| said.contains(&format!("`{}`", command.call()))),
                "{}",
                command.name
            );
            for flag in &command.options {
                assert!(
                    answers.iter().any(|said| said.contains(&format!("`{}`", flag.call()))),
                    "{}",
                    flag.name
                );
            }
        }
    }

    #[test]
    fn every_row_for_a_flag_is_of_a_flag_that_there_is() {
        for (name, flag, _) in flag_intents() {
            // A command that is not in the table yet brings its flags with it.
            let Some(command) = commands().iter().find(|command| command.name == *name) else { continue };
            assert!(command.options.iter().any(|known| known.name == *flag), "{name} {flag}");
        }
    }
}
