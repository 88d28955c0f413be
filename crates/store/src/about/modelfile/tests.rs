//! Modelfiles as people and Ollama write them, and as nobody should.

use super::*;
use crate::Error;
use crate::about::Speaker;

fn parse(text: &str) -> Modelfile {
    Modelfile::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn refused(text: &str) -> (Option<usize>, ModelfileProblem) {
    match Modelfile::parse(text.as_bytes()) {
        Err(Error::BadModelfile { line, problem }) => (line, problem),
        other => panic!("{other:?}: {text}"),
    }
}

#[test]
fn every_instruction_is_read() {
    let text = "# a comment\n\nfrom llama3.2:1b\n  PARAMETER temperature 1\nparameter stop \"<|a|>\"\nPARAMETER stop b c \n\
        Parameter num_ctx 4096\nTEMPLATE \"\"\"{{ .System }}\n{{ .Prompt }}\"\"\"\nSYSTEM You are Mario. # no comment\n\
        ADAPTER ./lora.gguf\nLICENSE \"\"\"\nMIT\n\"\"\"\nLICENSE second\nMESSAGE user Is Rome in Italy?\n\
        MESSAGE assistant \"yes\"\nREQUIRES 0.14.0\nRENDERER qwen3\nPARSER qwen3\nDRAFT ./small.gguf";
    let modelfile = parse(text);
    assert_eq!(modelfile.from, ["llama3.2:1b"]);
    assert_eq!(modelfile.parameters.temperature, Some(1.0));
    assert_eq!(modelfile.parameters.stop, ["<|a|>", "b c"]);
    assert_eq!(modelfile.parameters.num_ctx, Some(4096));
    assert_eq!(modelfile.template.as_deref(), Some("{{ .System }}\n{{ .Prompt }}"));
    assert_eq!(modelfile.system.as_deref(), Some("You are Mario. # no comment"));
    assert_eq!(modelfile.licenses, ["\nMIT\n", "second"]);
    assert_eq!(modelfile.messages[1], Message { role: Speaker::Assistant, content: "yes".into() });
    assert_eq!(modelfile.messages[0].content, "Is Rome in Italy?");
    let rest = [modelfile.requires.as_deref(), modelfile.renderer.as_deref(), modelfile.parser.as_deref()];
    assert_eq!(rest, [Some("0.14.0"), Some("qwen3"), Some("qwen3")]);
    assert_eq!(
        (modelfile.adapters[0].as_str(), modelfile.drafts[0].as_str()),
        ("./lora.gguf", "./small.gguf")
    );
    for line_end in ["\r\n", "\r"] {
        let mut other = parse(&text.replace('\n', line_end));
        other.template = other.template.map(|text| text.replace(line_end, "\n"));
        other.licenses = other.licenses.iter().map(|text| text.replace(line_end, "\n")).collect();
        assert_eq!(other, modelfile);
    }
}

#[test]
fn quotes_end_where_a_line_ends_with_them() {
    let check = |value: &str, expected: &str| {
        let modelfile = parse(&format!("FROM a\nSYSTEM {value}\nPARAMETER seed 1\n"));
        assert_eq!(modelfile.system.as_deref(), Some(expected), "{value}");
        assert_eq!(modelfile.parameters.seed, Some(1), "{value}: the next line is read too");
    };
    check("\"a\"", "a");
    check("\"a\" \t ", "a");
    check("\"\"", "");
    check("\"\"\"\"\"\"", "");
    check("\"a\"b\"", "a\"b");
    check("\"a\nb\"", "a\nb");
    check("\"a\n\n\n \t\nb\"", "a\n\n\n \t\nb");
    check("\"\"\"a \"b\"\nc\"\"\"", "a \"b\"\nc");
    check("\"\"\"a\"\"\" b\nc\"\"\"", "a\"\"\" b\nc");
    check("\"\"\"a\"\"\"\"", "a\"");
    check("a \"b\"", "a \"b\"");
    check("'a'", "'a'");
    check("a\\n", "a\\n");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let unknown = |given: &str, nearest: &[&str]| {
        let nearest = nearest.iter().map(|word| (*word).to_owned()).collect();
        ModelfileProblem::UnknownInstruction { given: given.into(), nearest }
    };
    let no_value = |instruction, wanted| ModelfileProblem::NoValue { instruction, wanted };
    for (text, line, problem) in [
        ("", None, ModelfileProblem::NoBase),
        ("SYSTEM a\n# FROM b", None, ModelfileProblem::NoBase),
        ("FROM a\n\nSYSTM b", Some(3), unknown("SYSTM", &["SYSTEM"])),
        ("FROM a\r\n\r\nparamter b", Some(3), unknown("paramter", &["PARAMETER"])),
        ("FROM a\rTEMPLTE b", Some(2), unknown("TEMPLTE", &["TEMPLATE"])),
        ("FROM a\nSYSTEM You are\nkind", Some(3), unknown("kind", &[])),
        ("FROM", Some(1), no_value("FROM", "a value")),
        ("FROM  \nSYSTEM a", Some(1), no_value("FROM", "a value")),
        ("FROM \"\"", Some(1), no_value("FROM", "a value")),
        ("FROM a\nPARAMETER", Some(2), no_value("PARAMETER", "a name and a value")),
        ("FROM a\nPARAMETER seed", Some(2), no_value("PARAMETER", "a value")),
        ("FROM a\nMESSAGE user", Some(2), no_value("MESSAGE", "a value")),
        ("FROM a\nPARAMETER a-b 1", Some(2), ModelfileProblem::BadParameterName { given: "a-b".into() }),
        ("FROM a\nMESSAGE pope b", Some(2), ModelfileProblem::BadRole { given: "pope".into() }),
        ("FROM a\nREQUIRES new", Some(2), ModelfileProblem::BadVersion { given: "new".into() }),
        (
            "FROM a\nSYSTEM \"\"\"\nb\n\"\"\" c",
            Some(2),
            ModelfileProblem::NotClosed { instruction: "SYSTEM", quote: "\"\"\"" },
        ),
        ("FROM a\nSYSTEM \"", Some(2), ModelfileProblem::NotClosed { instruction: "SYSTEM", quote: "\"" }),
        (
            "FROM a\nPARAMETER top_p high",
            Some(2),
            ModelfileProblem::BadParameter {
                key: "top_p".into(),
                given: "high".into(),
                wanted: "a number from 0 to 1".into(),
            },
        ),
    ] {
        assert_eq!(refused(text), (line, problem), "{text:?}");
    }
    let error = Modelfile::parse(b"FROM a\nSYSTM b").unwrap_err();
    assert_eq!(error.to_string(), "Modelfile, line 2: \"SYSTM\" is no instruction; did you mean SYSTEM?");
    assert!(error.hint().contains("FROM"), "{}", error.hint());
}

#[test]
fn a_misspelt_parameter_is_kept_and_named() {
    let modelfile = parse("FROM a\nPARAMETER temprature 0.5\nPARAMETER num_gpu 3\n");
    assert_eq!(modelfile.parameters.unknown(), [("temprature".to_owned(), vec!["temperature".to_owned()])]);
    assert_eq!(modelfile.parameters.other.len(), 2);
}

#[test]
fn encodings_of_editors_are_read_and_other_bytes_refused() {
    let text = "FROM a\nSYSTEM grüße";
    let units: Vec<u16> = text.encode_utf16().collect();
    let utf16 = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
        let body = units.iter().flat_map(|unit| bytes(*unit));
        mark.into_iter().chain(body).collect::<Vec<_>>()
    };
    let marked = [b"\xEF\xBB\xBF".as_slice(), text.as_bytes()].concat();
    for bytes in [marked, utf16([0xFF, 0xFE], u16::to_le_bytes), utf16([0xFE, 0xFF], u16::to_be_bytes)] {
        assert_eq!(Modelfile::parse(&bytes).unwrap(), parse(text));
    }
    for bytes in [b"FROM \xFF".as_slice(), b"\xFF\xFEF", b"\xFF\xFE\x00\xD8"] {
        let error = Modelfile::parse(bytes).unwrap_err();
        assert!(matches!(error, Error::BadModelfile { problem: ModelfileProblem::NotText, .. }), "{error}");
    }
}

