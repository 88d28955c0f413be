//! Transformers in files of their own, in the layout of their makers and in every way that numbers are stored.

use std::path::{Path, PathBuf};

use app::job::draw::Draw;
use formats::metadata::Value;
use formats::{Metadata, TensorSpec, gguf};
use ops::weight::Storage;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::flow::{model, of, picture, psnr, weight, written};
use super::{drawn, expect_pixels, pixels};

/// What a picture keeps at least where weights have 16 bits, and where products take blocks.
const MIN_PSNR: f64 = 35.0;

/// A tensor of a file: its name, shape and numbers.
struct Made {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// The tensors of a transformer as its makers wrote it; every size that is `wider` times as wide in a wider model is.
fn tensors(kind: &str, wider: usize) -> Vec<Made> {
    type Listed = (String, Vec<usize>, Vec<String>, Json);
    let listed: Vec<Listed> = serde_json::from_value(written()["singles"][kind].clone()).unwrap();
    let wide = |size: usize| if size.is_multiple_of(32) && size != 256 { size * wider } else { size };
    let made = |(name, shape, parts, how): Listed| {
        let shape: Vec<usize> = shape.into_iter().map(wide).collect();
        if wider > 1 {
            let values = weight(&name, &shape);
            return Made { name, shape, values };
        }
        let all: Json = written()["tensors"][kind].clone();
        let shape_of = |part: &str| -> Vec<usize> {
            let file = format!("transformer/diffusion_pytorch_model.safetensors/{part}");
            serde_json::from_value(all[file].clone()).unwrap()
        };
        let mut values: Vec<f32> =
            parts.iter().flat_map(|part| weight(&format!("transformer.{part}"), &shape_of(part))).collect();
        if how == "swapped" {
            let half = values.len() / 2;
            values.rotate_left(half);
        }
        Made { name, shape, values }
    };
    listed.into_iter().map(made).collect()
}

/// Stores numbers so, where their rows are whole blocks; and the numbers that then stand there.
fn stored(made: &Made, storage: Storage) -> (Storage, Vec<u8>) {
    let is_matrix = made.shape.len() > 1;
    let is_whole = storage.size_bytes(&made.shape).is_some();
    let storage = if is_matrix && is_whole { storage } else { Storage::F32 };
    (storage, storage.narrow(&made.values))
}

/// A GGUF file of these tensors.
fn write(path: &Path, tensors: &[Made], storage: Storage) {
    let stored: Vec<_> = tensors.iter().map(|made| stored(made, storage)).collect();
    let spec = |(made, (storage, _)): (&Made, &(Storage, Vec<u8>))| TensorSpec {
        name: made.name.clone(),
        dtype: models::tensors::dtype_of(*storage),
        shape: made.shape.clone(),
    };
    let specs: Vec<TensorSpec> = tensors.iter().zip(&stored).map(spec).collect();
    let mut metadata = Metadata::new("transformer");
    metadata.insert("general.architecture", Value::from("flux"));
    let mut file = std::fs::File::create(path).unwrap();
    let mut writer = gguf::write(&mut file, &metadata, &specs).unwrap();
    stored.iter().for_each(|(_, bytes)| writer.append(bytes).unwrap());
    writer.finish().unwrap();
}

pub fn file(place: &TempDir, kind: &str, storage: Storage) -> PathBuf {
    let path = place.path().join("it.gguf");
    write(&path, &tensors(kind, 1), storage);
    path
}

fn with(job: Draw, file: &Path) -> Draw {
    Draw { transformer: Some(file.display().to_string()), ..job }
}

#[test]
fn transformers_in_the_layout_of_their_makers_draw_the_same() {
    for kind in ["flux-dev", "flux-schnell", "flux2-klein", "z-image"] {
        let (case, model) = (picture(kind), model(kind));
        std::fs::remove_file(model.path().join("transformer/diffusion_pytorch_model.safetensors")).unwrap();
        for storage in [Storage::F32, Storage::F16, Storage::Bf16] {
            let file = file(&model, kind, storage);
            let found = &drawn(with(of(&case, &model), &file)).unwrap().0[0];
            if storage == Storage::F32 {
                expect_pixels(found, &case);
            }
            let psnr = psnr(&pixels(found), &case["pixels"]);
            println!("{kind} {storage:?}: {psnr:.1} dB");
            assert!(psnr >= MIN_PSNR, "{kind} {storage:?}: {psnr} dB");
        }
        // In the folder it need not be named.
        std::fs::rename(file(&model, kind, Storage::F32), model.path().join("transformer/model-F32.gguf"))
            .unwrap();
        expect_pixels(&drawn(of(&case, &model)).unwrap().0[0], &case);
    }
}

/// Weights in blocks are computed with as the numbers that the blocks stand for.
#[test]
fn quantised_transformers_draw_what_their_numbers_draw() {
    const WIDER: usize = 8;
    let (case, model) = (picture("flux-schnell"), model("flux-schnell"));
    let path = model.path().join("transformer/config.json");
    let mut settings: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    settings["num_attention_heads"] = (2 * WIDER).into();
    std::fs::write(&path, settings.to_string()).unwrap();
    let tensors = tensors("flux-schnell", WIDER);
    let exact = model.path().join("exact.gguf");
    write(&exact, &tensors, Storage::F32);
    let unquantised = pixels(&drawn(with(of(&case, &model), &exact)).unwrap().0[0]);
    for name in ["Q8_0", "Q4_K"] {
        let storage = Storage::blocks_named(name).unwrap();
        let place = model.path().join("blocks.gguf");
        write(&place, &tensors, storage);
        let found = pixels(&drawn(with(of(&case, &model), &place)).unwrap().0[0]);
        let widened: Vec<Made> = tensors
            .iter()
            .map(|made| {
                let (storage, bytes) = stored(made, storage);
                let (name, shape) = (made.name.clone(), made.shape.clone());
                Made { name, shape, values: storage.widen(&bytes) }
            })
            .collect();
        write(&exact, &widened, Storage::F32);
        let expected = pixels(&drawn(with(of(&case, &model), &exact)).unwrap().0[0]);
        assert_ne!(expected, unquantised, "{name} changes the picture");
        let psnr = psnr(&found, &Json::from(expected));
        println!("{name}: {psnr:.1} dB");
        assert!(psnr >= MIN_PSNR, "{name}: {psnr} dB");
    }
}

#[test]
fn a_file_that_holds_no_transformer_or_another_is_refused_by_name() {
    let (case, model) = (picture("flux-dev"), model("flux-dev"));
    let refused = |file: &Path| {
        let failure = drawn(with(of(&case, &model), file)).unwrap_err();
        assert!(!failure.hint.is_empty() && failure.code != "internal", "{failure:?}");
        failure.message
    };
    assert!(refused(&model.path().join("none.gguf")).contains("none.gguf"));
    let path = model.path().join("it.gguf");
    let other = Made { name: "blk.0.attn_q.weight".into(), shape: vec![2, 2], values: vec![0.0; 4] };
    write(&path, &[other], Storage::F32);
    assert!(refused(&path).contains("no transformer"));
    // Of another model some tensors are missing, or have other shapes.
    for kind in ["flux2-klein", "z-image"] {
        write(&path, &tensors(kind, 1), Storage::F32);
        assert!(refused(&path).contains("it.gguf"));
    }
    let mut less = tensors("flux-dev", 1);
    less.retain(|made| made.name != "single_blocks.1.linear1.weight");
    write(&path, &less, Storage::F32);
    let message = refused(&path);
    assert!(message.contains("single_transformer_blocks.1"), "{message}");
    let whole = std::fs::read(file(&model, "flux-dev", Storage::F32)).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused(&path);
}
