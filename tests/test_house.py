"""The house: the table of its rooms is complete, and tests/ mirrors exporter/ file by file."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
# Values and types alone, or proved by the tests of the files beside them.
WITHOUT_TESTS = {
    "__main__.py",  # test_main.py
    "ami/errors.py",
    "check_pbx/unread.py",
    "ledger/observation.py",
    "polling/clock.py",
    "polling/status.py",
}
# What belongs to more than one file.
OF_A_WHOLE_ROOM = {
    "ami/test_hostile.py",
    "check_pbx/test_command.py",
    "demo/test_faults.py",
    "polling/test_faults.py",
    "polling/test_states.py",
    "web/test_api.py",
}


def test_the_house_table_has_every_room_of_the_package() -> None:
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


def test_in_a_room_of_tests_each_file_is_of_one_file_or_known_to_be_of_all() -> None:
    rooms = [room for room in (ROOT / "exporter").iterdir() if (room / "__init__.py").exists()]
    for file in (file for room in rooms for file in (ROOT / "tests" / room.name).glob("test_*.py")):
        name = file.relative_to(ROOT / "tests")
        tested = ROOT / "exporter" / name.with_name(name.name.removeprefix("test_"))
        assert tested.exists() is (name.as_posix() not in OF_A_WHOLE_ROOM), name
