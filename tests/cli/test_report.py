"""The report says what happened: its counts are derived again, from source, target and output alone."""

import json
import random
import re
from html.parser import HTMLParser

import pytest

from helpers import (ITEM_SIZES, TORCH_NAMES, entries, environment, expand, read_any, run, run_in_terminal,
                     schema_text, succeed, write_any, write_safetensors, write_spec)

STATUSES = ("loaded", "transformed", "adapted", "kept", "initialised", "skipped", "omitted", "error", "unexpected")


# --- random migrations ----------------------------------------------------------------------------------


def draw(seed):
    """Shapes of a source and of a target, and a spec between them."""
    random_ = random.Random(seed)
    dtypes = ["F32", "F32", "F32", "F16", "I64"]

    def shape():
        return (random_.choice(dtypes), [random_.randint(1, 6) for _ in range(random_.randint(0, 3))])

    source = {}
    for layer in range(random_.randint(2, 7)):
        for part in random_.sample(["attn.qkv.weight", "attn.qkv.bias", "mlp.fc1.weight", "norm.weight", "scale"], 3):
            source[f"model.layers.{layer}.{part}"] = shape()
    for name in random_.sample(["model.head.weight", "model.head.bias", "model.embed.weight", "steps", "ema.decay"], 3):
        source[name] = shape()
    spec = {"prefix": random_.random() < 0.8, "blocks": random_.random() < 0.5,
            "drop": random_.sample([r"\.scale$", r"^steps$", r"norm", r"^ema\."], random_.randint(0, 2)),
            "copy": random_.random() < 0.3}
    rules = []
    for pattern in spec["drop"]:
        rules.append(f"drop: '{pattern}'")
    if spec["prefix"]:
        rules.append("rename: '^model\\.'\n    to: ''")
    if spec["blocks"]:
        rules.append("rename: 'layers\\.(\\d+)\\.'\n    to: 'blocks.{\\1}.'")
    if spec["copy"]:
        rules.append("copy: '^embed\\.weight$'\n    to: 'decoder.weight'")

    def new_name(name):
        name = name.removeprefix("model.") if spec["prefix"] else name
        return re.sub(r"layers\.(\d+)\.", r"blocks.\1.", name) if spec["blocks"] else name

    # The target has most of the results, some of them in another shape, and names of its own.
    target = {}
    for name, (dtype, sizes) in source.items():
        if random_.random() < 0.8:
            other = [*sizes, 2] if random_.random() < 0.2 else sizes
            target[new_name(name)] = (dtype, other)
    for i in range(random_.randint(0, 4)):
        target[f"adapter.{i}.weight"] = shape()
    policy = {"missing": random_.choice(["keep", "omit"]), "unexpected": random_.choice(["drop", "keep"]),
              "shape": "skip"}
    text = "name: drawn\nrules:" + ("".join(f"\n  - {rule}" for rule in rules) or " []")
    text += "\npolicy: " + json.dumps(policy).replace('"', "")
    return source, target, text


@pytest.fixture(params=range(8))
def migration(request, tmp_path):
    """A migration that was run: folder, source, target, output, JSON report, text."""
    seed = request.param
    source_shapes, target_shapes, spec = draw(seed)
    suffix = ["safetensors", "pt"][seed % 2]
    write_any(tmp_path / f"source.{suffix}", entries(source_shapes))
    write_safetensors(tmp_path / "target.safetensors", entries(target_shapes, seed=1))
    write_spec(tmp_path / "spec.yaml", spec)
    output = tmp_path / f"new.{['safetensors', 'pt'][seed // 2 % 2]}"
    result = run("apply", "spec.yaml", f"source.{suffix}", "-t", "target.safetensors", "-o", output.name,
                 "--report", "report.json", cwd=tmp_path)
    assert result.status == 0, str(result)
    arguments = ["plan", "spec.yaml", f"source.{suffix}", "-t", "target.safetensors"]
    return {"folder": tmp_path, "source": read_any(tmp_path / f"source.{suffix}"),
            "target": read_any(tmp_path / "target.safetensors"), "output": read_any(output),
            "report": json.loads((tmp_path / "report.json").read_text()), "text": result.out, "arguments": arguments,
            "files": {"source": tmp_path / f"source.{suffix}", "output": output}}


