//! LoRAs beside what `diffusers` draws with them (`fixtures/draw/lora.py`).

use std::path::{Path, PathBuf};

use app::job::draw::{Draw, File, Lora};
use app::{App, Event, Failure, Job, Settings};
use formats::metadata::Value;
use formats::{Dtype, Metadata, TensorSpec, safetensors};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::{draw, drawn, expect_pixels, flow, pixels, seeded, single};

const CASES: &str = include_str!("../../../../fixtures/draw/lora.json");

/// A tensor of a file.
pub type Named = (String, Vec<usize>, Vec<f32>);

pub fn case(base: &str) -> Json {
    let cases: Vec<Json> = serde_json::from_str(CASES).unwrap();
    cases.into_iter().find(|case| case["base"] == base).unwrap()
}

/// Half of a pair: the formula of `value` in `lora.py`.
fn value(name: &str, shape: &[usize]) -> Vec<f32> {
    let gain = if name.ends_with("down") { 1.0 } else { 0.6 };
    let inputs: usize = shape[1..].iter().product();
    let amplitude = (gain * (3.0 / inputs as f64).sqrt()) as f32;
    seeded::uniform(name, shape.iter().product()).map(|number| amplitude * number).collect()
}

/// The tensors of a LoRA in a layout.
fn tensors(lora: &Json, layout: &str) -> Vec<Named> {
    let tensor = |(name, how): (&String, &Json)| {
        let factor = how[2].as_f64().unwrap() as f32;
        let Some(of) = how[0].as_str() else { return (name.clone(), Vec::new(), vec![factor]) };
        let mut shape: Vec<usize> = serde_json::from_value(lora["values"][of].clone()).unwrap();
        let mut values = value(of, &shape);
        if let Ok([first, last]) = serde_json::from_value::<[usize; 2]>(how[1].clone()) {
            let columns: usize = shape[1..].iter().product();
            values = values[first * columns..last * columns].to_vec();
            shape[0] = last - first;
        }
        values.iter_mut().for_each(|value| *value *= factor);
        (name.clone(), shape, values)
    };
    lora["layouts"][layout].as_object().unwrap().iter().map(tensor).collect()
}

/// The tensors of a LoRA of a case.
pub fn tensors_of(base: &str, name: &str, layout: &str) -> Vec<Named> {
    let case = case(base);
    let lora = case["loras"].as_array().unwrap().iter().find(|lora| lora["name"] == name).unwrap();
    tensors(lora, layout)
}

/// The LoRAs of a case as files in a folder.
pub fn written(base: &str, layout: &str) -> TempDir {
    Written::new(&case(base), layout, unchanged).folder
}

