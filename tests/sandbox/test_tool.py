"""The python tool: what the model is shown, and the schema that TRL's chat templates make of it."""

from lab.sandbox.tool import MAX_CHARACTERS, python


def test_what_a_call_returns():
    assert python("print(6 * 7)") == "42"
    assert python("print(1)\n1 / 0") == "1\nZeroDivisionError: division by zero"
    assert python("x = 1") == ""
    assert python("import os\nos._exit(3)") == "exit 3"
    assert python("open('/etc/passwd')").startswith("PermissionError")
    assert python("print('x' * 9999)") == "x" * MAX_CHARACTERS + "\n(cut)"


def test_its_schema():
    from transformers.utils import get_json_schema

    function = get_json_schema(python)["function"]
    assert function["name"] == "python" and list(function["parameters"]["properties"]) == ["code"]
