#!/usr/bin/env bash
# Runs the Python example against two real nodes on loopback. Needs Python 3.11 with venv, and the program:
#   LIENTHONG_BIN=target/release/lienthong tests/clients/python/run.sh
# Everything is made in a temporary folder and removed at the end. The first of four ports is $LIENTHONG_PORT.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
bin=$(realpath "${LIENTHONG_BIN:-$root/target/release/lienthong}")
port=${LIENTHONG_PORT:-17600}
work=$(mktemp -d)
pids=()

finish() {
    local code=$?
    trap - EXIT
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    if [ "$code" -ne 0 ]; then
        tail -n 30 "$work"/*.log >&2 2>/dev/null || true
        echo "0 passed, 1 failed"
    fi
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT

echo "python: packages and generated code"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
mkdir "$work/generated"
"$work/venv/bin/python" -m grpc_tools.protoc -I "$root/proto" --python_out="$work/generated" \
    --grpc_python_out="$work/generated" "$root"/proto/lienthong/v1/*.proto

echo "nodes: a network of two, and start"
"$bin" init "$work/net" --local-network --port "$port" >"$work/init.log"
for node in tinh huyen; do
    "$bin" check-config "$work/net/$node/lienthong.toml" >>"$work/init.log"
    "$bin" serve --config "$work/net/$node/lienthong.toml" >"$work/$node.log" 2>&1 &
    pids+=($!)
done
for node in tinh huyen; do
    for _ in $(seq 300); do
        if grep -q '^ready' "$work/$node.log"; then break; fi
        sleep 0.1
    done
    grep -q '^ready' "$work/$node.log" || { echo "node $node did not start" >&2; exit 1; }
done

echo "client:"
# `init` gives the nodes their ports in the order of the agency list: tinh, huyen; clients, then peers.
PYTHONPATH="$work/generated" "$work/venv/bin/python" "$here/client.py" "$work/net" \
    "localhost:$port" "localhost:$((port + 2))"

echo "nodes: stop"
for pid in "${pids[@]}"; do kill -TERM "$pid"; done
for pid in "${pids[@]}"; do wait "$pid"; done # Exit 0 each, or this script fails.
pids=()
for node in tinh huyen; do "$bin" audit check --data "$work/net/$node/data" >"$work/check-$node.log" 2>&1; done
echo "1 passed, 0 failed"
