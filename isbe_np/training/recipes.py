"""How `isbe train` trains each network unless told otherwise. Chosen on MNIST; the README says what they reach."""

from dataclasses import dataclass

from isbe_np.training.augmentation import Augmentation, RandomAffine, RandomFlipCrop
from isbe_np.training.optimizers import SGD, AdamW, Optimizer


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum, or AdamW (`adam`); `learning_rate` is the schedule's peak; `augment`: change the training images."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    schedule: str = "warm_up_and_decay"
    momentum: float = 0.9
    adam: bool = False
    augment: bool = False

    def optimizer(self, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer with these numbers, which a user may have chosen otherwise."""
        if self.adam:
            return AdamW(learning_rate, weight_decay=weight_decay)
        return SGD(learning_rate, momentum=self.momentum, weight_decay=weight_decay)


RECIPES = {
    "n0": Recipe(epochs=10, batch_size=128, learning_rate=0.1, weight_decay=0.0),
    "n1": Recipe(epochs=8, batch_size=128, learning_rate=0.05, weight_decay=5e-4),
    "lenet5": Recipe(epochs=6, batch_size=128, learning_rate=0.1, weight_decay=5e-4),
    "n2": Recipe(epochs=16, batch_size=128, learning_rate=0.1, weight_decay=5e-4, augment=True),
    "resnet": Recipe(epochs=16, batch_size=128, learning_rate=0.2, weight_decay=5e-4, augment=True),
    "transformer": Recipe(epochs=16, batch_size=128, learning_rate=2e-3, weight_decay=0.05, adam=True, augment=True),
}


def augmentation(data: str) -> Augmentation:
    """What changes the images of a data set and leaves their classes: photographs are mirrored, what is written is not."""
    return RandomFlipCrop(4) if data == "cifar10" else RandomAffine(rotation=10, scale=0.1, shear=5, shift=2)
