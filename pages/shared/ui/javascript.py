"""Joins a component's JavaScript modules into one text, because Streamlit accepts no more."""

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{[^}]*\} from "(\./[\w./]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(async )?(function|class|const) )", re.MULTILINE)


def bundle(entry: Path) -> str:
    """Return the module `entry` and all modules that it imports as one module, with the default export of `entry`.

    `st.components.v2.component` takes source text, not a file, so a relative import in it cannot be resolved. Each
    module comes once, before the modules that import it, without its `import` lines and `export` keywords. All modules
    then share one scope: two modules must not use the same top-level name, and an import must not rename.
    """
    sources: dict[Path, str] = {}
    _collect(entry.resolve(), sources)
    return "\n".join(sources.values())


def _collect(path: Path, sources: dict[Path, str]) -> None:
    source = path.read_text()
    for imported in (path.parent / name for name in IMPORT.findall(source)):
        if imported.resolve() not in sources:
            _collect(imported.resolve(), sources)
    sources[path] = EXPORT.sub("", IMPORT.sub("", source))
