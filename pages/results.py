"""Results: the evidence, as far as it was run; the same rows as docs/results.md."""

from pages._parts import look
from pages._parts.evidence import choices, done, evidence_view, studies

look.header("Results", "Every setting, synthesizer and form, by seed. What was not run says so.")
if done():
    with look.backstage("choices", horizontal=True, gap="medium"):
        chosen = choices(studies())
    evidence_view(chosen)
else:
    look.empty("Nothing was measured yet", "In a terminal: python -m atesc_core study offline --seeds 5")
