"""The contract of backbones."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stentor.interfaces.backbone import Backbone
from stentor.testing.module import ModuleContract, place
from stentor.testing.signals import gaussian


class BackboneContract(ModuleContract):
    """Checks for backbones.

    Attributes:
        vocabulary_size: what it is wired to.
        counts: positions of the sequences that it is tried on.
    """

    kind = "backbone"
    vocabulary_size: ClassVar[int] = 37
    counts: ClassVar[tuple[int, ...]] = (11, 4, 7)

    def wired(self) -> tuple[Any, ...]:
        return (self.vocabulary_size,)

    def ids(self, *shape: int, seed: int = 0) -> Tensor:
        """Token ids int64 of `shape`, the same for the same seed."""
        return torch.randint(self.vocabulary_size, shape, generator=torch.Generator().manual_seed(seed))

    def run(self, module: Any) -> Tensor:
        device, dtype = place(module)
        hidden = module(module.embed(self.ids(2, 9).to(device)))
        logits: Tensor = module.project(hidden)
        self.demand(logits.dtype == dtype, f"weights are {dtype} and logits {logits.dtype}.")
        return logits

    def sequences(self, backbone: Any) -> tuple[list[Tensor], Tensor, Tensor]:
        """Inputs [T, dim] of each sequence, the same right-padded [B, T, dim], and the mask bool [B, T]."""
        rows = [backbone.embed(self.ids(count, seed=count)) for count in self.counts]
        batch = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        mask = torch.arange(batch.shape[1]) < torch.tensor(self.counts)[:, None]
        return rows, batch, mask

    def test_declared_width(self) -> None:
        """`dim_of`, `dim`, embeddings and hidden states have one width; `layers` counts the layers."""
        backbone, declared = self.build(), self.component_class.dim_of(**self.config)
        embedded = backbone.embed(self.ids(2, 5))
        with torch.no_grad():
            hidden = backbone(embedded)
        for what, width in (("dim", backbone.dim), ("embeddings", embedded.shape[-1]), ("hidden", hidden.shape[-1])):
            self.demand(width == declared, f"dim_of() declares {declared}, {what} has {width}.")
        layers = list(backbone.decoder_layers())
        self.demand(len(layers) == backbone.layers, f"it declares {backbone.layers} layers and shows {len(layers)}.")
        self.demand(hidden.shape[:2] == (2, 5), f"[2, 5, dim] gives hidden states {tuple(hidden.shape)}.")

    def test_vocabulary(self) -> None:
        """Logits cover exactly the vocabulary that it was wired to."""
        with torch.no_grad():
            width = self.run(self.build()).shape[-1]
        self.demand(width == self.vocabulary_size, f"wired to {self.vocabulary_size} ids, it gives {width} logits.")

    @torch.no_grad()
    def test_causality(self) -> None:
        """No position sees a later one, and each sees itself."""
        backbone = self.build()
        inputs = backbone.embed(self.ids(1, 10))
        changed = inputs.clone()
        changed[:, 6] += 1.0
        before, after = backbone(inputs), backbone(changed)
        self.agree(after[:, :6], before[:, :6], "positions 0 to 5 after a change at position 6 against before it")
        self.demand(not torch.equal(before[:, 6:], after[:, 6:]), "a changed input at position 6 changes nothing.")

    @torch.no_grad()
    def test_batch_equals_single(self) -> None:
        """Right-padded rows give what they give alone."""
        backbone = self.build()
        rows, batch, mask = self.sequences(backbone)
        together = backbone(batch, mask=mask)
        for index, row in enumerate(rows):
            self.agree(together[index, : len(row)], backbone(row[None])[0], f"row {index} of a batch against alone")

    @torch.no_grad()
    def test_padding_invariance(self) -> None:
        """What stands in the padding, and how much there is of it, changes nothing."""
        backbone = self.build()
        rows, batch, mask = self.sequences(backbone)
        far = torch.cat([batch, torch.zeros_like(batch[:, :5])], dim=1)
        far_mask = torch.cat([mask, torch.zeros_like(mask[:, :5])], dim=1)
        far[~far_mask] = 3.0
        near, padded = backbone(batch, mask=mask), backbone(far, mask=far_mask)
        for index, row in enumerate(rows):
            self.agree(padded[index, : len(row)], near[index, : len(row)], f"row {index} padded further against before")

    @torch.no_grad()
    def test_attention_mask(self) -> None:
        """A mask [B, T, S] that spells out causality gives what no mask gives, and a narrower one is obeyed."""
        backbone = self.build()
        inputs = backbone.embed(self.ids(1, 8))
        causal = torch.ones(1, 8, 8, dtype=torch.bool).tril()
        self.agree(backbone(inputs, mask=causal), backbone(inputs), "a spelt-out causal mask against none")
        blind, changed = causal.clone(), inputs.clone()
        blind[:, 3:, 2] = False
        changed[:, 2] += 1.0
        self.agree(backbone(changed, mask=blind)[:, 3:], backbone(inputs, mask=blind)[:, 3:],
                   "positions that may not see position 2, after a change there, against before")  # fmt: skip

    @torch.no_grad()
    def test_cached_equals_uncached(self) -> None:
        """Prefill and single steps with a cache give what one pass gives, rows of different length included."""
        backbone = self.build()
        _, batch, mask = self.sequences(backbone)
        prefix = max(1, min(self.counts) - 1)
        cache = backbone.new_cache(len(batch), batch.shape[1] + 4)
        parts = [backbone(batch[:, :prefix], cache=cache)]
        parts += [backbone(batch[:, step : step + 1], cache=cache) for step in range(prefix, batch.shape[1])]
        self.demand(
            cache.lengths.tolist() == [batch.shape[1]] * len(batch), f"cache.lengths is {cache.lengths.tolist()}."
        )
        self.agree(torch.cat(parts, dim=1), backbone(batch), "hidden states with a cache against without")
        self.ragged(backbone, batch, mask)

    def ragged(self, backbone: Any, batch: Tensor, mask: Tensor) -> None:
        """Prefill with rows of different length, then one step each, against every row alone."""
        cache, following = backbone.new_cache(len(batch), batch.shape[1] + 4), backbone.embed(self.ids(len(batch), 1))
        backbone(batch, mask=mask, cache=cache)
        self.demand(
            cache.lengths.tolist() == list(self.counts),
            f"after a prefill of {list(self.counts)} positions cache.lengths is {cache.lengths.tolist()}.",
        )
        stepped = backbone(following, cache=cache)
        for index, count in enumerate(self.counts):
            whole = torch.cat([batch[index, :count], following[index]])[None]
            self.agree(stepped[index, 0], backbone(whole)[0, -1], f"the step after row {index} against one pass")

    @torch.no_grad()
    def test_rollback(self) -> None:
        """After `truncate`, going on gives what it would have given had the forgotten part never been."""
        backbone = self.build()
        inputs = backbone.embed(self.ids(2, 9))
        cache, keep = backbone.new_cache(2, 16), torch.tensor([4, 6])
        backbone(inputs, cache=cache)
        cache.truncate(keep)
        self.demand(cache.lengths.tolist() == keep.tolist(), f"truncated to {keep.tolist()}, it has {cache.lengths}.")
        following = backbone.embed(self.ids(2, 2, seed=5))
        resumed = backbone(following, cache=cache)
        for index, count in enumerate(keep.tolist()):
            whole = torch.cat([inputs[index, :count], following[index]])[None]
            self.agree(
                resumed[index], backbone(whole)[0, count:], f"row {index} after rollback to {count} against one pass"
            )

    @torch.no_grad()
    def test_select(self) -> None:
        """`select` keeps rows, in the order asked for, repeats included."""
        backbone = self.build()
        inputs, following = backbone.embed(self.ids(3, 6)), backbone.embed(self.ids(3, 1, seed=3))
        rows = torch.tensor([2, 0, 2])
        cache = backbone.new_cache(3, 12)
        backbone(inputs, cache=cache)
        cache.select(rows)
        whole = torch.cat([inputs[rows], following], dim=1)
        self.agree(backbone(following, cache=cache)[:, 0], backbone(whole)[:, -1], "selected rows against one pass")

    @torch.no_grad()
    def test_packed_equals_separate(self) -> None:
        """Sequences packed end to end give what they give apart."""
        backbone = self.build()
        rows, _, _ = self.sequences(backbone)
        together = backbone(torch.cat(rows)[None], packed=list(self.counts))[0].split(list(self.counts))
        for index, (row, measured) in enumerate(zip(rows, together, strict=True)):
            self.agree(measured, backbone(row[None])[0], f"sequence {index} packed against alone")

    @torch.no_grad()
    def test_forks_equal_separate(self) -> None:
        """Continuations that share their beginning give what they give with a copy of it each."""
        self.need("forks")
        backbone = self.build()
        begun, *rows = self.sequences(backbone)[0]
        rows.append(backbone.embed(self.ids(len(rows[-1]), seed=99)))
        fork = [len(begun), *map(len, rows)]
        together = backbone(torch.cat([begun, *rows, begun])[None], packed=[fork, len(begun)])[0]
        _, *parts, _ = together.split([*fork, len(begun)])
        for index, (measured, row) in enumerate(zip(parts, rows, strict=True)):
            alone = backbone(torch.cat([begun, row])[None])[0, len(begun) :]
            self.agree(measured, alone, f"continuation {index} in a fork against alone")

    @torch.no_grad()
    def test_resize_vocabulary(self) -> None:
        """Growing the vocabulary leaves embeddings and logits of the old ids as they were."""
        backbone, ids, old = self.build(), self.ids(1, 6), self.vocabulary_size
        embedded = backbone.embed(ids).clone()
        logits = self.run(backbone)
        backbone.resize_vocabulary(old + 5)
        grown = self.run(backbone)
        self.demand(grown.shape[-1] == old + 5, f"grown to {old + 5} ids, it gives {grown.shape[-1]} logits.")
        self.demand(torch.equal(backbone.embed(ids), embedded), "embeddings of old ids changed when it grew.")
        self.agree(grown[..., :old], logits, "logits of old ids after growing against before")
        backbone.embed(torch.tensor([old + 4]))

    @torch.no_grad()
    def test_layers_can_be_tapped(self) -> None:
        """The layers shown are those that run: a hook on each is called once in a pass."""
        backbone, called = self.build(), list[int]()
        for index, layer in enumerate(backbone.decoder_layers()):
            layer.register_forward_hook(lambda *_, index=index: called.append(index))
        backbone(gaussian(1, 4, backbone.dim))
        self.demand(called == list(range(backbone.layers)), f"layers ran in the order {called}.")

    @torch.no_grad()
    def test_tail(self) -> None:
        """Its tail, if it offers one, does what the last layer and the final norm do, cached as well."""
        backbone = self.build()
        if type(backbone).tail is Backbone.tail:
            self.skip("it offers no copy of its last layer")
        given = list[Tensor]()
        last = list(backbone.decoder_layers())[-1]
        handle = last.register_forward_pre_hook(
            lambda _, inputs, named: given.append(inputs[0] if inputs else next(iter(named.values()))), with_kwargs=True
        )
        expected = backbone(backbone.embed(self.ids(2, 9)))
        handle.remove()
        tail = backbone.tail().eval()
        self.agree(tail(given[0]), expected, "the tail on the last layer's inputs against the backbone")
        cache = tail.new_cache(2, 12)
        parts = [tail(part, cache=cache) for part in torch.split(given[0], [5, 1, 3], 1)]
        self.agree(torch.cat(parts, 1), expected, "the tail with a cache against the backbone")
