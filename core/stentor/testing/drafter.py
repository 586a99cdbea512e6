"""The contract of drafters."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.decode.engine import generate
from stentor.decode.settings import GenerationSettings
from stentor.interfaces.drafter import Prefilled
from stentor.model.causal_lm import CausalLM
from stentor.sequence import spans
from stentor.sequence.grammar import only
from stentor.sequence.packing import Packed, pack
from stentor.testing.contract import ComponentContract


class DrafterContract(ComponentContract):
    """Checks for drafters, beside a small language model with random weights.

    Attributes:
        vocabulary_size: of the language model.
        counts: positions of the prompts that it is tried on.
        tokens: how many are generated.
    """

    kind = "drafter"
    vocabulary_size: ClassVar[int] = 23
    counts: ClassVar[tuple[int, ...]] = (5, 12, 1, 8)
    tokens: ClassVar[int] = 24

    def backbone(self) -> CausalLM:
        """The language model, the same every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            return CausalLM(self.vocabulary_size, dim=24, layers=2, heads=2).eval()

    def wired(self) -> tuple[Any, ...]:
        return (self.backbone(),)

    def build(self, **changes: Any) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return super().build(**changes).eval()

    def prompts(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        return [torch.randint(self.vocabulary_size, (count,), generator=generator) for count in self.counts]

    def packed(self) -> Packed:
        """Training sequences: a given half and a half to predict."""
        rows = [torch.arange(count) % self.vocabulary_size for count in (9, 14, 4)]
        return pack([[spans.text(row[:2], weight=0), spans.text(row[2:])] for row in rows])

    @torch.inference_mode()
    def begun(self, drafter: Any) -> Any:
        """A draft of two rows."""
        backbone, ids = self.backbone(), self.prompts()[:2]
        inputs = torch.nn.utils.rnn.pad_sequence([backbone.embed(row) for row in ids], batch_first=True)
        lengths = list(self.counts[:2])
        mask = torch.arange(inputs.shape[1]) < torch.tensor(lengths)[:, None]
        first = torch.tensor([1, 2])
        return drafter.start(Prefilled(inputs, lengths, backbone(inputs, mask=mask), ids, first, 64))

    @torch.inference_mode()
    def probe(self, component: Any) -> Any:
        return self.begun(component).propose(component.length).tolist()

    def test_is_lossless(self) -> None:
        """Tokens are those of greedy decoding without it: in a batch, alone, with a grammar, from embeddings."""
        backbone, prompts = self.backbone(), self.prompts()
        drafter = self.component_class(backbone, **self.config).eval()
        settings = GenerationSettings(max_new_tokens=self.tokens, stop_ids=(4, 9))
        narrow = only(self.vocabulary_size, range(3, 15))
        for what, grammar in (("", None), (" under a grammar", narrow)):
            plain = generate(backbone, prompts, settings, grammar=grammar)
            drafted = generate(backbone, prompts, settings, grammar=grammar, drafter=drafter)
            self.demand(drafted.tokens == plain.tokens, f"it changes what greedy decoding gives{what}.")
            self.demand(drafted.reasons == plain.reasons, f"it changes why rows end{what}.")
            embedded = [backbone.embed(prompt).detach() for prompt in prompts]
            for row, prompt in enumerate(embedded):
                alone = generate(backbone, [prompt], settings, grammar=grammar, drafter=drafter).tokens[0]
                self.demand(alone == plain.tokens[row], f"alone, row {row} differs from greedy decoding{what}.")

    @torch.inference_mode()
    def test_proposals(self) -> None:
        """At most as many ids as asked for, at most `length`, all in the vocabulary; asked for none it gives none."""
        drafter = self.build()
        self.demand(isinstance(drafter.length, int) and drafter.length >= 1, f"its length is {drafter.length!r}.")
        for most in (0, 1, drafter.length, drafter.length + 3):
            proposed = self.begun(drafter).propose(most)
            fine = proposed.dtype == torch.int64 and proposed.ndim == 2 and len(proposed) == 2
            self.demand(fine, f"for 2 rows it proposes {proposed.dtype} of shape {tuple(proposed.shape)}.")
            width = proposed.shape[1]
            self.demand(width <= min(most, drafter.length), f"asked for {most} of {drafter.length}, it gives {width}.")
            inside = bool(((proposed >= 0) & (proposed < self.vocabulary_size)).all())
            self.demand(inside, f"it proposes ids outside the vocabulary: {proposed.tolist()}.")

    @torch.inference_mode()
    def test_rejection_leaves_no_trace(self) -> None:
        """After tokens were accepted, it proposes what it proposes when it was rejected on the way there."""
        drafter, backbone = self.build(), self.backbone()
        said = torch.tensor([[1, 5, 6, 7], [2, 8, 10, 11]])
        texts = [torch.cat([prompt, row]) for prompt, row in zip(self.prompts(), said, strict=False)]
        hidden = [backbone(backbone.embed(text)[None])[0][-4:-1] for text in texts]
        following, states = said[:, 1:], torch.stack(hidden)
        whole = self.begun(drafter)
        whole.propose(2)
        whole.accept(following, [3, 3], states)
        stepwise = self.begun(drafter)
        for step in range(3):
            stepwise.propose(drafter.length)
            stepwise.accept(following[:, step : step + 1], [1, 1], states[:, step : step + 1])
        one, other = whole.propose(drafter.length).tolist(), stepwise.propose(drafter.length).tolist()
        self.demand(one == other, f"it proposes {other} after rejections and {one} without.")

    def test_holds_no_backbone(self) -> None:
        """The backbone's tensors are none of its own."""
        backbone = self.backbone()
        drafter = self.component_class(backbone, **self.config)
        own = {id(tensor) for tensor in (*drafter.parameters(), *drafter.buffers())}
        shared = [name for name, tensor in backbone.named_parameters() if id(tensor) in own]
        self.demand(not shared, f"the backbone's '{(shared or [''])[0]}' is among its tensors.")

    def test_trains(self) -> None:
        """Its loss, if it has one, is a finite scalar that reaches every parameter and falls."""
        drafter, backbone, packed = self.build().train(), self.backbone(), self.packed()
        inputs = backbone.embed(packed.ids).detach()
        hidden = backbone(inputs[None], packed=packed.lengths)[0].detach()
        loss = drafter.training_loss(packed, inputs, hidden)
        if loss is None:
            self.demand(not list(drafter.parameters()), "it has parameters and no loss.")
            return
        self.demand(loss.value.ndim == 0 and bool(torch.isfinite(loss.value.detach())), f"the loss is {loss.value}.")
        optimiser = torch.optim.AdamW(drafter.parameters(), lr=3e-3)
        for _ in range(15):
            optimiser.zero_grad()
            now = drafter.training_loss(packed, inputs, hidden).value
            now.backward()
            optimiser.step()
        without = [name for name, value in drafter.named_parameters() if value.grad is None]
        self.demand(not without, f"no gradient reaches '{(without or [''])[0]}'.")
        fell = float(now.detach()) < 0.9 * float(loss.value.detach())
        self.demand(fell, f"15 steps take the loss from {float(loss.value.detach()):.4g} to {float(now.detach()):.4g}.")

    def test_state_dict_round_trip(self) -> None:
        """An instance that loaded the state of another proposes the same."""
        source, target = self.build(), self.component_class(*self.wired(), **self.config).eval()
        target.load_state_dict(source.state_dict())
        self.demand(
            self.probe(source) == self.probe(target), "an instance that loaded another's state drafts otherwise."
        )
