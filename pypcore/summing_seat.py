"""A slot of the local pool whose bundles are added up: an item counts when its bundle's partial names it."""

import time
from dataclasses import asdict

from pypcore import records
from pypcore.errors import SetupError
from pypcore.items import Item
from pypcore.seat import InHand, Seat, disk_full


class SummingSeat(Seat):
    """Has each bundle added up by its worker.

    When the worker dies, another goes on from the bundle's partial, without the item that was in hand.
    """

    def _do_bundle(self, bundle: list[Item], deadline: float) -> None:
        left = {item.index: item for item in bundle}
        stillborn = 0  # deaths with no item in hand: while the partial was read or written
        while left and not self.pool.finish.is_set():
            self._send({"do": "bundle", "items": [asdict(item) for item in left.values()]})
            hand: InHand | None = None
            verdict: tuple[str, str] | None = None
            begun_any = False
            for event in self._events():
                if event is None:
                    verdict = verdict or self._verdict(hand, deadline)
                    if verdict:
                        self._kill()
                    elif self.pool.finish.is_set():
                        self._ask_to_finish()
                    continue
                match event["event"]:
                    case "begin":
                        begun_any, hand = True, InHand(event)
                        self.pool.listener.began(event)
                    case "progress":
                        self.pool.listener.progressed(event["item"], event["share"])
                    case "device":
                        self.pool.listener.computing(event["device"])
                    case "end":
                        hand = None
                        if event["outcome"] not in (records.SUMMED, records.DONE):
                            left.pop(event["item"])
                        if event["outcome"] != records.SUMMED:
                            self.pool.listener.ended(event)
                    case "bundle-end":
                        return
                    case "disk-full":
                        self.pool.fail(disk_full(event))
            death = self._death()
            if self.pool.error is not None:
                return
            if hand is not None:
                item = left.pop(hand.begun["item"])
                outcome, message = verdict or (records.LOST, death)
                self.pool.listener.ended(self._record_end(item, hand, outcome, message))
            if self.pool.now.is_set() or time.monotonic() > deadline:
                return
            if hand is None and (not begun_any or stillborn):
                raise SetupError(f"{verdict[1] if verdict else death}; with no item in hand, but a bundle's sum")
            stillborn += hand is None
