"""What the terminal can show: how many columns, and which characters."""

from __future__ import annotations

import codecs
import shutil
import sys
import unicodedata

from isbe_np.tables import WIDEST

LEAST = 40  # columns: with fewer, no table has room for a number beside its row's name
# What stands for characters that many terminals cannot show; for others their letter without accents, or a question mark.
READABLE = {"–": "-", "—": "-", "−": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "•": "-", "·": ".", "×": "x",
            "±": "+/-", "≈": "~", "≤": "<=", "≥": ">=", "≠": "!=", "→": "->", "∞": "inf", "√": "sqrt", "Σ": "sum", "∂": "d",
            "∇": "grad", "⊙": "*", "∈": "in", "⟨": "<", "⟩": ">", "ᵀ": "^T", "‖": "||", "µ": "u", "μ": "u", "η": "eta",
            "ε": "epsilon", "λ": "lambda", "σ": "sigma", "τ": "tau", "δ": "delta", "Φ": "Phi", "²": "^2", "³": "^3", "⁴": "^4",
            "⁻": "^-", "✓": "yes", "✗": "no", "é": "e"}
HANDLER = "isbe_np.readable"


def columns(widest: int = WIDEST) -> int:
    """Columns for text on standard output: those of its terminal or of COLUMNS, 40 to `widest`; 100 where it is piped."""
    return max(LEAST, min(widest, shutil.get_terminal_size((WIDEST, 24)).columns))


def make_readable() -> None:
    """Let standard output and error replace what their encoding lacks by what can be read, rather than stop there."""
    codecs.register_error(HANDLER, _readable)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=HANDLER)


def _readable(fault: UnicodeError) -> tuple[str, int]:
    if not isinstance(fault, UnicodeEncodeError):
        raise fault
    lacking = fault.object[fault.start:fault.end]
    return "".join(_for_one(character, fault.encoding) for character in lacking), fault.end


def _for_one(character: str, encoding: str) -> str:
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return READABLE.get(character) or plain or "?"
