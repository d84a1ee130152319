#!/bin/sh
# Installs visiond for systemd on Debian 12/13 and Raspberry Pi OS, 64-bit: program, user, configuration, unit.
# Usage: sudo ./install.sh [--dry-run]. Running it again upgrades the program and keeps the configuration.
set -eu
project=$(cd "$(dirname "$0")" && pwd)
venv=/opt/visiond/venv
config=/etc/visiond/visiond.yaml
python=/usr/bin/python3  # the system's: picamera2 comes with it, and the service can reach it

case ${1:-} in
    "") step() { echo "$1"; shift; "$@"; } ;;
    --dry-run) step() { echo "$1"; shift; echo "    $*"; } ;;
    *) echo "install.sh: unknown option $1; there is --dry-run" >&2; exit 64 ;;
esac
[ "$(id -u)" -eq 0 ] || [ "${1:-}" = --dry-run ] || { echo "install.sh: run it as root: sudo ./install.sh" >&2; exit 77; }
command -v systemctl >/dev/null || { echo "install.sh: systemd is not here; visiond's unit needs it" >&2; exit 69; }
sh "$project/tools/check-python.sh" "$python"

step "program: $venv" "$python" -m venv --system-site-packages "$venv"
step "packages, from the network" "$venv/bin/pip" install --quiet --disable-pip-version-check --upgrade "$project[tools]"
getent passwd visiond >/dev/null ||
    step "user visiond" useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin visiond
step "the user may open cameras" usermod --append --groups video visiond
if [ -e "$config" ]; then
    echo "configuration: $config is there and stays as it is"
else
    step "configuration: $config" install -D -m 0640 -g visiond "$project/config/visiond.yaml" "$config"
fi
step "JSON Schema for editors" sh -c "mkdir -p /usr/share/visiond && '$venv/bin/visiond' schema > /usr/share/visiond/visiond.schema.json"
step "unit: visiond.service" install -m 0644 "$project/systemd/visiond.service" /etc/systemd/system/visiond.service
step "systemd reads its units again" systemctl daemon-reload
echo "next: edit $config, then: $venv/bin/visiond check && systemctl enable --now visiond"
