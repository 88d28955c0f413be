//! Image models in the store.

use app::event::library::Ability;
use app::job::draw::Draw;
use app::job::{Generate, Import, Placement, Prompt};
use app::{App, Event, Failure, Job, Settings};
use tempfile::TempDir;

use super::{cases, draw, expect_pixels, folder};

fn last(app: &App, job: Job) -> Result<Vec<Event>, Failure> {
    let events: Vec<Event> = app.run(job).collect();
    match events.last() {
        Some(Event::Failed(failure)) => Err(failure.clone()),
        _ => Ok(events),
    }
}

fn with_model(placement: Placement) -> (TempDir, App) {
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let import = Import { path: folder(), name: Some("painter".into()), placement, tokenizer: None };
    let events = last(&app, Job::Import(import)).unwrap();
    let Some(Event::Stored(model)) = events.last() else { panic!("{events:?}") };
    assert_eq!(model.architecture, "StableDiffusionPipeline");
    (home, app)
}

#[test]
fn a_model_of_the_store_draws_what_its_folder_draws() {
    for placement in [Placement::Copy, Placement::InPlace] {
        let (_home, app) = with_model(placement);
        let case = &cases()[0];
        let job = Draw { model: Some("painter".into()), ..draw(case) };
        let events = last(&app, Job::Draw(job)).unwrap();
        let pictures = events.iter().filter_map(|event| match event {
            Event::Picture(picture) => Some(picture),
            _ => None,
        });
        let pictures: Vec<_> = pictures.collect();
        assert_eq!(pictures.len(), 1);
        expect_pixels(pictures[0], case);
        let recipe = diffuse::recipe::picture::read(&pictures[0].png).unwrap().unwrap();
        assert_eq!(recipe.model.as_deref(), Some("painter"));
        // Its name in a picture is enough to make that again.
        let from = Some(app::job::draw::File { name: "it.png".into(), bytes: pictures[0].png.clone() });
        let again = Draw { model: None, from, prompt: None, ..draw(case) };
        let events = last(&app, Job::Draw(again)).unwrap();
        let is_same = |event: &Event| matches!(event, Event::Picture(again) if again.png == pictures[0].png);
        assert!(events.iter().any(is_same));
    }
}

#[test]
fn a_model_of_the_store_is_shown_as_what_it_is() {
    let (_home, app) = with_model(Placement::Copy);
    let events = last(&app, Job::Show { model: "painter".into() }).unwrap();
    let Some(Event::Details(details)) = events.last() else { panic!("{events:?}") };
    assert_eq!(details.abilities, [Ability::Draw]);
    assert_eq!(details.model.architecture, "StableDiffusionPipeline");
    assert!(details.sizes.contains(&("picture".into(), "32 x 32".into())), "{:?}", details.sizes);
    assert!(details.tensors.iter().any(|(name, ..)| name == "unet.conv_in.weight"));
    assert!(details.n_parameters > 100_000, "{}", details.n_parameters);
    let events = last(&app, Job::List).unwrap();
    let Some(Event::Models { models, .. }) = events.last() else { panic!("{events:?}") };
    let painter = models.iter().find(|model| model.name == "painter").unwrap();
    assert_eq!(painter.architecture, "StableDiffusionPipeline");
}

#[test]
fn who_asks_the_wrong_model_is_told_the_right_command() {
    let (_home, app) = with_model(Placement::Copy);
    let failure = last(&app, Job::Show { model: "painter".into() }).map(|_| ()).err();
    assert!(failure.is_none(), "{failure:?}");
    let ask = Job::Generate(Generate::new("painter", Prompt::Raw("hello".into())));
    let failure = last(&app, ask).unwrap_err();
    assert!(failure.code == "wrong_task" && failure.hint.starts_with("hearth draw"), "{failure:?}");
    let failure =
        last(&app, Job::Draw(Draw { model: Some("starter".into()), ..draw(&cases()[0]) })).unwrap_err();
    assert!(failure.code == "wrong_task" && failure.hint.contains("hearth run starter"), "{failure:?}");
}

#[test]
fn a_folder_without_one_of_its_parts_is_not_stored() {
    let broken = TempDir::new().unwrap();
    for name in ["model_index.json", "scheduler/scheduler_config.json", "unet/config.json"] {
        let to = broken.path().join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(folder().join(name), to).unwrap();
    }
    let home = TempDir::new().unwrap();
    let app = App::open(Settings { home: home.path().into(), ..Settings::default() }).unwrap();
    let import = Import {
        path: broken.path().into(),
        name: Some("broken".into()),
        placement: Placement::Copy,
        tokenizer: None,
    };
    let failure = last(&app, Job::Import(import)).unwrap_err();
    assert_eq!(failure.code, "bad_file", "{failure:?}");
    assert!(failure.message.contains("text_encoder"), "{failure:?}");
}
