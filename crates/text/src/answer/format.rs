//! What a format of answers is, as data: where thinking stands, how tool calls are written.
//!
//! A format is a constant in [`super::formats`]; nothing here knows any by name.

/// How the models of a family write thinking and tool calls.
#[derive(Debug)]
pub struct Format {
    /// What it is called.
    pub name: &'static str,
    /// Texts of a chat template that tell it: any of these groups, of which all must stand there.
    pub(crate) signs: &'static [&'static [&'static str]],
    pub(crate) thinking: &'static [Thinking],
    /// Texts that divide the answer without a meaning of their own.
    pub(crate) silent: &'static [&'static str],
    pub(crate) calls: &'static [Calls],
    pub(crate) channels: Option<&'static Channels>,
}

/// A format without anything.
pub(crate) const NOTHING: Format =
    Format { name: "plain", signs: &[], thinking: &[], silent: &[], calls: &[], channels: None };

/// Thinking stands between two texts, at the start of the answer or right after other markup.
#[derive(Debug)]
pub(crate) struct Thinking {
    pub opens: &'static str,
    pub closes: &'static str,
}

pub(crate) const THINK: Thinking = Thinking { opens: "<think>", closes: "</think>" };

/// One way to write calls.
#[derive(Debug)]
pub(crate) struct Calls {
    /// What may stand around all calls of an answer; empty for nothing.
    pub section: [&'static str; 2],
    /// What stands before a call; empty where the call itself begins the answer.
    pub opens: &'static str,
    /// What may follow a call, in any order.
    pub closes: &'static [&'static str],
    /// What a call may be; the first that can begin with the first letter is taken.
    pub bodies: &'static [Body],
}

/// What stands in a call.
#[derive(Debug)]
pub(crate) enum Body {
    /// An object with a name and arguments, or a list of them.
    Json(&'static Keys),
    /// `{"the name": {arguments}}`, or a list of them.
    KeyedJson,
    /// A name, then an object.
    Named(Named),
    /// A name, then each argument between tags.
    Tagged(Tagged),
    /// `name(key=value)` as in Python, or a list of them.
    Python,
    /// A list of such calls, and nothing else.
    PythonList,
    /// `call:name{key:value}`, with texts between quotes of their own.
    Braces { before: &'static str, quote: &'static str },
    /// A program, handed on as the argument `code` of the tool `python`.
    Code,
}

impl Body {
    /// Whether a call of this kind can begin with a letter.
    pub fn begins(&self, letter: char) -> bool {
        match self {
            Self::Json(_) | Self::KeyedJson => matches!(letter, '{' | '['),
            Self::Named(named) => !named.after.is_empty() || letter.is_alphanumeric() || letter == '_',
            Self::Tagged(tagged) => match tagged.name_opens.chars().next() {
                Some(first) => letter == first,
                None => letter.is_alphanumeric() || letter == '_',
            },
            Self::PythonList => letter == '[',
            Self::Python => letter == '[' || letter.is_alphabetic() || letter == '_',
            Self::Braces { before, .. } => before.starts_with(letter),
            Self::Code => true,
        }
    }
}

/// Keys of an object that is a call.
#[derive(Debug)]
pub(crate) struct Keys {
    pub name: &'static [&'static str],
    pub arguments: &'static [&'static str],
}

/// The keys that nearly all use.
pub(crate) const USUAL: &Keys = &Keys { name: &["name"], arguments: &["arguments", "parameters"] };
/// Cohere's.
pub(crate) const COMMAND: &Keys =
    &Keys { name: &["tool_name", "name"], arguments: &["parameters", "arguments"] };

/// A name in front of an object.
#[derive(Debug)]
pub(crate) struct Named {
    /// What comes before the name and is not part of it, up to and with this text; empty for nothing.
    pub after: &'static str,
    /// What ends the name.
    pub ends: &'static str,
    /// What ends the name and begins an id, which goes on up to `ends`; empty for none.
    pub id_begins: &'static str,
    /// What a name begins with and is not part of it. A name that has it also ends with `:` and a number, and is the
    /// call's id as a whole.
    pub space: &'static str,
}

/// Arguments between tags.
#[derive(Debug)]
pub(crate) struct Tagged {
    /// What stands before the name; empty for nothing.
    pub name_opens: &'static str,
    /// Each of these ends the name. The opening of a key, or the end of all, may be one.
    pub name_ends: &'static [&'static str],
    pub key: [&'static str; 2],
    /// What may stand between key and value, and what that tells about the value; none for nothing.
    pub value_opens: &'static [(&'static str, Typing)],
    pub value_ends: &'static str,
    /// What ends the arguments.
    pub ends: &'static str,
    /// Taken off both ends of a value once.
    pub padding: &'static str,
}

/// `<function=name><parameter=key>value</parameter></function>`.
pub(crate) const FUNCTION: Tagged = Tagged {
    name_opens: "<function=",
    name_ends: &[">"],
    key: ["<parameter=", ">"],
    value_opens: &[],
    value_ends: "</parameter>",
    ends: "</function>",
    padding: "\n",
};

/// What is known about a value between tags.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Typing {
    /// Nothing: the tool's schema decides, and without one whether the text is JSON.
    Schema,
    Text,
    Json,
}

/// Answers in channels: a head says what follows.
#[derive(Debug)]
pub(crate) struct Channels {
    /// What ends a head.
    pub head_ends: &'static str,
    /// What ends what follows the head.
    pub ends: &'static [&'static str],
    /// What ends it and already belongs to the next head.
    pub begins: &'static [&'static str],
    /// Whether this can be the beginning of a head.
    pub can_be: fn(&str) -> bool,
    /// What a head says.
    pub read: fn(&str) -> Head,
    /// How calls are written, where an answer can be held to them.
    pub heads: Option<Heads>,
}

/// How a call in a channel is written.
#[derive(Debug)]
pub(crate) struct Heads {
    /// What opens and what ends thinking, which may stand before a call.
    pub thinking: [&'static str; 2],
    /// What stands between thinking and a call.
    pub next: &'static str,
    /// What stands before the name of the tool.
    pub name_opens: &'static str,
    /// The last part of that, which tells a call from text.
    pub told_by: &'static str,
    /// What stands between the name and the arguments.
    pub name_ends: &'static str,
    /// What ends a call.
    pub closes: &'static str,
}

/// What a head says.
#[derive(Debug, PartialEq)]
pub(crate) enum Head {
    Text,
    Thinking,
    /// Arguments for the tool of this name.
    Call(String),
    /// It is no head.
    Unknown,
}
