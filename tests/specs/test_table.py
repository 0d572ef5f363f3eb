"""The user guide's table of settings."""

from __future__ import annotations

from atesc_core.paths import IMPORT_ROOT
from atesc_core.specs.base import field_values
from atesc_core.specs.run import SYNTHESES, RunSpec
from atesc_core.specs.table import settings_table


def test_the_user_guide_has_every_setting_as_the_specs_have_it():
    guide = (IMPORT_ROOT / "docs" / "user-guide.md").read_text()
    _, _, rest = guide.partition("<!-- settings: written by python -m atesc_core.specs.table -->\n")
    table, _, _ = rest.partition("<!-- end of settings -->")
    assert table.strip() == settings_table().strip()


def test_no_setting_is_missing_from_the_table():
    table = settings_table()
    for kind, synthesis in SYNTHESES.items():
        spec = RunSpec(teacher="t").replaced({"synthesis.kind": kind})
        for path in field_values(spec.model_dump()):
            assert f"| `{path}` |" in table, path
        assert synthesis.__doc__
