#!/bin/bash
# The stages of the reader on a CUDA machine, one after the other; each goes on where it stopped.
#   bash training/gpu/run.sh tower 3 language 4 joint 5     (stage, minutes, ...)
# `tower` needs the first load alone, and `language` does not need `tower`: they can run side by side (WORKERS for each).
# Expects what receive.sh laid below READER_RUNS. Sizes are for one GPU of 80 GB. A trial on a CPU:
#   POSITIONS=500 CELLS=96 LONGEST=300 MICRO=300 WORKERS=1 EVALUATE=1 bash training/gpu/run.sh tower 1 language 1 joint 1
set -e
R=${READER_RUNS:-$HOME/reader-runs}
cd "$(dirname "$0")/.."
export PYTHONPATH=. PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 READER_FONTS=$R/fonts
export TORCHINDUCTOR_CACHE_DIR=$R/compiled
ulimit -n "$(ulimit -Hn)"   # workers hand over every tensor as a file
WORKERS=${WORKERS:-$(($(nproc) - 1))}
POSITIONS=${POSITIONS:-49152}
LONGEST=${LONGEST:-1000}
common="--base $R/base --corpus $R/corpus --workers $WORKERS --micro ${MICRO:-24576} --positions $POSITIONS --cooldown 0.4 --freeze-maps --without-optimizer
  --log-every ${LOG:-25} --save-every 1000 --evaluate-every 0 --evaluate-samples ${EVALUATE:-0}"
while [ $# -ge 2 ]; do
  stage=$1 minutes=$2
  shift 2
  echo "== $stage, $minutes minutes"
  case $stage in
    language)
      python3 -m reader.train_language $common --out "$R/language" --mixture read_and_ask --minutes "$minutes" \
        --longest $LONGEST --most $((LONGEST * 2)) --long-share 0.2 --columns 8 30 --rise ${RISE:-8e6} --lr 5e-4 --warmup 50 ;;
    tower)
      python3 -m reader.train_tower --base "$R/base" --corpus "$R/corpus" --out "$R/tower" \
        --minutes "$minutes" --cells ${CELLS:-6144} --workers "$WORKERS" --reuse 1 --lr 1.5e-3 --cooldown 0.4 --log-every ${LOG:-50} \
        --save-every 1000 --evaluate-every 0 ;;
    joint)
      python3 -m reader.train_language $common --out "$R/joint" --start "$R/language/state.pt" --tower "$R/tower/state.pt" --mixture ask \
        --minutes "$minutes" --longest $LONGEST --most $((LONGEST * 7)) --long-share 0.3 --columns 8 30 --rows 8 30 --rise 0 --lr 3e-4 \
        --warmup 50 --drops 0.4 --int4 ;;
    *) echo "no such stage: $stage"; exit 2 ;;
  esac
done
