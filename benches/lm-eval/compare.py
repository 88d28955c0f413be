"""lm-eval twice over the tasks beside this file: through the server, and with its `hf` back-end on the same weights.

Started as `compare.py BASE KEY MODEL FOLDER`: the address of a server, the key, the name under which it has the model,
and the folder that the model was exported to. Prints a line of JSON for each task, as the scripts of
`benches/clients` do: the scores have to be the same, and every log-likelihood within one in a thousand.
"""

import importlib.metadata
import json
import os
import pathlib
import sys
import urllib.request

# Nothing is fetched: all data lies here.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import lm_eval
import lm_eval.tasks

BASE, KEY, MODEL, FOLDER = sys.argv[1:5]
TASKS = {"hearth_choice": "multiple choice", "hearth_last_word": "last word", "hearth_stories": "perplexity"}
WITHIN = 1e-3
# Chance is a quarter in the first and near nothing in the second; a model that had learned nothing would spread its
# guesses over some 2,000 tokens.
LEAST = {"hearth_choice": ("acc", 0.5), "hearth_last_word": ("acc", 0.4)}
CONTEXT = 512


def evaluate(model, arguments, batch):
    """The results of all tasks, and by task and item what the model said."""
    here = str(pathlib.Path(__file__).parent)
    told = lm_eval.simple_evaluate(
        model=model,
        model_args=arguments,
        tasks=list(TASKS),
        task_manager=lm_eval.tasks.TaskManager(include_path=here, include_defaults=False),
        batch_size=batch,
        device="cpu",
        bootstrap_iters=0,
        log_samples=True,
    )
    said = {
        task: {sample["doc_id"]: likelihoods(sample["filtered_resps"]) for sample in samples}
        for task, samples in told["samples"].items()
    }
    return told["results"], said


def likelihoods(responses):
    """The numbers of an item: a log-likelihood for each of its answers."""
    return [float(one[0] if isinstance(one, (list, tuple)) else one) for one in responses]


def scores(results):
    """Metrics without their names of filters and errors."""
    numbers = {name.split(",")[0]: value for name, value in results.items() if isinstance(value, (int, float))}
    return {name: value for name, value in numbers.items() if not name.endswith("_stderr") and name != "sample_len"}


def compare(task, ours, theirs):
    """What is wrong, and a note with the scores."""
    wrong, furthest = [], 0.0
    (ours, our_items), (theirs, their_items) = ours, theirs
    if not their_items or sorted(our_items) != sorted(their_items):
        wrong.append(f"{len(our_items)} and {len(their_items)} items")
    for item, expected in their_items.items():
        for one, other in zip(our_items.get(item, []), expected, strict=True):
            furthest = max(furthest, abs(one - other) / max(1.0, abs(other)))
    if not furthest <= WITHIN:
        wrong.append(f"a log-likelihood is {furthest:.1e} off")
    for name, expected in theirs.items():
        found = ours.get(name, float("nan"))
        is_same = found == expected if name.startswith("acc") else abs(found / expected - 1) <= WITHIN
        if not is_same:
            wrong.append(f"{name} is {found}, with hf {expected}")
    metric, least = LEAST.get(task, (None, 0))
    if metric and not theirs[metric] >= least:
        wrong.append(f"{metric} is {theirs[metric]}: the data tells nothing of this model")
    told = ", ".join(f"{name} {value:.6g}" for name, value in sorted(ours.items()))
    return wrong, f"{told}; log-likelihoods within {furthest:.1e} of hf, {len(their_items)} items"


def main():
    with urllib.request.urlopen(urllib.request.Request(BASE + "/v1/models", headers={"x-api-key": KEY})) as answer:
        ids = [model["id"] for model in json.load(answer)["data"]]
    assert MODEL in ids, f"the server has {ids}"
    os.environ["OPENAI_API_KEY"] = KEY
    server = (
        f"model={MODEL},base_url={BASE}/v1/completions,tokenizer={FOLDER},tokenizer_backend=huggingface,"
        f"tokenized_requests=True,max_length={CONTEXT},num_concurrent=4,max_retries=1"
    )
    served, our_items = evaluate("local-completions", server, 4)
    direct, their_items = evaluate("hf", f"pretrained={FOLDER},dtype=float32,max_length={CONTEXT}", 4)
    n_wrong = 0
    for task, feature in TASKS.items():
        ours, theirs = (scores(served[task]), our_items[task]), (scores(direct[task]), their_items[task])
        wrong, note = compare(task, ours, theirs)
        n_wrong += len(wrong)
        cell = {
            "client": "lm-eval",
            "version": importlib.metadata.version("lm-eval"),
            "feature": feature,
            "ok": not wrong,
            "note": "; ".join([*wrong, note]),
        }
        print(json.dumps(cell), flush=True)
    sys.exit(1 if n_wrong else 0)


if __name__ == "__main__":
    main()
