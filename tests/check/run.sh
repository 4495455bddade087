#!/usr/bin/env bash
# How long `audit check` takes for a long log, and how much memory.
#
#   tests/check/run.sh [EVENTS] [TOGETHER]      a million events, of 3 documents at a time, if nothing is said
#
# Writes a log of real events (tests/check/long.rs; some minutes), checks it, and prints one line of JSON; exit 1 when it
# does not check, takes more than 30 s for each million events, or ever has more than 512 MiB resident. Needs about 2.5
# GiB of disk for a million events below $TMPDIR, and as much again for the copy that is checked.
# $LIENTHONG_BIN: the program (default: target/release/lienthong). $LIENTHONG_CHECK_DATA: a log that was written before.
set -euo pipefail

events=${1:-1000000}
together=${2:-3}
limit_mib=512
cd "$(dirname "$0")/../.."
bin=$(realpath "${LIENTHONG_BIN:-target/release/lienthong}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The seed of the tests' log key, as a verifier key.
data=${LIENTHONG_CHECK_DATA:-$work/data}
if [ ! -d "$data/journal" ]; then
    LIENTHONG_CHECK_DATA=$data LIENTHONG_CHECK_EVENTS=$events LIENTHONG_CHECK_TOGETHER=$together \
        cargo test --locked --test check -- --ignored --nocapture write_a_long_log >"$work/write.txt"
    awk '/^key / {print $2}' "$work/write.txt" >"$data/log.key"
fi

began=$(date +%s%3N)
"$bin" audit check --data "$data" --log-key "$(cat "$data/log.key")" --format json >"$work/check.json" 2>/dev/null &
pid=$!
peak=0
while kill -0 "$pid" 2>/dev/null; do
    now=$(awk '/^VmHWM/ {print int($2 / 1024)}' "/proc/$pid/status" 2>/dev/null || true)
    [ "${now:-0}" -gt "$peak" ] && peak=$now
    sleep 0.1
done
ok=true
wait "$pid" || ok=false
ms=$(($(date +%s%3N) - began))
checked=$(grep -o '"events":[0-9]*' "$work/check.json" | cut -d: -f2)
printf '{"events":%d,"verified":%s,"seconds":%d.%03d,"peak_mib":%d,"limit_mib":%d}\n' \
    "$checked" "$ok" $((ms / 1000)) $((ms % 1000)) "$peak" "$limit_mib"
"$ok" && [ "$peak" -lt "$limit_mib" ] && [ "$ms" -lt $((30000 * (checked / 1000000 + 1))) ]
