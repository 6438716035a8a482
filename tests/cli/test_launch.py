"""``cmgems run --nproc-per-node``: what is found before processes start, what they are given, what is heard of them."""

from __future__ import annotations

import json
import signal
from types import SimpleNamespace

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from cmgems.cli import launch, main
from cmgems.cli.nodes import Nodes
from cmgems.distributed import ALONE, described_world
from cmgems.errors import CmgemsError


@pytest.fixture
def launched(monkeypatch):
    """The launches asked for, none of which happens: (command, processes, nodes)."""
    calls = []

    def record(command, processes, nodes):
        calls.append((list(command), processes, nodes))
        return 7

    monkeypatch.setattr(launch, "launch", record)
    return calls


def test_the_same_command_goes_to_every_process(launched, tmp_path):
    plugin = tmp_path / "plugin.py"
    plugin.write_text("")
    command = [
        "run",
        "pretrain",
        "data.store=store",
        "--config",
        "tiny",
        "--plugin",
        str(plugin),
        "--nproc-per-node",
        "4",
    ]
    assert main.run(command) == 7
    assert launched == [
        (
            [
                "run",
                "pretrain",
                "data.store=store",
                "--out",
                "runs/pretrain-tiny",
                "--config",
                "tiny",
                "--plugin",
                str(plugin),
            ],
            4,
            Nodes(),
        )
    ]


def test_several_machines(launched):
    meeting = ["--nnodes", "2", "--rdzv-endpoint", "first:29500"]
    assert (
        main.run(
            ["run", "pretrain", "data.store=store", *meeting, "--nproc-per-node", "8", "--node-rank", "1"]
        )
        == 7
    )
    assert launched[0][1:] == (8, Nodes(2, "first:29500", 1))
    assert Nodes().options() == ["--standalone"]
    for nodes, backend in ((Nodes(2, "a:1"), "c10d"), (Nodes(2, "a:1", 0), "static")):
        options = nodes.options()
        assert options[options.index("--rdzv-backend") + 1] == backend


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["stepz=3"], "unknown key 'stepz'"),
        (["--config", "no_such"], "no_such"),
        (["--nnodes", "2"], "give --nnodes and --rdzv-endpoint HOST:PORT together"),
        (["--rdzv-endpoint", "a:1"], "a rendezvous address for one machine"),
        (["--nnodes", "2", "--rdzv-endpoint", "a:b"], "not an address in --rdzv-endpoint: it is 'a:b'"),
        (["--nnodes", "2", "--rdzv-endpoint", ":29500"], "give HOST:PORT"),
        (["--nnodes", "2", "--rdzv-endpoint", "a:99999"], "give HOST:PORT"),
        (["--nnodes", "2", "--rdzv-endpoint", "a:1", "--node-rank", "2"], "no such machine in --node-rank"),
    ],
)
def test_mistakes_are_found_before_anything_starts(launched, capsys, options, message):
    assert main.run(["run", "pretrain", "data.store=store", *options, "--nproc-per-node", "2"]) == 2
    assert message in capsys.readouterr().err
    assert launched == []


