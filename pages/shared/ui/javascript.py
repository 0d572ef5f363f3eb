"""A component's JavaScript modules as the one text that Streamlit takes."""

import re
from pathlib import Path

IMPORT = re.compile(r'^import \{[^}]*\} from "(\./[\w./]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(async )?(function|class|const) )", re.MULTILINE)


def bundle(entry: Path) -> str:
    """Return a module and the modules that it imports as one module with the entry's default export.

    `st.components.v2.component` takes the source, not a file, so an import in it would have nothing to resolve
    against. Each module comes once, before those that import it, without its `import` lines and `export` words. All
    share one scope: two modules may not use the same name at the top, and may not import under another name.
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
