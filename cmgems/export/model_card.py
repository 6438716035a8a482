"""The README.md of an exported model: what it is, how it was trained, how to load it."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import cmgems
from cmgems.models import PublishedModel, SavedModel
from cmgems.tokenization import Tokenizer, overlapping

SEQUENCE = "ACGTACGTTGCAACGGTTAACCGGATTACA"

# By head: the hub's pipeline tag, the auto class, and what the model is.
TASKS = {
    "masked_lm": ("fill-mask", "AutoModelForMaskedLM", "masked language model"),
    "classification": ("text-classification", "AutoModelForSequenceClassification", "sequence classifier"),
    "multi_label": ("text-classification", "AutoModelForSequenceClassification", "multi-label classifier"),
    "regression": ("text-classification", "AutoModelForSequenceClassification", "regression model"),
    "token_classification": ("token-classification", "AutoModelForTokenClassification", "token classifier"),
    "encoder": ("feature-extraction", "AutoModel", "encoder"),
}


def model_card(saved: SavedModel) -> str:
    """The card as Markdown with the YAML header the Hugging Face hub reads."""
    pipeline_tag, _, what = TASKS[saved.head]
    parameters = sum(p.numel() for p in saved.model.parameters())
    positions = saved.config.max_positions
    card = f"""---
library_name: {"transformers" if _plain(saved) else "cmgems"}
pipeline_tag: {pipeline_tag}
tags: [biology, genomics, dna, cmgems]
---

# {saved.model_name}

A DNA {what} of the {saved.config.family} family: {parameters / 1e6:.2f} M parameters,
up to {positions} tokens ({saved.tokenizer.bases_for(positions)} bp). Exported by cmgems {cmgems.__version__}.

## Use

{_use(saved)}
## Model

{_table({"tokenizer": saved.tokenizer_name} | dataclasses.asdict(cast(Any, saved.config)))}
"""
    if saved.training:
        card += f"\n## Training\n\n{_table(saved.training)}\n"
    return card


def _plain(saved: SavedModel) -> bool:
    return isinstance(saved.config, PublishedModel) and saved.config.plain_transformers


def _use(saved: SavedModel) -> str:
    result = "hidden" if saved.head == "encoder" else "logits"
    tokens = f"The input is plain bases: the tokenizer makes the {_tokens(saved.tokenizer)} itself.\n{_limits(saved)}"
    if not _plain(saved):
        return f"""Plain transformers has no class for this family. The tensors have the names of the published
checkpoints; cmgems reads them:

```python
import torch
from cmgems.export import read_huggingface

saved = read_huggingface("path/to/this/folder")
ids_BS = torch.from_numpy(saved.tokenizer.encode("{SEQUENCE}")).long()[None]
{result} = saved.model(ids_BS)
```

{tokens}"""
    auto_class = TASKS[saved.head][1]
    # transformers would add a pooler with random weights
    options, field = (
        ("", "logits") if saved.head != "encoder" else (", add_pooling_layer=False", "last_hidden_state")
    )
    return f"""```python
from transformers import AutoTokenizer, {auto_class}, pipeline

folder = "path/to/this/folder"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = {auto_class}.from_pretrained(folder{options})
{result} = model(**tokenizer("{SEQUENCE}", return_tensors="pt")).{field}
```

{tokens}
{_pipeline_example(saved)}"""


def _tokens(tokenizer: Tokenizer) -> str:
    if tokenizer.k == 0:
        return "pieces"
    if tokenizer.k == 1:
        return "single bases"
    return f"{'overlapping ' * overlapping(tokenizer)}{tokenizer.k}-mers"


def _limits(saved: SavedModel) -> str:
    """What the tokenizer of the folder does otherwise than one would expect."""
    if not overlapping(saved.tokenizer):
        return """Letters other than A, C, G and T are read as N, and white space is dropped: put text of overlapping
k-mers together first.
"""
    k = saved.tokenizer.k
    return f"""Text of overlapping k-mers ("ACGTAC CGTACG") is put together first, other white space is dropped,
and letters other than A, C, G and T are read as N.

Offsets (`return_offsets_mapping`) are those of the first base of a {k}-mer, `(i, i + 1)`, because no two tokens of a
Hugging Face tokenizer may share letters; the {k}-mer covers `(i, i + {k})`.

300,000 bp take this tokenizer about 2 s on one core, and time grows with the length. `cmgems.load` needs 0.05 s for
them, and takes sequences longer than the model.
"""


def _pipeline_example(saved: SavedModel) -> str:
    if saved.head == "encoder":
        return ""
    if saved.head != "masked_lm":
        return f"""```python
pipeline("{TASKS[saved.head][0]}", model=folder)("{SEQUENCE}")
```

Outputs: {", ".join(saved.labels)}.
"""
    k, masked = saved.tokenizer.k, 10
    if not overlapping(saved.tokenizer):
        mask = saved.tokenizer.vocabulary()[saved.tokenizer.mask_id]
        before, after = SEQUENCE[:12], SEQUENCE[12 + (k or 6) :]
        return f"""`{mask}` stands for one token:

```python
pipeline("fill-mask", model=folder)("{before}{mask}{after}")
```
"""
    before, after = SEQUENCE[: masked + k - 1], SEQUENCE[masked + 1 :]
    return f"""`[MASK]` stands for one {k}-mer. Write the bases up to the end of the {k}-mer on its
left before it, and those from the start of the {k}-mer on its right after it, so {k - 2} bases appear on both sides:

```python
pipeline("fill-mask", model=folder)("{before}[MASK]{after}")
```
"""


def _table(rows: dict[str, Any]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_cell(rows[key])} |" for key in rows)])


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
