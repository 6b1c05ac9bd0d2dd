"""What runs inside the component before the program: the harness, an importer, and the streams. See `wasm_worker`.

The component's own Python executes this text; `REQUEST` and `SOURCES` are assigned in front of it.
"""
# ruff: noqa: F821

import io
import json
import sys
import types

import wit_world.imports.tools as host


class Library:
    """Finds the modules that the component was built without in the standard library outside, one source at a time."""

    def find_spec(self, name, path=None, target=None):
        module = json.loads(host.dispatch("library", name))
        if module is None:
            return None
        spec = type(sys.__spec__)(name, self, loader_state=module["source"], is_package=module["package"])
        spec.has_location = False
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(module.__spec__.loader_state, f"{module.__name__}.py", "exec"), module.__dict__)


sys.meta_path.append(Library())
for name, source in SOURCES.items():
    module = sys.modules[name] = types.ModuleType(name)
    exec(source, module.__dict__)
request = json.loads(REQUEST)
stdin = io.BytesIO(request.pop("stdin").encode(errors="surrogatepass"))
sys.stdin = io.TextIOWrapper(stdin, "utf-8", "surrogateescape")
sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(number, "w"), "utf-8", "surrogateescape") for number in (1, 2))
sys.exit(sys.modules["harness"].run(request, lambda line: host.dispatch("answer", line)))
