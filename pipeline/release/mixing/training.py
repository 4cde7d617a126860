"""Models to train on a compare pack, as those who compared corpora before trained theirs.

- open-sci-ref 0.01 (Nezhurina et al. 2025, arXiv 2509.09009, and laion.ai/blog/open-sci-ref-001): sizes 0.4B and 1.7B;
  0.13B as others quote it. Weight decay, betas and cooldown were not found. Its warmup is known for 300 billion tokens.
- DCLM (Li et al. 2024, arXiv 2406.11794): training/configs and training/open_lm_configs of mlfoundations/dclm. The
  width of its feed-forward block is the one that its numbers of parameters come to. Betas were not found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Model:
    """A model and how it is trained; `inner` is the width of the gated feed-forward block, `batch` counts sequences,
    `warmup` is in steps of a run of `warmup_tokens`."""

    source: str
    layers: int
    width: int
    heads: int
    inner: int
    tied: bool
    sequence: int
    batch: int
    warmup: int
    warmup_tokens: int
    rate: float
    more: dict[str, Any]
    not_found: tuple[str, ...]

    def parameters(self, vocabulary: int) -> int:
        """Weights of its matrices and norms, for a vocabulary."""
        blocks = self.layers * (4 * self.width**2 + 3 * self.width * self.inner + 2 * self.width) + self.width
        return blocks + vocabulary * self.width * (1 if self.tied else 2)


def _open_sci_ref(layers: int, width: int, heads: int, inner: int) -> Model:
    return Model(
        source="open-sci-ref 0.01, arXiv 2509.09009",
        layers=layers,
        width=width,
        heads=heads,
        inner=inner,
        tied=True,
        sequence=4096,
        batch=1000,
        warmup=25_000,
        warmup_tokens=300 * 10**9,
        rate=4e-3,
        more={"schedule": "warmup, stable, decay", "rope_theta": 10_000},
        not_found=("weight_decay", "adam_beta1", "adam_beta2", "cooldown_steps"),
    )


def _dclm(width: int, heads: int, inner: int, batch: int, warmup: int, tokens: int) -> Model:
    return Model(
        source="DCLM, arXiv 2406.11794, mlfoundations/dclm training/configs",
        layers=24,
        width=width,
        heads=heads,
        inner=inner,
        tied=False,
        sequence=2048,
        batch=batch,
        warmup=warmup,
        warmup_tokens=tokens,
        rate=3e-3,
        more={"weight_decay": 0.033, "final_learning_rate": 3e-5, "z_loss": 1e-4},
        not_found=("schedule", "rope_theta", "adam_beta1", "adam_beta2"),
    )


MODELS = {
    "open-sci-ref-0.13b": _open_sci_ref(22, 512, 8, 2256),
    "open-sci-ref-0.4b": _open_sci_ref(22, 1024, 16, 3840),
    "open-sci-ref-1.7b": _open_sci_ref(24, 2048, 32, 8192),
    "dclm-400m-1x": _dclm(1024, 8, 2816, 512, 2000, 8_232_325_120),
    "dclm-1b-1x": _dclm(2048, 16, 5632, 256, 5000, 28_795_904_000),
}
# The vocabularies of both, 50,304 and 50,432, are multiples of this one, as Megatron-LM pads them by default.
PADDED_TO = 128


def training(name: str, tokens: int, vocabulary: int, seed: int) -> dict[str, Any]:
    """The configuration of a model's training on so many tokens, the same for every corpus of a pack."""
    model = MODELS[name]
    padded = -(-vocabulary // PADDED_TO) * PADDED_TO
    return {
        "source": model.source,
        "model": {
            "layers": model.layers,
            "hidden_size": model.width,
            "attention_heads": model.heads,
            "ffn_hidden_size": model.inner,
            "activation": "silu, gated",
            "qk_layernorm": True,
            "tied_embeddings": model.tied,
            "position": "rope",
            "vocabulary": vocabulary,
            "padded_vocabulary": padded,
            "parameters": model.parameters(padded),
        },
        "training": {
            "tokens": tokens,
            "sequence_length": model.sequence,
            "sequences_a_step": model.batch,
            "steps": tokens // (model.batch * model.sequence),
            "learning_rate": model.rate,
            "warmup_steps": round(model.warmup * tokens / model.warmup_tokens),
            **model.more,
            "data_seed": seed,
            "data_order": "as the files have it, no shuffling",
        },
        "not_found": list(model.not_found),
    }
