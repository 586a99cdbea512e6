"""The aligner: exact where it can be counted out, right where the truth is known, the same whatever is beside a row."""

from itertools import pairwise, product

import torch

from stentor_tts.lm.aligner import _ADVANCE, Aligner, Rows, starts


def spoken(generator, words=5, symbols=8, per_symbol=3):
    """A text, its codes (each symbol has codes of its own, said 2 to 4 times), and where its symbols begin."""
    text = torch.randint(symbols, (words * 2,), generator=generator).tolist()
    times = torch.randint(2, 5, (len(text) + 2,), generator=generator).tolist()
    codes, edges = [], []
    for symbol, count in zip([symbols, *text, symbols], times, strict=True):
        edges.append(len(codes))
        codes += (symbol * per_symbol + torch.randint(per_symbol, (count,), generator=generator)).tolist()
    return text, torch.tensor(codes), edges[1:-1]


def test_chances_are_those_of_all_paths_counted_out():
    table = torch.rand(3, 4, dtype=torch.float64)
    symbols, codes = torch.tensor([2, 0, 1, 2]), torch.tensor([3, 0, 1, 1, 2])
    found, possible = Rows([symbols], [codes]).posterior(table)
    counted = torch.zeros(5, 4, dtype=torch.float64)
    for path in product(range(4), repeat=5):
        steps = [after - before for before, after in pairwise(path)]
        if path[0] < _ADVANCE and path[-1] >= 4 - _ADVANCE and all(0 <= step <= _ADVANCE for step in steps):
            chance = torch.stack([table[symbols[s], code] for s, code in zip(path, codes, strict=True)]).prod()
            for time, place in enumerate(path):
                counted[time, place] += chance
    assert possible.all()
    torch.testing.assert_close(found[0], counted / counted.sum(-1, keepdim=True))


def test_what_is_said_where_is_learnt_while_training():
    generator = torch.Generator().manual_seed(0)
    aligner = Aligner(8, 27).train()
    for _ in range(25):
        texts, codes, _ = zip(*(spoken(generator) for _ in range(6)), strict=True)
        aligner(texts, codes)
    texts, codes, edges = zip(*(spoken(generator) for _ in range(20)), strict=True)
    counts = aligner.counts.clone()
    places = aligner.eval()(texts, codes)
    assert torch.equal(aligner.counts, counts)
    pairs = [pair for place, truth in zip(places, edges, strict=True) for pair in _pairs(place, truth)]
    assert sum(found == true for found, true in pairs) >= 0.9 * len(pairs)


def _pairs(place, truth):
    return zip(starts(place, range(1, len(truth) + 1)), truth, strict=True)


def test_a_row_does_not_mind_its_neighbours():
    generator = torch.Generator().manual_seed(1)
    aligner = Aligner(8, 27).train()
    texts, codes, _ = zip(*(spoken(generator, words) for words in (2, 5, 3)), strict=True)
    aligner(texts, codes)
    aligner.eval()
    together = aligner(texts, codes)
    for row, place in enumerate(together):
        torch.testing.assert_close(aligner(texts[row : row + 1], codes[row : row + 1])[0], place)
        torch.testing.assert_close(place.sum(-1), torch.ones(len(place), dtype=torch.float64))


def test_text_that_is_too_long_for_its_codes_is_spread_evenly():
    aligner = Aligner(8, 27).train()
    aligner([[0, 1]], [torch.arange(6)])
    places = aligner([list(range(8)) * 5], [torch.tensor([1, 2, 3])])[0]
    found = starts(places, range(1, 41))
    assert found == sorted(found) and bool(torch.isfinite(places).all())
