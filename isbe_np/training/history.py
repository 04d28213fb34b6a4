"""What a training run leaves behind."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass
class History:
    """One entry an epoch in each list, in order; an epoch that was cut short leaves none.

    accuracy: on the test set after the epoch. train_accuracy: of the scores as they came in training. loss: mean over
    the epoch, empty unless asked for. gradient_norm: mean over the epoch's steps of the Euclidean norm of all
    gradients. learning_rate: at the epoch's last step. seconds: of training, evaluation apart. steps: taken in all.
    stopped: None, "interrupted" (Ctrl-C), "diverged", or where a checkpoint is kept "terminated" (SIGTERM, or its terminal
    was closed). diagnosis: the sentence that says why it diverged.
    warning: a sentence where all stayed finite and nothing was learnt by the end of the last epoch.
    unsaved: a sentence where the last checkpoint could not be written.
    """

    accuracy: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    steps: int = 0
    stopped: str | None = None
    diagnosis: str | None = None
    warning: str | None = None
    unsaved: str | None = None

    def line(self) -> str:
        """The last epoch in one line."""
        loss = f"  loss {self.loss[-1]:.4f}" if self.loss else ""
        return (f"epoch {len(self.seconds):3d}  test {self.accuracy[-1]:7.2%}  train {self.train_accuracy[-1]:7.2%}"
                f"{loss}  gradient norm {self.gradient_norm[-1]:.3g}  {self.seconds[-1]:.1f} s")

    def as_dict(self) -> dict:
        """The same as plain lists and numbers, for JSON."""
        return asdict(self)
