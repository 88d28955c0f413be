"""PyTorch's side of `cargo xtask bench --case product`: dense products through `torch.nn.functional.linear`, in
TFLOP/s. Operands are of the product's own type, so that no conversion is counted."""

import math
import time

import measuring
import torch
import torch_facts

SHAPES = [(2048, 2048, 2048), (2048, 288, 768), (2048, 288, 32_000), (16, 2048, 8192), (512, 2048, 8192)]
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
# What is timed at once takes at least this long.
SHORTEST_S = 0.02


def timed(n_calls, x, w):
    """Seconds of one call."""
    begun = time.perf_counter()
    for _ in range(n_calls):
        torch.nn.functional.linear(x, w)
    return (time.perf_counter() - begun) / n_calls


def main():
    options = measuring.options([])
    torch_facts.start(options.threads)
    torch.manual_seed(options.seed)
    figures = {}
    with torch.inference_mode():
        for rows, inner, outer in SHAPES:
            for name, dtype in DTYPES.items():
                x = (torch.rand(rows, inner) - 0.5).to(dtype)
                w = (torch.rand(outer, inner) - 0.5).to(dtype)
                timed(1, x, w)
                n_calls = min(max(math.ceil(SHORTEST_S / timed(1, x, w)), 1), 10_000)
                seconds = measuring.median([timed(n_calls, x, w) for _ in range(options.steps or 5)])
                figures[f"tflops {name} {rows}x{inner}x{outer}"] = 2 * rows * inner * outer / seconds / 1e12
    measuring.finish(torch_facts.facts(), figures)


if __name__ == "__main__":
    main()
