"""What the machine refuses: one line, the right exit code, and nothing that was whole is lost."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

import pytest

from cmgems.cli.main import run

PRETRAIN = "run pretrain --config tiny data.store=store masking.table=pmi.safetensors data.split.block_bp=2000 -o run"


def test_no_permission(everything, capsys, monkeypatch, tmp_path):
    """As the system says it; root may do everything, so the error is raised by hand."""

    def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path))

    monkeypatch.chdir(everything)
    monkeypatch.setattr(Path, "mkdir", denied)
    monkeypatch.setattr(Path, "write_bytes", denied)
    for command in ("cp pretrain new.py", "genome build s.fa -o new", "pmi build store -o new", "export lm -o new",
                    "tokenizer build kmer3 -o new", "predict ft s.fa -o new.csv", PRETRAIN):  # fmt: skip
        assert run(shlex.split(command)) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("error: ")
        assert "Permission denied" in line


def test_several_mistakes_are_reported_at_once(everything, capsys, monkeypatch):
    monkeypatch.chdir(everything)
    assert run(shlex.split(f"{PRETRAIN} steps=many optim.lr_rate=1 model=lgo")) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 3
    assert all(line.startswith("error: ") for line in lines)


@pytest.mark.slow
def test_a_full_disk_while_saving_keeps_the_last_good_checkpoint(everything, capsys, monkeypatch, tmp_path):
    replace, saved = os.replace, []

    def full_after_one(source, target):
        if Path(target).name.startswith("step_"):
            if saved:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
            saved.append(target)
        replace(source, target)

    monkeypatch.chdir(everything)
    out = tmp_path / "run"
    command = shlex.split(PRETRAIN.replace("-o run", f"-o {out}"))
    monkeypatch.setattr(os, "replace", full_after_one)
    assert run(command) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "no space left" in errors[0]
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["step_00000005"]
    assert not list(out.rglob(".partial-*"))

    monkeypatch.setattr(os, "replace", replace)
    assert run(command) == 0  # the same command goes on from there
