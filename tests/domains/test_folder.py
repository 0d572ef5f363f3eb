from __future__ import annotations

import time
from itertools import chain

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

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
    assert domain.counts == {"train": 12, "validation": 4, "test": 4}
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
    assert load_domain(folder_name(pictures), 16).classes == ("Green", "blue", "red")


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
    with pytest.raises(DomainError, match=r"has 2 .Green, red.; .*same has 2 .RED, green."):
        make_pair("close", folder_name(pictures), folder_name(tmp_path / "same"))
    (tmp_path / "same" / "green").rename(tmp_path / "same" / "GREEN")
    pair = make_pair("close", folder_name(pictures), folder_name(tmp_path / "same"))
    assert load_pair(pair.name, 16).ood.classes == ("GREEN", "RED")


def bad_file(pictures):
    (pictures / "red" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")


def cut_short(pictures):
    Image.effect_noise((60, 60), 90).save(pictures / "red" / "3.png")
    whole = (pictures / "red" / "3.png").read_bytes()
    (pictures / "red" / "3.png").write_bytes(whole[: len(whole) // 2])


def disguised(pictures):
    (pictures / "red" / "3.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")


def deep(pictures):
    Image.new("F", (9, 9), 0.5).save(pictures / "red" / "3.tif")
    (pictures / "red" / "3.png").unlink()


def huge(pictures):
    Image.new("1", (8000, 8000)).save(pictures / "red" / "3.png")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (bad_file, "red/3.png: not a readable image"),
        (cut_short, "red/3.png: not a readable image"),
        (disguised, "red/3.png: not a readable image"),
        (deep, "red/3.tif: F pixels; expected 8 or 16 bits a channel"),
        (huge, "red/3.png: 8000 × 8000 pixels, more than 50 million"),
    ],
)
def test_a_bad_image_is_named(pictures, spoil, message):
    spoil(pictures)
    domain = load_domain(folder_name(pictures), 16)
    with pytest.raises(DomainError, match=f"1 of 20 images cannot be used: {message}"):
        _ = domain.train


def test_of_many_bad_images_the_first_are_named_and_all_are_listed(pictures, monkeypatch, data_folder):
    monkeypatch.setattr(folders, "MAX_FILE_BYTES", 10)
    monkeypatch.setattr(folders, "NAMED", 5)
    with pytest.raises(DomainError, match="20 of 20 images cannot be used: .*more than 0 MB.* and 15 more") as error:
        folders.read_folder(folders.open_folder(folder_name(pictures)), 16)
    [listed] = (data_folder / "made").glob("unreadable-*.txt")
    assert str(listed) in str(error.value)
    assert sorted(line.partition(":")[0] for line in listed.read_text().splitlines()) == sorted(
        str(path.relative_to(pictures)) for path in pictures.rglob("*.[pJ][nP]*")
    )


def test_bad_images_are_left_out_where_the_user_says_so(pictures):
    """Three bad files among many made the whole folder useless."""
    bad_file(pictures)
    disguised_too = pictures / "Green" / "4.JPG"
    disguised_too.write_bytes(b"%!PS")
    readable = folder_name(pictures, readable=True)
    with pytest.raises(DomainError, match="have not been checked.*atesc domains get 'readable:"):
        folders.open_folder(readable)
    folder = folders.prepare_folder(readable)
    assert (folder.images, folder.left_out["unreadable images"]) == (18, 2)
    assert folder.about == "left out: 2 .txt, 2 unreadable images"
    domain = load_domain(readable, 16)
    assert domain.counts == {"train": 14, "validation": 2, "test": 2}  # of nine images a class, one in five
    assert [len(part) for part in (domain.train, domain.validation, domain.test)] == list(domain.counts.values())
    save(pictures / "red" / "new.png")
    with pytest.raises(DomainError, match="have changed since"):
        folders.open_folder(readable)


def test_classes_are_in_the_order_of_imagefolder(tmp_path, data_folder):
    """Sorted without regard to case, a perfect teacher had an IAcc of 0."""
    for label in ("apple", "Zebra", "Mango"):
        for i in range(5):
            save(tmp_path / "mixed" / label / f"{i}.png")
    ours = folders.open_folder(folder_name(tmp_path / "mixed"))
    theirs = ImageFolder(tmp_path / "mixed")
    assert list(ours.classes) == theirs.classes == ["Mango", "Zebra", "apple"]


def test_files_are_those_of_imagefolder_and_the_others_are_counted(tmp_path, data_folder):
    """Thirty TIFF files beside six PNG vanished, and so did images deeper than one level."""
    for label in ("a", "b"):
        for i in range(6):
            save(tmp_path / "kinds" / label / f"{i}.png")
        for i in range(30):
            save(tmp_path / "kinds" / label / "deeper" / f"{i}.tiff")
        (tmp_path / "kinds" / label / "notes.txt").write_text("no picture")
    folder = folders.open_folder(folder_name(tmp_path / "kinds"))
    theirs = [path for path, _ in ImageFolder(tmp_path / "kinds").samples]
    assert [str(file) for files in folder.files for file in files] == theirs
    assert folder.images == 72
    assert folder.about == "left out: 2 .txt"
    assert sum(load_domain(folder.name, 16).counts.values()) == 72


def test_a_link_to_a_folder_above_is_not_followed_forever(pictures):
    before = folders.open_folder(folder_name(pictures))
    (pictures / "red" / "again").symlink_to(pictures / "red")
    assert folders.open_folder(folder_name(pictures)).files == before.files


@pytest.mark.parametrize(("names", "parts"), [("train test", [24, 6, 6]), ("Training VAL", [24, 6, 6])])
def test_train_and_test_are_a_split_and_no_classes(tmp_path, data_folder, names, parts):
    """A folder of train/ and test/ became a domain of two classes, "test" and "train"."""
    for name, count in zip(names.split(), (15, 3), strict=True):
        for label, colour in (("red", 255), ("blue", 0)):
            for i in range(count):
                save(tmp_path / "split" / name / label / f"{i}.png", (colour, 3 * i, 10 * (count == 3)))
    folder = folders.open_folder(folder_name(tmp_path / "split"))
    assert folder.classes == ("blue", "red")
    assert folder.about == "split: train, test"
    split = folders.read_folder(folder, 8)
    assert [len(part.labels) for part in split] == parts
    assert (split.test.images[..., 2] == 10).all()
    assert (split.train.images[..., 2] == 0).all()
    assert_disjoint(split)


def save_split(folder, **counts):
    """A split of the classes red and blue: so many images a class in each part."""
    for part, count in counts.items():
        for label in ("red", "blue"):
            for i in range(count):
                save(folder / part / label / f"{i}.png", (0, len(part), i))


def test_a_split_has_enough_images_to_draw_the_validation_part_from(tmp_path, data_folder):
    """Of four training images a class none was drawn to validate, and the first accuracy divided by zero."""
    save_split(tmp_path, train=4, test=4)
    with pytest.raises(DomainError, match="class 'blue' has 4 images in the part train; expected 5 to 100,000 .split"):
        folders.open_folder(folder_name(tmp_path))
    save_split(tmp_path, train=5)
    domain = load_domain(folder_name(tmp_path), 8)
    assert domain.counts == {"train": 8, "validation": 2, "test": 8}


def test_a_split_of_three_parts_may_have_one_image_a_class_in_each(tmp_path, data_folder):
    save_split(tmp_path / "three", train=1, val=1, test=1)
    folder = folders.open_folder(folder_name(tmp_path / "three"))
    assert folder.about == "split: train, validation, test"
    split = folders.read_folder(folder, 8)
    assert [np.bincount(part.labels).tolist() for part in split] == [[1, 1]] * 3
    assert [set(part.images[..., 1].flatten().tolist()) for part in split] == [{5}, {3}, {4}]  # as each is called
    (tmp_path / "three" / "val" / "red" / "0.png").unlink()
    with pytest.raises(DomainError, match="class 'red' has 0 images in the part validation; expected 1 to"):
        folders.open_folder(folder.name)


def test_the_parts_of_a_split_have_the_same_classes(tmp_path):
    for path in ("train/a", "train/b", "test/a"):
        for i in range(5):
            save(tmp_path / path / f"{i}.png")
    with pytest.raises(
        DomainError, match=r"test is a part of a split, with 1 .a.; expected the classes of train.*a, b"
    ):
        load_domain(folder_name(tmp_path), 16)
    for i in range(5):
        save(tmp_path / "flat" / "train" / f"{i}.png")
        save(tmp_path / "flat" / "test" / f"{i}.png")
    with pytest.raises(DomainError, match="train is a part of a split, with no sub-folders"):
        load_domain(folder_name(tmp_path / "flat"), 16)


def test_transparent_pixels_are_white_and_deep_ones_are_scaled(tmp_path, data_folder):
    for label in ("clear", "half", "palette", "deep"):
        (tmp_path / "kinds" / label).mkdir(parents=True)
    for i in range(5):
        Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "kinds" / "clear" / f"{i}.png")
        Image.new("RGBA", (9, 9), (0, 0, 0, 128)).save(tmp_path / "kinds" / "half" / f"{i}.webp", lossless=True)
        Image.new("P", (9, 9), 0).save(tmp_path / "kinds" / "palette" / f"{i}.gif", transparency=0)
        Image.new("I;16", (9, 9), 40_000).save(tmp_path / "kinds" / "deep" / f"{i}.png")
    split = folders.read_folder(folders.open_folder(folder_name(tmp_path / "kinds")), 8)
    by_class = enumerate(("clear", "deep", "half", "palette"))
    shades = {label: set(split.train.images[split.train.labels == at].flatten().tolist()) for at, label in by_class}
    assert shades == {"clear": {255}, "deep": {40_000 >> 8}, "half": {127}, "palette": {255}}


def test_large_images_are_decoded_one_at_a_time(pictures, monkeypatch):
    """Twelve images of 50 megapixels, 1.7 MB in all, took 3 GB."""
    monkeypatch.setattr(folders, "LARGE_PIXELS", 100)
    decoding, most = [], []
    upright = folders._upright_rgb

    def counted(image):
        decoding.append(id(image))  # not the image: `remove` compares, and comparing decodes another thread's image
        most.append(len(decoding))
        time.sleep(0.002)  # so that another thread would come
        try:
            return upright(image)
        finally:
            decoding.remove(id(image))

    monkeypatch.setattr(folders, "_upright_rgb", counted)
    folders.read_folder(folders.open_folder(folder_name(pictures)), 16)
    assert max(most) == 1
    monkeypatch.setattr(folders, "LARGE_PIXELS", 10**6)
    most.clear()
    folders.read_folder(folders.open_folder(folder_name(pictures)), 17)
    assert max(most) > 1


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
    with pytest.raises(DomainError, match="class 'green' has 1 images; expected 5 to 100,000"):
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