/// Writes a file of safetensors.
pub fn write(path: &Path, tensors: &[Named], metadata: Metadata) {
    let spec =
        |(name, shape, _): &Named| TensorSpec { name: name.clone(), dtype: Dtype::F32, shape: shape.clone() };
    let specs: Vec<TensorSpec> = tensors.iter().map(spec).collect();
    let mut file = std::fs::File::create(path).unwrap();
    let mut writer = safetensors::write(&mut file, &metadata, &specs).unwrap();
    for (.., values) in tensors {
        writer.append(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    }
    writer.finish().unwrap();
}

/// The LoRAs of a case as files in a folder.
struct Written {
    folder: TempDir,
    loras: Vec<(String, f64)>,
}

impl Written {
    fn new(case: &Json, layout: &str, change: impl Fn(Vec<Named>) -> Vec<Named>) -> Self {
        let folder = TempDir::new().unwrap();
        let loras = case["loras"].as_array().unwrap().iter().map(|lora| {
            let name = lora["name"].as_str().unwrap().to_owned();
            let path = folder.path().join(format!("{name}.safetensors"));
            write(&path, &change(tensors(lora, layout)), Metadata::new("lora"));
            (name, lora["weight"].as_f64().unwrap())
        });
        let loras = loras.collect();
        Self { folder, loras }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(format!("{name}.safetensors")).display().to_string()
    }

    fn named(&self) -> Vec<Lora> {
        let named = self.loras.iter();
        named.map(|(name, weight)| Lora { file: self.path(name), weight: Some(*weight) }).collect()
    }
}

fn unchanged(tensors: Vec<Named>) -> Vec<Named> {
    tensors
}

/// The model of a case, and what keeps its files.
fn model(case: &Json) -> (Draw, Option<TempDir>) {
    match case["base"].as_str().unwrap() {
        "stable" => (draw(case), None),
        "sdxl" => {
            let (place, file) = single::made(&single::case("sdxl"));
            (single::of(case, &file), Some(place))
        }
        kind => {
            let place = flow::model(kind);
            (flow::of(case, &place), Some(place))
        }
    }
}

fn check(case: &Json, layout: &str, change: impl Fn(Vec<Named>) -> Vec<Named>) {
    let (job, _model) = model(case);
    let written = Written::new(case, layout, change);
    let (pictures, _) = drawn(Draw { loras: written.named(), ..job }).unwrap();
    expect_pixels(&pictures[0], case);
}

#[test]
fn loras_draw_what_diffusers_draws_with_them() {
    for base in ["stable", "sdxl", "flux-schnell"] {
        let mut case = case(base);
        if case["negative"].is_null() {
            case["negative"] = "".into();
        }
        let layouts: Vec<String> = case["loras"][0]["layouts"].as_object().unwrap().keys().cloned().collect();
        assert!(layouts.len() > 1, "{base}");
        for layout in layouts {
            println!("{base} {layout}");
            check(&case, &layout, unchanged);
        }
        let (job, _model) = model(&case);
        let plain = pixels(&drawn(job).unwrap().0[0]);
        let apart = plain.iter().zip(case["pixels"].as_array().unwrap());
        assert!(apart.filter(|(plain, other)| (*plain - other.as_i64().unwrap()).abs() > 5).count() > 100);
    }
}

#[test]
fn halves_are_known_by_all_their_names() {
    let renamed = |from: &'static str, to: &'static str| {
        move |tensors: Vec<Named>| -> Vec<Named> {
            let renamed = |(name, shape, values): Named| (name.replace(from, to), shape, values);
            tensors.into_iter().map(renamed).collect()
        }
    };
    let case = case("stable");
    for [down, up] in [
        ["lora.down", "lora.up"],
        ["lora_linear_layer.down", "lora_linear_layer.up"],
        ["lora_A.default", "lora_B.default"],
    ] {
        check(&case, "peft", |tensors| renamed("lora_B", up)(renamed("lora_A", down)(tensors)));
    }
    // Of the first diffusers that had them.
    check(&case, "peft", |tensors| {
        let old = |(name, shape, values): Named| {
            let is_attention = name.contains(".attn1.") || name.contains(".attn2.");
            let halves = |name: String| name.replace(".lora_A", "_lora.down").replace(".lora_B", "_lora.up");
            let place = |name: String| {
                let name = name.replace(".to_out.0", ".to_out");
                name.replace("attn1.", "attn1.processor.").replace("attn2.", "attn2.processor.")
            };
            (if is_attention { halves(place(name)) } else { name }, shape, values)
        };
        tensors.into_iter().map(old).collect()
    });
}

/// What stands between the halves of a convolution's pair is a convolution too: with one that only passes on, the kernels
/// stand in the middle.
#[test]
fn what_stands_between_two_halves_is_computed() {
    let case = case("stable");
    check(&case, "kohya", |tensors| {
        let mut changed = Vec::new();
        for (name, shape, values) in tensors {
            let is_square = shape.len() == 4 && shape[2..] == [3, 3];
            if !(is_square && name.ends_with(".lora_down.weight")) {
                changed.push((name, shape, values));
                continue;
            }
            // The pair becomes one of a higher rank: down picks a channel, the middle has the kernels, up is as it was.
            let (rank, inputs) = (shape[0], shape[1]);
            let whole = rank.max(inputs);
            let eye = |rows: usize, columns: usize| -> Vec<f32> {
                (0..rows * columns).map(|at| f32::from(u8::from(at / columns == at % columns))).collect()
            };
            let mut middle = vec![0.0; whole * whole * 9];
            for output in 0..rank {
                for input in 0..inputs {
                    let from = (output * inputs + input) * 9;
                    let to = (output * whole + input) * 9;
                    middle[to..to + 9].copy_from_slice(&values[from..from + 9]);
                }
            }
            let stem = name.trim_end_matches(".lora_down.weight").to_owned();
            changed.push((name, vec![whole, inputs, 1, 1], eye(whole, inputs)));
            changed.push((format!("{stem}.lora_mid.weight"), vec![whole, whole, 3, 3], middle));
            widened(&mut changed, &stem, whole);
        }
        // Ways up and alphas may have come before.
        let stems: Vec<(String, usize)> = changed
            .iter()
            .filter_map(|(name, shape, _)| {
                Some((name.strip_suffix(".lora_mid.weight")?.to_owned(), shape[0]))
            })
            .collect();
        stems.iter().for_each(|(stem, whole)| widened(&mut changed, stem, *whole));
        changed
    });
}

/// The way up of a pair for a higher rank, and its alpha, so that the scale stays.
fn widened(tensors: &mut [Named], stem: &str, whole: usize) {
    for (name, shape, values) in tensors {
        if *name == format!("{stem}.alpha") && values[0] < whole as f32 / 2.0 {
            values[0] = whole as f32 / 2.0;
        }
        if *name == format!("{stem}.lora_up.weight") && shape[1] < whole {
            let rows = values.chunks_exact(shape[1]);
            *values = rows
                .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, whole - row.len())))
                .collect();
            shape[1] = whole;
        }
    }
}

