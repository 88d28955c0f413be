//! Openings, plots and endings of the stories.
//!
//! Blanks: `@hero`, `@name`, `@thing`, `@place`, `@atplace` (with its preposition), `@friend`, `@friendname`,
//! `@he`, `@him`, `@his` (of the hero); `a @thing` gets the article that the word wants.

/// A part of a story in several wordings.
pub type Part = &'static [&'static str];

/// How a story begins.
pub static OPENINGS: Part = &[
    "Once upon a time, there was {a |a little |a young |a kind |a clever |a shy |a lazy |a cheerful }@hero named @name who lived @atplace.",
    "{Long ago|Once|Not so long ago|Many years ago}, a {little|young|small|brave|curious|quiet} @hero named @name lived @atplace.",
    "@Atplace lived a @hero. @His name was @name{, and everybody knew @him|, and @he was always hungry|, and @he loved to sing|, and @he was never late}.",
    "There was once a @hero {who could not sleep|who asked too many questions|with very big ears|who knew every song|who never said no}. @His name was @name, and @he lived @atplace.",
    "{In a quiet corner|In a far country|At the end of the world}, @atplace, a {small|happy|tired|curious} @hero named @name {had a home|lived all alone|lived with nine cousins}.",
    "{This is the story of|Let me tell you about} @name, the {smallest|kindest|bravest|slowest|loudest} @hero @atplace{.|, and about a day like no other.}",
    "{Do you know|Have you heard of} @name? @He was the {smallest|kindest|bravest|slowest|loudest} @hero @atplace.",
    "@Name was a {clever|proud|gentle|noisy|funny} @hero. @He lived @atplace and {had many friends|had only one friend|counted the clouds all day|liked soup more than anything}.",
];

