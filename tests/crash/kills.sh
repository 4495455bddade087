#!/bin/sh
# A hundred SIGKILLs under load, every fourth in the middle of a recovery: tests/crash/kills.sh [ROUNDS]
# A round kills each of the three nodes once, and one of them again as it begins.
set -eu
cd "$(dirname "$0")/../.."
LIENTHONG_KILL_ROUNDS=${1:-25} exec cargo test --locked --test crash -- --nocapture killed_nodes
