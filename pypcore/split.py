"""Split, here: the bundles that still have something to do go to the local pool."""

from collections.abc import Iterator

from pypcore.items import Item
from pypcore.launch import Launched


def bundles_to_do(launched: Launched) -> Iterator[list[Item]]:
    """Yield the bundles of the plan, in order, each with what is still to be done of it.

    Where the operation accumulates, with what is in its partial already too: the worker goes on from there.
    """
    todo = set(launched.todo)
    if launched.sums:
        yield from launched.sums.bundles()
        return
    for bundle in launched.plan:
        items = [launched.items[index] for index in bundle if index in todo]
        if items:
            yield items
