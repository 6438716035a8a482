"""``cmgems export`` from a run folder."""

import typer
from typer.testing import CliRunner

from cmgems.cli.export import export
from cmgems.models import MODELS, save_model
from cmgems.tokenization import TOKENIZERS


def test_export_of_a_run(tmp_path):
    folder = tmp_path / "run" / "final"
    folder.mkdir(parents=True)
    config = MODELS.build("logo_tiny", vocab_size=69)
    save_model(
        folder,
        config.masked_lm(),
        model_name="logo_tiny",
        config=config,
        head="masked_lm",
        tokenizer_name="kmer3",
        tokenizer=TOKENIZERS.get("kmer3"),
    )
    app = typer.Typer()
    app.command()(export)
    result = CliRunner().invoke(app, [str(tmp_path / "run"), "-o", str(tmp_path / "hf")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "hf" / "config.json").is_file()
