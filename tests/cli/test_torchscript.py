"""Files of torch.jit.save: their state dict is what torch.jit.load(FILE).state_dict() gives.

The program is $REGRAFT, or build/regraft.
"""

import json
import warnings
import zipfile
from enum import Enum
from typing import Dict, List, NamedTuple, Optional, Tuple

import pytest
import torch
from torch import nn

# torch.jit warns that it is deprecated, and of dtypes, layouts and quantization.
pytestmark = pytest.mark.filterwarnings("ignore")

HIDDEN_DTYPES = ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
                 "float4_e2m1fn_x2", "complex32", "uint16", "uint32", "uint64", "bits8"]
DTYPES = ["float64", "float32", "float16", "bfloat16", "complex64", "complex128", "bool", "int8", "int16", "int32",
          "int64", "uint8", *HIDDEN_DTYPES]


# --- models ---------------------------------------------------------------------------------------


class Block(nn.Module):
    """What a module can have of its own."""

    maybe: Optional[torch.Tensor]
    table: Dict[str, torch.Tensor]
    pair: Tuple[torch.Tensor, int]

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(2))
        self.fixed = nn.Parameter(torch.randn(4, 3).t(), requires_grad=False)
        self.register_parameter("no_parameter", None)
        self.register_buffer("b", torch.arange(3))
        self.register_buffer("passing", torch.zeros(1), persistent=False)
        self.register_buffer("no_buffer", None)
        self.register_buffer("maybe", torch.ones(2))
        self.plain = torch.ones(5)
        self.items = [torch.ones(1), torch.zeros(2)]
        self.table = {"x": torch.ones(1)}
        self.pair = (torch.ones(1), 2)
        self.text, self.count = "hello", 7

    def forward(self, x):
        return x + self.w.sum() + self.b.sum() + self.passing + self.plain.sum() + self.items[0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(3, 4, bias=False)
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.block = Block()
        self.again = self.l
        self.tied = nn.Linear(3, 4)
        self.tied.weight = self.l.weight
        self.list = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 5)])
        self.dict = nn.ModuleDict({"a-b": nn.ReLU(), "prelu": nn.PReLU()})
        self.p = nn.Parameter(torch.randn(1))

    def forward(self, x):
        y = self.block(self.layers(self.l(x))) + self.tied(x) + self.again(x) + self.p
        for layer in self.list:
            y = layer(y)
        for layer in self.dict.values():
            y = layer(y)
        return y


def quiet(decorator):
    """Without the warnings that pytest's mark does not reach."""

    def decorate(one):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decorator(one)

    return decorate


@quiet(torch.jit.interface)
class Shift(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pass


class Add(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.w


class Color(Enum):
    RED = 1
    BLUE = 2


class Point(NamedTuple):
    a: torch.Tensor
    b: int


@quiet(torch.jit.script)
class Holder:
    def __init__(self, x: torch.Tensor):
        self.x = x


class Odd(nn.Module):
    shift: Shift
    point: Point
    names: List[str]

    def __init__(self):
        super().__init__()
        self.shift = Add()
        self.color = Color.BLUE
        self.point = Point(torch.ones(1), 2)
        self.holder = Holder(torch.ones(3))
        self.names = ["a", "b"]
        self.device, self.number = torch.device("cpu"), 1j
        self.values = nn.ParameterList([nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(2))])
        self.lstm = nn.LSTM(2, 2, 2)
        self.attention = nn.MultiheadAttention(4, 2)
        self.register_parameter("ünï", nn.Parameter(torch.ones(1)))
        self.register_buffer("a b", torch.ones(2))
        self.register_buffer("1", torch.ones(2))
        self.add_module("ä", nn.Linear(1, 1))

    def forward(self, x: torch.Tensor):
        if self.color == Color.RED:
            x = x + 1
        return self.shift.forward(x) + self.holder.x.sum()


class Kinds(nn.Module):
    def __init__(self):
        super().__init__()
        base, real = torch.randn(2, 3, dtype=torch.complex64), torch.arange(12.0)
        for name, tensor in {
            "base": base, "conj": base.conj(), "neg": torch._neg_view(torch.ones(2)), "real": real, "slice": real[3:7],
            "transposed": real.view(3, 4).t(), "expanded": real[:1].expand(3, 2), "scalar": torch.tensor(3),
            "empty": torch.zeros(0, 3), "sparse": torch.eye(2, 3).to_sparse(), "csr": torch.eye(2, 3).to_sparse_csr(),
            "quantized": torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8),
            "by_channel": torch.quantize_per_channel(torch.randn(3, 2), torch.ones(3), torch.zeros(3), 0,
                                                     torch.quint8)}.items():
            self.register_buffer(name, tensor)
        self.meta = nn.Linear(2, 3, device="meta")

    def forward(self, x):
        return x


