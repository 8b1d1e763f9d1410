"""Files of container scripts: `containers:` alone, its list alone, or a scenario, of which the containers count."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from rayrig_core.errors import InputError
from rayrig_scenarios.language.container_scripts import ContainerScript, script_rule
from rayrig_scenarios.language.documents import Document, parse_documents, read_text
from rayrig_scenarios.language.model import Model
from rayrig_scenarios.language.problems import input_error
from rayrig_sim.kubernetes.kubelet.script_rules import ScriptRule


class ScriptFile(Model):
    """A file of scripts."""

    containers: list[ContainerScript] = Field(min_length=1)


def script_file(path: Path) -> tuple[ScriptRule, ...]:
    """The scripts in a file. Raises `InputError` with line, field and remedy."""
    documents = parse_documents(read_text(path), str(path))
    if len(documents) != 1:
        what = "there is nothing in it" if not documents else "there are several documents in it"
        raise InputError(what, where=str(path), remedy="write containers: and their scripts, once")
    document = documents[0]
    data = document.data
    if isinstance(data, list):
        # The lines of a list's entries are known by their places in it.
        lines = {("containers", *place): line for place, line in document.lines.items()}
        document = Document({"containers": data}, document.file, lines, document.first_line)
    elif isinstance(data, dict) and "steps" in data:
        document = Document(
            {"containers": data.get("containers") or []}, document.file, document.lines, document.first_line
        )
    if not isinstance(document.data, dict):
        raise InputError("this is no script", where=document.where(), remedy="write containers: and their scripts")
    try:
        found = ScriptFile.model_validate(document.data)
    except ValidationError as error:
        raise input_error(error, document) from None
    return tuple(script_rule(written) for written in found.containers)
