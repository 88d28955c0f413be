//! Pictures made larger beside what the same networks make of them in plain PyTorch (`fixtures/draw/upscale.py`).

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use app::event::draw::Picture;
use app::job::draw::{Draw, File, Precision, Recipe};
use app::job::upscale::Upscale;
use app::{App, Event, Failure, Job, Settings};
use diffuse::pipeline::{Tiling, enlarged};
use diffuse::raster::Raster;
use formats::FileBytes;
use models::images::upscaler::Upscaler;
use serde_json::Value as Json;
use tempfile::TempDir;

use super::changed::file;
use super::single::{pickled, write_tensors};
use super::{cases as drawings, draw, drawn, expect_pixels, pixels, seeded};

const CASES: &str = include_str!("../../../../fixtures/draw/upscale.json");

type Named = Vec<(String, Vec<usize>, Vec<u8>)>;
type Called = dyn Fn(&str) -> String;

fn case(kind: &str) -> Json {
    let cases: Vec<Json> = serde_json::from_str(CASES).unwrap();
    cases.into_iter().find(|case| case["kind"] == kind).unwrap()
}

/// The tensor called `name`: the formula of `weight` in `upscale.py`.
fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let is_last = name.starts_with("conv_last");
    let uniform = seeded::uniform(name, shape.iter().product());
    if name.ends_with("bias") {
        return uniform.map(|number| if is_last { 0.5 } else { 0.0 } + 0.1 * number).collect();
    }
    let gain = if is_last { 0.15 } else { 1.0 };
    let inputs: usize = shape[1..].iter().product();
    let amplitude = (gain * (3.0 / inputs as f64).sqrt()) as f32;
    uniform.map(|number| amplitude * number).collect()
}

/// The tensors of a network under the names that `called` makes of those of Real-ESRGAN.
fn tensors(case: &Json, called: impl Fn(&str) -> String) -> Named {
    let listed: BTreeMap<String, Vec<usize>> = serde_json::from_value(case["tensors"].clone()).unwrap();
    let tensors = listed.into_iter().map(|(name, shape)| {
        let bytes = weight(&name, &shape).into_iter().flat_map(f32::to_le_bytes).collect();
        (called(&name), shape, bytes)
    });
    tensors.collect()
}

/// The names of ESRGAN's code.
fn trunk(name: &str) -> String {
    let pairs = [
        ("conv_body", "trunk_conv"),
        ("body.", "RRDB_trunk."),
        (".rdb", ".RDB"),
        ("conv_up", "upconv"),
        ("conv_hr", "HRconv"),
    ];
    pairs.iter().fold(name.to_owned(), |name, (new, old)| name.replace(new, old))
}

/// The names of the training code before that: places in a sequence, of a network of two blocks.
fn sequence(name: &str, n_doublings: usize) -> String {
    let (stem, kind) = name.rsplit_once('.').unwrap();
    let stem = match stem {
        "conv_first" => "model.0".into(),
        "conv_body" => "model.1.sub.2".into(),
        "conv_hr" => format!("model.{}", 3 * n_doublings + 2),
        "conv_last" => format!("model.{}", 3 * n_doublings + 4),
        _ => match stem.strip_prefix("conv_up") {
            Some(number) => format!("model.{}", 3 * number.parse::<usize>().unwrap()),
            None => stem.replace("body.", "model.1.sub.").replace("rdb", "RDB") + ".0",
        },
    };
    format!("{stem}.{kind}")
}

/// The corner of the photo that was made larger there.
fn corner(case: &Json) -> File {
    let [width, height]: [usize; 2] = serde_json::from_value(case["corner"].clone()).unwrap();
    let photo = Raster::read(&file("photo.png").bytes).unwrap();
    let row = |row: usize| &photo.data()[row * 40 * 3..(row * 40 + width) * 3];
    let colours: Vec<u8> = (0..height).flat_map(row).copied().collect();
    let png = diffuse::recipe::picture::write(&colours, (width as u32, height as u32), None).unwrap();
    File { name: "corner.png".into(), bytes: png }
}

fn made(path: &Path, picture: File) -> Result<Picture, Failure> {
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let job = Upscale {
        model: path.display().to_string(),
        picture,
        precision: Some(Precision::F32),
        recipe: Recipe::Written,
    };
    let mut found = None;
    for event in app.run(Job::Upscale(job)) {
        match event {
            Event::Picture(picture) => found = Some(picture),
            Event::Failed(failure) => return Err(failure),
            _ => {}
        }
    }
    Ok(found.unwrap())
}

fn place(name: &str) -> (TempDir, PathBuf) {
    let place = TempDir::new().unwrap();
    let path = place.path().join(name);
    (place, path)
}

#[test]
fn pictures_become_what_the_networks_make_of_them() {
    for (kind, scale, n_doublings) in [("four", 4, 2), ("two", 2, 2), ("once", 2, 1)] {
        let case = case(kind);
        let (_place, path) = place("x.safetensors");
        // Squares of pixels are an invention of Real-ESRGAN, a single doubling one of sequences.
        let layouts: [Box<Called>; 3] =
            [Box::new(str::to_owned), Box::new(trunk), Box::new(move |name| sequence(name, n_doublings))];
        for called in layouts {
            write_tensors(&tensors(&case, called), &path);
            let picture = made(&path, corner(&case)).unwrap();
            assert_eq!(picture.size, [20 * scale, 12 * scale]);
            expect_pixels(&picture, &case);
        }
    }
}

#[test]
fn checkpoints_of_trainers_are_read_and_never_run() {
    let case = case("four");
    for holder in ["params_ema", "params"] {
        let (_place, path) = place("RealESRGAN_x4.pth");
        pickled(&tensors(&case, str::to_owned), holder, &path);
        expect_pixels(&made(&path, corner(&case)).unwrap(), &case);
    }
}

