"""Results: the evidence of all finished runs of the studies, from the same rows as docs/results.md."""

from pages.results.evidence import available_studies, choose, evidence_view, run_count
from pages.shared.ui import elements

elements.header("Results", "Every setting, synthesizer and form, by seed. What was not run says so.")
if run_count():
    with elements.hidden_when_presenting("choices", horizontal=True, gap="medium"):
        choice = choose(available_studies())
    evidence_view(choice)
else:
    elements.empty_state("Nothing was measured with these teachers yet", "In a terminal: atesc study offline --seeds 5")
