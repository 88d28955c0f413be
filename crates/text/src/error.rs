//! What can go wrong between strings and token ids, with the facts that a person needs to act.

use base::TokenId;

/// Every error of this crate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A vocabulary has no tokens, or lacks a list that its kind needs.
    #[error("vocabulary: {field} is missing")]
    MissingField {
        /// Name of the field of `VocabularyParts`.
        field: &'static str,
    },
    /// Two lists that belong together differ in length.
    #[error("vocabulary: {field} has {found} entries, tokens has {expected}")]
    LengthMismatch {
        /// Name of the field of `VocabularyParts`.
        field: &'static str,
        /// Number of tokens.
        expected: usize,
        /// Number of entries found.
        found: usize,
    },
    /// A list is longer than any real vocabulary's.
    #[error("vocabulary: {field} has {found} entries, the limit is {limit}")]
    TooMany {
        /// Name of the list.
        field: &'static str,
        /// Number of entries found.
        found: usize,
        /// Largest number accepted.
        limit: usize,
    },
    /// A token's text is longer than any real token's.
    #[error("vocabulary: token {index} has {found} bytes, the limit is {limit}")]
    TokenTooLong {
        /// Index of the token.
        index: usize,
        /// Its length in bytes.
        found: usize,
        /// Largest length accepted.
        limit: usize,
    },
    /// A score is not a finite number.
    #[error("vocabulary: the score of token {index} is not finite")]
    BadScore {
        /// Index of the token.
        index: usize,
    },
    /// An id points past the vocabulary.
    #[error("vocabulary: {field} is {id}, but there are only {n_tokens} tokens")]
    IdOutOfRange {
        /// Name of the field.
        field: &'static str,
        /// The id.
        id: TokenId,
        /// Number of tokens.
        n_tokens: usize,
    },
    /// A merge is not two texts divided by a space.
    #[error("vocabulary: merge {index} is not two parts divided by a space: {merge:?}")]
    BadMerge {
        /// Index of the merge.
        index: usize,
        /// Its text.
        merge: String,
    },
    /// A part or the result of a merge is no token.
    #[error("vocabulary: merge {index} needs the token {token:?}, which is not there")]
    MergeUnresolved {
        /// Index of the merge.
        index: usize,
        /// The text that is no token.
        token: String,
    },
    /// A token that a prompt of this kind needs is not there.
    #[error("vocabulary: it has no token {token:?}, which every prompt needs")]
    MarkMissing {
        /// The text of the token.
        token: String,
    },
    /// No pre-tokenizer has this name.
    #[error("vocabulary: unknown pre-tokenizer {name:?}; the nearest known one is {nearest:?}")]
    UnknownPreTokenizer {
        /// The name that was asked for.
        name: String,
        /// The known name with the smallest edit distance.
        nearest: &'static str,
    },
    /// No vocabulary of this kind is known.
    #[error("vocabulary: unknown kind {name:?}; the nearest known one is {nearest:?}")]
    UnknownVocabularyKind {
        /// The name that was asked for.
        name: String,
        /// The known name with the smallest edit distance.
        nearest: &'static str,
    },
    /// A model comes without a vocabulary.
    #[error("vocabulary: the file says {name:?}: it has none, so this model takes token ids and no text")]
    NoVocabulary {
        /// What the file says.
        name: String,
    },
    /// A vocabulary's map of letters to letters cannot be read.
    #[error("vocabulary: its map of letters is damaged")]
    BadLetterMap,
    /// A `tokenizer.model` cannot be read.
    #[error("tokenizer.model: byte {at}: {reason}")]
    BadSentencePiece {
        /// Where in the file.
        at: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A line of a tiktoken file or a `vocab.txt` or a `merges.txt` cannot be read.
    #[error("{file}: line {line}: {reason}")]
    BadVocabularyLine {
        /// What kind of file it is.
        file: &'static str,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A `vocab.json`, a `tekken.json` or a `tokenizer_config.json` cannot be read.
    #[error("{file}: {reason}")]
    BadVocabularyJson {
        /// What kind of file it is.
        file: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A compiled vocabulary is damaged.
    #[error("compiled vocabulary: damaged; compile it again")]
    CompiledDamaged,
    /// A compiled vocabulary was written by another version.
    #[error("compiled vocabulary: version {found}, this program writes {expected}; compile it again")]
    CompiledVersion {
        /// The version of the file.
        found: u32,
        /// The version that this program reads.
        expected: u32,
    },
    /// A compiled vocabulary was made from another source.
    #[error("compiled vocabulary: made from another source; compile it again")]
    CompiledFromAnother,
    /// A vocabulary that is to be learned has no room for what it must have.
    #[error(
        "vocabulary: {wanted} tokens were asked for, but the control tokens and single bytes are {least}"
    )]
    VocabularyTooSmall {
        /// Tokens that were asked for.
        wanted: usize,
        /// The fewest that are possible.
        least: usize,
    },
    /// A text cannot be a control token of a vocabulary that is to be learned.
    #[error("vocabulary: {token:?} cannot be a control token: {rule}")]
    BadSpecial {
        /// The text, or its beginning.
        token: String,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// There is no text from which a vocabulary could be learned.
    #[error("vocabulary: there is no text to learn it from")]
    NothingToLearn,
    /// A text has a character that this vocabulary cannot write, and nothing stands for what is unknown.
    #[error("text: the vocabulary has no token for {character:?} at byte {at}")]
    NoTokenFor {
        /// The character.
        character: char,
        /// Where it begins in the text.
        at: usize,
    },
    /// A `tokenizer.json` cannot be read.
    #[error("tokenizer.json: {reason}")]
    BadTokenizerJson {
        /// What its reader said.
        reason: String,
    },
    /// A text is longer than the limit for one call.
    #[error("text: {found} bytes, the limit is {limit}")]
    TextTooLong {
        /// Length in bytes.
        found: usize,
        /// Largest length accepted.
        limit: usize,
    },
    /// A `tokenizer.json` pipeline failed on a text.
    #[error("tokenizer: {reason}")]
    EncodeFailed {
        /// What the pipeline said.
        reason: String,
    },
    /// A chat template is longer than any real one.
    #[error("template: {found} bytes, the limit is {limit}")]
    TemplateTooLong {
        /// Length in bytes.
        found: usize,
        /// Largest length accepted.
        limit: usize,
    },
    /// A chat template is no Jinja.
    #[error("template: line {line}: {reason}")]
    TemplateSyntax {
        /// Line of the template.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A chat template uses a statement that could reach outside it.
    #[error("template: it uses {what:?}, which chat templates may not")]
    TemplateRefused {
        /// The statement.
        what: &'static str,
    },
    /// A chat template rejects the conversation by itself.
    #[error("the model's template says: {message}")]
    TemplateRaised {
        /// Its words.
        message: String,
    },
    /// A chat template does what its language does not allow.
    #[error("template: line {line}: {reason}")]
    TemplateFailed {
        /// Line of the template.
        line: usize,
        /// What went wrong.
        reason: String,
    },
    /// A chat template runs longer than any real one; it may never end.
    #[error("template: stopped after {limit} instructions")]
    TemplateFuel {
        /// Instructions that it was allowed.
        limit: u64,
    },
    /// A chat template looks at or builds more than any real one.
    #[error("template: stopped, because it does too much work for this conversation")]
    TemplateWork,
    /// A chat template builds a string, or an output, longer than any real one.
    #[error("template: stopped, because it makes too long a text for this conversation")]
    TemplateOutputTooLong,
    /// A conversation's values are nested deeper than a template may look.
    #[error("conversation: its values are nested more than {limit} deep")]
    ConversationTooDeep {
        /// Deepest nesting accepted.
        limit: usize,
    },
    /// The text of a conversation's last message, which is to go on, is not in what the template makes of it.
    #[error(
        "conversation: its last message cannot be continued: the model's template does not let its text end the prompt"
    )]
    NotOpen,
    /// A conversation has more different letters than can be told apart.
    #[error("conversation: more than 131,000 different letters")]
    TooManyLetters,
    /// A grammar cannot be read, or is more than may be worked through.
    #[error("{kind}: {reason}")]
    BadGrammar {
        /// What it was given as: `JSON schema`, `regex`, `Lark grammar`, `GBNF grammar`.
        kind: &'static str,
        /// What is wrong, and where.
        reason: String,
    },
    /// A grammar asks for something that cannot be kept.
    #[error("{kind}: {key} at {at} is not supported")]
    GrammarUnsupported {
        /// What it was given as.
        kind: &'static str,
        /// What it asks for.
        key: String,
        /// Where: a JSON pointer, or a line.
        at: String,
    },
    /// A grammar is longer or deeper than any real one.
    #[error("{kind}: {found} {what}, the limit is {limit}")]
    GrammarTooLarge {
        /// What it was given as.
        kind: &'static str,
        /// What there is too much of.
        what: &'static str,
        /// How much of it was found.
        found: usize,
        /// Largest number accepted.
        limit: usize,
    },
    /// The calls of a model's family, or the arguments of a tool, cannot be written as a grammar.
    #[error("tool calls of the format {format:?} cannot be forced: {reason}")]
    CallsNotForced {
        /// The name of the format.
        format: &'static str,
        /// Why not.
        reason: String,
    },
    /// A vocabulary is larger than can be matched with grammars.
    #[error("vocabulary: {found} bytes of tokens, grammars are limited to {limit}")]
    VocabularyTooLarge {
        /// Bytes of all tokens.
        found: usize,
        /// Largest number accepted.
        limit: usize,
    },
    /// No token of the vocabulary can go on in the way that the grammar wants.
    #[error("grammar: no token of this vocabulary can follow here")]
    NoTokenFits,
    /// The beginning of an answer, which is given, is not one of the form that the answer has to have.
    #[error("the beginning that the answer has does not fit the form that it has to have")]
    BeginningDoesNotFit,
    /// An answer went where its grammar cannot follow.
    #[error("grammar: {reason}")]
    GrammarFailed {
        /// What went wrong.
        reason: String,
    },
}
