"""PyTorch's side of `cargo xtask bench --case minilm`: the vectors of 32 texts of 128 random tokens by an encoder of
MiniLM's shape with random weights in bf16, as `transformers` has it; their mean over the tokens, of length 1.

Writes `config.json`, `model.safetensors`, `ids.i32` and its vectors, computed in f32 from the same weights
(`vectors.f32`), into the folder.
"""

import pathlib
import time

import measuring
import torch
import torch_facts
from transformers import BertConfig, BertModel

TEXTS, LENGTH = 32, 128
CONFIG = BertConfig(
    num_hidden_layers=6, hidden_size=384, intermediate_size=1536, num_attention_heads=12, architectures=["BertModel"]
)


def vectors(model, ids):
    """The mean of the rows of each text, of length 1."""
    rows = model(input_ids=ids).last_hidden_state
    return torch.nn.functional.normalize(rows.float().mean(1), dim=1)


def main():
    options = measuring.options([])
    torch_facts.start(options.threads)
    torch.manual_seed(options.seed)
    before = measuring.peak_memory_mb()
    folder = pathlib.Path(options.folder)
    model = BertModel(CONFIG, add_pooling_layer=False).eval().to(torch.bfloat16)
    ids = torch.randint(CONFIG.vocab_size, (TEXTS, LENGTH))
    model.save_pretrained(folder)
    (folder / "ids.i32").write_bytes(ids.numpy().astype("<i4").tobytes())
    times = []
    with torch.inference_mode():
        vectors(model, ids)
        for _ in range(options.steps or 10):
            begun = time.perf_counter()
            vectors(model, ids)
            times.append(time.perf_counter() - begun)
        memory = measuring.peak_memory_mb()
        exact = vectors(model.float(), ids)
    (folder / "vectors.f32").write_bytes(exact.numpy().astype("<f4").tobytes())
    figures = {
        "texts_per_second": TEXTS / measuring.median(times),
        "memory_mb": memory and before and memory - before,
        "lowest_cosine": 1.0,
    }
    measuring.finish(torch_facts.facts(), figures)


if __name__ == "__main__":
    main()
