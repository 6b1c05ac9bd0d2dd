"""The command `lab` on a machine without NVIDIA's NCCL: TRL's client refuses to sync weights from a CPU."""

from trl.generation.vllm_client import VLLMClient

from lab.cli import main

opened = VLLMClient.init_communicator
VLLMClient.init_communicator = lambda client, device: opened(client, "cuda")

if __name__ == "__main__":
    main()
