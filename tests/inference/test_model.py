"""The object: every method against the functions behind it, and what it takes and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cmgems.errors import CmgemsError
from cmgems.genome import GenomeStore, decode
from cmgems.inference import (
    AttentionReader,
    Embedder,
    Model,
    Variant,
    base_logits,
    base_probabilities,
    class_logits,
    log_likelihoods,
    occlude,
    pseudo_likelihood,
)
from cmgems.models import MODELS, SavedModel
from cmgems.reading import Invalid
from cmgems.tasks import activate

LONG = "ACGTTGCAACGGATTCCAGT" * 5
SEQUENCES = [LONG, "acgtnACGTTGCA"]
BASES = [LONG, "ACGTNACGTTGCA"]


@pytest.mark.parametrize("head", ["classification", "multi_label", "regression"])
def test_predict(model, head):
    loaded = model(head, "a", "b", "c")
    found = loaded.predict(SEQUENCES)
    assert [p.name for p in found] == ["1", "2"]
    assert [p.bases for p in found] == BASES
    for prediction, (_, logits_C) in zip(found, class_logits(loaded, loaded.read(SEQUENCES)), strict=True):
        values_C = activate(logits_C, head)
        assert np.array_equal(prediction.values, values_C)
        assert prediction.values.dtype == np.float32
        expected = {
            "classification": "abc"[values_C.argmax()],
            "multi_label": ";".join(label for label, p in zip("abc", values_C, strict=True) if p > 0.5),
            "regression": "",
        }
        assert prediction.label == expected[head]


def test_predict_bases(model):
    loaded = model("token_classification", "exon", "intron")
    for prediction, (_, logits_LC) in zip(
        loaded.predict(SEQUENCES), base_logits(loaded, loaded.read(SEQUENCES)), strict=True
    ):
        assert np.array_equal(prediction.values, activate(logits_LC, "token_classification"))
        assert len(prediction.labels) == len(prediction.bases)
        assert set(prediction.labels) <= {"exon", "intron"}


@pytest.mark.parametrize(("layer", "pool"), [(-1, "mean"), (1, "cls")])
def test_embed(model, layer, pool):
    loaded = model()
    (expected,) = Embedder(loaded, layer, pool).embed(loaded.read(SEQUENCES))
    assert np.array_equal(loaded.embed(SEQUENCES, layer=layer, pool=pool), expected.vectors)
    assert expected.vectors.shape == (2, 64)


def test_embed_tokens(model):
    found = model().embed_tokens(SEQUENCES)
    assert found.vectors.shape == (len(LONG) - 2 + 11, 64)
    assert found.columns["name"][-1] == "2"
    assert (found.columns["start"][-1], found.columns["end"][-1], found.columns["token"][-1]) == (
        10,
        13,
        "GCA",
    )


def test_score(model):
    loaded = model()
    expected = base_probabilities(loaded, loaded.read(SEQUENCES))
    for score, (sequence, expected_L4) in zip(loaded.score(SEQUENCES), expected, strict=True):
        for column, base in enumerate("ACGT"):
            assert np.array_equal(
                score.probabilities[:, column], expected_L4[:, "ATCG".index(base)], equal_nan=True
            )
        found_L = log_likelihoods(expected_L4, sequence.codes)
        assert np.array_equal(score.log_likelihoods, found_L, equal_nan=True)
        assert score.mean == pytest.approx(np.nanmean(found_L))
        assert score.bases == sequence.bases


def test_variants_are_the_ratio_of_two_scores(model, small_genome):
    loaded, store = model(), GenomeStore.open(small_genome.store)
    ref = decode(store.codes[500:501])
    alt = "ACGT"[("ACGT".index(ref) + 1) % 4]
    record = Variant("contig0", 501, "rs1", ref, (alt, f"{ref}A"), "calls.vcf:3")
    scored, skipped = loaded.variants([record], small_genome.store)
    (window,) = loaded.score(decode(store.codes[485:515]))
    p_4 = dict(zip("ACGT", window.probabilities[15], strict=True))
    assert scored.score == pytest.approx(np.log(p_4[alt] / p_4[ref]))
    assert skipped.skipped == "insertion"
    both = loaded.variants([record], store, both_strands=True)
    assert both[0].score != scored.score


def test_attention(model):
    loaded = model("classification", "a", "b")
    expected = [found_L for _, found_L in AttentionReader(loaded, 1, 2).bases(loaded.read(SEQUENCES))]
    for found_L, expected_L in zip(loaded.attention(SEQUENCES, layer=1, head=2), expected, strict=True):
        assert np.array_equal(found_L, expected_L, equal_nan=True)
    maps = loaded.attention_maps("ACGTNACGTTGCA", layer=1)
    assert maps.layers_NSS.shape == (2, 13, 13)  # 11 tokens, [CLS], [SEP]


def test_importance(model):
    loaded = model("classification", "a", "b")
    named = loaded.read(SEQUENCES)
    likeliest = [loaded.labels.index(p.label) for p in loaded.predict(SEQUENCES)]
    for label, outputs in (("b", [1, 1]), (None, likeliest)):
        expected = occlude(loaded, named, outputs)
        for found_L, expected_L in zip(loaded.importance(SEQUENCES, label=label), expected, strict=True):
            assert np.array_equal(found_L, expected_L, equal_nan=True)


def test_explain_is_both_signals(model):
    loaded = model("classification", "a", "b")
    found = list(loaded.iter_explain(SEQUENCES, mapped=1))
    assert [e.name for e in found] == ["1", "2"]
    assert [e.maps for e in found] == [None, None]  # the first is too long, the second beyond `mapped`
    assert next(loaded.iter_explain(SEQUENCES[1], mapped=1)).maps is not None
    for explained, attention_L, importance_L, prediction in zip(
        found,
        loaded.attention(SEQUENCES),
        loaded.importance(SEQUENCES),
        loaded.predict(SEQUENCES),
        strict=True,
    ):
        # To rounding: what is batched with what depends on all that is asked for.
        np.testing.assert_allclose(explained.attention_L, attention_L, rtol=1e-5)
        np.testing.assert_allclose(explained.importance_L, importance_L, rtol=1e-4, atol=1e-6)
        assert explained.note.startswith(f"{prediction.label}: ")
    (only,) = loaded.iter_explain(SEQUENCES[1], with_importance=False)
    assert (only.importance_L, only.note) == (None, "")


def test_every_kind_of_input_is_the_same(model, tmp_path, small_genome):
    loaded = model()
    bases = decode(GenomeStore.open(small_genome.store).codes[5:90])
    expected = loaded.embed(bases)
    assert expected.shape == (1, 64)
    (tmp_path / "s.fa").write_text(f">s\n{bases}\n")
    (tmp_path / "s.csv").write_text(f"sequence\n{bases}\n")
    (tmp_path / "s.bed").write_text("contig0\t5\t90\n")
    for given in (
        [bases],
        (b for b in [bases]),
        tmp_path / "s.fa",
        str(tmp_path / "s.csv"),
        loaded.read(bases),
    ):
        assert np.array_equal(loaded.embed(given), expected)
    for store in (small_genome.store, str(small_genome.store), GenomeStore.open(small_genome.store)):
        assert np.array_equal(loaded.embed(tmp_path / "s.bed", store=store), expected)


def test_iterators_compute_as_they_are_read(model, monkeypatch):
    loaded = model(batch_tokens=1)
    seen, ask = [], pseudo_likelihood.ask
    monkeypatch.setattr(
        pseudo_likelihood, "ask", lambda engine, rows: seen.append(len(rows)) or ask(engine, rows)
    )
    scores = loaded.iter_score(["ACGTAC", "ACGTACGT", "ACGTACGTAC"])
    assert seen == []
    next(scores)
    assert seen == [6, 8]  # where a sequence ends is known when the next one comes


def test_progress_is_shown_only_if_wanted(model, capfd, monkeypatch):
    monkeypatch.setattr("cmgems.progress.PLAIN_INTERVAL_SECONDS", 0)
    model().score("ACGTACGT")
    assert capfd.readouterr().err == ""
    model().score("ACGTACGT", progress=True)
    assert "scoring: " in capfd.readouterr().err


def test_random_numbers_are_left_alone(model):
    loaded = model()
    config = MODELS.build("logo_tiny", vocab_size=69, max_positions=30)
    tokenizer = loaded.tokenizer
    saved = SavedModel(
        loaded.network, "logo_tiny", config, "masked_lm", "kmer3", tokenizer, [], {}, Path("x")
    )
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Model.of(saved, device="cpu")
    assert torch.equal(torch.rand(3), expected)
    for wrong, message in (
        ({"device": "cuda:1"}, "use auto, cpu, cuda"),
        ({"precision": "fp16"}, "use auto, fp32"),
    ):
        with pytest.raises(CmgemsError, match=f"unknown {next(iter(wrong))} .*; {message}"):
            Model.of(saved, **wrong)


MIXED = ["ACGTACGT", "AC", "ACGU", "GGGGAAAA", "NNNNNN"]


@pytest.mark.parametrize(
    ("head", "work"),
    [
        ("classification", lambda m, given, **how: m.predict(given, **how)),
        ("classification", lambda m, given, **how: list(m.iter_explain(given, **how))),
        ("classification", lambda m, given, **how: m.importance(given, **how)),
        ("classification", lambda m, given, **how: m.attention(given, **how)),
        ("masked_lm", lambda m, given, **how: m.score(given, **how)),
        ("masked_lm", lambda m, given, **how: m.embed(given, **how)),
    ],
    ids=["predict", "explain", "importance", "attention", "score", "embed"],
)
def test_bad_sequences_are_left_out_where_asked(model, head, work):
    loaded = model(head) if head == "masked_lm" else model(head, "a", "b")
    with pytest.raises(CmgemsError, match=r"in sequence 2: .*; skip_invalid=True leaves such records out"):
        work(loaded, MIXED)
    with pytest.warns(
        UserWarning, match="4 left out that cannot be used; the first: sequence 1, position 4: looks like RNA"
    ):
        assert len(work(loaded, MIXED[2:3] + MIXED, skip_invalid=True)) == 2
    invalid = Invalid(skip=True)
    assert len(work(loaded, MIXED, skip_invalid=invalid)) == 2
    assert {where.split(",")[0] for where, _ in invalid.skipped} == {"sequence 2", "sequence 3", "sequence 5"}
    with pytest.raises(CmgemsError, match="no sequences left: all 1 were left out, the first, sequence 1"):
        work(loaded, ["AC"], skip_invalid=True)


def test_bad_variants_are_left_out_where_asked(model, small_genome):
    loaded = model()
    store = GenomeStore.open(small_genome.store)
    ref = decode(store.codes[:60])
    others = ["ACGT"[("ACGT".index(base) + 1) % 4] for base in ref]
    good = [Variant("contig0", i, "", ref[i - 1], (others[i - 1],), f"v:{i}") for i in (5, 50)]
    bad = [
        Variant("contig0", 6, "", others[5], ("ACGT"[("ACGT".index(ref[5]) + 2) % 4],), "v:reference"),
        Variant("contig0", 10**8, "", "A", ("C",), "v:beyond"),
        Variant("Contig0", 5, "", "A", ("C",), "v:contig"),
        Variant("contig0", 5, "", ref[4], ("Q",), "v:allele"),
    ]
    invalid = Invalid(skip=True)
    found = loaded.variants([good[0], *bad, good[1]], small_genome.store, skip_invalid=invalid)
    expected = loaded.variants(good, small_genome.store)
    assert [(a.variant, a.score) for a in found] == [(a.variant, pytest.approx(a.score)) for a in expected]
    assert [where for where, _ in invalid.skipped] == [variant.where for variant in bad]
    for variant in bad:
        with pytest.raises(CmgemsError, match="skip_invalid=True leaves such records out"):
            loaded.variants([variant], small_genome.store)
    with pytest.raises(CmgemsError, match="no variants left: all 4"):
        loaded.variants(bad, small_genome.store, skip_invalid=True)


def test_contigs_by_their_other_names(model, small_genome, tmp_path):
    loaded = model()
    (tmp_path / "names.tsv").write_text("chr1\tcontig0\n")
    for name, contig in (("own", "contig0"), ("other", "chr1")):
        (tmp_path / f"{name}.bed").write_text(f"{contig}\t5\t90\n")
    how = {"store": small_genome.store, "aliases": tmp_path / "names.tsv"}
    own, other = (loaded.embed(tmp_path / f"{name}.bed", **how) for name in ("own", "other"))
    assert np.array_equal(own, other)
    base = decode(GenomeStore.open(small_genome.store).codes[4:5])
    (found,) = loaded.variants([Variant("chr1", 5, "", base, ("ACGT".replace(base, "")[0],), "v")], **how)
    assert found.variant.contig == "chr1"
    with pytest.raises(CmgemsError, match="names of contigs without a genome store"):
        loaded.embed("ACGT", aliases=tmp_path / "names.tsv")


@pytest.mark.parametrize(
    ("head", "work", "message"),
    [
        ("masked_lm", lambda m: m.predict("ACGT"), "not a fine-tuned model in runs/x"),
        ("classification", lambda m: m.score("ACGT"), "not a masked language model in runs/x"),
        ("classification", lambda m: m.variants([], "store"), "not a masked language model"),
        ("masked_lm", lambda m: m.embed("AC"), "sequence shorter than k in sequence 1: 2 bp, k is 3"),
        ("masked_lm", lambda m: m.embed([]), "no sequences"),
        ("masked_lm", lambda m: m.embed("ACGU"), "looks like RNA in sequence 1, position 4: found 'U'"),
        ("masked_lm", lambda m: m.embed(["ACGT", 5]), "not a sequence in sequence 2: found int"),
        ("masked_lm", lambda m: m.embed(["ACGT", ""]), "no sequence in sequence 2"),
        ("masked_lm", lambda m: m.embed("missing.fa"), "no such file in missing.fa"),
        ("masked_lm", lambda m: m.embed("ACGT", pool="none"), "`pool` must be mean or cls.*embed_tokens"),
        ("masked_lm", lambda m: m.embed("ACGT", layer=9), "no such layer in runs/x: `layer` is 9"),
        ("masked_lm", lambda m: m.attention("ACGT", head=9), "no such head in runs/x: `head` is 9"),
        ("masked_lm", lambda m: m.attention_maps(LONG), "too long for attention maps"),
        ("masked_lm", lambda m: m.importance("ACGT", label="a"), "a masked language model has none"),
        (
            "masked_lm",
            lambda m: m.iter_explain("ACGT", label="a", with_importance=False),
            "a label without importance",
        ),
    ],
)
def test_mistakes_are_one_line(model, tmp_path, monkeypatch, head, work, message):
    monkeypatch.chdir(tmp_path)
    loaded = model(head) if head == "masked_lm" else model(head, "a", "b")
    with pytest.raises(CmgemsError, match=message) as caught:
        work(loaded)
    assert "\n" not in caught.value.line()


def test_a_misspelt_argument_is_not_passed_over(model):
    with pytest.raises(TypeError, match="skip_invlid"):
        model().embed("ACGT", skip_invlid=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_tokens": 0}, "`batch_tokens` must be 1 or more, but is 0"),
        ({"device": "cuda"}, "no GPU in device: PyTorch sees no CUDA device; give auto or cpu"),
    ],
)
def test_options_out_of_range(model, options, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CmgemsError, match=message):
        model(**options)


@pytest.mark.parametrize("precision", ["auto", "fp32", "bf16"])
def test_precision(model, precision):
    torch.set_float32_matmul_precision("high")
    try:
        found = model(precision=precision)
        seen = []
        found.network.register_forward_pre_hook(
            lambda *_: seen.append((torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu")))
        )
        (score,) = found.score("ACGTACGTAC")
        assert set(seen) == {("highest" if precision == "fp32" else "high", precision == "bf16")}
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    (exact,) = model().score("ACGTACGTAC")
    assert score.log_likelihoods == pytest.approx(
        exact.log_likelihoods, abs=0.1 if precision == "bf16" else 1e-6
    )
