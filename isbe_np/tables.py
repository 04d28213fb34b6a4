"""Columns of text."""

from isbe_np.files import one_line


def table(header: tuple[str, ...], rows: list[tuple], left: int = 1) -> str:
    """Columns two spaces apart under a rule; the first `left` flush left, the others, which hold numbers, right."""
    cells = [tuple(one_line(str(cell)) for cell in row) for row in (header, *rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    lines = ["  ".join(cell.ljust(w) if k < left else cell.rjust(w)
                       for k, (cell, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in cells]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
