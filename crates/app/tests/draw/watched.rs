//! What is told of pictures on their way, what becomes of those that somebody stops, masks of other kinds, and drawings of
//! several people at once.

use app::event::draw::{Begun, Preview};
use app::job::draw::{Draw, File, Masked, Previews, Start, Unfinished};
use app::{App, Caller, Event, Job, Settings};
use tempfile::TempDir;

use super::{cases, draw, drawn, pixels};

fn home() -> (TempDir, App) {
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    (home, app)
}

#[test]
fn drawings_compute_behind_answers() {
    let (_home, app) = home();
    let steps = app
        .run(Job::Draw(Draw { n: 500, ..draw(&cases()[0]) }))
        .filter(|event| matches!(event, Event::Drawing(_)));
    // The other pictures are not drawn yet.
    assert!(steps.take(2).all(|_| kernels::pool::has_batch_work()));
}

#[test]
fn previews_are_told_when_they_are_due_and_change_no_picture() {
    let plain = Draw { steps: Some(5), n: 2, ..draw(&cases()[0]) };
    let (expected, _) = drawn(plain.clone()).unwrap();
    let (_home, app) = home();
    let (mut begun, mut previews, mut pictures): (Vec<Begun>, Vec<Preview>, Vec<_>) = Default::default();
    for event in app.run(Job::Draw(Draw { previews: Some(Previews::Every(2)), ..plain })) {
        match event {
            Event::Begun(told) => begun.push(*told),
            Event::Preview(preview) => previews.push(preview),
            Event::Picture(picture) => pictures.push(picture),
            Event::Failed(failure) => panic!("{failure:?}"),
            _ => {}
        }
    }
    assert_eq!(pictures, expected);
    let told: Vec<_> = previews.iter().map(|it| (it.index, it.seed, it.steps_done, it.size)).collect();
    assert_eq!(told, [(0, 7, 2, [16, 16]), (0, 7, 4, [16, 16]), (1, 8, 2, [16, 16]), (1, 8, 4, [16, 16])]);
    assert!(previews.iter().all(|preview| preview.png.starts_with(b"\x89PNG")));
    assert_ne!(previews[0].png, previews[1].png);
    let [begun] = begun.as_slice() else { panic!("{begun:?}") };
    assert_eq!((begun.n_pictures, begun.seed, begun.size, begun.steps), (2, 7, [32, 32], 5));
    assert_eq!((begun.sampler.as_str(), begun.schedule.as_str(), begun.guidance), ("Euler", "Linspace", 3.0));
    assert!(begun.n_prompt_tokens > 0 && begun.model == "stable", "{begun:?}");
}

#[test]
fn who_stops_may_have_the_picture_as_far_as_it_was() {
    let stopped = |unfinished| {
        let (_home, app) = home();
        let mut running = app.run(Job::Draw(Draw { steps: Some(1000), unfinished, ..draw(&cases()[0]) }));
        let canceller = running.canceller();
        let (mut pictures, mut end) = (Vec::new(), None);
        for event in &mut running {
            match event {
                Event::Drawing(_) => canceller.cancel(),
                Event::Picture(picture) => pictures.push(picture),
                Event::Failed(failure) => end = Some(failure.code),
                _ => {}
            }
        }
        assert_eq!(end.as_deref(), Some("stopped"));
        pictures
    };
    assert!(stopped(Unfinished::Dropped).is_empty());
    let [picture] = &stopped(Unfinished::Told)[..] else { panic!("one picture") };
    assert_eq!((picture.index, picture.seed, picture.size), (0, 7, [32, 32]));
    assert!(picture.parameters.contains("Seed: 7"));
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(testkit::shared::root().join("fixtures/draw").join(name)).unwrap()
}