/// What happens.
pub static PLOTS: &[&[Part]] = &[
    // A thing is lost and comes back.
    &[
        &[
            "@He had a {red|blue|little|shiny|very old} @thing and took it everywhere.",
            "Nothing was dearer to @him than @his {old|little|shiny} @thing.",
            "Every evening @he {cleaned|looked at|talked to} @his @thing, because it {came from @his grandmother|was the only one in the land|brought good luck}.",
        ],
        &[
            "{One morning|One day|One windy night} the @thing was gone. @Name looked {under the bed|behind the door|in every cup} and {up in the trees|in the soup pot|on the roof}, but it was not there.",
            "But one {morning|evening}, @he could not find it. \"{Where is my @thing|Who has seen my @thing|My @thing is gone}!\" {cried|called|said} @name.",
        ],
        &[
            "Then a @friend named @friendname came {by|along|down the road}. \"{Is this yours?|I found something.|Look what I have!}\" said @friendname. {It was the @thing, a little wet but whole.|It was the @thing.|And there was the @thing, safe and dry.}",
            "A {kind|clever} @friend helped to look. They found the @thing {under a leaf|inside an old boot|high up in a tree|exactly where @name had left it}.",
        ],
        &[
            "@Name {laughed|danced|smiled} and {thanked the @friend|gave the @friend a big piece of cake|hugged the @friend}. From then on @he {tied the @thing to a string|looked twice before crying|shared it with everyone}.",
            "@Name was so {happy|glad} that @he {invited the @friend to dinner|sang the whole way home|forgot to be cross}.",
        ],
    ],
    // A thing is found and belongs to somebody.
    &[
        &[
            "One {sunny|rainy|foggy|cold} {day|morning}, @he found a {strange|golden|dusty|tiny} @thing {under a stone|in the grass|behind an old wall|on the road}.",
            "{One day|One morning}, while @he was {looking for breakfast|picking berries|walking home}, @he saw a {pretty|silver|strange} @thing on the ground.",
        ],
        &[
            "\"{Whose is this|Who has lost this|To whom does it belong}?\" {thought|wondered|asked} @name. {Nobody answered, so @he went to ask.|@He asked the wind, but the wind was busy.|@He asked at every door.}",
            "@He {wanted|longed} to keep it. But {@he knew that somebody was missing it|it had a name on it, and the name was not @his}.",
        ],
        &[
            "At last @he met a @friend who was {crying|searching everywhere|very sad}. \"My @thing!\" {cried|called} the @friend. \"{You found it|I thought it was gone for ever}!\"",
            "In the end it belonged to @friendname, the @friend, who {had looked for it all week|could not sleep without it|needed it for a birthday}.",
        ],
        &[
            "The @friend {gave @name a warm loaf of bread|told @name a secret|taught @name a song}, and they became {good|best} friends.",
            "@Name gave it back, and {felt lighter than before|both of them smiled|it was the best part of the day}.",
        ],
    ],
    // Something is wished for and made.
    &[
        &[
            "{More than anything|All year long|Since last spring}, @he wanted a @thing. But a @thing {cost a lot of money|was hard to find|could not be bought in any shop}.",
            "@His neighbours all had a @thing. Only @name had none.",
        ],
        &[
            "So @he {worked|saved|practised} {all summer|for a hundred days|day and night}. @He {carried water|swept floors|sold lemonade|watched the geese} and {never complained|hardly ever complained}.",
            "\"Then I will make one myself,\" said @name. The first one {fell apart|was upside down|looked like a potato}. The second one {was too small|made a rude noise|fell into the water}.",
        ],
        &[
            "A @friend named @friendname {watched and brought some glue|came to help|said, \"Try once more\"}. And {on the third day|at last|in the end}, there it was: a {fine|real|beautiful} @thing.",
            "{At last|In the end} @he had {it|@his own}: a {splendid|lovely|slightly crooked} @thing. @Friendname the @friend {clapped|was amazed|could not believe it}.",
        ],
        &[
            "That night @name {slept with the @thing beside @him|was too happy to sleep|dreamed of nothing else}.",
            "\"It was worth the work,\" said @name, and {that was true|showed it to the moon}.",
        ],
    ],
    // A fear that turns out small.
    &[
        &[
            "{One night|One dark evening|One stormy night}, @he heard a {strange|terrible|scratching|rattling} noise outside. {\"A monster!\" whispered @name.|@His knees shook.|@He hid under the blanket.}",
            "@He was afraid of {the dark|thunder|loud noises|everything that moved at night}. And that night {something moved|something knocked at the door|there was a noise in the corner}.",
        ],
        &[
            "\"Do not be afraid,\" said a @friend named @friendname. \"{We will look together|Two are braver than one|I am afraid too, so let us go together}.\"",
            "@Name called @friendname, the @friend from next door. Together they {tiptoed outside|opened the door a little|went to look}.",
        ],
        &[
            "And what did they find? {Only|Nothing but} a {lonely|rolling|rusty|wet} @thing {that the wind had blown about|that rolled from one side to the other|with a sleepy mouse inside}.",
            "There lay a {big|strange|crooked} @thing. {It rattled whenever the wind blew.|It was not a monster at all.|It looked more afraid than they were.}",
        ],
        &[
            "They laughed until {their sides hurt|the stars came out|breakfast}. Since then @name {keeps the @thing by the window|is a little braver|listens to the night and smiles}.",
            "\"Most monsters are a @thing,\" said @name, {and went back to bed|wisely|and slept until noon}.",
        ],
    ],
    // A friend needs help.
    &[
        &[
            "One {cold|hot|windy} day, a @friend came {running|limping|hurrying} to the door. \"{Help|Please help}, I {am stuck|have lost my way|am so cold}!\" said the @friend{, whose name was @friendname|}.",
            "{One day|One morning}, @he heard somebody calling. It was @friendname, a @friend, who {had fallen into a hole|could not get down from a tree|was sitting in the mud}.",
        ],
        &[
            "@Name thought hard. What did @he have? Only a @thing. \"{That will have to do|Better than nothing|It might work},\" said @name.",
            "\"Wait!\" called @name, and ran home to fetch @his @thing. {Nobody had ever used a @thing for that before.|It was the best idea that @he ever had.}",
        ],
        &[
            "With the @thing {it took only a minute|they pulled and pushed|they tried once, twice, three times}, and {then everything was well|then the @friend was free}.",
            "The @thing was {just right|perfect}. Soon the @friend was {safe and dry|laughing again|on the way home}.",
        ],
        &[
            "\"How can I thank you?\" asked the @friend. \"{Come to tea|Help the next one|Tell nobody about my singing},\" said @name.",
            "The next day a {cake|basket of berries|letter} stood at the door, with {love|many thanks} from @friendname.",
        ],
    ],
    // A quarrel about a thing.
    &[
        &[
            "{One day|One afternoon} @he and @friendname the @friend found a @thing. \"{I saw it first|It is mine}!\" said @name. \"{No, I did|No, mine},\" said @friendname.",
            "@His best friend was a @friend named @friendname. But one day both of them wanted the same @thing.",
        ],
        &[
            "They {pulled|shouted|argued} so {hard|loudly|long} that {the birds flew away|the soup got cold|it grew dark}. And then, crack! The @thing {broke in two|fell into the mud|was broken}.",
            "For {three days|a whole week} they did not speak. The @thing lay {between them in the grass|all alone in the rain}, and nobody {touched|used} it.",
        ],
        &[
            "\"{Now nobody has it|That was silly},\" said @name {sadly|quietly}. \"{I am sorry|Let us mend it},\" said @friendname.",
            "At last @name said, \"{I miss you more than the @thing|A @thing is nothing without a friend}.\" @Friendname {nodded|blushed|felt the same}.",
        ],
        &[
            "They mended the @thing with {string|glue|patience}, and now they {share it|take turns}: {one has it in the morning and the other at night|one day here, one day there}.",
            "So they shared it, and {it was twice as much fun|it lasted twice as long|nobody could say whose it was}.",
        ],
    ],
    // A journey and the way home.
    &[
        &[
            "{One morning|One day in spring|On @his birthday} @he packed {a sandwich|two apples|an extra pair of socks} and a @thing and {went out to see the world|left on a long journey|followed the road as far as it went}.",
            "@He had never been {away from home|farther than the next corner}. \"Today I will go,\" said @name, and took only a @thing along.",
        ],
        &[
            "@He walked over {seven hills|three bridges|many fields} until {@his feet hurt|night fell|it began to rain}. {Then @he saw that @he was lost.|Where was the way back?|Everything looked strange.}",
            "At noon the sun was hot, and at night the wind was cold. {The @thing was heavy, too.|And nobody was there to talk to.} \"{Where am I|How do I get home}?\" asked @name.",
        ],
        &[
            "An old @friend sat by the road. \"{Give me your @thing|Lend me your @thing}, and I will show you the way,\" said the @friend. {That was a fair trade.|@Name agreed.}",
            "A {wise|friendly|singing} @friend named @friendname {knew every path|had a good nose|knew the stars}. \"Follow me,\" said @friendname, \"{and hold on to your @thing|but do not lose your @thing}.\"",
        ],
        &[
            "When @name was home again, everything looked {smaller|just the same|new}, and {the kettle was still warm|@his bed had never been so soft}.",
            "Back home @he told everyone about it, and {each time the hills grew higher|nobody believed a word|they listened all night}.",
        ],
    ],
    // A contest.
    &[
        &[
            "Every year there was a great contest: who had the {finest|strangest|biggest} @thing? {This year @name wanted to win.|@Name had never won anything.}",
            "{One day|One summer} there was a race, and the prize was a golden @thing. \"I will try,\" said @name, and everybody {laughed|smiled|was surprised}.",
        ],
        &[
            "@Friendname the @friend was {faster|stronger|louder} than everyone. \"{You will never win|Go home},\" said @friendname, {and grinned|not very kindly}.",
            "@Name practised {before breakfast|in the rain|every day} with a @friend named @friendname, {who kept the time|who never got tired|who was never content}.",
        ],
        &[
            "But {on the great day|in the middle of it} @friendname {tripped over a root|fell and hurt a foot}. @Name stopped and {helped|went back to help}. {So somebody else won.|So neither of them won.}",
            "On the great day @name {tried as hard as @he could|did @his best|was so nervous that @he sneezed three times}. {In the end @he came second.|It was very, very close.}",
        ],
        &[
            "But the judge gave @name a @thing as well, {for the biggest heart|for kindness|just because}.",
            "\"It does not matter,\" said @name. \"{I had fun|Now I have a friend},\" and {that was better than any @thing|@he meant it}.",
        ],
    ],
    // A gift.
    &[
        &[
            "Tomorrow was the birthday of @friendname, a {dear|grumpy|shy} @friend. What do you give a @friend who {has everything|needs nothing|never smiles}?",
            "@Name wanted to give @friendname the @friend something {special|nice|funny}, because {they had been friends for years|it was winter and everyone was sad}.",
        ],
        &[
            "@He thought of {a hundred things|socks, soup and soap|a song}, but nothing was right. Then @he saw @his own @thing. {It was hard to part with it.|\"That is it!\" cried @name.}",
            "At the market @he saw a @thing. It {cost exactly all that @he had|was the last one|seemed to wave at @him}. {@He bought it at once.|@He counted @his coins twice.}",
        ],
        &[
            "@He wrapped the @thing in {leaves|newspaper|an old curtain} and {carried it over carefully|left it at the door|knocked three times}.",
            "\"For you,\" said @name. @Friendname opened the {parcel|paper} {slowly|with one eye closed}. {A @thing!|There it was: a @thing.}",
        ],
        &[
            "For the first time in years @friendname {smiled|laughed aloud}. \"{It is the best gift of all|How did you know},\" said the @friend.",
            "And what did @friendname have for @name? {Another @thing!|The very same @thing, in blue.} They laughed {all evening|until they cried}.",
        ],
    ],
    // A new thing to learn.
    &[
        &[
            "@He wanted to learn {to dance|to swim|to whistle|to juggle|to paint}, but {everyone said that @he was too small|it looked so hard|@he was too shy to ask}.",
            "One day @he got a @thing from @his {aunt|uncle|grandfather}. {But how do you use a @thing?|There were no instructions.} Nobody @atplace knew.",
        ],
        &[
            "\"I will show you,\" said an old @friend named @friendname. \"{All that you need is a @thing|Take a @thing in your left hand} and {a little patience|a lot of time}.\"",
            "A @friend named @friendname knew how. \"{First you hold the @thing still|Begin with the @thing},\" said @friendname. \"{Then you breathe|Then you count to ten|The rest comes by itself}.\"",
        ],
        &[
            "The first time {it went wrong|@he fell down|something broke}. The tenth time it went {a little better|better}. The hundredth time {it was easy|everyone stopped to watch}.",
            "@Name tried {in the morning|every day} and tried {again at night|once more}. {@He made a thousand mistakes, and every one was new.|It was hard, but @he did not give up.}",
        ],
        &[
            "Now @name teaches {the little ones|anyone who asks}, and {always brings the @thing along|says what @friendname used to say}.",
            "\"See?\" said @friendname. \"{Nobody is too small|You only had to begin}.\" And @name {bowed|took the @thing and began again}.",
        ],
    ],
    // A storm.
    &[
        &[
            "One {autumn|winter} night a storm came {over the @place|from the north|without a warning}. It took {the roof|the fence|three hats} and {@his @thing|even @his @thing}.",
            "The wind blew and blew. \"My @thing will fly away!\" cried @name, and {held on to it with both hands|tied it to the table}.",
        ],
        &[
            "Somebody knocked. It was @friendname, a @friend, wet {to the bone|from head to foot}. \"May I {come in|wait here until morning}?\" asked the @friend.",
            "Outside stood a {shivering|wet} @friend {with a small bag|with a broken umbrella}. \"Come in,\" said @name, \"{there is soup|there is room for two}.\"",
        ],
        &[
            "All night they {told stories|played cards|sang against the wind}, and the storm seemed {smaller|far away}.",
            "They {shared one blanket|drank hot milk} and listened to the rain. {\"With two it is almost nice,\" said @name.|Neither of them was afraid any more.}",
        ],
        &[
            "In the morning the sun shone, and {in the highest tree hung the @thing|in front of the door lay the @thing, clean as new}.",
            "When the storm was over, the @thing {was still there|had only a scratch}, and @name had {a new friend|someone to have breakfast with}.",
        ],
    ],
    // A riddle and a wish.
    &[
        &[
            "One {evening|night} @he found a {dusty|humming|glowing} @thing. When @he {rubbed|shook|dropped} it, a voice said, \"{You have one wish|Make a wish}!\"",
            "In an old {box|cupboard} lay a magic @thing. \"{Whoever holds me may wish for one thing|I grant one wish},\" it {said|whispered}, \"{but choose well|only one}.\"",
        ],
        &[
            "@Name thought of {gold|honey|a castle with a slide} and of {endless holidays|a hundred cakes}. Then @he thought of @friendname, a @friend who {was ill|was always alone|had lost everything in a storm}.",
            "First @he wanted {a crown|a hundred cakes|to fly}. But {next door|down the road} lived @friendname, a @friend who {was very poor|never got a letter|could not walk}.",
        ],
        &[
            "\"I wish that {everything will be well with @friendname|@friendname is happy again},\" said @name. The @thing {blinked|hummed|went quiet}, and {so it was|it was done}.",
            "So @he {whispered a name to the @thing|wished for something good for @friendname}. {At that moment|The next morning} the @friend {laughed|sang|danced} {for the first time in years|all over the house}.",
        ],
        &[
            "The @thing never spoke again, {but @name kept it|but nobody minded}. {Some wishes are enough for a whole life.|It makes a good doorstop.}",
            "@Friendname never {found out why|knew}. {Only the @thing knows.|And @name never told.}",
        ],
    ],
    // A wish that goes wrong.
    &[
        &[
            "One {evening|night} @he found a {dusty|humming|glowing} @thing. When @he {rubbed|shook|dropped} it, a voice said, \"{You have two wishes|Make two wishes}!\"",
            "An old @friend gave @him a @thing. \"It is magic,\" said the @friend. \"{You may wish twice|It grants two wishes}. {Think first|Be careful}!\"",
        ],
        &[
            "\"I wish for {a mountain of cake|snow in summer|a river of soup},\" said @name at once. And it came! But {there was far too much of it|nobody could find the door any more|it would not stop}.",
            "\"I want to be {as tall as a tree|very, very rich|able to fly}!\" cried @name. And it happened. But {soon @his friends were afraid of @him|@he could not sleep any more|it was lonely up there}.",
        ],
        &[
            "For the second wish @name {thought all night|asked everyone}. \"I wish that all is as it was,\" @he said, {and it was|and the @thing sighed}.",
            "So the second wish was only to undo the first. {The @thing laughed.|\"They all do that,\" said the @thing.}",
        ],
        &[
            "\"Next time I will think first,\" said @name. The @thing {giggled|said nothing|turned into an ordinary one}.",
            "Since that day the @thing stands {on the shelf|on the window sill}, and {when nobody looks, it winks|@name never shakes it}.",
        ],
    ],
];

/// How a story may end.
pub static ENDINGS: Part = &[
    "The end.",
    "And they {all |}lived happily {ever after|until the next adventure|for a long time}.",
    "And if you {listen well|walk by the @place|are very quiet}, you can {still hear them laugh|hear @him sing}.",
    "And that was a {good|long|very good} day.",
    "{Since then|From that day on}, {everybody|everyone} @atplace {knows @name|tells this story|greets @him with a smile}.",
    "Good night, @name!",
    "@Name {fell asleep with a smile|slept well that night|could hardly wait for the next day}.",
    "What a day!",
    "So it pays to {be kind|be patient|ask for help|share}.",
];
