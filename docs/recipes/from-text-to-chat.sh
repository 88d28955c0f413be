#!/bin/sh
# From a folder of text to a model of your own. Each step is explained in from-text-to-chat.md.
#
#   sh docs/recipes/from-text-to-chat.sh FOLDER NAME [SIZE]
#
# HEARTH is the program to use (default: hearth). What is already there is left alone: a second call with the same
# NAME makes a second run.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: sh from-text-to-chat.sh FOLDER NAME [nano|tiny|small|medium]" >&2
    exit 2
fi
folder=$1
name=$2
size=${3:-tiny}
hearth=${HEARTH:-hearth}

echo "== 1 and 2: reading $folder and training $name, size $size (Ctrl-C stops; then: hearth train --resume $name)" >&2
"$hearth" train --data "$folder" --name "$name" --size "$size"

echo "== 3: what the run was" >&2
"$hearth" runs show "$name"

echo "== 4: what it writes" >&2
"$hearth" run "$name" --raw "The" --max-tokens 40
echo

echo "== 5: the same model for other programs: $name.gguf" >&2
"$hearth" export "$name" --out "$name.gguf" --storage q8_0

echo "Done. Talk to it with: hearth run $name" >&2
