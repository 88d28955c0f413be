//! Calls as families write them: their format; texts, each with the tool and the arguments that it calls; and texts that
//! no call begins with.

/// Control tokens as families have them.
pub const CONTROL: &[&str] = &[
    "</s>",
    "[TOOL_CALLS]",
    "[ARGS]",
    "<|tool_call_begin|>",
    "<|tool_call_end|>",
    "[THINK]",
    "[/THINK]",
    "<|start|>",
    "<|channel|>",
    "<|message|>",
    "<|constrain|>",
    "<|end|>",
    "<|call|>",
    "<|\"|>",
    "｜DSML｜",
];

/// A text, and the tool and the arguments that it calls.
pub type Written = (&'static str, &'static str, &'static str);

/// Formats of families, what is a call in them, and what is none.
pub const CALLS: &[(&str, &[Written], &[&str])] = &[
    (
        "qwen3-coder",
        &[
            (
                "<tool_call>\n<function=note>\n<parameter=text>\nA <b>\n{\"x\": 1}\n</parameter>\n<parameter=level>\n3\n</parameter>\n</function>\n</tool_call>",
                "note",
                r#"{"text":"A <b>\n{\"x\": 1}","level":3}"#,
            ),
            (
                "<tool_call>\n<function=note>\n<parameter=text>\n12\n</parameter>\n<parameter=tags>\n[\"a\"]\n</parameter>\n<parameter=mood>\nit's\n</parameter>\n</function>\n</tool_call>",
                "note",
                r#"{"text":"12","tags":["a"],"mood":"it's"}"#,
            ),
            (
                "<tool_call>\n<function=set_light>\n<parameter=room>\nhall\n</parameter>\n<parameter=on>\ntrue\n</parameter>\n</function>\n</tool_call>",
                "set_light",
                r#"{"room":"hall","on":true}"#,
            ),
            ("<tool_call>\n<function=now>\n</function>\n</tool_call>", "now", "{}"),
        ],
        &[
            "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>",
            "<tool_call>\n<function=other>",
            "<tool_call>\n<function=note>\n</function>",
            "<tool_call>\n<function=note>\n<parameter=text>\na\n</parameter>\n<parameter=level>\n9",
            "<tool_call>\n<function=set_light>\n<parameter=room>\ncellar",
            "Hello",
        ],
    ),
    (
        "glm",
        &[
            (
                "<tool_call>note\n<arg_key>text</arg_key>\n<arg_value>true</arg_value>\n<arg_key>level</arg_key>\n<arg_value>5</arg_value>\n</tool_call>",
                "note",
                r#"{"text":"true","level":5}"#,
            ),
            (
                "<tool_call>set_light<arg_key>room</arg_key><arg_value>attic</arg_value></tool_call>",
                "set_light",
                r#"{"room":"attic"}"#,
            ),
            ("<tool_call>now\n</tool_call>", "now", "{}"),
        ],
        &[
            "<tool_call>nowhere",
            "<tool_call>note</tool_call>",
            "<tool_call>set_light<arg_key>on</arg_key>",
            "<tool_call>note\n<arg_key>text</arg_key>\n<arg_value>a</arg_value>\n<arg_key>level</arg_key>\n<arg_value>five",
        ],
    ),
    (
        "deepseek-v3.2",
        &[(
            "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"note\">\n<｜DSML｜parameter name=\"text\" string=\"true\">7</｜DSML｜parameter>\n<｜DSML｜parameter name=\"level\" string=\"false\">2</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
            "note",
            r#"{"text":"7","level":2}"#,
        )],
        &[
            "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"note\">\n<｜DSML｜parameter name=\"text\" string=\"false\">",
            "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"x",
        ],
    ),
    (
        "gemma",
        &[
            (
                "```tool_code\nnote(text=\"a \\\"b\\\" [c](d)\", level=2, tags=['x', \"y\"], place={\"x\": -1.5, 'home': None})\n```",
                "note",
                r#"{"text":"a \"b\" [c](d)","level":2,"tags":["x","y"],"place":{"x":-1.5,"home":null}}"#,
            ),
            (
                "```tool_code\nset_light(room='hall', on=True)\n```",
                "set_light",
                r#"{"room":"hall","on":true}"#,
            ),
            ("```tool_code\nnow()\n```", "now", "{}"),
        ],
        &[
            "```tool_code\nset_light(on=True",
            "```tool_code\nset_light(room='hall', on=true",
            "```tool_code\nset_light(room='hall',)",
            "```tool_code\nprint(",
            "```tool_code\nnote(text=a",
            "```tool_code\nnote(text='a', mood='wild'",
        ],
    ),
    (
        "lfm2",
        &[(
            "<|tool_call_start|>[note(text=\"it's\", mood=\"it\\'s\")]<|tool_call_end|>",
            "note",
            r#"{"text":"it's","mood":"it's"}"#,
        )],
        &["<|tool_call_start|>{", "<|tool_call_start|>[now(), "],
    ),
    (
        "gemma-4",
        &[
            (
                "<|tool_call>call:note{text:<|\"|>a, \"b\" {c}<|\"|>,tags:[<|\"|>x<|\"|>],place:{x:2,home:false}}<tool_call|>",
                "note",
                r#"{"text":"a, \"b\" {c}","tags":["x"],"place":{"x":2,"home":false}}"#,
            ),
            ("<|tool_call>call:now{}<tool_call|>", "now", "{}"),
        ],
        &[
            "<|tool_call>call:note{}",
            "<|tool_call>call:note{text:a",
            "<|tool_call>call:set_light{room:<|\"|>cellar",
        ],
    ),
    (
        "harmony",
        &[
            (
                "<|channel|>commentary to=functions.note <|constrain|>json<|message|>{\"text\":\"a\",\"level\":1}<|call|>",
                "note",
                r#"{"text":"a","level":1}"#,
            ),
            (
                "<|channel|>analysis<|message|>They want <b> {light}.<|end|><|start|>assistant<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}",
                "now",
                "{}",
            ),
        ],
        &[
            "<|channel|>final",
            "<|channel|>commentary to=functions.other",
            "<|channel|>commentary to=functions.note <|constrain|>json<|message|>{}",
            "{\"name\"",
        ],
    ),
];

/// The pieces of a text: control tokens, and what stands between them.
pub fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((at, token)) = CONTROL.iter().filter_map(|token| Some((rest.find(token)?, *token))).min() {
        pieces.extend([&rest[..at], token]);
        rest = &rest[at + token.len()..];
    }
    pieces.push(rest);
    pieces
}
