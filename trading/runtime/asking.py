"""Ask models on a thread of their own and wait no longer than for a deadline; what comes later is never used."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Final

from trading.domain.serving import Answer, Ask, answer, answers

Waiting = tuple[Sequence[Ask], "asyncio.Future[list[Answer]]"]
WAIT_MS: Final = 40.0  # so that the grids are told within 50 that the rule goes on alone
MOST_HUNG: Final = 8  # threads that still wait for an answer nobody wants any more; then nobody is asked


class Asker:
    """Asks one model after the other. A model that does not come back is left behind with its thread."""

    def __init__(self, limit_ms: float = WAIT_MS, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._limit_s, self._now_ns = limit_ms / 1e3, now_ns
        self._questions: SimpleQueue[Waiting | None] | None = None
        self._hung: dict[str, asyncio.Future[list[Answer]]] = {}  # by model

    async def ask(self, questions: Sequence[Ask]) -> Sequence[Answer | None]:
        """Return what one model answers; None where it does not in time, or still owes an earlier answer."""
        if all(question.fault is not None for question in questions):
            return [answer(question, self._now_ns) for question in questions]
        model = questions[0].model
        self._hung = {model: late for model, late in self._hung.items() if not late.done()}
        if model in self._hung or len(self._hung) >= MOST_HUNG:
            return [None] * len(questions)
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._thread().put((questions, future))
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._limit_s)
        except TimeoutError:
            self._hung[model] = future
            self.close()  # the next question gets another thread
            return [None] * len(questions)

    def close(self) -> None:
        """Let the thread end once it has answered."""
        if self._questions is not None:
            self._questions.put(None)
            self._questions = None

    def _thread(self) -> "SimpleQueue[Waiting | None]":
        if self._questions is None:
            self._questions = SimpleQueue()
            # A daemon: a model that never comes back must not keep the process from ending.
            threading.Thread(target=_work, args=(self._questions, self._now_ns), name="models", daemon=True).start()
        return self._questions


def _work(queue: "SimpleQueue[Waiting | None]", now_ns: Callable[[], int]) -> None:
    while (waiting := queue.get()) is not None:
        questions, future = waiting
        found = answers(questions, now_ns)
        with suppress(RuntimeError):  # the loop that waited is closed
            future.get_loop().call_soon_threadsafe(_tell, future, found)


def _tell(future: "asyncio.Future[list[Answer]]", found: list[Answer]) -> None:
    if not future.done():
        future.set_result(found)
