"""diffusers' side of `cargo xtask bench --case sd15-step` and `sd15-decode`: seconds of a denoising step at 512 x 512, both
rows of guidance in it, by a U-Net of Stable Diffusion 1.5's shape, and of turning its latents to pixels by the auto-encoder;
random weights in bf16, which PyTorch computes with.

    diffusers_images.py step|decode --folder FOLDER [--steps N]

Writes `config.json`, `diffusion_pytorch_model.safetensors`, what goes in (`latents.f32`, `text.f32`, rows of pixels with their
channels last) and what comes out (`answer.f32`, computed in f32 from the same weights) into the folder.
"""

import gc
import pathlib
import time

import measuring
import torch
import torch_facts
from diffusers import AutoencoderKL, UNet2DConditionModel

SIDE, TEXT, WIDTH, TIME = 64, 77, 768, 500


def unet():
    return UNet2DConditionModel(
        sample_size=SIDE, cross_attention_dim=WIDTH, attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280)
    )


def auto_encoder():
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )


def written(folder, name, tensor):
    (folder / name).write_bytes(tensor.float().contiguous().numpy().astype("<f4").tobytes())


def main():
    options = measuring.options(["part"])
    torch_facts.start(options.threads)
    torch.manual_seed(options.seed)
    before = measuring.peak_memory_mb()
    folder = pathlib.Path(options.folder)
    is_step = options.part == "step"
    torch.set_default_dtype(torch.bfloat16)
    model = (unet if is_step else auto_encoder)().eval()
    torch.set_default_dtype(torch.float32)
    latents = torch.randn(2 if is_step else 1, 4, SIDE, SIDE)
    text = torch.randn(2, TEXT, WIDTH)
    model.save_pretrained(folder)
    written(folder, "latents.f32", latents.permute(0, 2, 3, 1))
    written(folder, "text.f32", text)

    def answer(kind):
        if is_step:
            return model(latents.to(kind), TIME, text.to(kind)).sample
        return model.decode(latents.to(kind)).sample

    times = []
    with torch.inference_mode():
        answer(torch.bfloat16)
        for _ in range(options.steps or 3):
            begun = time.perf_counter()
            answer(torch.bfloat16)
            times.append(time.perf_counter() - begun)
        memory = measuring.peak_memory_mb()
        model = model.float()
        gc.collect()
        written(folder, "answer.f32", answer(torch.float32).permute(0, 2, 3, 1))
    figures = {
        "seconds": measuring.median(times),
        "memory_mb": memory and before and memory - before,
        "cosine": 1.0,
    }
    measuring.finish(torch_facts.facts(), figures)


if __name__ == "__main__":
    main()
