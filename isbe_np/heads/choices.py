"""What a head is made of: the normalizers and reductions that the package has, and the loss that belongs to a normalizer."""

from isbe_np.checks import nearest
from isbe_np.heads.elementwise import HardSigmoid, HardTanh, Identity, Sigmoid, Tanh
from isbe_np.heads.losses import LOSSES
from isbe_np.heads.normalizers import Normalizer, Softmax
from isbe_np.heads.refusals import refuse_loss
from isbe_np.heads.sparse import Entmax15, Sparsemax

BUILT_IN = {cls.name: cls for cls in (Softmax, Sigmoid, Tanh, HardSigmoid, HardTanh, Identity, Sparsemax, Entmax15)}
NORMALIZERS = tuple(BUILT_IN)
REDUCTIONS = ("none", "sum", "mean")


def choose_normalizer(given, dilation, relocation) -> Normalizer:
    """The normalizer of this name, or the object given; only softmax takes dilation and relocation."""
    if isinstance(given, str) and given == "softmax":
        return Softmax(dilation, relocation)
    if dilation is not None or relocation is not None:
        raise ValueError("Head: dilation and relocation belong to 'softmax', the family for which y − t is "
                         f"cross-entropy's gradient; {given!r} takes neither. Scale its scores before the head.")
    if isinstance(given, type):
        raise TypeError(f"Head expects a normalizer object; got the class {given.__name__}. Write {given.__name__}().")
    if callable(getattr(given, "forward", None)):
        return given
    return BUILT_IN[nearest("Head: normalizer", given, NORMALIZERS)]()


def choose_loss(normalizer, name: str, loss: str | None) -> str:
    """The loss by its usual name, by default the matching one. ValueError where it has no meaning for the normalizer."""
    matching = getattr(normalizer, "matching", "matching")
    if loss is None:
        if matching != "matching" or hasattr(normalizer, "potential"):
            return matching
        return "cross_entropy" if getattr(normalizer, "positive", True) else "squared"
    chosen = matching if nearest("Head: loss", loss, LOSSES) == "matching" else loss
    refuse_loss(normalizer, name, chosen)
    return chosen
