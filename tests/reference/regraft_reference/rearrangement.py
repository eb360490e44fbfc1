"""`rearrange`: einops notation for one tensor, as two lists of groups of axes; a group is a list of names, or an ellipsis."""
import math
import re

from .errors import SpecError, Unsettled

TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_][A-Za-z_0-9]*|[0-9]+|[()])\s*")


class Rearrangement:
    def __init__(self, text):
        sides = text.split("->")
        if len(sides) != 2:
            raise SpecError(f"{text!r} does not have one ->")
        self.left, self.right = map(groups, sides)
        left, right = (names(side) for side in (self.left, self.right))
        if sorted(left) != sorted(right) or len(set(left)) < len(left):
            raise SpecError(f"{text!r}: the two sides do not have the same axes, each once")
        if any("..." in group for group in self.left if group != "..."):
            raise SpecError(f"{text!r}: an ellipsis in parentheses on the left")
        self.names = set(left) - {"..."}

    def check(self, given):
        """Of a dimension all axes but one have a size; known before there is a tensor."""
        for group in self.left:
            if group != "..." and len(set(group) - set(given)) > 1:
                raise SpecError(f"the sizes of {group} cannot be told from one dimension")

    @staticmethod
    def shape(sizes, _, right):
        return [math.prod(sizes[name] for name in group) for group in right]

    def solve(self, shape, given):
        """Sizes of the axes, and both sides without ellipses."""
        left, right = self.left, self.right
        if "..." in left:
            rest = len(shape) - len(left) + 1
            if rest < 0:
                raise SpecError(f"{len(left) - 1} axes at least, {shape}", "rule-shape")
            dots = [f"...{number}" for number in range(rest)]
            at = left.index("...")
            left = left[:at] + [[dot] for dot in dots] + left[at + 1:]
            right = [group for old in right for group in (
                [[dot] for dot in dots] if old == "..." else
                [[name for each in old for name in (dots if each == "..." else [each])]])]
        if len(left) != len(shape):
            raise SpecError(f"{len(left)} axes, {shape}", "rule-shape")
        sizes = dict(given)
        for group, size in zip(left, shape):
            unknown = [name for name in group if name not in sizes]
            known = math.prod(sizes[name] for name in group if name in sizes)
            if unknown and known == 0:
                raise Unsettled("an axis beside one of size 0")
            if (size % known if unknown else size != known):
                raise SpecError(f"{group} does not make {size}", "rule-shape")
            if unknown:
                sizes[unknown[0]] = size // known
        return sizes, left, right

    def move(self, shape, given):
        sizes, left, right = self.solve(shape, given)
        flat = [name for group in left for name in group]
        order = [flat.index(name) for group in right for name in group]
        result = self.shape(sizes, left, right)

        def move(array):
            apart = array.reshape([sizes[name] for name in flat] + [array.shape[-1]])
            return apart.transpose(order + [len(flat)]).reshape(result + [array.shape[-1]])
        return move


def groups(text):
    result, inside, at = [], None, 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            if not text[at:].strip():
                break
            raise SpecError(f"cannot read {text[at:]!r}")
        token, at = match[1], match.end()
        if token == "(" and inside is None:
            inside = []
        elif token == ")" and inside is not None:
            result.append(inside)
            inside = None
        elif token in "()":
            raise SpecError(f"{text!r}: parentheses")
        elif token[0].isdigit():
            if token != "1":
                raise Unsettled("a size in place of a name")
            if inside is None:
                result.append([])
        elif inside is None:
            result.append(token if token == "..." else [token])
        else:
            inside.append(token)
    if inside is not None:
        raise SpecError(f"{text!r}: parentheses")
    return result


def names(side):
    return [name for group in side for name in ([group] if group == "..." else group)]
