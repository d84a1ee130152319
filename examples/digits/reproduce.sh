# Reproduces docs/case-digits.md: trains, converts, measures. `make case-digits` runs it; BIN is a convert environment's.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=${1:-build/digits}
mkdir -p "$work"
"$BIN/python" "$here/train.py" "$work"
"$BIN/python" -m visiond models convert "$work/digits.keras" --to "$work" --replace --recipe "$here/model.yaml" \
    --representative "$work/train" --evaluate "$work/held-out" --golden "$work"/held-out/3/*0.png
