"""Mutation testing: how many small changes of the code do the fast tests notice?

``make mutation`` samples the mutants of every module that computes, stores or steps, runs the fast tests that reach
each of them, and prints the share that some test fails on. A seed repeats a sample. mutmut mutates functions alone:
what a module computes when it is imported is outside of it. Tests on real market data are skipped, because they take
too long for every mutant, unless ``MARGINWATCH_DATA`` names the folder of the data.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

MUTANTS = Path("mutants")
STATS = MUTANTS / "mutmut-stats.json"
#: A small module: running its mutants makes mutmut generate all others, and find the tests of every function.
FIRST = "processors.pack.*"
#: Called when a module is imported, before a mutant is chosen: the tests never run these with their mutants.
_NEEDS = ("total", "turnover", "float_cap", "index", "rate", "funds", "result", "industry_index", "security",
          "cross_section", "price", "valuation", "members", "_need", "topics")  # fmt: skip
AT_IMPORT = (
    "processors.events.x_figures_of__*",
    "processors.events.x__default__*",
    "processors.signal.*__post_init__*",
    "processors.computation.xǁFamilyǁ__init__*",
    "processors.table.x__behind_day__*",
    "processors.ratio_percentiles.x_percentile_signals__*",
    "processors.kinds.x__table__*",
    "processors.registry.x__modules__*",
    "processors.registry.x_inputs_of__*",
    "processors.registry.x_optional_of__*",
    "processors.indicators.*.x__signal__*",
    *(f"processors.needs.x_{name}__*" for name in _NEEDS),
)
#: Test files whose tests share folds, which mutmut records for the first test alone that needs one.
_SHARING = ("exchange_gaps", "industries", "market_signals", "oracle", "prices", "signals")
SHARING = tuple(f"tests/test_{name}.py" for name in _SHARING)
SURVIVED, NOT_RUN = 0, None


@dataclass(frozen=True)
class Sample:
    """The sampled mutants of a module; ``unreached`` have no test at all."""

    module: str
    mutants: int
    reached: list[str]
    unreached: list[str]


def _run(names: list[str]) -> None:
    """Run mutmut on some mutants, one at a time; its output is progress, its results are in its files."""
    command = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", "1", *names]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout[-4000:]}\nmutmut failed: the tests must pass on unchanged code first")


def _results(module: str) -> dict[str, int | None]:
    found: dict[str, int | None] = json.loads((MUTANTS / f"{module}.meta").read_text("utf-8"))["exit_code_by_key"]
    return found


def share_folds() -> None:
    """Let every test of a file run that shares a fold with a test that reaches a function."""
    stats = json.loads(STATS.read_text("utf-8"))
    sharing: dict[str, set[str]] = {file: set() for file in SHARING}
    for test in stats["duration_by_test"]:
        sharing.get(test.partition("::")[0], set()).add(test)
    for name, tests in stats["tests_by_mangled_function_name"].items():
        files = {test.partition("::")[0] for test in tests}
        stats["tests_by_mangled_function_name"][name] = sorted({*tests}.union(*(sharing.get(f, ()) for f in files)))
    STATS.write_text(json.dumps(stats), "utf-8")


def samples(size: int, indicator_size: int, seed: int, only: str) -> Iterator[Sample]:
    """Sample the mutants of every module; indicators are many and small, so each has a smaller sample."""
    tests = json.loads(STATS.read_text("utf-8"))["tests_by_mangled_function_name"]
    for meta in sorted(MUTANTS.rglob("*.meta")):
        module = str(meta.relative_to(MUTANTS)).removesuffix(".meta")
        keys = sorted(k for k in _results(module) if not any(fnmatch(k, pattern) for pattern in AT_IMPORT))
        if not keys or not fnmatch(module, only):
            continue
        random.Random(f"{seed}/{module}").shuffle(keys)
        chosen = keys[: indicator_size if "/indicators/" in module else size]
        reached = [k for k in chosen if tests.get(k.partition("__mutmut_")[0])]
        yield Sample(module, len(keys), reached, [k for k in chosen if k not in reached])


def report(found: list[Sample], *, survivors: bool) -> float:
    """Print killed and sampled mutants by module; return the share that was killed."""
    total: Counter[str] = Counter()
    for sample in found:
        codes = _results(sample.module)
        alive = [k for k in sample.reached if codes[k] in (SURVIVED, NOT_RUN)] + sample.unreached
        size = len(sample.reached) + len(sample.unreached)
        killed = size - len(alive)
        total += Counter(killed=killed, sampled=size)
        print(f"{sample.module:42} {killed:4} of {size:3} ({killed / size:4.0%}), of {sample.mutants} mutants")
        for name in alive if survivors else ():
            print(f"    {name}{'  (no test)' if name in sample.unreached else ''}")
    share = total["killed"] / total["sampled"]
    print(f"{'all':42} {total['killed']:4} of {total['sampled']:3} ({share:4.0%})")
    return share


def main() -> None:
    """Sample, run, report; exit 1 below the share that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--sample", type=int, default=12, help="mutants of each module (default %(default)s)")
    parser.add_argument("--indicators", type=int, default=5, help="mutants of each indicator (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="repeats a sample (default %(default)s)")
    parser.add_argument("--only", default="*", help="a pattern of modules, e.g. 'processors/*store.py'")
    parser.add_argument("--least", type=float, default=0.85, help="share to be killed (default %(default)s)")
    parser.add_argument("--report", action="store_true", help="print the results of the last run, run nothing")
    arguments = parser.parse_args()
    if not arguments.report:
        print("Generating mutants, and finding the tests of every function (minutes)", flush=True)
        _run([FIRST])
        share_folds()
    found = list(samples(arguments.sample, arguments.indicators, arguments.seed, arguments.only))
    if not arguments.report:
        names = [name for sample in found for name in sample.reached]
        print(f"Running the tests of {len(names)} mutants", flush=True)
        _run(names)
    if report(found, survivors=True) < arguments.least:
        sys.exit(1)


if __name__ == "__main__":
    main()
