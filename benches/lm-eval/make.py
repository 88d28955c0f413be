"""Writes the data of the tasks beside this file, of stories about casts that no lesson of the starter has.

    cargo xtask starter-text --seed 9 --held-out-stories stories.jsonl
    python3 benches/lm-eval/make.py stories.jsonl

The same stories give the same files. Three kinds of questions:

- `choice.jsonl`: which of four sentences goes on; the wrong ones go on in other stories.
- `last-word.jsonl`: the last word of a sentence, behind at least twenty-five words.
- `stories.jsonl`: whole stories, to be told how likely they are.
"""

import json
import pathlib
import random
import re
import sys

N_ITEMS = 150
LEAST_WORDS = 25
FOLDER = pathlib.Path(__file__).parent


def sentences(story):
    """The sentences of a story; what somebody says stays with who says it."""
    return re.split(r"(?<=[.!?]) (?=[A-Z])", story)


def choice(stories, at, draw):
    """A story up to its middle, and four sentences, of which one goes on."""
    told = sentences(stories[at])
    middle = len(told) // 2
    others = [sentences(story) for story in draw.sample(stories[:at] + stories[at + 1 :], 3)]
    choices = [told[middle], *(other[len(other) // 2] for other in others)]
    draw.shuffle(choices)
    if len(set(choices)) < 4:
        return None
    return {"context": " ".join(told[:middle]), "choices": choices, "answer": choices.index(told[middle])}


def last_word(story, draw):
    """A story up to the last word of one of its sentences."""
    said, found = "", []
    for sentence in sentences(story):
        before, _, last = (said + sentence).rpartition(" ")
        word = last.rstrip(".!?")
        if len(before.split()) >= LEAST_WORDS and len(word) > 2 and word.isalpha() and '"' not in sentence:
            found.append({"context": before, "word": word})
        said += sentence + " "
    return draw.choice(found) if found else None


def write(name, items):
    lines = [json.dumps(item, ensure_ascii=False) + "\n" for item in items if item][:N_ITEMS]
    (FOLDER / "data" / name).write_text("".join(lines), encoding="utf-8")
    print(f"{name}: {len(lines)}")


def main():
    with open(sys.argv[1], encoding="utf-8") as lines:
        stories = [json.loads(line)["text"] for line in lines]
    draw = random.Random(1)
    (FOLDER / "data").mkdir(exist_ok=True)
    write("choice.jsonl", [choice(stories, at, draw) for at in range(200)])
    write("last-word.jsonl", [last_word(story, draw) for story in stories])
    write("stories.jsonl", [{"text": story} for story in stories[-N_ITEMS // 3 :]])


if __name__ == "__main__":
    main()
