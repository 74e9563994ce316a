"""The documents say what the code does."""

import re
from pathlib import Path

import pytest
import typer
from served import Served

from flows.cli import app
from retrieval.rules import DAY_RULES, Rules
from retrieval.schema import CONTRACTS, TEXT_MAP, Column, TableContract
from validation.reasons import REASONS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CONTRACT = (ROOT / "docs" / "data-contract.md").read_text()


def documented_type(column: Column) -> str:
    return "map<string, string>" if column.type == TEXT_MAP else str(column.type)


def table_after(heading: str, text: str) -> list[list[str]]:
    section = re.split(rf"^#+ {heading}$", text, flags=re.MULTILINE)[1].split("\n#", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=lambda contract: contract.kind)
def test_the_data_contract_lists_the_columns_of_the_schema(contract: TableContract) -> None:
    expected = [
        [column.name, documented_type(column), "yes" if column.required else "no", column.meaning]
        for column in contract.columns
    ]
    assert table_after(contract.kind, CONTRACT) == expected


def bounds(rule: str) -> str:
    low, high = Rules().bounds_of(rule)
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"


def test_the_data_contract_lists_every_rule_with_its_severity_and_default() -> None:
    expected = [[name, rule.about, rule.severity, bounds(name), rule.meaning] for name, rule in DAY_RULES.items()]
    assert table_after("What happens to a bad day", CONTRACT) == expected


def test_the_data_contract_lists_every_reason() -> None:
    assert dict(table_after("What happens to a row", CONTRACT)) == REASONS


def test_the_readme_names_every_command() -> None:
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for leaf in getattr(command, "commands", {"": None}):
            assert f"lamplighter {name} {leaf}".strip() in README


def test_the_readme_s_tree_names_every_module_that_there_is() -> None:
    tree = README.split("## The tree", 1)[1]
    for package in ("flows", "tasks", "storage", "validation", "retrieval"):
        for module in [
            *(ROOT / package).glob("*.py"),
            *(ROOT / package).glob("logs/*.py"),
            *(ROOT / package).glob("releases/*.py"),
        ]:
            if module.name != "__init__.py":
                assert module.name in tree, f"{module.relative_to(ROOT)} is missing in the README's tree"


def test_every_link_between_documents_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_readme_s_service_runs_as_it_is_written(
    released: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (snippet,) = re.findall(
        r"```python\n(.*?)```", README.split("## Serve a release", 1)[1].split("\n## ", 1)[0], re.DOTALL
    )
    monkeypatch.chdir(released.root.parents[1])
    exec(snippet, {})
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 6 and all(released.latter in line for line in said)
