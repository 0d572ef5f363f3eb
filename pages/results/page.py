"""Results: the evidence, as far as it was run; the same rows as docs/results.md."""

from pages.results.evidence import choices, done, evidence_view, studies
from pages.shared.ui import elements

elements.header("Results", "Every setting, synthesizer and form, by seed. What was not run says so.")
if done():
    with elements.hidden_when_presenting("choices", horizontal=True, gap="medium"):
        chosen = choices(studies())
    evidence_view(chosen)
else:
    elements.empty_state("Nothing was measured yet", "In a terminal: python -m atesc_core study offline --seeds 5")
