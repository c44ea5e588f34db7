#!/bin/bash
# Keeps one load of reader.bundle on this machine; after the last one, puts them together.
#   bash training/gpu/receive.sh gpu/0 [last]
set -e
HOME_OF_RUN=${READER_RUNS:-$HOME/reader-runs}
mkdir -p "$HOME_OF_RUN/loads"
cp -r "$1"/. "$HOME_OF_RUN/loads/"
if [ "$2" = last ]; then
  cd "$HOME_OF_RUN"
  mkdir -p base corpus fonts
  cat loads/blocks.safetensors.* > base/blocks.safetensors
  cp loads/tokenizer.json base/
  cp loads/*.ttf fonts/
  xz -dc loads/train.jsonl.xz > corpus/train.jsonl 2>/dev/null || python3 -c "import lzma;open('corpus/train.jsonl','wb').write(lzma.open('loads/train.jsonl.xz').read())"
  xz -dc loads/heldout.jsonl.xz > corpus/heldout.jsonl 2>/dev/null || python3 -c "import lzma;open('corpus/heldout.jsonl','wb').write(lzma.open('loads/heldout.jsonl.xz').read())"
fi
ls -la "$HOME_OF_RUN"
