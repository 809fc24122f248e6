"""Documentation that can be checked against the code is checked here."""

from __future__ import annotations

import ast
import configparser
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import deepspace
from deepspace.kit.errors import PlatformError
from deepspace.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
SKIPPED = {"node_modules", ".venv", ".git", ".cache", ".deepspace", ".pytest_cache", "dist"}
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in ROOT.rglob("*.md")
    if not SKIPPED & set(page.relative_to(ROOT).parts)
)
READMES = ("README.md", "README.zh-CN.md")

_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


def read(path: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the fenced code blocks as (language, body)."""
    return [(match[2], match[3]) for match in _FENCE.finditer(text)]


def prose(text: str) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", text)


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of every table row but the head and the rule."""
    lines = prose(text).splitlines()
    for number, line in enumerate(lines):
        follows_rule = number + 1 < len(lines) and set(lines[number + 1]) <= set("|- ") and lines[number + 1]
        if line.startswith("|") and set(line) - set("|- ") and not follows_rule:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def definitions(path: Path) -> set[str]:
    """Return the names a module defines: `Class`, `Class.method`, `function`, `CONSTANT`."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                found.add(prefix + node.name)
                visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(prefix + node.name)
            elif isinstance(node, ast.Assign):
                found.update(prefix + target.id for target in node.targets if isinstance(target, ast.Name))

    visit(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


def tree(text: str) -> dict[str, str]:
    """Return the paths drawn in ARCHITECTURE.md's tree, each with what is said of it."""
    drawing = next(body for _, body in blocks(text) if "deepspace/  " in body)
    found: dict[str, str] = {}
    stack: list[str] = []
    for line in drawing.splitlines():
        name, _, meaning = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        stack[depth:] = [name]
        found["".join(stack)] = meaning.strip()
    return found


def test_every_path_in_the_tree_exists_and_is_explained() -> None:
    drawn = tree(read("ARCHITECTURE.md"))
    assert len(drawn) > 30
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    assert [path for path, meaning in drawn.items() if len(meaning) < 8] == []


def test_every_room_is_in_the_tree() -> None:
    rooms = {f"{init.parent.relative_to(ROOT).as_posix()}/" for init in ROOT.glob("deepspace/**/*.py")}
    assert rooms - set(tree(read("ARCHITECTURE.md"))) == set()


def test_the_import_law_on_paper_is_the_one_that_is_enforced() -> None:
    law = configparser.ConfigParser()
    law.read_string(read(".importlinter"))
    enforced = law["importlinter:contract:layers"]["layers"].split("\n")
    written = next(body for _, body in blocks(read("ARCHITECTURE.md")) if body.startswith("cli"))
    assert written.strip().splitlines() == [line for line in enforced if line]


def test_the_request_path_names_what_is_there() -> None:
    checked = 0
    for step, _, files, names in (row for row in rows(read("docs/request-path.md")) if len(row) == 4):
        paths = [ROOT / path for path in _CODE.findall(files)]
        assert [path for path in paths if not path.is_file()] == [], step
        known = set().union(*(definitions(path) for path in paths))
        assert set(_CODE.findall(names)) - known == set(), step
        checked += len(paths)
    assert checked > 30


def test_the_request_path_names_every_step() -> None:
    steps = {path.name for path in (ROOT / "deepspace/pipeline/steps").glob("*.py")} - {"__init__.py"}
    page = read("docs/request-path.md")
    assert [name for name in steps if f"deepspace/pipeline/steps/{name}" not in page] == []


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_code_marks_exist(page: str) -> None:
    roots = "deepspace|tests|docs|bench|apps|packages|deploy|examples|api|requirements"
    paths = [
        code
        for code in _CODE.findall(prose(read(page)))
        if re.fullmatch(rf"(?:{roots})/[\w./-]+\.\w+|(?:{roots})/[\w./-]*/", code)
    ]
    made_later = {"deploy/.env"}
    assert [path for path in paths if not (ROOT / path).exists() and path not in made_later] == []


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_resolve(page: str) -> None:
    broken: list[str] = []
    for link in _LINK.findall(prose(read(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    assert broken == []


def test_both_readmes_have_the_same_code_blocks() -> None:
    english, chinese = (blocks(read(page)) for page in READMES)
    assert len(english) >= 8
    assert english == chinese


@pytest.mark.parametrize("page", READMES)
def test_the_two_commands_stand_at_the_top(page: str) -> None:
    language, body = blocks(read(page))[0]
    assert language == "sh"
    assert [line.split("#")[0].strip() for line in body.splitlines()] == ["make up", "make test"]
    assert read(page).index("make up") < 200


def test_make_targets_on_paper_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", read("Makefile"), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for code in (*_CODE.findall(prose(read(page))), *(body for _, body in blocks(read(page))))
        for target in re.findall(r"^make ([a-z]+)", code, re.MULTILINE)
    }
    assert {"up", "test", "check", "bench"} <= named
    assert named - targets == set()


def stem(name: str) -> str:
    """Return the setting that a nested name (DEEPSPACE_SMTP__URL) is a part of."""
    return name.partition("__")[0]


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    example = re.findall(r"^#? ?([A-Z_]+)=", read(".env.example"), re.MULTILINE)
    assert sorted(example) == sorted(set(example)), "a setting stands there twice"
    assert {stem(name) for name in example} == settings


def test_the_example_states_the_defaults() -> None:
    stated = dict(re.findall(r"^# ([A-Z_]+)=(\S+)$", read(".env.example"), re.MULTILINE))
    for name, setting in Settings.model_fields.items():
        if setting.default is not None:
            assert stated[f"{PREFIX}{name.upper()}"] == str(setting.default), name


def test_settings_named_in_the_documentation_exist() -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}CONFIG"}
    named = {stem(name) for page in PAGES for name in re.findall(rf"{PREFIX}[A-Z_]+[A-Z]", read(page))}
    assert named
    assert named - known == set()


def errors() -> set[tuple[str, int]]:
    """Return (code, status) of every error the package defines."""
    for module in pkgutil.walk_packages(deepspace.__path__, "deepspace."):
        if not re.search(r"__main__|migrations\.", module.name):
            importlib.import_module(module.name)
    found: set[tuple[str, int]] = set()
    waiting: list[type[PlatformError]] = [PlatformError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("deepspace."):
            found.add((kind.code, kind.status))
    return found


def test_every_error_is_explained_and_every_explanation_has_its_error() -> None:
    table = {
        (_CODE.findall(row[0])[0], int(row[1])): row[2:]
        for row in rows(read("docs/errors.md"))
        if len(row) == 4
    }
    known = errors()
    assert known - set(table) == set(), "without a row in docs/errors.md"
    assert set(table) - known == set(), "in docs/errors.md, but in no code"
    assert [error for error, texts in table.items() if not all(texts)] == []


def test_every_glossary_term_is_in_use() -> None:
    terms = [row[0] for row in rows(read("docs/glossary.md")) if len(row) == 2]
    assert len(terms) > 60
    assert sorted(terms) == sorted(set(terms)), "a term has two meanings"
    sources = [path.read_text(encoding="utf-8") for path in ROOT.glob("deepspace/**/*.py")]
    sources += [read(page) for page in PAGES if page != "docs/glossary.md"]
    text = re.sub(r"\s+", " ", "\n".join(sources).lower().replace("_", " "))
    unused = [term for term in terms if not re.search(rf"\b{re.escape(term.lower())}(?:s|es|d|ed)?\b", text)]
    assert unused == []


def test_every_decision_is_listed_and_has_its_four_parts() -> None:
    pages = sorted(path.name for path in (ROOT / "docs/decisions").glob("0*.md"))
    assert [name[:4] for name in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    index = read("docs/decisions/README.md")
    for name in pages:
        text = read(f"docs/decisions/{name}")
        assert f"({name})" in index
        assert [
            part
            for part in ("Context", "Decision", "Alternatives", "What keeps it")
            if f"**{part}.**" not in text
        ] == []


def test_the_licence_is_whole() -> None:
    text = read("LICENSE")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert text.rstrip().endswith("limitations under the License.")
