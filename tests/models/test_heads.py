"""Where the heads look and what they drop; parity with transformers' runs without dropout."""

from dataclasses import replace

import pytest
import torch

from cmgems.models import MODELS, heads
from cmgems.models.heads import ClassificationHead, TokenClassificationHead
from cmgems.models.nucleotide_transformer import NTClassificationHead

# Head -> its linear layers in order, and whether dropout acts before each.
DROPPED_BEFORE = {
    ClassificationHead: {"pooler": False, "output": True},
    TokenClassificationHead: {"output": True},
    NTClassificationHead: {"pooler": True, "projection": True},
}


@pytest.mark.parametrize("head", DROPPED_BEFORE)
def test_dropout_is_where_the_family_has_it(head):
    torch.manual_seed(0)
    module = head(64, 3, 0.5).train()
    shares = {}
    for name in DROPPED_BEFORE[head]:

        def note(_, inputs, name=name):
            shares[name] = (inputs[0] == 0).float().mean().item()

        module.get_submodule(name).register_forward_pre_hook(note)
    module(torch.randn(20, 5, 64))
    for name, dropped in DROPPED_BEFORE[head].items():
        assert shares[name] == pytest.approx(0.5 if dropped else 0, abs=0.1), name


@pytest.mark.parametrize("head", [ClassificationHead, NTClassificationHead])
def test_sequences_are_classified_by_their_first_token(head):
    module = head(8, 3, 0.1).eval()
    hidden_BSD = torch.randn(4, 5, 8)
    assert torch.equal(module(hidden_BSD), module(hidden_BSD[:, :1]))


@pytest.mark.parametrize("name", [name for name in MODELS.names() if name.endswith("_tiny")])
def test_sequences_are_classified_by_the_mean_of_their_tokens(name):
    """Padding counts for nothing, and one row alone gets the same answer."""
    torch.manual_seed(0)
    config = replace(MODELS.get(name), pool="mean")
    model = config.classifier(3).eval()
    ids_BS = torch.randint(5, config.vocab_size, (2, 12))
    attention_BS = torch.ones(2, 12, dtype=torch.bool)
    ids_BS[1, 7:], attention_BS[1, 7:] = config.pad_id if hasattr(config, "pad_id") else 0, False
    with torch.no_grad():
        logits_BC = model(ids_BS, attention_BS)
        for row, length in ((0, 12), (1, 7)):
            hidden_1SD = model.encoder(ids_BS[row : row + 1, :length])
            expected_C = model.head(hidden_1SD.mean(1, keepdim=True))[0]
            torch.testing.assert_close(logits_BC[row], expected_C, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(model(ids_BS[row : row + 1, :length])[0], expected_C)
    assert not torch.allclose(model.head(hidden_1SD), logits_BC[1:])
    assert config.token_classifier(3).pool == "cls"


def test_tokens_are_classified_one_by_one():
    module = TokenClassificationHead(8, 3, 0.1).eval()
    hidden_BSD = torch.randn(4, 5, 8)
    torch.testing.assert_close(module(hidden_BSD)[:, 2:], module(hidden_BSD[:, 2:]))


def test_a_gpu_multiplies_by_a_decoder_of_full_rows(monkeypatch):
    """A model without data stands for one on a GPU."""
    widths = []

    def linear(x_D, weight_VD, bias_V):
        widths.append((len(weight_VD), len(bias_V)))
        return torch.nn.functional.linear(x_D, weight_VD, bias_V)

    monkeypatch.setattr(heads, "linear", linear)
    for device, width in (("cpu", 4101), ("meta", 4160)):
        model = MODELS.get("logo_tiny").masked_lm().to(device)
        ids_BS = torch.full((2, 8), 7, device=device)
        assert model(ids_BS, None, torch.arange(3, device=device)).shape == (3, 4101)
        assert widths.pop() == (width, width)
