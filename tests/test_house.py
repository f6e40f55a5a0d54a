"""The house: the table of its folders is complete, and tests/ mirrors exporter/ file by file."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
# Values and types alone, or proved by the tests of the files beside them.
WITHOUT_TESTS = {
    "__main__.py",  # test_ending.py
    "ami/errors.py",
    "check_pbx/unread.py",
    "ledger/observation.py",
    "polling/clock.py",
    "polling/poll.py",
    "polling/snapshot.py",
    "settings/__main__.py",  # settings/test_reading.py
    "setup_pbx/refusal.py",
    "web/__main__.py",
}
# What belongs to more than one file.
OF_A_WHOLE_FOLDER = {
    "ami/test_hostile.py",
    "check_pbx/test_command.py",
    "demo/test_faults.py",
    "history/test_restarts.py",
    "polling/test_faults.py",
    "polling/test_reasons.py",
    "polling/test_states.py",
    "web/test_api.py",
    "web/test_hostile.py",
    "web/test_live.py",
    "web/test_look.py",
}


def test_the_house_table_has_every_folder_of_the_package() -> None:
    house_table = (ROOT / "CONTRIBUTING.md").read_text()
    house = house_table.partition("| in `exporter/`")[2].partition("\n\n")[0]
    for path in (ROOT / "exporter").iterdir():
        name = path.name + ("/" if path.is_dir() else "")
        if name not in ("__init__.py", "__pycache__/", "py.typed"):
            assert f"`{name}`" in house


def test_every_file_has_its_tests_where_one_looks_for_them() -> None:
    for file in (ROOT / "exporter").rglob("*.py"):
        name = file.relative_to(ROOT / "exporter")
        if name.name != "__init__.py":
            tests = ROOT / "tests" / name.with_name(f"test_{name.name}")
            assert tests.exists() is (name.as_posix() not in WITHOUT_TESTS), name


def test_each_file_of_tests_is_of_one_file_or_known_to_be_of_its_whole_folder() -> None:
    folders = [
        folder for folder in (ROOT / "exporter").iterdir() if (folder / "__init__.py").exists()
    ]
    for file in (
        file for folder in folders for file in (ROOT / "tests" / folder.name).glob("test_*.py")
    ):
        name = file.relative_to(ROOT / "tests")
        tested = ROOT / "exporter" / name.with_name(name.name.removeprefix("test_"))
        assert tested.exists() is (name.as_posix() not in OF_A_WHOLE_FOLDER), name
