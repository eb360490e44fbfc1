"""TorchScript archives whose pickle is another than torch.jit.save writes."""

import pytest

from builders import FLOATS, PROTO, STOP, Record, dict_of, make_zip, name_of, quantized, records_of, tensor, text
from helpers import run


SIMPLE = ("class M(Module):\n  __parameters__ = [\"w\", ]\n  __buffers__ = []\n  w : Tensor\n  training : bool\n"
          "  _is_full_backward_hook : Optional[bool]\n")
TRUE, NONE = b"\x88", b"N"


def instance(name="M", *pairs, module="__torch__", changed=b""):
    """An object of a class, its attributes, and what else happens to it."""
    state = dict_of(*((text(key), value) for key, value in pairs))
    return name_of(module, name) + b")\x81" + changed + state + b"b"


def archive(code, root, *, module="__torch__"):
    records = {**records_of(PROTO + root + STOP, {"0": FLOATS, "1": FLOATS}), "constants.pkl": Record(b"a/constants.pkl", b"\x80\x02).")}
    path = f"a/code/{module.replace('.', '/')}.py".encode()
    return make_zip([*records.values(), Record(path, code.encode())])


def shown(place, content):
    _, result = place.accept(content, name="model.pt")
    return result.out


PLAIN = (("w", tensor()), ("training", TRUE), ("_is_full_backward_hook", NONE))


def test_a_crafted_module_is_read(place):
    assert "w" in shown(place, archive(SIMPLE, instance("M", *PLAIN)))


def test_flags_are_no_content(place):
    code = SIMPLE + "  switched : bool\n"
    text_shown = shown(place, archive(code, instance("M", *PLAIN[:2], ("_is_full_backward_hook", TRUE), ("switched", TRUE))))
    assert "_is_full_backward_hook" not in text_shown and "training" not in text_shown
    assert "switched" in text_shown


def test_a_tensor_without_values_beside_the_state_dict(place):
    code = SIMPLE + "  beside : Tensor\n"
    text_shown = shown(place, archive(code, instance("M", PLAIN[0], ("beside", quantized("1")), *PLAIN[1:])))
    assert "beside: " in text_shown and "quantized" in text_shown


@pytest.mark.parametrize("module", ["__torch__x", "__torch", "torch"])
def test_a_class_that_is_none_of_the_archive(place, module):
    place.refuse(archive(SIMPLE, instance("M", *PLAIN, module=module)), "not-a-checkpoint", f"no module, but {module}.M")


CHANGED = {"appended": NONE + b"a", "items": text("a") + NONE + b"s"}


@pytest.mark.parametrize("what", CHANGED)
def test_a_module_that_is_more_than_its_attributes(place, what):
    place.refuse(archive(SIMPLE, instance("M", *PLAIN, changed=CHANGED[what])), "pickle-corrupt",
                 "the module at the top is not made of a class and a dict of attributes")


def test_a_module_without_attributes(place):
    place.refuse(archive(SIMPLE, name_of("__torch__", "M") + b")\x81"), "pickle-corrupt",
                 "the module at the top is not made of a class and a dict of attributes")


def test_a_class_that_is_none(place):
    root = text("M") + b")\x81" + dict_of((text("w"), tensor())) + b"b"
    place.refuse(archive(SIMPLE, root), "pickle-corrupt")


def test_a_state_that_code_makes_of_nothing(place):
    code = SIMPLE + "  def __getstate__(s: __torch__.M) -> int:\n    return 1\n  def __setstate__(s: __torch__.M,\n    state: int) -> NoneType:\n    return None\n"
    place.write(archive(code, name_of("__torch__", "M") + b")\x81"))
    text_shown = run("inspect", "model.pt", cwd=place.folder).out
    assert "what M keeps with __getstate__: nothing" in text_shown


def test_modules_that_are_nested_too_deep(place):
    """Though the pickle is not: each module is empty when the one around it takes it."""
    code = "class M(Module):\n  __parameters__ = []\n  __buffers__ = []\n  m : Optional[__torch__.M]\n"
    made = b"".join(name_of("__torch__", "M") + b")\x81q" + bytes([i]) + b"0" for i in range(12))
    made += b"".join(b"h" + bytes([i]) + dict_of((text("m"), b"h" + bytes([i + 1]) if i < 11 else NONE)) + b"b0"
                     for i in range(12))
    place.refuse(archive(code, made + b"h\0"), "limit", "the modules are nested too deep",
                 options=["--limit", "pickle-depth=11"], inspect=False)
