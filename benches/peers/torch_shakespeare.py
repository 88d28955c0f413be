"""PyTorch's side of `cargo xtask bench --case shakespeare`: nanoGPT's published small configuration on the characters
of a text, f32: the seconds of its 2,000 steps, and the loss over the whole last tenth of the text.

    torch_shakespeare.py TEXT eager|compile

The seconds of `compile` count from the second step on, and once more with compiling as `seconds with compiling`.
"""

import math
import pathlib
import time

import measuring
import torch
import torch.nn.functional as F
import torch_facts
from torch import nn

LAYERS, HEADS, WIDTH, LENGTH, SEQUENCES, STEPS = 4, 4, 128, 64, 12, 2_000
HIGHEST, LAST, WARM_UP = 1e-3, 1e-4, 100


def linear(inputs, outputs):
    """A product without a bias."""
    return nn.Linear(inputs, outputs, bias=False)


class Layer(nn.Module):
    """Attention and feed-forward, each on what is normalised and added to what came in."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.queries_keys_values, self.attention_output = linear(WIDTH, 3 * WIDTH), linear(WIDTH, WIDTH)
        self.up, self.down = linear(WIDTH, 4 * WIDTH), linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        n, length, _ = x.shape
        parts = self.queries_keys_values(self.norms[0](x)).split(WIDTH, 2)
        q, k, v = (part.view(n, length, HEADS, -1).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attention_output(y.transpose(1, 2).reshape(n, length, WIDTH))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class Characters(nn.Module):
    """The mean loss of a batch."""

    def __init__(self, vocabulary):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                is_added = "attention_output" in name or "down" in name
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * LAYERS) if is_added else 0.02)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def rate(step, steps):
    """A line up, then half a cosine."""
    if step < WARM_UP:
        return HIGHEST * (step + 1) / (WARM_UP + 1)
    done = min((step - WARM_UP) / max(steps - WARM_UP, 1), 1)
    return LAST + (HIGHEST - LAST) * 0.5 * (1 + math.cos(math.pi * done))


def held_out_loss(model, tokens):
    """The mean loss over every whole window of `tokens`, one behind the other."""
    n = (len(tokens) - 1) // LENGTH
    ids, targets = tokens[: n * LENGTH].view(n, LENGTH), tokens[1 : n * LENGTH + 1].view(n, LENGTH)
    with torch.no_grad():
        pairs = zip(ids.split(SEQUENCES), targets.split(SEQUENCES), strict=True)
        return sum(model(i, t).item() * len(i) for i, t in pairs) / n


def main():
    options = measuring.options(["text", "mode"])
    torch_facts.start(options.threads)
    torch.manual_seed(options.seed)
    before, steps = measuring.peak_memory_mb(), options.steps or STEPS
    text = pathlib.Path(options.text).read_bytes()
    places = {character: place for place, character in enumerate(sorted(set(text)))}
    tokens = torch.tensor([places[character] for character in text])
    learned, held_out = tokens[: len(tokens) * 9 // 10], tokens[len(tokens) * 9 // 10 :]
    model = Characters(len(places))
    weights = list(model.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.dim() >= 2], "weight_decay": 0.1},
        {"params": [weight for weight in weights if weight.dim() < 2], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, HIGHEST, betas=(0.9, 0.99), eps=1e-8)
    forward = torch.compile(model) if options.mode == "compile" else model
    begun = after_first = time.perf_counter()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate(step, steps)
        starts = torch.randint(len(learned) - LENGTH, (SEQUENCES,))
        windows = torch.stack([learned[start : start + LENGTH + 1] for start in starts])
        optimiser.zero_grad(set_to_none=True)
        forward(windows[:, :-1].contiguous(), windows[:, 1:].contiguous()).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        if step == 0:
            after_first = time.perf_counter()
    done = time.perf_counter()
    seconds = done - after_first if options.mode == "compile" else done - begun
    after = measuring.peak_memory_mb()
    memory = after - before if after is not None and before is not None else None
    figures = {"seconds": seconds, "validation_loss": held_out_loss(model, held_out), "memory_mb": memory}
    if options.mode == "compile":
        figures["seconds with compiling"] = done - begun
    measuring.finish(torch_facts.facts(), figures)


if __name__ == "__main__":
    main()
