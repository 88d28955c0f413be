//! A tokenizer to its compiled form and back.
//!
//! Knows which parts a tokenizer has and in which order they are written; how bytes are written and checked says
//! `compiled`, and each part reads itself.

use base::TokenId;

use super::compiled::{Reader, Writer, sound};
use super::{
    ByteBpe, FirstSpace, Lookup, Model, SpecialTokens, Spm, Strings, TokenType, Tokenizer, Unigram, WordPiece,
};
use crate::Error;

/// By the number that is written.
const TYPES: [TokenType; 6] = [
    TokenType::Normal,
    TokenType::Unknown,
    TokenType::Control,
    TokenType::UserDefined,
    TokenType::Unused,
    TokenType::Byte,
];

impl Tokenizer {
    /// The tables that encode and decode, as bytes from which [`Tokenizer::from_compiled`] makes the same tokenizer in
    /// a few milliseconds. `source` is a digest of what the vocabulary was read from; it is kept inside. `None` for a
    /// `tokenizer.json` whose pipeline only its library runs.
    pub fn to_compiled(&self, source: &[u8; 32]) -> Option<Vec<u8>> {
        let mut writer = Writer::default();
        writer.numbers(&self.types.iter().zip(&self.is_end).map(type_number).collect::<Vec<u32>>());
        self.names.write(&mut writer);
        self.bytes.write(&mut writer);
        writer.id(self.bos.map(|id| id.0));
        writer.id(self.eos.map(|id| id.0));
        writer.number(u32::from(self.add_bos));
        writer.number(u32::from(self.add_eos));
        writer.number(u32::from(self.first_space == FirstSpace::Added));
        match &self.model {
            Model::Spm(model) => {
                writer.number(0);
                model.write(&mut writer);
            }
            Model::WordPiece(model) => {
                writer.number(1);
                model.write(&mut writer);
            }
            Model::ByteBpe(model) => {
                writer.number(2);
                model.write(&mut writer);
            }
            Model::Unigram(model) => {
                writer.number(3);
                model.write(&mut writer);
            }
            Model::Json(_) => return None,
        }
        Some(writer.finish(source))
    }

    /// Opens what [`Tokenizer::to_compiled`] wrote.
    ///
    /// # Errors
    /// [`Error::CompiledDamaged`], [`Error::CompiledVersion`] and [`Error::CompiledFromAnother`]: after each the caller
    /// reads the source and compiles it again.
    pub fn from_compiled(file: &[u8], source: &[u8; 32]) -> Result<Self, Error> {
        let mut reader = Reader::open(file, source)?;
        let numbers = reader.numbers()?;
        let n_tokens = numbers.len();
        sound(n_tokens > 0 && n_tokens <= super::parts::MAX_TOKENS)?;
        let kind = |number: &u32| TYPES.get((number >> 1) as usize).copied().ok_or(Error::CompiledDamaged);
        let types = numbers.iter().map(kind).collect::<Result<Vec<TokenType>, Error>>()?;
        let (names, bytes) = (Lookup::read(&mut reader)?, Strings::read(&mut reader)?);
        sound(names.strings().len() == n_tokens && bytes.len() == n_tokens)?;
        let (bos, eos) = (reader.id(n_tokens)?, reader.id(n_tokens)?);
        let (add_bos, add_eos) = (reader.choice(&[false, true])?, reader.choice(&[false, true])?);
        let first_space = reader.choice(&[FirstSpace::Own, FirstSpace::Added])?;
        let model = match reader.choice(&[0, 1, 2, 3])? {
            0 => Model::Spm(Box::new(Spm::read(&mut reader, n_tokens)?)),
            1 => Model::WordPiece(WordPiece::read(&mut reader, n_tokens)?),
            2 => Model::ByteBpe(Box::new(ByteBpe::read(&mut reader, n_tokens)?)),
            _ => Model::Unigram(Box::new(Unigram::read(&mut reader, n_tokens)?)),
        };
        reader.finish()?;
        Ok(Self {
            model,
            special: SpecialTokens::new(names.strings().iter(), &types),
            names,
            bytes,
            types,
            is_end: numbers.iter().map(|number| number & 1 == 1).collect(),
            bos: bos.map(TokenId),
            eos: eos.map(TokenId),
            add_bos: add_bos && bos.is_some(),
            add_eos: add_eos && eos.is_some(),
            first_space,
            pair: None,
        })
    }
}

/// What follows the header of a compiled vocabulary, with a header that fits it: for the fuzzer.
pub(crate) fn seal(body: &[u8]) -> Vec<u8> {
    Writer::of(body.to_vec()).finish(&[0; 32])
}

/// A token's type, and in the lowest bit whether it ends a generation.
fn type_number((token_type, is_end): (&TokenType, &bool)) -> u32 {
    let number = TYPES.iter().position(|known| known == token_type).expect("every type stands in the list");
    (number as u32) << 1 | u32::from(*is_end)
}
