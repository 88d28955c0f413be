//! How people ask for a sum, a difference or a product, as the lessons say it.
//!
//! Frames stand around an expression (`What does @ come to?` around `17 plus 25`), and some wishes are sentences of
//! their own. Held-out questions say it in other ways; they stand in another program.

use super::{Sign, Sum};
use base::Rng;
use starter_words::phrase::{capital, phrase, pick};

/// How one kind of sum is said: as an expression that fits a frame, and as a whole sentence.
struct Wording {
    forms: &'static [&'static str],
    sentences: &'static [&'static str],
}

/// What stands around an expression.
const FRAMES: &[&str] = &[
    "{What is|What's|How much is} @?",
    "{What is|What's|How much is} @?",
    "{Calculate|Work out|Solve|Tell me|Compute|Find|Evaluate|Give me|Show me} @.",
    "Please {calculate|work out|compute|solve|find} @.",
    "{Can|Could|Would|Will} you {please |}{solve|calculate|compute|work out|find} @{ for me|}?",
    "What do {I|you|we} get for @?",
    "@{|?|.}",
    "@ {is what|makes what|is how much|gives|makes|equals|comes to}?",
    "What {does @ make|does @ give|does @ come to|would @ be|does @ equal|will @ be}?",
    "How much {does @ make|would @ be|does @ come to|does @ give}?",
    "What is the {answer to|result of|value of} @?",
    "Give me the {answer to|result of|value of} @.",
    "I {need|want|am looking for|would like} the {answer to|result of|value of} @.",
    "{My question is|Here is my question|A question|Question}: {what is|how much is} @?",
    "Let me know how much @ is.",
    "{Quick|Next|Now|Sum}: @{?|.|}",
    "Say {what|how much} @ is.",
    "I {wonder|forgot|have no idea|would love to know} how much @ is.",
    "Help me with @.",
    "Which number do {I|you} get for @?",
    "{And|Then} {what is |how much is |}@?",
    "Do you have the {answer to|result of} @?",
    "I can't {work out|calculate|do} @.",
    "{Any idea|Are you able to say} how much @ is?",
    "Hello, {what is|how much is} @?",
    "For my homework I need @.",
];

static PLUS: Wording = Wording {
    forms: &[
        "@a + @b",
        "@a plus @b",
        "@a + @b",
        "@a plus @b",
        "the sum of @a and @b",
        "the total of @a and @b",
        "@a added to @b",
        "@b more than @a",
        "@a increased by @b",
        "@a and @b added up",
    ],
    sentences: &[
        "{Please add|Add|Add up|Can you add|Could you add|Let us add} @a and @b.",
        "{Please add|Add|Can you add} @b to @a.",
        "{What|How much} do @a and @b make{ together|}?",
        "How much are @a and @b {together|altogether|in total}?",
        "What is the {sum|total} of @a and @b?",
        "What do you get {when|if} you {add @a and @b|put @a and @b together|add @b to @a}?",
        "@a and @b, how much is that{ together|}?",
        "Put @a and @b together{.|: how much is it?}",
        "Take @a and add @b.",
        "{Suppose|Say} you add @b to @a{: what comes out|. What is the result|. What is it then}?",
        "{If|When} @b is added to @a, {what is the result|what comes out|how much is it|which number is it}?",
        "{If|When} you {add|put together} @a and @b, {what is the result|how much is it|how much do you have}?",
        "I add @a and @b{. What comes out|, and the result is|. How much is it}?",
        "I add @b to @a{. What comes out|, and then it is|. How much is it}?",
        "I have @a and {add|get} @b. {What is it now|How much do I have|How much is it}?",
        "Start at @a and {count on|go up by|go on by} @b{. Where do I land|. Where am I|}?",
        "{Increase @a by @b|Raise @a by @b|Make @a larger by @b}.",
        "{Which number|What} is @b {more than|larger than} @a?",
        "Adding @a and @b {gives|makes} what?",
        "@a and {another|then} @b{?|, what is that?}",
    ],
};

