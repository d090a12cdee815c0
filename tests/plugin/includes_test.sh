#!/usr/bin/env bash
# The framework knows no plugin and no library that belongs to one.
set -euo pipefail
cd "$LOCKSTEP_SOURCE_DIR/framework"
forbidden='#[[:space:]]*include[[:space:]]*[<"]([^>"]*plugins/|dnnl|oneapi/|cudnn|nccl|mpi\.h|cuda)'
if grep -rnE "$forbidden" --include='*.hpp' --include='*.cpp' --include='*.h' .; then
  echo "framework/ includes what only plugins may include"
  exit 1
fi
# Public headers need the standard library alone.
public=$LOCKSTEP_BUILD_DIR/framework/public_headers.txt
libraries='#[[:space:]]*include[[:space:]]*[<"](fmt|spdlog|toml|boost|nlohmann|CLI|xxhash|H5|hdf5)'
if xargs grep -nE "$libraries" <"$public"; then
  echo "a public header includes a library that plugin authors need not have"
  exit 1
fi
