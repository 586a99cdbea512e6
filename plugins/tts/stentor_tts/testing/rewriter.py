"""The contract of rewriters."""

from __future__ import annotations

from typing import Any, ClassVar

from stentor.testing import ComponentContract


class RewriterContract(ComponentContract):
    """Checks for rewriters.

    Attributes:
        texts: what it is given.
    """

    kind = "rewriter"
    texts: ClassVar[tuple[str, ...]] = ("turn on the lamp", "It costs 12 dollars, [or | and] more!", "yes")

    def probe(self, component: Any) -> Any:
        return component.rewrite(list(self.texts))

    def test_forms(self) -> None:
        """Every text has a list of forms, each of them text with something in it; no text, no forms."""
        found = self.probe(self.build())
        self.demand(len(found) == len(self.texts), f"{len(self.texts)} texts give {len(found)} lists of forms.")
        for text, forms in zip(self.texts, found, strict=True):
            fine = isinstance(forms, list) and all(isinstance(form, str) and form.strip() for form in forms)
            self.demand(fine, f"{text!r} gives {forms!r:.80}, not a list of texts.")
        self.demand(self.build().rewrite([]) == [], "no texts give forms.")

    def test_deterministic(self) -> None:
        """Asked again, it and a new one give the same forms."""
        first = self.build()
        found = [self.probe(first), self.probe(first), self.probe(self.build())]
        self.demand(found[0] == found[1] == found[2], "asked again, it gives other forms.")

    def test_company_changes_nothing(self) -> None:
        """A text is rewritten alone as it is among others."""
        rewriter = self.build()
        alone = [rewriter.rewrite([text])[0] for text in self.texts]
        self.demand(alone == self.probe(rewriter), "a text has other forms alone than among others.")
