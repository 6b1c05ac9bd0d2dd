"""What a program may read: this Python's library and nothing that happens to be installed beside it."""

import glob
import importlib
import os
import sys

import landlock

# What programs import most: imported here, it costs them nothing.
WARM = (
    "atexit", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools",
    "heapq", "io", "itertools", "math", "operator", "random", "re", "statistics", "string", "threading", "time",
    "traceback", "typing",
)  # fmt: skip
SITE = ("site-packages", "dist-packages")
SYSTEM = ("/etc/ld.so.cache", "/usr/share/zoneinfo", "/dev/zero", "/dev/urandom", "/dev/random")


def readable(preloaded: list[str]) -> dict[str, int]:
    """What a program may read, path → rights: the standard library, the shared libraries, and `preloaded` packages.

    Other installed packages stay closed: one of them may hold the very tests that the program is graded by.
    """
    library = os.path.dirname(os.__file__)
    # Listing the folder is what the import system needs; Landlock has no rule that would end at the first level.
    grants = {library: landlock.READ_DIR, "/dev/null": landlock.READ_FILE | landlock.WRITE_FILE | landlock.TRUNCATE}
    grants |= {entry.path: landlock.READ for entry in os.scandir(library) if entry.name not in SITE}
    grants |= dict.fromkeys((*SYSTEM, *preloaded), landlock.READ)
    with open("/proc/self/maps") as maps:
        mapped = {line.split()[-1] for line in maps if ".so" in line}
    for folder in {os.path.dirname(path) for path in mapped} - {library}:
        if any(glob.glob(f"{folder}/*/{name}") + glob.glob(f"{folder}/{name}") for name in SITE) or folder in preloaded:
            grants |= dict.fromkeys(glob.glob(f"{folder}/*.so*"), landlock.READ)
        elif not any(f"/{name}/" in f"{folder}/" for name in SITE):
            grants[folder] = landlock.READ
    return grants


def preload(names: list[str], path: list[str]) -> list[str]:
    """Imports `names` from the trainer's `path` once for all children; returns the files and folders they came from."""
    for name in WARM:
        importlib.import_module(name)
    ours, before = sys.path, set(sys.modules)
    sys.path = ours + path
    for name in names:
        importlib.import_module(name)
    sys.path = ours
    found = set()
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        for site in (place for place in path if os.path.basename(place) in SITE and file.startswith(place + "/")):
            top = os.path.join(site, file[len(site) + 1 :].split("/")[0])
            found |= {top, f"{top}.libs"}  # wheels keep their shared libraries beside the package
    return sorted(found)
