#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
time=${FUZZTIME:-10s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
targets=0
while IFS=: read -r file name; do
	dir=./$(dirname "$file")
	echo "fuzz $dir $name for $time"
	# -run '^$': the seeds ran as tests already.
	if ! "$go" test "$dir" -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 500x >"$log" 2>&1; then
		# go test reports the end of its own time as a failure when it comes at
		# an inconvenient moment (golang/go#75804); a finding writes its input.
		if ! grep -q 'context deadline exceeded' "$log" || grep -q 'Failing input written' "$log"; then
			cat "$log"
			exit 1
		fi
	fi
	# On a busy machine the time can be over before the first execution that is counted.
	grep -E '^fuzz: elapsed' "$log" | tail -n 1 || true
	targets=$((targets + 1))
done < <(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . |
	sed -E 's|^\./||; s|^([^:]+):[0-9]+:func (Fuzz.*)$|\1:\2|' | sort)
echo "$targets fuzz targets ran"