fn text_of(png: &[u8]) -> String {
    diffuse::recipe::picture::read(png).unwrap().unwrap().to_text()
}

#[test]
fn tags_in_the_prompt_name_loras_of_a_folder() {
    let case = case("stable");
    let written = Written::new(&case, "kohya", unchanged);
    let folder = Some(written.folder.path().display().to_string());
    let prompt = Some("a red cat <lora:soft:0.75> <lora:sharp:-0.5>".to_owned());
    let job = Draw { prompt, lora_folder: folder.clone(), ..draw(&case) };
    let (pictures, _) = drawn(job.clone()).unwrap();
    expect_pixels(&pictures[0], &case);
    assert!(text_of(&pictures[0].png).starts_with("a red cat <lora:soft:0.75> <lora:sharp:-0.5>\n"));
    // Named by files the prompt of the picture says them too, and that makes the picture again.
    let by_files = Draw { loras: written.named(), ..draw(&case) };
    let (named, _) = drawn(by_files).unwrap();
    assert_eq!(named[0].png, pictures[0].png);
    let from = Some(File { name: "it.png".into(), bytes: named[0].png.clone() });
    let again = Draw { from, prompt: None, lora_folder: folder.clone(), ..draw(&case) };
    assert_eq!(drawn(again.clone()).unwrap().0[0].png, named[0].png);
    // A file goes before the folder, and its weight before that of the tag.
    let moved = Draw { lora_folder: None, loras: written.named(), ..again };
    assert_eq!(drawn(moved).unwrap().0[0].png, named[0].png);
    let stronger = Lora { file: written.path("soft"), weight: Some(1.5) };
    let stronger = drawn(Draw { loras: vec![stronger], ..job.clone() }).unwrap().0.remove(0);
    assert!(text_of(&stronger.png).starts_with("a red cat <lora:soft:1.5> <lora:sharp:-0.5>\n"));
    assert_ne!(pixels(&stronger), pixels(&pictures[0]));
    // By its name in the folder.
    let by_name = Lora { file: "soft".into(), weight: Some(1.5) };
    assert_eq!(drawn(Draw { loras: vec![by_name], ..job.clone() }).unwrap().0[0].png, stronger.png);
    // Text encoders and model each by their own weight.
    let apart = Some("a red cat <lora:soft:0:0.75> <lora:sharp:0:-0.5>".to_owned());
    let apart = drawn(Draw { prompt: apart, ..job }).unwrap().0.remove(0);
    assert_ne!(pixels(&apart), pixels(&pictures[0]));
}

