#!/bin/sh
# Installs the anvil EVM node under a directory and prints the folder to give to the tests as ZKPFL_ANVIL.
# Usage: export ZKPFL_ANVIL="$(tests/ledger/install_anvil.sh DIR)"
set -eu
directory=${1:?usage: install_anvil.sh DIR}
# The binary is inside a platform package; the postinstall script only links it, so it need not run.
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$directory" @foundry-rs/anvil@1.7.1 >&2
binary=$(find "$directory/node_modules/@foundry-rs" -type f -name anvil -path '*/bin/*' | head -n 1)
[ -n "$binary" ] || { echo "no anvil binary for this platform" >&2; exit 1; }
chmod +x "$binary"
dirname "$binary"
