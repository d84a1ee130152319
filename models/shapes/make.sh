# Trains, quantizes, packages and measures models/shapes. `make model` runs it; PYTHON and BIN say with what.
# TensorFlow gets an environment of its own, .venv-model: the daemon never needs it.
set -eu
cd "$(dirname "$0")/../.."
if [ ! -e .venv-model/ready ]; then
    echo "setting up .venv-model with TensorFlow (about 1 GB, some minutes)"
    "${PYTHON:-python3}" -m venv .venv-model
    .venv-model/bin/pip install --quiet --disable-pip-version-check -r models/shapes/requirements.txt || {
        echo "pip could not install TensorFlow: is there a network, and room on the disk?" >&2
        exit 69
    }
    touch .venv-model/ready
fi
echo "training models/shapes (20 to 30 minutes on 2 cores)"
.venv-model/bin/python models/shapes/train.py "$@"
"$BIN/python" models/shapes/package.py
"$BIN/python" models/shapes/evaluate.py
