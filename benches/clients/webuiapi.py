"""webuiapi, the Python client of AUTOMATIC1111's web UI, against a running server."""

import pathlib
import sys
import threading
import time

sys.path[0] = str(pathlib.Path(__file__).parent / "shared")

import webuiapi
from PIL import Image
from cells import BASE, DRAWN, KEY, PAINTER, PATIENCE_S, feature, holds, main, raises, same

api = webuiapi.WebUIApi(baseurl=BASE + "/sdapi/v1", sampler="Euler a", steps=4)
api.session.headers["Authorization"] = f"Bearer {KEY}"
SMALL = {"prompt": "a red cat", "negative_prompt": "on", "seed": 7, "cfg_scale": 3, "width": 48, "height": 32}


def until(holds_now):
    """Waits until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not holds_now():
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.01)


@feature("txt2img")
def of_words():
    found = api.txt2img(batch_size=2, **SMALL)
    same([image.size for image in found.images], [(48, 32)] * 2)
    same((found.info["all_seeds"], found.info["sampler_name"]), ([7, 8], "Euler a"))
    same(found.image.info["parameters"], found.info["infotexts"][0])
    holds("Seed: 7" in found.image.info["parameters"], found.image.info)
    again = api.txt2img(**SMALL)
    same(again.image.tobytes(), found.image.tobytes())
    holds(api.txt2img(**{**SMALL, "seed": 8}).image.tobytes() == found.images[1].tobytes(), "seeds do not follow")
    same(api.png_info(found.image).info, found.info["infotexts"][0])


@feature("img2img")
def of_a_picture():
    photo, mask = Image.open(DRAWN / "photo.png"), Image.open(DRAWN / "mask.png")
    body = {**SMALL, "width": 40, "height": 24}
    found = api.img2img(images=[photo], denoising_strength=0.6, **body)
    same((found.image.size, found.info["denoising_strength"]), ((40, 24), 0.6))
    hard = {"mask_image": mask, "mask_blur": 0, "inpainting_fill": 1, "inpaint_full_res": False}
    part = api.img2img(images=[photo], denoising_strength=0.6, **hard, **body)
    other = api.img2img(images=[photo], denoising_strength=0.6, inpainting_mask_invert=1, **hard, **body)
    same(len({found.image.tobytes(), part.image.tobytes(), other.image.tobytes()}), 3)
    error = raises(RuntimeError, lambda: api.img2img(images=[photo], mask_image=mask, **body))
    holds(error.args[0] == 400 and "mask_blur" in error.args[1], error)


@feature("options")
def options():
    holds(api.get_options()["sd_model_checkpoint"].startswith(PAINTER), api.get_options())
    api.set_options({"CLIP_stop_at_last_layers": 2})
    same(api.get_options()["CLIP_stop_at_last_layers"], 2)
    skipped = api.txt2img(**SMALL)
    api.set_options({"CLIP_stop_at_last_layers": 1})
    holds(skipped.image.tobytes() != api.txt2img(**SMALL).image.tobytes(), "no layer is skipped")
    api.util_set_model(PAINTER)
    same(api.util_get_current_model(), api.util_get_model_names()[0])
    over = api.txt2img(override_settings={"CLIP_stop_at_last_layers": 2}, **SMALL)
    same(over.image.tobytes(), skipped.image.tobytes())


@feature("progress")
def progress():
    same(api.get_progress()["state"]["job_count"], 0)
    api.util_wait_for_ready(check_interval=0.01)
    found = []
    drawing = threading.Thread(target=lambda: found.append(api.txt2img(steps=1000, batch_size=64, **SMALL)))
    drawing.start()
    until(lambda: api.get_progress()["state"]["sampling_step"] > 2)
    told = api.get_progress()
    holds(0 < told["progress"] < 1 and told["eta_relative"] > 0 and told["current_image"], told["progress"])
    same((told["state"]["job_count"], told["state"]["sampling_steps"]), (64, 1000))
    api.interrupt()
    drawing.join(PATIENCE_S)
    holds(found and 1 <= len(found[0].images) < 64, found)
    same({image.size for image in found[0].images}, {(48, 32)})
    same(api.get_progress()["progress"], 0)


@feature("lists")
def lists():
    holds("Euler a" in api.util_get_sampler_names() and "karras" in api.util_get_scheduler_names(), "names")
    for ask in (
        api.get_sd_vae, api.get_upscalers, api.get_latent_upscale_modes, api.get_loras, api.get_hypernetworks,
        api.get_face_restorers, api.get_realesrgan_models, api.get_prompt_styles,
    ):
        same(ask(), [])
    same(api.get_embeddings(), {"loaded": {}, "skipped": {}})
    same((api.get_scripts(), api.get_cmd_flags()), ({"txt2img": [], "img2img": []}, {}))
    same((api.refresh_checkpoints(), api.get_memory()["ram"]["used"] > 0), (None, True))


@feature("async")
async def in_parallel():
    import asyncio

    alone = [api.txt2img(**{**SMALL, "seed": seed}).image.tobytes() for seed in (1, 2)]
    both = await asyncio.gather(*(api.txt2img(use_async=True, **{**SMALL, "seed": seed}) for seed in (1, 2)))
    same([found.image.tobytes() for found in both], alone)


@feature("errors")
def errors():
    for more, field in [
        ({"enable_hr": True}, "enable_hr"),
        ({"styles": ["a"]}, "styles"),
        ({"sampler_name": "Oiler"}, "Oiler"),
        ({"override_settings": {"sd_model_checkpoint": "nobody"}}, "nobody"),
    ]:
        error = raises(RuntimeError, lambda: api.txt2img(**{**SMALL, **more}))
        holds(error.args[0] in (400, 404) and field in error.args[1], error)


main("webuiapi", "webuiapi")