/// As far as a network of this size sees, tiles give the whole picture; with less around them, nearly.
#[test]
fn tiles_make_what_the_whole_picture_becomes() {
    let case = case("two");
    let (_place, path) = place("x.safetensors");
    write_tensors(&tensors(&case, str::to_owned), &path);
    let file = formats::read(&FileBytes::open(&path).unwrap()).unwrap();
    let device = ops::device::cpu();
    let model = Upscaler::load(&file, &device).unwrap();
    let [width, height] = [190, 11];
    let colour = |at: usize| (at * 37 % 251) as u8 / 2 + if (at / 90).is_multiple_of(2) { 100 } else { 0 };
    let picture = Raster::new((0..width * height * 3).map(colour).collect(), [width, height]).unwrap();
    let of = |side, margin| {
        let mut n = 0;
        let mut watch = |done, all| {
            n += 1;
            assert!(done == n && done <= all);
            ControlFlow::Continue(())
        };
        let how = (ops::Precision::F32, &device);
        let large = enlarged((&model, Tiling { side, margin }), &picture, how, &mut watch).unwrap();
        assert_eq!(large.size(), [2 * width, 2 * height]);
        (large, n)
    };
    let (whole, n_tiles) = of(192, 0);
    assert_eq!(n_tiles, 1);
    // Half of the pixels of 33 layers of convolutions, of squares of two.
    let (tiled, n_tiles) = of(32, 68);
    assert_eq!((n_tiles, tiled == whole), (6, true));
    let apart = |tiled: &Raster| {
        let pairs = tiled.data().iter().zip(whole.data());
        pairs.map(|(found, expected)| found.abs_diff(*expected)).max().unwrap()
    };
    let (usual, bare) = (apart(&of(32, 16).0), apart(&of(32, 0).0));
    println!("farthest from the whole picture: {usual} with 16 pixels around tiles, {bare} with none");
    assert!(usual <= 2 && bare > usual, "{usual}, {bare}");
    // Who does not want it any more ends it at the next tile.
    let how = (ops::Precision::F32, &device);
    let stopped =
        enlarged((&model, Tiling { side: 32, margin: 0 }), &picture, how, &mut |_, _| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(diffuse::Error::Stopped { step: 1 })));
}

#[test]
fn drawings_are_made_larger_and_say_so() {
    let case = case("four");
    let (_place, path) = place("RealESRGAN_x4.safetensors");
    write_tensors(&tensors(&case, str::to_owned), &path);
    let plain = draw(&drawings()[0]);
    let upscaler = Some(path.display().to_string());
    let large = drawn(Draw { upscaler, n: 2, ..plain.clone() }).unwrap().0;
    assert_eq!(large.iter().map(|picture| picture.size).collect::<Vec<_>>(), [[128, 128]; 2]);
    let small = drawn(plain).unwrap().0.remove(0);
    let again = made(&path, File { name: "small.png".into(), bytes: small.png }).unwrap();
    assert_eq!(pixels(&again), pixels(&large[0]));
    for picture in [&again, &large[0]] {
        let text = &picture.parameters;
        assert!(text.contains("Size: 32x32") && text.contains("Seed: 7"), "{text}");
        assert!(text.contains("Postprocess upscaler: RealESRGAN_x4.safetensors"), "{text}");
        assert!(text.contains("Postprocess upscale by: 4"), "{text}");
        let read = diffuse::recipe::picture::read(&picture.png).unwrap().unwrap();
        assert_eq!(&read.to_text(), text);
    }
}

#[test]
fn what_cannot_be_made_larger_is_refused_by_name() {
    let case = case("four");
    let (_place, path) = place("x.safetensors");
    let refused = |tensors: &Named| {
        write_tensors(tensors, &path);
        made(&path, corner(&case)).unwrap_err()
    };
    let whole = tensors(&case, str::to_owned);
    let without = |name: &str| whole.iter().filter(|tensor| tensor.0 != name).cloned().collect::<Named>();
    let failure = refused(&without("body.0.rdb1.conv1.weight"));
    assert_eq!(failure.code, "unknown_family", "{failure:?}");
    let failure = refused(&without("body.1.rdb3.conv5.bias"));
    assert!(failure.message.contains("body.1.rdb3.conv5.bias"), "{failure:?}");
    let mut other = whole.clone();
    let first = other.iter_mut().find(|tensor| tensor.0 == "conv_first.weight").unwrap();
    first.1 = vec![16, 1, 9, 3];
    let failure = refused(&other);
    assert!(failure.message.contains("conv_first"), "{failure:?}");
    let mut plus = whole.clone();
    plus.push(("body.0.rdb1.conv1x1.weight".into(), vec![8, 16, 1, 1], vec![0; 512]));
    assert!(refused(&plus).message.contains("ESRGAN+"));
    let failure = made(Path::new("no/such.pth"), corner(&case)).unwrap_err();
    assert_eq!(failure.code, "no_such_file");
    write_tensors(&whole, &path);
    let failure = made(&path, File { name: "a.gif".into(), bytes: b"GIF89a".to_vec() }).unwrap_err();
    assert!(failure.message.starts_with("a.gif: "), "{failure:?}");
    // One that would become too wide.
    let wide = diffuse::recipe::picture::write(&[9; 4200 * 3], (4200, 1), None).unwrap();
    let failure = made(&path, File { name: "wide.png".into(), bytes: wide }).unwrap_err();
    assert!(failure.message.contains("4200 x 1") && failure.message.contains("16800 x 4"), "{failure:?}");
    let job = Draw { upscaler: Some("no/such.pth".into()), ..draw(&drawings()[0]) };
    assert_eq!(drawn(job).unwrap_err().code, "no_such_file");
}
