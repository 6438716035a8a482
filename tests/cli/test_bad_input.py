"""What a user gets for a mistake: one line, the right exit code, nothing half-written."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from cmgems.cli.main import app, run

PRETRAIN = "run pretrain --config tiny data.store=store masking.table=pmi.safetensors data.split.block_bp=2000 -o run"
FINETUNE = "run finetune --config tiny compute.threads=1 -o run data.dir="
COMPARE = "compare -c tiny --steps 1 --seeds 1 data.store=store masking.table=pmi.safetensors -o run"

# The command, in a folder with something of everything (conftest.py) -> a piece of the line that answers it.
MISTAKES = {
    # FASTA
    "genome build nothing.fa -o new": "no such file in nothing.fa",
    "genome build nothing -o new": "not a file",
    "genome build empty.fa -o new": "empty file in empty.fa",
    "genome build blank.fa -o new": "the file is blank",
    "genome build protein.fa -o new": "contig prot",
    "genome build rna.fa -o new": "RNA",
    "genome build gaps.fa -o new": "gaps of an alignment",
    "genome build masked.fa -o new": "masked with X",
    "genome build digits.fa -o new": "position 1: found '1'",
    "genome build nul.fa -o new": "byte 0x00",
    "genome build latin1.fa -o new": "UTF-8",
    "genome build noname.fa -o new": "without a name",
    "genome build nobases.fa -o new": "telomere",
    "genome build noheader.fa -o new": "no FASTA header",
    "genome build twice.fa -o new": "'a'",
    "genome build s.fa s.fa -o new": "'a'",
    "genome build cr.fa -o new": "CR alone",
    "genome build utf16.fa -o new": "UTF-16",
    "genome build cut.fa.gz -o new": "cut.fa.gz",
    "genome build named.fa.gz -o new": "named.fa.gz",
    "genome build x.zip -o new": "zip",
    "genome build x.bam -o new": "BAM",
    "genome build x.2bit -o new": "2bit",
    "genome build x.png -o new": "x.png",
    "genome build x.html -o new": "a web page",
    "genome build x.pdf -o new": "PDF",
    "genome build s.fa -o store": "--force",
    "genome build s.fa -o notes --force": "not a genome store",
    "genome build s.fa -o mine.py/new": "mine.py",
    "genome build s.fa": "--out",
    # Stores
    "genome info nothing": "cmgems genome build",
    "genome info s.fa": "not a genome store",
    "genome info g_codes": "codes.bin has 40,001 bytes",
    "genome info g_index": "index.json is not JSON",
    "genome info g_lengths": "lengths are not whole numbers",
    "genome info g_version": "format version 99",
    "genome info g_flipped --verify": "checksum",
    # PMI
    "pmi build nowhere -o new": "cmgems genome build",
    "pmi build g_codes -o new": "codes.bin",
    "pmi build small -o new": "no 6-mer",
    "pmi build store -o new --k 12": "--k",
    "pmi build store -o new --k six": "--k",
    "pmi build store -o new --definition exat": "'exact'",
    "pmi build store -o new --min-count 0": "--min-count",
    "pmi build store -o new --workers 0": "--workers",
    "pmi build store -o notes": "notes",
    "pmi show nowhere.csv": "nowhere.csv",
    "pmi show nothing": "nothing",
    "pmi show empty.csv": "empty.csv",
    "pmi show t_cut.safetensors": "t_cut.safetensors",
    "pmi show lm/model.safetensors": "not a PMI table",
    "pmi show t_missing.csv": "missing",
    "pmi show t_twice.csv": "twice",
    "pmi show t_rna.csv": "'ACGUUU' is not a 6-mer",
    "pmi show t_nan.csv": "NaN",
    "pmi show t_inf.csv": "infinite",
    "pmi show t_negative.csv": "negative",
    "pmi show t_huge.csv": "t_huge.csv:3",
    "pmi show t_ranks.csv": "not a permutation",
    "pmi show t_header.csv": "no column",
    "pmi show t_columns.csv": "no column npmi",
    "pmi show utf16.csv": "UTF-16",
    "pmi show x.png": "x.png",
    "pmi show pmi.csv --top -1": "--top",
    "pmi compare pmi.csv": "B",
    "pmi compare pmi.csv t_nan.csv": "t_nan.csv",
    "pmi compare pmi.csv pmi.csv --top 0": "--top",
    "pmi plot t_cut.safetensors -o new.png": "t_cut.safetensors",
    "pmi plot pmi.csv -o mine.py/new.png": "mine.py",
    # Masks
    "mask stats onlyn.fa": "onlyn.fa",
    "mask stats nowhere": "nowhere",
    "mask stats nothing": "not a genome store",
    "mask stats s.fa --strategy genemask": "--table",
    "mask stats s.fa --sequences 0": "--sequences",
    "mask ls x": "extra argument",
    "mask preview s.fa --tokenizer nt_v3": "nt_v2",
    "mask preview s.fa --tokenizer none.json": "none.json",
    "mask stats s.fa --tokenizer nt_v2 --k 6": "both set",
    "mask preview s.fa --rate 1": "between 0 and 1",
    "mask preview s.fa --rate nan": "between 0 and 1",
    "mask preview s.fa --target-rate 2": "between 0 and 1",
    "mask preview s.fa --strategy genemsak": "'genemask'",
    "mask preview s.fa --strategy genemask": "--table",
    "mask preview s.fa --table t_nan.csv": "t_nan.csv",
    "mask preview s.fa --table pmi.csv --k 4": "k",
    "mask preview s.fa --k 9": "3, 4, 5 or 6",
    "mask preview s.fa --rank-by luck": "token",
    "mask preview s.fa --seed -1": "--seed",
    "mask preview protein.fa": "prot",
    "mask ls more": "more",
    "mask ls --plugin nothing.py": "nothing.py",
    "mask preview s.fa --strategy random_span+wide=2": "'wider'",
    "mask preview s.fa --strategy random_span+wider": "option without a value",
    "mask preview s.fa --strategy random_span+wider=-1": "`wider` must be 0 or more",
    "mask stats s.fa --strategy uniform_rate --rate 0.2": "a rate of its own",
    "mask preview s.fa --plugin needs.py": "a_package_that_is_not_there",
    # Tokenizers
    "tokenizer build kmer7 -o new": "'kmer6'",
    "tokenizer build bpe -o new": "no BPE tokenizer",
    "tokenizer build kmer6 -o mine.py/new": "mine.py",
    "tokenizer train nothing -o new": "cmgems genome build",
    "tokenizer train store -o new --vocab-size 3": "vocab",
    "tokenizer train store -o new --sample-mbp 0": "--sample-mbp",
    "tokenizer train store -o new --sample-mbp nan": "--sample-mbp",
    "tokenizer train store -o mine.py": "--force",
    # Labelled sets
    "labels audit nothing": "nothing",
    "labels audit labelled --label nope": "no 'nope'",
    "labels audit labelled --store nowhere": "nowhere",
    "labels draw nowhere -o new": "nowhere",
    "labels draw labelled -o new --window 100": "need a store",
    "labels draw nothing -o new": "no train file",
    "labels draw labelled -o new --shots ten": "--shots",
    "labels draw labelled -o new --shots 0": "shots",
    "labels draw labelled -o new --draws 0": "draws",
    "labels draw labelled -o new --label klass": "'klass'",
    "labels draw labelled -o notes": "output exists",
    "labels draw l_utf16 -o new": "UTF-16",
    "labels silencers nothing.fa -o new": "nothing.fa",
    "labels silencers protein.fa -o new": "prot",
    "labels silencers s.fa -o new --max-bp 5": "--max-bp",
    "labels silencers tiny.fa -o new": "fewer than two",
    # Models, and models for the wrong command
    "predict nowhere s.fa -o new.csv": "nowhere",
    "predict nothing s.fa -o new.csv": "nothing",
    "predict lm s.fa -o new.csv": "cmgems run finetune",
    "predict s.fa s.fa -o new.csv": "s.fa",
    "score ft s.fa -o new.csv": "masked language model",
    "score m_flipped s.fa -o new.csv": "sha256",
    "score m_cut s.fa -o new.csv": "m_cut",
    "score m_info s.fa -o new.csv": "model.json",
    "score m_huge s.fa -o new.csv": "another shape",
    "score m_noweights s.fa -o new.csv": "model.safetensors",
    "score m_plugin s.fa -o new.csv": "--plugin",
    "score m_other s.fa -o new.csv": "another",
    "variants ft s.vcf --store store -o new.csv": "masked language model",
    "motifs ft nothing.fa s.fa -o new": "nothing.fa",
    "motifs nowhere s.fa s.fa -o new": "nowhere",
    "motifs ft s.fa s.fa -o new --label 1": "ask for importance",
    "motifs ft s.fa s.fa -o new --width 1": "width",
    "motifs ft s.fa s.fa -o new --cutoff 7": "cutoff",
    "motifs ft s.fa s.fa -o notes": "notes",
    "motifs ft s.fa s.fa -o new --by importance --label 7": "'7'",
    "motifs ft s.fa s.fa -o new --layer 9": "2 layers",
    # Sequences for models
    "predict ft short.fa -o new.csv": "tiny",
    "predict ft long.fa -o new.csv --overlap 515": "--overlap",
    "predict ft s.fa -o new.csv --overlap -1": "--overlap",
    "predict ft s.fa -o new.csv --batch-tokens 0": "--batch-tokens",
    "predict ft s.fa -o new.csv --precision fp16": "--precision",
    "score lm s.fa -o new.csv --device tpu": "--device",
    "predict ft s.fa -o mine.py/new.csv": "mine.py",
    "predict ft empty.csv -o new.csv": "empty.csv",
    "predict ft norows.csv -o new.csv": "norows.csv",
    "predict ft wide.csv -o new.csv": "more cells than columns",
    "predict ft norow.csv -o new.csv": "norow.csv:2",
    "predict ft utf16.csv -o new.csv": "UTF-16",
    "predict ft x.zip -o new.csv": "zip",
    "predict ft s.fa": "--out",
    "embed lm s.fa -o new.pkl": ".parquet",
    "embed lm s.fa -o new.npy --layer 3": "2 layers",
    "embed lm s.fa -o new.npy --pool max": "--pool",
    "embed lm s.fa -o new.npy --pool none --both-strands": "both strands",
    "embed lm gap.fa -o new.npy": "gap",
    "embed lm nocolumn.csv -o new.npy": "nocolumn.csv:1",
    "embed lm s.bed -o new.npy": "--store",
    "embed lm s.fa -o new.npy --store store": "BED",
    "embed lm s.bed --store nothing -o new.npy": "cmgems genome build",
    "embed lm unknown.bed --store store -o new.npy": "'contig0'",
    "embed lm void.bed --store store -o new.npy": "void.bed:2",
    "embed lm empty.bed --store store -o new.npy": "empty.bed",
    "score lm nodna.csv -o new.csv": "position 7",
    "score lm beyond.bed --store store -o new.csv": "beyond.bed:1",
    "score lm negative.bed --store store -o new.csv": "negative.bed:1",
    "score lm backwards.bed --store store -o new.csv": "backwards.bed:1",
    "score lm spaces.bed --store store -o new.csv": "spaces.bed:1",
    "score lm words.bed --store store -o new.csv": "words.bed:1",
    "score lm huge.bed --store store -o new.csv": "huge.bed:1",
    "explain ft s.fa -o notes": "notes",
    "explain ft s.fa -o new --label 7": "'7'",
    "explain ft s.fa -o new --layer 9": "2 layers",
    "explain ft s.fa -o new --head 99": "head",
    "explain lm nothing.fa -o new": "nothing.fa",
    # Variants
    "variants lm s.vcf -o new.csv": "--store",
    "variants lm s.vcf --store store -o new.csv --labels INFO/CLNSIG=a:b": "no record has INFO/CLNSIG",
    "variants lm s.vcf --store store -o new.csv --labels INFO/CLNSIG": "--labels",
    "variants lm s.vcf --store store -o new.csv --by INFO/MC": "--by",
    "variants lm noheader.vcf --store store -o new.csv --labels X=1:0": "noheader.vcf",
    "variants lm absent.vcf --store store -o new.csv --labels X=1:0": "absent.vcf",
    "variants lm noheader.vcf --store store -o new.csv": "noheader.vcf",
    "variants lm norecords.vcf --store store -o new.csv": "no variants",
    "variants lm fasta.vcf --store store -o new.csv": "fasta.vcf",
    "variants lm empty.vcf --store store -o new.csv": "empty file",
    "variants lm spaces.vcf --store store -o new.csv": "spaces.vcf:3",
    "variants lm other.vcf --store store -o new.csv": "other.vcf:3",
    "variants lm unknown.vcf --store store -o new.csv": "'contig0'",
    "variants lm beyond.vcf --store store -o new.csv": "20,000 bp",
    "variants lm zero.vcf --store store -o new.csv": "zero.vcf:3",
    "variants lm position.vcf --store store -o new.csv": "position.vcf:3",
    "variants lm nodna.vcf --store store -o new.csv": "'Q'",
    # Export and import
    "export nowhere -o new": "nowhere",
    "export lm -o notes": "output exists",
    "export m_flipped -o new": "sha256",
    "export lm": "--out",
    "download hg83": "did you mean 'hg38'",
    "import nothing -o new": "config.json",
    "import lm -o new": "config.json",
    "import h_config -o new": "config.json",
    "import h_weights -o new": "no weights",
    "import h_family -o new": "gpt2",
    "import hf -o notes": "output exists",
    "import hf -o new --tokenizer kmer7": "'kmer6'",
    "import hf -o new --tokenizer kmer3": "kmer3",
    # Recipes, configs and plugins
    "run pretrian": "'pretrain'",
    "run pretrain --config logo_smal": "'logo_small'",
    "run pretrain --config finetune.yaml": "'finetune'",
    "run broken.py": "broken.py:1",
    "run noconfig.py": "Config",
    "run raises.py": "not today",
    "run needs.py": "a_package_that_is_not_there",
    "run nothing.py": "nothing.py",
    "run pretrain --config tiny --plugin broken.py": "broken.py",
    "run pretrain --config tiny --plugin nothing.py": "nothing.py",
    "run pretrain --config tiny --nproc-per-node 0": "--nproc-per-node",
    "run pretrain --config tiny data.store=store --nnodes 2": "--rdzv-endpoint",
    "run pretrain --config tiny": "`store`",
    "validate broken.yaml": "broken.yaml:",
    "validate list.yaml": "key: value",
    "validate tabs.yaml": "tabs.yaml:3",
    "validate twice.yaml": "duplicate key 'steps'",
    "validate anchor.yaml": "anchors",
    "validate tag.yaml": "tags",
    "validate quoted.yaml": "without quotes",
    "validate utf16.yaml": "it is UTF-16",
    "validate norecipe.yaml": "--recipe",
    "validate unknown.yaml": "'pretrain'",
    "validate nothing.yaml": "nothing.yaml",
    "validate tiny": "tiny",
    "cp pretrain mine.py": "--force",
    "cp pretrian new.py": "'pretrain'",
    "cp pretrain mine.py/new.py": "mine.py",
    "ls more": "more",
    "info more": "more",
    "demo -o notes": "notes",
    "demo -o mine.py": "mine.py",
    "report nothing": "nothing",
    "report nowhere -o new.html": "nowhere",
    "report s.fa -o new.html": "not a folder",
    "pretain": "pretain",
    "predict --modle lm": "--modle",
    # Pretraining
    f"{PRETRAIN} data.store=nothing": "cmgems genome build",
    f"{PRETRAIN} data.reverse_complement=-0.5": "reverse_complement",
    f"{PRETRAIN} model.pool=first": "pool",
    f"{PRETRAIN} data.store=g_lengths": "lengths are not whole numbers",
    f"{PRETRAIN} masking.table=t_cut.safetensors": "t_cut.safetensors",
    f"{PRETRAIN} masking.table=null": "cmgems pmi build",
    f"{PRETRAIN} tokenizer=kmer4": "k",
    f"{PRETRAIN} tokenizer=kmer4 tokenizer.k=9": "k = 3, 4, 5 or 6",
    f"{PRETRAIN} tokenizer=bpe tokenizer.file=s.fa": "s.fa",
    f"{PRETRAIN} validation.rate=1e-6 validation.sequences=1": "validation.rate",
    f"{PRETRAIN} masking.curriculum=cm_gem": "cm_gems",
    f"{PRETRAIN} masking.curriculum=fixed masking.curriculum.masking=genemsak": "genemask",
    f"{PRETRAIN} masking.rate=1.5": "between 0 and 1",
    f"{PRETRAIN} masking.rate=nan": "`rate` must be a number",
    f"{PRETRAIN} masking.rate_schedule=linaer": "'linear'",
    f"{PRETRAIN} masking.rate_schedule=linear masking.rate_schedule.start=1": "between 0 and 1",
    f"{PRETRAIN} masking.rate_schedule.start=0.3": "'start'",
    f"{PRETRAIN} masking.curriculum=uniform_rate masking.rate=0.3": "a rate of its own",
    f"{PRETRAIN} masking.curriculum=uniform_rate masking.target_rate=0.3": "a rate of its own",
    f"{PRETRAIN} masking.curriculum=uniform_rate masking.rate_schedule=linear": "a rate of its own",
    f"{PRETRAIN} validation.masking=uniform_rate": "random_span",
    f"{PRETRAIN} masking.curriculum=random_mask masking.curriculum.stages=1": "`stages` must be 2 or more",
    f"{PRETRAIN} masking.curriculum=loss_weighted masking.table=null": "cmgems pmi build",
    f"{PRETRAIN} masking.curriculum=pmi_spans": "tokenizer=bpe, base or nt_v2",
    f"{PRETRAIN} masking.curriculum=pmi_spans masking.curriculum.longest=0": "`longest` must be 1 or more",
    f"{PRETRAIN} masking.curriculum=pmi_spans masking.curriculum.tightest=2": "`tightest` must be from 0 to 1",
    f"{PRETRAIN} masking.curriculum.unit=share": "percent",
    f"{PRETRAIN} masking.curriculum.patience=0": "`patience` must be 1 or more",
    f"{PRETRAIN} masking.soft_mask=-0.1": "from 0 to 1",
    f"{PRETRAIN} masking.soft_mask=0.1": "--soft-mask",
    f"{PRETRAIN} optim.lr_rate=1": "optim.lr",
    f"{PRETRAIN} optim.lr=-1": "lr",
    f"{PRETRAIN} steps=many": "`steps` must be a whole number",
    f"{PRETRAIN} steps=1.5": "`steps` must be a whole number",
    f"{PRETRAIN} steps=0": "steps",
    f"{PRETRAIN} seed={2**70}": "seed",
    f"{PRETRAIN} steps": "key=value",
    f"{PRETRAIN} =3": "key=value",
    f"{PRETRAIN} data=store": "a section of keys",
    f"{PRETRAIN} model=lgo": "'logo'",
    f"{PRETRAIN} model.layer=3": "layers",
    f"{PRETRAIN} model=./nowhere": "nowhere",
    f"{PRETRAIN} model=./ft": "not a masked language model",
    f"{PRETRAIN} compute.device=gpu": "device",
    f"{PRETRAIN.replace('-o run', '-o notes')}": "choose another -o",
    # Fine-tuning
    f"{FINETUNE}nowhere": "nowhere",
    f"{FINETUNE}nothing": "no train file",
    f"{FINETUNE}l_empty": "l_empty",
    f"{FINETUNE}l_header": "no rows",
    f"{FINETUNE}l_columns": "'sequence'",
    f"{FINETUNE}l_label": "train.csv:3",
    f"{FINETUNE}l_short": "train.csv:3",
    f"{FINETUNE}l_dna": "train.csv:3",
    f"{FINETUNE}l_one": "no test file",
    f"{FINETUNE}l_new": "'2'",
    f"{FINETUNE}l_notest": "no test file",
    f"{FINETUNE}l_nan task=regression": "train.csv:3",
    f"{FINETUNE}l_utf16": "UTF-16",
    f"{FINETUNE}l_words": "overlapping",
    f"{FINETUNE}labelled task=clasification": "'classification'",
    f"{FINETUNE}labelled data.labels=[klass]": "'klass'",
    f"{FINETUNE}labelled data.shots=1000": "1000",
    f"{FINETUNE}labelled model=./nowhere": "nowhere",
    f"{FINETUNE}labelled model=./m_other": "another",
    f"{FINETUNE}labelled dropout=1": "dropout",
    f"{FINETUNE}labelled epochs=0": "epochs",
    f"{FINETUNE}labelled pool=max": "pool",
    f"{FINETUNE}labelled pool=mean task=token_classification": "pool",
    f"{FINETUNE}labelled 'data.labels=klass*'": "klass*",
    f"{FINETUNE}labelled data.cut=middle": "cut",
    f"{FINETUNE}labelled data.reverse_complement=2": "reverse_complement",
    f"{FINETUNE}labelled task.class_weights=[1,2,3]": "class_weights",
    f"{FINETUNE}labelled task.class_weights=[1,-2]": "class_weights",
    f"{FINETUNE}labelled task.class_weights=equal": "balanced",
    f"{FINETUNE}labelled task.label_smoothing=1": "label_smoothing",
    # Evaluation and comparison
    "run evaluate --config tiny -o run data.dir=nowhere": "nowhere",
    "run evaluate --config tiny -o run data.dir=nothing": "nothing",
    "run evaluate --config tiny -o run data.dir=labelled datasets=[prom]": "prom",
    "run evaluate --config tiny -o run data.dir=labelled seeds=0": "seeds",
    "run evaluate --config tiny -o run data.dir=labelled finetune.epoch=1": "epochs",
    f"{COMPARE} --strategies ,": "`strategies` must name one or more",
    f"{COMPARE} --strategies cm_gems,genemsak": "genemask",
    f"{COMPARE} --strategies cm_gems,genemask --baseline random": "random",
    f"{COMPARE} --strategies cm_gems,genemask --seeds 0": "--seeds",
    f"{COMPARE} --strategies cm_gems,genemask --data nowhere --datasets x": "nowhere",
    f"{COMPARE} --strategies cm_gems,genemask+rat=1": "rate",
}  # fmt: skip


def snapshot(folder: Path) -> dict[str, tuple[int, int] | None]:
    def state(path: Path) -> tuple[int, int] | None:
        return (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None

    return {str(path.relative_to(folder)): state(path) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def parsed() -> object:
    """The command line, which takes longer to make than most mistakes to find."""
    return typer.main.get_command(app)


@pytest.mark.parametrize("command", MISTAKES, ids=list(MISTAKES))
def test_one_line_exit_2_nothing_written(command, everything, parsed, capsys, monkeypatch):
    monkeypatch.chdir(everything)
    monkeypatch.setattr(typer.main, "get_command", lambda app: parsed)
    before = snapshot(everything)
    try:
        code = run(shlex.split(command))
        after = snapshot(everything)
    finally:
        shutil.rmtree("run", ignore_errors=True)
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert MISTAKES[command] in lines[0]
    # A run that fails on its data has already noted its config; that is no half-written result.
    assert set(after) - set(before) <= {"run", "run/config.yaml", "run/inputs.json", "run/.lock"}
    assert all(after[name] == state for name, state in before.items())


def commands(group: typer.Typer, above: str = "") -> Iterator[str]:
    for command in group.registered_commands:
        name = command.name or command.callback.__name__
        yield f"{above}{name}"
    for inner in group.registered_groups:
        yield from commands(inner.typer_instance, f"{inner.name} ")


def test_every_command_is_there():
    missing = [
        name
        for name in commands(app)
        if not any(f"{mistake} ".startswith(f"{name} ") for mistake in MISTAKES)
    ]
    assert not missing
    assert len(MISTAKES) >= 150
