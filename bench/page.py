#!/usr/bin/env python3
"""docs/performance.md and its plots, of bench/performance.md and bench/results: figures are written by nobody.

    page.py           writes them
    page.py --check   fails where they are not what this would write

In the text, {{table CASE...}} is the comparisons of cases, {{plot NAME TITLE: CASE...}} the same as bars beside 1, {{times NAME
TITLE: CASE...}} how many times faster, and {{machine}} what they were measured on.
"""
import argparse
import functools
import json
import re
import sys
from xml.sax.saxutils import escape

from measure import show_time, verdict
from places import RESULTS, ROOT

TEMPLATE = ROOT / "bench" / "performance.md"
PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"

MARKS = {"aim": "aim reached", "met": "met", "missed": "**missed**", "": ""}


@functools.cache
def result(case):
    """What was saved of a case; empty where it was not run."""
    path = RESULTS / f"{case}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def number(value):
    return f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def rows_of(case):
    for one in result(case).get("comparisons", []):
        low, high = one["ratio_range"]
        must, aim, measured, unit = one["must"], one["aim"], one["ratio"], number
        if one.get("must_ms") is not None:
            must, aim, measured, unit = one["must_ms"], one.get("aim_ms"), one["ours_ms"], show_time
        yield [case, one["ours"], one["baseline"], show_time(one["ours_ms"]), show_time(one["baseline_ms"]),
               f"{number(one['ratio'])} ({number(low)} to {number(high)})", "" if must is None else unit(must),
               "" if aim is None else unit(aim), MARKS[verdict(measured, must, aim)]]
    for one in result(case).get("memory", []):
        yield [case, one["what"], "", f"{one['mib']:.1f} MiB", "", "", f"{one['must']} MiB", f"{one['aim']} MiB",
               MARKS[verdict(one["mib"], one["must"], one["aim"])]]


def table(cases):
    lines = ["| case | ours | beside | ours | beside | ratio | must | aim | |", "|---|---|---|--:|--:|--:|--:|--:|---|"]
    lines += ["| " + " | ".join([f"`{row[0]}`", *row[1:]]) + " |" for case in cases for row in rows_of(case)]
    return "\n".join(lines)


def bars(title, entries, unit):
    """An SVG: `entries` are (label, value, text); a line stands at 1."""
    line, left, width = 22, 330, 420
    most = max([value for _, value, _ in entries] + [1]) * 1.05
    height = 34 + line * len(entries) + 10
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="{height}" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>',
             f'<text x="10" y="18" font-size="14">{escape(title)}</text>']
    for i, (label, value, text) in enumerate(entries):
        y = 34 + i * line
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{value / most * width:.1f}" height="{line - 6}" fill="#4878a8"/>')
        parts.append(f'<text x="{left + value / most * width + 5:.1f}" y="{y + 13}">{escape(text)}</text>')
    x = left + width / most
    parts.append(f'<line x1="{x:.1f}" y1="28" x2="{x:.1f}" y2="{height - 8}" stroke="#c04040" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{x + 4:.1f}" y="{height - 1}" font-size="10" fill="#c04040">{escape(unit)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def comparisons(cases):
    return [(case, one) for case in cases for one in result(case).get("comparisons", [])]


def machine():
    found = result("passthrough")
    on = found["machine"]
    return (f"{on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB of memory, {on['file_system']} without shared extents, "
            f"{on['system']}; engine {found['engine']}, {found['comparisons'][0]['repeats']} rounds, large files of "
            f"{found['mib']} MiB")


def make():
    """path -> content"""
    files = {}

    def picture(match, entries, unit):
        name, title = match.group(1), match.group(2)
        files[PLOTS / f"{name}.svg"] = bars(title, entries, unit)
        return f"![{title}](performance/{name}.svg)"

    def beside(match, cp):
        return [(case, one) for case, one in comparisons(match.group(3).split()) if one["baseline"].startswith("cp") == cp]

    def plot(match):
        return picture(match, [(f"{case}: {one['ours']}", one["ratio"], number(one["ratio"]))
                               for case, one in beside(match, True)], "1")

    def times(match):
        return picture(match, [(f"{case}: {one['baseline']}", 1 / one["ratio"], f"{1 / one['ratio']:.1f} x")
                               for case, one in beside(match, False)], "1: as fast")

    text = TEMPLATE.read_text()
    text = re.sub(r"\{\{plot (\S+) ([^:}]+): ([^}]+)\}\}", plot, text)
    text = re.sub(r"\{\{times (\S+) ([^:}]+): ([^}]+)\}\}", times, text)
    text = re.sub(r"\{\{table ([^}]+)\}\}", lambda match: table(match.group(1).split()), text)
    files[PAGE] = text.replace("{{machine}}", machine())
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    faults = 0
    for path, content in make().items():
        if check:
            same = path.is_file() and path.read_text() == content
            faults += not same
            if not same:
                print(f"{path.relative_to(ROOT)}: differs; run bench/page.py")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    if check:
        print(f"page of results: {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