#[test]
fn loras_of_the_home_are_found_by_their_names() {
    let case = case("stable");
    let written = Written::new(&case, "peft", unchanged);
    let home = TempDir::new().unwrap();
    let folder = home.path().join("loras/mine");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, _) in &written.loras {
        std::fs::copy(written.path(name), folder.join(format!("{name}.safetensors"))).unwrap();
    }
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let prompt = Some("a red cat <lora:soft:0.75><lora:sharp:-0.5>".to_owned());
    let picture = app.run(Job::Draw(Draw { prompt, ..draw(&case) })).find_map(|event| match event {
        Event::Picture(picture) => Some(picture),
        _ => None,
    });
    expect_pixels(&picture.unwrap(), &case);
}

fn refused(job: Draw) -> Failure {
    drawn(job).unwrap_err()
}

#[test]
fn loras_that_are_not_there_or_cannot_be_added_are_refused_by_name() {
    let case = case("stable");
    let written = Written::new(&case, "kohya", unchanged);
    let folder = Some(written.folder.path().display().to_string());
    let plain = Draw { lora_folder: folder, ..draw(&case) };
    let with_prompt = |prompt: &str| Draw { prompt: Some(prompt.into()), ..plain.clone() };
    let with_file =
        |file: &str, weight| Draw { loras: vec![Lora { file: file.into(), weight }], ..plain.clone() };
    let soft = written.path("soft");
    for (job, code, says) in [
        (with_prompt("a <lora:none:1>"), "no_such_file", "there are sharp, soft"),
        (with_prompt("a <lora:../soft:1>"), "no_such_file", "../soft"),
        (with_prompt("a <hypernet:soft:1>"), "bad_prompt", "<hypernet:soft>"),
        (with_prompt("a <lora:soft:much>"), "bad_prompt", "no number"),
        (with_file("nowhere.safetensors", None), "no_such_file", "nowhere"),
        (with_file(&soft, Some(f64::NAN)), "bad_setting", "NaN"),
        (Draw { lora_folder: Some("no/such".into()), ..plain.clone() }, "no_such_file", "no/such"),
    ] {
        let job = if says == "no/such" { Draw { prompt: Some("<lora:soft>".into()), ..job } } else { job };
        let failure = refused(job);
        assert!(failure.code == code && failure.message.contains(says), "{says}: {failure:?}");
        assert!(!failure.hint.is_empty(), "{failure:?}");
    }
    let other = |name: &str, shape: &[usize]| -> Named {
        (name.to_owned(), shape.to_vec(), vec![0.5; shape.iter().product()])
    };
    for (tensor, says) in [
        (other("lora_unet_x.hada_w1_a", &[2, 2]), "LoHa"),
        (other("lora_unet_x.lokr_w1", &[2, 2]), "LoKr"),
        (other("lora_unet_x.dora_scale", &[2, 1]), "DoRA"),
        (other("strange", &[2, 2]), "strange"),
        (other("lora_unet_x.lora_down.weight", &[2, 2]), "lora_unet_x"),
        (other("lora_unet_x.alpha", &[]), "lora_unet_x"),
    ] {
        let path = written.folder.path().join("odd.safetensors");
        write(&path, &[tensor], Metadata::new("lora"));
        let failure = refused(with_file(&path.display().to_string(), None));
        assert!(failure.message.contains(says) && failure.message.starts_with("odd"), "{says}: {failure:?}");
    }
    // Halves that do not fit each other, and a file that is none.
    let path = written.folder.path().join("odd.safetensors");
    let halves = [other("a.lora_A.weight", &[2, 3]), other("a.lora_B.weight", &[3, 1])];
    write(&path, &halves, Metadata::new("lora"));
    assert!(refused(with_file(&path.display().to_string(), None)).message.contains("other half"));
    std::fs::write(&path, b"no tensors").unwrap();
    assert!(!refused(with_file(&path.display().to_string(), None)).hint.is_empty());
}

