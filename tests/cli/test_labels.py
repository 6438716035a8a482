"""``cmgems labels``, and what a user gets for every way in which a labelled set can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmgems.cli.main import run

GOOD = "sequence,label\n" + "ACGTACGTAA,0\nTTTTGGTTCC,0\nGGACGTGGAA,1\nCCCATCCGTC,1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}.csv").write_text(GOOD)
    return folder


def finetune(folder: Path, *overrides: str) -> list[str]:
    return ["run", "finetune", "--config", "tiny", f"data.dir={folder}", "compute.threads=1", "epochs=1",
            *overrides, "-o", str(folder.parent / "run")]  # fmt: skip


@pytest.mark.parametrize(
    ("split", "text", "message"),
    [
        ("train", None, "no train file in {folder}: it holds test.csv; put train.csv (sequence,label) there"),
        ("test", None, "no test file in {folder}: it holds train.csv; put test.csv (sequence,label) there"),
        ("train", "", "empty file in {folder}/train.csv; write or fetch it again"),
        ("test", "ACGTACGT,1\n", "no header in {folder}/test.csv:1: the first line is a row; write the names of"),
        ("dev", "sequence,y\nACGTACGT,1\n", "columns missing in {folder}/dev.csv:1: no 'label'; it has sequence, y"),
        ("train", "sequence,label\n", "no rows in {folder}/train.csv; give at least one"),
        ("dev", "sequence,label\n", "no rows in {folder}/dev.csv; give"),
        ("train", GOOD + "ACGTACGT\n", "fewer cells than columns in {folder}/train.csv:6: 1 cells, 2 columns; correct"),
        ("train", GOOD + "ACGTACGT,\n", "sequence or label missing in {folder}/train.csv:6; correct it; data.invalid"),
        ("test", GOOD + "ACGTACGT,1,1\n", "more cells than columns in {folder}/test.csv:6: 3 cells, 2 columns; quote"),
        ("train", "sequence,label\nACGTACGT,1\n", "one class only in {folder}/train.csv: every label is '1'; give"),
        ("dev", GOOD + "ACGTACGT,2\n", "label '2' not in train in {folder}/dev.csv:6: train has 0, 1; correct"),
        ("test", GOOD + "ACGTACGT,2\n", "label '2' not in train in {folder}/test.csv:6: train has 0, 1; correct"),
        ("train", GOOD + "ACGTA,1\n", "sequence shorter than k in {folder}/train.csv:6: 5 bp, k is 6; give"),
        ("test", GOOD + "ACGUACGT,1\n", "looks like RNA in {folder}/test.csv:6, position 4: found 'U'; convert U to T"),
        ("train", GOOD + "ACGT ACGT,1\n", "words that are not overlapping k-mers in {folder}/train.csv:6: ACGT is"),
    ],
)  # fmt: skip
def test_a_set_that_cannot_be_used_is_one_line(folder, capsys, split, text, message):
    path = folder / f"{split}.csv"
    path.write_text(text) if text is not None else path.unlink()
    assert run(finetune(folder)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: " + message.format(folder=folder))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.shots=3"], "fewer rows than shots in data.shots: 0 training examples of class '0', and 2 more that"),
        (["data.shots=1", "data.draw=2"], "no such draw in data.draw: 2 was requested, the training set holds 2 of 1"),
        (["data.shots=3", "data.draw=0"], "not whole draws in the training set: class '0' has 2 rows, 1 x 3 were"),
        (["data.draw=0"], "`draw` must be 0 or more, and needs shots"),
        (["data.dir=nowhere"], "no such folder in nowhere; give a folder with train, dev and test files"),
    ],
)  # fmt: skip
def test_draws_that_cannot_be(folder, capsys, overrides, message):
    assert run(finetune(folder, *overrides)) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("error: " + message)


@pytest.mark.filterwarnings("error:A single label was found")
def test_what_is_odd_is_said_and_trained_on(folder, capsys):
    (folder / "train.csv").write_text(GOOD.replace(",1\n", ",2\n") + f"{'ACGT' * 150},2\n")
    (folder / "test.csv").write_text("sequence,label\nACGTACGTAA,0\nACGTACGTAC,0\n")
    assert run(finetune(folder)) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert said[:4] == [
        f"warning: no dev file in {folder}: the last epoch counts",
        "warning: 1 train sequences cut to 512 tokens",
        "warning: test has one class only, '0': MCC is 0 and AUC undefined",
        "warning: classes 0, 2 leave out 1: no training row has it",
    ]


def test_draw_and_train_on_one(small_labelled, tmp_path, capsys):
    out = tmp_path / "draws"
    assert (
        run(["labels", "draw", str(small_labelled), "-o", str(out), "--shots", "4,900", "--draws", "3"]) == 0
    )
    said = capsys.readouterr().out
    assert f"{out / '4'}: 3 draws of 4 rows of each of 2 classes\n" in said
    assert "never drawn: 0 training rows that repeat another, 0 that are in the test set\n" in said
    assert "skipped: 900 shots: " in said
    for _ in range(2):
        assert run(finetune(out / "4", "data.shots=4", "data.draw=2")) == 0
    assert "training sequences" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shots", "ten"], "not whole numbers in --shots: 'ten'; give them as 10,50,100"),
        (["--shots", "5", "--draws", "0"], "numbers out of range: shots and draws must be 1 or more"),
        (["--shots", "900"], "no draws in "),
        (["--label", "y"], "columns missing in "),
        (["--sequence", "bases"], "columns missing in "),
    ],
)
def test_draw_refuses(small_labelled, tmp_path, capsys, options, message):
    assert run(["labels", "draw", str(small_labelled), "-o", str(tmp_path / "draws"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: " + message)
    assert not (tmp_path / "draws").exists()


def test_draw_leaves_out_rows_that_cannot_be_used(folder, tmp_path, capsys):
    with (folder / "train.csv").open("a") as train:
        train.write("ACGTUU,1\n")
    draw = ["labels", "draw", str(folder), "-o", str(tmp_path / "draws"), "--shots", "1", "--draws", "1"]
    (folder / "test.csv").write_text("sequence,label\nACGTACGT,1\n")
    assert run(draw) == 2
    assert (
        "position 5: found 'U'; convert U to T; --skip-invalid leaves such records out"
        in capsys.readouterr().err
    )
    assert run([*draw, "--skip-invalid"]) == 0
    assert (
        f"skipped: 1 rows that cannot be used, named in {tmp_path}/draws/skipped.csv\n"
        in capsys.readouterr().out
    )
    assert "train.csv:6" in (tmp_path / "draws/skipped.csv").read_text()


def test_silencers(tmp_path, capsys):
    fasta = tmp_path / "s.fa"
    fasta.write_text(
        "".join(f">s{n}\n{'ACGT' * (5 + n)}\n" for n in range(20)) + ">n\nACGTN\n>long\n" + "A" * 301
    )
    out = tmp_path / "silencer"
    assert run(["labels", "silencers", str(fasta), "-o", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{out}/train.csv: 18 silencers and as many negatives",
        f"{out}/test.csv: 2 silencers and as many negatives",
        "skipped: 1 longer than 300 bp",
        "skipped: 1 shorter than 20 bp",
    ]
    assert run(["labels", "silencers", str(fasta), "-o", str(out)]) == 2
    assert "error: output exists in " in capsys.readouterr().err
    fasta.write_text(">p\nMKVLLA\n")
    assert run(["labels", "silencers", str(fasta), "-o", str(tmp_path / "new")]) == 2
    assert "looks like protein" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("sequence\nACGTACGT\n", [], "columns missing in {folder}/train.csv:1: no 'label'; it has sequence"),
        ("sequence,label\nACGTACGT,1\n", [], "one class only in {folder}/train.csv: every label is '1'"),
        ("sequence,label\n", [], "no rows in {folder}/train.csv"),
        (GOOD, ["--label", "y"], "columns missing in {folder}/train.csv:1: no 'y'; it has sequence, label"),
        (GOOD + "ACGU,1\n", [], "looks like RNA in {folder}/train.csv:6, position 4: found 'U'; convert U to T; --"),
        ("sequence,label\nACGTACGT,1.5\n", ["--task", "regression"], "constant target in {folder}/train.csv: label is"),
        (GOOD, ["--task", "token_classification"], "wrong number of labels in {folder}/train.csv:2: 1 for 10 bases"),
    ],
)  # fmt: skip
def test_audit_refuses(folder, capsys, text, options, message):
    (folder / "train.csv").write_text(text)
    out = folder.parent / "audit.json"
    assert run(["labels", "audit", str(folder), "-o", str(out), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: " + message.format(folder=folder))
    assert not out.exists()


def test_audit_of_a_folder_that_is_not_there(tmp_path, capsys):
    assert run(["labels", "audit", str(tmp_path / "none")]) == 2
    assert "error: no such folder in " in capsys.readouterr().err


def test_audit_prints_tables_or_json_and_writes_a_file(folder, capsys):
    with (folder / "train.csv").open("a") as train:
        train.write("ACGTUU,1\n")
    out = folder.parent / "audit.json"
    audit = ["labels", "audit", str(folder), "--skip-invalid", "-o", str(out)]
    assert run(audit) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == f"{folder}: 4 train, 4 test"
    assert "test in train 4 (100.0 %)" in said.out
    assert "0 of 4 test rows are novel" in said.out
    assert said.err == f"1 record skipped, named in {folder.parent}/audit.json.skipped.csv\n"
    assert run([*audit[:-2], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text())