class Dtypes(nn.Module):
    def __init__(self):
        super().__init__()
        for name in DTYPES:
            dtype = getattr(torch, name)
            bits = torch.arange(64, dtype=torch.uint8)
            self.register_buffer(f"of_{name}", bits > 31 if name == "bool" else bits.view(dtype))

    def forward(self, x):
        return x


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3))
        self.register_buffer("b", torch.zeros(2))

    @torch.jit.export
    def __getstate__(self):
        return (self.w, self.b, self.training)

    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, torch.Tensor, bool]):
        self.w, self.b, self.training = state[0], state[1], state[2]

    def forward(self, x):
        return x + self.w.sum()


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.w = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.inner(x)


def quantized():
    model = nn.Sequential(torch.ao.quantization.QuantStub(), nn.Linear(4, 4), torch.ao.quantization.DeQuantStub())
    model.eval().qconfig = torch.ao.quantization.default_qconfig
    prepared = torch.ao.quantization.prepare(model)
    prepared(torch.randn(2, 4))
    return torch.ao.quantization.convert(prepared)


MODELS = {
    "script": lambda: torch.jit.script(Net()),
    "trace": lambda: torch.jit.trace(Net().eval(), torch.ones(2, 3)),
    "odd": lambda: torch.jit.script(Odd()),
    "kinds": lambda: torch.jit.script(Kinds()),
    "dtypes": lambda: torch.jit.script(Dtypes()),
    "quantized": lambda: torch.jit.script(quantized()),
    "dynamic": lambda: torch.jit.script(torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)), {nn.Linear, nn.LSTM})),
    "code": lambda: torch.jit.script(Outer()),
    "weight norm": lambda: torch.jit.trace(nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)), torch.ones(1, 2)),
}


def saved(path, model, **options):
    torch.jit.save(model, str(path), **options)
    return path


def has_values(tensor):
    return tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta


def compare(document, path):
    """What inspect says against what torch loads."""
    module = torch.jit.load(str(path))
    expected = module.state_dict()
    parameters = dict(module.named_parameters(remove_duplicate=False))
    stated = document["tensors"]
    assert [one["name"] for one in stated] == list(expected)
    views, ties = {}, {}
    for one, (name, tensor) in zip(stated, expected.items()):
        assert one["parameter"] == (name in parameters), name
        if not has_values(tensor):
            assert one["unsupported"]
            assert one["shape"] == list(tensor.shape)
            continue
        if "__setstate__" in one.get("unsupported", ""):
            continue
        assert "unsupported" not in one, one
        assert one["dtype"] == str(tensor.dtype).removeprefix("torch."), name
        assert one["shape"] == list(tensor.shape), name
        assert one["strides"] == list(tensor.stride()), name
        assert one["offset"] == tensor.storage_offset(), name
        assert (one["conj"], one["neg"]) == (tensor.is_conj(), tensor.is_neg()), name
        assert one["requires_grad"] == (name in parameters and parameters[name].requires_grad), name
        # Two tensors share a storage in the file where they do in memory.
        if tensor.numel() > 0:
            address = tensor.untyped_storage().data_ptr()
            assert ties.setdefault(one["storage"], address) == address, name
            assert views.setdefault(address, one["storage"]) == one["storage"], name


def bits(tensor):
    """The bytes of a tensor, whatever its dtype."""
    plain = tensor.resolve_conj().resolve_neg().contiguous()
    return bytes(plain.untyped_storage())[plain.storage_offset() * plain.itemsize:][:plain.numel() * plain.itemsize]


