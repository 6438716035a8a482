"""DNABERT-2 and NT v2 as their formulas, one token at a time, in float64, from tensors under the published names.

Nothing here is shared with the models.
"""

import math

import torch


def layer_norm(x, state, name, eps=1e-12):
    mean = x.mean()
    variance = ((x - mean) ** 2).mean()
    return (x - mean) / (variance + eps) ** 0.5 * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(x, state, name):
    bias = state.get(f"{name}.bias")
    return state[f"{name}.weight"] @ x + (0 if bias is None else bias)


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def attention(queries, keys, values, heads, bias):
    """Attended vectors of each token; ``bias(head, i, j)`` is added to the score of query i for key j."""
    size = len(queries[0]) // heads
    attended = []
    for i, query in enumerate(queries):
        parts = []
        for h in range(heads):
            own = slice(h * size, (h + 1) * size)
            scores = [query[own] @ key[own] / math.sqrt(size) + bias(h, i, j) for j, key in enumerate(keys)]
            weights = [torch.exp(score - max(scores).detach()) for score in scores]
            parts.append(sum(w * value[own] for w, value in zip(weights, values, strict=True)) / sum(weights))
        attended.append(torch.cat(parts))
    return attended


def dnabert2(state, ids, layers, heads, slopes):
    """Hidden vectors of each token of one sequence."""
    embeddings = "bert.embeddings"
    segment = state[f"{embeddings}.token_type_embeddings.weight"][0]
    x = [state[f"{embeddings}.word_embeddings.weight"][i] + segment for i in ids]
    x = [layer_norm(v, state, f"{embeddings}.LayerNorm") for v in x]
    for layer in range(layers):
        name = f"bert.encoder.layer.{layer}"
        fused = [linear(v, state, f"{name}.attention.self.Wqkv") for v in x]
        third = len(x[0])
        queries, keys, values = ([f[p * third : (p + 1) * third] for f in fused] for p in range(3))
        attended = attention(queries, keys, values, heads, lambda h, i, j: -slopes[h] * abs(i - j))
        projected = [linear(a, state, f"{name}.attention.output.dense") for a in attended]
        x = [
            layer_norm(v + p, state, f"{name}.attention.output.LayerNorm")
            for v, p in zip(x, projected, strict=True)
        ]
        gated = [linear(v, state, f"{name}.mlp.gated_layers") for v in x]
        half = len(gated[0]) // 2
        units = [gelu(g[:half]) * g[half:] for g in gated]
        x = [
            layer_norm(v + linear(u, state, f"{name}.mlp.wo"), state, f"{name}.mlp.layernorm")
            for v, u in zip(x, units, strict=True)
        ]
    return x


def dnabert2_logits(state, x):
    """Token logits; the decoder is the token embedding."""
    head = "cls.predictions"
    x = [gelu(linear(v, state, f"{head}.transform.dense")) for v in x]
    x = [layer_norm(v, state, f"{head}.transform.LayerNorm") for v in x]
    words = state["bert.embeddings.word_embeddings.weight"]
    return torch.stack([words @ v + state[f"{head}.bias"] for v in x])


def rotated(vector, position, heads):
    """Each head's (x_i, x_{i + K/2}) turned by position * 10000^(-2i / K)."""
    turned = []
    size = len(vector) // heads
    for h in range(heads):
        part = vector[h * size : (h + 1) * size]
        angles = [position * 10_000 ** (-2 * i / size) for i in range(size // 2)]
        pairs = [(part[i], part[i + size // 2]) for i in range(size // 2)]
        turned += [a * math.cos(t) - b * math.sin(t) for (a, b), t in zip(pairs, angles, strict=True)]
        turned += [b * math.cos(t) + a * math.sin(t) for (a, b), t in zip(pairs, angles, strict=True)]
    return torch.stack(turned)


def nt_v2(state, ids, layers, heads):
    """Hidden vectors of each token of one sequence."""
    x = [state["esm.embeddings.word_embeddings.weight"][i] for i in ids]
    for layer in range(layers):
        name = f"esm.encoder.layer.{layer}"
        normed = [layer_norm(v, state, f"{name}.attention.LayerNorm") for v in x]
        projections = f"{name}.attention.self"
        queries = [rotated(linear(v, state, f"{projections}.query"), i, heads) for i, v in enumerate(normed)]
        keys = [rotated(linear(v, state, f"{projections}.key"), i, heads) for i, v in enumerate(normed)]
        values = [linear(v, state, f"{projections}.value") for v in normed]
        attended = attention(queries, keys, values, heads, lambda h, i, j: 0)
        x = [v + linear(a, state, f"{name}.attention.output.dense") for v, a in zip(x, attended, strict=True)]
        gated = [
            linear(layer_norm(v, state, f"{name}.LayerNorm"), state, f"{name}.intermediate.dense") for v in x
        ]
        half = len(gated[0]) // 2
        units = [g[:half] / (1 + torch.exp(-g[:half])) * g[half:] for g in gated]
        x = [v + linear(u, state, f"{name}.output.dense") for v, u in zip(x, units, strict=True)]
    return [layer_norm(v, state, "esm.encoder.emb_layer_norm_after") for v in x]


def nt_logits(state, x):
    """Token logits; the decoder is a matrix of its own."""
    x = [gelu(linear(v, state, "lm_head.dense")) for v in x]
    x = [layer_norm(v, state, "lm_head.layer_norm") for v in x]
    return torch.stack([state["lm_head.decoder.weight"] @ v + state["lm_head.bias"] for v in x])
