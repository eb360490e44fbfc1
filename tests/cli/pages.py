"""What a page of the documentation holds for a test to run.

  ```console        commands after `$ `, with exactly the output that they give;
  ```python NAME    (any language) the file NAME, written where the commands run.
A line `...` in an output stands for any lines. Digests are not compared: they depend on values that
torch draws. Other blocks are not looked at.
"""

import re
from dataclasses import dataclass, field


@dataclass
class Command:
    text: str
    line: int
    output: list = field(default_factory=list)


@dataclass
class Page:
    files: dict
    blocks: list  # of lists of commands

    @classmethod
    def read(cls, path):
        page, fence, info, body, start = cls({}, []), None, "", [], 0
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            opening = re.match(r"(```+)(.*)$", line)
            if fence is None and opening:
                fence, info, body, start = opening[1], opening[2].split(), [], number
            elif fence is not None and line == fence:
                page.add(info, body, start)
                fence = None
            else:
                body.append(line)
        assert fence is None, f"{path}:{start}: the block is not closed"
        return page

    def add(self, info, body, start):
        if len(info) == 2:
            self.files[info[1]] = "\n".join(body) + "\n"
        elif info == ["console"]:
            commands = []
            for number, line in enumerate(body, start + 1):
                if line.startswith("$ "):
                    commands.append(Command(line[2:], number))
                elif commands and commands[-1].text.endswith("\\"):
                    commands[-1].text += "\n" + line
                else:
                    assert commands, f"line {number}: an output without a command"
                    commands[-1].output.append(line)
            self.blocks.append(commands)


def expected_pattern(lines):
    """A line `...` stands for any lines, digests for any digest, white space at ends for none."""
    pattern = ""
    for line in lines:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*"
        else:
            pattern += re.escape(without_digests(line.rstrip())) + r"\n"
    return pattern


def without_digests(text):
    return re.sub(r"\b[0-9a-f]{32,64}\b", "DIGEST", text)


def normal(text):
    lines = [line.rstrip() for line in without_digests(text).splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    return "".join(line + "\n" for line in lines)