def sum_of(tensors):
    tensors = list(tensors)
    return {"tensors": len(tensors), "parameters": sum(one.elements for one in tensors),
            "bytes": sum(one.elements * ITEM_SIZES[one.dtype] for one in tensors)}


def describe(one):
    return [list(one.shape), TORCH_NAMES[one.dtype]]


def test_every_tensor_is_what_the_report_says(migration):
    """Noise is its own name: whose bytes an output has says where it comes from."""
    source, target, output = migration["source"], migration["target"], migration["output"]
    report = migration["report"]
    for told in report["tensors"]:
        name, status = told["name"], told["status"]
        sources = [source[one] for one in told["sources"]]
        if status == "omitted":
            assert name not in output
            assert told["shape"] is None and told["dtype"] is None
            continue
        written = output[name]
        assert [told["shape"], told["dtype"]] == describe(written)
        if status in ("loaded", "unexpected"):
            assert len(sources) == 1 and sources[0] == written, told
        elif status in ("kept", "skipped"):
            assert written == target[name], told
            assert bool(sources) == (status == "skipped"), told
            assert status == "kept" or sources[0].shape != target[name].shape
        else:
            raise AssertionError(told)
        if sources:
            assert [told["source_shape"], told["source_dtype"]] == describe(sources[0])
        if name in target:
            assert [told["target_shape"], told["target_dtype"]] == describe(target[name])
        else:
            assert status == "unexpected" and told["target_shape"] is None
        assert told["digest"]
    told = [one["name"] for one in report["tensors"]]
    assert len(set(told)) == len(told)
    assert [name for name in told if name in target] == list(target), "the target's order"
    assert [one["name"] for one in report["tensors"] if one["status"] != "omitted"] == list(output)
    # Equal bytes have equal digests and only they.
    by_digest = {}
    for one in report["tensors"]:
        if one["status"] != "omitted":
            by_digest.setdefault(one["digest"], set()).add(output[one["name"]].data)
    assert all(len(contents) == 1 for contents in by_digest.values())


def test_totals_by_status(migration):
    target, output, report = migration["target"], migration["output"], migration["report"]
    groups = {status: [] for status in STATUSES}
    for one in report["tensors"]:
        groups[one["status"]].append(output.get(one["name"]) or target[one["name"]])
    for status in STATUSES:
        assert report["totals"][status] == sum_of(groups[status]), status
    assert report["totals"]["target"] == sum_of(target.values())
    assert set(report["totals"]) == {*STATUSES, "target"}
    filled = sum(one.elements for status in ("loaded", "transformed", "adapted") for one in groups[status])
    whole = sum(one.elements for one in target.values())
    assert (report["coverage"]["elements_loaded"], report["coverage"]["elements"]) == (filled, whole)
    assert report["coverage"]["fraction"] == pytest.approx(filled / whole if whole else 1.0)


def test_totals_from_the_output_alone(migration):
    """Without a word of the report: whose bytes stand in the output."""
    target, output, report = migration["target"], migration["output"], migration["report"]
    totals = report["totals"]
    by_data = {one.data for one in migration["source"].values() if one.elements}
    from_source = [name for name, one in output.items() if one.elements and one.data in by_data]
    assert totals["loaded"]["tensors"] == len([name for name in from_source if name in target])
    assert totals["unexpected"]["tensors"] == len([name for name in output if name not in target])
    assert totals["kept"]["tensors"] + totals["skipped"]["tensors"] \
        == len([name for name, one in output.items() if name in target and one == target[name]])
    assert totals["omitted"]["tensors"] == len([name for name in target if name not in output])
    assert totals["error"]["tensors"] == 0
    assert report["coverage"]["elements_loaded"] == sum(output[name].elements for name in from_source if name in target)


