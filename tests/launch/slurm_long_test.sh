#!/usr/bin/env bash
# LABELS: launch slow
# tests/launch/slurm_test.sh with job arrays and the start by mpirun.
LONG=yes exec bash "$LOCKSTEP_SOURCE_DIR/tests/launch/slurm_test.sh"
