"""What a head is made of: the normalizers and reductions that the package has, and which losses and routes a normalizer has."""

from isbe_np.checks import nearest
from isbe_np.heads.elementwise import HardSigmoid, HardTanh, Identity, Sigmoid, Tanh
from isbe_np.heads.losses import LOSSES
from isbe_np.heads.normalizers import Normalizer, Softmax
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


def refuse_loss(normalizer, name: str, loss: str) -> None:
    """ValueError where `loss` has no meaning for `normalizer`."""
    if loss in ("cross_entropy", "binary_cross_entropy") and not getattr(normalizer, "positive", True):
        raise ValueError(f"Head: loss {loss!r} takes the logarithm of the soft scores, and those of {name!r} can be 0 "
                         "or negative. Use loss 'matching' or 'squared'.")
    if loss == "matching" and not hasattr(normalizer, "potential"):
        raise ValueError(f"Head: the matching loss needs a potential, and {name!r} has no method potential(scores). "
                         "Add it, or use loss 'cross_entropy' or 'squared'.")


def refuse_route(normalizer, name: str, loss: str, route: str) -> None:
    """ValueError where `route` cannot be taken with this normalizer and loss."""
    if route == "fused" and loss != getattr(normalizer, "matching", "matching"):
        raise ValueError(f"Head: route 'fused' exists for the matching loss alone, and {loss!r} is not that of "
                         f"{name!r}. Use route 'factored' (or 'jacobian').")
    if route == "fused" or route == "isbe":
        return
    if loss == "matching" and not hasattr(normalizer, "matching_gradient"):
        raise ValueError(f"Head: route {route!r} differentiates a loss of the soft scores, but the matching loss of "
                         f"{name!r} is not known as one: where scores move and soft scores do not (a flat zone), the "
                         "chain rule gives 0, a dead unit. Use route 'fused' or 'isbe', or loss 'squared'.")
    method = "jacobian" if route == "jacobian" else "product"
    if not hasattr(normalizer, method):
        raise ValueError(f"Head: route {route!r} needs a method {method}, which {name!r} lacks. Add it, or use route "
                         f"{'factored' if route == 'jacobian' else 'jacobian'!r} or 'isbe'.")