TORCHRUN = {"RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "29400"}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but there is no RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT"),
        ({"WORLD_SIZE": "2", **TORCHRUN, "LOCAL_RANK": ""}, "there is no LOCAL_RANK"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"WORLD_SIZE": "-1"}, "WORLD_SIZE is '-1'"),
        ({"WORLD_SIZE": "2", **TORCHRUN, "RANK": "2"}, "RANK is '2'"),
        ({"WORLD_SIZE": "2", **TORCHRUN, "LOCAL_RANK": "x"}, "LOCAL_RANK is 'x'"),
        ({"WORLD_SIZE": "2", **TORCHRUN, "MASTER_PORT": "http"}, "MASTER_PORT is 'http'"),
        ({"WORLD_SIZE": "2", **TORCHRUN, "MASTER_PORT": "99999"}, "localhost:99999"),
    ],
)
def test_variables_of_a_launcher_that_were_left_over(
    monkeypatch, capsys, small_genome, tmp_path, variables, named
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    command = ["run", "pretrain", "--config", "tiny", *small_genome.overrides(), "-o", str(tmp_path / "out")]
    assert main.run(command) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert named in told
    assert "unset WORLD_SIZE" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "variables", [{"RANK": "1"}, {"WORLD_SIZE": "", "RANK": "1"}, {"WORLD_SIZE": "1", **TORCHRUN}]
)
def test_a_world_of_one_is_a_process_alone(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert described_world() is ALONE


def test_the_launcher_sets_its_own(monkeypatch, launched):
    monkeypatch.setenv("WORLD_SIZE", "left over")
    assert main.run(["run", "pretrain", "data.store=store", "--nproc-per-node", "2"]) == 7


def test_a_recipe_for_one_process_says_so(launched, capsys, monkeypatch, tmp_path):
    """Under torchrun too: two processes would write one folder."""
    recipe = tmp_path / "alone.py"
    recipe.write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    steps: int = 1\n"
        "def main(config, out):\n    out.mkdir()\n"
    )
    command = ["run", str(recipe), "-o", str(tmp_path / "out")]
    assert main.run([*command, "--nproc-per-node", "2"]) == 2
    with monkeypatch.context() as torchrun:
        for name, value in {**TORCHRUN, "WORLD_SIZE": "2"}.items():
            torchrun.setenv(name, value)
        assert main.run(command) == 2
    assert capsys.readouterr().err.count("recipe 'alone' runs in one process") == 2
    assert launched == []
    assert not (tmp_path / "out").exists()
    assert main.run([*command, "--nproc-per-node", "1"]) == 0
    assert (tmp_path / "out").is_dir()


def test_not_inside_torchrun(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(CmgemsError, match="started by torchrun already"):
        launch.launch(["run", "pretrain"], 2, Nodes())


def test_a_process_leaves_its_lines_to_the_launcher(monkeypatch, tmp_path, capsys):
    path = tmp_path / "error.json"
    monkeypatch.setenv(launch.ERROR_FILE, str(path))
    assert not launch.tell_launcher("started by plain torchrun")
    monkeypatch.setenv(launch.LAUNCHED, "1")
    assert main.run(["run", "no_such_recipe"]) == 2
    assert capsys.readouterr().err == ""
    told = json.loads(path.read_text())["message"]
    assert told.startswith("error: unknown recipe 'no_such_recipe'")
    assert launch.tell_launcher("one more")
    assert json.loads(path.read_text())["message"] == f"{told}\none more"


@pytest.mark.parametrize("code", [0, 2])
def test_one_of_several_processes_does_not_take_python_down(monkeypatch, code):
    """gloo's threads may let go of tensors at that time, and abort."""
    ended = []
    monkeypatch.setattr(launch.os, "_exit", ended.append)
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(SystemExit) as alone:
        launch.leave(code)
    assert (alone.value.code, ended) == (code, [])
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):  # what the real one never comes to
        launch.leave(code)
    assert ended == [code]


# What torch says of a process that has left no file.
NOTHING_TOLD = ProcessFailure(0, 1, 5, error_file="nowhere").error_file_data


def failure(exitcode: int, message: str = "", time_ns: int = 0) -> SimpleNamespace:
    data = {"message": message, "time_ns": time_ns} if message else NOTHING_TOLD
    name = signal.Signals(-exitcode).name if exitcode < 0 else ""
    return SimpleNamespace(exitcode=exitcode, error_file_data=data, signal_name=lambda: name)


@pytest.mark.parametrize(
    ("failures", "code", "line"),
    [
        ([failure(1, "error: closed", 1), failure(2, "error: no genome", 2)], 2, "error: no genome"),
        ([failure(1, "error: second", 9), failure(1, "error: first", 4)], 1, "error: first"),
        ([failure(-15), failure(-9)], 137, "error: process 1 was killed by SIGKILL; the machine may be out"),
        ([failure(1, "error: closed", 1), failure(-11)], 139, "error: process 1 was killed by SIGSEGV"),
        ([failure(-6), failure(1, "error: ours", 3)], 1, "error: ours"),
        ([failure(5)], 5, "error: process 0 ended with exit code 5"),
        ([failure(143), failure(143)], 143, ""),
    ],
)
def test_the_likeliest_cause_is_told_once(capsys, failures, code, line):
    assert launch._report(dict(enumerate(failures))) == code
    told = capsys.readouterr().err
    assert told.startswith(line)
    assert told.count("\n") == bool(line)
