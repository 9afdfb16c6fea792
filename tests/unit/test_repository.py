"""The house rules that a machine can check; CONTRIBUTING.md gives the reasons."""

import ast
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]

PYPI_NAMES = {"python-isal": "isal", "snakemake-minimal": "snakemake"}
"""Conda's names of packages that PyPI knows by another."""

CONDA_ONLY = {"aria2"}
"""Packages that are no Python package."""

SHIM_LINES = 15

MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home/\w+)\b")
REGISTRY = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|anaconda\.(?:org|com)|registry\.npmjs\.org"
    r"|proxy\.golang\.org|docker\.io|deb\.debian\.org)\b"
)


def project_files() -> list[Path]:
    """List the checkout's files, without what .gitignore leaves out."""
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [".git", *filter(None, lines)]

    def is_ignored(path: Path) -> bool:
        rooted = f"/{path.relative_to(ROOT)}"
        return any(
            fnmatch(rooted if pattern.startswith("/") else path.name, pattern)
            for pattern in (pattern.rstrip("/") for pattern in ignored)
        )

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if is_ignored(path):
                continue
            if path.is_dir():
                yield from walk(path)
            else:
                yield path

    return list(walk(ROOT))


FILES = project_files()
PYTHON_FILES = [path for path in FILES if path.suffix == ".py"]
RULE_FILES = sorted(ROOT.glob("rules/*.smk"))
SCRIPTS = sorted(ROOT.glob("scripts/*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def matches(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """List `file:line: text` for each line of text files that has the pattern."""
    found = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not a text
        found += [
            f"{name(path)}:{number}: {line.strip()}"
            for number, line in enumerate(text.splitlines(), start=1)
            if pattern.search(line)
        ]
    return found


# --- environments -----------------------------------------------------------------


def test_the_conda_environment_has_the_dependencies_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    expected = {
        requirement.name.lower(): requirement.specifier
        for requirement in map(Requirement, project["dependencies"])
    }
    python = Requirement(f"python{project['requires-python']}")
    expected["python"] = python.specifier

    environment = yaml.safe_load((ROOT / "envs/bhds.yaml").read_text())
    conda = list(map(Requirement, environment["dependencies"]))

    assert {
        PYPI_NAMES.get(requirement.name, requirement.name): requirement.specifier
        for requirement in conda
        if requirement.name not in CONDA_ONLY
    } == expected
    assert {requirement.name for requirement in conda} >= CONDA_ONLY


def test_every_dependency_has_an_upper_bound():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = content["project"]
    texts = [
        *content["build-system"]["requires"],
        *project["dependencies"],
        *(
            text
            for extra in project["optional-dependencies"].values()
            for text in extra
        ),
        *yaml.safe_load((ROOT / "envs/bhds.yaml").read_text())["dependencies"],
        f"python{project['requires-python']}",
    ]

    unbounded = [
        str(requirement)
        for requirement in map(Requirement, texts)
        if requirement.name != project["name"]
        and not any(each.operator in {"<", "=="} for each in requirement.specifier)
    ]

    assert len(texts) > 40
    assert unbounded == []


# --- Snakemake's workflow catalogue --------------------------------------------------


def test_the_workflow_meets_the_rules_of_the_workflow_catalogue():
    """Rules for standardized usage, as of its README on 2026-11-25."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()

    assert "snakemake" in readme
    assert "workflow" in readme
    assert (ROOT / "workflow" / "Snakefile").is_file()
    assert (ROOT / "config" / "README.md").is_file()
    assert (ROOT / "LICENSE").is_file()
    assert list(ROOT.glob("rules/*.smk"))


def test_the_workflow_catalogue_is_told_how_to_deploy_the_workflow():
    content = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    usage = content.pop("usage")

    assert content == {}
    assert usage.keys() == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["mandatory-flags"].keys() == {"desc", "flags"}
    assert usage["software-stack-deployment"] == {
        "conda": (ROOT / "envs" / "bhds.yaml").is_file(),
        "apptainer": False,
        "apptainer+conda": False,
    }
    profile = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    assert usage["mandatory-flags"]["flags"].split() == [
        "--rerun-incomplete",
        *("--rerun-triggers", *profile["rerun-triggers"]),
    ]
    assert profile["rerun-incomplete"]


# --- layers -----------------------------------------------------------------------


def code_lines(path: Path) -> int:
    """Count the lines of a Python file that are no docstring, comment or blank."""
    layout = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
    with tokenize.open(path) as file:
        lines = {
            line
            for token in tokenize.generate_tokens(file.readline)
            if token.type not in layout
            for line in range(token.start[0], token.end[0] + 1)
        }
    tree = ast.parse(path.read_bytes())
    if ast.get_docstring(tree) is not None:
        docstring = tree.body[0]
        lines -= set(range(docstring.lineno, docstring.end_lineno + 1))
    return len(lines)


def is_job_log(node: ast.AST) -> bool:
    return isinstance(node, ast.With) and any(
        isinstance(item.context_expr, ast.Call)
        and ast.unparse(item.context_expr.func).endswith("job_log")
        for item in node.items
    )


def test_a_script_is_a_shim():
    for script in SCRIPTS:
        tree = ast.parse(script.read_bytes())

        assert ast.get_docstring(tree), f"{name(script)}: write what the job makes"
        assert code_lines(script) <= SHIM_LINES, f"{name(script)}: move it into bhds"
        assert sum(map(is_job_log, ast.walk(tree))) == 1, f"{name(script)}: job_log"


def test_the_package_has_never_heard_of_snakemake():
    package = [path for path in PYTHON_FILES if path.is_relative_to(ROOT / "bhds")]

    assert matches(re.compile(r"^\s*(?:from|import)\s+snakemake\b"), package) == []


def test_nothing_imports_a_script():
    imports = re.compile(r"^\s*(?:from|import)\s+scripts\b")

    assert matches(imports, PYTHON_FILES + RULE_FILES) == []


# --- rules ------------------------------------------------------------------------

RULE = re.compile(r"^(?P<indent> *)(?:rule|checkpoint)(?: +(?P<name>\w+))?:", re.M)
GIVEN_NAME = re.compile(r'\bname:\s*f?"(?P<name>\w+?)(?:_\{[^"]*)?"')
SCRIPT = re.compile(r'\bscript:\s*"(?P<path>[^"]*)"')
LOG = re.compile(r'\blog:\s*f?"(?P<path>[^"]*)"')


def acting_rules() -> list[tuple[str, str]]:
    """List name and text of each rule that runs a script.

    A rule made in a loop has its name without the part that the loop counts:
    `fetch_archives` for `name: f"fetch_archives_{number}"`.
    """
    found = []
    for path in RULE_FILES:
        text = path.read_text()
        for match in RULE.finditer(text):
            end = re.compile(rf"^ {{0,{len(match['indent'])}}}\S", re.M)
            next_block = end.search(text, match.end())
            body = text[match.end() : next_block.start() if next_block else None]
            given = GIVEN_NAME.search(body)
            if SCRIPT.search(body):
                rule = match["name"] or (given["name"] if given else "")
                found.append((rule, body))
    return found


def test_rule_script_and_log_folder_share_one_name():
    rules = acting_rules()

    assert {path.stem for path in SCRIPTS} == {rule for rule, _ in rules}
    for rule, body in rules:
        log = LOG.search(body)
        assert SCRIPT.search(body)["path"] == f"../scripts/{rule}.py"
        assert log, f"{rule}: keep a log"
        assert log["path"].startswith(f"logs/{rule}/"), rule


def test_jobs_start_without_what_most_of_them_do_not_need():
    """Thousands of jobs a run: each of these costs a start a third of itself."""
    scripts = [path.read_text() for path in SCRIPTS if path.stem != "write_report"]
    lines = re.findall(r"^(?:from|import) .*$", "\n".join(scripts), re.M)
    check = (
        "import sys\n"
        "slow = {'aiohttp', 'numpy', 'plotly', 'pyarrow'} & set(sys.modules)\n"
        "assert not slow, slow"
    )

    program = "\n".join([*sorted(set(lines)), check])
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)

    assert "from bhds.stages import parse" in lines
    assert done.returncode == 0


def test_every_target_says_in_one_line_that_it_is_there():
    """Without a message, Snakemake would list all that it is: 100,000 files."""
    text = (ROOT / "rules" / "targets.smk").read_text()
    targets = re.findall(r"^rule (\w+):\n((?: .*\n|\n)+)", text, re.M)
    snakefile = (ROOT / "Snakefile").read_text()
    targets += re.findall(r"^rule (all):\n((?: .*\n|\n)+)", snakefile, re.M)

    assert "all" in dict(targets)
    assert [name for name, body in targets if "    message:" not in body] == []


def test_rules_hold_no_code_of_their_own():
    rules = [path for path in RULE_FILES if path.name != "common.smk"]

    assert matches(re.compile(r"^\s*(?:def |run:)|\blambda\b"), rules) == []


# --- all files --------------------------------------------------------------------


READ = re.compile(r"(pl|polars)\.(read|scan)_(parquet|csv|ipc|ndjson)")


def expanding_reads(path: Path) -> list[str]:
    """List the calls of a file in which Polars reads `*`, `?` and `[` of a path."""
    text = path.read_text(encoding="utf-8")
    if not READ.search(text):
        return []
    return [
        f"{name(path)}:{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and READ.fullmatch(ast.unparse(node.func))
        and "glob=False" not in map(ast.unparse, node.keywords)
    ]


def test_no_path_is_read_as_a_pattern():
    """Names of symbols come from outside: `J*USDT` is not to be read as `JXUSDT`."""
    folders = ("bhds", "scripts", "benchmarks")
    paths = [path for path in PYTHON_FILES if name(path).startswith(folders)]
    reads = re.compile(r"from polars import .*(read|scan)_|\b(read|scan)_\w+\(.*\*/")

    assert [call for path in paths for call in expanding_reads(path)] == []
    assert matches(reads, [*paths, *RULE_FILES]) == []


def test_no_file_names_a_path_of_one_machine():
    assert matches(MACHINE_PATH, FILES) == []


def test_no_file_names_a_package_registry():
    assert matches(REGISTRY, FILES) == []


def test_layout_alone_spells_paths_of_the_data_directory():
    path = re.compile(r"\"[^\"`]*\b(?:(?:aws|parsed|api|results)_data/|\.pqt\b)")
    files = [each for each in PYTHON_FILES if name(each).startswith("bhds/")]
    files.remove(ROOT / "bhds" / "layout.py")

    assert matches(path, [*files, *RULE_FILES]) == []