# --- as torch reads them --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MODELS)
def test_the_state_dict_is_torchs(kind, regraft, tmp_path):
    path = saved(tmp_path / "model.pt", MODELS[kind]())
    document = json.loads(regraft("inspect", "--json", "--values", path).stdout)
    assert document["format"] == "torchscript"
    assert document["containers"][0]["tensors"] == len(document["tensors"])
    compare(document, path)


def test_every_value_is_as_in_the_file(regraft, tmp_path):
    for kind in ["script", "trace", "dtypes", "odd"]:
        path = saved(tmp_path / "model.pt", MODELS[kind]())
        out = tmp_path / f"{kind}.pt"
        regraft("apply", "-e", "{rename: ^, to: ''}", path, "-o", out)
        expected, found = torch.jit.load(str(path)).state_dict(), torch.load(out, weights_only=True)
        assert list(found) == list(expected)
        for name, tensor in expected.items():
            assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape, name
            assert bits(found[name]) == bits(tensor), name


def test_the_lite_interpreters_file(regraft, tmp_path):
    path = tmp_path / "model.ptl"
    torch.jit.script(Net())._save_for_lite_interpreter(str(path))
    document = json.loads(regraft("inspect", "--json", path).stdout)
    compare(document, path)
    assert document["remarks"] == []


def test_what_stands_beside_the_tensors(regraft, tmp_path):
    path = saved(tmp_path / "model.pt", torch.jit.script(Block()), _extra_files={"notes.txt": b"abc"})
    document = json.loads(regraft("inspect", "--json", path).stdout)
    extras = {one["path"]: one["summary"] for one in document["extras"]}
    assert extras == {
        "maybe": "tensor float32 [2], a buffer that may be None",
        "plain": "tensor float32 [5], neither a parameter nor a buffer",
        "items": "list of 2", "table": "dict of 1", "pair": "tuple of 2", "text": "str 'hello'", "count": "int 7",
        "extra/notes.txt": "a file of 3 bytes"}


def test_a_frozen_module(regraft, tmp_path):
    path = saved(tmp_path / "frozen.pt", torch.jit.freeze(torch.jit.script(Net().eval())))
    assert not torch.jit.load(str(path)).state_dict()
    document = json.loads(regraft("inspect", "--json", path).stdout)
    assert document["tensors"] == []
    assert "stand in the code, as torch.jit.freeze" in document["remarks"][0]
    result = regraft("plan", "-e", "{rename: ^, to: ''}", path, status=2)
    assert "the checkpoint holds no tensors" in result.stderr
    assert "as torch.jit.freeze" in result.stderr


def test_a_state_that_code_makes(regraft, tmp_path):
    path = saved(tmp_path / "model.pt", torch.jit.script(Outer()))
    text = regraft("inspect", path).stdout
    assert "unsupported: a tensor that the module's __setstate__ makes" in text
    assert "inner: what Inner keeps with __getstate__: tuple of 3" in text


