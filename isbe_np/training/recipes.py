"""How `isbe train` trains each network unless told otherwise. Chosen on MNIST; the README says what they reach."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum 0.9; `learning_rate` is the schedule's peak."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    schedule: str = "warm_up_and_decay"
    momentum: float = 0.9


RECIPES = {
    "n0": Recipe(epochs=10, batch_size=128, learning_rate=0.1, weight_decay=0.0),
    "n1": Recipe(epochs=8, batch_size=128, learning_rate=0.05, weight_decay=5e-4),
    "lenet5": Recipe(epochs=6, batch_size=128, learning_rate=0.1, weight_decay=5e-4),
}
