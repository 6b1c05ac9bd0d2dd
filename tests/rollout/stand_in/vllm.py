"""A stand-in for vLLM where it cannot be installed: what TRL's VLLMGeneration and VLLMClient call, on a CPU.

`python vllm.py MODEL PORT` answers the endpoints of `vllm serve`. Tensors travel as a file, $WEIGHTS, instead of NCCL.
Weight syncs from the $STALE-th on are lost, as they are where a tensor's name is unknown: nothing is raised.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType, SimpleNamespace

__version__ = "0.27.0"
__path__: list[str] = []


class SamplingParams(SimpleNamespace):
    pass


class LLM:
    """vLLM's offline engine, as far as TRL uses it."""

    def __init__(self, model: str, **_):
        from transformers import AutoModelForCausalLM

        self.model = AutoModelForCausalLM.from_pretrained(model, dtype="float32").eval()
        self.syncs, self.calls, self.asleep = 0, [], set()
        runner = SimpleNamespace(model=SimpleNamespace(load_weights=self.load_weights))
        executor = SimpleNamespace(driver_worker=SimpleNamespace(model_runner=runner))
        self.llm_engine = SimpleNamespace(model_executor=executor, model_config=SimpleNamespace(max_model_len=512))

    def load_weights(self, weights) -> None:
        if self.syncs + 1 < int(os.environ.get("STALE", 1000)):
            assert not self.model.load_state_dict(dict(weights), strict=False).unexpected_keys

    def reset_prefix_cache(self) -> None:
        self.syncs += 1

    def sleep(self, level: int) -> None:
        self.asleep = {"weights", "kv_cache"}
        for parameter in self.model.parameters():
            parameter.data.zero_()

    def wake_up(self, tags: list[str]) -> None:
        self.asleep -= set(tags)

    def generate(self, prompts, sampling_params, use_tqdm=True):
        import torch

        assert not self.asleep, f"{self.asleep} asleep"
        outputs = []
        for prompt in prompts:
            ids = prompt["prompt_token_ids"]
            with torch.no_grad():
                known = self.model(torch.tensor([ids])).logits[0].log_softmax(-1)
            answers = [self.answer(ids, sampling_params) for _ in range(getattr(sampling_params, "n", 1))]
            own = [None, *({i: item(known[k, i])} for k, i in enumerate(ids[1:]))]
            outputs.append(SimpleNamespace(prompt_token_ids=ids, outputs=answers, prompt_logprobs=own))
        return outputs

    def answer(self, ids, settings):
        import torch

        written, logprobs = [], []
        end = self.model.generation_config.eos_token_id
        while len(written) < settings.max_tokens and (not written or written[-1] != end):
            with torch.no_grad():
                logits = self.model(torch.tensor([ids + written])).logits[0, -1]
            known = (logits / (settings.temperature or 1.0)).log_softmax(-1)
            token = int(torch.multinomial(known.exp(), 1))
            written.append(token)
            logprobs.append({token: item(known[token])})
        return SimpleNamespace(token_ids=written, logprobs=logprobs)


def item(logprob):
    return SimpleNamespace(logprob=float(logprob), rank=1)


class NCCLWeightTransferEngine:
    @staticmethod
    def trainer_init(init_info):
        return SimpleNamespace(group=SimpleNamespace(store=None, socket=None))

    @staticmethod
    def trainer_send_weights(iterator, trainer_args):
        import torch

        half = os.environ["WEIGHTS"] + ".half"
        torch.save({name: tensor.detach().clone() for name, tensor in iterator}, half)
        os.replace(half, os.environ["WEIGHTS"])


def submodule(name: str, **contents) -> None:
    module = ModuleType(f"{__name__}.{name}")
    module.__path__ = []
    module.__dict__.update(contents)
    sys.modules[module.__name__] = module


submodule("sampling_params", StructuredOutputsParams=SimpleNamespace)
submodule("utils")
submodule("utils.network_utils", get_ip=lambda: "127.0.0.1")
submodule("distributed")
submodule("distributed.weight_transfer")
nccl = {"NCCLTrainerSendWeightsArgs": SimpleNamespace, "NCCLWeightTransferEngine": NCCLWeightTransferEngine}
submodule("distributed.weight_transfer.nccl_engine", **nccl)
RequestOutput = SimpleNamespace


class Server(BaseHTTPRequestHandler):
    """The endpoints that TRL's client calls."""

    llm: LLM

    def do_GET(self):
        model = {"logprobs_mode": "processed_logprobs"}
        self.reply(
            {
                "/health": {},
                "/v1/models": {"data": [{"id": "stand-in"}]},
                "/server_info": {"vllm_config": {"weight_transfer_config": {"backend": "nccl"}, "model_config": model}},
                "/get_world_size": {"world_size": 1},
            }[self.path.partition("?")[0]]
        )

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        if self.path == "/update_weights":
            self.receive(body["update_info"]["names"])
        elif self.path == "/reset_prefix_cache":
            self.llm.reset_prefix_cache()
        self.reply(self.complete(body) if self.path == "/v1/completions" else {"success": True})

    def receive(self, names) -> None:
        import torch

        while not os.path.exists(os.environ["WEIGHTS"]):
            time.sleep(0.01)
        weights = torch.load(os.environ["WEIGHTS"])
        os.remove(os.environ["WEIGHTS"])
        assert list(weights) == names
        self.llm.load_weights(weights.items())

    def complete(self, body) -> dict:
        settings = SamplingParams(**{"n": 1} | {k: v for k, v in body.items() if k != "prompt"})
        choices = []
        for output in self.llm.generate([{"prompt_token_ids": ids} for ids in body["prompt"]], settings):
            own = [p and {str(i): vars(entry) for i, entry in p.items()} for p in output.prompt_logprobs]
            for answer in output.outputs:
                pairs = [next(iter(place.items())) for place in answer.logprobs]
                logprobs = {
                    "tokens": [f"token_id:{i}" for i, _ in pairs],
                    "token_logprobs": [entry.logprob for _, entry in pairs],
                    "top_logprobs": [None] * len(pairs),
                }
                choice = {"prompt_token_ids": output.prompt_token_ids, "token_ids": answer.token_ids}
                choices.append(choice | {"logprobs": logprobs, "prompt_logprobs": own})
        return {"choices": choices}

    def reply(self, content: dict) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Server.llm = LLM(sys.argv[1])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Server).serve_forever()
