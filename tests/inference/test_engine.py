"""Batches of windows."""

from cmgems.inference import Engine


def test_batches_hold_every_piece_once_padded_only_where_lengths_differ(tokens, short, compute, named):
    (chunk,) = short.chunks(named, 4)
    seen = []
    for chosen, ids_BS, attention_BS in Engine(None, short, compute, 4).batches(chunk):
        seen += chosen
        lengths = {len(chunk[i].ids_S) for i in chosen}
        assert (attention_BS is None) == (len(lengths) == 1)
        for i, row_S in zip(chosen, ids_BS.numpy(), strict=True):
            assert (row_S[row_S != tokens.tokenizer.pad_id] == chunk[i].ids_S).all()
    assert sorted(seen) == list(range(len(chunk)))
