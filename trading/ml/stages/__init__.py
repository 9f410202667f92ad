"""The six stages of the roadmap by their number; the code of one is loaded when it is asked to fit."""

from importlib import import_module
from typing import cast

from trading.domain.bars import Ints
from trading.ml.learnable import Fitted, Learnable, Plan, Progress, Stage


class Later:
    """A stage whose module, which names it `STAGE`, is loaded when it is first used."""

    def __init__(self, number: int, name: str, module: str) -> None:
        self.number, self.name, self.module = number, name, module

    def load(self) -> Stage:
        """Return the stage itself."""
        return cast(Stage, import_module(f"{__name__}.{self.module}").STAGE)

    def fit(self, data: Learnable, rows: Ints, plan: Plan, progress: Progress) -> Fitted:
        """Train on `rows` and nothing else."""
        return self.load().fit(data, rows, plan, progress)


STAGES: dict[int, Stage] = {
    each.number: each
    for each in (
        Later(0, "lstm", "recurrent"),
        Later(1, "attention", "attentive"),
        Later(2, "multiscale", "multiscale"),
        Later(3, "regime", "regime"),
        Later(4, "reinforcement", "reinforcement"),
        Later(5, "search", "search"),
    )
}
