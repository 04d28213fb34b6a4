"""The table of `scripts/inject_faults.py` fits the package; whether the faults are caught is what that script finds out."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import inject_faults  # noqa: E402  it is a script, in no package


def test_every_fault_can_be_put_in_and_its_tests_are_there():
    rows = inject_faults.faults()
    text = {row.file: (ROOT / "isbe_np" / row.file).read_text(encoding="utf-8") for row in rows}
    assert not [(row.file, row.what) for row in rows if text[row.file].count(row.old) != 1 or row.old == row.new]
    files = {name.partition("::")[0] for row in rows for name in row.tests.partition(" -k ")[0].split()}
    assert len(rows) > 300 and not [name for name in files if not (ROOT / name).is_file()]