#[test]
fn loras_of_other_models_are_refused_and_told_for_what_they_are() {
    let bases = ["stable", "sdxl", "flux-schnell"];
    let says = ["whose text is 16 wide", "whose text is 192 wide", "one for FLUX"];
    for base in bases {
        let case = case(base);
        let (mut job, _model) = model(&Json::Object({
            let mut with = case.as_object().unwrap().clone();
            with.entry("negative").or_insert("".into());
            with
        }));
        for (other, says) in bases.iter().zip(says).filter(|(other, _)| **other != base) {
            for layout in ["kohya", "peft"] {
                let written = Written::new(&self::case(other), layout, unchanged);
                job.loras = written.named();
                let failure = refused(job.clone());
                assert!(failure.message.contains(says), "{base} {other} {layout}: {failure:?}");
                assert!(failure.message.contains("layers, such as \""), "{failure:?}");
                assert!(failure.hint.contains("made for"), "{failure:?}");
            }
        }
    }
    // A layer of another shape, and one that the model does not have, are seen when the model is there.
    let case = case("stable");
    for wrong in ["down_blocks_9", "mid_block_resnets_0_conv1"] {
        let written = Written::new(&case, "kohya", |mut tensors| {
            let rank = if wrong.contains("conv") { 5 } else { 2 };
            let sizes: [(&str, [usize; 2]); 2] = [("lora_down", [rank, 3]), ("lora_up", [3, rank])];
            for (half, size) in sizes {
                let name = format!("lora_unet_{wrong}.{half}.weight");
                tensors.retain(|(known, ..)| *known != name);
                tensors.push((name, size.to_vec(), vec![0.5; size[0] * size[1]]));
            }
            tensors
        });
        let job = Draw { loras: written.named(), ..draw(&case) };
        let failure = refused(job);
        assert!(failure.message.contains(wrong), "{failure:?}");
    }
}

/// Where a file says its alphas in its settings.
#[test]
fn alphas_in_the_settings_are_read() {
    let case = case("stable");
    let folder = TempDir::new().unwrap();
    let settings =
        r#"{"unet.r": 2, "unet.lora_alpha": 1, "text_encoder.lora_alpha": 1, "unet.use_dora": false}"#;
    let mut loras = Vec::new();
    for lora in case["loras"].as_array().unwrap() {
        let mut tensors = tensors(lora, "peft");
        // The file has ways up that are half as long, for an alpha that is the rank.
        for (name, _, values) in &mut tensors {
            let factor = if name.contains("lora_B") { 2.0 } else { 1.0 };
            values.iter_mut().for_each(|value| *value *= factor);
        }
        let path: PathBuf = folder.path().join(format!("{}.safetensors", lora["name"].as_str().unwrap()));
        let mut metadata = Metadata::new("lora");
        metadata.insert("lora_adapter_metadata", Value::String(settings.into()));
        write(&path, &tensors, metadata);
        loras.push(Lora { file: path.display().to_string(), weight: lora["weight"].as_f64() });
    }
    let (pictures, _) = drawn(Draw { loras: loras.clone(), ..draw(&case) }).unwrap();
    expect_pixels(&pictures[0], &case);
    let mut metadata = Metadata::new("lora");
    metadata.insert("lora_adapter_metadata", Value::String(r#"{"unet.use_dora": true}"#.into()));
    let pair = tensors(&case["loras"][0], "peft");
    write(Path::new(&loras[0].file), &pair, metadata);
    assert!(refused(Draw { loras, ..draw(&case) }).message.contains("use_dora"));
}
