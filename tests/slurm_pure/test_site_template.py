"""The site's template: what it chooses for which phase, what wins, and what is said of a file that is wrong."""

from pathlib import Path

import pytest

from pypcore.errors import UsageError
from pypcore.resources import Placement, Resources
from pypcore.slurm.template import Template, find_site, parse_template, read_site, read_template

SITE = """
[default]
partition = "cpu"
account = "cryoem"
extra_lines = ["--mail-type=FAIL"]
setup = ["module purge", "module load cuda/12"]

[merge]
partition = "short"
qos = "fast"

[gres.gpu]
partition = "gpu"
constraint = "gpu80g"

[gres."gpu:H100"]
partition = "hopper"
extra_lines = ["--switches=1"]
setup = ["export NCCL_DEBUG=WARN"]
"""


def resources(**parts: object) -> Resources:
    return Resources.from_dict({**parts})


def test_the_more_special_table_wins() -> None:
    site = parse_template(SITE).place(
        resources(split={"gres": "gpu:H100:2"}, merge={"gres": "gpu:1"}, launch={"gres": "shard:1"})
    )
    assert site.placements["launch"] == Placement("cpu", "cryoem", extra_lines=("--mail-type=FAIL",))
    assert site.placements["merge"].partition == "gpu"  # what it runs on matters more than which phase it is
    assert site.placements["merge"].qos == "fast"
    split = site.placements["split"]
    assert (split.partition, split.constraint, split.qos) == ("hopper", "gpu80g", None)


def test_lines_are_added_up_and_the_users_come_last() -> None:
    given = resources(split={"gres": "gpu:H100:2"}, placement={"extra_lines": ["--mail-type=END"]})
    site = parse_template(SITE).place(given)
    assert site.placements["split"].extra_lines == ("--mail-type=FAIL", "--switches=1", "--mail-type=END")
    assert site.placements["merge"].extra_lines == ("--mail-type=FAIL", "--mail-type=END")
    assert site.setup["split"] == ["module purge", "module load cuda/12", "export NCCL_DEBUG=WARN"]
    assert site.setup["merge"] == ["module purge", "module load cuda/12"]


def test_the_users_own_options_win() -> None:
    given = resources(split={"gres": "gpu:H100:2"}, placement={"partition": "mine", "account": "other"})
    site = parse_template(SITE).place(given)
    assert {place.partition for place in site.placements.values()} == {"mine"}
    assert {place.account for place in site.placements.values()} == {"other"}
    assert site.placements["merge"].qos == "fast"


def test_without_a_template_the_users_options_hold() -> None:
    given = resources(placement={"partition": "mine"})
    site = Template().place(given)
    assert set(site.placements.values()) == {given.placement}
    assert set(map(tuple, site.setup.values())) == {()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[defualt]", "unknown table 'defualt'; did you mean 'default'?"),
        ("[split]\npartitoin = 'a'", "[split] unknown key 'partitoin'; did you mean 'partition'?"),
        ("[gres.gpu]\nacount = 'a'", "[gres.\"gpu\"] unknown key 'acount'; did you mean 'account'?"),
        ("default = 'cpu'", "default 'cpu' is not a table"),
        ("gres = ['gpu']", "gres ['gpu'] is not a table"),
        ("[default]\npartition = 3", "[default] partition 3 is not a name"),
        ("[default]\npartition = 'a b'", "[default] partition 'a b' is not a name"),
        ("[default]\nextra_lines = '--x'", "[default] extra_lines '--x' is not a list"),
        ("[default]\nsetup = 'module load x'", "[default] setup 'module load x' is not a list"),
        ('[default]\nsetup = ["a\\nb"]', "[default] setup 'a\\nb': one line of shell each"),
        ("[default]\nsetup = ['#SBATCH --x']", "sbatch options belong in extra_lines"),
        ("[gres.\"gpu:2\"]\nqos = 'a'", "names a count; write [gres.gpu]"),
        ("[gres.\"gpu:H100:2\"]\nqos = 'a'", "gres type 'H100:2' has characters no type has"),
        ("[gres.GPU]\nqos = 'a'", "case-sensitive"),
        ("[default", "Expected ']'"),
    ],
)
def test_a_wrong_file_is_one_line_that_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "site.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_template(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_type_that_is_a_number_is_no_count() -> None:
    assert set(parse_template("[gres.'gpu:1080']\npartition = 'old'").gres) == {"gpu:1080"}


def test_the_projects_file_is_taken_before_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    project, users = tmp_path / "project", tmp_path / "home/.config/pypcore/site.toml"
    project.mkdir()
    users.parent.mkdir(parents=True)
    assert read_site(None, project) == Template()
    users.write_text("[default]\naccount = 'users'")
    assert find_site(None, project) == users
    (project / "pypcore-site.toml").write_text("[default]\naccount = 'projects'")
    assert read_site(None, project).default.placement.account == "projects"
    other = tmp_path / "other.toml"
    other.write_text("[default]\naccount = 'others'")
    assert read_site(other, project).default.placement.account == "others"
    with pytest.raises(UsageError, match=r"nowhere\.toml: No such file"):
        read_site(tmp_path / "nowhere.toml", project)
    other.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"other\.toml"):
        read_site(other, project)
