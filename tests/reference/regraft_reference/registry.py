"""The verbs beside keep, drop, rename and copy, with the parameters that each takes."""
from . import groups, verbs
from .checks import fields
from .parameters import Words

VERBS = {
    "cat": ({"to", "dim", "dtype", "partial"}, groups.cat),
    "stack": ({"to", "dim", "dtype", "partial"}, groups.stack),
    "combine": ({"to", "as", "dtype", "partial"}, groups.combine),
    "split": ({"to", "dim", "sizes"}, verbs.split),
    "unbind": ({"to", "dim"}, verbs.unbind),
    "transpose": ({"dims"}, verbs.transpose),
    "permute": ({"dims"}, verbs.permute),
    "reshape": ({"shape"}, verbs.reshape),
    "rearrange": ({"pattern", "with"}, verbs.rearrange),
    "slice": ({"dim", "start", "stop", "step"}, verbs.slice_),
    "index_select": ({"dim", "index"}, verbs.index_select),
    "pad": ({"dim", "before", "after", "fill"}, verbs.pad),
    "interpolate": ({"size", "from", "pattern", "mode", "prefix_tokens", "suffix_tokens", "antialias"}, verbs.interpolate),
    "cast": ({"dtype"}, verbs.cast),
}


def read(verb, rule, known, variables):
    """The entries of a rule and what it does."""
    own, bind = VERBS[verb]
    fields(rule, {verb, *own, *known})
    return bind(rule[verb], Words(rule), variables)
