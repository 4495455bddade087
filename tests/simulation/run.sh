#!/bin/sh
# Many seeds of the simulation, on all cores: tests/simulation/run.sh [SEEDS] [FROM]
# A failing seed is printed with the command that repeats it.
set -eu
cd "$(dirname "$0")/../.."
SIMULATION_SEEDS=${1:-100000} SIMULATION_FROM=${2:-0} \
    exec cargo test --locked --test simulation -- --nocapture whatever_happens
