"""What in a submission's text a person should look at. It takes no points and proves nothing; the walls keep things out."""

from __future__ import annotations

import ast

UNUSUAL = {"ctypes", "gc", "importlib", "inspect", "multiprocessing", "os", "pickle", "signal", "socket", "subprocess", "sys",
           "threading", "urllib", "http", "resource", "mmap", "builtins", "pathlib", "shutil", "tempfile", "asyncio", "pty"}
LONG = 2**16  # characters: a syntax tree takes a thousand times as many bytes
USUAL = {"__name__", "__init__", "__doc__"}
CALLS = {"eval", "exec", "compile", "open", "__import__", "breakpoint", "input", "globals", "setattr", "delattr"}


def look_at(source: str, modules: tuple[str, ...]) -> list[str]:
    """Short remarks such as "imports ctypes" on a submission's source; empty for an ordinary one."""
    if len(source) > LONG:
        return [f"has {len(source):,} characters"]
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ["cannot be parsed"]
    found = set()
    for node in ast.walk(tree):
        names = ([alias.name for alias in node.names] if isinstance(node, ast.Import)
                 else [node.module or "."] if isinstance(node, ast.ImportFrom) else [])
        found |= {f"imports {top}" for name in names if (top := name.partition(".")[0]) in UNUSUAL | {"isbe_np"}}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            found.add(f"calls {node.func.id}")
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name) and t.value.id in ("np", "numpy", *modules)
                   for t in targets):
                found.add("replaces a part of a library")
        if isinstance(node, ast.Attribute) and node.attr.startswith("__") and node.attr not in USUAL:
            found.add(f"uses {node.attr}")
    return sorted(found)
