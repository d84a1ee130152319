# Says in words what is missing before anything is set up. Usage: check-python.sh PYTHON
python=$1
command -v "$python" >/dev/null || { echo "$python is not here: apt install python3 python3-venv" >&2; exit 69; }
"$python" - <<'EOF' || exit 69
import platform, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"visiond needs Python 3.11 to 3.13, this is {platform.python_version()}: make PYTHON=python3.11 …")
try:
    import ensurepip, venv
except ImportError:
    sys.exit("Python's venv module is not here: apt install python3-venv")
EOF
