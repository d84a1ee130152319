#!/bin/sh
# The daemon with config/demo.yaml, and its detections live in this terminal until Ctrl-C.
# Usage: examples/demo.sh [SECONDS]; `visiond` must be on the PATH (make run sees to it).
set -u
project=$(cd "$(dirname "$0")/.." && pwd)
seconds=${1:-}
case $seconds in *[!0-9]* | 0) echo "SECONDS=$seconds: give a whole number of seconds, 1 or more" >&2; exit 64 ;; esac

run=$(mktemp -d "/tmp/visiond.XXXXXX") || exit 73
socket=$run/visiond.sock
visiond run -c "$project/config/demo.yaml" --socket "$socket" 2>"$run/log" &
daemon=$!
# Ctrl-C reaches the daemon too; this shell waits for it, and takes its folder away
trap : INT
trap 'kill $daemon 2>/dev/null; wait $daemon; rm -rf "$run"; exit 143' TERM HUP
echo "visiond starts; its socket is $socket"
tries=0
while [ ! -S "$socket" ] && kill -0 $daemon 2>/dev/null && [ $tries -lt 150 ]; do sleep 0.1; tries=$((tries + 1)); done

if [ -S "$socket" ]; then
    if [ -n "$seconds" ]; then
        timeout --foreground --signal=INT "$seconds" visiond watch --socket "$socket"
    else
        visiond watch --socket "$socket"
    fi
    kill $daemon 2>/dev/null
    wait $daemon
    code=$?
else
    wait $daemon
    code=$?
fi
[ $code -eq 0 ] || { echo "visiond ended with $code; its log:" >&2; cat "$run/log" >&2; }
rm -rf "$run"
exit $code
