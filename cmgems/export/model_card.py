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
    tokens = f"The input is plain bases, without spaces: the tokenizer makes the {_tokens(saved.tokenizer)} itself.\n"
    if not _plain(saved):
        return f"""Plain transformers has no class for this family. The tensors have the names of the published
checkpoints; cmgems reads them:

```python
import torch
from cmgems.export import read_huggingface

saved = read_huggingface("path/to/this/folder")
ids_BS = torch.from_numpy(saved.tokenizer.encode("{SEQUENCE}")).long()[None]
logits = saved.model(ids_BS)
```

{tokens}"""
    auto_class = TASKS[saved.head][1]
    return f"""```python
from transformers import AutoTokenizer, {auto_class}, pipeline

folder = "path/to/this/folder"
tokenizer = AutoTokenizer.from_pretrained(folder)
model = {auto_class}.from_pretrained(folder)
logits = model(**tokenizer("{SEQUENCE}", return_tensors="pt")).logits
```

{tokens}
{_pipeline_example(saved)}"""


def _tokens(tokenizer: Tokenizer) -> str:
    if tokenizer.k == 0:
        return "pieces"
    return f"{'overlapping ' * overlapping(tokenizer)}{tokenizer.k}-mers"


def _pipeline_example(saved: SavedModel) -> str:
    if saved.head != "masked_lm":
        return f"""```python
pipeline("{TASKS[saved.head][0]}", model=folder)("{SEQUENCE}")
```

Outputs: {", ".join(saved.labels)}.
"""
    k, masked = saved.tokenizer.k, 10
    if not overlapping(saved.tokenizer):
        mask = saved.tokenizer.vocabulary()[saved.tokenizer.mask_id]
        return f"""`{mask}` stands for one token:

```python
pipeline("fill-mask", model=folder)("{SEQUENCE[:12]}{mask}{SEQUENCE[18:]}")
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
