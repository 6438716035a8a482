from __future__ import annotations

import numpy as np
import pytest
import torch
from fairseq2.assets import AssetStore
from fairseq2.data.tokenizers import TokenizerFamily
from fairseq2.device import CPU
from fairseq2.gang import create_fake_gangs

from cmgems.errors import RecordError
from cmgems.integrations.fairseq2.tokenizers import TokenizerConfig
from cmgems.tokenization import TOKENIZERS

NAMES = ["base", "kmer3", "kmer4", "kmer5", "kmer6", "nt_v1", "nt_v2"]
DNA = "ACGTTGCANACCGTAAC"


def load(resolver, name):
    card = resolver.resolve(AssetStore).retrieve_card(f"cmgems_{name}")
    family = resolver.resolve(TokenizerFamily, key=card.field("tokenizer_family").as_(str))
    return family.load_tokenizer(card, create_fake_gangs(CPU), None)


@pytest.mark.parametrize("name", NAMES)
def test_cards_name_our_tokenizers(resolver, name):
    found, own = load(resolver, name), TOKENIZERS.get(name)
    assert found.own == own
    assert found.vocab_info.size == own.vocab_size
    encode = found.create_encoder()
    ids = encode(DNA)
    assert ids.dtype == torch.int64
    assert np.array_equal(ids.numpy(), own.encode(DNA))
    assert encode.encode_as_tokens(DNA) == [own.vocabulary()[i] for i in ids]
    raw = found.create_raw_encoder()
    around = [
        part.tolist() if part is not None else [] for part in (encode.prefix_indices, encode.suffix_indices)
    ]
    assert [*around[0], *raw(DNA).tolist(), *around[1]] == ids.tolist()
    assert raw.prefix_indices is raw.suffix_indices is None
    decode = found.create_decoder()
    assert decode(ids) == decode.decode_from_tokens(encode.encode_as_tokens(DNA)) == own.decode(ids.numpy())


def test_byte_pairs_come_from_the_cards_file(resolver, small_bpe):
    family = resolver.resolve(TokenizerFamily, key="cmgems")
    for path in (small_bpe, small_bpe.parent):  # a file, or a folder downloaded from a hub
        found = family.load_custom_tokenizer(path, TokenizerConfig("bpe"), create_fake_gangs(CPU))
        ids = found.create_encoder()("ACGTACGT")
        assert found.create_decoder()(ids) == "ACGTACGT"
        assert found.vocab_info.size == 200


def test_dna_has_no_language(resolver):
    with pytest.raises(ValueError, match="must be `None` for DNA"):
        load(resolver, "kmer6").create_encoder(lang="eng")


def test_letters_that_are_no_bases_are_refused(resolver):
    with pytest.raises(RecordError, match="IUPAC"):
        load(resolver, "kmer6").create_encoder()("ACGTACGTEE")
