#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
time=${FUZZTIME:-10s}
targets=0
while IFS=: read -r file name; do
	dir=./$(dirname "$file")
	echo "fuzz $dir $name for $time"
	# -run '^$': the seeds ran as tests already.
	"$go" test "$dir" -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 5s
	targets=$((targets + 1))
done < <(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . |
	sed -E 's|^\./||; s|^([^:]+):[0-9]+:func (Fuzz.*)$|\1:\2|' | sort)
echo "$targets fuzz targets ran"
