"""A small language model that counts, with branches that count on: shared by the tests of multi-token decoding."""

from functools import cache

import torch

from stentor.decode.drafters.branches import Branches
from stentor.interfaces.drafter import Drafter
from stentor.model.causal_lm import CausalLM
from stentor.sequence import spans
from stentor.sequence.packing import pack

SIZE, CYCLE = 24, 17
"""Ids 0..16 count in a circle, 17 begins a text; the rest is never said."""


def text(start, length):
    """A text of the language: the start sign, then counting in steps of one."""
    return [CYCLE, *((start + step) % CYCLE for step in range(length))]


def batch(seed, rows=8, length=14):
    starts = torch.randint(CYCLE, (rows,), generator=torch.Generator().manual_seed(seed)).tolist()
    texts = [text(start, length) for start in starts]
    return pack([[spans.text(row[:2], weight=0), spans.text(row[2:])] for row in texts])


@cache
def trained(depth):
    """The language model and branches of `depth`, both trained to count; not to be changed."""
    torch.manual_seed(depth)
    backbone = CausalLM(SIZE, dim=32, layers=2, heads=2)
    branches = Branches(backbone, depth=depth)
    parameters = [*backbone.parameters(), *branches.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=1e-2)
    for step in range(70):
        packed = batch(step)
        inputs = backbone.embed(packed.ids)
        hidden = backbone(inputs[None], packed=packed.lengths)[0]
        places = packed.targets >= 0
        loss = torch.nn.functional.cross_entropy(backbone.project(hidden[places]), packed.targets[places])
        loss = loss + branches.training_loss(packed, inputs, hidden).value
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return backbone.eval(), branches.eval()


class Scripted(Drafter):
    """Drafts what a function of the row makes of the tokens that greedy decoding gives there.

    Rows are told apart by the first id of their prompts.
    """

    def __init__(self, backbone, *, length=5, told=None, change=lambda tokens: tokens):
        super().__init__()
        self.length, self.told, self.change = length, told or {}, change

    def start(self, prefilled):
        return Script(self, [self.told[int(ids[0])] for ids in prefilled.ids])


class Script:
    def __init__(self, drafter, texts):
        self.drafter, self.texts, self.said = drafter, texts, [1] * len(texts)

    def propose(self, most):
        rows = []
        for tokens, said in zip(self.texts, self.said, strict=True):
            ahead = tokens[said : said + min(most, self.drafter.length)]
            rows.append([self.drafter.change(token) for token in ahead] + [0] * (most - len(ahead)))
        return torch.tensor(rows, dtype=torch.int64).view(len(rows), -1)[:, : self.drafter.length]

    def accept(self, tokens, counts, hidden):
        self.said = [said + count for said, count in zip(self.said, counts, strict=True)]

    def select(self, rows):
        self.texts = [self.texts[row] for row in rows.tolist()]
        self.said = [self.said[row] for row in rows.tolist()]
