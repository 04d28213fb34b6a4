"""The lower bounds of setup.cfg as pip's constraints, for the extras named: `python scripts/lower_bounds.py test > lower.txt`.

Then `pip install --constraint lower.txt -e ".[test]"` installs the oldest versions that isbe_np declares to work with.
"""

import argparse
import configparser
import re
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"
REQUIREMENT = re.compile(r"([\w.-]+)\s*>=\s*([\w.]+)(\s*,\s*<\s*[\w.]+)?")


def lower_bounds(extras: list[str], setup: Path = SETUP) -> list[str]:
    """Lines "name==version", of what isbe_np needs at run time and of the extras. ValueError for one without a lower bound."""
    config = configparser.ConfigParser()
    config.read_string(setup.read_text(encoding="utf-8"))
    declared = [config["options"]["install_requires"], *(config["options.extras_require"][extra] for extra in extras)]
    bounds = {}
    for line in filter(None, map(str.strip, "\n".join(declared).splitlines())):
        found = REQUIREMENT.fullmatch(line)
        if found is None:
            raise ValueError(f"lower_bounds expects requirements such as numpy >=2.0,<3 in {setup.name}; got {line!r}.")
        bounds[found[1]] = found[2]
    return [f"{name}=={version}" for name, version in bounds.items()]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("extras", nargs="*", help="extras of setup.cfg, such as test")
    print(*lower_bounds(parser.parse_args().extras), sep="\n")
