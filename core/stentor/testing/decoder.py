"""The contract of decoders: search to ids, and codes to waveform."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.decoder import SearchDecoder, WaveformDecoder
from stentor.testing.contract import ComponentContract


class DecoderContract(ComponentContract):
    """Checks for decoders; those for the other family of decoders are skipped.

    Attributes:
        vocabulary_size: width of the log-probabilities given to a search decoder; index 0 is the blank.
        codes: code ids [B, T] given to a waveform decoder.
    """

    kind = "decoder"
    vocabulary_size: ClassVar[int] = 6
    codes: ClassVar[tuple[tuple[int, ...], ...]] = ((1, 2, 3, 4, 3, 2), (3, 1, 2, 0, 0, 0))

    def interfaces(self, declared: type) -> tuple[type, ...]:
        return (declared, SearchDecoder, WaveformDecoder)

    def searching(self) -> Any:
        if not issubclass(self.component_class, SearchDecoder):
            self.skip("it is no search decoder")
        return self.build()

    def speaking(self) -> Any:
        if not issubclass(self.component_class, WaveformDecoder):
            self.skip("it is no waveform decoder")
        return self.build()

    def log_probs(self, paths: list[list[int]], sure: float = 9.0) -> tuple[Tensor, Tensor]:
        """Log-probabilities [B, T, V] that strongly prefer the given frame-wise paths, and lengths [B]."""
        lengths = torch.tensor([len(path) for path in paths])
        noise = torch.rand(
            len(paths), int(lengths.max()), self.vocabulary_size, generator=torch.Generator().manual_seed(0)
        )
        for row, path in enumerate(paths):
            noise[row, range(len(path)), path] += sure
        return noise.log_softmax(-1), lengths

    def probe(self, component: Any) -> Any:
        if isinstance(component, SearchDecoder):
            return component.hypotheses(*self.log_probs([[1, 1, 0, 2], [3, 0, 3, 3]]))
        return self.speak(component)[0].tolist()

    def speak(self, decoder: Any) -> tuple[Tensor, Tensor]:
        lengths = torch.tensor([len(self.codes[0]), 3])
        waveforms, counts = decoder.synthesise(torch.tensor(self.codes), lengths)
        return waveforms, counts

    def test_finds_clear_paths(self) -> None:
        """Where the model is sure: repeats merge, blanks separate, blanks vanish."""
        paths, due = [[1, 1, 0, 1, 2, 2, 0], [0, 0, 3, 3, 3, 4, 5], [0, 0, 0, 0, 0, 0, 0]], [[1, 1, 2], [3, 4, 5], []]
        found = self.searching().search(*self.log_probs(paths))
        self.demand(found == due, f"paths {paths} are decoded as {found}, {due} is due.")

    def test_batch_equals_single(self) -> None:
        """Rows of a batch, frames beyond their length left out, give what they give alone."""
        decoder, paths = self.searching(), [[1, 2, 0, 2, 3], [4, 4], [5, 0, 5]]
        together = decoder.search(*self.log_probs(paths, sure=1.0))
        probabilities, lengths = self.log_probs(paths, sure=1.0)
        for row, length in enumerate(lengths.tolist()):
            alone = decoder.search(probabilities[row : row + 1, :length], lengths[row : row + 1])[0]
            self.demand(together[row] == alone, f"row {row} gives {together[row]} in a batch and {alone} alone.")

    def test_padding_is_blind(self) -> None:
        """What lies behind a row's length changes neither ids, scores nor frames."""
        decoder, paths = self.searching(), [[1, 2, 0, 2, 3], [4, 4]]
        log_probs, lengths = self.log_probs(paths, sure=1.0)
        before = decoder.hypotheses(log_probs, lengths)
        log_probs[1, 2:] = log_probs[0, :3].flip(0)
        after = decoder.hypotheses(torch.cat([log_probs, log_probs], 1), lengths)
        self.demand(before == after, f"other padding changes {before} to {after}.")

    def test_readings_in_order(self) -> None:
        """Scores fall, no ids come twice, tokens have frames and probabilities, and the first is what search gives."""
        decoder = self.searching()
        log_probs, lengths = self.log_probs([[1, 2, 0, 2, 3], [4, 4], [5, 0, 5]], sure=1.0)
        found, due = decoder.hypotheses(log_probs, lengths, best=5), decoder.search(log_probs, lengths)
        for row, readings in enumerate(found):
            self.demand(1 <= len(readings) <= 5, f"row {row} has {len(readings)} readings, 1 to 5 are due.")
            scores, ids = [one.score for one in readings], [one.ids for one in readings]
            self.demand(scores == sorted(scores, reverse=True), f"the scores of row {row} are {scores}.")
            self.demand(len(set(ids)) == len(ids), f"row {row} has the same reading twice: {ids}.")
            self.demand(list(ids[0]) == due[row], f"row {row} begins with {ids[0]}, search gives {due[row]}.")
            for reading in readings:
                self._check_tokens(row, int(lengths[row]), reading)

    def _check_tokens(self, row: int, length: int, reading: Any) -> None:
        flat = [frame for span in reading.frames for frame in span]
        fine = flat == sorted(flat) and all(0 <= first < end <= length for first, end in reading.frames)
        self.demand(fine, f"row {row} of {length} frames has tokens at {reading.frames}.")
        self.demand(len(reading.frames) == len(reading.ids), f"row {row} has {reading.frames} for {reading.ids}.")
        fine = len(reading.confidence) == len(reading.ids) and all(0 < one <= 1 for one in reading.confidence)
        self.demand(fine, f"row {row} has confidences {reading.confidence} for {reading.ids}.")

    def test_narrow_beam(self) -> None:
        """Where the model is sure, a beam of 1 finds the best path; a beam below 1 is refused."""
        self.need("beam")
        decoder, paths = self.searching(), [[1, 1, 0, 1, 2, 2, 0], [0, 0, 3, 3, 3, 4, 5]]
        found = [list(row[0].ids) for row in decoder.hypotheses(*self.log_probs(paths), beam=1)]
        self.demand(found == [[1, 1, 2], [3, 4, 5]], f"a beam of 1 reads {paths} as {found}.")
        try:
            decoder.hypotheses(*self.log_probs(paths), beam=0)
        except StentorError:
            return
        self.fail("a beam of 0 is taken.")

    def test_what_it_cannot_do_is_refused(self) -> None:
        """A decoder that claims no ``beam`` or no ``hotwords`` refuses them in a `StentorError`."""
        given = {"beam": 4, "hotwords": [{"a": 1.0}]}
        for name in sorted(given.keys() - self.component_class.capabilities):
            try:
                self.searching().hypotheses(*self.log_probs([[1, 1]]), **{name: given[name]})
            except StentorError:
                continue
            self.fail(f"it does not claim '{name}' and takes it all the same.")

    def test_empty_rows(self) -> None:
        """A row without frames gives no ids."""
        found = self.searching().search(torch.zeros(1, 3, self.vocabulary_size).log_softmax(-1), torch.tensor([0]))
        self.demand(found == [[]], f"a row of length 0 gives {found}.")

    def test_waveform(self) -> None:
        """Waveforms [B, N] in [-1, 1], finite, with sample counts that fit; the same every time."""
        decoder = self.speaking()
        waveforms, counts = self.speak(decoder)
        self.demand(waveforms.ndim == 2 and waveforms.shape[0] == 2, f"two rows give {tuple(waveforms.shape)}.")
        self.demand(int(counts.max()) <= waveforms.shape[1], f"{counts.tolist()} samples in {tuple(waveforms.shape)}.")
        self.demand(bool(torch.isfinite(waveforms).all()), "the waveform holds NaN or infinite samples.")
        self.demand(float(waveforms.abs().max()) <= 1.0, f"the waveform peaks at {float(waveforms.abs().max()):.3g}.")
        self.demand(torch.equal(self.speak(decoder)[0], waveforms), "the same codes give two waveforms.")
        self.demand(decoder.sample_rate > 0, f"it declares sample rate {decoder.sample_rate}.")