# --- as a target ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["script", "trace"])
def test_a_target(kind, regraft, tmp_path):
    source, model = Net(), Net()
    target = saved(tmp_path / "model.ts.pt", MODELS[kind]())
    # A buffer that does not persist is in torch.jit's state dict, and in no other.
    dropped = {"block.maybe"} if kind == "script" else set()
    old = {f"module.{name}": tensor for name, tensor in source.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": old}, tmp_path / "old.pt")
    rules = ["-e", r"{rename: ^module\., to: ''}", *(["-e", r"drop: ^block\.maybe$"] if dropped else []),
             "--missing", "keep"]
    if kind == "trace":
        rules += ["--unexpected", "drop"]
    result = regraft("plan", *rules, "old.pt", "-t", target)
    assert "NOT ALLOWED" not in result.stdout
    regraft("apply", *rules, "old.pt", "-t", target, "-o", "new.pt")
    new = torch.load(tmp_path / "new.pt", weights_only=True)
    scripted = torch.jit.load(str(target))
    assert list(new) == list(scripted.state_dict())
    expected = source.state_dict()
    for name, tensor in new.items():
        wanted = expected.get(name, scripted.state_dict()[name])  # kept where the source has none
        assert bits(tensor) == bits(wanted), name
    assert new["l.weight"].data_ptr() == new["again.weight"].data_ptr() == new["tied.weight"].data_ptr()
    scripted.load_state_dict(new, strict=True)
    if kind == "script":
        model.load_state_dict({name: new[name] for name in new if name != "block.passing"} |
                              {name: expected[name] for name in dropped}, strict=True)


def test_a_simple_target_loads_as_it_is(regraft, tmp_path):
    def make():
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    source, model = make(), make()
    target = saved(tmp_path / "model.ts.pt", torch.jit.script(make()))
    torch.save({f"net.{name}": tensor for name, tensor in source.state_dict().items()}, tmp_path / "old.pt")
    regraft("apply", "-e", r"{rename: ^net\., to: ''}", "old.pt", "-t", target, "-o", "new.pt")
    new = torch.load(tmp_path / "new.pt", weights_only=True)
    model.load_state_dict(new, strict=True)
    for name, tensor in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_target_of_meta_tensors_has_shapes_alone(regraft, tmp_path):
    target = saved(tmp_path / "meta.pt", torch.jit.script(nn.Linear(3, 4, device="meta")))
    source = nn.Linear(3, 4)
    torch.save(source.state_dict(), tmp_path / "old.pt")
    regraft("apply", "-e", "{rename: ^, to: ''}", "old.pt", "-t", target, "-o", "new.pt")
    assert torch.equal(torch.load(tmp_path / "new.pt", weights_only=True)["weight"], source.weight)


# --- what cannot be read --------------------------------------------------------------------------


def rewritten(path, to, change):
    """The archive again; `change` gives the new content of a record, or None to leave it out."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(to, "w") as out:
        for entry in archive.infolist():
            content = change(entry.filename, archive.read(entry))
            if content is not None:
                out.writestr(entry.filename, content)
    return to


def test_archives_that_are_not_whole(regraft, tmp_path):
    path = saved(tmp_path / "model.pt", torch.jit.script(Net()))
    again = rewritten(path, tmp_path / "again.pt", lambda name, content: content)
    compare(json.loads(regraft("inspect", "--json", again).stdout), path)

    def fails(change, *words):
        result = regraft("inspect", rewritten(path, tmp_path / "bad.pt", change), status=3)
        for word in words:
            assert word in result.stderr, result.stderr
        assert "hint: " in result.stderr

    def is_code(name):
        return name.endswith(".py")

    fails(lambda name, content: None if is_code(name) else content, "error[zip-corrupt]", "code/__torch__",
          "is missing")
    fails(lambda name, content: None if name.endswith("constants.pkl") else content, "error[not-a-checkpoint]",
          "TorchScript")
    # Which torch would find all the same.
    fails(lambda name, content: content.replace(b"c__torch__", b"c__tOrch__", 1) if name.endswith("data.pkl") else content,
          "error[pickle-corrupt]", "__tOrch__", "but for the case of its letters")
    fails(lambda name, content: content.replace(b'"w", ', b'"w", "x", ') if is_code(name) else content,
          "error[zip-corrupt]", "'x', which is no attribute")
    fails(lambda name, content: content.replace(b'", ]', b', ]') if is_code(name) else content,
          "error[zip-corrupt]", "a string has no end, in line")
    fails(lambda name, content: content.replace(b'["w", ', b'["w", "text", ') if is_code(name) else content,
          "error[tensor-corrupt]", "str 'hello' as its parameter 'text'")


def test_code_is_not_run(regraft, tmp_path):
    trap = tmp_path / "trap"
    path = saved(tmp_path / "model.pt", torch.jit.script(nn.Linear(2, 2)))
    line = f"open({str(trap)!r}, 'w')\n".encode()
    again = rewritten(path, tmp_path / "again.pt",
                      lambda name, content: line + content + line if name.endswith(".py") else content)
    assert regraft("inspect", "--keys", again).stdout == "weight\nbias\n"
    assert not trap.exists()


def test_it_is_no_output(regraft, tmp_path):
    torch.save({"w": torch.ones(1)}, tmp_path / "old.pt")
    result = regraft("apply", "-e", "{rename: ^, to: ''}", "old.pt", "-o", "new.ts", status=2)
    assert "a file of the format torchscript cannot be written" in result.stderr