static MINUS: Wording = Wording {
    forms: &[
        "@a - @b",
        "@a minus @b",
        "@a - @b",
        "@a minus @b",
        "@a less @b",
        "@b less than @a",
        "@b fewer than @a",
        "@b taken from @a",
        "@b subtracted from @a",
        "@a take away @b",
        "@a reduced by @b",
    ],
    sentences: &[
        "{Please subtract|Subtract|Can you subtract|Could you subtract|Let us subtract} @b from @a.",
        "{Please take|Take|Take away|Can you take} @b from @a.",
        "{Take|Cut} @b {off|away from} @a{.|, what is it then?}",
        "What {is left|remains|stays} {when|if} {I|you|we} {take|subtract|remove} @b from @a?",
        "How much {is left|remains|stays} of @a {when|if|after} @b {go|are gone|are taken}?",
        "@a take away @b{?|}",
        "What do you get {when|if} you {take @b away from @a|subtract @b from @a}?",
        "{Suppose|Say} you take @b from @a{: what remains|. What is the result|. How much is it then}?",
        "{If|When} @b is {taken off|subtracted from|removed from} @a, {what is the result|what remains|how much is it}?",
        "{If|When} you {subtract|remove} @b from @a, {what is the result|how much remains|how much do you have}?",
        "I {take|subtract} @b from @a{. What remains|, and the result is|. How much is it}?",
        "I have @a and {give away|lose|spend|use} @b. {What is it now|How much is left|What remains}?",
        "Start at @a and {count back|go down by|go back by} @b{. Where do I land|. Where am I|}?",
        "{Lower @a by @b|Reduce @a by @b|Make @a smaller by @b|Decrease @a by @b}.",
        "{Which number|What} is @b {less than|smaller than} @a?",
        "Taking @b from @a {gives|leaves} what?",
        "From @a take @b{.|: what remains?}",
    ],
};

/// Where the result is not below zero.
const DIFFERENCE: &[&str] = &[
    "{What is|What's|How much is|How large is|Tell me|Give me|Find} the difference {between|of} @a and @b{?|}",
    "{What is|What's|How much is|How large is} the difference between @b and @a?",
    "How much {more|larger} is @a than @b?",
    "How much {less|smaller} is @b than @a?",
    "How far is it from @b to @a?",
    "How much {is missing|do I need} from @b to @a?",
    "What must I add to @b to {get|reach} @a?",
];

static TIMES: Wording = Wording {
    forms: &[
        "@a * @b",
        "@a times @b",
        "@a * @b",
        "@a times @b",
        "@a x @b",
        "the product of @a and @b",
        "@a multiplied by @b",
    ],
    sentences: &[
        "{Please multiply|Multiply|Can you multiply|Could you multiply} @a {by|and|with} @b.",
        "What do you get {when|if} you multiply @a {by|and} @b?",
        "{If|When} @a is multiplied by @b, {what is the result|what comes out|how much is it}?",
        "{Suppose|Say} you multiply @a by @b{: what comes out|. What is the result}?",
        "I multiply @a {by|and} @b{. What comes out|, and the result is|. How much is it}?",
        "Take @a and multiply it by @b.",
        "{How much|How many} is @a groups of @b?",
        "Multiplying @a by @b {gives|makes} what?",
        "What is the product of @a and @b?",
    ],
};

/// The sum as somebody asks for it.
pub fn asked(rng: &mut Rng, sum: Sum) -> String {
    let wording = match sum.sign {
        Sign::Plus => &PLUS,
        Sign::Minus => &MINUS,
        Sign::Times => &TIMES,
    };
    let text = match rng.below(6) {
        0 => phrase(rng, "@sum{|=| =|?| = ?}"),
        1..4 => framed(rng, wording.forms),
        4 if sum.sign == Sign::Minus && sum.result() >= 0 && rng.below(3) == 0 => said(rng, DIFFERENCE),
        _ => said(rng, wording.sentences),
    };
    sum.fill(&text)
}

fn framed(rng: &mut Rng, forms: &[&str]) -> String {
    let form = *pick(rng, forms);
    let frame = *pick(rng, FRAMES);
    capital(&phrase(rng, frame).replace('@', form))
}

fn said(rng: &mut Rng, sentences: &[&str]) -> String {
    let sentence = *pick(rng, sentences);
    phrase(rng, sentence)
}
