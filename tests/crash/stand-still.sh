#!/bin/sh
# Each of three nodes in turn stands still (SIGSTOP) for a minute under load: tests/crash/stand-still.sh [SECONDS]
set -eu
cd "$(dirname "$0")/../.."
LIENTHONG_STILL_SECONDS=${1:-60} exec cargo test --locked --test crash -- --ignored --nocapture stands_still
