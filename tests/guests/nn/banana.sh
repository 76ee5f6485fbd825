#!/usr/bin/env bash
# CTest: the MobileNet example names the banana in a photograph of the test data. 77 means skipped.
#   banana.sh ENGINE TENON SOURCE_FOLDER GUEST.wasm
set -euo pipefail
data=${TENON_TEST_DATA:-$3/../shared/data}
model=$data/models/onnx-mobilenet-v1-0.25-224
if [[ ! -e $model/model.onnx ]]; then
  echo "the test data is not there; TENON_TEST_DATA names its folder"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$model/labels.txt" "$data/guests/inputs/banana.jpg" "$work"
cd "$work"
"$2" run --engine="$1" --dir . --nn-graph mobilenet="$model/model.onnx" "$4" mobilenet labels.txt banana.jpg | tee best
grep -q '^1\. \[955\] 0\.5[67].* banana$' best
grep -q '^2\. \[952\] 0\.2.* lemon$' best
