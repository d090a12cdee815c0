#!/usr/bin/env bash
# LABELS: launch slow
# tests/launch/signals_test.sh with 50 rounds.
ROUNDS=50 exec bash "$LOCKSTEP_SOURCE_DIR/tests/launch/signals_test.sh"
