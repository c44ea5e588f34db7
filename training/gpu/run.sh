#!/bin/bash
# The stages of the reader on a CUDA machine, one after the other; each goes on where it stopped.
#   bash training/gpu/run.sh language 4 tower 2.5 joint 3     (stage, minutes, ...)
# Expects what receive.sh laid below READER_RUNS. Sizes are for one GPU of 80 GB; MICRO=8192 for 40 GB. A trial on a CPU:
#   POSITIONS=500 CELLS=96 LONGEST=300 MICRO=300 WORKERS=1 EVALUATE=1 bash training/gpu/run.sh language 1 tower 1 joint 1
set -e
R=${READER_RUNS:-$HOME/reader-runs}
cd "$(dirname "$0")/.."
export PYTHONPATH=. PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=1 READER_FONTS=$R/fonts
WORKERS=${WORKERS:-$(($(nproc) - 1))}
POSITIONS=${POSITIONS:-65536}
LONGEST=${LONGEST:-1000}
common="--base $R/base --corpus $R/corpus --workers $WORKERS --micro ${MICRO:-16384} --positions $POSITIONS --cooldown 0.35
  --log-every ${LOG:-20} --save-every 120 --evaluate-every 0 --evaluate-samples ${EVALUATE:-24}"
while [ $# -ge 2 ]; do
  stage=$1 minutes=$2
  shift 2
  echo "== $stage, $minutes minutes"
  case $stage in
    language)
      python3 -m reader.train_language $common --out "$R/language" --mixture read_and_ask --minutes "$minutes" \
        --longest $LONGEST --columns 8 30 --rise 12e6 --lr 6e-4 --warmup 60 ;;
    tower)
      python3 -m reader.train_tower --base "$R/base" --corpus "$R/corpus" --maps "$R/language/state.pt" --out "$R/tower" \
        --minutes "$minutes" --cells ${CELLS:-6144} --workers "$WORKERS" --reuse 6 --lr 1.5e-3 --cooldown 0.35 --log-every ${LOG:-50} \
        --save-every 120 --evaluate-every 0 ;;
    joint)
      python3 -m reader.train_language $common --out "$R/joint" --start "$R/language/state.pt" --tower "$R/tower/state.pt" --mixture ask \
        --minutes "$minutes" --longest $LONGEST --columns 8 30 --rows 8 30 --rise 0 --lr 3e-4 --warmup 60 --drops 0.3 --teacher 0.5 ;;
    long)
      python3 -m reader.train_language $common --out "$R/long" --start "$R/joint/state.pt" --tower "$R/joint/state.pt" --mixture ask \
        --minutes "$minutes" --longest $((LONGEST * 7)) --columns 14 30 --rows 12 30 --rise 0 --lr 1.5e-4 --warmup 40 --drops 0.3 ;;
    *) echo "no such stage: $stage"; exit 2 ;;
  esac
done
