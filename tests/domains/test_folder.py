from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from PIL import Image

from atesc_core.domains import domain_classes, folder_name, make_pair
from atesc_core.domains import folder as folders
from atesc_core.domains.loading import class_samples, load_domain, load_pair
from atesc_core.errors import DomainError
from tests.support.splits import assert_disjoint


def save(path, colour=(0, 0, 0), size=(20, 20), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


@pytest.fixture
def pictures(tmp_path, data_folder):
    """Ten pictures of red, ten of green; beside them what is no picture."""
    for i in range(10):
        save(tmp_path / "my pictures" / "red" / f"{i}.png", (255, i, 0))
        save(tmp_path / "my pictures" / "Green" / f"{i}.JPG", (0, 255, 0))
    (tmp_path / "my pictures" / "notes.txt").write_text("not a class")
    (tmp_path / "my pictures" / "red" / "notes.txt").write_text("not a picture")
    (tmp_path / "my pictures" / ".hidden").mkdir()
    return tmp_path / "my pictures"


def test_a_folder_is_a_domain(pictures):
    domain = load_domain(folder_name(pictures), 16)
    assert domain.classes == ("Green", "red")
    assert domain_classes(folder_name(pictures)) == domain.classes
    parts = (domain.train, domain.validation, domain.test)
    assert [len(part) for part in parts] == [12, 4, 4]
    for part in parts:
        assert part.images.shape[1:] == (3, 16, 16)
        green = part.images[part.labels == 0]
        assert (green[:, 1] > 0.98).all()  # JPEG
        red = part.images[part.labels == 1]
        assert (red[:, 0] == 1).all()
        assert (red[:, 2] == 0).all()
    shades = [(part.images[part.labels == 1][:, 1, 0, 0] * 255).round().int().tolist() for part in parts]
    assert sorted(chain(*shades)) == list(range(10))  # each image is in one part


def test_its_samples_are_an_image_of_each_class(pictures):
    images, classes = class_samples(folder_name(pictures), 16)
    assert classes == ("Green", "red")
    assert images.shape == (2, 3, 16, 16)
    assert (images[0, 1] > 0.98).all()
    assert (images[1, 0] == 1).all()
    assert class_samples(folder_name(pictures), 16, most=1)[1] == ("Green",)


def test_reading_it_tells_how_far_it_is(pictures):
    told = []
    folders.read_folder(folders.open_folder(folder_name(pictures)), 16, lambda read, of: told.append((read, of)))
    assert told == [(read, 20) for read in range(1, 21)]


def test_its_split_is_fixed_and_its_images_are_read_once(pictures, monkeypatch):
    folder = folders.open_folder(folder_name(pictures))
    first = folders.read_folder(folder, 16)
    monkeypatch.setattr(folders, "_read", lambda *_: pytest.fail("read again"))
    again = folders.read_folder(folder, 16)
    assert all(np.array_equal(a, b) for a, b in zip(chain(*first), chain(*again), strict=True))


def test_a_changed_folder_is_read_again(pictures):
    before = load_domain(folder_name(pictures), 16)
    assert load_domain(folder_name(pictures), 16) is before
    for i in range(10):
        save(pictures / "blue" / f"{i}.png", (0, 0, 255))
    assert load_domain(folder_name(pictures), 16).classes == ("blue", "Green", "red")


def test_the_middle_square_is_seen_upright_and_transparency_is_no_error(pictures):
    wide = Image.new("RGB", (60, 20), (0, 0, 255))
    wide.paste((255, 0, 0), (20, 0, 40, 20))
    upright = Image.Exif()
    upright[0x0112] = 6  # a camera held on its side
    for i in range(5):
        (pictures / "wide").mkdir(exist_ok=True)
        wide.save(pictures / "wide" / f"{i}.png", exif=upright)
        (pictures / "clear").mkdir(exist_ok=True)
        Image.new("RGBA", (9, 9), (0, 255, 0, 128)).save(pictures / "clear" / f"{i}.webp", lossless=True)
    domain = load_domain(folder_name(pictures), 20)
    label = domain.classes.index("wide")
    assert (domain.test.images[domain.test.labels == label][0].mean((1, 2)).tolist()) == [1, 0, 0]


def test_its_names_never_become_paths_of_ours(pictures, data_folder):
    folders.read_folder(folders.open_folder(folder_name(pictures)), 16)
    assert [file.name for file in data_folder.rglob("*") if "pictures" in file.name] == []
    assert len(list((data_folder / "made").glob("folder-*.npz"))) == 1


def test_a_folder_is_either_domain_of_a_pair(pictures):
    name = folder_name(pictures)
    as_ood = load_pair(make_pair("open", "digits", name, 5).name, 16)
    assert (as_ood.ood.name, as_ood.pair.target, as_ood.pair.offline) == (name, 5, True)
    as_id = load_pair(make_pair("backdoor", name, "badnet_sq", 1).name, 16)
    assert [set(part.labels.tolist()) for part in (as_id.ood.validation, as_id.ood.test)] == [{0}, {0}]
    with pytest.raises(DomainError, match="target: 2: expected a class of .*, 0 to 1"):
        make_pair("backdoor", name, "badnet_sq", 2)


def test_close_set_needs_the_same_class_names(pictures, tmp_path):
    for i in range(5):
        save(tmp_path / "same" / "RED" / f"{i}.png")
        save(tmp_path / "same" / "green" / f"{i}.png")
        save(tmp_path / "other" / "red" / f"{i}.png")
        save(tmp_path / "other" / "blue" / f"{i}.png")
    with pytest.raises(DomainError, match=r"has 2 .Green, red.; .*other has 2 .blue, red."):
        make_pair("close", folder_name(pictures), folder_name(tmp_path / "other"))
    pair = make_pair("close", folder_name(pictures), folder_name(tmp_path / "same"))
    assert load_pair(pair.name, 16).ood.classes == ("green", "RED")


def bad_file(pictures):
    (pictures / "red" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")


def cut_short(pictures):
    Image.effect_noise((60, 60), 90).save(pictures / "red" / "3.png")
    whole = (pictures / "red" / "3.png").read_bytes()
    (pictures / "red" / "3.png").write_bytes(whole[: len(whole) // 2])


def disguised(pictures):
    (pictures / "red" / "3.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")


def deep(pictures):
    Image.new("I;16", (9, 9), 40_000).save(pictures / "red" / "3.png")


def huge(pictures):
    Image.new("1", (8000, 8000)).save(pictures / "red" / "3.png")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (bad_file, "red/3.png: not a readable image"),
        (cut_short, "red/3.png: not a readable image"),
        (disguised, "red/3.png: not a readable image"),
        (deep, "red/3.png: I;16 pixels, not 8-bit"),
        (huge, "red/3.png: 8000 × 8000 pixels, more than 50 million"),
    ],
)
def test_a_bad_image_is_named(pictures, spoil, message):
    spoil(pictures)
    with pytest.raises(DomainError, match=f"1 of 20 images cannot be used: {message}"):
        load_domain(folder_name(pictures), 16)


def test_of_many_bad_images_the_first_are_named(pictures, monkeypatch):
    monkeypatch.setattr(folders, "MAX_FILE_BYTES", 10)
    with pytest.raises(DomainError, match="20 of 20 images cannot be used: .*more than 0 MB.* and 15 more"):
        load_domain(folder_name(pictures), 16)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("folder:", "expected an absolute path"),
        ("folder:pictures", "expected an absolute path"),
        ("folder:../../etc", "expected an absolute path"),
        ("folder:~nobody/x", "expected an absolute path"),
        ("folder:/nowhere/at/all", "no such folder"),
    ],
)
def test_a_folder_that_is_not_there_is_a_clear_error(name, message):
    with pytest.raises(DomainError, match=f"{name}: {message}"):
        load_domain(name, 16)


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x", "/a\0b"])
def test_what_is_no_path_has_no_name(path):
    with pytest.raises(DomainError, match="not a path of this machine"):
        folder_name(path)


