//! The commands of Hearth, as `hearth help --json` tells them.
//!
//! `commands.jsonl` is that output; a test of the program holds the copy current.

use crate::phrase::capital;
use serde::Deserialize;
use std::sync::LazyLock;

/// One command.
#[derive(Debug, Deserialize)]
pub struct Command {
    /// The words after `hearth`.
    pub name: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// What it does, as an order.
    pub summary: String,
    usage: String,
    /// Its flags.
    pub options: Vec<Flag>,
}

/// One flag of a command.
#[derive(Debug, Deserialize)]
pub struct Flag {
    /// With its dashes.
    pub name: String,
    value: Option<String>,
    /// What it does.
    pub help: String,
}

static COMMANDS: LazyLock<Vec<Command>> = LazyLock::new(|| {
    let lines = include_str!("commands.jsonl").lines();
    let read = |line| serde_json::from_str(line).expect("the program wrote this line");
    lines.map(read).collect()
});

/// Every command, in the order of the help.
pub fn commands() -> &'static [Command] {
    &COMMANDS
}

impl Command {
    /// What is typed: `hearth import PATH`.
    pub fn call(&self) -> String {
        self.usage.replace("[OPTIONS] ", "").replace(" [OPTIONS]", "").replace(['<', '>'], "")
    }

    /// Its first words: `hearth import`.
    pub fn words(&self) -> String {
        format!("hearth {}", self.name)
    }

    /// What it does, as an order in small letters without a stop.
    pub fn task(&self) -> String {
        small(&self.summary)
    }

    /// Flags that only some commands have.
    pub fn own_flags(&self) -> impl Iterator<Item = &Flag> {
        self.options.iter().filter(|flag| flag.name != "--json")
    }
}

impl Flag {
    /// What is typed: `--name NAME`.
    pub fn call(&self) -> String {
        match &self.value {
            Some(value) => format!("{} {value}", self.name),
            None => self.name.clone(),
        }
    }

    /// What it does, as a sentence.
    pub fn sentence(&self) -> String {
        format!("{}.", capital(self.help.trim_end_matches('.')))
    }
}

/// The text with a small first letter, unless its first word is a name or an abbreviation.
fn small(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_lowercase().to_string()).unwrap_or_default();
    first + letters.as_str().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_as_it_is_typed() {
        let import = commands().iter().find(|command| command.name == "import").unwrap();
        assert_eq!((import.call(), import.words()), ("hearth import PATH".into(), "hearth import".into()));
        assert_eq!(import.task(), "bring a model file into the store");
        let flag = import.own_flags().find(|flag| flag.name == "--name").unwrap();
        assert_eq!(flag.call(), "--name NAME");
        assert!(commands().iter().all(|command| !command.call().contains("OPTIONS")));
    }
}
