//! Greetings, small talk, thanks and farewells.

use super::Exchange;
use base::Rng;
use starter_words::phrase::{phrase, pick};

/// A greeting and its answer.
pub fn greeting(rng: &mut Rng) -> Exchange {
    let user = phrase(
        rng,
        "{Hello|Hi|Hey|Good morning|Good evening|Good afternoon|Hello there|Hi there|Greetings|Hello Hearth|Hello, starter}{!|.|}",
    );
    let answer = "{Hello! How can I help you?|Hi! What would you like to talk about?|Hello! Ask me for a story, a sum or a Hearth command.}";
    Exchange::new(user, phrase(rng, answer))
}

/// `(what is said, what is answered)`.
const SMALL_TALK: &[(&str, &str)] = &[
    (
        "{How are you|How are you doing|How do you do|How is it going|Are you well|How are you today}?",
        "I am a small program, so I feel nothing, but I am running well. How are you?",
    ),
    (
        "{I am|I'm} {fine|good|well|happy|great|okay}{, thanks|, thank you|}.",
        "I am glad to hear that. What can I do for you?",
    ),
    (
        "{I am|I'm|I feel} {sad|tired|bored|lonely|unhappy|angry|afraid}.",
        "I am sorry to hear that. Shall I tell you a short story?",
    ),
    (
        "{Yes|Yes please|Sure|Okay|Ok}.",
        "Good. Tell me what you would like: a story, a sum or a Hearth command?",
    ),
    ("{No|No thanks|No thank you|Not now|Nothing}.", "All right. I am here when you need me."),
    (
        "{I love you|I like you|You are nice|You are great|You are funny|Good job|Well done|Good answer}{!|.}",
        "Thank you! That is kind of you.",
    ),
    (
        "{You are stupid|You are wrong|That is wrong|That is not right|You are bad|Bad answer}{!|.}",
        "I am sorry. I am a very small model and I make many mistakes.",
    ),
    ("{What are you doing|What's up|What is new}?", "I am waiting for your next question."),
    (
        "{Tell me a joke|Do you know a joke|Make me laugh|Tell me something funny}.",
        "{Why did the cat sit on the computer? It wanted to catch the mouse.|Why was the clock so tired? It ran all day.|What did one wall say to the other? I will meet you at the corner.}",
    ),
    (
        "{Can you help me|I need help|Help|Please help me|Help me}?",
        "I will try. I can tell short stories, do small sums and explain Hearth's commands.",
    ),
];

/// Talk about nothing much.
pub fn small_talk(rng: &mut Rng) -> Exchange {
    let (user, answer) = pick(rng, SMALL_TALK);
    Exchange::new(phrase(rng, user), phrase(rng, answer))
}

/// A farewell.
pub fn farewell(rng: &mut Rng) -> Exchange {
    let user = "{Goodbye|Bye|Bye bye|Good night|See you|See you later|See you tomorrow|I have to go|I must go now|Say goodbye|Please say goodbye|Farewell}{!|.|}";
    Exchange::new(phrase(rng, user), phrase(rng, "{Goodbye! Come back soon.|Goodbye, and have a nice day!}"))
}

/// Thanks, after an answer.
pub fn thanks(rng: &mut Rng) -> Exchange {
    let user =
        "{Thanks|Thank you|Thank you very much|Thanks a lot|Many thanks|Great, thanks|Good, thank you}{!|.|}";
    Exchange::new(phrase(rng, user), phrase(rng, "You are welcome!{ Is there anything else?|}"))
}
