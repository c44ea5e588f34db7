#!/bin/bash
# Keeps one load of reader.bundle on this machine, and makes of all loads so far what can be made.
#   bash training/gpu/receive.sh gpu/0
set -e
R=${READER_RUNS:-$HOME/reader-runs}
mkdir -p "$R/loads" "$R/base" "$R/corpus" "$R/fonts"
cp -r "$1"/. "$R/loads/"
cd "$R"
for part in embedding decoder; do cat loads/blocks-$part.safetensors.* > base/blocks-$part.safetensors 2>/dev/null || true; done
cp -n loads/tokenizer.json base/ && cp -n loads/*.ttf fonts/
for name in train heldout; do
  [ -f corpus/$name.jsonl ] || python3 -c "import lzma;open('corpus/$name.jsonl','wb').write(lzma.open('loads/$name.jsonl.xz').read())"
done
