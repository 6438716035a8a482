"""What a record says of its label and group."""

import re

import pytest

from cmgems.errors import CmgemsError
from cmgems.inference import Variant, VariantLabels
from cmgems.inference.variant_labels import BOTH_LABELS, NO_LABEL, asked_labels, value_of

LABELS = VariantLabels.parse("INFO/CLNSIG=Pathogenic,Likely_pathogenic:Benign", by="INFO/MC")


def record(info, *alts, per_alt=()):
    return Variant("chr1", 5, "", "A", alts or ("C",), "calls.vcf:9", {"INFO": info}, per_alt)


@pytest.mark.parametrize(
    ("text", "key", "positive", "negative"),
    [
        ("INFO/CLNSIG=Pathogenic:Benign", "INFO/CLNSIG", {"Pathogenic"}, {"Benign"}),
        ("label=1:0", "label", {"1"}, {"0"}),
        (" class = a, b : c ,d,", "class", {"a", "b"}, {"c", "d"}),
    ],
)
def test_how_labels_are_asked_for(text, key, positive, negative):
    assert VariantLabels.parse(text) == VariantLabels(key, frozenset(positive), frozenset(negative))


@pytest.mark.parametrize(
    "text", ["", "label", "label=", "label=1", "=1:0", "label=1:", "label=:0", "label=1:0:2", "label=1:1"]
)
def test_how_they_are_not(text):
    with pytest.raises(CmgemsError, match="not labels of variants in --labels: "):
        VariantLabels.parse(text)


@pytest.mark.parametrize(
    ("info", "label"),
    [
        ("CLNSIG=Pathogenic", True),
        ("AC=3;CLNSIG=Benign;MC=x", False),
        ("CLNSIG=Likely_pathogenic|drug_response", True),
        ("CLNSIG=Benign,other", False),
        ("CLNSIG=Benign|Pathogenic", BOTH_LABELS),
        ("CLNSIG=Pathogenic/Likely_pathogenic", NO_LABEL),
        ("CLNSIG=pathogenic", NO_LABEL),
        ("CLNSIG=.", NO_LABEL),
        ("CLNSIG=", NO_LABEL),
        ("CLNSIGX=Benign", NO_LABEL),
        (".", NO_LABEL),
        ("", NO_LABEL),
    ],
)
def test_labels(info, label):
    assert LABELS.label(record(info), "C") == label


def test_the_whole_value_goes_before_its_parts():
    labels = VariantLabels.parse("INFO/S=a|b:b")
    assert labels.label(record("S=a|b"), "C") is True
    assert labels.label(record("S=b|c"), "C") is False


def test_values_of_each_alternative():
    several = record("AC=x,y;N=p,q;DB", "C", "G", per_alt={"AC"})
    assert [value_of(several, alt, "INFO/AC") for alt in ("C", "G")] == ["x", "y"]
    assert value_of(several, "G", "INFO/N") == "p,q"
    assert value_of(several, "C", "INFO/DB") == "yes"
    assert value_of(record("AC=x,y", "C", per_alt={"AC"}), "C", "INFO/AC") == "x,y"
    assert value_of(several, "C", "AC") == ""


@pytest.mark.parametrize(
    ("info", "groups"),
    [
        ("MC=SO:0001583|missense_variant,SO:0001619|non-coding_transcript_variant,SO:0001583|missense_variant",
         ["missense_variant", "non-coding_transcript_variant"]),
        ("MC=up|down", ["up|down"]),
        ("MC=.", []),
        ("AC=3", []),
    ],
)  # fmt: skip
def test_groups(info, groups):
    assert LABELS.groups(record(info), "C") == groups


def test_columns_of_a_table():
    variant = Variant("chr1", 5, "", "A", ("C",), "", {"label": "1", "effect": "stop, gained", "empty": "."})
    labels = VariantLabels.parse("label=1:0", by="effect")
    assert labels.label(variant, "C") is True
    assert labels.groups(variant, "C") == ["stop, gained"]
    assert VariantLabels.parse("label=1:0", by="empty").groups(variant, "C") == []
    assert VariantLabels.parse("label=1:0").groups(variant, "C") == []


TABLE = "chrom,pos,ref,alt,label,effect\nc,1,A,C,1,x\nc,2,A,C,0,y\nc,3,A,C,2,\n"


@pytest.mark.parametrize(
    ("labels", "by", "message"),
    [
        ("label=1:0", "", None),
        ("label=1:0", "effect", None),
        ("lable=1:0", "", "no record has lable in .*; name a key that they have"),
        ("INFO/label=1:0", "", "no record has INFO/label"),
        ("label=1:3", "", "one class only in .*: none is 3; label is 0 (1), 1 (1), 2 (1)"),
        ("label=4,5:0", "", "one class only in .*: none is 4 or 5"),
        ("label=1:0", "efect", "no record has efect"),
        (None, "effect", "groups without labels in --by"),
    ],
)
def test_what_is_checked_before_anything_is_scored(tmp_path, labels, by, message):
    path = tmp_path / "v.csv"
    path.write_text(TABLE)
    if message is None:
        assert asked_labels(labels, by, path) == VariantLabels.parse(labels, by)
        return
    with pytest.raises(CmgemsError) as caught:
        asked_labels(labels, by, path)
    pattern = re.escape(message).replace(r"\.\*", ".*")
    assert re.match(pattern, str(caught.value))


def test_no_labels_are_asked_for(tmp_path):
    assert asked_labels(None, None, tmp_path / "absent.vcf") is None


def test_a_key_with_too_many_values(tmp_path):
    rows = "".join(f"c,{i},A,C,{i % 2},g{i}\n" for i in range(1, 202))
    (tmp_path / "v.csv").write_text(f"chrom,pos,ref,alt,label,effect\n{rows}")
    with pytest.raises(CmgemsError, match=r"too many groups in .*: effect has 201 values"):
        asked_labels("label=1:0", "effect", tmp_path / "v.csv")


def test_a_file_of_bad_records_is_left_to_the_scoring(tmp_path):
    (tmp_path / "v.csv").write_text("chrom,pos,ref,alt,label\nc,x,A,C,1\n")
    assert asked_labels("label=1:0", None, tmp_path / "v.csv")