/// A PNG of as many channels, whose pixels are made of those of another.
fn changed(png: &[u8], kind: png::ColorType, pixel: impl Fn(u8) -> Vec<u8>) -> File {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    let channels = info.color_type.samples();
    let data: Vec<u8> = data.chunks_exact(channels).flat_map(|found| pixel(found[0])).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, info.width, info.height);
    encoder.set_color(kind);
    encoder.write_header().unwrap().write_image_data(&data).unwrap();
    File { name: "mask.png".into(), bytes }
}

#[test]
fn masks_may_be_white_black_or_clear() {
    let mask = file("mask.png");
    let of = |mask: File, masked| {
        let picture = File { name: "photo.png".into(), bytes: file("photo.png") };
        let start = Start { picture, mask: Some(mask), masked, strength: Some(0.8), part: None };
        drawn(Draw { start: Some(start), ..draw(&cases()[0]) }).map(|(pictures, _)| pixels(&pictures[0]))
    };
    let white = of(File { name: "mask.png".into(), bytes: mask.clone() }, Masked::White).unwrap();
    let black = changed(&mask, png::ColorType::Grayscale, |white| vec![!white]);
    assert_eq!(of(black.clone(), Masked::Black).unwrap(), white);
    let clear = changed(&mask, png::ColorType::Rgba, |white| vec![9, 8, 7, !white]);
    assert_eq!(of(clear, Masked::Clear).unwrap(), white);
    assert_ne!(of(black.clone(), Masked::White).unwrap(), white);
    let failure = of(black, Masked::Clear).unwrap_err();
    assert!(
        failure.message.starts_with("mask.png: ") && failure.message.contains("transparent"),
        "{failure:?}"
    );
}

#[test]
fn drawings_at_once_are_those_that_are_made_alone() {
    let jobs: Vec<Draw> = cases().iter().map(|case| Draw { steps: Some(6), n: 2, ..draw(case) }).collect();
    let (_home, app) = home();
    let started: Vec<_> = jobs.iter().map(|job| app.run(Job::Draw(job.clone()))).collect();
    for (running, job) in started.into_iter().zip(jobs) {
        let told = running.filter_map(|event| match event {
            Event::Picture(picture) => Some(picture),
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), drawn(job).unwrap().0);
    }
}

/// A drawing that somebody asks for over a network is held to more, and is written into the ledger.
#[test]
fn drawings_from_afar_are_bounded_and_counted() {
    let (folder, app) = home();
    let import = app::job::Import {
        path: super::folder(),
        name: Some("painter".into()),
        placement: app::job::Placement::Copy,
        tokenizer: None,
    };
    assert!(matches!(app.run(Job::Import(import)).last(), Some(Event::Stored(_))));
    let doors = app.doors().unwrap();
    let plain = Draw { model: Some("painter".into()), n: 3, ..draw(&cases()[1]) };
    let end = |job: Draw| app.run_counted(&doors, Caller::default(), Job::Draw(job)).last();
    let code = |job: Draw| match end(job) {
        Some(Event::Failed(failure)) => failure.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code(draw(&cases()[0])), "model_not_found", "nobody names folders from afar");
    assert_eq!(code(Draw { n: 5, size: Some([4096, 4096]), ..plain.clone() }), "too_many_pixels");
    assert!(matches!(end(plain.clone()), Some(Event::Drawn(_))));
    let mut running =
        app.run_counted(&doors, Caller::default(), Job::Draw(Draw { steps: Some(1000), ..plain }));
    let canceller = running.canceller();
    for event in &mut running {
        if matches!(event, Event::Drawing(_)) {
            canceller.cancel();
        }
    }
    drop(app);
    let ledger = ledger::Ledger::open(folder.path()).unwrap();
    let rows = ledger.entries(0, 10).unwrap();
    let rows: Vec<_> =
        rows.iter().map(|(_, row)| (row.model.as_str(), row.answer_tokens, row.outcome)).collect();
    use ledger::Outcome::{Cancelled, Done, Refused};
    // Three pictures of 48 x 32 pixels, each six of 16 x 16.
    assert_eq!(rows, [("", 0, Refused), ("painter", 18, Done), ("painter", 0, Cancelled)]);
}