#[test]
fn limits_hold() {
    let long = format!("FROM a\nSYSTEM {}", "a".repeat(MAX_BYTES));
    assert!(matches!(refused(&long).1, ModelfileProblem::TooLong { what: "bytes", .. }));
    let many = "FROM a\n".repeat(MAX_INSTRUCTIONS + 1);
    let (line, problem) = refused(&many);
    assert!(matches!(problem, ModelfileProblem::TooLong { what: "instructions", .. }));
    assert_eq!(line, Some(MAX_INSTRUCTIONS + 1));
    // Many blank lines between quotes take no longer than many letters.
    assert!(matches!(
        refused(&format!("SYSTEM \"{}", "\n ".repeat(500_000))).1,
        ModelfileProblem::NotClosed { .. }
    ));
}

#[test]
fn what_is_written_reads_back() {
    let texts = [
        "",
        " ",
        "a",
        "a b",
        " a",
        "a ",
        "\"",
        "\"\"",
        "\"\"\"",
        "\"a\"",
        "a\"",
        "a\"\"\"",
        "a\nb",
        "\n",
        "a\n",
        "\na",
        "a\"\nb",
        "\"\na",
        "\"\"\na",
        "a\"\"\nb",
        "a\n\"\"\"",
        "# a",
        "a\r\nb",
        "a\tb",
        "{{ .A }}\n",
        "é\u{200b}",
        "\r",
        "a\"\r\nb",
        "\u{a0}a",
    ];
    let mut n_written = 0;
    for a in texts {
        for b in texts {
            let modelfile = Modelfile {
                from: vec!["base".into()],
                system: Some(a.into()),
                template: Some(b.into()),
                licenses: vec![b.into(), a.into()],
                messages: vec![Message { role: Speaker::User, content: a.into() }],
                parameters: Parameters {
                    stop: vec![a.into(), b.into()],
                    seed: Some(3),
                    ..Parameters::default()
                },
                requires: Some("0.1.0".into()),
                ..Modelfile::default()
            };
            let text = modelfile.to_text().unwrap_or_else(|error| panic!("{error}: {a:?} {b:?}"));
            assert_eq!(parse(&text), modelfile, "{text}");
            n_written += 1;
        }
    }
    assert_eq!(n_written, texts.len() * texts.len());
}

#[test]
fn what_cannot_be_written_is_an_error_and_what_cannot_be_said_a_comment() {
    let modelfile = |system: &str| Modelfile {
        from: vec!["a".into()],
        system: Some(system.into()),
        ..Modelfile::default()
    };
    let error = modelfile("a\"\"\"\nb").to_text().unwrap_err();
    let problem = ModelfileProblem::NotWritable { instruction: "SYSTEM" };
    assert!(
        matches!(&error, Error::BadModelfile { line: None, problem: found } if *found == problem),
        "{error}"
    );
    let mut odd = modelfile("b");
    for (key, value) in [("a b", serde_json::json!(1)), ("x", serde_json::json!([1])), ("top_k", "\n".into())]
    {
        odd.parameters.other.insert(key.into(), value);
    }
    let text = odd.to_text().unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("# no line")).count(), 3, "{text}");
    assert_eq!(parse(&text), modelfile("b"));
}
