"""What the parameters of a notebook are: strict settings from its parameters cell.

A parameters cell is a code cell whose first line starts with `# Parameters`, which is also how papermill marks the cell
it injects.
"""

import ast
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import Field

from anysleep.settings import ParameterError, ProjectPath, Strict

MARK = "# Parameters"


class Parameters(Strict):
    """What all notebooks share."""

    notebook: ClassVar[str]
    execution_only: ClassVar[frozenset[str]] = frozenset({"run_dir", "device", "n_jobs", "shard"})
    """Parameters that change where and how fast a run happens, not what it finds."""

    run_dir: ProjectPath = Field(description="Folder for everything this run writes.")

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Self:
        """The parameters of the running notebook: call as `from_notebook(globals())` after the parameters cell.

        Every name assigned in a parameters cell must be a parameter, so that a misspelt one stops the run. Of a cell
        that was corrected and run again, the last version counts.
        """
        cells = {cell.splitlines()[0]: cell for cell in namespace.get("In", []) if cell.startswith(MARK)}
        names = {name for cell in cells.values() for name in _assigned_names(cell)} | set(cls.model_fields)
        return cls(**{name: namespace[name] for name in names if name in namespace})

    @property
    def folder(self) -> Path:
        """Where the run writes: `run_dir`; a shard, which publishes nothing, a folder of its own below."""
        shard = getattr(self, "shard", "")
        return self.run_dir / "shards" / shard.replace("/", "-of-") if shard else self.run_dir

    def plain(self) -> dict[str, object]:
        """As JSON and YAML can hold it."""
        return self.model_dump(mode="json")

    @property
    def run_id(self) -> str:
        """Twelve hexadecimal digits of what decides the result: notebook and parameters, not folder or device."""
        deciding = {name: value for name, value in self.plain().items() if name not in self.execution_only}
        text = json.dumps([self.notebook, deciding], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def notebook_defaults(path: str | Path) -> dict[str, object]:
    """Names and values of a notebook's parameters cell. ParameterError where one is not a literal."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    source = next("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    defaults = {}
    for node in ast.parse(source).body:
        try:
            defaults[node.target.id] = ast.literal_eval(node.value)  # type: ignore[attr-defined]
        except (AttributeError, ValueError) as error:
            raise ParameterError(
                f"{path}, parameters cell: line {node.lineno} is not `name: type = literal`"
            ) from error
    return defaults


def _assigned_names(cell: str) -> set[str]:
    targets = []
    for node in ast.parse(cell).body:
        targets += node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
