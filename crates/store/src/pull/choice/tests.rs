//! Repositories as they are found, and what is taken from them.

use super::*;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn chosen(names: &[&str], wanted: Option<&str>) -> Vec<String> {
    match choose(&set(names), wanted).unwrap() {
        Choice::Files(files) => files.into_iter().map(|file| file.name).collect(),
        Choice::Sharded { list, beside } => {
            std::iter::once(list).chain(beside).map(|file| file.name).collect()
        }
    }
}

const MANY: &[&str] = &[
    "README.md",
    "LICENSE",
    "Qwen3-4B-BF16.gguf",
    "Qwen3-4B-IQ4_NL.gguf",
    "Qwen3-4B-Q2_K.gguf",
    "Qwen3-4B-Q4_K_M.gguf",
    "Qwen3-4B-Q8_0.gguf",
    "Qwen3-4B-UD-Q4_K_M.gguf",
    "Qwen3-4B-UD-Q4_K_XL.gguf",
    "Qwen3-4B-imatrix.gguf",
    "mmproj-BF16.gguf",
    "mmproj-F16.gguf",
];

#[test]
fn a_quantisation_is_found_whatever_its_case_and_the_plain_one_first() {
    let check = |wanted, expected: &str| {
        assert_eq!(chosen(MANY, wanted), [expected, "mmproj-F16.gguf", "LICENSE"]);
    };
    check(None, "Qwen3-4B-Q4_K_M.gguf");
    check(Some("q4_k_m"), "Qwen3-4B-Q4_K_M.gguf");
    check(Some("UD-Q4_K_M"), "Qwen3-4B-UD-Q4_K_M.gguf");
    check(Some("Q4_K_XL"), "Qwen3-4B-UD-Q4_K_XL.gguf");
    check(Some("Q8_0"), "Qwen3-4B-Q8_0.gguf");
    check(Some("BF16"), "Qwen3-4B-BF16.gguf");
    check(Some("Qwen3-4B-Q2_K"), "Qwen3-4B-Q2_K.gguf");
}

#[test]
fn a_quantisation_that_is_not_there_is_answered_with_those_that_are() {
    let error = choose(&set(MANY), Some("F16")).unwrap_err();
    let Problem::NoSuchQuantisation { wanted, available } = &error else { panic!("{error:?}") };
    assert_eq!(wanted, "F16");
    assert_eq!(available.join(" "), "Q4_K_M Q4_K_XL IQ4_NL Q8_0 Q2_K BF16");
    assert!(error.hint().contains(":Q4_K_M"));
    let none = choose(&set(&["model.safetensors"]), Some("Q4_K_M")).unwrap_err();
    assert!(none.to_string().contains("no GGUF files"), "{none}");
}

#[test]
fn parts_come_in_their_order_and_a_missing_one_is_noticed() {
    let parts = ["Q8_0/m-Q8_0-00002-of-00002.gguf", "Q8_0/m-Q8_0-00001-of-00002.gguf", "m.Q6_K.gguf"];
    assert_eq!(chosen(&parts, Some("Q8_0")), [parts[1], parts[0]]);
    assert_eq!(chosen(&parts, None), [parts[2]]);
    let missing = choose(&set(&["m-Q8_0-00001-of-00003.gguf", "m-Q8_0-00003-of-00003.gguf"]), None);
    assert_eq!(missing.unwrap_err(), Problem::MissingParts { file: "m-Q8_0".into(), n_parts: 3 });
    for no_part in
        ["m-00001-of-0003", "m-0000a-of-00003", "m-00004-of-00003", "-00001-of-00001", "é-of-00003"]
    {
        assert_eq!(part_of(no_part), None, "{no_part}");
    }
}

#[test]
fn an_unknown_label_is_better_than_nothing() {
    assert_eq!(chosen(&["tiny.gguf"], None), ["tiny.gguf"]);
    assert_eq!(chosen(&["b.gguf", "a.gguf"], None), ["a.gguf"]);
}

#[test]
fn a_folder_brings_its_weights_and_what_belongs_to_them() {
    let whole =
        ["config.json", "model.safetensors", "tokenizer.json", "pytorch_model.bin", "x.onnx", "LICENSE"];
    assert_eq!(chosen(&whole, None), ["model.safetensors", "config.json", "tokenizer.json", "LICENSE"]);
    let sharded = ["model.safetensors.index.json", "pytorch_model.bin", "chat_template.jinja"];
    assert_eq!(chosen(&sharded, None), ["model.safetensors.index.json", "chat_template.jinja"]);
    let old = ["pytorch_model.bin", "vocab.txt"];
    assert_eq!(chosen(&old, None), ["pytorch_model.bin", "vocab.txt"]);
    let ranks = ["model.safetensors", "qwen.tiktoken", "sub/other.tiktoken", "tekken.json"];
    assert_eq!(chosen(&ranks, None), ["model.safetensors", "tekken.json", "qwen.tiktoken"]);
    let Choice::Files(adapter) = choose(&set(&["adapter_model.safetensors"]), None).unwrap() else {
        panic!()
    };
    assert_eq!((adapter[0].role, adapter[0].format), (Role::Adapter, "safetensors"));
    assert_eq!(choose(&set(&["README.md", "x.onnx"]), None).unwrap_err(), Problem::NoWeights);
    assert_eq!(choose(&set(&[]), None).unwrap_err(), Problem::NoWeights);
}

#[test]
fn shards_must_be_there_and_be_names() {
    let list = Chosen { name: "l".into(), role: Role::Model, format: "safetensors" };
    let names = set(&["a.safetensors", "b.safetensors"]);
    let of = |listed: &[&'static str]| shards(listed.iter().copied(), &names, &list);
    assert_eq!(of(&["b.safetensors", "a.safetensors", "b.safetensors"]).unwrap().len(), 2);
    assert!(matches!(of(&["c.safetensors"]), Err(Problem::MissingParts { .. })));
    assert_eq!(of(&[]), Err(Problem::NoWeights));
    for hostile in ["../a", "a/../b", "/etc/passwd", "", "a//b", "C:\\x", "a\\b", ".", "a\nb", "a:b", "a/"] {
        assert!(matches!(check_name(hostile), Err(Problem::UnsafeName { .. })), "{hostile:?}");
        let long = of(&[Box::leak(hostile.to_owned().into_boxed_str())]);
        assert!(long.is_err());
    }
    assert!(check_name(&"a".repeat(256)).is_err());
    assert!(check_name("Q4_K_M/weights (1)-ü.gguf").is_ok());
}
