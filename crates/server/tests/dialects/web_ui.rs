//! Pictures as clients of AUTOMATIC1111's web UI ask for them, with a miniature of an image model.

use app::Job;
use app::job::draw::{Draw, File, Fill, Generator, Masked, Part, Start, Variation};
use app::job::keys::{Create, Keys as KeyJob, Limits};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use testkit::wire;

use crate::house::House;
use crate::images::sides;

const WORDS: &str = "/sdapi/v1/txt2img";
const PICTURE: &str = "/sdapi/v1/img2img";

fn bytes(encoded: &Json) -> Vec<u8> {
    STANDARD.decode(encoded.as_str().unwrap()).unwrap()
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(testkit::shared::root().join("fixtures/draw").join(name)).unwrap()
}

fn body(more: Json) -> Json {
    let mut body = json!({
        "prompt": "a red cat", "negative_prompt": "on", "seed": 7, "steps": 3, "cfg_scale": 3.0, "width": 48,
        "height": 32, "sampler_name": "Euler a", "scheduler": "Karras",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The job that such a body stands for.
fn job() -> Draw {
    Draw {
        negative: Some("on".into()),
        size: Some([48, 32]),
        seed: Some(7),
        steps: Some(3),
        guidance: Some(3.0),
        sampler: Some("Euler a".into()),
        schedule: Some("Karras".into()),
        noise: Some(Generator::Nv),
        ..Draw::new("painter", "a red cat")
    }
}

fn images(told: &Json) -> Vec<Vec<u8>> {
    told["images"].as_array().unwrap().iter().map(bytes).collect()
}

fn info(told: &Json) -> Json {
    serde_json::from_str(told["info"].as_str().unwrap()).unwrap()
}

#[test]
fn pictures_of_words_are_those_of_the_command_and_say_how_they_were_made() {
    let house = House::new().with_painter();
    let told = house
        .ask(WORDS, &body(json!({ "batch_size": 2, "n_iter": 1, "styles": [], "eta": 1.0, "s_noise": 1 })));
    assert_eq!(images(&told), house.drawn(Draw { n: 2, ..job() }));
    assert_eq!(
        (&told["parameters"]["prompt"], &told["parameters"]["batch_size"]),
        (&json!("a red cat"), &json!(2))
    );
    let said = info(&told);
    assert_eq!((&said["seed"], &said["all_seeds"]), (&json!(7), &json!([7, 8])));
    assert_eq!(
        (&said["sampler_name"], &said["steps"], &said["width"]),
        (&json!("Euler a"), &json!(3), &json!(48))
    );
    assert_eq!((&said["sd_model_name"], &said["clip_skip"]), (&json!("painter"), &json!(1)));
    assert_eq!(said["all_prompts"], json!(["a red cat", "a red cat"]));
    let text = said["infotexts"][1].as_str().unwrap();
    assert!(
        text.starts_with("a red cat\nNegative prompt: on\nSteps: 3, Sampler: Euler a")
            && text.contains("Seed: 8"),
        "{text}"
    );
    // The file says the same.
    let png = json!({ "image": format!("data:image/png;base64,{}", told["images"][1].as_str().unwrap()) });
    let read = house.ask("/sdapi/v1/png-info", &png);
    assert_eq!((&read["info"], &read["items"]["parameters"]), (&said["infotexts"][1], &said["infotexts"][1]));
    let plain = STANDARD.encode(file("photo.png"));
    assert_eq!(house.ask("/sdapi/v1/png-info", &json!({ "image": plain }))["info"], "");
    // A second seed, the older name of a sampler with its schedule, and nothing but the words.
    let told =
        house.ask(WORDS, &body(json!({ "subseed": 40, "subseed_strength": 0.3, "send_images": false })));
    assert_eq!((images(&told).len(), &info(&told)["all_subseeds"]), (0, &json!([40])));
    let varied = house.ask(WORDS, &body(json!({ "subseed": 40, "subseed_strength": 0.3 })));
    let variation = Some(Variation { seed: Some(40), strength: 0.3 });
    assert_eq!(images(&varied), house.drawn(Draw { variation, ..job() }));
    let older =
        house.ask(WORDS, &body(json!({ "sampler_name": "DPM++ 2M Exponential", "scheduler": "Automatic" })));
    let (sampler, schedule) = (Some("DPM++ 2M".into()), Some("Exponential".into()));
    assert_eq!(images(&older), house.drawn(Draw { sampler, schedule, ..job() }));
}

#[test]
fn pictures_of_pictures_are_those_of_the_command() {
    let house = House::new().with_painter();
    let (photo, mask) = (file("photo.jpg"), file("mask.png"));
    let picture = STANDARD.encode(&photo);
    let of = |bytes: &[u8]| File { name: "a".into(), bytes: bytes.into() };
    let start =
        Start { picture: of(&photo), mask: None, masked: Masked::White, strength: Some(0.75), part: None };
    let expected = |start: Start| house.drawn(Draw { start: Some(start), ..job() });
    let plain = house.ask(PICTURE, &body(json!({ "init_images": [picture], "mask_blur": 4 })));
    assert_eq!(images(&plain), expected(start.clone()));
    assert_eq!(
        (&plain["parameters"]["init_images"], &info(&plain)["denoising_strength"]),
        (&json!(null), &json!(0.75))
    );
    let masked = |invert: u8| {
        let more = json!({
            "init_images": [format!("data:image/jpeg;base64,{picture}")], "mask": STANDARD.encode(&mask),
            "mask_blur": 0, "inpainting_fill": 1, "inpaint_full_res": false, "inpainting_mask_invert": invert,
            "denoising_strength": 1.0,
        });
        images(&house.ask(PICTURE, &body(more)))
    };
    let part = |masked| Start {
        mask: Some(of(&mask)),
        masked,
        strength: Some(1.0),
        part: Some(Part::default()),
        ..start.clone()
    };
    assert_eq!(masked(0), expected(part(Masked::White)));
    assert_eq!(masked(1), expected(part(Masked::Black)));
    assert_ne!(masked(0), masked(1));
}

#[test]
fn parts_of_pictures_are_made_anew_as_in_the_web_ui() {
    let house = House::new().with_painter();
    let (photo, mask) = (file("photo.png"), file("mask.png"));
    let of = |bytes: &[u8]| File { name: "a".into(), bytes: bytes.into() };
    let said = |more: Json| {
        let (photo, mask) = (STANDARD.encode(&photo), STANDARD.encode(&mask));
        let mut asked = json!({ "init_images": [photo], "mask": mask, "denoising_strength": 1.0 });
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        images(&house.ask(PICTURE, &body(asked)))
    };
    let drawn = |part: Part| {
        let (picture, mask) = (of(&photo), Some(of(&mask)));
        let start = Start { picture, mask, masked: Masked::White, strength: Some(1.0), part: Some(part) };
        house.drawn(Draw { start: Some(start), ..job() })
    };
    // What is not said is as there; what is, is done.
    let usual = Part { blur: [4, 4], padding: Some(0), fill: Fill::Colours };
    assert_eq!(said(json!({})), drawn(usual));
    let other =
        json!({ "mask_blur_x": 2, "mask_blur_y": 0, "inpainting_fill": 2, "inpaint_full_res_padding": 3 });
    assert_eq!(said(other), drawn(Part { blur: [2, 0], padding: Some(3), fill: Fill::Noise }));
    assert_ne!(said(json!({})), drawn(Part::default()));
}

#[test]
fn every_sampler_and_schedule_that_is_listed_draws() {
    let house = House::new().with_painter();
    let listed =
        |path: &str| -> Vec<Json> { serde_json::from_str(&house.get(path).text().unwrap()).unwrap() };
    let (samplers, schedules) = (listed("/sdapi/v1/samplers"), listed("/sdapi/v1/schedulers"));
    assert!(samplers.len() >= 16 && schedules.len() >= 15);
    let draws = |more: Json| assert_eq!(images(&house.ask(WORDS, &body(more))).len(), 1);
    for sampler in &samplers {
        draws(json!({ "sampler_name": sampler["name"], "scheduler": "automatic", "width": 32 }));
        draws(json!({ "sampler_index": sampler["name"], "sampler_name": null, "steps": 2, "width": 32 }));
    }
    for schedule in &schedules {
        for name in ["name", "label"] {
            draws(json!({ "scheduler": schedule[name], "sampler_name": "Euler", "width": 32 }));
        }
    }
    for (path, expected) in [
        ("sd-vae", json!([])),
        ("loras", json!([])),
        ("upscalers", json!([])),
        ("embeddings", json!({ "loaded": {}, "skipped": {} })),
        ("scripts", json!({ "txt2img": [], "img2img": [] })),
    ] {
        let told: Json =
            serde_json::from_str(&house.get(&format!("/sdapi/v1/{path}")).text().unwrap()).unwrap();
        assert_eq!(told, expected, "{path}");
    }
    assert_eq!(house.ask("/sdapi/v1/refresh-checkpoints", &json!({})), json!(null));
    assert_eq!(listed("/sdapi/v1/sd-models")[0]["model_name"], "painter");
}

/// A house with keys, and two of them, as the header of each.
fn with_keys() -> (House, [String; 2]) {
    let house =
        House::with(server::Settings { keys: server::Keys::Always, ..Default::default() }).with_painter();
    let key = |name: &str| {
        let create = Create {
            name: name.into(),
            scopes: "use,read".into(),
            lasts_ms: None,
            limits: Limits::default(),
        };
        match house.app.run(Job::Keys(KeyJob::Create(create))).last() {
            Some(app::Event::KeyCreated { secret, .. }) => format!("Authorization: Bearer {secret}"),
            other => panic!("{other:?}"),
        }
    };
    let keys = ["a", "b"].map(key);
    (house, keys)
}

fn answered(answer: wire::Answer) -> Json {
    let (status, text) = (answer.status, answer.text().unwrap());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_drawing_is_seen_and_interrupted_by_its_own_key_alone() {
    let (house, [mine, other]) = with_keys();
    let get = |path: &str, key: &str| answered(wire::get(house.address, path, &[key]).unwrap());
    let interrupt =
        |key: &str| answered(wire::post(house.address, "/sdapi/v1/interrupt", &[key], "").unwrap());
    let progress = |key: &str| get("/sdapi/v1/progress", key);
    assert_eq!(
        (&progress(&mine)["progress"], &progress(&mine)["state"]["job_count"]),
        (&json!(0.0), &json!(0))
    );
    let endless = body(json!({ "steps": 1000, "batch_size": 8, "n_iter": 8 })).to_string();
    let drawing = {
        let (address, mine) = (house.address, mine.clone());
        std::thread::spawn(move || answered(wire::post(address, WORDS, &[&mine], &endless).unwrap()))
    };
    let step = |key: &str| progress(key)["state"]["sampling_step"].as_u64().unwrap();
    while step(&mine) < 2 {}
    let seen = progress(&mine);
    assert_eq!((&seen["state"]["job_count"], &seen["state"]["interrupted"]), (&json!(64), &json!(false)));
    assert!(
        seen["progress"].as_f64().unwrap() > 0.01 && seen["eta_relative"].as_f64().unwrap() > 0.0,
        "{seen}"
    );
    assert_eq!(sides(&bytes(&seen["current_image"])), [24, 16]);
    assert_eq!(get("/sdapi/v1/progress?skip_current_image=true", &mine)["current_image"], json!(null));
    // Another key sees nothing of it, and stops nothing.
    assert_eq!(progress(&other)["state"]["job_count"], 0);
    interrupt(&other);
    let before = step(&mine);
    while step(&mine) == before {}
    interrupt(&mine);
    let told = drawing.join().unwrap();
    assert_eq!(images(&told).len(), info(&told)["all_seeds"].as_array().unwrap().len());
    // At least the picture at which it stopped.
    let made = images(&told);
    assert!((1..64).contains(&made.len()), "{}", made.len());
    assert!(made.iter().all(|png| sides(png) == [48, 32]));
    assert_eq!(progress(&mine)["state"]["job_count"], 0);
}

#[test]
fn settings_are_each_keys_own() {
    let (house, [mine, other]) = with_keys();
    let get = |key: &str| answered(wire::get(house.address, "/sdapi/v1/options", &[key]).unwrap());
    let set = |key: &str, options: Json| {
        wire::post(house.address, "/sdapi/v1/options", &[key], &options.to_string()).unwrap()
    };
    let title = get(&mine)["sd_model_checkpoint"].as_str().unwrap().to_owned();
    assert!(title.starts_with("painter [") && title.len() == 20, "{title}");
    let options =
        json!({ "sd_model_checkpoint": title, "CLIP_stop_at_last_layers": 2, "randn_source": "CPU" });
    assert_eq!(answered(set(&mine, options)), json!(null));
    assert_eq!(
        (&get(&mine)["CLIP_stop_at_last_layers"], &get(&other)["CLIP_stop_at_last_layers"]),
        (&json!(2), &json!(1))
    );
    let drawn = |key: &str, more: Json| {
        images(&answered(wire::post(house.address, WORDS, &[key], &body(more).to_string()).unwrap()))
    };
    let (clip_skip, noise) = (Some(2), Some(Generator::Cpu));
    assert_eq!(drawn(&mine, json!({})), house.drawn(Draw { clip_skip, noise, ..job() }));
    assert_eq!(drawn(&other, json!({})), house.drawn(job()));
    let own = json!({ "override_settings": { "CLIP_stop_at_last_layers": 1, "sd_vae": "Automatic" } });
    assert_eq!(drawn(&mine, own), house.drawn(Draw { noise, ..job() }));
    for (options, field) in [
        (json!({ "sd_model_checkpoint": "none" }), "sd_model_checkpoint"),
        (json!({ "CLIP_stop_at_last_layers": 0 }), "CLIP_stop_at_last_layers"),
        (json!({ "face_restoration": true }), "face_restoration"),
    ] {
        let answer = set(&mine, options);
        let (status, told) = (answer.status, answer.text().unwrap());
        let told: Json = serde_json::from_str(&told).unwrap();
        assert_eq!((status, &told["body"]), (400, &json!(field)), "{told}");
    }
    assert_eq!(get(&mine)["sd_model_checkpoint"], json!(title));
}

#[test]
fn what_is_not_here_is_refused_by_its_field() {
    let house = House::new().with_painter();
    let check = |path: &str, body: Json, status: u16, field: &str| {
        let (found, told) = house.refused(path, &body);
        assert_eq!((found, told["body"].as_str().unwrap_or_default()), (status, field), "{told}");
        assert!(told["error"].is_string() && told["detail"].is_string(), "{told}");
    };
    for (more, field) in [
        (json!({ "enable_hr": true }), "enable_hr"),
        (json!({ "tiling": true }), "tiling"),
        (json!({ "restore_faces": true }), "restore_faces"),
        (json!({ "save_images": true }), "save_images"),
        (json!({ "styles": ["a"] }), "styles"),
        (json!({ "script_name": "x/y/z plot" }), "script_name"),
        (json!({ "alwayson_scripts": { "ControlNet": {} } }), "alwayson_scripts"),
        (json!({ "eta": 0.5 }), "eta"),
        (json!({ "eta": 1.0, "sampler_name": "DDIM" }), "eta"),
        (json!({ "s_churn": 1 }), "s_churn"),
        (json!({ "seed_resize_from_w": 512 }), "seed_resize_from_w"),
        (json!({ "override_settings": { "sd_hypernetwork": "a" } }), "override_settings.sd_hypernetwork"),
        (json!({ "override_settings_restore_afterwards": false }), "override_settings_restore_afterwards"),
        (json!({ "width": 0 }), "width"),
        (json!({ "sampler_name": "Oiler" }), ""),
    ] {
        check(WORDS, body(more), 400, field);
    }
    let photo = STANDARD.encode(file("photo.png"));
    let with = |more: Json| {
        let mut body = body(json!({ "init_images": [photo] }));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let mask = STANDARD.encode(file("mask.png"));
    for (more, field) in [
        (json!({ "init_images": [] }), "init_images"),
        (json!({ "init_images": ["?"] }), "init_images[0]"),
        (json!({ "init_images": ["R0lGODlh"] }), "init_images[0]"),
        (json!({ "resize_mode": 1 }), "resize_mode"),
        (json!({ "mask": mask, "mask_blur": 65 }), "mask_blur"),
        (json!({ "mask": mask, "inpainting_fill": 4 }), "inpainting_fill"),
        (json!({ "mask": "R0lGODlh" }), "mask"),
    ] {
        check(PICTURE, with(more), 400, field);
    }
    check("/sdapi/v1/png-info", json!({ "image": "R0lGODlh" }), 400, "image");
    check("/sdapi/v1/extra-single-image", json!({}), 501, "");
    check("/sdapi/v1/skip", json!({}), 501, "");
    let house = House::new();
    let (status, told) = house.refused(WORDS, &body(json!({})));
    assert_eq!((status, &told["error"]), (404, &json!("model_not_found")));
}
