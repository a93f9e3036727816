"""Which parameters are changed in the same fold, so that few folds show what each of them changes.

Every signal depends on a few parameters. Changes of parameters that no signal depends on together show what they do in
one fold as in a fold for each: on every signal at most one of them acts.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence, Set
from typing import TypeAlias

Parameter: TypeAlias = str
#: A parameter and its other value.
Change: TypeAlias = tuple[Parameter, Hashable]
#: The parameters that some signal depends on, also by way of the signals that it reads.
Dependencies: TypeAlias = frozenset[Parameter]


def apart(changes: Sequence[Change], dependencies: Collection[Dependencies]) -> list[list[Change]]:
    """Divide changes into as few groups as are easily found, of similar sizes.

    Every change is in one group, and no signal depends on the parameters of two changes of a group.
    """
    beside: dict[Parameter, set[Parameter]] = {parameter: {parameter} for parameter, _ in changes}
    for on in dependencies:
        for parameter in on & beside.keys():
            beside[parameter] |= on
    order = sorted(changes, key=lambda change: -sum(name in beside[change[0]] for name, _ in changes))
    for size in range(1, len(order) + 1):
        groups: list[list[Change]] = [[] for _ in range(size)]
        for change in order:
            free = [group for group in groups if beside[change[0]].isdisjoint(name for name, _ in group)]
            if not free:
                break
            min(free, key=len).append(change)
        else:
            return groups
    return []


def groups_of_others(dependencies: Collection[Dependencies], groups: Sequence[Set[Parameter]]) -> list[list[Parameter]]:
    """More groups of parameters, so that each parameter is in a group without any that a signal depends on.

    This is for every signal and every parameter that it does not depend on; `groups` are those that there are.
    """
    every = frozenset().union(*groups, *dependencies)
    left = {on: set(every.difference(on, *(group for group in groups if on.isdisjoint(group)))) for on in dependencies}
    found = []
    while any(left.values()):
        group: set[Parameter] = set()
        most = 0
        while True:
            seen = {
                name: sum(len(rest & wider) for on, rest in left.items() if on.isdisjoint(wider))
                for name in sorted(every - group)
                for wider in [group | {name}]
            }
            best = max(seen, key=seen.__getitem__)
            if seen[best] <= most:
                break
            most = seen[best]
            group.add(best)
        for on, rest in left.items():
            if on.isdisjoint(group):
                rest -= group
        found.append(sorted(group))
    return found
