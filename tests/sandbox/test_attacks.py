"""The attack suite: nothing gets out, as ourselves and as an unprivileged user, and a planted weakness is noticed."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from attacks import drive, files, grading, kernel, resources

from lab.sandbox import client, seccomp

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 20001  # no account has this number: it owns nothing

# One refusal is taken out of the deny-list, and the attack that has to notice it.
RULES = {
    "socket": "udp",
    "chmod": "change a mode",
    "setpriority": "calls",
    "ptrace": "calls",
    "openat2": "calls",
    "capset": "calls",
}
# Other parts: (file, text, replacement), and the attack.
PARTS = {
    "threads only": ("seccomp.py", "NEW_NAMESPACE | CLONE_THREAD, (CLONE_THREAD,)", "0, (0,)", "fork and leave"),
    "own limits only": ("seccomp.py", "(302, 261), 0, EVERY_BIT", "(302, 261), 0, 0", "limit the victim"),
    "the filter": ("server.py", "seccomp.install(self.filter)", "pass", "udp"),
    "landlock": ("server.py", "landlock.restrict_self(ruleset)", "pass", "read a file"),
    "other packages": ("installation.py", "found |= {top", "found |= {site, top", "read another package's tests"),
    "memory": ("limits.py", "(resource.RLIMIT_AS, memory, memory),", "", "memory by text"),
    "descriptors": (
        "server.py",
        "os.closerange(len(high)",
        "os.closerange(4096",
        "inherited descriptor",
    ),
    "output": ("client.py", 'self._send(b"output")', "pass", "flood of output"),
    "scratch": ("server.py", "scratch.too_full(self.scratch, self.limits)", "False", "use up the inodes"),
}
LAYER = "code += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, answer)]"


def test_the_suite_is_as_large_as_promised():
    assert len(drive.DEEDS) + len(resources.BOMBS) + len(files.SCRATCH_BOMBS) >= 150
    assert len(grading.FOOLING) >= 40


def test_no_attack_does_harm():
    assert drive.run() == {}


def copy_of_the_sandbox(folder: Path) -> Path:
    """The sandbox and the attacks alone, where anybody can read them."""
    (folder / "lab").mkdir(parents=True)
    (folder / "lab/__init__.py").touch()
    shutil.copy(ROOT / "lab/errors.py", folder / "lab")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lab/sandbox", folder / "lab/sandbox", ignore=ignore)
    shutil.copytree(Path(drive.__file__).parent, folder / "attacks", ignore=ignore)
    return folder


def drive_copy(folder: Path, names=(), **options) -> dict:
    python = options.pop("python", sys.executable)
    done = subprocess.run(
        [python, "-B", "-m", "attacks.drive", *names], cwd=folder, env={"PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=300, **options,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def python_for(user: int) -> str:
    """An interpreter that `user` can start: root's own may lie in a folder that is closed to others."""
    tried = [sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")]
    for python in filter(None, tried):
        try:
            if subprocess.run([python, "-c", "import ctypes"], user=user, group=user, extra_groups=[]).returncode == 0:
                return python
        except PermissionError:
            continue
    raise AssertionError(f"no Python that an unprivileged user can start among {tried}")


# Where the suite runs as root, one more pass as nobody; else the pass above was the unprivileged one.
@pytest.mark.parametrize("user", [NOBODY] if os.getuid() == 0 else [])
def test_no_attack_does_harm_as_an_unprivileged_user(user):
    # Not pytest's own folder: that one is closed to other users.
    with tempfile.TemporaryDirectory(prefix="lab-copy-") as base:
        Path(base).chmod(0o755)
        folder = copy_of_the_sandbox(Path(base, "copy"))
        assert drive_copy(folder, python=python_for(user), user=user, group=user, extra_groups=[]) == {}


def weaken(folder: Path, file: str, text: str, replacement: str) -> Path:
    weak = folder / "lab/sandbox" / file
    source = weak.read_text()
    assert source.count(text) == 1
    weak.write_text(source.replace(text, replacement))
    return folder


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_taken_out_of_the_deny_list_is_noticed(rule, tmp_path):
    without = f"code += [] if numbers == {seccomp.DENIED[rule]} else{LAYER.removeprefix('code +=')}"
    folder = weaken(copy_of_the_sandbox(tmp_path / "weak"), "seccomp.py", LAYER, without)
    harmful = drive_copy(folder, [RULES[rule]])
    assert any(name == f"call: {rule}" or name == f"deeds: {RULES[rule]}" for name in harmful)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_taken_out_is_noticed(part, tmp_path):
    *what, name = PARTS[part]
    assert drive_copy(weaken(copy_of_the_sandbox(tmp_path / "weak"), *what), [name])


def test_the_deny_list_is_the_one_that_the_suite_knows():
    assert set(seccomp.DENIED) == set(kernel.REFUSED)


def test_the_server_never_holds_a_program():
    """So that no program can find another's work in the memory it was forked with."""
    marker = b"EARLIER" + b"-PROGRAM"
    with client.ForkServer() as sandbox:
        for _ in range(3):
            outputs = sandbox.run(f"print({marker.decode()!r})\nx = input()", client.Inputs(stdin=marker.decode() * 9))
            assert marker.decode() in outputs.stdout
        server = sandbox._process.pid
        found = 0
        with open(f"/proc/{server}/maps") as maps, open(f"/proc/{server}/mem", "rb") as memory:
            for line in maps:
                span, rights, *_ = line.split()
                begin, end = (int(place, 16) for place in span.split("-"))
                if rights.startswith("rw"):
                    memory.seek(begin)
                    found += memory.read(end - begin).count(marker)
        assert found == 0
