"""Every family from one form into another, judged by the programs that these forms belong to.

For each case of `fixtures/families/make.py`: a folder that `transformers` wrote, with weights of the formula there and a
small byte-level vocabulary → `hearth import` → `hearth export` as GGUF → llama.cpp loads it; then that GGUF →
`hearth export` as a folder → `transformers` loads it. Prints, against `transformers` on the first folder, the largest
difference of the logits of the text below (as a part of their standard deviation for llama.cpp), and in how many places the best token is the same.

Run by hand, with torch, transformers, tokenizers, gguf and safetensors; and with llama-cpp-python in the Python that
the second argument names:

    python3 benches/peers/forms.py target/debug/hearth PYTHON_WITH_LLAMA [CASE …]
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
import transformers
from safetensors.numpy import save_file
from safetensors import safe_open
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).parents[2]
N_TOKENS = 48
N_VOCABULARY = 320

spec = importlib.util.spec_from_file_location("make", ROOT / "fixtures/families/make.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)

# What llama.cpp cannot say: it has these scales built in, sees no windows in some families, takes the long factors
# from 256 tokens on, has no angles that follow from a length, and rounds the ends of YaRN's ramp.
CHANGES = {
    "gemma2": dict(query_pre_attn_scalar=24),
    "gemma3": dict(query_pre_attn_scalar=24),
    "mistral": dict(sliding_window=200),
    "ministral": dict(sliding_window=200),
    "phi3": dict(sliding_window=200),
    "phi3-short": dict(
        head_dim=16, tie_word_embeddings=True, original_max_position_embeddings=512, max_position_embeddings=1024,
        rope_parameters=dict(
            make.long_rope(original_max_position_embeddings=512), partial_rotary_factor=0.75,
            short_factor=make.SHORT[:6], long_factor=make.LONG[:6],
        ),
    ),
    "llama-dynamic": dict(max_position_embeddings=128),
    "gpt_oss": dict(rope_parameters=dict(make.ROPE, rope_theta=150000.0)),
}

LLAMA = """
import sys, json, numpy
from llama_cpp import Llama
path, ids = sys.argv[1], json.loads(sys.argv[2])
model = Llama(path, n_ctx=len(ids) + 8, n_batch=64, logits_all=True, verbose=False, n_threads=1,
              type_k=0, type_v=0)
model.eval(ids)
numpy.save(sys.argv[3], numpy.array(model.scores[: len(ids)], dtype=numpy.float32))
"""


transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def vocabulary(folder):
    """A byte-level vocabulary of N_VOCABULARY tokens, learned from this file."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(
        __import__("tokenizers").Regex(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ),
        "isolated",
    )
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=N_VOCABULARY, special_tokens=["<pad>", "<s>", "<end>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train([str(pathlib.Path(__file__))], trainer)
    data = json.loads(tokenizer.to_str())
    data["model"]["ignore_merges"] = True
    (folder / "tokenizer.json").write_text(json.dumps(data))
    settings = dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token="<s>", eos_token="<end>", pad_token="<pad>",
        chat_template="{% for m in messages %}{{ m.content }}{% endfor %}",
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def logits(folder, ids):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0].numpy()


def hearth(program, home, *words):
    done = subprocess.run(
        [program, *map(str, words)], capture_output=True, text=True, env={**os.environ, "HEARTH_HOME": str(home)}
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip().splitlines()[0])
    return done.stdout


def distance(found, wanted):
    same = int((found.argmax(1) == wanted.argmax(1)).sum())
    return float(numpy.abs(found - wanted).max()), same


def check(program, python, name):
    family, changes = make.CASES[name]
    changes = {**changes, **CHANGES.get(name, {}), "vocab_size": N_VOCABULARY}
    ids = [int(x) % N_VOCABULARY for x in make.mix(numpy.arange(N_TOKENS, dtype=numpy.uint32) + numpy.uint32(1))]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        first, home = folder / "first", folder / "home"
        first.mkdir()
        make.build(family, changes, first)
        vocabulary(first)
        wanted = logits(first, ids)
        steps = []
        try:
            hearth(program, home, "import", first, "--name", "model")
            steps.append("import")
            hearth(program, home, "export", "model", "--out", folder / "model.gguf")
            steps.append("gguf")
            loaded = subprocess.run(
                [python, "-c", LLAMA, folder / "model.gguf", json.dumps(ids), folder / "logits.npy"],
                capture_output=True, text=True,
            )
            if loaded.returncode == 0:
                far, same = distance(numpy.load(folder / "logits.npy"), wanted)
                steps.append(f"llama.cpp {far / wanted.std():.1e} of a deviation, {same}/{N_TOKENS}")
            else:
                reason = [line for line in loaded.stderr.splitlines() if "error" in line.lower()]
                steps.append("llama.cpp REFUSES: " + (reason or loaded.stderr.splitlines() or ["?"])[0][:160])
            for source in [folder / "model.gguf", "model"]:
                out = folder / f"out-{len(steps)}"
                hearth(program, home, "export", source, "--out", out, "--format", "safetensors")
                far, same = distance(logits(out, ids), wanted)
                steps.append(f"transformers {far:.1e}, {same}/{N_TOKENS}")
        except Exception as error:
            steps.append(f"FAILS: {error}"[:200])
        print(f"{name:22} " + " | ".join(steps), flush=True)


if __name__ == "__main__":
    program, python, *names = sys.argv[1:]
    for name in names or make.CASES:
        check(program, python, name)
