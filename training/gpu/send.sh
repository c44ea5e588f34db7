#!/bin/bash
# Packs a state for the way back: parts of less than 16 MiB, in two loads.
#   bash training/gpu/send.sh joint model "$OUT"
#   bash training/gpu/send.sh joint rest "$OUT"
set -e
R=${READER_RUNS:-$HOME/reader-runs}
cd "$(dirname "$0")/.."
export PYTHONPATH=.
sides="model --int4"
[ "$2" = rest ] && sides="packing tower head"
python3 -m reader.carry pack --base "$R/base" --state "$R/$1/state.pt" --sides $sides --out "$3"
for stage in language tower joint; do [ -f "$R/$stage/log.jsonl" ] && cp "$R/$stage/log.jsonl" "$3/$stage.log.txt"; done
ls -la "$3"
