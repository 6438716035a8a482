"""What the comparisons with transformers share."""

import torch

from cmgems.export import import_huggingface_state


def hf_inputs(ids_BS, real_BS):
    return {"input_ids": ids_BS, "attention_mask": None if real_BS is None else real_BS.long()}


def assert_same_gradients(config, ours, theirs, tolerance):
    """Of the parameters that we have; ESM's unused contact head has none."""
    gradients = {name: p.grad for name, p in theirs.named_parameters() if "contact_head" not in name}
    expected = import_huggingface_state(config, gradients)
    actual = {name: p.grad for name, p in ours.named_parameters()}
    assert actual.keys() == expected.keys()
    for name, gradient in actual.items():
        torch.testing.assert_close(gradient, expected[name], **tolerance, msg=lambda m, n=name: f"{n}: {m}")
