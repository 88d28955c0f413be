//! Every error of every crate as a failure: one code each, the text of the error, its next step.

use crate::Failure;
use crate::worker::training::record::io_failure;

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        use store::Error as E;
        let code = match &error {
            E::NotFound { .. } | E::VersionNotFound { .. } => "model_not_found",
            E::DiskFull { .. } => "disk_full",
            E::ReadOnly { .. } => "read_only",
            E::Permission { .. } => "permission_denied",
            E::Locked { .. } => "locked",
            E::Corrupt { .. } | E::FileMissing { .. } | E::Changed { .. } => "damaged_store",
            E::FutureVersion { .. } => "future_version",
            E::BadName { .. } | E::BadDigest { .. } => "bad_name",
            E::OtherContent { .. } => "other_content",
            E::Remote { problem, .. } => remote(problem),
            E::BadModelfile { .. } => "bad_modelfile",
            E::NotOwn { .. } => "not_own",
            E::Pinned { .. } => "pinned",
            E::NoSuchVersion { .. } => "no_such_version",
            E::Unusable { .. } => "bad_file",
            _ => "store",
        };
        Self::new(code, error.to_string(), error.hint())
    }
}

/// The code of what went wrong on the network.
fn remote(problem: &store::pull::Problem) -> &'static str {
    use store::pull::Problem as P;
    match problem {
        P::BadAddress { .. } => "bad_name",
        P::BadSetting { .. } => "bad_setting",
        P::NotFound { .. } | P::NoWeights | P::NoSuchQuantisation { .. } => "not_found_there",
        P::Gated { .. } | P::Refused { .. } => "not_allowed_there",
        P::Busy { .. }
        | P::Status { .. }
        | P::NotThere { .. }
        | P::Unreachable { .. }
        | P::TimedOut { .. } => "network",
        P::UnderWay => "locked",
        P::Stopped => "stopped",
        _ => "bad_source",
    }
}

impl From<formats::Error> for Failure {
    fn from(error: formats::Error) -> Self {
        use formats::Error as E;
        let code = match &error {
            E::Io { .. } | E::NotAFile { .. } => "cannot_read",
            E::WrongKind { .. } => "wrong_kind",
            E::Changed { .. } => "file_changed",
            _ => "bad_file",
        };
        Self::new(code, error.to_string(), error.hint())
    }
}

impl From<diffuse::Error> for Failure {
    fn from(error: diffuse::Error) -> Self {
        use diffuse::Error as E;
        let (code, hint) = match &error {
            E::Stopped { .. } => ("stopped", "begin again any time"),
            E::Unknown { .. } | E::Range { .. } | E::Sigmas { .. } => {
                ("bad_setting", "`hearth draw --help` explains each")
            }
            E::TooLarge { .. } => ("bad_setting", "make a smaller picture"),
            E::Prompt(_) => ("bad_prompt", "`hearth draw --help` shows how prompts are written"),
            E::Image(_) => ("bad_file", "give another PNG or JPEG file"),
            E::Parameters(_) | E::Picture(_) => ("bad_file", "give a PNG file that says how it was made"),
            _ => ("bad_file", "fetch the model again, with all its folders"),
        };
        Self::new(code, error.to_string(), hint)
    }
}

impl From<data::Error> for Failure {
    fn from(error: data::Error) -> Self {
        use data::Error as E;
        let code = match &error {
            E::NotFound { .. } | E::NotAccepted { .. } | E::NoFiles { .. } => "no_data",
            E::DataChanged { .. } | E::OtherData { .. } => "data_changed",
            E::Damaged { .. } | E::FutureVersion { .. } => "damaged_run",
            E::Stopped => "stopped",
            _ => "data",
        };
        Self::new(code, error.to_string(), error.hint())
    }
}

