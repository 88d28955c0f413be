"""PyTorch's side of `cargo xtask bench --case train-15m` and `train-110m`: tokens a second of training steps, and the
most memory that they took, less what importing took.

    torch_train.py 15m|110m eager|compile f32|bf16 [--steps N]
"""

import time

import measuring
import torch
import torch_facts
from torch_llama import SHAPES, VOCABULARY, Llama

WARM_UP = 2


def main():
    options = measuring.options(["shape", "mode", "precision"])
    torch_facts.start(options.threads)
    torch.manual_seed(options.seed)
    before = measuring.peak_memory_mb()
    shape = SHAPES[options.shape]
    sequences, length = shape[4:]
    model = Llama(shape)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    forward = torch.compile(model) if options.mode == "compile" else model
    seconds = []
    for _ in range(WARM_UP + (options.steps or 10)):
        ids, targets = torch.randint(0, VOCABULARY, (2, sequences, length))
        begun = time.perf_counter()
        with torch_facts.compute_in(options.precision):
            loss = forward(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - begun)
    after = measuring.peak_memory_mb()
    memory = after - before if after is not None and before is not None else None
    speed = sequences * length / measuring.median(seconds[WARM_UP:])
    measuring.finish(torch_facts.facts(), {"tokens_per_second": speed, "memory_mb": memory})


if __name__ == "__main__":
    main()
