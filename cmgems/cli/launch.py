"""Starting the processes of a run through torchrun: one error message and one exit code for all of them."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from cmgems.cli.nodes import Nodes
from cmgems.errors import EXIT_USER, CmgemsError
from cmgems.process import STOP_SIGNALS, available_cores

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

# Set for the processes: they hand their error line to the launcher, which prints it once.
LAUNCHED = "CMGEMS_LAUNCHED"
ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
TOLD = "time_ns"  # when a process wrote its line
# A checkpoint may have to be finished after SIGTERM; torchrun's own patience is 30 s.
SHUTDOWN_SECONDS = 300
STOPPED = tuple(128 + number for number in (signal.SIGINT, *STOP_SIGNALS))


def launch(command: Sequence[str], processes: int, nodes: Nodes) -> int:
    """Run ``python -m cmgems COMMAND`` in several processes on this machine; returns the exit code of the whole.

    When one fails torchrun ends the others. The first error is printed once.
    """
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError

    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise CmgemsError("started by torchrun already", where="--nproc-per-node", fix="leave it out")
    os.environ[LAUNCHED] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // processes)))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP warns in every process of what is meant
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SHUTDOWN_SECONDS))
    debug = ["--debug"] if "--debug" in sys.argv else []
    options = ["--nproc-per-node", str(processes), "--max-restarts", "0", *nodes.options()]
    arguments = torchrun.parse_args([*options, "-m", "cmgems", *command, *debug])
    # What it passes on to the processes; what is ignored here, as under nohup, stays ignored.
    signals = (signal.SIGINT, signal.SIGQUIT, *STOP_SIGNALS)
    heard = [number.name for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    arguments.signals_to_handle = ",".join(heard)
    logging.disable(logging.ERROR)  # torchrun reports at length what is one line here
    try:
        torchrun.run(arguments)
    except ChildFailedError as error:
        return _report(error.failures)
    except SignalException as error:
        return 128 + int(error.sigval)
    except RendezvousError as error:
        raise CmgemsError(
            "the machines cannot reach each other",
            where=nodes.endpoint,
            why=str(error) or type(error).__name__,
            fix="start the same command on each, with an address that all of them reach",
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    return 0


def start_again(context: typer.Context, processes: int) -> None:
    """Run this command line in several processes and leave with their exit code, unless this is one of them."""
    if processes > 1 and LAUNCHED not in os.environ:
        raise typer.Exit(launch(context.obj, processes, Nodes()))


def _report(failures: Mapping[int, ProcessFailure]) -> int:
    """Print the error of the process that failed first; returns its exit code."""
    rank = min(failures, key=lambda rank: _blame(failures[rank]))
    failure = failures[rank]
    # For a process that wrote nothing torch says "<NONE>".
    message = failure.error_file_data["message"] if TOLD in failure.error_file_data else ""
    if failure.exitcode < 0:
        memory = "; the machine may be out of memory" if failure.exitcode == -signal.SIGKILL else ""
        message = f"error: process {rank} was killed by {failure.signal_name()}{memory}"
    elif not message and failure.exitcode not in STOPPED:
        message = f"error: process {rank} ended with exit code {failure.exitcode}"
    if message:
        print(message, file=sys.stderr, flush=True)
    return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode


def _blame(failure: ProcessFailure) -> tuple[int, int]:
    """Orders failures, the likeliest cause first: others end because a connection closes, or torchrun ends them."""
    written = int(failure.error_file_data.get(TOLD, time.time_ns()))
    if failure.exitcode == EXIT_USER:
        return 0, written
    if failure.exitcode in (-signal.SIGTERM, *STOPPED):
        return 4, written
    if failure.exitcode == -signal.SIGABRT:  # how C++ ends when a connection closes under it
        return 3, written
    return (1 if failure.exitcode < 0 else 2), written


def tell_launcher(line: str) -> bool:
    """Hand an error line to the launcher; False if this process was not started by one."""
    path = Path(os.environ.get(ERROR_FILE, ""))
    if LAUNCHED not in os.environ or not path.name:
        return False
    told = {"message": line, "timestamp": int(time.time()), TOLD: time.time_ns()}
    if path.is_file():  # a second line: a config may have several errors
        before = json.loads(path.read_text(encoding="utf-8"))
        told = {**before, "message": f"{before['message']}\n{line}"}
    path.write_text(json.dumps(told), encoding="utf-8")
    return True


def leave(code: int) -> NoReturn:
    """End this process with ``code``."""
    if "RANK" in os.environ:
        # One of several: gloo's threads may let go of tensors, or of connections that are open after a failure, while
        # Python is taken down. C++ then aborts, and the launcher kills the others at their last work.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
