"""`extras: keep`: what stands beside the tensors goes from one .pt file to another, and torch reads it there."""

import argparse
import collections
import datetime
import decimal
import io
import json
import pathlib
import sys
import types
import zipfile

import numpy
import pytest
import torch

from helpers import assert_error, errors_of, run, snapshot, succeed, write_spec

KEEP = "policy: {extras: keep}"


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))


def trained(optimizer_class=torch.optim.Adam, **options):
    net = model()
    optimizer = optimizer_class(net.parameters(), lr=0.01, **options)
    for step in range(3):
        optimizer.zero_grad()
        net(torch.arange(32.0).reshape(8, 4) * (step + 1)).square().sum().backward()
        optimizer.step()
    return net, optimizer


def everything():
    """Values of each kind that a checkpoint was seen to hold."""
    loop = [1]
    loop.append(loop)
    shared = [1, 2]
    return {
        "epoch": 3, "big": 2**80, "negative": -2**70, "small": -5, "wide": 2**31, "float": 1.25, "nan": float("inf"),
        "none": None, "true": True, "text": "é\ud800", "empty": "", "bytes": bytes(range(256)), "bytearray": bytearray(b"ab"),
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "set": {1, "a"}, "frozenset": frozenset({3}),
        "complex": complex(1, 2), "range": range(3), "slice": slice(1, None, 2), "loop": loop, "twice": [shared, shared],
        "long": list(range(2500)), "wide dict": {i: str(i) for i in range(2500)}, 5: "an integer as key",
        (1, "two"): "a tuple as key", "ordered": collections.OrderedDict(a=1), "counter": collections.Counter("aab"),
        "default": collections.defaultdict(list, a=[1]), "deque": collections.deque([1, 2], 5),
        "namespace": argparse.Namespace(lr=0.1, out=pathlib.PurePosixPath("/x"), nested=argparse.Namespace(a=[1])),
        "simple": types.SimpleNamespace(a=1), "when": datetime.datetime(2020, 1, 2, tzinfo=datetime.timezone.utc),
        "delta": datetime.timedelta(3), "decimal": decimal.Decimal("1.5"), "scalar": numpy.float64(1.5),
        "int32": numpy.int32(7), "array": numpy.arange(12.0).reshape(3, 4), "objects": numpy.array([1, "a"], dtype=object),
        "dtype": torch.bfloat16, "device": torch.device("cuda:0"), "size": torch.Size([1, 2]),
        "rng": torch.get_rng_state(), "parameter": torch.nn.Parameter(torch.ones(2)),
        "half": torch.ones(3, dtype=torch.bfloat16), "view": torch.arange(10.0)[2:8:2], "uint16": torch.ones(2).to(torch.uint16),
        "sparse": torch.eye(3).to_sparse(), "quantized": torch.quantize_per_tensor(torch.ones(4), 0.1, 3, torch.qint8),
        "meta": torch.ones(2, device="meta"), "conj": torch.complex(torch.ones(2), torch.ones(2)).conj(), "no tensor": {"a": {"b": []}},
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        if a.is_meta:
            return b.is_meta and a.shape == b.shape and a.dtype == b.dtype
        if a.is_sparse:
            return b.is_sparse and same(a.to_dense(), b.to_dense())
        if a.is_quantized:
            return b.is_quantized and a.qscheme() == b.qscheme() and torch.equal(a.int_repr(), b.int_repr())
        return (type(a) is type(b) and a.dtype == b.dtype and a.stride() == b.stride() and torch.equal(a, b)
                and a.is_conj() == b.is_conj() and a.requires_grad == b.requires_grad)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(x is a and y is b or same(x, y) for x, y in zip(a, b))
    if isinstance(a, (argparse.Namespace, types.SimpleNamespace)):
        return same(vars(a), vars(b))
    if isinstance(a, numpy.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and (a == b).all()
    return a == b


def load(path):
    return torch.load(path, weights_only=False)


@pytest.mark.parametrize("protocol", [1, 2, 3, 4, 5])
def test_every_kind_of_value_comes_back(tmp_path, protocol):
    before = {"state_dict": model().state_dict(), **everything()}
    torch.save(before, tmp_path / "old.pt", pickle_protocol=protocol)
    write_spec(tmp_path / "s.yaml", KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", "--verify-output", cwd=tmp_path)
    assert "left out" not in result.out and not result.err, str(result)
    after = load(tmp_path / "new.pt")
    assert list(after) == list(before)
    assert [key for key in before if key != "loop" and not same(before[key], after[key])] == []
    assert after["loop"][1] is after["loop"] and after["twice"][0] is after["twice"][1]
    assert after["state_dict"]._metadata == before["state_dict"]._metadata
    # Again the same: what is written is read like what was written before.
    succeed("apply", "s.yaml", "new.pt", "-o", "again.pt", cwd=tmp_path)
    succeed("apply", "s.yaml", "again.pt", "-o", "third.pt", cwd=tmp_path)
    assert (tmp_path / "third.pt").read_bytes() == (tmp_path / "again.pt").read_bytes()


def test_what_is_loaded_without_running_code_still_is(tmp_path):
    net, optimizer = trained()
    torch.save({"epoch": 3, "model": net.state_dict(), "optimizer": optimizer.state_dict(), "seen": {1, 2},
                "rng": torch.get_rng_state(), "raw": b"ab"}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", KEEP)
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    assert same(torch.load(tmp_path / "new.pt", weights_only=True), torch.load(tmp_path / "old.pt", weights_only=True))


@pytest.mark.parametrize("optimizer_class, options", [
    (torch.optim.SGD, {}), (torch.optim.SGD, {"momentum": 0.9}), (torch.optim.AdamW, {"amsgrad": True}),
    (torch.optim.Adagrad, {}), (torch.optim.LBFGS, None)])
def test_training_goes_on_as_if_nothing_had_been(tmp_path, optimizer_class, options):
    if options is None:
        net = model()
        optimizer = optimizer_class(net.parameters())

        def closure():
            optimizer.zero_grad()
            loss = net(torch.arange(32.0).reshape(8, 4)).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        options = {}
    else:
        net, optimizer = trained(optimizer_class, **options)
        options = {"lr": 0.01, **options}
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()},
               tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", KEEP)
    assert not succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path).err
    after = load(tmp_path / "new.pt")
    assert same(after, load(tmp_path / "old.pt"))
    again = model()
    again.load_state_dict(after["model"], strict=True)
    optimizer_class(again.parameters(), **options).load_state_dict(after["optimizer"])


# --- an optimizer whose parameters change -----------------------------------------------------------


@pytest.mark.parametrize("rules, said", [
    (r"[{rename: '^0\.', to: 'first.'}]", "'0.weight' [3, 4] is 'first.weight' [3, 4] now"),
    (r"[{drop: '^2\.bias$'}]", "'2.bias' [2] is gone"),
    (r"[{slice: '^2\.weight$', dim: 0, start: 0, stop: 1}]", "'2.weight' [2, 3] is '2.weight' [1, 3] now"),
    (r"[{copy: '^0\.bias$', to: 'z'}]", "came to them"),
    (r"[{cast: '^2\.', dtype: bfloat16}]", None),
    ("[]", None),
])
def test_a_state_that_no_longer_fits_is_not_kept_silently(tmp_path, rules, said):
    net, optimizer = trained()
    torch.save({"model": net.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", f"rules: {rules}\n{KEEP}")
    for command in (["plan", "s.yaml", "old.pt"], ["apply", "s.yaml", "old.pt", "-o", "new.pt"]):
        result = succeed(*command, cwd=tmp_path)
        assert ("warning[extras]" in result.err) == bool(said), str(result)
        assert said is None or said in result.err or said == "came to them" and " is 'z'" in result.err, str(result)
    assert same(load(tmp_path / "new.pt")["optimizer"], optimizer.state_dict())
    write_spec(tmp_path / "s.yaml", f"rules: {rules}\npolicy: {{extras: [{{match: '^optimizer', do: drop}}, {{do: keep}}]}}")
    assert not succeed("plan", "s.yaml", "old.pt", cwd=tmp_path).err


def test_each_of_several_optimizers_is_named(tmp_path):
    net, optimizer = trained()
    torch.save({"state_dict": net.state_dict(), "optimizer_states": [optimizer.state_dict(), optimizer.state_dict()]},
               tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", rf"rules: [{{drop: '^1\.'}}]" + "\n" + KEEP)
    said = succeed("plan", "s.yaml", "old.pt", cwd=tmp_path).err
    assert "'optimizer_states.0'" in said and "'optimizer_states.1'" in said


# --- ties -------------------------------------------------------------------------------------------


def test_ties_between_what_is_kept_and_the_state_dict(tmp_path):
    net = model()
    weight = net[0].weight.detach()
    torch.save({"model": net.state_dict(), "ema": [weight, weight[0], torch.ones(2)], "same": weight}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", r"rules: [{rename: '^0\.', to: 'first.'}]" + "\n" + KEEP)
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    after = load(tmp_path / "new.pt")
    place = after["model"]["first.weight"].untyped_storage().data_ptr()
    assert [one.untyped_storage().data_ptr() == place for one in after["ema"]] == [True, True, False]
    assert torch.equal(after["ema"][1], weight[0]) and torch.equal(after["ema"][0], weight)
    assert (tmp_path / "new.pt").stat().st_size < (tmp_path / "old.pt").stat().st_size + 4096
    # Of another value now: what is kept has the old one, and the report says that they are two.
    write_spec(tmp_path / "s.yaml", r"rules: [{slice: '^0\.weight', dim: 0, start: 0, stop: 2}]" + "\n" + KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "two.pt", cwd=tmp_path)
    apart = "1 storage of what is kept was shared with tensors that are changed, and stands apart now"
    assert apart in " ".join(result.out.split())
    assert torch.equal(load(tmp_path / "two.pt")["ema"][0], weight)
    write_spec(tmp_path / "s.yaml", r"rules: [{cast: '^0\.weight', dtype: float16}]" + "\n" + KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "three.pt", cwd=tmp_path)
    assert apart in " ".join(result.out.split())
    after = load(tmp_path / "three.pt")
    assert torch.equal(after["same"], weight) and after["model"]["0.weight"].dtype == torch.float16


def test_a_storage_under_two_dtypes(tmp_path):
    base = torch.arange(6, dtype=torch.int32).view(torch.uint32)
    torch.save({"model": {"w": base.view(torch.uint16), "b": torch.ones(1), "c": torch.ones(1)}, "base": base},
               tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", KEEP)
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    after = load(tmp_path / "new.pt")
    assert torch.equal(after["base"].view(torch.int32), base.view(torch.int32))
    assert after["model"]["w"].dtype == torch.uint16 and after["model"]["w"].shape == (12,)
    assert after["model"]["w"].untyped_storage().data_ptr() == after["base"].untyped_storage().data_ptr()


def test_a_state_dict_that_stands_in_two_places(tmp_path):
    state = model().state_dict()
    torch.save({"model": state, "note": {"also": state, "x": 1}}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", "source: {root: model}\nrules: [{rename: '^0', to: 'a'}]\n" + KEEP)
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    after = load(tmp_path / "new.pt")
    assert after["note"]["also"] is after["model"] and after["note"]["x"] == 1 and "a.weight" in after["model"]


# --- which of it, and where -------------------------------------------------------------------------


def test_cases_choose_by_path(tmp_path):
    net, optimizer = trained()
    torch.save({"epoch": 3, "model": net.state_dict(), "optimizer": optimizer.state_dict(), "log": [1, torch.ones(1), "x"],
                "votes": collections.Counter(a=torch.ones(1), b=2), "lists": collections.defaultdict(list, a=torch.ones(1), b=2),
                "hparams": {"lr": 0.1}}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", """
        policy:
          extras:
            - {match: ['^epoch$', '^log\\.2$', '\\.b$', '^optimizer\\.param_groups'], do: keep}
        """)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", "--report", "r.json", cwd=tmp_path)
    after = load(tmp_path / "new.pt")
    assert list(after) == ["epoch", "model", "optimizer", "log", "votes", "lists"]
    assert same(after["votes"], collections.Counter(b=2)) and same(after["lists"], collections.defaultdict(list, b=2))
    assert after["lists"].default_factory is list
    assert after["log"] == [None, None, "x"]  # in their places
    assert list(after["optimizer"]) == ["param_groups"]
    assert "epoch (int 3) kept" in result.out and "hparams (dict of 1) dropped" in result.out
    report = json.loads((tmp_path / "r.json").read_text())
    assert {one["path"]: one["kept"] for one in report["extras"]}["epoch"] is True


def test_the_top_is_the_state_dict(tmp_path):
    before = {**model().state_dict(), "epoch": 3, "inner": {"w": torch.ones(2), "note": "x"}}
    torch.save(before, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", KEEP)
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    after = load(tmp_path / "new.pt")
    assert after["epoch"] == 3 and after["inner.note"] == "x" and torch.equal(after["inner.w"], torch.ones(2))
    write_spec(tmp_path / "s.yaml", "rules: [{rename: '^inner.w$', to: epoch}]\n" + KEEP)
    assert_error(run("apply", "s.yaml", "old.pt", "-o", "two.pt", cwd=tmp_path), 2, "collision", "'epoch'")
    assert not (tmp_path / "two.pt").exists()


@pytest.mark.parametrize("wrap", [lambda s: [s, 1], lambda s: (0, s), lambda s: {"a": {"b.c": s}, "x": 1},
                                  lambda s: collections.OrderedDict(a=s), lambda s: {7: s},
                                  lambda s: collections.defaultdict(list, a=s), lambda s: {"deep": [{"er": (s,)}]},
                                  lambda s: (0, 1, 2, 3, s), lambda s: [{2**70: s}]])
@pytest.mark.parametrize("body", ["output: {container: source}", KEEP])
def test_the_state_dict_goes_back_to_where_it_was(tmp_path, wrap, body):
    state = dict(model().state_dict())
    before = wrap(state)
    torch.save(before, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", body)
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", "--verify-output", cwd=tmp_path)
    after = load(tmp_path / "new.pt")

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(plain(one) for one in value)
        return None if not isinstance(value, torch.Tensor) and body != KEEP else value

    def prune(value):
        return {key: prune(one) for key, one in value.items() if one is not None} if isinstance(value, dict) else value

    assert type(after) is type(before)
    assert same(prune(plain(after)), prune(plain(before)))


def test_attributes_of_dicts(tmp_path):
    """`_metadata` goes with its state dict; other attributes are content like any other."""
    def state(note):
        made = model().state_dict()
        made.note, made.more = note, [note]
        return made

    torch.save({"model": state("model"), "ema": state("ema"), "epoch": 1}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", "source: {root: model}\n" + KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    assert "'model' are to be kept and cannot be: it is an attribute of the state dict" in result.err.replace("'model', ", "")
    after = load(tmp_path / "new.pt")
    assert after["ema"]._metadata == model().state_dict()._metadata and after["ema"].note == "ema" and after["ema"].more == ["ema"]
    assert after["model"]._metadata == model().state_dict()._metadata and not hasattr(after["model"], "note")
    # Of what is kept in part, too.
    write_spec(tmp_path / "s.yaml", "source: {root: model}\npolicy: {extras: [{match: '^ema\\.0', do: keep}]}")
    succeed("apply", "s.yaml", "old.pt", "-o", "part.pt", cwd=tmp_path)
    after = load(tmp_path / "part.pt")
    assert list(after) == ["model", "ema"] and list(after["ema"]) == ["0.weight", "0.bias"]
    assert after["ema"]._metadata == model().state_dict()._metadata and not hasattr(after["ema"], "note")


def test_keys_below_the_state_dict(tmp_path):
    inner = {"w": torch.ones(2), 3: {"x": torch.ones(1), "note": "a"}, 2**70: {"x": torch.ones(1), "note": "b"},
             ("k",): {"x": torch.ones(1)}, (1, 2): "c"}
    torch.save(inner, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", "source: {root: ''}\n" + KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    after = load(tmp_path / "new.pt")
    assert after["3.note"] == "a" and after[f"{2**70}.note"] == "b" and after[(1, 2)] == "c"
    assert same(after[("k",)], {"x": torch.ones(1)}), result


def test_flat_has_no_place_for_it(tmp_path):
    torch.save({"epoch": 3, "model": model().state_dict()}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", "output: {container: flat}\n" + KEEP)
    assert_error(run("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path), 2, "cannot-write", "'epoch'", "container: source")
    write_spec(tmp_path / "s.yaml", "output: {container: flat}")
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    assert list(load(tmp_path / "new.pt")) == list(model().state_dict())
    write_spec(tmp_path / "s.yaml", "output: {container: round}")
    assert_error(run("plan", "s.yaml", "old.pt", cwd=tmp_path), 2, "wrong-type", "`flat` or `source`")


def test_safetensors_has_no_place_for_it(tmp_path):
    torch.save({"epoch": 3, "model": model().state_dict()}, tmp_path / "old.pt")
    torch.save(model().state_dict(), tmp_path / "plain.pt")
    write_spec(tmp_path / "s.yaml", KEEP)
    before = snapshot(tmp_path)
    assert_error(run("apply", "s.yaml", "old.pt", "-o", "new.safetensors", cwd=tmp_path), 2, "cannot-write", "'epoch'",
                 "extras: drop")
    assert snapshot(tmp_path) == before
    succeed("apply", "s.yaml", "plain.pt", "-o", "new.safetensors", cwd=tmp_path)
    write_spec(tmp_path / "s.yaml", "output: {container: source}")
    assert_error(run("apply", "s.yaml", "old.pt", "-o", "b.safetensors", cwd=tmp_path), 2, "cannot-write", "container")


def test_of_several_sources_the_first(tmp_path):
    torch.save({"epoch": 3, "model": model().state_dict()}, tmp_path / "old.pt")
    torch.save({"rank": 4, "model": {"a": torch.ones(1), "b": torch.ones(1)}}, tmp_path / "lora.pt")
    write_spec(tmp_path / "s.yaml", "source: {aliases: [lora]}\nrules: [{drop: '^lora::'}]\n" + KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "lora=lora.pt", "-o", "new.pt", cwd=tmp_path)
    assert "warning[extras]" in result.err and "'lora::rank'" in result.err
    assert set(load(tmp_path / "new.pt")) == {"epoch", "model"}


def test_of_a_file_that_is_no_torch_save(tmp_path):
    torch.jit.script(model()).save(tmp_path / "m.ts", _extra_files={"note.txt": "x"})
    write_spec(tmp_path / "s.yaml", KEEP)
    result = succeed("apply", "s.yaml", "m.ts", "-o", "new.pt", cwd=tmp_path)
    assert "warning[extras]" in result.err and "torchscript" in result.err
    torch.load(tmp_path / "new.pt", weights_only=True)


def test_with_a_target(tmp_path):
    net, optimizer = trained()
    torch.save({"epoch": 3, "model": net.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "old.pt")
    bigger = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 5))
    torch.save(bigger.state_dict(), tmp_path / "model.pt")
    write_spec(tmp_path / "s.yaml", "policy: {shape: skip, extras: keep}")
    result = succeed("apply", "s.yaml", "old.pt", "-t", "model.pt", "-o", "new.pt", cwd=tmp_path)
    assert "'2.weight' [2, 3] is '2.weight' [5, 3] now" in result.err
    bigger.load_state_dict(load(tmp_path / "new.pt")["model"], strict=True)


def test_on_the_command_line_and_in_inspect(tmp_path):
    class Mine:
        pass

    sys.modules["of_mine"] = types.ModuleType("of_mine")
    Mine.__module__, Mine.__qualname__ = "of_mine", "Mine"
    sys.modules["of_mine"].Mine = Mine
    torch.save({"epoch": 3, "mine": Mine(), "model": model().state_dict()}, tmp_path / "old.pt")
    del sys.modules["of_mine"]
    shown = succeed("inspect", "old.pt", cwd=tmp_path).out
    assert "mine: of_mine.Mine  cannot be kept: of_mine.Mine is not among the classes" in shown
    extras = {one["path"]: one for one in json.loads(succeed("inspect", "--json", "old.pt", cwd=tmp_path).out)["extras"]}
    assert extras["epoch"]["can_be_kept"] and not extras["mine"]["can_be_kept"] and "of_mine" in extras["mine"]["why_not"]
    result = succeed("apply", "old.pt", "--extras", "keep", "-o", "new.pt", cwd=tmp_path)
    assert "warning[extras]" in result.err and "'mine'" in result.err and "left out" in result.out
    assert list(load(tmp_path / "new.pt")) == ["epoch", "model"]


# --- classes of others, and what a stranger may have put there --------------------------------------


def pretend(monkeypatch, module, *names):
    """Classes of libraries that are not installed here, under their own names."""
    parts = module.split(".")
    for i in range(1, len(parts) + 1):
        name = ".".join(parts[:i])
        if name not in sys.modules:
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    made = [type(name, (), {"__module__": module}) for name in names]
    for one in made:
        setattr(sys.modules[module], one.__name__, one)
    return made


def test_lightning_and_omegaconf(tmp_path, monkeypatch):
    (config, base, node) = (pretend(monkeypatch, "omegaconf.dictconfig", "DictConfig")[0],
                            pretend(monkeypatch, "omegaconf.base", "ContainerMetadata", "Metadata"),
                            pretend(monkeypatch, "omegaconf.nodes", "AnyNode")[0])
    checkpoint, = pretend(monkeypatch, "pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint")
    conf, metadata, inner, value = config(), base[0](), base[1](), node()
    value.__dict__.update(_metadata=inner, _parent=conf, _val=3)
    conf.__dict__.update(_metadata=metadata, _content={"a": value}, _parent=None)
    metadata.__dict__.update(ref_type=int, object_type=dict, key_type=None)
    torch.save({"epoch": 1, "state_dict": model().state_dict(), "callbacks": {checkpoint: {"best": 0.5}},
                "hyper_parameters": conf, "pytorch-lightning_version": "1.9.0"}, tmp_path / "old.ckpt")
    write_spec(tmp_path / "s.yaml", KEEP)
    result = succeed("apply", "s.yaml", "old.ckpt", "-o", "new.ckpt", cwd=tmp_path)
    assert not result.err, str(result)
    after = load(tmp_path / "new.ckpt")
    assert after["callbacks"] == {checkpoint: {"best": 0.5}}
    assert after["hyper_parameters"]._content["a"]._parent is after["hyper_parameters"]
    assert after["hyper_parameters"]._metadata.ref_type is int


def with_pickle(path, out, change):
    """The file at `path` with another data.pkl."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as changed:
        for info in archive.infolist():
            content = archive.read(info)
            changed.writestr(info.filename, change(content) if info.filename.endswith("data.pkl") else content)


MARK = "INSERTED"
CALLS = {
    "REDUCE": b"cos\nsystem\n(X\x04\x00\x00\x00truetR",
    "NEWOBJ": b"cos\nsystem\n(X\x04\x00\x00\x00truet\x81",
    "OBJ": b"(cos\nsystem\nX\x04\x00\x00\x00trueo",
    "INST": b"(X\x04\x00\x00\x00trueios\nsystem\n",
    "GLOBAL": b"cos\nsystem\n",
    "STACK_GLOBAL": b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93",
    "dotted": b"X\x08\x00\x00\x00builtinsX\x0a\x00\x00\x00str.format\x93",
    "in a state": b"cargparse\nNamespace\n)R}X\x01\x00\x00\x00acos\nsystem\n(X\x04\x00\x00\x00truetRsb",
    "as a factory": b"ccollections\ndefaultdict\n(cos\nabort\ntR",
    "as a key": b"}cos\nsystem\nK\x01s",
    "getattr": b"cbuiltins\ngetattr\n(cbuiltins\nstr\nX\x06\x00\x00\x00formattR",
    "eval": b"c__builtin__\neval\n(X\x03\x00\x00\x001+1tR",
    "an object's making": b"cbuiltins\nlist\n)R)R",
    "_load_from_bytes": b"ctorch.storage\n_load_from_bytes\n(X\x01\x00\x00\x00xtR",
    "partial": b"cfunctools\npartial\n(cos\nsystem\nX\x04\x00\x00\x00truetR",
    "numpy load": b"cnumpy\nload\n(X\x01\x00\x00\x00xtR",
    "a module of torch": b"ctorch.hub\nload\n(X\x01\x00\x00\x00xtR",
    "text that is not UTF-8": b"U\x02\xff\xfe",
    "of itself": b"]r\xe8\x03\x00\x00cargparse\nNamespace\nj\xe8\x03\x00\x00\x85Rr\xe9\x03\x00\x000"
                 b"j\xe8\x03\x00\x00j\xe9\x03\x00\x00a0",
}


MADE = {
    "NEWOBJ_EX": (b"cargparse\nNamespace\n)}X\x01\x00\x00\x00aK\x05s\x92", argparse.Namespace()),
    "OBJ without arguments": (b"(cargparse\nNamespace\no", argparse.Namespace()),
    "INST without arguments": (b"(iargparse\nNamespace\n", argparse.Namespace()),
    "OBJ with an argument": (b"(cbuiltins\nlist\nX\x02\x00\x00\x00abo", ["a", "b"]),
    "NEWOBJ": (b"cargparse\nNamespace\n)\x81}X\x01\x00\x00\x00aK\x05sb", argparse.Namespace(a=5)),
    "Python 2's copy_reg": (b"ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nc__builtin__\nobject\nNtR}X\x01\x00\x00\x00aK\x05sb",
                            argparse.Namespace(a=5)),
    "ADDITEMS": (b"\x8f(K\x01K\x02\x90", {1, 2}),
    "BYTEARRAY8": (b"\x96\x02\x00\x00\x00\x00\x00\x00\x00ab", bytearray(b"ab")),
    "a long integer": (b"\x8b\x2c\x01\x00\x00" + bytes(299) + b"\x01", 1 << 2392),
}


def in_place_of_x(path, out, opcodes):
    """The file with other opcodes for the value of `x`."""
    inserted = b"X\x08\x00\x00\x00" + MARK.encode()

    def change(content):
        at = content.index(inserted)
        behind = at + len(inserted)
        assert content[behind:behind + 1] == b"q"  # its BINPUT
        return content[:at] + opcodes + content[behind + 2:]

    with_pickle(path, out, change)


@pytest.mark.parametrize("kind", MADE)
def test_each_way_to_make_a_value(tmp_path, kind):
    torch.save({"epoch": 3, "x": MARK, "model": model().state_dict()}, tmp_path / "plain.pt")
    opcodes, value = MADE[kind]
    in_place_of_x(tmp_path / "plain.pt", tmp_path / "old.pt", opcodes)
    write_spec(tmp_path / "s.yaml", KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    assert not result.err, str(result)
    assert same(load(tmp_path / "new.pt")["x"], value)
    with zipfile.ZipFile(tmp_path / "new.pt") as archive:  # as Python itself writes it in protocol 2
        assert (b"ccopyreg\n__newobj_ex__\n" in archive.read("archive/data.pkl")) == (kind == "NEWOBJ_EX")


@pytest.mark.parametrize("kind", CALLS)
def test_what_is_not_written_again(tmp_path, kind):
    torch.save({"epoch": 3, "x": MARK, "model": model().state_dict()}, tmp_path / "plain.pt")
    in_place_of_x(tmp_path / "plain.pt", tmp_path / "old.pt", CALLS[kind])
    write_spec(tmp_path / "s.yaml", KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    assert "warning[extras]" in result.err and "'x' is to be kept and cannot be" in result.err, str(result)
    after = torch.load(tmp_path / "new.pt", weights_only=True)
    assert list(after) == ["epoch", "model"] and after["epoch"] == 3
    with zipfile.ZipFile(tmp_path / "new.pt") as archive:
        written = archive.read("archive/data.pkl")
    assert not any(word in written for word in (b"system", b"eval", b"getattr", b"load", b"format"))


def test_a_key_that_is_not_written_again(tmp_path):
    class Key:
        def __reduce__(self):
            return (print, ("ran",))

    torch.save({"epoch": 3, "inner": {Key(): torch.ones(1)}, "model": model().state_dict()}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    assert "warning[extras]" in result.err and "builtins.print" in result.err
    assert list(load(tmp_path / "new.pt")) == ["epoch", "model"]


def test_a_state_dict_below_what_is_not_written_again(tmp_path):
    inner = collections.defaultdict(dict)
    inner["model"] = dict(model().state_dict())
    torch.save({"x": inner}, tmp_path / "plain.pt")
    with_pickle(tmp_path / "plain.pt", tmp_path / "old.pt",
                lambda content: content.replace(b"c__builtin__\ndict\n", b"cos\nabort\n"))
    write_spec(tmp_path / "s.yaml", KEEP)
    assert_error(run("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path), 2, "cannot-write", "os.abort", "flat")
    write_spec(tmp_path / "s.yaml", "policy: {extras: drop}")
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)


def test_what_refers_to_what_is_around_it(tmp_path):
    before = {"model": model().state_dict(), "lr": 0.1}
    before["self"] = argparse.Namespace(top=before)
    torch.save(before, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", "policy: {extras: [{match: '^self$', do: keep}]}")
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    after = load(tmp_path / "new.pt")
    assert after["self"].top is after and list(after) == ["model", "self"]  # what is dropped does not come back


def test_deep_values(tmp_path):
    deep = []
    for _ in range(900):
        deep = [deep]
    buffer = io.BytesIO()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        torch.save({"model": model().state_dict(), "deep": deep}, buffer)
    finally:
        sys.setrecursionlimit(limit)
    (tmp_path / "old.pt").write_bytes(buffer.getvalue())
    write_spec(tmp_path / "s.yaml", KEEP)
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    after, depth = load(tmp_path / "new.pt")["deep"], 0
    while after:
        after, depth = after[0], depth + 1
    assert depth == 900


def test_the_numbers_of_a_big_endian_file(tmp_path):
    """Typed storages say how wide their numbers are; an untyped one beside the tensors does not."""
    def swapped(content, width):
        return b"".join(content[i:i + width][::-1] for i in range(0, len(content), width))

    values = {"model": {"w": torch.arange(4.0), "b": torch.ones(2)}, "ema": [torch.arange(3.0)]}
    for name, extra, kept in [("typed", {}, True), ("untyped", {"u": torch.ones(2).to(torch.uint16)}, False)]:
        torch.save({**values, **extra}, tmp_path / "plain.pt")
        with zipfile.ZipFile(tmp_path / "plain.pt") as archive, zipfile.ZipFile(tmp_path / f"{name}.pt", "w") as changed:
            for info in archive.infolist():
                content = archive.read(info)
                if info.filename.endswith("byteorder"):
                    content = b"big"
                elif "/data/" in info.filename:
                    content = swapped(content, 2 if len(content) == 4 else 4)
                changed.writestr(info.filename, content)
        write_spec(tmp_path / "s.yaml", KEEP)
        result = succeed("apply", "s.yaml", f"{name}.pt", "-o", f"{name}.new.pt", cwd=tmp_path)
        after = load(tmp_path / f"{name}.new.pt")
        assert torch.equal(after["ema"][0], torch.arange(3.0)) and torch.equal(after["model"]["w"], torch.arange(4.0))
        assert ("u" in after) == (name == "untyped" and kept)
        assert ("big-endian, and a storage" in result.err) == (not kept)


def test_what_belongs_to_a_tensor_of_the_state_dict(tmp_path):
    weight = torch.nn.Parameter(torch.ones(2))
    weight.note = "x"
    torch.save({"model": {"w": weight, "b": torch.ones(1), "c": torch.ones(1)}, "other": weight}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", KEEP)
    result = succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    assert "'model.w' is to be kept and cannot be: it belongs to a tensor of the state dict" in result.err, str(result)
    after = load(tmp_path / "new.pt")
    assert after["other"].note == "x" and not hasattr(after["model"]["w"], "note")
    assert after["model"]["w"].data_ptr() == after["other"].data_ptr()


def test_an_empty_state_dict_among_it(tmp_path):
    torch.save({"epoch": 3, "model": model().state_dict()}, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", "rules: [{drop: ''}]\n" + KEEP)
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    assert load(tmp_path / "new.pt") == {"epoch": 3, "model": {}}


def test_errors_before_anything_is_written(tmp_path):
    torch.save({"epoch": 3, "model": model().state_dict()}, tmp_path / "old.pt")
    before = snapshot(tmp_path)
    result = run("apply", "old.pt", "--extras", "error", "-o", "new.pt", cwd=tmp_path)
    assert [one.code for one in errors_of(result)] == ["extras"] and "`extras: keep`" in result.err
    assert snapshot(tmp_path) == before


def test_there_and_back(tmp_path):
    net, optimizer = trained()
    before = {"epoch": 3, "model": net.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(before, tmp_path / "old.pt")
    write_spec(tmp_path / "s.yaml", r"rules: [{rename: '^0\.', to: 'first.'}]" + "\noutput: {container: source}\n" + KEEP)
    succeed("apply", "s.yaml", "old.pt", "-o", "new.pt", cwd=tmp_path)
    succeed("invert", "s.yaml", "old.pt", "-o", "back.yaml", cwd=tmp_path)
    succeed("apply", "back.yaml", "new.pt", "-o", "again.pt", cwd=tmp_path)
    assert same(load(tmp_path / "again.pt"), before)
