"""The machines of a run, as the launcher is told of them."""

from __future__ import annotations

from dataclasses import dataclass

from cmgems.errors import CmgemsError


@dataclass(frozen=True)
class Nodes:
    """The machines of a run, and how they find each other.

    Attributes:
        count: Machines.
        endpoint: ``HOST:PORT``, the rendezvous address; HOST is one of the machines.
        rank: This machine's number, 0 for HOST; None to let them agree, with the same command on
            each.
    """

    count: int = 1
    endpoint: str | None = None
    rank: int | None = None

    def __post_init__(self) -> None:
        if (self.count > 1) != (self.endpoint is not None):
            raise CmgemsError(
                "no rendezvous address" if self.count > 1 else "a rendezvous address for one machine",
                where="--rdzv-endpoint",
                fix="give --nnodes and --rdzv-endpoint HOST:PORT together",
            )
        if self.endpoint is not None and not _is_endpoint(self.endpoint):
            raise CmgemsError(
                "not an address",
                where="--rdzv-endpoint",
                why=f"it is {self.endpoint!r}",
                fix="give HOST:PORT",
            )
        if self.rank is not None and not 0 <= self.rank < self.count:
            raise CmgemsError(
                "no such machine", where="--node-rank", why=f"it is {self.rank} of {self.count}"
            )

    def options(self) -> list[str]:
        """Their options for torchrun."""
        if self.endpoint is None:
            return ["--standalone"]
        meeting = ["--nnodes", str(self.count), "--rdzv-endpoint", self.endpoint, "--rdzv-id", "cmgems"]
        if self.rank is None:
            return [*meeting, "--rdzv-backend", "c10d"]
        return [*meeting, "--rdzv-backend", "static", "--node-rank", str(self.rank)]


def _is_endpoint(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, "29400"  # torchrun's own
    return bool(host) and port.isdecimal() and 0 < int(port) < 2**16
