"""Draw the README's picture again: python scripts/draw_picture.py"""

from pathlib import Path

from isbe_np.plots import collapse_figure

if __name__ == "__main__":
    picture = Path(__file__).parent.parent / "tutorials" / "collapse.png"
    collapse_figure([2.0, 1.0, 0.1], label=0).savefig(picture, dpi=110)
    print(picture)
