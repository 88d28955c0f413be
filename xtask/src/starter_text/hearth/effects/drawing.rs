//! Flags of pictures.

use super::FlagIntents;

pub(super) static ROWS: &[FlagIntents] = &[
    (
        "draw",
        "--model",
        &[
            "{choose|name|set} {the|an|another} {image model|model that draws}",
            "{use|draw with} {another|my own} image model",
        ],
    ),
    (
        "draw",
        "--negative",
        &[
            "{forbid|avoid|not see|not want} {something|a thing|people|text} in {a|my|the} {picture|image|drawing}",
            "{tell|say} what {is not wanted|must be missing} in {a|my|the} {picture|image}",
            "{keep|leave} {something|things} out of {a|the} {picture|image|drawing}",
            "{give|use|write} a negative prompt",
            "say what {a|the} {picture|image} {shall not|must not} {show|hold}",
        ],
    ),
    (
        "draw",
        "--size",
        &[
            "{draw|make|paint|get} {a|an|one} {picture|image} of {640|512|768|256} by {480|512|768|256}{ pixels|}",
            "{set|choose|say} how {large|big} {a|the|my} {picture|image} {is|shall be|gets}",
            "{change|give} the {width|height|pixels} of {a|the|my} {picture|image|drawing}",
            "{set|choose|change} the {size|width|height|width and height} of {a|the} {picture|image|drawing}",
            "{draw|make|get} a {larger|wider|taller|bigger|smaller|square} {picture|image}",
        ],
    ),
    (
        "draw",
        "--steps",
        &[
            "{draw|denoise} {in|with} {more|fewer|ten|thirty} steps",
            "{set|choose} the number of {steps|denoising steps}{ of a picture|}",
        ],
    ),
    (
        "draw",
        "--n",
        &[
            "{draw|make|get} {several|four|many|more} {pictures|images}{ at once|}",
            "{set|choose} how many {pictures|images} {there are|are drawn|I get}",
        ],
    ),
    (
        "draw",
        "--guidance",
        &[
            "{set|choose|raise|lower} the guidance{ of a picture|}",
            "{make|let} {a|the} picture follow {the|my} {prompt|words} {more|less}{ closely|}",
        ],
    ),
    (
        "draw",
        "--sampler",
        &[
            "{choose|set|change|use} {a|the|another} sampler",
            "{draw|denoise} with {Euler|Heun|another sampler|DDIM|UniPC}",
        ],
    ),
    (
        "draw",
        "--schedule",
        &["{choose|set|change|use} {a|the|another} {noise |}schedule", "draw with the Karras schedule"],
    ),
    (
        "draw",
        "--noise",
        &[
            "{choose|set} {where the noise comes from|the source of noise|the random numbers of a picture}",
            "{get|draw} the same picture as {another program|elsewhere}",
        ],
    ),
    (
        "draw",
        "--clip-skip",
        &["{skip|leave out} {layers|a layer} of {CLIP|the text encoder}", "set clip skip"],
    ),
    (
        "draw",
        "--precision",
        &[
            "{draw|compute a picture} {in|with} {16 bits|bf16|full precision}",
            "{set|choose} the precision of a {picture|drawing}",
        ],
    ),
    (
        "draw",
        "--out",
        &[
            "{choose|set|name} {where|the file in which|the folder where} {a|the} picture is {written|saved|put}",
            "{save|write|put} {a|the} {picture|image|drawing} {into|in} {a|my} {folder|file}",
        ],
    ),
    (
        "draw",
        "--no-metadata",
        &[
            "{leave|keep} {the recipe|the prompt|metadata} out of {a|the} {picture|image file|PNG}",
            "{draw|save a picture} without metadata",
        ],
    ),
    (
        "draw",
        "--from",
        &[
            "{draw|make} {a|the|my} {picture|image} again {from|out of} its {file|PNG}",
            "{repeat|redo|use} the recipe {in|of} {a|my} {picture|PNG|image file}",
        ],
    ),
    (
        "draw",
        "--image",
        &[
            "{begin|start} {with|from} {a|my} {picture|photo|image}{ when I draw|}",
            "{change|draw over|repaint} {a|my} {photo|picture|image}{ that I have|}",
        ],
    ),
    (
        "draw",
        "--strength",
        &[
            "{choose|set|say} how much of {a|the|my} {picture|photo|image} {changes|is made anew|is kept}",
            "{set|change} the strength of {a|the} change{ of a picture|}",
        ],
    ),
    (
        "draw",
        "--mask",
        &[
            "{fill in|repaint|replace|change} only {a part|one part|some} of {a|my} {picture|photo|image}",
            "{use|give|name} a mask{ for a picture|}",
        ],
    ),
    (
        "draw",
        "--variation-seed",
        &["{name|choose|set} {a|the} second seed{ of a picture|}", "{use|set} a variation seed"],
    ),
    (
        "draw",
        "--variation-strength",
        &[
            "{get|draw|have} {variations|pictures that are like the first}{ of a picture|}",
            "{choose|set} how far {a variation|variations} {goes|go}",
        ],
    ),
    (
        "draw",
        "--tokenizer",
        &[
            "{say|name} where the {vocabulary|tokenizer} of {an|a single-file} image model {is|lies}",
            "draw with a {single file|checkpoint file} that has no vocabulary",
        ],
    ),
    (
        "draw",
        "--transformer",
        &[
            "{draw with|use} {a|another} {quantised|quantized|GGUF} {transformer|U-Net}",
            "{take|use|name} {a|the} file {for|of} the transformer of {a|an image} model",
        ],
    ),
    (
        "draw",
        "--preview",
        &[
            "{see|watch|show} {a|the} {picture|drawing} {while it is drawn|on its way|before it is done}",
            "{get|have|show} a {preview|rough picture} every few steps",
        ],
    ),
    (
        "draw",
        "--lora",
        &[
            "{put|use|add} {a LoRA|LoRAs|several LoRAs}{ on an image model| when I draw|}",
            "{draw|make a picture} {in the style of|with} {a|my} LoRA",
        ],
    ),
    ("draw", "--lora-folder", &["{say|name|choose} {where|in which folder} {my |the |}LoRAs {lie|are}"]),
    (
        "draw",
        "--embedding",
        &[
            "{use|add} {a textual inversion|an embedding}{ when I draw| in a prompt|}",
            "teach a prompt a new word",
        ],
    ),
    (
        "draw",
        "--control",
        &[
            "{guide|steer} {a|the|my} {picture|drawing} {with|by} {a map|edges|a pose|a sketch}",
            "{use|add} {a ControlNet|ControlNets}{ when I draw|}",
        ],
    ),
    (
        "draw",
        "--upscale",
        &[
            "{make|get} {a|the|my} drawing {larger|bigger} {once|when} it is done",
            "enlarge what {is|was} drawn",
        ],
    ),
    (
        "explain",
        "--draw",
        &[
            "{see|look at|show|know} {how|from what} {a|my|the} {picture|drawing|image} {comes to be|is made|came to be}",
            "{see|show|know} which words {of a prompt |}looked where in {a|the} {picture|image}",
        ],
    ),
];
