#!/usr/bin/env bash
# Committed files that the program prints: fails when one is not what the program prints now.
#
# usage: generated.sh PROGRAM [--write]     --write brings the files up to date
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

program=${1:?usage: generated.sh PROGRAM [--write]}
write=${2:-}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
faults=0

# same FILE ARGUMENT...: FILE is what `PROGRAM ARGUMENT...` prints
same() {
  local file=$1
  shift
  if ! "$program" "$@" >"$scratch/now"; then
    echo "$file: \`regraft $*\` failed"
  elif [[ ! -s $scratch/now ]]; then
    echo "$file: \`regraft $*\` printed nothing"
  elif [[ $write == --write ]]; then
    mkdir -p "$(dirname "$file")"
    cp "$scratch/now" "$file"
    return
  elif [[ ! -f $file ]]; then
    echo "$file: is not there; run tests/lint/generated.sh $program --write"
  elif ! diff -u --label "$file" --label "regraft $*" "$file" "$scratch/now"; then
    echo "$file: differs; run tests/lint/generated.sh $program --write"
  else
    return 0
  fi
  faults=$((faults + 1))
}

for schema in spec report plan target; do
  same "schemas/$schema.v1.json" schema "$schema"
done
for page in diagnostics language; do
  same "docs/$page.md" reference "$page"
done

echo "generated files: $faults faults"
[[ $faults == 0 ]]