impl From<train::Error> for Failure {
    fn from(error: train::Error) -> Self {
        use train::Error as E;
        let (code, hint) = match &error {
            E::NotFinite { .. } => ("not_finite", "begin again with a lower learning rate"),
            E::NothingToLearn { .. } => {
                ("no_data", "conversations need turns of the assistant that fit the length")
            }
            E::Setting { .. } => ("bad_setting", "`hearth explain --knob NAME` says what a knob does"),
            E::Io { action, path, source } => return io_failure(action, path, source),
            E::Model(_) => ("bad_setting", "take other sizes"),
            E::Data(_) => ("data", "check that the run's folder is whole, then go on with --resume"),
            _ => ("damaged_run", "begin a new run"),
        };
        Self::new(code, error.to_string(), hint)
    }
}

impl From<models::Error> for Failure {
    fn from(error: models::Error) -> Self {
        use models::Error as E;
        let code = match error {
            E::File(error) => return error.into(),
            E::Architecture { .. } | E::NoArchitecture { .. } => "unknown_architecture",
            E::Storage { .. } => "unsupported_storage",
            _ => "bad_file",
        };
        Self::new(code, error.to_string(), error.hint())
    }
}

impl From<infer::Error> for Failure {
    fn from(error: infer::Error) -> Self {
        use infer::Error as E;
        let code = match &error {
            E::TooLong { .. } => "prompt_too_long",
            E::EmptyPrompt => "empty_prompt",
            E::Setting { .. } => "bad_setting",
            E::Full { .. } => "busy",
            E::Token { .. } => "vocabulary_mismatch",
            E::NotFinite { .. } => "damaged_weights",
            E::Form { .. } => "bad_grammar",
            _ => "inference",
        };
        Self::new(code, error.to_string(), error.hint())
    }
}

impl From<text::Error> for Failure {
    fn from(error: text::Error) -> Self {
        use text::Error as E;
        let (code, hint) = match &error {
            E::TextTooLong { .. } => ("prompt_too_long", "shorten the prompt"),
            E::TemplateTooLong { .. }
            | E::TemplateFailed { .. }
            | E::TemplateFuel { .. }
            | E::TemplateWork
            | E::TemplateOutputTooLong => {
                ("bad_template", "use `--raw` to go without the model's chat template")
            }
            E::BeginningDoesNotFit => ("bad_prompt", "leave the form out, or the beginning"),
            E::NotOpen => {
                ("bad_prompt", "let the conversation end with a question, or with the beginning of an answer")
            }
            E::ConversationTooDeep { .. } | E::TooManyLetters => ("bad_prompt", "simplify the conversation"),
            E::NoTokenFor { .. } => ("bad_prompt", "leave the character out: this model has never seen it"),
            E::BadGrammar { .. } => ("bad_grammar", "correct it, or make it smaller"),
            E::GrammarUnsupported { .. } => {
                ("bad_grammar", "leave that out, and check the answer for it afterwards")
            }
            E::GrammarTooLarge { .. } => ("bad_grammar", "make it smaller, or ask for less at once"),
            E::GrammarFailed { .. } | E::NoTokenFits | E::VocabularyTooLarge { .. } => {
                ("bad_grammar", "give a simpler form, or another model")
            }
            E::CallsNotForced { .. } => {
                ("bad_tool_choice", "let the model choose whether it calls, or use a model of another family")
            }
            E::NothingToLearn => ("no_data", "give .txt, .md or .jsonl files that have text in them"),
            _ => ("bad_vocabulary", "fetch the model again, or convert it again"),
        };
        Self::new(code, error.to_string(), hint)
    }
}

impl From<guard::Error> for Failure {
    fn from(error: guard::Error) -> Self {
        use guard::Error as E;
        let code = match &error {
            E::BadKeyName { .. } | E::NameTaken { .. } => "bad_setting",
            _ => "guard",
        };
        Self::new(code, error.to_string(), error.hint())
    }
}

impl From<ledger::Error> for Failure {
    fn from(error: ledger::Error) -> Self {
        Self::new("ledger", error.to_string(), error.hint())
    }
}