def test_every_source_tensor_has_one_end(migration):
    source, output, report = migration["source"], migration["output"], migration["report"]
    assert [one["name"] for one in report["sources"]] == list(source)
    used = {name for one in report["tensors"] if one["status"] in ("loaded", "transformed", "adapted")
            for name in one["sources"]}
    groups = {}
    written = {one.data for one in output.values()}
    for one in report["sources"]:
        groups.setdefault(one["disposition"], []).append(source[one["name"]])
        assert [one["shape"], one["dtype"]] == describe(source[one["name"]])
        reaches = one["disposition"] in ("used", "unexpected-kept")
        assert reaches == (source[one["name"]].data in written), one
        assert (one["disposition"] == "used") == (one["name"] in used), one
        assert (one["disposition"] == "dropped") == (one["rule"] is not None), one
    totals = report["sources_totals"]
    for disposition, total in totals.items():
        if disposition != "sources":
            assert total == sum_of(groups.get(disposition, [])), disposition
    assert totals["sources"] == sum_of(source.values())
    assert sum(total["tensors"] for key, total in totals.items() if key != "sources") == len(source)


def test_files_and_rules(migration):
    report = migration["report"]
    assert report["inputs"][0]["bytes"] == migration["files"]["source"].stat().st_size
    assert report["output"]["bytes"] == migration["files"]["output"].stat().st_size
    assert report["output"]["written"] is True and report["output"]["digest"]
    assert [one["tensors"] for one in report["inputs"]] == [len(migration["source"]), len(migration["target"])]
    for rule in report["rules"]:
        assert sum(entry["matches"] for entry in rule["entries"]) == rule["matches"]
        if rule["verb"] == "drop":
            dropped = [one for one in report["sources"] if one["rule"] == rule["rule"]]
            assert len(dropped) == rule["matches"]
            assert all(re.search(rule["entries"][0]["pattern"], one["name"]) for one in dropped)
    # The steps of a tensor lead from its source's name to its own.
    for one in report["tensors"]:
        at = one["sources"][0] if one["sources"] else None
        for step in one["rules"]:
            assert step["from"] == at, one
            at = step["to"]
        assert not one["sources"] or at == one["name"], one


def test_a_plan_says_the_same_as_the_run(migration):
    planned = json.loads(succeed(*migration["arguments"], "--json", cwd=migration["folder"]).out)
    report = migration["report"]
    for key in ("totals", "sources_totals", "coverage", "rules", "sources", "unexpected", "spec", "verdict"):
        assert planned[key] == report[key], key
    for before, after in zip(planned["tensors"], report["tensors"], strict=True):
        assert {**before, "digest": None} == {**after, "digest": None}


# --- the text ---------------------------------------------------------------------------------------------

ROW = re.compile(r"^ (loaded|transformed|adapted|kept|initialised|skipped|omitted|missing|mismatched|refused|unexpected"
                 r"|dropped|untied|left out|extras|unused|remarks) +(\d+)(?: tensors?)?(?: +(.*))?$")


def rows_of(text):
    """status -> (count, lines behind it) of a report that was printed wide."""
    rows, status = {}, None
    for line in text.splitlines():
        head = ROW.match(line)
        if head:
            status = head[1]
            rows[status] = (int(head[2]), [head[3] or ""])
        elif not line.startswith(" ") or "- rename:" in line or line.strip().startswith("to: "):
            status = None
        elif status:
            rows[status][1].append(line.strip())
    return rows


def wide(migration_arguments, folder, *more):
    _, text = run_in_terminal(*migration_arguments, *more, cwd=folder, columns=4000,
                              env=environment(NO_COLOR="1", TERM="xterm"))
    return text


def members(line):
    """The names of a line: a group, or names with commas between, before two spaces."""
    return expand(line.split("  ")[0])


def test_groups_expand_to_exactly_their_members(migration):
    text = wide(migration["arguments"], migration["folder"])
    rows, report = rows_of(text), migration["report"]
    assert "--verbose" not in text
    for status in ("kept", "skipped", "omitted"):
        told = [one["name"] for one in report["tensors"] if one["status"] == status]
        count, lines = rows.get(status, (0, []))
        assert count == len(told), text
        shown = [name for line in lines for name in members(line)]
        assert sorted(shown) == sorted(told), text
    told = [one["name"] for one in report["unexpected"]]
    count, lines = rows.get("unexpected", (0, []))
    assert count == len(told) and sorted(name for line in lines for name in members(line)) == sorted(told), text
    assert rows["loaded"][0] == report["totals"]["loaded"]["tensors"]
    assert rows.get("dropped", (0,))[0] == report["sources_totals"]["dropped"]["tensors"]


