"""Losses and gradients are those of TRL, on the same small model and batch; skipped where TRL is not installed."""

import copy

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from stentor.model.causal_lm import CausalLM
from stentor_align import logprobs
from stentor_align.losses import advantages, clipped, kl, preference

pytest.importorskip("trl", minversion="1.16")
pytestmark = pytest.mark.slow  # importing TRL takes most of it
SIZE = 40
PROMPTS = [[5, 6, 7, 8], [9, 10]]
CHOSEN = [[11, 12, 13, 2], [14, 2]]
REJECTED = [[15, 2], [16, 17, 18, 19, 2]]
GROUP = [[11, 12, 13, 2], [14, 2], [15, 16], [17, 18, 19, 20, 2]]
REWARDS = torch.tensor([1.0, 0.0, 0.25, -1.0])


@pytest.fixture(scope="module")
def backbones():
    """A policy and a reference."""
    torch.manual_seed(0)
    policy = CausalLM(SIZE, dim=32, layers=2, heads=4, kv_heads=2, tie_embeddings=False).eval()
    reference = copy.deepcopy(policy)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return policy, reference


def theirs(backbone):
    from transformers import AutoModelForCausalLM

    found = AutoModelForCausalLM.from_config(copy.deepcopy(backbone.decoder.config), attn_implementation="eager")
    found.model.load_state_dict(backbone.decoder.state_dict())
    found.lm_head.load_state_dict(backbone.head.state_dict())
    return found


@pytest.fixture(scope="module")
def tokenizer():
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"w{i}": i for i in range(3, SIZE)} | {"<unk>": 0, "<pad>": 1, "<eos>": 2}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>", pad_token="<pad>", eos_token="<eos>")


def options(folder, **more):
    quiet = {"report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_strategy": "no"}
    return {"output_dir": str(folder), "use_cpu": True, "bf16": False, "gradient_checkpointing": False, **quiet, **more}


def dpo_trainer(backbones, tokenizer, folder, **more):
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    rows = Dataset.from_list([{"prompt": "w5 w6", "chosen": " w7", "rejected": " w8"}] * 2)
    settings = DPOConfig(**options(folder, per_device_train_batch_size=2, **more))
    model, reference = map(theirs, backbones)
    made = DPOTrainer(model, reference, args=settings, train_dataset=rows, processing_class=tokenizer)
    made.model.eval()
    return made


def right(rows, value):
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def agree(loss, backbone, other, model):
    """Compare losses and every gradient."""
    torch.testing.assert_close(loss, other, atol=1e-5, rtol=0)
    backbone.zero_grad()
    model.zero_grad()
    loss.backward()
    other.backward()
    expected = {name.removeprefix("model."): value.grad for name, value in model.named_parameters()}
    assert any(float(value.abs().max()) > 1e-3 for value in expected.values())
    for name, value in backbone.decoder.named_parameters():
        torch.testing.assert_close(value.grad, expected[name], atol=1e-5, rtol=0)
    torch.testing.assert_close(backbone.head.weight.grad, expected["lm_head.weight"], atol=1e-5, rtol=0)


def totals(backbone):
    found = logprobs.read(
        backbone, [backbone.embed(torch.tensor(row)) for row in PROMPTS], CHOSEN + REJECTED, [0, 1, 0, 1]
    )
    return logprobs.score(backbone, found).totals()


@pytest.mark.parametrize("kind", ["sigmoid", "ipo"])
def test_dpo(backbones, tokenizer, tmp_path, kind):
    policy, reference = backbones
    trainer = dpo_trainer(backbones, tokenizer, tmp_path, loss_type=[kind], beta=0.3)
    rows = [p + r for p, r in zip(PROMPTS * 2, CHOSEN + REJECTED, strict=True)]
    marks = [[0] * len(p) + [1] * len(r) for p, r in zip(PROMPTS * 2, CHOSEN + REJECTED, strict=True)]
    batch = {"input_ids": right(rows, 1), "attention_mask": right([[1] * len(row) for row in rows], 0),
             "completion_mask": right(marks, 0)}  # fmt: skip
    other = trainer._compute_loss(trainer.model, batch, False)
    own, lengths = totals(policy)
    with torch.no_grad():
        against, _ = totals(reference)
    ratios = own - against
    if kind == "sigmoid":
        losses = preference.dpo(*ratios.chunk(2), beta=0.3)
    else:
        losses = preference.ipo(*(ratios / lengths).chunk(2), beta=0.3)
    agree(losses.mean(), policy, other, trainer.model)


def grpo_trainer(backbones, tokenizer, folder, **more):
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    settings = GRPOConfig(
        **options(folder, per_device_train_batch_size=4, num_generations=4, max_completion_length=8, **more)
    )
    rows = Dataset.from_list([{"prompt": "w5 w6"}] * 4)
    made = GRPOTrainer(
        theirs(backbones[0]), lambda completions, **_: [0.0] * len(completions), args=settings, train_dataset=rows,
        processing_class=tokenizer,
    )  # fmt: skip
    made.model.train()
    made.current_gradient_accumulation_steps = 1
    return made


def scored(backbone):
    found = logprobs.read(backbone, [backbone.embed(torch.tensor(PROMPTS[0]))], GROUP, [0] * 4)
    return logprobs.score(backbone, found).rows()


@pytest.mark.parametrize("beta", [0.0, 0.2])
@pytest.mark.parametrize(("kind", "average"), [("grpo", "response"), ("dapo", "token"), ("dr_grpo", "constant")])
def test_grpo(backbones, tokenizer, tmp_path, kind, average, beta):
    policy, reference = backbones
    trainer = grpo_trainer(backbones, tokenizer, tmp_path, loss_type=kind, epsilon=0.2, epsilon_high=0.28)
    trainer.beta = beta  # given to the constructor, it would fetch a reference from the hub
    lengths = [len(row) for row in GROUP]
    values, mask = scored(policy)
    torch.manual_seed(3)
    old = values.detach() + 0.3 * torch.randn(values.shape)
    with torch.no_grad():
        against, _ = scored(reference)
    found = advantages.of_groups(REWARDS, 4, scaled=kind != "dr_grpo")
    batch = {"prompt_ids": torch.tensor([PROMPTS[0]] * 4), "prompt_mask": torch.ones(4, 4, dtype=torch.int64),
             "completion_ids": right(GROUP, 1), "completion_mask": mask.long(), "advantages": found,
             "old_per_token_logps": old, "ref_per_token_logps": against,
             "num_items_in_batch": torch.tensor(float(sum(lengths)))}  # fmt: skip
    other = trainer._compute_loss(trainer.model, batch)
    losses = clipped.policy(values, old, found, low=0.2, high=0.28) + beta * kl.penalty(values, old, against)
    agree(clipped.averaged(losses, mask, average, longest=8), policy, other, trainer.model)


def test_advantages_of_groups_are_theirs():
    from trl.trainer.utils import nanstd

    rewards = torch.tensor([1.0, 2, torch.nan, 7, 3, 3, 3.5, 3])
    groups = rewards.view(-1, 4)
    expected = (groups - groups.nanmean(1, keepdim=True)) / (nanstd(groups, dim=1)[:, None] + 1e-4)
    torch.testing.assert_close(advantages.of_groups(rewards, 4), expected.nan_to_num(0.0).view(-1), atol=1e-5, rtol=0)
