//! Pictures as OpenAI's clients ask for them, with a miniature of an image model: they are those of `hearth draw`.

use std::io::Read;

use app::Job;
use app::job::draw::{Draw, File, Masked, Start};
use app::job::keys::{Create, Keys as KeyJob, Limits};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use testkit::wire::{self, Answer};

use crate::house::House;

const GENERATIONS: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";

fn bytes(encoded: &Json) -> Vec<u8> {
    STANDARD.decode(encoded.as_str().unwrap()).unwrap()
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(testkit::shared::root().join("fixtures/draw").join(name)).unwrap()
}

/// Sides of a PNG.
pub fn sides(png: &[u8]) -> [u32; 2] {
    assert!(png.starts_with(b"\x89PNG"), "no PNG");
    [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()))
}

fn body(more: Json) -> Json {
    let mut body = json!({
        "model": "painter", "prompt": "a red cat", "size": "32x48", "negative": "on", "seed": 7, "steps": 3,
        "guidance": 3, "sampler": "Euler a", "schedule": "Karras",
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The job that such a body stands for.
fn job() -> Draw {
    Draw {
        negative: Some("on".into()),
        size: Some([32, 48]),
        seed: Some(7),
        steps: Some(3),
        guidance: Some(3.0),
        sampler: Some("Euler a".into()),
        schedule: Some("Karras".into()),
        ..Draw::new("painter", "a red cat")
    }
}

#[test]
fn pictures_of_words_are_those_of_the_command() {
    let house = House::new().with_painter();
    let told = house.ask(GENERATIONS, &body(json!({ "n": 2, "quality": "auto", "output_format": "png" })));
    let expected = house.drawn(Draw { n: 2, ..job() });
    let data = told["data"].as_array().unwrap();
    assert_eq!(data.iter().map(|one| bytes(&one["b64_json"])).collect::<Vec<_>>(), expected);
    assert_eq!(data.iter().map(|one| one["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [7, 8]);
    assert_eq!((&told["size"], &told["output_format"]), (&json!("32x48"), &json!("png")));
    // Six of 16 x 16 pixels each.
    assert_eq!(told["usage"]["output_tokens"], 12);
    assert!(told["usage"]["input_tokens"].as_u64().unwrap() > 0);
    // The only model need not be named, and `auto` is what it was made for.
    let told = house.ask(
        GENERATIONS,
        &json!({ "prompt": "a cat", "size": "auto", "steps": 1, "response_format": "url" }),
    );
    let address = told["data"][0]["url"].as_str().unwrap().strip_prefix("data:image/png;base64,").unwrap();
    assert_eq!(sides(&STANDARD.decode(address).unwrap()), [32, 32]);
    assert_eq!(house.figure("hearth_pictures_total"), 3.0);
    assert_eq!(house.figure("hearth_drawing_step_seconds_count"), 7.0);
    assert_eq!(house.figure("hearth_work_running"), 0.0);
}

#[test]
fn pictures_are_told_while_they_are_made() {
    let house = House::new().with_painter();
    let events = house.data(GENERATIONS, &body(json!({ "stream": true, "partial_images": 2, "n": 2 })));
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let (partial, completed) = ("image_generation.partial_image", "image_generation.completed");
    assert_eq!(kinds, [partial, partial, partial, partial, completed, completed]);
    let numbers: Vec<_> =
        events[..4].iter().map(|event| event["partial_image_index"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 0, 1]);
    // A pixel for each latent.
    assert!(events[..4].iter().all(|event| sides(&bytes(&event["b64_json"])) == [16, 24]));
    assert_ne!(events[0]["b64_json"], events[1]["b64_json"]);
    let expected = house.drawn(Draw { n: 2, ..job() });
    assert_eq!(events[4..].iter().map(|event| bytes(&event["b64_json"])).collect::<Vec<_>>(), expected);
    assert!(events[4]["usage"]["total_tokens"].as_u64().unwrap() > 6);
    assert!(events.iter().all(|event| event["size"] == "32x48" && event["output_format"] == "png"));
    let events = house.data(GENERATIONS, &body(json!({ "stream": true })));
    assert_eq!(events.iter().map(|event| &event["type"]).collect::<Vec<_>>(), [completed]);
    let missing = house.post(GENERATIONS, &body(json!({ "stream": true, "model": "none" })));
    assert_eq!(missing.status, 404);
}

/// A form of these fields and files.
fn form(house: &House, fields: &[(&str, &str)], files: &[(&str, &[u8])]) -> Answer {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.as_bytes());
    }
    for (name, bytes) in files {
        let head = format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.png\"\r\n\
             Content-Type: image/png\r\n\r\n"
        );
        body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    body.extend(b"--xyz--\r\n");
    let head = format!(
        "POST {EDITS} HTTP/1.1\r\nHost: {}\r\nContent-Type: multipart/form-data; boundary=xyz\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        house.address,
        body.len()
    );
    wire::send_bytes(house.address, &[head.as_bytes(), &body].concat()).unwrap()
}

/// A mask as OpenAI's clients have it: transparent where the other one is white.
fn clear(white: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(white)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    let channels = info.color_type.samples();
    let pixels: Vec<u8> = data.chunks_exact(channels).flat_map(|pixel| [1, 2, 3, !pixel[0]]).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, info.width, info.height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    bytes
}

#[test]
fn what_is_transparent_in_a_mask_is_made_anew() {
    let house = House::new().with_painter();
    let (photo, white) = (file("photo.png"), file("mask.png"));
    let mask = clear(&white);
    let fields = [
        ("prompt", "a red cat"),
        ("model", "painter"),
        ("size", "32x48"),
        ("negative", "on"),
        ("seed", "7"),
        ("steps", "3"),
        ("guidance", "3"),
        ("sampler", "Euler a"),
        ("schedule", "Karras"),
    ];
    let answered = |answer: Answer| -> Vec<u8> {
        let (status, text) = (answer.status, answer.text().unwrap());
        assert_eq!(status, 200, "{text}");
        bytes(&serde_json::from_str::<Json>(&text).unwrap()["data"][0]["b64_json"])
    };
    let of = |name: &str, bytes: &[u8]| File { name: name.into(), bytes: bytes.into() };
    let whole =
        Start { picture: of("a", &photo), mask: None, masked: Masked::White, strength: None, part: None };
    let part = Start { mask: Some(of("b", &white)), ..whole.clone() };
    let expected = |start| house.drawn(Draw { start: Some(start), ..job() }).remove(0);
    assert_eq!(answered(form(&house, &fields, &[("image", &photo)])), expected(whole.clone()));
    let masked = answered(form(&house, &fields, &[("image[]", &photo), ("mask", &mask)]));
    assert_eq!(masked, expected(part));
    let strong = [&fields[..], &[("strength", "0.9")]].concat();
    let of_strength = Start { strength: Some(0.9), ..whole };
    assert_eq!(answered(form(&house, &strong, &[("image", &photo)])), expected(of_strength));
    let streamed = [&fields[..], &[("stream", "true"), ("partial_images", "1")]].concat();
    let text = form(&house, &streamed, &[("image", &photo)]).text().unwrap();
    assert!(
        text.contains("event: image_edit.partial_image\n") && text.contains("event: image_edit.completed\n")
    );
}

#[test]
fn what_is_not_drawn_is_refused_by_its_field() {
    let house = House::new().with_painter();
    let check = |more: Json, param: &str| {
        let (status, told) = house.refused(GENERATIONS, &body(more));
        let told = &told["error"];
        assert_eq!((status, told["param"].as_str().unwrap_or_default()), (400, param), "{told}");
    };
    check(json!({ "style": "vivid" }), "style");
    check(json!({ "quality": "high" }), "quality");
    check(json!({ "background": "transparent" }), "background");
    check(json!({ "output_format": "webp" }), "output_format");
    check(json!({ "output_compression": 50 }), "output_compression");
    check(json!({ "size": "large" }), "size");
    check(json!({ "n": 11 }), "n");
    check(json!({ "seed": -1 }), "seed");
    check(json!({ "sampler": "Oiler" }), "");
    check(json!({ "size": "33x32" }), "");
    let (status, told) = house.refused(GENERATIONS, &body(json!({ "n": 10, "size": "4096x4096" })));
    assert_eq!((status, &told["error"]["code"]), (400, &json!("too_many_pixels")));
    let (photo, small) = (file("photo.png"), clear(&file("mask.png")));
    let fields = [("prompt", "a cat"), ("steps", "2")];
    let check = |fields: &[(&str, &str)], files: &[(&str, &[u8])], param: &str| {
        let answer = form(&house, fields, files);
        let (status, told) = (answer.status, answer.text().unwrap());
        let told: Json = serde_json::from_str(&told).unwrap();
        assert_eq!((status, &told["error"]["param"]), (400, &json!(param)), "{told}");
    };
    check(&fields, &[], "image");
    check(&fields[1..], &[("image", &photo)], "prompt");
    check(&fields, &[("image", b"GIF89a")], "image");
    check(&fields, &[("image", &photo[..photo.len() / 2])], "image");
    check(&fields, &[("image", &photo), ("mask", b"")], "mask");
    // It tells of nothing that is transparent.
    check(&fields, &[("image", &photo), ("mask", &photo)], "mask");
    check(&fields, &[("image", &house.drawn(job())[0]), ("mask", &small)], "mask");
    check(&[fields[0], ("n", "0")], &[("image", &photo)], "n");
    check(&[fields[0], ("input_fidelity", "high")], &[("image", &photo)], "input_fidelity");
}

#[test]
fn pictures_count_against_what_a_key_may_spend() {
    let house =
        House::with(server::Settings { keys: server::Keys::Always, ..Default::default() }).with_painter();
    let limits = Limits { tokens_per_day: Some(6), ..Limits::default() };
    let create = Create { name: "a".into(), scopes: "use".into(), lasts_ms: None, limits };
    let Some(app::Event::KeyCreated { secret, .. }) = house.app.run(Job::Keys(KeyJob::Create(create))).last()
    else {
        panic!("no key");
    };
    let ask = || {
        let line = format!("Authorization: Bearer {secret}");
        let answer = wire::post(house.address, GENERATIONS, &[&line], &body(json!({})).to_string()).unwrap();
        (answer.status, answer.text().unwrap())
    };
    assert_eq!(ask().0, 200);
    let (status, told) = ask();
    assert!(status == 429 && told.contains("over_quota"), "{told}");
}

#[test]
fn a_client_that_leaves_ends_its_drawing() {
    let house = House::new().with_painter();
    let endless = body(json!({ "steps": 1000, "n": 10, "stream": true, "partial_images": 3 }));
    let mut answer = house.post(GENERATIONS, &endless);
    answer.body.read_exact(&mut [0; 10]).unwrap();
    assert_eq!(house.figure("hearth_work_running"), 1.0);
    drop(answer);
    house.comes_to("hearth_work_running", 0.0);
    assert!(house.figure("hearth_drawing_step_seconds_count") < 10_000.0);
    assert_eq!(house.figure("hearth_pictures_total"), 0.0);
    assert_eq!(house.ask(GENERATIONS, &body(json!({})))["data"].as_array().unwrap().len(), 1);
}