def test_verbose_lists_every_name(migration):
    text = wide(migration["arguments"], migration["folder"], "--verbose")
    words = set(re.split(r"[\s,]+", text))
    for one in migration["report"]["tensors"]:
        if one["status"] == "loaded":
            assert one["name"] in words, text


def test_groups_of_names_that_are_hard_to_group(tmp_path):
    names = ["a.0.w", "a.2.w", "a.3.w", "a.10.w", "a.01.w", "b.1.x", "b.2.y", "c{d}.w", "c{e}.w", "f,g.w", "f,h.w",
             "back\\slash.1.w", "back\\slash.2.w", "n.1", "n.2", "n.3", "n.4", "n.5", "n.6", "n.7", "deep.1.2.3.w",
             "deep.1.2.4.w", "deep.2.2.3.w", "..", "x..0", "x..1", "9", "10", "ü.1", "ü.2"]
    (tmp_path / "target.yaml").write_text(schema_text({name: [1] for name in names}))
    write_safetensors(tmp_path / "source.safetensors", entries({"only": [1]}))
    write_spec(tmp_path / "spec.yaml", "rules: []\npolicy: {missing: omit, unexpected: drop}")
    arguments = ["plan", "spec.yaml", "source.safetensors", "-t", "target.yaml"]
    for more in ([], ["--missing", "error"]):
        rows = rows_of(wide(arguments, tmp_path, *more, "--verbose"))
        count, lines = rows["missing" if more else "omitted"]
        assert count == len(names)
        # With `verbose` the members of a group stand below it, with their shapes.
        heads = [line for line in lines if not re.search(r"\[1\]", line)]
        shown = [name for line in heads for name in members(line)]
        assert sorted(shown) == sorted(names), lines


def test_different_details_are_not_one_group(tmp_path):
    write_safetensors(tmp_path / "source.safetensors", entries({"a.0": [2], "a.1": [3], "a.2": [2]}))
    write_safetensors(tmp_path / "target.safetensors", entries({"a.0": [4], "a.1": [4], "a.2": [4]}, seed=1))
    write_spec(tmp_path / "spec.yaml", "policy: {shape: skip}")
    text = wide(["plan", "spec.yaml", "source.safetensors", "-t", "target.safetensors"], tmp_path)
    count, lines = rows_of(text)["skipped"]
    assert count == 3
    by_names = {tuple(members(line)): line for line in lines}
    assert set(by_names) == {("a.0", "a.2"), ("a.1",)}, text
    assert "[2]" in by_names["a.0", "a.2"] and "[3]" in by_names["a.1",]


def test_what_is_cut_is_counted(tmp_path):
    names = [f"{random.Random(i).randbytes(6).hex()}.{i * 7 % 101}.z{i}" for i in range(60)]
    write_safetensors(tmp_path / "source.safetensors", entries({"only": [1]}))
    (tmp_path / "target.yaml").write_text(schema_text({name: [1] for name in names}))
    write_spec(tmp_path / "spec.yaml", "policy: {missing: omit, unexpected: drop}")
    arguments = ["plan", "spec.yaml", "source.safetensors", "-t", "target.yaml"]
    count, lines = rows_of(wide(arguments, tmp_path))["omitted"]
    shown = sum(len(members(line)) for line in lines if "more" not in line)
    hidden = [int(number) for line in lines for number in re.findall(r"and (\d+) more", line)]
    assert count == 60 and shown + sum(hidden) == 60, lines
    assert not hidden or "--verbose" in "".join(lines)
    text = succeed(*arguments, "--verbose", cwd=tmp_path).out
    assert all(name in text for name in names)


def test_a_narrow_terminal_loses_nothing(tmp_path):
    write_safetensors(tmp_path / "source.safetensors", entries({f"a.long.name.of.layer.{i}.weight": [1] for i in range(3)}))
    write_safetensors(tmp_path / "target.safetensors", entries({"b": [1]}))
    write_spec(tmp_path / "spec.yaml", "policy: {missing: keep, unexpected: drop}")
    for columns in (20, 40, 80, 200):
        status, text = run_in_terminal("plan", "spec.yaml", "source.safetensors", "-t", "target.safetensors",
                                       cwd=tmp_path, columns=columns, env=environment(NO_COLOR="1", TERM="xterm"))
        assert status == 0
        assert "a.long.name.of.layer.{0,1,2}.weight" in re.sub(r"\s+", "", text), text


