"""PyTorch's side of `cargo xtask bench --case losses-15m`: writes weights and batches for both programs, trains from
them and tells the loss of every step.

    torch_losses.py f32|bf16 --folder FOLDER [--steps N]

Both are made from the seed in every precision, so that each run of a round begins with the same. Half of the tokens
follow from the one before, so that there is something to learn.
"""

import json
import math
import pathlib
import struct

import measuring
import torch
import torch_facts
from torch_llama import SHAPES, VOCABULARY, Llama

SHAPE = SHAPES["15m"]
HIGHEST, LAST, WARM_UP = 1e-3, 1e-4, 20


def make_batches(n):
    """Tokens and their successors, [n, 2, B, T]: rare ones are rarer by the inverse of their rank."""
    sequences, length = SHAPE[4:]
    shares = 1.0 / torch.arange(1, VOCABULARY + 1, dtype=torch.float64)
    tokens = torch.multinomial(shares, n * sequences * (length + 1), replacement=True)
    tokens = tokens.view(n, sequences, length + 1)
    follows = torch.rand(tokens.shape) < 0.5
    for place in range(1, length + 1):
        next_one = (tokens[..., place - 1] * 31 + 7) % VOCABULARY
        tokens[..., place] = torch.where(follows[..., place], next_one, tokens[..., place])
    return torch.stack((tokens[..., :-1], tokens[..., 1:]), 1).contiguous()


def write_weights(path, model):
    """A safetensors file: the length of a JSON header, the header, the bytes."""
    header, parts, end = {}, [], 0
    for name, weight in model.named_parameters():
        data = weight.detach().numpy().astype("<f4").tobytes()
        begin, end = end, end + len(data)
        header[name] = {"dtype": "F32", "shape": list(weight.shape), "data_offsets": [begin, end]}
        parts.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(b"".join([struct.pack("<Q", len(text)), text, *parts]))


def rate(step, steps):
    """A line up, then half a cosine."""
    if step < WARM_UP:
        return HIGHEST * (step + 1) / (WARM_UP + 1)
    done = min((step - WARM_UP) / max(steps - WARM_UP, 1), 1)
    return LAST + (HIGHEST - LAST) * 0.5 * (1 + math.cos(math.pi * done))


def main():
    options = measuring.options(["precision"])
    torch_facts.start(options.threads)
    torch.manual_seed(options.seed)
    folder, steps = pathlib.Path(options.folder), options.steps or 200
    model = Llama(SHAPE)
    batches = make_batches(steps)
    write_weights(folder / "weights.safetensors", model)
    (folder / "batches.i32").write_bytes(batches.numpy().astype("<i4").tobytes())
    weights = list(model.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.dim() >= 2], "weight_decay": 0.1},
        {"params": [weight for weight in weights if weight.dim() < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, HIGHEST, betas=(0.9, 0.95), eps=1e-8)
    losses = []
    for step, (ids, targets) in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, steps)
        with torch_facts.compute_in(options.precision):
            loss = model(ids, targets)
        losses.append(loss.item())
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
    measuring.finish(torch_facts.facts(), {"last_loss": losses[-1]}, {"losses": losses})


if __name__ == "__main__":
    main()
