//! What is seen of a drawing from inside, beside what attention processors of `diffusers` see (`fixtures/draw/looked.py`).

use app::event::glass::{Glass, Place, Sheet};
use app::job::draw::{Draw, Inside};
use app::{App, Event, Job, Settings};
use serde_json::Value as Json;
use tempfile::TempDir;

use super::changed::copy;
use super::{draw, folder, pixels};

const CASE: &str = include_str!("../../../../fixtures/draw/looked.json");
/// What queries and keys of the attentions to the text are multiplied by, as in the script.
const SHARPER: f32 = 3.5;
/// Grey has 255 steps, and sums of the reference are rounded.
const MAX_APART: f32 = 1.0 / 255.0;

/// The folder `stable` with a sharper attention.
fn sharper() -> TempDir {
    let made = TempDir::new().unwrap();
    copy(&folder(), made.path());
    let path = made.path().join("unet/diffusion_pytorch_model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let tensors: serde_json::Map<String, Json> = serde_json::from_slice(&bytes[8..header]).unwrap();
    let is_one = |name: &str| name.contains("attn2.to_q") || name.contains("attn2.to_k");
    for (_, tensor) in tensors.iter().filter(|(name, _)| is_one(name)) {
        let place = |at: usize| header + tensor["data_offsets"][at].as_u64().unwrap() as usize;
        for number in bytes[place(0)..place(1)].chunks_exact_mut(4) {
            let sharp = f32::from_le_bytes(number.try_into().unwrap()) * SHARPER;
            number.copy_from_slice(&sharp.to_le_bytes());
        }
    }
    std::fs::write(path, bytes).unwrap();
    made
}

/// The inside of a drawing, and its events in the order in which they were told.
fn looked(job: Draw) -> (Glass, Vec<Event>) {
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let events: Vec<Event> = app.run(Job::Draw(job)).collect();
    let glass = events.iter().find_map(|event| match event {
        Event::Glass(glass) => Some(glass.as_ref().clone()),
        _ => None,
    });
    (glass.unwrap_or_else(|| panic!("{events:?}")), events)
}

/// The first colour of every pixel.
fn reds(sheet: &Sheet) -> Vec<f32> {
    let picture = app::event::draw::Picture {
        index: 0,
        seed: 0,
        size: sheet.size,
        png: sheet.png.clone(),
        parameters: String::new(),
    };
    pixels(&picture).chunks(3).map(|pixel| pixel[0] as f32).collect()
}

#[test]
fn words_look_where_those_of_diffusers_look() {
    let (case, model): (Json, _) = (serde_json::from_str(CASE).unwrap(), sharper());
    let job = Draw { model: Some(model.path().display().to_string()), inside: Inside::Told, ..draw(&case) };
    let (glass, _) = looked(job);
    let words: Vec<String> = serde_json::from_value(case["words"].clone()).unwrap();
    assert_eq!(glass.words, words);
    let read = glass.encoders[0].tokens.iter().filter(|token| token.place != Place::Mark);
    let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
    assert_eq!(read.map(|token| token.id).collect::<Vec<_>>(), ids);
    let expected: Vec<Vec<Vec<f32>>> = serde_json::from_value(case["maps"].clone()).unwrap();
    assert_eq!(glass.steps.len(), expected.len());
    for (step, expected) in glass.steps.iter().zip(&expected) {
        assert_eq!(step.maps.len(), words.len());
        for ((map, expected), word) in step.maps.iter().zip(expected).zip(&words) {
            let most = expected.iter().copied().fold(0.0, f32::max);
            assert!((map.most - most).abs() < 1e-4, "{word}: {} for {most}", map.most);
            let found = reds(&map.sheet);
            assert_eq!((map.sheet.size, found.len()), ([24, 16], expected.len()));
            let apart = found.iter().zip(expected).map(|(grey, share)| (grey / 255.0 - share / most).abs());
            let apart = apart.fold(0.0, f32::max);
            assert!(apart <= MAX_APART, "step {} {word}: {apart}", step.index);
        }
    }
}

#[test]
fn everything_inside_is_told_before_the_end_and_changes_no_picture() {
    let case: Json = serde_json::from_str(CASE).unwrap();
    let plain = Draw { steps: Some(7), prompt: Some("a (red:1.5) cat".into()), ..draw(&case) };
    let (glass, events) = looked(Draw { inside: Inside::Told, ..plain.clone() });
    let n = events.len();
    assert!(matches!(events[n - 2..], [Event::Glass(_), Event::Drawn(_)]), "{events:?}");
    let picture = events.iter().find_map(|event| match event {
        Event::Picture(picture) => Some(picture.clone()),
        _ => None,
    });
    assert_eq!(vec![picture.unwrap()], super::drawn(plain).unwrap().0);
    let weights: Vec<f64> = glass.encoders[0].tokens.iter().map(|token| token.weight).collect();
    assert_eq!(weights, [1.0, 1.0, 1.5, 1.0, 1.0]);
    let rows: Vec<usize> = glass.encoders[0].tokens.iter().map(|token| token.row).collect();
    assert_eq!((rows, glass.row_width), (vec![0, 1, 2, 3, 4], 16));
    assert_eq!(glass.rows.as_ref().unwrap().size, [16, 5]);
    assert_eq!(glass.channels.len(), 4);
    assert_eq!(glass.channels[0].size, [24, 16]);
    // Of seven steps five have maps, and all have pictures.
    let with_maps: Vec<usize> =
        glass.steps.iter().filter(|step| step.maps.len() == 3).map(|step| step.index).collect();
    assert_eq!(with_maps, [0, 1, 3, 4, 6]);
    assert!(glass.steps.iter().all(|step| step.noisy.is_some() && step.seen.is_some()));
    assert_eq!(glass.noise, glass.steps[0].noisy);
    assert!(glass.steps.is_sorted_by(|before, after| before.sigma > after.sigma));
    assert_eq!(glass.no_maps, None);
}

/// A prompt of several chunks, a sampler that asks twice in a step, and prompts of different lengths.
#[test]
fn long_prompts_are_looked_into_as_well() {
    let case: Json = serde_json::from_str(CASE).unwrap();
    let prompt = format!("{}cat", "red ".repeat(76));
    let job = Draw {
        prompt: Some(prompt),
        sampler: Some("Heun".into()),
        steps: Some(2),
        inside: Inside::Told,
        ..draw(&case)
    };
    let (glass, _) = looked(job);
    let last = &glass.encoders[0].tokens[77..];
    // The second chunk: its beginning, two words, its end.
    assert_eq!(last.iter().map(|token| token.row).collect::<Vec<_>>(), [77, 78, 79, 80]);
    assert_eq!(last[2].text, "cat");
    assert_eq!(glass.steps[1].maps.len(), 24);
    let map = &glass.steps[1].maps[0];
    assert!(map.most > 0.0 && map.most < 0.2, "{}", map.most);
}