# --- HTML -------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key in ("src", "href", "action", "data", "srcset", "style") or key.startswith("on"):
                self.links.append((key, value))

    def handle_data(self, data):
        self.texts.append(data)


def test_html_has_every_name_and_nothing_from_outside(migration):
    succeed(*migration["arguments"], "--report", "report.html", cwd=migration["folder"])
    text = (migration["folder"] / "report.html").read_text()
    page = Page(text)
    shown = "\n".join(page.texts)
    for one in [*migration["report"]["tensors"], *migration["report"]["sources"]]:
        assert one["name"] in shown, one["name"]
    assert_self_contained(text, page)


def assert_self_contained(text, page):
    assert "<script" not in text.lower()
    assert not set(page.tags) & {"script", "link", "iframe", "img", "object", "embed", "base", "form"}, page.tags
    assert all(key == "href" and (value or "").startswith("#") for key, value in page.links if key != "style"), page.links
    assert not re.search(r"https?://|//[a-z]|@import|url\(", text), re.findall(r"https?://\S+|@import|url\(", text)


def test_html_escapes_what_it_is_given(tmp_path):
    names = ["<script>alert(1)</script>", "a & b", '"quoted" onload="x"', "'single'", "&lt;b&gt;", "{{mustache}}",
             "{{{raw}}}", "</td></table><h1>x", "<!--", "ü☃"]
    write_safetensors(tmp_path / "<b>source.safetensors", entries({name: [1] for name in names}))
    write_spec(tmp_path / "spec.yaml", "name: '<script>x</script> {{name}}'\nrules:\n  - drop: '<nothing & \"none\">'\n"
               "    id: '<i>'")
    succeed("apply", "spec.yaml", "<b>source.safetensors", "-o", "new.safetensors", "--report", "report.html",
            cwd=tmp_path)
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert_self_contained(text, page)
    shown = "\n".join(page.texts)
    for name in [*names, "<b>source.safetensors", "<script>x</script> {{name}}"]:
        assert name in shown, name
    assert page.tags.count("h1") == 1 and "i" not in page.tags


def test_html_of_a_failed_run_says_why(tmp_path):
    write_safetensors(tmp_path / "source.safetensors", entries({"a.gamma": [2]}))
    write_safetensors(tmp_path / "target.safetensors", entries({"a.scale": [2]}))
    write_spec(tmp_path / "spec.yaml", "rules: []")
    result = run("plan", "spec.yaml", "source.safetensors", "-t", "target.safetensors", "--report", "report.html",
                 cwd=tmp_path)
    assert result.status == 1
    shown = "\n".join(Page((tmp_path / "report.html").read_text()).texts)
    for word in ("a.gamma", "a.scale", "missing", "unexpected", "failed"):
        assert word in shown


# --- a report of what could not be read --------------------------------------------------------------------


def test_names_that_are_no_utf8(tmp_path):
    """Python's lone surrogates: `name_bytes` has what JSON cannot."""
    import torch

    torch.save({"bad\ud800name": torch.ones(2), "fine": torch.ones(3)}, tmp_path / "source.pt")
    write_spec(tmp_path / "spec.yaml", "rules: []")
    odd, fine = json.loads(succeed("plan", "spec.yaml", "source.pt", "--json", cwd=tmp_path).out)["tensors"]
    assert bytes.fromhex(odd["name_bytes"]) == b"bad\xed\xa0\x80name"
    assert odd["name"] == odd["sources"][0] == r"bad\xed\xa0\x80name"
    assert fine["name"] == "fine" and "name_bytes" not in fine


def test_a_source_that_is_broken(tmp_path):
    import torch

    path = tmp_path / "source.pt"
    torch.save({"broken": torch.ones(2)}, path)
    content = path.read_bytes()
    assert content.count(b"broken") == 1
    path.write_bytes(content.replace(b"broken", b"brok\xffn"))
    write_spec(tmp_path / "spec.yaml", "rules: []")
    result = run("plan", "spec.yaml", "source.pt", "--json", cwd=tmp_path)
    assert result.status == 3 and "source.pt: error[checksum]" in result.err
    report = json.loads(result.out)
    assert report["verdict"] == "failed" and not report["complete"]
