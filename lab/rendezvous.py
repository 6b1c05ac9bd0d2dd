"""Rendezvous: how the machines of a run find each other. torchrun's own way, c10d, with its failures in a sentence.

torchrun knows it as `rdzv_backend: lab`, through the entry point `torchrun.handlers`. `--rdzv_conf
read_timeout=60,join_timeout=120` after `accelerate launch` changes the seconds.
"""

import sys

CONNECT_SECONDS = 300  # for machine 0 to answer: machines of one job do not start in the same minute
JOIN_SECONDS = 600  # for all machines to be there


def handler():
    """What the entry point hands to torchrun: a function from its parameters to its handler."""
    return meet


def meet(parameters):
    """A c10d rendezvous handler. Ends the process with one sentence and exit code 2 where no meeting comes about."""
    from torch.distributed.elastic.rendezvous import RendezvousConnectionError, RendezvousTimeoutError
    from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import create_backend
    from torch.distributed.elastic.rendezvous.dynamic_rendezvous import create_handler

    connect = int(parameters.config.setdefault("read_timeout", CONNECT_SECONDS))
    join = int(parameters.config.setdefault("join_timeout", JOIN_SECONDS))
    try:
        backend, store = create_backend(parameters)
    except RendezvousConnectionError:
        refuse(
            f"nobody answered at {parameters.endpoint} within {connect} s: --main_process_ip must be an address of the "
            "machine that was started with --machine_rank 0, reachable from here, and its port free"
        )
    found = create_handler(store, backend, parameters)
    joined = found.next_rendezvous

    def next_rendezvous():
        try:
            return joined()
        except RendezvousTimeoutError:
            refuse(
                f"{parameters.min_nodes} machines were to meet at {parameters.endpoint}, but not all came within "
                f"{join} s: start the missing ones, with the same --num_machines everywhere"
            )

    found.next_rendezvous = next_rendezvous
    found.get_backend = lambda: parameters.backend  # torchrun compares it with the name that it asked for
    return found


def refuse(sentence: str):
    print(f"lab: {sentence}", file=sys.stderr)
    sys.exit(2)
