"""The worker process of tier B: CPython as a WebAssembly component, a fresh instance of it for every program.

It is started as a script by `wasm.WasmWorker`. A line of JSON on its standard input is a request; the lines on its
standard output are [channel, text]: "stdout", "stderr" and "answers" as the program writes them (bytes as Latin-1),
then "end" with how the run ended. It keeps no limit but memory and processor time: the trainer counts, watches the
clock and kills. The component has streams, clocks and randomness; no folder, socket or variable of the host exists in
there.
"""

import contextlib
import json
import os
import queue
import sys
import sysconfig
import threading
import time
from pathlib import Path

import wasmtime
from wasmtime import component as components

HERE = Path(__file__).parent
LIBRARY = Path(sysconfig.get_path("stdlib"))
REFUSED = ("wasi:http", "wasi:sockets", "hyperlight:")  # interfaces that the component imports and shall not have
EXECUTOR, TOOLS = "hyperlight:sandbox/executor", "hyperlight:sandbox/tools"
INTERPRETER_MB = 64  # what the component's Python needs for itself
MB = 1 << 20


def say(channel: str, what) -> None:
    sys.stdout.write(json.dumps([channel, what]) + "\n")
    sys.stdout.flush()


def as_bytes(text: str, most: int) -> str:
    """The text's last `most` bytes in the form that the trainer reads."""
    return text.encode(errors="replace")[-most:].decode("latin-1")


def refuse(*_):
    raise PermissionError("the sandbox has no such thing")


def library(name: str) -> dict | None:
    """The source of a module of the standard library, for a component that was built without it."""
    parts = name.split(".")
    if parts[0] not in sys.stdlib_module_names or not all(part.isidentifier() for part in parts):
        return None
    place = LIBRARY.joinpath(*parts)
    for file, package in ((place / "__init__.py", True), (place.with_suffix(".py"), False)):
        if file.is_file():
            return {"source": file.read_text(encoding="utf-8"), "package": package}
    return None


class Runtime:
    """The compiled component, linked once."""

    def __init__(self, guest: str, limits: dict):
        self.limits = limits
        config = wasmtime.Config()
        config.cache = True  # compiling takes half a minute, once a machine
        self.engine = wasmtime.Engine(config)
        self.component = components.Component.from_file(self.engine, guest)
        self.linker = components.Linker(self.engine)
        self.linker.add_wasip2()
        self.refuse_the_rest()
        self.executor = self.component.get_export_index("run", self.component.get_export_index(EXECUTOR))
        self.prelude = "SOURCES = " + repr({n: (HERE / f"{n}.py").read_text("utf-8") for n in ("wire", "harness")})
        self.guest = (HERE / "wasm_guest.py").read_text("utf-8")

    def refuse_the_rest(self) -> None:
        """Every import that is not of WASI's harmless part exists and refuses, but for the program's two questions."""
        known = []
        with self.linker.root() as root:
            for name, imported in self.component.type.imports(self.engine).items():
                refused = name.startswith(REFUSED)
                with root.add_instance(name) if refused else contextlib.nullcontext() as instance:
                    for item, kind in imported.ty.exports(self.engine).items():
                        kind = kind.ty
                        if isinstance(kind, components.ResourceType):
                            # One that an earlier interface has brought is only named again here.
                            if refused and not any(kind == other for other in known):
                                instance.add_resource(item, components.ResourceType.host(len(known)), refuse)
                            known.append(kind)
                        elif refused and isinstance(kind, components.FuncType):
                            instance.add_func(item, self.dispatch if name == TOOLS else refuse)

    def dispatch(self, _, name: str, text: str):
        """The component's two questions: to write down an answer, and for a module's source."""
        if name == "library":
            return components.Variant("ok", json.dumps(library(text)))
        # One byte over the cap is enough for the trainer to end the run.
        say("answers", as_bytes(text, self.limits["output_bytes"] + 1))
        return components.Variant("ok", "null")

    def run(self, request: str) -> dict:
        """One program in an instance of its own; returns {"exit"} or {"trap"}."""
        store = wasmtime.Store(self.engine)
        store.set_limits(memory_size=(INTERPRETER_MB + self.limits["memory_mb"]) * MB)
        wasi = wasmtime.WasiConfig()
        wasi.stdout_custom = lambda part: say("stdout", part.decode("latin-1"))
        wasi.stderr_custom = lambda part: say("stderr", part.decode("latin-1"))
        wasi.env = [("PYTHONHASHSEED", "0")]
        store.set_wasi(wasi)
        instance = self.linker.instantiate(store, self.component)
        run = instance.get_func(store, self.executor)
        try:
            ended = run(store, f"{self.prelude}\nREQUEST = {request!r}\n{self.guest}")
        except wasmtime.ExitTrap as leaving:
            return {"exit": leaving.code}
        except (wasmtime.WasmtimeError, wasmtime.Trap, PermissionError, MemoryError) as trap:
            say("stderr", as_bytes(str(trap), 300))  # its end says why, the rest is a list of addresses
            return {"trap": True, "exit": 1}
        say("stderr", as_bytes(ended.stderr, self.limits["output_bytes"] + 1))
        return {"exit": getattr(ended, "exit-code")}


def listen(requests: queue.Queue) -> None:
    """Takes requests in, also while a program runs; the end of the input is the end of everything."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def main(guest: str, limits: dict) -> None:
    runtime = Runtime(guest, limits)
    requests = queue.Queue()
    threading.Thread(target=listen, args=[requests], daemon=True).start()
    say("end", {})
    while True:
        request = requests.get()
        began = time.process_time()
        limit_processor(limits["cpu_s"])
        outcome = runtime.run(request)
        say("end", outcome | {"cpu_s": time.process_time() - began})


def limit_processor(seconds: float) -> None:
    """From here on; the kernel ends the worker with the signal that says why."""
    try:
        import resource
    except ImportError:  # not a Unix: the clock alone limits the program
        return
    soft = int(time.process_time() + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
