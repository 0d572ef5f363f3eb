from __future__ import annotations

import torch

from atesc_core.distillation.additions.labels import overrepresented


def test_overrepresented_labels_by_hand():
    # Label 0 is 60 % of the robust and 20 % of the fragile; label 1 is 40 % and 40 %; label 2 never robust.
    assert overrepresented(torch.tensor([6.0, 4.0, 0.0]), torch.tensor([2.0, 4.0, 4.0])).tolist() == [
        True,
        False,
        False,
    ]
    assert not overrepresented(torch.zeros(3), torch.tensor([2.0, 4.0, 4.0])).any()
