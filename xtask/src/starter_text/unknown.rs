//! Questions that are too hard for so small a model, and the honest answer.

use super::Exchange;
use base::Rng;
use starter_words::phrase::{made_up_word, phrase};

const QUESTIONS: &str = "{Who {was|is|were} {the {first|last|present|next} {president|king|queen|emperor|man on the moon}|Napoleon|Einstein|Shakespeare|Cleopatra|Newton|Mozart|Caesar}?|\
What is {the {capital|population|currency|language|president|history|flag} of {France|Germany|Japan|Spain|China|India|Brazil|Egypt|Italy|Kenya|Canada}|the meaning of life|the speed of light|quantum physics|a black hole|the square root of two|love|electricity|an atom|democracy|a verb|money|philosophy|the weather|the news|pi|bitcoin|gravity|evolution}?|\
{When|Where|Why|How} {did|does|do|will|can} {the {war|world|sun|moon|government|economy|rain|sea|universe} {begin|end|work|grow|change|move|start}|people {work|sleep|pay taxes|vote|fly|dream|die|get rich}|I {bake bread|fix my car|lose weight|learn German|find a job|cook rice|sell my house|invest my money|write a book|get healthy}}?|\
{Write|Make|Show me|Give me} {a {poem|song|program|website|letter|recipe|python script|game|speech|contract|list of books}|some code|an essay|an email} {about {love|history|cats|taxes|science|the war|my boss}|for {me|my teacher|my friend|my mother}|in {Python|Rust|German|French}}.|\
{Explain|Describe|Summarize|Tell me about|What do you think about} {quantum physics|the second world war|the stock market|climate change|politics|religion|biology|chemistry|mathematics|the roman empire|football|relativity|music theory|the internet}.|\
{What is|Calculate|How much is} {two thousand times thirty|the integral of x|a billion divided by seven|the cube of 27|348 times 29|1523 minus 877|990 times 99}?|\
{Translate|Say} {good day|this sentence|the word house|I love you} {to|in} {German|French|Spanish|Chinese}.|\
{Who won|Who will win} {the game|the election|the world cup|the race}?|\
{What time is it|What day is it today|What is the date|Will it rain tomorrow|How is the weather|How cold is it outside}?|\
{What should I {eat|wear|buy|do|read|watch}|Where should I {go|live|work}|Do I have {cancer|the flu|a fever}|Is this {legal|true|safe to eat}}{ today| now|}?|\
{What|Who} is {a|the|} WORD?|\
What does WORD mean?}";

const ANSWER: &str = "I am too small a model to know that.{ A larger model can help you.|}";

/// A question that the model cannot answer.
pub fn exchange(rng: &mut Rng) -> Exchange {
    let word = made_up_word(rng);
    let user = phrase(rng, QUESTIONS).replace("WORD", &word).replace("  ", " ");
    Exchange::new(user, phrase(rng, ANSWER))
}
