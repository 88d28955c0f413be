"""A Llama with a tied head in plain PyTorch, as its users write it, with the tensor names of `transformers`.

Trains; knows no cache and no sampling. Pairs are turned as in `transformers`: the first half of a head with the
second.
"""

import torch
import torch.nn.functional as F
from torch import nn

SHAPES = {
    # layers, width, feed-forward, heads, sequences, length
    "15m": (6, 288, 768, 6, 8, 256),
    "110m": (12, 768, 2048, 12, 4, 512),
}
VOCABULARY = 32_000


class Norm(nn.Module):
    """By the root of the mean square."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


def linear(inputs, outputs):
    """A product without a bias."""
    return nn.Linear(inputs, outputs, bias=False)


def turn(x, cos, sin):
    """Rotary positions."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Attention(nn.Module):
    """Causal attention of all heads."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj = linear(width, width), linear(width, width)
        self.v_proj, self.o_proj = linear(width, width), linear(width, width)

    def forward(self, x, cos, sin):
        n, length, width = x.shape
        q, k, v = (
            product(x).view(n, length, self.heads, -1).transpose(1, 2)
            for product in (self.q_proj, self.k_proj, self.v_proj)
        )
        y = F.scaled_dot_product_attention(turn(q, cos, sin), turn(k, cos, sin), v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(n, length, width))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, width, inner):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = (
            linear(width, inner),
            linear(width, inner),
            linear(inner, width),
        )

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention and feed-forward, each on what is normalised and added to what came in."""

    def __init__(self, width, inner, heads):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = Norm(width), Norm(width)
        self.self_attn, self.mlp = Attention(width, heads), FeedForward(width, inner)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    """Everything but the head."""

    def __init__(self, shape):
        super().__init__()
        layers, width, inner, heads, _, length = shape
        self.embed_tokens = nn.Embedding(VOCABULARY, width)
        self.layers = nn.ModuleList(Layer(width, inner, heads) for _ in range(layers))
        self.norm = Norm(width)
        size = width // heads
        angles = torch.outer(torch.arange(length), 10_000 ** (-torch.arange(0, size, 2) / size))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return self.norm(x)


class Llama(nn.Module):
    """The mean loss of a batch."""

    def __init__(self, shape):
        super().__init__()
        self.model = Body(shape)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                inner = 0.02 if "embed" in name else weight.shape[1] ** -0.5
                added = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=inner / (2 * shape[0]) ** 0.5 if added else inner)

    def forward(self, ids, targets):
        logits = F.linear(self.model(ids), self.model.embed_tokens.weight)
        return F.cross_entropy(logits.float().view(-1, VOCABULARY), targets.view(-1))