def test_too_few_classes_and_images_are_clear_errors(tmp_path, monkeypatch):
    name = folder_name(tmp_path)
    with pytest.raises(DomainError, match="no sub-folders; expected one a class, 2 to 1,000"):
        load_domain(name, 16)
    for i in range(5):
        save(tmp_path / "red" / f"{i}.png")
    with pytest.raises(DomainError, match="1 sub-folder; expected"):
        load_domain(name, 16)
    save(tmp_path / "green" / "0.png")
    with pytest.raises(DomainError, match="class 'green' has 1 images .*; expected 5 to 100,000"):
        load_domain(name, 16)
    monkeypatch.setattr(folders, "MAX_CLASSES", 1)
    with pytest.raises(DomainError, match="2 sub-folders"):
        load_domain(name, 16)


def test_five_images_of_a_class_give_three_to_train_and_one_each_to_choose_and_report(tmp_path, data_folder):
    for label, colour in (("red", (255, 0, 0)), ("green", (0, 255, 0))):
        for i in range(5):
            save(tmp_path / "few" / label / f"{i}.png", (*colour[:2], 40 * i))
    split = folders.read_folder(folders.open_folder(folder_name(tmp_path / "few")), 16)
    assert [np.bincount(part.labels).tolist() for part in split] == [[3, 3], [1, 1], [1, 1]]
    assert_disjoint(split)


def test_a_class_name_that_cannot_be_shown_is_refused(tmp_path):
    (tmp_path / "red").mkdir()
    (tmp_path / "gre\nen").mkdir()
    with pytest.raises(DomainError, match="expected a name that can be shown"):
        load_domain(folder_name(tmp_path), 16)


def test_caps_are_shared_by_the_classes(pictures, monkeypatch):
    monkeypatch.setattr(folders, "TRAIN_IMAGES", 8)
    monkeypatch.setattr(folders, "TEST_IMAGES", 2)
    split = folders.read_folder(folders.open_folder(folder_name(pictures)), 16)
    assert [np.bincount(part.labels).tolist() for part in split] == [[4, 4], [1, 1], [1, 1]]
    assert [part.images.shape for part in split] == [(count, 16, 16, 3) for count in (8, 2, 2)]
